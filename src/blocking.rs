//! Work that blocks, away from the tasks.

use std::panic::resume_unwind;

use tokio::task::spawn_blocking;

/// What `work` gives, which blocks and is done on a thread for that. A panic in it is the caller's.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match spawn_blocking(work).await {
        Ok(done) => done,
        Err(failure) => match failure.try_into_panic() {
            Ok(panic) => resume_unwind(panic),
            // Never begun: the runtime is going down, and nobody will hear the answer.
            Err(_) => std::future::pending().await,
        },
    }
}
