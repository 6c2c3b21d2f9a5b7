//! What `ls`, `show` and `forget` have in common: ids as they stand on record.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::time::Duration;

use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::values::human_span;
use crate::clock::Moment;
use crate::ids::{AliasName, Asset, KeySpace};
use crate::library::{AssetRef, LibraryError, UrlQuery, place_of, standing, without_alias};
use crate::record::{Record, Upload, UploadFilter};

use super::references::{inspector_for, must_exist, reference};

/// Rows read from the record at a time.
const ROWS: usize = 1_000;

/// All that is on record of what `text` refers to, in the scope of [`each_recorded`]: of a file, by its bytes as they
/// are now, and by copies made of them; where there is no file any more, by the place it was uploaded from.
pub(super) async fn find(context: &Context, record: &dyn Record, text: &OsStr) -> Result<Vec<Upload>, Failure> {
    let written = reference(text)?;
    let reference = without_alias(record, &written).await?;
    let (asset, source) = match &reference {
        AssetRef::File(path) if must_exist(path).is_err() => (None, place_of(path).ok()),
        _ => {
            // A file may be larger than what is uploaded, where a copy was in its place.
            let inspector = context.fitting(inspector_for(context, std::slice::from_ref(&reference)), true);
            (Some(inspector.asset_of(&reference).await?), None)
        }
    };
    let mut assets = vec![asset];
    if let Some(Some(Asset::Url(url))) = assets.first() {
        let stored = context.settings.url_query.asset_of(Asset::Url(url.clone()));
        // Ids from before queries were ignored are found as well.
        if assets.first() != Some(&Some(stored.clone())) {
            assets.push(Some(stored));
        }
    }
    if let Some(Some(Asset::Bytes(hash))) = assets.first() {
        // What was uploaded in the place of these bytes is theirs as well.
        let copies = record.copies_of(*hash).await?;
        assets.extend(copies.iter().map(|copy| Some(Asset::Bytes(copy.result))));
    }
    let mut found = Vec::new();
    for asset in assets {
        let filter = UploadFilter { asset, ..UploadFilter::default() };
        each_recorded(context, record, &filter, |upload| {
            if source.is_none() || upload.source == source {
                found.push(upload.clone());
            }
        })
        .await?;
    }
    match &reference {
        _ if !found.is_empty() => Ok(found),
        AssetRef::File(path) if source.is_some() => must_exist(path).map(|()| found),
        _ => Err(LibraryError::NotRecorded { reference: written.to_string() }.into()),
    }
}

/// Hands every recorded id the filter lets through to `each`, and counts them. Ids of other Graph origins are none of
/// ours, and with `--page` or `--platform` neither are those of other Pages or platforms.
pub(super) async fn each_recorded(
    context: &Context,
    record: &dyn Record,
    filter: &UploadFilter,
    mut each: impl FnMut(&Upload),
) -> Result<u64, Failure> {
    let pages = match context.global.page {
        Some(_) => Some(context.page_ids(record).await?),
        None => None,
    };
    let ours = |upload: &&Upload| {
        let KeySpace { origin, page: owner, platform } = &upload.key.space;
        *origin == context.settings.origin
            && pages.as_ref().is_none_or(|pages| pages.contains(owner))
            && context.global.platform.is_none_or(|asked| asked == *platform)
    };
    let mut listed = 0;
    let mut after = None;
    loop {
        let uploads = record.list(filter, after.as_ref(), ROWS).await?;
        for upload in uploads.iter().filter(ours) {
            each(upload);
            listed += 1;
        }
        match uploads.last() {
            Some(last) if uploads.len() == ROWS && !context.stop.is_requested() => after = Some(last.key.clone()),
            _ => return Ok(listed),
        }
    }
}

/// The names of assets.
pub(super) struct AliasNames {
    names: HashMap<Asset, Vec<AliasName>>,
    url_query: UrlQuery,
}

impl AliasNames {
    /// All there are.
    pub(super) async fn load(context: &Context, record: &dyn Record) -> Result<Self, Failure> {
        let url_query = context.settings.url_query;
        let mut names: HashMap<_, Vec<_>> = HashMap::new();
        for alias in record.aliases().await? {
            names.entry(url_query.asset_of(alias.target.asset)).or_default().push(alias.name);
        }
        Ok(Self { names, url_query })
    }

    /// Those of this asset, in order.
    pub(super) fn of(&self, asset: &Asset) -> &[AliasName] {
        self.names.get(&self.url_query.asset_of(asset.clone())).map_or(&[], Vec::as_slice)
    }

    /// The same, in a row.
    pub(super) fn row_of(&self, asset: &Asset) -> String {
        let names: Vec<_> = self.of(asset).iter().map(ToString::to_string).collect();
        names.join("  ")
    }
}

/// How an id stands: `live`, `due`, `expired`, `rejected` or `unknown_age`.
pub(super) fn state(context: &Context, upload: &Upload) -> &'static str {
    standing(upload, context.clock.moment()).as_str()
}

/// `89 d left`, or that there is nothing left, or that nobody knows.
pub(super) fn time_left(context: &Context, upload: &Upload) -> String {
    let end = match context.clock.moment() {
        Moment::Doubtful(_) => None,
        Moment::Sure(now) => upload.known_expiry().map(|end| end.since(now)),
    };
    match end {
        None => "not known".to_owned(),
        Some(Duration::ZERO) => "expired".to_owned(),
        Some(left) => format!("{} left", human_span(left)),
    }
}
