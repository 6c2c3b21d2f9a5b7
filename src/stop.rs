//! The wish to end early.

use tokio_util::sync::{CancellationToken, DropGuard};

/// A wish to end early, shared by all clones: nothing new is begun, what is under way is finished.
#[derive(Debug, Clone, Default)]
pub struct Stop(CancellationToken);

impl Stop {
    /// A wish nobody has made yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes the wish; it cannot be taken back.
    pub fn request(&self) {
        self.0.cancel();
    }

    /// Whether it was made.
    pub fn is_requested(&self) -> bool {
        self.0.is_cancelled()
    }

    /// Returns once it was made.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub async fn requested(&self) {
        self.0.cancelled().await;
    }

    /// A wish that is made with this one, but can also be made alone.
    pub(crate) fn child(&self) -> Self {
        Self(self.0.child_token())
    }

    /// Makes the wish when the guard is dropped.
    pub(crate) fn on_drop(&self) -> DropGuard {
        self.0.clone().drop_guard()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interleave::{Actor, drive, in_every_order};

    #[test]
    fn whoever_waits_hears_of_it_in_every_order() {
        let orders = in_every_order(10_000, |choices| {
            let stop = Stop::new();
            let (child, sibling) = (stop.child(), stop.child());
            let mut actors = [
                Actor::new(async { stop.requested().await }),
                Actor::fickle(async { child.requested().await }),
                Actor::new(async { child.requested().await }),
                Actor::new(async { drop(sibling.on_drop()) }),
                Actor::new(async { stop.request() }),
            ];
            drive(&mut actors, choices, || false);
            assert!(stop.is_requested() && child.is_requested() && sibling.is_requested());
        });
        assert!((500..10_000).contains(&orders), "{orders}");
    }

    #[test]
    fn a_child_follows_its_parent_and_not_the_other_way() {
        let parent = Stop::new();
        let (first, second) = (parent.child(), parent.child());
        drop(first.on_drop());
        assert!(first.is_requested() && !parent.is_requested() && !second.is_requested());
        parent.request();
        assert!(second.is_requested());
    }
}
