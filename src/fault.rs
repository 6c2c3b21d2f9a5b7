//! What sort of failure an error is, and its words: one reading for exit codes, HTTP answers and the JSON of both.

use std::error::Error;

use crate::campaign::CampaignError;
use crate::causes::with_causes;
use crate::graph::{Certainty, Class, GraphError, Operation, Scope};
use crate::library::LibraryError;
use crate::media::WatchError;
use crate::record::RecordError;

/// Who or what is at fault, as far as that decides what to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sort {
    /// What was asked for makes no sense.
    Usage,
    /// The token, a permission, or the wrong Page.
    Credentials,
    /// The record is out of reach or held by another.
    Store,
    /// A limit, or a moment's trouble.
    TryLater,
    /// One item is at fault, and others may fare better.
    Item,
    /// Nobody knows whether a message was sent.
    UnknownOutcome,
    /// It was told to stop.
    Interrupted,
    /// Nothing that should happen.
    Unexpected,
}

/// An error people and programs are told of.
pub(crate) trait Fault: Error {
    /// What sort it is.
    fn sort(&self) -> Sort;

    /// What Meta said, where Meta is the reason.
    fn graph(&self) -> Option<&GraphError> {
        None
    }

    /// What to do about it.
    fn what_to_do(&self) -> Option<String>;

    /// Whether its words follow "failed to".
    fn names_a_deed(&self) -> bool {
        false
    }

    /// Whether it passes by itself, as far as Meta has nothing to do with it and its sort does not say so.
    fn is_passing(&self) -> bool {
        false
    }
}

/// Where it comes from, in one word: Meta's class where Meta gave a code.
pub(crate) fn class_of(sort: Sort, graph: Option<&GraphError>) -> &'static str {
    match (graph, sort) {
        (Some(error), _) => graph_class(error),
        (None, Sort::Usage) => "usage",
        (None, Sort::Credentials) => "credentials",
        (None, Sort::Store) => "store",
        (None, Sort::UnknownOutcome) => "unknown",
        (None, _) => "local",
    }
}

/// What happened, as a sentence. Errors of our own stores and files say what we failed to do.
pub(crate) fn headline(fault: &dyn Fault) -> String {
    if fault.names_a_deed() { format!("failed to {fault}") } else { fault.to_string() }
}

/// What happened and why, in one line.
pub(crate) fn message(fault: &dyn Fault) -> String {
    with_causes(&headline(fault), fault)
}

/// Whether the same may succeed later, unchanged.
pub(crate) fn is_retryable(fault: &dyn Fault) -> bool {
    match (fault.graph(), fault.sort()) {
        (Some(error), _) => error.retryable(),
        (None, Sort::TryLater | Sort::Interrupted) => true,
        (None, _) => fault.is_passing(),
    }
}

impl Fault for GraphError {
    fn sort(&self) -> Sort {
        match (self.scope(), self.outcome(), self) {
            (_, _, Self::Invalid(_)) => Sort::Usage,
            (_, _, Self::Unshared { .. }) => Sort::Store,
            (Some(Scope::Page), ..) => Sort::Credentials,
            (Some(Scope::Rate | Scope::Connection), ..) => Sort::TryLater,
            (_, _, Self::Stopped { .. }) => Sort::Interrupted,
            (_, Certainty::Unknown, Self::Unknown { operation: Operation::Send | Operation::Batch, .. }) => {
                Sort::UnknownOutcome
            }
            (_, Certainty::Unknown, _) => Sort::TryLater,
            _ => Sort::Item,
        }
    }

    fn graph(&self) -> Option<&GraphError> {
        Some(self)
    }

    fn what_to_do(&self) -> Option<String> {
        self.hint().map(Into::into)
    }
}

impl Fault for RecordError {
    fn sort(&self) -> Sort {
        Sort::Store
    }

    fn what_to_do(&self) -> Option<String> {
        self.hint().map(Into::into)
    }

    fn names_a_deed(&self) -> bool {
        true
    }

    fn is_passing(&self) -> bool {
        matches!(self, Self::Locked { .. } | Self::Away { .. } | Self::Lapsed | Self::AtWork { .. })
    }
}

impl Fault for LibraryError {
    fn sort(&self) -> Sort {
        match self {
            Self::Scan(_)
            | Self::Message(_)
            | Self::NoReference { .. }
            | Self::NoPage
            | Self::Watch(WatchError::Scan(_)) => Sort::Usage,
            Self::Watch(_) => Sort::Unexpected,
            Self::Graph(error) => error.sort(),
            Self::Record(_) | Self::NotKnown { .. } | Self::Watched { .. } | Self::WatchLock { .. } => Sort::Store,
            Self::OtherPage { .. } | Self::ReplacedTooOften { .. } => Sort::Credentials,
            Self::Claimed { .. } | Self::Superseded { .. } => Sort::TryLater,
            Self::InDoubt { .. } => Sort::UnknownOutcome,
            Self::Unusable { .. }
            | Self::Changed { .. }
            | Self::NotRecorded { .. }
            | Self::NoLiveId { .. }
            | Self::NoSource { .. }
            | Self::NoSuchAlias { .. }
            | Self::AliasOutdated { .. }
            | Self::NotSaved { .. }
            | Self::OtherKind { .. }
            | Self::KindUnknown { .. } => Sort::Item,
            Self::Reference { cause, .. } | Self::NotHealed { cause, .. } => cause.sort(),
        }
    }

    fn graph(&self) -> Option<&GraphError> {
        match self {
            Self::Graph(error) => Some(error),
            Self::Reference { cause, .. } | Self::NotHealed { cause, .. } => cause.graph(),
            _ => None,
        }
    }

    fn what_to_do(&self) -> Option<String> {
        self.hint()
    }

    fn names_a_deed(&self) -> bool {
        self.says_what_failed()
    }

    fn is_passing(&self) -> bool {
        match self {
            Self::Record(error) | Self::NotKnown { cause: error, .. } => error.is_passing(),
            Self::Reference { cause, .. } | Self::NotHealed { cause, .. } => cause.is_passing(),
            _ => false,
        }
    }
}

impl Fault for CampaignError {
    fn sort(&self) -> Sort {
        match self {
            Self::Library(error) => error.sort(),
            Self::Graph(error) => error.sort(),
            Self::Record(_) | Self::Ledger(_) | Self::Held { .. } | Self::Unintelligible { .. } => Sort::Store,
            Self::NotPermitted { .. } => Sort::Credentials,
            Self::Stopped => Sort::Interrupted,
            Self::Panicked => Sort::Unexpected,
            _ => Sort::Usage,
        }
    }

    fn graph(&self) -> Option<&GraphError> {
        match self {
            Self::Graph(error) => Some(error),
            Self::Library(error) => error.graph(),
            _ => None,
        }
    }

    fn what_to_do(&self) -> Option<String> {
        self.hint()
    }

    fn names_a_deed(&self) -> bool {
        matches!(self, Self::Record(_) | Self::Ledger(_))
    }

    fn is_passing(&self) -> bool {
        match self {
            Self::Record(error) => error.is_passing(),
            Self::Ledger(error) => error.is_passing(),
            Self::Library(error) => error.is_passing(),
            // Whoever has it lets go of it.
            Self::Held { .. } => true,
            _ => false,
        }
    }
}

fn graph_class(error: &GraphError) -> &'static str {
    match (error.class(), error) {
        (Some(class), _) => class.as_str(),
        (None, GraphError::Invalid(_)) => "bad_request",
        (None, GraphError::RateLimited { .. }) => Class::RateLimit.as_str(),
        (None, GraphError::Unshared { .. }) => "store",
        (None, GraphError::Unreachable { .. }) => "unreachable",
        (None, GraphError::Refused { .. }) => "refused",
        (None, _) => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::clock::Timestamp;
    use crate::graph::{Failure, NoShare, Phase, Refusal, TransportError};
    use crate::record::Holder;

    fn refusal(code: i64) -> Refusal {
        Refusal {
            http_status: 400,
            message: "words".to_owned(),
            kind: None,
            code,
            subcode: None,
            is_transient: false,
            fbtrace_id: Some("Ab1".to_owned()),
        }
    }

    #[test]
    fn what_meta_said_is_heard_through_whatever_was_under_way() {
        let (operation, scope) = (Operation::Upload, Scope::Page);
        let busy = Failure::Unreadable { http_status: 502, excerpt: String::new() };
        for (error, code, class, sort, passes) in [
            (
                GraphError::RateLimited {
                    operation,
                    wait: Some(Duration::from_secs(9)),
                    refusal: Some(Box::new(refusal(613))),
                    spent: None,
                },
                Some(613),
                "rate_limit",
                Sort::TryLater,
                true,
            ),
            (
                GraphError::Refused { operation, scope, refusal: Box::new(refusal(190)) },
                Some(190),
                "token",
                Sort::Credentials,
                false,
            ),
            (
                GraphError::RateLimited { operation, wait: None, refusal: None, spent: None },
                None,
                "rate_limit",
                Sort::TryLater,
                true,
            ),
            (
                GraphError::Unshared { operation, cause: NoShare::new("failed to write to it".to_owned(), None) },
                None,
                "store",
                Sort::Store,
                true,
            ),
            (GraphError::Unknown { operation, failure: busy }, None, "unknown", Sort::TryLater, true),
        ] {
            let uploaded = LibraryError::Graph(error);
            let referred = LibraryError::Reference { reference: "hero.png".to_owned(), cause: Arc::new(uploaded) };
            let healed = LibraryError::NotHealed {
                asset: "hero.png".to_owned(),
                attachment_id: "7".parse().expect("an id"),
                cause: Arc::new(referred),
            };
            let planned = CampaignError::Library(healed);
            let graph = planned.graph().expect("Meta's word");
            let said = graph.refusal().map(|refusal| refusal.code);
            assert_eq!((said, planned.sort(), is_retryable(&planned)), (code, sort, passes), "{graph:?}");
            assert_eq!(class_of(planned.sort(), Some(graph)), class);
        }
    }

    /// Errors of the library, one of each that takes no more than names to make, and Meta's of each operation.
    fn of_the_library() -> Vec<LibraryError> {
        let (asset, path) = (|| "hero.png".to_owned(), || "hero.png".into());
        let mut errors = vec![
            LibraryError::Record(RecordError::Lapsed),
            LibraryError::Record(RecordError::NotARecord { path: path() }),
            LibraryError::NotKnown { reference: asset(), cause: RecordError::Lapsed },
            LibraryError::InDoubt { asset: asset(), recipient: "1".parse().expect("a PSID") },
            LibraryError::Watched { path: path(), process: None },
            LibraryError::Changed { path: path() },
            LibraryError::Claimed { asset: asset() },
            LibraryError::Superseded { asset: asset() },
            LibraryError::KindUnknown { url: asset() },
            LibraryError::NotRecorded { reference: asset() },
            LibraryError::NoLiveId { reference: asset() },
            LibraryError::NoSource { reference: asset() },
            LibraryError::NoPage,
            LibraryError::ReplacedTooOften { asset: asset(), times: 3 },
        ];
        for operation in [Operation::Send, Operation::Batch, Operation::Upload, Operation::Read] {
            let failure = Failure::Unreadable { http_status: 502, excerpt: String::new() };
            let (phase, cause) = (Phase::BeforeRequest, TransportError::new("reset"));
            let meta = [
                GraphError::Refused { operation, scope: Scope::Media, refusal: Box::new(refusal(100)) },
                GraphError::Refused { operation, scope: Scope::Page, refusal: Box::new(refusal(190)) },
                GraphError::RateLimited { operation, wait: None, refusal: None, spent: None },
                GraphError::Unshared { operation, cause: NoShare::new("away".to_owned(), None) },
                GraphError::Stopped { operation },
                GraphError::Unreachable { operation, phase, cause },
                GraphError::Unknown { operation, failure },
            ];
            errors.extend(meta.map(LibraryError::Graph));
        }
        errors
    }

    #[test]
    fn what_is_to_be_tried_later_is_retryable_and_what_is_in_doubt_is_not() {
        let agrees = |fault: &dyn Fault| match fault.sort() {
            Sort::TryLater | Sort::Interrupted => assert!(is_retryable(fault), "{fault:?}"),
            Sort::Usage | Sort::Credentials | Sort::Item | Sort::UnknownOutcome | Sort::Unexpected => {
                assert!(!is_retryable(fault), "{fault:?}");
            }
            // A record that is away comes back, one that is damaged does not.
            Sort::Store => {}
        };
        for error in of_the_library() {
            let cause = Arc::new(error);
            let referred = LibraryError::Reference { reference: "hero.png".to_owned(), cause: Arc::clone(&cause) };
            for error in [&*cause, &referred] {
                agrees(error);
                assert!(error.is_momentary() || error.sort() != Sort::TryLater, "{error:?}");
                assert!(is_retryable(error) || !error.is_momentary(), "{error:?}");
            }
            agrees(&CampaignError::Library(referred));
        }
        let (name, since) = ("spring".parse().expect("a name"), Timestamp::from_unix_millis(0));
        let held = CampaignError::Held { name, holder: Holder { pid: 1, since } };
        assert!(is_retryable(&held), "it says to wait");
        for error in [CampaignError::Stopped, CampaignError::Panicked, CampaignError::Record(RecordError::Lapsed)] {
            agrees(&error);
        }
    }

    #[test]
    fn a_record_that_is_away_passes_whoever_misses_it() {
        let away = || LibraryError::Record(RecordError::Lapsed);
        let referred = LibraryError::Reference { reference: "hero.png".to_owned(), cause: Arc::new(away()) };
        assert!(is_retryable(&CampaignError::Library(referred)));
        assert!(is_retryable(&CampaignError::Library(away())));
    }
}
