//! `ls`: the ids on record.

use crate::cli::args::LsArgs;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::output::{shown, shown_text};
use crate::cli::values::human_size;
use crate::events::RecordedEvent;
use crate::record::{Upload, UploadFilter};

use super::recorded::{AliasNames, each_recorded, state, time_left};

pub(super) async fn run(context: &Context, _: LsArgs) -> Result<Exit, Failure> {
    let record = context.record().await?;
    context.mention_doubts();
    let filter = UploadFilter::default();
    let aliases = AliasNames::load(context, &*record).await?;
    let listed = each_recorded(context, &*record, &filter, |upload| print(context, upload, &aliases)).await?;
    if listed == 0 {
        context.output.remark("nothing is on record yet: `reattach sync FOLDER` uploads a library");
    }
    Ok(context.ending(Exit::Done))
}

fn print(context: &Context, upload: &Upload, aliases: &AliasNames) {
    let output = &context.output;
    let state = state(context, upload);
    output.event(&RecordedEvent::new(upload, state, aliases.of(&upload.key.asset)));
    if output.is_json() {
        return;
    }
    let palette = output.palette;
    let state = format!("{state:<11}");
    let state = if state.starts_with("live") { palette.good(state) } else { palette.warning(state) };
    let aliases = match aliases.row_of(&upload.key.asset) {
        names if names.is_empty() => names,
        names => palette.faint(format_args!("  {names}")),
    };
    let name = upload.source.as_deref().map_or_else(|| shown_text(&upload.key.asset.to_string()), shown);
    output.result(format_args!(
        "{:<20} {:<17} {:<5} {state} {:>12} {:>10}  {name}{}",
        upload.attachment_id.as_str(),
        upload.key.space.page.as_str(),
        upload.key.kind,
        time_left(context, upload),
        upload.known_size().map_or_else(String::new, human_size),
        aliases,
    ));
}
