//! A record that is opened anew, as whoever comes next would: verified, and held against what the sandbox has seen.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use reattach::campaign::Nonce;
use reattach::delivery::State;
use reattach::record::{self, DeliveryKey, ListedDelivery, RecordError, UploadFilter};
use reattach::sandbox::TruthMessage;
use serde_json::Value;

use super::World;

/// Every delivery there is of a campaign.
pub(crate) type Ledger = BTreeMap<DeliveryKey, ListedDelivery>;

/// What was accepted, by which delivery it was. More than one is one too many.
pub(crate) type Accepted = HashMap<DeliveryKey, Vec<TruthMessage>>;

/// What is on record, after all of it was verified and what dead runs had under way was settled.
#[derive(Debug)]
pub(crate) struct Reopened {
    /// Asset → its id.
    pub(crate) uploads: HashMap<String, String>,
    /// Of the first campaign; empty where there is none.
    pub(crate) ledger: Ledger,
}

impl Reopened {
    /// The record in the folder `store` of this world.
    pub(crate) fn of(world: &World, store: &Path) -> Result<Self, RecordError> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(async {
            let record = record::open(&store.join("record.db")).await?;
            record.verify().await?;
            let uploads = record.list(&UploadFilter::default(), None, usize::MAX).await?;
            let uploads = uploads.into_iter();
            let uploads =
                uploads.map(|upload| (upload.key.asset.to_string(), upload.attachment_id.to_string())).collect();
            let campaigns = record.campaigns(world.sandbox().now()).await?;
            let ledger = match campaigns.first() {
                Some(campaign) => record.deliveries(campaign.id, None, None, usize::MAX).await?,
                None => Vec::new(),
            };
            Ok(Self { uploads, ledger: ledger.into_iter().map(|listed| (listed.key, listed)).collect() })
        })
    }

    /// How many deliveries may have arrived.
    pub(crate) fn unknown(&self) -> usize {
        self.ledger.values().filter(|listed| listed.delivery.state == State::Unknown).count()
    }

    /// What was printed of an id and is not on record.
    pub(crate) fn lost<'l>(&self, printed: impl IntoIterator<Item = &'l Value>) -> Option<String> {
        let lost = printed.into_iter().find(|line| {
            let (Some(sha256), Some(id)) = (line["sha256"].as_str(), line["attachment_id"].as_str()) else {
                return false;
            };
            self.uploads.get(&format!("sha256:{sha256}")).map(String::as_str) != Some(id)
        });
        lost.map(|line| format!("printed, and not on record: {line}"))
    }

    /// What is wrong with the ledger, given all that was accepted: somebody has something twice, or was sent something
    /// nobody knows of, or is said to have what never arrived.
    pub(crate) fn objection(&self, accepted: &Accepted) -> Option<String> {
        let twice = accepted.iter().find(|(_, messages)| messages.len() > 1);
        if let Some((key, messages)) = twice {
            return Some(format!("{key} left {} times, and on record is {:?}", messages.len(), self.ledger.get(key)));
        }
        let state = |key| self.ledger.get(key).map(|listed| listed.delivery.state);
        let forgotten = accepted.keys().find(|key| !matches!(state(key), Some(State::Sent | State::Unknown)));
        if let Some(key) = forgotten {
            return Some(format!("{key} was sent, and on record is {:?}", self.ledger.get(key)));
        }
        let is_true = |listed: &&ListedDelivery| match listed.delivery.state {
            State::Sent => accepted.get(&listed.key).is_some_and(|messages| {
                messages[0].message_id == listed.delivery.message_id
                    && messages[0].recipient() == Some(listed.recipient.to_string())
            }),
            state => matches!(state, State::Planned | State::Unknown),
        };
        let invented = self.ledger.values().find(|listed| !is_true(listed));
        invented.map(|listed| format!("on record, and not what happened: {listed:?}"))
    }

    /// Who of so many deliveries gets nothing, though nothing speaks against it: what waits behind a part that may have
    /// arrived waits for a reason.
    pub(crate) fn left_out(&self, wanted: usize) -> Option<String> {
        let unknown = |key: DeliveryKey| self.ledger[&key].delivery.state == State::Unknown;
        let left_out = self
            .ledger
            .values()
            .find(|listed| listed.delivery.state == State::Planned && !before(listed.key).is_some_and(unknown));
        let found = self.ledger.len();
        left_out
            .map(|listed| format!("the run left out {listed:?}"))
            .or_else(|| (found != wanted).then(|| format!("{found} deliveries instead of {wanted}")))
    }
}

/// The messages the sandbox accepted after the one of this sequence, by the delivery their nonce names; adds them to
/// those known, and gives back the last sequence.
pub(crate) fn add_accepted(world: &World, since: u64, accepted: &mut Accepted) -> u64 {
    let mut last = since;
    for message in world.sandbox().messages(since) {
        last = message.sequence;
        let nonce: Nonce = message.metadata.as_deref().expect("a nonce").parse().expect("a nonce");
        accepted.entry(nonce.key).or_default().push(message);
    }
    last
}

/// The same recipient's part before this one.
pub(crate) fn before(key: DeliveryKey) -> Option<DeliveryKey> {
    Some(DeliveryKey { part: key.part.checked_sub(1)?, ..key })
}
