//! Whatever a test is about, no secret gets out of it. What the binary says and answers, what it logs at its most talkative,
//! what is logged in this process, and what is left behind in stores is searched here, for what all tests have in common.
//!
//! `secrets` goes for it: more secrets, in any part, in places that are made to show them.

use std::fmt::Display;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use tracing::Subscriber;
use tracing::level_filters::LevelFilter;

/// How much of a secret is as good as all of it.
const TELLING: usize = 12;
/// What the secrets of the sandbox begin with.
const MARKS: [&str; 3] = ["SANDBOX-PAGE", "SANDBOX-USER", "sandbox-secr"];

/// A name, and what is searched for.
type Spelling = (&'static str, String);

/// Fails if a secret is in what came from there.
#[track_caller]
pub(crate) fn keeps_secrets(from: impl Display, bytes: &[u8]) {
    if let Some(told) = told(bytes) {
        panic!("a secret is in {from}, {told}");
    }
}

/// The same for every file below a folder and for their names, but for those below `except`.
#[track_caller]
pub(crate) fn folder_keeps_secrets(folder: &Path, except: Option<&Path>) {
    let mut pending = vec![folder.to_owned()];
    while let Some(path) = pending.pop() {
        if Some(path.as_path()) == except {
            continue;
        }
        keeps_secrets("a name", path.as_os_str().as_encoded_bytes());
        // Whoever is not at its end yet may take any of them away.
        let Ok(metadata) = fs::symlink_metadata(&path) else { continue };
        if metadata.is_dir() {
            pending.extend(fs::read_dir(&path).into_iter().flatten().flatten().map(|entry| entry.path()));
        } else if metadata.is_file() {
            keeps_secrets(path.display(), &fs::read(&path).unwrap_or_default());
        }
    }
}

/// Where a mark stands, and how it is spelled there.
fn told(bytes: &[u8]) -> Option<String> {
    static SPELLINGS: OnceLock<Vec<Spelling>> = OnceLock::new();
    let spellings = SPELLINGS.get_or_init(|| MARKS.into_iter().flat_map(spellings).collect());
    let text = String::from_utf8_lossy(bytes);
    among(&text, spellings).map(|(spelling, line)| format!("{spelling}: {line}"))
}

/// Listens to all that is logged in this process.
#[derive(Debug, Clone, Default)]
pub(crate) struct Listener(Arc<OnceLock<String>>);

impl Listener {
    /// One, and what it hears all of.
    pub(crate) fn new() -> (Self, impl Subscriber + Send + Sync) {
        let listener = Self::default();
        let writer = listener.clone();
        let log = tracing_subscriber::fmt().with_max_level(LevelFilter::TRACE).with_ansi(false);
        (listener, log.with_writer(move || writer.clone()).finish())
    }

    /// The one that hears this process, from the first time it is asked for.
    pub(crate) fn of_this_process() -> &'static Self {
        static LISTENER: OnceLock<Listener> = OnceLock::new();
        LISTENER.get_or_init(|| {
            let (listener, log) = Self::new();
            tracing::subscriber::set_global_default(log).expect("nobody else listens");
            listener
        })
    }

    /// Fails if a secret was among it.
    #[track_caller]
    pub(crate) fn heard_no_secret(&self) {
        assert!(self.0.get().is_none(), "a secret was logged, {}", self.0.get().expect("just now"));
    }
}

impl io::Write for Listener {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(told) = told(bytes) {
            // Whoever logs is in the middle of something else: its test is told at its end.
            let _ = self.0.set(told);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// How a secret, or a telling part of it, is spelled in the text, and the line; `None` where it is not there.
pub(crate) fn found<'a>(text: &'a str, secret: &str) -> Option<(&'static str, &'a str)> {
    among(text, &spellings(secret))
}

/// The first of these spellings that stands in the text, and its line.
fn among<'a>(text: &'a str, spellings: &[Spelling]) -> Option<(&'static str, &'a str)> {
    // Whether it is there at all is found much sooner than where.
    let (name, word) = spellings.iter().find(|(_, word)| text.contains(word.as_str()))?;
    let at = text.find(word.as_str())?;
    let start = text[..at].rfind('\n').map_or(0, |end| end + 1);
    let line = text[start..].lines().next().unwrap_or_default();
    Some((name, line.get(..600).unwrap_or(line)))
}

/// The spellings that are searched for: each as short as is still telling.
fn spellings(secret: &str) -> Vec<Spelling> {
    let mut all: Vec<_> =
        (0..=secret.len() - TELLING).map(|at| ("as it is", secret[at..at + TELLING].to_owned())).collect();
    all.extend(spelled(&secret[..TELLING]));
    all
}

/// A text in each of these spellings, whatever stands around it.
pub(crate) fn spelled(text: &str) -> Vec<Spelling> {
    let bytes = text.as_bytes();
    let hexadecimal = hex::encode(bytes);
    let percent = |byte: &u8| format!("%{byte:02X}");
    let url = |byte: &u8| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(byte) {
            char::from(*byte).to_string()
        } else {
            percent(byte)
        }
    };
    let mut all = vec![
        ("URL-encoded", bytes.iter().map(url).collect()),
        ("URL-encoded to the last letter", bytes.iter().map(percent).collect()),
        ("the same in small letters", bytes.iter().map(percent).collect::<String>().to_lowercase()),
        ("as a form", bytes.iter().map(url).collect::<String>().replace("%20", "+")),
        ("hexadecimal", hexadecimal.clone()),
        ("hexadecimal in capitals", hexadecimal.to_uppercase()),
        ("as a list of numbers", bytes.iter().map(u8::to_string).collect::<Vec<_>>().join(", ")),
    ];
    for alphabet in [*b"+/", *b"-_"] {
        // Whatever comes before it decides where its groups of three begin; those at its ends hold bytes of others.
        for (before, skipped) in [(0, 0), (1, 2), (2, 3)] {
            let padded = [&vec![0; before][..], bytes].concat();
            let whole = padded.len() / 3 * 3;
            all.push(("base64", base64(&padded[..whole], alphabet)[skipped..].to_owned()));
        }
    }
    all
}

/// Base64 of whole groups of three bytes.
fn base64(bytes: &[u8], last_two: [u8; 2]) -> String {
    let letters: Vec<u8> = (b'A'..=b'Z').chain(b'a'..=b'z').chain(b'0'..=b'9').chain(last_two).collect();
    let group = |three: &[u8]| {
        let bits = three.iter().fold(0_usize, |bits, byte| bits << 8 | usize::from(*byte));
        [18, 12, 6, 0].map(|shift| char::from(letters[bits >> shift & 63]))
    };
    bytes.chunks_exact(3).flat_map(group).collect()
}
