-- One device. docs/storage.md lists each table with its lifetime.

CREATE TABLE enrollment (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  enrollment_id TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('authenticated', 'enrolled', 'checked-out')),
  pin TEXT NOT NULL CHECK (length(pin) = 64),
  platform TEXT NOT NULL CHECK (platform IN ('iOS', 'watchOS')),
  serial TEXT NOT NULL,
  pairing_id TEXT,
  phone_udid TEXT,
  topic TEXT,
  push_token BLOB,
  push_magic TEXT,
  unlock_token BLOB,
  bootstrap_token BLOB,
  product_name TEXT,
  os_version TEXT,
  build_version TEXT,
  supervised INTEGER CHECK (supervised IN (0, 1)),
  identity_issued_at_ms INTEGER NOT NULL,
  started_at_ms INTEGER NOT NULL,
  enrolled_at_ms INTEGER,
  CHECK (state <> 'enrolled' OR push_token IS NOT NULL)
) STRICT;

-- Certificates issued for this device that have not spoken yet.
CREATE TABLE expected_identity (
  digest TEXT PRIMARY KEY CHECK (length(digest) = 64),
  platform TEXT NOT NULL,
  serial TEXT NOT NULL,
  pairing_id TEXT,
  phone_udid TEXT,
  renewal_of TEXT,
  issued_at_ms INTEGER NOT NULL,
  permitted_at_ms INTEGER
) STRICT;

-- Counters and the flushed part of what memory holds.
CREATE TABLE progress (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  -- Raised whenever someone says that work waits; cleared work is remembered as the number it was cleared at.
  work_told INTEGER NOT NULL DEFAULT 0,
  work_cleared INTEGER NOT NULL DEFAULT 0,
  last_seen_ms INTEGER NOT NULL DEFAULT 0,
  -- Of the projection: D1 never replaces a newer row by an older one.
  revision INTEGER NOT NULL DEFAULT 0,
  declarations_token TEXT,
  manifest_at_ms INTEGER,
  capabilities TEXT,
  outbox_failures INTEGER NOT NULL DEFAULT 0
) STRICT;
INSERT INTO progress (one) VALUES (1);

-- The one command that the device has and has not answered.
CREATE TABLE outstanding (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  command_uuid TEXT NOT NULL,
  request_type TEXT NOT NULL,
  body BLOB NOT NULL,
  delivered_at_ms INTEGER NOT NULL,
  expires_at_ms INTEGER,
  -- Results of it that could not be read, one after the other.
  unreadable INTEGER NOT NULL DEFAULT 0
) STRICT;

-- Commands that must not go out: put off in this session, answered, or canceled.
CREATE TABLE settled (
  command_uuid TEXT PRIMARY KEY,
  why TEXT NOT NULL CHECK (why IN ('deferred', 'answered', 'canceled')),
  at_ms INTEGER NOT NULL
) STRICT;

-- What this device is to hold, and what it said of it.
CREATE TABLE manifest (
  identifier TEXT PRIMARY KEY,
  kind TEXT NOT NULL CHECK (kind IN ('activation', 'asset', 'configuration', 'management')),
  server_token TEXT NOT NULL,
  fetched_at_ms INTEGER
) STRICT;
CREATE TABLE declaration_status (
  identifier TEXT PRIMARY KEY,
  server_token TEXT NOT NULL,
  active INTEGER NOT NULL CHECK (active IN (0, 1)),
  valid TEXT NOT NULL CHECK (valid IN ('valid', 'invalid', 'unknown')),
  reasons TEXT NOT NULL,
  at_ms INTEGER NOT NULL
) STRICT;

-- What others must be told, written with the fact, drained by alarm in order. One row a (kind, key).
CREATE TABLE outbox (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  kind TEXT NOT NULL CHECK (kind IN ('result', 'progress', 'cancel', 'reset', 'projection', 'pairing', 'declare', 'wake')),
  key TEXT NOT NULL,
  body TEXT NOT NULL,
  raw BLOB,
  UNIQUE (kind, key)
) STRICT;
