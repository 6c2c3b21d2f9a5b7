use proptest::prelude::*;

use super::*;

const RATE: u32 = 30;

fn rates(messages: u32) -> Rates {
    Rates { messages, ..Rates::default() }
}

/// A Page's holders, as a record keeps them.
#[derive(Debug, Default)]
struct Record {
    holdings: Vec<Holding>,
    gate: Gate,
}

impl Record {
    fn draw(&mut self, owner: i64, ask: &Ask, now: i64) -> (Rates, Standing) {
        let (mine, others): (Vec<_>, Vec<_>) = self.holdings.drain(..).partition(|holding| holding.owner == owner);
        let (holding, rates) = divide(owner, ask, mine.first(), &others, now);
        self.gate = self.gate.hear(owner, ask, now);
        self.holdings = others.into_iter().chain([holding]).collect();
        (rates, self.gate.standing(owner, now))
    }
}

/// One who always goes as fast as it may, and lives by its own word.
#[derive(Debug, Default)]
struct Holder {
    owner: i64,
    number: i64,
    rate: u32,
    /// By how much its clock is ahead of the record's: nobody knows.
    ahead: i64,
    /// By its own clock.
    until: i64,
    /// When calls left, by the record's.
    went: Vec<i64>,
    group: Option<Group>,
}

impl Holder {
    fn ask(&mut self, demand: u32, now: i64) -> Ask {
        self.number += 1;
        let using = if now + self.ahead < self.until { self.rate } else { 0 };
        let spent = self.went.iter().filter(|at| **at > now - 1_030).count();
        Ask {
            number: self.number,
            page: rates(RATE),
            group: self.group.clone(),
            demand: rates(demand),
            using: rates(using),
            spent: rates(u32::try_from(spent).unwrap()),
            pool: None,
            heard: 0,
            news: News::default(),
        }
    }

    fn draw(&mut self, record: &mut Record, demand: u32, now: i64) -> u32 {
        let ask = self.ask(demand, now);
        let (rates, _) = record.draw(self.owner, &ask, now);
        (self.rate, self.until) = (rates.messages, now + self.ahead + 4_000);
        self.rate
    }

    fn go(&mut self, now: i64) {
        while now + self.ahead < self.until
            && self.went.iter().rev().take_while(|at| **at > now - 1_030).count() < self.rate as usize
        {
            self.went.push(now);
        }
    }
}

fn holders(count: i64) -> Vec<Holder> {
    (0..count).map(|owner| Holder { owner, ..Holder::default() }).collect()
}

/// The most in any second, both its ends counted.
fn most_in_a_second(mut went: Vec<i64>) -> usize {
    went.sort_unstable();
    let within = |from: usize| went[from..].partition_point(|at| *at <= went[from] + 1_000);
    (0..went.len()).map(within).max().unwrap_or(0)
}

#[test]
fn whoever_is_alone_has_it_all_and_two_get_half_each_a_second_later() {
    let (mut record, mut two) = (Record::default(), holders(2));
    let [one, other] = &mut two[..] else { unreachable!() };
    assert_eq!(one.draw(&mut record, 99, 0), RATE);
    one.go(100);
    assert_eq!(other.draw(&mut record, 99, 200), 0, "it is all taken");
    assert_eq!(one.draw(&mut record, 99, 300), 15);
    assert_eq!(other.draw(&mut record, 99, 310), 0, "it was told so, and has not said that it keeps to it");
    assert_eq!(one.draw(&mut record, 99, 320), 15);
    assert_eq!(other.draw(&mut record, 99, 1_369), 0, "what had left counts for a second");
    assert_eq!(other.draw(&mut record, 99, 1_370), 15);
}

#[test]
fn small_wishes_are_met_and_the_rest_is_shared() {
    let (mut record, mut three) = (Record::default(), holders(3));
    for now in (0..4_000).step_by(100) {
        for (holder, demand) in three.iter_mut().zip([2, 99, 99]) {
            holder.draw(&mut record, demand, now);
        }
    }
    assert_eq!(three.iter().map(|holder| holder.rate).collect::<Vec<_>>(), [2, 14, 14]);
}

#[test]
fn what_nobody_wants_is_lent_but_for_a_part() {
    let (mut record, mut two) = (Record::default(), holders(2));
    assert_eq!(two[0].draw(&mut record, 4, 0), 4, "a newcomer may be gone in a moment");
    assert_eq!(two[0].draw(&mut record, 4, 100), 17);
    assert_eq!(two[1].draw(&mut record, 4, 200), 4, "at once");
}

#[test]
fn the_dead_leave_their_slice_a_second_after_their_lease() {
    let (mut record, mut two) = (Record::default(), holders(2));
    two[0].draw(&mut record, 99, 0);
    assert_eq!(two[1].draw(&mut record, 99, 5_049), 0);
    assert_eq!(two[1].draw(&mut record, 99, 5_050), RATE);
}

#[test]
fn what_comes_late_asks_for_what_is_free_and_keeps_nothing_that_is_anothers() {
    let (mut record, mut two) = (Record::default(), holders(2));
    two[0].draw(&mut record, 99, 0);
    let late = two[0].ask(99, 3_900);
    assert_eq!(late.using, rates(RATE));
    assert_eq!(two[1].draw(&mut record, 99, 5_050), RATE);
    assert_eq!(record.draw(0, &late, 5_600).0, rates(0));
    let kept: Vec<_> = record.holdings.iter().map(|holding| (holding.owner, holding.granted)).collect();
    assert_eq!(kept, [(1, rates(RATE)), (0, rates(0))]);
}

#[test]
fn a_group_keeps_to_its_own_rate_and_leaves_the_rest_to_others() {
    let (mut record, mut all) = (Record::default(), holders(3));
    for member in &mut all[..2] {
        member.group = Some(Group { name: "spring".to_owned(), rates: rates(6) });
    }
    for now in (0..4_000).step_by(100) {
        for holder in &mut all {
            holder.draw(&mut record, 99, now);
        }
    }
    assert_eq!(all.iter().map(|holder| holder.rate).collect::<Vec<_>>(), [3, 3, 24]);
}

#[test]
fn of_more_holders_than_calls_each_has_its_turn() {
    let (mut record, mut many) = (Record::default(), holders(50));
    let mut had = [false; 50];
    for now in (0..600_000).step_by(400) {
        for (holder, had) in many.iter_mut().zip(&mut had) {
            *had |= holder.draw(&mut record, 99, now) > 0;
        }
    }
    assert_eq!(had, [true; 50]);
}

#[test]
fn the_first_to_be_told_of_a_throttle_finds_out_for_all() {
    let (mut record, mut two) = (Record::default(), holders(3));
    let mut say = |record: &mut Record, owner: usize, heard: i64, news: News, now: i64| {
        let ask = Ask { heard, news, ..two[owner].ask(1, now) };
        record.draw(two[owner].owner, &ask, now).1
    };
    let nothing = News::default();
    let shut = News { shut_for: Some(Duration::from_secs(10)), throttles: 1, opened: false };
    assert_eq!(say(&mut record, 0, 0, shut, 0), Standing::Over);
    assert_eq!(say(&mut record, 1, 0, shut, 500), Standing::Shut(Duration::from_secs(15)));
    assert_eq!(
        (record.gate.throttles, say(&mut record, 2, 0, nothing, 500)),
        (2, Standing::Shut(Duration::from_secs(15)))
    );
    let opened = News { opened: true, ..nothing };
    say(&mut record, 2, 1, opened, 600);
    assert_eq!(say(&mut record, 1, 2, nothing, 700), Standing::Shut(Duration::from_millis(14_800)), "it was of before");
    assert_eq!(say(&mut record, 1, 2, nothing, 15_500), Standing::Over);
    say(&mut record, 0, 2, opened, 15_600);
    assert_eq!(say(&mut record, 1, 2, nothing, 15_700), Standing::Open);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    /// Whoever asks, stays silent, dies or has no use for it, whenever that is, and whatever their clocks show.
    #[test]
    fn no_second_holds_more_than_the_rate(
        clocks in prop::array::uniform5(-1_000_000_i64..1_000_000),
        steps in prop::collection::vec((0_usize..5, 0_u8..10, 0_u32..60, 1_i64..400), 1..400),
    ) {
        let (mut record, mut all) = (Record::default(), holders(5));
        for (holder, ahead) in all.iter_mut().zip(clocks) {
            (holder.ahead, holder.until) = (ahead, ahead);
        }
        let mut now = 0;
        for (which, what, demand, pause) in steps {
            match what {
                // An answer that is lost: it was counted, and nobody keeps to it.
                0 => {
                    let ask = all[which].ask(demand, now);
                    record.draw(all[which].owner, &ask, now);
                }
                1 => all[which].rate = 0,
                _ => _ = all[which].draw(&mut record, demand, now),
            }
            for at in now..now + pause {
                for holder in &mut all {
                    holder.go(at);
                }
            }
            now += pause;
        }
        let went = all.into_iter().flat_map(|holder| holder.went).collect();
        prop_assert!(most_in_a_second(went) <= RATE as usize);
    }
}
