//! `thumbnail`: the child of `serve` that makes one thumbnail, and is expected to fail now and then.

use std::io::{Read, Write};

use crate::cli::exit::Exit;
use crate::media::limits::MAX_BYTES;
use crate::media::thumbnail::thumbnail;

/// Memory, in bytes.
#[cfg(unix)]
const MEMORY: u64 = 512 << 20;
/// Processor time, in seconds.
#[cfg(unix)]
const TIME: u64 = 5;

/// Reads a picture on standard input, and writes its thumbnail to standard output. Says nothing to anybody: nobody reads it.
pub(super) fn run() -> Exit {
    confine();
    let mut bytes = Vec::new();
    let read = std::io::stdin().lock().take(MAX_BYTES + 1).read_to_end(&mut bytes);
    let made = read.is_ok().then(|| std::panic::catch_unwind(|| thumbnail(&bytes)));
    match made {
        Some(Ok(Ok(made))) if std::io::stdout().lock().write_all(&made).is_ok() => Exit::Done,
        _ => Exit::SomeFailed,
    }
}

/// From here on the system ends this process rather than let it take more.
fn confine() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, setrlimit};
        // It opens no file, writes none, and starts nothing.
        let limits = [(Resource::As, MEMORY), (Resource::Cpu, TIME), (Resource::Fsize, 0), (Resource::Core, 0)];
        for (resource, most) in limits {
            // A limit that is lower already stays.
            let _ = setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) });
        }
    }
}
