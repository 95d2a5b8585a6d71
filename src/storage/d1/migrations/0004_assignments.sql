-- What devices are assigned beyond their own sets: groups, properties, watch enrollment and status subscriptions for
-- many; and the devices whose manifest may have to change for it.

CREATE TABLE groups (
  name TEXT PRIMARY KEY CHECK (length(name) <= 64),
  updated_at_ms INTEGER NOT NULL
) STRICT;
-- Every device is in it, without a row in group_devices.
INSERT INTO groups (name, updated_at_ms) VALUES ('everyone', 0);

CREATE TABLE group_devices (
  group_name TEXT NOT NULL REFERENCES groups (name) ON DELETE CASCADE CHECK (group_name <> 'everyone'),
  udid TEXT NOT NULL,
  PRIMARY KEY (group_name, udid)
) STRICT, WITHOUT ROWID;
CREATE INDEX group_devices_by_udid ON group_devices (udid);

CREATE TABLE set_groups (
  set_name TEXT NOT NULL REFERENCES sets (name),
  group_name TEXT NOT NULL REFERENCES groups (name),
  -- Of the group, the devices whose shard is below it.
  percent INTEGER NOT NULL CHECK (percent BETWEEN 0 AND 100),
  assigned_at_ms INTEGER NOT NULL,
  PRIMARY KEY (set_name, group_name)
) STRICT, WITHOUT ROWID;
CREATE INDEX set_groups_by_group ON set_groups (group_name);

CREATE TABLE watch_enrollment_groups (
  group_name TEXT PRIMARY KEY REFERENCES groups (name),
  -- JSON arrays, as in watch_enrollments.
  anchors TEXT NOT NULL,
  declarations TEXT NOT NULL,
  assigned_at_ms INTEGER NOT NULL
) STRICT;

-- What administrators say of a device, for variables in declarations and for predicates.
CREATE TABLE device_properties (
  udid TEXT PRIMARY KEY,
  name TEXT,
  -- JSON object of strings, numbers and booleans.
  properties TEXT NOT NULL CHECK (json_type(properties) = 'object'),
  updated_at_ms INTEGER NOT NULL
) STRICT;

-- Which status items the devices of a platform are to report. Without a row, the default.
CREATE TABLE subscriptions (
  platform TEXT PRIMARY KEY CHECK (platform IN ('iOS', 'watchOS')),
  -- JSON array of names.
  items TEXT NOT NULL,
  updated_at_ms INTEGER NOT NULL
) STRICT;

-- Whether the payload holds variables, so that each device has a rendering and a token of its own.
ALTER TABLE declarations ADD COLUMN templated INTEGER NOT NULL DEFAULT 0 CHECK (templated IN (0, 1));

-- Written in the transaction of the change, deleted when the device's object has its manifest.
CREATE TABLE manifest_due (
  udid TEXT PRIMARY KEY,
  -- The change that marked it last: another change meanwhile keeps the row.
  change_id TEXT NOT NULL,
  since_ms INTEGER NOT NULL,
  leased_until_ms INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE INDEX manifest_due_by_lease ON manifest_due (leased_until_ms, since_ms);
CREATE INDEX manifest_due_by_change ON manifest_due (change_id, leased_until_ms);
