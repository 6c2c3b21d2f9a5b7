//! What becomes of deliveries that may have arrived, and of those an operator wants tried again.
//!
//! Certain evidence first: Meta's `message_echoes` webhooks, which bring back the metadata our nonce stands in
//! ([`Echoes`]). Then what a conversation shows, from which it is inferred ([`Inquiry`]). Without either, an
//! operator's word.

mod conversations;
mod echoes;
mod likeness;

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::CampaignError;
use super::sending::{DOUBT_LASTS, MOST_ATTEMPTS};
use crate::clock::Timestamp;
use crate::delivery::{Event, State};
use crate::ids::Recipient;
use crate::record::{CampaignId, DeliveryKey, Entry, ListedDelivery, Record, RecordError};

pub use conversations::{Inquiry, InquirySummary, Unclear, Verdict};
pub(super) use echoes::apply_unsaved;
pub use echoes::{Applied, Echo, Echoes, apply_echoes, apply_not_sent, read_echoes};

/// Why nothing more becomes of what may have arrived.
pub(super) const ONCE: &str = "nothing is sent twice";
/// How many deliveries are decided at once.
const PAGE: usize = 1_000;
/// How often others may decide about some of them meanwhile.
const MOST_OVERTAKEN: u32 = 10;

/// What an operator says of all deliveries that may have arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Assumption {
    /// They did.
    Sent,
    /// They did not, and are to be sent.
    NotSent,
}

/// What an operator decides on one delivery that may have arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// It did.
    Sent,
    /// It is sent once more: who got one may get another.
    SendAgain,
}

/// Which deliveries are tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Those Meta refused.
    Failed,
    /// Those that may have arrived: who got one may get another.
    Unknown,
}

impl Scope {
    pub(super) const fn state(self) -> State {
        match self {
            Self::Failed => State::Failed,
            Self::Unknown => State::Unknown,
        }
    }
}

/// Takes an operator's word for all deliveries that may have arrived, but for those `left`; says how many there were.
pub async fn assume(
    record: &dyn Record,
    campaign: CampaignId,
    assumption: Assumption,
    left: &BTreeSet<DeliveryKey>,
    now: Timestamp,
) -> Result<u64, CampaignError> {
    let assumed = match assumption {
        Assumption::Sent => Event::AssumeSent,
        Assumption::NotSent => Event::AssumeNotSent,
    };
    let event = |listed: &ListedDelivery| (!left.contains(&listed.key)).then(|| assumed.clone());
    decide_all(record, campaign, State::Unknown, event, now).await
}

/// Takes an operator's word for one delivery that may have arrived.
///
/// # Errors
/// When it no longer waits for that.
pub async fn decide(
    record: &dyn Record,
    campaign: CampaignId,
    key: DeliveryKey,
    decision: Decision,
    now: Timestamp,
) -> Result<(), CampaignError> {
    let event = match decision {
        Decision::Sent => Event::AssumeSent,
        Decision::SendAgain => Event::SendAgain { due: now },
    };
    Ok(record.decide(campaign, &[Entry { key, event, at: now }]).await?)
}

/// Has deliveries tried again at the next run, but for those to people who are left out; says how many.
pub(super) async fn reopen(
    record: &dyn Record,
    campaign: CampaignId,
    scope: Scope,
    left_out: &HashSet<Recipient>,
    now: Timestamp,
) -> Result<u64, CampaignError> {
    let event = match scope {
        Scope::Failed => Event::Reopen,
        Scope::Unknown => Event::SendAgain { due: now },
    };
    let again = |listed: &ListedDelivery| (!left_out.contains(&listed.recipient)).then(|| event.clone());
    decide_all(record, campaign, scope.state(), again, now).await
}

/// Why deliveries are unknown, and how many for each reason, the most frequent first. Traces, which tell one call from
/// another, are left out.
pub async fn reasons(record: &dyn Record, campaign: CampaignId) -> Result<Vec<(String, u64)>, CampaignError> {
    let (mut after, mut counts) = (None, BTreeMap::<_, u64>::new());
    loop {
        let page = record.deliveries(campaign, Some(State::Unknown), after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.key);
        for listed in page {
            *counts.entry(without_traces(&listed.delivery.reason.unwrap_or_default())).or_default() += 1;
        }
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    Ok(counts)
}

/// Words without the traces that stand at the end of brackets in them.
fn without_traces(words: &str) -> String {
    let mut kept = words.to_owned();
    for (from, to) in [(", trace ", ")"), (" (trace ", "")] {
        while let Some((before, behind)) = kept.split_once(from)
            && let Some((_, rest)) = behind.split_once(')')
        {
            kept = format!("{before}{to}{rest}");
        }
    }
    kept
}

/// Has what may have arrived sent again, as long as it was not tried too often.
pub(super) async fn resend_doubtful(
    record: &dyn Record,
    campaign: CampaignId,
    now: Timestamp,
) -> Result<u64, CampaignError> {
    let event = |listed: &ListedDelivery| {
        (listed.delivery.attempt < MOST_ATTEMPTS).then(|| Event::Resend { due: listed.delivery.at.plus(DOUBT_LASTS) })
    };
    decide_all(record, campaign, State::Unknown, event, now).await
}

/// Has what may have arrived, and was to be sent again, left unknown.
pub(super) async fn leave_unknown(
    record: &dyn Record,
    campaign: CampaignId,
    now: Timestamp,
) -> Result<u64, CampaignError> {
    let skip = || Event::Skip { reason: ONCE.to_owned() };
    let event = |listed: &ListedDelivery| listed.delivery.is_doubtful().then(skip);
    decide_all(record, campaign, State::RetryAt, event, now).await
}

/// Applies what `event` says of each delivery in this state. Whatever somebody else decides meanwhile stands.
async fn decide_all(
    record: &dyn Record,
    campaign: CampaignId,
    state: State,
    event: impl Fn(&ListedDelivery) -> Option<Event>,
    now: Timestamp,
) -> Result<u64, CampaignError> {
    let (mut after, mut decided, mut overtaken) = (None::<DeliveryKey>, 0, 0);
    loop {
        let page = record.deliveries(campaign, Some(state), after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(decided) };
        let entries: Vec<Entry> =
            page.iter().filter_map(|listed| Some(Entry { key: listed.key, event: event(listed)?, at: now })).collect();
        match record.decide(campaign, &entries).await {
            // All or none: the others are listed once more.
            Err(RecordError::Refused { .. }) if overtaken < MOST_OVERTAKEN => overtaken += 1,
            done => {
                done?;
                (after, overtaken) = (Some(last.key), 0);
                decided += entries.len() as u64;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_the_same_whatever_its_traces() {
        for (words, kept) in [
            ("busy (code 2, subcode 9, trace Ab1)", "busy (code 2, subcode 9)"),
            ("busy (code 2, trace Ab1); later: gone (trace Cd2)", "busy (code 2); later: gone"),
            ("no trace of it (code 2)", "no trace of it (code 2)"),
            ("cut short (code 2, trace A", "cut short (code 2, trace A"),
            ("", ""),
        ] {
            assert_eq!(without_traces(words), kept);
        }
    }
}
