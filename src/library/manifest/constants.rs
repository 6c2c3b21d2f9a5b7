//! Names for bots: typed constants that lead from a name to its alias, which leads to the id of the day.
//!
//! Every form holds a table of all names as they are, and constants for those who like to be told of a slip of the pen
//! before the bot runs. A constant that several names would have is none's.

use std::fmt::Write;

use super::names::{Candidate, LeftOut, Named, given};
use crate::ids::AliasName;

/// Where the file comes from.
const ORIGIN: &str = "Written by `reattach export`: names of assets, each leading to its alias.";
/// The table of all names.
const TABLE: &str = "ASSETS";
/// What gives a constant to a name that has none.
const REMEDY: &str = "take it from ASSETS, or give it an alias of its own";

/// A TypeScript module: its table is all it needs.
pub fn typescript(names: &[AliasName]) -> Named {
    let mut text = format!("// {ORIGIN}\n\nexport const assets = {{\n");
    for name in names {
        let _ = writeln!(text, "  {:?}: {:?},", name.as_str(), name.to_string());
    }
    text += "} as const;\n\nexport type AssetName = keyof typeof assets;\n";
    text += "export type AssetAlias = (typeof assets)[AssetName];\n";
    Named { text: text.into_bytes(), entries: names.len(), left_out: Vec::new() }
}

/// A Rust module.
pub fn rust(names: &[AliasName]) -> Named {
    let mut text = format!("//! {ORIGIN}\n");
    let (constants, left_out) = constants(names);
    for (constant, name) in constants {
        let _ = write!(text, "\n/// `{name}`.\npub const {constant}: &str = {:?};\n", name.to_string());
    }
    let length = names.len();
    let _ = write!(text, "\n/// Every name and its alias, by name.\npub const {TABLE}: [(&str, &str); {length}] = [");
    for name in names {
        let _ = write!(text, "\n    ({:?}, {:?}),", name.as_str(), name.to_string());
    }
    text += if names.is_empty() { "];\n" } else { "\n];\n" };
    Named { text: text.into_bytes(), entries: length, left_out }
}

/// A Python module.
pub fn python(names: &[AliasName]) -> Named {
    let mut text = format!("\"\"\"{ORIGIN}\"\"\"\n\nfrom typing import Dict, Final\n\n");
    let (constants, left_out) = constants(names);
    for (constant, name) in &constants {
        let _ = writeln!(text, "{constant}: Final = {:?}", name.to_string());
    }
    let gap = if constants.is_empty() { "" } else { "\n" };
    let _ = writeln!(text, "{gap}{TABLE}: Final[Dict[str, str]] = {{");
    for name in names {
        let _ = writeln!(text, "    {:?}: {:?},", name.as_str(), name.to_string());
    }
    text += "}\n";
    Named { text: text.into_bytes(), entries: names.len(), left_out }
}

/// Each name with the constant that is called like it, and the names that have none. No two names are the same here,
/// whatever they stand for today: one of them may stand for something else tomorrow.
fn constants(names: &[AliasName]) -> (Vec<(String, &AliasName)>, Vec<LeftOut>) {
    let candidate = |value| Candidate { name: constant(value), of: value.to_string(), value };
    let candidates: Vec<Candidate<&AliasName>> = names.iter().map(candidate).collect();
    let (told_apart, left_out) = given(&candidates, REMEDY);
    (told_apart.into_iter().map(|constant| (constant.name.clone(), constant.value)).collect(), left_out)
}

/// The name in capitals, which collide with no keyword of either language.
fn constant(name: &AliasName) -> String {
    let word = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    let constant: String = name.as_str().chars().map(word).collect();
    let is_free = constant.starts_with(|first: char| first.is_ascii_alphabetic()) && constant != TABLE;
    if is_free { constant } else { format!("ASSET_{}", constant.trim_start_matches('_')) }
}
