//! Ids as environment variables, for scripts and `.env` files.

use std::collections::HashSet;

use super::Entry;
use super::names::{Candidate, Named, given};
use crate::ids::AliasName;

/// What gives a name to what has none.
const REMEDY: &str = "give it an alias of its own";

/// A line `NAME=ID` for each name and file: `hero.png` in `banners` is `BANNERS_HERO_PNG`. A name that several ids would
/// have is none's.
pub fn env(entries: &[Entry]) -> Named {
    let candidates: Vec<_> = candidates(entries).collect();
    let (named, left_out) = given(&candidates, REMEDY);
    let lines = named.iter().map(|variable| format!("{}={}\n", variable.name, quoted(variable.value)));
    let text = lines.collect::<Vec<_>>().concat().into_bytes();
    let written: HashSet<_> = named.iter().map(|variable| variable.value).collect();
    let is_written = |entry: &&Entry| entry.attachment_id.as_ref().is_some_and(|id| written.contains(id.as_str()));
    Named { text, entries: entries.iter().filter(is_written).count(), left_out }
}

/// Aliases first: those are names somebody chose.
fn candidates(entries: &[Entry]) -> impl Iterator<Item = Candidate<&str>> {
    let with_id = || entries.iter().filter_map(|entry| Some((entry, entry.attachment_id.as_ref()?.as_str())));
    let aliases = with_id().flat_map(|(entry, value)| {
        let candidate =
            move |name: &AliasName| Candidate { name: variable(name.as_str()), of: name.to_string(), value };
        entry.aliases.iter().map(candidate)
    });
    let files = with_id().map(|(entry, value)| {
        let of = entry.name();
        Candidate { name: variable(&of), of, value }
    });
    aliases.chain(files)
}

/// Words of capital letters and digits, with `_` between them.
fn variable(name: &str) -> String {
    let words = name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let name = words.collect::<Vec<_>>().join("_").to_ascii_uppercase();
    if name.starts_with(|first: char| first.is_ascii_alphabetic()) { name } else { format!("_{name}") }
}

/// Quoted for a shell, where it needs to be.
fn quoted(id: &str) -> String {
    let is_plain = id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:/".contains(&byte));
    if is_plain { id.to_owned() } else { format!("'{}'", id.replace('\'', "'\\''")) }
}
