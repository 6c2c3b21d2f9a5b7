//! The rate budget of one Page, shared by everything that calls Meta in its name.
//!
//! Three brakes: a pace for messages, media, conversations and all calls, kept over every second whatever Meta says; a gate,
//! which a throttle shuts for everybody and one probe opens again; and Meta's own usage headers, which slow the pace before
//! the gate must shut. All state stands behind one mutex that is never held across an await, so every decision sees, and
//! leaves, a whole state.
//!
//! A call is let through twice. It is admitted when its turn to leave is near; then its sender may write down that it
//! leaves, which takes as long as the disk does; and it departs, at the pace that was promised, whatever the disk did. How
//! near is what the disk has taken of late.
//!
//! A governor has the Page to itself, or a share of it: then nothing leaves but under a slice that somebody hands it
//! ([`Governor::keep_to`]), and lasts only so long. What it needs, and what Meta tells it, it says when asked.
//!
//! **Source**: Graph API, "Rate Limits": after a limit, stop. What the limits are, [`load`] says.

mod day;
mod gate;
mod load;
mod pass;
mod share;
mod window;

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use http::HeaderMap;
use tokio::time::{Instant, sleep_until};

use super::error::{DaySpent, NoShare, Refusal};
use super::usage::{self, Usage};
use crate::budget::{Ask, Group, Slice};
use crate::sync::{Mutex, MutexGuard, Notify, Turn, Turnstile};

use day::Day;
use gate::{Gate, PROBE_PATIENCE, Step};
use load::{CALLS, LANES};
pub use load::{Load, PaceLimits};
pub(super) use pass::{Admitted, Pass};
use pass::{Place, Probe};
use share::{Share, Told};
use window::Window;

/// What is left of the pace after a throttle.
const DECREASE: f64 = 0.7;
/// The pace is never cut to less than this part of it.
const LEAST: f64 = 0.1;
/// How long a pace takes to grow from nothing to its full measure.
const RECOVERY: Duration = Duration::from_mins(2);
/// From this percentage of a limit on, the pace is slowed.
const PRESSURE_FROM: f64 = 75.0;
/// Usage headers that were not renewed for so long say nothing any more.
const PRESSURE_LASTS: Duration = Duration::from_mins(5);

/// No call is admitted longer than this before its turn to leave.
const LONGEST_LEAD: Duration = Duration::from_secs(1);

/// A wait that grew by less is the one that was told of.
const WORTH_TELLING: Duration = Duration::from_secs(1);

/// How a Page stands, for people and metrics.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pace {
    /// Messages a second, as things are.
    pub per_second: u32,
    /// Messages a second, as configured.
    pub full_per_second: u32,
    /// How much longer the gate stays shut; `None` while it is open.
    pub shut_for: Option<Duration>,
    /// Calls that wait to be let through.
    pub waiting: usize,
    /// Calls left in these 24 hours, where there is such a limit.
    pub calls_left: Option<u64>,
}

/// Lets calls through at the pace of one Page, first come, first served.
#[derive(Debug)]
pub struct Governor {
    limits: PaceLimits,
    /// What the Page may do, and among whom these limits hold, where they are not the Page's.
    within: Option<(PaceLimits, Group)>,
    state: Mutex<State>,
    /// Who stands first in each lane's queue. What waits in a narrow lane holds up nobody in a wider one.
    entries: [Turnstile; LANES],
    /// The same for those that were admitted.
    exits: [Turnstile; LANES],
    /// Rung when the gate moves.
    gate_moved: Notify,
    /// Rung when one that was admitted has left, or will not.
    lane_moved: Notify,
    /// Rung when there is something to ask for, or to tell; and when there is nobody any more to do so.
    wishes: Arc<tokio::sync::Notify>,
}

#[derive(Debug)]
struct State {
    lanes: [Window; LANES],
    day: Day,
    gate: Gate,
    /// What throttles left of the pace, and since when it has been growing again.
    factor: (f64, Instant),
    usage: Option<(Usage, Instant)>,
    /// How long before its turn to leave a call is admitted: about the longest that was lately taken in between.
    lead: Duration,
    waiting: usize,
    /// What waits to be admitted, and what was admitted and has not left.
    present: Vec<Load>,
    /// The part it has of a budget that others draw on.
    share: Option<Share>,
}

/// A wait for the gate, told to whoever wants to hear.
#[derive(Debug, Clone)]
pub(super) struct GateWait {
    /// How long it takes at least.
    pub(super) pause: Duration,
    /// What Meta said; `None` where only its headers, or our own count of the day, did.
    pub(super) refusal: Option<Box<Refusal>>,
    /// Our own count of the day, where that did.
    pub(super) spent: Option<DaySpent>,
}

/// Why a call is not let through, for longer than the caller may wait.
#[derive(Debug)]
pub(super) enum TooLong {
    /// The gate stays shut.
    Shut {
        /// How much longer, where that is known.
        wait: Option<Duration>,
        /// What Meta said.
        refusal: Option<Box<Refusal>>,
    },
    /// The calls of 24 hours are used up.
    Spent {
        /// How long until there are enough.
        wait: Duration,
        /// How many there are.
        spent: DaySpent,
    },
    /// Nobody hands out a share of the budget.
    Unshared(NoShare),
}

impl TooLong {
    /// Nobody can say for how long, nor why.
    const LATE: Self = Self::Shut { wait: None, refusal: None };
}

impl Governor {
    /// A governor that has seen no call yet. Limits of nothing are taken for one call a second.
    pub fn new(limits: PaceLimits) -> Self {
        let now = Instant::now();
        let state = State {
            lanes: Default::default(),
            day: Day::default(),
            gate: Gate::default(),
            factor: (1.0, now),
            usage: None,
            lead: Duration::ZERO,
            waiting: 0,
            present: Vec::new(),
            share: None,
        };
        let (entries, exits) = Default::default();
        let (gate_moved, lane_moved, wishes) = Default::default();
        Self { limits, within: None, state: Mutex::new(state), entries, exits, gate_moved, lane_moved, wishes }
    }

    /// A governor whose `limits` are those of one purpose of several a Page is called for: where the budget is shared, all
    /// with a purpose of this name keep to them together, and everybody to the Page's.
    pub fn within(page: PaceLimits, name: String, limits: PaceLimits) -> Self {
        let mut governor = Self::new(limits);
        governor.within = Some((page, Group { name, rates: limits.rates() }));
        governor
    }

    /// From now on it has but a share of the Page's budget, and nothing leaves until [`keep_to`](Self::keep_to) says what.
    /// `None` where it has been so before; else what is rung when there is something to [`ask`](Self::ask).
    pub fn share(&self) -> Option<Arc<tokio::sync::Notify>> {
        let mut state = self.state();
        if state.share.is_some() {
            return None;
        }
        let (page, group) = match &self.within {
            Some((page, group)) => (*page, Some(group.clone())),
            None => (self.limits, None),
        };
        state.share = Some(Share::new(page.rates(), page.calls_per_day, group, Instant::now()));
        Some(Arc::clone(&self.wishes))
    }

    /// What to ask for in its name, and what to tell; `None` where it shares nothing. Whoever asks keeps to one ask at a
    /// time, and brings its answer to [`keep_to`](Self::keep_to), or else the ask itself to [`retract`](Self::retract).
    pub fn ask(&self) -> Option<Ask> {
        let now = Instant::now();
        let mut state = self.state();
        let State { lanes, present, share, .. } = &mut *state;
        let queued = std::array::from_fn(|lane| present.iter().map(|load| load.in_lane(lane)).sum());
        let largest = std::array::from_fn(|lane| present.iter().map(|load| load.in_lane(lane)).max().unwrap_or(0));
        let left = std::array::from_fn(|lane| lanes[lane].recent(now));
        Some(share.as_mut()?.ask(self.limits.rates().lanes(), queued, left, largest, now))
    }

    /// Keeps to the answer to an ask that was made at `asked_at`, for as long as that holds from then.
    pub fn keep_to(&self, ask: &Ask, slice: &Slice, asked_at: Instant) {
        let now = Instant::now();
        let mut state = self.state();
        let Some(share) = &mut state.share else { return };
        let Told { throttles, shut_for, opened } = share.obey(ask, slice, asked_at, now);
        for _ in 0..throttles {
            state.slow_down(now);
        }
        match shut_for {
            Some(wait) => _ = state.gate.shut(Some(wait), None, now),
            None if opened => state.gate.open(),
            None => {}
        }
        drop(state);
        self.gate_moved.notify_waiters();
        self.lane_moved.notify_waiters();
    }

    /// There is no slice to be had, for this reason. Who waits for one in vain is told.
    pub fn go_without(&self, cause: NoShare) {
        if let Some(share) = &mut self.state().share {
            share.go_without(cause);
        }
    }

    /// An ask came to nothing.
    pub fn retract(&self, ask: &Ask) {
        if let Some(share) = &mut self.state().share {
            share.retract(ask);
        }
    }

    /// The limits it was made with.
    pub fn limits(&self) -> PaceLimits {
        self.limits
    }

    /// How the Page stands now.
    pub fn pace(&self) -> Pace {
        let (now, state) = (Instant::now(), self.state());
        Pace {
            per_second: state.scaled(self.limits.messages_per_second.max(1), now),
            full_per_second: self.limits.messages_per_second,
            shut_for: match &state.gate {
                Gate::Open => None,
                Gate::Shut(shut) | Gate::Probing(shut) => Some(shut.until.saturating_duration_since(now)),
            },
            waiting: state.waiting,
            calls_left: match &state.share {
                Some(share) => share.left(),
                None => self.limits.calls_per_day.map(|limit| limit.saturating_sub(state.day.spent(now))),
            },
        }
    }

    /// How many of these loads, from the first on, the pace lets go in one instant: at least one.
    pub(super) fn portion(&self, loads: impl Iterator<Item = Load>) -> usize {
        let now = Instant::now();
        let mut state = self.state();
        let fits = |load: &Load| (0..LANES).all(|lane| load.in_lane(lane) <= self.rate(&state, lane, now));
        let sums = loads.scan(Load::default(), |sum, load| {
            *sum = sum.plus(load);
            Some(*sum)
        });
        let fitting: Vec<Load> = sums.take_while(fits).collect();
        if let (Some(share), Some(largest)) = (&mut state.share, fitting.last()) {
            share.sort(*largest, now);
        }
        fitting.len().max(1)
    }

    /// Takes note of the usage an answer declares.
    pub(super) fn observe(&self, headers: &HeaderMap) {
        let Some(usage) = usage::read(headers) else { return };
        let now = Instant::now();
        let spent = usage.percent >= 100.0 && usage.regain.is_some();
        let mut state = self.state();
        state.usage = Some((usage, now));
        if !spent || matches!(state.gate, Gate::Shut(_)) {
            return;
        }
        // Of a probe as of any other: it came through, and the next would prolong the block.
        state.gate.shut(usage.regain, None, now);
        self.tell(&mut state, 0, now);
        drop(state);
        self.gate_moved.notify_waiters();
        self.lane_moved.notify_waiters();
    }

    /// Takes note that Meta refused a call for its rate.
    pub(super) fn throttled(&self, wait: Option<Duration>, refusal: Option<Box<Refusal>>) {
        let now = Instant::now();
        let mut state = self.state();
        let slows = state.gate.shut(wait, refusal, now);
        if slows {
            state.slow_down(now);
        }
        self.tell(&mut state, u32::from(slows), now);
        drop(state);
        self.gate_moved.notify_waiters();
        self.lane_moved.notify_waiters();
    }

    /// Returns once the turn of `load` is near. What is waited at a shut gate is taken off `patience`, and told to `on_wait`.
    ///
    /// # Errors
    /// When the gate stays shut for longer than `patience`, or no slice comes for that long.
    ///
    /// # Cancel safety
    /// Dropping the future gives up the place in the queue and costs nothing.
    pub(super) async fn admit(
        &self,
        load: Load,
        patience: &mut Duration,
        on_wait: impl Fn(GateWait) + Send,
    ) -> Result<Admitted<'_>, TooLong> {
        let _waiting = Waiting::one_more(self, load);
        let (mut told, since) = (None, Instant::now());
        loop {
            let probe = self.through_gate(load, patience, &mut told, &on_wait).await?;
            let opens = |state: &State, lane: usize, now| {
                if state.lacks_calls_of_the_day(load, now) || !self.holds(state, load, lane, now) {
                    // It hangs on others, who are to hear of it.
                    self.wishes.notify_one();
                    return None;
                }
                let limit = self.rate(state, lane, now);
                state.lanes[lane].opens_at(load.in_lane(lane), limit, state.lead, now)
            };
            let _turns = tokio::select! {
                biased;
                turns = self.queue(&self.entries, load, opens) => turns,
                why = self.forsaken(since, *patience) => return Err(why),
            };
            if let Some(admitted) = self.take(load, probe, patience)? {
                return Ok(admitted);
            }
        }
    }

    /// Returns once nobody has handed it a slice for as long as `patience`, of a share of the Page's budget, and why not.
    pub(super) async fn forsaken(&self, since: Instant, patience: Duration) -> TooLong {
        loop {
            let Some(until) = self.state().share.as_ref().map(|share| share.until().max(since) + patience) else {
                return std::future::pending().await;
            };
            if until <= Instant::now() {
                let cause = self.state().share.as_ref().and_then(|share| share.cause().cloned());
                return cause.map_or(TooLong::LATE, TooLong::Unshared);
            }
            sleep_until(until).await;
        }
    }

    /// Stands in the queue of every lane that `load` needs, the narrowest first, until `free` is over; `None` stands for a
    /// time that hangs on others. Nobody else's turn comes while what this returns is kept.
    async fn queue<'a>(
        &self,
        turnstiles: &'a [Turnstile; LANES],
        load: Load,
        free: impl Fn(&State, usize, Instant) -> Option<Instant>,
    ) -> [Option<Turn<'a>>; LANES] {
        let mut turns = [const { None }; LANES];
        for lane in (0..LANES).filter(|&lane| load.in_lane(lane) > 0) {
            turns[lane] = Some(turnstiles[lane].lock().await);
            loop {
                let moved = self.lane_moved.notified();
                let now = Instant::now();
                let free = free(&self.state(), lane, now);
                match free {
                    Some(free) if free <= now => break,
                    Some(free) => tokio::select! { () = sleep_until(free) => {}, () = moved => {} },
                    None => moved.await,
                }
            }
        }
        turns
    }

    /// Takes the place `load` has waited for in every lane; `None` when the gate was shut meanwhile.
    fn take<'a>(&'a self, load: Load, probe: Probe<'a>, patience: &Duration) -> Result<Option<Admitted<'a>>, TooLong> {
        let now = Instant::now();
        let mut state = self.state();
        if state.lacks_calls_of_the_day(load, now) {
            return Ok(None);
        }
        if let Some((wait, spent)) = self.wait_for_the_day(&state, load, now) {
            if wait > *patience {
                drop(state);
                return Err(TooLong::Spent { wait, spent });
            }
            state.gate.shut(Some(wait), None, now);
            return Ok(None);
        }
        if !state.gate.lets_through(probe.is_probe()) {
            // The lock goes before the probe, which hands its duty on.
            drop(state);
            return Ok(None);
        }
        drop(state);
        Ok(Some(Admitted { place: Place::promised(self, load), probe, since: now }))
    }

    /// Returns once what was admitted may leave, and counts it as gone.
    ///
    /// # Errors
    /// When the gate was shut meanwhile; it is not waited for.
    async fn depart(&self, load: Load, is_probe: bool, since: Instant) -> Result<(), TooLong> {
        let took = since.elapsed();
        {
            let mut state = self.state();
            state.lead = took.max(state.lead * 63 / 64).min(LONGEST_LEAD);
        }
        let free = |state: &State, lane: usize, now| {
            let goes = state.gate.lets_through(is_probe) && self.holds(state, load, lane, now);
            Some(if goes {
                state.lanes[lane].free_at(load.in_lane(lane), self.rate(state, lane, now), now)
            } else {
                now
            })
        };
        let turns = self.queue(&self.exits, load, free).await;
        // What was free when its turn came may be so no more: a slice shrinks.
        let late = |state: &State, now| {
            let lanes = (0..LANES).filter(|&lane| load.in_lane(lane) > 0);
            lanes.filter_map(|lane| free(state, lane, now)).max().filter(|free| *free > now)
        };
        let (mut state, now) = loop {
            let free = {
                let state = self.state();
                // Not before: who waits for the lock leaves later than it came.
                let now = Instant::now();
                match late(&state, now) {
                    None => break (state, now),
                    Some(free) => free,
                }
            };
            sleep_until(free).await;
        };
        if (0..LANES).any(|lane| !self.holds(&state, load, lane, now)) {
            return Err(TooLong::LATE);
        }
        if let Gate::Shut(shut) | Gate::Probing(shut) = &state.gate
            && !state.gate.lets_through(is_probe)
        {
            let wait = shut.named.then(|| shut.until.saturating_duration_since(now));
            return Err(TooLong::Shut { wait, refusal: shut.refusal.clone() });
        }
        for lane in 0..LANES {
            let limit = self.rate(&state, lane, now);
            state.lanes[lane].charge(load.in_lane(lane), limit, now);
        }
        match &mut state.share {
            Some(share) => share.spend(load.calls.into()),
            None => state.day.spend(load.calls.into(), now),
        }
        drop(turns);
        Ok(())
    }

    /// What a lane lets go in a second, as things are; nothing but where a share is nothing.
    fn rate(&self, state: &State, lane: usize, now: Instant) -> u32 {
        let limit = self.limits.rates().lanes()[lane].max(1);
        let full = match &state.share {
            Some(share) => share.rate(lane, state.present.iter().any(|load| load.in_lane(lane) > 1), now).min(limit),
            None => limit,
        };
        if full == 0 { 0 } else { state.scaled(full, now) }
    }

    /// Whether what is held of a shared budget is enough for `load` in a lane.
    fn holds(&self, state: &State, load: Load, lane: usize, now: Instant) -> bool {
        let calls = load.in_lane(lane);
        calls == 0
            || (self.rate(state, lane, now) > 0
                && state.share.as_ref().is_none_or(|share| calls <= share.held(lane, now)))
    }

    /// How long until `load` fits what is left of 24 hours, and what is used of them; `None` where it does now.
    fn wait_for_the_day(&self, state: &State, load: Load, now: Instant) -> Option<(Duration, DaySpent)> {
        let promised = u64::from(state.lanes[CALLS].promised());
        let calls = u64::from(load.calls) + promised;
        if let Some(share) = &state.share {
            return Some((share.dry_for(now).filter(|_| share.lacks(calls))?, share.spent()?));
        }
        let limit = self.limits.calls_per_day?;
        Some((state.day.wait(calls, limit, now)?, DaySpent { limit, used: state.day.spent(now) + promised }))
    }

    /// Has others hear that the gate is shut.
    fn tell(&self, state: &mut State, throttles: u32, now: Instant) {
        let (Gate::Shut(shut) | Gate::Probing(shut), Some(share)) = (&state.gate, &mut state.share) else { return };
        share.shut(shut.until.saturating_duration_since(now), throttles);
        self.wishes.notify_one();
    }

    /// Returns once the gate is open, or the caller is to be the one that finds out whether it is.
    async fn through_gate(
        &self,
        load: Load,
        patience: &mut Duration,
        told: &mut Option<Instant>,
        on_wait: &impl Fn(GateWait),
    ) -> Result<Probe<'_>, TooLong> {
        loop {
            let moved = self.gate_moved.notified();
            let now = Instant::now();
            let step = self.state().gate.step(now);
            let (shut, until, probed) = match step {
                Step::Pass => return Ok(Probe(None)),
                Step::Probe => return Ok(Probe(Some(self))),
                Step::Until(shut) => (shut.clone(), Some(shut.until), None),
                Step::ForProbe(shut) => (shut.clone(), None, Some(shut.until + PROBE_PATIENCE)),
            };
            let pause = until.map_or(Duration::ZERO, |until| until - now);
            // Where Meta has said nothing, it may be our own count that has shut it.
            let day = if shut.refusal.is_none() { self.wait_for_the_day(&self.state(), load, now) } else { None };
            if pause > *patience || patience.is_zero() {
                if let Some((wait, spent)) = day {
                    return Err(TooLong::Spent { wait, spent });
                }
                return Err(TooLong::Shut { wait: shut.named.then_some(pause), refusal: shut.refusal });
            }
            if until.is_some_and(|until| told.is_none_or(|told| until > told + WORTH_TELLING)) {
                *told = until;
                on_wait(GateWait { pause, refusal: shut.refusal.clone(), spent: day.map(|(_, spent)| spent) });
            }
            tokio::select! {
                () = moved => {}
                () = sleep_until(until.or(probed).unwrap_or(now).min(now + *patience)) => {}
            }
            *patience = patience.saturating_sub(now.elapsed());
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Governor {
    fn drop(&mut self) {
        self.wishes.notify_one();
    }
}

impl State {
    /// Whether more calls of 24 hours are to be asked for before `load` can go, and may be had.
    fn lacks_calls_of_the_day(&self, load: Load, now: Instant) -> bool {
        let calls = u64::from(load.calls + self.lanes[CALLS].promised());
        self.share.as_ref().is_some_and(|share| share.lacks(calls) && share.dry_for(now).is_none())
    }

    fn slow_down(&mut self, now: Instant) {
        self.factor = ((self.factor_at(now) * DECREASE).max(LEAST), now);
    }

    fn no_longer_present(&mut self, load: Load) {
        if let Some(place) = self.present.iter().position(|other| *other == load) {
            self.present.swap_remove(place);
        }
    }

    /// `full` calls a second, scaled by what throttles and usage leave of it: at least one.
    fn scaled(&self, full: u32, now: Instant) -> u32 {
        let scale = self.factor_at(now).min(self.room_at(now));
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 1 of a u32")]
        let scaled = (f64::from(full) * scale + 1e-9) as u32;
        scaled.max(1)
    }

    fn factor_at(&self, now: Instant) -> f64 {
        let (factor, since) = self.factor;
        let regained = now.saturating_duration_since(since).as_secs_f64() / RECOVERY.as_secs_f64();
        (factor + regained).min(1.0)
    }

    /// What the last usage headers leave: all below [`PRESSURE_FROM`], a tenth at 100 %.
    fn room_at(&self, now: Instant) -> f64 {
        match &self.usage {
            Some((usage, at)) if now.saturating_duration_since(*at) < PRESSURE_LASTS => {
                let over = (usage.percent - PRESSURE_FROM) / (100.0 - PRESSURE_FROM);
                1.0 - over.clamp(0.0, 1.0) * (1.0 - LEAST)
            }
            _ => 1.0,
        }
    }
}

/// One more call in the queue, as long as it lives.
struct Waiting<'a>(&'a Governor, Load);

impl<'a> Waiting<'a> {
    fn one_more(governor: &'a Governor, load: Load) -> Self {
        let mut state = governor.state();
        state.waiting += 1;
        state.present.push(load);
        Self(governor, load)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.waiting -= 1;
        state.no_longer_present(self.1);
    }
}

#[cfg(test)]
#[cfg(not(shuttle))]
mod tests;
#[cfg(test)]
#[cfg(shuttle)]
mod threads;
