//! The protocol of a campaign's ledger, and a check of every world it can lead to.
//!
//! Workers take deliveries, tell the ledger what they are about to do, do it, and tell it what came of it. Between any
//! two steps a process may be killed, a lease be lost, an answer be lost or late, an echo come twice, an operator say
//! something. The [checker](stateright) takes every step that is possible in every world it comes to, until there is no
//! new one, and looks in each whether the [properties] hold. The deliveries are the real ones: whatever happens to one
//! is a step of [`reattach::delivery`], which the ledger's engines apply as well.
//!
//! - [`world`]: what there is.
//! - [`protocol`]: what can happen, and when; [`steps`]: what it does.
//! - [`properties`]: what must hold, and what must be possible.
//! - [`mistakes`]: ways to get it wrong, each of which must be told.
//!
//! A delivery is one part for one recipient. How parts follow one another is the engine's, and its contract's to check.
//! There is no clock: whatever is due at some time may fall due at any, as it does when a clock is set.
//!
//! `cargo test --test it model:: -- --ignored --nocapture` explores larger campaigns, millions of worlds, in minutes.

mod calm;
mod mistakes;
mod properties;
mod protocol;
mod steps;
mod world;

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::time::Instant;

use stateright::{Checker, Expectation, HasDiscoveries, Model};

use calm::Calm;
use mistakes::Mistake;
use properties as must;
use protocol::{Campaign, Holding, Operator, Policy};
use world::World;

/// Two workers with leases, three recipients and three attempts, at most once.
const CAMPAIGN: Campaign = Campaign {
    recipients: 3,
    workers: 2,
    attempts: 3,
    claims: 1,
    policy: Policy::AtMostOnce,
    holding: Holding::Lease,
    operator: Operator::Truthful,
    mistake: None,
};

/// The smallest in which most things can go wrong.
const SMALL: Campaign = Campaign { recipients: 1, attempts: 2, ..CAMPAIGN };

/// A way to a mistake longer than this is none that a test need find.
const LONG: usize = 20;

/// Sees every world of a campaign, and that what must hold holds in each.
#[track_caller]
#[expect(clippy::print_stdout, reason = "how much there was to see: shown by --nocapture")]
fn explore<M>(campaign: M)
where
    M: Model<State = World> + Copy + Debug + Send + Sync + 'static,
    M::Action: Copy + Debug + PartialEq,
{
    let begun = Instant::now();
    let checker = campaign.checker().threads(2).symmetry_fn(World::representative).spawn_dfs().join();
    let (worlds, steps) = (checker.unique_state_count(), checker.state_count());
    println!("{worlds} worlds and {steps} steps in {:.1?}: {campaign:?}", begun.elapsed());
    assert!(checker.is_done(), "there are worlds it has not come to");
    for property in campaign.properties().iter().filter(|property| property.expectation == Expectation::Always) {
        checker.assert_no_discovery(property.name);
    }
}

#[test]
fn nobody_gets_it_twice_and_nobody_is_lost() {
    explore(CAMPAIGN);
}

#[test]
fn workers_of_one_process_keep_the_same_promises() {
    explore(Campaign { holding: Holding::Lock, recipients: 2, ..CAMPAIGN });
}

#[test]
fn claims_of_several_at_once_keep_the_same_promises() {
    explore(Campaign { claims: 2, recipients: 2, attempts: 2, ..CAMPAIGN });
}

#[test]
fn at_least_once_stays_within_its_attempts_and_loses_nobody() {
    explore(Campaign { policy: Policy::AtLeastOnce, recipients: 2, attempts: 2, ..CAMPAIGN });
}

#[test]
fn from_everywhere_a_calm_run_comes_to_an_end() {
    explore(Calm(Campaign { recipients: 2, attempts: 2, ..CAMPAIGN }));
    explore(Calm(Campaign { policy: Policy::AtLeastOnce, recipients: 1, ..CAMPAIGN }));
}

#[test]
#[ignore = "minutes"]
fn larger_campaigns_keep_the_same_promises() {
    explore(Campaign { holding: Holding::Lock, ..CAMPAIGN });
    explore(Campaign { claims: 2, ..CAMPAIGN });
    explore(Campaign { policy: Policy::AtLeastOnce, recipients: 2, ..CAMPAIGN });
    explore(Campaign { policy: Policy::AtLeastOnce, holding: Holding::Lock, recipients: 3, attempts: 2, ..CAMPAIGN });
}

/// Each world by itself, without taking like for like: what is told of all worlds does not hang on that.
#[test]
fn everything_that_can_happen_does() {
    for policy in [Policy::AtMostOnce, Policy::AtLeastOnce] {
        for holding in [Holding::Lock, Holding::Lease] {
            let alone = Campaign { policy, holding, recipients: 1, ..CAMPAIGN };
            let together = Campaign { recipients: 2, attempts: 1, ..alone };
            let mut missing: BTreeSet<_> = alone.properties().iter().map(|property| property.name).collect();
            for campaign in [alone, together] {
                let checker = campaign.checker().spawn_bfs().join();
                for property in campaign.properties() {
                    match property.expectation {
                        Expectation::Always => checker.assert_no_discovery(property.name),
                        _ if checker.discovery(property.name).is_none() => continue,
                        _ => {}
                    }
                    missing.remove(property.name);
                }
            }
            assert!(missing.is_empty(), "{policy:?}, {holding:?}: {missing:#?}");
        }
    }
}

/// The shortest way to a world in which `property` does not hold, or to the example it asks for.
fn shortest_way(campaign: Campaign, property: &'static str) -> Option<String> {
    let found = |length| {
        let enough = HasDiscoveries::AnyOf([property].into());
        let checker = campaign.checker().finish_when(enough).target_max_depth(length).spawn_bfs().join();
        checker.discovery(property)
    };
    let path = (1..LONG).find_map(found)?;
    let actions: Vec<_> = path.into_actions().iter().map(|action| format!("{action:?}")).collect();
    Some(actions.join("\n"))
}

/// Whether [`explore`] as well comes to a world in which `property` does not hold.
fn is_told_of_like_for_like(campaign: Campaign, property: &'static str) -> bool {
    let enough = HasDiscoveries::AnyOf([property].into());
    let checker = campaign.checker().finish_when(enough).symmetry_fn(World::representative).spawn_dfs().join();
    checker.discovery(property).is_some()
}

/// Makes a test of every mistake: that this property tells, in a campaign as small.
macro_rules! mistakes {
    ($($name:ident: $mistake:ident, $property:ident $(, $field:ident: $value:expr)*;)*) => {
        $(#[test]
        fn $name() {
            let campaign = Campaign { $($field: $value,)* ..SMALL };
            let mistaken = Campaign { mistake: Some(Mistake::$mistake), ..campaign };
            let way = shortest_way(mistaken, must::$property).expect("nobody noticed");
            assert!(is_told_of_like_for_like(mistaken, must::$property), "it hides behind others like it");
            println!("{:?}: not so: {}\n{way}", Mistake::$mistake, must::$property);
        })*
    };
}

mistakes! {
    a_claim_that_marks_as_done_is_told: ClaimMarksAsDone, SENT_IS_TRUE;
    a_claim_of_what_somebody_holds_is_told: ClaimOfWhatIsHeld, ONCE;
    an_intent_after_the_send_is_told: IntentAfterSend, NOTHING_LOST;
    an_intent_after_the_send_sends_twice: IntentAfterSend, ONCE, holding: Holding::Lock;
    a_time_out_taken_for_not_sent_is_told: TimeOutMeansNotSent, NOTHING_LOST;
    a_time_out_taken_for_not_sent_sends_twice: TimeOutMeansNotSent, ONCE, holding: Holding::Lock;
    a_retry_under_at_most_once_is_told: RetryUnderAtMostOnce, ONCE;
    a_retry_without_limit_is_told: RetryWithoutLimit, ONCE, policy: Policy::AtLeastOnce;
    a_restart_that_plans_what_is_in_flight_is_told: RestartPlansInFlight, ONCE, holding: Holding::Lock;
    a_lost_lease_that_plans_what_is_in_flight_is_told: LostLeasePlansInFlight, ONCE;
    a_delivery_left_in_flight_for_ever_is_told: InFlightIsForgotten, NAMED, holding: Holding::Lock;
    a_result_of_an_old_epoch_is_told: OldEpochWrites, NO_WAY_BACK;
    a_throttle_that_fails_somebody_is_told: ThrottleFails, FAILED_IS_TRUE;
    a_throttle_that_costs_an_attempt_is_told: ThrottleCosts, ATTEMPTS;
    a_page_error_that_fails_somebody_is_told: PageErrorFails, FAILED_IS_TRUE;
    a_refusal_that_covers_a_doubt_is_told: RefusalCoversDoubt, NOTHING_LOST, policy: Policy::AtLeastOnce;
    a_forgotten_nonce_is_told: NonceForgotten, EVIDENCE, policy: Policy::AtLeastOnce;
    an_echo_of_another_attempt_is_told: EchoOfAnother, SENT_IS_TRUE, recipients: 2;
    a_result_in_memory_only_is_told: ResultInMemory, ONE_AT_A_TIME, recipients: 2;
    a_pause_that_is_ignored_is_told: PauseIgnored, PAUSE;
    absence_taken_for_proof_is_told: AbsenceIsProof, ONCE;
    a_word_on_what_is_in_flight_is_told: SettleInFlight, ONCE;
}

/// Nothing in the protocol can keep an operator from sending twice who says "not sent" of what was. All else holds.
#[test]
fn a_wrong_word_costs_a_second_message_and_nothing_else() {
    let careless = Campaign { operator: Operator::Careless, ..SMALL };
    explore(careless);
    insta::assert_snapshot!(shortest_way(careless, must::WRONG_WORD).expect("a way"), @r"
    Enlist { worker: 0 }
    Claim { worker: 0, row: 0 }
    Intend { worker: 0, row: 0 }
    Send { worker: 0, row: 0 }
    GiveUp { worker: 0, row: 0 }
    Answer { row: 0, attempt: 1, answer: Accepted }
    AssumeNotSent { row: 0 }
    Claim { worker: 0, row: 0 }
    Intend { worker: 0, row: 0 }
    Send { worker: 0, row: 0 }
    Answer { row: 0, attempt: 2, answer: Accepted }
    ");
}
