//! The record's file: created for its owner alone, recognised, migrated.
//!
//! Opening an existing record reads its first page, how far it has come, and no more. Whatever changes the file's form
//! happens under a lock on its folder, so any number of processes may open a new record at once.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use refinery::{Migration, Runner};
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, OpenFlags};

use super::fault::Fault;
use super::head::{Head, Mark};
use crate::record::RecordError;

/// SQLite's `application_id` of a record: "reat".
const APPLICATION: i32 = i32::from_be_bytes(*b"reat");
/// How long to wait for another's lock.
const PATIENCE: Duration = Duration::from_secs(10);

/// A connection to the record at `path`, in the newest format of `migrations`, which apply all together or not at all, and
/// the mark beside it.
pub(super) fn open(path: &Path, migrations: Runner) -> Result<(Connection, Mark), Fault> {
    let mut mark = Mark::beside(path);
    // Read before the record, which may go on in between, but never back.
    let reached = mark.read();
    create(path, &mark)?;
    let mut connection =
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    mark.look_at_record()?;
    connection.busy_timeout(PATIENCE)?;
    connection.execute_batch("PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF;")?;
    let newest = migrations.get_migrations().iter().map(Migration::version).max().unwrap_or_default();
    if format(&connection, path, newest)? < newest {
        migrate(&mut connection, path, &migrations.set_grouped(true), newest)?;
    }
    Head::of(&connection)?.reaches(reached, path)?;
    Ok((connection, mark))
}

/// Creates the file, empty, before SQLite would: SQLite asks the umask who may read it, and gives its neighbours the
/// same mode. A file that is empty or missing, and was not always, is left so.
fn create(path: &Path, mark: &Mark) -> Result<(), Fault> {
    match fs::metadata(path) {
        Ok(file) if file.len() == 0 => return mark.allows_nothing(path),
        Ok(_) => return Ok(()),
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
        Err(_) => {}
    }
    mark.allows_nothing(path)?;
    DirBuilder::new().recursive(true).mode(0o700).create(folder_of(path))?;
    match private_file(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error.into()),
        _ => Ok(()),
    }
}

/// The format the file is in; 0 where it is new.
fn format(connection: &Connection, path: &Path, newest: i32) -> Result<i32, Fault> {
    let query = "SELECT application_id, user_version, (SELECT count(*) FROM sqlite_schema)
                 FROM pragma_application_id, pragma_user_version";
    let read = connection.query_row(query, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    match read {
        (APPLICATION, found, _) if found > newest => {
            Err(RecordError::NewerFormat { path: path.to_owned(), found, known: newest }.into())
        }
        (APPLICATION, found, _) => Ok(found),
        (0, 0, 0) => Ok(0),
        _ => Err(RecordError::NotARecord { path: path.to_owned() }.into()),
    }
}

fn migrate(connection: &mut Connection, path: &Path, migrations: &Runner, newest: i32) -> Result<(), Fault> {
    let folder = File::open(folder_of(path))?;
    folder.lock()?;
    let found = format(connection, path, newest)?;
    if found == newest {
        return Ok(());
    }
    if found == 0 {
        Mark::beside(path).allows_nothing(path)?;
        sync_names(path);
        connection.pragma_update(None, "application_id", APPLICATION)?;
        connection.pragma_update(None, "journal_mode", "wal")?;
    } else {
        back_up(connection, path, newest)?;
        folder.sync_all()?;
    }
    migrations.run(connection)?;
    Ok(())
}

/// Makes it durable that there is a record at all: syncing a file says nothing of its name, nor of those of the folders
/// it lies in. Whoever made those, and was killed, may not have come this far.
fn sync_names(path: &Path) {
    let folder = fs::canonicalize(folder_of(path)).unwrap_or_default();
    for folder in folder.ancestors() {
        // A folder that may not be read, or of a file system that knows no such sync, is none we made.
        let _ = File::open(folder).and_then(|folder| folder.sync_all());
    }
}

/// Copies the record to `PATH.before-vN`, which is complete whenever it exists.
fn back_up(connection: &Connection, path: &Path, newest: i32) -> Result<(), Fault> {
    let copy = with_suffix(path, &format!(".before-v{newest}"));
    let unfinished = with_suffix(&copy, ".part");
    match fs::remove_file(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    let file = private_file(&unfinished)?;
    let name = ToSqlOutput::Borrowed(ValueRef::Text(unfinished.as_os_str().as_bytes()));
    connection.execute("VACUUM INTO ?1", [name])?;
    file.sync_all()?;
    fs::rename(unfinished, copy)?;
    Ok(())
}

fn private_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

pub(super) fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
