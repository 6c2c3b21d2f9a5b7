-- Format 1: uploads, the claims that precede them, what became of claims nobody finished, and whose tokens are whose.
--
-- Times are milliseconds since 1970-01-01T00:00:00Z. Kinds, platforms and states are the words used everywhere else,
-- so that any SQLite shell shows them; a few bytes a row. Paths are bytes, because not every path is UTF-8.

-- Where an id is valid. Rows are never changed or deleted.
CREATE TABLE spaces (
    id       INTEGER PRIMARY KEY,
    origin   TEXT NOT NULL,
    page_id  TEXT NOT NULL CHECK (page_id <> ''),
    platform TEXT NOT NULL CHECK (platform IN ('messenger', 'instagram')),
    UNIQUE (origin, page_id, platform)
) STRICT;

-- The id the bytes have now: one row a key. Searching by attachment_id reads the whole table, which is rare and
-- costs less than an index as large as the table would on every upload.
CREATE TABLE uploads (
    space         INTEGER NOT NULL REFERENCES spaces (id),
    sha256        BLOB NOT NULL CHECK (length(sha256) = 32),
    kind          TEXT NOT NULL CHECK (kind IN ('image', 'video', 'audio', 'file')),
    attachment_id TEXT NOT NULL CHECK (length(attachment_id) BETWEEN 1 AND 512),
    state         TEXT NOT NULL CHECK (state IN ('live', 'rejected')),
    uploaded_at   INTEGER NOT NULL,
    expires_at    INTEGER NOT NULL CHECK (expires_at > uploaded_at),
    size_bytes    INTEGER NOT NULL CHECK (size_bytes >= 0),
    mime          TEXT NOT NULL,
    width         INTEGER CHECK (width BETWEEN 0 AND 4294967295),
    height        INTEGER CHECK (height BETWEEN 0 AND 4294967295),
    source        BLOB,             -- the path it was last uploaded from
    epoch         INTEGER NOT NULL, -- of the claim that stored it
    checksum      INTEGER NOT NULL, -- CRC-32 of all the above, the space spelled out; SQLite itself has none
    PRIMARY KEY (space, sha256, kind),
    CHECK ((width IS NULL) = (height IS NULL))
) STRICT, WITHOUT ROWID;

-- Who is uploading what: written before the first byte leaves. AUTOINCREMENT never gives an epoch twice, not even
-- after its row is gone.
CREATE TABLE claims (
    epoch      INTEGER PRIMARY KEY AUTOINCREMENT,
    space      INTEGER NOT NULL REFERENCES spaces (id),
    sha256     BLOB NOT NULL CHECK (length(sha256) = 32),
    kind       TEXT NOT NULL CHECK (kind IN ('image', 'video', 'audio', 'file')),
    owner      TEXT NOT NULL,       -- alive while it holds the lock on owners/OWNER.lock
    started_at INTEGER NOT NULL,
    UNIQUE (space, sha256, kind)
) STRICT;

-- Uploads whose id serves nobody: the owner died before it could tell, or told too late.
CREATE TABLE orphans (
    epoch         INTEGER PRIMARY KEY,
    space         INTEGER NOT NULL REFERENCES spaces (id),
    sha256        BLOB NOT NULL CHECK (length(sha256) = 32),
    kind          TEXT NOT NULL CHECK (kind IN ('image', 'video', 'audio', 'file')),
    at            INTEGER NOT NULL, -- when it began, or ended where that is not known
    attachment_id TEXT              -- NULL: not known whether there ever was one
) STRICT;

-- Whose token this is, as GET /me said. The token itself is stored nowhere: this is half of its SHA-256.
CREATE TABLE pages (
    origin    TEXT NOT NULL,
    token     BLOB NOT NULL CHECK (length(token) = 16),
    page_id   TEXT NOT NULL CHECK (page_id <> ''),
    name      TEXT NOT NULL,
    learnt_at INTEGER NOT NULL,
    PRIMARY KEY (origin, token)
) STRICT, WITHOUT ROWID;

PRAGMA user_version = 1;
