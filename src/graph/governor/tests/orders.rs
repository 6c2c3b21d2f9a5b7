//! Callers of one governor, in every order in which they go on, are given up, and find the gate shut.

use std::cell::RefCell;

use tokio::runtime::Builder;

use super::*;
use crate::interleave::{Actor, drive, in_every_order};

const PER_SECOND: u32 = 2;

#[test]
fn in_every_order_everybody_goes_and_no_second_holds_too_much() {
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime");
    let _entered = runtime.enter();
    let orders = in_every_order(2_000, |choices| {
        let governor = Governor::new(PaceLimits { messages_per_second: PER_SECOND, ..PaceLimits::default() });
        let went = RefCell::new(Vec::new());
        let call = |mut is_refused: bool| {
            let (governor, went) = (&governor, &went);
            async move {
                let mut patience = Duration::from_mins(5);
                loop {
                    let load = Load { messages: 1, ..Load::CALL };
                    let admitted = governor.admit(load, &mut patience, |_| {}).await.expect("patience is left");
                    let Ok(pass) = admitted.depart().await else { continue };
                    went.borrow_mut().push(Instant::now());
                    // It is under way.
                    tokio::task::yield_now().await;
                    if !std::mem::take(&mut is_refused) {
                        return pass.unhindered();
                    }
                    governor.throttled(Some(Duration::from_secs(2)), None);
                    drop(pass);
                }
            }
        };
        let mut actors = [Actor::new(call(false)), Actor::fickle(call(false)), Actor::new(call(true))];
        let mut quarters = 0..100;
        drive(&mut actors, choices, || {
            runtime.block_on(tokio::time::sleep(Duration::from_millis(250)));
            quarters.next().is_some()
        });
        drop(actors);
        let went = went.into_inner();
        assert!((3..=4).contains(&went.len()), "{went:?}");
        for (first, third) in went.iter().zip(&went[PER_SECOND as usize..]) {
            assert!(*third - *first > Duration::from_secs(1), "{went:?}");
        }
        let state = governor.state();
        let promised: u32 = state.lanes.iter().map(Window::promised).sum();
        assert_eq!((state.waiting, state.present.len(), promised), (0, 0, 0), "places are given back once");
        assert!(matches!(state.gate, Gate::Open), "{:?}", state.gate);
    });
    assert!(orders > 500, "{orders}");
}
