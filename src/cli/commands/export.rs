//! `export`: what is on record, as a file to keep, to compare or to hand on.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use crate::blocking::blocking;
use crate::cli::args::{ExportArgs, ExportFormat};
use crate::cli::context::Context;
use crate::cli::events::ExportEvent;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::files;
use crate::cli::output::{shown, shown_text};
use crate::cli::values::count;
use crate::ids::{Asset, ContentHash, MediaKind};
use crate::library::manifest::{self, Entry, LeftOut, Lookup, Named};
use crate::library::{Inspector, PlanRules, place_of, staleness};
use crate::record::{Alias, Derivation, Record, Upload, UploadFilter};

use super::recorded::each_recorded;

/// Rows asked of the record at a time.
const ROWS: usize = 1_000;

pub(super) async fn run(context: &Context, args: ExportArgs) -> Result<Exit, Failure> {
    if context.output.is_json() && args.output.is_none() {
        return Err(Failure::Usage {
            message: "with --json, what is exported needs a file to go to".into(),
            hint: "name one with --output; --format json is the manifest, and needs no --json".into(),
        });
    }
    let record = context.record().await?;
    let uploads = uploads(context, &*record).await?;
    let copies = copies(&*record, &uploads).await?;
    let export = Export { context, uploads, copies, aliases: record.aliases().await? };
    let base = place_of(&args.output.as_deref().map_or_else(|| ".".into(), files::folder_of));
    let base = base.map_err(|source| Failure::File { action: "found", path: ".".into(), source })?;
    let Named { text, entries, left_out } = export.write(args.format, &base).await?;
    for LeftOut { name, reason } in &left_out {
        context.output.note(format_args!("left out {}: {}", shown_text(name), shown_text(reason)));
    }
    match &args.output {
        Some(path) => {
            files::write(path, &text)?;
            let what = count(entries as u64, if args.format.is_constants() { "name" } else { "asset" });
            context.output.remark(format_args!("{} {what} in {}", context.output.palette.good("✓"), shown(path)));
            context.output.event(&ExportEvent::new(args.format.as_str(), path, entries, text.len()));
        }
        None => context.output.raw(&text),
    }
    Ok(context.ending(Exit::Done))
}

/// What may be exported, as `ls` lists it.
async fn uploads(context: &Context, record: &dyn Record) -> Result<Vec<Upload>, Failure> {
    let mut uploads = Vec::new();
    each_recorded(context, record, &UploadFilter::default(), |upload| uploads.push(upload.clone())).await?;
    Ok(uploads)
}

/// What was made of what, of the bytes that are copies.
async fn copies(record: &dyn Record, uploads: &[Upload]) -> Result<HashMap<ContentHash, Derivation>, Failure> {
    let hashes: Vec<_> = uploads.iter().filter_map(|upload| upload.key.asset.hash()).collect();
    let mut copies = HashMap::new();
    for some in hashes.chunks(ROWS) {
        for made in record.sources_of(some).await? {
            copies.entry(made.result).or_insert(made);
        }
    }
    Ok(copies)
}

struct Export<'a> {
    context: &'a Context,
    uploads: Vec<Upload>,
    copies: HashMap<ContentHash, Derivation>,
    aliases: Vec<Alias>,
}

impl Export<'_> {
    async fn write(self, format: ExportFormat, base: &Path) -> Result<Named, Failure> {
        let names = || self.aliases.iter().map(|alias| alias.name.clone()).collect::<Vec<_>>();
        Ok(match format {
            ExportFormat::Json => Self::whole(manifest::json, &self.entries(base)),
            ExportFormat::Csv => Self::whole(manifest::csv, &self.entries(base)),
            ExportFormat::Env => manifest::env(&self.alive(base)?),
            ExportFormat::Lockfile => self.lockfile(base).await?,
            ExportFormat::Ts => manifest::typescript(&names()),
            ExportFormat::Rust => manifest::rust(&names()),
            ExportFormat::Py => manifest::python(&names()),
        })
    }

    /// A form that leaves out nothing.
    fn whole(form: fn(&[Entry]) -> Vec<u8>, entries: &[Entry]) -> Named {
        Named { text: form(entries), entries: entries.len(), left_out: Vec::new() }
    }

    /// Every id with the names of its asset, and the names whose asset has no id here.
    fn entries(&self, base: &Path) -> Vec<Entry> {
        let url_query = self.context.settings.url_query;
        let mut names: BTreeMap<(Asset, MediaKind), Vec<&Alias>> = BTreeMap::new();
        for alias in &self.aliases {
            let key = (url_query.asset_of(alias.target.asset.clone()), alias.target.kind);
            names.entry(key).or_default().push(alias);
        }
        let names_of = |aliases: &Vec<&Alias>| aliases.iter().map(|alias| alias.name.clone()).collect::<Vec<_>>();
        let key = |upload: &Upload| (upload.key.asset.clone(), upload.key.kind);
        let with_id = self.uploads.iter().map(|upload| {
            let aliases = names.get(&key(upload)).map(names_of).unwrap_or_default();
            let entry = Entry::of_upload(upload, aliases, base);
            let made_of = upload.key.asset.hash().and_then(|hash| self.copies.get(&hash));
            match made_of {
                Some(made) => entry.made_of(made),
                None => entry,
            }
        });
        let mut entries: Vec<_> = with_id.collect();
        for upload in &self.uploads {
            names.remove(&key(upload));
        }
        entries.extend(names.values().filter_map(|aliases| {
            let entry = Entry::of_alias(aliases.first()?, base);
            Some(Entry { aliases: names_of(aliases), ..entry })
        }));
        Entry::sort(&mut entries);
        entries
    }

    /// The entries of ids that may be sent now, of one Page and platform: those who read these forms ask nothing more.
    fn alive(&self, base: &Path) -> Result<Vec<Entry>, Failure> {
        let first = self.uploads.first().map(|upload| &upload.key.space);
        if self.uploads.iter().any(|upload| Some(&upload.key.space) != first) {
            return Err(Failure::Usage {
                message: "there are ids of several Pages or platforms, and this format holds those of one".into(),
                hint: "choose with --page and --platform".into(),
            });
        }
        self.context.mention_doubts();
        let now = self.context.clock.moment();
        let is_alive = |upload: &&Upload| staleness(upload, now, PlanRules::ALIVE).is_none();
        let alive: Vec<_> = self.uploads.iter().filter(is_alive).cloned().collect();
        match self.uploads.len() - alive.len() {
            0 => {}
            dead => self.context.output.note(format_args!(
                "left out {} that may not be alive: `reattach sync` renews what is due",
                count(dead as u64, "id")
            )),
        }
        let alive =
            Export { context: self.context, uploads: alive, copies: HashMap::new(), aliases: self.aliases.clone() };
        let mut entries = alive.entries(base);
        entries.retain(|entry| entry.attachment_id.is_some());
        Ok(entries)
    }

    async fn lockfile(&self, base: &Path) -> Result<Named, Failure> {
        let inspector = self.context.inspector_without_cache();
        let mut entries = self.alive(base)?;
        for entry in &mut entries {
            let place = entry.path.as_ref().map(|path| base.join(path));
            entry.lookup = Lookup::BareName { checksum: checksum(&inspector, place, entry.asset.as_ref()).await };
        }
        Ok(manifest::lockfile(&entries))
    }
}

async fn checksum(inspector: &Inspector, path: Option<PathBuf>, asset: Option<&Asset>) -> Option<String> {
    let (inspector, path, hash) = (inspector.clone(), path?, asset?.hash()?);
    blocking(move || manifest::checksum(&inspector.reader, &path, hash)).await
}
