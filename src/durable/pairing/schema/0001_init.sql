-- One watch's pairings. docs/storage.md lists each table with its lifetime.

CREATE TABLE pairings (
  pairing_id TEXT PRIMARY KEY,
  security_token TEXT NOT NULL UNIQUE,
  watch_serial TEXT NOT NULL,
  phone_udid TEXT,
  state TEXT NOT NULL CHECK (state IN ('challenged', 'claimed', 'redeemed', 'identity-issued', 'authenticated',
    'enrolled', 'expired', 'refused')),
  reason TEXT,
  redeemed_at_ms INTEGER,
  started_at_ms INTEGER NOT NULL,
  updated_at_ms INTEGER NOT NULL,
  revision INTEGER NOT NULL,
  -- JSON: [{"at","step","outcome","reason"?,"detail"?,"repeats"?}].
  timeline TEXT NOT NULL,
  CHECK (redeemed_at_ms IS NULL OR phone_udid IS NOT NULL),
  CHECK ((reason IS NOT NULL) = (state IN ('expired', 'refused')))
) STRICT;
CREATE INDEX pairings_by_start ON pairings (started_at_ms);

-- Live ones only: redeeming, expiring and evicting delete the row.
CREATE TABLE challenges (
  security_token TEXT PRIMARY KEY,
  pairing_id TEXT NOT NULL UNIQUE REFERENCES pairings (pairing_id),
  serial TEXT NOT NULL,
  source TEXT NOT NULL,
  issued_at_ms INTEGER NOT NULL,
  expires_at_ms INTEGER NOT NULL,
  phone_udid TEXT,
  claimed_at_ms INTEGER,
  CHECK ((phone_udid IS NULL) = (claimed_at_ms IS NULL))
) STRICT;

-- What the limits count: challenges issued and tokens refused within the last hour.
CREATE TABLE requests (
  id INTEGER PRIMARY KEY,
  kind TEXT NOT NULL CHECK (kind IN ('challenge', 'refusal')),
  source TEXT NOT NULL,
  network TEXT NOT NULL,
  at_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX requests_by_source ON requests (kind, source, at_ms);
CREATE INDEX requests_by_network ON requests (kind, network, at_ms);

-- Pairings whose copy in D1 is behind, or is to go.
CREATE TABLE outbox (
  pairing_id TEXT PRIMARY KEY,
  revision INTEGER NOT NULL,
  removed INTEGER NOT NULL CHECK (removed IN (0, 1))
) STRICT;

CREATE TABLE drain (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  failures INTEGER NOT NULL,
  due_ms INTEGER NOT NULL
) STRICT;
INSERT INTO drain (one, failures, due_ms) VALUES (1, 0, 0);
