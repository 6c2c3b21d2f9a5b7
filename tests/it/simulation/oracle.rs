//! What must hold of the record and of Meta's truth, whatever has gone wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use reattach::campaign::settle::{Echo, apply_echoes};
use reattach::campaign::{State as Stand, counts};
use reattach::delivery::State;
use reattach::record::{Campaign, DeliveryKey, ListedDelivery, Record};

use super::life::{START, open};
use super::meta::Taken;
use super::town::{Town, campaign_name, space};
use super::world::at_once;

/// Holds a season against its promises.
pub(super) fn judge(town: &Arc<Town>, season: usize) {
    let record = open(&town.world.record());
    let now = START.plus(town.world.elapsed());
    let campaign = at_once(record.campaign(&space(), &campaign_name(season), now)).expect("an answer");
    let Some(campaign) = campaign else { return town.world.object("there is no campaign".to_owned()) };
    let truth: Vec<_> = town.meta.truth().into_iter().filter(|taken| taken.nonce.campaign == campaign.name).collect();
    let ledger = Ledger::read(&*record, &campaign);
    let case = Case { town, campaign: &campaign, truth: &truth };
    case.is_whole(&ledger);
    case.counts_match(&*record, &ledger);
    case.agrees(&ledger);
    case.nobody_has_it_too_often();
    case.echoes_settle_it(&*record);
    if let Err(error) = at_once(record.verify()) {
        town.world.object(format!("the record is damaged: {error}"));
    }
    let told = ledger.0.len();
    town.world.note(format_args!("season {season}: {told} deliveries, {} taken", truth.len()));
}

struct Ledger(Vec<ListedDelivery>);

impl Ledger {
    fn read(record: &dyn Record, campaign: &Campaign) -> Self {
        let (mut all, mut after) = (Vec::new(), None);
        loop {
            // In pages, as exports read it.
            let page = at_once(record.deliveries(campaign.id, None, after, 64)).expect("deliveries");
            let Some(last) = page.last() else { return Self(all) };
            after = Some(last.key);
            all.extend(page);
        }
    }
}

struct Case<'a> {
    town: &'a Town,
    campaign: &'a Campaign,
    truth: &'a [Taken],
}

impl Case<'_> {
    fn object(&self, what: &str) {
        self.town.world.object(format!("{}: {what}", self.campaign.name));
    }

    /// Every planned delivery is there once, and at its end, but for what waits behind an unknown one.
    fn is_whole(&self, ledger: &Ledger) {
        let scenario = &self.town.world.scenario;
        let parts = |seq| (0..scenario.parts).map(move |part| DeliveryKey { seq, part });
        let planned: BTreeSet<_> = (1..=scenario.recipients).flat_map(parts).collect();
        let listed: BTreeSet<_> = ledger.0.iter().map(|listed| listed.key).collect();
        if listed != planned || listed.len() != ledger.0.len() {
            self.object(&format!("{} rows of {} planned", ledger.0.len(), planned.len()));
        }
        let states: BTreeMap<_, _> = ledger.0.iter().map(|listed| (listed.key, listed.delivery.state)).collect();
        for (key, state) in &states {
            let before = key.part.checked_sub(1).and_then(|part| states.get(&DeliveryKey { part, ..*key }));
            if state.is_pending() && before.is_none_or(|before| *before != State::Unknown && !before.is_pending()) {
                self.object(&format!("{key} is {state} in the end"));
            }
            if state.is_held() {
                self.object(&format!("{key} is {state}, and nobody is there"));
            }
        }
        if let Some(holder) = &self.campaign.holder {
            self.object(&format!("{holder:?} is believed to hold it"));
        }
    }

    fn counts_match(&self, record: &dyn Record, ledger: &Ledger) {
        let counted = at_once(counts(record, self.campaign, START)).expect("counts");
        let of = |is: fn(State) -> bool| ledger.0.iter().filter(|listed| is(listed.delivery.state)).count() as u64;
        let told = (counted.total, counted.pending, counted.sent, counted.failed, counted.unknown, counted.skipped);
        let stored = (
            ledger.0.len() as u64,
            of(State::is_pending),
            of(|state| state == State::Sent),
            of(|state| state == State::Failed),
            of(|state| state == State::Unknown),
            of(|state| state == State::Skipped),
        );
        if told != stored {
            self.object(&format!("{told:?} are told, and {stored:?} are there"));
        }
        let stand = Stand::of(self.campaign, &counted);
        let is_paused = self.campaign.paused.is_some() && counted.pending > 0;
        if counted.unknown > 0 && stand != if is_paused { Stand::Paused } else { Stand::NeedsSettling } {
            self.object(&format!("{} are unknown, and it is {}", counted.unknown, stand.as_str()));
        }
    }

    /// Who has it by the record has it, and who has it is sent or unknown by the record.
    fn agrees(&self, ledger: &Ledger) {
        let mut has: BTreeMap<DeliveryKey, Vec<&Taken>> = BTreeMap::new();
        for taken in self.truth {
            has.entry(taken.nonce.key).or_default().push(taken);
        }
        for ListedDelivery { key, recipient, delivery } in &ledger.0 {
            let taken = has.get(key).map_or(&[][..], Vec::as_slice);
            if let Some(other) = taken.iter().find(|taken| taken.recipient != recipient.to_string()) {
                self.object(&format!("{key} is {recipient}'s, and {} got it", other.recipient));
            }
            let is_known = taken.iter().any(|taken| Some(&taken.message_id) == delivery.message_id.as_ref());
            match delivery.state {
                State::Sent if !is_known => self.object(&format!("{key} is sent as {:?}: not so", delivery.message_id)),
                State::Sent | State::Unknown => {}
                state if !taken.is_empty() => self.object(&format!("{key} is {state}, and {recipient} has it")),
                _ => {}
            }
        }
    }

    fn nobody_has_it_too_often(&self) {
        let most = if self.town.world.scenario.at_least_once { 3 } else { 1 };
        let mut times: BTreeMap<DeliveryKey, usize> = BTreeMap::new();
        for taken in self.truth {
            *times.entry(taken.nonce.key).or_default() += 1;
        }
        for (key, times) in times.into_iter().filter(|(_, times)| *times > most) {
            self.object(&format!("{key} was sent {times} times"));
        }
    }

    /// Once every echo is heard, the record knows what Meta knows.
    fn echoes_settle_it(&self, record: &dyn Record) {
        let mut echoes: Vec<_> = self
            .truth
            .iter()
            .map(|taken| Echo { nonce: taken.nonce.clone(), message_id: taken.message_id.clone(), to: None })
            .collect();
        echoes.extend(echoes.clone());
        at_once(apply_echoes(record, self.campaign.id, &echoes, START.plus(self.town.world.elapsed())))
            .expect("applied");
        let have: BTreeSet<_> = self.truth.iter().map(|taken| taken.nonce.key).collect();
        for ListedDelivery { key, delivery, .. } in Ledger::read(record, self.campaign).0 {
            if (delivery.state == State::Sent) != have.contains(&key) {
                self.object(&format!("{key} is {} although all echoes are heard", delivery.state));
            }
        }
        let twice: BTreeSet<_> = at_once(record.duplicates(self.campaign.id))
            .expect("an answer")
            .into_iter()
            .map(|twice| twice.listed.key)
            .collect();
        let mut times: BTreeMap<DeliveryKey, usize> = BTreeMap::new();
        self.truth.iter().for_each(|taken| *times.entry(taken.nonce.key).or_default() += 1);
        let really: BTreeSet<_> = times.into_iter().filter(|(_, times)| *times > 1).map(|(key, _)| key).collect();
        if twice != really {
            self.object(&format!("{twice:?} are named as duplicates, and {really:?} are"));
        }
    }
}
