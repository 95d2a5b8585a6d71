-- Apps, the packages uploaded for them, and what becomes of each on each watch. docs/storage.md says who writes what.

-- What was uploaded: the object in the bucket has the package's id for a name. The row comes first, so that no object is
-- ever without one.
CREATE TABLE app_packages (
  package_id TEXT PRIMARY KEY,
  app_id TEXT NOT NULL,
  -- JSON of what the manifest tells; NULL while it is being uploaded, and for ever if that failed.
  details TEXT,
  created_at_ms INTEGER NOT NULL,
  -- Since when it is no app's: from the start, until it is an app's, and again from when another took its place.
  left_over_since_ms INTEGER
) STRICT;
CREATE INDEX app_packages_by_app ON app_packages (app_id);
CREATE INDEX app_packages_left_over ON app_packages (left_over_since_ms) WHERE left_over_since_ms IS NOT NULL;

CREATE TABLE apps (
  watch_bundle_id TEXT PRIMARY KEY CHECK (length(watch_bundle_id) <= 155),
  name TEXT NOT NULL,
  kind TEXT NOT NULL CHECK (kind IN ('paired', 'dependent', 'standalone')),
  phone_bundle_id TEXT,
  -- JSON: sources and options of either side, without Configuration, which may hold secrets.
  details TEXT NOT NULL,
  -- Configurations of either side, sealed; NULL without any.
  configuration BLOB,
  package_id TEXT REFERENCES app_packages (package_id),
  version TEXT NOT NULL,
  updated_at_ms INTEGER NOT NULL,
  CHECK ((kind = 'standalone') = (phone_bundle_id IS NULL))
) STRICT;

CREATE TABLE app_deployments (
  deployment_id TEXT PRIMARY KEY,
  app_id TEXT NOT NULL,
  kind TEXT NOT NULL CHECK (kind IN ('paired', 'dependent', 'standalone')),
  action TEXT NOT NULL CHECK (action IN ('install', 'update', 'remove')),
  watch_udid TEXT NOT NULL,
  phone_udid TEXT,
  phone_bundle_id TEXT,
  state TEXT NOT NULL CHECK (state IN ('running', 'done', 'failed', 'canceled', 'superseded')),
  at TEXT NOT NULL CHECK (at IN ('phone', 'watch')),
  phase TEXT NOT NULL CHECK (phase IN ('waiting', 'ordered', 'confirming', 'asked', 'backing-off', 'over')),
  -- JSON: the rest of the state that src/domain/app/transitions.ts goes by.
  machine TEXT NOT NULL,
  -- JSON: [{"atMs","step","outcome","reason"?,"detail"?}], bounded.
  timeline TEXT NOT NULL,
  -- The one command that is out for it; when it is over, one that is yet to be taken back.
  command_uuid TEXT,
  -- When to look at it without being told to; NULL when there is nothing left to do.
  due_at_ms INTEGER,
  -- Grows with every write: who writes on the strength of an older one changes nothing.
  revision INTEGER NOT NULL,
  created_at_ms INTEGER NOT NULL,
  updated_at_ms INTEGER NOT NULL,
  ended_at_ms INTEGER,
  CHECK ((state = 'running') = (ended_at_ms IS NULL)),
  CHECK ((kind = 'standalone') = (phone_bundle_id IS NULL))
) STRICT;
-- One at a time for an app on a watch.
CREATE UNIQUE INDEX app_deployments_live ON app_deployments (watch_udid, app_id) WHERE state = 'running';
-- One at a time for an app on an iPhone: whoever installs or removes it there holds this until it is done.
CREATE UNIQUE INDEX app_deployments_on_phone ON app_deployments (phone_udid, phone_bundle_id)
  WHERE state = 'running' AND at = 'phone' AND phase <> 'waiting';
CREATE INDEX app_deployments_by_command ON app_deployments (command_uuid) WHERE command_uuid IS NOT NULL;
CREATE INDEX app_deployments_due ON app_deployments (due_at_ms) WHERE due_at_ms IS NOT NULL;
CREATE INDEX app_deployments_by_app ON app_deployments (app_id, created_at_ms);
CREATE INDEX app_deployments_by_watch ON app_deployments (watch_udid, created_at_ms);
CREATE INDEX app_deployments_by_phone ON app_deployments (phone_udid, phone_bundle_id) WHERE phone_udid IS NOT NULL;
