//! What a second `run` or `resume` does while another process sends the campaign: it looks on, and ends as that one did.
//!
//! All it knows comes from the record. It sends nothing, and nothing it does can stop who sends.

use std::time::{Duration, Instant};

use crate::campaign::{CampaignError, Counts};
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::values::local_moment;
use crate::events::CampaignEvent;
use crate::record::{Campaign, Holder, Record};

use super::closing::{ending, print_closing};
use super::counts;
use super::live::{Live, Meter, View};

/// How often it is asked whether somebody still sends.
pub(super) const ASK_EVERY: Duration = Duration::from_millis(500);

/// Looks on until nobody sends `campaign` any more.
pub(super) async fn look_on(
    context: &Context,
    record: &dyn Record,
    campaign: Campaign,
    holder: Holder,
) -> Result<Exit, Failure> {
    let output = &context.output;
    let since = local_moment(holder.since, context.clock.now());
    output.note(format_args!(
        "process {} has been sending {} since {since}: looking on, and sending nothing (Ctrl-C ends the looking on alone)",
        holder.pid, campaign.name
    ));
    let live = Live::new(context);
    let mut glances = Glances::default();
    let (campaign, still) = loop {
        let current = record.campaign(&campaign.space, &campaign.name, context.clock.now()).await?;
        let Some(current) = current else { return Err(CampaignError::NotPlanned { name: campaign.name }.into()) };
        let Some(holder) = current.holder else { break (current, None) };
        if current.digest.is_none() {
            // It is being planned anew: there is nothing to look at.
            return Err(CampaignError::Held { name: current.name, holder }.into());
        }
        if context.stop.is_requested() {
            break (current, Some(holder));
        }
        if let Some(live) = live.as_ref().filter(|_| glances.is_due(Instant::now())) {
            let began = Instant::now();
            let counts = counts(context, record, &current).await?;
            live.show(&glances.take(began, Instant::now(), counts));
        }
        tokio::select! {
            () = tokio::time::sleep(ASK_EVERY) => {}
            () = context.stop.requested() => {}
        }
    };
    drop(live);
    let counts = counts(context, record, &campaign).await?;
    let elapsed = context.clock.now().since(holder.since);
    print_closing(context, &campaign, &counts, campaign.paused.as_deref(), elapsed);
    let exit = match still {
        Some(holder) => {
            output.note(format_args!("process {} goes on sending {}", holder.pid, campaign.name));
            Exit::Interrupted
        }
        None => ending(context, &campaign, &counts),
    };
    output.event(&CampaignEvent::new(&campaign, &counts));
    Ok(exit)
}

/// The campaign once whoever sent it when it was paused has finished what had left; as it is where it is paused no more.
pub(super) async fn let_go(context: &Context, record: &dyn Record, paused: Campaign) -> Result<Campaign, Failure> {
    let (mut campaign, mut was_told) = (paused, false);
    while let Some(holder) = campaign.holder.filter(|_| campaign.paused.is_some()) {
        if !std::mem::replace(&mut was_told, true) {
            let (pid, name) = (holder.pid, &campaign.name);
            context
                .output
                .note(format_args!("{name} is paused: waiting until process {pid} has finished what has left"));
        }
        tokio::select! {
            () = tokio::time::sleep(ASK_EVERY) => {}
            () = context.stop.requested() => return Err(Failure::Stopped),
        }
        let now = record.campaign(&campaign.space, &campaign.name, context.clock.now()).await?;
        campaign = now.ok_or(CampaignError::NotPlanned { name: campaign.name })?;
    }
    Ok(campaign)
}

/// Counts, now and then: it takes long where there are many to count, and may not slow down who sends.
#[derive(Debug, Default)]
struct Glances {
    meter: Meter,
    done: Option<u64>,
    due: Option<Instant>,
}

impl Glances {
    /// They are no closer together than this.
    const EVERY: Duration = Duration::from_secs(1);
    /// Nor than so many times as long as the last took.
    const PART: u32 = 20;

    fn is_due(&self, now: Instant) -> bool {
        self.due.is_none_or(|due| now >= due)
    }

    /// What was seen by counting from `began` to `now`.
    fn take(&mut self, began: Instant, now: Instant, counts: Counts) -> View {
        self.due = Some(now + Self::EVERY.max((now - began) * Self::PART));
        let done = counts.total - counts.pending;
        // Who looks on cannot tell waiting from stopping; neither says how fast it goes.
        let is_going = self.done.replace(done) != Some(done);
        self.meter.note(now, done, is_going);
        let (per_second, left) = (self.meter.per_second(), self.meter.left(counts.pending));
        View { counts, per_second, left, ..View::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_takes_long_to_count_counts_rarely() {
        let (mut glances, began) = (Glances::default(), Instant::now());
        assert!(glances.is_due(began));
        let after = |millis| began + Duration::from_millis(millis);
        glances.take(began, after(2), Counts::default());
        assert!(!glances.is_due(after(1_001)) && glances.is_due(after(1_002)));
        glances.take(began, after(400), Counts::default());
        assert!(!glances.is_due(after(8_399)) && glances.is_due(after(8_400)));
    }
}
