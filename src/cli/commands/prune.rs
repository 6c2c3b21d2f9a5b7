//! `prune`: strike off the record what is of no use any more, once somebody has seen what that is.

use std::collections::HashSet;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::cli::args::PruneArgs;
use crate::cli::context::{Context, reporter};
use crate::cli::events::PruneSummaryEvent;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::output::{shown, shown_text};
use crate::cli::values::{count, human_size};
use crate::clock::Moment;
use crate::events::RecordedEvent;
use crate::ids::{Asset, ContentHash};
use crate::library::{CheckOptions, Known, LibraryError, PlanRules, Reason, check, place_of, staleness};
use crate::media::{ProblemCode, ScanOptions};
use crate::record::{Derivation, Record, Upload, UploadFilter, UploadState};

use super::recorded::{AliasNames, each_recorded};

/// Ids that are named before it is asked whether they may go.
const NAMED: usize = 20;
/// Why an id goes whose file is gone.
const UNREFERENCED: &str = "unreferenced";

pub(super) async fn run(context: &Context, args: PruneArgs) -> Result<Exit, Failure> {
    let output = &context.output;
    let kept = Kept::under(context, &args.keep).await?;
    let known = context.known_here().await?;
    let record = &**known.record();
    let roots = roots_of(record, &args)?;
    let names = AliasNames::load(context, record).await?;
    let mut rules = Rules { args: &args, kept, roots, names, now: context.clock.moment() };
    let mut going: Vec<(Upload, &'static str)> = Vec::new();
    let mut kept_named = 0;
    each_recorded(context, record, &UploadFilter::default(), |upload| match rules.reason(upload) {
        Some(reason) => going.push((upload.clone(), reason)),
        None => kept_named += u64::from(rules.is_kept_by_name(upload)),
    })
    .await?;
    kept_named += rules.keep_copies(context, record, &going).await?;
    going.retain(|(upload, _)| rules.reason(upload).is_some());
    if context.stop.is_requested() {
        return Ok(Exit::Interrupted);
    }
    announce(context, &going);
    if kept_named > 0 {
        output.remark(format_args!(
            "kept {} whose file is gone, because of an @alias: `reattach alias --remove NAME` takes one out of use",
            count(kept_named, "id")
        ));
    }
    let size = going.iter().filter_map(|(upload, _)| upload.known_size()).sum();
    let what = format!("{} ({} of files)", count(going.len() as u64, "id"), human_size(size));
    let mut gone = 0;
    if going.is_empty() {
        output.remark("there is nothing to prune");
    } else if args.dry_run {
        for (upload, reason) in &going {
            output.event(&RecordedEvent::new(upload, reason, rules.names.of(&upload.key.asset)));
        }
        output.remark(output.palette.strong(format_args!("{what} would be struck off the record")));
    } else {
        context.confirm(&format!("{what} will be struck off the record.")).await?;
        gone = strike_off(context, &known, &rules, &going).await?;
        output.remark(output.palette.strong(format_args!("{} struck off the record", count(gone, "id"))));
    }
    output.event(&PruneSummaryEvent::new(&going, kept_named, gone, size, args.dry_run));
    Ok(context.ending(Exit::Done))
}

/// Where a file that is gone makes its id unreferenced; `None` for anywhere. Of a record that others share only under the
/// folders that were named: another machine may see what this one does not.
fn roots_of(record: &dyn Record, args: &PruneArgs) -> Result<Option<Vec<PathBuf>>, Failure> {
    if !record.is_shared() || !args.which.unreferenced {
        return Ok(None);
    }
    if args.keep.is_empty() {
        return Err(Failure::Usage {
            message: "the record is shared: files that are not on this machine may be on another".into(),
            hint: "name the folders whose files are to be looked for: --keep PATH".into(),
        });
    }
    let resolve =
        |root: &PathBuf| place_of(root).map_err(|source| Failure::File { action: "found", path: root.clone(), source });
    args.keep.iter().map(resolve).collect::<Result<_, _>>().map(Some)
}

/// What is of no use any more.
struct Rules<'a> {
    args: &'a PruneArgs,
    kept: Kept,
    roots: Option<Vec<PathBuf>>,
    names: AliasNames,
    now: Moment,
}

impl Rules<'_> {
    /// Why the id goes; `None` when it stays. One that is alive goes only if its file is gone for certain.
    fn reason(&self, upload: &Upload) -> Option<&'static str> {
        let which = &self.args.which;
        if which.rejected && upload.state == UploadState::Rejected {
            Some("rejected")
        } else if which.expired && staleness(upload, self.now, PlanRules::ALIVE) == Some(Reason::Expired) {
            Some("expired")
        } else if which.unreferenced && !self.is_named(upload) && self.is_lost(upload) {
            Some(UNREFERENCED)
        } else {
            None
        }
    }

    /// Whether it would go if nobody had given it a name.
    fn is_kept_by_name(&self, upload: &Upload) -> bool {
        self.args.which.unreferenced && self.is_named(upload) && self.is_lost(upload)
    }

    /// Keeps what went in the place of bytes that are kept or have a name: how many for that name alone.
    async fn keep_copies(
        &mut self,
        context: &Context,
        record: &dyn Record,
        going: &[(Upload, &'static str)],
    ) -> Result<u64, Failure> {
        let mut kept_named = 0;
        for hash in
            going.iter().filter(|(_, why)| *why == UNREFERENCED).filter_map(|(upload, _)| upload.key.asset.hash())
        {
            if context.stop.is_requested() {
                break;
            }
            let sources = record.sources_of(&[hash]).await?;
            let is_kept = |made: &Derivation| self.kept.has_large || self.kept.bytes.contains(&made.source);
            let is_named = |made: &Derivation| !self.names.of(&Asset::Bytes(made.source)).is_empty();
            if sources.iter().any(is_kept) {
                self.kept.bytes.insert(hash);
            } else if sources.iter().any(is_named) {
                self.kept.bytes.insert(hash);
                kept_named += 1;
            }
        }
        Ok(kept_named)
    }

    fn is_named(&self, upload: &Upload) -> bool {
        !self.names.of(&upload.key.asset).is_empty()
    }

    /// Whether its file is gone, and its bytes are not among those that are kept.
    fn is_lost(&self, upload: &Upload) -> bool {
        let is_kept = upload.key.asset.hash().is_some_and(|hash| self.kept.bytes.contains(&hash));
        let is_ours =
            |place: &Path| self.roots.as_ref().is_none_or(|roots| roots.iter().any(|root| place.starts_with(root)));
        !is_kept && upload.source.as_deref().is_some_and(|place| is_ours(place) && is_gone(place))
    }
}

/// What lies where ids are kept.
#[derive(Default)]
struct Kept {
    /// Bytes that are still somewhere, whatever their name was, and copies of them that went in their place.
    bytes: HashSet<ContentHash>,
    /// Whether there are files too large for an upload, whose bytes nobody looked at: only a copy can have gone in their place.
    has_large: bool,
}

/// Whether there is certainly nothing: what cannot be looked at may be there.
fn is_gone(path: &Path) -> bool {
    fs::symlink_metadata(path)
        .is_err_and(|error| matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory))
}

impl Kept {
    /// What lies under these paths.
    ///
    /// # Errors
    /// Where not everything there can be read: what cannot may be what an id stands for.
    async fn under(context: &Context, paths: &[PathBuf]) -> Result<Self, Failure> {
        let mut kept = Self::default();
        if paths.is_empty() {
            return Ok(kept);
        }
        let private = Arc::clone(&context.settings.private);
        let scan = ScanOptions { hidden: true, private, ..ScanOptions::default() };
        let options = CheckOptions { scan, platform: context.settings.platform };
        let (inspector, bars) = (context.inspector(), context.bars());
        let mut unreadable = None;
        check(&inspector, paths, &options, reporter(bars.clone()), &context.stop, |report| {
            kept.bytes.extend(report.facts.as_ref().map(|facts| facts.hash));
            for problem in &report.problems {
                kept.has_large |= problem.code == ProblemCode::TooLarge;
                if matches!(
                    problem.code,
                    ProblemCode::Unreadable
                        | ProblemCode::ChangedWhileReading
                        | ProblemCode::Vanished
                        | ProblemCode::TooDeep
                ) {
                    unreadable.get_or_insert_with(|| (report.path.clone().unwrap_or_default(), problem.clone()));
                }
            }
        })
        .await?;
        if let Some(bars) = bars {
            bars.clear();
        }
        match unreadable {
            Some((path, problem)) => Err(LibraryError::Unusable { path, problem }.into()),
            None => Ok(kept),
        }
    }
}

/// Strikes them off, but for those that were made anew since they were looked at.
async fn strike_off(
    context: &Context,
    known: &Known,
    rules: &Rules<'_>,
    going: &[(Upload, &'static str)],
) -> Result<u64, Failure> {
    let mut gone = 0;
    for (upload, _) in going {
        if context.stop.is_requested() {
            break;
        }
        let now = known.record().find(std::slice::from_ref(&upload.key)).await?.pop().flatten();
        if now.is_some_and(|now| now.attachment_id == upload.attachment_id && rules.reason(&now).is_some()) {
            known.forget(&upload.key).await?;
            context.output.event(&RecordedEvent::new(upload, "forgotten", rules.names.of(&upload.key.asset)));
            gone += 1;
        }
    }
    Ok(gone)
}

/// Names what would go, or some of it where it is much.
fn announce(context: &Context, going: &[(Upload, &'static str)]) {
    let output = &context.output;
    for (upload, reason) in going.iter().take(NAMED) {
        let name = upload.source.as_deref().map_or_else(|| shown_text(&upload.key.asset.to_string()), shown);
        let size = upload.known_size().map_or_else(String::new, human_size);
        let (reason, size) = (output.palette.warning(format_args!("{reason:<12}")), output.palette.faint(size));
        output.remark(format_args!("- {reason}  {:<20}  {name}  {size}", upload.attachment_id.as_str()));
    }
    if going.len() > NAMED {
        output.remark(format_args!("  … and {} more", going.len() - NAMED));
    }
}
