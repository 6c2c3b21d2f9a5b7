//! What may come in from this machine: bodies, forms, headers, and the words of an address.

use axum::extract::{FromRequest, Multipart};
use bytes::Bytes;
use futures::FutureExt;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Request, Uri};

use super::aliases::Target;
use super::body::json_body;
use super::campaigns::Settlement;
use super::messages::{KEY, key_in, read};
use super::pictures::{Part, disposition, part_of};
use super::resolve::{Resolve, Wait};
use super::upload::file_name;
use crate::graph::SendRequest;
use crate::service::catalogue;
use crate::service::visitor::asked_in;

/// A body, as every route reads it; and as a form, whose boundary is `X`.
pub fn local_http(body: &[u8]) {
    if let Ok((_, request)) = read(body) {
        let json = request.to_json();
        let again = SendRequest::from_json(json.clone()).expect("what was read can be read");
        assert_eq!(again.to_json(), json);
    }
    let _ = json_body::<Target>(body).is_ok() || json_body::<Settlement>(body).is_ok();
    let _ = json_body::<Resolve>(body).is_ok();
    let mut headers = HeaderMap::new();
    if let Ok(value) = HeaderValue::from_bytes(body) {
        headers.append(KEY, value);
        let _ = key_in(&headers).is_ok();
    }
    if let Ok(text) = std::str::from_utf8(body) {
        query(text);
        for whole in [0, 1, 10] {
            if let Part::Range(first, last) = part_of(text, whole) {
                assert!(first <= last && last < whole);
            }
        }
    }
    form(Bytes::copy_from_slice(body)).now_or_never().expect("all of it is there");
}

fn query(text: &str) {
    let Ok(uri) = format!("/v1/assets?{text}").parse::<Uri>() else { return };
    let _ = asked_in::<Wait>(&uri).is_ok();
    if let Ok(query) = asked_in(&uri) {
        catalogue::fuzzing::search(&query);
    }
}

async fn form(body: Bytes) {
    let request = Request::post("/v1/assets")
        .header(CONTENT_TYPE, "multipart/form-data; boundary=X")
        .body(body.into())
        .expect("a request");
    let Ok(mut form) = Multipart::from_request(request, &()).await else { return };
    while let Ok(Some(mut field)) = form.next_field().await {
        let _ = field.name();
        name(field.file_name().unwrap_or_default());
        while let Ok(Some(_)) = field.chunk().await {}
    }
}

/// A file's name, as a browser sends it.
pub(crate) fn name(given: &str) {
    let name = file_name(given);
    let hides = name.starts_with(['.', ' ']) || name.is_empty() || name.contains(['/', '\\', '\0']);
    assert!(!hides && !name.chars().any(char::is_control), "{name:?}");
    // With ` (1000)` behind it, it is still a name.
    assert!(name.len() <= 255 - 7, "{} bytes: {name:?}", name.len());
    assert_ne!(disposition("inline", given), "attachment", "every name has a form that a header can hold");
}
