//! Copies that fit, in the flow of a file: a candidate Meta would refuse becomes a candidate of other bytes.
//!
//! Which copy goes in a file's place is known from the record, so that nothing is decoded whose copy has a live id. The
//! bytes of the copy are made when they are uploaded.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::runtime::Handle;

use crate::blocking::blocking;
use crate::ids::{Asset, AssetKey, ContentHash};
use crate::media::fit::extension;
use crate::media::{Fit, FitRules, Problem, fit, judge};
use crate::record::{Derivation, Upload};
use crate::stop::Stop;

use super::fitter::{Fitter, NotMade, Source};
use super::manager::AssetLibrary;
use super::plan::{PlanRules, staleness};
use super::subject::{Candidate, Original, Subject};
use super::survey::Inspected;
use super::{AssetOutcome, AssetReport, LibraryError};

/// The report of a file that holds other bytes than were asked for.
pub(super) fn changed(candidate: Candidate) -> Box<AssetReport> {
    let error = LibraryError::Changed { path: candidate.path.clone() };
    Box::new(candidate.report(AssetOutcome::Failed).because(error))
}

/// What came of wanting a copy.
type Fitted = Result<Candidate, Box<AssetReport>>;

impl AssetLibrary {
    /// What a survey saw as something to decide about: a copy that fits, where one is needed and wanted. Once `enough` is
    /// requested no more are made. To be called where blocking is allowed.
    pub(super) fn surveyed(
        &self,
        path: PathBuf,
        seen: Result<Inspected, Problem>,
        runtime: &Handle,
        enough: &Stop,
    ) -> Fitted {
        let candidate = self.candidate(path, seen)?;
        match &self.parts.inspector.fitter {
            Some(_) => runtime.block_on(self.fitted(candidate, enough)),
            None => Ok(candidate),
        }
    }

    /// The candidate, or the copy of it that fits, where it needs one and copies are wanted. Where none can be made, the
    /// reason is among its problems.
    pub(super) async fn fitted(&self, mut candidate: Candidate, enough: &Stop) -> Fitted {
        let Some(fitter) = &self.parts.inspector.fitter else { return Ok(candidate) };
        let rules = match fit(&candidate.facts, &candidate.verdict, candidate.key.space.platform) {
            Fit::AsItIs => return Ok(candidate),
            Fit::LeftAlone(problem) => {
                candidate.verdict.problems.push(problem);
                return Ok(candidate);
            }
            Fit::Copy(rules) => rules,
        };
        match self.known_copy(candidate.facts.hash, rules).await {
            Ok(Some(known)) => return Ok(candidate.replaced_by(known)),
            Ok(None) => {}
            Err(error) => return Err(Box::new(candidate.report(AssetOutcome::Failed).because(error))),
        }
        let made = self.work(fitter, &candidate, rules, enough, Fitter::derive).await;
        match self.kept(made).await {
            Ok(derivation) => Ok(candidate.replaced_by(derivation)),
            Err(Failed::NotMade(NotMade::Problem(problem))) => {
                candidate.verdict.problems.push(problem);
                Ok(candidate)
            }
            Err(failed) => Err(Box::new(failed.report(candidate.into()))),
        }
    }

    /// The candidate if it has this hash, or the copy with this hash that was made of it.
    pub(super) async fn known_as(&self, candidate: Candidate, hash: ContentHash) -> Fitted {
        if candidate.facts.hash == hash {
            return Ok(candidate);
        }
        let known = match self.parts.record.sources_of(&[hash]).await {
            Ok(known) => known,
            Err(error) => {
                return Err(Box::new(candidate.report(AssetOutcome::Failed).because(LibraryError::from(error))));
            }
        };
        if let Some(derivation) = known.into_iter().find(|derivation| derivation.source == candidate.facts.hash) {
            return Ok(candidate.replaced_by(derivation).exactly());
        }
        Err(changed(candidate))
    }

    /// The subject with all that is needed to upload it, and what is recorded of it: a copy is made now, unless it was
    /// made just before. Should it come out other than it is on record, it is another subject.
    pub(super) async fn made(
        &self,
        subject: Subject,
        seen: Option<Upload>,
    ) -> Result<(Subject, Option<Upload>), Box<AssetReport>> {
        let Subject::File(candidate) = subject else { return Ok((subject, seen)) };
        let Some(original) = &candidate.original else { return Ok((candidate.into(), seen)) };
        let changed = |candidate: Candidate| Failed::NotMade(NotMade::Changed).report(candidate.into());
        // By rules of another version it cannot be made again.
        let Ok(rules) = original.derivation.rules.parse() else { return Err(Box::new(changed(candidate))) };
        let copy = self.work(&self.fitter, &candidate.original(), rules, &self.parts.stop, Fitter::copy).await;
        let (derivation, bytes) = match copy {
            Ok(copy) => copy,
            Err(not_made) => return Err(Box::new(Failed::NotMade(not_made).report(candidate.into()))),
        };
        if derivation.result == candidate.facts.hash {
            return Ok((Candidate { bytes: Some(bytes), ..candidate }.into(), seen));
        }
        if original.exact {
            return Err(Box::new(changed(candidate)));
        }
        let derivation = match self.kept(Ok(derivation)).await {
            Ok(derivation) => derivation,
            Err(failed) => return Err(Box::new(failed.report(candidate.into()))),
        };
        let copy = Candidate { bytes: Some(bytes), ..candidate.original().replaced_by(derivation) };
        self.unless_alive(copy).await
    }

    /// The copy, and what is recorded of it; its report where that is alive.
    async fn unless_alive(&self, copy: Candidate) -> Result<(Subject, Option<Upload>), Box<AssetReport>> {
        match self.stored(&copy.key).await {
            Ok(Some(upload)) if staleness(&upload, self.parts.clock.moment(), PlanRules::ALIVE).is_none() => {
                Err(Box::new(copy.report(AssetOutcome::Reused).with(Some(upload))))
            }
            Ok(stored) => Ok((copy.into(), stored)),
            Err(error) => Err(Box::new(copy.report(AssetOutcome::Failed).because(error))),
        }
    }

    /// The copy of these bytes that is on record.
    pub(super) async fn known_copy(
        &self,
        source: ContentHash,
        rules: FitRules,
    ) -> Result<Option<Derivation>, LibraryError> {
        let rules = rules.to_string();
        let copies = self.parts.record.copies_of(source).await?;
        Ok(copies.into_iter().find(|derivation| derivation.rules == rules))
    }

    /// Has the fitter do something away from the tasks.
    async fn work<T: Send + 'static>(
        &self,
        fitter: &Arc<Fitter>,
        candidate: &Candidate,
        rules: FitRules,
        stop: &Stop,
        work: impl FnOnce(&Fitter, Source, FitRules, &Stop) -> Result<T, NotMade> + Send + 'static,
    ) -> Result<T, NotMade> {
        let (fitter, stop, candidate) = (Arc::clone(fitter), stop.clone(), candidate.clone());
        blocking(move || work(&fitter, candidate.source(), rules, &stop)).await
    }

    /// Records which copy was made.
    async fn kept(&self, made: Result<Derivation, NotMade>) -> Result<Derivation, Failed> {
        let derivation = made.map_err(Failed::NotMade)?;
        let kept = self.parts.record.remember_derivation(&derivation, self.parts.clock.now()).await;
        kept.map_err(|error| Failed::Library(error.into()))?;
        Ok(derivation)
    }
}

/// Why there is no copy to go on with.
enum Failed {
    NotMade(NotMade),
    Library(LibraryError),
}

impl Failed {
    fn report(self, subject: Subject) -> AssetReport {
        let path = subject.path();
        let error = match self {
            Self::NotMade(NotMade::Stopped) => return subject.report(AssetOutcome::Deferred),
            Self::NotMade(NotMade::Changed) => LibraryError::Changed { path },
            Self::NotMade(NotMade::Problem(problem)) => LibraryError::Unusable { path, problem },
            Self::Library(error) => error,
        };
        subject.report(AssetOutcome::Failed).because(error)
    }
}

impl Candidate {
    /// The copy that goes in its place. Its own bytes are let go.
    pub(super) fn replaced_by(self, derivation: Derivation) -> Self {
        let facts = derivation.facts();
        let name = self.path.with_extension(extension(&derivation.mime));
        let verdict = judge(&facts, &name, self.key.space.platform);
        let key = AssetKey { kind: verdict.kind, asset: Asset::Bytes(facts.hash), ..self.key };
        let original = Original { facts: self.facts, verdict: self.verdict, derivation, exact: false };
        Self { path: self.path, key, facts, verdict, bytes: None, shared: None, original: Some(Box::new(original)) }
    }

    /// The same, to be uploaded only if it is made again byte for byte.
    fn exactly(self) -> Self {
        let original = self.original.map(|original| Box::new(Original { exact: true, ..*original }));
        Self { original, ..self }
    }

    /// What it is a copy of; itself where it is none.
    fn original(&self) -> Self {
        let Some(original) = &self.original else { return self.clone() };
        let Original { facts, verdict, .. } = &**original;
        let key = AssetKey { kind: verdict.kind, asset: Asset::Bytes(facts.hash), ..self.key.clone() };
        let (path, facts, verdict) = (self.path.clone(), facts.clone(), verdict.clone());
        Self { path, key, facts, verdict, bytes: None, shared: None, original: None }
    }

    fn source(&self) -> Source<'_> {
        Source { path: &self.path, facts: &self.facts, bytes: self.bytes.as_ref() }
    }
}
