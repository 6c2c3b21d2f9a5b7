-- Format 4: what time it was at Meta, so that a process that cannot ask knows whether this machine's clock is to be
-- believed.
CREATE TABLE server_times (
    origin   TEXT NOT NULL,
    theirs   INTEGER NOT NULL, -- the time Meta's answer named
    ours     INTEGER NOT NULL, -- the time here when it came
    checksum INTEGER NOT NULL, -- CRC-32 of all the above
    PRIMARY KEY (origin)
) STRICT, WITHOUT ROWID;

PRAGMA user_version = 4;
