//! `thumbnail`: the child of `serve` that makes one thumbnail, and is expected to fail now and then.

mod cage;

use std::io::{Read, Write};

use crate::cli::exit::Exit;
use crate::media::limits::MAX_BYTES;
use crate::media::thumbnail::thumbnail;

/// Reads a picture on standard input, and writes its thumbnail to standard output. Says nothing to anybody: nobody reads it.
pub(super) fn run() -> Exit {
    cage::close();
    let mut bytes = Vec::new();
    let read = std::io::stdin().lock().take(MAX_BYTES + 1).read_to_end(&mut bytes);
    let made = read.is_ok().then(|| std::panic::catch_unwind(|| thumbnail(&bytes)));
    match made {
        Some(Ok(Ok(made))) if std::io::stdout().lock().write_all(&made).is_ok() => Exit::Done,
        _ => Exit::SomeFailed,
    }
}
