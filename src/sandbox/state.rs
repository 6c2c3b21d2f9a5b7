//! What was accepted: attachments and the log of messages.
//!
//! Bytes of files are not kept. A message is kept as one JSON text and made into a `TruthMessage` when somebody asks, so
//! that a million of them fit in memory; its id is computed from its place in the log.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use fastrand::Rng;
use serde_json::{Map, Value};

use super::pages::{PAGES, SandboxPage};
use super::recipient;
use super::truth::{TruthAttachment, TruthFile, TruthMessage};
use crate::clock::Timestamp;

/// How long an attachment id works, counted from its upload. Source: Messenger Platform, Saving Assets (v25.0).
const LIFETIME: Duration = Duration::from_hours(24 * 90);

/// 16 digits, and past 2^53: a client that reads ids as floating-point numbers gets them wrong.
const ID_RANGE: std::ops::RangeInclusive<u64> = 9_007_199_254_740_993..=9_999_999_999_999_999;

#[derive(Debug)]
pub(super) struct State {
    attachments: Vec<TruthAttachment>,
    place_of: HashMap<String, usize>,
    log: Vec<Entry>,
    /// Where in the log the messages to each PSID stand, as far as anybody has asked.
    conversations: Conversations,
    /// Comments and posts that were replied to, with the Page that did.
    replied: HashSet<(&'static str, String)>,
    random: Rng,
    message_salt: u64,
}

/// Nothing is kept of it before the first question: most sandboxes are asked none, and may hold a million messages.
#[derive(Debug, Default)]
struct Conversations {
    /// How much of the log is in here.
    read: usize,
    places: BTreeMap<(&'static str, String), Vec<usize>>,
}

/// A message or sender action in the log.
#[derive(Debug)]
struct Entry {
    at: Timestamp,
    page: &'static SandboxPage,
    /// Where the attachment it created stands.
    attachment: Option<usize>,
    chunked: bool,
    request: Box<str>,
}

/// An attachment about to be given an id.
#[derive(Debug)]
pub(super) struct NewAttachment {
    pub(super) kind: &'static str,
    pub(super) platform: &'static str,
    pub(super) reusable: bool,
    pub(super) url: Option<String>,
    pub(super) file: Option<TruthFile>,
    pub(super) content_length: Option<u64>,
}

/// A message or sender action about to be logged.
#[derive(Debug)]
pub(super) struct NewMessage {
    pub(super) request: Map<String, Value>,
    pub(super) attachment_id: Option<String>,
    pub(super) chunked: bool,
}

impl State {
    /// An empty state; the same `seed` gives the same ids.
    pub(super) fn new(seed: Option<u64>) -> Self {
        let mut random = seed.map_or_else(Rng::new, Rng::with_seed);
        let message_salt = random.u64(..);
        Self {
            attachments: Vec::new(),
            place_of: HashMap::new(),
            log: Vec::new(),
            conversations: Conversations::default(),
            replied: HashSet::new(),
            random,
            message_salt,
        }
    }

    /// Forgets everything, and never gives the same ids again.
    pub(super) fn clear(&mut self) {
        *self = Self::new(Some(self.random.u64(..)));
    }

    /// Gives `new` an id.
    pub(super) fn add_attachment(&mut self, page: &SandboxPage, now: Timestamp, new: NewAttachment) -> String {
        let id = self.unused_id();
        self.restore_attachment(TruthAttachment {
            id: id.clone(),
            page_id: page.id.to_owned(),
            kind: new.kind.to_owned(),
            platform: new.platform.to_owned(),
            reusable: new.reusable,
            created_at: now,
            expires_at: now.plus(LIFETIME),
            revoked: false,
            url: new.url,
            file: new.file,
            content_length: new.content_length,
        });
        id
    }

    /// Whether `page` may send the attachment `id` now.
    pub(super) fn may_send(&self, page: &SandboxPage, id: &str, now: Timestamp) -> bool {
        self.place_of.get(id).map(|place| &self.attachments[*place]).is_some_and(|attachment| {
            attachment.page_id == page.id && attachment.reusable && !attachment.revoked && now < attachment.expires_at
        })
    }

    /// Whether `page` has replied to this comment or post.
    pub(super) fn has_replied(&self, page: &'static SandboxPage, activity: &str) -> bool {
        self.replied.contains(&(page.id, activity.to_owned()))
    }

    /// Makes an id useless; `false` if there is no such id.
    pub(super) fn revoke(&mut self, id: &str) -> bool {
        let Some(place) = self.place_of.get(id) else { return false };
        self.attachments[*place].revoked = true;
        true
    }

    /// Logs `new`; gives the id a message is answered with.
    pub(super) fn add_message(&mut self, page: &'static SandboxPage, now: Timestamp, new: NewMessage) -> String {
        if let Some(activity) = recipient::activity_in(&new.request) {
            self.replied.insert((page.id, activity.to_owned()));
        }
        let attachment = new.attachment_id.and_then(|id| self.place_of.get(&id).copied());
        let request = Value::Object(new.request).to_string().into_boxed_str();
        self.log.push(Entry { at: now, page, attachment, chunked: new.chunked, request });
        message_id(self.message_salt, self.message_count())
    }

    pub(super) fn attachments(&self) -> &[TruthAttachment] {
        &self.attachments
    }

    pub(super) fn message_count(&self) -> u64 {
        self.log.len() as u64
    }

    /// What message ids are computed from; another one after each `clear`.
    pub(super) fn message_salt(&self) -> u64 {
        self.message_salt
    }

    /// At most `limit` messages, from the one after number `since`.
    pub(super) fn messages(&self, since: u64, limit: usize) -> Vec<TruthMessage> {
        let start = usize::try_from(since).unwrap_or(usize::MAX).min(self.log.len());
        let entries = self.log[start..].iter().take(limit);
        (start as u64 + 1..).zip(entries).map(|(sequence, entry)| self.truth_of(sequence, entry)).collect()
    }

    /// What `page` sent to a PSID, oldest first.
    pub(super) fn messages_to(&mut self, page: &'static SandboxPage, psid: &str) -> Vec<TruthMessage> {
        self.read_conversations();
        let places = self.conversations.places.get(&(page.id, psid.to_owned())).map_or(&[][..], Vec::as_slice);
        places.iter().map(|place| self.truth_of(*place as u64 + 1, &self.log[*place])).collect()
    }

    /// The PSIDs `page` sent anything to.
    pub(super) fn people_written_to(&mut self, page: &'static SandboxPage) -> Vec<String> {
        self.read_conversations();
        let people = self.conversations.places.keys();
        people.filter(|(sender, _)| *sender == page.id).map(|(_, psid)| psid.clone()).collect()
    }

    fn read_conversations(&mut self) {
        let Conversations { read, places } = &mut self.conversations;
        for (place, entry) in self.log.iter().enumerate().skip(*read) {
            let request: Value = serde_json::from_str(&entry.request).expect("the log holds JSON objects");
            let psid =
                request.pointer("/recipient/id").map(|id| id.as_str().map_or_else(|| id.to_string(), str::to_owned));
            if let Some(psid) = psid {
                places.entry((entry.page.id, psid)).or_default().push(place);
            }
        }
        *read = self.log.len();
    }

    /// Puts back what `message_salt` said in another life.
    pub(super) fn restore_salt(&mut self, salt: u64) {
        self.message_salt = salt;
    }

    pub(super) fn restore_attachment(&mut self, attachment: TruthAttachment) {
        self.place_of.insert(attachment.id.clone(), self.attachments.len());
        self.attachments.push(attachment);
    }

    /// Puts `message` at the end of the log; `None` if its Page does not exist.
    pub(super) fn restore_message(&mut self, message: TruthMessage) -> Option<()> {
        let page = PAGES.iter().find(|page| page.id == message.page_id)?;
        let TruthMessage { request, attachment_id, chunked, at, .. } = message;
        self.add_message(page, at, NewMessage { request, attachment_id, chunked });
        Some(())
    }

    fn truth_of(&self, sequence: u64, entry: &Entry) -> TruthMessage {
        let request: Map<String, Value> = serde_json::from_str(&entry.request).expect("the log holds JSON objects");
        let message = request.get("message");
        TruthMessage {
            sequence,
            at: entry.at,
            page_id: entry.page.id.to_owned(),
            message_id: message.map(|_| message_id(self.message_salt, sequence)),
            attachment_id: entry.attachment.map(|place| self.attachments[place].id.clone()),
            metadata: message.and_then(|message| message["metadata"].as_str()).map(str::to_owned),
            chunked: entry.chunked,
            request,
        }
    }

    fn unused_id(&mut self) -> String {
        loop {
            let id = self.random.u64(ID_RANGE).to_string();
            if !self.place_of.contains_key(&id) {
                return id;
            }
        }
    }
}

/// The id of message number `sequence`: as long as Meta's, and telling as little.
fn message_id(salt: u64, sequence: u64) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut random = Rng::with_seed(salt.wrapping_add(sequence));
    let letters = std::iter::repeat_with(|| char::from(ALPHABET[random.usize(..ALPHABET.len())]));
    "m_".chars().chain(letters.take(84)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Timestamp = Timestamp::from_unix_millis(1_760_000_000_000);

    fn new_attachment() -> NewAttachment {
        NewAttachment {
            kind: "image",
            platform: "messenger",
            reusable: true,
            url: None,
            file: None,
            content_length: Some(3),
        }
    }

    fn text(text: &str) -> NewMessage {
        let message = serde_json::json!({ "recipient": { "id": "7" }, "message": { "text": text, "metadata": "m" } });
        NewMessage { request: message.as_object().expect("an object").clone(), attachment_id: None, chunked: false }
    }

    #[test]
    fn ids_are_sixteen_digits_that_no_double_can_hold_apart() {
        let mut state = State::new(Some(1));
        for _ in 0..1_000 {
            let id = state.add_attachment(&PAGES[0], NOON, new_attachment());
            assert_eq!(id.len(), 16);
            assert!(id.parse::<u64>().expect("digits") > 1 << 53);
        }
        assert_eq!(state.place_of.len(), 1_000);
    }

    #[test]
    fn an_id_works_for_its_page_for_ninety_days_less_a_millisecond() {
        let mut state = State::new(None);
        let id = state.add_attachment(&PAGES[0], NOON, new_attachment());
        let end = NOON.plus(Duration::from_hours(2_160));
        assert!(state.may_send(&PAGES[0], &id, end.minus(Duration::from_millis(1))));
        assert!(!state.may_send(&PAGES[0], &id, end));
        assert!(!state.may_send(&PAGES[1], &id, NOON));
        assert!(state.revoke(&id));
        assert!(!state.may_send(&PAGES[0], &id, NOON));
    }

    #[test]
    fn the_log_gives_each_message_the_id_it_was_answered_with() {
        let mut state = State::new(None);
        let answered: Vec<String> = ["a", "b", "c"].map(|body| state.add_message(&PAGES[1], NOON, text(body))).into();
        let logged: Vec<_> = state.messages(0, 9).into_iter().filter_map(|message| message.message_id).collect();
        assert_eq!(logged, answered);
        let page = state.messages(1, 1);
        assert_eq!((page.len(), page[0].sequence), (1, 2));
        assert_eq!(page[0].message_id.as_ref(), Some(&answered[1]));
        assert_eq!(page[0].metadata.as_deref(), Some("m"));
        assert_eq!(page[0].recipient().as_deref(), Some("7"));
        assert!(state.messages(u64::MAX, 9).is_empty());
    }

    #[test]
    fn the_same_seed_gives_the_same_ids_until_it_is_cleared() {
        let ids = |state: &mut State| {
            let attachment = state.add_attachment(&PAGES[0], NOON, new_attachment());
            (attachment, state.add_message(&PAGES[0], NOON, text("a")))
        };
        let (mut one, mut two) = (State::new(Some(5)), State::new(Some(5)));
        let first = ids(&mut one);
        assert_eq!(first, ids(&mut two));
        one.clear();
        assert!(one.attachments().is_empty());
        let second = ids(&mut one);
        assert_ne!(first.0, second.0);
        assert_ne!(first.1, second.1);
    }
}
