-- What commands say is sealed; history has what it takes to prune it, and to repeat a command.

DROP INDEX commands_by_device;
DROP INDEX commands_unnoted;
DROP INDEX commands_expiring;
ALTER TABLE commands RENAME TO commands_before;
CREATE TABLE commands (
  -- Order of arrival: one more than the largest that is there, so behind whatever still waits.
  place INTEGER PRIMARY KEY,
  command_uuid TEXT NOT NULL UNIQUE,
  udid TEXT NOT NULL,
  -- Order of delivery: priority (0 urgent, 1 normal), then place.
  priority INTEGER NOT NULL CHECK (priority IN (0, 1)),
  request_type TEXT NOT NULL,
  -- The plist that the device gets, CommandUUID included: in clear only what a device's object made by itself.
  body TEXT,
  sealed BLOB,
  state TEXT NOT NULL CHECK (state IN ('pending', 'delivered', 'not-now')),
  created_at_ms INTEGER NOT NULL,
  expires_at_ms INTEGER,
  -- When the device's object was told that work waits; NULL is what the sweeper looks for.
  noted_at_ms INTEGER,
  -- The enrollment this command was meant for: a new Authenticate cancels what came before.
  enrollment_id TEXT NOT NULL,
  -- The command that this one repeats.
  requeued_from TEXT,
  -- The last time it went out, how often it did, and how often it was put off.
  delivered_at_ms INTEGER,
  deliveries INTEGER NOT NULL DEFAULT 0,
  not_nows INTEGER NOT NULL DEFAULT 0,
  CHECK ((body IS NULL) <> (sealed IS NULL))
) STRICT;
INSERT INTO commands (command_uuid, udid, priority, request_type, body, state, created_at_ms, expires_at_ms, noted_at_ms, enrollment_id)
SELECT command_uuid, udid, priority, request_type, body, state, created_at_ms, expires_at_ms, noted_at_ms, enrollment_id
FROM commands_before WHERE request_type = 'DeclarativeManagement' ORDER BY rowid;
CREATE INDEX commands_by_device ON commands (udid, priority);
CREATE INDEX commands_unnoted ON commands (created_at_ms) WHERE noted_at_ms IS NULL;
CREATE INDEX commands_expiring ON commands (expires_at_ms) WHERE expires_at_ms IS NOT NULL;
CREATE INDEX commands_by_origin ON commands (requeued_from) WHERE requeued_from IS NOT NULL;

DROP INDEX command_history_by_device;
ALTER TABLE command_history RENAME TO command_history_before;
CREATE TABLE command_history (
  command_uuid TEXT PRIMARY KEY,
  udid TEXT NOT NULL,
  -- Of the device's ended commands, one after the other: how many are kept is the difference of two.
  number INTEGER NOT NULL,
  priority INTEGER CHECK (priority IN (0, 1)),
  request_type TEXT NOT NULL,
  -- As in commands; both are NULL where what it said was not kept.
  body TEXT,
  sealed BLOB,
  state TEXT NOT NULL CHECK (state IN ('acknowledged', 'error', 'expired', 'canceled')),
  status TEXT,
  -- The device's plist exactly as it came.
  result TEXT,
  created_at_ms INTEGER NOT NULL,
  expires_at_ms INTEGER,
  answered_at_ms INTEGER NOT NULL,
  requeued_from TEXT,
  delivered_at_ms INTEGER,
  deliveries INTEGER NOT NULL DEFAULT 0,
  not_nows INTEGER NOT NULL DEFAULT 0,
  CHECK (body IS NULL OR sealed IS NULL)
) STRICT;
-- What ended before is kept without what it said, which was in clear. What waits in clear ends here, as canceled: a
-- migration has no key to seal it with. A device that has such a command may still answer it.
INSERT INTO command_history (command_uuid, udid, number, request_type, state, status, result, created_at_ms, expires_at_ms, answered_at_ms)
SELECT command_uuid, udid, row_number() OVER (PARTITION BY udid ORDER BY answered_at_ms), request_type, state, status, result,
  created_at_ms, expires_at_ms, answered_at_ms
FROM (
  SELECT command_uuid, udid, request_type, state, status, result, created_at_ms, expires_at_ms, answered_at_ms
  FROM command_history_before
  UNION ALL
  SELECT command_uuid, udid, request_type, 'canceled', NULL, NULL, created_at_ms, expires_at_ms, CAST(unixepoch('subsec') * 1000 AS INTEGER)
  FROM commands_before WHERE request_type <> 'DeclarativeManagement'
);
CREATE INDEX command_history_by_device ON command_history (udid, created_at_ms, command_uuid);
CREATE INDEX command_history_by_number ON command_history (udid, number);
CREATE INDEX command_history_by_answer ON command_history (answered_at_ms);
CREATE INDEX command_history_by_origin ON command_history (requeued_from) WHERE requeued_from IS NOT NULL;

DROP TABLE commands_before;
DROP TABLE command_history_before;
