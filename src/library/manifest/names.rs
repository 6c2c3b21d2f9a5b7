//! Names of which each leads to one thing: where several things would have a name, none of them has it.
//!
//! So no name depends on what else is exported: it leads where it always did, or is not there.

use std::collections::HashMap;

/// What the names of a file lead to, and what has no name in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// The file.
    pub text: Vec<u8>,
    /// How many of those it was to hold stand in it.
    pub entries: usize,
    /// What has no name in it.
    pub left_out: Vec<LeftOut>,
}

/// Something that has no name in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// What people call it.
    pub name: String,
    /// Why it has none, and what would give it one.
    pub reason: String,
}

/// Something that would have a name.
pub(super) struct Candidate<V> {
    pub(super) name: String,
    /// What people call it.
    pub(super) of: String,
    /// Where the name would lead.
    pub(super) value: V,
}

/// Those that have their name, in their order and each name once, and those that have none: `remedy` says what would
/// give them one.
pub(super) fn given<'a, V: PartialEq>(
    candidates: &'a [Candidate<V>],
    remedy: &str,
) -> (Vec<&'a Candidate<V>>, Vec<LeftOut>) {
    let mut by_name: HashMap<&str, Vec<&Candidate<V>>> = HashMap::new();
    for candidate in candidates {
        by_name.entry(&candidate.name).or_default().push(candidate);
    }
    let (mut named, mut left_out) = (Vec::new(), Vec::new());
    for candidate in candidates {
        let alike = &by_name[candidate.name.as_str()];
        let others = alike.iter().filter(|other| other.value != candidate.value).map(|other| other.of.as_str());
        match listed(others) {
            Some(others) => left_out.push(LeftOut {
                name: candidate.of.clone(),
                reason: format!("{} would stand for {others} as well; {remedy}", candidate.name),
            }),
            None if std::ptr::eq(alike[0], candidate) => named.push(candidate),
            None => {}
        }
    }
    (named, left_out)
}

/// The first few of them; `None` where there are none.
fn listed<'a>(mut names: impl Iterator<Item = &'a str>) -> Option<String> {
    const SHOWN: usize = 3;
    let shown: Vec<_> = names.by_ref().take(SHOWN).collect();
    let more = if names.next().is_some() { " and others" } else { "" };
    (!shown.is_empty()).then(|| format!("{}{more}", shown.join(", ")))
}
