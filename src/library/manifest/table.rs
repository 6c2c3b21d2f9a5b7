//! The manifest as a table (CSV), safe to open in a spreadsheet.

use csv::{Terminator, WriterBuilder};
use serde_json::Value;

use super::Entry;
use super::fields::{NAMES, fields};

/// The manifest of these entries: a row of names, and one for each entry.
pub fn csv(entries: &[Entry]) -> Vec<u8> {
    let mut writer = WriterBuilder::new().terminator(Terminator::Any(b'\n')).from_writer(Vec::new());
    let mut write = |row: Vec<String>| writer.write_record(row).expect("memory takes all that is written to it");
    write(NAMES.map(str::to_owned).to_vec());
    for entry in entries {
        let fields = fields(entry);
        write(NAMES.iter().map(|name| fields.get(*name).map(cell).unwrap_or_default()).collect());
    }
    writer.into_inner().expect("memory takes all that is written to it")
}

fn cell(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Array(list) => list.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" "),
        other => other.to_string(),
    };
    if is_guarded(&text) { format!("'{text}") } else { text }
}

/// What a cell stands for.
pub(super) fn plain(cell: &str) -> &str {
    cell.strip_prefix('\'').filter(|text| is_guarded(text)).unwrap_or(cell)
}

/// Whether a spreadsheet would compute it, or take its apostrophe for its own.
fn is_guarded(text: &str) -> bool {
    text.starts_with(['=', '+', '-', '@', '\t', '\r', '\''])
}
