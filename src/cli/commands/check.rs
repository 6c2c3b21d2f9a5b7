//! `check`: what the platform would say of every file.

use crate::cli::args::CheckArgs;
use crate::cli::assets::{exit_for, print_check_summary, print_report};
use crate::cli::context::{Context, reporter};
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::library::{CheckOptions, check};

pub(super) async fn run(context: &Context, args: CheckArgs) -> Result<Exit, Failure> {
    let options = CheckOptions {
        scan: args.selection.scan_options(&context.settings.private),
        platform: context.settings.platform,
    };
    let bars = context.bars();
    let inspector = context.fitting(context.inspector(), args.fit_dry_run);
    let summary = check(&inspector, &args.selection.paths, &options, reporter(bars.clone()), &context.stop, |report| {
        print_report(&context.output, report, None);
    })
    .await?;
    if let Some(bars) = bars {
        bars.clear();
    }
    print_check_summary(&context.output, &summary);
    Ok(context.ending(exit_for(&summary)))
}
