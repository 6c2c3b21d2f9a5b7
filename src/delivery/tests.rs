use proptest::prelude::*;

use super::*;

const NOW: Timestamp = Timestamp::from_unix_millis(1_760_000_000_000);

fn in_state(state: State) -> Delivery {
    Delivery { state, attempt: 1, nonce: Some(7), ..Delivery::planned(NOW) }
}

fn events() -> Vec<Event> {
    let reason = || "why".to_owned();
    vec![
        Event::Claim,
        Event::Release,
        Event::Intend { nonce: 9, variant: None },
        Event::Defer { due: NOW },
        Event::Sent { message_id: Some("m_1".to_owned()) },
        Event::NotSent,
        Event::Refused(Refusal { code: Some(551), subcode: None, reason: reason() }),
        Event::Invalid { reason: reason() },
        Event::Doubt { why: Refusal::in_words(reason()) },
        Event::DoubtAndRetry { why: Refusal::in_words(reason()), due: NOW },
        Event::Skip { reason: reason() },
        Event::Resend { due: NOW },
        Event::SendAgain { due: NOW },
        Event::Echoed { message_id: "m_1".to_owned() },
        Event::InferredSent { message_id: "m_1".to_owned() },
        Event::InferredNotSent,
        Event::AssumeSent,
        Event::AssumeNotSent,
        Event::Reopen,
        Event::Readmit,
    ]
}

/// Every step there is, as words.
fn table() -> String {
    let mut lines = Vec::new();
    for from in State::ALL {
        for event in events() {
            let doubtful = Delivery { reason: (from == State::RetryAt).then(|| "why".to_owned()), ..in_state(from) };
            if let Ok(to) = doubtful.step(&event, NOW) {
                let name = format!("{event:?}");
                let name = name.split([' ', '(']).next().unwrap_or_default().to_owned();
                lines.push(format!("{from} {name} {}", to.state));
            }
        }
    }
    lines.join("\n")
}

#[test]
fn these_are_all_the_steps_there_are() {
    insta::assert_snapshot!(table(), @r"
    planned Claim claimed
    planned Skip skipped
    planned Echoed sent
    claimed Release planned
    claimed Intend in_flight
    claimed Defer retry_at
    claimed Invalid failed
    claimed Skip skipped
    in_flight Sent sent
    in_flight NotSent claimed
    in_flight Refused failed
    in_flight Doubt unknown
    in_flight DoubtAndRetry retry_at
    retry_at Claim claimed
    retry_at Skip unknown
    retry_at Echoed sent
    retry_at InferredSent sent
    retry_at InferredNotSent planned
    failed Echoed sent
    failed Reopen planned
    unknown Resend retry_at
    unknown SendAgain retry_at
    unknown Echoed sent
    unknown InferredSent sent
    unknown InferredNotSent planned
    unknown AssumeSent sent
    unknown AssumeNotSent planned
    skipped Echoed sent
    skipped Readmit planned
    ");
}

#[test]
fn a_state_is_stored_as_one_word_of_its_own() {
    assert_eq!(State::ALL.map(|state| State::parse(state.as_str())), State::ALL.map(Some));
    assert_eq!(State::parse("xyzzy"), None);
}

#[test]
fn what_is_pending_is_yet_to_be_sent_and_what_is_held_is_somebodys() {
    let pending = State::ALL.map(State::is_pending);
    let (yes, no) = (true, false);
    assert_eq!(pending, [yes, yes, yes, no, yes, no, no, no]);
    assert_eq!(State::ALL.map(State::is_held), [no, yes, yes, no, no, no, no, no]);
}

#[test]
fn only_what_came_of_an_attempt_is_its_outcome() {
    let outcomes: Vec<Event> = events().into_iter().filter(Event::is_outcome).collect();
    let from_flight: Vec<Event> =
        events().into_iter().filter(|event| in_state(State::InFlight).step(event, NOW).is_ok()).collect();
    assert_eq!(outcomes, from_flight);
    assert_eq!(outcomes.len(), 5);
}

/// What a step brings is on record, and what it leaves alone stays.
#[test]
fn a_step_keeps_who_it_is_and_brings_what_happened() {
    let later = NOW.plus(std::time::Duration::from_secs(9));
    let flying = Delivery { variant: Some("b".to_owned()), ..in_state(State::InFlight) };
    let (message_id, reason) = (Some("m_1".to_owned()), "reset".to_owned());
    let refusal = Refusal { code: Some(551), subcode: Some(1_545_041), reason: "gone".to_owned() };
    let after = |delivery: &Delivery, event: &Event| delivery.step(event, NOW).expect("a step");
    let sent = after(&flying, &Event::Sent { message_id: message_id.clone() });
    assert_eq!(sent, Delivery { state: State::Sent, message_id: message_id.clone(), ..flying.clone() });
    let failed = after(&flying, &Event::Refused(refusal));
    assert_eq!((failed.code, failed.subcode, failed.reason.as_deref()), (Some(551), Some(1_545_041), Some("gone")));
    let again = after(&flying, &Event::DoubtAndRetry { why: Refusal::in_words(reason.clone()), due: later });
    assert_eq!(again, Delivery { state: State::RetryAt, at: later, reason: Some(reason), ..flying.clone() });
    let unknown = Delivery { state: State::Unknown, ..flying.clone() };
    assert_eq!(after(&unknown, &Event::Resend { due: later }).at, later);
    for event in [Event::Echoed { message_id: "m_1".to_owned() }, Event::InferredSent { message_id: "m_1".to_owned() }]
    {
        assert_eq!(after(&unknown, &event).message_id, message_id);
    }
    let claimed = after(&flying, &Event::NotSent);
    assert_eq!((claimed.attempt, claimed.nonce, claimed.variant.clone()), (0, None, None));
    let intended = after(&claimed, &Event::Intend { nonce: 8, variant: Some("c".to_owned()) });
    assert_eq!((intended.nonce, intended.variant.as_deref()), (Some(8), Some("c")));
}

#[test]
fn what_waits_for_its_time_in_no_doubt_proves_nothing_and_leaves_nothing_to_keep() {
    let waiting = in_state(State::RetryAt);
    assert!(waiting.step(&Event::InferredSent { message_id: "m_1".to_owned() }, NOW).is_err());
    assert_eq!(waiting.doubted_by(&Event::Claim), None);
    assert!(!waiting.is_inferred() && !Delivery { reason: Some("reset".to_owned()), ..waiting }.is_inferred());
}

#[test]
fn what_waits_is_put_off_or_in_doubt_and_whoever_is_wanted_in_spite_of_a_doubt_is_no_longer_doubtful() {
    let because = |state, reason: Option<&str>| Delivery { reason: reason.map(str::to_owned), ..in_state(state) };
    let wanted = format!("{WANTED}reset");
    for (delivery, is_in_doubt, is_doubtful, is_put_off) in [
        (because(State::RetryAt, None), false, false, true),
        (because(State::RetryAt, Some("reset")), true, true, false),
        (because(State::RetryAt, Some(&wanted)), true, false, false),
        (because(State::Claimed, Some("reset")), true, true, false),
        (because(State::Claimed, None), false, false, false),
        (because(State::Unknown, Some("reset")), false, false, false),
        (because(State::Planned, Some("not there")), false, false, false),
    ] {
        let seen = (delivery.is_in_doubt(), delivery.is_doubtful(), delivery.is_put_off());
        assert_eq!(seen, (is_in_doubt, is_doubtful, is_put_off), "{delivery:?}");
        let is_waiting = delivery.state == State::RetryAt;
        let readmitted = delivery.step(&Event::Readmit, NOW).ok().map(|delivery| delivery.state);
        assert_eq!(readmitted, (is_waiting && is_put_off).then_some(State::Planned), "{delivery:?}");
    }
}

#[test]
fn whoever_is_wanted_once_more_keeps_the_doubt_and_waits_for_the_time() {
    let due = NOW.plus(std::time::Duration::from_mins(5));
    let unknown = Delivery { reason: Some("reset".to_owned()), code: Some(2), ..in_state(State::Unknown) };
    let again = unknown.step(&Event::SendAgain { due }, NOW).unwrap();
    assert_eq!((again.state, again.at, again.code), (State::RetryAt, due, Some(2)));
    assert_eq!(again.reason, Some(format!("{WANTED}reset")));
    let twice = Delivery { reason: again.reason.clone(), ..unknown }.step(&Event::SendAgain { due }, NOW).unwrap();
    assert_eq!(twice.reason, again.reason, "it is said once");
}

#[test]
fn a_throttle_costs_no_attempt_and_a_doubt_does() {
    let claimed = Delivery { attempt: 0, nonce: None, ..in_state(State::Claimed) };
    let flying = claimed.step(&Event::Intend { nonce: 3, variant: None }, NOW).unwrap();
    assert_eq!((flying.attempt, flying.nonce), (1, Some(3)));
    assert_eq!(flying.step(&Event::NotSent, NOW).unwrap(), claimed);
    assert_eq!(flying.step(&Event::Doubt { why: Refusal::in_words(String::new()) }, NOW).unwrap().attempt, 1);
}

#[test]
fn what_may_have_left_is_unknown_once_its_worker_is_gone() {
    let after = |state| in_state(state).abandoned(NOW).state;
    assert_eq!((after(State::InFlight), after(State::Claimed)), (State::Unknown, State::Planned));
    assert_eq!(in_state(State::InFlight).abandoned(NOW).nonce, Some(7), "an echo must still find it");
    assert_eq!(after(State::Sent), State::Sent);
}

#[test]
fn a_retry_is_not_taken_before_it_is_due() {
    let later = Delivery { at: NOW.plus(std::time::Duration::from_secs(1)), ..in_state(State::RetryAt) };
    assert!(later.step(&Event::Claim, NOW).is_err());
    assert!(later.step(&Event::Claim, later.at).is_ok());
}

#[test]
fn what_is_put_off_keeps_its_doubt_and_comes_back() {
    let due = NOW.plus(std::time::Duration::from_hours(8));
    let claimed = in_state(State::Claimed);
    let waiting = claimed.step(&Event::Defer { due }, NOW).unwrap();
    assert_eq!((waiting.state, waiting.at, waiting.is_in_doubt()), (State::RetryAt, due, false));
    let back = waiting.step(&Event::Claim, due).unwrap().step(&Event::Release, due).unwrap();
    assert_eq!(back.state, State::Planned);
    let doubtful = Delivery { reason: Some("reset".to_owned()), ..claimed };
    assert!(doubtful.step(&Event::Defer { due }, NOW).unwrap().is_in_doubt());
}

#[test]
fn a_doubt_is_not_painted_over() {
    let doubted = in_state(State::RetryAt);
    let doubted = Delivery { reason: Some("reset".to_owned()), ..doubted };
    let claimed = doubted.step(&Event::Claim, NOW).unwrap();
    let refused = Event::Refused(Refusal { code: Some(551), subcode: None, reason: "gone".to_owned() });
    let flying = claimed.step(&Event::Intend { nonce: 1, variant: None }, NOW).unwrap();
    let ended = flying.step(&refused, NOW).unwrap();
    assert_eq!((ended.state, ended.reason.as_deref()), (State::Unknown, Some("reset; later: gone")));
    let skip = Event::Skip { reason: "window".to_owned() };
    assert_eq!(claimed.step(&skip, NOW).unwrap().state, State::Unknown);
    let back = flying.step(&Event::NotSent, NOW).unwrap().step(&Event::Release, NOW).unwrap();
    assert_eq!((back.state, back.is_in_doubt()), (State::RetryAt, true));
}

#[test]
fn a_doubt_keeps_the_code_it_came_with_as_long_as_it_is_one() {
    let why = Refusal { code: Some(2), subcode: Some(2_018_999), reason: "busy".to_owned() };
    let codes = |delivery: &Delivery| (delivery.code, delivery.subcode);
    let after = |delivery: &Delivery, event: &Event| delivery.step(event, NOW).expect("a step");
    let unknown = after(&in_state(State::InFlight), &Event::Doubt { why: why.clone() });
    let waiting = after(&in_state(State::InFlight), &Event::DoubtAndRetry { why, due: NOW });
    let again = after(&unknown, &Event::Resend { due: NOW });
    let flying = after(&after(&waiting, &Event::Claim), &Event::Intend { nonce: 9, variant: None });
    let refused = Event::Refused(Refusal { code: Some(551), subcode: None, reason: "gone".to_owned() });
    let ended = after(&flying, &refused);
    assert_eq!(ended.reason.as_deref(), Some("busy; later: gone"));
    for doubtful in [&unknown, &waiting, &again, &flying, &ended] {
        assert_eq!(codes(doubtful), (Some(2), Some(2_018_999)), "{doubtful:?}");
    }
    for settled in [
        after(&flying, &Event::Sent { message_id: None }),
        after(&unknown, &Event::AssumeSent),
        after(&unknown, &Event::AssumeNotSent),
        after(&unknown, &Event::InferredNotSent),
        flying.abandoned(NOW),
    ] {
        assert_eq!(codes(&settled), (None, None), "{settled:?}");
    }
}

#[test]
fn an_echo_proves_what_was_only_said_or_inferred_and_changes_nothing_that_is_certain() {
    let echo = Event::Echoed { message_id: "m_2".to_owned() };
    let inferred = in_state(State::Unknown).step(&Event::InferredSent { message_id: "m_1".to_owned() }, NOW).unwrap();
    assert!(inferred.is_inferred() && !inferred.is_certainly_sent());
    let said = in_state(State::Unknown).step(&Event::AssumeSent, NOW).unwrap();
    for taken in [inferred, said] {
        let proven = taken.step(&echo, NOW).unwrap();
        assert_eq!((proven.message_id.as_deref(), proven.is_certainly_sent()), (Some("m_2"), true));
        assert!(proven.step(&echo, NOW).is_err());
    }
    assert!(Delivery::planned(NOW).step(&echo, NOW).is_err(), "nothing was ever sent");
}

#[test]
fn what_is_inferred_not_sent_is_sent_as_if_it_had_never_been() {
    assert!(in_state(State::RetryAt).step(&Event::InferredNotSent, NOW).is_err(), "it is in no doubt");
    let planned = Delivery { reason: Some("reset".to_owned()), ..in_state(State::RetryAt) }
        .step(&Event::InferredNotSent, NOW)
        .unwrap();
    assert!(planned.is_inferred() && !planned.is_in_doubt());
    assert_eq!(planned.step(&Event::Skip { reason: String::new() }, NOW).unwrap().state, State::Skipped);
    let claimed = planned.step(&Event::Claim, NOW).unwrap();
    assert!(!claimed.is_in_doubt());
    let flying = claimed.step(&Event::Intend { nonce: 1, variant: None }, NOW).unwrap();
    let refused = Event::Refused(Refusal { code: Some(551), subcode: None, reason: "gone".to_owned() });
    assert_eq!(flying.step(&refused, NOW).unwrap().state, State::Failed);
}

#[test]
fn an_attempt_in_doubt_is_kept_with_the_time_of_its_intent() {
    let flying = in_state(State::InFlight);
    let kept = Doubted { attempt: 1, nonce: 7, intended_at: Some(NOW) };
    assert_eq!(flying.doubted_by(&flying.abandonment()), Some(kept));
    let doubt = Event::DoubtAndRetry { why: Refusal::in_words(String::new()), due: NOW };
    assert_eq!(flying.doubted_by(&doubt), Some(kept));
    assert_eq!(flying.doubted_by(&Event::Sent { message_id: None }), None);
    assert_eq!(flying.doubted_by(&Event::NotSent), None);
    // As older records left it.
    let retried = in_state(State::Unknown).doubted_by(&Event::Resend { due: NOW });
    assert_eq!(retried, Some(Doubted { intended_at: None, ..kept }));
    assert_eq!(in_state(State::Claimed).doubted_by(&Event::Release), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    /// Whatever happens, in whatever order: without an operator, and unless the campaign asked for it, nothing is
    /// handed to Meta again once it may have been.
    #[test]
    fn no_order_of_events_sends_twice(choices in prop::collection::vec(0_usize..10, 0..40)) {
        let mut delivery = Delivery::planned(NOW);
        let mut may_have_arrived = false;
        for choice in choices {
            let event = &events()[choice];
            if matches!(event, Event::DoubtAndRetry { .. }) {
                continue;
            }
            let Ok(next) = delivery.step(event, NOW) else { continue };
            prop_assert!(next.state != State::InFlight || !may_have_arrived);
            may_have_arrived |= matches!(event, Event::Sent { .. } | Event::Doubt { .. });
            delivery = next;
        }
    }
}
