-- The command that is out is kept as it came: sealed, unless the object made it by itself. And how often it went out.

ALTER TABLE outstanding ADD COLUMN sealed INTEGER NOT NULL DEFAULT 0 CHECK (sealed IN (0, 1));
ALTER TABLE outstanding ADD COLUMN deliveries INTEGER NOT NULL DEFAULT 1;
ALTER TABLE outstanding ADD COLUMN not_nows INTEGER NOT NULL DEFAULT 0;

-- Of these it was not counted.
UPDATE outbox SET body = json_insert(body, '$.sent', NULL) WHERE kind IN ('result', 'progress');
