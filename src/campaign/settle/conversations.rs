//! Evidence that is not certain: what the conversation with a person shows.
//!
//! A message is taken for an attempt at a delivery if it looks like it, was created while the attempt can have arrived,
//! by Meta's clock, and nothing else on record explains it. That there is none is taken for "not sent" only where there
//! would be one: the attempt can no longer arrive, and the conversation is shown back to before it. Whatever else is found
//! leaves the delivery unknown. That messages were delivered or read proves nothing of one of them, and is not looked at.

use std::collections::HashSet;
use std::fmt;
use std::time::Duration;

use super::PAGE;
use super::likeness::{Likeness, Looks};
use crate::campaign::tally::SAME_REFUSALS;
use crate::campaign::template::Template;
use crate::campaign::{CampaignError, CampaignMessage, Part};
use crate::clock::Timestamp;
use crate::delivery::{Event, State};
use crate::graph::{
    CALL_TIMEOUT, Conversation, ConversationMessage, Failure, GraphClient, GraphError, MessageDetails, Scope,
};
use crate::ids::{Platform, Recipient};
use crate::record::{Campaign, DoubtedAttempt, DoubtfulDelivery, Entry, Finding, PersonsDelivery, Record, RecordError};
use crate::stop::Stop;

/// How much earlier than its intent a message may be dated: times are told to the second.
const BEFORE: Duration = Duration::from_secs(5);
/// How long after its intent a message may still be taken: our patience with a call, and a minute at Meta.
const AFTER: Duration = CALL_TIMEOUT.saturating_add(Duration::from_mins(1));
/// What Meta says of something that is not there, or that this Page may not see.
const NOT_SHOWN: (i64, Option<i64>) = (100, Some(33));
/// An attachment like it that is dated so little before leaves a doubt, and a text like it whenever it is dated: an intent may
/// have been dated by a clock of ours that Meta had not put right yet.
const NEAR: Duration = Duration::from_hours(24);
/// How far the clocks of those who plan and send may be apart.
const APART: Duration = Duration::from_hours(1);

/// What a conversation says of a delivery that may have arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It shows these messages, one for each attempt that is taken for sent; the first is the delivery's from now on.
    Sent {
        /// Which messages, and when Meta took each.
        found: Vec<(Finding, Timestamp)>,
    },
    /// It shows none, though it would: the delivery is to be sent.
    NotSent {
        /// How many messages it shows.
        shown: usize,
    },
    /// It says nothing certain enough: the delivery stays as it is.
    Unclear(Unclear),
}

/// Why a conversation does not tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unclear {
    /// Conversations can be asked for by PSID alone.
    NoPsid,
    /// Who writes in the conversations of other platforms is not known well enough.
    OtherPlatform,
    /// An older version left it, which did not keep when it was sent.
    NoTime,
    /// Meta's answers do not say what time it is.
    NoClock,
    /// It may still arrive until then.
    TooEarly(Timestamp),
    /// Meta shows no conversation with this person.
    NoConversation,
    /// What is shown does not reach back to before it was sent.
    OutOfSight,
    /// This message may be it, or not.
    Resembling(String),
    /// This message may as well be another delivery of ours that may have arrived.
    Shared(String),
    /// Meta does not say.
    Refused(GraphError),
    /// A worker is at it just now.
    Held,
}

impl Unclear {
    /// Whether what is known speaks for its having arrived, or for its arriving still.
    pub const fn speaks_for_it(&self) -> bool {
        matches!(self, Self::TooEarly(_) | Self::Resembling(_) | Self::Shared(_) | Self::Held)
    }
}

impl fmt::Display for Unclear {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoPsid => f.write_str("they are not known by a PSID, and conversations can be asked for by no other"),
            Self::OtherPlatform => f.write_str("conversations are asked for on Messenger alone"),
            Self::NoTime => f.write_str("when it was sent was not kept by the version that sent it"),
            Self::NoClock => f.write_str("Meta's answers do not say what time it is there"),
            Self::TooEarly(until) => write!(f, "it may still arrive: ask again after {until}"),
            Self::NoConversation => f.write_str("Meta shows no conversation with them"),
            Self::OutOfSight => f.write_str("the conversation is not shown back to when it was sent"),
            Self::Resembling(id) => write!(f, "{id} may be it, or not"),
            Self::Shared(id) => write!(f, "{id} may be it, or another of your messages that may have arrived"),
            Self::Refused(error) => match (error.refusal(), error) {
                (Some(refusal), _) => write!(f, "Meta does not say: {refusal}"),
                (None, GraphError::Unknown { failure, .. }) => write!(f, "Meta does not say: {failure}"),
                (None, _) => write!(f, "Meta does not say: {error}"),
            },
            Self::Held => f.write_str("it is being sent right now"),
        }
    }
}

/// What a round of questions came to.
#[derive(Debug, Clone, Default)]
pub struct InquirySummary {
    /// Taken for sent.
    pub sent: u64,
    /// Taken for not sent.
    pub not_sent: u64,
    /// Left as they were.
    pub unclear: u64,
    /// Why it ended before everybody was asked about.
    pub end: Option<GraphError>,
    /// Whether it was stopped.
    pub stopped: bool,
}

/// Questions about what may have arrived, one conversation after the other.
#[derive(Debug)]
pub struct Inquiry<'a> {
    /// Holds the ledger.
    pub record: &'a dyn Record,
    /// Asks Meta, as the Page that sent.
    pub graph: &'a GraphClient,
    /// Of which campaign.
    pub campaign: &'a Campaign,
    /// Once requested, no other conversation is asked for.
    pub stop: &'a Stop,
}

impl Inquiry<'_> {
    /// Asks about every delivery that is unknown, or waits to be sent again, and writes down what each conversation says
    /// before the next is asked for. `told` hears of each.
    ///
    /// # Errors
    /// Of the record. What Meta says against it is in the summary, with what was settled before.
    pub async fn run(
        &self,
        mut told: impl FnMut(&DoubtfulDelivery, &Verdict),
    ) -> Result<InquirySummary, CampaignError> {
        let message = CampaignMessage::of(self.campaign)?;
        let templates = message.templates()?;
        let (mut summary, mut refused) = (InquirySummary::default(), 0);
        for state in [State::Unknown, State::RetryAt] {
            let mut after = None;
            loop {
                let page = self.record.doubtful(self.campaign.id, state, after, PAGE).await?;
                let Some(last) = page.last() else { break };
                after = Some(last.listed.key);
                for doubt in page {
                    if self.stop.is_requested() {
                        summary.stopped = true;
                        return Ok(summary);
                    }
                    if !doubt.listed.delivery.is_unknown_or_in_doubt() {
                        continue;
                    }
                    let looks = self.looks_of(&message, &templates, &doubt);
                    let verdict = match self.ask(&doubt, &looks).await? {
                        Ok(verdict) => self.settle(&doubt, verdict).await?,
                        Err(error) if is_about_everybody(&error) => {
                            summary.end = Some(error);
                            return Ok(summary);
                        }
                        Err(error) => Verdict::Unclear(Unclear::Refused(error)),
                    };
                    told(&doubt, &verdict);
                    match verdict {
                        Verdict::Sent { .. } => summary.sent += 1,
                        Verdict::NotSent { .. } => summary.not_sent += 1,
                        Verdict::Unclear(Unclear::Refused(error)) => {
                            summary.unclear += 1;
                            refused += 1;
                            if refused == SAME_REFUSALS && summary.sent + summary.not_sent == 0 {
                                summary.end = Some(error);
                                return Ok(summary);
                            }
                        }
                        Verdict::Unclear(_) => summary.unclear += 1,
                    }
                }
            }
        }
        Ok(summary)
    }

    /// What a delivery looks like: the variant of its part that was on its way. What an earlier plan sent, whose message
    /// and list are on record no more, may look like anything.
    fn looks_of(&self, message: &CampaignMessage, templates: &[Vec<Template>], doubt: &DoubtfulDelivery) -> Looks {
        let Campaign { plans, planned_at, .. } = *self.campaign;
        // Whoever planned it may have told the time by another clock.
        let first = planned_at.plus(APART);
        let is_earlier = |kept: &DoubtedAttempt| kept.doubted.intended_at.is_none_or(|at| at < first);
        if plans > 1 && doubt.attempts.iter().any(is_earlier) {
            return Looks::Uncertain;
        }
        let part = usize::from(doubt.listed.key.part);
        let variants = message.parts.get(part).map(Part::variants).unwrap_or_default();
        let place = variants.iter().position(|variant| variant.name == doubt.listed.delivery.variant);
        let template = place.and_then(|place| templates.get(part)?.get(place));
        template.map_or(Looks::Uncertain, |template| Looks::of(template.fill(&doubt.variables).as_json()))
    }

    async fn ask(&self, doubt: &DoubtfulDelivery, looks: &Looks) -> Result<Result<Verdict, GraphError>, CampaignError> {
        let Recipient::Psid(psid) = &doubt.listed.recipient else {
            return Ok(Ok(Verdict::Unclear(Unclear::NoPsid)));
        };
        if self.campaign.space.platform != Platform::Messenger {
            return Ok(Ok(Verdict::Unclear(Unclear::OtherPlatform)));
        }
        let Some(windows) = windows(&doubt.attempts) else { return Ok(Ok(Verdict::Unclear(Unclear::NoTime))) };
        let space = &self.campaign.space;
        let conversation = match self.graph.conversation_with(&space.page, psid).await {
            Ok(conversation) => conversation,
            Err(error) => return Ok(Err(error)),
        };
        if self.graph.clock_skew().is_none() {
            return Ok(Ok(Verdict::Unclear(Unclear::NoClock)));
        }
        // Read behind the answer: whatever is in it and was ours to know is on record by now.
        let ledger = self.record.deliveries_to(space, &doubt.listed.recipient).await?;
        let others = Others::of(&ledger, |other| (other.campaign, other.key) == (self.campaign.id, doubt.listed.key));
        let seen = Seen { page: space.page.as_str(), others, now: self.graph.meta_now() };
        Ok(Ok(match conversation.filter(|conversation| !conversation.messages.is_empty()) {
            Some(conversation) => seen.judge(&conversation, looks, &windows),
            None => Verdict::Unclear(Unclear::NoConversation),
        }))
    }

    /// Writes down what was found; says what came of it.
    async fn settle(&self, doubt: &DoubtfulDelivery, verdict: Verdict) -> Result<Verdict, CampaignError> {
        let (key, now) = (doubt.listed.key, self.graph.meta_now());
        let written = match &verdict {
            Verdict::Sent { found } => {
                let found: Vec<_> = found.iter().map(|(finding, _)| finding.clone()).collect();
                self.record.infer_sent(self.campaign.id, key, &found, now).await
            }
            Verdict::NotSent { .. } => {
                let entry = Entry { key, event: Event::InferredNotSent, at: now };
                self.record.decide(self.campaign.id, &[entry]).await
            }
            Verdict::Unclear(_) => Ok(()),
        };
        match written {
            Ok(()) => Ok(verdict),
            Err(RecordError::Refused { .. }) => Ok(Verdict::Unclear(Unclear::Held)),
            Err(error) => Err(error.into()),
        }
    }
}

/// Whether the next question would be answered alike. That a conversation is not shown, or comes in no form anybody knows,
/// may be so of that one alone: who is first in the list must not stop all behind them.
fn is_about_everybody(error: &GraphError) -> bool {
    match error {
        GraphError::Refused { refusal, .. } if (refusal.code, refusal.subcode) == NOT_SHOWN => false,
        GraphError::Unknown { failure: Failure::Unreadable { .. }, .. } => false,
        _ => !matches!(error.scope(), Some(Scope::Recipient | Scope::Request | Scope::Media | Scope::Attachment)),
    }
}

/// When a message of an attempt can have been created.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Window {
    attempt: u32,
    from: Timestamp,
    to: Timestamp,
}

impl Window {
    fn covers(&self, at: Timestamp) -> bool {
        self.from <= at && at <= self.to
    }

    fn of(kept: &DoubtedAttempt) -> Option<Self> {
        let intended_at = kept.doubted.intended_at?;
        let (from, to) = (intended_at.minus(BEFORE), intended_at.plus(AFTER));
        Some(Self { attempt: kept.doubted.attempt, from, to })
    }
}

/// The windows of all attempts, in their order; `None` where not all are known, or none is.
fn windows(attempts: &[DoubtedAttempt]) -> Option<Vec<Window>> {
    let windows: Vec<_> = attempts.iter().map(Window::of).collect::<Option<_>>()?;
    (!windows.is_empty()).then_some(windows)
}

/// What else was sent to a person.
#[derive(Debug, Default)]
struct Others {
    /// Messages that are some other delivery's for certain, or are taken for it.
    explained: HashSet<String>,
    /// When those may have been created of which no message is known.
    open: Vec<Window>,
}

impl Others {
    fn of(ledger: &[PersonsDelivery], is_it: impl Fn(&PersonsDelivery) -> bool) -> Self {
        let mut others = Self::default();
        for other in ledger.iter().filter(|other| !is_it(other)) {
            let PersonsDelivery { delivery, attempts, .. } = other;
            others.explained.extend(delivery.message_id.clone());
            others.explained.extend(attempts.iter().filter_map(|kept| kept.message_id.clone()));
            // That one of its attempts arrived says nothing of the others.
            others.open.extend(attempts.iter().filter(|kept| kept.message_id.is_none()).filter_map(Window::of));
            if delivery.state == State::InFlight {
                let (from, to) = (delivery.at.minus(BEFORE), delivery.at.plus(AFTER));
                others.open.push(Window { attempt: delivery.attempt, from, to });
            }
        }
        others
    }
}

/// What a conversation is looked at with.
struct Seen<'a> {
    page: &'a str,
    others: Others,
    now: Timestamp,
}

impl Seen<'_> {
    fn judge(&self, conversation: &Conversation, looks: &Looks, windows: &[Window]) -> Verdict {
        let (first, last) = (windows[0].from, windows[windows.len() - 1].to);
        let (mut left, mut found, mut doubt) = (windows.to_vec(), Vec::new(), None);
        // Oldest first, as the attempts are.
        for (message, at, details) in conversation.messages.iter().rev().filter_map(|message| self.candidate(message)) {
            let likeness = looks.likeness(details);
            let place = left.iter().position(|window| window.covers(at));
            let in_time = windows.iter().any(|window| window.covers(at));
            // One that is later still was not sent by anybody on record: then the intent's time may be wrong.
            let is_near = matches!(looks, Looks::Text(_)) || first.minus(NEAR) <= at;
            match likeness {
                Likeness::Alike if in_time && self.others.open.iter().any(|window| window.covers(at)) => {
                    doubt = Some(Unclear::Shared(message.id.clone()));
                }
                Likeness::Alike if let Some(place) = place => {
                    let attempt = left.remove(place).attempt;
                    found.push((Finding { attempt, message_id: message.id.clone() }, at));
                }
                Likeness::Alike if is_near => doubt = doubt.or(Some(Unclear::Resembling(message.id.clone()))),
                Likeness::Perhaps if in_time => doubt = doubt.or(Some(Unclear::Resembling(message.id.clone()))),
                _ => {}
            }
        }
        if !found.is_empty() {
            return Verdict::Sent { found };
        }
        let unclear = match doubt {
            Some(doubt) => doubt,
            None if self.now < last => Unclear::TooEarly(last),
            None if !reaches_behind(conversation, first) => Unclear::OutOfSight,
            None => return Verdict::NotSent { shown: conversation.messages.len() },
        };
        Verdict::Unclear(unclear)
    }

    /// The message if the Page wrote it and nothing else explains it.
    fn candidate<'m>(
        &self,
        message: &'m ConversationMessage,
    ) -> Option<(&'m ConversationMessage, Timestamp, &'m MessageDetails)> {
        let details = message.details.as_ref().filter(|details| details.from == self.page)?;
        (!self.others.explained.contains(&message.id)).then_some((message, message.created_at?, details))
    }
}

/// Whether everything that was written since `time` is shown, details and all.
fn reaches_behind(conversation: &Conversation, time: Timestamp) -> bool {
    let is_before = |message: &ConversationMessage| message.created_at.is_some_and(|at| at < time);
    let is_seen = |message: &ConversationMessage| message.details.is_some() && message.created_at.is_some();
    let messages = &conversation.messages;
    messages.iter().all(|message| is_seen(message) || is_before(message))
        && (conversation.is_whole || messages.iter().any(is_before))
}

#[cfg(test)]
mod tests;
