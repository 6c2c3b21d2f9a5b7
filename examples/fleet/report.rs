//! What was promised, and what was seen.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use reattach::delivery::State;
use serde::Serialize;
use tokio::time::Instant;

use crate::record::LEASE;
use crate::scenario::{Planned, Scenario};
use crate::worker::{LOOK, Worker, World};

/// A slice of a Page's rate comes to whoever takes over within so much of the end of a lease.
const TAKING_OVER: Duration = Duration::from_secs(10);
/// What a Page that nobody disturbed gets of its rate, at least.
const FAIR: f64 = 0.9;
/// Whoever sends for a Page has heard of a throttle within this time.
const NEWS: Duration = Duration::from_secs(1);

/// Workers that are struck, and the Pages they were sending for.
#[derive(Debug)]
pub(crate) struct Blow {
    at: Duration,
    workers: usize,
    pages: BTreeSet<usize>,
    in_flight: usize,
}

impl Blow {
    /// Takes down who is struck, before they are.
    pub(crate) fn dealt<'a>(
        world: &World,
        began: Instant,
        workers: impl Iterator<Item = &'a Arc<Worker>>,
        pages: usize,
    ) -> Self {
        let owners: Vec<Vec<usize>> = workers.map(|worker| worker.owners()).collect();
        let (workers, owners) = (owners.len(), owners.concat());
        Self {
            at: began.elapsed(),
            workers,
            pages: (0..pages).filter(|&page| world.record.is_sent_by(page, &owners)).collect(),
            in_flight: world.record.in_flight_of(&owners),
        }
    }

    /// How many Pages a worker is sending for.
    pub(crate) fn weight(world: &World, worker: &Worker, pages: usize) -> usize {
        let owners = worker.owners();
        (0..pages).filter(|&page| world.record.is_sent_by(page, &owners)).count()
    }
}

/// Where a sample lies.
#[derive(Debug, Serialize)]
pub(crate) struct Spread {
    lowest: f64,
    p1: f64,
    p10: f64,
    median: f64,
    p90: f64,
    highest: f64,
}

impl Spread {
    fn of(mut sample: Vec<f64>) -> Option<Self> {
        sample.sort_by(f64::total_cmp);
        let at = |part: usize| sample[(sample.len() - 1) * part / 100];
        let (&lowest, &highest) = (sample.first()?, sample.last()?);
        Some(Self { lowest, p1: at(1), p10: at(10), median: at(50), p90: at(90), highest })
    }
}

/// How those fared whose workers were struck.
#[derive(Debug, Serialize)]
struct Recovery {
    at_secs: f64,
    workers: usize,
    pages: usize,
    /// Until they were back at nine tenths of their rate, or had sent all.
    secs: Option<Spread>,
}

/// One promise.
#[derive(Debug, Serialize)]
struct Promise {
    words: String,
    seen: String,
    is_kept: bool,
}

/// How it went.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    seed: u64,
    workers: usize,
    pages: usize,
    recipients: u64,
    smallest: u32,
    largest: u32,
    sent: u64,
    unknown: u64,
    lost: u64,
    doubled: u64,
    answers_lost: u64,
    seconds: u64,
    worst_second: usize,
    /// Of the rate, while a campaign is being sent, of Pages nobody disturbed.
    share: Option<Spread>,
    jain: f64,
    share_of_smallest_tenth: f64,
    share_of_largest_tenth: f64,
    /// From when a campaign may begin to its first message.
    begins_after_secs: Option<Spread>,
    throttled_pages: usize,
    /// From Meta's first refusal to the last call that left nevertheless.
    heeded_after_secs: Option<Spread>,
    /// What the others got of their rate meanwhile.
    share_beside_throttle: Option<Spread>,
    recoveries: Vec<Recovery>,
    busiest_second_messages: u32,
    busiest_second_transactions: u32,
    busiest_second_rows: u32,
    /// Messages in each five seconds.
    by_five_seconds: Vec<u32>,
    promises: Vec<Promise>,
}

impl Report {
    pub(crate) fn new(scenario: &Scenario, campaigns: &[Planned], world: &World, blows: &[Blow]) -> Self {
        let watched = Watched { scenario, campaigns, world, blows };
        let (sent, unknown, lost, doubled) = watched.ends();
        let shares = watched.shares();
        let by_second = watched.by_second();
        let written = world.record.written();
        let recoveries: Vec<Recovery> = blows.iter().map(|blow| watched.recovery(blow)).collect();
        let mut report = Self {
            seed: scenario.seed,
            workers: scenario.workers,
            pages: campaigns.len(),
            recipients: campaigns.iter().map(|campaign| u64::from(campaign.people)).sum(),
            smallest: campaigns.iter().map(|campaign| campaign.people).min().unwrap_or(0),
            largest: campaigns.iter().map(|campaign| campaign.people).max().unwrap_or(0),
            sent,
            unknown,
            lost,
            doubled,
            answers_lost: watched.all().map(|page| u64::from(world.meta.truth(page).lost)).sum(),
            seconds: by_second.len() as u64,
            worst_second: watched.all().map(|page| world.meta.truth(page).worst_second).max().unwrap_or(0),
            jain: jain(&shares),
            share_of_smallest_tenth: mean(&shares[..shares.len() / 10]),
            share_of_largest_tenth: mean(&shares[shares.len() - shares.len() / 10..]),
            share: Spread::of(shares),
            begins_after_secs: Spread::of(watched.waits()),
            throttled_pages: campaigns.iter().filter(|campaign| campaign.is_throttled).count(),
            heeded_after_secs: Spread::of(watched.heeded()),
            share_beside_throttle: Spread::of(watched.beside_throttle()),
            recoveries,
            busiest_second_messages: by_second.iter().copied().max().unwrap_or(0),
            busiest_second_transactions: written.iter().map(|&(transactions, _)| transactions).max().unwrap_or(0),
            busiest_second_rows: written.iter().map(|&(_, rows)| rows).max().unwrap_or(0),
            by_five_seconds: by_second.chunks(5).map(|seconds| seconds.iter().sum()).collect(),
            promises: Vec::new(),
        };
        let in_doubt = report.answers_lost + blows[0].in_flight as u64;
        report.promises = report.judge(Scenario::rate(), in_doubt);
        report
    }

    /// Whether all that was promised was kept.
    pub(crate) fn is_kept(&self) -> bool {
        self.promises.iter().all(|promise| promise.is_kept)
    }

    /// Whether a promise that begins so was broken.
    #[cfg(test)]
    pub(crate) fn breaks(&self, promise: &str) -> bool {
        self.promises.iter().any(|judged| judged.words.starts_with(promise) && !judged.is_kept)
    }

    fn judge(&self, rate: u32, in_doubt: u64) -> Vec<Promise> {
        let promise = |words: String, seen: String, is_kept: bool| Promise { words, seen, is_kept };
        let lowest = |spread: &Option<Spread>| spread.as_ref().map_or(0.0, |spread| spread.lowest);
        let highest = |spread: &Option<Spread>| spread.as_ref().map_or(f64::INFINITY, |spread| spread.highest);
        let recovered = self.recoveries.iter().map(|recovery| highest(&recovery.secs)).fold(0.0, f64::max);
        let within = LEASE + LOOK + TAKING_OVER;
        vec![
            promise(
                format!("no Page sends more than {rate} in any second"),
                format!("{} at most", self.worst_second),
                self.worst_second <= rate as usize,
            ),
            promise("nobody gets it twice".to_owned(), format!("{} did", self.doubled), self.doubled == 0),
            promise("nobody is lost".to_owned(), format!("{} are", self.lost), self.lost == 0),
            promise(
                format!("unknown is what died in flight or had no answer: {in_doubt} at most"),
                format!("{} are", self.unknown),
                self.unknown <= in_doubt,
            ),
            promise(
                format!("every undisturbed Page gets {:.0} % of its rate, however large its campaign", FAIR * 100.0),
                format!("{:.1} % at least", lowest(&self.share) * 100.0),
                lowest(&self.share) >= FAIR,
            ),
            promise(
                format!("so it does beside {} that are throttled", self.throttled_pages),
                format!("{:.1} % at least", lowest(&self.share_beside_throttle) * 100.0),
                lowest(&self.share_beside_throttle) >= FAIR,
            ),
            promise(
                format!("a throttle is heeded by all within {} s", NEWS.as_secs()),
                format!("{:.2} s at most", highest(&self.heeded_after_secs)),
                highest(&self.heeded_after_secs) <= NEWS.as_secs_f64(),
            ),
            promise(
                format!("whoever loses a worker is back within {} s", within.as_secs()),
                format!("{recovered:.1} s at most"),
                recovered <= within.as_secs_f64(),
            ),
        ]
    }
}

/// All there is to look at.
struct Watched<'a> {
    scenario: &'a Scenario,
    campaigns: &'a [Planned],
    world: &'a World,
    blows: &'a [Blow],
}

impl Watched<'_> {
    fn all(&self) -> std::ops::Range<usize> {
        0..self.campaigns.len()
    }

    /// Pages whose workers were left alone, and that Meta did not throttle; the smallest campaigns first.
    fn undisturbed(&self) -> Vec<usize> {
        let struck = |page: &usize| self.blows.iter().any(|blow| blow.pages.contains(page));
        let mut pages: Vec<usize> =
            self.all().filter(|page| !self.campaigns[*page].is_throttled && !struck(page)).collect();
        pages.sort_by_key(|&page| self.campaigns[page].people);
        pages
    }

    /// Recipients that are sent, unknown, lost and served twice: what the record says, held against what Meta has.
    fn ends(&self) -> (u64, u64, u64, u64) {
        let (mut sent, mut unknown, mut lost, mut doubled) = (0, 0, 0, 0);
        for page in self.all() {
            let truth = self.world.meta.truth(page);
            for (state, &accepted) in self.world.record.states(page).into_iter().zip(&truth.accepted) {
                doubled += u64::from(accepted > 1);
                match (state, accepted) {
                    (State::Sent, 1..) => sent += 1,
                    (State::Unknown, _) => unknown += 1,
                    _ => lost += 1,
                }
            }
        }
        (sent, unknown, lost, doubled)
    }

    /// From its first message to its last, by the clock of the run.
    fn span(&self, page: usize) -> Option<(f64, f64)> {
        let meta = &self.world.meta;
        let (first, last) = meta.truth(page).span?;
        Some(((first - meta.began).as_secs_f64(), (last - meta.began).as_secs_f64()))
    }

    fn shares(&self) -> Vec<f64> {
        let share = |page| {
            let (first, last) = self.span(page)?;
            Some(f64::from(self.campaigns[page].people - 1) / (last - first) / rate())
        };
        self.undisturbed().into_iter().filter_map(share).collect()
    }

    fn waits(&self) -> Vec<f64> {
        let wait = |page: usize| Some(self.span(page)?.0 - self.campaigns[page].begins.as_secs_f64());
        self.all().filter_map(wait).collect()
    }

    fn heeded(&self) -> Vec<f64> {
        let heeded = |page| {
            let (refused, last) = self.world.meta.truth(page).refused?;
            Some((last - refused).as_secs_f64())
        };
        self.all().filter_map(heeded).collect()
    }

    /// What undisturbed Pages that were busy all the time of the throttle got of their rate in it.
    fn beside_throttle(&self) -> Vec<f64> {
        let (from, lasts) = self.scenario.throttle;
        let to = from + lasts;
        let is_busy = |page: &usize| {
            self.span(*page).is_some_and(|(first, last)| first <= from.as_secs_f64() && last >= to.as_secs_f64())
        };
        let share = |page: usize| {
            let truth = self.world.meta.truth(page);
            let seconds =
                truth.by_second.iter().zip(0..).filter(|(_, second)| (from.as_secs()..to.as_secs()).contains(second));
            f64::from(seconds.map(|(count, _)| count).sum::<u32>()) / lasts.as_secs_f64() / rate()
        };
        self.undisturbed().into_iter().filter(is_busy).map(share).collect()
    }

    fn recovery(&self, blow: &Blow) -> Recovery {
        let struck = usize::try_from(blow.at.as_secs()).unwrap_or(usize::MAX);
        let enough = 0.9 * rate();
        let back = |page: usize| {
            let last = self.span(page)?.1;
            let truth = self.world.meta.truth(page);
            let mut threes = truth.by_second.windows(3).skip(struck);
            let back = threes.position(|three| f64::from(three.iter().sum::<u32>()) / 3.0 >= enough);
            Some(back.map_or(last - blow.at.as_secs_f64(), |seconds| seconds as f64).max(0.0))
        };
        // Whoever is throttled, or struck again, is held up by that.
        let again = |page: &usize| self.blows.iter().any(|later| later.at > blow.at && later.pages.contains(page));
        let held_up = |page: &usize| self.campaigns[*page].is_throttled || again(page);
        let secs = blow.pages.iter().filter(|page| !held_up(page)).filter_map(|&page| back(page));
        Recovery {
            at_secs: blow.at.as_secs_f64(),
            workers: blow.workers,
            pages: blow.pages.len(),
            secs: Spread::of(secs.collect()),
        }
    }

    /// Messages that left in each second, all Pages together.
    fn by_second(&self) -> Vec<u32> {
        let mut sums = Vec::new();
        for page in self.all() {
            let truth = self.world.meta.truth(page);
            sums.resize(sums.len().max(truth.by_second.len()), 0);
            for (sum, count) in sums.iter_mut().zip(&truth.by_second) {
                *sum += count;
            }
        }
        sums
    }
}

fn rate() -> f64 {
    f64::from(Scenario::rate())
}

fn mean(sample: &[f64]) -> f64 {
    sample.iter().sum::<f64>() / sample.len() as f64
}

/// Jain's index of fairness: 1 where all have the same.
fn jain(sample: &[f64]) -> f64 {
    let (sum, squares) = sample.iter().fold((0.0, 0.0), |(sum, squares), x| (sum + x, squares + x * x));
    sum * sum / (squares * sample.len() as f64)
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, workers, pages, recipients, smallest, largest, .. } = self;
        writeln!(
            f,
            "{workers} workers, {pages} Pages, {recipients} recipients in campaigns of {smallest} to {largest}; seed {seed}"
        )?;
        writeln!(f)?;
        let most = self.by_five_seconds.iter().copied().max().unwrap_or(1).max(1);
        let bar = |count: &u32| char::from_u32(0x2581 + count * 7 / most).unwrap_or('█');
        let line: String = self.by_five_seconds.iter().map(bar).collect();
        writeln!(f, "  {}", line.trim_end_matches('▁'))?;
        writeln!(
            f,
            "  messages in five seconds, {} a second at the busiest; all over after {} s",
            self.busiest_second_messages, self.seconds
        )?;
        writeln!(f)?;
        row(f, "share of its rate, undisturbed", self.share.as_ref(), 100.0, "%")?;
        row(f, "  beside throttled Pages", self.share_beside_throttle.as_ref(), 100.0, "%")?;
        row(f, "first message after", self.begins_after_secs.as_ref(), 1.0, "s")?;
        row(f, "throttle heeded after", self.heeded_after_secs.as_ref(), 1.0, "s")?;
        for Recovery { at_secs, workers, pages, secs } in &self.recoveries {
            row(f, &format!("{workers} gone at {at_secs:.0} s, {pages} Pages back"), secs.as_ref(), 1.0, "s")?;
        }
        writeln!(f, "  {:<34}lowest      1 %     10 %   median     90 %  highest", "")?;
        writeln!(f)?;
        writeln!(
            f,
            "  fairness (Jain) {:.4}; the smallest tenth {:.1} %, the largest {:.1} %",
            self.jain,
            self.share_of_smallest_tenth * 100.0,
            self.share_of_largest_tenth * 100.0
        )?;
        writeln!(f, "  {} sent, {} unknown, {} lost, {} doubled", self.sent, self.unknown, self.lost, self.doubled)?;
        writeln!(
            f,
            "  the record at the busiest: {} transactions a second, {} rows",
            self.busiest_second_transactions, self.busiest_second_rows
        )?;
        writeln!(f)?;
        for Promise { words, seen, is_kept } in &self.promises {
            writeln!(f, "  {} {words}: {seen}", if *is_kept { "✓" } else { "✗ BROKEN:" })?;
        }
        Ok(())
    }
}

fn row(f: &mut fmt::Formatter<'_>, what: &str, spread: Option<&Spread>, times: f64, unit: &str) -> fmt::Result {
    let Some(Spread { lowest, p1, p10, median, p90, highest }) = spread else { return Ok(()) };
    write!(f, "  {what:<32}")?;
    for value in [lowest, p1, p10, median, p90, highest] {
        write!(f, "{:>9.1}", value * times)?;
    }
    writeln!(f, " {unit}")
}
