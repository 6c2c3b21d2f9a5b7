//! `send`: one message, once. What Meta did not clearly refuse is never sent again.

use std::path::{Path, PathBuf};

use crate::cli::args::{SendArgs, SendContent};
use crate::cli::events::SendEvent;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::output::shown_text;
use crate::cli::session::{Context, Session};
use crate::graph::{GraphError, Message, Scope, SendRequest, Sent};
use crate::ids::MediaKind;
use crate::library::{AssetLibrary, AssetRef, LibraryError, UploadOnMiss};
use crate::media::Severity;

use super::references::{RULES, live_id, must_exist};

pub(super) async fn run(context: &Context, args: SendArgs) -> Result<Exit, Failure> {
    let recipient = args.to.to_string();
    let prepared = match Prepared::new(context, args).await {
        Ok(prepared) => prepared,
        Err(failure) => {
            context.output.event(&SendEvent::new(recipient).failed(&failure));
            return Err(failure);
        }
    };
    if context.stop.is_requested() {
        return Ok(Exit::Interrupted);
    }
    let (request, answer) = prepared.send(context).await?;
    let event = SendEvent::new(recipient).carrying(&request.message);
    match answer {
        Ok(sent) => {
            context.output.event(&event.sent(&sent));
            print_sent(context, &request, &sent);
            Ok(Exit::Done)
        }
        Err(error) => {
            let failure = Failure::from(error);
            context.output.event(&event.failed(&failure));
            Err(failure)
        }
    }
}

/// A message that is ready to be sent.
struct Prepared {
    session: Session,
    request: SendRequest,
    /// Where its attachment came from, if it was a file.
    file: Option<(AssetLibrary, PathBuf)>,
}

impl Prepared {
    /// The message, its file uploaded where it has no live id yet.
    async fn new(context: &Context, args: SendArgs) -> Result<Self, Failure> {
        let record = context.record().await?;
        let session = context.session(&*record).await?;
        let (message, file) = match args.content {
            SendContent { file: Some(path), .. } => {
                must_exist(&path)?;
                let library = context.library(&session, record, context.inspector_without_cache(), 1, context.bars());
                (attachment(&library, &path).await?, Some((library, path)))
            }
            SendContent { attachment_id: Some(attachment_id), .. } => {
                // The parser asks for the kind wherever an id is given.
                (Message::Attachment { kind: args.kind.unwrap_or(MediaKind::File), attachment_id }, None)
            }
            SendContent { text, .. } => (Message::Text(text.unwrap_or_default()), None),
        };
        let request = SendRequest::new(args.to, message);
        let request = SendRequest { messaging_type: args.messaging_type, tag: args.tag, ..request };
        Ok(Self { session, request, file })
    }

    /// Sends it. If Meta does not know the id of a file any more, the file is uploaded again and the message sent once
    /// more: that refusal, and no other, proves both that nothing was sent and that the id is of no use.
    async fn send(self, context: &Context) -> Result<(SendRequest, Result<Sent, GraphError>), Failure> {
        let Self { session, request, file } = self;
        let answer = send_once(context, &session, &request).await;
        match (&answer, file, &request.message) {
            (Err(error), Some((library, path)), Message::Attachment { attachment_id, .. })
                if error.scope() == Some(Scope::Attachment) =>
            {
                library.reject(&path, attachment_id).await?;
                let request = SendRequest { message: attachment(&library, &path).await?, ..request };
                let answer = send_once(context, &session, &request).await;
                Ok((request, answer))
            }
            _ => Ok((request, answer)),
        }
    }
}

async fn send_once(context: &Context, session: &Session, request: &SendRequest) -> Result<Sent, GraphError> {
    let in_flight = InFlight { context, request, landed: false };
    in_flight.until_landed(session.graph.send(&session.page.id, request)).await
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
            let event = SendEvent::new(self.request.recipient.to_string()).carrying(&self.request.message);
            self.context.output.event(&event.abandoned());
            self.context.output.complain("abandoned while it was being sent: the message may have arrived");
        }
    }
}

/// The file as an attachment, uploaded first if it has no live id.
async fn attachment(library: &AssetLibrary, path: &Path) -> Result<Message, Failure> {
    let report = library.resolve(&AssetRef::File(path.to_owned()), RULES, UploadOnMiss::Allowed).await;
    if let Some(upload) = live_id(&report) {
        return Ok(Message::Attachment { kind: upload.key.kind, attachment_id: upload.attachment_id.clone() });
    }
    let refused = report.problems.into_iter().find(|problem| problem.severity == Severity::Error);
    match (report.error, refused) {
        (None, Some(problem)) => Err(LibraryError::Unusable { path: path.to_owned(), problem }.into()),
        (error, _) => {
            Err(error.map_or_else(|| LibraryError::Changed { path: path.to_owned() }.into(), Failure::Library))
        }
    }
}

fn print_sent(context: &Context, request: &SendRequest, sent: &Sent) {
    let output = &context.output;
    let what = match &request.message {
        Message::Attachment { kind, attachment_id } => format!("{kind} {attachment_id}"),
        Message::Text(text) => format!("{} characters of text", text.chars().count()),
    };
    let mark = output.palette.good("✓");
    output.result(format_args!("{mark} sent {what} to {}  {}", request.recipient, shown_text(&sent.message_id)));
}
