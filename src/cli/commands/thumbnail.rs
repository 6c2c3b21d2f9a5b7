//! `thumbnail`: the child of `serve` that makes one thumbnail, and is expected to fail now and then.

mod cage;

use std::io::{Read, Write};

use crate::cli::exit::Exit;
use crate::cli::output::{Output, shown_text};
use crate::cli::values::thousands;
use crate::media::limits::MAX_BYTES;
use crate::media::thumbnail::{thumbnail, why_none};

/// Reads a picture on standard input, and writes its thumbnail to standard output. Says on stderr why there is none, to
/// whoever runs it by hand.
pub(super) fn run(output: &Output) -> Exit {
    cage::close();
    match made().and_then(|made| written(&made)) {
        Ok(()) => Exit::Done,
        Err(why) => {
            output.complain(format_args!("error: there is no thumbnail: {}", shown_text(&why)));
            Exit::SomeFailed
        }
    }
}

fn made() -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let read = std::io::stdin().lock().take(MAX_BYTES + 1).read_to_end(&mut bytes);
    read.map_err(|error| format!("standard input cannot be read: {error}"))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(format!("the picture has over {} bytes", thousands(MAX_BYTES)));
    }
    let made = std::panic::catch_unwind(|| thumbnail(&bytes)).map_err(|_| "its decoder gave up".to_owned())?;
    made.map_err(|error| why_none(&error))
}

fn written(made: &[u8]) -> Result<(), String> {
    let mut stdout = std::io::stdout().lock();
    let written = stdout.write_all(made).and_then(|()| stdout.flush());
    written.map_err(|error| format!("standard output does not take it: {error}"))
}
