-- Format 3: copies that fit, and what they were made of.

-- The copies themselves are kept nowhere: the same source and rules give the same bytes.
CREATE TABLE derivations (
    source     BLOB NOT NULL CHECK (length(source) = 32), -- SHA-256 of the bytes it was made of
    rules      TEXT NOT NULL CHECK (rules <> ''),         -- by which it was made
    recipe     TEXT NOT NULL,                             -- what was done, for people
    result     BLOB NOT NULL CHECK (length(result) = 32), -- SHA-256 of the copy
    size_bytes INTEGER NOT NULL CHECK (size_bytes > 0),
    mime       TEXT NOT NULL,
    width      INTEGER NOT NULL CHECK (width BETWEEN 1 AND 4294967295),
    height     INTEGER NOT NULL CHECK (height BETWEEN 1 AND 4294967295),
    made_at    INTEGER NOT NULL,
    checksum   INTEGER NOT NULL,                          -- CRC-32 of all the above
    PRIMARY KEY (source, rules)
) STRICT, WITHOUT ROWID;

-- Where did these bytes come from?
CREATE INDEX derivations_by_result ON derivations (result);

PRAGMA user_version = 3;
