-- Format 9: how far the record has come, so that changes cannot vanish unnoticed.

-- One row. Each transaction that changes anything counts itself here, and the count is also kept beside the file, in
-- `record.db.mark`. SQLite takes a damaged frame of its write-ahead log for the log's end, and is itself again as it was
-- before; the mark is not.
CREATE TABLE head (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    record   BLOB NOT NULL CHECK (length(record) = 16), -- which record this is: a mark may be another's
    changes  INTEGER NOT NULL CHECK (changes >= 0)
) STRICT;
INSERT INTO head VALUES (1, randomblob(16), 0);

PRAGMA user_version = 9;
