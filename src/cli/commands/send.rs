//! `send`: one message, once. What Meta did not clearly refuse is never sent again.

use std::path::PathBuf;

use crate::cli::args::{SendArgs, SendContent};
use crate::cli::events::SendEvent;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::output::shown_text;
use crate::cli::session::{Context, Session};
use crate::graph::{Message, SendRequest, Sent};
use crate::ids::MediaKind;
use crate::library::{AssetLibrary, AssetRef, LibraryError, UploadOnMiss};
use crate::media::Severity;

use super::resolve::{RULES, live_id, must_exist};

pub(super) async fn run(context: &Context, args: SendArgs) -> Result<Exit, Failure> {
    let event = SendEvent::new(args.to.to_string());
    let (session, request) = match prepare(context, args).await {
        Ok(ready) => ready,
        Err(failure) => {
            context.output.event(&event.failed(&failure));
            return Err(failure);
        }
    };
    let event = event.carrying(&request.message);
    if context.stop.is_requested() {
        return Ok(Exit::Interrupted);
    }
    let in_flight = InFlight { context, request: &request, landed: false };
    match in_flight.until_landed(session.graph.send(&session.page.id, &request)).await {
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

/// The message, its file uploaded where it has no live id yet.
async fn prepare(context: &Context, args: SendArgs) -> Result<(Session, SendRequest), Failure> {
    let record = context.record().await?;
    let session = context.session(&*record).await?;
    let message = match args.content {
        SendContent { file: Some(path), .. } => {
            must_exist(&path)?;
            let library = context.library(&session, record, context.inspector_without_cache(), 1, context.bars());
            attachment(&library, path).await?
        }
        SendContent { attachment_id: Some(attachment_id), .. } => {
            // The parser asks for the kind wherever an id is given.
            Message::Attachment { kind: args.kind.unwrap_or(MediaKind::File), attachment_id }
        }
        SendContent { text, .. } => Message::Text(text.unwrap_or_default()),
    };
    let request = SendRequest::new(args.to, message);
    Ok((session, SendRequest { messaging_type: args.messaging_type, tag: args.tag, ..request }))
}

/// The file as an attachment, uploaded first if it has no live id.
async fn attachment(library: &AssetLibrary, path: PathBuf) -> Result<Message, Failure> {
    let report = library.resolve(&AssetRef::File(path.clone()), RULES, UploadOnMiss::Allowed).await;
    if let Some(upload) = live_id(&report) {
        return Ok(Message::Attachment { kind: upload.key.kind, attachment_id: upload.attachment_id.clone() });
    }
    let refused = report.problems.into_iter().find(|problem| problem.severity == Severity::Error);
    match (report.error, refused) {
        (None, Some(problem)) => Err(LibraryError::Unusable { path, problem }.into()),
        (error, _) => Err(error.map_or_else(|| LibraryError::Changed { path }.into(), Failure::Library)),
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
