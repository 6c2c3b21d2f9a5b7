//! Queries over a small library: whatever is asked, leafing through the answer shows each row of it once.

use std::collections::HashMap;
use std::path::Path;

use super::query::{Query, Sort, sorted};
use super::snapshot::{Row, RowUpload, Snapshot, State};
use crate::clock::Timestamp;
use crate::ids::{Asset, ContentHash, MediaKind};
use crate::library::Standing;
use crate::media::judge_size;

/// What a query finds, page by page.
pub(crate) fn search(query: &Query) {
    let library = library();
    let Ok(found) = library.search(query) else { return };
    assert!(found.rows.len() <= 500 && found.rows.len() as u64 <= found.total);
    if query.cursor.is_some() || query.offset > 0 {
        return;
    }
    let (mut seen, mut cursor) = (0, None);
    loop {
        let Query { q, state, page, expires, .. } = query;
        let (q, state, page, expires) = (q.clone(), state.clone(), page.clone(), expires.clone());
        let next =
            Query { q, state, kind: query.kind, page, expires, sort: query.sort, cursor, offset: 0, limit: Some(1) };
        let found = library.search(&next).expect("its own cursor is one");
        seen += found.rows.len() as u64;
        match found.next_cursor {
            Some(next) => cursor = Some(next),
            None => break,
        }
    }
    assert_eq!(seen, found.total, "leafing through {query:?}");
}

fn library() -> Snapshot {
    let rows = vec![
        row(1, "a/Ärger.png", Some((1, 2))),
        row(2, "a/b.png", Some((1, i64::MAX))),
        row(3, "@\u{1f337}.gif", None),
        unread("a/Empty.png"),
        unread("a/empty.png"),
    ];
    let orders: HashMap<Sort, Vec<u32>> = Sort::ALL.into_iter().map(|sort| (sort, sorted(&rows, sort))).collect();
    let pages = vec!["106".parse().expect("a Page")];
    Snapshot { rows, orders, files: HashMap::new(), names: HashMap::new(), pages, revision: 1 }
}

fn row(number: u8, path: &str, upload: Option<(i64, i64)>) -> Row {
    let time = |millis| Some(Timestamp::from_unix_millis(millis));
    Row {
        asset: Some(Asset::Bytes(ContentHash([number; 32]))),
        path: Some(Path::new(path).into()),
        folded: path.to_lowercase().into(),
        folder: Some(0),
        kind: MediaKind::Image,
        mime: "image/png".into(),
        size_bytes: Some(u64::from(number) << 60),
        dimensions: None,
        state: upload.map_or(State::NotUploaded, |_| State::Recorded(Standing::Live)),
        problems: Vec::new(),
        upload: upload.map(|(from, to)| RowUpload {
            attachment_id: "12".parse().expect("an id"),
            page: 0,
            uploaded_at: time(from),
            expires_at: time(to),
        }),
    }
}

/// A file that is refused before anybody knows its bytes.
fn unread(path: &str) -> Row {
    let problems = judge_size(0).into_iter().collect();
    Row { asset: None, size_bytes: Some(0), state: State::Unfit, problems, ..row(0, path, None) }
}
