-- Format 11: attempts that may have arrived, each kept for good.

-- One row for each attempt that ended in doubt. Its delivery forgets it with the next attempt; its echo may still come.
CREATE TABLE doubted_attempts (
    campaign    INTEGER NOT NULL REFERENCES campaigns (id),
    seq         INTEGER NOT NULL,
    part        INTEGER NOT NULL,
    attempt     INTEGER NOT NULL CHECK (attempt > 0),
    nonce       INTEGER NOT NULL,
    intended_at INTEGER,             -- by Meta's clock; NULL: an older version did not keep it
    message_id  TEXT,                -- what it turned out to be
    checksum    INTEGER NOT NULL,    -- CRC-32 of all the above
    PRIMARY KEY (campaign, seq, part, attempt)
) STRICT, WITHOUT ROWID;

PRAGMA user_version = 11;
