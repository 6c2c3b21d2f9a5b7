//! Lists of recipients: CSV or JSON Lines, of any size, row by row.
//!
//! CSV has a header row and the column `recipient`; commas, semicolons or tabs, quotes, a byte order mark, and lines that
//! end in LF or CRLF are taken. JSON Lines has an object a line with the key `recipient`. Other columns are variables; of those
//! only the ones the message uses are read. `last_interaction_at` says when the person last wrote, and `timezone`, where a
//! campaign asks, by which clock they live.

mod quotes;

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use self::quotes::{Quotes, UnclosedQuote};
use super::CampaignError;
use super::times::Zone;
use crate::clock::Timestamp;
use crate::ids::Recipient;
use crate::json;
use crate::record::NewRecipient;

const RECIPIENT: &str = "recipient";
const LAST_INTERACTION: &str = "last_interaction_at";
const TIMEZONE: &str = "timezone";

/// A row that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadRow {
    /// The line it begins on, from 1.
    pub line: u64,
    /// What is wrong with it.
    pub reason: String,
}

impl fmt::Display for BadRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.reason)
    }
}

/// A row and the line it begins on, or what is wrong with it.
type Row = Result<(u64, NewRecipient), BadRow>;

/// Reads a list row by row.
pub struct RecipientReader {
    path: PathBuf,
    variables: Vec<String>,
    zones: bool,
    source: Source,
}

enum Source {
    Csv { reader: Box<csv::Reader<Lines<BufReader<ListFile>>>>, columns: Columns, row: csv::ByteRecord },
    Jsonl { reader: BufReader<ListFile>, line: u64 },
}

/// Where in a row things stand.
struct Columns {
    recipient: usize,
    last_interaction: Option<usize>,
    timezone: Option<usize>,
    variables: Vec<usize>,
    count: usize,
}

impl fmt::Debug for RecipientReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecipientReader").field("path", &self.path).finish_non_exhaustive()
    }
}

impl RecipientReader {
    /// The list at `path`, of which the message uses these variables. What ends in `.jsonl`, `.ndjson` or `.json` is JSON
    /// Lines, everything else CSV.
    ///
    /// # Errors
    /// When the file cannot be read, or its header lacks a column or has it twice.
    pub fn open(path: &Path, variables: &[String]) -> Result<Self, CampaignError> {
        let file = File::open(path).map_err(|source| unreadable(path, source))?;
        let mut reader = BufReader::with_capacity(256 * 1024, ListFile(file));
        let begin = reader.fill_buf().map_err(|source| unreadable(path, source))?;
        if is_utf16(begin) {
            return Err(CampaignError::Utf16 { path: path.to_owned() });
        }
        if has_bare_returns(begin) {
            return Err(CampaignError::BareReturns { path: path.to_owned() });
        }
        let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
        let source = if ["jsonl", "ndjson", "json"].iter().any(|known| known.eq_ignore_ascii_case(extension)) {
            let begin = reader.fill_buf().map_err(|source| unreadable(path, source))?;
            let mark = if begin.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
            reader.consume(mark);
            Source::Jsonl { reader, line: 0 }
        } else {
            open_csv(reader, path, variables)?
        };
        Ok(Self { path: path.to_owned(), variables: variables.to_vec(), zones: false, source })
    }

    /// Reads the time zones as well: a row with one that is none cannot be used.
    #[must_use]
    pub fn with_timezones(self) -> Self {
        Self { zones: true, ..self }
    }

    /// The next row; `None` at the end.
    ///
    /// # Errors
    /// When the file cannot be read any further.
    pub fn next_row(&mut self) -> Result<Option<Row>, CampaignError> {
        let Self { path, variables, zones, source } = self;
        let kept = |row: Row| row.and_then(|(line, person)| with_timezone(*zones, line, person));
        match source {
            Source::Csv { reader, columns, row } => match reader.read_byte_record(row) {
                Ok(true) => Ok(Some(kept(csv_row(line_of(reader.position().line(), row), row, columns, variables)))),
                Ok(false) => Ok(None),
                Err(error) => Err(csv_failure(path, error)),
            },
            Source::Jsonl { reader, line } => loop {
                let mut text = Vec::new();
                *line += 1;
                match reader.read_until(b'\n', &mut text) {
                    Ok(0) => return Ok(None),
                    Ok(_) if text.trim_ascii().is_empty() => {}
                    Ok(_) => return Ok(Some(kept(jsonl_row(*line, text.trim_ascii(), variables)))),
                    Err(source) => return Err(unreadable(path, source)),
                }
            },
        }
    }
}

/// Whether a text that begins so is UTF-16: by its byte order mark, or because every other byte is zero, more or less, as it is
/// where most letters are Latin.
fn is_utf16(begin: &[u8]) -> bool {
    let pairs = || begin.chunks_exact(2).take(32);
    let is_mostly = |half: fn(&[u8]) -> bool| 2 * pairs().filter(|pair| half(pair)).count() > pairs().len();
    let has_mark = [b"\xff\xfe", b"\xfe\xff"].iter().any(|mark| begin.starts_with(*mark));
    has_mark || is_mostly(|pair| pair[0] == 0 && pair[1] != 0) || is_mostly(|pair| pair[0] != 0 && pair[1] == 0)
}

/// Whether the first line of a text that begins so has a carriage return in its midst, outside of quotes.
fn has_bare_returns(begin: &[u8]) -> bool {
    let line = begin.split(|byte| *byte == b'\n').next().unwrap_or_default().trim_ascii();
    let before = line.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let is_in_quotes = before.split(|byte| *byte == b'"').count().is_multiple_of(2);
    before.len() < line.len() && !is_in_quotes
}

fn unreadable(path: &Path, source: io::Error) -> CampaignError {
    CampaignError::Unreadable { path: path.to_owned(), source }
}

/// Why a table cannot be read any further: its own quotes, or the file.
fn csv_failure(path: &Path, error: csv::Error) -> CampaignError {
    let io = match error.into_kind() {
        csv::ErrorKind::Io(io) => io,
        other => io::Error::other(format!("{other:?}")),
    };
    match io.get_ref().and_then(|cause| cause.downcast_ref::<UnclosedQuote>()) {
        Some(UnclosedQuote { line }) => CampaignError::UnclosedQuote { path: path.to_owned(), line: *line },
        None => unreadable(path, io),
    }
}

fn open_csv(mut reader: BufReader<ListFile>, path: &Path, variables: &[String]) -> Result<Source, CampaignError> {
    let begin = reader.fill_buf().map_err(|source| unreadable(path, source))?;
    let header = begin.split(|byte| *byte == b'\n').next().unwrap_or_default();
    // Spreadsheets of many countries write semicolons.
    let count = |delimiter: u8| header.split(|byte| *byte == delimiter).count();
    let delimiter = [b',', b';', b'\t'].into_iter().rev().max_by_key(|delimiter| count(*delimiter)).unwrap_or(b',');
    let mut reader =
        csv::ReaderBuilder::new().delimiter(delimiter).flexible(true).from_reader(Lines::new(reader, delimiter));
    let names: Vec<String> = reader
        .byte_headers()
        .map_err(|error| csv_failure(path, error))?
        .iter()
        .map(|name| String::from_utf8_lossy(name).trim().to_owned())
        .collect();
    let find = |column: &str| {
        let mut places = names.iter().enumerate().filter(|(_, name)| *name == column).map(|(place, _)| place);
        let (path, column) = (path.to_owned(), column.to_owned());
        match (places.next(), places.next()) {
            (Some(place), None) => Ok(place),
            (Some(_), Some(_)) => Err(CampaignError::SameColumns { path, column }),
            (None, _) => Err(CampaignError::NoColumn { path, column, known: names.join(", ") }),
        }
    };
    // Nobody needs these, but who has one has one.
    let find_if_any = |column: &str| match find(column) {
        Err(CampaignError::NoColumn { .. }) => Ok(None),
        found => found.map(Some),
    };
    let columns = Columns {
        recipient: find(RECIPIENT)?,
        last_interaction: find_if_any(LAST_INTERACTION)?,
        timezone: find_if_any(TIMEZONE)?,
        variables: variables.iter().map(|name| find(name)).collect::<Result<_, _>>()?,
        count: names.len(),
    };
    Ok(Source::Csv { reader: Box::new(reader), columns, row: csv::ByteRecord::new() })
}

/// The line on which a row begins that ends before line `next`.
fn line_of(next: u64, row: &csv::ByteRecord) -> u64 {
    let within: usize = row.iter().map(|field| field.split(|byte| *byte == b'\n').count() - 1).sum();
    next.saturating_sub(1 + within as u64)
}

/// Text in which every line ends alike, the last one too: so that lines can be counted. It ends with an error where a
/// quote is not closed.
struct Lines<R> {
    text: R,
    last: u8,
    quotes: Quotes,
}

impl<R> Lines<R> {
    fn new(text: R, delimiter: u8) -> Self {
        Self { text, last: b'\n', quotes: Quotes::new(delimiter) }
    }
}

/// A list's file. A read that is interrupted is done again: whoever looks into a buffer does not.
#[derive(Debug)]
struct ListFile(File);

impl Read for ListFile {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.0.read(out) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => return read,
            }
        }
    }
}

impl<R: BufRead> Read for Lines<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            let chunk = self.text.fill_buf()?;
            if chunk.is_empty() {
                self.quotes.end().map_err(io::Error::other)?;
                let missing = usize::from(self.last != b'\n' && !out.is_empty());
                out[..missing].fill(b'\n');
                self.last = b'\n';
                return Ok(missing);
            }
            let taken = chunk.len().min(out.len());
            let mut kept = 0;
            for byte in chunk[..taken].iter().filter(|byte| **byte != b'\r') {
                self.quotes.follow(*byte).map_err(io::Error::other)?;
                out[kept] = *byte;
                kept += 1;
            }
            self.text.consume(taken);
            if kept > 0 {
                self.last = out[kept - 1];
                return Ok(kept);
            }
            if out.is_empty() {
                return Ok(0);
            }
        }
    }
}

fn csv_row(line: u64, row: &csv::ByteRecord, columns: &Columns, variables: &[String]) -> Row {
    let bad = |reason: String| BadRow { line, reason };
    if row.len() != columns.count {
        let fields = if row.len() == 1 { "1 field".to_owned() } else { format!("{} fields", row.len()) };
        return Err(bad(format!("it has {fields}, and the header {}", columns.count)));
    }
    let field = |place: usize| {
        std::str::from_utf8(row.get(place).unwrap_or_default())
            .map(str::trim)
            .map_err(|_| bad("it is not UTF-8".into()))
    };
    let last = match columns.last_interaction {
        Some(place) => last_interaction(field(place)?).map_err(bad)?,
        None => None,
    };
    let values = columns.variables.iter().zip(variables);
    let values: Map<String, Value> =
        values.map(|(place, name)| present(name, field(*place)?).map_err(bad)).collect::<Result<_, _>>()?;
    let timezone = columns.timezone.map(field).transpose()?;
    Ok((line, person(field(columns.recipient)?, values, last, timezone).map_err(bad)?))
}

fn jsonl_row(line: u64, text: &[u8], variables: &[String]) -> Row {
    let bad = |reason: String| BadRow { line, reason };
    let object = match json::from_slice(text) {
        Ok(Value::Object(object)) => object,
        Ok(_) => return Err(bad("it is JSON, but no object".into())),
        Err(error) => return Err(bad(format!("it is not JSON: {error}"))),
    };
    let text = |key: &str| match object.get(key) {
        None | Some(Value::Null) => Ok(String::new()),
        Some(Value::String(text)) => Ok(text.trim().to_owned()),
        Some(Value::Number(number)) if !number.is_f64() || key == TIMEZONE => Ok(number.to_string()),
        Some(Value::Bool(word)) => Ok(word.to_string()),
        Some(other) => Err(bad(format!("{key} is {other}, and not a text"))),
    };
    let last = last_interaction(&text(LAST_INTERACTION)?).map_err(bad)?;
    let values: Map<String, Value> =
        variables.iter().map(|name| present(name, &text(name)?).map_err(bad)).collect::<Result<_, _>>()?;
    Ok((line, person(&text(RECIPIENT)?, values, last, Some(&text(TIMEZONE)?)).map_err(bad)?))
}

fn present(name: &str, value: &str) -> Result<(String, Value), String> {
    if value.is_empty() {
        Err(format!("it has no {name}, which the message uses"))
    } else {
        Ok((name.to_owned(), value.into()))
    }
}

fn person(
    recipient: &str,
    variables: Map<String, Value>,
    last_interaction_at: Option<Timestamp>,
    timezone: Option<&str>,
) -> Result<NewRecipient, String> {
    if recipient.is_empty() {
        return Err("it names no recipient".to_owned());
    }
    match recipient.parse::<Recipient>() {
        Ok(recipient) => {
            let timezone = timezone.filter(|zone| !zone.is_empty()).map(ToOwned::to_owned);
            Ok(NewRecipient { recipient, variables, last_interaction_at, timezone })
        }
        Err(_) if recipient.contains(['.', 'e', 'E']) && recipient.parse::<f64>().is_ok() => {
            Err(format!("{recipient:?} is a number a spreadsheet has rounded; have it keep the column as text"))
        }
        Err(error) => Err(error.to_string()),
    }
}

/// The person with a time zone that is one, or without.
fn with_timezone(zones: bool, line: u64, mut person: NewRecipient) -> Row {
    person.timezone = person.timezone.filter(|_| zones);
    match person.timezone.as_deref().map(str::parse::<Zone>) {
        Some(Err(reason)) => Err(BadRow { line, reason }),
        _ => Ok((line, person)),
    }
}

/// A time in RFC 3339, without a zone in UTC, or in seconds or milliseconds since 1970; nothing where nothing stands.
fn last_interaction(text: &str) -> Result<Option<Timestamp>, String> {
    const SECONDS_END: i64 = 100_000_000_000;
    if text.is_empty() {
        return Ok(None);
    }
    let millis = if let Ok(number) = text.parse::<i64>() {
        Some(if number < SECONDS_END { number.saturating_mul(1_000) } else { number })
    } else if let Ok(time) = text.parse::<jiff::Timestamp>() {
        Some(time.as_millisecond())
    } else {
        let civil = text.parse::<jiff::civil::DateTime>().ok();
        civil.and_then(|time| time.to_zoned(jiff::tz::TimeZone::UTC).ok()).map(|time| time.timestamp().as_millisecond())
    };
    let refuse = || format!("{LAST_INTERACTION} is {text:?}, and not a time such as 2026-04-01T09:30:00Z");
    millis.map(|millis| Some(Timestamp::from_unix_millis(millis))).ok_or_else(refuse)
}

/// Whoever is named in a list of people not to write to: one a line, or a CSV or JSONL file with a `recipient`. What is no
/// recipient is told apart.
///
/// # Errors
/// When the file cannot be read.
pub fn read_suppressed(path: &Path) -> Result<(Vec<Recipient>, Vec<BadRow>), CampaignError> {
    let mut reader = match RecipientReader::open(path, &[]) {
        Err(CampaignError::NoColumn { .. }) => return read_lines(path),
        opened => opened?,
    };
    let (mut people, mut bad) = (Vec::new(), Vec::new());
    while let Some(row) = reader.next_row()? {
        match row {
            Ok((_, person)) => people.push(person.recipient),
            Err(row) => bad.push(row),
        }
    }
    Ok((people, bad))
}

fn read_lines(path: &Path) -> Result<(Vec<Recipient>, Vec<BadRow>), CampaignError> {
    let text = std::fs::read_to_string(path).map_err(|source| unreadable(path, source))?;
    let (mut people, mut bad) = (Vec::new(), Vec::new());
    for (line, word) in (1..).zip(text.trim_start_matches('\u{feff}').lines().map(str::trim)) {
        match word.parse::<Recipient>() {
            Ok(recipient) => people.push(recipient),
            Err(_) if word.is_empty() || word.starts_with('#') => {}
            Err(error) => bad.push(BadRow { line, reason: error.to_string() }),
        }
    }
    Ok((people, bad))
}

#[cfg(test)]
mod tests;
