//! The one retry loop: whether to ask again, and when.
//!
//! A send is repeated only where nothing can have been done, which is to say where Meta was not reached or its rate limit
//! refused; so a doubt, once there, is never painted over by a later, definite error. Uploads and questions harm nobody
//! when repeated. A throttle costs no attempt: it is waited out, for as long as the policy lets it.

use std::time::Duration;

use super::error::{GraphError, Operation};
use super::hook::Hook;
use super::outcome::{Outcome, Retry, Scope};
use crate::clock::{Clock, Timestamp};
use crate::stop::Stop;

/// How often, and how long apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Attempts in all, throttled ones not counted; at least one is made.
    pub attempts: u32,
    /// The longest pause after the first failed attempt; each further one may be twice as long.
    pub first_pause: Duration,
    /// No pause after a failed attempt is longer.
    pub longest_pause: Duration,
    /// The pause after the first throttle for which Meta names no time; each further one is twice as long.
    pub throttle_pause: Duration,
    /// How long all waits for rate limits together may take.
    pub max_wait: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            attempts: 4,
            first_pause: Duration::from_millis(500),
            longest_pause: Duration::from_secs(30),
            throttle_pause: Duration::from_mins(1),
            max_wait: Duration::from_mins(10),
        }
    }
}

/// A pause before the next attempt.
#[derive(Debug, Clone)]
pub struct Waiting {
    /// When the next attempt starts.
    pub until: Timestamp,
    /// Why not now: what the call would have failed with.
    pub error: GraphError,
}

/// The answer of the first attempt that gets one, or the error of the last. Once `stop` is requested, no other attempt
/// is begun.
pub(super) async fn run<T, F: Future<Output = Outcome<T>>>(
    policy: &RetryPolicy,
    clock: &dyn Clock,
    operation: Operation,
    reporter: Option<&Hook<Waiting>>,
    stop: &Stop,
    mut attempt: impl FnMut() -> F,
) -> Result<T, GraphError> {
    let mut budget = Budget::new(policy);
    loop {
        let (retry, error) = match attempt().await {
            Outcome::Done(answer) => return Ok(answer),
            Outcome::NotDone { scope, retry, failure } => {
                let wait = if let Retry::Throttled(wait) = retry { wait } else { None };
                (allowed(operation, Some(scope), retry), GraphError::not_done(operation, scope, wait, failure))
            }
            Outcome::Unknown { retry, failure } => {
                (allowed(operation, None, retry), GraphError::Unknown { operation, failure })
            }
        };
        let Some(pause) = budget.pause(retry) else { return Err(error) };
        tracing::debug!(%operation, %error, ?pause, "trying again");
        if let Some(reporter) = reporter {
            reporter.call(Waiting { until: clock.now().plus(pause), error: error.clone() });
        }
        tokio::select! {
            biased;
            () = stop.requested() => return Err(error),
            () = clock.sleep(pause) => {}
        }
    }
}

/// `retry`, unless repeating a send could make two of it. `scope` is `None` where the outcome is unknown.
pub(super) fn allowed(operation: Operation, scope: Option<Scope>, retry: Retry) -> Retry {
    match scope {
        Some(Scope::Connection | Scope::Rate) => retry,
        _ if operation.is_repeatable() => retry,
        _ => Retry::Never,
    }
}

/// What is left of a policy while one call is being made.
#[derive(Debug)]
struct Budget<'a> {
    policy: &'a RetryPolicy,
    failures: u32,
    second_try_taken: bool,
    throttles: u32,
    waited: Duration,
}

impl<'a> Budget<'a> {
    fn new(policy: &'a RetryPolicy) -> Self {
        Self { policy, failures: 0, second_try_taken: false, throttles: 0, waited: Duration::ZERO }
    }

    /// How long to wait before the next attempt; `None` when there must be none.
    fn pause(&mut self, retry: Retry) -> Option<Duration> {
        match retry {
            Retry::Never => None,
            Retry::Throttled(wait) => self.throttled(wait),
            Retry::Once if self.second_try_taken => None,
            Retry::Once => {
                self.second_try_taken = true;
                self.backoff()
            }
            Retry::Backoff => self.backoff(),
        }
    }

    /// Anything up to an exponentially growing bound ("full jitter"), so that parallel calls do not come back in step.
    fn backoff(&mut self) -> Option<Duration> {
        self.failures += 1;
        let bound = doubled(self.policy.first_pause, self.failures - 1).min(self.policy.longest_pause);
        (self.failures < self.policy.attempts).then(|| bound.mul_f64(fastrand::f64()))
    }

    /// The time Meta names, all of it or nothing, and stretched where it proved too short before; else a guess, cut to
    /// what is left but never shorter than the first one: calls made during a block prolong it.
    fn throttled(&mut self, wait: Option<Duration>) -> Option<Duration> {
        let left = self.policy.max_wait.saturating_sub(self.waited);
        let pause = match wait {
            Some(wait) => wait.max(doubled(self.policy.first_pause, self.throttles)),
            None => doubled(self.policy.throttle_pause, self.throttles).min(left).max(self.policy.throttle_pause),
        };
        if pause > left {
            return None;
        }
        self.throttles += 1;
        self.waited += pause;
        Some(pause)
    }
}

fn doubled(span: Duration, times: u32) -> Duration {
    span.saturating_mul(2_u32.saturating_pow(times))
}

#[cfg(test)]
mod tests;
