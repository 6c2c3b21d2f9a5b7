//! All that was said and left, searched for secrets in every spelling.

use std::fs;
use std::path::Path;
use std::process::Output;

use crate::support::secrecy::found;

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
