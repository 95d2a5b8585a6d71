-- The fleet's records. docs/storage.md says who writes each table, when, and for how long it is kept.

CREATE TABLE devices (
  udid TEXT PRIMARY KEY,
  serial TEXT NOT NULL,
  platform TEXT NOT NULL CHECK (platform IN ('iOS', 'watchOS')),
  state TEXT NOT NULL CHECK (state IN ('authenticated', 'enrolled', 'checked-out')),
  product_name TEXT,
  os_version TEXT,
  build_version TEXT,
  phone_udid TEXT,
  pairing_id TEXT,
  enrolled_at_ms INTEGER,
  last_seen_ms INTEGER NOT NULL,
  -- The object's own counter: an older projection never overwrites a newer one.
  revision INTEGER NOT NULL
) STRICT;
CREATE INDEX devices_by_serial ON devices (serial);
CREATE INDEX devices_by_phone ON devices (phone_udid) WHERE phone_udid IS NOT NULL;

CREATE TABLE commands (
  command_uuid TEXT PRIMARY KEY,
  udid TEXT NOT NULL,
  -- Order of delivery: priority (0 urgent, 1 normal), then rowid, which only grows while older rows remain.
  priority INTEGER NOT NULL CHECK (priority IN (0, 1)),
  request_type TEXT NOT NULL,
  -- The plist that the device gets, CommandUUID included.
  body TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('pending', 'delivered', 'not-now')),
  created_at_ms INTEGER NOT NULL,
  expires_at_ms INTEGER,
  -- When the device's object was told that work waits; NULL is what the sweeper looks for.
  noted_at_ms INTEGER,
  -- The enrollment this command was meant for: a new Authenticate cancels what came before.
  enrollment_id TEXT NOT NULL
) STRICT;
CREATE INDEX commands_by_device ON commands (udid, priority);
CREATE INDEX commands_unnoted ON commands (created_at_ms) WHERE noted_at_ms IS NULL;
CREATE INDEX commands_expiring ON commands (expires_at_ms) WHERE expires_at_ms IS NOT NULL;

CREATE TABLE command_history (
  command_uuid TEXT PRIMARY KEY,
  udid TEXT NOT NULL,
  request_type TEXT NOT NULL,
  body TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('acknowledged', 'error', 'expired', 'canceled')),
  status TEXT,
  -- The device's plist exactly as it came.
  result TEXT,
  created_at_ms INTEGER NOT NULL,
  expires_at_ms INTEGER,
  answered_at_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX command_history_by_device ON command_history (udid, created_at_ms);

CREATE TABLE declarations (
  identifier TEXT PRIMARY KEY CHECK (length(identifier) <= 64),
  kind TEXT NOT NULL CHECK (kind IN ('activation', 'asset', 'configuration', 'management')),
  type TEXT NOT NULL,
  payload TEXT NOT NULL,
  server_token TEXT NOT NULL CHECK (length(server_token) <= 64),
  updated_at_ms INTEGER NOT NULL
) STRICT;

CREATE TABLE assets (
  identifier TEXT PRIMARY KEY REFERENCES declarations (identifier) ON DELETE CASCADE,
  content_type TEXT NOT NULL,
  data BLOB NOT NULL
) STRICT;

CREATE TABLE watch_enrollments (
  phone_udid TEXT PRIMARY KEY,
  -- JSON array: SHA-256 of each pinned anchor in hex, in the administrator's order.
  anchors TEXT NOT NULL,
  assigned_at_ms INTEGER NOT NULL
) STRICT;

CREATE TABLE pairings (
  pairing_id TEXT PRIMARY KEY,
  watch_udid TEXT NOT NULL,
  watch_serial TEXT NOT NULL,
  phone_udid TEXT,
  state TEXT NOT NULL,
  reason TEXT,
  -- JSON: [{"at","step","outcome","reason"?}], bounded by the pairing object.
  timeline TEXT NOT NULL,
  started_at_ms INTEGER NOT NULL,
  updated_at_ms INTEGER NOT NULL,
  revision INTEGER NOT NULL
) STRICT;
CREATE INDEX pairings_by_watch ON pairings (watch_udid, started_at_ms);
CREATE INDEX pairings_by_start ON pairings (started_at_ms);

CREATE TABLE certificates (
  digest TEXT PRIMARY KEY,
  serial_hex TEXT NOT NULL UNIQUE,
  udid TEXT NOT NULL,
  device_serial TEXT NOT NULL,
  platform TEXT NOT NULL,
  credential_id TEXT NOT NULL,
  origin TEXT NOT NULL,
  renewal_of TEXT,
  der BLOB NOT NULL,
  not_before_ms INTEGER NOT NULL,
  not_after_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX certificates_by_udid ON certificates (udid, not_before_ms);

CREATE TABLE expected_devices (
  serial TEXT PRIMARY KEY,
  platform TEXT NOT NULL CHECK (platform IN ('iOS')),
  added_at_ms INTEGER NOT NULL,
  -- The device that used the listing: NULL until then, and again when the serial number is listed anew.
  udid TEXT
) STRICT;
