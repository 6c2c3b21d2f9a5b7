//! Ids as environment variables, for scripts and `.env` files.

use std::collections::HashSet;

use super::Entry;

/// A line `NAME=ID` for each name and file: `hero.png` in `banners` is `BANNERS_HERO_PNG`. A name that is taken gets a number.
pub fn env(entries: &[Entry]) -> Vec<u8> {
    let mut taken = HashSet::new();
    let line = |(name, id): (String, &str)| format!("{}={}\n", unique(&variable(&name), &mut taken), quoted(id));
    named(entries).map(line).collect::<Vec<_>>().concat().into_bytes()
}

/// Aliases first: those are names somebody chose.
fn named(entries: &[Entry]) -> impl Iterator<Item = (String, &str)> {
    let with_id = || entries.iter().filter_map(|entry| Some((entry, entry.attachment_id.as_ref()?.as_str())));
    let aliases =
        with_id().flat_map(|(entry, id)| entry.aliases.iter().map(move |name| (name.as_str().to_owned(), id)));
    aliases.chain(with_id().map(|(entry, id)| (entry.name(), id)))
}

/// Words of capital letters and digits, with `_` between them.
fn variable(name: &str) -> String {
    let words = name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let name = words.collect::<Vec<_>>().join("_").to_ascii_uppercase();
    if name.starts_with(|first: char| first.is_ascii_alphabetic()) { name } else { format!("_{name}") }
}

pub(super) fn unique(name: &str, taken: &mut HashSet<String>) -> String {
    let numbered = (2_u64..).map(|number| format!("{name}_{number}"));
    let free = std::iter::once(name.to_owned()).chain(numbered).find(|name| !taken.contains(name));
    let free = free.unwrap_or_default();
    taken.insert(free.clone());
    free
}

/// Quoted for a shell, where it needs to be.
fn quoted(id: &str) -> String {
    let is_plain = id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:/".contains(&byte));
    if is_plain { id.to_owned() } else { format!("'{}'", id.replace('\'', "'\\''")) }
}
