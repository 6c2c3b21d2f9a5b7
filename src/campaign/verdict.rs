//! What the end of an attempt means for the delivery, and for the campaign.

use crate::delivery::Refusal;
use crate::graph::{Certainty, GraphError, Scope};

/// How many of Meta's words are kept.
const WORDS: usize = 160;

/// What an attempt that brought no receipt means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Meta refuses this delivery, now and later.
    Refused(Refusal),
    /// It breaks a rule of Meta's, and never left.
    Invalid(String),
    /// Meta does not know an id in it. Nothing was sent.
    Attachment,
    /// Meta refuses whatever this Page sends. Nothing was sent.
    Page,
    /// The Page is too fast. Nothing was sent.
    Rate,
    /// Meta was not reached. Nothing was sent.
    Connection,
    /// It was not begun.
    Stopped,
    /// It may have arrived.
    Doubt(String),
}

impl Verdict {
    /// The verdict on an attempt that ended with `error`.
    pub(super) fn on(error: &GraphError) -> Self {
        match (error, error.scope(), error.outcome()) {
            (GraphError::Invalid(invalid), ..) => Self::Invalid(invalid.to_string()),
            (GraphError::Stopped { .. }, ..) => Self::Stopped,
            (_, _, Certainty::Unknown) => Self::Doubt(doubt(error)),
            (_, Some(Scope::Attachment), _) => Self::Attachment,
            (_, Some(Scope::Page), _) => Self::Page,
            (_, Some(Scope::Rate), _) => Self::Rate,
            (_, Some(Scope::Connection), _) => Self::Connection,
            (_, Some(Scope::Recipient | Scope::Media | Scope::Request) | None, Certainty::NotDone) => {
                Self::Refused(refusal(error))
            }
        }
    }
}

fn refusal(error: &GraphError) -> Refusal {
    match error.refusal() {
        Some(refusal) => {
            Refusal { code: Some(refusal.code), subcode: refusal.subcode, reason: short(&refusal.message) }
        }
        None => Refusal { code: None, subcode: None, reason: short(&error.to_string()) },
    }
}

/// What came instead of an answer, causes and all.
fn doubt(error: &GraphError) -> String {
    let causes = std::iter::successors(std::error::Error::source(error), |cause| (*cause).source());
    let words: Vec<String> = causes.map(ToString::to_string).collect();
    short(&if words.is_empty() { error.to_string() } else { words.join(": ") })
}

fn short(text: &str) -> String {
    text.chars().take(WORDS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{CATALOGUE, Operation, Phase, TransportError};

    #[test]
    fn every_code_there_is_has_a_verdict_and_only_doubts_are_unknown() {
        for entry in CATALOGUE {
            let refusal = Box::new(crate::graph::Refusal {
                http_status: 400,
                message: "words".to_owned(),
                kind: None,
                code: entry.code,
                subcode: entry.subcode,
                is_transient: false,
                fbtrace_id: None,
            });
            let operation = Operation::Send;
            let (error, expected) = match entry.scope() {
                None => {
                    let failure = crate::graph::Failure::Refused(refusal);
                    (GraphError::Unknown { operation, failure }, "Doubt")
                }
                Some(Scope::Rate) => {
                    (GraphError::RateLimited { operation, wait: None, refusal: Some(refusal) }, "Rate")
                }
                Some(scope) => {
                    let expected = match scope {
                        Scope::Attachment => "Attachment",
                        Scope::Page => "Page",
                        _ => "Refused",
                    };
                    (GraphError::Refused { operation, scope, refusal }, expected)
                }
            };
            assert!(format!("{:?}", Verdict::on(&error)).starts_with(expected), "{entry:?}");
        }
        let stopped = GraphError::Stopped { operation: Operation::Send };
        assert_eq!(Verdict::on(&stopped), Verdict::Stopped);
    }

    #[test]
    fn what_is_kept_of_a_refusal_is_metas_codes_and_words() {
        let message = "ä".repeat(161);
        let refusal = |message: &str| {
            Box::new(crate::graph::Refusal {
                http_status: 400,
                message: message.to_owned(),
                kind: None,
                code: 551,
                subcode: Some(1_545_041),
                is_transient: false,
                fbtrace_id: None,
            })
        };
        let (operation, scope) = (Operation::Send, Scope::Recipient);
        let verdict = |message| Verdict::on(&GraphError::Refused { operation, scope, refusal: refusal(message) });
        let kept = |reason: &str| Refusal { code: Some(551), subcode: Some(1_545_041), reason: reason.to_owned() };
        assert_eq!(verdict("not here"), Verdict::Refused(kept("not here")));
        assert_eq!(verdict(&message), Verdict::Refused(kept(&"ä".repeat(160))));
    }

    #[test]
    fn a_doubt_says_what_came_instead_of_an_answer_and_why() {
        let (operation, phase) = (Operation::Send, Phase::AfterRequest);
        let cause = TransportError::new("connection reset");
        let failure = crate::graph::Failure::Broken { phase, cause: cause.clone() };
        let doubt = Verdict::on(&GraphError::Unknown { operation, failure });
        assert_eq!(doubt, Verdict::Doubt(format!("{phase}: connection reset")));
        let phase = Phase::BeforeRequest;
        assert_eq!(Verdict::on(&GraphError::Unreachable { operation, phase, cause }), Verdict::Connection);
    }
}
