//! `refresh`: renew ids, and upload nothing that never was.

use crate::cli::args::RefreshArgs;
use crate::cli::assets::print_sync_summary;
use crate::cli::context::{Context, WhenAway};
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::values::count;
use crate::library::{AssetLibrary, AssetRef, AssetReport, PlanRules, RefreshOptions, Renewal};

use super::crew::Crew;
use super::references::{inspector_for, must_exist, reference};

pub(super) async fn run(context: &Context, args: RefreshArgs) -> Result<Exit, Failure> {
    let references = args.references.iter().map(|text| reference(text)).collect::<Result<Vec<_>, _>>()?;
    references.iter().try_for_each(|reference| match reference {
        AssetRef::File(path) => must_exist(path),
        _ => Ok(()),
    })?;
    let inspector = || if args.all_due { context.inspector() } else { inspector_for(context, &references) };
    let crew = Crew::gather(context, inspector, args.portion.concurrency.into(), WhenAway::Fail).await?;
    if crew.libraries.is_empty() {
        return crew.close(Vec::new(), print_sync_summary);
    }
    let options = RefreshOptions {
        rules: PlanRules { renew_within: args.portion.renew_within, force: args.force },
        dry_run: args.dry_run,
        max_uploads: args.portion.max_uploads,
        max_bytes: args.portion.max_bytes,
    };
    let print = |page: usize, report: &AssetReport| crew.print(page, report);
    let renewal = if args.all_due { Renewal::AllDue } else { Renewal::Of(references.clone()) };
    let refreshed = AssetLibrary::refresh_all(&crew.libraries, &renewal, &options, &context.stop, print).await?;
    let replaced: u64 = refreshed.iter().map(|page| page.replaced).sum();
    if replaced > 0 {
        let ids = count(replaced, "id");
        context.output.note(format_args!(
            "{ids} of replaced files left to end; where such a file lies elsewhere now, `reattach sync` that place"
        ));
    }
    crew.close(refreshed, print_sync_summary)
}
