//! What must always hold, and what must be possible lest it hold of nothing.

use reattach::delivery::State;
use stateright::Property;

use super::protocol::{Campaign, Holding, Operator, Policy};
use super::world::{ATTEMPTS as ROOM, Answer, Fate, Row, Stage, WORKERS, Worker, World, may_have_arrived};

pub(super) const ONCE: &str = "nobody gets more messages than the campaign allows";
pub(super) const SENT_IS_TRUE: &str = "who is down as sent has the message";
pub(super) const NOTHING_LOST: &str = "who has the message is down as sent, or in doubt";
pub(super) const FAILED_IS_TRUE: &str = "only who was refused is down as refused";
pub(super) const ATTEMPTS: &str = "an attempt is one that may have arrived";
pub(super) const NO_WAY_BACK: &str = "sent never changes, and unknown not by itself";
pub(super) const ONE_AT_A_TIME: &str = "a worker that dies leaves one delivery in doubt at most";
pub(super) const PAUSE: &str = "nothing leaves that was decided on in a pause";
pub(super) const LEGAL: &str = "nobody asks for a step a delivery cannot take";
pub(super) const HELD: &str = "what is held has a holder, and nothing else has";
pub(super) const EVIDENCE: &str = "whatever arrives, its echo is known when it comes";
pub(super) const NAMED: &str = "where nothing more will happen everybody has an end";

pub(super) const WRONG_WORD: &str = "a wrong word sends it twice";

/// Those of a campaign.
pub(super) fn of(campaign: &Campaign) -> Vec<Property<Campaign>> {
    let mut properties = invariants(campaign);
    properties.extend(examples(campaign));
    properties
}

fn invariants(campaign: &Campaign) -> Vec<Property<Campaign>> {
    let mut properties = vec![
        always(SENT_IS_TRUE, |_, world| every(world, sent_is_true)),
        always(FAILED_IS_TRUE, |_, world| every(world, failed_is_true)),
        always(ATTEMPTS, |_, world| every(world, |row| row.delivery.attempt == row.seen.attempts)),
        always(NO_WAY_BACK, |_, world| every(world, |row| !row.seen.went_back)),
        always(ONE_AT_A_TIME, |_, world| (0..WORKERS).all(|worker| world.held(worker, State::InFlight) <= 1)),
        always(PAUSE, |_, world| every(world, |row| !row.seen.left_in_pause)),
        always(LEGAL, |_, world| every(world, |row| !row.seen.illegal_step)),
        always(HELD, |_, world| every(world, is_held)),
        always(NAMED, |_, world| !is_at_rest(world) || everybody_has_an_end(world)),
        always(EVIDENCE, |_, world| every(world, evidence_finds_it)),
    ];
    // An operator who says "not sent" of what was, sends it twice, and loses it till then.
    if campaign.operator == Operator::Truthful {
        properties.push(always(ONCE, |campaign, world| every(world, |row| is_within_limits(campaign, row))));
        properties.push(always(NOTHING_LOST, |_, world| every(world, nothing_is_lost)));
    }
    properties
}

fn examples(campaign: &Campaign) -> Vec<Property<Campaign>> {
    let mut properties = vec![
        sometimes("somebody is refused", |_, world| any(world, |row| row.delivery.code.is_some())),
        sometimes("somebody is skipped", |_, world| any(world, |row| row.delivery.state == State::Skipped)),
        sometimes("an echo settles a doubt", |_, world| any(world, |row| row.delivery.message_id.is_some())),
        sometimes("a doubt is settled by the operator's word", |_, world| {
            any(world, |row| row.delivery.state == State::Sent && row.delivery.reason.is_some())
        }),
        sometimes("a message arrives of which nobody heard", |_, world| {
            any(world, |row| row.delivery.state == State::Unknown && row.seen.messages > 0)
        }),
        sometimes("a doubt was for nothing", |_, world| {
            any(world, |row| row.delivery.state == State::Unknown && row.seen.messages == 0 && !row.is_under_way())
        }),
        sometimes("a message arrives in a pause", |_, world| {
            world.paused && any(world, |row| row.delivery.state == State::InFlight && row.seen.messages > 0)
        }),
        sometimes("every attempt is used", |campaign, world| {
            any(world, |row| row.delivery.attempt == campaign.attempts)
        }),
        sometimes("everybody is sent to", |_, world| {
            every(world, |row| row.delivery.state == State::Sent) && is_at_rest(world)
        }),
        sometimes("both workers send at once", |_, world| {
            (0..WORKERS).all(|worker| world.workers[worker] == Worker::Working && world.is_busy(worker))
        }),
        sometimes("a dead worker's delivery is in flight", |_, world| {
            (0..WORKERS).any(|worker| world.workers[worker] == Worker::Dead && world.held(worker, State::InFlight) > 0)
        }),
    ];
    if campaign.operator == Operator::Careless {
        properties.push(sometimes(WRONG_WORD, |_, world| any(world, |row| row.seen.messages > 1)));
    }
    if campaign.holding == Holding::Lease {
        properties.push(sometimes("an answer comes to a worker that has lost its lease", |_, world| {
            (0..WORKERS)
                .any(|worker| world.workers[worker] == Worker::Ousted && any(world, |row| is_answered(row, worker)))
        }));
        properties.push(sometimes("a request leaves after its lease is lost", |_, world| {
            (0..WORKERS).any(|worker| {
                let left = |row: &Row| {
                    row.delivery.state == State::Unknown
                        && row.requests[worker].is_some_and(|request| request.stage == Stage::Waiting)
                };
                world.workers[worker] == Worker::Ousted && any(world, left)
            })
        }));
    }
    if campaign.policy == Policy::AtLeastOnce {
        properties.push(sometimes("somebody gets it twice who was in doubt", |_, world| {
            any(world, |row| row.delivery.state == State::Sent && row.seen.messages == 2)
        }));
        properties.push(sometimes("the echo of an earlier attempt settles it", |_, world| {
            any(world, |row| row.delivery.message_id.is_some() && row.fate_of(row.delivery.attempt) != Fate::Accepted)
        }));
        properties.push(sometimes("a refusal leaves the doubt of an earlier attempt", |_, world| {
            any(world, |row| row.delivery.state == State::Unknown && row.fates[1] == Fate::Refused)
        }));
    }
    properties
}

type Condition = fn(&Campaign, &World) -> bool;

fn always(name: &'static str, condition: Condition) -> Property<Campaign> {
    Property::always(name, condition)
}

fn sometimes(name: &'static str, condition: Condition) -> Property<Campaign> {
    Property::sometimes(name, condition)
}

fn every(world: &World, holds: impl FnMut(&Row) -> bool) -> bool {
    world.rows.iter().all(holds)
}

fn any(world: &World, holds: impl FnMut(&Row) -> bool) -> bool {
    world.rows.iter().any(holds)
}

fn is_within_limits(campaign: &Campaign, row: &Row) -> bool {
    match campaign.policy {
        Policy::AtMostOnce => row.seen.messages <= 1,
        Policy::AtLeastOnce => row.seen.messages <= row.delivery.attempt && row.delivery.attempt <= campaign.attempts,
    }
}

/// Whether all holds that is to hold of a single delivery, save for what was [seen](super::world::Seen).
pub(super) fn hold_of(row: &Row) -> bool {
    let attempts = row.delivery.attempt == row.seen.attempts;
    attempts && is_held(row) && sent_is_true(row) && nothing_is_lost(row) && failed_is_true(row)
}

fn is_held(row: &Row) -> bool {
    row.holder.is_some() == row.delivery.state.is_held()
}

fn sent_is_true(row: &Row) -> bool {
    row.delivery.state != State::Sent || row.seen.messages > 0
}

fn nothing_is_lost(row: &Row) -> bool {
    row.seen.messages == 0 || may_have_arrived(&row.delivery)
}

/// Who is down as refused has Meta's code; who could not be sent to has none.
fn failed_is_true(row: &Row) -> bool {
    row.delivery.state != State::Failed || row.delivery.code.is_none() || row.fates.contains(&Fate::Refused)
}

/// Whether the echo of every message bears a nonce on record: so doubts can be settled, and who got two be named.
fn evidence_finds_it(row: &Row) -> bool {
    (1..).take(ROOM).all(|attempt| row.fate_of(attempt) != Fate::Accepted || row.knows(attempt))
}

fn is_answered(row: &Row, worker: usize) -> bool {
    row.requests[worker].is_some_and(|request| request.stage == Stage::Answered(Answer::Accepted))
}

/// Whether nothing more will happen unless somebody wants it to.
pub(super) fn is_at_rest(world: &World) -> bool {
    let pending = |row: &Row| matches!(row.delivery.state, State::Planned | State::RetryAt);
    world.workers.iter().all(|worker| *worker == Worker::Gone)
        && every(world, |row| !row.is_under_way())
        && (world.paused || !any(world, pending))
}

/// Whether every delivery is at an end that has a name, or waits for the end of a pause.
pub(super) fn everybody_has_an_end(world: &World) -> bool {
    every(world, |row| match row.delivery.state {
        State::Sent | State::Failed | State::Unknown | State::Skipped => true,
        State::Planned | State::RetryAt => world.paused,
        State::Claimed | State::InFlight => false,
    })
}
