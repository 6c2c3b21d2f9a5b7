//! The objects of `campaign … --json`.

use serde::Serialize;

use crate::campaign::settle::Verdict;
use crate::campaign::{Preflight, PreflightAsset, QuietHours};
use crate::clock::Timestamp;
use crate::record::{Campaign, Duplicate, Finding, ListedDelivery};

/// `{"event":"bad_row"}`: a row of the list that cannot be used.
#[derive(Debug, Serialize)]
pub(super) struct BadRowEvent<'a> {
    pub(super) event: &'static str,
    pub(super) line: u64,
    pub(super) message: &'a str,
}

/// `{"event":"preflight"}`: what a run is about to do.
#[derive(Debug, Serialize)]
pub(super) struct PreflightEvent<'a> {
    event: &'static str,
    name: &'a str,
    page_id: &'a str,
    recipients: u64,
    duplicates: u64,
    malformed: u64,
    suppressed: u64,
    closed_windows: u64,
    pending: u64,
    calls: u64,
    messages_per_second: u32,
    /// What the campaign asks for, where the Page's own limit is lower.
    messages_per_second_asked: Option<u32>,
    duration_secs: u64,
    bytes_saved: u64,
    delivery: &'static str,
    stage: &'static str,
    stage_recipients: u64,
    start_at: Option<Timestamp>,
    expires_at: Option<Timestamp>,
    quiet_hours: Option<QuietHours>,
    ends_at: Timestamp,
    permission: &'static str,
    assets: Vec<AssetLine<'a>>,
}

#[derive(Debug, Serialize)]
struct AssetLine<'a> {
    #[serde(rename = "ref")]
    reference: &'a str,
    attachment_id: &'a str,
    expires_at: Timestamp,
    uploaded: bool,
    size_bytes: Option<u64>,
}

impl<'a> PreflightEvent<'a> {
    pub(super) fn new(campaign: &'a Campaign, ahead: &'a Preflight, suppressed: u64) -> Self {
        let line = |asset: &'a PreflightAsset| AssetLine {
            reference: &asset.reference,
            attachment_id: &asset.attachment_id,
            expires_at: asset.expires_at,
            uploaded: asset.uploaded,
            size_bytes: asset.size_bytes,
        };
        Self {
            event: "preflight",
            name: campaign.name.as_str(),
            page_id: campaign.space.page.as_str(),
            recipients: ahead.recipients,
            duplicates: ahead.duplicates,
            malformed: ahead.malformed,
            suppressed,
            closed_windows: ahead.closed_windows,
            pending: ahead.counts.pending,
            calls: ahead.calls,
            messages_per_second: ahead.messages_per_second,
            messages_per_second_asked: ahead.asked_per_second,
            duration_secs: ahead.duration.as_secs(),
            bytes_saved: ahead.bytes_saved,
            delivery: ahead.delivery.as_str(),
            stage: ahead.stage.as_str(),
            stage_recipients: ahead.stage_recipients,
            start_at: ahead.times.start_at,
            expires_at: ahead.times.expires_at,
            quiet_hours: ahead.times.quiet_hours,
            ends_at: ahead.ends_at,
            permission: ahead.permission.as_str(),
            assets: ahead.assets.iter().map(line).collect(),
        }
    }
}

/// `{"event":"settled"}`: what a conversation says of a delivery that may have arrived.
#[derive(Debug, Serialize)]
pub(super) struct SettledEvent<'a> {
    event: &'static str,
    campaign: &'a str,
    recipient: String,
    part: u8,
    /// `sent`, `not_sent` or `unknown`.
    verdict: &'static str,
    inferred: bool,
    evidence: Evidence<'a>,
}

/// What a verdict rests on.
#[derive(Debug, Serialize)]
struct Evidence<'a> {
    source: &'static str,
    /// The messages that are taken for it.
    messages: Vec<MessageSeen<'a>>,
    /// Of how many there were to see.
    #[serde(skip_serializing_if = "Option::is_none")]
    shown: Option<usize>,
    /// Why it is not enough.
    reason: Option<String>,
}

#[derive(Debug, Serialize)]
struct MessageSeen<'a> {
    message_id: &'a str,
    attempt: u32,
    created_at: Timestamp,
}

impl<'a> SettledEvent<'a> {
    pub(super) fn new(campaign: &'a Campaign, listed: &ListedDelivery, verdict: &'a Verdict) -> Self {
        let seen = |(finding, created_at): &'a (Finding, Timestamp)| MessageSeen {
            message_id: &finding.message_id,
            attempt: finding.attempt,
            created_at: *created_at,
        };
        let (word, messages, shown, reason) = match verdict {
            Verdict::Sent { found } => ("sent", found.iter().map(seen).collect(), None, None),
            Verdict::NotSent { shown } => ("not_sent", Vec::new(), Some(*shown), None),
            Verdict::Unclear(why) => ("unknown", Vec::new(), None, Some(why.to_string())),
        };
        Self {
            event: "settled",
            campaign: campaign.name.as_str(),
            recipient: listed.recipient.to_string(),
            part: listed.key.part + 1,
            verdict: word,
            inferred: word != "unknown",
            evidence: Evidence { source: "conversation", messages, shown, reason },
        }
    }
}

/// `{"event":"duplicate"}`: somebody who has a part more than once.
#[derive(Debug, Serialize)]
pub(super) struct DuplicateEvent<'a> {
    event: &'static str,
    campaign: &'a str,
    recipient: String,
    part: u8,
    message_id: Option<&'a str>,
    duplicate_ids: &'a [String],
}

impl<'a> DuplicateEvent<'a> {
    pub(super) fn new(campaign: &'a Campaign, duplicate: &'a Duplicate) -> Self {
        let Duplicate { listed, others } = duplicate;
        Self {
            event: "duplicate",
            campaign: campaign.name.as_str(),
            recipient: listed.recipient.to_string(),
            part: listed.key.part + 1,
            message_id: listed.delivery.message_id.as_deref(),
            duplicate_ids: others,
        }
    }
}
