//! `sync`: upload what is missing or due, reuse the rest.

use std::cell::LazyCell;
use std::sync::Arc;

use crate::cli::args::{SyncArgs, Way};
use crate::cli::assets::{print_in_full, print_sync_summary};
use crate::cli::context::{Context, WhenAway};
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::graph::{Envelope, GraphError};
use crate::library::{AssetLibrary, AssetReport, PlanRules, SyncOptions, Via, WatchOptions};

use super::crew::Crew;
use super::watch;

pub(super) async fn run(context: &Context, args: SyncArgs) -> Result<Exit, Failure> {
    let options = SyncOptions {
        scan: args.selection.scan_options(&context.settings.private),
        rules: PlanRules { renew_within: args.portion.renew_within, force: args.force },
        dry_run: args.dry_run || args.fit_dry_run,
        max_uploads: args.portion.max_uploads,
        max_bytes: args.portion.max_bytes,
        via: via(context, &args).await?,
    };
    let inspector = || context.fitting(context.inspector(), args.fit || args.fit_dry_run);
    if args.watch {
        let inspector = LazyCell::new(inspector);
        let known = context.known(|| Arc::clone(&inspector.cache), WhenAway::Fail).await?;
        let session = context.session(&*known).await?;
        let (record, inspector) = (Arc::clone(known.record()), inspector.clone());
        let library = context.library(&session, record, inspector, args.portion.concurrency.into(), None);
        let library = library.with_known(known);
        let options = WatchOptions { sync: options, settle: args.settle };
        return watch::run(context, &library, &args.selection.paths, &options).await;
    }
    let crew = Crew::gather(context, inspector, args.portion.concurrency.into(), WhenAway::Fail).await?;
    if crew.libraries.is_empty() {
        return crew.close(Vec::new(), print_sync_summary);
    }
    let print = |page: usize, report: &AssetReport| match &report.fitted {
        Some(_) if args.fit_dry_run => print_in_full(&context.output, report, crew.page(page)),
        _ => crew.print(page, report),
    };
    let roots = &args.selection.paths;
    let synced = AssetLibrary::sync_all(&crew.libraries, roots, &options, &context.stop, print).await?;
    crew.close(synced, print_sync_summary)
}

/// How files get to Meta. That somebody gets a message for each is worth a question.
async fn via(context: &Context, args: &SyncArgs) -> Result<Via, Failure> {
    let to = match (args.via, &args.to) {
        (Way::Send, Some(to)) => to,
        (Way::Upload, Some(to)) => {
            return Err(Failure::Usage {
                message: format!("{to} would get nothing: without --via send, files are uploaded unseen"),
                hint: "add --via send, or leave --to out".into(),
            });
        }
        (_, None) => return Ok(Via::Upload),
    };
    // Nobody has the same id on two Pages.
    context.settings.page.chosen()?;
    let mut envelope = Envelope::new(to.clone());
    envelope.messaging_type = args.messaging_type.unwrap_or_default();
    envelope.tag.clone_from(&args.tag);
    envelope.check_for(context.settings.platform).map_err(GraphError::from)?;
    if !args.dry_run && !args.fit_dry_run {
        context.confirm(&format!("{to} will get a message with each file that has no live id.")).await?;
    }
    Ok(Via::Send { envelope: Arc::new(envelope), again: args.force })
}
