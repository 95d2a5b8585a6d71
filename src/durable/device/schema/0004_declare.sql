-- The command that tells the device where its manifest stands is the object's own, from the moment it is due until it
-- is answered. One row: never two of them. The outbox tells D1 of it once it went out.

CREATE TABLE declare_command (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  command_uuid TEXT NOT NULL,
  -- The DeclarationsToken that it went out with; NULL while it waits.
  delivered_token TEXT
) STRICT;

-- What was still to be queued in D1 is due here instead; its push becomes a wake.
INSERT INTO declare_command (one, command_uuid)
SELECT 1, hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-4' || substr(hex(randomblob(2)), 2)
  || '-A' || substr(hex(randomblob(2)), 2) || '-' || hex(randomblob(6))
FROM outbox WHERE kind = 'declare' AND (SELECT state FROM enrollment) = 'enrolled';
INSERT OR IGNORE INTO outbox (kind, key, body)
SELECT 'wake', 'wake', json_object('kind', 'wake', 'udid', json_extract(body, '$.udid'))
FROM outbox WHERE kind = 'declare' AND (SELECT state FROM enrollment) = 'enrolled';

ALTER TABLE outbox RENAME TO outbox_before;
CREATE TABLE outbox (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  kind TEXT NOT NULL CHECK (kind IN ('result', 'progress', 'cancel', 'reset', 'projection', 'pairing', 'declared', 'compile', 'wake', 'status')),
  key TEXT NOT NULL,
  body TEXT NOT NULL,
  raw BLOB,
  UNIQUE (kind, key)
) STRICT;
INSERT INTO outbox (id, kind, key, body, raw)
SELECT id, kind, key, body, raw FROM outbox_before WHERE kind <> 'declare';
DROP TABLE outbox_before;
