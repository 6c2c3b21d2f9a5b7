//! Searching and leafing: which rows, in which order, from where on.

use std::cmp::Ordering;
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use utoipa::{IntoParams, ToSchema};

use crate::clock::Timestamp;
use crate::ids::{Asset, MediaKind, PageId};
use crate::library::Standing;

use super::super::problem::Problem;
use super::snapshot::{Row, Snapshot, State};

/// How many rows come at once, unless said.
const USUAL: usize = 100;
/// And at most.
const MOST: usize = 500;

/// What a row may be.
const STATES: [&str; 6] = [
    Standing::Live.as_str(),
    Standing::Due.as_str(),
    Standing::Expired.as_str(),
    Standing::Rejected.as_str(),
    Standing::UnknownAge.as_str(),
    State::NotUploaded.as_str(),
];

/// What to look for.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::service) struct Query {
    /// Part of a path, alias, address or attachment id, or the beginning of a hash.
    pub(in crate::service) q: Option<String>,
    /// `live`, `due`, `expired`, `rejected`, `unknown_age` or `not_uploaded`; several with commas.
    pub(in crate::service) state: Option<String>,
    /// `image`, `video`, `audio` or `file`.
    #[param(value_type = Option<String>)]
    pub(in crate::service) kind: Option<MediaKind>,
    /// A Page's id or configured name.
    pub(in crate::service) page: Option<String>,
    /// A day in UTC, `2026-12-01`: only ids that end on it. A month, `2026-12`, will do as well.
    pub(in crate::service) expires: Option<String>,
    /// The order; `name` unless said.
    #[param(inline)]
    #[serde(default)]
    pub(in crate::service) sort: Sort,
    /// `next_cursor` of the page before: rows that come and go between two calls move no other.
    pub(in crate::service) cursor: Option<String>,
    /// Rows to leave out before the first; not with a cursor.
    #[serde(default)]
    pub(in crate::service) offset: usize,
    /// Rows at once: 1 at least, and 500 at most, though more be asked for.
    pub(in crate::service) limit: Option<usize>,
}

/// An order of rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::service) enum Sort {
    /// By path.
    #[default]
    Name,
    /// What ends first comes first; what never does, last.
    Expires,
    /// What was uploaded last comes first.
    Uploaded,
    /// The largest first.
    Size,
}

impl Sort {
    pub(super) const ALL: [Self; 4] = [Self::Name, Self::Expires, Self::Uploaded, Self::Size];
}

/// How many rows stand how.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(in crate::service) struct Counts {
    pub(in crate::service) live: u64,
    pub(in crate::service) due: u64,
    pub(in crate::service) expired: u64,
    pub(in crate::service) rejected: u64,
    pub(in crate::service) unknown_age: u64,
    pub(in crate::service) not_uploaded: u64,
}

impl Counts {
    fn add(&mut self, state: State) {
        let counter = match state {
            State::Recorded(Standing::Live) => &mut self.live,
            State::Recorded(Standing::Due) => &mut self.due,
            State::Recorded(Standing::Expired) => &mut self.expired,
            State::Recorded(Standing::Rejected) | State::Unfit => &mut self.rejected,
            State::Recorded(Standing::UnknownAge) => &mut self.unknown_age,
            State::NotUploaded => &mut self.not_uploaded,
        };
        *counter += 1;
    }
}

/// What was found.
#[derive(Debug)]
pub(in crate::service) struct Found<'a> {
    pub(in crate::service) rows: Vec<&'a Row>,
    pub(in crate::service) next_cursor: Option<String>,
    /// All that match.
    pub(in crate::service) total: u64,
    /// All that would match in any state.
    pub(in crate::service) counts: Counts,
}

impl Snapshot {
    /// How many assets stand how.
    pub(super) fn stands(&self) -> Counts {
        let mut counts = Counts::default();
        self.rows.iter().for_each(|row| counts.add(row.state));
        counts
    }

    /// The rows that match, from the cursor or the offset on.
    ///
    /// # Errors
    /// A cursor that is none, or of another order; a state nothing can be in; an end that is no day; no rows at all.
    pub(in crate::service) fn search(&self, query: &Query) -> Result<Found<'_>, Problem> {
        let wanted = Wanted::new(self, query)?;
        let after = query.cursor.as_deref().map(|cursor| Place::parse(cursor, query.sort)).transpose()?;
        let limit = query.limit.unwrap_or(USUAL).min(MOST);
        if limit == 0 {
            return Err(Problem::invalid("limit must be 1 at least"));
        }
        let mut found =
            Found { rows: Vec::with_capacity(limit), next_cursor: None, total: 0, counts: Counts::default() };
        let mut more = false;
        for row in self.orders[&query.sort].iter().map(|number| &self.rows[*number as usize]) {
            if !wanted.matches(row) {
                continue;
            }
            found.counts.add(row.state);
            if !wanted.in_state(row) {
                continue;
            }
            found.total += 1;
            let is_behind = match &after {
                Some(place) => place.is_before(row, query.sort),
                None => found.total > query.offset as u64,
            };
            match is_behind {
                true if found.rows.len() < limit => found.rows.push(row),
                true => more = true,
                false => {}
            }
        }
        found.next_cursor = found.rows.last().filter(|_| more).map(|row| Place::of(row, query.sort).to_string());
        Ok(found)
    }
}

/// A query, made ready.
struct Wanted<'a> {
    snapshot: &'a Snapshot,
    text: Option<String>,
    states: Option<Vec<&'a str>>,
    kind: Option<MediaKind>,
    page: Option<&'a str>,
    end: Option<&'a str>,
}

impl<'a> Wanted<'a> {
    fn new(snapshot: &'a Snapshot, query: &'a Query) -> Result<Self, Problem> {
        let words = |text: &'a str| text.split(',').map(str::trim).filter(|word| !word.is_empty()).collect::<Vec<_>>();
        let states = query.state.as_deref().map(words).filter(|words| !words.is_empty());
        if let Some(strange) = states.iter().flatten().find(|word| !STATES.contains(word)) {
            return Err(Problem::invalid(format!(
                "nothing is ever {strange:?}: a state is one of {}",
                STATES.join(", ")
            )));
        }
        let end = query.expires.as_deref().filter(|day| !day.is_empty());
        if let Some(strange) = end.filter(|day| !is_day_or_month(day)) {
            return Err(Problem::invalid(format!(
                "nothing expires on {strange:?}: a day is written 2026-12-01, and a month 2026-12"
            )));
        }
        Ok(Self {
            snapshot,
            text: query.q.as_deref().map(str::trim).filter(|text| !text.is_empty()).map(str::to_lowercase),
            states,
            kind: query.kind,
            page: query.page.as_deref().filter(|page| !page.is_empty()),
            end,
        })
    }

    fn matches(&self, row: &Row) -> bool {
        let page = || row.upload.as_ref().and_then(|upload| self.snapshot.pages.get(upload.page)).map(PageId::as_str);
        self.kind.is_none_or(|kind| kind == row.kind)
            && self.page.is_none_or(|asked| page() == Some(asked))
            && self.end.is_none_or(|day| ends_on(row, day))
            && self.text.as_deref().is_none_or(|text| self.mentions(row, text))
    }

    fn in_state(&self, row: &Row) -> bool {
        self.states.as_ref().is_none_or(|states| states.contains(&row.state.as_str()))
    }

    fn mentions(&self, row: &Row, text: &str) -> bool {
        let bare = text.strip_prefix("sha256:").unwrap_or(text);
        let name = text.strip_prefix('@').unwrap_or(text);
        row.folded.contains(text)
            || row.upload.as_ref().is_some_and(|upload| upload.attachment_id.as_str().contains(text))
            || row.sha256().is_some_and(|hash| begins_with(&hash.0, bare))
            || self.snapshot.names_of(row).iter().any(|alias| alias.as_str().to_lowercase().contains(name))
    }
}

/// Whether some time in UTC can begin so, by the day or the month.
fn is_day_or_month(text: &str) -> bool {
    let first = match text.len() {
        7 => "-01T00:00:00Z",
        10 => "T00:00:00Z",
        _ => return false,
    };
    format!("{text}{first}").parse::<Timestamp>().is_ok()
}

/// Whether its id's last moment, in RFC 3339 and UTC, begins so.
fn ends_on(row: &Row, day: &str) -> bool {
    let end = row.upload.as_ref().and_then(|upload| upload.expires_at);
    end.is_some_and(|end| end.to_string().starts_with(day))
}

/// Whether the digest's hexadecimal digits begin with `digits`.
fn begins_with(digest: &[u8; 32], digits: &str) -> bool {
    let digit = |place: usize| char::from_digit(u32::from(digest[place / 2] >> (4 * (1 - place % 2))) & 0xf, 16);
    !digits.is_empty()
        && digits.len() <= 64
        && digits.chars().enumerate().all(|(place, asked)| digit(place) == Some(asked))
}

/// The rows' numbers in this order.
pub(super) fn sorted(rows: &[Row], sort: Sort) -> Vec<u32> {
    let mut order: Vec<u32> = (0..u32::try_from(rows.len()).unwrap_or(u32::MAX)).collect();
    order.sort_unstable_by(|one, other| {
        let (one, other) = (&rows[*one as usize], &rows[*other as usize]);
        let by_key = first_key(one, sort).cmp(&first_key(other, sort));
        by_key.then_with(|| one.folded.cmp(&other.folded)).then_with(|| tie(one).cmp(&tie(other)))
    });
    order
}

/// What an order goes by first.
fn first_key(row: &Row, sort: Sort) -> i64 {
    let time = |time: fn(&super::snapshot::RowUpload) -> Option<Timestamp>| {
        row.upload.as_ref().and_then(time).map(Timestamp::as_unix_millis)
    };
    match sort {
        Sort::Name => 0,
        Sort::Expires => time(|upload| upload.expires_at).unwrap_or(i64::MAX),
        Sort::Uploaded => time(|upload| upload.uploaded_at).map_or(i64::MAX, |at| -at),
        Sort::Size => -i64::try_from(row.size_bytes.unwrap_or_default()).unwrap_or(i64::MAX),
    }
}

/// And then, so that no two rows are alike.
fn tie(row: &Row) -> (&str, [u8; 32], usize, &'static str) {
    let id = match &row.asset {
        Some(Asset::Bytes(hash)) => hash.0,
        Some(Asset::Url(url)) => Sha256::digest(url.as_str()).into(),
        // In small letters, two paths may be one.
        None => Sha256::digest(row.path.as_deref().map(path_bytes).unwrap_or_default()).into(),
    };
    (&row.folded, id, row.upload.as_ref().map_or(0, |upload| upload.page), row.kind.as_str())
}

fn path_bytes(path: &Path) -> &[u8] {
    path.as_os_str().as_encoded_bytes()
}

/// Where a page of rows ended.
#[derive(Debug, Serialize, Deserialize)]
struct Place(String, i64, String, String, usize, String);

impl Place {
    fn of(row: &Row, sort: Sort) -> Self {
        let (folded, id, page, kind) = tie(row);
        Self(format!("{sort:?}"), first_key(row, sort), folded.to_owned(), hex::encode(id), page, kind.to_owned())
    }

    fn parse(cursor: &str, sort: Sort) -> Result<Self, Problem> {
        let place: Option<Self> = hex::decode(cursor).ok().and_then(|json| serde_json::from_slice(&json).ok());
        place
            .filter(|place| place.0 == format!("{sort:?}"))
            .ok_or_else(|| Problem::invalid("the cursor is none of this order's: begin again without one"))
    }

    fn is_before(&self, row: &Row, sort: Sort) -> bool {
        let (folded, id, page, kind) = tie(row);
        let id = hex::encode(id);
        let here = (self.1, self.2.as_str(), self.3.as_str(), self.4, self.5.as_str());
        here.cmp(&(first_key(row, sort), folded, id.as_str(), page, kind)) == Ordering::Less
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&hex::encode(serde_json::to_vec(self).unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::fuzzing::search;
    use super::*;

    #[test]
    fn leafing_shows_each_row_once_in_every_order() {
        for sort in Sort::ALL {
            search(&Query { sort, ..Query::default() });
        }
    }
}
