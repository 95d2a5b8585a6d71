-- Data that administrators upload, beside the declaration that tells devices of it. All of it is sealed.

CREATE TABLE uploads (
  identifier TEXT PRIMARY KEY REFERENCES declarations (identifier) ON DELETE CASCADE,
  resource TEXT NOT NULL CHECK (resource IN ('assets', 'profiles')),
  content_type TEXT NOT NULL,
  -- Of what devices download, before it was sealed.
  size INTEGER NOT NULL,
  -- JSON: what it is listed by. Nothing in it is secret.
  details TEXT NOT NULL,
  sealed BLOB NOT NULL
) STRICT;
CREATE INDEX uploads_by_resource ON uploads (resource, identifier);
