-- Format 1: all of the record. What each table means is told where SQLite's migrations make it; here stands what is
-- different on a server that many share.
--
-- Times are milliseconds since 1970-01-01T00:00:00Z by the callers' clocks, but for leases, which only this server's clock
-- judges. Texts are compared byte by byte. Checksums are the server's business: `initdb --data-checksums`.

-- Who is alive. A process renews its row long before `until`; once that is past, it can do so no more.
CREATE TABLE owners (
    id    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    pid   bigint NOT NULL,           -- for people
    until timestamptz NOT NULL       -- -infinity: it has said goodbye, and nothing of its is on its way
);

-- What each changing transaction leaves behind, so that it can be found out whether one was committed whose answer was
-- lost: whoever asks writes `false` under its ticket, and finds `true` there if it was. Rows go after a day.
CREATE TABLE receipts (
    ticket    bigint PRIMARY KEY,
    committed boolean NOT NULL,
    at        timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE spaces (
    id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    origin   text COLLATE "C" NOT NULL,
    page_id  text COLLATE "C" NOT NULL CHECK (page_id <> ''),
    platform text COLLATE "C" NOT NULL CHECK (platform IN ('messenger', 'instagram')),
    UNIQUE (origin, page_id, platform)
);

CREATE TABLE uploads (
    space         bigint NOT NULL REFERENCES spaces (id),
    sha256        bytea NOT NULL CHECK (length(sha256) = 32), -- of the bytes, or of the address with a prefix
    url           text COLLATE "C",                           -- NULL: bytes
    kind          text COLLATE "C" NOT NULL CHECK (kind IN ('image', 'video', 'audio', 'file')),
    attachment_id text COLLATE "C" NOT NULL CHECK (length(attachment_id) BETWEEN 1 AND 512),
    state         text COLLATE "C" NOT NULL CHECK (state IN ('live', 'rejected', 'unknown_age')),
    uploaded_at   bigint NOT NULL,
    expires_at    bigint NOT NULL CHECK (expires_at > uploaded_at),
    size_bytes    bigint NOT NULL CHECK (size_bytes >= 0),
    mime          text COLLATE "C" NOT NULL,
    width         bigint CHECK (width BETWEEN 0 AND 4294967295),
    height        bigint CHECK (height BETWEEN 0 AND 4294967295),
    source        bytea,
    epoch         bigint NOT NULL,                            -- of the claim that stored it; 0: it came from elsewhere
    PRIMARY KEY (space, sha256, kind),
    CHECK ((width IS NULL) = (height IS NULL))
);

-- Who is uploading what. An identity never gives an epoch twice.
CREATE TABLE claims (
    epoch      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    space      bigint NOT NULL REFERENCES spaces (id),
    sha256     bytea NOT NULL CHECK (length(sha256) = 32),
    kind       text COLLATE "C" NOT NULL CHECK (kind IN ('image', 'video', 'audio', 'file')),
    owner      bigint NOT NULL REFERENCES owners (id),
    started_at bigint NOT NULL,
    UNIQUE (space, sha256, kind)
);
CREATE INDEX claims_by_owner ON claims (owner);

CREATE TABLE orphans (
    epoch         bigint PRIMARY KEY,
    space         bigint NOT NULL REFERENCES spaces (id),
    sha256        bytea NOT NULL CHECK (length(sha256) = 32),
    kind          text COLLATE "C" NOT NULL CHECK (kind IN ('image', 'video', 'audio', 'file')),
    at            bigint NOT NULL,
    attachment_id text COLLATE "C"
);

CREATE TABLE pages (
    origin    text COLLATE "C" NOT NULL,
    token     bytea NOT NULL CHECK (length(token) = 16),
    page_id   text COLLATE "C" NOT NULL CHECK (page_id <> ''),
    name      text NOT NULL,
    learnt_at bigint NOT NULL,
    PRIMARY KEY (origin, token)
);

CREATE TABLE derivations (
    source     bytea NOT NULL CHECK (length(source) = 32),
    rules      text COLLATE "C" NOT NULL CHECK (rules <> ''),
    recipe     text NOT NULL,
    result     bytea NOT NULL CHECK (length(result) = 32),
    size_bytes bigint NOT NULL CHECK (size_bytes > 0),
    mime       text COLLATE "C" NOT NULL,
    width      bigint NOT NULL CHECK (width BETWEEN 1 AND 4294967295),
    height     bigint NOT NULL CHECK (height BETWEEN 1 AND 4294967295),
    made_at    bigint NOT NULL,
    PRIMARY KEY (source, rules)
);
CREATE INDEX derivations_by_result ON derivations (result);

CREATE TABLE server_times (
    origin text COLLATE "C" PRIMARY KEY,
    theirs bigint NOT NULL,
    ours   bigint NOT NULL
);

CREATE TABLE aliases (
    name   text COLLATE "C" PRIMARY KEY CHECK (length(name) BETWEEN 1 AND 64),
    sha256 bytea NOT NULL CHECK (length(sha256) = 32),
    url    text COLLATE "C",
    kind   text COLLATE "C" NOT NULL CHECK (kind IN ('image', 'video', 'audio', 'file')),
    source bytea,
    set_at bigint NOT NULL
);

CREATE TABLE heals (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    space      bigint NOT NULL REFERENCES spaces (id),
    sha256     bytea NOT NULL CHECK (length(sha256) = 32),
    kind       text COLLATE "C" NOT NULL CHECK (kind IN ('image', 'video', 'audio', 'file')),
    url        text COLLATE "C",
    refused_id text COLLATE "C" NOT NULL CHECK (length(refused_id) BETWEEN 1 AND 512),
    at         bigint NOT NULL
);
CREATE INDEX heals_by_key ON heals (space, sha256, kind, at);
CREATE INDEX heals_by_id ON heals (space, refused_id);
CREATE INDEX heals_by_time ON heals (at);

CREATE TABLE campaigns (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    space      bigint NOT NULL REFERENCES spaces (id),
    name       text COLLATE "C" NOT NULL CHECK (name <> ''),
    message    text NOT NULL,
    settings   text NOT NULL,
    parts      bigint NOT NULL CHECK (parts BETWEEN 1 AND 10),
    digest     bytea CHECK (length(digest) = 32),
    assets     text,
    recipients bigint NOT NULL DEFAULT 0,
    duplicates bigint NOT NULL DEFAULT 0,
    malformed  bigint NOT NULL DEFAULT 0,
    uploads    bigint NOT NULL DEFAULT 0,
    paused     text,
    planned_at bigint NOT NULL,
    started_at bigint,
    frontier   bigint NOT NULL DEFAULT 0,
    generation bigint NOT NULL DEFAULT 0,
    stage      bigint NOT NULL DEFAULT 0,
    UNIQUE (space, name)
);

CREATE TABLE campaign_recipients (
    campaign            bigint NOT NULL REFERENCES campaigns (id),
    seq                 bigint NOT NULL,
    recipient           text COLLATE "C" NOT NULL,
    variables           text,
    last_interaction_at bigint,
    timezone            text COLLATE "C",
    generation          bigint NOT NULL,
    PRIMARY KEY (campaign, seq),
    UNIQUE (campaign, recipient)
);

CREATE TABLE deliveries (
    campaign   bigint NOT NULL REFERENCES campaigns (id),
    seq        bigint NOT NULL,
    part       bigint NOT NULL,
    state      text COLLATE "C" NOT NULL CHECK (state IN
        ('planned', 'claimed', 'in_flight', 'sent', 'retry_at', 'failed', 'unknown', 'skipped')),
    attempt    bigint NOT NULL CHECK (attempt >= 0),
    nonce      bigint,
    at         bigint NOT NULL,
    message_id text COLLATE "C",
    code       bigint,
    subcode    bigint,
    reason     text,
    variant    text COLLATE "C" CHECK (length(variant) <= 32),
    worker     bigint,
    PRIMARY KEY (campaign, seq, part),
    CHECK ((worker IS NOT NULL) = (state IN ('claimed', 'in_flight')))
);
CREATE INDEX deliveries_open ON deliveries (campaign, state, seq, part)
    WHERE state IN ('planned', 'claimed', 'in_flight', 'retry_at', 'unknown');
CREATE INDEX deliveries_due ON deliveries (campaign, at, seq, part) WHERE state = 'retry_at';
-- Rows come and go through that index by the thousand: its dead entries must not pile up.
ALTER TABLE deliveries SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);

CREATE TABLE doubted_attempts (
    campaign    bigint NOT NULL REFERENCES campaigns (id),
    seq         bigint NOT NULL,
    part        bigint NOT NULL,
    attempt     bigint NOT NULL CHECK (attempt > 0),
    nonce       bigint NOT NULL,
    intended_at bigint,
    message_id  text COLLATE "C",
    PRIMARY KEY (campaign, seq, part, attempt)
);

-- Who plans or sends a campaign: one planner alone, or any number of senders.
CREATE TABLE campaign_workers (
    id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    campaign bigint NOT NULL REFERENCES campaigns (id),
    owner    bigint NOT NULL REFERENCES owners (id),
    plans    boolean NOT NULL,
    pid      bigint NOT NULL,
    since    bigint NOT NULL,
    lapsed   boolean NOT NULL DEFAULT false, -- its claimed rows were let go; what it had in flight was not yet
    UNIQUE (campaign, owner)
);
