//! What a caller must be told. Written from the failure model alone: what a send is told as not sent was not sent, what
//! may have been sent is not sent again, and an upload is asked for until there is an id, within reason.

#![expect(clippy::match_same_arms, reason = "rows stand in the order of the failure model")]

use std::time::Duration;

use reattach::graph::Scope;

use super::Endpoint;
use super::cells::{Cell, End, Fault, Meaning, Strike};
use super::server::Truth;

/// What the caller was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Done,
    NotDone(Scope),
    Unknown,
}

use Verdict::{Done, NotDone, Unknown};

/// What one attempt proves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Proof {
    /// It was done.
    Of(Verdict),
    /// 2xx, and yet no id: nothing is known, and asking often does not help.
    Broken,
    /// Not done, but what is wrong may pass by the next attempt.
    Passing(Scope),
    /// Two readings are sound.
    Either(Verdict, Verdict),
}

use Proof::{Broken, Either, Of, Passing};

/// A call has no more than two minutes.
const CALL: Duration = Duration::from_mins(2);
/// The most attempts of an upload.
const ATTEMPTS: u64 = 4;
/// An answer is read up to here, and what lies in the buffers of two sockets by then was taken as well.
const TAKEN_BYTES: u64 = 16 << 20;

/// What is wrong with how the cell came out.
pub(super) fn objection(cell: &Cell, verdicts: &[Verdict], truth: &Truth) -> Option<String> {
    let harm = verdicts.iter().any(|verdict| match verdict {
        Done => truth.done == 0,
        NotDone(_) => cell.endpoint != Endpoint::Upload && cell.items().is_none() && truth.done > 0,
        Unknown => false,
    });
    let twice = cell.endpoint != Endpoint::Upload && truth.done > 1;
    let (allowed, most) = if let Some(items) = cell.items() {
        (items.iter().map(allowed_of_item).collect(), 1)
    } else {
        let (allowed, most) = expected(cell);
        (vec![allowed; verdicts.len()], most)
    };
    let agrees = verdicts.len() == allowed.len()
        && verdicts.iter().zip(&allowed).all(|(verdict, allowed)| allowed.contains(verdict));
    let modest = truth.requests <= most && truth.endless_bytes <= TAKEN_BYTES * truth.requests && truth.elsewhere == 0;
    let fine = agrees && modest && !harm && !twice;
    (!fine).then(|| format!("told {verdicts:?}, allowed {allowed:?}; at most {most} requests; {truth:?}"))
}

/// What may be told at the end, and the most whole requests there may have been.
fn expected(cell: &Cell) -> (Vec<Verdict>, u64) {
    let once = cell.strike == Strike::Once;
    let repeatable = cell.endpoint == Endpoint::Upload;
    match attempt(cell) {
        Of(Done) => (vec![Done], 1),
        Of(NotDone(Scope::Connection)) if once => (vec![Done], 1),
        Of(NotDone(Scope::Connection)) => (vec![NotDone(Scope::Connection)], 0),
        Of(NotDone(Scope::Rate)) => (vec![Done], 2),
        Of(NotDone(scope)) => (vec![NotDone(scope)], 1),
        Of(Unknown) | Broken | Passing(_) if repeatable && once => (vec![Done], 2),
        Of(Unknown) if repeatable => (vec![Unknown], ATTEMPTS),
        Broken if repeatable => (vec![Unknown], 2),
        Passing(scope) if repeatable => (vec![NotDone(scope)], 2),
        Passing(scope) => (vec![NotDone(scope)], 1),
        Of(Unknown) | Broken => (vec![Unknown], 1),
        Either(..) if repeatable && once => (vec![Done], 2),
        Either(NotDone(Scope::Connection), Unknown) if once => (vec![Done, Unknown], 1),
        Either(first, second) => (vec![first, second], if repeatable { ATTEMPTS } else { 1 }),
    }
}

fn allowed_of_item(meaning: &Meaning) -> Vec<Verdict> {
    match of_answer(Endpoint::Send, meaning) {
        Of(verdict) => vec![verdict],
        Broken => vec![Unknown],
        Passing(scope) => vec![NotDone(scope)],
        Either(first, second) => vec![first, second],
    }
}

fn attempt(cell: &Cell) -> Proof {
    // A small body is handed to the connection in one piece, and nobody hears how much of it arrived.
    let handed_over = !cell.is_large();
    match &cell.fault {
        Fault::RefusedPort => Of(NotDone(Scope::Connection)),
        Fault::BeforeBytes(_) | Fault::MidRequest(_) if !handed_over => Of(NotDone(Scope::Connection)),
        // What ends at once may end before or after the body is handed over.
        Fault::BeforeBytes(End::Fin | End::Reset) => Either(NotDone(Scope::Connection), Unknown),
        Fault::BeforeBytes(_) | Fault::MidRequest(_) | Fault::AfterRequest(_) => Of(Unknown),
        Fault::MidHead(_) | Fault::MidBody(_) | Fault::Endless => Of(Unknown),
        // The whole answer was there; that a reset overtook it may be all that is seen.
        Fault::AfterBody(End::Reset) => Either(Done, Unknown),
        Fault::LateToRead(_) | Fault::LateToAnswer(_) | Fault::AfterBody(_) => Of(Done),
        Fault::Drip { pause, bytes } => {
            let pieces = cell.good_answer_bytes().div_ceil(*bytes);
            let takes = *pause * u32::try_from(pieces).expect("a short answer");
            Of(if takes < CALL { Done } else { Unknown })
        }
        Fault::Answer(reply) => of_answer(cell.endpoint, &reply.meaning),
    }
}

fn of_answer(endpoint: Endpoint, meaning: &Meaning) -> Proof {
    match *meaning {
        Meaning::Success => Of(Done),
        Meaning::Broken => Broken,
        Meaning::SuccessOrBroken => Either(Done, Unknown),
        Meaning::CutOff | Meaning::Silence => Of(Unknown),
        // Said at the door: to wait is right, and to believe that nothing got through is not.
        Meaning::Noise { status: 429 } if endpoint == Endpoint::Upload => Of(NotDone(Scope::Rate)),
        Meaning::Noise { .. } => Of(Unknown),
        // What may be asked twice may believe that the Page may do nothing, whatever the status was.
        Meaning::Error { code, subcode, transient, .. }
            if endpoint == Endpoint::Upload && of_error(code, subcode, transient) == Of(NotDone(Scope::Page)) =>
        {
            Of(NotDone(Scope::Page))
        }
        Meaning::Error { status: 200..=299, .. } => Broken,
        Meaning::Error { status: 500.., .. } => Of(Unknown),
        Meaning::Error { code, subcode, transient, .. } => of_error(code, subcode, transient),
        Meaning::Items(_) => unreachable!("items are judged one by one"),
    }
}

/// The table of errors, for a status that leaves the API itself responsible.
fn of_error(code: i64, subcode: Option<i64>, transient: bool) -> Proof {
    let scope = match (code, subcode) {
        // Meta's throttles say of themselves that they pass.
        (4 | 17 | 32 | 80_001 | 80_002 | 80_006, None) | (613, None | Some(1_996)) => {
            return Of(NotDone(Scope::Rate));
        }
        (-1 | 1 | 2 | 1200, _) => return Of(Unknown),
        _ if transient => return Of(Unknown),
        (100, Some(2_018_001)) | (10, Some(2_018_278)) | (551, _) | (613, Some(2_018_338)) => Scope::Recipient,
        (200, Some(1_545_041)) => Scope::Recipient,
        (100, Some(2_018_074)) => Scope::Attachment,
        (100, Some(2_018_047)) => return Passing(Scope::Media),
        (100, Some(2_018_109)) | (546, _) => Scope::Media,
        (100, _) => Scope::Request,
        (10 | 102 | 190 | 200..=299 | 368, _) => Scope::Page,
        _ => return Of(Unknown),
    };
    Of(NotDone(scope))
}
