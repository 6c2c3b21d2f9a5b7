//! Uploading: what is accepted, what is refused, and in which words.

use sha2::{Digest, Sha256};

use super::*;

const UPLOADS: &str = "/v25.0/me/message_attachments";

async fn upload_json(lab: &Lab, body: &Value) -> (u16, Value) {
    answer(json_body(lab.post(UPLOADS).bearer_auth(BAKERY), body)).await
}

fn by_url(payload: &Value) -> Value {
    json!({ "message": { "attachment": { "type": "image", "payload": payload } } })
}

#[tokio::test]
async fn a_file_gets_an_id_and_is_remembered_without_its_bytes() {
    let lab = lab().await;
    let (status, answer) = lab.upload(&reusable("image"), png(b"bytes of a picture")).await;
    assert_eq!(status, 200);
    let seen = lab.only_attachment();
    assert_eq!(answer, json!({ "attachment_id": seen.id }));
    assert_eq!((seen.page_id.as_str(), seen.kind.as_str()), (PAGES[0].id, "image"));
    assert_eq!((seen.platform.as_str(), seen.reusable, seen.revoked), ("messenger", true, false));
    assert!(seen.content_length.is_some_and(|length| length > 18));
    let file = seen.file.expect("a file");
    assert_eq!((file.name.as_str(), file.mime.as_deref()), ("picture.png", Some("image/png")));
    assert_eq!(file.size_bytes, 18);
    assert_eq!(file.sha256, hex::encode(Sha256::digest(b"bytes of a picture")));
    let counters = lab.truth().counters;
    assert_eq!((counters.requests.upload, counters.uploads_accepted, counters.peak_concurrent_uploads), (1, 1, 1));
    assert_eq!(Some(counters.bytes_received), seen.content_length);
}

#[tokio::test]
async fn a_url_is_taken_at_its_word() {
    let lab = lab().await;
    let payload = json!({ "url": "https://shop.example/a.jpg?x=1", "is_reusable": true });
    let (status, _) = upload_json(&lab, &by_url(&payload)).await;
    assert_eq!(status, 200);
    let seen = lab.only_attachment();
    assert_eq!((seen.url.as_deref(), seen.file), (Some("https://shop.example/a.jpg?x=1"), None));
}

#[tokio::test]
async fn a_url_can_be_sent_in_a_form() {
    let lab = lab().await;
    let message =
        json!({ "attachment": { "type": "IMAGE", "payload": { "url": "http://a.example/", "is_reusable": "true" } } });
    let form = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("message", &message.to_string())
        .append_pair("access_token", BAKERY)
        .finish();
    let request = lab.post("/me/message_attachments").header("content-type", "application/x-www-form-urlencoded");
    let (status, _) = answer(request.body(form)).await;
    assert_eq!(status, 200);
    let seen = lab.only_attachment();
    assert_eq!((seen.kind.as_str(), seen.reusable), ("image", true));
}

#[tokio::test]
async fn the_platform_is_a_field_of_its_own() {
    let lab = lab().await;
    let form = || Form::new().text("message", reusable("image").to_string()).part("filedata", png(b"x"));
    let post = |form| answer(lab.post(UPLOADS).bearer_auth(BAKERY).multipart(form));
    assert_eq!(post(form().text("platform", "instagram")).await.0, 200);
    assert_eq!(lab.only_attachment().platform, "instagram");
    let refused = post(form().text("platform", "telegram")).await;
    assert_refused(&refused, 100, 0, "(#100) Param platform must be one of {messenger, instagram}");
}

#[tokio::test]
async fn a_badly_described_attachment_is_refused() {
    let lab = lab().await;
    let url = "https://a.example/";
    for (body, message) in [
        (json!({}), "(#100) The parameter message is required"),
        (json!({ "message": 5 }), "(#100) Param message must be a JSON object"),
        (json!({ "message": "{" }), "(#100) Param message must be a JSON object"),
        (json!({ "message": {} }), "(#100) The parameter message[attachment] is required"),
        (
            json!({ "message": { "attachment": { "payload": {} } } }),
            "(#100) The parameter message[attachment][type] is required",
        ),
        (
            json!({ "message": { "attachment": { "type": "template", "payload": { "url": url } } } }),
            "(#100) Param message[attachment][type] must be one of {image, video, audio, file}",
        ),
        (
            json!({ "message": { "attachment": { "type": "image" } } }),
            "(#100) The parameter message[attachment][payload] is required",
        ),
        (
            json!({ "message": { "attachment": { "type": "image", "payload": { "url": url } }, "text": "x" } }),
            "(#100) Invalid keys \"text\" were found in param \"message\".",
        ),
        (
            json!({ "message": { "attachment": { "type": "image", "is_reusable": true, "payload": { "url": url } } } }),
            "(#100) Invalid keys \"is_reusable\" were found in param \"message[attachment]\".",
        ),
        (
            by_url(&json!({ "url": url, "is_public": true })),
            "(#100) Invalid keys \"is_public\" were found in param \"message[attachment][payload]\".",
        ),
        (
            json!({ "message": reusable("image"), "recipient": { "id": "1" } }),
            "(#100) Invalid keys \"recipient\" were found in param \"request\".",
        ),
        (by_url(&json!({ "url": "" })), "(#100) message[attachment][payload][url] should represent a valid URL"),
        (by_url(&json!({ "url": "a.jpg" })), "(#100) message[attachment][payload][url] should represent a valid URL"),
        (
            by_url(&json!({ "url": "ftp://a/b" })),
            "(#100) message[attachment][payload][url] should represent a valid URL",
        ),
        (by_url(&json!({ "url": 7 })), "(#100) Param message[attachment][payload][url] must be a string"),
        (
            by_url(&json!({ "url": url, "is_reusable": "yes" })),
            "(#100) Param message[attachment][payload][is_reusable] must be a boolean",
        ),
        (
            by_url(&json!({ "url": url, "attachment_id": "1" })),
            "(#100) Param message[attachment][payload] must name one attachment_id, url or file only",
        ),
        (by_url(&json!({ "attachment_id": "1" })), "(#100) An attachment that has an id cannot be uploaded"),
    ] {
        assert_refused(&upload_json(&lab, &body).await, 100, 0, message);
    }
    assert!(lab.truth().attachments.is_empty());
}

#[tokio::test]
async fn a_url_that_cannot_be_fetched_is_2018008() {
    let lab = lab().await;
    let refused = upload_json(&lab, &by_url(&json!({ "url": "https://gone.invalid/a.png" }))).await;
    assert_refused(&refused, 100, 2_018_008, "(#100) Failed to fetch the file from the url");
}

#[tokio::test]
async fn anything_but_one_named_file_is_2018005() {
    let lab = lab().await;
    let message = || Form::new().text("message", reusable("image").to_string());
    let nameless = || Part::bytes(&b"x"[..]).mime_str("image/png").expect("a media type");
    for form in [
        message(),
        message().part("filedata", nameless()),
        message().part("file", png(b"x")),
        message().part("filedata", png(b"x")).part("filedata", png(b"y")),
        Form::new().part("message", Part::text(reusable("image").to_string())).part("filedata", nameless()),
    ] {
        let refused = answer(lab.post(UPLOADS).bearer_auth(BAKERY).multipart(form)).await;
        let message = "(#100) Incorrect number of files uploaded. Must upload exactly one file.";
        assert_refused(&refused, 100, 2_018_005, message);
    }
    let refused = upload_json(&lab, &json!({ "message": reusable("image") })).await;
    assert_eq!(refused.1["error"]["error_subcode"], 2_018_005);
}

#[tokio::test]
async fn a_file_that_is_not_what_its_type_says_is_2018047() {
    let lab = lab().await;
    for (kind, mime) in [
        ("image", "application/octet-stream"),
        ("image", "video/mp4"),
        ("video", "image/png"),
        ("audio", "application/ogg"),
    ] {
        let refused = lab.upload(&reusable(kind), typed(b"x", mime)).await;
        assert_refused(&refused, 100, 2_018_047, "(#100) Upload attachment failure.");
    }
    let untyped = Part::bytes(&b"x"[..]).file_name("a.png");
    assert_eq!(lab.upload(&reusable("image"), untyped).await.1["error"]["error_subcode"], 2_018_047);
    assert_eq!(lab.upload(&reusable("image"), png(b"")).await.1["error"]["error_subcode"], 2_018_047);
    for (kind, mime) in [("audio", "audio/mpeg"), ("video", "video/mp4"), ("file", "application/octet-stream")] {
        assert_eq!(lab.upload(&reusable(kind), typed(b"x", mime)).await.0, 200, "{kind} {mime}");
    }
}

#[tokio::test]
async fn twenty_five_mebibytes_pass_and_one_byte_more_is_2018109() {
    let lab = lab().await;
    let video = |bytes: usize| Part::bytes(vec![7; bytes]).file_name("a.mp4").mime_str("video/mp4").expect("a type");
    assert_eq!(lab.upload(&reusable("video"), video(26_214_400)).await.0, 200);
    let refused = lab.upload(&reusable("video"), video(26_214_401)).await;
    assert_refused(&refused, 100, 2_018_109, "(#100) Attachment size exceeds allowable limit");
}

#[tokio::test]
async fn instagram_pictures_end_at_eight_mebibytes() {
    let lab = lab().await;
    let post = async |platform: &'static str| {
        let picture = Part::bytes(vec![7; (8 << 20) + 1]).file_name("a.png").mime_str("image/png").expect("a type");
        let form = Form::new().text("message", reusable("image").to_string()).text("platform", platform);
        answer(lab.post(UPLOADS).bearer_auth(BAKERY).multipart(form.part("filedata", picture))).await
    };
    assert_eq!(post("messenger").await.0, 200);
    assert_eq!(post("instagram").await.1["error"]["error_subcode"], 2_018_109);
}

#[tokio::test]
async fn a_body_without_end_is_not_read_to_its_end() {
    let lab = lab().await;
    let huge = Part::bytes(vec![7; 65 << 20]).file_name("a.mp4").mime_str("video/mp4").expect("a type");
    let form = Form::new().text("message", reusable("video").to_string()).part("filedata", huge);
    // The sandbox stops to read, so the client may hear the refusal or fail to go on writing.
    if let Ok(response) = lab.post(UPLOADS).bearer_auth(BAKERY).multipart(form).send().await {
        assert_eq!(response.status().as_u16(), 413);
    }
    assert!(lab.truth().attachments.is_empty());
    assert_eq!(lab.post("/me").body(vec![b'a'; 5 << 20]).send().await.map_or(413, |r| r.status().as_u16()), 413);
}

#[tokio::test]
async fn a_part_given_twice_is_refused() {
    let lab = lab().await;
    let message = reusable("image").to_string();
    let form = Form::new().text("message", message.clone()).text("message", message).part("filedata", png(b"x"));
    let refused = answer(lab.post(UPLOADS).bearer_auth(BAKERY).multipart(form)).await;
    assert_refused(&refused, 100, 0, "(#100) The parameter message is given twice");
}
