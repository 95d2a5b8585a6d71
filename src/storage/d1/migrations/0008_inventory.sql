-- What devices answered about themselves, and every enrollment that there was.

-- Of a command whose answer belongs into the inventory: JSON of how much it asks for, without anything secret.
ALTER TABLE commands ADD COLUMN inventory_scope TEXT;
-- Of a command whose acknowledgement says that the device leaves: which sign that is.
ALTER TABLE commands ADD COLUMN farewell TEXT CHECK (farewell IN ('erase-acknowledged', 'removal-acknowledged'));

CREATE TABLE inventory (
  udid TEXT NOT NULL,
  section TEXT NOT NULL,
  -- JSON object of items by key, each [what was answered, when]: arrays, which json_patch replaces whole.
  value TEXT NOT NULL,
  -- When all of the section was answered at once; NULL when that never happened.
  complete_at_ms INTEGER,
  answered_at_ms INTEGER NOT NULL,
  command_uuid TEXT NOT NULL,
  -- An inventory ends with the enrollment that it was asked in.
  enrollment_id TEXT NOT NULL,
  -- A later answer that was too large to be kept here.
  too_large_uuid TEXT,
  too_large_at_ms INTEGER,
  PRIMARY KEY (udid, section)
) STRICT;

CREATE TABLE enrollments (
  udid TEXT NOT NULL,
  enrollment_id TEXT NOT NULL,
  serial TEXT NOT NULL,
  platform TEXT NOT NULL CHECK (platform IN ('iOS', 'watchOS')),
  phone_udid TEXT,
  pairing_id TEXT,
  started_at_ms INTEGER NOT NULL,
  enrolled_at_ms INTEGER,
  ended TEXT CHECK (ended IN ('checked-out', 'replaced')),
  ended_at_ms INTEGER,
  -- A command whose acknowledgement ends an enrollment, and no word of the device since.
  presumed TEXT CHECK (presumed IN ('erase-acknowledged', 'removal-acknowledged')),
  presumed_by TEXT,
  presumed_at_ms INTEGER,
  -- The object's own counter, as in devices.
  revision INTEGER NOT NULL,
  PRIMARY KEY (udid, enrollment_id)
) STRICT;
CREATE INDEX enrollments_by_start ON enrollments (udid, started_at_ms);

-- The live one, or the last.
ALTER TABLE devices ADD COLUMN enrollment_id TEXT;
