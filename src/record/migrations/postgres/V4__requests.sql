-- Format 4: requests of programs that may repeat them, and what was answered to each. As SQLite's format 12.
CREATE TABLE requests (
    key    text COLLATE "C" PRIMARY KEY CHECK (length(key) BETWEEN 1 AND 255),
    digest bytea NOT NULL CHECK (length(digest) = 32),
    at     bigint NOT NULL,
    owner  bigint,                       -- of `owners`, which forgets the dead after a day
    status bigint CHECK (status BETWEEN 100 AND 599),
    body   text,
    CHECK ((status IS NULL) = (body IS NULL))
);
CREATE INDEX requests_by_time ON requests (at);
