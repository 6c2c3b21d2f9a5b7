//! The campaign file: what goes to whom, and how.

use std::fmt;
use std::fs;
use std::num::{NonZeroU16, NonZeroU32};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::CampaignError;
use super::nonce::MOST_PARTS;
use super::part::{self, Part, PartFile};
use super::portion::Portion;
use super::ramp::Ramp;
use super::template::Template;
use super::times::{QuietHours, Times, Zone, moment};
use crate::graph::{Message, MessagingType, NotificationType, SendRequest, Tag};
use crate::handwritten;
use crate::ids::{CampaignName, InvalidId, Platform, Recipient};
use crate::record::Campaign;

/// A campaign as its file describes it.
#[derive(Debug, Clone)]
pub struct CampaignSpec {
    /// Its name, unique for each Page.
    pub name: CampaignName,
    /// Who gets it: a CSV or JSONL file.
    pub recipients: PathBuf,
    /// What they get.
    pub message: CampaignMessage,
    /// How it is sent.
    pub settings: Settings,
}

/// What everybody gets. It is written down when the campaign is planned, and then does not change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CampaignMessage {
    /// Why it is sent.
    #[serde(with = "words")]
    pub messaging_type: MessagingType,
    /// The message tag, with `MESSAGE_TAG`.
    pub tag: Option<String>,
    /// How loudly it arrives.
    pub notification_type: Option<String>,
    /// The persona that speaks.
    pub persona_id: Option<String>,
    /// The messages, in the order in which they are sent.
    pub parts: Vec<Part>,
}

/// How a campaign is sent. It may change from run to run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Where the message's paths are read from.
    pub base: PathBuf,
    /// What becomes of a message that may have arrived.
    #[serde(default)]
    pub delivery: Guarantee,
    /// How many messages go in one call; 1 for a call each.
    #[serde(default = "one")]
    pub batch: u16,
    /// How many calls may be under way at once; `None` takes what the rate needs.
    #[serde(default)]
    pub concurrency: Option<NonZeroU16>,
    /// Messages a second, of the whole Page.
    #[serde(default)]
    pub messages_per_second: Option<NonZeroU32>,
    /// Those of them with audio or video.
    #[serde(default)]
    pub media_per_second: Option<NonZeroU32>,
    /// How many failures pause it.
    #[serde(default)]
    pub stop_after_failures: Option<Portion>,
    /// Who gets it before everybody does.
    #[serde(default)]
    pub ramp: Ramp,
    /// When it may be sent.
    #[serde(default)]
    pub times: Times,
}

const fn one() -> u16 {
    1
}

impl Settings {
    /// How the campaign is sent, as it was planned.
    ///
    /// # Errors
    /// `Unintelligible`, as of a plan that was cut off.
    pub fn of(campaign: &Campaign) -> Result<Self, CampaignError> {
        on_record(campaign, &campaign.settings)
    }

    /// The usual ways, with paths read from `base`.
    pub fn new(base: PathBuf) -> Self {
        Self {
            base,
            delivery: Guarantee::default(),
            batch: 1,
            concurrency: None,
            messages_per_second: None,
            media_per_second: None,
            stop_after_failures: None,
            ramp: Ramp::default(),
            times: Times::default(),
        }
    }
}

/// What becomes of a message that may have arrived.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Guarantee {
    /// It stays unknown until it is settled: nobody gets it twice, and who may have got none is named.
    #[default]
    AtMostOnce,
    /// It is sent again, twice at most: nobody is missed by us, and who may have got it twice is named.
    AtLeastOnce,
    /// It stays unknown, and an operator is asked in the end.
    Ask,
}

impl Guarantee {
    /// The word in the campaign file.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AtMostOnce => "at-most-once",
            Self::AtLeastOnce => "at-least-once",
            Self::Ask => "ask",
        }
    }

    /// What it promises.
    pub const fn promise(self) -> &'static str {
        match self {
            Self::AtMostOnce => "nobody gets it twice; who may not have got it is named",
            Self::AtLeastOnce => "a message that may have arrived is sent again: some may get it twice, and are named",
            Self::Ask => "nobody gets it twice by itself; you decide about those who may not have got it",
        }
    }
}

fn on_record<T: DeserializeOwned>(campaign: &Campaign, json: &str) -> Result<T, CampaignError> {
    serde_json::from_str(json)
        .map_err(|error| CampaignError::Unintelligible { name: campaign.name.clone(), reason: error.to_string() })
}

mod words {
    use super::{Deserialize, Deserializer, MessagingType, Serializer};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    pub(super) fn serialize<S: Serializer>(word: &MessagingType, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(word.as_str())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<MessagingType, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// The file, word for word.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SpecFile {
    name: String,
    recipients: PathBuf,
    messaging_type: Option<String>,
    tag: Option<String>,
    notification_type: Option<String>,
    persona_id: Option<String>,
    delivery: Option<Guarantee>,
    batch: Option<u16>,
    concurrency: Option<NonZeroU16>,
    #[serde(default)]
    testers: Vec<WordFile>,
    canary: Option<Portion>,
    start_at: Option<WordFile>,
    expires_at: Option<WordFile>,
    quiet_hours: Option<QuietHours>,
    timezone: Option<Zone>,
    #[serde(default)]
    limits: LimitsFile,
    #[serde(deserialize_with = "part::parts")]
    message: Vec<PartFile>,
}

/// What may be written with quotes or without: a PSID, or a time.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "it takes a word, a number or a time")]
enum WordFile {
    Text(String),
    Number(u64),
    Time(toml::value::Datetime),
}

impl fmt::Display for WordFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Number(number) => number.fmt(f),
            Self::Time(time) => time.fmt(f),
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct LimitsFile {
    messages_per_second: Option<NonZeroU32>,
    media_per_second: Option<NonZeroU32>,
    stop_after_failures: Option<Portion>,
}

impl CampaignSpec {
    /// The campaign in the file at `path`. Its paths are read from the folder it lies in.
    ///
    /// # Errors
    /// Names the line of what is wrong, unknown keys included.
    pub fn load(path: &Path) -> Result<Self, CampaignError> {
        let unreadable = |source| CampaignError::Unreadable { path: path.to_owned(), source };
        let text = fs::read_to_string(path).map_err(unreadable)?;
        let folder = path.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
        let base = fs::canonicalize(folder).map_err(unreadable)?;
        Self::parse(&text, path, base)
    }

    fn parse(text: &str, path: &Path, base: PathBuf) -> Result<Self, CampaignError> {
        let malformed = |line, reason| CampaignError::Malformed { path: path.to_owned(), line, reason };
        let file: SpecFile = handwritten::from_toml(text).map_err(|(line, reason)| malformed(line, reason))?;
        let key = |key: &str, reason: String| malformed(line_of(text, key), reason);
        let messaging_type: MessagingType = match &file.messaging_type {
            Some(word) => word.parse().map_err(|error| key("messaging_type", format!("{error}")))?,
            // Nobody answers to a campaign's first word.
            None if file.tag.is_some() => MessagingType::MessageTag,
            None => MessagingType::Update,
        };
        if let Some(word) = &file.notification_type {
            word.parse::<NotificationType>().map_err(|error| key("notification_type", format!("{error}")))?;
        }
        let batch = file.batch.unwrap_or(1);
        if batch == 0 || usize::from(batch) > crate::graph::MAX_BATCH {
            let reason = format!("a batch holds 1 to {} messages", crate::graph::MAX_BATCH);
            return Err(key("batch", reason));
        }
        let mut testers = Vec::<Recipient>::new();
        for word in &file.testers {
            let tester = word.to_string().parse().map_err(|error: InvalidId| key("testers", error.to_string()))?;
            if !testers.contains(&tester) {
                testers.push(tester);
            }
        }
        let timezone = file.timezone.clone().unwrap_or_else(Zone::here);
        let time = |name: &str, word: &Option<WordFile>| {
            let time = word.as_ref().map(|word| moment(&word.to_string(), &timezone)).transpose();
            time.map_err(|reason| key(name, reason))
        };
        let times = Times {
            start_at: time("start_at", &file.start_at)?,
            expires_at: time("expires_at", &file.expires_at)?,
            quiet_hours: file.quiet_hours,
            timezone: timezone.clone(),
        };
        if times.start_at.zip(times.expires_at).is_some_and(|(start, end)| end <= start) {
            return Err(key("expires_at", "it expires before it starts".to_owned()));
        }
        let parts: Result<_, String> = file.message.into_iter().map(PartFile::into_part).collect();
        let message = CampaignMessage {
            messaging_type,
            tag: file.tag,
            notification_type: file.notification_type,
            persona_id: file.persona_id,
            parts: parts.map_err(|reason| key("[[message]]", reason))?,
        };
        Ok(Self {
            name: file.name.parse().map_err(|error| key("name", format!("{error}")))?,
            recipients: base.join(file.recipients),
            message,
            settings: Settings {
                delivery: file.delivery.unwrap_or_default(),
                batch,
                concurrency: file.concurrency,
                messages_per_second: file.limits.messages_per_second,
                media_per_second: file.limits.media_per_second,
                stop_after_failures: file.limits.stop_after_failures,
                ramp: Ramp { testers, canary: file.canary },
                times,
                ..Settings::new(base)
            },
        })
    }
}

/// The line on which a key stands, as well as that can be told without parsing.
fn line_of(text: &str, key: &str) -> usize {
    text.lines().position(|line| line.trim_start().starts_with(key)).map_or(1, |place| place + 1)
}

impl CampaignMessage {
    /// What the campaign says, as it was planned.
    ///
    /// # Errors
    /// `Unintelligible`, as of a plan that was cut off.
    pub fn of(campaign: &Campaign) -> Result<Self, CampaignError> {
        on_record(campaign, &campaign.message)
    }

    /// The variants of each part as templates.
    ///
    /// # Errors
    /// Names the part with a gap that is none, and too many or too few parts.
    pub(super) fn templates(&self) -> Result<Vec<Vec<Template>>, CampaignError> {
        if self.parts.is_empty() || self.parts.len() > usize::from(MOST_PARTS) {
            let reason = format!("a message has 1 to {MOST_PARTS} parts");
            return Err(CampaignError::Template { part: self.parts.len(), reason });
        }
        let parse = |(place, part): (usize, &Part)| {
            let templates: Result<_, _> =
                part.variants().iter().map(|variant| Template::parse(&variant.message)).collect();
            templates.map_err(|reason| CampaignError::Template { part: place + 1, reason })
        };
        self.parts.iter().enumerate().map(parse).collect()
    }

    /// How many parts there are.
    pub(super) fn count(&self) -> u8 {
        u8::try_from(self.parts.len()).unwrap_or(u8::MAX)
    }

    /// One part's message, addressed.
    pub(super) fn request(&self, recipient: Recipient, message: Message) -> SendRequest {
        let mut request = SendRequest::new(recipient, message);
        let envelope = &mut request.envelope;
        envelope.messaging_type = self.messaging_type;
        envelope.tag = self.tag.as_ref().map(Tag::new);
        envelope.notification_type = self.notification_type.as_ref().and_then(|word| word.parse().ok());
        envelope.persona_id.clone_from(&self.persona_id);
        request
    }

    /// Whether Meta takes it only within 24 hours of what the person last wrote.
    pub(super) fn needs_open_window(&self) -> bool {
        matches!(self.messaging_type, MessagingType::Response | MessagingType::Update)
    }

    /// Checks what does not depend on who gets it: the envelope, and each message's form.
    pub(super) fn check(&self, platform: Platform) -> Result<(), CampaignError> {
        let somebody = Recipient::Psid("1".to_owned());
        let templates = self.templates()?;
        for (place, template) in
            templates.iter().enumerate().flat_map(|(place, all)| all.iter().map(move |it| (place, it)))
        {
            let request = self.request(somebody.clone(), template.as_message());
            // Gaps may make a text, or a button's address, right or wrong: that is looked at for each recipient.
            if template.variables().is_empty() {
                request.check_for(platform).map_err(|source| CampaignError::Message { part: place + 1, source })?;
            } else {
                let envelope = request.envelope.check_for(platform);
                envelope.map_err(|source| CampaignError::Message { part: place + 1, source })?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const WHOLE: &str = r#"
name = "spring-sale"
messaging_type = "UPDATE"
recipients = "recipients.csv"

[[message]]
text = "Hi {first_name}, spring is here"
[[message]]
file = "hero.png"
[[message]]
message = { attachment = { type = "template", payload = { template_type = "media", elements = [ { media_type = "image", file = "hero.png" } ] } } }

[limits]
messages_per_second = 30
media_per_second = 10
stop_after_failures = "5%"
"#;

    fn parse(text: &str) -> Result<CampaignSpec, CampaignError> {
        CampaignSpec::parse(text, Path::new("c.toml"), PathBuf::from("/campaigns"))
    }

    fn error(text: &str) -> String {
        parse(text).expect_err("an error").to_string()
    }

    #[test]
    fn the_file_of_the_contract_is_read() {
        let spec = parse(WHOLE).unwrap();
        assert_eq!(spec.name.as_str(), "spring-sale");
        assert_eq!(spec.recipients, Path::new("/campaigns/recipients.csv"));
        let message = |part: usize| spec.message.parts[part].variants()[0].message.clone();
        assert_eq!(message(1), *json!({"attachment": {"payload": {"file": "hero.png"}}}).as_object().unwrap());
        assert_eq!(message(2)["attachment"]["payload"]["elements"][0]["file"], "hero.png");
        assert_eq!(spec.settings.stop_after_failures, Some(Portion::Percent(5.0)));
        assert_eq!(spec.settings.delivery, Guarantee::AtMostOnce);
        spec.message.check(Platform::Messenger).unwrap();
        let stored = serde_json::to_string(&spec.message).unwrap();
        assert_eq!(serde_json::from_str::<CampaignMessage>(&stored).unwrap(), spec.message);
        let stored = serde_json::to_string(&spec.settings).unwrap();
        assert_eq!(serde_json::from_str::<Settings>(&stored).unwrap(), spec.settings);
    }

    #[test]
    fn a_tester_who_is_named_twice_is_one() {
        let spec = parse(&format!("testers = [\"7\", 8, 7]\n{WHOLE}")).unwrap();
        assert_eq!(spec.settings.ramp.testers, ["7", "8"].map(|psid| psid.parse().unwrap()));
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        assert!(
            error(&WHOLE.replace("messaging_type", "mesaging_type"))
                .starts_with("c.toml, line 3: `mesaging_type` is unknown")
        );
        assert_eq!(
            error("name = \"a\"\nrecipients = \"r.csv\"\n[message]\ntext = \"Hi\""),
            "c.toml, line 3: a table stands where [[message]], once for each part, belongs"
        );
        assert!(error(&WHOLE.replace("\"UPDATE\"", "\"LOUD\"")).starts_with("c.toml, line 3:"));
        assert!(error(&WHOLE.replace("spring-sale", "spring sale")).starts_with("c.toml, line 2:"));
        assert!(error(&WHOLE.replace("\"5%\"", "\"all\"")).contains("write 50, or 5%"));
        assert!(
            error(&WHOLE.replace("file = \"hero.png\"\n", "file = \"hero.png\"\ntext = \"a\"\n")).contains("one of")
        );
    }
}
