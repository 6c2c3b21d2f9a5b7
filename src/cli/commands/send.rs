//! `send`: one message, once. What Meta did not clearly refuse is never sent again.

use std::path::PathBuf;

use crate::cli::args::{SendArgs, SendContent};
use crate::cli::assets::describe;
use crate::cli::events::SendEvent;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::output::shown_text;
use crate::cli::session::Context;
use crate::graph::{Message, SendRequest, Sent};
use crate::ids::MediaKind;
use crate::library::{AssetLibrary, AssetRef, AssetReport, UploadOnMiss};

use super::resolve::{RULES, live_id};

pub(super) async fn run(context: &Context, args: SendArgs) -> Result<Exit, Failure> {
    let record = context.record().await?;
    let session = context.session(&*record).await?;
    let message = match args.content {
        SendContent { file: Some(path), .. } => {
            let library = context.library(&session, record, context.inspector_without_cache(), 1, context.bars());
            match attachment(&library, path).await {
                Ok(message) => message,
                Err(report) => return unsendable(context, &report),
            }
        }
        SendContent { attachment_id: Some(attachment_id), .. } => {
            // The parser asks for the kind wherever an id is given.
            Message::Attachment { kind: args.kind.unwrap_or(MediaKind::File), attachment_id }
        }
        SendContent { text, .. } => Message::Text(text.unwrap_or_default()),
    };
    let request =
        SendRequest { messaging_type: args.messaging_type, tag: args.tag, ..SendRequest::new(args.to, message) };
    match session.graph.send(&session.page.id, &request).await {
        Ok(sent) => {
            print_sent(context, &request, &sent);
            Ok(Exit::Done)
        }
        Err(error) => {
            let failure = Failure::from(error);
            context.output.event(&SendEvent::failed(&request, &failure));
            failure.print(&context.output);
            Ok(failure.exit())
        }
    }
}

/// The file as an attachment, uploaded first if it has no live id; what became of it if it gets none.
async fn attachment(library: &AssetLibrary, path: PathBuf) -> Result<Message, Box<AssetReport>> {
    let report = library.resolve(&AssetRef::File(path), RULES, UploadOnMiss::Allowed).await;
    match live_id(&report) {
        Some(upload) => Ok(Message::Attachment { kind: upload.key.kind, attachment_id: upload.attachment_id.clone() }),
        None => Err(Box::new(report)),
    }
}

/// Nothing was sent, because the file has no id.
fn unsendable(context: &Context, report: &AssetReport) -> Result<Exit, Failure> {
    context.output.event(&crate::cli::events::AssetEvent::new(report));
    if let Some(error) = &report.error {
        return Err(Failure::of_library(error));
    }
    context.output.complain(describe(context.output.palette, report));
    Ok(Exit::SomeFailed)
}

fn print_sent(context: &Context, request: &SendRequest, sent: &Sent) {
    let output = &context.output;
    output.event(&SendEvent::sent(request, sent));
    let what = match &request.message {
        Message::Attachment { kind, attachment_id } => format!("{kind} {attachment_id}"),
        Message::Text(text) => format!("{} characters of text", text.chars().count()),
    };
    let mark = output.palette.good("✓");
    output.result(format_args!("{mark} sent {what} to {}  {}", request.recipient, shown_text(&sent.message_id)));
}
