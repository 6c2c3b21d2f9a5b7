//! The rate of one Page, shared by all processes that speak for it: the words they use, and the arithmetic.
//!
//! The promise is Meta's measure: in no second, wherever it begins, does more leave than the Page's rate, whoever sends it.
//! Each holder of a slice keeps to it over every second; so the sum does, as long as the slices of any one second add up
//! to no more than the rate. A part of a slice therefore passes on a second after its holder has said that it keeps to
//! less, or a second after its lease is over; and never before.
//!
//! Pure and small. The record keeps a [`Holding`] of each and a [`Gate`] of the Page, lets [`divide`] decide, and says what
//! time it is; `graph` asks, and keeps to the answers.

use std::collections::BTreeMap;
use std::time::Duration;

/// How long a slice lasts that is not asked for again: so long a dead holder keeps others from it.
pub const LEASE: Duration = Duration::from_secs(4);
/// How long calls that have left still count: a second, and a little more for those that arrive closer than they left.
const LINGER: Duration = Duration::from_millis(1_050);
/// How much longer than the one who met a throttle all others wait: it finds out whether it is over.
const HEADSTART: Duration = Duration::from_secs(5);
/// Where there are more holders than calls a second, how long each has its turn.
const TURN_MILLIS: i64 = 10_000;

const MINUTE_MILLIS: i64 = 60_000;
const DAY_MINUTES: i64 = 24 * 60;
/// No more than one such part of what is left of 24 hours at once, so that others find something too.
const PORTION: u64 = 8;

/// So many a second of each sort.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rates {
    /// Messages with audio or video.
    pub media: u32,
    /// Messages of every kind.
    pub messages: u32,
    /// Questions about conversations.
    pub conversations: u32,
    /// Calls of every kind.
    pub calls: u32,
}

impl Rates {
    /// The narrowest sort first.
    pub const fn lanes(self) -> [u32; 4] {
        [self.media, self.messages, self.conversations, self.calls]
    }

    /// As [`lanes`](Self::lanes) gives them.
    pub const fn from_lanes([media, messages, conversations, calls]: [u32; 4]) -> Self {
        Self { media, messages, conversations, calls }
    }

    /// Whether it is nothing of any sort.
    pub fn is_nothing(self) -> bool {
        self == Self::default()
    }

    /// Whether there is no sort of which it is less than `other`.
    pub fn covers(self, other: Self) -> bool {
        self.zip(other, u32::max) == self
    }

    /// What `choose` makes of each sort.
    #[must_use]
    pub fn zip(self, other: Self, choose: impl Fn(u32, u32) -> u32) -> Self {
        let (ours, theirs) = (self.lanes(), other.lanes());
        Self::from_lanes(std::array::from_fn(|lane| choose(ours[lane], theirs[lane])))
    }
}

/// Several holders that together keep to less than the Page may, such as those who send one campaign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// What it is called, among those of the Page.
    pub name: String,
    /// What all of it may do.
    pub rates: Rates,
}

/// What a holder asks for, and what it has to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// Greater with each ask of one holder: one that arrives late is not heard.
    pub number: i64,
    /// What the Page may do, as far as this holder was told. The least that any says counts.
    pub page: Rates,
    /// With whom it shares less than that.
    pub group: Option<Group>,
    /// What it has a use for.
    pub demand: Rates,
    /// What it keeps to from now on, unless it is given more.
    pub using: Rates,
    /// What has left within the last second.
    pub spent: Rates,
    /// What it needs of the Page's calls in 24 hours, where these are limited.
    pub pool: Option<PoolAsk>,
    /// The count of throttles it was last told.
    pub heard: i64,
    /// What Meta has told it since it last asked.
    pub news: News,
}

/// What a holder needs of the calls of 24 hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolAsk {
    /// How many there are.
    pub limit: u64,
    /// How many more it wants to make soon.
    pub calls: u64,
    /// Calls it was given and will not make: counted in that minute, so many.
    pub unspent: Option<(i64, u64)>,
}

impl PoolAsk {
    /// The minute of that time, in milliseconds by the record's clock, and the last one that does not count any more. As the
    /// first of a minute count whole, that is a minute more than a day ago.
    pub const fn minutes(now: i64) -> (i64, i64) {
        let minute = now / MINUTE_MILLIS;
        (minute, minute - DAY_MINUTES - 1)
    }

    /// As many of the calls it wants as there are, `counted` being those of the minutes that count, the oldest first.
    pub fn portion(self, counted: &[(i64, u64)], now: i64) -> Portion {
        let spent: u64 = counted.iter().map(|(_, calls)| calls).sum();
        let left = self.limit.saturating_sub(spent);
        let first = counted.iter().find(|(_, calls)| *calls > 0).filter(|_| left == 0);
        let back_in = first.map(|(first, _)| {
            let at = (first + DAY_MINUTES + 2) * MINUTE_MILLIS;
            Duration::from_millis(u64::try_from(at - now).unwrap_or_default())
        });
        Portion { calls: self.calls.min(left.div_ceil(PORTION)), minute: Self::minutes(now).0, left, back_in }
    }
}

/// What Meta has told a holder of the Page's limits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct News {
    /// How much longer nobody may call.
    pub shut_for: Option<Duration>,
    /// How often it slowed down for that.
    pub throttles: u32,
    /// A call has gone through again.
    pub opened: bool,
}

/// What a holder may do, and how the Page stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slice {
    /// What it keeps to from now on.
    pub rates: Rates,
    /// What is kept for it: more than that, until it says that it keeps to less.
    pub held: Rates,
    /// How long that holds, from when it was asked for.
    pub lasts: Duration,
    /// Of the calls of 24 hours, where these are limited.
    pub portion: Option<Portion>,
    /// How often the Page was throttled.
    pub throttles: i64,
    /// Whether it may be called.
    pub standing: Standing,
}

impl Slice {
    /// Nothing, for no time.
    pub fn nothing() -> Self {
        Self {
            rates: Rates::default(),
            held: Rates::default(),
            lasts: Duration::ZERO,
            portion: None,
            throttles: 0,
            standing: Standing::Open,
        }
    }
}

/// Calls of the Page's 24 hours that are one holder's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Portion {
    /// How many more it may make.
    pub calls: u64,
    /// In which minute they were counted.
    pub minute: i64,
    /// How many are left for everybody.
    pub left: u64,
    /// When there are more, where there are none.
    pub back_in: Option<Duration>,
}

/// Whether a Page may be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Nothing is known that speaks against it.
    Open,
    /// Not for so long, by what another holder was told.
    Shut(Duration),
    /// It was shut, the time is over, and nobody has found out whether it is open.
    Over,
}

/// What the record keeps of one holder. Times are milliseconds by the record's clock.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "documented at `Ask`")]
pub struct Holding {
    /// Who it is.
    pub owner: i64,
    pub number: i64,
    pub page: Rates,
    pub group: Option<Group>,
    pub demand: Rates,
    /// What it may be keeping to, at most.
    pub granted: Rates,
    /// What had left before it kept to that.
    pub lingering: Rates,
    /// Until when that counts.
    pub lingers_until: i64,
    /// Until when it may send without asking again.
    pub until: i64,
}

impl Holding {
    fn is_alive(&self, now: i64) -> bool {
        now < self.until
    }

    /// Whether nothing of it counts any more.
    pub fn is_over(&self, now: i64) -> bool {
        now >= later(self.until, LINGER) && now >= self.lingers_until
    }

    /// The most it may have sent in a second that is not over, or may yet send.
    fn reserved(&self, lane: usize, now: i64) -> u32 {
        let granted = if now < later(self.until, LINGER) { self.granted.lanes()[lane] } else { 0 };
        let lingering = if now < self.lingers_until { self.lingering.lanes()[lane] } else { 0 };
        granted.max(lingering)
    }
}

/// What `owner` may keep to from now on, and what is kept of it. `before` is what was kept of it so far, and `others` of
/// everybody else.
pub fn divide(owner: i64, ask: &Ask, before: Option<&Holding>, others: &[Holding], now: i64) -> (Holding, Rates) {
    let is_known = before.is_some_and(|before| before.is_alive(now));
    // An ask may have been on its way for long: what it was using is over with what it was given, and may be another's by now.
    let using = before.filter(|before| now < later(before.until, LINGER)).map_or(Rates::default(), |_| ask.using);
    let mut mine = Holding {
        owner,
        number: ask.number,
        page: ask.page,
        group: ask.group.clone(),
        demand: ask.demand,
        granted: using,
        lingering: ask.spent,
        lingers_until: later(now, LINGER),
        until: later(now, LEASE),
    };
    let rates = Rates::from_lanes(std::array::from_fn(|lane| share(&mine, is_known, others, lane, now)));
    // Until it says so itself, nobody knows that it keeps to less.
    mine.granted = using.zip(rates, u32::max);
    if mine.granted.is_nothing() && ask.demand.is_nothing() {
        mine.until = now;
    }
    (mine, rates)
}

/// What may be one holder's of one sort: its fair share, as far as it is free.
fn share(mine: &Holding, is_known: bool, others: &[Holding], lane: usize, now: i64) -> u32 {
    let alive = || others.iter().filter(|other| other.is_alive(now)).chain([mine]);
    let rate = alive().map(|holding| holding.page.lanes()[lane]).min().unwrap_or_default();
    let free = |all: u32, among: &dyn Fn(&&Holding) -> bool| {
        let taken = others.iter().filter(among).map(|other| other.reserved(lane, now));
        all.saturating_sub(taken.fold(0, u32::saturating_add))
    };
    let mut free_for_me = free(rate, &|_| true);
    if let Some(group) = &mine.group {
        let is_member = |other: &&Holding| other.group.as_ref().is_some_and(|theirs| theirs.name == group.name);
        free_for_me = free_for_me.min(free(group.rates.lanes()[lane], &is_member));
    }
    let mut groups: BTreeMap<Option<&str>, (u32, Demands)> = BTreeMap::new();
    for Holding { owner, demand, group, .. } in alive() {
        let all = group.as_ref().map_or(u32::MAX, |group| group.rates.lanes()[lane]);
        let (least, members) = groups.entry(group.as_ref().map(|group| &*group.name)).or_insert((all, Vec::new()));
        *least = all.min(*least);
        members.push((*owner, demand.lanes()[lane]));
    }
    let demands: Vec<_> = groups.into_values().flat_map(|(all, members)| level(all, members, now)).collect();
    let wanting = demands.iter().filter(|(_, demand)| *demand > 0).count();
    let shares = level(rate, demands, now);
    let fair = shares.iter().find(|(owner, _)| *owner == mine.owner).map_or(0, |(_, share)| *share);
    // What nobody wants is lent, but for a part that whoever comes next finds free.
    let unwanted = rate - shares.iter().map(|(_, share)| share).sum::<u32>();
    let wanting = u32::try_from(wanting).unwrap_or(u32::MAX);
    let lent = if is_known && fair > 0 && mine.group.is_none() { unwanted / wanting.saturating_add(1) } else { 0 };
    (fair + lent).min(free_for_me)
}

/// Who wants how much.
type Demands = Vec<(i64, u32)>;

/// So much for each that the smallest demands are met, and the others get the same.
fn level(rate: u32, mut demands: Demands, now: i64) -> Demands {
    demands.sort_unstable();
    let wanting = demands.iter().filter(|(_, demand)| *demand > 0).count();
    if wanting > rate as usize {
        // One each for as many as there are, and each in its turn.
        let turn = usize::try_from(now / TURN_MILLIS).unwrap_or_default() % demands.len();
        demands.rotate_left(turn);
        for (_, demand) in &mut demands {
            *demand = (*demand).min(1);
        }
    }
    demands.sort_by_key(|(_, demand)| *demand);
    let (mut left, mut holders) = (rate, u32::try_from(demands.len()).unwrap_or(u32::MAX));
    for (_, demand) in &mut demands {
        *demand = (*demand).min(left / holders);
        left -= *demand;
        holders -= 1;
    }
    demands
}

/// What the record keeps of a Page's throttles.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Gate {
    /// How many there were.
    pub throttles: i64,
    /// Until when nobody may call, and who was told so; `None` while it is open.
    pub shut: Option<(i64, i64)>,
}

impl Gate {
    /// The gate after what `owner` has to say.
    #[must_use]
    pub fn hear(self, owner: i64, ask: &Ask, now: i64) -> Self {
        let news = ask.news;
        let shut = match (news.shut_for, self.shut) {
            // Told by several at once: the first finds out for all whether it is over.
            (Some(time), Some((until, teller))) if now < until => Some((until.max(later(now, time)), teller)),
            (Some(time), _) => Some((later(now, time), owner)),
            // Who has not heard of the last throttle speaks of the one before.
            (None, _) if news.opened && ask.heard == self.throttles => None,
            (None, shut) => shut,
        };
        Self { throttles: self.throttles + i64::from(news.throttles), shut }
    }

    /// How it stands, to `owner`.
    pub fn standing(self, owner: i64, now: i64) -> Standing {
        match self.shut {
            None => Standing::Open,
            Some((_, teller)) if teller == owner => Standing::Over,
            Some((until, _)) => match u64::try_from(later(until, HEADSTART) - now) {
                Ok(left) if left > 0 => Standing::Shut(Duration::from_millis(left)),
                _ => Standing::Over,
            },
        }
    }
}

fn later(time: i64, span: Duration) -> i64 {
    time.saturating_add(i64::try_from(span.as_millis()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests;
