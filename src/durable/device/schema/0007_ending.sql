-- When the enrollment ended, and what says that it did although the device did not.

ALTER TABLE enrollment ADD COLUMN ended_at_ms INTEGER;
ALTER TABLE enrollment ADD COLUMN presumed TEXT CHECK (presumed IN ('erase-acknowledged', 'removal-acknowledged'));
ALTER TABLE enrollment ADD COLUMN presumed_by TEXT;
ALTER TABLE enrollment ADD COLUMN presumed_at_ms INTEGER;

-- What the acknowledgement of the command that is out will be a sign of.
ALTER TABLE outstanding ADD COLUMN farewell TEXT;
