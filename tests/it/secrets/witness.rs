//! All that was said and left, searched for secrets in every spelling.

use std::fs;
use std::path::Path;
use std::process::Output;

/// How much of a secret is as good as all of it.
const TELLING: usize = 12;

/// What was said and left, and where.
#[derive(Default)]
pub(super) struct Witness(Vec<(String, String)>);

impl Witness {
    /// Bytes from somewhere. What is no text in them is nothing a secret is made of.
    pub(super) fn add(&mut self, from: &str, bytes: &[u8]) {
        self.0.push((from.to_owned(), String::from_utf8_lossy(bytes).into_owned()));
    }

    pub(super) fn join(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// What a run of the binary said.
    pub(super) fn run(&mut self, name: &str, output: &Output) {
        self.add(&format!("stdout of {name}"), &output.stdout);
        self.add(&format!("stderr of {name}"), &output.stderr);
    }

    /// Every file in a folder, and their names.
    pub(super) fn folder(&mut self, folder: &Path) {
        let mut pending = vec![folder.to_owned()];
        while let Some(path) = pending.pop() {
            let name = path.display().to_string();
            self.add("a name", name.as_bytes());
            if path.is_dir() {
                pending.extend(fs::read_dir(&path).expect("a folder").map(|entry| entry.expect("an entry").path()));
            } else if path.is_file() {
                self.add(&name, &fs::read(&path).expect("a file"));
            }
        }
    }

    /// How a process and its children were started, and what the children have in their environment.
    pub(super) fn processes(&mut self, process: u32) {
        let parent = format!("PPid:\t{process}");
        for entry in fs::read_dir("/proc").expect("processes").flatten() {
            // Any of them may be gone by now.
            let read = |what: &str| fs::read(entry.path().join(what)).unwrap_or_default();
            let is_child = String::from_utf8_lossy(&read("status")).lines().any(|line| line == parent);
            if !is_child && entry.file_name().to_str() != Some(&process.to_string()) {
                continue;
            }
            self.add_once("a command line", &read("cmdline"));
            // Before it is the program, a child is a copy of its parent.
            if is_child && read("cmdline").split(|byte| *byte == 0).any(|word| word == b"thumbnail") {
                self.add_once("the environment of a child", &read("environ"));
            }
        }
    }

    fn add_once(&mut self, from: &str, bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes).into_owned();
        if !self.0.iter().any(|(known, seen)| known == from && *seen == text) {
            self.0.push((from.to_owned(), text));
        }
    }

    /// That each of these words was seen: whoever sees nothing finds nothing.
    #[track_caller]
    pub(super) fn saw(&self, words: &[&str]) {
        for word in words {
            assert!(
                self.0.iter().any(|(from, text)| from.contains(word) || text.contains(word)),
                "{word} was not seen"
            );
        }
    }

    /// That none of these secrets is anywhere.
    #[track_caller]
    pub(super) fn keeps(&self, secrets: &[&str]) {
        for secret in secrets {
            for (from, text) in &self.0 {
                if let Some((spelling, line)) = found(text, secret) {
                    panic!("{secret} is in {from}, {spelling}: {line}");
                }
            }
        }
    }
}

/// How a secret, or a telling part of it, is spelled in the text, and the line; `None` where it is not there.
pub(super) fn found<'a>(text: &'a str, secret: &str) -> Option<(&'static str, &'a str)> {
    let spelled = spellings(secret).into_iter().find_map(|(name, word)| Some((name, text.find(&word)?)));
    spelled.map(|(name, at)| {
        let start = text[..at].rfind('\n').map_or(0, |end| end + 1);
        let line = text[start..].lines().next().unwrap_or_default();
        (name, line.get(..600).unwrap_or(line))
    })
}

/// The spellings that are searched for: each as short as is still telling.
fn spellings(secret: &str) -> Vec<(&'static str, String)> {
    let mut all: Vec<_> =
        (0..=secret.len() - TELLING).map(|at| ("as it is", secret[at..at + TELLING].to_owned())).collect();
    all.extend(spelled(&secret[..TELLING]));
    all
}

/// A text in each of these spellings, whatever stands around it.
pub(super) fn spelled(text: &str) -> Vec<(&'static str, String)> {
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
