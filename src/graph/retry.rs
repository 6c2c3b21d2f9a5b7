//! The one retry loop: whether to ask again, and when.
//!
//! A send is repeated only where nothing can have been done, which is to say where Meta was not reached or its rate limit
//! refused; so a doubt, once there, is never painted over by a later, definite error. Uploads and questions harm nobody
//! when repeated. A throttle costs no attempt: the governor waits it out for everybody, as long as the policy lets it.

use std::time::Duration;

use tokio::time::Instant;

use super::error::{DaySpent, Failure, GraphError, Operation, Refusal};
use super::governor::{Admitted, GateWait, Governor, Load, Pass, TooLong};
use super::hook::Hook;
use super::outcome::{Answer, Outcome, Retry, Scope, Throttle};
use crate::clock::{Clock, Timestamp};
use crate::stop::Stop;

/// How long a call waits where no share of the Page's budget is handed out: as long as for the record that divides it.
const UNSHARED: Duration = Duration::from_mins(1);

/// How often, and how long apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Attempts in all, throttled ones not counted; at least one is made.
    pub attempts: u32,
    /// The longest pause after the first failed attempt; each further one may be twice as long.
    pub first_pause: Duration,
    /// No pause after a failed attempt is longer.
    pub longest_pause: Duration,
    /// How long one call may wait for Meta's rate limits, all in all.
    pub max_wait: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            attempts: 4,
            first_pause: Duration::from_millis(500),
            longest_pause: Duration::from_secs(30),
            max_wait: Duration::from_mins(10),
        }
    }
}

/// A pause before the next attempt.
#[derive(Debug, Clone)]
pub struct Waiting {
    /// When the next attempt starts, at the earliest.
    pub until: Timestamp,
    /// Why not now.
    pub why: Why,
}

/// Why an attempt is not made at once.
#[derive(Debug, Clone)]
pub enum Why {
    /// The last one failed with this.
    Failed(GraphError),
    /// The Page has reached a limit; Meta's words where it had any.
    Limit(Option<Box<Refusal>>),
    /// The calls of 24 hours are used up that it may make by our own setting.
    Day(DaySpent),
}

/// What every call is made with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Means<'a> {
    pub(super) policy: &'a RetryPolicy,
    pub(super) clock: &'a dyn Clock,
    pub(super) governor: &'a Governor,
    pub(super) reporter: Option<&'a Hook<Waiting>>,
    pub(super) stop: &'a Stop,
}

/// The answer of the first attempt that gets one, or the error of the last. Each attempt first waits for the Page's
/// governor; once `stop` is requested, nobody waits and no other attempt is begun.
pub(super) async fn run<T: Answer, F: Future<Output = Outcome<T>>>(
    means: Means<'_>,
    operation: Operation,
    load: Load,
    mut attempt: impl FnMut() -> F,
) -> Result<T, GraphError> {
    let Means { policy, clock, governor, stop, .. } = means;
    let mut budget = Budget::new(policy);
    let mut patience = policy.max_wait;
    let mut last = None;
    loop {
        let pass = match means.passed(operation, load, &mut patience).await {
            Ok(pass) => pass,
            Err(GraphError::Stopped { operation }) => return Err(last.unwrap_or(GraphError::Stopped { operation })),
            Err(error) => return Err(error),
        };
        let outcome = attempt().await;
        let outcome = if operation.is_repeatable() { outcome.at_its_word() } else { outcome };
        let (retry, error) = match conclude(pass, governor, operation, outcome) {
            Ok(answer) => return Ok(answer),
            Err(failed) => failed,
        };
        if let Retry::Throttled(_) = retry {
            // The governor makes us wait, and everybody else: no attempt is lost by it.
            last = Some(error);
            continue;
        }
        let Some(pause) = budget.pause(retry) else { return Err(error) };
        tracing::debug!(%operation, %error, ?pause, "trying again");
        means.report(pause, Why::Failed(error.clone()));
        tokio::select! {
            biased;
            () = stop.requested() => return Err(error),
            () = clock.sleep(pause) => {}
        }
        last = Some(error);
    }
}

/// The answer of one attempt, made once the governor admits it, `ready` says yes, and its turn is there. What is waited at
/// the gate is taken off `patience`; once `ready` has been asked, nothing is waited for but the pace.
pub(super) async fn once<T: Answer>(
    means: Means<'_>,
    operation: Operation,
    load: Load,
    patience: &mut Duration,
    ready: impl Future<Output = bool>,
    attempt: impl Future<Output = Outcome<T>>,
) -> Result<T, GraphError> {
    let admitted = means.admitted(operation, load, patience).await?;
    if !ready.await {
        return Err(GraphError::Stopped { operation });
    }
    let pass = admitted.depart().await.map_err(|too_long| limited(operation, too_long))?;
    conclude(pass, means.governor, operation, attempt.await).map_err(|(_, error)| error)
}

/// Tells the governor what came of an attempt, and says what trying again would be worth.
fn conclude<T: Answer>(
    pass: Pass<'_>,
    governor: &Governor,
    operation: Operation,
    outcome: Outcome<T>,
) -> Result<T, (Retry, GraphError)> {
    let retry = match &outcome {
        Outcome::Done(answer) => {
            match answer.throttle() {
                Some(Throttle { wait, refusal }) => governor.throttled(wait, Some(refusal)),
                None => pass.unhindered(),
            }
            Retry::Never
        }
        Outcome::NotDone { scope, retry, failure } => {
            settle(pass, governor, *retry, failure);
            allowed(operation, Some(*scope), *retry)
        }
        Outcome::Unknown { retry, failure } => {
            settle(pass, governor, *retry, failure);
            allowed(operation, None, *retry)
        }
    };
    GraphError::of(operation, outcome).map_err(|error| (retry, error))
}

impl<'a> Means<'a> {
    /// The governor's leave to make one attempt now.
    async fn passed(&self, operation: Operation, load: Load, patience: &mut Duration) -> Result<Pass<'a>, GraphError> {
        loop {
            let admitted = tokio::select! {
                biased;
                admitted = self.admitted(operation, load, patience) => admitted?,
                why = self.governor.forsaken(Instant::now(), UNSHARED) => return Err(limited(operation, why)),
            };
            // A gate that was shut in between is waited for like any other.
            if let Ok(pass) = admitted.depart().await {
                return Ok(pass);
            }
        }
    }

    /// The governor's word that the turn of an attempt is near.
    async fn admitted(
        &self,
        operation: Operation,
        load: Load,
        patience: &mut Duration,
    ) -> Result<Admitted<'a>, GraphError> {
        let on_wait = |wait: GateWait| {
            self.report(wait.pause, wait.spent.map_or_else(|| Why::Limit(wait.refusal), Why::Day));
        };
        tokio::select! {
            biased;
            admitted = self.governor.admit(load, patience, on_wait) => {
                admitted.map_err(|too_long| limited(operation, too_long))
            }
            () = self.stop.requested() => Err(GraphError::Stopped { operation }),
        }
    }

    fn report(&self, pause: Duration, why: Why) {
        if let Some(reporter) = self.reporter {
            reporter.call(Waiting { until: self.clock.now().plus(pause), why });
        }
    }
}

fn limited(operation: Operation, too_long: TooLong) -> GraphError {
    match too_long {
        TooLong::Shut { wait, refusal } => GraphError::RateLimited { operation, wait, refusal, spent: None },
        TooLong::Spent { wait, spent } => {
            GraphError::RateLimited { operation, wait: Some(wait), refusal: None, spent: Some(spent) }
        }
        TooLong::Unshared(cause) => GraphError::Unshared { operation, cause },
    }
}

/// Tells the governor what came of an attempt that brought no answer.
fn settle(pass: Pass<'_>, governor: &Governor, retry: Retry, failure: &Failure) {
    match (retry, failure) {
        (Retry::Throttled(wait), failure) => {
            let refusal = if let Failure::Refused(refusal) = failure { Some(refusal.clone()) } else { None };
            governor.throttled(wait, refusal);
        }
        // Nobody at Meta has said anything: a probe has found out nothing, and passes on.
        (_, Failure::Broken { .. }) => drop(pass),
        _ => pass.unhindered(),
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
}

impl<'a> Budget<'a> {
    fn new(policy: &'a RetryPolicy) -> Self {
        Self { policy, failures: 0, second_try_taken: false }
    }

    /// How long to wait before the next attempt; `None` when there must be none.
    fn pause(&mut self, retry: Retry) -> Option<Duration> {
        match retry {
            Retry::Never | Retry::Throttled(_) => None,
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
}

fn doubled(span: Duration, times: u32) -> Duration {
    span.saturating_mul(2_u32.saturating_pow(times))
}

#[cfg(test)]
mod tests;
