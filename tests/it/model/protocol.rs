//! The protocol: who may do what, and when.

use reattach::delivery::State;
use stateright::{Model, Property};

use super::mistakes::Mistake;
use super::properties;
use super::world::{Answer, Fate, Request, Row, Stage, Worker, World};

/// A campaign, and what can go wrong with it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Campaign {
    /// How many recipients.
    pub(super) recipients: usize,
    /// How many workers.
    pub(super) workers: usize,
    /// After how many attempts nobody tries again.
    pub(super) attempts: u32,
    /// How many deliveries a worker may have claimed at once.
    pub(super) claims: usize,
    /// What becomes of a doubt.
    pub(super) policy: Policy,
    /// What tells that a worker is gone.
    pub(super) holding: Holding,
    /// Whether "not sent" is true when the operator says it.
    pub(super) operator: Operator,
    /// What is wrong with the protocol.
    pub(super) mistake: Option<Mistake>,
}

/// What becomes of a delivery that may have arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Policy {
    /// It waits for evidence.
    AtMostOnce,
    /// It is sent again, as long as there are attempts.
    AtLeastOnce,
}

/// What tells that a worker is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Holding {
    /// A lock of its process: it goes with it, and never before. All workers are tasks of one process.
    Lock,
    /// A lease, which may run out on a worker that is only slow. Every worker is a process.
    Lease,
}

/// Whether "not sent" is true when the operator says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    /// They say so when Meta has nothing, and nothing is on its way.
    Truthful,
    /// They say so when they please.
    Careless,
}

/// Something that happens. `worker` and `row` count from 0, `attempt` from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    /// A worker starts.
    Enlist { worker: usize },
    /// It takes a delivery.
    Claim { worker: usize, row: usize },
    /// It finds that a delivery of its own is not to be sent any more: the window has closed.
    FindClosed { worker: usize, row: usize },
    /// It finds that a delivery of its own cannot be sent as it is.
    FindInvalid { worker: usize, row: usize },
    /// It puts on the disk that a delivery of its own is about to leave.
    Intend { worker: usize, row: usize },
    /// The request leaves.
    Send { worker: usize, row: usize },
    /// The request cannot leave: there is no connection.
    FailToSend { worker: usize, row: usize },
    /// Meta decides on an attempt, and answers whoever still waits.
    Answer { row: usize, attempt: u32, answer: Answer },
    /// An attempt nobody waits for any more comes to nothing.
    Lose { row: usize, attempt: u32 },
    /// The answer is on the disk.
    Record { worker: usize, row: usize },
    /// No answer comes, or none that says anything: the doubt is on the disk.
    GiveUp { worker: usize, row: usize },
    /// A worker ends in good order.
    Retire { worker: usize },
    /// A worker's process is killed.
    Kill { worker: usize },
    /// Others settle what a dead worker left.
    Bury { worker: usize },
    /// Others take a worker's lease for lost, though it lives, and settle what it has.
    Oust { worker: usize },
    /// Nobody is to send any more.
    Pause,
    /// They may again.
    Unpause,
    /// A doubtful delivery is to be sent once more: at least once is the campaign's choice.
    Resend { row: usize },
    /// The operator takes somebody off the list.
    Suppress { row: usize },
    /// The operator wants what was refused to be tried again.
    Reopen { row: usize },
    /// The operator says that it arrived; it did.
    AssumeSent { row: usize },
    /// The operator says that it did not arrive.
    AssumeNotSent { row: usize },
    /// The echo of an attempt comes: late, twice, or both.
    Echo { row: usize, attempt: u32 },
}

impl Model for Campaign {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        vec![World::planned(self.recipients)]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        for worker in 0..self.workers {
            self.actions_of_worker(world, worker, actions);
        }
        for row in 0..world.rows.len() {
            actions_of_meta(&world.rows[row], row, actions);
            self.actions_of_operator(world, row, actions);
        }
        actions.push(if world.paused { Action::Unpause } else { Action::Pause });
    }

    fn next_state(&self, world: &World, action: Action) -> Option<World> {
        let mut next = world.clone();
        self.act(&mut next, action);
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties::of(self)
    }
}

impl Campaign {
    pub(super) fn has(&self, mistake: Mistake) -> bool {
        self.mistake == Some(mistake)
    }

    fn actions_of_worker(&self, world: &World, worker: usize, actions: &mut Vec<Action>) {
        match world.workers[worker] {
            Worker::Gone => {
                let work = |row: &Row| matches!(row.delivery.state, State::Planned | State::RetryAt);
                if !world.paused && world.rows.iter().any(work) {
                    actions.push(Action::Enlist { worker });
                }
                return;
            }
            Worker::Dead => return actions.push(Action::Bury { worker }),
            Worker::Working if !self.is_busy(world, worker) => self.actions_of_idle(world, worker, actions),
            Worker::Working | Worker::Ousted => {}
        }
        for (row, Row { requests, .. }) in world.rows.iter().enumerate() {
            match requests[worker].map(|request| request.stage) {
                Some(Stage::Ready) => {
                    actions.extend([Action::Send { worker, row }, Action::FailToSend { worker, row }]);
                }
                Some(Stage::Waiting) => actions.push(Action::GiveUp { worker, row }),
                Some(Stage::Answered(_)) => {
                    actions.extend([Action::Record { worker, row }, Action::GiveUp { worker, row }]);
                }
                None => {}
            }
        }
        actions.push(Action::Kill { worker });
        if self.holding == Holding::Lease && world.workers[worker] == Worker::Working {
            actions.push(Action::Oust { worker });
        }
    }

    /// A worker takes nothing new before the result of what it did is on the disk.
    fn is_busy(&self, world: &World, worker: usize) -> bool {
        if self.has(Mistake::ResultInMemory) {
            let unanswered = |request: Request| !matches!(request.stage, Stage::Answered(_));
            return world.rows.iter().any(|row| row.requests[worker].is_some_and(unanswered));
        }
        world.is_busy(worker)
    }

    fn actions_of_idle(&self, world: &World, worker: usize, actions: &mut Vec<Action>) {
        actions.push(Action::Retire { worker });
        for (row, Row { delivery, holder, .. }) in world.rows.iter().enumerate() {
            match delivery.state {
                State::Planned | State::RetryAt if world.held(worker, State::Claimed) < self.claims => {
                    actions.push(Action::Claim { worker, row });
                }
                State::Claimed if *holder == Some(worker) => {
                    actions.extend([Action::FindClosed { worker, row }, Action::FindInvalid { worker, row }]);
                    if !world.paused || self.has(Mistake::PauseIgnored) {
                        actions.push(Action::Intend { worker, row });
                    }
                }
                State::Claimed | State::InFlight if self.has(Mistake::ClaimOfWhatIsHeld) && *holder != Some(worker) => {
                    actions.push(Action::Claim { worker, row });
                }
                _ => {}
            }
        }
    }

    fn actions_of_operator(&self, world: &World, row: usize, actions: &mut Vec<Action>) {
        let it = &world.rows[row];
        let again = it.delivery.attempt < self.attempts;
        if !it.delivery.state.is_held() && !it.delivery.is_certainly_sent() {
            self.echoes(world, row, actions);
        }
        match it.delivery.state {
            State::Planned | State::RetryAt => actions.push(Action::Suppress { row }),
            State::Failed if again => actions.push(Action::Reopen { row }),
            State::Unknown => {
                if again && self.policy == Policy::AtLeastOnce {
                    actions.push(Action::Resend { row });
                }
                if it.seen.messages > 0 {
                    actions.push(Action::AssumeSent { row });
                }
                if again && self.may_say_not_sent(it) {
                    actions.push(Action::AssumeNotSent { row });
                }
            }
            State::InFlight if again && self.has(Mistake::SettleInFlight) => {
                actions.push(Action::AssumeNotSent { row });
            }
            _ => {}
        }
    }

    /// What is under way may yet arrive: who says "not sent" has waited for that.
    fn may_say_not_sent(&self, row: &Row) -> bool {
        match self.operator {
            Operator::Careless => true,
            Operator::Truthful => row.seen.messages == 0 && (!row.is_under_way() || self.has(Mistake::AbsenceIsProof)),
        }
    }

    /// The echoes that settle a delivery: those of its attempts, which their nonces tell from all others.
    fn echoes(&self, world: &World, row: usize, actions: &mut Vec<Action>) {
        let it = &world.rows[row];
        for attempt in 1..=self.attempts {
            let of = |row: &Row| row.fate_of(attempt) == Fate::Accepted;
            let matches = of(it) && it.knows(attempt);
            if matches || (self.has(Mistake::EchoOfAnother) && world.rows.iter().any(of)) {
                actions.push(Action::Echo { row, attempt });
            }
        }
    }
}

/// What Meta may do about a delivery, whoever waits for it.
fn actions_of_meta(it: &Row, row: usize, actions: &mut Vec<Action>) {
    for (index, attempt) in (1..).take(it.fates.len()).enumerate() {
        if it.fates[index] != Fate::OnTheWire {
            continue;
        }
        actions.push(Action::Answer { row, attempt, answer: Answer::Accepted });
        if it.who_waits(attempt).is_some() {
            let refusals = [Answer::RefusesRecipient, Answer::Throttles, Answer::RefusesPage];
            actions.extend(refusals.map(|answer| Action::Answer { row, attempt, answer }));
        } else {
            actions.push(Action::Lose { row, attempt });
        }
    }
}
