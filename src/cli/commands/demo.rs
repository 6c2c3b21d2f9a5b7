//! `demo`: the whole story on a small library, against a sandbox in the same process.
//!
//! Each step runs the very command line it shows.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Parser;
use serde::Serialize;

use crate::cli::args::{Cli, DemoArgs, Global};
use crate::cli::config::{PageChoice, PageSettings, Settings};
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::output::shown;
use crate::cli::values::human_size;
use crate::events::SendEvent;
use crate::graph::{Message, SendRequest};
use crate::ids::{MediaKind, Platform, Recipient};
use crate::record::{Upload, UploadFilter};
use crate::sandbox::{self, Sandbox, SandboxOptions};
use crate::secret::AccessToken;

/// Whom the one message goes to, and after them the small campaign.
const FIRST_PERSON: u64 = 1_254_459_154_682_919;
/// How many people the small campaign writes to.
const AUDIENCE: usize = 24;

/// `{"event":"demo"}`: what the sandbox saw in the end.
#[derive(Debug, Serialize)]
struct DemoEvent {
    event: &'static str,
    uploads: u64,
    uploads_of_second_sync: u64,
    messages: u64,
    sends_by_id: u64,
    sends_by_url: u64,
}

pub(super) async fn run(context: &Context, args: DemoArgs) -> Result<Exit, Failure> {
    if !args.library.is_dir() {
        return Err(Failure::Usage {
            message: format!("there is no folder {}", shown(&args.library)),
            hint: "run the demo in the project's folder, or name a folder of pictures: reattach demo FOLDER".into(),
        });
    }
    let sandbox = sandbox::start(SandboxOptions::default()).await?;
    let store = TemporaryFolder::new()?;
    let demo = Demo { context: &in_sandbox(context, &sandbox, &store.0), library: &args.library, sandbox: &sandbox };
    let told = demo.tell().await;
    sandbox.shutdown().await?;
    told
}

/// The same context, with a store and a Graph API of its own.
fn in_sandbox(context: &Context, sandbox: &Sandbox, store: &Path) -> Context {
    let origin = sandbox.url().parse().expect("the sandbox listens on loopback");
    let token = AccessToken::new(sandbox.pages()[0].access_token).expect("the sandbox has tokens");
    Context {
        settings: Settings {
            store: store.to_owned(),
            server: None,
            origin,
            page: PageChoice::Chosen(PageSettings::with_token(token)),
            platform: Platform::Messenger,
            private: Arc::default(),
            ..context.settings.clone()
        },
        global: Global { page: None, platform: None, ..context.global.clone() },
        ..context.clone()
    }
}

struct Demo<'a> {
    context: &'a Context,
    library: &'a Path,
    sandbox: &'a Sandbox,
}

impl Demo<'_> {
    async fn tell(&self) -> Result<Exit, Failure> {
        let library = shown(self.library);
        self.step(1, "Look at every file: no token, no network", &["check", &library]).await?;
        self.step(2, "Upload what Meta does not have yet", &["sync", &library]).await?;
        let uploads = self.uploads();
        self.step(3, "Again: everything is known, nothing is sent", &["sync", &library]).await?;
        let uploads_of_second_sync = self.uploads() - uploads;
        if self.context.stop.is_requested() {
            return Ok(Exit::Interrupted);
        }
        let hero = self.hero().await?;
        let file = shown(&from_here(hero.source.as_deref().unwrap_or(self.library)));
        self.step(4, "What a bot asks: which id has this picture?", &["resolve", &file]).await?;
        let to = FIRST_PERSON.to_string();
        self.step(5, "Send it, by its id", &["send", "--to", &to, "--file", &file]).await?;
        if self.context.stop.is_requested() {
            return Ok(Exit::Interrupted);
        }
        self.campaign(&hero, &file).await?;
        Ok(self.conclude(uploads_of_second_sync))
    }

    /// Runs one command line, under its own heading.
    async fn step(&self, number: u8, title: &str, command: &[&str]) -> Result<(), Failure> {
        if self.context.stop.is_requested() {
            return Ok(());
        }
        let output = &self.context.output;
        self.heading(number, title);
        output.remark(output.palette.faint(format_args!("$ reattach {}", command.join(" "))));
        let words = std::iter::once("reattach").chain(command.iter().copied());
        let parsed = Cli::try_parse_from(words).map_err(|error| Failure::Usage {
            message: error.to_string(),
            hint: "the demo's folder has a name no command line can carry".into(),
        })?;
        // Rejected files are part of the story.
        Box::pin(super::run(self.context, parsed.command)).await?;
        output.flush();
        Ok(())
    }

    fn heading(&self, number: u8, title: &str) {
        let output = &self.context.output;
        let line = "─".repeat(72_usize.saturating_sub(title.chars().count()));
        output.remark(format_args!(
            "\n{} {}",
            output.palette.strong(format_args!("{number}  {title}")),
            output.palette.faint(line)
        ));
    }

    fn uploads(&self) -> u64 {
        self.sandbox.truth().counters.uploads_accepted
    }

    /// The picture of the story: one called hero, or else any.
    async fn hero(&self) -> Result<Upload, Failure> {
        let uploads = self.context.record().await?.list(&UploadFilter::default(), None, 1_000).await?;
        let is_hero = |upload: &Upload| {
            upload.source.as_ref().and_then(|path| path.file_stem()).is_some_and(|name| name == "hero")
        };
        let mut images: Vec<_> = uploads.into_iter().filter(|upload| upload.key.kind == MediaKind::Image).collect();
        images.sort_by_key(|upload| (!is_hero(upload), upload.source.clone()));
        images.into_iter().next().ok_or_else(|| Failure::Usage {
            message: format!("there is no picture in {}", shown(self.library)),
            hint: "the demo needs at least one that Messenger takes".into(),
        })
    }

    async fn campaign(&self, hero: &Upload, file: &str) -> Result<(), Failure> {
        let output = &self.context.output;
        let palette = output.palette;
        self.heading(6, &format!("The same picture to {AUDIENCE} people: one id, no more uploads"));
        let session = self.context.session(&*self.context.record().await?).await?;
        let name = Path::new(file).file_name().map_or_else(|| file.into(), |name| name.to_string_lossy());
        let mut sent = String::new();
        for person in (FIRST_PERSON..).skip(1).take(AUDIENCE) {
            let message = Message::attachment(hero.key.kind, &hero.attachment_id);
            let request = SendRequest::new(Recipient::Psid(person.to_string()), message);
            let receipt = session.graph.send(&session.page.id, &request).await?;
            output.event(&SendEvent::new(person.to_string()).carrying(&request.content).sent(&receipt));
            sent.push('●');
        }
        let id = palette.strong(&hero.attachment_id);
        output.remark(format_args!("  {name} ─▶ 1 upload ─▶ {id} ─▶ {} {AUDIENCE} sent", palette.good(sent)));
        Ok(())
    }

    /// What came of it, in the words of the one who saw all requests.
    fn conclude(&self, uploads_of_second_sync: u64) -> Exit {
        let output = &self.context.output;
        let truth = self.sandbox.truth();
        let sent_with = |key| truth.messages.iter().filter(|m| payload_has(&m.request, key)).count() as u64;
        let event = DemoEvent {
            event: "demo",
            uploads: truth.counters.uploads_accepted,
            uploads_of_second_sync,
            messages: truth.message_count,
            sends_by_id: sent_with("attachment_id"),
            sends_by_url: sent_with("url"),
        };
        output.event(&event);
        let bytes = truth.attachments.iter().filter_map(|a| a.file.as_ref()).map(|file| file.size_bytes).sum();
        output.remark(format_args!("\n{}", output.palette.strong("What the sandbox saw")));
        for (what, seen) in [
            ("uploads", format!("{}, {}", event.uploads, human_size(bytes))),
            ("by the second sync", event.uploads_of_second_sync.to_string()),
            ("messages", format!("{}: {} by id, {} by URL", event.messages, event.sends_by_id, event.sends_by_url)),
        ] {
            output.remark(format_args!("  {what:<19} {seen}"));
        }
        output.remark("\nWith a Page token in REATTACH_ACCESS_TOKEN the same commands work against Meta.");
        let as_promised =
            uploads_of_second_sync == 0 && event.messages == AUDIENCE as u64 + 1 && event.sends_by_id == event.messages;
        if as_promised { Exit::Done } else { Exit::Unexpected }
    }
}

/// The path as one would type it here.
fn from_here(path: &Path) -> PathBuf {
    let here = std::env::current_dir().unwrap_or_default();
    path.strip_prefix(here).unwrap_or(path).to_owned()
}

fn payload_has(request: &serde_json::Map<String, serde_json::Value>, key: &str) -> bool {
    request.get("message").and_then(|message| message.pointer("/attachment/payload")?.get(key)).is_some()
}

/// A folder that goes when the demo ends.
struct TemporaryFolder(PathBuf);

impl TemporaryFolder {
    fn new() -> Result<Self, Failure> {
        let path = std::env::temp_dir().join(format!("reattach-demo-{:016x}", fastrand::u64(..)));
        match std::fs::create_dir(&path) {
            Ok(()) => Ok(Self(path)),
            Err(source) => Err(Failure::File { action: "made", path, source }),
        }
    }
}

impl Drop for TemporaryFolder {
    fn drop(&mut self) {
        // What is left behind is a few kilobytes in the system's own place for such things.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
