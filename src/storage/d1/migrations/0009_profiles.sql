-- Versions of stored profiles, and what devices were ordered to install or remove.

-- Of a profile, counted by its changes; an asset's says nothing.
ALTER TABLE uploads ADD COLUMN version INTEGER NOT NULL DEFAULT 1;
-- Keyed, so that nobody can try secrets against it. NULL for data from before this column, and for assets.
ALTER TABLE uploads ADD COLUMN fingerprint TEXT;
-- The administrator's id, and when. NULL likewise.
ALTER TABLE uploads ADD COLUMN author TEXT;
ALTER TABLE uploads ADD COLUMN stored_at_ms INTEGER;

-- What a profile was before its last change.
CREATE TABLE profile_versions (
  identifier TEXT NOT NULL REFERENCES declarations (identifier) ON DELETE CASCADE,
  version INTEGER NOT NULL,
  -- The last one that the declaration had with it.
  server_token TEXT NOT NULL,
  size INTEGER NOT NULL,
  details TEXT NOT NULL,
  fingerprint TEXT,
  author TEXT,
  stored_at_ms INTEGER,
  sealed BLOB NOT NULL,
  PRIMARY KEY (identifier, version)
) STRICT;

-- One row for a device and a stored profile that it was ever ordered to install.
CREATE TABLE device_profiles (
  udid TEXT NOT NULL,
  identifier TEXT NOT NULL,
  payload_identifier TEXT NOT NULL,
  -- Of the last order, and what became of it.
  action TEXT NOT NULL CHECK (action IN ('install', 'remove')),
  version INTEGER NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('ordered', 'installed', 'failed', 'removing', 'removed')),
  -- JSON: why it failed; codes only.
  error TEXT CHECK (json_valid(error)),
  command_uuid TEXT NOT NULL,
  -- The enrollment that it was given to: the profile goes with it.
  enrollment_id TEXT NOT NULL,
  ordered_at_ms INTEGER NOT NULL,
  changed_at_ms INTEGER NOT NULL,
  -- What the device acknowledged last, whatever was ordered since.
  installed_version INTEGER,
  installed_at_ms INTEGER,
  PRIMARY KEY (udid, identifier)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX device_profiles_by_command ON device_profiles (command_uuid);
CREATE INDEX device_profiles_by_profile ON device_profiles (identifier, udid);
-- What the sweeper looks at.
CREATE INDEX device_profiles_waiting ON device_profiles (changed_at_ms) WHERE state IN ('ordered', 'removing');
