//! What messages may hold beyond texts and plain attachments.

use super::*;

fn message(message: &Value) -> Value {
    json!({ "recipient": { "id": "7" }, "messaging_type": "UPDATE", "message": message })
}

fn media(element: &Value) -> Value {
    let payload = json!({ "template_type": "media", "elements": [element] });
    message(&json!({ "attachment": { "type": "template", "payload": payload } }))
}

fn utility(template: &Value) -> Value {
    let mut body = message(&json!({ "template": template }));
    body["messaging_type"] = json!("UTILITY");
    body
}

fn quick(reply: &Value) -> Value {
    message(&json!({ "text": "a", "quick_replies": [reply] }))
}

/// Checks that each of `messages` is refused with code 100 and this text.
async fn assert_all_refused(lab: &Lab, messages: Vec<(Value, &str)>) {
    for (body, text) in messages {
        assert_refused(&lab.send(&body).await, 100, 0, text);
    }
    assert_eq!(lab.truth().message_count, 0);
}

#[tokio::test]
async fn quick_replies_are_checked() {
    let lab = lab().await;
    let reply = |content_type: &str| json!({ "content_type": content_type, "title": "Yes", "payload": "YES" });
    let param = "message[quick_replies]";
    assert_all_refused(
        &lab,
        vec![
            (quick(&json!({})), "(#100) The parameter message[quick_replies][0][content_type] is required"),
            (
                quick(&json!({ "content_type": "text", "payload": "A" })),
                "(#100) The parameter message[quick_replies][0][title] is required",
            ),
            (
                quick(&json!({ "content_type": "TEXT", "title": "A" })),
                "(#100) The parameter message[quick_replies][0][payload] is required",
            ),
            (
                quick(&json!({ "content_type": "text", "title": "A", "payload": "A", "kind": 1 })),
                "(#100) Invalid keys \"kind\" were found in param \"message[quick_replies][0]\".",
            ),
            (
                message(&json!({ "text": "a", "quick_replies": vec![reply("text"); 14] })),
                "(#100) Param message[quick_replies] must have at most 13 items",
            ),
        ],
    )
    .await;
    let (_, refused) = lab.send(&quick(&reply("button"))).await;
    assert!(
        refused["error"]["message"].as_str().is_some_and(|text| text.contains(param) && text.contains("user_email"))
    );
    for good in
        [reply("text"), reply("TEXT"), json!({ "content_type": "user_email" }), json!({ "content_type": "GIF" })]
    {
        assert_eq!(lab.send(&quick(&good)).await.0, 200, "{good}");
    }
    let id = lab.saved().await;
    let picture = json!({ "attachment": { "type": "image", "payload": { "attachment_id": id } },
                          "quick_replies": [reply("text")] });
    assert_eq!(lab.send(&message(&picture)).await.0, 200);
}

#[tokio::test]
async fn dynamic_text_has_a_text_and_a_fallback() {
    let lab = lab().await;
    let dynamic = |text: Value| message(&json!({ "dynamic_text": text }));
    assert_all_refused(
        &lab,
        vec![
            (dynamic(json!({ "fallback_text": "a" })), "(#100) The parameter message[dynamic_text][text] is required"),
            (
                dynamic(json!({ "text": "a", "fallback": "b" })),
                "(#100) Invalid keys \"fallback\" were found in param \"message[dynamic_text]\".",
            ),
            (
                dynamic(json!({ "text": "a", "fallback_text": 7 })),
                "(#100) Param message[dynamic_text][fallback_text] must be a string",
            ),
        ],
    )
    .await;
    let both = dynamic(json!({ "text": "Hi, {{first_name}}!", "fallback_text": "Hi!" }));
    assert_eq!(lab.send(&both).await.0, 200);
}

#[tokio::test]
async fn a_media_template_shows_one_thing_meta_has() {
    let lab = lab().await;
    let id = lab.saved().await;
    for (element, code, text) in [
        (json!({ "attachment_id": id }), 2_018_182, "Media type is invalid: it must be image or video"),
        (
            json!({ "media_type": "audio", "attachment_id": id }),
            2_018_182,
            "Media type is invalid: it must be image or video",
        ),
        (json!({ "media_type": "image", "attachment_id": "" }), 2_018_183, "Attachment ID is missing"),
        (json!({ "media_type": "image", "url": "photo" }), 2_018_184, "The Facebook URL is invalid"),
        (
            json!({ "media_type": "image", "url": "https://www.facebook.com/" }),
            2_018_184,
            "The Facebook URL is invalid",
        ),
        (json!({ "media_type": "video" }), 2_018_187, "Either url or attachment_id is required"),
        (
            json!({ "media_type": "image", "url": "https://facebook.com.example/a" }),
            2_018_188,
            "External URLs are not supported",
        ),
        (
            json!({ "media_type": "image", "url": "https://notfacebook.com/a" }),
            2_018_188,
            "External URLs are not supported",
        ),
    ] {
        assert_refused(&lab.send(&media(&element)).await, code, 0, &format!("(#{code}) {text}"));
    }
    for element in [
        json!({ "media_type": "image", "attachment_id": id }),
        json!({ "media_type": "VIDEO", "url": "https://www.facebook.com/shop/videos/1/" }),
        json!({ "media_type": "image", "url": "https://facebook.com/photo.php?fbid=1" }),
    ] {
        assert_eq!(lab.send(&media(&element)).await.0, 200, "{element}");
    }
}

#[tokio::test]
async fn a_media_template_has_one_element_and_three_buttons() {
    let lab = lab().await;
    let button = json!({ "type": "web_url", "title": "Shop", "url": "https://a.example" });
    let with_buttons = |buttons: Value| {
        media(&json!({ "media_type": "image", "url": "https://facebook.com/photo/1", "buttons": buttons }))
    };
    let elements = |elements: Value| {
        let payload = json!({ "template_type": "media", "elements": elements });
        message(&json!({ "attachment": { "type": "template", "payload": payload } }))
    };
    let element = json!({ "media_type": "image", "url": "https://facebook.com/photo/1" });
    assert_all_refused(
        &lab,
        vec![
            (elements(json!(null)), "(#100) The parameter message[attachment][payload][elements] is required"),
            (elements(json!([])), "(#100) Param message[attachment][payload][elements] must have exactly 1 element"),
            (
                elements(json!([element, element])),
                "(#100) Param message[attachment][payload][elements] must have exactly 1 element",
            ),
            (
                media(&json!({ "media_type": "image", "attachment_id": "1", "url": "https://facebook.com/photo/1" })),
                "(#100) Param message[attachment][payload][elements][0] must have either url or attachment_id, not both",
            ),
            (
                with_buttons(json!([button, button, button, button])),
                "(#100) Param message[attachment][payload][elements][0][buttons] must have 1 to 3 items",
            ),
            (
                with_buttons(json!([{ "type": "web_url", "title": "Shop" }])),
                "(#100) The parameter message[attachment][payload][elements][0][buttons][0][url] is required",
            ),
            (
                with_buttons(json!([{ "type": "postback", "title": "Shop" }])),
                "(#100) The parameter message[attachment][payload][elements][0][buttons][0][payload] is required",
            ),
        ],
    )
    .await;
    assert_eq!(lab.send(&with_buttons(json!([button, button, button]))).await.0, 200);
}

#[tokio::test]
async fn a_utility_template_is_checked_to_its_parameters() {
    let lab = lab().await;
    let template = |components: Value| {
        utility(&json!({ "name": "order", "language": { "code": "en_US" }, "components": components }))
    };
    assert_all_refused(
        &lab,
        vec![
            (utility(&json!({ "language": { "code": "en" } })), "(#100) The parameter message[template][name] is required"),
            (
                utility(&json!({ "name": "a", "language": {} })),
                "(#100) The parameter message[template][language][code] is required",
            ),
            (template(json!([{}])), "(#100) The parameter message[template][components][0][type] is required"),
            (
                template(json!([{ "type": "footer" }])),
                "(#100) Param message[template][components][0][type] must be one of {HEADER, BODY, TITLE, BUTTONS}",
            ),
            (
                template(json!([{ "type": "buttons", "parameters": [{ "type": "POSTBACK", "index": 0 }] }])),
                "(#100) Invalid keys \"index\" were found in param \"message[template][components][0][parameters][0]\".",
            ),
            (
                template(json!([{ "type": "body", "parameters": [{ "text": "a" }] }])),
                "(#100) The parameter message[template][components][0][parameters][0][type] is required",
            ),
        ],
    )
    .await;
    let sound = json!([{ "type": "body", "parameters": [{ "type": "text", "text": "7" }] },
                       { "type": "BUTTONS", "parameters": [{ "type": "POSTBACK", "payload": "P" }] }]);
    assert_eq!(lab.send(&template(sound)).await.0, 200);
}

#[tokio::test]
async fn a_reaction_names_a_message() {
    let lab = lab().await;
    let react = |action: &str, payload: Value| json!({ "recipient": { "id": "7" }, "sender_action": action, "payload": payload });
    assert_all_refused(
        &lab,
        vec![
            (react("react", Value::Null), "(#100) The parameter payload is required"),
            (react("REACT", json!({ "message_id": "m_1" })), "(#100) The parameter payload[reaction] is required"),
            (react("unreact", json!({})), "(#100) The parameter payload[message_id] is required"),
            (react("react", json!({ "mid": "m_1" })), "(#100) Invalid keys \"mid\" were found in param \"payload\"."),
        ],
    )
    .await;
    let love = json!({ "message_id": "m_1", "reaction": "love" });
    assert_eq!(lab.send(&react("react", love.clone())).await, (200, json!({ "recipient_id": "7" })));
    assert_eq!(lab.send(&react("react", json!(love.to_string()))).await.0, 200);
    assert_eq!(lab.send(&react("UNREACT", json!({ "message_id": "m_1" }))).await.0, 200);
}

#[tokio::test]
async fn stickers_and_thread_control_have_their_types() {
    let lab = lab().await;
    let mut taken = hello("7");
    taken["thread_control"] = json!({ "payload": "pass" });
    assert_eq!(lab.send(&taken).await.0, 200);
    taken["thread_control"] = json!(7);
    assert_refused(&lab.send(&taken).await, 100, 0, "(#100) Param thread_control must be a JSON object");
    assert_eq!(lab.send(&message(&json!({ "sticker_id": 369_239_263_222_822_u64 }))).await.0, 200);
    let text = "(#100) Param message[sticker_id] must be a valid ID string (e.g., \"123\")";
    assert_refused(&lab.send(&message(&json!({ "sticker_id": "like" }))).await, 100, 0, text);
}

#[tokio::test]
async fn pages_and_programs_are_546() {
    let lab = lab().await;
    let text =
        "(#546) The type of file you're trying to attach isn't allowed. Please try again with a different format";
    let by_url = |kind: &str, url: &str| message(&json!({ "attachment": { "type": kind, "payload": { "url": url } } }));
    for url in ["https://a.example/a.html", "https://a.example/a.HTM?x=1", "https://a.example/setup.exe#top"] {
        assert_refused(&lab.send(&by_url("file", url)).await, 546, 0, text);
    }
    for mime in ["text/html", "application/x-msdownload", "application/vnd.microsoft.portable-executable"] {
        assert_refused(&lab.upload(&reusable("file"), typed(b"MZ", mime)).await, 546, 0, text);
    }
    for url in ["https://a.example/?page=a.html", "https://a.example/html"] {
        assert_eq!(lab.send(&by_url("file", url)).await.0, 200, "{url}");
    }
}

#[tokio::test]
async fn a_video_that_cannot_be_fetched_is_389() {
    let lab = lab().await;
    let by_url = |kind: &str| {
        message(&json!({ "attachment": { "type": kind, "payload": { "url": "https://large.invalid/a" } } }))
    };
    assert_refused(&lab.send(&by_url("video")).await, 389, 0, "(#389) Unable to fetch video file from URL.");
    assert_refused(&lab.send(&by_url("image")).await, 100, 2_018_008, "(#100) Failed to fetch the file from the url");
}
