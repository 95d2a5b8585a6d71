-- What happened to devices, for programs that follow the fleet: told by the devices' own objects, in one order.

CREATE TABLE events (
  -- Grows, and is never given again: a reader's position.
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  udid TEXT NOT NULL,
  -- The object's own number for the message and the place in it: told twice, it is one event.
  revision INTEGER NOT NULL,
  position INTEGER NOT NULL,
  kind TEXT NOT NULL,
  at_ms INTEGER NOT NULL,
  data TEXT NOT NULL CHECK (json_valid(data)),
  UNIQUE (udid, revision, position)
) STRICT;
CREATE INDEX events_by_device ON events (udid, id);
CREATE INDEX events_by_kind ON events (kind, id);
