//! `resolve --aliases-in`: a text with live ids in place of its markers, or nothing.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use crate::cli::args::ResolveArgs;
use crate::cli::assets::describe;
use crate::cli::events::{AssetEvent, TextEvent};
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::files;
use crate::cli::output::shown_text;
use crate::cli::session::Context;
use crate::ids::{AliasName, AttachmentId, InvalidId};
use crate::library::{AssetRef, AssetReport, MarkedText};
use crate::record::Record;

use super::references::live_id;
use super::resolve::resolve_all;

pub(super) async fn run(context: &Context, args: &ResolveArgs, file: &Path) -> Result<Exit, Failure> {
    check_output(context, args, file)?;
    let text = files::read(file)?;
    let marked = MarkedText::parse(&text).map_err(|open| Failure::Usage {
        message: format!("{}: {open}", files::name(file)),
        hint: "a marker is written <<asset:NAME>>, on one line".into(),
    })?;
    let record = context.record().await?;
    let mut markers = Markers::default();
    for (written, times) in marked.references() {
        let reference = reference_of(&*record, written, &files::folder_of(file)).await?;
        markers.add(context, written, times, reference);
    }
    let (ids, exit) = markers.resolve(context, record, args).await?;
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

/// What a marker names: an alias, with or without its `@`, before anything else; a path is meant from `base`.
async fn reference_of(
    record: &dyn Record,
    written: &[u8],
    base: &Path,
) -> Result<Result<AssetRef, InvalidId>, Failure> {
    let text = std::str::from_utf8(written).unwrap_or_default();
    let name = text.parse::<AliasName>();
    if let Ok(name) = &name
        && record.alias(name).await?.is_some()
    {
        return Ok(Ok(AssetRef::Alias(name.clone())));
    }
    Ok(match (AssetRef::parse(OsStr::from_bytes(written)), name) {
        (Ok(AssetRef::File(_)), Err(error)) if written.is_empty() => Err(error),
        (Ok(AssetRef::File(path)), name) => match (base.join(&path), name) {
            // A bare word that is no file was meant for an alias.
            (file, Ok(name)) if !file.exists() && path.extension().is_none() => Ok(AssetRef::Alias(name)),
            (file, _) => Ok(AssetRef::File(file)),
        },
        (other, _) => other,
    })
}

/// The markers of a text, by what they name.
#[derive(Default)]
struct Markers<'t> {
    written: Vec<(&'t [u8], usize)>,
    references: Vec<AssetRef>,
    /// Some that name nothing there could be.
    unreadable: bool,
}

impl<'t> Markers<'t> {
    fn add(&mut self, context: &Context, written: &'t [u8], times: usize, reference: Result<AssetRef, InvalidId>) {
        match reference {
            Ok(reference) => {
                self.written.push((written, times));
                self.references.push(reference);
            }
            Err(error) => {
                self.unreadable = true;
                let mark = context.output.palette.bad("✗");
                let marker = shown_text(&String::from_utf8_lossy(written));
                context.output.complain(format_args!("{mark} <<asset:{marker}>>: {error}"));
            }
        }
    }

    fn count(&self) -> usize {
        self.written.iter().map(|(_, times)| times).sum()
    }

    /// The id of each, with what was used on stderr, and how that ended: well only if each has one.
    async fn resolve(
        &self,
        context: &Context,
        record: Arc<dyn Record>,
        args: &ResolveArgs,
    ) -> Result<(HashMap<&'t [u8], AttachmentId>, Exit), Failure> {
        let mut ids = HashMap::new();
        let mut markers = self.written.iter();
        let mut exit = Exit::Done;
        if !self.references.is_empty() {
            let resolved = resolve_all(context, record, &self.references, args, |reference, report| {
                if let Some((written, times)) = markers.next()
                    && let Some(id) = put_in(context, reference, written, *times, &report)
                {
                    ids.insert(*written, id);
                }
            });
            exit = resolved.await?.conclude(context)?;
        }
        let is_complete = ids.len() == self.written.len() && !self.unreadable;
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
    let Some(upload) = live_id(report) else {
        output.complain(format_args!("<<asset:{name}>>\n{}", describe(output.palette, report)));
        return None;
    };
    let times = if times == 1 { String::new() } else { format!("  ({times} times)") };
    output.note(format_args!("{name} → {}{times}", upload.attachment_id));
    Some(upload.attachment_id.clone())
}
