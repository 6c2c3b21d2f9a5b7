//! Sending: what is accepted, what is refused, and in which words.

use super::*;

fn message(message: &Value) -> Value {
    json!({ "recipient": { "id": "1254459154682919" }, "messaging_type": "UPDATE", "message": message })
}

fn picture(payload: &Value) -> Value {
    message(&json!({ "attachment": { "type": "image", "payload": payload } }))
}

#[tokio::test]
async fn a_text_is_accepted_answered_and_remembered() {
    let lab = lab().await;
    let sent = message(&json!({ "text": "hello, world!", "metadata": "spring:7:n1" }));
    let (status, answer) = lab.send(&sent).await;
    assert_eq!((status, &answer["recipient_id"]), (200, &json!("1254459154682919")));
    let truth = lab.truth();
    let [seen] = truth.messages.as_slice() else { panic!("{truth:?}") };
    assert_eq!(answer["message_id"].as_str(), seen.message_id.as_deref());
    assert!(seen.message_id.as_ref().is_some_and(|id| id.starts_with("m_")));
    assert_eq!((seen.sequence, seen.page_id.as_str(), seen.chunked), (1, PAGES[0].id, false));
    assert_eq!(
        (seen.metadata.as_deref(), seen.recipient().as_deref()),
        (Some("spring:7:n1"), Some("1254459154682919"))
    );
    assert_eq!(Value::Object(seen.request.clone()), sent);
}

#[tokio::test]
async fn a_form_and_a_token_in_it_do_as_well() {
    let lab = lab().await;
    let form = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("recipient", r#"{"id":"7"}"#)
        .append_pair("message", r#"{"text":"ça va?"}"#)
        .append_pair("access_token", FLORIST)
        .finish();
    let (status, answered) = answer(lab.post("/v19.0/me/messages").body(form)).await;
    assert_eq!((status, &answered["recipient_id"]), (200, &json!("7")));
    let seen = &lab.truth().messages[0];
    assert_eq!((seen.page_id.as_str(), &seen.request["message"]["text"]), (PAGES[1].id, &json!("ça va?")));
    assert!(!seen.request.contains_key("access_token"));
}

#[tokio::test]
async fn an_attachment_is_sent_by_its_id_as_text_or_number() {
    let lab = lab().await;
    let id = lab.saved().await;
    let number: u64 = id.parse().expect("digits");
    for id in [json!(id), json!(number)] {
        assert_eq!(lab.send(&picture(&json!({ "attachment_id": id }))).await.0, 200);
    }
}

#[tokio::test]
async fn unusable_attachment_ids_are_2018074() {
    let lab = lab().await;
    let id = lab.saved().await;
    let unsaved = lab.upload(&json!({ "attachment": { "type": "image", "payload": {} } }), png(b"once")).await.1;
    let unusable = "(#100) Possible invalid ID or you do not own the attachment";
    let by_id = |id: &str| picture(&json!({ "attachment_id": id }));
    let template = |id: &str| {
        let element = json!({ "media_type": "image", "attachment_id": id });
        let payload = json!({ "template_type": "media", "elements": [element] });
        message(&json!({ "attachment": { "type": "template", "payload": payload } }))
    };
    assert_refused(&lab.send(&by_id("1234567890123456")).await, 100, 2_018_074, unusable);
    assert_refused(&lab.send(&template("1234567890123456")).await, 100, 2_018_074, unusable);
    let id_of_unsaved = unsaved["attachment_id"].as_str().expect("an id");
    assert_refused(&lab.send(&by_id(id_of_unsaved)).await, 100, 2_018_074, unusable);
    let foreign = answer(json_body(lab.post("/me/messages").bearer_auth(FLORIST), &by_id(&id))).await;
    assert_refused(&foreign, 100, 2_018_074, unusable);
    assert_eq!(lab.send(&template(&id)).await.0, 200);
    lab.advance_clock(std::time::Duration::from_hours(24 * 90));
    assert_refused(&lab.send(&by_id(&id)).await, 100, 2_018_074, unusable);
    assert_eq!(lab.truth().message_count, 1);
}

#[tokio::test]
async fn a_file_can_be_saved_while_it_is_sent() {
    let lab = lab().await;
    let form = |message: Value| {
        let form = Form::new().text("recipient", r#"{"id":"7"}"#).text("messaging_type", "UPDATE");
        form.text("message", message.to_string()).part("filedata", png(b"one step"))
    };
    let post = |form| answer(lab.post("/v25.0/me/messages").bearer_auth(BAKERY).multipart(form));
    let (status, saved) = post(form(reusable("image"))).await;
    let id = lab.only_attachment().id;
    assert_eq!((status, &saved["attachment_id"]), (200, &json!(id)));
    assert!(saved["message_id"].is_string());
    assert_eq!(lab.truth().messages[0].attachment_id.as_deref(), Some(id.as_str()));
    assert_eq!(lab.send(&picture(&json!({ "attachment_id": id }))).await.0, 200);
    let (_, unsaved) = post(form(json!({ "attachment": { "type": "image", "payload": {} } }))).await;
    assert!(unsaved["message_id"].is_string() && unsaved.get("attachment_id").is_none());
    assert_eq!(post(form(json!({ "text": "hello" }))).await.1["error"]["error_subcode"], 2_018_005);
}

#[tokio::test]
async fn a_url_can_be_saved_while_it_is_sent() {
    let lab = lab().await;
    let url = "https://a.example/a.png";
    let saved = lab.send(&picture(&json!({ "url": url, "is_reusable": true }))).await.1;
    assert_eq!(saved["attachment_id"], json!(lab.only_attachment().id));
    assert!(lab.send(&picture(&json!({ "url": url }))).await.1.get("attachment_id").is_none());
}

#[tokio::test]
async fn messages_meta_would_refuse_are_refused() {
    let lab = lab().await;
    let long = "é".repeat(2_000);
    let too_many: Vec<Value> = vec![json!({ "type": "image", "payload": { "url": "https://a.example/" } }); 31];
    for (body, message) in [
        (json!({ "text": 7 }), "(#100) Param message[text] must be a string"),
        (json!({ "text": long }), "(#100) Length of param message[text] must be less than 2000"),
        (
            json!({ "text": "a", "metadata": "m".repeat(1_000) }),
            "(#100) Length of param message[metadata] must be less than 1000",
        ),
        (json!({ "txt": "a" }), "(#100) Invalid keys \"txt\" were found in param \"message\"."),
        (
            json!({ "text": "a", "attachment": { "type": "image", "payload": { "url": "https://a.example/" } } }),
            "(#100) Param message must not have both text and attachment",
        ),
        (json!({ "attachment": { "type": "image" } }), "(#100) The parameter message[attachment][payload] is required"),
        (json!({ "attachment": { "payload": {} } }), "(#100) The parameter message[attachment][type] is required"),
        (
            json!({ "attachment": { "type": "picture", "payload": {} } }),
            "(#100) Param message[attachment][type] must be one of {image, video, audio, file, template, fallback, \
             location, reel, ig_reel, like_heart, media_share}",
        ),
        (
            json!({ "attachment": { "type": "image", "payload": { "attachment_id": "1", "url": "" } } }),
            "(#100) Param message[attachment][payload] must name one attachment_id, url or file only",
        ),
        (
            json!({ "attachment": { "type": "image", "payload": { "attachment_id": "x" } } }),
            "(#100) Param message[attachment][payload][attachment_id] must be a valid ID string (e.g., \"123\")",
        ),
        (
            json!({ "attachment": { "type": "image", "payload": { "is_public": true, "attachment_id": "1" } } }),
            "(#100) Invalid keys \"is_public\" were found in param \"message[attachment][payload]\".",
        ),
        (
            json!({ "attachment": { "type": "template", "payload": {} } }),
            "(#100) The parameter message[attachment][payload][template_type] is required",
        ),
        (json!({ "attachments": too_many }), "(#100) Param message[attachments] must have 1 to 30 items"),
        (json!({ "dynamic_text": {} }), "(#100) The parameter message[dynamic_text][text] is required"),
        (json!({ "template": { "name": "a" } }), "(#100) The parameter message[template][language] is required"),
    ] {
        assert_refused(&lab.send(&self::message(&body)).await, 100, 0, message);
    }
    assert_eq!(lab.truth().message_count, 0);
    assert_eq!(lab.send(&message(&json!({ "text": "é".repeat(1_999) }))).await.0, 200);
}

#[tokio::test]
async fn an_empty_message_is_2018034() {
    let lab = lab().await;
    for body in [
        json!({ "recipient": { "id": "7" } }),
        message(&Value::Null),
        message(&json!({})),
        message(&json!({ "text": "" })),
        message(&json!({ "text": null, "metadata": "m" })),
        picture(&json!({ "is_reusable": true })),
    ] {
        let text = "(#100) Message cannot be empty, must provide valid attachment or text";
        assert_refused(&lab.send(&body).await, 100, 2_018_034, text);
    }
}

#[tokio::test]
async fn several_pictures_may_share_a_message() {
    let lab = lab().await;
    let id = lab.saved().await;
    let picture = |payload: &Value| json!({ "type": "image", "payload": payload });
    let both = [picture(&json!({ "attachment_id": id })), picture(&json!({ "url": "https://a.example/b.png" }))];
    assert_eq!(lab.send(&message(&json!({ "attachments": both }))).await.0, 200);
    let foreign = [picture(&json!({ "attachment_id": "1" }))];
    assert_eq!(lab.send(&message(&json!({ "attachments": foreign }))).await.1["error"]["error_subcode"], 2_018_074);
}

#[tokio::test]
async fn a_sender_action_is_answered_with_the_recipient_alone() {
    let lab = lab().await;
    let action = json!({ "recipient": { "id": "7" }, "sender_action": "typing_on" });
    assert_eq!(lab.send(&action).await, (200, json!({ "recipient_id": "7" })));
    let seen = &lab.truth().messages[0];
    assert_eq!((&seen.message_id, &seen.request["sender_action"]), (&None, &json!("typing_on")));
    let refused = lab.send(&json!({ "recipient": { "id": "7" }, "sender_action": "dance" })).await;
    let message = "(#100) Param sender_action must be one of {mark_seen, react, typing_off, typing_on, unreact}";
    assert_refused(&refused, 100, 0, message);
}

#[tokio::test]
async fn a_message_with_a_sender_action_is_2018014() {
    let lab = lab().await;
    let mut both = hello("7");
    both["sender_action"] = json!("typing_on");
    let text = "(#100) Cannot send both message and state at the same time";
    assert_refused(&lab.send(&both).await, 100, 2_018_014, text);
}

#[tokio::test]
async fn recipients_are_named_in_exactly_one_known_way() {
    let lab = lab().await;
    let bad_id = "(#100) Param recipient[id] must be a valid ID string (e.g., \"123\")";
    for (recipient, message) in [
        (Value::Null, "(#100) param recipient must be non-empty."),
        (json!({}), "(#100) param recipient must be non-empty."),
        (json!("7"), "(#100) Param recipient must be a JSON object"),
        (json!({ "id": "me" }), bad_id),
        (json!({ "id": "" }), bad_id),
        (json!({ "id": -7 }), bad_id),
        (json!({ "id": "7", "user_ref": "a" }), "(#100) Param recipient must name exactly one person"),
        (json!({ "name": { "first_name": "A" } }), "(#100) Param recipient must name exactly one person"),
        (
            json!({ "phone_number": "+1", "name": { "nick": "A" } }),
            "(#100) Invalid keys \"nick\" were found in param \"recipient[name]\".",
        ),
        (
            json!({ "phone_number": "+1", "name": { "first_name": 7 } }),
            "(#100) Param recipient[name][first_name] must be a string",
        ),
        (json!({ "psid": "7" }), "(#100) Invalid keys \"psid\" were found in param \"recipient\"."),
        (json!({ "user_ref": "" }), "(#100) param recipient[user_ref] must be non-empty."),
    ] {
        let body = json!({ "recipient": recipient, "message": { "text": "a" } });
        let answer = lab.send(&body).await;
        assert_eq!(answer.1["error"]["message"], message, "{body}");
        assert_eq!((answer.0, &answer.1["error"]["code"]), (400, &json!(100)));
    }
}

#[tokio::test]
async fn some_recipients_stay_anonymous() {
    let lab = lab().await;
    let name = json!({ "first_name": "Ada", "last_name": "L" });
    for (recipient, known) in [
        (json!({ "id": 7 }), true),
        (json!({ "user_ref": "a" }), false),
        (json!({ "phone_number": "+1(212)555-2368", "name": name }), false),
        (json!({ "comment_id": "1_2" }), true),
        (json!({ "post_id": "1_3" }), true),
        (json!({ "player_id": "9" }), true),
        (json!({ "one_time_notif_token": "t" }), true),
        (json!({ "notification_messages_token": "t" }), true),
        (json!({ "login_id": "a@b.example" }), true),
    ] {
        let (status, answer) = lab.send(&json!({ "recipient": recipient, "message": { "text": "a" } })).await;
        assert_eq!((status, answer["recipient_id"].is_string()), (200, known), "{recipient}: {answer}");
    }
}

#[tokio::test]
async fn the_manner_of_sending_is_checked() {
    let lab = lab().await;
    let with = |extra: Value| {
        let mut body = hello("7");
        body.as_object_mut().expect("an object").extend(extra.as_object().expect("an object").clone());
        body
    };
    let types = "(#100) Param messaging_type must be one of {MESSAGE_TAG, RESPONSE, UPDATE, UTILITY}";
    for (extra, message) in [
        (json!({ "messaging_type": "PROMOTION" }), types),
        (json!({ "messaging_type": "MESSAGE_TAG" }), "(#100) The parameter tag is required"),
        (json!({ "messaging_type": "MESSAGE_TAG", "tag": "ACCOUNT_UPDATE" }), "(#100) Invalid tag."),
        (json!({ "messaging_type": "MESSAGE_TAG", "tag": "CONFIRMED_EVENT_UPDATE" }), "(#100) Invalid tag."),
        (json!({ "messaging_type": "MESSAGE_TAG", "tag": "POST_PURCHASE_UPDATE" }), "(#100) Invalid tag."),
        (json!({ "messaging_type": "MESSAGE_TAG", "tag": "SALE" }), "(#100) Invalid tag."),
        (json!({ "messaging_type": "UTILITY" }), "(#100) The parameter message[template] is required"),
        (
            json!({ "notification_type": "LOUD" }),
            "(#100) Param notification_type must be one of {NO_PUSH, REGULAR, SILENT_PUSH}",
        ),
        (json!({ "persona_id": "x" }), "(#100) Param persona_id must be a valid ID string (e.g., \"123\")"),
        (json!({ "reply_to": {} }), "(#100) The parameter reply_to[mid] is required"),
        (json!({ "campaign": "x" }), "(#100) Invalid keys \"campaign\" were found in param \"request\"."),
    ] {
        assert_refused(&lab.send(&with(extra)).await, 100, 0, message);
    }
    let all = json!({ "messaging_type": "MESSAGE_TAG", "tag": "HUMAN_AGENT", "notification_type": "SILENT_PUSH",
                      "persona_id": "5", "reply_to": { "mid": "m_1" } });
    assert_eq!(lab.send(&with(all)).await.0, 200);
    assert_eq!(lab.truth().message_count, 1);
}
