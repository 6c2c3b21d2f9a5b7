//! `GET /v1/assets/{sha256}/thumbnail` and `/content`: the bytes themselves, by their hash and never by a path.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_RANGE, CONTENT_SECURITY_POLICY, CONTENT_TYPE, RANGE,
};
use http::{HeaderMap, HeaderValue, StatusCode};

use crate::ids::{ContentHash, MediaKind};
use crate::media::Content;
use crate::media::thumbnail::thumbnail_mime;
use crate::service::contents::Wanted;
use crate::service::problem::Problem;
use crate::service::shared::Shared;
use crate::service::visitor::{MayRead, Path};

use super::assets::hash;
use super::in_time;

/// What a browser shows by itself, and nothing else it is given to show: anything else may be a page with a script in it.
const SHOWN: [&str; 6] = ["image/jpeg", "image/png", "image/gif", "image/webp", "video/mp4", "audio/mpeg"];

/// The same bytes have the same picture for ever.
const FOR_EVER: &str = "private, max-age=31536000, immutable";

/// A small picture of a picture.
#[utoipa::path(
    get,
    path = "/v1/assets/{sha256}/thumbnail",
    params(("sha256" = String, Path)),
    responses(
        (status = 200, description = "JPEG or PNG, 320 × 320 at most", content_type = "image/jpeg"),
        (status = 404, description = "There is no picture of it", body = Problem),
    )
)]
pub(super) async fn thumbnail(
    State(shared): State<Arc<Shared>>,
    _: MayRead,
    Path(sha256): Path<String>,
) -> Result<Response, Problem> {
    in_time(async {
        let hash = hash(&sha256)?;
        let made = if let Some(kept) = shared.thumbnails.kept(hash).await {
            kept
        } else {
            let (kind, wanted) = known(&shared, hash).await?;
            if kind != MediaKind::Image {
                return Err(none());
            }
            let (picture, _) = shared.contents.to_make(wanted).await.ok_or_else(gone)?;
            shared.thumbnails.make(hash, picture.bytes).await
        };
        let made = made.ok_or_else(none)?;
        let mime = thumbnail_mime(&made);
        Ok(([(CONTENT_TYPE, mime), (CACHE_CONTROL, FOR_EVER)], made).into_response())
    })
    .await
}

/// The bytes, as a browser plays and shows them; what it cannot be trusted with, to be saved.
#[utoipa::path(
    get,
    path = "/v1/assets/{sha256}/content",
    params(
        ("sha256" = String, Path),
        ("Range" = Option<String>, Header, description = "One range of bytes. Of several, or in another unit, all come"),
    ),
    responses(
        (status = 200, description = "All of them"),
        (status = 206, description = "Some of them"),
        (status = 404, description = "No file with these bytes is there", body = Problem),
        (status = 416, description = "The range lies behind the end", body = Problem),
    )
)]
pub(super) async fn content(
    State(shared): State<Arc<Shared>>,
    _: MayRead,
    Path(sha256): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    in_time(async {
        let hash = hash(&sha256)?;
        let (_, wanted) = known(&shared, hash).await?;
        let (Content { bytes, facts, .. }, name) = shared.contents.to_show(wanted).await.ok_or_else(gone)?;
        let mime = facts.mime.unwrap_or_default();
        let shown = SHOWN.contains(&&*mime);
        let whole = bytes.len();
        let range = headers.get(RANGE).and_then(|range| range.to_str().ok());
        let mut response = match range.map_or(Part::Whole, |range| part_of(range, whole)) {
            Part::Whole => bytes.into_response(),
            Part::Range(first, last) => {
                let range = format!("bytes {first}-{last}/{whole}");
                (StatusCode::PARTIAL_CONTENT, [(CONTENT_RANGE, range)], bytes.slice(first..=last)).into_response()
            }
            Part::Behind => {
                let range = format!("bytes */{whole}");
                return Ok(([(CONTENT_RANGE, range)], Problem::behind_the_end(whole)).into_response());
            }
        };
        let sealed = response.headers_mut();
        let mime = if shown { &mime } else { "application/octet-stream" };
        sealed.insert(CONTENT_TYPE, HeaderValue::from_str(mime).map_err(|_| Problem::unexpected())?);
        sealed.insert(CONTENT_DISPOSITION, disposition(if shown { "inline" } else { "attachment" }, &name));
        sealed.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox; default-src 'none'"));
        sealed.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        sealed.insert(CACHE_CONTROL, HeaderValue::from_static(FOR_EVER));
        Ok(response)
    })
    .await
}

fn none() -> Problem {
    Problem::not_found("there is no picture of it")
}

fn gone() -> Problem {
    Problem::not_found("no file with these bytes is where one was")
}

/// What the bytes are, and which files may hold them.
async fn known(shared: &Arc<Shared>, hash: ContentHash) -> Result<(MediaKind, Wanted), Problem> {
    let snapshot = shared.catalogue.view(shared).await?;
    let rows: Vec<_> = snapshot.rows_of(hash).collect();
    let first = rows.first().ok_or_else(|| Problem::not_found("nothing is known of these bytes"))?;
    let here = snapshot.files.get(&hash).into_iter().flatten().cloned();
    let recorded = rows.iter().filter_map(|row| row.path.clone());
    Ok((first.kind, Wanted { paths: here.chain(recorded).collect(), hash }))
}

/// Which of a file's bytes are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// All of them.
    Whole,
    /// The first and the last of them, and those between.
    Range(usize, usize),
    /// None of them: what is asked for lies behind the last.
    Behind,
}

impl Part {
    fn between(first: usize, last: usize, whole: usize) -> Self {
        if first < whole { Self::Range(first, last.min(whole - 1)) } else { Self::Behind }
    }
}

/// What a `Range` asks for, of so many bytes. One in another unit, several at once and what is none ask for nothing.
///
/// **Source**: RFC 9110, sections 14.1.2 and 14.2.
pub(super) fn part_of(range: &str, whole: usize) -> Part {
    let asked = range.split_once('=').filter(|(unit, _)| unit.eq_ignore_ascii_case("bytes"));
    let Some((first, last)) = asked.and_then(|(_, range)| range.trim().split_once('-')) else { return Part::Whole };
    match (place(first), place(last)) {
        (Some(first), Some(last)) if first <= last => Part::between(first, last, whole),
        (Some(first), None) if last.is_empty() => Part::between(first, usize::MAX, whole),
        (None, Some(count)) if first.is_empty() => Part::between(whole.saturating_sub(count), usize::MAX, whole),
        _ => Part::Whole,
    }
}

/// The number, or the largest there is; `None` where it is none.
fn place(digits: &str) -> Option<usize> {
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().unwrap_or(usize::MAX))
}

/// How it is to be saved: under its name, as far as a header can hold it.
pub(super) fn disposition(way: &str, name: &str) -> HeaderValue {
    let plain: String = name.chars().map(|letter| if is_plain(letter) { letter } else { '_' }).collect();
    let exact: String = name.bytes().map(encoded).collect();
    HeaderValue::try_from(format!("{way}; filename=\"{plain}\"; filename*=UTF-8''{exact}"))
        .unwrap_or(HeaderValue::from_static("attachment"))
}

fn is_plain(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || " ._-()".contains(letter)
}

fn encoded(byte: u8) -> String {
    if byte.is_ascii_alphanumeric() || b"._-".contains(&byte) {
        char::from(byte).into()
    } else {
        format!("%{byte:02X}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_range_is_given_and_no_other() {
        for (range, first, last) in [
            ("bytes=0-", 0, 9),
            ("bytes=2-4", 2, 4),
            ("bytes=2-99", 2, 9),
            ("bytes=-3", 7, 9),
            ("bytes=-99", 0, 9),
            ("Bytes=9-9", 9, 9),
            ("bytes=0-99999999999999999999", 0, 9),
            ("bytes=-99999999999999999999", 0, 9),
        ] {
            assert_eq!(part_of(range, 10), Part::Range(first, last), "{range}");
        }
        for behind in ["bytes=10-", "bytes=10-99", "bytes=99999999999999999999-", "bytes=-0"] {
            assert_eq!(part_of(behind, 10), Part::Behind, "{behind}");
        }
        for none in
            ["lines=0-1", "bytes=0-1,3-4", "bytes=4-2", "bytes=a-b", "bytes=-", "bytes=+1-2", "bytes", "0-1", ""]
        {
            assert_eq!(part_of(none, 10), Part::Whole, "{none}");
        }
        for range in ["bytes=0-0", "bytes=-1"] {
            assert_eq!(part_of(range, 0), Part::Behind, "{range}");
        }
    }

    #[test]
    fn a_name_cannot_end_its_header() {
        let header = disposition("attachment", "a\"\r\nSet-Cookie: x=1; ü.png");
        let text = header.to_str().expect("plain");
        assert_eq!(
            text,
            "attachment; filename=\"a___Set-Cookie_ x_1_ _.png\"; filename*=UTF-8''a%22%0D%0ASet-Cookie%3A%20x%3D1%3B%20%C3%BC.png"
        );
    }
}
