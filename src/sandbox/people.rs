//! People a control call told the sandbox about: when they last wrote, and whether they can be reached at all.
//!
//! Whoever is not listed can be reached at any time.
//!
//! Source: Messenger Platform, Send a Message, messaging windows and message tags (read 2026-09-11); Instagram
//! Messaging, Send a Message (read 2026-09-11); Page `messages` edge, `tag` (v25.0).

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::Value;

use super::error::GraphError;
use super::recipient::Recipient;
use super::recipient_errors::RecipientError;
use super::time::parse_rfc3339;
use crate::clock::Timestamp;

/// How long after somebody wrote they may be answered.
const STANDARD_WINDOW: Duration = Duration::from_hours(24);
/// How long a person may answer for the Page, feedback may be asked for, and a comment be replied to.
const LONG_WINDOW: Duration = Duration::from_hours(24 * 7);

/// Who was described, by what messages name them.
#[derive(Debug, Default)]
pub(super) struct People(BTreeMap<String, Person>);

/// Somebody, or a comment or post that can be replied to.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Person {
    /// What a message's `recipient` calls them.
    id: String,
    #[serde(default, skip_serializing_if = "LastInteraction::is_unsaid")]
    last_interaction_at: LastInteraction,
    /// What every message to them is refused with, such as `551/1545041`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(default)]
    platform: PersonPlatform,
}

/// Where somebody writes from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum PersonPlatform {
    #[default]
    Messenger,
    Instagram,
}

/// When somebody last wrote. Not to say is not to close any window.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum LastInteraction {
    #[default]
    Unsaid,
    Never,
    At(Timestamp),
}

impl LastInteraction {
    fn is_unsaid(&self) -> bool {
        *self == Self::Unsaid
    }
}

impl Serialize for LastInteraction {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::At(time) => time.serialize(serializer),
            Self::Unsaid | Self::Never => serializer.serialize_none(),
        }
    }
}

impl<'de> Deserialize<'de> for LastInteraction {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Option::<String>::deserialize(deserializer)? {
            None => Ok(Self::Never),
            Some(text) => parse_rfc3339(&text).map(Self::At).map_err(de::Error::custom),
        }
    }
}

/// The reason a message gives for being sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Occasion {
    /// An answer, an update, or nothing in particular.
    Conversation,
    HumanAgent,
    CustomerFeedback,
    News,
    /// A utility message, for which no window counts.
    Utility,
}

impl People {
    /// The people a control call describes: one, or a list. Says what is wrong, else.
    pub(super) fn parse(value: Value) -> Result<Vec<Person>, String> {
        let list = if let Value::Array(list) = value { list } else { vec![value] };
        let people: Vec<Person> = list
            .into_iter()
            .map(serde_json::from_value)
            .collect::<Result<_, _>>()
            .map_err(|error: serde_json::Error| error.to_string())?;
        for person in &people {
            if person.id.is_empty() {
                return Err("a person without an id".to_owned());
            }
            person.error.as_deref().map(RecipientError::parse).transpose()?;
        }
        Ok(people)
    }

    /// Adds `people`; each takes the place of whoever had the same id.
    pub(super) fn add(&mut self, people: Vec<Person>) {
        self.0.extend(people.into_iter().map(|person| (person.id.clone(), person)));
    }

    /// Whoever goes by `name`, or somebody nothing is known of.
    pub(super) fn find(&self, name: &str) -> Person {
        self.0.get(name).cloned().unwrap_or_default()
    }

    pub(super) fn list(&self) -> Vec<&Person> {
        self.0.values().collect()
    }
}

impl Person {
    pub(super) fn platform(&self) -> PersonPlatform {
        self.platform
    }

    /// When they last wrote, where that was said.
    pub(super) fn last_wrote_at(&self) -> Option<Timestamp> {
        if let LastInteraction::At(last) = self.last_interaction_at { Some(last) } else { None }
    }

    /// Refuses for the reason the control call gave, if it gave one.
    pub(super) fn reach(&self) -> Result<(), GraphError> {
        match self.error.as_deref().map(RecipientError::parse) {
            // It was parsed when it came in, so there is no other error.
            Some(Ok(error)) => Err(error.into()),
            Some(Err(_)) | None => Ok(()),
        }
    }

    /// Whether a message on this occasion may reach them `now`.
    pub(super) fn receive(&self, recipient: &Recipient, occasion: Occasion, now: Timestamp) -> Result<(), GraphError> {
        let within = |window| match self.last_interaction_at {
            LastInteraction::Unsaid => true,
            LastInteraction::Never => false,
            LastInteraction::At(last) => now.since(last) <= window,
        };
        let outside = match self.platform {
            PersonPlatform::Messenger => RecipientError::OUTSIDE_WINDOW,
            PersonPlatform::Instagram => RecipientError::OUTSIDE_WINDOW_ON_INSTAGRAM,
        };
        let (open, refusal) = match occasion {
            Occasion::Utility => (true, outside),
            _ if recipient.is_activity() => (within(LONG_WINDOW), RecipientError::REPLY_TOO_LATE),
            Occasion::Conversation => (within(STANDARD_WINDOW), outside),
            Occasion::HumanAgent | Occasion::CustomerFeedback => (within(LONG_WINDOW), outside),
            Occasion::News => (within(STANDARD_WINDOW), RecipientError::NEEDS_NEWS_PERMISSION),
        };
        if open { Ok(()) } else { Err(refusal.into()) }
    }
}
