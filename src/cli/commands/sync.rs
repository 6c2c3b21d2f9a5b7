//! `sync`: upload what is missing or due, reuse the rest.

use std::sync::Arc;

use crate::cli::args::{SyncArgs, Way};
use crate::cli::assets::{exit_for, print_in_full, print_report, print_sync_summary};
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::session::Context;
use crate::graph::{Envelope, GraphError};
use crate::library::{PlanRules, SyncOptions, Via};

pub(super) async fn run(context: &Context, args: SyncArgs) -> Result<Exit, Failure> {
    let output = &context.output;
    let options = SyncOptions {
        scan: args.selection.scan_options(&context.settings.private),
        rules: PlanRules { renew_within: args.renew_within, force: args.force },
        dry_run: args.dry_run || args.fit_dry_run,
        max_uploads: args.max_uploads,
        max_bytes: args.max_bytes,
        via: via(context, &args)?,
    };
    let record = context.record().await?;
    let session = context.session(&*record).await?;
    let bars = context.bars();
    let inspector = context.fitting(context.inspector(), args.fit || args.fit_dry_run);
    let library = context.library(&session, record, inspector, args.concurrency.into(), bars.clone());
    let synced = library
        .sync(&args.selection.paths, &options, &context.stop, |report| {
            if args.fit_dry_run && report.fitted.is_some() {
                print_in_full(output, report);
            } else {
                print_report(output, report);
            }
            output.flush();
        })
        .await?;
    if let Some(bars) = bars {
        bars.end();
    }
    print_sync_summary(output, &synced.summary);
    match synced.halted_by {
        Some(error) => Err(Failure::of_library(&error)),
        None => Ok(context.ending(exit_for(&synced.summary))),
    }
}

/// How files get to Meta. That somebody gets a message for each is worth a question.
fn via(context: &Context, args: &SyncArgs) -> Result<Via, Failure> {
    let (Way::Send, Some(to)) = (args.via, &args.to) else { return Ok(Via::Upload) };
    let mut envelope = Envelope::new(to.clone());
    envelope.messaging_type = args.messaging_type.unwrap_or_default();
    envelope.tag.clone_from(&args.tag);
    envelope.check_for(context.settings.platform).map_err(GraphError::from)?;
    if !args.dry_run && !args.fit_dry_run {
        context.confirm(&format!("{to} will get a message with each file that has no live id."))?;
    }
    Ok(Via::Send(Arc::new(envelope)))
}
