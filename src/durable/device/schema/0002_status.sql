-- What the device last reported, one row a status item, and its last reports as they came.

CREATE TABLE status_item (
  name TEXT PRIMARY KEY,
  value TEXT CHECK (value IS NULL OR json_valid(value)),
  -- Since when the device reports this value.
  at_ms INTEGER,
  -- Reasons of the last attempt to report the item, if that failed.
  error TEXT CHECK (error IS NULL OR json_valid(error)),
  error_at_ms INTEGER,
  CHECK ((value IS NULL) = (at_ms IS NULL)),
  CHECK ((error IS NULL) = (error_at_ms IS NULL)),
  CHECK (value IS NOT NULL OR error IS NOT NULL)
) STRICT, WITHOUT ROWID;

CREATE TABLE status_report (
  -- Grows: the newest is never deleted before the others.
  id INTEGER PRIMARY KEY,
  at_ms INTEGER NOT NULL,
  full INTEGER NOT NULL CHECK (full IN (0, 1)),
  bytes INTEGER NOT NULL,
  -- Null when it is too large to be kept.
  raw BLOB
) STRICT;
