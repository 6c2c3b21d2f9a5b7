//! `import`: ids from a manifest onto the record.

use crate::cli::args::ImportArgs;
use crate::cli::context::Context;
use crate::cli::events::{ImportEvent, ImportSummaryEvent};
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::files;
use crate::cli::output::{Output, Palette, shown_text};
use crate::cli::values::{count, thousands};
use crate::ids::KeySpace;
use crate::library::{ImportOptions, ImportOutcome, ImportReport, ImportSummary, import, manifest};
use crate::record::UploadState;

pub(super) async fn run(context: &Context, args: ImportArgs) -> Result<Exit, Failure> {
    let Some(text) = files::read_unless(&context.stop, &args.file).await? else { return Ok(Exit::Interrupted) };
    let entries = manifest::read(&text).map_err(|error| Failure::Usage {
        message: format!("{} cannot be imported: {error}", files::name(&args.file)),
        hint: error.hint().to_owned(),
    })?;
    let record = context.record().await?;
    let options = ImportOptions {
        space: KeySpace {
            origin: context.settings.origin.clone(),
            page: context.page_id(&*record).await?,
            platform: context.settings.platform,
        },
        library: args.library.unwrap_or_else(|| files::folder_of(&args.file)),
        url_query: context.settings.url_query,
        dry_run: args.dry_run,
    };
    // Only names alone lead to files that have to be looked at.
    let needs_files = entries.iter().flatten().any(|entry| entry.asset.is_none());
    let inspector = if needs_files { context.inspector() } else { context.inspector_without_cache() };
    let now = context.clock.now();
    let summary = import(&inspector, &*record, entries, &options, now, |report| print(&context.output, report)).await?;
    print_summary(&context.output, &summary);
    let some_failed = summary.rejected + summary.failed > 0;
    Ok(context.ending(if some_failed { Exit::SomeFailed } else { Exit::Done }))
}

fn print(output: &Output, report: &ImportReport) {
    output.event(&ImportEvent::new(report));
    if output.is_json() {
        return;
    }
    if report.error.is_some() {
        output.result(describe(output.palette, report));
    } else if report.outcome != ImportOutcome::Kept || output.is_verbose() || !report.aliases_kept.is_empty() {
        output.remark(describe(output.palette, report));
    }
}

fn describe(palette: Palette, report: &ImportReport) -> String {
    let mark = match report.outcome {
        ImportOutcome::Imported => palette.good("✓"),
        ImportOutcome::Planned => palette.strong("+"),
        ImportOutcome::Kept => palette.good("="),
        ImportOutcome::Rejected | ImportOutcome::Failed => palette.bad("✗"),
    };
    let is_in = matches!(report.outcome, ImportOutcome::Imported | ImportOutcome::Planned);
    let id = report.upload.as_ref().map_or_else(String::new, |upload| {
        let has_no_age = is_in && upload.state == UploadState::UnknownAge;
        let age = if has_no_age { palette.faint("  of unknown age") } else { String::new() };
        format!("  {}{age}", upload.attachment_id)
    });
    let mut lines = vec![format!("{mark} {:<9} {}{id}", report.outcome.as_str(), shown_text(&report.name))];
    if let Some(error) = &report.error {
        lines.push(format!("    {}", shown_text(&error.to_string())));
        lines.extend(error.hint().map(|hint| palette.faint(format_args!("    → {hint}"))));
    }
    let stubborn = |name| palette.warning(format_args!("    {name} goes on standing for something else"));
    lines.extend(report.aliases_kept.iter().map(stubborn));
    lines.join("\n")
}

fn print_summary(output: &Output, summary: &ImportSummary) {
    output.event(&ImportSummaryEvent::new(summary));
    let counted = |number: u64, what: &str| (number > 0).then(|| format!("{} {what}", thousands(number)));
    let entries =
        if summary.entries == 1 { "1 entry".into() } else { format!("{} entries", thousands(summary.entries)) };
    let mut parts = vec![entries];
    parts.extend(counted(summary.planned, "to import"));
    if summary.planned == 0 {
        parts.push(format!("{} imported", thousands(summary.imported)));
    }
    parts.extend(counted(summary.kept, "kept"));
    parts.extend(counted(summary.rejected, "rejected"));
    parts.extend(counted(summary.failed, "failed"));
    parts.extend((summary.aliases > 0).then(|| format!("{} new", count_aliases(summary.aliases))));
    output.remark(output.palette.strong(parts.join(", ")));
    if summary.unknown_age > 0 {
        let ids = count(summary.unknown_age, "id");
        output.remark(format_args!("{ids} of unknown age: renewed by the next `reattach sync`, or when asked for"));
    }
}

fn count_aliases(number: u64) -> String {
    if number == 1 { "1 alias".to_owned() } else { format!("{} aliases", thousands(number)) }
}
