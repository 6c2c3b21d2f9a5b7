//! Work that goes on where nobody waits for it any more.

use std::future::Future;
use std::panic::resume_unwind;

use tokio::task::JoinError;

/// What `work` gives, which is a task of its own. A panic in it is the caller's.
///
/// # Cancel safety
/// Dropping the future leaves work that has begun running to its end; what it gives is dropped then.
pub(crate) async fn to_its_end<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> T {
    came_of(tokio::spawn(work).await).await
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
    use std::sync::Arc;

    use futures::FutureExt;
    use tokio::sync::{Notify, oneshot};

    use super::*;
    use crate::interleave::given_up_after;

    #[tokio::test]
    async fn work_goes_on_where_nobody_waits_and_what_it_gives_is_dropped() {
        let (begins, (given, dropped)) = (Arc::new(Notify::new()), oneshot::channel::<()>());
        let waits = Arc::clone(&begins);
        let work = to_its_end(async move {
            waits.notified().await;
            given
        });
        assert!(given_up_after(1, work).await.is_none());
        begins.notify_one();
        assert!(dropped.await.is_err(), "what it gives is kept by somebody");
    }

    #[tokio::test]
    async fn a_panic_is_the_caller_s() {
        let work = to_its_end::<()>(async { panic!("as the test wants it") });
        assert!(std::panic::AssertUnwindSafe(work).catch_unwind().await.is_err());
    }
}
