//! `show`: all that is on record about one file, on every Page.

use crate::cli::args::ShowArgs;
use crate::cli::events::RecordedEvent;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::output::{shown, shown_text};
use crate::cli::session::Context;
use crate::cli::values::human_size;
use crate::ids::Asset;
use crate::record::{Derivation, Upload};

use super::recorded::{find, state, time_left};

pub(super) async fn run(context: &Context, args: ShowArgs) -> Result<Exit, Failure> {
    let record = context.record().await?;
    for upload in &find(context, &*record, &args.reference).await? {
        let sources = match &upload.key.asset {
            Asset::Bytes(hash) => record.sources_of(*hash).await?,
            Asset::Url(_) => Vec::new(),
        };
        print(context, upload, &sources);
    }
    Ok(Exit::Done)
}

fn print(context: &Context, upload: &Upload, sources: &[Derivation]) {
    let output = &context.output;
    let state = state(context, upload);
    output.event(&RecordedEvent::new(upload, state).made_of(sources));
    if output.is_json() {
        return;
    }
    let space = &upload.key.space;
    let size = upload.known_size().map_or_else(String::new, |bytes| format!(", {}", human_size(bytes)));
    let pixels = upload.dimensions.map_or_else(String::new, |d| format!(", {} × {} px", d.width, d.height));
    let asset = match &upload.key.asset {
        Asset::Bytes(hash) => ("sha256", hash.to_string()),
        Asset::Url(url) => ("url", shown_text(url.as_str())),
    };
    output.result(output.palette.strong(&upload.attachment_id));
    for (name, value) in [
        ("file", upload.source.as_deref().map_or_else(|| "not known".into(), shown)),
        asset,
        ("kind", format!("{} ({}{size}{pixels})", upload.key.kind, upload.mime)),
        ("page", format!("{} on {}, for {}", space.page, space.origin, space.platform)),
        ("uploaded", upload.uploaded_at.to_string()),
        ("expires", format!("{} ({})", upload.expires_at, time_left(context, upload))),
        ("state", state.to_owned()),
    ] {
        output.result(format_args!("  {name:<9} {value}"));
    }
    for Derivation { source, recipe, .. } in sources {
        output.result(format_args!("  {:<9} {source} ({recipe})", "copy of"));
    }
}
