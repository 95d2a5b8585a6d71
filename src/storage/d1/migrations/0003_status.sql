-- Scalar status items of every device, for queries across the fleet: a projection of the devices' own objects.

CREATE TABLE status_items (
  udid TEXT NOT NULL,
  name TEXT NOT NULL,
  -- As text, whatever its type.
  value TEXT NOT NULL,
  PRIMARY KEY (udid, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX status_items_by_value ON status_items (name, value, udid);

-- What each device's rows were made from: an older revision never replaces a newer one.
CREATE TABLE status_revisions (
  udid TEXT PRIMARY KEY,
  revision INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
