//! `forget`: strike a file's ids off the record.

use crate::cli::args::ForgetArgs;
use crate::cli::events::RecordedEvent;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::session::Context;
use crate::cli::values::count;
use crate::record::UploadFilter;

use super::ls::each_recorded;
use super::resolve::hash_of;

pub(super) async fn run(context: &Context, args: ForgetArgs) -> Result<Exit, Failure> {
    let hash = hash_of(context, &args.reference).await?;
    let record = context.record().await?;
    let filter = UploadFilter { hash: Some(hash), ..UploadFilter::default() };
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
