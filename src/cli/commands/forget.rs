//! `forget`: strike a file's ids off the record.

use crate::cli::args::ForgetArgs;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::values::count;
use crate::events::RecordedEvent;

use super::recorded::{AliasNames, find};

pub(super) async fn run(context: &Context, args: ForgetArgs) -> Result<Exit, Failure> {
    let known = context.known_here().await?;
    let record = known.record();
    let found = find(context, &**record, &args.reference).await?;
    let aliases = AliasNames::load(context, &**record).await?;
    for upload in &found {
        known.forget(&upload.key).await?;
        context.output.event(&RecordedEvent::new(upload, "forgotten", aliases.of(&upload.key.asset)));
    }
    context.output.remark(format_args!("forgot {}", count(found.len() as u64, "id")));
    Ok(Exit::Done)
}
