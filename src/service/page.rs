//! The gallery page: a few files, part of the program. There is nothing of the library's in them.
//!
//! No build step, no framework: what is served is what is written. Each module of the page owns one thing and says which
//! in its first line; `app.js` puts them together.

use std::sync::LazyLock;

use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use http::{HeaderMap, StatusCode};
use sha2::{Digest, Sha256};

use super::problem::Problem;
use super::visitor::Path;

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// Every part of the page: its name under `/page/`, its media type, its bytes.
const PARTS: &[(&str, &str, &[u8])] = &[
    ("address.js", JS, include_bytes!("page/address.js")),
    ("aliases.js", JS, include_bytes!("page/aliases.js")),
    ("api.js", JS, include_bytes!("page/api.js")),
    ("app.css", CSS, include_bytes!("page/app.css")),
    ("app.js", JS, include_bytes!("page/app.js")),
    ("calendar.js", JS, include_bytes!("page/calendar.js")),
    ("campaign.js", JS, include_bytes!("page/campaign.js")),
    ("campaigns.js", JS, include_bytes!("page/campaigns.js")),
    ("cell.js", JS, include_bytes!("page/cell.js")),
    ("chart.js", JS, include_bytes!("page/chart.js")),
    ("copy.js", JS, include_bytes!("page/copy.js")),
    ("detail.js", JS, include_bytes!("page/detail.js")),
    ("dialog.js", JS, include_bytes!("page/dialog.js")),
    ("dom.js", JS, include_bytes!("page/dom.js")),
    ("duplicates.js", JS, include_bytes!("page/duplicates.js")),
    ("events.js", JS, include_bytes!("page/events.js")),
    ("filters.js", JS, include_bytes!("page/filters.js")),
    ("grid.js", JS, include_bytes!("page/grid.js")),
    ("header.js", JS, include_bytes!("page/header.js")),
    ("icon.svg", SVG, include_bytes!("page/icon.svg")),
    ("icons.js", JS, include_bytes!("page/icons.js")),
    ("index.html", HTML, include_bytes!("page/index.html")),
    ("library.js", JS, include_bytes!("page/library.js")),
    ("rows.js", JS, include_bytes!("page/rows.js")),
    ("scheme.js", JS, include_bytes!("page/scheme.js")),
    ("session.js", JS, include_bytes!("page/session.js")),
    ("snippets.js", JS, include_bytes!("page/snippets.js")),
    ("tell.js", JS, include_bytes!("page/tell.js")),
    ("uploads.js", JS, include_bytes!("page/uploads.js")),
    ("words.js", JS, include_bytes!("page/words.js")),
];

/// Tells one build's page from another's.
static TAG: LazyLock<String> = LazyLock::new(|| {
    let parts = PARTS.iter().fold(Sha256::new(), |hash, (name, _, bytes)| hash.chain_update(name).chain_update(bytes));
    format!("\"{}\"", &hex::encode(parts.finalize())[..16])
});

/// `GET /`.
pub(super) async fn show(headers: HeaderMap) -> Response {
    part(Path("index.html".to_owned()), headers).await
}

/// `GET /page/{name}`.
pub(super) async fn part(Path(name): Path<String>, headers: HeaderMap) -> Response {
    let Some((_, mime, bytes)) = PARTS.iter().find(|(known, ..)| *known == name) else {
        return Problem::not_found("the page has no such part").into_response();
    };
    let tag = TAG.as_str();
    let caching = [(ETAG, tag), (CACHE_CONTROL, "no-cache")];
    if headers.get(IF_NONE_MATCH).is_some_and(|known| known == tag) {
        return (StatusCode::NOT_MODIFIED, caching).into_response();
    }
    (caching, [(CONTENT_TYPE, *mime)], *bytes).into_response()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path as FilePath;

    use super::*;

    /// What the page may weigh before the first row of the library, and all of it.
    const AT_ONCE_BYTES: usize = 112_000;
    const MOST_BYTES: usize = 140_000;

    fn text(name: &str) -> &'static str {
        let (_, _, bytes) = PARTS.iter().find(|(known, ..)| *known == name).expect("a part of the page");
        std::str::from_utf8(bytes).expect("text")
    }

    fn has(name: &str) -> bool {
        PARTS.iter().any(|(known, ..)| *known == name)
    }

    fn scripts() -> impl Iterator<Item = (&'static str, &'static str)> {
        PARTS.iter().map(|(name, ..)| *name).filter(|name| is_script(name)).map(|name| (name, text(name)))
    }

    fn is_script(name: &str) -> bool {
        FilePath::new(name).extension().is_some_and(|end| end == "js")
    }

    /// Everything between `before` and the next quote.
    fn quoted<'a>(text: &'a str, before: &'a str) -> impl Iterator<Item = &'a str> {
        text.split(before).skip(1).filter_map(|rest| rest.split('"').next())
    }

    #[test]
    fn every_file_of_the_page_is_served() {
        let folder = FilePath::new(env!("CARGO_MANIFEST_DIR")).join("src/service/page");
        let entries = std::fs::read_dir(folder).expect("the page's folder");
        let files: BTreeSet<String> =
            entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("a name")).collect();
        let served: BTreeSet<String> = PARTS.iter().map(|(name, ..)| (*name).to_owned()).collect();
        assert_eq!(files, served);
    }

    #[test]
    fn the_page_asks_for_nothing_it_does_not_have() {
        for (name, script) in scripts() {
            for other in quoted(script, "from \"./").chain(quoted(script, "import(\"./")) {
                assert!(has(other), "{name} imports {other}");
            }
        }
        for asked in quoted(text("index.html"), "=\"/page/") {
            assert!(has(asked), "the page asks for {asked}");
        }
    }

    /// The modules of the first view: `app.js` and all it imports.
    fn needed_at_once() -> BTreeSet<&'static str> {
        let mut needed = BTreeSet::from(["app.js"]);
        loop {
            let more: Vec<_> = needed.iter().flat_map(|name| quoted(text(name), "from \"./")).collect();
            let before = needed.len();
            needed.extend(more);
            if needed.len() == before {
                return needed;
            }
        }
    }

    #[test]
    fn a_file_is_too_large_for_the_page_where_it_is_for_the_check() {
        let (_, behind) = text("uploads.js").split_once("const MOST_BYTES = ").expect("a limit");
        let (limit, _) = behind.split_once(';').expect("its end");
        assert_eq!(limit.replace('_', "").parse(), Ok(crate::media::limits::MAX_BYTES));
    }

    #[test]
    fn what_is_needed_at_once_is_announced_in_the_page() {
        let announced: BTreeSet<_> = quoted(text("index.html"), "\"modulepreload\" href=\"/page/").collect();
        let needed: BTreeSet<_> = needed_at_once().into_iter().filter(|name| *name != "app.js").collect();
        assert_eq!(needed, announced);
    }

    #[test]
    fn nothing_becomes_markup_and_nothing_is_inline() {
        for (name, script) in scripts() {
            for way in
                ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function", "\"style\""]
            {
                assert!(!script.contains(way), "{name} has {way}");
            }
        }
        let page = text("index.html");
        assert!(!page.contains("style=") && !page.contains("<style") && !page.contains(" on"), "something is inline");
        assert_eq!(page.matches("<script ").count(), page.matches("></script>").count(), "a script is inline");
    }

    #[test]
    fn the_page_is_small() {
        let frame = ["index.html", "app.css", "scheme.js", "icon.svg"];
        let first: usize = needed_at_once().into_iter().chain(frame).map(|name| text(name).len()).sum();
        assert!(first <= AT_ONCE_BYTES, "{first} bytes before anything is seen");
        let all: usize = PARTS.iter().map(|(.., bytes)| bytes.len()).sum();
        assert!(all <= MOST_BYTES, "{all} bytes");
    }
}
