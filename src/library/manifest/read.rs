//! Reads manifests of every form. Which form it is, the content says.

use csv::ReaderBuilder;
use serde_json::{Map, Value};

use super::fields::entry;
use super::table::plain;
use super::tree::{MARK, VERSION};
use super::{Entry, Lookup, bottender};
use crate::json;

/// Why a manifest cannot be read at all. Displayed as a sentence about the file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// It holds bytes that are no UTF-8.
    #[error("it is no UTF-8 text")]
    NotText,
    /// It begins like JSON, and is none, or is cut short.
    #[error("it is not JSON: {reason}")]
    Json {
        /// What is wrong with it, and where.
        reason: String,
    },
    /// It is JSON, but no manifest and no map.
    #[error("it holds JSON, but neither a manifest nor a map from names to ids")]
    Unknown,
    /// A newer program wrote it.
    #[error("it is a manifest of version {found}; the newest known here is {VERSION}")]
    Newer {
        /// Its version.
        found: u64,
    },
    /// It is a table without the columns that matter.
    #[error("its first row names no column `attachment_id` or `id`")]
    NoColumns,
    /// It is no table.
    #[error("it is not a table: {reason}")]
    Table {
        /// What is wrong with it, and where.
        reason: String,
    },
    /// There is nothing in it.
    #[error("it is empty")]
    Empty,
}

impl ManifestError {
    /// What the user can do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::NotText => "save it as UTF-8",
            Self::Json { .. } => "see whether it was copied whole; each key may stand once in an object",
            Self::Newer { .. } => "use the newer program that wrote it",
            Self::Unknown | Self::NoColumns | Self::Table { .. } | Self::Empty => {
                "import takes what export writes as json or csv, a bottender-lock.json, {\"name\": \"id\"}, or a table with \
                 the columns name and id"
            }
        }
    }
}

/// An entry that makes no sense.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadEntry {
    /// What it is called, or where it stands.
    pub name: String,
    /// What is wrong with it.
    pub reason: String,
}

/// The entries of a manifest, each for itself.
///
/// # Errors
/// When nothing of it can be read.
pub fn read(bytes: &[u8]) -> Result<Vec<Result<Entry, BadEntry>>, ManifestError> {
    let text = std::str::from_utf8(bytes).map_err(|_| ManifestError::NotText)?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    match text.trim_start().chars().next() {
        None => Err(ManifestError::Empty),
        Some('{' | '[') => match json::from_slice(text.as_bytes())
            .map_err(|error| ManifestError::Json { reason: error.to_string() })?
        {
            Value::Object(object) => tree(&object),
            _ => Err(ManifestError::Unknown),
        },
        Some(_) => table(text),
    }
}

fn tree(object: &Map<String, Value>) -> Result<Vec<Result<Entry, BadEntry>>, ManifestError> {
    if let Some(version) = object.get(MARK) {
        return match (version.as_u64(), object.get("assets")) {
            (Some(VERSION), Some(Value::Array(assets))) => {
                Ok(assets.iter().zip(1..).map(|(asset, number)| ours(asset, number)).collect())
            }
            (Some(found), _) if found > VERSION => Err(ManifestError::Newer { found }),
            _ => Err(ManifestError::Unknown),
        };
    }
    match object.get(bottender::KEY) {
        Some(Value::Object(files)) if files.values().all(Value::is_object) => {
            Ok(named(files, |checksum| Lookup::BareName { checksum }))
        }
        _ => Ok(named(object, |_| Lookup::Path)),
    }
}

fn ours(asset: &Value, number: usize) -> Result<Entry, BadEntry> {
    let Value::Object(asset) = asset else {
        return Err(BadEntry { name: format!("entry {number}"), reason: "it is no object".to_owned() });
    };
    entry(asset).map_err(|reason| BadEntry { name: name_of(asset, &format!("entry {number}")), reason })
}

/// A map from names to ids, or to objects that hold one.
fn named(map: &Map<String, Value>, lookup: fn(Option<String>) -> Lookup) -> Vec<Result<Entry, BadEntry>> {
    let read = |(name, value): (&String, &Value)| {
        bottender::entry(name, value, lookup).map_err(|reason| BadEntry { name: name.clone(), reason })
    };
    map.iter().map(read).collect()
}

fn table(text: &str) -> Result<Vec<Result<Entry, BadEntry>>, ManifestError> {
    let mut reader =
        ReaderBuilder::new().has_headers(false).flexible(true).delimiter(delimiter(text)).from_reader(text.as_bytes());
    let mut rows = reader.records().peekable();
    let columns = match rows.peek() {
        Some(Ok(first)) => match columns(first) {
            Some(columns) => {
                rows.next();
                columns
            }
            None => headless(first).ok_or(ManifestError::NoColumns)?,
        },
        Some(Err(_)) | None => Vec::new(),
    };
    rows.map(|row| {
        let row = row.map_err(|error| ManifestError::Table { reason: error.to_string() })?;
        let line = row.position().map_or(0, csv::Position::line);
        let cells = columns.iter().zip(&row).filter(|(_, cell)| !cell.is_empty());
        let fields: Map<String, Value> =
            cells.map(|(column, cell)| (column.clone(), plain(cell).to_owned().into())).collect();
        Ok(entry(&fields).map_err(|reason| BadEntry { name: name_of(&fields, &format!("line {line}")), reason }))
    })
    .collect()
}

fn name_of(fields: &Map<String, Value>, place: &str) -> String {
    let text = |name: &str| fields.get(name).and_then(Value::as_str);
    text("path").or_else(|| text("url")).or_else(|| text("sha256")).unwrap_or(place).to_owned()
}

/// The sign between cells: the one there is most of in the first line.
fn delimiter(text: &str) -> u8 {
    let first = text.lines().next().unwrap_or_default();
    let count = |sign: u8| first.bytes().filter(|byte| *byte == sign).count();
    *b",;\t".iter().max_by_key(|sign| (count(**sign), **sign == b',')).unwrap_or(&b',')
}

/// The names of the columns, if the row holds such names.
fn columns(row: &csv::StringRecord) -> Option<Vec<String>> {
    let columns: Vec<_> = row.iter().map(column).collect();
    columns.iter().any(|column| column == "attachment_id").then_some(columns)
}

/// A column's name, by whatever people call it.
fn column(name: &str) -> String {
    let name = name.trim().to_lowercase().replace([' ', '-'], "_");
    match name.as_str() {
        "name" | "file" | "filename" | "file_name" => "path",
        "id" | "attachmentid" | "attachment" => "attachment_id",
        "pageid" | "page" => "page_id",
        "alias" => "aliases",
        "type" => "kind",
        "uploaded" | "uploadedat" => "uploaded_at",
        _ => return name,
    }
    .to_owned()
}

/// The columns of a table that begins with its first entry: a name and an id of digits.
fn headless(row: &csv::StringRecord) -> Option<Vec<String>> {
    let id = row.get(1).filter(|_| row.len() == 2)?.trim();
    let is_id = id.len() >= 5 && id.bytes().all(|byte| byte.is_ascii_digit());
    is_id.then(|| vec!["path".to_owned(), "attachment_id".to_owned()])
}
