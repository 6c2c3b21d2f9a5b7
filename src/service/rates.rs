//! How often somebody may have something done, and show a wrong token. Looking is not counted.
//!
//! Each has a bucket of turns that fills up again as time passes. Bots that show the token share one, and browsers' sessions
//! another: whatever a bot does, a person can still pause a campaign.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::access::{Shown, Visitor};

/// Uploads, messages, aliases, levers of campaigns of who shows the token: 500 a second, and as many at once. Every Page has
/// its own pace at Meta; this bounds a program that has run wild.
const BOTS: Rate = Rate { at_once: 500, every: Duration::from_millis(2) };
/// The same of browsers: 50 a second, and 200 at once after a rest.
const BROWSERS: Rate = Rate { at_once: 200, every: Duration::from_millis(20) };
/// Wrong tokens from one address: 20 a second, and 40 at once. The right one is let in all the same: others on this
/// machine, or behind the same proxy, come from the same address.
const WRONG_TOKENS: Rate = Rate { at_once: 40, every: Duration::from_millis(50) };
/// Addresses with a bucket of their own; all others share one.
const ADDRESSES: usize = 4_096;

/// So many at once, and one more each time `every` has passed.
#[derive(Debug, Clone, Copy)]
struct Rate {
    at_once: u32,
    every: Duration,
}

impl Rate {
    /// Takes a turn out of a bucket, which is full at the time given.
    ///
    /// # Errors
    /// There is none left: how long it takes until there is.
    fn take(self, full_at: &mut Duration, now: Duration) -> Result<(), Duration> {
        let from_empty = self.every * self.at_once;
        let full_again = (*full_at).max(now) + self.every;
        match full_again.saturating_sub(now + from_empty) {
            Duration::ZERO => {
                *full_at = full_again;
                Ok(())
            }
            wait => Err(wait),
        }
    }
}

/// All buckets, by how long the machine will have been up when each is full: no clock that is set changes that.
#[derive(Debug)]
pub(super) struct Rates {
    bots: Mutex<Duration>,
    browsers: Mutex<Duration>,
    addresses: Mutex<HashMap<IpAddr, Duration>>,
}

impl Rates {
    pub(super) fn new() -> Self {
        let full = || Mutex::default();
        Self { bots: full(), browsers: full(), addresses: Mutex::default() }
    }

    /// Lets the visitor do something, the machine having been up for so long.
    ///
    /// # Errors
    /// How long to wait.
    pub(super) fn effect(&self, visitor: &Visitor, now: Duration) -> Result<(), Duration> {
        let (rate, bucket) = match visitor.shown {
            Shown::Token => (BOTS, &self.bots),
            Shown::Session => (BROWSERS, &self.browsers),
        };
        rate.take(&mut bucket.lock().unwrap_or_else(PoisonError::into_inner), now)
    }

    /// Counts a wrong token that came from this address.
    ///
    /// # Errors
    /// How long to wait before the next.
    pub(super) fn wrong_token(&self, from: IpAddr, now: Duration) -> Result<(), Duration> {
        let mut addresses = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        let mut from = neighbourhood(from);
        if addresses.len() >= ADDRESSES && !addresses.contains_key(&from) {
            addresses.retain(|_, full_at| *full_at > now);
            if addresses.len() >= ADDRESSES {
                from = Ipv6Addr::UNSPECIFIED.into();
            }
        }
        WRONG_TOKENS.take(addresses.entry(from).or_insert(now), now)
    }
}

/// Whoever has one IPv6 address has 2⁶⁴ of them.
fn neighbourhood(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        IpAddr::V4(_) => address.to_canonical(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::access::Scope;

    const START: Duration = Duration::from_hours(1);

    fn after(millis: u64) -> Duration {
        START + Duration::from_millis(millis)
    }

    fn visitor(shown: Shown) -> Visitor {
        Visitor { scope: Scope::Send, shown }
    }

    /// How many of a thousand at once pass.
    fn pass(mut take: impl FnMut() -> Result<(), Duration>) -> usize {
        (0..1_000).filter(|_| take().is_ok()).count()
    }

    #[test]
    fn effects_pass_in_a_burst_and_then_at_their_pace() {
        let (rates, person) = (Rates::new(), visitor(Shown::Session));
        assert_eq!(pass(|| rates.effect(&person, START)), 200);
        assert_eq!(rates.effect(&person, START), Err(Duration::from_millis(20)));
        assert_eq!(rates.effect(&person, after(15)), Err(Duration::from_millis(5)));
        assert_eq!(pass(|| rates.effect(&person, after(1_000))), 50);
        // Four seconds fill it, and more than full it is never.
        assert_eq!(pass(|| rates.effect(&person, after(60_000))), 200);
        // In the long run it is the pace.
        let mut passed = 0;
        for millis in 60_000..70_000 {
            passed += usize::from(rates.effect(&person, after(millis)).is_ok());
        }
        assert_eq!(passed, 499);
    }

    #[test]
    fn a_browser_is_not_kept_out_by_a_bot() {
        let rates = Rates::new();
        assert_eq!(pass(|| rates.effect(&visitor(Shown::Token), START)), 500);
        assert_eq!(pass(|| rates.effect(&visitor(Shown::Session), START)), 200);
    }

    #[test]
    fn wrong_tokens_are_counted_for_each_address() {
        let rates = Rates::new();
        let wrong = |from: &str, now| rates.wrong_token(from.parse().expect("an address"), now);
        assert_eq!(pass(|| wrong("127.0.0.1", START)), 40);
        assert_eq!(pass(|| wrong("::ffff:127.0.0.1", START)), 0);
        assert_eq!(pass(|| wrong("127.0.0.1", after(1_000))), 20);
        assert_eq!(pass(|| wrong("2001:db8::1", START)), 40);
        assert_eq!(pass(|| wrong("2001:db8::2:0:0:0", START)), 0);
        assert_eq!(pass(|| wrong("2001:db8:0:1::1", START)), 40);
    }

    #[test]
    fn no_number_of_addresses_takes_more_memory() {
        let rates = Rates::new();
        let from = |number: u32| std::net::Ipv4Addr::from_bits(number).into();
        let many = u32::try_from(ADDRESSES).expect("few");
        let mut passed = 0;
        for number in 0..many + 1_000 {
            passed += u32::from(rates.wrong_token(from(number), START).is_ok());
        }
        assert_eq!(passed, many + 40);
        assert_eq!(rates.addresses.lock().expect("a map").len(), ADDRESSES + 1);
        // Those who have kept quiet are forgotten.
        assert!(rates.wrong_token(from(u32::MAX), after(60_000)).is_ok());
        assert_eq!(rates.addresses.lock().expect("a map").len(), 1);
    }
}
