//! `doctor`: checks everything the other commands rely on, and says what to do about each.

use std::fs;
use std::path::Path;
use std::time::Duration;

use rustix::fs::Access;
use serde::Serialize;

use crate::cache::{CacheNote, FileCache};
use crate::cli::config::PageSettings;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::output::{shown, shown_text};
use crate::cli::values::{count, human_size, human_span};
use crate::graph::{ApiVersion, GraphClient, Identity, SEND_PERMISSION, TokenFacts, TokenOwner};
use crate::record::{self, SqliteRecord, UploadFilter};

/// How long Meta may take to answer all questions together.
const PATIENCE: Duration = Duration::from_secs(10);
/// A clock this far off is worth a word; a proof of the app secret lives for five minutes.
const CLOCK_DRIFT: Duration = Duration::from_mins(2);
/// A clock this far off makes every age of an id wrong.
const CLOCK_WRONG: Duration = Duration::from_hours(1);
/// A token with less than this left is worth a word.
const TOKEN_ENDS_SOON: Duration = Duration::from_hours(14 * 24);
/// A disk with less than this left is worth a word.
const DISK_LOW_BYTES: u64 = 200 << 20;
/// Ids counted at a time.
const ROWS: usize = 1_000;

/// When versions of the Graph API begin and end. **Source**: Graph API changelog (read 2026-11).
const VERSIONS: [(&str, Option<&str>, Option<&str>); 3] = [
    ("v21.0", None, Some("2027-01-21")),
    ("v25.0", Some("2026-02-18"), Some("2028-07-29")),
    ("v26.0", Some("2026-07-29"), None),
];

/// `{"event":"doctor"}`: one for each check.
#[derive(Serialize)]
struct DoctorEvent<'a> {
    event: &'static str,
    check: &'static str,
    state: &'static str,
    message: &'a str,
    hint: Option<&'a str>,
}

/// `{"event":"doctor_summary"}`.
#[derive(Serialize)]
struct DoctorSummary {
    event: &'static str,
    ok: u64,
    warnings: u64,
    errors: u64,
}

/// How a check ended.
enum Finding {
    Fine(String),
    Warning(String, &'static str),
    /// What is wrong, what to do, and what that makes of the whole.
    Wrong(String, String, Exit),
}

use Finding::{Fine, Warning, Wrong};

pub(super) async fn run(context: &Context) -> Result<Exit, Failure> {
    let mut report = Report { context, ok: 0, warnings: 0, errors: 0, exit: Exit::Done };
    report.say("config", config(context));
    report.say("store", disk(&context.settings.store));
    report.say("record", record(context).await);
    report.say("cache", cache(context));
    report.say("api version", api_version(&context.settings.api_version, &today(context)));
    match client(context) {
        Ok(client) => online(context, &client, &mut report).await,
        Err(failure) => report.say("token", wrong(&failure)),
    }
    Ok(report.close())
}

/// What is said, and how it adds up.
struct Report<'a> {
    context: &'a Context,
    ok: u64,
    warnings: u64,
    errors: u64,
    exit: Exit,
}

impl Report<'_> {
    fn say(&mut self, check: &'static str, finding: Finding) {
        let output = &self.context.output;
        let palette = output.palette;
        let (state, mark, message, hint) = match finding {
            Fine(message) => ("ok", palette.good("✓"), message, None),
            Warning(message, hint) => ("warning", palette.warning("!"), message, Some(hint.to_owned())),
            Wrong(message, hint, exit) => {
                // The first thing that is wrong is mostly the reason of the others.
                if self.exit == Exit::Done {
                    self.exit = exit;
                }
                ("error", palette.bad("✗"), message, Some(hint))
            }
        };
        match state {
            "ok" => self.ok += 1,
            "warning" => self.warnings += 1,
            _ => self.errors += 1,
        }
        output.event(&DoctorEvent { event: "doctor", check, state, message: &message, hint: hint.as_deref() });
        output.result(format_args!("{mark} {check:<12} {}", shown_text(&message)));
        if let Some(hint) = hint.filter(|hint| !hint.is_empty()) {
            output.result(format_args!("               {} {}", palette.strong("hint:"), shown_text(&hint)));
        }
        output.flush();
    }

    fn close(self) -> Exit {
        let Self { context, ok, warnings, errors, exit } = self;
        context.output.event(&DoctorSummary { event: "doctor_summary", ok, warnings, errors });
        let summary = match (warnings, errors) {
            (0, 0) => "all is well".to_owned(),
            _ => format!("{}, {}", count(warnings, "warning"), count(errors, "error")),
        };
        context.output.remark(format_args!("\n{summary}"));
        context.ending(exit)
    }
}

/// A failure as a finding.
fn wrong(failure: &Failure) -> Finding {
    Wrong(failure.message(), failure.hint().unwrap_or_default(), failure.exit())
}

fn config(context: &Context) -> Finding {
    let settings = &context.settings;
    let from = settings.config.as_deref().map_or_else(|| "no configuration file".to_owned(), shown);
    match settings.page.chosen() {
        Ok(_) => Fine(format!("{from}; {} at {}", settings.platform, settings.origin)),
        Err(error) => wrong(&Failure::Config(error)),
    }
}

fn client(context: &Context) -> Result<GraphClient, Failure> {
    let page = context.settings.page.chosen()?;
    context.graph_client(page, page.access_token()?)
}

/// Everything Meta has to be asked.
async fn online(context: &Context, client: &GraphClient, report: &mut Report<'_>) {
    let asking = async {
        let identity = client.me().await;
        let facts = if identity.is_ok() { client.inspect_token().await.ok() } else { None };
        (identity, facts)
    };
    let Ok((identity, facts)) = tokio::time::timeout(PATIENCE, asking).await else {
        let message = format!("{} has not answered for {}", context.settings.origin, human_span(PATIENCE));
        report.say("network", Wrong(message, "check the network and the proxy settings".into(), Exit::TryLater));
        return;
    };
    match identity {
        Ok(identity) => {
            report.say("network", Fine(format!("{} answers", context.settings.origin)));
            report.say("token", token(context, &identity));
            report.say("permission", permission(context, facts.as_ref()));
        }
        Err(error) => report.say("token", wrong(&Failure::Graph(error))),
    }
    report.say("app secret", app_secret(context));
    report.say("clock", clock(client));
}

fn token(context: &Context, identity: &Identity) -> Finding {
    let name = identity.name.as_deref().unwrap_or("without a name");
    let expected = context.settings.page.chosen().ok().and_then(|page| page.id.as_ref());
    match (&identity.owner, expected) {
        (Some(TokenOwner::User | TokenOwner::Other(_)), _) => Wrong(
            format!("belongs to {name} ({}), and not to a Page", identity.id),
            "ask Meta for the Page's own token: GET /me/accounts with this one lists them".into(),
            Exit::Credentials,
        ),
        (_, Some(expected)) if *expected != identity.id => Wrong(
            format!("belongs to the Page {name} ({}), not to {expected}", identity.id),
            "use that Page's token, or correct the id in the configuration".into(),
            Exit::Credentials,
        ),
        _ => Fine(format!("belongs to the Page {name} ({})", identity.id)),
    }
}

fn permission(context: &Context, facts: Option<&TokenFacts>) -> Finding {
    let Some(facts) = facts else {
        return Warning(
            "Meta does not tell this token what it may do".into(),
            "look at it in the access token debugger: it needs pages_messaging",
        );
    };
    if !facts.is_valid {
        let why = facts.error.as_deref().unwrap_or("it is not valid");
        return Wrong(why.to_owned(), "make a new Page access token".into(), Exit::Credentials);
    }
    if facts.lacks_send_permission() {
        let message = format!("{SEND_PERMISSION} is missing; there is {}", facts.scopes.join(", "));
        return Wrong(message, format!("ask for {SEND_PERMISSION} when the token is made"), Exit::Credentials);
    }
    let left = facts.expires_at.map(|end| end.since(context.clock.now()));
    match left {
        Some(left) if left < TOKEN_ENDS_SOON => Warning(
            format!("{SEND_PERMISSION}, but the token ends in {}", human_span(left)),
            "make a long-lived Page access token, which does not end",
        ),
        Some(left) => Fine(format!("{SEND_PERMISSION}; the token ends in {}", human_span(left))),
        None => Fine(format!("{SEND_PERMISSION}; the token does not end")),
    }
}

fn app_secret(context: &Context) -> Finding {
    match context.settings.page.chosen().map(PageSettings::app_secret) {
        Ok(Ok(Some(_))) => Fine("every call proves that it knows it".into()),
        Ok(Ok(None)) => Warning(
            "none is set: whoever has the token can use it".into(),
            "set REATTACH_APP_SECRET, and \"Require App Secret\" in the app's settings",
        ),
        Ok(Err(error)) => wrong(&Failure::Credentials(error)),
        Err(error) => wrong(&Failure::Config(error)),
    }
}

fn clock(client: &GraphClient) -> Finding {
    let Some(skew) = client.clock_skew() else {
        return Warning("Meta has not said what time it is".into(), "compare the clock yourself");
    };
    let side = if skew.ahead_millis > 0 { "behind" } else { "ahead of" };
    let message = format!("{} {side} Meta's", human_span(skew.size()));
    match skew.size() {
        apart if apart >= CLOCK_WRONG => Wrong(
            message,
            "set the clock: until then, ages go by Meta's where it can be asked".into(),
            Exit::Unexpected,
        ),
        apart if apart >= CLOCK_DRIFT => {
            Warning(message, "set the clock: proofs of the app secret live for five minutes")
        }
        _ => Fine("agrees with Meta's".into()),
    }
}

/// Today, as `2026-11-24`.
fn today(context: &Context) -> String {
    context.clock.now().to_string().chars().take(10).collect()
}

fn api_version(version: &ApiVersion, today: &str) -> Finding {
    let version = version.to_string();
    let known = VERSIONS.iter().find(|(name, ..)| *name == version);
    match known {
        Some((_, _, Some(end))) if *end <= today => {
            Wrong(format!("{version} ended on {end}"), "choose another with --api-version".into(), Exit::Usage)
        }
        Some((_, since, end)) => {
            let since = since.map_or_else(String::new, |since| format!(", since {since}"));
            let end = end.map_or_else(|| ", with no end named yet".to_owned(), |end| format!(", until {end}"));
            Fine(format!("{version}{since}{end}"))
        }
        None => Warning(
            format!("when {version} begins and ends is not known here"),
            "see Meta's changelog of the Graph API: a version lives for about two years",
        ),
    }
}

async fn record(context: &Context) -> Finding {
    let path = context.settings.record_file();
    let server = context.settings.server.as_ref();
    let place = server.map_or_else(|| shown(&path), |server| shown_text(&server.to_string()));
    if server.is_none() && !SqliteRecord::is_begun(&path) {
        let folder = existing_above(&path);
        return match rustix::fs::access(folder, Access::WRITE_OK | Access::EXEC_OK) {
            Ok(()) => Fine(format!("none yet; the first upload makes {place}")),
            Err(error) => Wrong(
                format!("{place} cannot be made: {}: {error}", shown(folder)),
                "make the folder writable, or choose another place with --store".into(),
                Exit::Store,
            ),
        };
    }
    let checked = async {
        let record = match server {
            Some(server) => record::connect(server).await?,
            None => record::open(&path).await?,
        };
        record.verify().await?;
        record.check_writable().await?;
        let (mut ids, mut after) = (0, None);
        loop {
            let uploads = record.list(&UploadFilter::default(), after.as_ref(), ROWS).await?;
            ids += uploads.len() as u64;
            match uploads.into_iter().next_back() {
                Some(last) if ids.is_multiple_of(ROWS as u64) => after = Some(last.key),
                _ => return Ok((ids, record.count_orphans().await?)),
            }
        }
    };
    match checked.await {
        Ok((ids, 0)) => Fine(format!("sound, {} in {place}", count(ids, "id"))),
        Ok((ids, orphans)) => {
            let orphans = count(orphans, "upload");
            Fine(format!("sound, {} in {place} ({orphans} whose id nobody will use)", count(ids, "id")))
        }
        Err(error) => wrong(&Failure::Record(error)),
    }
}

fn cache(context: &Context) -> Finding {
    let folder = context.settings.cache_folder();
    let set_aside = set_aside(&context.settings.store);
    if !folder.exists() {
        return Fine("none yet".into());
    }
    match FileCache::open(&folder, &*context.machine_clock).note {
        Some(note @ CacheNote::HeldByAnother { .. }) => {
            Warning(note.to_string(), "this goes on without it, more slowly")
        }
        Some(note) => Warning(note.to_string(), "nothing is lost: files are read again"),
        None if set_aside > 0 => Warning(
            format!("works; {} lie beside it", count(set_aside, "damaged cache")),
            "the folders named cache.corrupt-… can be deleted",
        ),
        None => Fine("works".into()),
    }
}

/// Damaged caches that were set aside.
fn set_aside(store: &Path) -> u64 {
    let entries = fs::read_dir(store).into_iter().flatten().flatten();
    entries.filter(|entry| entry.file_name().to_string_lossy().contains(".corrupt-")).count() as u64
}

/// The folder that is there of those `path` lies in, the nearest.
fn existing_above(path: &Path) -> &Path {
    path.ancestors().find(|folder| folder.is_dir()).unwrap_or(Path::new("."))
}

fn disk(store: &Path) -> Finding {
    match rustix::fs::statvfs(existing_above(store)) {
        Ok(stat) => {
            let free = stat.f_bavail.saturating_mul(stat.f_frsize);
            let message = format!("{} free for {}", human_size(free), shown(store));
            if free < DISK_LOW_BYTES {
                Warning(message, "make room: what cannot be recorded is not sent")
            } else {
                Fine(message)
            }
        }
        Err(error) => Wrong(
            format!("{} cannot be looked at: {error}", shown(store)),
            "choose another place with --store".into(),
            Exit::Store,
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(version: &str, today: &str) -> Finding {
        api_version(&version.parse().expect("a version"), today)
    }

    #[test]
    fn a_version_is_judged_by_the_day() {
        assert!(
            matches!(version("v25.0", "2026-11-24"), Fine(text) if text == "v25.0, since 2026-02-18, until 2028-07-29")
        );
        assert!(matches!(version("v26.0", "2026-11-24"), Fine(text) if text.contains("no end")));
        assert!(matches!(version("v21.0", "2027-01-20"), Fine(_)));
        assert!(matches!(version("v21.0", "2027-01-21"), Wrong(_, _, Exit::Usage)));
        assert!(matches!(version("v99.0", "2026-11-24"), Warning(..)));
    }
}
