//! `POST /v1/assets`: files from a browser, kept in a folder of the library and uploaded.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::extract::multipart::{Field, Multipart, MultipartError};
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use sha2::{Digest, Sha256};

use crate::library::{AssetOutcome, AssetRef, ResolveOptions};
use crate::media::limits::MAX_BYTES;
use crate::service::problem::Problem;
use crate::service::shared::Shared;
use crate::service::visitor::MaySend;

use super::resolve::{RULES, asset_json};

/// Files in one request.
const MOST_FILES: usize = 100;
/// What one request may hold in all.
pub(super) const BODY_BYTES: usize = 512 << 20;
/// How long nothing may come.
const PATIENCE: Duration = Duration::from_secs(30);

/// Keeps each `file` in the folder whose number `folder`, which comes before them, gives, and uploads it to the first Page.
///
/// A file of the same name with other bytes stays; the new one is called `name (2)`.
#[utoipa::path(
    post,
    path = "/v1/assets",
    request_body(content_type = "multipart/form-data", description = "`folder`, then one or more `file`"),
    responses(
        (status = 200, description = "`{\"assets\":[…]}`: what became of each, in their order"),
        (status = 413, description = "A file over 25 MB, or too many", body = Problem),
    )
)]
pub(super) async fn upload(
    State(shared): State<Arc<Shared>>,
    _: MaySend,
    mut form: Multipart,
) -> Result<Response, Problem> {
    let page = shared.page(None)?;
    let mut folder = shared.folders.all().first().map(|folder| folder.real.clone());
    let mut assets = Vec::new();
    while let Some(mut field) = in_time(form.next_field()).await? {
        match field.name() {
            Some("folder") => {
                let text = in_time(field.text()).await?;
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
                let path = keep(&mut field, folder, &name).await?;
                let options = ResolveOptions::uploading(RULES);
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
    Ok(([(CONTENT_TYPE, "application/json")], format!("{{\"assets\":[{}]}}", assets.join(","))).into_response())
}

async fn in_time<T>(next: impl Future<Output = Result<T, MultipartError>>) -> Result<T, Problem> {
    match tokio::time::timeout(PATIENCE, next).await {
        Ok(Ok(part)) => Ok(part),
        Ok(Err(error)) if error.status() == http::StatusCode::PAYLOAD_TOO_LARGE => {
            Err(Problem::too_large("the request is larger than 512 MB"))
        }
        Ok(Err(error)) => Err(Problem::invalid(format!("the form cannot be read: {error}"))),
        Err(_) => Err(Problem::late()),
    }
}

/// Writes what comes into the folder, under the name if nothing else has it.
async fn keep(field: &mut Field<'_>, folder: &Path, name: &str) -> Result<PathBuf, Problem> {
    let failed = |error: io::Error| {
        tracing::warn!(%error, "a file could not be kept");
        Problem::conflict(format!("{name:?} could not be kept in the library: {}", error.kind()))
    };
    let mut draft = tempfile_in(folder).map_err(failed)?;
    let (mut hash, mut written) = (Sha256::new(), 0_u64);
    while let Some(chunk) = in_time(field.chunk()).await? {
        written += chunk.len() as u64;
        if written > MAX_BYTES {
            return Err(Problem::too_large(format!("{name:?} has more than the 25 MB Meta takes")));
        }
        hash.update(&chunk);
        draft.file.write_all(&chunk).map_err(failed)?;
    }
    draft.file.sync_all().map_err(failed)?;
    let digest: [u8; 32] = hash.finalize().into();
    let (folder, name) = (folder.to_owned(), name.to_owned());
    let published = tokio::task::spawn_blocking(move || publish(&draft, &folder, &name, digest)).await;
    published.map_err(|_| Problem::unexpected())?.map_err(|error| {
        tracing::warn!(%error, "a file could not be kept");
        Problem::conflict(format!("the file could not be kept in the library: {}", error.kind()))
    })
}

/// A file nobody sees as one of the library's, which goes when it is dropped.
struct Draft {
    path: PathBuf,
    file: fs::File,
}

impl Drop for Draft {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

fn tempfile_in(folder: &Path) -> io::Result<Draft> {
    // Names that begin with a dot are no part of a library.
    let path = folder.join(format!(".reattach-{:016x}", fastrand::u64(..)));
    let file = fs::File::options().write(true).create_new(true).open(&path)?;
    Ok(Draft { path, file })
}

/// Gives the draft its name, or the next that is free; what has the name and the same bytes will do as well.
fn publish(draft: &Draft, folder: &Path, name: &str, digest: [u8; 32]) -> io::Result<PathBuf> {
    const TRIES: u32 = 1_000;
    let (stem, extension) =
        name.rsplit_once('.').map_or((name, String::new()), |(stem, end)| (stem, format!(".{end}")));
    for number in 1..=TRIES {
        let name = if number == 1 { name.to_owned() } else { format!("{stem} ({number}){extension}") };
        let path = folder.join(name);
        match fs::hard_link(&draft.path, &path) {
            Ok(()) => return Ok(path),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                if holds(&path, digest) {
                    return Ok(path);
                }
            }
            Err(error) => return Err(error),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

fn holds(path: &Path, digest: [u8; 32]) -> bool {
    let is_small = fs::symlink_metadata(path).is_ok_and(|file| file.is_file() && file.len() <= MAX_BYTES);
    is_small && fs::read(path).is_ok_and(|bytes| <[u8; 32]>::from(Sha256::digest(bytes)) == digest)
}

/// The name as a file of the library may have it: the last part alone, nothing hidden, nothing that moves a terminal.
fn file_name(given: &str) -> String {
    const LONGEST: usize = 120;
    let last = given.rsplit(['/', '\\']).next().unwrap_or_default();
    let clean: String = last.chars().map(|letter| if is_odd(letter) { '_' } else { letter }).collect();
    let clean = clean.trim().trim_start_matches('.').trim_end_matches('.');
    let (stem, extension) = clean.rsplit_once('.').unwrap_or((clean, ""));
    let stem: String = stem.chars().take(LONGEST).collect();
    let extension: String = extension.chars().take(10).collect();
    match (stem.is_empty(), extension.is_empty()) {
        (true, true) => "upload".to_owned(),
        (true, false) => format!("upload.{extension}"),
        (false, true) => stem,
        (false, false) => format!("{stem}.{extension}"),
    }
}

fn is_odd(letter: char) -> bool {
    let turns_text = matches!(letter, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    letter.is_control() || turns_text || "<>:\"|?*".contains(letter)
}

#[cfg(test)]
mod tests {
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
        ];
        for (given, kept) in names {
            assert_eq!(file_name(given), kept, "{given:?}");
        }
        assert!(file_name(&format!("{}.png", "a".repeat(300))).len() < 140);
    }

    #[test]
    fn nothing_is_written_over() {
        let folder = tempfile::tempdir().expect("a folder");
        let kept = |bytes: &[u8]| {
            let mut draft = tempfile_in(folder.path()).expect("a draft");
            draft.file.write_all(bytes).expect("written");
            publish(&draft, folder.path(), "a.png", Sha256::digest(bytes).into()).expect("kept")
        };
        assert_eq!(kept(b"one"), folder.path().join("a.png"));
        assert_eq!(kept(b"two"), folder.path().join("a (2).png"));
        assert_eq!(kept(b"one"), folder.path().join("a.png"));
        assert_eq!(kept(b"two"), folder.path().join("a (2).png"));
        assert_eq!(fs::read(folder.path().join("a.png")).expect("a file"), b"one");
        // The drafts are gone.
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 2);
    }
}
