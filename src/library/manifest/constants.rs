//! Names for bots: typed constants that lead from a name to its alias, which leads to the id of the day.
//!
//! Every form holds a table of all names as they are, and constants for those who like to be told of a slip of the pen
//! before the bot runs.

use std::collections::HashSet;
use std::fmt::Write;

use super::env::unique;
use crate::ids::AliasName;

/// Where the file comes from.
const ORIGIN: &str = "Written by `reattach export`: names of assets, each leading to its alias.";

/// A TypeScript module.
pub fn typescript(names: &[AliasName]) -> Vec<u8> {
    let mut text = format!("// {ORIGIN}\n\nexport const assets = {{\n");
    for name in names {
        let _ = writeln!(text, "  {:?}: {:?},", name.as_str(), name.to_string());
    }
    text += "} as const;\n\nexport type AssetName = keyof typeof assets;\n";
    text += "export type AssetAlias = (typeof assets)[AssetName];\n";
    text.into_bytes()
}

/// A Rust module.
pub fn rust(names: &[AliasName]) -> Vec<u8> {
    let mut text = format!("//! {ORIGIN}\n");
    for (constant, name) in constants(names) {
        let _ = write!(text, "\n/// `{name}`.\npub const {constant}: &str = {:?};\n", name.to_string());
    }
    let _ =
        write!(text, "\n/// Every name and its alias, by name.\npub const ASSETS: [(&str, &str); {}] = [", names.len());
    for name in names {
        let _ = write!(text, "\n    ({:?}, {:?}),", name.as_str(), name.to_string());
    }
    text += if names.is_empty() { "];\n" } else { "\n];\n" };
    text.into_bytes()
}

/// A Python module.
pub fn python(names: &[AliasName]) -> Vec<u8> {
    let mut text = format!("\"\"\"{ORIGIN}\"\"\"\n\nfrom typing import Dict, Final\n\n");
    for (constant, name) in constants(names) {
        let _ = writeln!(text, "{constant}: Final = {:?}", name.to_string());
    }
    text +=
        if names.is_empty() { "ASSETS: Final[Dict[str, str]] = {\n" } else { "\nASSETS: Final[Dict[str, str]] = {\n" };
    for name in names {
        let _ = writeln!(text, "    {:?}: {:?},", name.as_str(), name.to_string());
    }
    text += "}\n";
    text.into_bytes()
}

/// Each name with a constant that is called like it. Capitals collide with no keyword of either language.
fn constants(names: &[AliasName]) -> impl Iterator<Item = (String, &AliasName)> {
    let mut taken = HashSet::from(["ASSETS".to_owned()]);
    names.iter().map(move |name| {
        let word = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
        let constant: String = name.as_str().chars().map(word).collect();
        let begins = constant.starts_with(|first: char| first.is_ascii_alphabetic());
        let constant = if begins { constant } else { format!("ASSET_{}", constant.trim_start_matches('_')) };
        (unique(&constant, &mut taken), name)
    })
}
