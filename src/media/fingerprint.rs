//! Is this the file we read before? What `stat` must say of a file for the answer to be worth remembering.
//!
//! File systems stamp changes with a clock that ticks slowly. A file changed twice within one tick shows the same
//! times after both changes, so a fingerprint taken during the tick of the file's last change proves nothing later.
//! Nothing is stored here.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::facts::Fingerprint;

/// Longer than any tick of a Linux kernel's file clock (10 ms at 100 Hz).
const TICK: Duration = Duration::from_millis(20);

/// The tick of file systems that keep whole seconds or, like FAT, pairs of them.
const COARSE_TICK: Duration = Duration::from_secs(2);

const NANOS_PER_SEC: i64 = 1_000_000_000;
const NANOS_PER_MILLI: i64 = 1_000_000;

/// Which file `metadata` belongs to and when it last changed; `None` where one of its times cannot be counted in
/// nanoseconds, which reach from 1677 to 2262.
pub fn fingerprint(metadata: &Metadata) -> Option<Fingerprint> {
    Some(Fingerprint {
        device: metadata.dev(),
        inode: metadata.ino(),
        size_bytes: metadata.size(),
        modified_ns: nanos(metadata.mtime(), metadata.mtime_nsec())?,
        changed_ns: nanos(metadata.ctime(), metadata.ctime_nsec())?,
    })
}

/// The same for what the system said in its own words.
pub(super) fn fingerprint_of(seen: &rustix::fs::Stat) -> Option<Fingerprint> {
    Some(Fingerprint {
        device: seen.st_dev,
        inode: seen.st_ino,
        size_bytes: seen.st_size.try_into().ok()?,
        modified_ns: nanos(seen.st_mtime, seen.st_mtime_nsec.try_into().ok()?)?,
        changed_ns: nanos(seen.st_ctime, seen.st_ctime_nsec.try_into().ok()?)?,
    })
}

fn nanos(seconds: i64, nanos: i64) -> Option<i64> {
    seconds.checked_mul(NANOS_PER_SEC)?.checked_add(nanos)
}

/// Whether a fingerprint may be remembered for the bytes of a read that begins now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// Yes: any later change will show.
    Settled,
    /// Not yet: after `wait`, at most 20 ms, it would be.
    Young {
        /// How long until it is settled.
        wait: Duration,
    },
    /// No: its times lie ahead of the clock, or too little behind it for a file system that counts in seconds.
    Never,
}

/// Whether `fingerprint` may be remembered for a read that begins at `now`: only if a whole tick of the file system's
/// clock has passed since the file's last change.
pub fn trust(fingerprint: &Fingerprint, now: Timestamp) -> Trust {
    let changed_ns = fingerprint.modified_ns.max(fingerprint.changed_ns);
    let changed = Timestamp::from_unix_millis(changed_ns.div_euclid(NANOS_PER_MILLI));
    let whole_seconds = [fingerprint.modified_ns, fingerprint.changed_ns].iter().all(|ns| ns % NANOS_PER_SEC == 0);
    let tick = if whole_seconds { COARSE_TICK } else { TICK };
    match tick.checked_sub(now.since(changed)) {
        _ if changed > now => Trust::Never,
        None | Some(Duration::ZERO) => Trust::Settled,
        Some(_) if whole_seconds => Trust::Never,
        Some(wait) => Trust::Young { wait },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed_at(modified_ns: i64, changed_ns: i64) -> Fingerprint {
        Fingerprint { device: 1, inode: 2, size_bytes: 3, modified_ns, changed_ns }
    }

    #[test]
    fn a_file_is_settled_one_tick_after_its_last_change() {
        let now = Timestamp::from_unix_millis(10_020);
        let trusted = |modified_ms: i64, changed_ms: i64| {
            trust(&changed_at(modified_ms * NANOS_PER_MILLI, changed_ms * NANOS_PER_MILLI + 1), now)
        };
        assert_eq!(trusted(10_000, 10_000), Trust::Settled);
        assert_eq!(trusted(10_001, 9_000), Trust::Young { wait: Duration::from_millis(1) });
        assert_eq!(trusted(5, 10_020), Trust::Young { wait: Duration::from_millis(20) });
    }

    #[test]
    fn a_file_dated_ahead_of_the_clock_is_never_trusted() {
        let now = Timestamp::from_unix_millis(10_000);
        assert_eq!(trust(&changed_at(10_001 * NANOS_PER_MILLI, 1), now), Trust::Never);
        assert_eq!(trust(&changed_at(1, i64::MAX), now), Trust::Never);
    }

    #[test]
    fn whole_seconds_need_two_of_them() {
        let print = changed_at(8 * NANOS_PER_SEC, 7 * NANOS_PER_SEC);
        assert_eq!(trust(&print, Timestamp::from_unix_millis(9_999)), Trust::Never);
        assert_eq!(trust(&print, Timestamp::from_unix_millis(10_000)), Trust::Settled);
    }

    #[test]
    fn a_file_older_than_1970_is_settled() {
        assert_eq!(trust(&changed_at(-1, -1), Timestamp::from_unix_millis(1_000)), Trust::Settled);
    }

    #[test]
    fn a_rewritten_file_has_another_fingerprint_and_a_renamed_one_keeps_inode_and_size() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, moved) = (folder.path().join("a"), folder.path().join("b"));
        let of = |path| fingerprint(&std::fs::metadata(path).expect("metadata")).expect("a fingerprint");
        std::fs::write(&path, "one").expect("write");
        let before = of(&path);
        std::fs::rename(&path, &moved).expect("rename");
        assert_eq!((of(&moved).inode, of(&moved).size_bytes), (before.inode, 3));
        std::fs::write(&moved, "three").expect("write");
        assert_ne!(of(&moved), before);
    }
}
