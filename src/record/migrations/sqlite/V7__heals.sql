-- Format 7: ids Meta refused, and what they stood for.

-- One row for each time an id was made anew because Meta refused it. How many there are of a key says whether making it
-- anew does any good; and whoever still holds the old id can be led to the new one. Rows go with their id's lifetime.
CREATE TABLE heals (
    space      INTEGER NOT NULL REFERENCES spaces (id),
    sha256     BLOB NOT NULL CHECK (length(sha256) = 32),
    kind       TEXT NOT NULL CHECK (kind IN ('image', 'video', 'audio', 'file')),
    url        TEXT,             -- NULL: bytes
    refused_id TEXT NOT NULL CHECK (length(refused_id) BETWEEN 1 AND 512),
    at         INTEGER NOT NULL, -- when the new id was on record
    checksum   INTEGER NOT NULL  -- CRC-32 of all the above, the space spelled out
) STRICT;
CREATE INDEX heals_by_key ON heals (space, sha256, kind, at);
CREATE INDEX heals_by_id ON heals (space, refused_id);

PRAGMA user_version = 7;
