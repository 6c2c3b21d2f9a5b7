//! The manifest as JSON: one line for each entry, so that a change shows as a change of that line.

use super::Entry;
use super::fields::fields;

/// The first key of every manifest, whose value is its version.
pub(super) const MARK: &str = "reattach_manifest";
/// The version written here, and the newest read.
pub(super) const VERSION: u64 = 1;

/// The manifest of these entries.
pub fn json(entries: &[Entry]) -> Vec<u8> {
    let lines: Vec<String> = entries.iter().map(|entry| serde_json::Value::Object(fields(entry)).to_string()).collect();
    let list = if lines.is_empty() { String::new() } else { format!("\n{}\n", lines.join(",\n")) };
    format!("{{\n\"{MARK}\": {VERSION},\n\"assets\": [{list}]\n}}\n").into_bytes()
}
