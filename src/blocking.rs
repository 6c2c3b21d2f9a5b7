//! Work that blocks, away from the tasks.

use std::panic::resume_unwind;

use tokio::task::{JoinError, spawn_blocking};

/// What `work` gives, which blocks and is done on a thread for that. A panic in it is the caller's.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    came_of(spawn_blocking(work).await).await
}

/// What came of a task that nobody aborts. A panic in it is the caller's.
pub(crate) async fn came_of<T>(joined: Result<T, JoinError>) -> T {
    match joined {
        Ok(done) => done,
        Err(failure) => match failure.try_into_panic() {
            Ok(panic) => resume_unwind(panic),
            // The runtime is going down, and nobody will hear the answer.
            Err(_) => std::future::pending().await,
        },
    }
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
