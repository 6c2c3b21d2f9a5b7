-- Format 6: ids that came from elsewhere, of which nobody knows how old they are.
--
-- A rule of a column cannot be changed in place, so the table is made anew; its rows are carried over as they are,
-- checksums included.

CREATE TABLE uploads_6 (
    space         INTEGER NOT NULL REFERENCES spaces (id),
    sha256        BLOB NOT NULL CHECK (length(sha256) = 32), -- of the bytes, or of the address with a prefix
    url           TEXT,             -- NULL: bytes
    kind          TEXT NOT NULL CHECK (kind IN ('image', 'video', 'audio', 'file')),
    attachment_id TEXT NOT NULL CHECK (length(attachment_id) BETWEEN 1 AND 512),
    state         TEXT NOT NULL CHECK (state IN ('live', 'rejected', 'unknown_age')),
    uploaded_at   INTEGER NOT NULL, -- of unknown_age: when it was heard of
    expires_at    INTEGER NOT NULL CHECK (expires_at > uploaded_at),
    size_bytes    INTEGER NOT NULL CHECK (size_bytes >= 0),
    mime          TEXT NOT NULL,
    width         INTEGER CHECK (width BETWEEN 0 AND 4294967295),
    height        INTEGER CHECK (height BETWEEN 0 AND 4294967295),
    source        BLOB,             -- the path it was last uploaded from
    epoch         INTEGER NOT NULL, -- of the claim that stored it; 0: it came from elsewhere
    checksum      INTEGER NOT NULL, -- CRC-32 of all the above, the space spelled out; SQLite itself has none
    PRIMARY KEY (space, sha256, kind),
    CHECK ((width IS NULL) = (height IS NULL))
) STRICT, WITHOUT ROWID;

INSERT INTO uploads_6 (space, sha256, url, kind, attachment_id, state, uploaded_at, expires_at, size_bytes, mime,
                       width, height, source, epoch, checksum)
SELECT space, sha256, url, kind, attachment_id, state, uploaded_at, expires_at, size_bytes, mime,
       width, height, source, epoch, checksum
FROM uploads;

DROP TABLE uploads;
ALTER TABLE uploads_6 RENAME TO uploads;

PRAGMA user_version = 6;
