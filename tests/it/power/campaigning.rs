//! `campaign run`: what had left before the power failed is known of, and nobody gets it again.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use fastrand::Rng;
use reattach::campaign::Nonce;
use reattach::delivery::State;
use reattach::record::{DeliveryKey, ListedDelivery};

use super::cuts::{Past, Workload};
use super::shim::{Shim, Syncs};
use crate::campaign::{TEXT_AND_PICTURE, campaign, fast_world};
use crate::support::pictures::png;
use crate::support::reopened::{Ledger, Reopened, before};
use crate::support::{World, scratch};

/// On so many images, one is sent to its end.
const ENDED: u64 = 50;
const PARTS: usize = 2;
/// How many calls a run has under way at most.
const IN_FLIGHT: usize = 64;
/// How many runs an image has behind it at most.
const RUNS: usize = 2;

/// A text and a picture for each of many people, planned and sent against a sandbox that refuses nobody.
pub(crate) struct Campaigning<'s> {
    shim: &'s Shim,
    world: World,
    people: usize,
    accepted: Mutex<Accepted>,
    /// The most messages that had left before a cut.
    pub(crate) most_left: AtomicU64,
    /// How many images were sent to their end.
    pub(crate) ended: AtomicU64,
}

/// What the sandbox accepted, by nonce. Of all runs on all images: an image knows its own by what had left.
#[derive(Default)]
struct Accepted {
    read: u64,
    answers: HashMap<String, Answer>,
}

/// Whom a message reached, and under which id.
#[derive(Debug, Clone, PartialEq)]
struct Answer {
    recipient: String,
    message_id: String,
}

impl<'s> Campaigning<'s> {
    pub(crate) fn of(people: u32, shim: &'s Shim) -> Self {
        let world = fast_world();
        world.put("hero.png", png(1));
        campaign(&world, u64::from(people), TEXT_AND_PICTURE);
        let (accepted, most_left, ended) = (Mutex::default(), AtomicU64::new(0), AtomicU64::new(0));
        Self { shim, world, people: people as usize, accepted, most_left, ended }
    }

    /// What the sandbox answered to the message of this nonce, if it accepted it.
    fn answer(&self, nonce: &Nonce) -> Option<Answer> {
        let (mut accepted, nonce) = (self.accepted.lock().expect("no panic"), nonce.to_string());
        if !accepted.answers.contains_key(&nonce) {
            for message in self.world.sandbox().messages(accepted.read) {
                accepted.read = message.sequence;
                let recipient = message.recipient().expect("a recipient");
                let answer = Answer { recipient, message_id: message.message_id.expect("an id") };
                accepted.answers.insert(message.metadata.expect("a nonce"), answer);
            }
        }
        accepted.answers.get(&nonce).cloned()
    }

    /// What is wrong with a ledger, where these messages had left.
    fn objection_to(&self, ledger: &Ledger, left: &[Nonce]) -> Option<String> {
        let followed: HashSet<DeliveryKey> = left.iter().filter_map(|nonce| before(nonce.key)).collect();
        let forgotten = left.iter().find(|nonce| {
            let listed = ledger.get(&nonce.key).filter(|listed| nonce_of(listed).as_ref() == Some(nonce));
            let is_known = |state| state == State::Sent || state == State::Unknown && !followed.contains(&nonce.key);
            !listed.is_some_and(|listed| is_known(listed.delivery.state))
        });
        if let Some(nonce) = forgotten {
            let followed = if followed.contains(&nonce.key) { ", as did the part behind it" } else { "" };
            return Some(format!("{nonce} had left{followed}, and on record is {:?}", ledger.get(&nonce.key)));
        }
        let invented = ledger.values().find(|listed| !self.is_true(listed));
        invented.map(|listed| format!("on record, and not what happened: {listed:?}"))
    }

    /// Whether a delivery stands where it may, and was accepted where the ledger says so.
    fn is_true(&self, listed: &ListedDelivery) -> bool {
        match listed.delivery.state {
            State::Sent => nonce_of(listed).and_then(|nonce| self.answer(&nonce)).is_some_and(|answer| {
                answer.recipient == listed.recipient.to_string()
                    && Some(&answer.message_id) == listed.delivery.message_id.as_ref()
            }),
            state => matches!(state, State::Planned | State::Unknown),
        }
    }

    /// What is wrong with how a run on what was left ends.
    fn objection_to_the_end(&self, store: &Path, mut left: Vec<Nonce>) -> Option<String> {
        self.ended.fetch_add(1, Relaxed);
        let (folder, disk) = (scratch(), store.ancestors().nth(2).expect("it lies two levels down"));
        let log = match self.shim.watch(self.again(store), disk, &folder.path().join("log"), Syncs::Done, self.ends()) {
            Ok(log) => log,
            Err(why) => return Some(format!("it does not end: {why}")),
        };
        let mut rest = Past::default();
        rest.add(&log, log.events.len());
        left.extend(nonces(&rest));
        let record = match Reopened::of(&self.world, store) {
            Ok(record) => record,
            Err(error) => return Some(error.to_string()),
        };
        let wanted = self.people * PARTS;
        self.twice(&left).or_else(|| record.left_out(wanted)).or_else(|| self.objection_to(&record.ledger, &left))
    }

    /// Whom the sandbox gave something more than once.
    fn twice(&self, left: &[Nonce]) -> Option<String> {
        let mut reached = HashSet::new();
        let mut accepted = left.iter().filter_map(|nonce| Some((nonce.key.part, self.answer(nonce)?.recipient)));
        let twice = accepted.find(|part_and_recipient| !reached.insert(part_and_recipient.clone()));
        twice.map(|(part, recipient)| format!("{recipient} got part {} twice", part + 1))
    }
}

impl Workload for Campaigning<'_> {
    fn command(&self, store: &Path) -> Command {
        let mut command = self.world.command(["campaign", "run", "library/spring.toml", "--yes", "--json"]);
        command.env("REATTACH_STORE", format!("sled:{}", store.display()));
        command
    }

    fn again(&self, store: &Path) -> Command {
        self.command(store)
    }

    /// Well, or with something an operator has to settle.
    fn ends(&self) -> &[i32] {
        &[0, 7]
    }

    fn objection(&self, store: &Path, before: &Past, dice: &mut Rng) -> Option<String> {
        let left = nonces(before);
        self.most_left.fetch_max(left.len() as u64, Relaxed);
        let ledger = match Reopened::of(&self.world, store) {
            Ok(record) => record.ledger,
            Err(error) => return Some(error.to_string()),
        };
        let objection = self.objection_to(&ledger, &left).or_else(|| objection_to_counts(&ledger, before));
        objection.or_else(|| (dice.u64(..ENDED) == 0).then(|| self.objection_to_the_end(store, left))?)
    }
}

/// Where what was printed is more than what is on record, or more is unknown than was under way.
fn objection_to_counts(ledger: &Ledger, before: &Past) -> Option<String> {
    let count = |state| ledger.values().filter(|listed| listed.delivery.state == state).count();
    let (sent, unknown, total) = (count(State::Sent) as u64, count(State::Unknown), ledger.len() as u64);
    let is_more = |line: &&serde_json::Value| {
        line["event"] == "campaign" && (line["sent"].as_u64() > Some(sent) || line["total"].as_u64() > Some(total))
    };
    if let Some(line) = before.printed.iter().find(is_more) {
        return Some(format!("{sent} of {total} are sent on record, and this was printed: {line}"));
    }
    (unknown > RUNS * IN_FLIGHT).then(|| format!("{unknown} are unknown"))
}

/// The nonces of the messages that had left, or had begun to.
fn nonces(before: &Past) -> Vec<Nonce> {
    let nonces_in = |bytes: &Vec<u8>| {
        let text = String::from_utf8_lossy(bytes).into_owned();
        let metadata = text.split("\"metadata\":\"").skip(1).filter_map(|rest| rest.split_once('"'));
        metadata.map(|(nonce, _)| nonce.parse().expect("a nonce")).collect::<Vec<Nonce>>()
    };
    before.sent.iter().flat_map(nonces_in).collect()
}

/// The nonce a delivery was last begun with.
fn nonce_of(listed: &ListedDelivery) -> Option<Nonce> {
    let (key, attempt, random) = (listed.key, listed.delivery.attempt, listed.delivery.nonce?);
    Some(Nonce { campaign: "spring".parse().expect("a name"), key, attempt, random })
}
