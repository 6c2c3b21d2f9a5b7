//! `send`: one message, once. What Meta did not clearly refuse is never sent again.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Map, Value, json};

use crate::cli::args::{SendArgs, SendContent};
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::files;
use crate::cli::output::shown_text;
use crate::cli::session::Session;
use crate::events::SendEvent;
use crate::graph::{Content, Draft, GraphError, InvalidRequest, Message, SendRequest, SenderAction, Sent};
use crate::ids::{AttachmentId, MediaKind};
use crate::json;
use crate::library::{
    AssetLibrary, AssetRef, Carrier, Delivered, LibraryError, PlanRules, Prepared, ResolveOptions, Via,
};

use super::references::{must_exist, reference};

pub(super) async fn run(context: &Context, args: SendArgs) -> Result<Exit, Failure> {
    let mut recipient = args.to.as_ref().map(ToString::to_string).unwrap_or_default();
    let outcome = match Outgoing::read(context, &args).await {
        Ok(Some(outgoing)) => {
            recipient = outgoing.request.envelope.recipient.to_string();
            Box::pin(outgoing.deliver(context)).await
        }
        Ok(None) => Ok(Ended::Stopped),
        Err(failure) => Err(failure),
    };
    match outcome {
        Ok(Ended::Sent { request, sent }) => {
            context.output.event(&SendEvent::new(recipient).carrying(&request.content).sent(&sent));
            print_sent(context, &request, &sent);
            Ok(Exit::Done)
        }
        Ok(Ended::Failed { request, failure }) => {
            context.output.event(&ended_by(&failure, SendEvent::new(recipient).carrying(&request.content)));
            Err(failure)
        }
        Ok(Ended::Stopped) => Ok(Exit::Interrupted),
        Err(failure) => {
            context.output.event(&ended_by(&failure, SendEvent::new(recipient)));
            Err(failure)
        }
    }
}

/// The event of a message that is not known to have arrived.
fn ended_by<'a>(failure: &Failure, event: SendEvent<'a>) -> SendEvent<'a> {
    match failure.exit() {
        Exit::UnknownOutcome => event.doubtful(failure.body()),
        _ => event.failed(failure.body()),
    }
}

/// How it ended.
enum Ended {
    /// Meta has it.
    Sent { request: SendRequest, sent: Sent },
    /// It got as far as Meta, and failed or may have.
    Failed { request: SendRequest, failure: Failure },
    /// It was stopped before it was begun.
    Stopped,
}

/// A message as it was asked for: its references are still references.
struct Outgoing {
    request: SendRequest,
    /// Where its paths are read from.
    base: PathBuf,
    /// What is to be uploaded by this very message, and the kind it is sent as.
    save: Option<(AssetRef, Option<MediaKind>)>,
    /// The id it was given, and the kind that is sent as.
    given: Option<(AttachmentId, MediaKind)>,
    /// Whether a copy goes in the place of an image that does not fit.
    fit: bool,
}

impl Outgoing {
    /// Reads the command line, and what it names; `None` where it was told to stop over that. Nothing is asked of anybody
    /// yet.
    async fn read(context: &Context, args: &SendArgs) -> Result<Option<Self>, Failure> {
        let SendArgs { to, content, kind, payload, save, .. } = args;
        let (draft, base) = match content {
            SendContent { message: Some(file), .. } => {
                let Some(text) = files::read_unless(&context.stop, file).await? else { return Ok(None) };
                let base = file.parent().map(Path::to_owned).unwrap_or_default();
                (Draft::from_json(message_in(file, &text)?).map_err(GraphError::from)?, base)
            }
            SendContent { action: Some(word), .. } => {
                let action =
                    SenderAction::parse(word, payload.as_deref().map(json_or_text)).map_err(GraphError::from)?;
                let to = to.clone().ok_or(InvalidRequest::NoRecipient).map_err(GraphError::from)?;
                return Self::addressed(context, SendRequest::new(to, action), args, PathBuf::new(), None).map(Some);
            }
            _ => (Draft::Message(message(content, *kind)?), PathBuf::new()),
        };
        let request = draft.address(to.clone()).map_err(GraphError::from)?;
        let save = match content {
            SendContent { file: Some(path), .. } if *save => Some((AssetRef::File(path.clone()), *kind)),
            SendContent { url: Some(text), .. } | SendContent { asset: Some(text), .. } if *save => {
                Some((reference(text.as_ref())?, *kind))
            }
            _ => None,
        };
        Self::addressed(context, request, args, base, save).map(Some)
    }

    /// Puts the flags on the envelope, and checks the whole by Meta's rules.
    fn addressed(
        context: &Context,
        mut request: SendRequest,
        args: &SendArgs,
        base: PathBuf,
        save: Option<(AssetRef, Option<MediaKind>)>,
    ) -> Result<Self, Failure> {
        let envelope = &mut request.envelope;
        envelope.messaging_type = args.messaging_type.unwrap_or(envelope.messaging_type);
        envelope.tag = args.tag.clone().or(envelope.tag.take());
        envelope.notification_type = args.notification_type.or(envelope.notification_type);
        envelope.persona_id = args.persona_id.clone().or(envelope.persona_id.take());
        envelope.reply_to = args.reply_to.clone().or(envelope.reply_to.take());
        envelope.allow.retired_tags = args.allow_retired_tag;
        envelope.allow.attachment_lists = args.allow_attachments;
        if let (Some(metadata), Content::Message(message)) = (&args.metadata, &request.content) {
            request.content = message.clone().with_metadata(metadata).into();
        }
        request.check_for(context.settings.platform).map_err(GraphError::from)?;
        let given = args.content.attachment_id.clone().zip(args.kind);
        Ok(Self { request, base, save, given, fit: args.fit })
    }

    async fn deliver(self, context: &Context) -> Result<Ended, Failure> {
        let record = context.record().await?;
        let session = context.session(&*record).await?;
        let inspector = context.fitting(context.inspector_without_cache(), self.fit);
        let library = context.library(&session, record, inspector, 1, context.bars());
        let Self { request, base, save, given, .. } = self;
        if let Some((id, kind)) = given {
            check_given(&library, &id, kind).await?;
        }
        if let Some((asset, kind)) = save
            && let Some(delivered) = save_by_sending(context, &library, &request, &asset, kind).await?
        {
            return Ok(delivered);
        }
        let prepared = library.prepare(request, &base, PlanRules::HANDED_OUT).await.map_err(plainly)?;
        Ok(deliver(context, &session, &library, prepared).await)
    }
}

/// Refuses an id that is on record for another kind, Page or platform, and not for this.
async fn check_given(library: &AssetLibrary, id: &AttachmentId, kind: MediaKind) -> Result<(), Failure> {
    let (keys, space) = (library.keys_of(id).await?, library.space());
    let here: Vec<_> = keys.iter().filter(|key| key.space == *space).collect();
    match (here.first(), keys.first()) {
        (None, None) => Ok(()),
        (Some(_), _) if here.iter().any(|key| key.kind == kind) => Ok(()),
        (Some(key), _) => Err(Failure::Usage {
            message: format!("{id} was uploaded as {}, and cannot go as {kind}", key.kind),
            hint: format!("send it with --kind {}", key.kind),
        }),
        (None, Some(key)) => Err(Failure::AnothersId { id: id.clone(), space: Box::new(key.space.clone()) }),
    }
}

/// The message a flag stands for.
fn message(content: &SendContent, kind: Option<MediaKind>) -> Result<Message, Failure> {
    match content {
        SendContent { text: Some(text), .. } => Ok(Message::text(text)),
        SendContent { attachment_id: Some(id), .. } => {
            // The parser asks for the kind wherever an id is given.
            Ok(Message::attachment(kind.unwrap_or(MediaKind::File), id))
        }
        SendContent { file: Some(path), .. } => {
            must_exist(path)?;
            let path = path.to_str().ok_or_else(|| Failure::Usage {
                message: format!("the name of {} is not UTF-8", path.display()),
                hint: "resolve it first, and send it by --attachment-id".into(),
            })?;
            Ok(referring("file", path, kind))
        }
        SendContent { asset: Some(text), .. } => {
            if let AssetRef::File(path) = reference(text.as_ref())? {
                must_exist(&path)?;
            }
            Ok(referring("asset", text, kind))
        }
        SendContent { url, .. } => {
            let url = url.as_deref().unwrap_or_default();
            match reference(url.as_ref())? {
                AssetRef::Url(_) => Ok(referring("asset", url, kind)),
                _ => Err(Failure::Usage {
                    message: format!("{url:?} is not a web address"),
                    hint: "it begins with https://; a file on this machine is sent with --file".into(),
                }),
            }
        }
    }
}

/// A message of one reference. Its type, where it is not given, is found out with its id.
fn referring(key: &str, text: &str, kind: Option<MediaKind>) -> Message {
    let mut attachment = Map::new();
    attachment.extend(kind.map(|kind| ("type".to_owned(), json!(kind))));
    attachment.insert("payload".to_owned(), json!({ key: text }));
    Message::from_json(Map::from_iter([("attachment".to_owned(), Value::Object(attachment))]))
}

/// The JSON object `file` holds.
fn message_in(file: &Path, text: &[u8]) -> Result<Map<String, Value>, Failure> {
    let name = files::name(file);
    let strange = |message: String| Failure::Usage {
        message,
        hint: "write a message such as {\"text\": \"Hi\"}, or a whole Send API body".into(),
    };
    // Editors of some systems begin every file with a mark that is none of the text.
    let text = text.strip_prefix("\u{feff}".as_bytes()).unwrap_or(text);
    match json::from_slice(text) {
        Ok(Value::Object(message)) => Ok(message),
        Ok(_) => Err(strange(format!("{name} holds JSON, but no object"))),
        Err(error) => Err(strange(format!("{name} is not JSON: {error}"))),
    }
}

/// JSON where it is JSON, and a text otherwise.
fn json_or_text(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| text.into())
}

/// Uploads the asset with the message itself; `None` where it has a live id and so needs no upload.
async fn save_by_sending(
    context: &Context,
    library: &AssetLibrary,
    request: &SendRequest,
    asset: &AssetRef,
    kind: Option<MediaKind>,
) -> Result<Option<Ended>, Failure> {
    let via = Via::Send { envelope: Arc::new(request.envelope.clone()), again: true };
    let options = ResolveOptions { kind, via, ..ResolveOptions::uploading(PlanRules::HANDED_OUT) };
    let in_flight = InFlight { context, request, landed: false };
    let report = in_flight.until_landed(library.resolve(asset, &options)).await;
    let request = || match report.live_upload() {
        Some(upload) => {
            let message = Message::attachment(upload.key.kind, &upload.attachment_id);
            SendRequest { content: message.into(), ..request.clone() }
        }
        None => request.clone(),
    };
    match (&report.sent, report.live_upload()) {
        (Some(sent), Some(_)) => Ok(Some(Ended::Sent { request: request(), sent: sent.clone() })),
        (None, Some(_)) => Ok(None),
        (Some(sent), None) => {
            // It arrived; that no id came with it is another matter.
            context.output.note("sent, but Meta gave no id to send it by again");
            Ok(Some(Ended::Sent { request: request(), sent: sent.clone() }))
        }
        (None, None) => {
            let request = request();
            let failure = Failure::Library(report.reason(|| asset.to_string()));
            Ok(Some(Ended::Failed { request, failure }))
        }
    }
}

/// Sends it, and says how that ended.
async fn deliver(context: &Context, session: &Session, library: &AssetLibrary, prepared: Prepared) -> Ended {
    let failed = |request, failure: Failure| Ended::Failed { request, failure };
    match library.deliver(prepared, &Told { context, session }).await {
        Delivered::Sent { request, sent } => Ended::Sent { request, sent },
        Delivered::Failed { request, error } => failed(request, error.into()),
        Delivered::NotHealed { request, error } => failed(request, error.into()),
        Delivered::NewIdRefused { request, error } => {
            failed(request, Failure::NewIdRefused { page: Box::new(session.page.clone()), error })
        }
        Delivered::Stopped => Ended::Stopped,
    }
}

/// Sends as configured, and does not keep quiet about what was abandoned.
#[derive(Debug)]
struct Told<'a> {
    context: &'a Context,
    session: &'a Session,
}

#[async_trait]
impl Carrier for Told<'_> {
    async fn carry(&self, request: &SendRequest) -> Result<Sent, GraphError> {
        let request = as_configured(self.context, request);
        let in_flight = InFlight { context: self.context, request: &request, landed: false };
        in_flight.until_landed(self.session.graph.send(&self.session.page.id, &request)).await
    }
}

/// The request with the type Instagram is to get, where one is configured.
fn as_configured(context: &Context, request: &SendRequest) -> SendRequest {
    context.settings.attachment_type().map_or_else(|| request.clone(), |word| request.with_attachment_type(word))
}

/// A send that was begun. If it is abandoned, that is said: nobody can know whether it arrived.
struct InFlight<'a> {
    context: &'a Context,
    request: &'a SendRequest,
    landed: bool,
}

impl InFlight<'_> {
    async fn until_landed<T>(mut self, send: impl Future<Output = T>) -> T {
        let answer = send.await;
        self.landed = true;
        answer
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        if !self.landed {
            let event = SendEvent::new(self.request.envelope.recipient.to_string()).carrying(&self.request.content);
            self.context.output.event(&event.abandoned());
            self.context.output.complain("abandoned while it was being sent: the message may have arrived");
        }
    }
}

/// The failure without the words about a reference nobody wrote.
fn plainly(error: LibraryError) -> Failure {
    match error {
        LibraryError::Reference { cause, .. } => Failure::Library(cause),
        error => error.into(),
    }
}

fn print_sent(context: &Context, request: &SendRequest, sent: &Sent) {
    let output = &context.output;
    let mark = output.palette.good("✓");
    let what = shown_text(&request.content.describe());
    let id = shown_text(sent.message_id.as_deref().unwrap_or_default());
    let line = format!("{mark} sent {what} to {}  {id}", request.envelope.recipient);
    output.result(line.trim_end());
}
