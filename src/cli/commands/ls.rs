//! `ls`: the ids on record.

use std::time::Duration;

use crate::cli::args::LsArgs;
use crate::cli::events::RecordedEvent;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::output::shown;
use crate::cli::session::Context;
use crate::cli::values::{human_size, human_span};
use crate::ids::KeySpace;
use crate::library::{PlanRules, staleness};
use crate::record::{Record, Upload, UploadFilter};

/// Rows read from the record at a time.
const ROWS: usize = 1_000;

/// What `sync` would renew unless told otherwise.
const USUAL: PlanRules = PlanRules { renew_within: Duration::from_hours(7 * 24), force: false };

pub(super) async fn run(context: &Context, _: LsArgs) -> Result<Exit, Failure> {
    let record = context.record().await?;
    let filter = UploadFilter::default();
    let listed = each_recorded(context, &*record, &filter, |upload| print(context, upload)).await?;
    if listed == 0 {
        context.output.remark("nothing is on record yet: `reattach sync FOLDER` uploads a library");
    }
    Ok(context.ending(Exit::Done))
}

/// Hands every recorded id the filter lets through to `each`, and counts them. Ids of other Graph origins are none of
/// ours, and with `--page` or `--platform` neither are those of other Pages or platforms.
pub(super) async fn each_recorded(
    context: &Context,
    record: &dyn Record,
    filter: &UploadFilter,
    mut each: impl FnMut(&Upload),
) -> Result<u64, Failure> {
    let page = match context.global.page {
        Some(_) => Some(context.page_id(record).await?),
        None => None,
    };
    let ours = |upload: &&Upload| {
        let KeySpace { origin, page: owner, platform } = &upload.key.space;
        *origin == context.settings.origin
            && page.as_ref().is_none_or(|page| page == owner)
            && context.global.platform.is_none_or(|asked| asked == *platform)
    };
    let mut listed = 0;
    let mut after = None;
    loop {
        let uploads = record.list(filter, after.as_ref(), ROWS).await?;
        for upload in uploads.iter().filter(ours) {
            each(upload);
            listed += 1;
        }
        match uploads.last() {
            Some(last) if uploads.len() == ROWS && !context.stop.is_requested() => after = Some(last.key.clone()),
            _ => return Ok(listed),
        }
    }
}

/// How an id stands: `live`, `due`, `expired`, `rejected` or `unknown_age`.
pub(super) fn state(context: &Context, upload: &Upload) -> &'static str {
    staleness(upload, context.clock.now(), USUAL).map_or("live", |reason| reason.as_str())
}

/// `89 d left`, or that there is nothing left.
pub(super) fn time_left(context: &Context, upload: &Upload) -> String {
    match upload.expires_at.since(context.clock.now()) {
        Duration::ZERO => "expired".to_owned(),
        left => format!("{} left", human_span(left)),
    }
}

fn print(context: &Context, upload: &Upload) {
    let output = &context.output;
    let state = state(context, upload);
    output.event(&RecordedEvent::new(upload, state));
    if output.is_json() {
        return;
    }
    let palette = output.palette;
    let state = format!("{state:<11}");
    let state = if state.starts_with("live") { palette.good(state) } else { palette.warning(state) };
    let name = upload.source.as_deref().map_or_else(|| format!("sha256:{}", upload.key.hash), shown);
    output.result(format_args!(
        "{:<20} {:<17} {:<5} {state} {:>12} {:>10}  {name}",
        upload.attachment_id.as_str(),
        upload.key.space.page.as_str(),
        upload.key.kind,
        time_left(context, upload),
        human_size(upload.size_bytes),
    ));
}
