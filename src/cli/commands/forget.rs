//! `forget`: strike a file's ids off the record.

use crate::cli::args::ForgetArgs;
use crate::cli::events::RecordedEvent;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::session::Context;
use crate::cli::values::count;

use super::recorded::Wanted;

pub(super) async fn run(context: &Context, args: ForgetArgs) -> Result<Exit, Failure> {
    let wanted = Wanted::new(context, &args.reference).await?;
    let record = context.record().await?;
    let found = wanted.find(context, &*record).await?;
    if found.is_empty() {
        return wanted.not_found(context);
    }
    for upload in &found {
        record.forget(&upload.key).await?;
        context.output.event(&RecordedEvent::new(upload, "forgotten"));
    }
    context.output.remark(format_args!("forgot {}", count(found.len() as u64, "id")));
    Ok(Exit::Done)
}
