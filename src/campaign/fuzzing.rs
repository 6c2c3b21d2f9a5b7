//! What people hand to a campaign: lists, webhooks they kept, campaign files.

use serde_json::{Map, Value};

use super::recipients::{RecipientReader, read_suppressed};
use super::settle::read_echoes;
use super::template::Template;
use super::{CampaignSpec, Nonce, Portion, QuietHours, Zone};
use crate::fuzzing::{in_file, reads_back};
use crate::ids::Recipient;
use crate::secret::AppSecret;

/// A file of webhooks, one a line, signed with `app-secret` or not.
pub fn webhook(text: &[u8]) {
    let campaign = "spring".parse().expect("a name");
    let (secret, stranger) = (AppSecret::new("app-secret"), AppSecret::new("another"));
    in_file("webhook.jsonl", text, |path| {
        let read = |secret: Option<&AppSecret>| read_echoes(path, &campaign, secret).ok();
        let Some((open, ours, theirs)) = read(None)
            .zip(read(secret.as_ref()))
            .zip(read(stranger.as_ref()))
            .map(|((open, ours), theirs)| (open, ours, theirs))
        else {
            return;
        };
        assert!(!open.verified, "nothing was checked");
        assert!(ours.found.iter().all(|echo| echo.nonce.campaign == campaign && open.found.contains(echo)));
        if ours.verified && ours.bad.is_empty() {
            // Each line has a signature, which is wrong to anybody else.
            assert!(theirs.found.is_empty() && theirs.not_sent.is_empty(), "{theirs:?}");
        }
        assert!(theirs.found.len() <= open.found.len() && open.bad.len() <= ours.bad.len());
    });
}

/// A list of recipients, as a table and as JSON Lines, and a list of those who are to get nothing.
pub fn recipients(text: &[u8]) {
    for name in ["recipients.csv", "recipients.jsonl"] {
        in_file(name, text, |path| {
            let variables = ["name".to_owned()];
            if let Ok(reader) = RecipientReader::open(path, &variables) {
                let mut reader = reader.with_timezones();
                let mut last = 0;
                while let Ok(Some(row)) = reader.next_row() {
                    let line = row.as_ref().map_or_else(|bad| bad.line, |(line, _)| *line);
                    assert!(line > last, "line {line} comes after line {last}");
                    last = line;
                    if let Ok((_, person)) = row {
                        assert_eq!(person.recipient.to_string().parse().as_ref(), Ok(&person.recipient));
                        assert!(person.variables.get("name").is_some_and(|name| *name != ""));
                        assert!(person.timezone.is_none_or(|zone| zone.parse::<Zone>().is_ok()));
                    }
                }
            }
            if let Ok((people, _)) = read_suppressed(path) {
                assert!(people.iter().all(|person| person.to_string().parse::<Recipient>().as_ref() == Ok(person)));
            }
        });
    }
}

/// A campaign file.
pub(crate) fn specification(text: &[u8]) {
    in_file("campaign.toml", text, |path| {
        if let Ok(spec) = CampaignSpec::load(path) {
            let json = serde_json::to_string(&spec.message).expect("JSON");
            assert_eq!(serde_json::from_str::<super::CampaignMessage>(&json).ok().as_ref(), Some(&spec.message));
            let json = serde_json::to_string(&spec.settings).expect("JSON");
            assert_eq!(serde_json::from_str::<super::Settings>(&json).ok().as_ref(), Some(&spec.settings));
        }
    });
}

/// A message with gaps, and the words of a campaign file.
pub(crate) fn words(text: &str) {
    reads_back::<Nonce>(text);
    reads_back::<QuietHours>(text);
    reads_back::<Zone>(text);
    reads_back::<Portion>(text);
    let _ = Nonce::in_metadata(text);
    let message = match serde_json::from_str(text) {
        Ok(Value::Object(message)) => message,
        _ => Map::from_iter([("text".to_owned(), text.into())]),
    };
    let Ok(template) = Template::parse(&message) else { return };
    let _ = template.as_message();
    let variables = template.variables();
    let blank = template.fill(&Map::new());
    // What a list says is never read as a gap.
    let treacherous: Map<String, Value> = variables.iter().map(|name| ((*name).to_owned(), "{name}".into())).collect();
    let filled = template.fill(&treacherous);
    assert_eq!(filled.as_json() == blank.as_json(), variables.is_empty());
}
