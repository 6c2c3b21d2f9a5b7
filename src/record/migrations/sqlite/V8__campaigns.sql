-- Format 8: campaigns, whom they go to, and what became of every part of every message.

-- Rows are changed, never deleted. AUTOINCREMENT, because a campaign's number stands in its deliveries.
CREATE TABLE campaigns (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    space      INTEGER NOT NULL REFERENCES spaces (id),
    name       TEXT NOT NULL CHECK (name <> ''),
    message    TEXT NOT NULL,       -- what is sent, as JSON: it does not change without a new plan
    settings   TEXT NOT NULL,       -- how it is sent, as JSON
    parts      INTEGER NOT NULL CHECK (parts BETWEEN 1 AND 10),
    digest     BLOB CHECK (length(digest) = 32), -- of message and list; NULL while the plan is not complete
    assets     TEXT,                -- which contents its files had when the first message left, as JSON
    recipients INTEGER NOT NULL,
    duplicates INTEGER NOT NULL,    -- rows of the list that named somebody once more
    malformed  INTEGER NOT NULL,    -- rows of the list that could not be used
    uploads    INTEGER NOT NULL,    -- made for it
    paused     TEXT,                -- why nobody sends; NULL: nothing speaks against it
    planned_at INTEGER NOT NULL,
    started_at INTEGER,             -- when the first worker came
    frontier   INTEGER NOT NULL,    -- every recipient up to this number has rows in `deliveries`
    generation INTEGER NOT NULL,    -- how often it was planned
    checksum   INTEGER NOT NULL,    -- CRC-32 of all the above, the space spelled out
    UNIQUE (space, name)
) STRICT;

-- The list, in its order and without its duplicates.
CREATE TABLE campaign_recipients (
    campaign    INTEGER NOT NULL REFERENCES campaigns (id),
    seq         INTEGER NOT NULL,   -- 1 for the first
    recipient   TEXT NOT NULL,
    variables   TEXT,               -- a JSON object of those the message uses; NULL: none
    last_interaction_at INTEGER,    -- when they last wrote, where the list says so
    generation  INTEGER NOT NULL,   -- of the last plan that named them
    checksum    INTEGER NOT NULL,
    PRIMARY KEY (campaign, seq),
    UNIQUE (campaign, recipient)
) STRICT, WITHOUT ROWID;

-- One row for each part of each recipient that is past `planned`, or is so again. What has no row is planned, or waits
-- for the part before it.
CREATE TABLE deliveries (
    campaign   INTEGER NOT NULL REFERENCES campaigns (id),
    seq        INTEGER NOT NULL,
    part       INTEGER NOT NULL,    -- 0 for the first
    state      TEXT NOT NULL CHECK (state IN
        ('planned', 'claimed', 'in_flight', 'sent', 'retry_at', 'failed', 'unknown', 'skipped')),
    attempt    INTEGER NOT NULL CHECK (attempt >= 0),
    nonce      INTEGER,             -- what tells the last attempt from others: it travels with the message
    at         INTEGER NOT NULL,    -- when it came into its state; of retry_at, when it is due
    message_id TEXT,
    code       INTEGER,
    subcode    INTEGER,
    reason     TEXT,
    worker     INTEGER,             -- who answers for it
    checksum   INTEGER NOT NULL,
    PRIMARY KEY (campaign, seq, part),
    CHECK ((worker IS NOT NULL) = (state IN ('claimed', 'in_flight')))
) STRICT, WITHOUT ROWID;

-- What is not at its end: small, however large the campaign.
CREATE INDEX deliveries_open ON deliveries (campaign, state, seq, part)
    WHERE state = 'planned' OR state = 'claimed' OR state = 'in_flight' OR state = 'retry_at' OR state = 'unknown';

-- Who plans or sends a campaign. Their rows are settled at once when their lock is gone.
CREATE TABLE campaign_workers (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    campaign   INTEGER NOT NULL REFERENCES campaigns (id),
    owner      TEXT NOT NULL,       -- alive while it holds the lock on owners/OWNER.lock
    pid        INTEGER NOT NULL,    -- for people
    since      INTEGER NOT NULL,
    UNIQUE (campaign)
) STRICT;

PRAGMA user_version = 8;
