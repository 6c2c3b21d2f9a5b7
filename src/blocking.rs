//! Work that blocks, away from the tasks.

use tokio::task::spawn_blocking;

use crate::detached::came_of;

/// What `work` gives, which blocks and is done on a thread for that. A panic in it is the caller's.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    came_of(spawn_blocking(work).await).await
}

#[cfg(test)]
mod tests {
    use std::panic::AssertUnwindSafe;

    use futures::FutureExt;
    use tokio::runtime;

    use super::*;

    #[tokio::test]
    async fn what_was_done_and_a_panic_are_the_callers() {
        assert_eq!(blocking(|| 7).await, 7);
        let panicking = blocking(|| -> u8 { panic!("as the test wants it") });
        let panic = AssertUnwindSafe(panicking).catch_unwind().await.expect_err("a panic");
        assert_eq!(panic.downcast_ref::<&str>(), Some(&"as the test wants it"));
    }

    #[test]
    fn where_the_runtime_has_ended_nothing_comes_of_a_task() {
        let ended = runtime::Builder::new_current_thread().build().expect("a runtime").handle().clone();
        let _entered = ended.enter();
        assert_eq!(blocking(|| 7).now_or_never(), None);
        let joined = tokio::spawn(async { 7 }).now_or_never().expect("it was dropped at once");
        assert_eq!(came_of(joined).now_or_never(), None);
    }
}
