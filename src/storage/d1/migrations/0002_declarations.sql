-- Declarations that administrators write, the sets they form, and the devices these are assigned to.

-- Set by touch: a new server token for the same content.
ALTER TABLE declarations ADD COLUMN salt TEXT;
-- JSON array of the identifiers that the assignment compiled to. NULL for an assignment from before this column.
ALTER TABLE watch_enrollments ADD COLUMN declarations TEXT;

CREATE TABLE declaration_references (
  identifier TEXT NOT NULL REFERENCES declarations (identifier) ON DELETE CASCADE,
  target TEXT NOT NULL REFERENCES declarations (identifier),
  PRIMARY KEY (identifier, target)
) STRICT, WITHOUT ROWID;
CREATE INDEX declaration_references_by_target ON declaration_references (target);

CREATE TABLE sets (
  name TEXT PRIMARY KEY CHECK (length(name) <= 64),
  updated_at_ms INTEGER NOT NULL
) STRICT;

CREATE TABLE set_declarations (
  set_name TEXT NOT NULL REFERENCES sets (name) ON DELETE CASCADE,
  identifier TEXT NOT NULL REFERENCES declarations (identifier),
  PRIMARY KEY (set_name, identifier)
) STRICT, WITHOUT ROWID;
CREATE INDEX set_declarations_by_identifier ON set_declarations (identifier);

CREATE TABLE set_devices (
  set_name TEXT NOT NULL REFERENCES sets (name),
  udid TEXT NOT NULL,
  assigned_at_ms INTEGER NOT NULL,
  PRIMARY KEY (set_name, udid)
) STRICT, WITHOUT ROWID;
CREATE INDEX set_devices_by_udid ON set_devices (udid);
