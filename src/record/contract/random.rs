//! Random work on a campaign, done by an engine and by the [`Book`], which must agree.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use tokio::runtime;
use tokio::sync::Mutex;

use super::book::{Book, PARTS, PEOPLE, Refused, people, timeless};
use super::campaigns::{DIGEST, PID, new, somebody};
use super::{NOW, Store};
use crate::delivery::{Delivery, Event, Refusal, State};
use crate::record::{Begun, CampaignId, Change, DeliveryKey, Enlisted, Entry, NewCampaign, Proof, Reach, Record};

/// At most so many pieces of work in a case; half as many on average.
const WORKS: usize = 220;
/// After how many pieces of work everything is compared.
const LOOK: usize = 8;
/// Who tries each message out.
const TESTER: u64 = 1;
const MINUTE: Duration = Duration::from_mins(1);

/// A piece of work; the numbers choose among what there is.
#[derive(Debug, Clone)]
enum Work {
    Enlist,
    Claim(usize),
    /// Several entries in one step.
    Write(Vec<(Pick, u8)>),
    /// The same by a worker that is no more.
    WriteLate(Pick, u8),
    Decide(Vec<(Pick, u8)>),
    /// An echo comes in, of one of the attempts there were or of none; seldom with another id than the one before.
    Echo(usize, u8),
    Suppress(u64),
    /// It is planned anew for some, and with another message or not.
    Plan(u8, bool),
    Pause,
    Unpause,
    Retire,
    /// The process dies, and another begins.
    Die,
    /// A minute passes.
    Wait,
}

/// Which delivery: the so-manieth of those that are in question, or of all.
#[derive(Debug, Clone, Copy)]
enum Pick {
    Sensible(usize),
    Any(usize),
}

fn pick() -> impl Strategy<Value = Pick> {
    prop_oneof![9 => (0..100_usize).prop_map(Pick::Sensible), 1 => (0..100_usize).prop_map(Pick::Any)]
}

fn work() -> impl Strategy<Value = Work> {
    prop_oneof![
        2 => Just(Work::Enlist),
        4 => (1..4_usize).prop_map(Work::Claim),
        12 => prop::collection::vec((pick(), any::<u8>()), 1..4).prop_map(Work::Write),
        1 => (pick(), any::<u8>()).prop_map(|(pick, choice)| Work::WriteLate(pick, choice)),
        4 => prop::collection::vec((pick(), any::<u8>()), 1..3).prop_map(Work::Decide),
        3 => (0..100_usize, any::<u8>()).prop_map(|(which, choice)| Work::Echo(which, choice)),
        1 => (1..=PEOPLE).prop_map(Work::Suppress),
        2 => (any::<u8>(), any::<bool>()).prop_map(|(some, is_another)| Work::Plan(some, is_another)),
        1 => Just(Work::Pause),
        2 => Just(Work::Unpause),
        1 => Just(Work::Retire),
        1 => Just(Work::Die),
        2 => Just(Work::Wait),
    ]
}

/// A record, a campaign on it, and the book.
struct Bench<'s> {
    store: &'s dyn Store,
    record: Box<dyn Record>,
    campaign: CampaignId,
    book: Book,
    /// What is planned.
    new: NewCampaign,
    nonce: u32,
}

impl Bench<'_> {
    async fn plan(record: &dyn Record) -> (CampaignId, NewCampaign) {
        static NAMES: AtomicU32 = AtomicU32::new(0);
        let name = format!("random-{}", NAMES.fetch_add(1, Ordering::Relaxed)).parse().expect("a name");
        let new = NewCampaign { name, ..new(PARTS) };
        let Begun::Won(planner) = record.begin_plan(&new, PID, NOW).await.expect("begun") else {
            panic!("nobody else plans it");
        };
        record.add_recipients(&planner, people().map(somebody).collect()).await.expect("added");
        record.seal_plan(&planner, &new, DIGEST, 0, NOW).await.expect("sealed");
        (planner.campaign, new)
    }

    /// Plans it anew for these people.
    async fn plan_anew(&mut self, named: &BTreeSet<u64>, is_another: bool) -> Result<(), TestCaseError> {
        let text = if is_another { format!("{{\"text\":\"{}\"}}", self.nonce) } else { self.new.message.clone() };
        self.nonce += 1;
        let testers = vec![somebody(TESTER).recipient];
        let new = NewCampaign { message: text, replaces: Some(DIGEST), testers, ..self.new.clone() };
        let begun = self.record.begin_plan(&new, PID, self.book.now).await.expect("begun");
        let Begun::Won(planner) = begun else {
            prop_assert!(self.book.worker.is_some(), "{:?}", begun);
            return Ok(());
        };
        self.record.add_recipients(&planner, named.iter().copied().map(somebody).collect()).await.expect("added");
        self.record.seal_plan(&planner, &new, DIGEST, 0, self.book.now).await.expect("sealed");
        let is_another = new.message != self.new.message;
        prop_assert_eq!(self.book.plan(named.clone(), is_another, TESTER), Ok(()));
        self.new = new;
        Ok(())
    }

    /// Does it to both, and compares what they say to it.
    async fn work(&mut self, work: &Work) -> Result<(), TestCaseError> {
        let (now, campaign) = (self.book.now, self.campaign);
        match work {
            Work::Enlist => {
                let enlisted = self.record.enlist(campaign, PID, now).await.expect("an answer");
                prop_assert_eq!(matches!(enlisted, Enlisted::Held(_)), self.book.worker.is_some());
                if let Enlisted::Won(worker) = enlisted {
                    prop_assert!(self.book.late.is_none_or(|late| late.epoch < worker.epoch), "epochs only grow");
                    self.book.worker = Some(worker);
                }
            }
            Work::Claim(limit) => {
                let Some(worker) = self.book.worker else { return Ok(()) };
                let claims = self.record.claim_deliveries(&worker, Reach::All, *limit, now).await.expect("claims");
                let keys: Vec<_> = claims.rows.iter().map(|row| row.key).collect();
                prop_assert_eq!(keys, self.book.claim(worker, *limit));
            }
            Work::Write(choices) => {
                let Some(worker) = self.book.worker else { return Ok(()) };
                let entries: Vec<_> = choices.iter().map(|(pick, choice)| self.result(*pick, *choice)).collect();
                let written = self.record.write(&worker, &entries).await.map_err(|_| Refused);
                prop_assert_eq!(written, self.book.write(worker, &entries), "{:?}", entries);
            }
            Work::WriteLate(pick, choice) => {
                let Some(late) = self.book.late else { return Ok(()) };
                let entry = self.result(*pick, *choice);
                let written = self.record.write(&late, std::slice::from_ref(&entry)).await.map_err(|_| Refused);
                prop_assert!(
                    self.book.write_late(&entry).contains(&written),
                    "{:?} by {:?}: {:?}",
                    entry,
                    late,
                    written
                );
            }
            Work::Decide(choices) => {
                let entries: Vec<_> = choices.iter().map(|(pick, choice)| self.word(*pick, *choice)).collect();
                let decided = self.record.decide(campaign, &entries).await.map_err(|_| Refused);
                prop_assert_eq!(decided, self.book.decide(&entries), "{:?}", entries);
            }
            Work::Echo(which, choice) => {
                let proof = self.echo(*which, *choice);
                let proven = self.record.prove(campaign, std::slice::from_ref(&proof), now).await.expect("an answer");
                prop_assert_eq!(proven, [self.book.prove(&proof)], "{:?}", proof);
            }
            Work::Suppress(seq) => {
                let people = [somebody(*seq).recipient];
                let dropped = self.record.suppress(campaign, &people, now).await.map_err(|_| Refused);
                prop_assert_eq!(dropped, self.book.suppress(*seq));
            }
            Work::Plan(some, is_another) => {
                // Whoever nothing was done about would be gone from the list.
                let has_row = |seq: u64| self.book.rows.contains_key(&DeliveryKey { seq, part: 0 });
                let is_named = |seq: &u64| *seq == TESTER || some & (1 << seq) != 0 || !has_row(*seq);
                let named = people().filter(is_named).collect();
                self.plan_anew(&named, *is_another).await?;
            }
            Work::Pause | Work::Unpause => {
                self.book.paused = matches!(work, Work::Pause);
                let change = if self.book.paused { Change::Pause } else { Change::Unpause };
                self.record.change(campaign, change("enough".to_owned())).await.expect("changed");
            }
            Work::Retire => {
                let Some(worker) = self.book.worker else { return Ok(()) };
                self.record.retire(&worker, now).await.expect("retired");
                self.book.bury();
            }
            Work::Die => {
                self.record = self.store.open().await;
                self.book.bury();
            }
            Work::Wait => self.book.now = now.plus(MINUTE),
        }
        Ok(())
    }

    /// Whether they tell one story.
    async fn compare(&self) -> Result<(), TestCaseError> {
        // Counting settles what dead workers left, and so comes first.
        let counts = self.record.count(self.campaign, self.book.now).await.expect("counts");
        let listed = self.record.deliveries(self.campaign, None, None, 1_000).await.expect("listed");
        let listed: Vec<_> = listed.into_iter().map(|row| (row.key, timeless(row.delivery))).collect();
        prop_assert_eq!(&listed, &self.book.all());
        let mut doubts = Vec::new();
        for state in State::ALL {
            let found = self.record.doubtful(self.campaign, state, None, 1_000).await.expect("listed");
            doubts.extend(
                found.into_iter().flat_map(|one| one.attempts.into_iter().map(move |kept| (one.listed.key, kept))),
            );
        }
        doubts.sort_by_key(|(key, kept)| (*key, kept.doubted.attempt));
        let kept: Vec<_> = self.book.doubts.iter().map(|((key, _), kept)| (*key, kept.clone())).collect();
        prop_assert_eq!(doubts, kept);
        for part in 0..PARTS {
            for state in State::ALL {
                let counted = counts.iter().filter(|count| (count.part, count.state) == (part, state));
                let there = listed.iter().filter(|row| (row.0.part, row.1.state) == (part, state)).count();
                prop_assert_eq!(counted.map(|count| count.count).sum::<u64>(), there as u64, "{} {}", part, state);
            }
        }
        Ok(())
    }

    /// What a worker might write.
    fn result(&mut self, pick: Pick, choice: u8) -> Entry {
        let key = choose(pick, &self.book.held());
        self.nonce += 1;
        let nonce = self.nonce;
        let reason = || "why".to_owned();
        let begun = self.book.delivery(key).state == State::InFlight;
        // What comes before and what comes behind an intent, and now and then either.
        let due = self.book.now.plus(MINUTE);
        let event = match (begun ^ (choice >= 240), choice % 8) {
            (false, 0..4) => Event::Intend { nonce, variant: nonce.is_multiple_of(3).then(|| "a".to_owned()) },
            (false, 4) => Event::Invalid { reason: reason() },
            (false, 5) => Event::Skip { reason: if nonce.is_multiple_of(2) { "window".to_owned() } else { reason() } },
            (false, 6) => Event::Defer { due },
            (false, _) => Event::Release,
            (true, 0 | 1) => Event::Sent { message_id: Some(format!("m_{nonce}")) },
            (true, 2) => Event::Sent { message_id: None },
            (true, 3) => Event::NotSent,
            (true, 4) => Event::Refused(Refusal { code: Some(551), subcode: Some(1), reason: reason() }),
            (true, 5) => Event::Doubt { why: Refusal::in_words(reason()) },
            (true, _) => {
                let why = Refusal { code: Some(2), subcode: Some(2_018_999), reason: reason() };
                Event::DoubtAndRetry { why, due }
            }
        };
        Entry { key, event, at: self.book.now }
    }

    fn echo(&self, which: usize, choice: u8) -> Proof {
        let last = |(key, row): (&DeliveryKey, &(Delivery, Option<i64>))| Some((*key, row.0.attempt, row.0.nonce?));
        let doubted = self.book.doubts.iter().map(|((key, attempt), kept)| (*key, *attempt, kept.doubted.nonce));
        let attempts: Vec<_> = doubted.chain(self.book.rows.iter().filter_map(last)).collect();
        let nobody = (DeliveryKey { seq: 1, part: 0 }, 1, u32::MAX);
        let (key, attempt, nonce) = if attempts.is_empty() { nobody } else { attempts[which % attempts.len()] };
        let message_id = if choice < 16 { format!("m_other_{choice}") } else { format!("m_{nonce}") };
        Proof { key, attempt, nonce: nonce.wrapping_add(u32::from(choice >= 240)), message_id }
    }

    /// What an operator might say.
    fn word(&self, pick: Pick, choice: u8) -> Entry {
        let ended = [State::Unknown, State::Failed, State::RetryAt];
        let key = choose(pick, &self.book.in_states(&ended));
        let failed = self.book.delivery(key).state == State::Failed;
        let event = match choice % 6 {
            _ if failed != (choice >= 240) => Event::Reopen,
            0 => Event::AssumeSent,
            1 => Event::AssumeNotSent,
            2 if choice < 120 => Event::SendAgain { due: self.book.now },
            2 => Event::Resend { due: self.book.now },
            3 => Event::Skip { reason: "an operator's".to_owned() },
            4 => Event::InferredNotSent,
            _ => Event::Echoed { message_id: "m_echo".to_owned() },
        };
        Entry { key, event, at: self.book.now }
    }
}

fn choose(pick: Pick, sensible: &[DeliveryKey]) -> DeliveryKey {
    match pick {
        Pick::Sensible(number) if !sensible.is_empty() => sensible[number % sensible.len()],
        Pick::Sensible(number) | Pick::Any(number) => {
            let part = u8::from(number % 2 == 1);
            DeliveryKey { seq: 1 + number as u64 / 2 % PEOPLE, part }
        }
    }
}

pub(in crate::record) async fn random_work_comes_to_what_the_book_says(store: &dyn Store) {
    let record: Mutex<Option<Box<dyn Record>>> = Mutex::new(None);
    let run = async |works: Vec<Work>| {
        let mut place = record.lock().await;
        let record = match place.take() {
            Some(record) => record,
            None => store.open().await,
        };
        let (campaign, new) = Bench::plan(&*record).await;
        let mut bench = Bench { store, record, campaign, book: Book::new(), new, nonce: 0 };
        let mut verdict = Ok(());
        for (number, work) in works.iter().enumerate() {
            verdict = bench.work(work).await;
            // Who looks settles what the dead left: at once here, so that both know when.
            let look = number % LOOK == 0 || number + 1 == works.len() || matches!(work, Work::Die);
            if verdict.is_ok() && look {
                verdict = bench.compare().await;
            }
            if verdict.is_err() {
                break;
            }
        }
        *place = Some(bench.record);
        verdict
    };
    // Cases are tried one behind the other, and made smaller where they fail: on a thread of their own.
    std::thread::scope(|scope| {
        let tried = scope.spawn(|| {
            let here = runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            let mut runner =
                TestRunner::new(Config { cases: store.cases(), failure_persistence: None, ..Config::default() });
            let works = prop::collection::vec(work(), 0..=WORKS);
            runner.run(&works, |works| here.block_on(run(works))).map_err(|error| error.to_string())
        });
        if let Err(error) = tried.join().expect("no panic") {
            panic!("{error}");
        }
    });
}
