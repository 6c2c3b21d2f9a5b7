//! What a state of the model holds: the ledger as the disk has it, what every worker is at, what Meta did, and what is
//! remembered only to judge by.

use std::hash::{Hash, Hasher};

use reattach::clock::Timestamp;
use reattach::delivery::{Delivery, Event, State};

use super::properties;

/// Room for workers.
pub(super) const WORKERS: usize = 2;
/// Room for attempts: one more than any campaign allows, so that one too many is seen.
pub(super) const ATTEMPTS: usize = 4;
/// There is one moment only: whatever waits for a time may find it come, as it may when somebody sets a clock.
pub(super) const NOW: Timestamp = Timestamp::from_unix_millis(1_760_000_000_000);

/// A moment of a campaign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct World {
    /// Those who may send.
    pub(super) workers: [Worker; WORKERS],
    /// One delivery for each recipient.
    pub(super) rows: Vec<Row>,
    /// The operator's word, or Meta's refusal of the Page.
    pub(super) paused: bool,
}

/// A process that may send. It never counts its epochs: a right that was taken away is held against it by
/// [`Ousted`](Self::Ousted) and by the rows it no longer holds, and it must be gone before it comes back with a new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Worker {
    /// It does not run.
    Gone,
    /// It runs, and its epoch is valid.
    Working,
    /// It runs, and does not know yet that its lease was taken for lost and its rows were settled.
    Ousted,
    /// It was killed, and what it held is not settled yet.
    Dead,
}

/// A delivery, and all that is going on about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    /// What the ledger says.
    pub(super) delivery: Delivery,
    /// Who answers for it, as the ledger says.
    pub(super) holder: Option<usize>,
    /// What each worker has under way for it, of which the ledger knows nothing.
    pub(super) requests: [Option<Request>; WORKERS],
    /// Of which attempts the ledger keeps the nonce, whatever comes after them.
    pub(super) kept: [bool; ATTEMPTS],
    /// What became of each attempt in truth.
    pub(super) fates: [Fate; ATTEMPTS],
    /// What was seen.
    pub(super) seen: Seen,
}

/// One attempt in the hands of a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Request {
    /// Which, from 1.
    pub(super) attempt: u32,
    /// How far it is.
    pub(super) stage: Stage,
    /// Whether the campaign was paused when it was decided on.
    pub(super) in_pause: bool,
}

/// How far a request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Stage {
    /// The intent is on the disk; nothing has left.
    Ready,
    /// It has left.
    Waiting,
    /// Meta has decided, and its answer is on its way.
    Answered(Answer),
}

/// What Meta says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Answer {
    /// The message is theirs.
    Accepted,
    /// Not to this person.
    RefusesRecipient,
    /// Not so fast.
    Throttles,
    /// Not by this Page.
    RefusesPage,
}

/// What became of an attempt in truth. Neither worker nor ledger ever looks at it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Fate {
    /// Nothing: it was not made, or never left, or came to nothing.
    #[default]
    None,
    /// It is on its way, whoever still waits for it.
    OnTheWire,
    /// Meta has the message, and its echo may come at any time, and any number of times.
    Accepted,
    /// Meta does not send it to this person.
    Refused,
}

/// What is remembered to judge by. In a world without mistakes none of it says more than the delivery does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Seen {
    /// Attempts that were made, less those proven to have come to nothing through no fault of the recipient's.
    pub(super) attempts: u32,
    /// How many messages Meta has.
    pub(super) messages: u32,
    /// It was sent, or unknown, and then it was not, though nobody had said so.
    pub(super) went_back: bool,
    /// A request left that was decided on in a pause.
    pub(super) left_in_pause: bool,
    /// A step was asked for that a delivery cannot take.
    pub(super) illegal_step: bool,
}

/// Why a delivery changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    /// The protocol itself.
    Itself,
    /// Evidence, an operator's word, or the choice to send at least once.
    Word,
}

impl World {
    /// A planned campaign nobody sends yet.
    pub(super) fn planned(recipients: usize) -> Self {
        Self { workers: [Worker::Gone; WORKERS], rows: vec![Row::planned(); recipients], paused: false }
    }

    /// What `worker` holds by the ledger, in this state.
    pub(super) fn held(&self, worker: usize, state: State) -> usize {
        self.rows.iter().filter(|row| row.holder == Some(worker) && row.delivery.state == state).count()
    }

    /// Whether `worker` has a request under way.
    pub(super) fn is_busy(&self, worker: usize) -> bool {
        self.rows.iter().any(|row| row.requests[worker].is_some())
    }

    /// The one of all worlds that differ only in the names of workers and recipients, and in what can no longer make a
    /// difference, that stands for them.
    pub(super) fn representative(&self) -> Self {
        let mut world = self.clone();
        world.rows.iter_mut().for_each(Row::forget);
        let digests = |names: Names| {
            let mut digests: Vec<_> = world.rows.iter().map(|row| row.digest(names)).collect();
            digests.sort_unstable();
            digests
        };
        let workers = |names: Names| names.map(|worker| world.workers[worker]);
        let names =
            if (workers(THEIRS), digests(THEIRS)) <= (workers(SWAPPED), digests(SWAPPED)) { THEIRS } else { SWAPPED };
        world.rename(names);
        world.rows.sort_by_cached_key(|row| row.digest(THEIRS));
        world
    }

    fn rename(&mut self, names: Names) {
        self.workers = names.map(|worker| self.workers[worker]);
        for row in &mut self.rows {
            row.holder = row.holder.map(|worker| names[worker]);
            row.requests = names.map(|worker| row.requests[worker]);
        }
    }
}

/// Which worker stands in whose place. Exchanging them twice changes nothing.
type Names = [usize; WORKERS];
const THEIRS: Names = [0, 1];
const SWAPPED: Names = [1, 0];

impl Hash for World {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        (self.workers, self.paused).hash(hasher);
        self.rows.iter().for_each(|row| hasher.write_u64(row.digest(THEIRS)));
    }
}

impl Row {
    fn planned() -> Self {
        Self {
            delivery: Delivery::planned(NOW),
            holder: None,
            requests: [None; WORKERS],
            kept: [false; ATTEMPTS],
            fates: [Fate::None; ATTEMPTS],
            seen: Seen::default(),
        }
    }

    /// Applies a step as the ledger does, which refuses what a delivery cannot do.
    pub(super) fn step(&mut self, event: &Event, by: By) {
        match self.delivery.step(event, NOW) {
            Ok(next) => self.put(next, by),
            Err(_) => self.seen.illegal_step = true,
        }
    }

    /// Stores a delivery, whatever it was before.
    pub(super) fn put(&mut self, next: Delivery, by: By) {
        let left = |state| self.delivery.state == state && next.state != state;
        self.seen.went_back |= left(State::Sent) || (left(State::Unknown) && by == By::Itself);
        if !next.state.is_held() {
            self.holder = None;
        }
        // Whatever it says, what counts is that there is something.
        self.delivery = Delivery { reason: next.reason.map(|_| String::new()), ..next };
    }

    /// Whether a message may yet come of an attempt that was made.
    pub(super) fn is_under_way(&self) -> bool {
        self.fates.contains(&Fate::OnTheWire) || self.requests.iter().any(Option::is_some)
    }

    /// Keeps the nonce of the attempt that `event` is about to leave in doubt.
    pub(super) fn keep(&mut self, event: &Event) {
        if let Some(place) = self.delivery.doubted_by(event).and_then(|doubted| place(doubted.attempt)) {
            self.kept[place] = true;
        }
    }

    /// Whether the ledger can tell that an echo is this attempt's. In here the nonce of an attempt is its number.
    pub(super) fn knows(&self, attempt: u32) -> bool {
        self.delivery.nonce == Some(attempt) || place(attempt).is_some_and(|place| self.kept[place])
    }

    /// What became of an attempt.
    pub(super) fn fate_of(&self, attempt: u32) -> Fate {
        place(attempt).map_or(Fate::None, |place| self.fates[place])
    }

    pub(super) fn set_fate(&mut self, attempt: u32, fate: Fate) {
        if let Some(place) = place(attempt) {
            self.fates[place] = fate;
        }
    }

    /// Forgets what can no longer make a difference, so that worlds that differ in it alone count as one. Nothing of a
    /// delivery with which something is wrong, or may be: who got two messages keeps all of it.
    fn forget(&mut self) {
        let Seen { attempts, messages, .. } = self.seen;
        if self.seen != (Seen { attempts, messages, ..Seen::default() }) || messages > 1 || !properties::hold_of(self) {
            return;
        }
        let state = self.delivery.state;
        if matches!(state, State::Sent | State::Skipped) && !self.is_under_way() {
            let (delivery, seen) = (Delivery { state, ..Delivery::planned(NOW) }, Seen { messages, ..Seen::default() });
            *self = Self { delivery, seen, ..Self::planned() };
            return;
        }
        if state == State::Failed {
            self.delivery.code = None;
        }
        if state != State::InFlight {
            self.fates = self.fates.map(|fate| if fate == Fate::Refused { Fate::None } else { fate });
        }
        if !may_have_arrived(&self.delivery) {
            self.delivery.nonce = None;
        }
        // Of earlier attempts it only counts what came of them, not of which; there are no echoes of what came to nothing.
        if self.requests.iter().flatten().all(|request| request.attempt == self.delivery.attempt) {
            let earlier = place(self.delivery.attempt).unwrap_or_default();
            let mut attempts: Vec<_> =
                (0..earlier).map(|at| (self.fates[at], self.kept[at] && self.fates[at] != Fate::None)).collect();
            attempts.sort_unstable();
            for (at, (fate, kept)) in attempts.into_iter().enumerate() {
                (self.fates[at], self.kept[at]) = (fate, kept);
            }
        }
    }

    /// All there is to say of it, in one number.
    fn digest(&self, names: Names) -> u64 {
        let Delivery { state, attempt, nonce, message_id, code, reason, .. } = &self.delivery;
        let Seen { attempts, messages, went_back, left_in_pause, illegal_step } = self.seen;
        let flags = [message_id.is_some(), code.is_some(), reason.is_some(), went_back, left_in_pause, illegal_step];
        let holder = self.holder.map_or(0, |worker| 1 + names[worker] as u64);
        let known = flags.iter().fold(holder, |digest, flag| digest << 1 | u64::from(*flag));
        let numbers = [*state as u32, *attempt, nonce.unwrap_or_default(), attempts, messages];
        let known = numbers.iter().fold(known, |digest, number| digest << 3 | u64::from(*number));
        let known = self.kept.iter().fold(known, |digest, kept| digest << 1 | u64::from(*kept));
        let known = self.fates.iter().fold(known, |digest, fate| digest << 2 | *fate as u64);
        names.iter().fold(known, |digest, worker| digest << 7 | self.requests[*worker].map_or(0, Request::digest))
    }
}

impl Request {
    fn digest(self) -> u64 {
        let stage = match self.stage {
            Stage::Ready => 1,
            Stage::Waiting => 2,
            Stage::Answered(answer) => 3 + answer as u64,
        };
        (stage << 3 | u64::from(self.attempt)) << 1 | u64::from(self.in_pause)
    }
}

/// Where an attempt stands among all. Those behind the last, which mistakes alone lead to, share its place.
fn place(attempt: u32) -> Option<usize> {
    Some((attempt.checked_sub(1)? as usize).min(ATTEMPTS - 1))
}

/// Whether the ledger says that they have the message, or may have it.
pub(super) fn may_have_arrived(delivery: &Delivery) -> bool {
    matches!(delivery.state, State::Sent | State::Unknown | State::InFlight) || delivery.is_in_doubt()
}
