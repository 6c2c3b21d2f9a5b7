//! What a governor hands out: the promise of a turn, and the right to make one call.

use tokio::time::Instant;

use super::share::Share;
use super::{Governor, LANES, Load, TooLong};

/// A call whose turn is near. Dropped, it gives up its place and costs nothing.
#[derive(Debug)]
#[must_use = "who was admitted and does not depart keeps others from it"]
pub(in crate::graph) struct Admitted<'a> {
    pub(super) place: Place<'a>,
    pub(super) probe: Probe<'a>,
    pub(super) since: Instant,
}

impl<'a> Admitted<'a> {
    /// Returns when the call may leave, which is now.
    ///
    /// # Errors
    /// When the gate was shut since it was admitted: it must not leave, and its turn comes again when it is admitted anew.
    ///
    /// # Cancel safety
    /// As dropping it.
    pub(in crate::graph) async fn depart(self) -> Result<Pass<'a>, TooLong> {
        let Self { place, probe, since } = self;
        place.governor.depart(place.load, probe.is_probe(), since).await?;
        Ok(Pass { probe })
    }
}

/// A place in every lane a load needs, as long as it lives.
#[derive(Debug)]
pub(super) struct Place<'a> {
    governor: &'a Governor,
    load: Load,
}

impl<'a> Place<'a> {
    pub(super) fn promised(governor: &'a Governor, load: Load) -> Self {
        let mut state = governor.state();
        for lane in 0..LANES {
            state.lanes[lane].promise(load.in_lane(lane));
        }
        state.present.push(load);
        Self { governor, load }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let Self { governor, load } = self;
        let mut state = governor.state();
        for lane in 0..LANES {
            state.lanes[lane].fulfil(load.in_lane(lane));
        }
        state.no_longer_present(*load);
        drop(state);
        governor.lane_moved.notify_waiters();
    }
}

/// The duty to find out whether a limit is lifted, if it is anybody's. Dropped undone, it passes to the next.
#[derive(Debug)]
pub(super) struct Probe<'a>(pub(super) Option<&'a Governor>);

impl Probe<'_> {
    pub(super) fn is_probe(&self) -> bool {
        self.0.is_some()
    }
}

impl Drop for Probe<'_> {
    fn drop(&mut self) {
        if let Some(governor) = self.0 {
            governor.state().gate.hand_on();
            governor.gate_moved.notify_waiters();
        }
    }
}

/// The right to make one call now. Where the call was refused for its rate, which [`Governor::throttled`] has been told, or
/// nobody answered it, it is dropped.
#[derive(Debug)]
#[must_use = "a probe that tells nobody leaves the others waiting for the next"]
pub(in crate::graph) struct Pass<'a> {
    probe: Probe<'a>,
}

impl Pass<'_> {
    /// The call was answered, and not refused for its rate.
    pub(in crate::graph) fn unhindered(mut self) {
        if let Some(governor) = self.probe.0.take() {
            let mut state = governor.state();
            let is_open = state.gate.probed();
            let others_wait = is_open && state.share.as_mut().is_some_and(Share::open);
            drop(state);
            governor.gate_moved.notify_waiters();
            if others_wait {
                governor.wishes.notify_one();
            }
        }
    }
}
