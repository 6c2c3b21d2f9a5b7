//! `resolve --aliases-in`: a text with live ids in place of its markers, or nothing.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::cli::args::ResolveArgs;
use crate::cli::assets::describe_asked;
use crate::cli::context::Context;
use crate::cli::events::TextEvent;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::files;
use crate::cli::output::shown_text;
use crate::events::{AssetEvent, ErrorEvent};
use crate::ids::{AliasName, AttachmentId};
use crate::library::{AssetRef, AssetReport, MarkedText, in_folder};
use crate::record::Record;

use super::resolve::resolve_all;

pub(super) async fn run(context: &Context, args: &ResolveArgs, file: &Path) -> Result<Exit, Failure> {
    check_output(context, args, file)?;
    // A marker has room for one id.
    context.settings.page.chosen()?;
    let Some(text) = files::read_unless(&context.stop, file).await? else { return Ok(Exit::Interrupted) };
    let marked = MarkedText::parse(&text).map_err(|open| Failure::Usage {
        message: format!("{}: {open}", files::name(file)),
        hint: "a marker is written <<asset:NAME>>, on one line".into(),
    })?;
    let record = context.record().await?;
    let mut markers = Markers::default();
    for (written, times) in marked.references() {
        match reference_of(&*record, written, &files::folder_of(file)).await? {
            Ok(reference) => markers.add(written, times, reference),
            Err(reason) => markers.refuse(context, written, &reason),
        }
    }
    let (ids, exit) = markers.resolve(context, args).await?;
    if exit != Exit::Done {
        context.output.complain("nothing was written: not every marker has an id");
        return Ok(exit);
    }
    let filled = marked.filled(|written| ids.get(written).map_or("", AttachmentId::as_str));
    match &args.output {
        Some(path) => {
            files::write(path, &filled)?;
            context.output.event(&TextEvent::new(path, markers.count(), filled.len()));
        }
        None => context.output.raw(&filled),
    }
    Ok(exit)
}

/// JSON Lines and the text cannot both go to stdout, and the text may not take its own place.
fn check_output(context: &Context, args: &ResolveArgs, file: &Path) -> Result<(), Failure> {
    let Some(output) = &args.output else {
        if !context.output.is_json() {
            return Ok(());
        }
        return Err(Failure::Usage {
            message: "with --json, the text needs a file to go to".into(),
            hint: "name one with --output".into(),
        });
    };
    match (fs::canonicalize(file), fs::canonicalize(output)) {
        (Ok(from), Ok(to)) if from == to => Err(Failure::Usage {
            message: format!("{} would be written over itself, and its markers lost", file.display()),
            hint: "name another file with --output".into(),
        }),
        _ => Ok(()),
    }
}

/// What a marker names: an alias, with or without its `@`, before anything else; a path is meant from `base`. Or what is
/// wrong with it.
async fn reference_of(record: &dyn Record, written: &[u8], base: &Path) -> Result<Result<AssetRef, String>, Failure> {
    let text = std::str::from_utf8(written).unwrap_or_default();
    if let Ok(name) = text.parse::<AliasName>()
        && record.alias(&name).await?.is_some()
    {
        return Ok(Ok(AssetRef::Alias(name)));
    }
    Ok(match AssetRef::parse(OsStr::from_bytes(written)) {
        Ok(AssetRef::File(path)) => match in_folder(base, &path) {
            file if file.is_file() => Ok(AssetRef::File(file)),
            _ => Err("there is no such alias, and no such file".to_owned()),
        },
        other => other.map_err(|error| error.to_string()),
    })
}

/// The markers of a text, by what they name.
#[derive(Default)]
struct Markers<'t> {
    written: Vec<(&'t [u8], usize)>,
    references: Vec<AssetRef>,
    /// Whether some name nothing there could be.
    some_refused: bool,
}

impl<'t> Markers<'t> {
    fn add(&mut self, written: &'t [u8], times: usize, reference: AssetRef) {
        self.written.push((written, times));
        self.references.push(reference);
    }

    fn refuse(&mut self, context: &Context, written: &[u8], reason: &str) {
        self.some_refused = true;
        let output = &context.output;
        let marker = format!("<<asset:{}>>", String::from_utf8_lossy(written));
        let hint = "`reattach alias` lists the names there are; a path is meant from where the text lies".to_owned();
        output.event(&ErrorEvent::new(Failure::Usage { message: format!("{marker}: {reason}"), hint }.body()));
        output.complain(format_args!("{} {}: {reason}", output.palette.bad("✗"), shown_text(&marker)));
    }

    fn count(&self) -> usize {
        self.written.iter().map(|(_, times)| times).sum()
    }

    /// The id of each, with what was used on stderr, and how that ended: well only if each has one.
    async fn resolve(
        &self,
        context: &Context,
        args: &ResolveArgs,
    ) -> Result<(HashMap<&'t [u8], AttachmentId>, Exit), Failure> {
        let mut ids = HashMap::new();
        let mut markers = self.written.iter();
        let mut exit = Exit::Done;
        if !self.references.is_empty() {
            let resolved = resolve_all(context, &self.references, args, |reference, _, report| {
                if let Some((written, times)) = markers.next()
                    && let Some(id) = put_in(context, reference, written, *times, report)
                {
                    ids.insert(*written, id);
                }
            });
            exit = resolved.await?;
        }
        let is_complete = ids.len() == self.written.len() && !self.some_refused;
        Ok((ids, if exit == Exit::Done && !is_complete { Exit::SomeFailed } else { exit }))
    }
}

/// The id in place of a marker, having said so; having said why there is none, where there is none.
fn put_in(
    context: &Context,
    reference: &AssetRef,
    written: &[u8],
    times: usize,
    report: &AssetReport,
) -> Option<AttachmentId> {
    let output = &context.output;
    let name = match reference {
        AssetRef::Alias(name) => name.to_string(),
        _ => String::from_utf8_lossy(written).into_owned(),
    };
    output.event(&AssetEvent::new(report).asked_for_as(name.clone()));
    let name = shown_text(&name);
    let Some(upload) = report.live_upload() else {
        output.complain(format_args!("<<asset:{name}>>:\n{}", describe_asked(output.palette, &name, report, None)));
        return None;
    };
    let times = if times == 1 { String::new() } else { format!("  ({times} times)") };
    output.note(format_args!("{name} → {}{times}", upload.attachment_id));
    Some(upload.attachment_id.clone())
}
