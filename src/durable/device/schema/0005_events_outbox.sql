-- The outbox may carry events; a CHECK changes only with its table.

ALTER TABLE outbox RENAME TO outbox_before;
CREATE TABLE outbox (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  kind TEXT NOT NULL CHECK (kind IN ('result', 'progress', 'cancel', 'reset', 'projection', 'pairing', 'wake', 'status', 'declared', 'compile', 'events')),
  key TEXT NOT NULL,
  body TEXT NOT NULL,
  raw BLOB,
  UNIQUE (kind, key)
) STRICT;
INSERT INTO outbox (id, kind, key, body, raw) SELECT id, kind, key, body, raw FROM outbox_before;
DROP TABLE outbox_before;
