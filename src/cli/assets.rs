//! How the fate of files is told to people: a line for each file worth a line, and one line for all.

use crate::events::{AssetEvent, PageOf};
use crate::facts::Dimensions;
use crate::ids::WebUrl;
use crate::library::{AssetOutcome, AssetReport, LibraryError, Summary};
use crate::media::{Problem, Severity};

use super::events::SummaryEvent;
use super::exit::Exit;
use super::failure::Failure;
use super::output::{Output, Palette, shown, shown_text};
use super::values::{count, human_size, thousands};

/// Prints what became of one file, where that is worth a line; on which Page, where there are several.
pub(super) fn print_report(output: &Output, report: &AssetReport, page: Option<&PageOf>) {
    print_event(output, report, page);
    if output.is_json() {
        return;
    }
    // What is wrong with a file itself is so on every Page.
    let page = page.filter(|_| report.outcome != AssetOutcome::Rejected);
    if matches!(report.outcome, AssetOutcome::Rejected | AssetOutcome::Failed) {
        output.result(describe(output.palette, report, page));
    } else if is_worth_a_line(output, report) {
        output.remark(describe(output.palette, report, page));
    }
}

/// Prints what became of one file, though it be nothing new.
pub(super) fn print_in_full(output: &Output, report: &AssetReport, page: Option<&PageOf>) {
    print_event(output, report, page);
    output.result(describe(output.palette, report, page));
}

fn print_event(output: &Output, report: &AssetReport, page: Option<&PageOf>) {
    // It takes time to make, and a library has many files.
    if !output.is_json() {
        return;
    }
    let event = AssetEvent::new(report);
    match page {
        Some(page) => output.event(&event.of_page(page)),
        None => output.event(&event),
    }
}

/// What became of one file, and why, in as many lines as that takes.
fn describe(palette: Palette, report: &AssetReport, page: Option<&PageOf>) -> String {
    describe_asked(palette, &subject(report), report, page)
}

/// What it was asked for as, or is on record as, which names it where no file or address does.
fn subject(report: &AssetReport) -> String {
    match (report.error.as_deref(), &report.upload) {
        (Some(LibraryError::NotRecorded { reference } | LibraryError::NoSource { reference }), _) => reference.clone(),
        (_, Some(upload)) => upload.key.asset.to_string(),
        (_, None) => "(no file known)".to_owned(),
    }
}

/// The same of what was asked for as `reference`, which names it where no file or address does.
pub(super) fn describe_asked(palette: Palette, reference: &str, report: &AssetReport, page: Option<&PageOf>) -> String {
    let mut headline = headline(palette, reference, report);
    if let Some(page) = page {
        headline.push_str("  on ");
        headline.push_str(&shown_text(&page.name));
    }
    let mut lines = vec![headline];
    // What is put off will be told of again.
    for problem in report.problems.iter().filter(|_| report.outcome != AssetOutcome::Deferred) {
        describe_problem(palette, problem, &mut lines);
    }
    // What puts off one file puts off all, and is said once, at the end.
    if let Some(error) = report.error.as_ref().filter(|_| report.outcome != AssetOutcome::Deferred) {
        let failure = Failure::of_library(error);
        lines.push(format!("    {}", shown_text(&failure.message())));
        lines.extend(failure.hint().map(|hint| palette.faint(format_args!("    → {hint}"))));
    }
    lines.join("\n")
}

/// Files that are as they should be are only counted, unless the user wants to hear of them. Warnings about what was
/// uploaded long ago are old news.
fn is_worth_a_line(output: &Output, report: &AssetReport) -> bool {
    match report.outcome {
        AssetOutcome::Reused => output.is_verbose(),
        AssetOutcome::Ok => output.is_verbose() || !report.problems.is_empty() || report.fitted.is_some(),
        _ => true,
    }
}

fn headline(palette: Palette, reference: &str, report: &AssetReport) -> String {
    let address = || shown_text(report.url.as_ref().map_or(reference, WebUrl::as_str));
    let name = report.path.as_deref().map_or_else(address, shown);
    let mark = match report.outcome {
        AssetOutcome::Ok | AssetOutcome::Reused if report.problems.is_empty() => palette.good("✓"),
        AssetOutcome::Ok | AssetOutcome::Reused => palette.warning("!"),
        AssetOutcome::Uploaded => palette.good("↑"),
        AssetOutcome::Refreshed => palette.good("↻"),
        AssetOutcome::Planned => palette.strong("+"),
        AssetOutcome::Deferred => palette.warning("…"),
        AssetOutcome::Missing => palette.warning("?"),
        AssetOutcome::Rejected | AssetOutcome::Failed => palette.bad("✗"),
    };
    let mut line = format!("{mark} {:<9} {name}", report.outcome.as_str());
    line += &palette.faint(measures(report));
    if let (Some(upload), true) = (&report.upload, report.outcome != AssetOutcome::Missing) {
        line.push_str("  ");
        line.push_str(upload.attachment_id.as_str());
    }
    line
}

/// How large it is; where a copy goes in its place, what of it became what.
fn measures(report: &AssetReport) -> String {
    let Some(size) = report.size_bytes() else { return String::new() };
    let Some(copy) = &report.fitted else { return format!("  {}", human_size(size)) };
    let pixels = |size: Dimensions| format!("{}×{}", size.width, size.height);
    let was = report.facts.as_ref().and_then(|facts| facts.dimensions);
    let is = pixels(copy.dimensions);
    let shape = match was.map(pixels) {
        Some(was) if was != is => format!("{was} → {is}"),
        _ => is,
    };
    let form = |mime: &str| mime.rsplit(['/', '-']).next().unwrap_or_default().to_uppercase();
    let (was, is) = (report.media.as_ref().map(|media| form(&media.1)).unwrap_or_default(), form(&copy.mime));
    let form = if was == is { is } else { format!("{was} → {is}") };
    format!("  {} → {}  {shape} {form}", human_size(size), human_size(copy.size_bytes))
}

fn describe_problem(palette: Palette, problem: &Problem, lines: &mut Vec<String>) {
    let code = match problem.severity {
        Severity::Error => palette.bad(problem.code.as_str()),
        Severity::Warning => palette.warning(problem.code.as_str()),
    };
    lines.push(format!("    {code}: {}", shown_text(&problem.message)));
    if !problem.hint.is_empty() {
        lines.push(palette.faint(format_args!("    → {}", problem.hint)));
    }
}

/// Prints the counts of a `check`.
pub(super) fn print_check_summary(output: &Output, summary: &Summary) {
    output.event(&SummaryEvent::new(summary));
    let mut parts = vec![count(summary.files, "file")];
    parts.push(format!("{} different", thousands(summary.unique())));
    parts.push(human_size(summary.bytes));
    parts.push(format!("{} ok", thousands(summary.ok)));
    parts.extend(counted(summary.rejected, "rejected"));
    parts.extend((summary.warned > 0).then(|| count(summary.warned, "file") + " with warnings"));
    output.remark(output.palette.strong(parts.join(", ")) + &elapsed(output, summary));
}

/// Prints counts for programs; of one Page, where there are several.
pub(super) fn print_summary_event(output: &Output, summary: &Summary, page: Option<&PageOf>) {
    let event = SummaryEvent::new(summary);
    match page {
        Some(page) => output.event(&event.of_page(page)),
        None => output.event(&event),
    }
}

/// Prints the counts of a `sync` or `refresh`, and what they saved; of one Page, where there are several.
pub(super) fn print_sync_summary(output: &Output, summary: &Summary, page: Option<&PageOf>) {
    print_summary_event(output, summary, page);
    let heading = page.map_or_else(String::new, |page| format!("{}: ", shown_text(&page.name)));
    let mut parts = vec![count(summary.files, "file")];
    parts.extend(counted(summary.planned, "to upload"));
    if summary.planned == 0 {
        parts.push(format!("{} uploaded", thousands(summary.uploaded)));
    }
    parts.extend(counted(summary.refreshed, "refreshed"));
    parts.push(format!("{} reused", thousands(summary.reused)));
    parts.extend(counted(summary.rejected, "rejected"));
    parts.extend(counted(summary.deferred, "left for later"));
    parts.extend(counted(summary.missing, "missing"));
    parts.extend(counted(summary.failed, "failed"));
    parts.extend(counted(summary.unknown, "of them perhaps sent"));
    parts.push(format!("{} not sent", human_size(summary.bytes_saved)));
    output.remark(heading + &output.palette.strong(parts.join(", ")) + &elapsed(output, summary));
}

/// The exit code for these counts.
pub(super) fn exit_for(summary: &Summary) -> Exit {
    if summary.unknown > 0 {
        Exit::UnknownOutcome
    } else if summary.rejected + summary.missing > 0 || summary.failed > summary.momentary {
        Exit::SomeFailed
    } else if summary.failed > 0 {
        Exit::TryLater
    } else {
        Exit::Done
    }
}

fn counted(number: u64, what: &str) -> Option<String> {
    (number > 0).then(|| format!("{} {what}", thousands(number)))
}

fn elapsed(output: &Output, summary: &Summary) -> String {
    output.palette.faint(format_args!("  ({:.2} s)", summary.elapsed.as_secs_f64()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_all_go_later_ends_with_5_and_what_is_wrong_for_good_with_3() {
        let summary = |counts: [u64; 4]| {
            let mut summary = Summary::default();
            [summary.failed, summary.momentary, summary.rejected, summary.missing] = counts;
            summary
        };
        let exit = |failed, momentary, rejected, missing| exit_for(&summary([failed, momentary, rejected, missing]));
        assert_eq!([exit(0, 0, 0, 0), exit(2, 2, 0, 0)], [Exit::Done, Exit::TryLater]);
        for exit in [exit(2, 1, 0, 0), exit(1, 1, 1, 0), exit(1, 1, 0, 1), exit(0, 0, 1, 0), exit(1, 0, 0, 0)] {
            assert_eq!(exit, Exit::SomeFailed);
        }
        let mut unknown = summary([1, 1, 0, 0]);
        unknown.unknown = 1;
        assert_eq!(exit_for(&unknown), Exit::UnknownOutcome);
    }
}
