//! What is printed: results on stdout, as text or as JSON Lines; notes and errors on stderr.

use std::ffi::OsString;
use std::fmt;
use std::io::{self, BufWriter, ErrorKind, IsTerminal, Stdout, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use anstyle::{AnsiColor, Style};
use indicatif::MultiProgress;
use serde::Serialize;

use super::args::{ColorWhen, Global};

/// Where a command's words go.
#[derive(Debug)]
pub(super) struct Output {
    json: bool,
    volume: Volume,
    pub(super) palette: Palette,
    /// The progress bars, which step aside while a line is printed.
    pub(super) bars: MultiProgress,
    stdout: Mutex<BufWriter<Stdout>>,
    /// Somebody is reading along.
    interactive: bool,
    /// Something that was printed did not arrive.
    lost: AtomicBool,
}

impl Output {
    /// Output as the global options want it.
    pub(super) fn new(global: &Global) -> Self {
        Self {
            json: global.json,
            volume: Volume::wanted(global),
            palette: Palette::new(global.color),
            bars: MultiProgress::new(),
            interactive: io::stdout().is_terminal(),
            lost: AtomicBool::new(false),
            stdout: Mutex::new(BufWriter::with_capacity(64 * 1024, io::stdout())),
        }
    }

    /// Whether results are JSON Lines.
    pub(super) fn is_json(&self) -> bool {
        self.json
    }

    /// Whether the user asked to hear more.
    pub(super) fn is_verbose(&self) -> bool {
        self.volume == Volume::Verbose
    }

    /// Whether the user asked to hear results and errors only.
    pub(super) fn is_quiet(&self) -> bool {
        self.volume == Volume::Quiet
    }

    /// Prints one JSON object, in JSON mode only.
    pub(super) fn event(&self, event: &impl Serialize) {
        if self.json {
            match serde_json::to_string(event) {
                Ok(line) => self.write(&line),
                Err(error) => tracing::error!(%error, "an event could not be written as JSON"),
            }
        }
    }

    /// Prints a result for people: not in JSON mode.
    pub(super) fn result(&self, line: impl fmt::Display) {
        if !self.json {
            self.write(&line.to_string());
        }
    }

    /// Prints what goes along with the results: not in JSON mode, not when quiet.
    pub(super) fn remark(&self, line: impl fmt::Display) {
        if !self.is_quiet() {
            self.result(line);
        }
    }

    /// Prints something the user should know, on stderr, unless quiet.
    pub(super) fn note(&self, line: impl fmt::Display) {
        if !self.is_quiet() {
            self.complain(line);
        }
    }

    /// Prints something that went wrong, on stderr.
    pub(super) fn complain(&self, line: impl fmt::Display) {
        self.flush();
        self.bars.suspend(|| {
            // Nothing can be told to somebody whose stderr is closed.
            let _ = writeln!(io::stderr().lock(), "{line}");
        });
    }

    /// Prints a question on stderr, and stays on its line.
    pub(super) fn ask(&self, question: impl fmt::Display) {
        self.flush();
        self.bars.suspend(|| {
            let mut stderr = io::stderr().lock();
            // Whoever does not see the question answers with the end of their input.
            let _ = write!(stderr, "{question}").and_then(|()| stderr.flush());
        });
    }

    /// Hands on what was printed so far.
    pub(super) fn flush(&self) {
        self.flush_locked(&mut self.stdout.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn flush_locked(&self, stdout: &mut BufWriter<Stdout>) {
        if !stdout.buffer().is_empty() {
            self.bars.suspend(|| self.mind(stdout.flush()));
        }
    }

    /// Prints words exactly as they are.
    pub(super) fn raw(&self, bytes: &[u8]) {
        let mut stdout = self.stdout.lock().unwrap_or_else(PoisonError::into_inner);
        self.mind(stdout.write_all(bytes));
    }

    /// Whether all that was printed arrived, as far as there was somebody to read it.
    pub(super) fn is_complete(&self) -> bool {
        !self.lost.load(Ordering::Relaxed)
    }

    /// A reader that went away (`reattach ls | head`) is no reason to stop what we do; a full disk is worth an exit code.
    fn mind(&self, written: io::Result<()>) {
        if let Err(error) = written
            && error.kind() != ErrorKind::BrokenPipe
            && !self.lost.swap(true, Ordering::Relaxed)
        {
            tracing::error!(%error, "what was printed did not arrive");
        }
    }

    fn write(&self, line: &str) {
        let mut stdout = self.stdout.lock().unwrap_or_else(PoisonError::into_inner);
        // The bars have to make way for whatever reaches the terminal, a full buffer included.
        if stdout.buffer().len() + line.len() >= stdout.capacity() {
            self.flush_locked(&mut stdout);
        }
        self.mind(stdout.write_all(line.as_bytes()).and_then(|()| stdout.write_all(b"\n")));
        if self.interactive {
            self.flush_locked(&mut stdout);
        }
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        self.flush();
    }
}

/// How much the user wants to hear.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Volume {
    Quiet,
    Usual,
    Verbose,
}

impl Volume {
    fn wanted(global: &Global) -> Self {
        match (global.quiet, global.verbose) {
            (true, _) => Self::Quiet,
            (false, 0) => Self::Usual,
            (false, _) => Self::Verbose,
        }
    }
}

/// Colours, or none.
#[derive(Debug, Clone, Copy)]
pub(super) struct Palette {
    colored: bool,
}

impl Palette {
    fn new(when: ColorWhen) -> Self {
        let colored = match when {
            ColorWhen::Always => true,
            ColorWhen::Never => false,
            ColorWhen::Auto => io::stdout().is_terminal() && takes_colors(|name| std::env::var_os(name)),
        };
        Self { colored }
    }

    /// Good news.
    pub(super) fn good(self, text: impl fmt::Display) -> String {
        self.paint(AnsiColor::Green.on_default(), text)
    }

    /// A warning.
    pub(super) fn warning(self, text: impl fmt::Display) -> String {
        self.paint(AnsiColor::Yellow.on_default(), text)
    }

    /// Bad news.
    pub(super) fn bad(self, text: impl fmt::Display) -> String {
        self.paint(AnsiColor::Red.on_default(), text)
    }

    /// Less important than the rest.
    pub(super) fn faint(self, text: impl fmt::Display) -> String {
        self.paint(Style::new().dimmed(), text)
    }

    /// More important than the rest.
    pub(super) fn strong(self, text: impl fmt::Display) -> String {
        self.paint(Style::new().bold(), text)
    }

    fn paint(self, style: Style, text: impl fmt::Display) -> String {
        if self.colored { format!("{style}{text}{style:#}") } else { text.to_string() }
    }
}

/// Whether a terminal in this environment takes colours, and whoever reads it wants them.
///
/// **Source**: <https://no-color.org>: a `NO_COLOR` that is empty counts for nothing.
fn takes_colors(environment: impl Fn(&str) -> Option<OsString>) -> bool {
    environment("NO_COLOR").is_none_or(|value| value.is_empty())
        && environment("TERM").is_none_or(|terminal| terminal != "dumb")
}

/// A path fit for a terminal: nothing in it moves the cursor, changes colours or turns the text around.
pub(super) fn shown(path: &Path) -> String {
    let mut text = String::new();
    for chunk in path.as_os_str().as_encoded_bytes().utf8_chunks() {
        for character in chunk.valid().chars() {
            if is_treacherous(character) {
                text.extend(character.escape_unicode());
            } else {
                text.push(character);
            }
        }
        for byte in chunk.invalid() {
            text.push_str("\\x");
            text.push_str(&hex::encode([*byte]));
        }
    }
    text
}

/// The same for words from elsewhere, such as Meta's messages.
pub(super) fn shown_text(text: &str) -> String {
    shown(Path::new(text))
}

/// Control characters of both sets, and those that reorder or hide text.
pub(super) fn is_treacherous(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colors_are_left_out_where_they_are_not_wanted_or_not_known() {
        let with = |name, value: &str| takes_colors(|asked| (asked == name).then(|| value.into()));
        assert!(takes_colors(|_| None));
        assert!(with("TERM", "xterm-256color"));
        assert!(!with("TERM", "dumb"));
        assert!(!with("NO_COLOR", "1"));
        assert!(with("NO_COLOR", ""));
    }

    #[test]
    fn a_path_cannot_speak_to_the_terminal() {
        assert_eq!(shown(Path::new("a\u{1b}[31mb\nc")), "a\\u{1b}[31mb\\u{a}c");
        assert_eq!(shown(Path::new("gpj.\u{202e}exe")), "gpj.\\u{202e}exe");
        assert_eq!(shown(Path::new("summer 🌞 ü.png")), "summer 🌞 ü.png");
    }

    #[test]
    fn bytes_that_are_no_text_are_shown_as_numbers() {
        use std::os::unix::ffi::OsStrExt;
        assert_eq!(shown(Path::new(std::ffi::OsStr::from_bytes(b"a\xffb"))), "a\\xffb");
    }
}
