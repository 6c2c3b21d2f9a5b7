//! Patience with a record that is locked, or whose disk is full.

use std::time::Duration;

use super::RecordError;
use crate::clock::Clock;

/// How long to wait before each further try; an engine has waited itself before it says that it is locked.
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(5)];

/// Tries it up to three times, for as long as what stands in the way may pass.
pub(crate) async fn patiently<T, Attempt: Future<Output = Result<T, RecordError>>>(
    clock: &dyn Clock,
    may_pass: impl Fn(&RecordError) -> bool,
    attempt: impl Fn() -> Attempt,
) -> Result<T, RecordError> {
    for pause in PAUSES {
        match attempt().await {
            Err(error) if may_pass(&error) => clock.sleep(pause).await,
            done => return done,
        }
    }
    attempt().await
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::io;
    use std::sync::Arc;

    use super::*;
    use crate::clock::{ManualClock, Timestamp};

    fn locked() -> RecordError {
        RecordError::Locked { path: "record.db".into(), source: Arc::new(io::Error::other("database is locked")) }
    }

    /// What comes of a record that fails so often before it answers, and after how many tries and seconds.
    async fn seen(failures: u32, may_pass: bool) -> (bool, u32, u64) {
        let clock = ManualClock::new(Timestamp::from_unix_millis(0));
        let tries = Cell::new(0);
        let attempt = || {
            tries.set(tries.get() + 1);
            std::future::ready(if tries.get() > failures { Ok(()) } else { Err(locked()) })
        };
        let answer = patiently(&clock, |_| may_pass, attempt);
        (answer.await.is_ok(), tries.get(), clock.uptime().as_secs())
    }

    #[tokio::test(start_paused = true)]
    async fn what_may_pass_is_tried_three_times_and_all_else_once() {
        assert_eq!(seen(0, true).await, (true, 1, 0));
        assert_eq!(seen(2, true).await, (true, 3, 6));
        assert_eq!(seen(3, true).await, (false, 3, 6));
        assert_eq!(seen(1, false).await, (false, 1, 0));
    }
}
