//! What each action does to the world, and where each [`Mistake`] does something else.

use reattach::delivery::{Event, Refusal, State};

use super::mistakes::Mistake;
use super::protocol::{Action, Campaign, Holding, Policy};
use super::world::{Answer, By, Fate, NOW, Request, Row, Stage, WORKERS, Worker, World};

impl Campaign {
    /// Does it.
    pub(super) fn act(&self, world: &mut World, action: Action) {
        match action {
            Action::Enlist { worker } => world.workers[worker] = Worker::Working,
            Action::Claim { worker, row } => self.claim(&mut world.rows[row], worker),
            Action::FindClosed { row, .. } => world.rows[row].step(&Event::Skip { reason: String::new() }, By::Itself),
            Action::FindInvalid { row, .. } => {
                world.rows[row].step(&Event::Invalid { reason: String::new() }, By::Itself);
            }
            Action::Intend { worker, row } => self.intend(&mut world.rows[row], worker, world.paused),
            Action::Send { worker, row } => world.rows[row].send(worker),
            Action::FailToSend { worker, row } => {
                self.write(world, worker, row, &Event::NotSent);
            }
            Action::Answer { row, attempt, answer } => world.rows[row].answer(attempt, answer),
            Action::Lose { row, attempt } => world.rows[row].set_fate(attempt, Fate::None),
            Action::Record { worker, row } => self.record(world, worker, row),
            Action::GiveUp { worker, row } => {
                let event = self.doubt(&world.rows[row]);
                self.write(world, worker, row, &event);
            }
            Action::Retire { worker } => {
                self.settle(world, worker, false);
                world.workers[worker] = Worker::Gone;
            }
            Action::Kill { worker } => self.kill(world, worker),
            Action::Bury { worker } => {
                self.settle(world, worker, self.has(Mistake::RestartPlansInFlight));
                world.workers[worker] = Worker::Gone;
            }
            Action::Oust { worker } => self.oust(world, worker),
            Action::Pause => world.paused = true,
            Action::Unpause => world.paused = false,
            Action::Resend { row } => world.rows[row].step(&Event::Resend { due: NOW }, By::Word),
            Action::Suppress { row } => world.rows[row].step(&Event::Skip { reason: String::new() }, By::Word),
            Action::Reopen { row } => {
                world.rows[row].fates = world.rows[row].fates.map(|fate| match fate {
                    Fate::Refused => Fate::None,
                    fate => fate,
                });
                world.rows[row].step(&Event::Reopen, By::Word);
            }
            Action::AssumeSent { row } => world.rows[row].step(&Event::AssumeSent, By::Word),
            Action::AssumeNotSent { row } => self.assume_not_sent(&mut world.rows[row]),
            Action::Echo { row, .. } => {
                // Elsewhere an answer brings the message's id as well; here it tells who was settled by an echo.
                world.rows[row].step(&Event::Echoed { message_id: String::new() }, By::Word);
            }
        }
    }

    fn claim(&self, row: &mut Row, worker: usize) {
        if self.has(Mistake::ClaimMarksAsDone) {
            row.delivery.state = State::Sent;
            return;
        }
        if self.has(Mistake::ClaimOfWhatIsHeld) && row.delivery.state.is_held() {
            row.delivery.state = State::Claimed;
        } else {
            row.step(&Event::Claim, By::Itself);
        }
        if self.has(Mistake::RefusalCoversDoubt) {
            row.delivery.reason = None;
        }
        row.holder = Some(worker);
    }

    fn intend(&self, row: &mut Row, worker: usize, in_pause: bool) {
        let attempt = row.delivery.attempt + 1;
        if !self.has(Mistake::IntentAfterSend) {
            row.step(&Event::Intend { nonce: attempt, variant: None }, By::Itself);
            row.seen.attempts += 1;
        }
        row.requests[worker] = Some(Request { attempt, stage: Stage::Ready, in_pause });
    }

    /// What a worker writes when no answer comes.
    fn doubt(&self, row: &Row) -> Event {
        let why = Refusal::in_words(String::new());
        let again = match self.policy {
            Policy::AtMostOnce => self.has(Mistake::RetryUnderAtMostOnce),
            Policy::AtLeastOnce => self.has(Mistake::RetryWithoutLimit) || row.delivery.attempt < self.attempts,
        };
        match again {
            _ if self.has(Mistake::TimeOutMeansNotSent) => Event::NotSent,
            true => Event::DoubtAndRetry { why, due: NOW },
            false => Event::Doubt { why },
        }
    }

    fn record(&self, world: &mut World, worker: usize, row: usize) {
        let Some(Request { stage: Stage::Answered(answer), .. }) = world.rows[row].requests[worker] else { return };
        let refused = || Event::Refused(Refusal { code: Some(551), subcode: None, reason: String::new() });
        let event = match answer {
            Answer::Accepted => Event::Sent { message_id: None },
            Answer::RefusesRecipient => refused(),
            Answer::Throttles if self.has(Mistake::ThrottleFails) => refused(),
            Answer::RefusesPage if self.has(Mistake::PageErrorFails) => refused(),
            Answer::Throttles | Answer::RefusesPage => Event::NotSent,
        };
        let stored = self.write(world, worker, row, &event);
        world.paused |= stored && answer == Answer::RefusesPage;
    }

    /// Writes what came of a request, and is done with it; says whether the ledger took it. It takes nothing from a
    /// worker it was taken from, who thereby learns of it, and ends.
    fn write(&self, world: &mut World, worker: usize, row: usize, event: &Event) -> bool {
        let it = &mut world.rows[row];
        it.requests[worker] = None;
        if self.has(Mistake::IntentAfterSend) && it.holder == Some(worker) {
            it.step(&Event::Intend { nonce: it.delivery.attempt + 1, variant: None }, By::Itself);
            it.seen.attempts += 1;
        }
        if world.workers[worker] == Worker::Ousted && !self.has(Mistake::OldEpochWrites) {
            world.workers[worker] = Worker::Gone;
            return false;
        }
        if world.workers[worker] == Worker::Ousted {
            world.workers[worker] = Worker::Gone;
            it.overwrite(event);
            return true;
        }
        self.keep(it, event);
        it.step(event, By::Itself);
        if *event == Event::NotSent {
            it.seen.attempts -= 1;
            it.delivery.attempt += u32::from(self.has(Mistake::ThrottleCosts));
        }
        true
    }

    /// A process takes all its workers with it.
    fn kill(&self, world: &mut World, worker: usize) {
        for victim in 0..WORKERS {
            if victim == worker || self.holding == Holding::Lock {
                for row in &mut world.rows {
                    row.requests[victim] = None;
                }
                world.workers[victim] = match world.workers[victim] {
                    Worker::Working | Worker::Dead => Worker::Dead,
                    Worker::Ousted | Worker::Gone => Worker::Gone,
                };
            }
        }
    }

    fn oust(&self, world: &mut World, worker: usize) {
        self.settle(world, worker, self.has(Mistake::LostLeasePlansInFlight));
        // One that is at nothing learns of it when it asks for more.
        world.workers[worker] = if world.is_busy(worker) { Worker::Ousted } else { Worker::Gone };
    }

    /// What becomes of a worker's deliveries without it.
    fn settle(&self, world: &mut World, worker: usize, plan_in_flight: bool) {
        for row in world.rows.iter_mut().filter(|row| row.holder == Some(worker)) {
            let in_flight = row.delivery.state == State::InFlight;
            if in_flight && plan_in_flight {
                row.delivery.state = State::Planned;
            } else if in_flight && self.has(Mistake::InFlightIsForgotten) {
                row.holder = None;
                continue;
            }
            let lost = row.delivery.abandonment();
            self.keep(row, &lost);
            row.put(row.delivery.abandoned(NOW), By::Itself);
        }
    }

    /// What the ledger keeps of an attempt that is about to be in doubt.
    fn keep(&self, row: &mut Row, event: &Event) {
        if !self.has(Mistake::NonceForgotten) {
            row.keep(event);
        }
    }

    fn assume_not_sent(&self, row: &mut Row) {
        if self.has(Mistake::SettleInFlight) && row.delivery.state == State::InFlight {
            row.delivery.state = State::Unknown;
        }
        row.step(&Event::AssumeNotSent, By::Word);
    }
}

impl Row {
    /// The worker that still waits for this attempt's answer.
    pub(super) fn who_waits(&self, attempt: u32) -> Option<usize> {
        self.requests.iter().position(|request| {
            request.is_some_and(|request| request.attempt == attempt && request.stage == Stage::Waiting)
        })
    }

    fn send(&mut self, worker: usize) {
        let Some(request) = &mut self.requests[worker] else { return };
        request.stage = Stage::Waiting;
        let Request { attempt, in_pause, .. } = *request;
        self.seen.left_in_pause |= in_pause;
        self.set_fate(attempt, Fate::OnTheWire);
    }

    fn answer(&mut self, attempt: u32, answer: Answer) {
        if let Some(worker) = self.who_waits(attempt)
            && let Some(request) = &mut self.requests[worker]
        {
            request.stage = Stage::Answered(answer);
        }
        self.seen.messages += u32::from(answer == Answer::Accepted);
        let fate = match answer {
            Answer::Accepted => Fate::Accepted,
            Answer::RefusesRecipient => Fate::Refused,
            Answer::Throttles | Answer::RefusesPage => Fate::None,
        };
        self.set_fate(attempt, fate);
    }

    /// Writes a result as if the delivery had been waiting for it.
    fn overwrite(&mut self, event: &Event) {
        let mut waiting = self.delivery.clone();
        waiting.state = State::InFlight;
        if let Ok(next) = waiting.step(event, NOW) {
            self.put(next, By::Itself);
        }
    }
}
