//! Certain evidence: Meta's `message_echoes` webhooks, which bring back the metadata our nonce stands in.

use std::collections::HashSet;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;

use super::{PAGE, decide_all};
use crate::campaign::unsaved::{Fate, UNRECORDED};
use crate::campaign::{BadRow, CampaignError, Nonce, Unsaved};
use crate::clock::Timestamp;
use crate::delivery::{Event, State};
use crate::ids::CampaignName;
use crate::json;
use crate::record::{CampaignId, ListedDelivery, Proof, Proven, Record};
use crate::secret::AppSecret;

/// Evidence: a message came back as an echo.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Echo {
    /// Which attempt it was.
    pub nonce: Nonce,
    /// The message's id.
    pub message_id: String,
    /// The PSID it went to, where the webhook says so.
    pub to: Option<String>,
}

/// What came of reading echoes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Echoes {
    /// Messages of ours.
    pub found: Vec<Echo>,
    /// Attempts of which a run that could not record it says that they sent nothing.
    pub not_sent: Vec<Nonce>,
    /// Lines that are no webhook, or whose signature is wrong.
    pub bad: Vec<BadRow>,
    /// Whether every line was signed by the app, as far as that could be checked.
    pub verified: bool,
}

/// What echoes have changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Applied {
    /// Deliveries that are sent, and were not before, or not for certain.
    pub settled: u64,
    /// Messages somebody has beside the one that counts.
    pub duplicates: u64,
    /// Echoes that come too early: a worker is at their delivery.
    pub held: u64,
    /// Echoes of later attempts than the record knows of: [`Proven::Forgotten`].
    pub forgotten: Vec<Echo>,
}

/// The echoes of `campaign` in a file of webhooks, one JSON a line: a webhook's body, one of its `messaging` events, or
/// `{"headers":{"X-Hub-Signature-256":"sha256=…"},"body":"…"}`. With the app's secret, a signature that is there must be
/// right. A line a run left that could not record something ([`Unsaved::to_line`]) is evidence as well.
///
/// # Errors
/// When the file cannot be read.
pub fn read_echoes(
    path: &Path,
    campaign: &CampaignName,
    app_secret: Option<&AppSecret>,
) -> Result<Echoes, CampaignError> {
    let unreadable = |source| CampaignError::Unreadable { path: path.to_owned(), source };
    let reader = BufReader::new(File::open(path).map_err(unreadable)?);
    let mut echoes = Echoes { verified: app_secret.is_some(), ..Echoes::default() };
    for (line, text) in (1..).zip(reader.split(b'\n')) {
        let text = text.map_err(unreadable)?;
        if text.trim_ascii().is_empty() {
            continue;
        }
        match webhook(&text, app_secret) {
            Ok((body, signed)) => {
                echoes.verified &= signed;
                collect(&body, None, campaign, &mut echoes);
            }
            Err(reason) => echoes.bad.push(BadRow { line, reason }),
        }
    }
    Ok(echoes)
}

/// The webhook in a line, and whether its signature was checked.
fn webhook(line: &[u8], app_secret: Option<&AppSecret>) -> Result<(Value, bool), String> {
    let not_json = |error: serde_json::Error| format!("it is not JSON: {error}");
    let value = json::from_slice(line).map_err(not_json)?;
    let Some(body) = value.get("body").and_then(Value::as_str) else { return Ok((value, false)) };
    let headers = value.get("headers").and_then(Value::as_object);
    let signature = headers
        .and_then(|headers| headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("X-Hub-Signature-256")))
        .and_then(|(_, value)| value.as_str());
    let checked = match (signature, app_secret) {
        (Some(signature), Some(secret)) if is_signed(body, signature, secret) => true,
        (Some(_), Some(_)) => return Err("its signature is not the app's".to_owned()),
        _ => false,
    };
    Ok((json::from_slice(body.as_bytes()).map_err(not_json)?, checked))
}

/// **Source**: Messenger Platform, "Webhooks", "Validating Payloads" (v25.0): HMAC-SHA256 of the body, keyed with the app
/// secret, in hexadecimal behind `sha256=`.
fn is_signed(body: &str, signature: &str, secret: &AppSecret) -> bool {
    let Some(Ok(signature)) = signature.strip_prefix("sha256=").map(hex::decode) else { return false };
    let mac = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes());
    mac.is_ok_and(|mac| mac.chain_update(body).verify_slice(&signature).is_ok())
}

/// Finds our echoes wherever they stand in it, below what says to whom they went.
fn collect(value: &Value, to: Option<&str>, campaign: &CampaignName, echoes: &mut Echoes) {
    match value {
        Value::Object(object) => {
            let text = |key: &str| object.get(key).and_then(Value::as_str);
            let to = value.pointer("/recipient/id").and_then(Value::as_str).or(to);
            let echo = |nonce, mid: &str| Echo { nonce, message_id: mid.to_owned(), to: to.map(str::to_owned) };
            let nonce = |key: &str| Nonce::in_metadata(text(key)?).filter(|nonce| nonce.campaign == *campaign);
            let is_echo = object.get("is_echo") == Some(&Value::Bool(true));
            if let (true, Some(nonce), Some(mid)) = (is_echo, nonce("metadata"), text("mid")) {
                echoes.found.push(echo(nonce, mid));
            }
            if let (Some(UNRECORDED), Some(nonce)) = (text("event"), nonce("nonce")) {
                match Fate::read(text("outcome"), text("message_id")) {
                    Some(Fate::Sent(Some(mid))) => echoes.found.push(echo(nonce, &mid)),
                    Some(Fate::Failed | Fate::NotSent) => echoes.not_sent.push(nonce),
                    Some(Fate::Sent(None)) | None => {}
                }
            }
            object.values().for_each(|value| collect(value, to, campaign, echoes));
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, to, campaign, echoes)),
        _ => {}
    }
}

/// Has those sent that were not, as far as nothing else is known of them; says how many. What Meta refused it is likely to
/// refuse again, and then that is on record. Of a later attempt than the first it says nothing of those before it, which may
/// have arrived: that leaves them as they are.
pub async fn apply_not_sent(
    record: &dyn Record,
    campaign: CampaignId,
    not_sent: &[Nonce],
    now: Timestamp,
) -> Result<u64, CampaignError> {
    let first = not_sent.iter().filter(|nonce| nonce.attempt == 1);
    let attempts: HashSet<_> = first.map(|nonce| (nonce.key, nonce.attempt, Some(nonce.random))).collect();
    if attempts.is_empty() {
        return Ok(0);
    }
    let event = |listed: &ListedDelivery| {
        let attempt = (listed.key, listed.delivery.attempt, listed.delivery.nonce);
        attempts.contains(&attempt).then_some(Event::AssumeNotSent)
    };
    decide_all(record, campaign, State::Unknown, event, now).await
}

/// Settles what the echoes prove, whichever attempt they are of and whatever was said or inferred meanwhile. Echoes of
/// anything else change nothing.
pub async fn apply_echoes(
    record: &dyn Record,
    campaign: CampaignId,
    echoes: &[Echo],
    now: Timestamp,
) -> Result<Applied, CampaignError> {
    let mut applied = Applied::default();
    for some in echoes.chunks(PAGE) {
        let proofs: Vec<_> = some.iter().map(Proof::from).collect();
        for (proven, echo) in record.prove(campaign, &proofs, now).await?.into_iter().zip(some) {
            match proven {
                Proven::Settled => applied.settled += 1,
                Proven::Twice => applied.duplicates += 1,
                Proven::Held => applied.held += 1,
                Proven::Forgotten => applied.forgotten.push(echo.clone()),
                Proven::Known | Proven::Foreign => {}
            }
        }
    }
    Ok(applied)
}

/// Takes for evidence what a worker could not write of its messages any more, for they were no longer its own: an answer
/// proves as much as an echo. Gives back what the record does not take now, because somebody is at that delivery, and what
/// would have somebody sent a message again of whom an earlier attempt may have arrived.
pub(in crate::campaign) async fn apply_unsaved(
    record: &dyn Record,
    campaign: CampaignId,
    unsaved: &[Unsaved],
    now: Timestamp,
) -> Result<Vec<Unsaved>, CampaignError> {
    let (mut left, mut proofs, mut not_sent) = (Vec::new(), Vec::new(), Vec::new());
    for some in unsaved {
        match (&some.fate, &some.nonce) {
            (Fate::Sent(Some(message_id)), Some(nonce)) => {
                let echo = Echo { nonce: nonce.clone(), message_id: message_id.clone(), to: None };
                proofs.push((some, Proof::from(&echo)));
            }
            (Fate::Failed | Fate::NotSent, Some(nonce)) if nonce.attempt == 1 => not_sent.push(nonce.clone()),
            _ => left.push(some.clone()),
        }
    }
    for some in proofs.chunks(PAGE) {
        let (unsaved, proofs): (Vec<_>, Vec<_>) = some.iter().cloned().unzip();
        let proven = record.prove(campaign, &proofs, now).await?;
        let is_left = |proven| matches!(proven, Proven::Held | Proven::Forgotten);
        let held = unsaved.into_iter().zip(proven).filter(|(_, proven)| is_left(*proven));
        left.extend(held.map(|(unsaved, _)| unsaved.clone()));
    }
    if !not_sent.is_empty() {
        apply_not_sent(record, campaign, &not_sent, now).await?;
    }
    Ok(left)
}

impl From<&Echo> for Proof {
    fn from(Echo { nonce, message_id, .. }: &Echo) -> Self {
        let Nonce { key, attempt, random, .. } = *nonce;
        Self { key, attempt, nonce: random, message_id: message_id.clone() }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(lines: &[String], secret: Option<&str>) -> Echoes {
        read_bytes(lines.join("\n").as_bytes(), secret)
    }

    fn read_bytes(bytes: &[u8], secret: Option<&str>) -> Echoes {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("echoes.jsonl");
        std::fs::write(&path, bytes).unwrap();
        let secret = secret.map(|secret| AppSecret::new(secret).unwrap());
        read_echoes(&path, &"spring".parse().unwrap(), secret.as_ref()).unwrap()
    }

    fn body() -> String {
        let echo = |metadata: &str| {
            let message = json!({"is_echo": true, "metadata": metadata, "mid": "m_1"});
            json!({"sender": {"id": "1"}, "recipient": {"id": "24"}, "message": message})
        };
        let messaging = [echo("ra1:spring:10:1:0000000a of ours"), echo("ra1:other:10:1:0000000a"), echo("hello")];
        json!({"object": "page", "entry": [{"messaging": messaging}]}).to_string()
    }

    fn signed(body: &str, secret: &str) -> String {
        let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap().chain_update(body);
        let signature = format!("sha256={}", hex::encode(mac.finalize().into_bytes()));
        json!({"headers": {"x-hub-signature-256": signature}, "body": body}).to_string()
    }

    #[test]
    fn our_own_echoes_are_found_in_whatever_form_webhooks_are_kept() {
        let event = json!({"message": {"is_echo": true, "metadata": "ra1:spring:20:1:0000000b", "mid": "m_2"}});
        let not_ours = json!({"message": {"metadata": "ra1:spring:30:1:0000000c", "mid": "m_3"}});
        let echoes = read(&[body(), String::new(), event.to_string(), not_ours.to_string(), "{".into()], None);
        let ids: Vec<_> = echoes.found.iter().map(|echo| (echo.nonce.key.seq, echo.message_id.as_str())).collect();
        assert_eq!(ids, [(1, "m_1"), (2, "m_2")]);
        let to: Vec<_> = echoes.found.iter().map(|echo| echo.to.as_deref()).collect();
        assert_eq!(to, [Some("24"), None]);
        assert_eq!((echoes.bad.len(), echoes.bad[0].line, echoes.verified), (1, 5, false));
    }

    #[test]
    fn a_line_that_is_no_text_is_one_bad_line() {
        let lines = [b"\xff\xfe".as_slice(), body().as_bytes(), b"\r"].join(&b'\n');
        let echoes = read_bytes(&lines, None);
        assert_eq!((echoes.found.len(), echoes.bad.len(), echoes.bad[0].line), (1, 1, 1));
    }

    #[test]
    fn what_a_run_could_not_record_is_evidence() {
        let (spring, other) = ("spring".parse().unwrap(), "other".parse().unwrap());
        let sent = |mid: &str| Fate::Sent(Some(mid.to_owned()));
        let line = |seq, fate, campaign: &CampaignName| {
            let key = crate::record::DeliveryKey { seq, part: 0 };
            let nonce = Some(Nonce { campaign: campaign.clone(), key, attempt: 1, random: 10 });
            Unsaved { key, fate, nonce }.to_line(campaign)
        };
        let lines = [
            line(1, sent("m_1"), &spring),
            line(2, Fate::Failed, &spring),
            line(3, Fate::NotSent, &spring),
            line(4, sent("m_4"), &other),
        ];
        let echoes = read(&lines, None);
        let sent: Vec<_> = echoes.found.iter().map(|echo| (echo.nonce.key.seq, echo.message_id.as_str())).collect();
        let not_sent: Vec<_> = echoes.not_sent.iter().map(|nonce| nonce.key.seq).collect();
        assert_eq!((sent, not_sent, echoes.bad.len()), (vec![(1, "m_1")], vec![2, 3], 0));
    }

    #[tokio::test]
    async fn who_may_have_had_it_before_is_not_sent_it_again_unasked() {
        let folder = tempfile::tempdir().unwrap();
        let record = crate::record::open(&folder.path().join("record.db")).await.unwrap();
        let (campaign, key) =
            ("spring".parse::<CampaignName>().unwrap(), crate::record::DeliveryKey { seq: 1, part: 0 });
        let refused = |attempt| {
            let nonce = Some(Nonce { campaign: campaign.clone(), key, attempt, random: 10 });
            Unsaved { key, fate: Fate::Failed, nonce }
        };
        let (again, now) = ([refused(2)], Timestamp::from_unix_millis(0));
        assert_eq!(apply_unsaved(&*record, CampaignId(1), &again, now).await.unwrap(), again);
        let first = apply_unsaved(&*record, CampaignId(1), &[refused(1)], now).await;
        assert!(first.is_err(), "it is taken to the record, which knows of no such campaign: {first:?}");
        // The same of what a file says.
        let apply = async |attempt| {
            let nonce = Nonce { campaign: campaign.clone(), key, attempt, random: 10 };
            apply_not_sent(&*record, CampaignId(1), &[nonce], now).await
        };
        assert_eq!(apply(2).await.unwrap(), 0);
        assert!(apply(1).await.is_err());
    }

    #[test]
    fn a_forged_signature_proves_nothing() {
        let right = read(&[signed(&body(), "secret")], Some("secret"));
        assert_eq!((right.found.len(), right.bad.len(), right.verified), (1, 0, true));
        let forged = read(&[signed(&body(), "guess")], Some("secret"));
        assert_eq!((forged.found.len(), forged.bad.len()), (0, 1));
        let changed = read(&[signed(&body(), "secret").replace("m_1", "m_9")], Some("secret"));
        assert_eq!((changed.found.len(), changed.bad.len()), (0, 1));
    }
}
