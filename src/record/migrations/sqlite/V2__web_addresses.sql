-- Format 2: web addresses are assets too, and rows of `pages` have checksums.

-- What a web address is known by stands in sha256: the digest of the address with a prefix, never that of bytes.
ALTER TABLE uploads ADD COLUMN url TEXT; -- NULL: bytes

-- Whose token is whose can be asked of Meta again, so rows without a checksum are not carried over.
DROP TABLE pages;
CREATE TABLE pages (
    origin    TEXT NOT NULL,
    token     BLOB NOT NULL CHECK (length(token) = 16),
    page_id   TEXT NOT NULL CHECK (page_id <> ''),
    name      TEXT NOT NULL,
    learnt_at INTEGER NOT NULL,
    checksum  INTEGER NOT NULL, -- CRC-32 of all the above
    PRIMARY KEY (origin, token)
) STRICT, WITHOUT ROWID;

PRAGMA user_version = 2;
