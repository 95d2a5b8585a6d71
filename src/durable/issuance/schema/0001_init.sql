-- One row in one of the tables: an object keeps one one-time value.

CREATE TABLE credential (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  -- SHA-256 of the secret, hex.
  secret_digest TEXT NOT NULL CHECK (length(secret_digest) = 64),
  udid TEXT NOT NULL,
  serial TEXT NOT NULL,
  platform TEXT NOT NULL CHECK (platform IN ('iOS', 'watchOS')),
  -- JSON of CredentialOrigin.
  origin TEXT NOT NULL,
  expires_at_ms INTEGER NOT NULL,
  -- The first use, written once: all three or none.
  key_digest TEXT CHECK (length(key_digest) = 64),
  certificate_serial TEXT,
  used_at_ms INTEGER,
  CHECK ((key_digest IS NULL) = (certificate_serial IS NULL) AND (key_digest IS NULL) = (used_at_ms IS NULL))
) STRICT;

CREATE TABLE link (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  link_id TEXT NOT NULL,
  udid TEXT NOT NULL,
  serial TEXT NOT NULL,
  platform TEXT NOT NULL CHECK (platform IN ('iOS', 'watchOS')),
  signed INTEGER NOT NULL CHECK (signed IN (0, 1)),
  expires_at_ms INTEGER NOT NULL,
  taken_at_ms INTEGER
) STRICT;
