//! The shared record, as PostgreSQL keeps it: who is alive, who sends what, what became of each delivery, and who has how
//! much of a Page's rate. A model: rows lie in memory, but go from state to state by [`Delivery::step`] alone.
//!
//! Every call is one transaction. It takes some milliseconds, waits for its worker to be in reach, and judges leases by
//! the server's clock at the moment it is carried out.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use fastrand::Rng;
use reattach::clock::Timestamp;
use reattach::delivery::{Delivery, Event, State};
use reattach::graph::CALL_TIMEOUT;
use tokio::time::{Instant, sleep, sleep_until};

use crate::budget::{Budget, Share};
use crate::locked;
use crate::scenario::{Planned, Safeguard, Scenario};

/// How long a silent worker is believed to be alive.
pub(crate) const LEASE: Duration = Duration::from_secs(30);
/// How often a lease is renewed within its time.
pub(crate) const BEATS: u32 = 6;
/// Recipients that are claimed at a time.
const CLAIM: usize = 64;
/// How long a call may take that was begun within the lease: longer than any does.
pub(crate) const LONGEST_CALL: Duration = CALL_TIMEOUT.saturating_add(Duration::from_secs(30));
/// How long a claim takes that locks nothing.
const UNLOCKED: Duration = Duration::from_millis(100);
/// More is left of a campaign than it is worth a second worker's joining: a minute's messages.
const WORTH_JOINING: Duration = Duration::from_mins(1);

/// A worker's lease, by its number.
pub(crate) type Owner = usize;

/// The worker's lease is over: it may begin nothing, and what it had has passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lapsed;

/// What a claim brings.
#[derive(Debug)]
pub(crate) struct Claims {
    pub(crate) rows: Vec<u32>,
    /// Nobody holds anything any more: the campaign is at its end.
    pub(crate) is_over: bool,
}

/// The link between a worker and the record.
#[derive(Debug, Default)]
pub(crate) struct Link(Mutex<Option<Instant>>);

impl Link {
    /// Nothing gets through until then.
    pub(crate) fn cut_until(&self, until: Instant) {
        *locked(&self.0) = Some(until);
    }

    async fn reach(&self) {
        let until = *locked(&self.0);
        if let Some(until) = until {
            sleep_until(until).await;
        }
    }
}

/// What all share.
#[derive(Debug)]
pub(crate) struct Record {
    tables: Mutex<Tables>,
    rng: Mutex<Rng>,
    without: Option<Safeguard>,
    rate: u32,
}

#[derive(Debug)]
struct Tables {
    began: Instant,
    /// Until when each is alive.
    owners: Vec<Instant>,
    campaigns: Vec<Campaign>,
    budgets: Vec<Budget>,
    /// Transactions and rows written, by second.
    written: Vec<(u32, u32)>,
}

/// One campaign and its deliveries.
#[derive(Debug)]
struct Campaign {
    begins: Instant,
    people: u32,
    /// Everybody up to here has a row.
    frontier: u32,
    /// Planned, and tried before.
    again: BTreeMap<u32, Delivery>,
    held: BTreeMap<u32, (Delivery, Owner)>,
    senders: BTreeMap<Owner, Duty>,
    /// What became of everybody.
    states: Vec<State>,
    /// How many are at their end.
    ended: u32,
}

/// What a sender still answers for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Duty {
    All,
    /// Its claims were let go; what it had in flight was not yet.
    InFlight,
}

impl Record {
    pub(crate) fn new(scenario: &Scenario, planned: &[Planned]) -> Self {
        let began = Instant::now();
        let campaign = |planned: &Planned| Campaign {
            begins: began + planned.begins,
            people: planned.people,
            frontier: 0,
            again: BTreeMap::new(),
            held: BTreeMap::new(),
            senders: BTreeMap::new(),
            states: vec![State::Planned; planned.people as usize],
            ended: 0,
        };
        let budget = || Budget::new(Scenario::rate(), scenario.without != Some(Safeguard::Second));
        let tables = Tables {
            began,
            owners: Vec::new(),
            campaigns: planned.iter().map(campaign).collect(),
            budgets: planned.iter().map(|_| budget()).collect(),
            written: Vec::new(),
        };
        Self {
            tables: Mutex::new(tables),
            rng: Mutex::new(Rng::with_seed(scenario.seed ^ 0x5245_434f)),
            without: scenario.without,
            rate: Scenario::rate(),
        }
    }

    /// The way to the server and a place in its log.
    async fn commit(&self, link: &Link) {
        let takes = Duration::from_millis(locked(&self.rng).u64(2..12));
        link.reach().await;
        sleep(takes).await;
    }

    fn tables(&self, rows: usize) -> MutexGuard<'_, Tables> {
        let mut tables = locked(&self.tables);
        tables.count(rows);
        tables
    }

    /// A new lease.
    pub(crate) async fn join(&self, link: &Link) -> Owner {
        self.commit(link).await;
        let mut tables = self.tables(1);
        tables.owners.push(Instant::now() + LEASE);
        tables.owners.len() - 1
    }

    /// Renews a lease that is not over.
    pub(crate) async fn renew(&self, link: &Link, owner: Owner) -> Result<(), Lapsed> {
        self.commit(link).await;
        let mut tables = self.tables(1);
        tables.alive(owner)?;
        tables.owners[owner] = Instant::now() + LEASE;
        Ok(())
    }

    /// Campaigns that want a sender, and have this one from now on; those with the fewest senders first.
    pub(crate) async fn take_up(&self, link: &Link, owner: Owner, most: usize) -> Result<Vec<usize>, Lapsed> {
        self.commit(link).await;
        let mut tables = self.tables(most);
        tables.alive(owner)?;
        let now = Instant::now();
        let Tables { owners, campaigns, .. } = &mut *tables;
        let worth_joining = WORTH_JOINING.as_secs() * u64::from(self.rate);
        let mut wanting: Vec<(usize, usize)> = campaigns
            .iter()
            .enumerate()
            .filter(|(_, campaign)| campaign.begins <= now && !campaign.is_over())
            .filter(|(_, campaign)| !campaign.senders.contains_key(&owner))
            .map(|(number, campaign)| (campaign.senders.keys().filter(|&&sender| owners[sender] > now).count(), number))
            .filter(|&(senders, number)| senders == 0 || senders == 1 && campaigns[number].left() > worth_joining)
            .collect();
        wanting.sort_unstable();
        wanting.truncate(most);
        let taken: Vec<usize> = wanting.into_iter().map(|(_, number)| number).collect();
        for &number in &taken {
            campaigns[number].senders.insert(owner, Duty::All);
        }
        Ok(taken)
    }

    /// Recipients that are this worker's from now on. What others have locked is passed over.
    pub(crate) async fn claim(&self, link: &Link, owner: Owner, number: usize) -> Result<Claims, Lapsed> {
        let mut early = None;
        if self.without == Some(Safeguard::Lock) {
            // What is read here may be another's by the time it is written; a busy server makes that long enough to show.
            early = Some(self.tables(0).campaigns[number].turn());
            sleep(UNLOCKED).await;
        }
        self.commit(link).await;
        let mut tables = self.tables(CLAIM);
        tables.alive(owner)?;
        let now = Instant::now();
        let at = tables.timestamp(now);
        let Tables { owners, campaigns, .. } = &mut *tables;
        let campaign = &mut campaigns[number];
        campaign.bury(owners, now, at);
        let turn = early.unwrap_or_else(|| campaign.turn());
        for &seq in &turn {
            let delivery = campaign.again.remove(&seq).unwrap_or(Delivery::planned(at));
            campaign.held.insert(seq, (stepped(&delivery, &Event::Claim, at), owner));
            campaign.frontier = campaign.frontier.max(seq + 1);
        }
        Ok(Claims { is_over: campaign.is_over(), rows: turn })
    }

    /// Takes a step with a delivery this worker holds. One that passed on meanwhile stays as it is, but nothing is begun
    /// with it.
    pub(crate) async fn write(
        &self,
        link: &Link,
        owner: Owner,
        number: usize,
        seq: u32,
        event: Event,
    ) -> Result<(), Lapsed> {
        self.commit(link).await;
        let mut tables = self.tables(1);
        let begins = matches!(event, Event::Intend { .. });
        if begins && self.without != Some(Safeguard::Lease) {
            tables.alive(owner)?;
        }
        let at = tables.timestamp(Instant::now());
        let campaign = &mut tables.campaigns[number];
        match campaign.held.get(&seq) {
            Some((delivery, holder)) if *holder == owner => {
                let next = match delivery.step(&event, at) {
                    Ok(next) => next,
                    // Two have claimed it, which only a missing lock lets happen.
                    Err(_) if self.without.is_some() => return Ok(()),
                    Err(illegal) => panic!("{illegal}"),
                };
                campaign.put(seq, next, owner);
                Ok(())
            }
            _ if begins && self.without.is_none() => Err(Lapsed),
            _ => Ok(()),
        }
    }

    /// Lets go of a campaign, and of what is left of its claims.
    pub(crate) async fn retire(&self, link: &Link, owner: Owner, number: usize) {
        self.commit(link).await;
        let mut tables = self.tables(1);
        let now = Instant::now();
        let at = tables.timestamp(now);
        tables.campaigns[number].let_go(owner, at, |state| state == State::Claimed);
        tables.campaigns[number].senders.remove(&owner);
        tables.budgets[number].give_back(owner, 0, now);
    }

    /// This worker's share of a Page's rate.
    pub(crate) async fn ask(&self, link: &Link, owner: Owner, page: usize) -> Result<Share, Lapsed> {
        self.commit(link).await;
        let mut tables = self.tables(1);
        tables.alive(owner)?;
        let now = Instant::now();
        let Tables { owners, budgets, .. } = &mut *tables;
        Ok(budgets[page].ask(owner, owners, now))
    }

    /// The worker keeps no more than this of its share: from now on no more leaves than that lets through.
    pub(crate) async fn shrink(&self, link: &Link, owner: Owner, page: usize, to: u32) {
        self.commit(link).await;
        self.tables(1).budgets[page].give_back(owner, to, Instant::now());
    }

    /// Meta refused a call of the Page's for its rate; `None`: it does so no more.
    pub(crate) async fn tell(&self, link: &Link, owner: Owner, page: usize, shut_for: Option<Duration>) {
        if self.without == Some(Safeguard::News) {
            return;
        }
        self.commit(link).await;
        let shut = shut_for.map(|wait| (Instant::now() + wait, owner));
        self.tables(1).budgets[page].shut(shut, owner);
    }

    /// Whether every delivery is at its end.
    pub(crate) fn is_over(&self) -> bool {
        locked(&self.tables).campaigns.iter().all(Campaign::is_over)
    }

    /// Whether a campaign has a sender of these.
    pub(crate) fn is_sent_by(&self, number: usize, owners: &[Owner]) -> bool {
        let tables = locked(&self.tables);
        !tables.campaigns[number].is_over()
            && owners.iter().any(|owner| tables.campaigns[number].senders.contains_key(owner))
    }

    /// Messages that these may have on their way.
    pub(crate) fn in_flight_of(&self, owners: &[Owner]) -> usize {
        let tables = locked(&self.tables);
        let held = tables.campaigns.iter().flat_map(|campaign| campaign.held.values());
        held.filter(|(delivery, owner)| delivery.state == State::InFlight && owners.contains(owner)).count()
    }

    /// What became of a campaign's deliveries.
    pub(crate) fn states(&self, number: usize) -> Vec<State> {
        locked(&self.tables).campaigns[number].states.clone()
    }

    /// Transactions and rows written in each second.
    pub(crate) fn written(&self) -> Vec<(u32, u32)> {
        locked(&self.tables).written.clone()
    }
}

impl Tables {
    fn alive(&self, owner: Owner) -> Result<(), Lapsed> {
        if Instant::now() < self.owners[owner] { Ok(()) } else { Err(Lapsed) }
    }

    fn timestamp(&self, now: Instant) -> Timestamp {
        Timestamp::from_unix_millis(0).plus(now - self.began)
    }

    fn count(&mut self, rows: usize) {
        let second = usize::try_from(self.began.elapsed().as_secs()).unwrap_or(usize::MAX);
        self.written.resize(self.written.len().max(second + 1), (0, 0));
        let (transactions, written) = &mut self.written[second];
        *transactions += 1;
        *written += u32::try_from(rows).unwrap_or(u32::MAX);
    }
}

impl Campaign {
    fn is_over(&self) -> bool {
        self.ended == self.people
    }

    fn left(&self) -> u64 {
        u64::from(self.people - self.ended)
    }

    /// Whose turn it is.
    fn turn(&self) -> Vec<u32> {
        let fresh = self.frontier..self.people;
        self.again.keys().copied().chain(fresh).take(CLAIM).collect()
    }

    /// Lets go of what the dead held: claims when their lease is over, the rest when no call of theirs can be under way.
    fn bury(&mut self, owners: &[Instant], now: Instant, at: Timestamp) {
        let dead: Vec<(Owner, Duty)> = self
            .senders
            .iter()
            .filter(|&(&sender, _)| owners[sender] <= now)
            .map(|(&sender, &duty)| (sender, duty))
            .collect();
        for (sender, duty) in dead {
            if duty == Duty::All {
                self.let_go(sender, at, |state| state == State::Claimed);
                self.senders.insert(sender, Duty::InFlight);
            }
            if owners[sender] + LONGEST_CALL <= now {
                self.let_go(sender, at, |_| true);
                self.senders.remove(&sender);
            }
        }
    }

    fn let_go(&mut self, owner: Owner, at: Timestamp, which: impl Fn(State) -> bool) {
        let theirs = |(_, (delivery, holder)): &(&u32, &(Delivery, Owner))| *holder == owner && which(delivery.state);
        let seqs: Vec<u32> = self.held.iter().filter(theirs).map(|(&seq, _)| seq).collect();
        for seq in seqs {
            let next = stepped(&self.held[&seq].0, &self.held[&seq].0.abandonment(), at);
            self.put(seq, next, owner);
        }
    }

    fn put(&mut self, seq: u32, delivery: Delivery, owner: Owner) {
        self.states[seq as usize] = delivery.state;
        match delivery.state {
            State::Claimed | State::InFlight => {
                self.held.insert(seq, (delivery, owner));
            }
            State::Planned => {
                self.held.remove(&seq);
                self.again.insert(seq, delivery);
            }
            _ => {
                self.held.remove(&seq);
                self.ended += 1;
            }
        }
    }
}

fn stepped(delivery: &Delivery, event: &Event, at: Timestamp) -> Delivery {
    delivery.step(event, at).expect("a step of the ledger's")
}
