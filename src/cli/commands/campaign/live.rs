//! What can be seen while a campaign is sent: a bar, and below it how Meta refuses.

use std::sync::Arc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::campaign::{Counts, Watch};
use crate::cli::output::shown_text;
use crate::cli::session::Context;
use crate::cli::values::thousands;
use crate::graph::GraphClient;

/// How often it is drawn.
const EVERY: Duration = Duration::from_millis(200);
/// How many kinds of refusals are shown.
const KINDS: usize = 3;

/// A view that is drawn until it is dropped.
pub(super) struct Live {
    task: tokio::task::JoinHandle<()>,
    bars: [ProgressBar; 2],
}

impl Live {
    /// A view of what `watch` sees, where there is somebody to look; it began with `counts`.
    pub(super) fn new(context: &Context, counts: Counts, watch: Arc<Watch>, graph: Arc<GraphClient>) -> Option<Self> {
        let hidden = context.global.no_progress || context.output.is_quiet() || context.output.bars.is_hidden();
        if hidden {
            return None;
        }
        let style = |template: &str| {
            ProgressStyle::with_template(template).expect("the template is well formed").progress_chars("━━─")
        };
        let bar = context.output.bars.add(ProgressBar::new(counts.total));
        bar.set_style(style(
            "  sending {bar:30.green/dim} {percent:>3}%  {human_pos} of {human_len}, {msg}, {eta} left",
        ));
        let below = context.output.bars.add(ProgressBar::new_spinner());
        below.set_style(style("{msg}"));
        bar.set_position(counts.total - counts.pending);
        bar.reset_eta();
        let bars = [bar, below];
        let task = tokio::spawn(draw(bars.clone(), counts, watch, graph));
        Some(Self { task, bars })
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.task.abort();
        self.bars.iter().for_each(ProgressBar::finish_and_clear);
    }
}

async fn draw([bar, below]: [ProgressBar; 2], counts: Counts, watch: Arc<Watch>, graph: Arc<GraphClient>) {
    let before = counts.total - counts.pending;
    let mut rate = Rate::default();
    loop {
        let done = watch.sent() + watch.failed() + watch.unknown() + watch.skipped();
        bar.set_position((before + done).min(counts.total));
        bar.set_message(figures(&watch, &graph, rate.now(done)));
        below.set_message(refusals(&watch));
        tokio::time::sleep(EVERY).await;
    }
}

fn figures(watch: &Watch, graph: &GraphClient, per_second: u64) -> String {
    let mut text = format!("{}/s", thousands(per_second));
    let others = [(watch.failed(), "failed"), (watch.unknown(), "unknown"), (watch.skipped(), "skipped")];
    for (number, word) in others.into_iter().filter(|(number, _)| *number > 0) {
        text = format!("{text}, {} {word}", thousands(number));
    }
    let pace = graph.governor().pace();
    if let Some(shut) = pace.shut_for {
        text = format!("{text}, Meta says wait: {} s", shut.as_secs());
    } else if pace.per_second < pace.full_per_second {
        text = format!("{text}, slowed to {}/s", pace.per_second);
    }
    text
}

/// How Meta refuses, the most frequent ways first, in the catalogue's words.
fn refusals(watch: &Watch) -> String {
    let lines = watch.errors().into_iter().take(KINDS).map(|error| super::send::refusal_line(&error));
    lines.map(|line| format!("          {}", shown_text(&line))).collect::<Vec<_>>().join("\n")
}

/// The rate over the last seconds.
#[derive(Debug, Default)]
struct Rate {
    samples: std::collections::VecDeque<u64>,
}

impl Rate {
    /// How many samples make the rate: three seconds' worth.
    const SAMPLES: usize = 15;

    fn now(&mut self, done: u64) -> u64 {
        self.samples.push_back(done);
        if self.samples.len() > Self::SAMPLES {
            self.samples.pop_front();
        }
        let first = self.samples.front().copied().unwrap_or(done);
        let steps = (self.samples.len() - 1).max(1) as u64;
        (done - first) * 1_000 / (steps * u64::try_from(EVERY.as_millis()).unwrap_or(1))
    }
}
