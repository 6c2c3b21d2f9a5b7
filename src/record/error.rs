//! Why the record could not do what it was asked, by what can be done about it.

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;

/// What the engine said, in its own words; shared by all whose writes it ended.
type Cause = Arc<dyn Error + Send + Sync>;

/// Why the record could not do what it was asked. Displayed as what follows "failed to". Of a shared record, the path is
/// its server's address.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// The file cannot be opened, created or written: look at its path and permissions.
    #[error("open the record {}", path.display())]
    Unreachable {
        /// The record's file.
        path: PathBuf,
        /// What the system or the engine said.
        source: Cause,
    },
    /// The file is something else, or so damaged that nobody can tell. It was not touched.
    #[error("open {}: it is not a reattach record, or its first page is damaged", path.display())]
    NotARecord {
        /// The file.
        path: PathBuf,
    },
    /// A newer program wrote the file. It was not touched: use that program.
    #[error("open the record {}: its format is {found}, and the newest known here is {known}", path.display())]
    NewerFormat {
        /// The record's file.
        path: PathBuf,
        /// The file's format.
        found: i32,
        /// The newest format this program reads.
        known: i32,
    },
    /// Another program kept the record locked for ten seconds, or changed the form of a shared one for about a minute: try
    /// again.
    #[error("use the record {}: another program keeps it locked", path.display())]
    Locked {
        /// The record's file.
        path: PathBuf,
        /// What the engine said.
        source: Cause,
    },
    /// There is no room on the disk. Nothing was written: make room and try again.
    #[error("write to the record {}: there is no room on the disk", path.display())]
    Full {
        /// The record's file.
        path: PathBuf,
        /// What the engine said.
        source: Cause,
    },
    /// The file is damaged: restore it from a copy.
    #[error("read the record {}: the file is damaged: {what}", path.display())]
    Corrupt {
        /// The record's file.
        path: PathBuf,
        /// What was found.
        what: String,
    },
    /// A row is damaged: it parses as nothing it could be, or its checksum is wrong.
    #[error("read the record: a row of table {table} is damaged: {what}")]
    Damaged {
        /// The table.
        table: &'static str,
        /// What was found.
        what: String,
    },
    /// The record is not as far as it once was: its newest changes were lost, or an older copy took its place.
    #[error(
        "read the record {}: its newest changes are gone ({lost} at least): it is damaged, an older copy, or missing",
        path.display()
    )]
    Behind {
        /// The record's file.
        path: PathBuf,
        /// How many changes are missing, at least.
        lost: u64,
    },
    /// Another file took the place of the record's while it was in use, or none did: what was written meanwhile is in the
    /// file that was there.
    #[error("use the record {}: its file was replaced or moved away while it was in use", path.display())]
    Replaced {
        /// The record's file.
        path: PathBuf,
    },
    /// The server lacks what it, or the one whose place it took, has acknowledged to this process: it was lost, or this is
    /// an older copy.
    #[error("use the record {server}: what was acknowledged is not there: {lacks}")]
    Forgotten {
        /// The server, without a password.
        server: String,
        /// What is missing.
        lacks: String,
    },
    /// What was to be stored makes no sense: the caller is wrong.
    #[error("store that in the record {}", path.display())]
    Refused {
        /// The record's file.
        path: PathBuf,
        /// The rule it breaks.
        source: Cause,
    },
    /// The disk or the engine failed. This record answers nothing more; open it anew, and verify it.
    #[error("use the record {}", path.display())]
    Failed {
        /// The record's file.
        path: PathBuf,
        /// What the system or the engine said.
        source: Cause,
    },
    /// The server cannot be reached, takes no writes or gives no connection, or not now. What it has acknowledged is safe
    /// there.
    #[error("{} the record {server}", obstacle.deed())]
    Away {
        /// The server, without a password.
        server: String,
        /// What stands in the way.
        obstacle: Obstacle,
        /// What the network, the client or the server said.
        source: Cause,
    },
    /// The server does not take us as we are: user, password, database, rights, certificate or version.
    #[error("use the record {server}")]
    NotLetIn {
        /// The server, without a password.
        server: String,
        /// What it said.
        source: Cause,
    },
    /// The server's tables are missing or older than this program needs, and our role has no right to change that.
    #[error("use the record {server}: {}", form(*found, *needed))]
    Unformed {
        /// The server, without a password.
        server: String,
        /// The form of its tables; 0 where there are none.
        found: i32,
        /// The form this program needs.
        needed: i32,
        /// What it said.
        source: Cause,
    },
    /// The server lets us read, and not write.
    #[error("write to the record {server}: the role {role} may not change the table {table}")]
    MayOnlyRead {
        /// The server, without a password.
        server: String,
        /// As whom it takes us.
        role: String,
        /// One of the tables.
        table: String,
    },
    /// The server has not heard of this process for so long that what it had claimed has passed on; or it died, and has
    /// forgotten a claim.
    #[error("go on with the record: it was out of reach for too long, and what was claimed has passed on")]
    Lapsed,
    /// Whoever works with a record keeps it from being carried over, and for some time who did so until just now.
    #[error("carry the record over: somebody is at work with {}, or was until just now", path.display())]
    AtWork {
        /// The record's file.
        path: PathBuf,
    },
    /// A record that was carried over holds something else than where it came from.
    #[error("carry the record over: of table {table} there are {here} rows here and {there} there, and they differ")]
    Unlike {
        /// The table.
        table: &'static str,
        /// How many rows it has where they come from.
        here: u64,
        /// How many it has where they were carried to.
        there: u64,
    },
    /// An earlier call failed, after which nothing this record says could be relied on.
    #[error("use the record {}: an earlier write failed ({why})", path.display())]
    Stopped {
        /// The record's file.
        path: PathBuf,
        /// What was said then: whoever hears of the failure may hear of nothing else.
        why: String,
    },
}

/// How tables stand that are not as they are needed.
fn form(found: i32, needed: i32) -> String {
    match found {
        0 => "its tables are not there yet, and this role may not make them".to_owned(),
        _ => format!("its tables have form {found}, this program needs {needed}, and this role may not change them"),
    }
}

/// What stands between us and a server that is away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Obstacle {
    /// It cannot be reached, or answers nothing.
    Unreachable,
    /// It takes no writes, as a standby does.
    ReadOnly,
    /// It gives no more connections.
    Crowded,
}

impl Obstacle {
    /// What it keeps us from.
    fn deed(self) -> &'static str {
        match self {
            Self::Unreachable => "reach",
            Self::ReadOnly => "write to",
            Self::Crowded => "get a connection to",
        }
    }

    fn hint(self) -> &'static str {
        match self {
            Self::Unreachable => "see whether the server runs and can be reached, and try again: nothing is lost",
            Self::ReadOnly => {
                "this server takes no writes, as a standby does: name the primary in the address, or all hosts; nothing is \
                 lost"
            }
            Self::Crowded => {
                "a process needs two connections at least, and holds nine at most, for a moment ten: let the server, the \
                 database or the role have more, or run fewer processes; nothing is lost"
            }
        }
    }
}

impl RecordError {
    /// What to do about it; `None` where the message says all there is to say.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Unreachable { .. } => {
                Some("check that the folder exists, is yours to write and has room, or choose another store")
            }
            Self::NotARecord { .. } => Some("choose another store, or move the file away"),
            Self::NewerFormat { .. } => Some("use the newer program that wrote it"),
            Self::Locked { .. } => Some("wait for the other program to finish, and try again"),
            Self::Full { .. } => Some("make room on the disk, and try again: what did not fit is not on record"),
            Self::Corrupt { .. } | Self::Damaged { .. } => Some(
                "check the disk, and try again, for one that cannot be read looks the same; if it stays so, end all that use \
                 the record, delete record.db-wal and record.db-shm beside it, and restore the file from a copy, a second time \
                 where those two lay beside it the first: docs/OPERATING.md; without a copy, move it, those two and \
                 record.db.mark away: everything is uploaded again, and campaigns are forgotten, so whoever runs one anew \
                 sends it to all, those who have it too",
            ),
            Self::Behind { .. } => Some(
                "restore the newest copy, with record.db-wal and record.db-shm deleted beside it first: docs/OPERATING.md; \
                 to go on with what there is, such as an older copy or nothing, delete \
                 record.db.mark beside it: who was sent what since is forgotten then, and campaigns with somebody left wait for \
                 a resume",
            ),
            Self::Replaced { .. } => Some(
                "end all that use the record before its file is moved or restored, then see which file is the right one: what \
                 was written last is in the one that was there: docs/OPERATING.md",
            ),
            Self::Failed { .. } | Self::Stopped { .. } => Some("check the disk, and try again"),
            Self::Away { obstacle, .. } => Some(obstacle.hint()),
            Self::NotLetIn { .. } => Some(
                "check user, password, database and certificate, and that the role may use the schema reattach: \
                 docs/POSTGRES.md",
            ),
            Self::Unformed { .. } => Some(
                "whoever owns the database or the tables has to run any command once with this program, such as \
                 `reattach doctor`: docs/POSTGRES.md",
            ),
            Self::MayOnlyRead { .. } => Some(
                "grant it SELECT, INSERT, UPDATE and DELETE on all tables of the schema reattach: docs/POSTGRES.md",
            ),
            Self::Forgotten { .. } => Some(
                "its campaigns are paused, as far as it could be reached: messages may have left of which it knows nothing; \
                 what to do before they are resumed: docs/HA.md",
            ),
            Self::Lapsed => Some("run it again: it goes on where it stopped"),
            Self::AtWork { .. } => Some(
                "end whoever works with it, and try again: who was killed, or lost its server, counts for half a minute more \
                 (reattach_lease), and who was sending a campaign for up to three",
            ),
            Self::Unlike { .. } => Some("carry it to an empty place, while nobody works with either"),
            Self::Refused { .. } => None,
        }
    }
}
