-- Format 5: names people give to assets. They belong to no Page: each has an id of its own for the asset, or gets one.

CREATE TABLE aliases (
    name     TEXT PRIMARY KEY CHECK (length(name) BETWEEN 1 AND 64),
    sha256   BLOB NOT NULL CHECK (length(sha256) = 32), -- as in `uploads`
    url      TEXT,             -- NULL: bytes
    kind     TEXT NOT NULL CHECK (kind IN ('image', 'video', 'audio', 'file')),
    source   BLOB,             -- the path it was made from
    set_at   INTEGER NOT NULL,
    checksum INTEGER NOT NULL  -- CRC-32 of all the above
) STRICT, WITHOUT ROWID;

PRAGMA user_version = 5;
