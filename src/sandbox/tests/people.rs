//! People who were described: messaging windows, and errors of their own.

use std::time::Duration;

use super::*;

const OUTSIDE: &str = "(#10) This message is sent outside of allowed window. Learn more about the new policy here: \
                       https://developers.facebook.com/docs/messenger-platform/policy-overview";

/// A message to person 7, with these further parameters.
fn to_seven(more: &Value) -> Value {
    let mut body = json!({ "recipient": { "id": "7" }, "message": { "text": "hello" } });
    body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    body
}

/// Says of person 7 that they wrote so long ago.
fn wrote(lab: &Lab, ago: Duration) {
    let at = lab.now().minus(ago).to_string();
    lab.describe_people(json!({ "id": "7", "last_interaction_at": at })).expect("a person");
}

fn hours(hours: u64) -> Duration {
    Duration::from_hours(hours)
}

fn feedback() -> Value {
    json!({ "messaging_type": "MESSAGE_TAG", "tag": "CUSTOMER_FEEDBACK", "message": { "attachment": {
        "type": "template", "payload": { "template_type": "customer_feedback", "title": "How was it?" } } } })
}

fn utility() -> Value {
    json!({ "messaging_type": "UTILITY", "message": { "template": { "name": "a", "language": { "code": "en" } } } })
}

#[tokio::test]
async fn each_kind_of_message_has_its_window() {
    let lab = lab().await;
    let agent = json!({ "messaging_type": "MESSAGE_TAG", "tag": "HUMAN_AGENT" });
    let news = json!({ "messaging_type": "MESSAGE_TAG", "tag": "NON_PROMOTIONAL_SUBSCRIPTION" });
    let (week, day) = (hours(24 * 7 - 1), hours(23));
    for (message, inside, subcode) in [
        (json!({ "messaging_type": "RESPONSE" }), Some(day), 2_018_278),
        (json!({ "messaging_type": "UPDATE" }), Some(day), 2_018_278),
        (json!({}), Some(day), 2_018_278),
        (json!({ "messaging_type": "RESPONSE", "reply_to": { "mid": "m_1" } }), Some(day), 2_018_278),
        (agent, Some(week), 2_018_278),
        (feedback(), Some(week), 2_018_278),
        (news, Some(day), 2_018_065),
        (utility(), None, 0),
    ] {
        let message = to_seven(&message);
        wrote(&lab, inside.unwrap_or(hours(24 * 999)));
        assert_eq!(lab.send(&message).await.0, 200, "{message}");
        let Some(inside) = inside else { continue };
        wrote(&lab, inside + hours(2));
        let (status, answer) = lab.send(&message).await;
        assert_eq!((status, answer["error"]["code"].as_u64()), (400, Some(10)), "{message}");
        assert_eq!(answer["error"]["error_subcode"], subcode, "{message}");
    }
    wrote(&lab, hours(25));
    assert_refused(&lab.send(&hello("7")).await, 10, 2_018_278, OUTSIDE);
    assert_eq!(lab.send(&hello("8")).await.0, 200);
}

#[tokio::test]
async fn windows_close_by_the_sandboxes_clock_and_never_open_for_who_never_wrote() {
    let lab = lab().await;
    wrote(&lab, hours(23));
    assert_eq!(lab.send(&hello("7")).await.0, 200);
    lab.advance_clock(hours(2));
    assert_eq!(lab.send(&hello("7")).await.1["error"]["error_subcode"], 2_018_278);
    let action = json!({ "recipient": { "id": "7" }, "sender_action": "typing_on" });
    assert_eq!(lab.send(&action).await.0, 200);
    lab.describe_people(json!([{ "id": "7", "last_interaction_at": null }, { "id": "8" }])).expect("people");
    assert_eq!(lab.send(&hello("7")).await.1["error"]["error_subcode"], 2_018_278);
    assert_eq!(lab.send(&hello("8")).await.0, 200);
    lab.forget_people();
    assert_eq!(lab.send(&hello("7")).await.0, 200);
}

#[tokio::test]
async fn feedback_is_asked_for_with_its_template_alone() {
    let lab = lab().await;
    let other = to_seven(&json!({ "messaging_type": "MESSAGE_TAG", "tag": "CUSTOMER_FEEDBACK" }));
    let text = "(#100) The tag CUSTOMER_FEEDBACK can only be used with the customer feedback template";
    assert_refused(&lab.send(&other).await, 100, 0, text);
    assert_eq!(lab.send(&to_seven(&feedback())).await.0, 200);
}

#[tokio::test]
async fn a_person_answers_with_the_error_they_were_given() {
    let lab = lab().await;
    for (error, code, subcode, text) in [
        ("551", 551, 0, "(#551) This person isn't available right now."),
        ("551/1545041", 551, 1_545_041, "(#551) This person isn't available right now."),
        ("10/2018108", 10, 2_018_108, "(#10) They can't receive your messages right now"),
        ("100/2018001", 100, 2_018_001, "(#100) No matching user found"),
        ("200", 200, 0, "(#200) Permissions error"),
        ("10903", 10_903, 0, "(#10903) This user cant reply to this activity"),
        ("2018300", 2_018_300, 0, "(#2018300) Another app is controlling this thread now."),
        ("1893015", 1_893_015, 0, "(#1893015) This person has stopped notifications from your Page"),
    ] {
        lab.control("people", &json!({ "id": "7", "error": error })).await;
        assert_refused(&lab.send(&hello("7")).await, code, subcode, text);
        let action = json!({ "recipient": { "id": "7" }, "sender_action": "typing_on" });
        assert_refused(&lab.send(&action).await, code, subcode, text);
        assert_refused(&lab.send(&to_seven(&utility())).await, code, subcode, text);
    }
    // What is wrong with a message outranks what is wrong with its recipient.
    assert_eq!(lab.send(&to_seven(&json!({ "message": {} }))).await.1["error"]["error_subcode"], 2_018_034);
    assert_eq!((lab.send(&hello("8")).await.0, lab.truth().message_count), (200, 1));
}

#[tokio::test]
async fn people_on_instagram_have_instagrams_rules() {
    let lab = lab().await;
    let describe = |at: Option<String>| {
        let person = json!({ "id": "7", "last_interaction_at": at, "platform": "instagram" });
        lab.describe_people(person).expect("a person");
    };
    describe(None);
    assert_refused(
        &lab.send(&hello("7")).await,
        10,
        2_534_022,
        "(#10) This message is sent outside of allowed window.",
    );
    describe(Some(lab.now().to_string()));
    let pictures = |count: usize| {
        let picture = json!({ "type": "image", "payload": { "url": "https://a.example/a.png" } });
        to_seven(&json!({ "message": { "attachments": vec![picture; count] } }))
    };
    assert_eq!(lab.send(&pictures(10)).await.0, 200);
    assert_refused(&lab.send(&pictures(11)).await, 100, 0, "(#100) Param message[attachments] must have 1 to 10 items");
    let text = |length: usize| to_seven(&json!({ "message": { "text": "é".repeat(length) } }));
    assert_eq!(lab.send(&text(500)).await.0, 200);
    assert_refused(&lab.send(&text(501)).await, 100, 0, "(#100) Param message[text] must have at most 1000 bytes");
    assert_refused(&lab.send(&to_seven(&feedback())).await, 100, 0, "(#100) Invalid tag.");
    let agent = to_seven(&json!({ "messaging_type": "MESSAGE_TAG", "tag": "HUMAN_AGENT" }));
    assert_eq!(lab.send(&agent).await.0, 200);
}

#[tokio::test]
async fn a_comment_is_replied_to_once_and_within_a_week() {
    let lab = lab().await;
    let reply = |id: &str| json!({ "recipient": { "comment_id": id }, "message": { "text": "a" } });
    assert_eq!(lab.send(&reply("1_1")).await.0, 200);
    assert_refused(&lab.send(&reply("1_1")).await, 10_900, 0, "(#10900) Activity already replied to");
    let other = || answer(json_body(lab.post("/me/messages").bearer_auth(FLORIST), &reply("1_1")));
    assert_eq!((other().await.0, other().await.0), (200, 400));
    let posted = |ago| lab.now().minus(ago).to_string();
    lab.describe_people(json!([
        { "id": "1_2", "last_interaction_at": posted(hours(24 * 6)) },
        { "id": "1_3", "last_interaction_at": posted(hours(24 * 8)) },
    ]))
    .expect("comments");
    assert_eq!(lab.send(&reply("1_2")).await.0, 200);
    assert_refused(&lab.send(&reply("1_3")).await, 10_901, 0, "(#10901) Activity replying time expired");
}

#[tokio::test]
async fn people_are_shown_and_forgotten() {
    let lab = lab().await;
    let ada = json!({ "id": "7", "last_interaction_at": "2026-01-01T00:00:00Z", "platform": "messenger" });
    let never = json!({ "id": "8", "last_interaction_at": null, "error": "551", "platform": "instagram" });
    let (_, shown) = lab.control("people", &json!([never, ada])).await;
    assert_eq!(shown, json!({ "people": [ada, never] }));
    let (_, shown) = lab.control("people", &json!({ "id": "8" })).await;
    assert_eq!(shown["people"][1], json!({ "id": "8", "platform": "messenger" }));
    assert_eq!(answer(lab.get("/__sandbox/people")).await.1, shown);
    let nobody = answer(lab.client.delete(format!("{}/__sandbox/people", lab.url()))).await.1;
    assert_eq!(nobody, json!({ "people": [] }));
    lab.describe_people(json!({ "id": "7", "error": "551" })).expect("a person");
    lab.reset();
    assert_eq!(lab.send(&hello("7")).await.0, 200);
}
