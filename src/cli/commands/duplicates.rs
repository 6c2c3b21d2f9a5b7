//! `duplicates`: the same bytes under many names.

use std::time::Instant;

use crate::cli::args::DuplicatesArgs;
use crate::cli::context::{Context, reporter};
use crate::cli::events::{DuplicatesEvent, DuplicatesSummaryEvent};
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::output::shown;
use crate::cli::values::{count, human_size};
use crate::library::{SameBytes, duplicates};

pub(super) async fn run(context: &Context, args: DuplicatesArgs) -> Result<Exit, Failure> {
    let (started, output) = (Instant::now(), &context.output);
    let scan = args.selection.scan_options(&context.settings.private);
    let bars = context.bars();
    let inspector = context.inspector();
    let found = duplicates(&inspector, &args.selection.paths, &scan, reporter(bars.clone()), &context.stop).await?;
    if let Some(bars) = bars {
        bars.clear();
    }
    for group in &found.groups {
        output.event(&DuplicatesEvent::new(group));
        output.result(describe(context, group));
    }
    let wasted = found.groups.iter().map(SameBytes::wasted_bytes).sum();
    output.event(&DuplicatesSummaryEvent::new(&found, wasted, started.elapsed()));
    let mut parts = vec![count(found.files, "file"), format!("{} wasted", human_size(wasted))];
    if !found.groups.is_empty() {
        parts.insert(1, count(found.groups.len() as u64, "set") + " of duplicates");
    }
    parts.extend((found.not_compared > 0).then(|| count(found.not_compared, "file") + " not compared"));
    output.remark(output.palette.strong(parts.join(", ")));
    Ok(context.ending(Exit::Done))
}

fn describe(context: &Context, group: &SameBytes) -> String {
    let palette = context.output.palette;
    let same = if group.copies < group.paths.len() as u64 { ", some of them the same file" } else { "" };
    let mut lines = vec![format!(
        "{} wasted  {}",
        palette.warning(human_size(group.wasted_bytes())),
        palette.faint(format_args!("{} × {}{same}", group.paths.len(), human_size(group.size_bytes)))
    )];
    lines.extend(group.paths.iter().map(|path| format!("    {}", shown(path))));
    lines.join("\n")
}
