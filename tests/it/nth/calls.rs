//! Which calls of a program fail, and how: the other side of `fail_calls.c`.

use std::fmt;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::support::preload::Preload;

/// What is built and loaded before a program, as long as this lives.
#[derive(Debug)]
pub(crate) struct Calls(Preload);

/// What can happen to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    Eio,
    Enospc,
    Eintr,
    Short,
    /// A write that was not done, and is said to have been: nothing a program could notice, so these tests must.
    Lie,
}

impl How {
    /// What systems do. They do not lie.
    pub(crate) const HONEST: [Self; 4] = [Self::Eio, Self::Enospc, Self::Eintr, Self::Short];

    fn name(self) -> &'static str {
        match self {
            Self::Eio => "EIO",
            Self::Enospc => "ENOSPC",
            Self::Eintr => "EINTR",
            Self::Short => "short",
            Self::Lie => "lie",
        }
    }

    /// What a user has to be told of it: the system's words, or those SQLite has in their place. It tries to read what
    /// it cannot open to write, takes a disk that cannot be read for a damaged file, and keeps the system's words to itself.
    pub(crate) fn words(self) -> impl Iterator<Item = &'static str> {
        const ENGINE: [&str; 5] = [
            "disk I/O error",
            "database or disk is full",
            "unable to open database file",
            "attempt to write a readonly database",
            "database disk image is malformed",
        ];
        let system: &[&str] = match self {
            Self::Eio => &["Input/output error"],
            Self::Enospc => &["No space left on device"],
            Self::Eintr => &["Interrupted system call"],
            Self::Short | Self::Lie => &[],
        };
        system.iter().copied().chain(ENGINE)
    }
}

/// One thing that happens, to the `at`-th call to which it can.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fault {
    pub(crate) at: u64,
    pub(crate) how: How,
    /// Whether it goes on happening from there.
    pub(crate) is_lasting: bool,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}:{}", self.at, if self.is_lasting { "+" } else { "" }, self.how.name())
    }
}

/// A call that concerned a file of the folder.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) kind: String,
    /// What could have happened to it.
    possible: String,
    /// What did.
    pub(crate) how: Option<How>,
    /// Within the folder.
    pub(crate) path: String,
}

impl Call {
    pub(crate) fn may(&self, how: How) -> bool {
        self.possible.split(',').any(|possible| possible == how.name())
    }

    /// Whether whoever was interrupted, or got half of it done, only has to go on. A sync that was interrupted is none
    /// anybody may rely on; what was closed was synced before, if anybody relies on it.
    pub(crate) fn is_gentle(&self) -> bool {
        match self.how {
            None | Some(How::Short) => true,
            Some(_) if self.kind == "close" => true,
            Some(How::Eintr) => self.kind != "sync",
            Some(How::Eio | How::Enospc | How::Lie) => false,
        }
    }
}

impl Calls {
    /// `None`, and loudly so, where nothing can be preloaded.
    pub(crate) fn build() -> Option<Self> {
        Preload::build("nth/fail_calls.c", "FAULTS OF THE DISK").map(Self)
    }

    /// Has these faults happen to the command, as far as it concerns itself with `folder`; its calls are written to `log`.
    pub(crate) fn spoil(&self, command: &mut Command, faults: &[Fault], folder: &Path, log: &Path) {
        let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
        self.0.before(command);
        command
            .env("FAIL_CALLS_FOLDER", folder.canonicalize().expect("a folder"))
            .env("FAIL_CALLS_LOG", log)
            .env("FAIL_CALLS", faults.join(","));
    }
}

/// The calls that were written down.
pub(crate) fn read(log: &Path) -> Vec<Call> {
    let text = fs::read_to_string(log).expect("a log: something was preloaded");
    let call = |line: &str| {
        let mut fields = line.splitn(4, ' ').map(ToOwned::to_owned);
        let mut field = || fields.next().expect("four fields");
        let (kind, possible, how, path) = (field(), field(), field(), field());
        let all = How::HONEST.into_iter().chain([How::Lie]);
        Call { kind, possible, how: all.into_iter().find(|one| one.name() == how), path }
    };
    text.lines().map(call).collect()
}
