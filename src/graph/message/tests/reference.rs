//! The parameter table of Meta's reference, a test for each row.
//!
//! Every row is written by the types where they have it, and taken when it is written by hand.
//!
//! **Source**: Graph API reference, Page `messages` edge, "Creating", Parameters (v25.0).

use serde_json::json;

use super::*;
use crate::ids::{MediaKind, Recipient};

/// Rows of `message` that the types write.
macro_rules! typed_messages {
    ($($row:ident: $message:expr => $json:tt;)*) => {$(
        #[test]
        fn $row() {
            assert_written(&to_somebody($message), &around(&json!($json)));
        }
    )*};
}

/// Rows of `message` that are written by hand.
macro_rules! written_messages {
    ($($row:ident: $json:tt;)*) => {$(
        #[test]
        fn $row() {
            assert_taken(&around(&json!($json)));
        }
    )*};
}

/// Rows beside `message`.
macro_rules! envelopes {
    ($($row:ident: $change:expr => $json:tt;)*) => {$(
        #[test]
        fn $row() {
            let change: fn(&mut Envelope) = $change;
            let mut request = to_somebody(Message::text("hi"));
            change(&mut request.envelope);
            let mut body = around(&json!({"text": "hi"}));
            for (key, value) in map(json!($json)) {
                body[key] = value;
            }
            assert_written(&request, &body);
        }
    )*};
}

fn image() -> Attachment {
    Attachment::by_id(MediaKind::Image, "1857777774821032".parse().expect("an id"))
}

fn of_type(content_type: QuickReplyType) -> Message {
    Message::text("hi").with_quick_replies(&[QuickReply::of_type(content_type)])
}

fn with_data(data: QuickReplyData) -> Message {
    let reply = QuickReply { data: Some(data), ..QuickReply::of_type(QuickReplyType::Poll) };
    Message::text("hi").with_quick_replies(&[reply])
}

fn template(kind: ComponentType, parameters: Vec<TemplateParameter>) -> Message {
    let components = vec![TemplateComponent { kind, parameters }];
    UtilityTemplate { name: "order".into(), language: "en_US".into(), components }.into()
}

typed_messages! {
    message_text: Message::text("héllo 🌷") => {"text": "héllo 🌷"};
    message_dynamic_text_text: Message::dynamic_text("Hi", None) => {"dynamic_text": {"text": "Hi"}};
    message_dynamic_text_fallback_text: Message::dynamic_text("Hi", Some("Hello".into())) =>
        {"dynamic_text": {"text": "Hi", "fallback_text": "Hello"}};
    message_attachment_type_image: image() =>
        {"attachment": {"type": "image", "payload": {"attachment_id": "1857777774821032"}}};
    message_attachment_type_video: Attachment::by_url(MediaKind::Video, "https://a.example/b.mp4") =>
        {"attachment": {"type": "video", "payload": {"url": "https://a.example/b.mp4"}}};
    message_attachment_type_audio: Attachment::by_file(MediaKind::Audio, "a.mp3") =>
        {"attachment": {"type": "audio", "payload": {"file": "a.mp3"}}};
    message_attachment_type_file: Attachment { kind: MediaKind::File, source: MediaSource::Asset("@terms".into()) } =>
        {"attachment": {"type": "file", "payload": {"asset": "@terms"}}};
    message_attachment_type_template: MediaTemplate::new(image()) =>
        {"attachment": {"type": "template", "payload": {
            "template_type": "media", "elements": [{"media_type": "image", "attachment_id": "1857777774821032"}]
        }}};
    message_attachment_payload: Attachment {
        kind: MediaKind::Image, source: MediaSource::Url { url: "https://a.example/b".into(), is_reusable: true }
    } => {"attachment": {"type": "image", "payload": {"url": "https://a.example/b", "is_reusable": true}}};
    message_quick_reply_type: of_type(QuickReplyType::UserEmail).with_quick_reply_type("t") =>
        {"text": "hi", "quick_replies": [{"content_type": "user_email"}], "quick_reply_type": "t"};
    message_quick_replies: Message::from(image()).with_quick_replies(&[QuickReply::text("Yes", "YES"), QuickReply::text("No", "NO")]) =>
        {"attachment": {"type": "image", "payload": {"attachment_id": "1857777774821032"}}, "quick_replies": [
            {"content_type": "text", "title": "Yes", "payload": "YES"},
            {"content_type": "text", "title": "No", "payload": "NO"}
        ]};
    quick_replies_title_and_payload: Message::text("hi").with_quick_replies(&[QuickReply::text("Yes 🌷", "YES")]) =>
        {"text": "hi", "quick_replies": [{"content_type": "text", "title": "Yes 🌷", "payload": "YES"}]};
    quick_replies_image_url: Message::text("hi").with_quick_replies(&[
        QuickReply { image_url: Some("https://a.example/b.png".into()), ..QuickReply::text("Yes", "YES") }
    ]) => {"text": "hi", "quick_replies": [
        {"content_type": "text", "title": "Yes", "payload": "YES", "image_url": "https://a.example/b.png"}
    ]};
    quick_replies_content_type_location: of_type(QuickReplyType::Location) =>
        {"text": "hi", "quick_replies": [{"content_type": "location"}]};
    quick_replies_content_type_user_phone_number: of_type(QuickReplyType::UserPhoneNumber) =>
        {"text": "hi", "quick_replies": [{"content_type": "user_phone_number"}]};
    quick_replies_content_type_user_email: of_type(QuickReplyType::UserEmail) =>
        {"text": "hi", "quick_replies": [{"content_type": "user_email"}]};
    quick_replies_content_type_user_city: of_type(QuickReplyType::UserCity) =>
        {"text": "hi", "quick_replies": [{"content_type": "user_city"}]};
    quick_replies_content_type_user_birthday: of_type(QuickReplyType::UserBirthday) =>
        {"text": "hi", "quick_replies": [{"content_type": "user_birthday"}]};
    quick_replies_content_type_user_state: of_type(QuickReplyType::UserState) =>
        {"text": "hi", "quick_replies": [{"content_type": "user_state"}]};
    quick_replies_content_type_user_zip_code: of_type(QuickReplyType::UserZipCode) =>
        {"text": "hi", "quick_replies": [{"content_type": "user_zip_code"}]};
    quick_replies_content_type_open_camera: of_type(QuickReplyType::OpenCamera) =>
        {"text": "hi", "quick_replies": [{"content_type": "open_camera"}]};
    quick_replies_content_type_open_gallery: of_type(QuickReplyType::OpenGallery) =>
        {"text": "hi", "quick_replies": [{"content_type": "open_gallery"}]};
    quick_replies_content_type_record_audio: of_type(QuickReplyType::RecordAudio) =>
        {"text": "hi", "quick_replies": [{"content_type": "record_audio"}]};
    quick_replies_content_type_poll: of_type(QuickReplyType::Poll) =>
        {"text": "hi", "quick_replies": [{"content_type": "poll"}]};
    quick_replies_content_type_text: Message::text("hi").with_quick_replies(&[QuickReply::text("Yes", "YES")]) =>
        {"text": "hi", "quick_replies": [{"content_type": "text", "title": "Yes", "payload": "YES"}]};
    quick_replies_content_type_open_native: of_type(QuickReplyType::OpenNative) =>
        {"text": "hi", "quick_replies": [{"content_type": "open_native"}]};
    quick_replies_content_type_sticker: of_type(QuickReplyType::Sticker) =>
        {"text": "hi", "quick_replies": [{"content_type": "sticker"}]};
    quick_replies_content_type_open_app: of_type(QuickReplyType::OpenApp) =>
        {"text": "hi", "quick_replies": [{"content_type": "open_app"}]};
    quick_replies_content_type_p2p_payment: of_type(QuickReplyType::P2pPayment) =>
        {"text": "hi", "quick_replies": [{"content_type": "p2p_payment"}]};
    quick_replies_content_type_transportation: of_type(QuickReplyType::Transportation) =>
        {"text": "hi", "quick_replies": [{"content_type": "transportation"}]};
    quick_replies_content_type_create_event: of_type(QuickReplyType::CreateEvent) =>
        {"text": "hi", "quick_replies": [{"content_type": "create_event"}]};
    quick_replies_content_type_gif: of_type(QuickReplyType::Gif) =>
        {"text": "hi", "quick_replies": [{"content_type": "gif"}]};
    quick_replies_content_type_bic_opt_in: of_type(QuickReplyType::BicOptIn) =>
        {"text": "hi", "quick_replies": [{"content_type": "bic_opt_in"}]};
    quick_replies_content_type_display_persistent_menu: of_type(QuickReplyType::DisplayPersistentMenu) =>
        {"text": "hi", "quick_replies": [{"content_type": "display_persistent_menu"}]};
    quick_replies_content_type_business_lead_form: of_type(QuickReplyType::BusinessLeadForm) =>
        {"text": "hi", "quick_replies": [{"content_type": "business_lead_form"}]};
    quick_replies_data_app: with_data(QuickReplyData { app: Some("a".into()), ..QuickReplyData::default() }) =>
        {"text": "hi", "quick_replies": [{"content_type": "poll", "data": {"app": "a"}}]};
    quick_replies_data_dest_address: with_data(QuickReplyData { dest_address: Some("1 Hacker Way".into()), ..QuickReplyData::default() }) =>
        {"text": "hi", "quick_replies": [{"content_type": "poll", "data": {"dest_address": "1 Hacker Way"}}]};
    quick_replies_data_sticker_id: with_data(QuickReplyData { sticker_id: Some("369239263222822".into()), ..QuickReplyData::default() }) =>
        {"text": "hi", "quick_replies": [{"content_type": "poll", "data": {"sticker_id": "369239263222822"}}]};
    quick_replies_data_payment_amount: with_data(QuickReplyData { payment_amount: Some(17), ..QuickReplyData::default() }) =>
        {"text": "hi", "quick_replies": [{"content_type": "poll", "data": {"payment_amount": 17}}]};
    quick_replies_data_payment_currency: with_data(QuickReplyData { payment_currency: Some("EUR".into()), ..QuickReplyData::default() }) =>
        {"text": "hi", "quick_replies": [{"content_type": "poll", "data": {"payment_currency": "EUR"}}]};
    quick_replies_data_payment_type: with_data(QuickReplyData { payment_type: Some(PaymentType::Request), ..QuickReplyData::default() }) =>
        {"text": "hi", "quick_replies": [{"content_type": "poll", "data": {"payment_type": "request"}}]};
    quick_replies_data_poll_options: with_data(QuickReplyData { poll_options: vec!["a".into(), "b".into()], ..QuickReplyData::default() }) =>
        {"text": "hi", "quick_replies": [{"content_type": "poll", "data": {"poll_options": ["a", "b"]}}]};
    quick_replies_data_provider_name: with_data(QuickReplyData { provider_name: Some("p".into()), ..QuickReplyData::default() }) =>
        {"text": "hi", "quick_replies": [{"content_type": "poll", "data": {"provider_name": "p"}}]};
    quick_replies_data_native_uri: with_data(QuickReplyData { native_uri: Some("fb://a".into()), ..QuickReplyData::default() }) =>
        {"text": "hi", "quick_replies": [{"content_type": "poll", "data": {"native_uri": "fb://a"}}]};
    message_template_name_and_language: UtilityTemplate { name: "order".into(), language: "en_US".into(), components: Vec::new() } =>
        {"template": {"name": "order", "language": {"code": "en_US"}}};
    message_template_components_type_header: template(ComponentType::Header, Vec::new()) =>
        {"template": {"name": "order", "language": {"code": "en_US"}, "components": [{"type": "HEADER", "parameters": []}]}};
    message_template_components_type_body: template(ComponentType::Body, Vec::new()) =>
        {"template": {"name": "order", "language": {"code": "en_US"}, "components": [{"type": "BODY", "parameters": []}]}};
    message_template_components_type_title: template(ComponentType::Title, Vec::new()) =>
        {"template": {"name": "order", "language": {"code": "en_US"}, "components": [{"type": "TITLE", "parameters": []}]}};
    message_template_components_type_buttons: template(ComponentType::Buttons, Vec::new()) =>
        {"template": {"name": "order", "language": {"code": "en_US"}, "components": [{"type": "BUTTONS", "parameters": []}]}};
    message_template_components_parameters_text: template(ComponentType::Body, vec![TemplateParameter::text("Ada")]) =>
        {"template": {"name": "order", "language": {"code": "en_US"}, "components": [{"type": "BODY", "parameters": [{"type": "text", "text": "Ada"}]}]}};
    message_template_components_parameters_payload: template(ComponentType::Body, vec![TemplateParameter::postback("17")]) =>
        {"template": {"name": "order", "language": {"code": "en_US"}, "components": [{"type": "BODY", "parameters": [{"type": "POSTBACK", "payload": "17"}]}]}};
    message_template_components_parameters_url: template(ComponentType::Body, vec![TemplateParameter::url("https://a.example")]) =>
        {"template": {"name": "order", "language": {"code": "en_US"}, "components": [{"type": "BODY", "parameters": [{"type": "URL", "url": "https://a.example"}]}]}};
    message_metadata: Message::text("hi").with_metadata("m") => {"text": "hi", "metadata": "m"};
    message_sticker_id: Message::sticker(767_226_160_478_561) => {"sticker_id": 767_226_160_478_561_u64};
}

written_messages! {
    message: {"hologram": {"id": 1}};
    message_attachment: {"attachment": {"type": "image", "payload": {"attachment_id": "1", "is_public": true}}};
    message_attachment_type_in_capitals: {"attachment": {"type": "IMAGE", "payload": {"attachment_id": "1"}}};
    message_attachment_type_location: {"attachment": {"type": "location", "payload": {"coordinates": {"lat": 1.5, "long": -2}}}};
    message_attachment_type_fallback: {"attachment": {"type": "fallback", "payload": {"url": "https://a.example"}}};
    message_attachment_type_reel: {"attachment": {"type": "reel", "payload": {"id": "1"}}};
    message_attachment_type_ig_reel: {"attachment": {"type": "ig_reel", "payload": {"id": "1"}}};
    message_attachment_type_media_share: {"attachment": {"type": "media_share", "payload": {"id": "1"}}};
    message_attachment_type_like_heart: {"attachment": {"type": "like_heart"}};
    quick_replies_content_type_in_capitals: {"text": "hi", "quick_replies": [{"content_type": "USER_EMAIL"}]};
    quick_replies_data: {"text": "hi", "quick_replies": [{"content_type": "poll", "data": {"new": [1]}}]};
    quick_replies_payload_number: {"text": "hi", "quick_replies": [{"content_type": "text", "title": "a", "payload": 7}]};
    quick_replies_data_sticker_id_integer: {"text": "hi", "quick_replies": [{"content_type": "sticker", "data": {"sticker_id": 7}}]};
    message_template_components_type_in_small_letters: {"template": {"name": "order", "language": {"code": "en"}, "components": [
        {"type": "body", "parameters": [{"type": "text", "text": "a"}]}
    ]}};
    message_sticker_id_text: {"sticker_id": "767226160478561"};
}

#[test]
fn message_attachments() {
    let mut request =
        to_somebody(Message::attachments([image(), Attachment::by_url(MediaKind::Image, "https://a.example/b")]));
    request.envelope.allow.attachment_lists = true;
    let list = json!([
        {"type": "image", "payload": {"attachment_id": "1857777774821032"}},
        {"type": "image", "payload": {"url": "https://a.example/b"}}
    ]);
    assert_written(&request, &around(&json!({ "attachments": list })));
}

envelopes! {
    messaging_type_response: |envelope| envelope.messaging_type = MessagingType::Response => {"messaging_type": "RESPONSE"};
    messaging_type_update: |envelope| envelope.messaging_type = MessagingType::Update => {"messaging_type": "UPDATE"};
    notification_type_regular: |envelope| envelope.notification_type = Some(NotificationType::Regular) =>
        {"notification_type": "REGULAR"};
    notification_type_silent_push: |envelope| envelope.notification_type = Some(NotificationType::SilentPush) =>
        {"notification_type": "SILENT_PUSH"};
    notification_type_no_push: |envelope| envelope.notification_type = Some(NotificationType::NoPush) =>
        {"notification_type": "NO_PUSH"};
    persona_id: |envelope| envelope.persona_id = Some("17".into()) => {"persona_id": "17"};
    reply_to: |envelope| envelope.reply_to = Some("m_1".into()) => {"reply_to": {"mid": "m_1"}};
    thread_control: |envelope| drop(envelope.extra.insert("thread_control".into(), json!({"a": [1]}))) =>
        {"thread_control": {"a": [1]}};
    recipient_id: |envelope| envelope.recipient = Recipient::Psid("1254459154682919".into()) =>
        {"recipient": {"id": "1254459154682919"}};
    recipient_user_ref: |envelope| envelope.recipient = Recipient::UserRef("r-1".into()) =>
        {"recipient": {"user_ref": "r-1"}};
    recipient_comment_id: |envelope| envelope.recipient = Recipient::Comment("12_34".into()) =>
        {"recipient": {"comment_id": "12_34"}};
    recipient_post_id: |envelope| envelope.recipient = Recipient::Post("12_34".into()) =>
        {"recipient": {"post_id": "12_34"}};
    recipient_phone_number: |envelope| envelope.recipient = Recipient::Phone("+1(212)555-2368".into()) =>
        {"recipient": {"phone_number": "+1(212)555-2368"}};
    recipient_player_id: |envelope| envelope.recipient = Recipient::Player("77".into()) =>
        {"recipient": {"player_id": "77"}};
    recipient_one_time_notif_token: |envelope| envelope.recipient = Recipient::OneTimeNotification("t:1".into()) =>
        {"recipient": {"one_time_notif_token": "t:1"}};
    recipient_notification_messages_token: |envelope| envelope.recipient = Recipient::NotificationMessages("t".into()) =>
        {"recipient": {"notification_messages_token": "t"}};
    recipient_login_id: |envelope| envelope.recipient = Recipient::Login("me@example.com".into()) =>
        {"recipient": {"login_id": "me@example.com"}};
    recipient_name: |envelope| {
        envelope.recipient = Recipient::Phone("+1".into());
        envelope.recipient_name = Some(FullName { first: "Ada".into(), last: "Lovelace".into() });
    } => {"recipient": {"phone_number": "+1", "name": {"first_name": "Ada", "last_name": "Lovelace"}}};
    recipient_name_first_name: |envelope| {
        envelope.recipient = Recipient::Phone("+1".into());
        envelope.recipient_name = Some(FullName { first: "Ada".into(), last: String::new() });
    } => {"recipient": {"phone_number": "+1", "name": {"first_name": "Ada"}}};
    recipient_name_last_name: |envelope| {
        envelope.recipient = Recipient::Phone("+1".into());
        envelope.recipient_name = Some(FullName { first: String::new(), last: "Lovelace".into() });
    } => {"recipient": {"phone_number": "+1", "name": {"last_name": "Lovelace"}}};
    tag_account_update: |envelope| {
        envelope.messaging_type = MessagingType::MessageTag;
        envelope.tag = Some(Tag::ACCOUNT_UPDATE);
        envelope.allow.retired_tags = true;
    } => {"messaging_type": "MESSAGE_TAG", "tag": "ACCOUNT_UPDATE"};
    tag_confirmed_event_update: |envelope| {
        envelope.messaging_type = MessagingType::MessageTag;
        envelope.tag = Some(Tag::CONFIRMED_EVENT_UPDATE);
        envelope.allow.retired_tags = true;
    } => {"messaging_type": "MESSAGE_TAG", "tag": "CONFIRMED_EVENT_UPDATE"};
    tag_customer_feedback: |envelope| {
        envelope.messaging_type = MessagingType::MessageTag;
        envelope.tag = Some(Tag::CUSTOMER_FEEDBACK);
    } => {"messaging_type": "MESSAGE_TAG", "tag": "CUSTOMER_FEEDBACK"};
    tag_human_agent: |envelope| {
        envelope.messaging_type = MessagingType::MessageTag;
        envelope.tag = Some(Tag::HUMAN_AGENT);
    } => {"messaging_type": "MESSAGE_TAG", "tag": "HUMAN_AGENT"};
    tag_non_promotional_subscription: |envelope| {
        envelope.messaging_type = MessagingType::MessageTag;
        envelope.tag = Some(Tag::NON_PROMOTIONAL_SUBSCRIPTION);
    } => {"messaging_type": "MESSAGE_TAG", "tag": "NON_PROMOTIONAL_SUBSCRIPTION"};
    tag_post_purchase_update: |envelope| {
        envelope.messaging_type = MessagingType::MessageTag;
        envelope.tag = Some(Tag::POST_PURCHASE_UPDATE);
        envelope.allow.retired_tags = true;
    } => {"messaging_type": "MESSAGE_TAG", "tag": "POST_PURCHASE_UPDATE"};
    messaging_type_message_tag: |envelope| {
        envelope.messaging_type = MessagingType::MessageTag;
        envelope.tag = Some(Tag::new("NEW_TAG"));
    } => {"messaging_type": "MESSAGE_TAG", "tag": "NEW_TAG"};
}

#[test]
fn messaging_type_utility() {
    let mut request = to_somebody(template(ComponentType::Body, Vec::new()));
    request.envelope.messaging_type = MessagingType::Utility;
    let components = json!([{"type": "BODY", "parameters": []}]);
    let mut body =
        around(&json!({"template": {"name": "order", "language": {"code": "en_US"}, "components": components}}));
    body["messaging_type"] = "UTILITY".into();
    assert_written(&request, &body);
}

/// Rows of `sender_action` and `payload`.
macro_rules! actions {
    ($($row:ident: $action:expr => $json:tt;)*) => {$(
        #[test]
        fn $row() {
            let mut body = json!($json);
            body["recipient"] = json!({"id": "1"});
            assert_written(&to_somebody($action), &body);
        }
    )*};
}

actions! {
    sender_action_mark_seen: SenderAction::MarkSeen => {"sender_action": "mark_seen"};
    sender_action_typing_on: SenderAction::TypingOn => {"sender_action": "typing_on"};
    sender_action_typing_off: SenderAction::TypingOff => {"sender_action": "typing_off"};
    sender_action_react: SenderAction::react("m_1", "😊") =>
        {"sender_action": "react", "payload": {"message_id": "m_1", "reaction": "😊"}};
    sender_action_unreact: SenderAction::unreact("m_1") => {"sender_action": "unreact", "payload": {"message_id": "m_1"}};
    payload: SenderAction::React("{}".into()) => {"sender_action": "react", "payload": "{}"};
}
