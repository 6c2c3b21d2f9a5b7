//! `POST /v1/assets`: files from a browser, kept in a folder of the library and uploaded.

use std::fs;
use std::io::{self, Read};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::multipart::{Field, Multipart, MultipartError};
use axum::extract::{FromRequest, Request, State};
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use rustix::fs::{AtFlags, CWD, Mode, OFlags, linkat, openat, unlinkat};
use rustix::io::Errno;
use tokio::io::AsyncWriteExt;
use utoipa::openapi::schema::{ArrayBuilder, KnownFormat, ObjectBuilder, SchemaFormat, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::ids::ContentHash;
use crate::library::{AssetOutcome, AssetRef, PlanRules, ResolveOptions};
use crate::media::limits::MAX_BYTES;
use crate::media::{ContentHasher, enter};
use crate::service::problem::Problem;
use crate::service::shared::Shared;
use crate::service::visitor::MaySend;

use super::resolve::{asset_json, local};

/// Files in one request.
const MOST_FILES: usize = 100;
/// What a file must not be called: a command that is begun in the folder would take it for its settings.
const CONFIGURATION: &str = "reattach.toml";
/// What one request may hold in all.
pub(super) const BODY_BYTES: usize = 512 << 20;
/// How long nothing may come.
const PATIENCE: Duration = Duration::from_secs(30);

/// Keeps each `file` in the folder whose number `folder`, which comes before them, gives, and uploads it to the first Page.
///
/// A file of the same name with other bytes stays; the new one is called `name (2)`. One that cannot be taken is `rejected`, and
/// says why in its `error`. Where there can be no next one, the problem has the `assets` of those that came before.
#[utoipa::path(
    post,
    path = "/v1/assets",
    request_body(
        content = inline(Form),
        content_type = "multipart/form-data",
        description = "`folder`, then one or more `file`"
    ),
    responses(
        (status = 200, description = "`{\"assets\":[…]}`: what became of each, in their order", body = Object),
        (status = 400, description = "No form, one that breaks off, or one with other fields", body = Problem),
        (status = 404, description = "There is no such folder", body = Problem),
        (status = 409, description = "Something is in the way of a file", body = Problem),
        (status = 413, description = "More than 100 files, or 512 MB", body = Problem),
        (status = 429, description = "Too many a second", body = Problem),
        (status = 502, description = "Meta did not take the first Page's token at the start", body = Problem),
        (status = 507, description = "The disk is full: ask again once there is room", body = Problem),
    )
)]
pub(super) async fn upload(State(shared): State<Arc<Shared>>, _: MaySend, Form(form): Form) -> Response {
    let mut assets = Vec::new();
    match take(&shared, form, &mut assets).await {
        Ok(()) => {
            ([(CONTENT_TYPE, "application/json")], format!("{{\"assets\":[{}]}}", assets.join(","))).into_response()
        }
        Err(problem) => problem.after(&assets),
    }
}

/// Takes the files of a form, and adds to `assets` what became of each.
///
/// # Errors
/// There can be no next one.
async fn take(shared: &Arc<Shared>, mut form: Multipart, assets: &mut Vec<String>) -> Result<(), Problem> {
    let page = shared.page(None)?;
    let mut folder = shared.folders.all().first().map(|folder| folder.real.clone());
    while let Some(mut field) = coming(form.next_field()).await? {
        match field.name() {
            Some("folder") => {
                let text = coming(field.text()).await?;
                let chosen = text.trim().parse().ok().and_then(|number: usize| shared.folders.all().get(number));
                folder = Some(chosen.ok_or_else(|| Problem::not_found("the library has no such folder"))?.real.clone());
            }
            Some("file") if assets.len() >= MOST_FILES => {
                return Err(Problem::too_large(format!("more than {MOST_FILES} files in one request")));
            }
            Some("file") => {
                let folder = folder.as_deref().ok_or_else(|| {
                    Problem::not_found("this service has no folder to keep files in: start it with --library")
                })?;
                let name = file_name(field.file_name().unwrap_or_default());
                let path = match keep(&mut field, folder, &name).await? {
                    Ok(path) => path,
                    Err(why) => {
                        assets.push(local(&name, AssetOutcome::Rejected.as_str(), &why).to_string());
                        continue;
                    }
                };
                let options = ResolveOptions::uploading(PlanRules::HANDED_OUT);
                let (library, reference) = (page.library.clone(), AssetRef::File(path));
                // What has begun comes to its end, though the browser go.
                let report = tokio::spawn(async move { library.resolve(&reference, &options).await });
                let report = report.await.map_err(|_| Problem::unexpected())?;
                shared.changed();
                let json = asset_json(&report, &name);
                if matches!(report.outcome, AssetOutcome::Uploaded | AssetOutcome::Refreshed) {
                    shared.news.tell("asset", json.clone());
                }
                assets.push(json);
            }
            _ => return Err(Problem::invalid("the form has fields other than `folder` and `file`")),
        }
    }
    Ok(())
}

/// A form, in parts.
#[derive(Debug)]
pub(super) struct Form(Multipart);

impl<S: Send + Sync> FromRequest<S> for Form {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let form = Multipart::from_request(request, state).await;
        form.map(Self).map_err(|_| Problem::invalid("the body is no multipart/form-data with a boundary"))
    }
}

impl ToSchema for Form {}

impl PartialSchema for Form {
    fn schema() -> RefOr<Schema> {
        let file = ObjectBuilder::new().schema_type(Type::String);
        let file = file.format(Some(SchemaFormat::KnownFormat(KnownFormat::Binary)));
        let form = ObjectBuilder::new().property("folder", ObjectBuilder::new().schema_type(Type::Integer));
        form.property("file", ArrayBuilder::new().items(file)).required("file").into()
    }
}

async fn coming<T>(next: impl Future<Output = Result<T, MultipartError>>) -> Result<T, Problem> {
    match tokio::time::timeout(PATIENCE, next).await {
        Ok(Ok(part)) => Ok(part),
        Ok(Err(error)) if error.status() == http::StatusCode::PAYLOAD_TOO_LARGE => {
            Err(Problem::too_large("the request is larger than 512 MB"))
        }
        Ok(Err(error)) => Err(Problem::invalid(format!("the form cannot be read: {error}"))),
        Err(_) => Err(Problem::slow()),
    }
}

/// Passes over what comes of a file nobody wants.
async fn pass_over(field: &mut Field<'_>) -> Result<(), Problem> {
    while coming(field.chunk()).await?.is_some() {}
    Ok(())
}

/// Writes what comes into the folder, under the name if nothing else has it; within, why it is no file to be kept.
///
/// # Errors
/// Nothing more comes, or nothing more can be kept.
async fn keep(field: &mut Field<'_>, folder: &Path, name: &str) -> Result<Result<PathBuf, String>, Problem> {
    if name.eq_ignore_ascii_case(CONFIGURATION) {
        pass_over(field).await?;
        return Ok(Err(format!("{name} is what reattach's own settings are called")));
    }
    let failed = |error: io::Error| unkept(name, &error);
    let begin = {
        let folder = folder.to_owned();
        move || {
            let draft = Draft::begin(&folder)?;
            Ok((draft.file.try_clone()?, draft))
        }
    };
    let (file, draft) = on_disk(begin).await.map_err(failed)?;
    let mut file = tokio::fs::File::from_std(file);
    let (mut hash, mut written) = (ContentHasher::new(), 0_u64);
    while let Some(chunk) = coming(field.chunk()).await? {
        written += chunk.len() as u64;
        if written > MAX_BYTES {
            pass_over(field).await?;
            return Ok(Err(format!("{name:?} has more than the 25 MB Meta takes")));
        }
        hash.update(&chunk);
        file.write_all(&chunk).await.map_err(failed)?;
    }
    file.flush().await.map_err(failed)?;
    let (wanted, hash) = (name.to_owned(), hash.finish());
    let publish = move || {
        draft.file.sync_all()?;
        let name = draft.publish(&wanted, hash)?;
        draft.sync_folder()?;
        Ok(name)
    };
    Ok(Ok(folder.join(on_disk(publish).await.map_err(failed)?)))
}

/// Why a file could not be kept.
fn unkept(name: &str, error: &io::Error) -> Problem {
    tracing::warn!(%error, "a file could not be kept");
    let detail = format!("{name:?} could not be kept in the library: {}", error.kind());
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Problem::no_room(detail),
        _ => Problem::conflict(detail),
    }
}

/// What the disk says, which may be a folder of a network that hangs: asked on a thread nobody else waits for.
async fn on_disk<T: Send + 'static>(ask: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(ask).await?
}

/// A file nobody sees as one of the library's, which goes when it is dropped; where the system knows files without a name,
/// with its process at the latest.
struct Draft {
    /// What the folder was when it was begun: whatever takes its place, nothing is written there.
    folder: OwnedFd,
    /// What it is called meanwhile.
    name: Option<String>,
    file: fs::File,
}

impl Draft {
    fn begin(folder: &Path) -> io::Result<Self> {
        let (folder, mode) = (enter(folder)?, Mode::from_raw_mode(0o666));
        #[cfg(target_os = "linux")]
        if let Ok(file) = openat(&folder, c".", OFlags::WRONLY | OFlags::TMPFILE | OFlags::CLOEXEC, mode)
            && Path::new(&own_path(&file)).exists()
        {
            return Ok(Self { folder, name: None, file: file.into() });
        }
        // Names that begin with a dot are no part of a library.
        let name = format!(".reattach-{:016x}", fastrand::u64(..));
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = openat(&folder, &*name, flags, mode)?.into();
        Ok(Self { folder, name: Some(name), file })
    }

    fn link(&self, name: &str) -> Result<(), Errno> {
        match &self.name {
            Some(draft) => linkat(&self.folder, &**draft, &self.folder, name, AtFlags::empty()),
            None => linkat(CWD, own_path(&self.file), &self.folder, name, AtFlags::SYMLINK_FOLLOW),
        }
    }

    /// Gives it its name, or the next that is free; what has the name and the same bytes will do as well.
    fn publish(&self, name: &str, hash: ContentHash) -> io::Result<String> {
        const TRIES: u32 = 1_000;
        let (stem, extension) =
            name.rsplit_once('.').map_or((name, String::new()), |(stem, end)| (stem, format!(".{end}")));
        for number in 1..=TRIES {
            let name = if number == 1 { name.to_owned() } else { format!("{stem} ({number}){extension}") };
            match self.link(&name) {
                Ok(()) => return Ok(name),
                Err(Errno::EXIST) if self.beside_holds(&name, hash) => return Ok(name),
                Err(Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }

    /// Returns once the names in the folder outlive the power.
    fn sync_folder(&self) -> io::Result<()> {
        // What was opened to be looked at only cannot be synced.
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        fs::File::from(openat(&self.folder, c".", flags, Mode::empty())?).sync_all()
    }

    /// Whether the folder has a file of that name with these bytes.
    fn beside_holds(&self, name: &str, hash: ContentHash) -> bool {
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let Ok(mut file) = openat(&self.folder, name, flags, Mode::empty()).map(fs::File::from) else { return false };
        let is_small = file.metadata().is_ok_and(|file| file.is_file() && file.len() <= MAX_BYTES);
        let mut bytes = Vec::new();
        is_small && file.read_to_end(&mut bytes).is_ok() && ContentHasher::hash(&bytes) == hash
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if let Some(name) = &self.name {
            let _ = unlinkat(&self.folder, &**name, AtFlags::empty());
        }
    }
}

/// Where this process has the file open.
fn own_path(file: &impl AsRawFd) -> String {
    format!("/proc/self/fd/{}", file.as_raw_fd())
}

/// The name as a file of the library may have it: the last part alone, nothing hidden, nothing that moves a terminal.
pub(super) fn file_name(given: &str) -> String {
    // In bytes, of the 255 that systems allow: ` (1000)` may come behind it.
    const LONGEST: usize = 200;
    const LONGEST_END: usize = 40;
    let is_margin = |letter: char| letter == '.' || letter.is_whitespace();
    let last = given.rsplit(['/', '\\']).next().unwrap_or_default();
    let clean: String = last.chars().map(|letter| if is_odd(letter) { '_' } else { letter }).collect();
    let clean = clean.trim_matches(is_margin);
    let (stem, extension) = clean.rsplit_once('.').unwrap_or((clean, ""));
    let stem = stem[..stem.floor_char_boundary(LONGEST)].trim_end_matches(is_margin);
    let extension = extension[..extension.floor_char_boundary(LONGEST_END)].trim_matches(is_margin);
    match (stem.is_empty(), extension.is_empty()) {
        (true, true) => "upload".to_owned(),
        (true, false) => format!("upload.{extension}"),
        (false, true) => stem.to_owned(),
        (false, false) => format!("{stem}.{extension}"),
    }
}

fn is_odd(letter: char) -> bool {
    let turns_text =
        matches!(letter, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    letter.is_control() || turns_text || "<>:\"|?*".contains(letter)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_name_leads_nowhere_and_hides_nothing() {
        let names = [
            ("hero.png", "hero.png"),
            ("../../etc/passwd", "passwd"),
            ("C:\\temp\\a.gif", "a.gif"),
            ("..", "upload"),
            (".htaccess", "htaccess"),
            ("a\nb\u{202e}gnp.exe", "a_b_gnp.exe"),
            ("\"><img onerror>.png", "___img onerror_.png"),
            ("", "upload"),
            ("Frühling 🌷.png", "Frühling 🌷.png"),
            (". .png", "png"),
            ("a . .\u{2028}b", "a._b"),
        ];
        for (given, kept) in names {
            assert_eq!(file_name(given), kept, "{given:?}");
        }
        for long in ["a", "あ", "🌷"] {
            let name = file_name(&format!("{}.png", long.repeat(300)));
            assert!(name.len() <= 255 - " (1000)".len() && name.contains(".png"), "{} bytes", name.len());
        }
    }

    #[test]
    fn a_full_disk_passes_and_what_is_in_the_way_does_not() {
        for (kind, status, is_retryable) in [
            (io::ErrorKind::StorageFull, 507, true),
            (io::ErrorKind::QuotaExceeded, 507, true),
            (io::ErrorKind::AlreadyExists, 409, false),
            (io::ErrorKind::NotFound, 409, false),
        ] {
            let problem = serde_json::to_value(unkept("a.png", &kind.into())).expect("json");
            assert_eq!((&problem["status"], &problem["retryable"]), (&status.into(), &is_retryable.into()), "{kind}");
        }
    }

    #[test]
    fn nothing_is_written_over() {
        let folder = tempfile::tempdir().expect("a folder");
        let kept = |bytes: &[u8]| {
            let mut draft = Draft::begin(&folder.path().canonicalize().expect("a path")).expect("a draft");
            draft.file.write_all(bytes).expect("written");
            let name = draft.publish("a.png", ContentHasher::hash(bytes)).expect("kept");
            draft.sync_folder().expect("kept for good");
            name
        };
        assert_eq!(kept(b"one"), "a.png");
        assert_eq!(kept(b"two"), "a (2).png");
        assert_eq!(kept(b"one"), "a.png");
        assert_eq!(kept(b"two"), "a (2).png");
        assert_eq!(fs::read(folder.path().join("a.png")).expect("a file"), b"one");
        // The drafts are gone.
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 2);
    }

    #[test]
    fn nothing_is_written_where_a_link_took_the_folders_place() {
        let home = tempfile::tempdir().expect("a folder");
        let home = home.path().canonicalize().expect("a path");
        let (library, moved, outside) = (home.join("library"), home.join("moved"), home.join("outside"));
        fs::create_dir(&library).and_then(|()| fs::create_dir(&outside)).expect("folders");
        let mut draft = Draft::begin(&library).expect("a draft");
        fs::rename(&library, &moved).expect("moved");
        std::os::unix::fs::symlink(&outside, &library).expect("a link");
        draft.file.write_all(b"one").expect("written");
        assert_eq!(draft.publish("a.png", ContentHasher::hash(b"one")).expect("kept"), "a.png");
        drop(draft);
        assert!(Draft::begin(&library).is_err());
        let names = |folder| fs::read_dir(folder).expect("a folder").map(|file| file.expect("a file").file_name());
        assert_eq!(names(&moved).collect::<Vec<_>>(), ["a.png"]);
        assert_eq!(names(&outside).count(), 0);
    }
}
