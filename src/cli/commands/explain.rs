//! `explain`: what an error code of Meta's means, and what to do about it.

use serde::Serialize;

use crate::cli::args::ExplainArgs;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::output::Output;
use crate::graph::{CATALOGUE, Entry, Retry, lookup};

/// `{"event":"explain"}`.
#[derive(Serialize)]
struct ExplainEvent<'a> {
    event: &'static str,
    code: i64,
    subcode: Option<i64>,
    known: bool,
    class: Option<&'static str>,
    meaning: Option<&'a str>,
    cause: Option<&'a str>,
    action: Option<&'a str>,
    retry: Option<&'static str>,
    send: &'static str,
    source: Option<&'a str>,
}

/// Every code asked for; it ends well if all of them are known.
pub(super) fn run(output: &Output, args: &ExplainArgs) -> Result<Exit, Failure> {
    if args.all {
        for entry in CATALOGUE {
            list(output, entry);
        }
        return Ok(Exit::Done);
    }
    let mut exit = Exit::Done;
    for text in &args.codes {
        let Some((code, subcode)) = parse(text) else {
            return Err(Failure::Usage {
                message: format!("{text:?} is no error code"),
                hint: "give it as CODE or CODE/SUBCODE, such as 100/2018047".into(),
            });
        };
        if !explain(output, code, subcode) {
            exit = Exit::SomeFailed;
        }
    }
    Ok(exit)
}

/// A code and its subcode, as people copy them: `100/2018047`, `(#100)`, `code 100, subcode 2018047`.
fn parse(text: &str) -> Option<(i64, Option<i64>)> {
    let words = text.split(|c: char| !(c.is_ascii_digit() || c == '-')).filter(|word| !word.is_empty());
    let numbers: Vec<i64> = words.map(|word| word.parse().ok()).collect::<Option<_>>()?;
    match numbers[..] {
        [code] => Some((code, None)),
        [code, subcode] => Some((code, Some(subcode))),
        _ => None,
    }
}

/// Prints what is known of it; false where that is nothing.
fn explain(output: &Output, code: i64, subcode: Option<i64>) -> bool {
    let entry = lookup(code, subcode);
    output.event(&ExplainEvent::new(code, subcode, entry));
    let palette = output.palette;
    let asked = subcode.map_or_else(|| code.to_string(), |subcode| format!("{code}/{subcode}"));
    let Some(entry) = entry else {
        output.complain(format_args!(
            "{asked} is not in the catalogue; a message that gets it for an answer may have been sent, so it is called \
             unknown and not repeated"
        ));
        return false;
    };
    output.result(format_args!("{}  {}", palette.strong(&asked), entry.meaning));
    if (entry.code, entry.subcode) != (code, subcode) {
        output.result(format_args!(
            "  {:<9} nothing is known of this subcode; this is what {} means",
            "note",
            name(entry)
        ));
    }
    for (title, text) in [
        ("cause", entry.cause),
        ("do", entry.action),
        ("class", entry.class.as_str()),
        ("retry", retry(entry)),
        ("message", send(Some(entry))),
        ("source", entry.source),
    ] {
        output.result(format_args!("  {title:<9} {text}"));
    }
    true
}

fn list(output: &Output, entry: &Entry) {
    output.event(&ExplainEvent::new(entry.code, entry.subcode, Some(entry)));
    output.result(format_args!("{:<16} {:<11} {}", name(entry), entry.class.as_str(), entry.meaning));
}

fn name(entry: &Entry) -> String {
    entry.subcode.map_or_else(|| entry.code.to_string(), |subcode| format!("{}/{subcode}", entry.code))
}

impl<'a> ExplainEvent<'a> {
    fn new(code: i64, subcode: Option<i64>, entry: Option<&'a Entry>) -> Self {
        Self {
            event: "explain",
            code,
            subcode,
            known: entry.is_some(),
            class: entry.map(|entry| entry.class.as_str()),
            meaning: entry.map(|entry| entry.meaning),
            cause: entry.map(|entry| entry.cause),
            action: entry.map(|entry| entry.action),
            retry: entry.map(retry),
            send: send(entry),
            source: entry.map(|entry| entry.source),
        }
    }
}

fn retry(entry: &Entry) -> &'static str {
    match entry.retry {
        _ if entry.scope().is_none() => "after a pause, but never a message",
        Retry::Never => "never: the answer stays the same",
        Retry::Once => "once, where nothing can have been sent",
        Retry::Backoff => "after a pause, where nothing can have been sent",
        Retry::Throttled(_) => "once the limit is lifted",
    }
}

/// What the error says of the message it answered.
fn send(entry: Option<&Entry>) -> &'static str {
    match entry.map(Entry::scope) {
        Some(Some(_)) => "was not sent",
        Some(None) | None => "may have been sent: it is called unknown and not repeated",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_read_as_people_copy_them() {
        for text in ["100/2018047", "code 100, subcode 2018047", "(#100) 2018047", "100 2018047"] {
            assert_eq!(parse(text), Some((100, Some(2_018_047))), "{text}");
        }
        assert_eq!(parse("(#613)"), Some((613, None)));
        assert_eq!(parse("-1"), Some((-1, None)));
        for text in ["", "abc", "1/2/3", "99999999999999999999", "--"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
