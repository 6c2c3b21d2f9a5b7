//! A Page's rate, shared out among those who send for it.
//!
//! Everybody's part is the same, give or take one. Who has more gives back; what was given back, or belonged to the dead, is
//! anybody's a full second later, so that no second holds what two were let.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::record::Owner;

const SECOND: Duration = Duration::from_secs(1);
/// How long after its end a refusal is kept, for the one who met it to find out whether it is over.
const PROBE: Duration = Duration::from_secs(15);

/// What a worker may do.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Share {
    /// So many messages a second.
    pub(crate) granted: u32,
    /// It is to give back what it has above this.
    pub(crate) due: u32,
    /// Nothing: Meta refuses the Page, as another has found.
    pub(crate) is_shut: bool,
}

/// One Page's.
#[derive(Debug)]
pub(crate) struct Budget {
    rate: u32,
    slices: BTreeMap<Owner, u32>,
    /// Parts nobody has, and from when on they may be had.
    cooling: Vec<(u32, Instant)>,
    shut: Option<(Instant, Owner)>,
    cools: bool,
}

impl Budget {
    pub(crate) fn new(rate: u32, cools: bool) -> Self {
        Self { rate, slices: BTreeMap::new(), cooling: Vec::new(), shut: None, cools }
    }

    /// This owner's share, larger by what is free of what it should have.
    pub(crate) fn ask(&mut self, owner: Owner, alive_until: &[Instant], now: Instant) -> Share {
        let dead: Vec<Owner> = self.slices.keys().copied().filter(|&owner| alive_until[owner] <= now).collect();
        for owner in dead {
            self.give_back(owner, 0, alive_until[owner]);
        }
        self.cooling.retain(|&(_, free)| free > now);
        self.slices.entry(owner).or_insert(0);
        let many = u32::try_from(self.slices.len()).unwrap_or(u32::MAX);
        let place = u32::try_from(self.slices.range(..owner).count()).unwrap_or(u32::MAX);
        let due = self.rate / many + u32::from(place < self.rate % many);
        let taken: u32 = self.slices.values().sum::<u32>() + self.cooling.iter().map(|&(part, _)| part).sum::<u32>();
        let free = self.rate.saturating_sub(taken);
        let granted = self.slices.entry(owner).or_insert(0);
        *granted += free.min(due.saturating_sub(*granted));
        let is_shut = self.shut.is_some_and(|(until, by)| by != owner && now < until + PROBE);
        Share { granted: *granted, due: due.min(*granted), is_shut }
    }

    /// The owner keeps no more than this.
    pub(crate) fn give_back(&mut self, owner: Owner, keeps: u32, now: Instant) {
        let Some(granted) = self.slices.get_mut(&owner) else { return };
        let freed = granted.saturating_sub(keeps);
        *granted -= freed;
        if keeps == 0 {
            self.slices.remove(&owner);
        }
        if self.cools && freed > 0 {
            self.cooling.push((freed, now + SECOND));
        }
    }

    /// Meta refuses the Page until then, or does so no more, as this owner has found.
    pub(crate) fn shut(&mut self, shut: Option<(Instant, Owner)>, owner: Owner) {
        match (shut, self.shut) {
            (None, Some((_, by))) if by != owner => {}
            // One of them finds out for all.
            (Some(_), Some((_, by))) if by != owner => {}
            (shut, _) => self.shut = shut,
        }
    }
}
