//! Conversations: what the Page sent, as it is read back.

use std::time::Duration;

use super::super::USER_TOKEN;
use super::*;

const DETAILS: &str = "fields=messages{id,created_time,from,to,message,attachments}";

impl Lab {
    /// The id of the first Page's conversation with somebody; `None` where there is none.
    async fn conversation_with(&self, psid: &str) -> Option<String> {
        let path = format!("/v25.0/{}/conversations?platform=messenger&user_id={psid}", PAGES[0].id);
        let (status, answer) = answer(self.get(&path).bearer_auth(BAKERY)).await;
        assert_eq!(status, 200, "{answer}");
        Some(answer["data"].as_array().expect("a list").first()?["id"].as_str().expect("an id").to_owned())
    }

    async fn messages_with(&self, psid: &str) -> Value {
        let id = self.conversation_with(psid).await.expect("a conversation");
        answer(self.get(&format!("/v25.0/{id}?{DETAILS}")).bearer_auth(BAKERY)).await.1["messages"].clone()
    }
}

#[tokio::test]
async fn a_conversation_shows_what_was_sent_the_newest_first() {
    let lab = lab().await;
    assert_eq!(lab.conversation_with("7").await, None);
    let (_, first) = lab.send(&hello("7")).await;
    lab.send(&json!({ "recipient": { "id": "7" }, "sender_action": "typing_on" })).await;
    lab.send(&hello("8")).await;
    let by_id = json!({ "attachment": { "type": "image", "payload": { "attachment_id": lab.saved().await } } });
    lab.send(&json!({ "recipient": { "id": "7" }, "message": by_id })).await;
    let data = lab.messages_with("7").await["data"].clone();
    let texts: Vec<_> = data.as_array().expect("a list").iter().map(|one| one["message"].clone()).collect();
    assert_eq!(texts, ["", "hello"]);
    assert_eq!(data[1]["id"], first["message_id"]);
    assert_eq!((&data[1]["from"]["id"], &data[1]["to"]["data"][0]["id"]), (&json!(PAGES[0].id), &json!("7")));
    assert!(data[1]["created_time"].as_str().is_some_and(|time| time.len() == 24 && time.ends_with("+0000")), "{data}");
    let attachment = &data[0]["attachments"]["data"][0];
    assert_eq!((&attachment["mime_type"], &attachment["size"]), (&json!("image/png"), &json!(5)));
    assert!(attachment["image_data"]["url"].is_string() && data[1].get("attachments").is_none());
}

#[tokio::test]
async fn what_a_person_wrote_stands_in_it_too() {
    let lab = lab().await;
    let before = lab.now().minus(Duration::from_hours(1));
    lab.describe_people(json!({ "id": "7", "last_interaction_at": before.to_string() })).expect("a person");
    let data = lab.messages_with("7").await["data"].clone();
    assert_eq!((&data[0]["from"]["id"], &data[0]["to"]["data"][0]["id"]), (&json!("7"), &json!(PAGES[0].id)));
    lab.send(&hello("7")).await;
    assert_eq!(lab.messages_with("7").await["data"][0]["from"]["id"], PAGES[0].id);
    let (_, all) = answer(lab.get("/me/conversations?platform=messenger").bearer_auth(BAKERY)).await;
    assert_eq!(all["data"].as_array().map(Vec::len), Some(1), "{all}");
    let (_, none) = answer(lab.get("/me/conversations?platform=instagram").bearer_auth(BAKERY)).await;
    assert_eq!(none, json!({ "data": [] }));
}

#[tokio::test]
async fn details_are_there_for_the_twenty_most_recent_and_a_page_has_twenty_five() {
    let lab = lab().await;
    for _ in 0..27 {
        lab.send(&hello("7")).await;
    }
    let messages = lab.messages_with("7").await;
    let data = messages["data"].as_array().expect("a list");
    let detailed = data.iter().filter(|one| one["message"] == "hello" && one["from"].is_object()).count();
    assert_eq!((data.len(), detailed), (25, 20));
    assert!(data[24]["id"].is_string() && data[24]["created_time"].is_string());
    assert!(messages["paging"]["next"].is_string());
    let id = lab.conversation_with("7").await.expect("a conversation");
    let few = answer(lab.get(&format!("/{id}?fields=messages.limit(3)")).bearer_auth(BAKERY)).await.1;
    assert_eq!(few["messages"]["data"].as_array().map(Vec::len), Some(3));
    assert_eq!(few["messages"]["data"][0].as_object().map(serde_json::Map::len), Some(2), "id and time");
}

#[tokio::test]
async fn nobody_else_reads_it_and_metadata_is_no_field() {
    let lab = lab().await;
    lab.send(&hello("7")).await;
    let id = lab.conversation_with("7").await.expect("a conversation");
    let other = answer(lab.get(&format!("/{id}?{DETAILS}")).bearer_auth(FLORIST)).await;
    assert_eq!(
        (other.0, &other.1["error"]["code"], &other.1["error"]["error_subcode"]),
        (400, &json!(100), &json!(33))
    );
    let path = format!("/{}/conversations?user_id=7", PAGES[0].id);
    assert_eq!(answer(lab.get(&path).bearer_auth(FLORIST)).await.1["error"]["error_subcode"], 33);
    assert_eq!(answer(lab.get(&path).bearer_auth(USER_TOKEN)).await.1["error"]["code"], 190);
    for (fields, message) in [
        ("messages{id,metadata}", "(#100) Tried accessing nonexisting field (metadata) on node type (Message)"),
        ("snippet", "(#100) Tried accessing nonexisting field (snippet) on node type (Conversation)"),
    ] {
        let refused = answer(lab.get(&format!("/{id}?fields={fields}")).bearer_auth(BAKERY)).await;
        assert_refused(&refused, 100, 0, message);
    }
    let denied = json!({ "on": "conversations", "fault": { "graph": { "code": 10, "message": "no" }, "status": 400 } });
    lab.set_faults(denied).expect("a fault");
    let refused = answer(lab.get(&path).bearer_auth(BAKERY)).await;
    assert_eq!(refused.1["error"]["code"], 10);
    assert_eq!(lab.truth().counters.requests.conversations, 7);
}
