//! `forget`: strike a file's ids off the record.

use crate::cli::args::ForgetArgs;
use crate::cli::events::RecordedEvent;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::session::Context;
use crate::cli::values::count;
use crate::ids::KeySpace;
use crate::record::{Record, UploadFilter};

use super::ls::each_recorded;
use super::resolve::hash_of;

pub(super) async fn run(context: &Context, args: ForgetArgs) -> Result<Exit, Failure> {
    let hash = hash_of(context, &args.reference).await?;
    let record = context.record().await?;
    let space = named_space(context, &*record).await?;
    let filter = UploadFilter { hash: Some(hash), space, ..UploadFilter::default() };
    let mut found = Vec::new();
    each_recorded(context, &*record, &filter, |upload| found.push(upload.clone())).await?;
    for upload in &found {
        record.forget(&upload.key).await?;
        context.output.event(&RecordedEvent::new(upload, "forgotten"));
    }
    if found.is_empty() {
        context.output.complain(format_args!("sha256:{hash} is not on record"));
        return Ok(Exit::SomeFailed);
    }
    context.output.remark(format_args!("forgot {}", count(found.len() as u64, "id")));
    Ok(Exit::Done)
}

/// Where to forget: on the Page asked for by name, or everywhere.
async fn named_space(context: &Context, record: &dyn Record) -> Result<Option<KeySpace>, Failure> {
    let settings = &context.settings;
    if context.global.page.is_none() {
        return Ok(None);
    }
    let page = context.page_id(record).await?;
    Ok(Some(KeySpace { origin: settings.origin.clone(), page, platform: settings.platform }))
}
