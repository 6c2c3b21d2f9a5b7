//! What the end of an attempt means for the delivery, and for the campaign.

use crate::causes::causes;
use crate::delivery::Refusal;
use crate::graph::{self, Certainty, Class, Failure, GraphError, Operation, Scope, is_unlisted, lookup};

/// How much of Meta's words is kept, in characters; codes and trace are kept whatever they are.
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
    Doubt(Refusal),
}

impl Verdict {
    /// The verdict on an attempt that ended with `error`.
    pub(super) fn on(error: &GraphError) -> Self {
        match (error, error.scope(), error.outcome()) {
            (GraphError::Invalid(invalid), ..) => Self::Invalid(invalid.to_string()),
            (GraphError::Stopped { .. }, ..) => Self::Stopped,
            (_, _, Certainty::Unknown) => Self::Doubt(doubt(error)),
            (_, Some(Scope::Attachment), _) => Self::Attachment,
            (_, Some(Scope::Page), _) if error.refusal().is_some_and(|said| is_unlisted(said.code, said.subcode)) => {
                Self::Refused(refusal(error))
            }
            (_, Some(Scope::Page), _) => Self::Page,
            (_, Some(Scope::Rate), _) => Self::Rate,
            (_, Some(Scope::Connection), _) => Self::Connection,
            (_, Some(Scope::Recipient | Scope::Media | Scope::Request) | None, Certainty::NotDone) => {
                Self::Refused(refusal(error))
            }
        }
    }
}

/// Whether it may be about the one message it was said of, though it is taken for all: Meta says no more than that something
/// is not allowed.
pub(super) fn may_be_about_one(error: &GraphError) -> bool {
    // What is said of a whole batch is said of nobody in it.
    let GraphError::Refused { operation: Operation::Send, refusal, .. } = error else { return false };
    lookup(refusal.code, refusal.subcode).is_some_and(|entry| entry.class == Class::Permission)
}

/// What is kept of a refusal: its codes, and in words what Meta said and what its support asks for.
pub(super) fn refusal(error: &GraphError) -> Refusal {
    let Some(said) = error.refusal() else { return Refusal::in_words(short(&error.to_string())) };
    let trace = said.fbtrace_id.as_ref().map_or_else(String::new, |trace| format!(" (trace {trace})"));
    Refusal { code: Some(said.code), subcode: said.subcode, reason: short(&said.message) + &trace }
}

/// What came instead of an answer, causes and all.
fn doubt(error: &GraphError) -> Refusal {
    if let Some(said) = error.refusal() {
        let (code, subcode) = (Some(said.code), said.subcode);
        let said = graph::Refusal { message: short(&said.message), ..said.clone() };
        return Refusal { code, subcode, reason: Failure::Refused(Box::new(said)).to_string() };
    }
    let words: Vec<_> = causes("", error).collect();
    Refusal::in_words(short(&if words.is_empty() { error.to_string() } else { words.join(": ") }))
}

fn short(text: &str) -> String {
    text.chars().take(WORDS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{CATALOGUE, Phase, TransportError};

    fn said(code: i64, subcode: Option<i64>) -> graph::Refusal {
        graph::Refusal {
            http_status: 400,
            message: "words".to_owned(),
            kind: None,
            code,
            subcode,
            is_transient: false,
            fbtrace_id: None,
        }
    }

    #[test]
    fn every_code_there_is_has_a_verdict_and_only_doubts_are_unknown() {
        for entry in CATALOGUE {
            let refusal = Box::new(said(entry.code, entry.subcode));
            let operation = Operation::Send;
            let (error, expected) = match entry.scope() {
                None => {
                    let failure = crate::graph::Failure::Refused(refusal);
                    (GraphError::Unknown { operation, failure }, "Doubt")
                }
                Some(Scope::Rate) => {
                    let refusal = Some(refusal);
                    (GraphError::RateLimited { operation, wait: None, refusal, spent: None }, "Rate")
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
    fn a_subcode_nobody_lists_is_one_persons() {
        let verdict = |code, subcode| {
            let refusal = Box::new(said(code, subcode));
            Verdict::on(&GraphError::Refused { operation: Operation::Send, scope: Scope::Page, refusal })
        };
        let refused = Refusal { code: Some(10), subcode: Some(9_999_999), reason: "words".to_owned() };
        assert_eq!(verdict(10, Some(9_999_999)), Verdict::Refused(refused));
        assert_eq!((verdict(10, None), verdict(190, Some(7))), (Verdict::Page, Verdict::Page));
        let one = |operation, code| {
            let refusal = Box::new(said(code, None));
            may_be_about_one(&GraphError::Refused { operation, scope: Scope::Page, refusal })
        };
        assert_eq!([230, 200, 190].map(|code| one(Operation::Send, code)), [true, true, false]);
        assert!(!one(Operation::Batch, 230), "it is said of all that went along");
    }

    #[test]
    fn what_is_kept_of_a_refusal_is_metas_codes_and_words_and_its_trace() {
        let message = "ä".repeat(161);
        let refusal = |message: &str, trace: Option<&str>| {
            Box::new(crate::graph::Refusal {
                http_status: 400,
                message: message.to_owned(),
                kind: None,
                code: 551,
                subcode: Some(1_545_041),
                is_transient: false,
                fbtrace_id: trace.map(str::to_owned),
            })
        };
        let (operation, scope) = (Operation::Send, Scope::Recipient);
        let verdict =
            |message, trace| Verdict::on(&GraphError::Refused { operation, scope, refusal: refusal(message, trace) });
        let kept = |reason: &str| Refusal { code: Some(551), subcode: Some(1_545_041), reason: reason.to_owned() };
        assert_eq!(verdict("not here", None), Verdict::Refused(kept("not here")));
        let long = "ä".repeat(160);
        assert_eq!(verdict(&message, Some("Ab1")), Verdict::Refused(kept(&format!("{long} (trace Ab1)"))));
        let failure = Failure::Refused(refusal(&message, Some("Ab1")));
        let doubt = Verdict::on(&GraphError::Unknown { operation, failure });
        let words = format!("Meta answered with HTTP 400: {long} (code 551, subcode 1545041, trace Ab1)");
        assert_eq!(doubt, Verdict::Doubt(kept(&words)));
    }

    #[test]
    fn a_doubt_says_what_came_instead_of_an_answer_and_why() {
        let (operation, phase) = (Operation::Send, Phase::AfterRequest);
        let cause = TransportError::new("connection reset");
        let failure = crate::graph::Failure::Broken { phase, cause: cause.clone() };
        let doubt = Verdict::on(&GraphError::Unknown { operation, failure });
        assert_eq!(doubt, Verdict::Doubt(Refusal::in_words(format!("{phase}: connection reset"))));
        let phase = Phase::BeforeRequest;
        assert_eq!(Verdict::on(&GraphError::Unreachable { operation, phase, cause }), Verdict::Connection);
    }
}
