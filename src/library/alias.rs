//! Aliases: from what a name is to be given to, to what it stands for, and from the name back to that.

use std::path::Path;

use crate::blocking::blocking;
use crate::clock::Timestamp;
use crate::ids::{AliasName, Asset, ContentHash, MediaKind, Platform, WebUrl};
use crate::media::{Follow, Severity, Verdict, judge, judge_as_file};
use crate::record::{Alias, AliasTarget, Record, UploadFilter};

use super::manager::kind_of;
use super::{AssetRef, Inspector, LibraryError, NoReport, place_of};

/// A name to be given to something.
#[derive(Debug, Clone)]
pub struct AliasRequest {
    /// The name.
    pub name: AliasName,
    /// What it shall stand for.
    pub reference: AssetRef,
    /// The `type` it is to be sent as; `None` takes what its bytes, the end of its address, or the record say.
    pub kind: Option<MediaKind>,
    /// Whose limits it must keep to.
    pub platform: Platform,
}

/// Gives the name to what the reference points at now, and gives the alias as it was before. Nothing is uploaded.
///
/// # Errors
/// When the platform would refuse the file, or it cannot be read; when nothing is known of the digest or alias; when
/// nothing says what kind the address leads to; when the record cannot be written.
pub async fn point_at(
    inspector: &Inspector,
    record: &dyn Record,
    request: &AliasRequest,
    now: Timestamp,
) -> Result<(Alias, Option<Alias>), LibraryError> {
    let target = match &request.reference {
        AssetRef::File(path) => target_of_file(inspector, path, request).await?,
        AssetRef::Hash(hash) => target_of_hash(record, *hash, request).await?,
        AssetRef::Url(url) => target_of_url(url, request)?,
        AssetRef::Alias(other) => {
            let target = target_of(record, other).await?;
            AliasTarget { kind: request.kind.unwrap_or(target.kind), ..target }
        }
    };
    let alias = Alias { name: request.name.clone(), target, set_at: now };
    let before = record.set_alias(&alias).await?;
    Ok((alias, before))
}

/// What the alias stands for.
pub(super) async fn target_of(record: &dyn Record, name: &AliasName) -> Result<AliasTarget, LibraryError> {
    let alias = record.alias(name).await?;
    alias.map(|alias| alias.target).ok_or_else(|| LibraryError::NoSuchAlias { alias: name.clone() })
}

/// The reference, or in place of an alias what it stands for.
///
/// # Errors
/// When there is no such alias, or the record cannot be read.
pub async fn without_alias(record: &dyn Record, reference: &AssetRef) -> Result<AssetRef, LibraryError> {
    match reference {
        AssetRef::Alias(name) => Ok(match target_of(record, name).await?.asset {
            Asset::Bytes(hash) => AssetRef::Hash(hash),
            Asset::Url(url) => AssetRef::Url(url),
        }),
        other => Ok(other.clone()),
    }
}

async fn target_of_file(
    inspector: &Inspector,
    path: &Path,
    request: &AliasRequest,
) -> Result<AliasTarget, LibraryError> {
    let (inspector, file) = (inspector.clone(), path.to_owned());
    let seen = blocking(move || inspector.inspect(&file, Follow::Named, &NoReport)).await;
    let unusable = |problem| LibraryError::Unusable { path: path.to_owned(), problem };
    let facts = seen.map_err(unusable)?.facts;
    let Verdict { kind: actual, mut problems, .. } = judge(&facts, path, request.platform);
    if request.kind == Some(MediaKind::File) {
        problems = judge_as_file(&facts, path, request.platform).problems;
    }
    if let Some(problem) = problems.into_iter().find(|problem| problem.severity == Severity::Error) {
        return Err(unusable(problem));
    }
    let kind = match request.kind {
        Some(asked) if asked != actual && asked != MediaKind::File => {
            return Err(LibraryError::OtherKind { path: path.to_owned(), asked, actual });
        }
        asked => asked.unwrap_or(actual),
    };
    Ok(AliasTarget { asset: Asset::Bytes(facts.hash), kind, source: place_of(path).ok() })
}

/// Bytes known by their digest were uploaded somewhere, or nothing is known of them.
async fn target_of_hash(
    record: &dyn Record,
    hash: ContentHash,
    request: &AliasRequest,
) -> Result<AliasTarget, LibraryError> {
    const ENOUGH: usize = 100;
    let asset = Asset::Bytes(hash);
    let filter = UploadFilter { asset: Some(asset.clone()), ..UploadFilter::default() };
    let uploads = record.list(&filter, None, ENOUGH).await?;
    let fitting = uploads.into_iter().filter(|upload| request.kind.is_none_or(|kind| kind == upload.key.kind));
    let known = fitting.max_by_key(|upload| upload.uploaded_at);
    let upload = known.ok_or_else(|| LibraryError::NotRecorded { reference: asset.to_string() })?;
    Ok(AliasTarget { asset, kind: upload.key.kind, source: upload.source })
}

fn target_of_url(url: &WebUrl, request: &AliasRequest) -> Result<AliasTarget, LibraryError> {
    let kind = request.kind.or_else(|| kind_of(url));
    let kind = kind.ok_or_else(|| LibraryError::KindUnknown { url: url.to_string() })?;
    Ok(AliasTarget { asset: Asset::Url(url.clone()), kind, source: None })
}
