use super::*;
use crate::delivery::{Delivery, Doubted};
use crate::graph::{Operation, Phase, Refusal, TransportError};
use crate::ids::MediaKind;
use crate::record::{CampaignId, DeliveryKey};

/// When the first attempt was about to leave.
const INTENT: Timestamp = Timestamp::from_unix_millis(1_760_000_000_000);
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);

fn attempt(attempt: u32, intended_at: Timestamp) -> DoubtedAttempt {
    let doubted = Doubted { attempt, nonce: attempt, intended_at: Some(intended_at) };
    DoubtedAttempt { doubted, message_id: None }
}

fn message(id: &str, at: Timestamp, from: &str, text: &str) -> ConversationMessage {
    let details = MessageDetails { from: from.to_owned(), text: text.to_owned(), attachments: Vec::new() };
    ConversationMessage { id: id.to_owned(), created_at: Some(at), details: Some(details) }
}

/// A message of the Page's that looks like ours.
fn ours(id: &str, at: Timestamp) -> ConversationMessage {
    message(id, at, "1", "hi")
}

/// What the person wrote an hour before.
fn theirs() -> ConversationMessage {
    message("m_theirs", INTENT.minus(60 * MINUTE), "7", "hi")
}

fn conversation(mut messages: Vec<ConversationMessage>) -> Conversation {
    messages.sort_by_key(|message| std::cmp::Reverse(message.created_at));
    Conversation { messages, is_whole: false }
}

fn text() -> Looks {
    Looks::Text("hi".to_owned())
}

fn judge_with(others: Others, now: Timestamp, conversation: &Conversation, attempts: &[DoubtedAttempt]) -> Verdict {
    let windows = windows(attempts).expect("their times");
    Seen { page: "1", others, now }.judge(conversation, &text(), &windows)
}

/// The verdict on one attempt, long after it.
fn judge(messages: Vec<ConversationMessage>) -> Verdict {
    judge_with(Others::default(), INTENT.plus(60 * MINUTE), &conversation(messages), &[attempt(1, INTENT)])
}

fn ids(verdict: &Verdict) -> Vec<(u32, &str)> {
    let Verdict::Sent { found } = verdict else { panic!("{verdict:?}") };
    found.iter().map(|(finding, _)| (finding.attempt, finding.message_id.as_str())).collect()
}

#[test]
fn a_message_like_it_in_time_is_it() {
    for at in [INTENT.minus(5 * SECOND), INTENT, INTENT.plus(180 * SECOND)] {
        assert_eq!(ids(&judge(vec![theirs(), ours("m_1", at)])), [(1, "m_1")], "{at}");
    }
    assert_eq!(ids(&judge(vec![ours("m_1", INTENT)])), [(1, "m_1")], "what is there needs no history");
}

#[test]
fn a_message_like_it_out_of_time_proves_nothing_and_leaves_a_doubt() {
    let resembling = Verdict::Unclear(Unclear::Resembling("m_1".to_owned()));
    let day = 24 * 60 * MINUTE;
    let out_of_time = [INTENT.minus(6 * SECOND), INTENT.plus(181 * SECOND), INTENT.minus(day), INTENT.plus(day)];
    for at in out_of_time.into_iter().chain([INTENT.minus(100 * day)]) {
        assert_eq!(judge(vec![theirs(), ours("m_1", at)]), resembling, "{at}");
    }
    let picture = |at| {
        let mut message = ours("m_1", at);
        message.details.as_mut().expect("details").attachments = vec![Some(MediaKind::Image)];
        let windows = windows(&[attempt(1, INTENT)]).expect("their times");
        let seen = Seen { page: "1", others: Others::default(), now: INTENT.plus(60 * MINUTE) };
        seen.judge(&conversation(vec![theirs(), message]), &Looks::Media(MediaKind::Image), &windows)
    };
    for at in out_of_time {
        assert_eq!(picture(at), resembling, "{at}");
    }
    assert_eq!(picture(INTENT.minus(day + MINUTE)), Verdict::NotSent { shown: 2 }, "people get pictures every day");
}

#[test]
fn absence_counts_where_nothing_could_be_missing() {
    // One without words is no text.
    let others = [message("m_2", INTENT, "1", ""), message("m_3", INTENT, "7", "hi"), theirs()];
    assert_eq!(judge(others.to_vec()), Verdict::NotSent { shown: 3 });
    // Meta may show a text in another way than it was written.
    let other_words = message("m_2", INTENT, "1", "another");
    assert_eq!(judge(vec![theirs(), other_words]), Verdict::Unclear(Unclear::Resembling("m_2".to_owned())));
    let out_of_sight = Verdict::Unclear(Unclear::OutOfSight);
    assert_eq!(judge(others[..2].to_vec()), out_of_sight, "it is not shown back to before");
    let hidden = |at| ConversationMessage { details: None, ..ours("m_4", at) };
    assert_eq!(judge(vec![theirs(), hidden(INTENT)]), out_of_sight, "who knows what that was");
    assert_eq!(judge(vec![theirs(), hidden(INTENT.minus(MINUTE))]), Verdict::NotSent { shown: 2 });
    let undated = ConversationMessage { created_at: None, ..ours("m_5", INTENT) };
    assert_eq!(judge(vec![theirs(), undated]), out_of_sight);
    let whole = Conversation { is_whole: true, ..conversation(others[..2].to_vec()) };
    let later = INTENT.plus(60 * MINUTE);
    let verdict = judge_with(Others::default(), later, &whole, &[attempt(1, INTENT)]);
    assert_eq!(verdict, Verdict::NotSent { shown: 2 }, "there is nothing before it");
}

#[test]
fn absence_counts_only_once_it_can_no_longer_arrive() {
    let empty = conversation(vec![theirs()]);
    let end = INTENT.plus(180 * SECOND);
    let early = |now| judge_with(Others::default(), now, &empty, &[attempt(1, INTENT)]);
    assert_eq!(early(end.minus(SECOND)), Verdict::Unclear(Unclear::TooEarly(end)));
    assert_eq!(early(end), Verdict::NotSent { shown: 1 });
}

#[test]
fn a_message_explains_one_delivery() {
    let later = INTENT.plus(60 * MINUTE);
    let both = conversation(vec![theirs(), ours("m_1", INTENT)]);
    let explained = Others { explained: ["m_1".to_owned()].into(), open: Vec::new() };
    assert_eq!(judge_with(explained, later, &both, &[attempt(1, INTENT)]), Verdict::NotSent { shown: 2 });
    let open = Others { explained: HashSet::new(), open: windows(&[attempt(1, INTENT.minus(MINUTE))]).expect("times") };
    let shared = Verdict::Unclear(Unclear::Shared("m_1".to_owned()));
    assert_eq!(judge_with(open, later, &both, &[attempt(1, INTENT)]), shared);
}

#[test]
fn each_attempt_takes_a_message_of_its_own() {
    let again = INTENT.plus(2 * MINUTE);
    let attempts = [attempt(1, INTENT), attempt(2, again)];
    let later = INTENT.plus(60 * MINUTE);
    let judge = |messages| judge_with(Others::default(), later, &conversation(messages), &attempts);
    let twice = judge(vec![theirs(), ours("m_2", again), ours("m_1", INTENT)]);
    assert_eq!(ids(&twice), [(1, "m_1"), (2, "m_2")]);
    assert_eq!(ids(&judge(vec![ours("m_2", INTENT.plus(4 * MINUTE))])), [(2, "m_2")]);
    assert_eq!(judge(vec![theirs()]), Verdict::NotSent { shown: 1 });
    let too_early = judge_with(Others::default(), again.plus(MINUTE), &conversation(vec![theirs()]), &attempts);
    assert_eq!(too_early, Verdict::Unclear(Unclear::TooEarly(again.plus(AFTER))));
}

#[test]
fn what_cannot_be_told_apart_stays_unknown() {
    let later = INTENT.plus(60 * MINUTE);
    let seen = Seen { page: "1", others: Others::default(), now: later };
    let windows = windows(&[attempt(1, INTENT)]).expect("times");
    let verdict = |looks: &Looks| seen.judge(&conversation(vec![theirs(), ours("m_1", INTENT)]), looks, &windows);
    assert_eq!(verdict(&Looks::Uncertain), Verdict::Unclear(Unclear::Resembling("m_1".to_owned())));
    assert_eq!(verdict(&Looks::Media(MediaKind::Image)), Verdict::NotSent { shown: 2 });
    assert_eq!(super::windows(&[]), None, "an older version left it");
}

#[test]
fn others_are_those_of_whom_no_message_is_known() {
    let delivery = |state, message_id: Option<&str>| Delivery {
        message_id: message_id.map(str::to_owned),
        state,
        ..Delivery::planned(INTENT)
    };
    let person = |seq, delivery, attempts| PersonsDelivery {
        campaign: CampaignId(1),
        key: DeliveryKey { seq, part: 0 },
        delivery,
        attempts,
    };
    let kept = || vec![attempt(1, INTENT), DoubtedAttempt { message_id: Some("m_2".to_owned()), ..attempt(2, INTENT) }];
    let ledger = [
        person(1, delivery(State::Unknown, None), kept()),
        person(2, delivery(State::Sent, Some("m_1")), kept()),
        person(3, delivery(State::InFlight, None), Vec::new()),
        person(4, delivery(State::Unknown, None), kept()),
        person(5, delivery(State::Sent, Some("m_1")), vec![attempt(1, INTENT.plus(MINUTE))]),
    ];
    let others = Others::of(&ledger, |other| other.key.seq == 4);
    assert_eq!(others.explained, ["m_1", "m_2"].map(str::to_owned).into());
    // What is unknown of 1, the first attempt of 2 though its second arrived, what is under way, and the attempt of 5.
    assert_eq!(others.open.len(), 4, "{:?}", others.open);
}

#[test]
fn what_is_wrong_with_one_conversation_stops_nobody_else() {
    let (operation, page) = (Operation::Read, Scope::Page);
    let refused = |scope, code, subcode| {
        let refusal = Refusal {
            http_status: 400,
            message: "words".to_owned(),
            kind: None,
            code,
            subcode,
            is_transient: false,
            fbtrace_id: None,
        };
        GraphError::Refused { operation, scope, refusal: Box::new(refusal) }
    };
    let unreadable = |http_status| {
        let failure = Failure::Unreadable { http_status, excerpt: "<html>".to_owned() };
        GraphError::Unknown { operation, failure }
    };
    for of_one in [
        refused(page, 100, Some(33)),
        refused(Scope::Recipient, 551, None),
        refused(Scope::Request, 9_000_001, None),
        unreadable(404),
        unreadable(200),
    ] {
        assert!(!is_about_everybody(&of_one), "{of_one}");
    }
    let (phase, cause) = (Phase::BeforeRequest, TransportError::new("refused"));
    let failure = Failure::Broken { phase: Phase::AfterRequest, cause: cause.clone() };
    for of_all in [
        refused(page, 190, None),
        refused(page, 10, None),
        refused(page, 230, None),
        GraphError::RateLimited { operation, wait: None, refusal: None, spent: None },
        GraphError::Unreachable { operation, phase, cause },
        GraphError::Unknown { operation, failure },
    ] {
        assert!(is_about_everybody(&of_all), "{of_all}");
    }
    let told = Unclear::Refused(unreadable(404)).to_string();
    assert!(told.contains("HTTP 404"), "{told}");
}
