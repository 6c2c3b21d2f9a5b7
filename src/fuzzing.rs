//! What `fuzz/` feeds its inputs to: everything that reads what others wrote, and what has to hold whatever they did.
//!
//! Each module keeps its own targets, beside what it keeps to itself; here they have names. A test feeds them what the
//! fuzzing has found to be of interest, so that nothing of this grows stale.

use std::fmt::{Debug, Display};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::{env, fs, process};

use crate::facts::Facts;
use crate::ids::{AliasName, CampaignName, ContentHash, Origin, PageId, Platform, Recipient, RequestKey, WebUrl};
use crate::library::{AssetRef, manifest};
use crate::media::thumbnail::{EDGE, thumbnail_mime};
use crate::media::{FitRules, judge, probe};
use crate::{cache, campaign, cli, clock, graph, media, record, service};

pub use crate::campaign::fuzzing::{recipients, webhook};
pub use crate::graph::fuzzing::{graph_answer, graph_error, usage_headers};
pub use crate::service::fuzzing::local_http;

/// Files with settings: `reattach.toml`, a store's address, a campaign, a manifest.
pub fn configuration(text: &[u8]) {
    cli::fuzzing::configuration(text);
    campaign::fuzzing::specification(text);
    let Ok(entries) = manifest::read(text) else { return };
    let entries: Vec<_> = entries.into_iter().filter_map(Result::ok).collect();
    for written in [manifest::json(&entries), manifest::csv(&entries)] {
        let again = manifest::read(&written).expect("what is written here is read here");
        assert_eq!(again.len(), entries.len());
    }
}

/// Names of files, as they are shown, kept and sent.
pub fn path_display(name: &[u8]) {
    cli::fuzzing::path_display(name);
    service::fuzzing::name(&String::from_utf8_lossy(name));
}

/// A file's bytes: what they are, and what the platform would say.
pub fn media(bytes: &[u8]) {
    let probe = probe(bytes);
    assert!(probe.dimensions.is_none_or(|size| size.width > 0 && size.height > 0), "{probe:?}");
    let mime = probe.mime.map(Into::into);
    let (dimensions, damage) = (probe.dimensions, probe.damage);
    let facts = Facts { hash: ContentHash([0; 32]), size_bytes: bytes.len() as u64, mime, dimensions, damage };
    for platform in Platform::ALL {
        for name in ["a.png", "a.mp4", "a"] {
            let verdict = judge(&facts, Path::new(name), platform);
            assert!(
                bytes.is_empty() == verdict.problems.iter().any(|problem| problem.code == media::ProblemCode::Empty)
            );
        }
    }
}

/// A picture's bytes, of which the child of the service makes a small one.
pub fn thumbnail(bytes: &[u8]) {
    let Ok(made) = media::thumbnail::thumbnail(bytes) else { return };
    let again = probe(&made);
    assert_eq!(again.mime, Some(thumbnail_mime(&made)));
    assert!(again.damage.is_none() && again.dimensions.is_some_and(|size| size.width.max(size.height) <= EDGE));
}

/// What stores give back: values of the cache, rows of the record.
pub fn rows(stored: &[u8]) {
    cache::fuzzing::bucket(stored);
    record::fuzzing::row(stored);
}

/// Words that stand for something: ids, addresses, times, references, tags, messages with gaps.
pub fn words(text: &[u8]) {
    let Ok(text) = std::str::from_utf8(text) else { return };
    campaign::fuzzing::words(text);
    assert!(text.parse().is_ok_and(|name: AliasName| name.as_str() == text) || text.parse::<AliasName>().is_err());
    reads_back::<CampaignName>(text);
    reads_back::<ContentHash>(text);
    reads_back::<Origin>(text);
    reads_back::<PageId>(text);
    reads_back::<Recipient>(text);
    reads_back::<RequestKey>(text);
    reads_back::<WebUrl>(text);
    reads_back::<FitRules>(text);
    reads_back::<clock::Timestamp>(text);
    reads_back::<graph::ApiVersion>(text);
    let _ = (text.parse::<graph::MessagingType>(), text.parse::<graph::NotificationType>());
    let tag = graph::Tag::new(text);
    assert_eq!(tag.as_str(), text);
    let _ = tag.retired();
    if let Ok(reference) = AssetRef::parse(text.as_ref()) {
        assert_eq!(AssetRef::parse(reference.to_string().as_ref()).as_ref(), Ok(&reference));
    }
}

/// What can be read from `text` reads the same once it was written.
pub(crate) fn reads_back<T: FromStr<Err: Debug> + Display + Debug + PartialEq>(text: &str) {
    if let Ok(value) = text.parse::<T>() {
        let written = value.to_string();
        let again = written.parse::<T>();
        assert!(again.as_ref().is_ok_and(|again| *again == value), "{text:?} is {value:?}, and {written:?} {again:?}");
    }
}

/// Hands `bytes` on as a file of that name, for what opens its files itself.
pub(crate) fn in_file(name: &str, bytes: &[u8], read: impl FnOnce(&Path)) {
    struct Folder(PathBuf);
    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }
    let folder = Folder(env::temp_dir().join(format!("reattach-fuzzing-{}", process::id())));
    fs::create_dir_all(&folder.0).and_then(|()| fs::write(folder.0.join(name), bytes)).expect("a file");
    read(&folder.0.join(name));
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    type Target = fn(&[u8]);

    const TARGETS: [(&str, Target); 12] = [
        ("configuration", configuration),
        ("graph_answer", graph_answer),
        ("graph_error", graph_error),
        ("local_http", local_http),
        ("media", media),
        ("path_display", path_display),
        ("recipients", recipients),
        ("rows", rows),
        ("thumbnail", thumbnail),
        ("usage_headers", usage_headers),
        ("webhook", webhook),
        ("words", words),
    ];

    fn entries(folder: &Path) -> BTreeSet<PathBuf> {
        fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()).collect()
    }

    #[test]
    fn what_fuzzing_found_of_interest_harms_nobody() {
        let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
        let names = |folder: &str, end: &str| -> BTreeSet<String> {
            let name =
                |path: &PathBuf| path.file_name().expect("a name").to_string_lossy().trim_end_matches(end).to_owned();
            entries(&fuzz.join(folder)).iter().map(name).collect()
        };
        let known: BTreeSet<_> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!((names("corpus", "/"), names("fuzz_targets", ".rs")), (known.clone(), known));
        let (mut total, mut harmed) = (0, Vec::new());
        for (name, target) in TARGETS {
            let corpus = entries(&fuzz.join("corpus").join(name));
            assert!(corpus.len() >= 10, "{name} has {} inputs", corpus.len());
            for path in corpus {
                let input = fs::read(&path).expect("an input");
                assert!(input.len() <= 4_096, "{} has {} bytes", path.display(), input.len());
                total += input.len();
                if std::panic::catch_unwind(|| target(&input)).is_err() {
                    harmed.push(path);
                }
            }
        }
        assert!(harmed.is_empty(), "{harmed:?}");
        assert!(total < 1_000_000, "{total} bytes");
    }
}
