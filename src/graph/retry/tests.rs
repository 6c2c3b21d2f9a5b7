use std::sync::{Arc, Mutex};

use http::StatusCode;
use proptest::prelude::*;

use super::*;

impl Answer for &'static str {
    fn read(_: &[u8]) -> Option<Self> {
        None
    }
}
use crate::clock::ManualClock;
use crate::graph::error::{Certainty, Failure, Refusal};
use crate::graph::governor::PaceLimits;
use crate::graph::transport::{Phase, TransportError};
use crate::stop::Stop;

type Script = Vec<Outcome<&'static str>>;

/// What came of a script of outcomes, how often it was asked, how long it took, and the pauses it announced.
#[derive(Debug)]
struct Run {
    result: Result<&'static str, GraphError>,
    attempts: usize,
    elapsed: Duration,
    announced: Vec<Timestamp>,
}

async fn play(operation: Operation, script: Script) -> Run {
    play_with(&RetryPolicy::default(), operation, script).await
}

async fn play_with(policy: &RetryPolicy, operation: Operation, script: Script) -> Run {
    let clock = ManualClock::new(Timestamp::from_unix_millis(0));
    let announced = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&announced);
    let reporter = Hook::new(move |waiting: Waiting| log.lock().unwrap().push(waiting.until));
    let governor = Governor::new(PaceLimits::default());
    let means = Means { policy, clock: &clock, governor: &governor, reporter: Some(&reporter), stop: &Stop::new() };
    let mut left = script.into_iter();
    let mut attempts = 0;
    let result = run(means, operation, Load::CALL, || {
        attempts += 1;
        std::future::ready(left.next().expect("the script was long enough"))
    })
    .await;
    let announced = announced.lock().unwrap().clone();
    Run { result, attempts, elapsed: clock.now().since(Timestamp::from_unix_millis(0)), announced }
}

fn broken(phase: Phase) -> Failure {
    Failure::Broken { phase, cause: TransportError::new("reset") }
}

fn unreached() -> Outcome<&'static str> {
    Outcome::NotDone { scope: Scope::Connection, retry: Retry::Backoff, failure: broken(Phase::BeforeRequest) }
}

fn in_doubt(retry: Retry) -> Outcome<&'static str> {
    Outcome::Unknown { retry, failure: broken(Phase::AfterRequest) }
}

fn refused(scope: Scope, retry: Retry) -> Outcome<&'static str> {
    let body = br#"{"error":{"message":"words","code":613}}"#;
    let refusal = Refusal::read(StatusCode::BAD_REQUEST, body).expect("a refusal");
    Outcome::NotDone { scope, retry, failure: Failure::Refused(Box::new(refusal)) }
}

fn throttled(wait: Option<u64>) -> Outcome<&'static str> {
    refused(Scope::Rate, Retry::Throttled(wait.map(Duration::from_secs)))
}

#[tokio::test(start_paused = true)]
async fn a_send_in_doubt_is_never_repeated() {
    for retry in [Retry::Once, Retry::Backoff, Retry::Throttled(None)] {
        let run = play(Operation::Send, vec![in_doubt(retry)]).await;
        assert_eq!((run.attempts, run.elapsed), (1, Duration::ZERO));
        assert_eq!(run.result.expect_err("in doubt").outcome(), Certainty::Unknown);
    }
}

#[tokio::test(start_paused = true)]
async fn a_send_that_was_never_carried_out_is_repeated_until_it_is_in_doubt() {
    let run = play(Operation::Send, vec![unreached(), unreached(), in_doubt(Retry::Backoff)]).await;
    assert_eq!(run.attempts, 3);
    assert_eq!(run.result.expect_err("in doubt").outcome(), Certainty::Unknown);
    let run = play(Operation::Send, vec![unreached(), Outcome::Done("m_1")]).await;
    assert_eq!(run.result, Ok("m_1"));
}

#[tokio::test(start_paused = true)]
async fn a_refused_send_is_not_repeated_even_where_an_upload_would_be() {
    let run = play(Operation::Send, vec![refused(Scope::Media, Retry::Once)]).await;
    assert_eq!(run.attempts, 1);
    let run = play(Operation::Upload, vec![refused(Scope::Media, Retry::Once), Outcome::Done("id")]).await;
    assert_eq!(run.result, Ok("id"));
}

#[tokio::test(start_paused = true)]
async fn uploads_and_questions_are_repeated_in_doubt_four_times_in_all() {
    for operation in [Operation::Upload, Operation::Read] {
        let run = play(operation, vec![in_doubt(Retry::Backoff); 4]).await;
        assert_eq!(run.attempts, 4);
        assert_eq!(run.result.expect_err("in doubt").outcome(), Certainty::Unknown);
        assert!(run.elapsed <= Duration::from_millis(3_500), "{:?}", run.elapsed);
    }
}

#[tokio::test(start_paused = true)]
async fn a_second_try_is_given_once() {
    let run = play(Operation::Upload, vec![in_doubt(Retry::Once), unreached(), in_doubt(Retry::Once)]).await;
    assert_eq!(run.attempts, 3);
}

#[tokio::test(start_paused = true)]
async fn a_throttle_consumes_no_attempt() {
    let mut script = vec![throttled(Some(30)); 6];
    script.extend([unreached(), unreached(), unreached(), Outcome::Done("m_1")]);
    let run = play(Operation::Send, script).await;
    assert_eq!((run.result, run.attempts), (Ok("m_1"), 10));
    assert!(run.elapsed >= Duration::from_mins(3));
}

#[tokio::test(start_paused = true)]
async fn waits_without_a_time_are_under_a_minute_and_end_with_the_allowance() {
    let run = play(Operation::Send, vec![throttled(None); 13]).await;
    assert_eq!(run.attempts, 13, "ten minutes hold twelve waits of fifty seconds");
    assert_eq!(run.announced.len(), 12);
    assert!(run.elapsed > Duration::from_secs(599) && run.elapsed < Duration::from_secs(601), "{:?}", run.elapsed);
    assert!(matches!(run.result, Err(GraphError::RateLimited { wait: None, .. })), "{:?}", run.result);
}

#[tokio::test(start_paused = true)]
async fn a_wait_longer_than_allowed_is_not_begun() {
    let run = play(Operation::Upload, vec![throttled(Some(500)), throttled(Some(101))]).await;
    assert_eq!((run.attempts, run.announced.len()), (2, 1));
    assert!(run.elapsed < Duration::from_secs(501), "{:?}", run.elapsed);
    let Err(GraphError::RateLimited { wait: Some(wait), refusal: Some(_), .. }) = run.result else {
        panic!("{:?}", run.result)
    };
    assert!(wait > Duration::from_secs(100) && wait <= Duration::from_secs(101), "{wait:?}");

    let impatient = RetryPolicy { max_wait: Duration::from_secs(49), ..RetryPolicy::default() };
    let run = play_with(&impatient, Operation::Send, vec![throttled(None)]).await;
    assert_eq!((run.attempts, run.elapsed), (1, Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn a_doubt_that_says_how_long_is_waited_out_by_the_whole_page_and_a_send_in_it_is_not_repeated() {
    let busy = |seconds| in_doubt(Retry::Throttled(Some(Duration::from_secs(seconds))));
    let run = play(Operation::Upload, vec![busy(30), busy(30), Outcome::Done("id")]).await;
    assert_eq!((run.result, run.attempts), (Ok("id"), 3));
    assert!(run.elapsed >= Duration::from_mins(1), "{:?}", run.elapsed);
    let run = play(Operation::Read, vec![busy(601)]).await;
    assert!(matches!(run.result, Err(GraphError::RateLimited { wait: Some(_), .. })), "{:?}", run.result);
    assert_eq!((run.attempts, run.elapsed), (1, Duration::ZERO));

    let (policy, clock) = (RetryPolicy::default(), ManualClock::new(Timestamp::from_unix_millis(0)));
    let governor = Governor::new(PaceLimits::default());
    let means = Means { policy: &policy, clock: &clock, governor: &governor, reporter: None, stop: &Stop::new() };
    let mut patience = policy.max_wait;
    let attempt = async { busy(30) };
    let sent = once(means, Operation::Send, Load::CALL, &mut patience, async { true }, attempt).await;
    assert_eq!(sent.expect_err("in doubt").outcome(), Certainty::Unknown);
    assert_eq!(governor.pace().shut_for, Some(Duration::from_secs(30)));
}

#[tokio::test(start_paused = true)]
async fn ten_minutes_of_throttles_that_promise_a_second_cost_few_probes() {
    let run = play(Operation::Send, vec![throttled(Some(1)); 20]).await;
    assert!(matches!(run.result, Err(GraphError::RateLimited { .. })), "{:?}", run.result);
    assert!(run.attempts <= 19 && run.elapsed > Duration::from_mins(9), "{run:?}");
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_a_wait_at_once_and_says_that_nothing_was_begun() {
    let (policy, clock) = (RetryPolicy::default(), ManualClock::new(Timestamp::from_unix_millis(0)));
    let governor = Governor::new(PaceLimits::default());
    governor.throttled(None, None);
    let stop = Stop::new();
    let means = Means { policy: &policy, clock: &clock, governor: &governor, reporter: None, stop: &stop };
    let attempt = || async { panic!("it was begun") };
    let waiting = run::<&'static str, _>(means, Operation::Send, Load::CALL, attempt);
    let stopping = async {
        clock.sleep(Duration::from_secs(1)).await;
        stop.request();
    };
    let (result, ()) = futures::future::join(waiting, stopping).await;
    assert_eq!(result, Err(GraphError::Stopped { operation: Operation::Send }));
    assert_eq!(clock.now(), Timestamp::from_unix_millis(1_000));
}

#[tokio::test(start_paused = true)]
async fn nothing_leaves_where_the_last_word_is_no() {
    let (policy, clock) = (RetryPolicy::default(), ManualClock::new(Timestamp::from_unix_millis(0)));
    let (governor, operation) = (Governor::new(PaceLimits::default()), Operation::Send);
    for (is_ready, expected) in [(true, Ok("id")), (false, Err(GraphError::Stopped { operation }))] {
        let means = Means { policy: &policy, clock: &clock, governor: &governor, reporter: None, stop: &Stop::new() };
        let (mut patience, mut attempts) = (Duration::ZERO, 0);
        let attempt = async {
            attempts += 1;
            Outcome::Done("id")
        };
        let ready = std::future::ready(is_ready);
        assert_eq!(once(means, operation, Load::CALL, &mut patience, ready, attempt).await, expected);
        assert_eq!(attempts, usize::from(is_ready));
    }
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_reaches_nobody_opens_no_gate_and_one_that_is_answered_does() {
    let (policy, clock) = (RetryPolicy::default(), ManualClock::new(Timestamp::from_unix_millis(0)));
    let governor = Governor::new(PaceLimits::default());
    governor.throttled(None, None);
    let means = Means { policy: &policy, clock: &clock, governor: &governor, reporter: None, stop: &Stop::new() };
    let mut script = vec![unreached(), in_doubt(Retry::Backoff), Outcome::Done("id")].into_iter();
    let mut is_shut = Vec::new();
    let attempt = || {
        is_shut.push(governor.pace().shut_for.is_some());
        std::future::ready(script.next().expect("the script was long enough"))
    };
    assert_eq!(run(means, Operation::Upload, Load::CALL, attempt).await, Ok("id"));
    assert_eq!((is_shut, governor.pace().shut_for), (vec![true; 3], None));
}

#[test]
fn pauses_grow_stay_in_bounds_and_differ() {
    let policy = RetryPolicy { attempts: u32::MAX, ..RetryPolicy::default() };
    let mut budgets = [(); 500].map(|()| Budget::new(&policy));
    for failures in 0..10 {
        let bound = Duration::from_millis(500 << failures).min(Duration::from_secs(30));
        let pauses = budgets.each_mut().map(|budget| budget.pause(Retry::Backoff).expect("attempts are left"));
        let (shortest, longest) = (pauses.iter().min().unwrap(), pauses.iter().max().unwrap());
        assert!(*shortest < bound / 2 && *longest > bound / 2 && *longest <= bound, "{shortest:?} {longest:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn no_pause_is_longer_and_none_more_frequent_than_a_policy_says(
        attempts in 0..50_u32,
        first in 0..u64::MAX,
        longest in 0..100_000_u64,
        failures in prop::collection::vec(any::<bool>(), 0..60),
    ) {
        let (first_pause, longest_pause) = (Duration::from_millis(first >> (first % 64)), Duration::from_millis(longest));
        let policy = RetryPolicy { attempts, first_pause, longest_pause, max_wait: Duration::ZERO };
        let mut budget = Budget::new(&policy);
        let (mut pauses, mut bound) = (0, first_pause);
        let mut second_tries = 0;
        for passes_soon in failures {
            let retry = if passes_soon { Retry::Once } else { Retry::Backoff };
            let Some(pause) = budget.pause(retry) else { continue };
            pauses += 1;
            second_tries += u32::from(passes_soon);
            prop_assert!(pause <= bound.min(longest_pause), "{pause:?}");
            bound = bound.saturating_mul(2);
        }
        prop_assert!(pauses < attempts.max(1) && second_tries <= 1);
    }
}

#[test]
fn the_last_attempt_is_not_waited_after() {
    let policy = RetryPolicy { attempts: 0, ..RetryPolicy::default() };
    assert_eq!(Budget::new(&policy).pause(Retry::Backoff), None);
    assert_eq!(Budget::new(&policy).pause(Retry::Never), None);
}
