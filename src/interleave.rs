//! Runs a handful of futures in every order there is: which of those that were woken goes on, and which is given up.
//!
//! Each run is made anew and told by the choices that led to it; the next differs in the last of them that had another way
//! to go. Nobody is polled who was not woken, so a wake-up that is lost leaves somebody behind, and that ends the test. What
//! cannot be seen so is what other threads do between two steps of one poll: `sync::orders` draws some of that.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

/// The choices of one run.
#[derive(Debug, Default)]
pub(crate) struct Choices {
    /// What was chosen, and of how many.
    path: Vec<(usize, usize)>,
    made: usize,
}

impl Choices {
    /// One of `count` ways to go on, which are more than none.
    pub(crate) fn choose(&mut self, count: usize) -> usize {
        if self.made == self.path.len() {
            self.path.push((0, count));
        }
        let (chosen, of) = self.path[self.made];
        assert_eq!(of, count, "the same choices lead to the same place");
        self.made += 1;
        chosen
    }

    /// Goes on to the next run; `None` where there is none.
    fn next(mut self) -> Option<Self> {
        while let Some((chosen, of)) = self.path.pop() {
            if chosen + 1 < of {
                self.path.push((chosen + 1, of));
                return Some(Self { path: self.path, made: 0 });
            }
        }
        None
    }
}

/// Runs `run` for every order there is, `most` of them at most; says how many there were.
pub(crate) fn in_every_order(most: usize, mut run: impl FnMut(&mut Choices)) -> usize {
    let mut choices = Choices::default();
    for count in 1..=most {
        run(&mut choices);
        match choices.next() {
            Some(next) => choices = next,
            None => return count,
        }
    }
    most
}

/// A future that is polled once it was woken.
pub(crate) struct Actor<'a> {
    future: Option<Pin<Box<dyn Future<Output = ()> + 'a>>>,
    woken: Arc<Woken>,
    may_leave: bool,
}

struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

impl<'a> Actor<'a> {
    /// One that goes to its end.
    pub(crate) fn new(future: impl Future<Output = ()> + 'a) -> Self {
        Self { future: Some(Box::pin(future)), woken: Arc::new(Woken(AtomicBool::new(true))), may_leave: false }
    }

    /// One that may be given up wherever it waits.
    pub(crate) fn fickle(future: impl Future<Output = ()> + 'a) -> Self {
        Self { may_leave: true, ..Self::new(future) }
    }

    fn is_ready(&self) -> bool {
        self.future.is_some() && self.woken.0.load(Ordering::SeqCst)
    }

    fn poll(&mut self) {
        self.woken.0.store(false, Ordering::SeqCst);
        let waker = Waker::from(Arc::clone(&self.woken));
        if let Some(future) = &mut self.future
            && future.as_mut().poll(&mut Context::from_waker(&waker)).is_ready()
        {
            self.future = None;
        }
    }
}

/// Has all of them go on, in the order that is chosen, until they have ended. Where nobody can go on, `outside` happens: time
/// passes, other tasks run. Says false where it has nothing to bring any more.
pub(crate) fn drive(actors: &mut [Actor<'_>], choices: &mut Choices, mut outside: impl FnMut() -> bool) {
    while actors.iter().any(|actor| actor.future.is_some()) {
        let ready: Vec<usize> = (0..actors.len()).filter(|&actor| actors[actor].is_ready()).collect();
        let fickle = |actor: &usize| actors[*actor].may_leave && actors[*actor].future.is_some();
        let leaving: Vec<usize> = (0..actors.len()).filter(fickle).collect();
        if ready.is_empty() {
            let goes_on = outside();
            assert!(goes_on || actors.iter().any(Actor::is_ready), "somebody waits, and nobody will wake them");
            continue;
        }
        match choices.choose(ready.len() + leaving.len()) {
            polled if polled < ready.len() => actors[ready[polled]].poll(),
            left => actors[leaving[left - ready.len()]].future = None,
        }
    }
}

/// What the future gives, unless it still waits after so many polls: then it is given up, and there is nothing.
pub(crate) async fn given_up_after<F: Future>(polls: usize, future: F) -> Option<F::Output> {
    let (mut future, mut polled) = (Box::pin(future), 0);
    poll_fn(|context| {
        polled += 1;
        match future.as_mut().poll(context) {
            Poll::Ready(given) => Poll::Ready(Some(given)),
            Poll::Pending if polled == polls => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::collections::BTreeSet;

    use futures::channel::oneshot;

    use super::*;

    #[test]
    fn every_order_is_tried_once() {
        let mut seen = BTreeSet::new();
        let count = in_every_order(100, |choices| {
            let order = RefCell::new(Vec::new());
            let actor = |name| {
                let order = &order;
                Actor::new(async move { order.borrow_mut().push(name) })
            };
            drive(&mut ['a', 'b', 'c'].map(actor), choices, || false);
            seen.insert(order.into_inner());
        });
        assert_eq!((count, seen.len()), (6, 6));
    }

    #[test]
    fn who_is_given_up_is_so_wherever_they_wait() {
        let ends = RefCell::new(BTreeSet::new());
        in_every_order(100, |choices| {
            let (ring, bell) = oneshot::channel();
            let done = Cell::new(false);
            let waiting = Actor::fickle(async { done.set(bell.await.is_ok()) });
            let ringing = Actor::new(async move { _ = ring.send(()) });
            drive(&mut [waiting, ringing], choices, || false);
            ends.borrow_mut().insert(done.get());
        });
        assert_eq!(ends.into_inner().len(), 2);
    }

    /// The control: an event that wakes the last who came, and forgets the others.
    #[test]
    #[should_panic(expected = "nobody will wake them")]
    fn a_wake_up_that_is_lost_is_found() {
        in_every_order(100, |choices| {
            let (rung, waker) = (Cell::new(false), RefCell::new(None));
            let wait = || {
                poll_fn(|context| {
                    if rung.get() {
                        return Poll::Ready(());
                    }
                    *waker.borrow_mut() = Some(context.waker().clone());
                    Poll::Pending
                })
            };
            let end = async {
                rung.set(true);
                if let Some(waker) = waker.borrow_mut().take() {
                    waker.wake();
                }
            };
            drive(&mut [Actor::new(wait()), Actor::new(wait()), Actor::new(end)], choices, || false);
        });
    }
}
