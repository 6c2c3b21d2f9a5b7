//! Properties of every request: what is read is written again, and no JSON is too strange to be looked at.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::ids::{AttachmentId, MediaKind, Platform};

/// Words that mean something somewhere in a request, so that strange JSON gets past the first look.
const WORDS: [&str; 40] = [
    "access_token",
    "asset",
    "attachment",
    "attachment_id",
    "attachments",
    "buttons",
    "code",
    "components",
    "content_type",
    "data",
    "dynamic_text",
    "elements",
    "fallback_text",
    "file",
    "first_name",
    "id",
    "image",
    "is_reusable",
    "language",
    "media",
    "media_type",
    "message",
    "messaging_type",
    "metadata",
    "mid",
    "name",
    "parameters",
    "payload",
    "phone_number",
    "poll_options",
    "postback",
    "quick_replies",
    "recipient",
    "reply_to",
    "sender_action",
    "sharable",
    "template",
    "template_type",
    "text",
    "type",
];

fn word() -> impl Strategy<Value = String> {
    prop_oneof![8 => proptest::sample::select(&WORDS[..]).prop_map(str::to_owned), 1 => ".{0,6}"]
}

/// Any JSON, of words that are likely to matter.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        word().prop_map(Value::from),
        "[{\"\\[].{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 48, 6, |inner| {
        prop_oneof![
            1 => vec(inner.clone(), 0..4).prop_map(Value::from),
            4 => vec((word(), inner), 0..6).prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}

fn any_object() -> impl Strategy<Value = Map<String, Value>> {
    vec((word(), any_json()), 0..6).prop_map(|entries| entries.into_iter().collect())
}

fn recipient() -> impl Strategy<Value = Value> {
    const KEYS: [&str; 6] =
        ["user_ref", "comment_id", "post_id", "one_time_notif_token", "notification_messages_token", "login_id"];
    let name = ("[a-z]{1,5}", option::of("[A-Z]{1,5}")).prop_map(|(first, last)| match last {
        Some(last) => json!({"first_name": first, "last_name": last}),
        None => json!({"first_name": first}),
    });
    prop_oneof![
        (prop_oneof![Just("id"), Just("player_id")], "[0-9]{1,20}").prop_map(|(key, id)| json!({ key: id })),
        (proptest::sample::select(&KEYS[..]).prop_map(str::to_owned), "[a-zA-Z0-9:_.@-]{1,20}")
            .prop_map(|(key, value)| json!({ key: value })),
        ("\\+[0-9]{1,14}", option::of(name)).prop_map(|(number, name)| match name {
            Some(name) => json!({"phone_number": number, "name": name}),
            None => json!({ "phone_number": number }),
        }),
    ]
}

fn message() -> impl Strategy<Value = Value> {
    let media = (proptest::sample::select(&MediaKind::ALL[..]), "[0-9]{1,20}")
        .prop_map(|(kind, id)| json!({"attachment": {"type": kind, "payload": {"attachment_id": id}}}));
    let unknown = (".{1,9}", any_json()).prop_map(|(key, value)| json!({ format!("new {key}"): {"inside": value} }));
    prop_oneof![
        "[^\\s].{0,40}".prop_map(|text| json!({ "text": text })),
        media,
        "[a-z./]{1,12}".prop_map(|path| json!({"attachment": {"payload": {"file": format!("a{path}")}}})),
        unknown.prop_filter("references have their own rules", |message| {
            !message.to_string().contains("\"file\"") && !message.to_string().contains("\"asset\"")
        }),
    ]
}

/// A body of a message that Meta's rules let pass.
fn sound_body() -> impl Strategy<Value = Value> {
    let types = prop_oneof![
        Just(json!({"messaging_type": "RESPONSE"})),
        Just(json!({"messaging_type": "UPDATE"})),
        Just(json!({"messaging_type": "MESSAGE_TAG", "tag": "HUMAN_AGENT"})),
        "[A-Z_]{1,9}".prop_map(|tag| json!({"messaging_type": "MESSAGE_TAG", "tag": format!("NEW_{tag}")})),
    ];
    let pushes = proptest::sample::select(&NotificationType::ALL[..]).prop_map(|kind| json!(kind.as_str()));
    let manner = (option::of(pushes), option::of("[0-9]{1,20}"), option::of("m_[a-zA-Z]{1,9}"), option::of(any_json()));
    (recipient(), message(), types, manner).prop_map(|(recipient, message, types, manner)| {
        let (notification_type, persona_id, mid, extra) = manner;
        let mut body = map(types);
        let optional = [
            ("notification_type", notification_type),
            ("persona_id", persona_id.map(Value::from)),
            ("reply_to", mid.map(|mid| json!({ "mid": mid }))),
            ("thread_control", extra),
        ];
        body.extend(optional.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))));
        body.insert("recipient".to_owned(), recipient);
        body.insert("message".to_owned(), message);
        Value::Object(body)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn a_sound_request_is_written_as_it_was_read(body in sound_body()) {
        let request = SendRequest::from_json(map(body.clone())).expect("a body");
        prop_assert_eq!(request.check(), Ok(()));
        prop_assert_eq!(Value::Object(request.to_json()), body);
    }

    #[test]
    fn a_message_alone_keeps_its_order_and_its_words(message in message()) {
        let draft = Draft::from_json(map(message.clone())).expect("a message");
        let request = draft.address("1".parse().ok()).expect("addressed");
        prop_assert_eq!(request.to_json()["message"].to_string(), message.to_string());
    }

    #[test]
    fn no_json_is_too_strange_to_be_looked_at(body in any_object()) {
        let recipient = || "1".parse().ok();
        let whole = SendRequest::from_json(body.clone());
        let draft = Draft::from_json(body.clone()).and_then(|draft| draft.address(recipient()));
        let message = to_somebody(Message::from_json(body));
        for request in [whole, draft, Ok(message)].into_iter().flatten() {
            look_at(&request)?;
        }
    }

    #[test]
    fn no_message_is_too_strange_to_be_looked_at(key in proptest::sample::select(&WORDS[..]), content in any_json()) {
        look_at(&to_somebody(Message::from_json(map(json!({ key: content })))))?;
    }
}

/// Does to `request` whatever can be done; what comes of it must make sense.
fn look_at(request: &SendRequest) -> Result<(), TestCaseError> {
    for platform in Platform::ALL {
        if let Err(error) = request.check_for(platform) {
            prop_assert!(!error.to_string().is_empty());
            prop_assert!(error.hint().is_none_or(|hint| !hint.is_empty()));
        }
    }
    prop_assert!(!request.content.describe().is_empty());
    let Some(message) = request.content.message() else { return Ok(()) };
    let references = message.references();
    let id: AttachmentId = "12".parse().expect("an id");
    let ids: Vec<_> = references.iter().map(|found| (found.pointer.clone(), MediaKind::Image, id.clone())).collect();
    let ready = message.with_ids(&ids);
    prop_assert!(ready.references().is_empty(), "{references:?}");
    prop_assert_eq!(ready.attachment_ids().len(), message.attachment_ids().len() + references.len());
    Ok(())
}

#[test]
fn json_as_deep_as_the_parser_goes_is_looked_at() {
    let deep = |open: &str, close: &str, depth| format!("{}1{}", open.repeat(depth), close.repeat(depth));
    for text in [deep("[", "]", 120), deep("{\"attachment\":", "}", 120), deep("{\"payload\":", "}", 120)] {
        let json: Value = serde_json::from_str(&text).expect("JSON");
        let request = to_somebody(Message::from_json(map(json!({ "attachment": json }))));
        look_at(&request).expect("sense");
    }
    assert!(serde_json::from_str::<Value>(&deep("[", "]", 200)).is_err(), "nothing deeper gets in");
}
