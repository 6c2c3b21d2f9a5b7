//! What can be seen while a campaign is sent: a bar, how fast and until when, what became of how many, what it waits for,
//! and how Meta refuses.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::campaign::{Counts, ErrorCount, Preflight, Tally, Waiting};
use crate::cli::context::Context;
use crate::cli::output::shown_text;
use crate::cli::values::{human_span, local_moment, thousands};
use crate::clock::{Clock, Timestamp};
use crate::graph::{GraphClient, Pace};

/// How often a run of our own is drawn: what it counts is at hand.
const EVERY: Duration = Duration::from_millis(200);
/// How many kinds of refusals are shown.
const KINDS: usize = 3;
/// Where the words below the bar begin.
const INDENT: &str = "          ";
/// An end so near needs no time of day.
const SOON: Duration = Duration::from_mins(10);

/// One look at a campaign that is being sent.
#[derive(Debug, Default)]
pub(super) struct View {
    pub(super) counts: Counts,
    /// Messages on their way, where that can be seen.
    pub(super) in_flight: u64,
    /// Messages a second of late.
    pub(super) per_second: u64,
    /// What Meta's limits leave of the pace, where that is less than all of it.
    pub(super) slowed_to: Option<u32>,
    /// How much longer it takes, once that can be told.
    pub(super) left: Option<Duration>,
    /// Why nothing is sent just now.
    pub(super) waiting: Option<String>,
    pub(super) errors: Vec<ErrorCount>,
}

/// Lines on the terminal, until this is dropped.
#[derive(Debug, Clone)]
struct Lines {
    bar: ProgressBar,
    below: ProgressBar,
}

/// A view that is drawn until it is dropped; where nothing can be drawn, what a run waits for is said on lines of its own.
pub(super) struct Live {
    lines: Option<Lines>,
    clock: Arc<dyn Clock>,
    task: Option<tokio::task::JoinHandle<()>>,
}

impl Live {
    /// An empty view, where there is somebody to look.
    pub(super) fn new(context: &Context) -> Option<Self> {
        let hidden = context.global.no_progress || context.output.is_quiet() || context.output.bars.is_hidden();
        if hidden {
            return None;
        }
        let style = |template: &str| {
            ProgressStyle::with_template(template).expect("the template is well formed").progress_chars("━━─")
        };
        let bar = context.output.bars.add(ProgressBar::new(0));
        bar.set_style(style("  sending {bar:30.green/dim} {percent:>3}%  {human_pos} of {human_len}"));
        let below = context.output.bars.add(ProgressBar::new_spinner());
        below.set_style(style("{msg}"));
        Some(Self { lines: Some(Lines { bar, below }), clock: Arc::clone(&context.clock), task: None })
    }

    /// The view of a run of our own, which `ahead` was said of; drawn without being asked.
    pub(super) fn of_run(context: &Context, ahead: &Preflight, tally: Arc<Tally>, graph: Arc<GraphClient>) -> Self {
        let Some(mut live) = Self::new(context) else { return Self::in_words(context, tally) };
        let (lines, clock) = (live.lines.clone(), Arc::clone(&live.clock));
        let mut own = OwnRun { before: ahead.counts.clone(), forecast: Forecast::of(ahead), meter: Meter::default() };
        live.task = Some(tokio::spawn(async move {
            loop {
                let now = clock.now();
                let view = own.look(&tally, &graph.governor().pace(), now);
                if let Some(lines) = &lines {
                    lines.draw(&view, now);
                }
                tokio::time::sleep(EVERY).await;
            }
        }));
        live
    }

    fn in_words(context: &Context, tally: Arc<Tally>) -> Self {
        let (output, clock) = (Arc::clone(&context.output), Arc::clone(&context.clock));
        let mut waits = Waits::default();
        let task = tokio::spawn(async move {
            loop {
                if let Some(words) = waits.news(tally.waiting(), clock.now()) {
                    output.note(shown_text(&words));
                }
                tokio::time::sleep(EVERY).await;
            }
        });
        Self { lines: None, clock: Arc::clone(&context.clock), task: Some(task) }
    }

    /// Draws what was seen.
    pub(super) fn show(&self, view: &View) {
        if let Some(lines) = &self.lines {
            lines.draw(view, self.clock.now());
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
        if let Some(Lines { bar, below }) = &self.lines {
            bar.finish_and_clear();
            below.finish_and_clear();
        }
    }
}

impl Lines {
    fn draw(&self, view: &View, now: Timestamp) {
        self.bar.set_length(view.counts.total);
        self.bar.set_position(view.counts.total.saturating_sub(view.counts.pending));
        let width = usize::from(console::Term::stderr().size().1);
        let lines = words(view, now).into_iter().map(|line| fitting(&line, width));
        self.below.set_message(lines.collect::<Vec<_>>().join("\n"));
    }
}

/// The line below the bar, cut where the terminal ends: one that wraps makes the picture jump.
fn fitting(line: &str, width: usize) -> String {
    console::truncate_str(&format!("{INDENT}{line}"), width.saturating_sub(1), "…").into_owned()
}

/// What stands below the bar, line by line.
fn words(view: &View, now: Timestamp) -> Vec<String> {
    let View { counts, in_flight, .. } = view;
    let mut speed = format!("{}/s", thousands(view.per_second));
    if let Some(slowed) = view.slowed_to {
        speed = format!("{speed} (slowed to {}/s by Meta)", thousands(slowed.into()));
    }
    if let Some(left) = view.left {
        speed = format!("{speed}, about {} left", human_span(left));
        if left >= SOON {
            speed = format!("{speed}: until {}", local_moment(now.plus(left), now));
        }
    }
    let numbers = [
        (counts.sent, "sent"),
        (*in_flight, "on their way"),
        (counts.failed, "failed"),
        (counts.unknown, "unknown"),
        (counts.skipped, "skipped"),
        (counts.pending.saturating_sub(*in_flight), "to be sent"),
    ];
    let shown = numbers.into_iter().filter(|(number, word)| *number > 0 || *word == "sent");
    let numbers: Vec<_> = shown.map(|(number, word)| format!("{} {word}", thousands(number))).collect();
    let refusals = view.errors.iter().take(KINDS).map(|error| shown_text(&super::closing::refusal_line(error)));
    let waiting = view.waiting.as_ref().map(|why| shown_text(why));
    [speed, numbers.join(", ")].into_iter().chain(waiting).chain(refusals).collect()
}

fn wait_words(wait: &Waiting, now: Timestamp) -> String {
    match wait.until {
        Some(until) => format!("waiting until {}: {}", local_moment(until, now), wait.reason),
        None => format!("waiting: {}", wait.reason),
    }
}

/// What was last said of what a run waits for.
#[derive(Debug, Default)]
struct Waits(Option<Waiting>);

impl Waits {
    /// A shorter wait is over before anybody wonders.
    const WORTH_A_WORD: Duration = Duration::from_secs(5);
    /// A wait that lasts so little longer than was said is the same.
    const SAME: Duration = Duration::from_mins(1);

    /// What is to be said of this one, if it is news.
    fn news(&mut self, wait: Option<Waiting>, now: Timestamp) -> Option<String> {
        let wait = wait.filter(|wait| wait.until.is_none_or(|until| until.since(now) >= Self::WORTH_A_WORD))?;
        let is_said = self.0.as_ref().is_some_and(|said| {
            said.reason == wait.reason
                && match (said.until, wait.until) {
                    (Some(said), Some(until)) => until <= said.plus(Self::SAME),
                    (said, until) => said == until,
                }
        });
        let words = (!is_said).then(|| wait_words(&wait, now))?;
        self.0 = Some(wait);
        Some(words)
    }
}

/// What is remembered between two looks at a run of our own.
struct OwnRun {
    /// Where the campaign stood when it began.
    before: Counts,
    forecast: Forecast,
    meter: Meter,
}

impl OwnRun {
    fn look(&mut self, tally: &Tally, pace: &Pace, now: Timestamp) -> View {
        let (sent, failed, unknown, skipped) = (tally.sent(), tally.failed(), tally.unknown(), tally.skipped());
        let done = sent + failed + unknown + skipped;
        let pending = self.before.pending.saturating_sub(done);
        let counts = Counts {
            pending,
            sent: self.before.sent + sent,
            failed: self.before.failed + failed,
            unknown: self.before.unknown + unknown,
            skipped: self.before.skipped + skipped,
            ..self.before.clone()
        };
        let wait = tally.waiting().filter(|waiting| waiting.until.is_none_or(|until| until > now));
        let shut_for = pace.shut_for;
        self.meter.note(Instant::now(), done, wait.is_none() && shut_for.is_none());
        let rest = wait.as_ref().and_then(|wait| wait.until).map(|until| until.since(now)).max(shut_for);
        let left = self.forecast.left(pending, pace, self.meter.mean()).map(|left| left + rest.unwrap_or_default());
        let waiting = match (wait, shut_for) {
            (Some(wait), _) => Some(wait_words(&wait, now)),
            (None, Some(Duration::ZERO)) => Some("waiting: asking Meta whether its limit is lifted".to_owned()),
            (None, Some(shut)) => Some(format!("waiting until {}: Meta's limit", local_moment(now.plus(shut), now))),
            (None, None) => None,
        };
        let slowed_to = (pace.per_second < pace.full_per_second).then_some(pace.per_second);
        View {
            counts,
            in_flight: tally.in_flight(),
            per_second: self.meter.per_second(),
            slowed_to,
            left,
            waiting,
            errors: tally.errors(),
        }
    }
}

/// How long it takes at the pace that was promised, which does not jump as what was measured does.
#[derive(Debug, Clone, Copy)]
struct Forecast {
    secs_per_message: f64,
}

impl Forecast {
    fn of(ahead: &Preflight) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "a forecast")]
        let pending = ahead.counts.pending.max(1) as f64;
        Self { secs_per_message: ahead.duration.as_secs_f64() / pending }
    }

    /// At the pace as Meta's limits leave it, and no faster than it went on average while it could; `None` where nothing
    /// is known of either.
    #[expect(clippy::cast_precision_loss, reason = "a forecast")]
    fn left(self, pending: u64, pace: &Pace, mean: Option<f64>) -> Option<Duration> {
        let slower = f64::from(pace.full_per_second) / f64::from(pace.per_second.max(1));
        let promised = self.secs_per_message * slower;
        let secs = pending as f64 * mean.map_or(promised, |mean| promised.max(1.0 / mean));
        (secs > 0.0).then(|| Duration::try_from_secs_f64(secs).unwrap_or(Duration::MAX))
    }
}

/// How fast it goes: of late, and on average since it was first looked at, without the time it had to wait.
#[derive(Debug, Default)]
pub(super) struct Meter {
    late: VecDeque<(Instant, u64)>,
    going: Duration,
    done_before: Option<u64>,
}

impl Meter {
    /// What counts as of late.
    const LATE: Duration = Duration::from_secs(5);
    /// A mean over less says little.
    const TELLING: Duration = Duration::from_secs(5);

    /// Takes note that so many are `done`; `is_going` says that nothing stood in the way since the last time.
    pub(super) fn note(&mut self, now: Instant, done: u64, is_going: bool) {
        if let Some((last, _)) = self.late.back().filter(|_| is_going) {
            self.going += now.saturating_duration_since(*last);
        }
        self.done_before.get_or_insert(done);
        self.late.push_back((now, done));
        // One older look is kept, so that there are two even where looks are far apart.
        while self.late.get(1).is_some_and(|(at, _)| now.saturating_duration_since(*at) >= Self::LATE) {
            self.late.pop_front();
        }
    }

    /// Messages a second of late.
    pub(super) fn per_second(&self) -> u64 {
        let (Some((then, before)), Some((now, done))) = (self.late.front(), self.late.back()) else { return 0 };
        let millis = now.saturating_duration_since(*then).as_millis().max(1);
        u64::try_from(u128::from(done.saturating_sub(*before)) * 1_000 / millis).unwrap_or(u64::MAX)
    }

    /// Messages a second on average; `None` where that cannot be told yet.
    #[expect(clippy::cast_precision_loss, reason = "a mean")]
    pub(super) fn mean(&self) -> Option<f64> {
        let done = self.late.back()?.1.saturating_sub(self.done_before?);
        (self.going >= Self::TELLING && done > 0).then(|| done as f64 / self.going.as_secs_f64())
    }

    /// How long `pending` messages take at that.
    #[expect(clippy::cast_precision_loss, reason = "a forecast")]
    pub(super) fn left(&self, pending: u64) -> Option<Duration> {
        let secs = pending as f64 / self.mean()?;
        Some(Duration::try_from_secs_f64(secs).unwrap_or(Duration::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: Pace = Pace { per_second: 30, full_per_second: 30, shut_for: None, waiting: 0, calls_left: None };
    const NOON: Timestamp = Timestamp::from_unix_millis(1_775_044_800_000);

    #[test]
    fn the_forecast_is_the_pace_and_not_the_last_seconds() {
        let forecast = Forecast { secs_per_message: 0.1 };
        assert_eq!(forecast.left(100, &PACE, None), Some(Duration::from_secs(10)));
        assert_eq!(forecast.left(100, &Pace { per_second: 15, ..PACE }, None), Some(Duration::from_secs(20)));
        assert_eq!(forecast.left(100, &PACE, Some(50.0)), Some(Duration::from_secs(10)), "faster than it may");
        assert_eq!(forecast.left(100, &PACE, Some(5.0)), Some(Duration::from_secs(20)), "the machine is the limit");
        assert_eq!(forecast.left(0, &PACE, None), None);
    }

    #[test]
    fn a_wait_is_told_once_and_again_where_it_gets_longer() {
        let mut waits = Waits::default();
        let mut told = |secs, reason: &str| {
            let until = Some(NOON.plus(Duration::from_secs(secs)));
            waits.news(Some(Waiting { reason: reason.to_owned(), until }), NOON)
        };
        assert_eq!(told(4, "the night"), None);
        assert!(told(90, "the night").is_some_and(|words| words.contains(": the night")));
        assert_eq!([told(90, "the night"), told(60, "the night"), told(150, "the night")], [None, None, None]);
        assert!(told(151, "the night").is_some() && told(151, "the start").is_some());
        assert_eq!(waits.news(None, NOON), None);
        let endless = || Some(Waiting { reason: "others".to_owned(), until: None });
        assert_eq!(waits.news(endless(), NOON).as_deref(), Some("waiting: others"));
        assert_eq!(waits.news(endless(), NOON), None);
    }

    #[test]
    fn time_spent_waiting_makes_nobody_slow() {
        let (mut meter, began) = (Meter::default(), Instant::now());
        let after = |secs| began + Duration::from_secs(secs);
        (0..=10).for_each(|secs| meter.note(after(secs), secs * 20, true));
        assert_eq!((meter.per_second(), meter.mean()), (20, Some(20.0)));
        (11..=600).for_each(|secs| meter.note(after(secs), 200, false));
        assert_eq!((meter.per_second(), meter.mean()), (0, Some(20.0)));
        assert_eq!(meter.left(400), Some(Duration::from_secs(20)));
        let mut rare = Meter::default();
        rare.note(began, 0, true);
        rare.note(after(60), 600, true);
        assert_eq!(rare.per_second(), 10);
    }

    #[test]
    fn what_is_waited_for_is_said_and_lengthens_the_forecast() {
        let tally = Tally::default();
        let before = Counts { total: 100, pending: 100, ..Counts::default() };
        let mut run = OwnRun { before, forecast: Forecast { secs_per_message: 0.1 }, meter: Meter::default() };
        let shut = Pace { shut_for: Some(Duration::from_secs(50)), ..PACE };
        let view = run.look(&tally, &shut, NOON);
        assert_eq!(view.left, Some(Duration::from_mins(1)));
        assert!(view.waiting.as_deref().is_some_and(|why| why.contains(":50: Meta's limit")), "{view:?}");
        assert_eq!(run.look(&tally, &PACE, NOON).waiting, None);
        let probing = Pace { shut_for: Some(Duration::ZERO), ..PACE };
        assert!(run.look(&tally, &probing, NOON).waiting.is_some());
    }

    #[test]
    fn a_line_never_wraps() {
        let error = ErrorCount { code: Some(551), subcode: Some(1_545_041), count: 12, message: String::new() };
        let counts =
            Counts { total: 2_000_000, pending: 1_000_000, sent: 900_000, failed: 12, unknown: 3, ..Counts::default() };
        let left = Some(Duration::from_hours(9));
        let view = View { counts, in_flight: 64, per_second: 30, left, errors: vec![error], ..View::default() };
        let lines = words(&view, NOON);
        assert!(lines[0].starts_with("30/s, about 9 h left: until "), "{lines:?}");
        assert_eq!(lines[1], "900,000 sent, 64 on their way, 12 failed, 3 unknown, 999,936 to be sent");
        assert!(lines[2].starts_with("551/1545041 × 12: "), "{lines:?}");
        for width in [20, 80, 120] {
            assert!(lines.iter().all(|line| console::measure_text_width(&fitting(line, width)) < width), "{lines:?}");
        }
    }
}
