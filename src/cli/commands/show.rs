//! `show`: all that is on record about one file, on every Page.

use crate::cli::args::ShowArgs;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::output::{shown, shown_text};
use crate::cli::values::human_size;
use crate::events::RecordedEvent;
use crate::ids::Asset;
use crate::record::{Derivation, Upload};

use super::recorded::{AliasNames, find, state, time_left};

pub(super) async fn run(context: &Context, args: ShowArgs) -> Result<Exit, Failure> {
    let record = context.record().await?;
    context.mention_doubts();
    let found = find(context, &*record, &args.reference).await?;
    let aliases = AliasNames::load(context, &*record).await?;
    for upload in &found {
        let sources = match &upload.key.asset {
            Asset::Bytes(hash) => record.sources_of(&[*hash]).await?,
            Asset::Url(_) => Vec::new(),
        };
        print(context, upload, &aliases, &sources);
    }
    Ok(Exit::Done)
}

fn print(context: &Context, upload: &Upload, aliases: &AliasNames, sources: &[Derivation]) {
    let output = &context.output;
    let state = state(context, upload);
    output.event(&RecordedEvent::new(upload, state, aliases.of(&upload.key.asset)).made_of(sources));
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
    let left = time_left(context, upload);
    output.result(output.palette.strong(&upload.attachment_id));
    for (name, value) in [
        ("file", upload.source.as_deref().map_or_else(|| "not known".into(), shown)),
        asset,
        ("kind", format!("{} ({}{size}{pixels})", upload.key.kind, upload.mime)),
        ("page", format!("{} on {}, for {}", space.page, space.origin, space.platform)),
        ("uploaded", upload.known_upload_time().map_or_else(|| "not known".into(), |time| time.to_string())),
        ("expires", upload.known_expiry().map_or_else(|| "not known".into(), |end| format!("{end} ({left})"))),
        ("state", state.to_owned()),
    ] {
        output.result(format_args!("  {name:<9} {value}"));
    }
    let names = aliases.row_of(&upload.key.asset);
    if !names.is_empty() {
        output.result(format_args!("  {:<9} {names}", "aliases"));
    }
    for Derivation { source, recipe, .. } in sources {
        output.result(format_args!("  {:<9} {source} ({recipe})", "copy of"));
    }
}
