mod orders;
mod share;

use std::sync::Arc;

use async_trait::async_trait;
use futures::StreamExt;
use http::{HeaderName, HeaderValue, StatusCode};

use super::*;
use crate::clock::{ManualClock, Timestamp};
use crate::graph::{
    Answered, Attempt, Body, Call, GraphClient, GraphError, GraphOptions, Hook, Message, RetryPolicy, SendRequest,
    Transport, Waiting,
};
use crate::ids::{MediaKind, Origin, PageId, Recipient};
use crate::secret::AccessToken;

/// A Graph API that takes everything, but for the first `storm`; and notes when each call came.
#[derive(Debug)]
struct Meta {
    storm: Duration,
    begun: Instant,
    latency: Duration,
    calls: Mutex<Vec<(Instant, bool)>>,
    /// When each message came, of calls of several.
    messages: Mutex<Vec<Duration>>,
    headers: Mutex<HeaderMap>,
}

impl Meta {
    fn new(storm: Duration) -> Arc<Self> {
        let (begun, latency) = (Instant::now(), Duration::from_millis(40));
        Arc::new(Self {
            storm,
            begun,
            latency,
            calls: Mutex::default(),
            messages: Mutex::default(),
            headers: Mutex::default(),
        })
    }

    fn client(self: &Arc<Self>, governor: &Arc<Governor>, max_wait: Duration) -> GraphClient {
        let token = AccessToken::new("PAGE-TOKEN").expect("a token");
        let options = GraphOptions {
            retry: RetryPolicy { max_wait, ..RetryPolicy::default() },
            ..GraphOptions::new(Origin::GRAPH.parse().expect("an origin"), token)
        };
        let clock = Arc::new(ManualClock::new(Timestamp::from_unix_millis(0)));
        GraphClient::new(options, Arc::<Self>::clone(self), clock).with_governor(Arc::clone(governor))
    }

    /// When calls came, refused or not.
    fn times(&self, refused: bool) -> Vec<Duration> {
        let calls = self.calls.lock().unwrap();
        calls.iter().filter(|call| call.1 == refused).map(|call| call.0 - self.begun).collect()
    }
}

#[async_trait]
impl Transport for Meta {
    async fn execute(&self, call: Call) -> Attempt {
        let now = Instant::now();
        if let Body::Form(form) = &call.body {
            let items = String::from_utf8_lossy(form).matches("relative_url").count();
            self.messages.lock().unwrap().extend(std::iter::repeat_n(now - self.begun, items));
        }
        let refused = now - self.begun < self.storm;
        self.calls.lock().unwrap().push((now, refused));
        tokio::time::sleep(self.latency).await;
        let (status, body) = if refused {
            (400, r#"{"error":{"code":613,"message":"(#613) Calls to this api have exceeded the rate limit."}}"#)
        } else {
            (200, r#"{"recipient_id":"1","message_id":"m_1"}"#)
        };
        let headers = self.headers.lock().unwrap().clone();
        Attempt::Answered(Answered { status: StatusCode::from_u16(status).unwrap(), headers, body: body.into() })
    }
}

fn page() -> PageId {
    "1".parse().expect("a Page")
}

fn text() -> SendRequest {
    SendRequest::new(Recipient::Psid("1".to_owned()), Message::text("hi"))
}

fn video() -> SendRequest {
    let message = Message::attachment(MediaKind::Video, &"7".parse().expect("an id"));
    SendRequest::new(Recipient::Psid("1".to_owned()), message)
}

/// `count` messages by so many workers; each result in its order.
async fn send_all(client: &GraphClient, request: &SendRequest, count: usize, workers: usize) -> Vec<GraphError> {
    let page = page();
    let sends = futures::stream::iter(0..count).map(|_| client.send(&page, request)).buffer_unordered(workers);
    sends.filter_map(async |sent| sent.err()).collect().await
}

/// The most calls in any second, both its ends counted; `times` ascend.
fn most_in_a_second(times: &[Duration]) -> usize {
    let until = |start: Duration| times.partition_point(|&at| at <= start + Duration::from_secs(1));
    times.iter().enumerate().map(|(place, &start)| until(start) - place).max().unwrap_or(0)
}

fn governor(limits: PaceLimits) -> Arc<Governor> {
    Arc::new(Governor::new(limits))
}

const PATIENT: Duration = Duration::from_mins(15);

#[test]
fn loads_add_up_lane_by_lane() {
    let one = Load { calls: 1, messages: 20, media: 300, conversations: 4_000 };
    let other = Load { calls: 2, messages: 30, media: 400, conversations: 5_000 };
    assert_eq!(one.plus(other), Load { calls: 3, messages: 50, media: 700, conversations: 9_000 });
}

#[tokio::test(start_paused = true)]
async fn at_thirty_a_second_no_second_holds_more_and_little_is_wasted() {
    for rate in [1, 10, 30, 300] {
        let meta = Meta::new(Duration::ZERO);
        let governor = governor(PaceLimits { messages_per_second: rate, ..PaceLimits::default() });
        let client = meta.client(&governor, PATIENT);
        let (page, request) = (page(), text());
        let minute = tokio::time::sleep(Duration::from_mins(1));
        let endless = futures::stream::repeat(()).map(|()| client.send(&page, &request)).buffer_unordered(32);
        drop(futures::future::select(Box::pin(minute), Box::pin(endless.for_each(async |_| ()))).await);
        let times = meta.times(false);
        let full = rate as usize * 60;
        assert!(most_in_a_second(&times) <= rate as usize, "{rate}: {}", most_in_a_second(&times));
        assert!(times.len() >= full * 95 / 100 && times.len() <= full + 1, "{rate}: {} of {full}", times.len());
    }
}

#[tokio::test(start_paused = true)]
async fn conversations_are_asked_for_twice_a_second_and_hold_up_no_message() {
    let governor = governor(PaceLimits::default());
    let begun = Instant::now();
    let pass = async |load: Load, count: usize| {
        let mut times = Vec::new();
        for _ in 0..count {
            let mut patience = PATIENT;
            let admitted = governor.admit(load, &mut patience, |_| ()).await.expect("let in");
            admitted.depart().await.expect("let go").unhindered();
            times.push(begun.elapsed());
        }
        times
    };
    let message = Load { messages: 1, ..Load::CALL };
    let (asked, sent) = futures::future::join(pass(Load::CONVERSATION, 120), pass(message, 300)).await;
    assert_eq!(most_in_a_second(&asked), 2);
    let minute = Duration::from_mins(1);
    assert!((minute..minute * 105 / 100).contains(&asked[119]), "{asked:?}");
    assert!(sent[299] <= Duration::from_secs(11), "{:?}", sent[299]);
}

#[tokio::test(start_paused = true)]
async fn a_storm_of_ten_minutes_costs_few_probes_fails_nobody_and_is_over_soon_after() {
    let storm = Duration::from_mins(10);
    let meta = Meta::new(storm);
    let client = meta.client(&governor(PaceLimits::default()), PATIENT);
    let errors = send_all(&client, &text(), 10_000, 8).await;
    assert_eq!(errors, []);
    let (probes, sent) = (meta.times(true), meta.times(false));
    assert!(probes.len() <= 20, "{} probes: {probes:?}", probes.len());
    assert_eq!(sent.len(), 10_000);
    assert!(sent[0] <= storm + Duration::from_mins(1), "back after {:?}", sent[0]);
    assert!(most_in_a_second(&sent) <= 30);
    let took = sent[9_999].saturating_sub(sent[0]);
    assert!(took < Duration::from_mins(8), "the pace came back: {took:?}");
}

#[tokio::test(start_paused = true)]
async fn whoever_may_not_wait_so_long_is_told_at_once_and_why() {
    let meta = Meta::new(Duration::from_mins(10));
    let governor = governor(PaceLimits::default());
    let patient = meta.client(&governor, PATIENT);
    let impatient = meta.client(&governor, Duration::from_secs(5));
    let (page, request) = (page(), text());
    let first = patient.send(&page, &request);
    let second = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let begun = Instant::now();
        (impatient.send(&page, &request).await, begun.elapsed())
    };
    let (first, (second, took)) = futures::future::join(first, second).await;
    assert!(first.is_ok());
    assert!(took < Duration::from_secs(1), "{took:?}");
    assert!(matches!(&second, Err(GraphError::RateLimited { refusal: Some(refusal), .. }) if refusal.code == 613));
}

#[tokio::test(start_paused = true)]
async fn all_calls_of_a_page_share_a_budget_and_pages_do_not() {
    let limits = PaceLimits { messages_per_second: 30, calls_per_second: 40, ..PaceLimits::default() };
    let meta = Meta::new(Duration::ZERO);
    let shared = governor(limits);
    let (one, other) = (meta.client(&shared, PATIENT), meta.client(&shared, PATIENT));
    let request = text();
    let sends = send_all(&one, &request, 150, 8);
    let questions = futures::stream::iter(0..150).map(|_| other.me()).buffer_unordered(8);
    futures::future::join(sends, questions.for_each(async |_| ())).await;
    let most = most_in_a_second(&meta.times(false));
    assert!(most > 30 && most <= 40, "{most}");

    let meta = Meta::new(Duration::ZERO);
    let (one, other) = (meta.client(&governor(limits), PATIENT), meta.client(&governor(limits), PATIENT));
    futures::future::join(send_all(&one, &request, 150, 8), send_all(&other, &request, 150, 8)).await;
    assert!(most_in_a_second(&meta.times(false)) > 50);
}

#[tokio::test(start_paused = true)]
async fn a_throttled_upload_holds_back_messages() {
    let meta = Meta::new(Duration::from_secs(20));
    let client = meta.client(&governor(PaceLimits::default()), PATIENT);
    let upload = async {
        // Refused twice for its rate, then answered as a message is, which is no upload's answer.
        client.me().await.expect_err("no identity")
    };
    let message = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        send_all(&client, &text(), 1, 1).await
    };
    let (_, errors) = futures::future::join(upload, message).await;
    assert_eq!(errors, []);
    assert!(meta.times(true).len() == 1 && meta.times(false)[0] >= Duration::from_secs(50), "{:?}", meta.times(false));
}

#[tokio::test(start_paused = true)]
async fn video_goes_slower_and_holds_up_nobody_else() {
    let meta = Meta::new(Duration::ZERO);
    let client = meta.client(&governor(PaceLimits::default()), PATIENT);
    let begun = Instant::now();
    let videos = async {
        send_all(&client, &video(), 60, 8).await;
        begun.elapsed()
    };
    let texts = async {
        send_all(&client, &text(), 100, 8).await;
        begun.elapsed()
    };
    let (videos, texts) = futures::future::join(videos, texts).await;
    // They queue with the texts as well, so while those take all they can get it is a little slower than ten a second.
    assert!(videos >= Duration::from_millis(5_800) && videos < Duration::from_millis(8_500), "{videos:?}");
    assert!(texts < Duration::from_millis(5_500), "{texts:?}");
    assert!(most_in_a_second(&meta.times(false)) <= 30);
}

#[tokio::test(start_paused = true)]
async fn the_days_calls_are_counted_and_waited_for() {
    let meta = Meta::new(Duration::ZERO);
    let governor = governor(PaceLimits { calls_per_day: Some(100), ..PaceLimits::default() });
    let errors = send_all(&meta.client(&governor, PATIENT), &text(), 101, 4).await;
    let [error @ GraphError::RateLimited { wait: Some(_), refusal: None, .. }] = &errors[..] else {
        panic!("{errors:?}");
    };
    let words = "the setting calls_per_day holds the send back: 100 of 100 calls of 24 hours are used";
    assert!(error.to_string().starts_with(words) && error.to_string().ends_with(" more in 24 h 1 min"), "{error}");
    assert!(error.hint().is_some_and(|hint| hint.contains("raise calls_per_day")), "{error:?}");
    assert_eq!(governor.pace().calls_left, Some(0));
    let patient = meta.client(&governor, Duration::from_hours(25));
    assert_eq!(send_all(&patient, &text(), 1, 1).await, []);
    assert!(meta.begun.elapsed() >= Duration::from_hours(24));
}

#[tokio::test(start_paused = true)]
async fn whoever_will_not_wait_for_the_day_shuts_it_for_nobody_who_still_fits_in() {
    let governor = governor(PaceLimits { calls_per_day: Some(10), ..PaceLimits::default() });
    let go = async |calls: u32, mut patience: Duration| {
        let load = Load { calls, ..Load::default() };
        let wait = |too_long| if let TooLong::Spent { wait, .. } = too_long { Some(wait) } else { None };
        let admitted = governor.admit(load, &mut patience, |_| ()).await.map_err(wait)?;
        admitted.depart().await.expect("let go").unhindered();
        Ok(())
    };
    let begun = Instant::now();
    let day = Duration::from_hours(24) + Duration::from_mins(1);
    assert_eq!(go(6, Duration::ZERO).await, Ok(()));
    assert_eq!(go(5, Duration::from_hours(1)).await, Err(Some(day)));
    assert_eq!((go(4, PATIENT).await, governor.pace().shut_for), (Ok(()), None));
    assert!(begun.elapsed() < Duration::from_secs(1));
    // As long as it takes, and no longer.
    tokio::time::sleep_until(begun + Duration::from_mins(1)).await;
    assert_eq!(go(5, Duration::from_hours(24)).await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn the_longest_that_was_lately_taken_between_admission_and_departure_fades() {
    let governor = governor(PaceLimits::default());
    let lead_after = async |millis| {
        let mut patience = PATIENT;
        let admitted = governor.admit(Load::CALL, &mut patience, |_| ()).await.expect("let in");
        tokio::time::sleep(Duration::from_millis(millis)).await;
        admitted.depart().await.expect("let go").unhindered();
        governor.state().lead
    };
    let leads = [lead_after(640).await, lead_after(0).await, lead_after(100).await, lead_after(9_000).await];
    assert_eq!(leads[..2], [640, 630].map(Duration::from_millis));
    assert_eq!(leads[2..], [Duration::from_micros(620_156) + Duration::from_nanos(250), LONGEST_LEAD]);
}

#[tokio::test(start_paused = true)]
async fn a_pace_that_was_cut_grows_back_in_two_minutes_and_is_never_cut_to_nothing() {
    let governor = governor(PaceLimits::default());
    governor.throttled(Some(Duration::from_secs(1)), None);
    let mut paces = vec![governor.pace().per_second];
    for seconds in [12, 12, 12, 60] {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        paces.push(governor.pace().per_second);
    }
    assert_eq!(paces, [21, 24, 27, 30, 30]);
    (0..20).for_each(|_| governor.state().slow_down(Instant::now()));
    assert_eq!(governor.pace().per_second, 3);
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_grows_by_more_than_a_second_is_told_again() {
    let governor = governor(PaceLimits::default());
    let shut_for = |seconds| governor.throttled(Some(Duration::from_secs(seconds)), None);
    shut_for(30);
    let told = Mutex::new(Vec::new());
    let mut patience = PATIENT;
    let waiting = governor.admit(Load::CALL, &mut patience, |wait| told.lock().unwrap().push(wait.pause.as_secs()));
    let growing = async {
        for seconds in [31, 33] {
            tokio::task::yield_now().await;
            shut_for(seconds);
        }
    };
    let (admitted, ()) = futures::future::join(waiting, growing).await;
    admitted.expect("let in").depart().await.expect("let go").unhindered();
    assert_eq!(*told.lock().unwrap(), [30, 33]);
}

#[test]
fn who_asks_for_the_limits_is_told_those_it_was_made_with() {
    let limits = PaceLimits { messages_per_second: 7, calls_per_day: Some(100), ..PaceLimits::default() };
    let page = PaceLimits::default();
    assert_eq!(
        [Governor::new(limits), Governor::within(page, "a".to_owned(), limits)].map(|own| own.limits()),
        [limits; 2]
    );
}

#[tokio::test(start_paused = true)]
async fn usage_headers_slow_the_pace_and_are_forgotten() {
    let meta = Meta::new(Duration::ZERO);
    let governor = governor(PaceLimits::default());
    let client = meta.client(&governor, PATIENT);
    let declare = |text: &'static str| {
        meta.headers.lock().unwrap().insert("x-page-usage", HeaderValue::from_static(text));
    };
    for (usage, pace) in [(r#"{"call_count":74}"#, 30), (r#"{"call_count":90}"#, 13), (r#"{"call_count":100}"#, 3)] {
        declare(usage);
        send_all(&client, &text(), 1, 1).await;
        assert_eq!(governor.pace().per_second, pace, "{usage}");
        assert_eq!(governor.pace().shut_for, None, "{usage} names no time");
    }
    let early = r#"{"1":[{"call_count":90,"estimated_time_to_regain_access":3}]}"#;
    let headers =
        HeaderMap::from_iter([(HeaderName::from_static("x-business-use-case-usage"), early.parse().unwrap())]);
    governor.observe(&headers);
    assert_eq!((governor.pace().per_second, governor.pace().shut_for), (13, None), "the limit is not reached");
    tokio::time::sleep(PRESSURE_LASTS).await;
    assert_eq!(governor.pace().per_second, 30);
}

#[tokio::test(start_paused = true)]
async fn headers_that_name_a_time_shut_the_gate_before_a_call_is_refused() {
    let meta = Meta::new(Duration::ZERO);
    let governor = governor(PaceLimits::default());
    let client = meta.client(&governor, PATIENT);
    let usage = r#"{"1":[{"type":"messenger","call_count":100,"estimated_time_to_regain_access":3}]}"#;
    meta.headers.lock().unwrap().insert("x-business-use-case-usage", HeaderValue::from_static(usage));
    send_all(&client, &text(), 1, 1).await;
    assert!(governor.pace().shut_for.is_some_and(|left| left <= Duration::from_mins(3)));
    meta.headers.lock().unwrap().clear();
    let begun = Instant::now();
    assert_eq!(send_all(&client, &text(), 2, 2).await, []);
    assert!(begun.elapsed() > Duration::from_secs(170), "{:?}", begun.elapsed());
    assert_eq!(governor.pace().shut_for, None);
}

#[tokio::test(start_paused = true)]
async fn as_long_as_headers_name_a_time_one_call_goes_when_it_is_over() {
    let usage = r#"{"1":[{"type":"messenger","call_count":100,"estimated_time_to_regain_access":0.05}]}"#;
    for latency in [Duration::from_millis(40), Duration::from_secs(1)] {
        let mut meta = Meta::new(Duration::ZERO);
        Arc::get_mut(&mut meta).expect("nobody else's").latency = latency;
        meta.headers.lock().unwrap().insert("x-business-use-case-usage", HeaderValue::from_static(usage));
        let governor = governor(PaceLimits::default());
        let client = meta.client(&governor, PATIENT);
        let (page, request) = (page(), text());
        let endless = futures::stream::repeat(()).map(|()| client.send(&page, &request)).buffer_unordered(32);
        let _ = tokio::time::timeout(Duration::from_mins(5), endless.for_each(async |_| ())).await;
        // Those of the first moment left before anything was said.
        let probes: Vec<_> = meta.times(false).into_iter().filter(|at| *at > latency).collect();
        assert!(probes.len() > 5, "{latency:?}: {probes:?}");
        let shortest = probes.windows(2).map(|pair| pair[1].saturating_sub(pair[0])).min();
        assert!(shortest >= Some(Duration::from_secs(3)), "{latency:?}: {probes:?}");
        // Once they say otherwise, all go.
        meta.headers.lock().unwrap().clear();
        assert_eq!(send_all(&client, &text(), 60, 8).await, []);
        assert_eq!(governor.pace().shut_for, None);
    }
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_is_given_up_passes_its_duty_on() {
    let governor = governor(PaceLimits::default());
    governor.throttled(None, None);
    let mut patience = PATIENT;
    let probe = governor.admit(Load::CALL, &mut patience, |_| ()).await.expect("a probe");
    let probe = probe.depart().await.expect("a pass");
    let mut patience = PATIENT;
    let next = governor.admit(Load::CALL, &mut patience, |_| ());
    let given_up = async {
        tokio::time::sleep(Duration::from_secs(3)).await;
        drop(probe);
    };
    let begun = Instant::now();
    let (next, ()) = futures::future::join(next, given_up).await;
    assert_eq!(begun.elapsed(), Duration::from_secs(3));
    next.expect("the next probe").depart().await.expect("a pass").unhindered();
    assert_eq!(governor.pace().shut_for, None);
}

#[tokio::test(start_paused = true)]
async fn only_one_call_goes_through_a_gate_whose_time_is_over() {
    let governor = governor(PaceLimits::default());
    governor.throttled(Some(Duration::from_secs(10)), None);
    let (mut patience, mut impatience) = (PATIENT, Duration::from_secs(10));
    let probe = governor.admit(Load::CALL, &mut patience, |_| ()).await.expect("a probe");
    let probe = probe.depart().await.expect("a pass");
    let begun = Instant::now();
    governor.admit(Load::CALL, &mut impatience, |_| ()).await.expect_err("it waited for the probe");
    assert_eq!(begun.elapsed(), Duration::from_secs(10));
    // A long upload may be the probe, and is not waited for to its end.
    let second = governor.admit(Load::CALL, &mut patience, |_| ()).await.expect("another probe");
    assert_eq!(begun.elapsed(), PROBE_PATIENCE);
    second.depart().await.expect("a pass").unhindered();
    assert_eq!(governor.pace().shut_for, None);
    probe.unhindered();
    assert_eq!(governor.pace().shut_for, None);
}

#[tokio::test(start_paused = true)]
async fn a_throttle_lowers_the_pace_though_its_own_headers_shut_the_gate_first() {
    let usage = HeaderValue::from_static(r#"{"1":[{"call_count":100,"estimated_time_to_regain_access":1}]}"#);
    for headers in [None, Some(usage)] {
        let meta = Meta::new(Duration::from_secs(30));
        if let Some(usage) = &headers {
            meta.headers.lock().unwrap().insert("x-business-use-case-usage", usage.clone());
        }
        let governor = governor(PaceLimits::default());
        let impatient = meta.client(&governor, Duration::from_secs(1));
        assert_eq!(send_all(&impatient, &text(), 1, 1).await.len(), 1);
        let factor = governor.state().factor.0;
        assert!((factor - DECREASE).abs() < 0.01, "{headers:?}: {factor}");
        assert!(governor.state().usage.is_some() == headers.is_some());
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_came_first_goes_first_and_who_leaves_costs_nothing() {
    let governor = governor(PaceLimits { messages_per_second: 1, ..PaceLimits::default() });
    let order = Mutex::new(Vec::new());
    let call = |number: u32| {
        let (governor, order) = (&governor, &order);
        async move {
            let mut patience = PATIENT;
            governor
                .admit(Load::of(&text()), &mut patience, |_| ())
                .await
                .expect("a turn")
                .depart()
                .await
                .expect("a pass")
                .unhindered();
            order.lock().unwrap().push(number);
        }
    };
    let left_early = tokio::time::timeout(Duration::from_millis(1_500), call(99));
    let begun = Instant::now();
    let _ = futures::join!(call(0), call(1), left_early, call(2), call(3));
    assert_eq!(*order.lock().unwrap(), [0, 1, 2, 3]);
    assert!(begun.elapsed() < Duration::from_millis(3_100), "{:?}", begun.elapsed());
    assert_eq!(governor.pace().waiting, 0);
}

#[tokio::test(start_paused = true)]
async fn every_wait_at_the_gate_is_told_with_its_end() {
    let meta = Meta::new(Duration::from_secs(30));
    let told = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&told);
    let client = meta.client(&governor(PaceLimits::default()), PATIENT);
    let client = client.with_reporter(Hook::new(move |waiting: Waiting| log.lock().unwrap().push(waiting.until)));
    assert_eq!(send_all(&client, &text(), 3, 3).await, []);
    let told = told.lock().unwrap();
    assert_eq!(told.len(), 3, "each of them: {told:?}");
    assert!(told.iter().all(|until| until.as_unix_millis() >= 49_000 && until.as_unix_millis() <= 51_000), "{told:?}");
}

/// A disk that takes up to `longest`, never the same time twice, and says yes.
async fn disk(longest: Duration) -> bool {
    tokio::time::sleep(longest.mul_f64(fastrand::f64())).await;
    true
}

/// Sends for a minute with `workers` at once, so many messages together, each written down first on a disk that takes up
/// to `longest`. Gives when messages left.
async fn minute_of(rate: u32, together: usize, workers: usize, longest: Duration) -> Vec<Duration> {
    let meta = Meta::new(Duration::ZERO);
    let limits = PaceLimits { messages_per_second: rate, ..PaceLimits::default() };
    let client = meta.client(&governor(limits), PATIENT);
    let (page, requests) = (page(), vec![text(); together]);
    let send = async |()| {
        let mut patience = PATIENT;
        if together == 1 {
            client.send_once(&page, &requests[0], &mut patience, disk(longest)).await.expect("sent");
        } else {
            // The answer is no list of answers, which is nothing to us.
            let _ = client.send_batch_once(&page, &requests, &mut patience, |_| disk(longest)).await;
        }
    };
    let endless = futures::stream::repeat(()).map(send).buffer_unordered(workers);
    let _ = tokio::time::timeout(Duration::from_mins(1), endless.for_each(async |()| ())).await;
    meta.times(false).into_iter().flat_map(|at| std::iter::repeat_n(at, together)).collect()
}

#[tokio::test(start_paused = true)]
async fn no_second_holds_more_than_the_rate_however_slow_the_disk() {
    fastrand::seed(7);
    for longest in [0, 5, 150, 400].map(Duration::from_millis) {
        for rate in [1, 30] {
            let times = minute_of(rate, 1, 64, longest).await;
            let (most, full) = (most_in_a_second(&times), rate as usize * 60);
            assert!(most <= rate as usize, "{rate}, {longest:?}: {most}");
            assert!(times.len() >= full * 95 / 100, "{rate}, {longest:?}: {} of {full}", times.len());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn no_second_holds_more_than_the_rate_of_messages_that_leave_together() {
    fastrand::seed(7);
    for (rate, together) in [(30, 5), (30, 30), (300, 50)] {
        let times = minute_of(rate, together, 16, Duration::from_millis(150)).await;
        let (most, full) = (most_in_a_second(&times), rate as usize * 60);
        assert!(most <= rate as usize, "{together} of {rate}: {most}");
        assert!(times.len() >= full * 95 / 100, "{together} of {rate}: {} of {full}", times.len());
    }
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_stops_for_a_while_makes_nobody_leave_in_a_heap() {
    let meta = Meta::new(Duration::ZERO);
    let client = meta.client(&governor(PaceLimits::default()), PATIENT);
    let (page, request) = (page(), text());
    let stall = Duration::from_secs(20)..Duration::from_secs(30);
    let written = Mutex::new(Vec::new());
    let send = async |()| {
        let mut patience = PATIENT;
        let ready = async {
            let now = meta.begun.elapsed();
            let usual = Duration::from_millis(3);
            tokio::time::sleep(if stall.contains(&now) { stall.end.saturating_sub(now) } else { usual }).await;
            written.lock().unwrap().push(meta.begun.elapsed());
            true
        };
        client.send_once(&page, &request, &mut patience, ready).await.expect("sent");
    };
    let endless = futures::stream::repeat(()).map(send).buffer_unordered(64);
    let _ = tokio::time::timeout(Duration::from_mins(1), endless.for_each(async |()| ())).await;
    let times = meta.times(false);
    assert!(most_in_a_second(&times) <= 30);
    assert!(times.len() >= 50 * 30 * 95 / 100, "{}", times.len());
    let most_at_once = times.chunk_by(|one, other| one == other).map(<[_]>::len).max();
    assert!(most_at_once <= Some(7), "{most_at_once:?}");
    // A minute is over before the last of them leaves.
    let ahead = written.lock().unwrap().iter().filter(|at| **at <= *times.last().expect("some")).count() - times.len();
    assert!(ahead <= 30, "{ahead} written down and not gone");
}

#[tokio::test(start_paused = true)]
async fn whoever_meets_a_shut_gate_after_it_was_written_down_is_told_at_once_and_does_not_leave() {
    let meta = Meta::new(Duration::ZERO);
    let governor = governor(PaceLimits::default());
    let client = meta.client(&governor, PATIENT);
    let (page, request, mut patience) = (page(), text(), PATIENT);
    let ready = async {
        governor.throttled(Some(Duration::from_secs(30)), None);
        true
    };
    let refused = client.send_once(&page, &request, &mut patience, ready).await;
    assert!(matches!(refused, Err(GraphError::RateLimited { wait: Some(_), .. })), "{refused:?}");
    assert_eq!((meta.begun.elapsed(), meta.times(false).len()), (Duration::ZERO, 0));
    client.send_once(&page, &request, &mut patience, async { true }).await.expect("its turn comes again");
    assert!(meta.times(false)[0] >= Duration::from_secs(30));
    assert_eq!(governor.state().lanes.each_ref().map(Window::promised), [0; LANES]);
}

#[tokio::test(start_paused = true)]
async fn whoever_was_admitted_before_the_gate_shut_does_not_leave_beside_its_probe() {
    let governor = governor(PaceLimits::default());
    let admit = async || {
        let mut patience = PATIENT;
        governor.admit(Load::CALL, &mut patience, |_| ()).await.expect("let in")
    };
    // The disk takes its time, so that several are let in at once.
    let slow = admit().await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    slow.depart().await.expect("let go").unhindered();
    let early = admit().await;
    governor.throttled(Some(Duration::from_secs(1)), None);
    let probe = admit().await;
    assert!(early.depart().await.is_err());
    probe.depart().await.expect("let go").unhindered();
    assert_eq!(governor.pace().shut_for, None);
}

#[tokio::test(start_paused = true)]
async fn a_storm_costs_no_row_of_a_ledger_an_attempt() {
    let storm = Duration::from_mins(10);
    let meta = Meta::new(storm);
    let client = meta.client(&governor(PaceLimits::default()), PATIENT);
    let (page, request) = (page(), text());
    let written = Mutex::new(0);
    // As a campaign does: an intent first, and back with it where nothing was sent.
    let deliver = async |_| {
        let (mut patience, attempts) = (PATIENT, Mutex::new(0));
        loop {
            let ready = async {
                *attempts.lock().unwrap() += 1;
                *written.lock().unwrap() += 1;
                disk(Duration::from_millis(150)).await
            };
            match client.send_once(&page, &request, &mut patience, ready).await {
                Ok(_) => return *attempts.lock().unwrap(),
                Err(GraphError::RateLimited { .. }) => *attempts.lock().unwrap() -= 1,
                Err(error) => panic!("{error}"),
            }
        }
    };
    let rows = futures::stream::iter(0..1_000).map(deliver).buffer_unordered(64);
    let attempts: Vec<i32> = rows.collect().await;
    assert_eq!(attempts, [1; 1_000]);
    let (refused, sent) = (meta.times(true), meta.times(false));
    assert!(refused.len() <= 20, "{} refused: {refused:?}", refused.len());
    assert!(sent.len() == 1_000 && sent[0] <= storm + Duration::from_mins(1), "back after {:?}", sent[0]);
    assert!(most_in_a_second(&sent) <= 30);
    let undone = written.into_inner().unwrap() - 1_000;
    assert!(undone <= 20 + 64, "{undone} written down for nothing");
}
