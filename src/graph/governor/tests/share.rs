//! Several governors on one Page's budget, in virtual time.

use super::*;
use crate::budget::{Gate as Throttles, Holding, LEASE, News, Portion, Rates, Standing, divide};

/// A record that divides a Page's budget: in memory, by a clock of its own.
#[derive(Debug)]
struct Book {
    begun: Instant,
    /// What its clock showed then.
    showed: i64,
    pages: Mutex<(Vec<Holding>, Throttles, u64)>,
    /// How long the way to it, or back, takes at least.
    latency: Duration,
    /// How much longer at most.
    spread: Duration,
    /// Of a hundred answers, how many are lost.
    lost: u8,
}

impl Book {
    fn new(latency: Duration) -> Arc<Self> {
        Arc::new(Self {
            begun: Instant::now(),
            showed: 0,
            pages: Mutex::default(),
            latency,
            spread: Duration::ZERO,
            lost: 0,
        })
    }

    /// One that is somewhere, and shows some time.
    fn anywhere() -> Self {
        Self {
            begun: Instant::now(),
            showed: fastrand::i64(0..2_000_000_000_000),
            pages: Mutex::default(),
            latency: Duration::from_millis(fastrand::u64(..20)),
            spread: Duration::from_millis(fastrand::u64(..250)),
            lost: fastrand::u8(..6),
        }
    }

    async fn travel(&self) {
        tokio::time::sleep(self.latency + self.spread.mul_f64(fastrand::f64())).await;
    }

    fn draw(&self, owner: i64, ask: &Ask) -> Slice {
        let now = self.showed + i64::try_from(self.begun.elapsed().as_millis()).unwrap();
        let mut pages = self.pages.lock().unwrap();
        let (holdings, gate, spent) = &mut *pages;
        let (mine, others): (Vec<_>, Vec<_>) = holdings.drain(..).partition(|holding| holding.owner == owner);
        let (holding, rates) = divide(owner, ask, mine.first(), &others, now);
        let held = holding.granted;
        *holdings = others.into_iter().chain([holding]).collect();
        *gate = gate.hear(owner, ask, now);
        let portion = ask.pool.map(|pool| {
            *spent -= pool.unspent.map_or(0, |(_, calls)| calls);
            let left = pool.limit - *spent;
            let calls = pool.calls.min(left.div_ceil(4));
            *spent += calls;
            Portion { calls, minute: 0, left, back_in: (left == 0).then_some(Duration::from_hours(24)) }
        });
        let (throttles, standing) = (gate.throttles, gate.standing(owner, now));
        Slice { rates, held, lasts: LEASE, portion, throttles, standing }
    }

    /// Draws for `governor` for as long as this is polled.
    async fn serve(&self, owner: i64, governor: &Governor) {
        let wishes = governor.share().expect("it shared nothing");
        loop {
            let _ = tokio::time::timeout(Duration::from_millis(400), wishes.notified()).await;
            for _ in 0..2 {
                let (ask, asked_at) = (governor.ask().expect("a share"), Instant::now());
                self.travel().await;
                let slice = self.draw(owner, &ask);
                self.travel().await;
                if fastrand::u8(..100) < self.lost {
                    governor.retract(&ask);
                    break;
                }
                governor.keep_to(&ask, &slice, asked_at);
                if slice.held == slice.rates {
                    break;
                }
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// Sends as fast as it may until `until`, `together` in one call.
async fn flood(meta: &Arc<Meta>, governor: &Arc<Governor>, together: usize, until: Duration) {
    let client = meta.client(governor, PATIENT);
    let (page, requests) = (page(), vec![text(); together]);
    let send = async |()| {
        let mut patience = PATIENT;
        let sent = if together == 1 {
            client.send_once(&page, &requests[0], &mut patience, disk(Duration::from_millis(5))).await.map(drop)
        } else {
            let ready = |_| disk(Duration::from_millis(5));
            client.send_batch_once(&page, &requests, &mut patience, ready).await.map(drop)
        };
        if let Err(GraphError::RateLimited { .. }) = sent {
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    };
    let left = until.saturating_sub(meta.begun.elapsed());
    let endless = futures::stream::repeat(()).map(send).buffer_unordered(32);
    let _ = tokio::time::timeout(left, endless.for_each(async |()| ())).await;
}

fn hasty(rate: u32) -> Arc<Governor> {
    governor(PaceLimits { messages_per_second: rate, ..PaceLimits::default() })
}

const MINUTE: Duration = Duration::from_mins(1);

#[tokio::test(start_paused = true)]
async fn two_who_are_busy_never_send_more_than_the_page_may_and_use_nearly_all_of_it() {
    fastrand::seed(7);
    for latency in [1, 150].map(Duration::from_millis) {
        let (meta, book) = (Meta::new(Duration::ZERO), Book::new(latency));
        let (one, other) = (hasty(30), hasty(30));
        let serving = futures::future::join(book.serve(1, &one), book.serve(2, &other));
        let sending = futures::future::join(flood(&meta, &one, 1, MINUTE), flood(&meta, &other, 1, MINUTE));
        futures::future::select(Box::pin(sending), Box::pin(serving)).await;
        let times = meta.times(false);
        assert!(most_in_a_second(&times) <= 30, "{latency:?}: {}", most_in_a_second(&times));
        assert!(times.len() >= 60 * 30 * 90 / 100, "{latency:?}: {}", times.len());
    }
}

/// Two are busy all the time; a third comes at some moment, and at another it is gone, amid whatever it does.
#[tokio::test(start_paused = true)]
#[expect(clippy::cast_precision_loss, reason = "hundreds of messages")]
async fn whenever_somebody_comes_or_dies_no_second_holds_more_and_nine_tenths_are_used() {
    let end = Duration::from_secs(30);
    let millis = |range| Duration::from_millis(fastrand::u64(range));
    for seed in 0..6 {
        fastrand::seed(seed);
        let (meta, book) = (Meta::new(Duration::ZERO), Book::anywhere());
        let (one, other, third) = (hasty(30), hasty(30), hasty(30));
        let (comes, dies) = (millis(7_000..10_000), millis(11_000..14_000));
        let short_life = async {
            tokio::time::sleep(comes).await;
            let life = futures::future::join(book.serve(3, &third), flood(&meta, &third, 1, end));
            let _ = tokio::time::timeout(dies.saturating_sub(comes), life).await;
        };
        let serving = futures::future::join3(book.serve(1, &one), book.serve(2, &other), short_life);
        let sending = futures::future::join(flood(&meta, &one, 1, end), flood(&meta, &other, 1, end));
        futures::future::select(Box::pin(sending), Box::pin(serving)).await;
        let times = meta.times(false);
        assert!(most_in_a_second(&times) <= 30, "seed {seed}: {} in {book:?}", most_in_a_second(&times));
        // The first has all until the second has come. What a dead one had lies fallow for its lease and a second.
        let settled = dies + LEASE + Duration::from_millis(3_500);
        for (from, until) in [(Duration::from_secs(4), comes), (settled, end)] {
            let sent = times.iter().filter(|at| (from..until).contains(*at)).count();
            let share = sent as f64 / until.saturating_sub(from).as_secs_f64() / 30.0;
            assert!(share >= 0.9, "seed {seed}: {share} from {from:?} to {until:?} in {book:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn slices_that_grow_and_shrink_break_no_second() {
    fastrand::seed(7);
    let (meta, book) = (Meta::new(Duration::ZERO), Book::new(Duration::from_millis(3)));
    let governors: Vec<_> = (0..4).map(|_| hasty(30)).collect();
    let mut serving: futures::stream::FuturesUnordered<_> =
        governors.iter().zip(1..).map(|(governor, owner)| book.serve(owner, governor)).collect();
    // Each comes and goes at times of its own.
    let busy = governors.iter().zip([7, 5, 3, 2]).map(|(governor, seconds)| {
        let meta = &meta;
        async move {
            for turn in 0..60 / seconds {
                let (from, until) = (turn * seconds, (turn + 1) * seconds);
                if turn % 2 == 0 {
                    flood(meta, governor, 1, Duration::from_secs(until)).await;
                } else {
                    tokio::time::sleep(Duration::from_secs(until - from)).await;
                }
            }
        }
    });
    let sending = futures::future::join_all(busy);
    futures::future::select(Box::pin(sending), serving.next()).await;
    let times = meta.times(false);
    assert!(most_in_a_second(&times) <= 30, "{}", most_in_a_second(&times));
    assert!(times.len() >= 60 * 30 * 50 / 100, "{}", times.len());
}

#[tokio::test(start_paused = true)]
async fn calls_of_many_messages_keep_to_a_slice_that_shrinks_behind_them() {
    fastrand::seed(7);
    for together in [5, 20] {
        let (meta, book) = (Meta::new(Duration::ZERO), Book::new(Duration::from_millis(3)));
        let governors: Vec<_> = (0..3).map(|_| hasty(30)).collect();
        let mut serving: futures::stream::FuturesUnordered<_> =
            governors.iter().zip(1..).map(|(governor, owner)| book.serve(owner, governor)).collect();
        let busy = governors.iter().zip([60, 40, 20]).map(|(governor, seconds)| {
            let meta = &meta;
            async move {
                tokio::time::sleep(Duration::from_secs(60 - seconds)).await;
                flood(meta, governor, together, MINUTE).await;
            }
        });
        let sending = futures::future::join_all(busy);
        futures::future::select(Box::pin(sending), serving.next()).await;
        let times = meta.messages.lock().unwrap().clone();
        assert!(most_in_a_second(&times) <= 30, "{together}: {}", most_in_a_second(&times));
        assert!(times.len() >= 60 * 30 * 60 / 100, "{together}: {}", times.len());
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_gets_no_share_ends_with_what_keeps_the_record_from_giving_one_and_soon() {
    let meta = Meta::new(Duration::ZERO);
    let governor = hasty(30);
    governor.share().expect("it shared nothing");
    let cause = NoShare::new("failed to write to the record".to_owned(), Some("name the primary"));
    governor.go_without(cause.clone());
    let client = meta.client(&governor, Duration::from_mins(10));
    let (page, request) = (page(), text());
    let refused = client.send(&page, &request).await.expect_err("no share");
    assert!(matches!(&refused, GraphError::Unshared { cause: told, .. } if *told == cause), "{refused:?}");
    assert_eq!((refused.hint(), meta.begun.elapsed()), (Some("name the primary"), MINUTE));
    // One who says how long to wait is not told sooner.
    let mut patience = MINUTE * 3;
    let refused = client.send_once(&page, &request, &mut patience, async { true }).await;
    assert!(matches!(refused, Err(GraphError::Unshared { .. })), "{refused:?}");
    assert_eq!((meta.begun.elapsed(), meta.times(false).len()), (MINUTE * 4, 0));
    // What it was told before is over.
    let ask = governor.ask().expect("a share");
    governor.keep_to(&ask, &Slice::nothing(), Instant::now());
    let refused = client.send(&page, &request).await;
    assert!(matches!(refused, Err(GraphError::RateLimited { .. })), "{refused:?}");
}

#[tokio::test(start_paused = true)]
async fn nothing_leaves_without_a_slice_nor_after_its_lease() {
    let (meta, book) = (Meta::new(Duration::ZERO), Book::new(Duration::ZERO));
    let governor = hasty(30);
    let impatient = meta.client(&governor, Duration::from_secs(20));
    governor.share().expect("it shared nothing");
    let (page, request) = (page(), text());
    let refused = impatient.send(&page, &request).await;
    assert!(matches!(refused, Err(GraphError::RateLimited { wait: None, refusal: None, .. })), "{refused:?}");
    assert_eq!((meta.begun.elapsed(), meta.times(false).len()), (Duration::from_secs(20), 0));
    let sending = flood(&meta, &governor, 1, MINUTE);
    let drawing = async {
        tokio::time::sleep(Duration::from_millis(1)).await;
        let (ask, asked_at) = (governor.ask().expect("a share"), Instant::now());
        governor.keep_to(&ask, &book.draw(1, &ask), asked_at);
        asked_at - meta.begun
    };
    let ((), drawn) = futures::future::join(sending, drawing).await;
    let times = meta.times(false);
    let (first, last) = (times[0], *times.last().expect("some"));
    assert!(first >= drawn && last < drawn + LEASE && last > drawn + LEASE * 9 / 10, "{drawn:?}: {first:?}, {last:?}");
}

#[tokio::test(start_paused = true)]
async fn a_throttle_one_meets_shuts_the_other_within_a_second_and_one_probe_opens_both() {
    let storm = Duration::from_secs(70);
    let (meta, book) = (Meta::new(storm), Book::new(Duration::from_millis(3)));
    let (one, other) = (hasty(30), hasty(30));
    let serving = futures::future::join(book.serve(1, &one), book.serve(2, &other));
    let late = async {
        tokio::time::sleep(Duration::from_millis(900)).await;
        assert!(other.pace().shut_for.is_some(), "told within a second");
        flood(&meta, &other, 1, MINUTE * 3).await;
    };
    let sending = futures::future::join(flood(&meta, &one, 1, MINUTE * 3), late);
    futures::future::select(Box::pin(sending), Box::pin(serving)).await;
    let (refused, sent) = (meta.times(true), meta.times(false));
    // What the first had on its way, and two probes of all; of the second nothing ever met the storm.
    let probes = refused.iter().filter(|at| **at > Duration::from_secs(1)).count();
    assert!((1..=2).contains(&probes), "{refused:?}");
    assert!(sent[0] < storm + MINUTE && most_in_a_second(&sent) <= 30);
    // Slowed down alike, and growing again.
    assert!((one.pace().per_second).abs_diff(other.pace().per_second) <= 1, "{:?} {:?}", one.pace(), other.pace());
    let half = sent.iter().filter(|at| **at > sent[0] + Duration::from_secs(1)).count();
    assert!(half > 300, "the other is open as well: {half}");
}

#[tokio::test(start_paused = true)]
async fn nothing_leaves_that_is_more_than_is_held_nor_where_the_rate_is_nothing() {
    let governor = hasty(30);
    governor.share().expect("it shared nothing");
    let leaves = async |rate: u32, held: u32, calls: u32| {
        let [rates, held] = [rate, held].map(|calls| Rates { calls, ..Rates::default() });
        let ask = governor.ask().expect("a share");
        governor.keep_to(&ask, &Slice { rates, held, lasts: LEASE, ..Slice::nothing() }, Instant::now());
        let mut patience = Duration::from_secs(1);
        let load = Load { calls, ..Load::default() };
        let Ok(admitted) = governor.admit(load, &mut patience, |_| ()).await else { return false };
        admitted.depart().await.is_ok()
    };
    assert!(leaves(5, 5, 5).await && !leaves(5, 5, 6).await);
    assert!(leaves(0, 6, 6).await && !leaves(0, 1, 1).await && !leaves(0, 6, 1).await);
}

#[tokio::test(start_paused = true)]
async fn whoever_has_no_more_calls_of_the_day_rings_for_some_and_goes_when_they_come() {
    let governor = governor(PaceLimits { calls_per_day: Some(100), ..PaceLimits::default() });
    let wishes = governor.share().expect("it shared nothing");
    let is_rung = || futures::FutureExt::now_or_never(wishes.notified()).is_some();
    let give = |calls| {
        let portion = Some(Portion { calls, minute: 0, left: 50, back_in: None });
        let rates = Rates { calls: 10, ..Rates::default() };
        let ask = governor.ask().expect("a share");
        governor.keep_to(
            &ask,
            &Slice { rates, held: rates, lasts: LEASE, portion, ..Slice::nothing() },
            Instant::now(),
        );
    };
    let go = async || {
        let mut patience = PATIENT;
        let admitted = governor.admit(Load::CALL, &mut patience, |_| ()).await.expect("let in");
        admitted.depart().await.expect("let go").unhindered();
    };
    give(1);
    go().await;
    assert!(!is_rung());
    let waiting = async {
        go().await;
        Instant::now()
    };
    let giving = async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert!(is_rung());
        give(1);
        Instant::now()
    };
    let (went, given) = futures::future::join(waiting, giving).await;
    assert_eq!((went, governor.pace().calls_left), (given, Some(49)));
}

#[tokio::test(start_paused = true)]
async fn whoever_draws_for_a_governor_hears_that_it_is_gone() {
    let governor = hasty(30);
    let wishes = governor.share().expect("it shared nothing");
    drop(governor);
    assert!(futures::FutureExt::now_or_never(wishes.notified()).is_some());
}

#[tokio::test(start_paused = true)]
async fn a_gate_that_others_were_told_is_shut_opens_as_soon_as_they_find_it_open() {
    let governor = hasty(30);
    governor.share().expect("it shared nothing");
    let hear = |standing| {
        let ask = governor.ask().expect("a share");
        governor.keep_to(&ask, &Slice { standing, lasts: LEASE, ..Slice::nothing() }, Instant::now());
        governor.pace().shut_for
    };
    assert_eq!(hear(Standing::Shut(MINUTE)), Some(MINUTE));
    assert_eq!((hear(Standing::Over), hear(Standing::Open)), (Some(MINUTE), None));
}

#[tokio::test(start_paused = true)]
async fn what_could_not_be_told_is_told_again() {
    let governor = hasty(30);
    governor.share().expect("it shared nothing");
    governor.throttled(Some(Duration::from_secs(9)), None);
    let lost = governor.ask().expect("a share");
    let news = News { shut_for: Some(Duration::from_secs(9)), throttles: 1, opened: false };
    assert_eq!((lost.news, governor.ask().expect("a share").news), (news, News::default()));
    governor.retract(&lost);
    assert_eq!(governor.ask().expect("a share").news, news);
}

#[tokio::test(start_paused = true)]
async fn the_days_calls_are_counted_of_all_together() {
    let (meta, book) = (Meta::new(Duration::ZERO), Book::new(Duration::from_millis(3)));
    let limits = PaceLimits { calls_per_day: Some(500), ..PaceLimits::default() };
    let (one, other) = (governor(limits), governor(limits));
    let serving = futures::future::join(book.serve(1, &one), book.serve(2, &other));
    let sending = async {
        futures::future::join(flood(&meta, &one, 1, MINUTE), flood(&meta, &other, 1, MINUTE)).await;
        meta.client(&one, PATIENT).send(&page(), &text()).await.expect_err("they are used up")
    };
    let ended = futures::future::select(Box::pin(sending), Box::pin(serving)).await;
    let futures::future::Either::Left((refused, _)) = ended else { panic!("somebody serves no more") };
    assert!(refused.to_string().contains("calls_per_day holds the send back: 500 of 500 calls"), "{refused}");
    assert_eq!(meta.times(false).len(), 500);
    assert_eq!((one.pace().calls_left, other.pace().calls_left), (Some(0), Some(0)));
}

#[tokio::test(start_paused = true)]
async fn whoever_has_nothing_to_send_holds_nothing() {
    let (meta, book) = (Meta::new(Duration::ZERO), Book::new(Duration::from_millis(3)));
    let governor = hasty(30);
    let serving = book.serve(1, &governor);
    let sending = async {
        flood(&meta, &governor, 1, Duration::from_secs(5)).await;
        tokio::time::sleep(Duration::from_secs(5)).await;
    };
    futures::future::select(Box::pin(sending), Box::pin(serving)).await;
    let ask = governor.ask().expect("a share");
    assert!(ask.demand.is_nothing() && ask.using.is_nothing(), "{ask:?}");
    assert_eq!(Standing::Open, book.draw(1, &ask).standing);
    assert!(book.pages.lock().unwrap().0.iter().all(|holding| holding.granted.is_nothing()));
}
