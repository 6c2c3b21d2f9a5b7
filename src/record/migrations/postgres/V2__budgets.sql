-- Format 2: what a Page may do in a second, and of that whoever speaks for it. Times are milliseconds by this server's
-- clock. Rates are of four sorts, in this order: messages with audio or video, messages, questions about conversations,
-- calls.

-- A row is locked while anything of its Page is divided.
CREATE TABLE budgets (
    origin     text COLLATE "C" NOT NULL,
    page_id    text COLLATE "C" NOT NULL CHECK (page_id <> ''),
    throttles  bigint NOT NULL DEFAULT 0,
    shut_until bigint,                    -- Meta allows nothing until then; NULL: it does
    told       bigint,                    -- whom it said so to first
    PRIMARY KEY (origin, page_id),
    CHECK ((shut_until IS NULL) = (told IS NULL))
);

CREATE TABLE slices (
    origin         text COLLATE "C" NOT NULL,
    page_id        text COLLATE "C" NOT NULL,
    owner          bigint NOT NULL,       -- of no other table: drawn by whoever asks
    number         bigint NOT NULL,
    page           bigint[] NOT NULL,     -- what the Page may do, as its owner was told
    purpose        text COLLATE "C",      -- with whom it shares less than that; NULL: with nobody
    together       bigint[],
    demand         bigint[] NOT NULL,
    granted        bigint[] NOT NULL,
    lingering      bigint[] NOT NULL,
    lingers_until  bigint NOT NULL,
    until          bigint NOT NULL,
    PRIMARY KEY (origin, page_id, owner),
    CHECK ((purpose IS NULL) = (together IS NULL))
);

-- Calls of the last 24 hours, by the minute they were set apart in.
CREATE TABLE budget_minutes (
    origin  text COLLATE "C" NOT NULL,
    page_id text COLLATE "C" NOT NULL,
    minute  bigint NOT NULL,
    calls   bigint NOT NULL CHECK (calls >= 0),
    PRIMARY KEY (origin, page_id, minute)
);
