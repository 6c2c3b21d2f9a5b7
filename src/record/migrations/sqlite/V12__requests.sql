-- Format 12: requests of programs that may repeat them, and what was answered to each.

-- A row is there before anything is done about its request, and for a day.
CREATE TABLE requests (
    key      TEXT PRIMARY KEY CHECK (length(key) BETWEEN 1 AND 255),
    digest   BLOB NOT NULL CHECK (length(digest) = 32), -- SHA-256 of what is asked for
    at       INTEGER NOT NULL,
    owner    TEXT,             -- who took it up, and is alive as in `claims`; NULL: it is answered, or came from elsewhere
    status   INTEGER CHECK (status BETWEEN 100 AND 599),
    body     TEXT,             -- what was answered, with that status
    checksum INTEGER NOT NULL, -- CRC-32 of all the above but for the owner
    CHECK ((status IS NULL) = (body IS NULL))
) STRICT, WITHOUT ROWID;

-- Which may go?
CREATE INDEX requests_by_time ON requests (at);

PRAGMA user_version = 12;
