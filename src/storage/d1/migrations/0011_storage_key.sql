-- Something sealed with the storage key: a deployment whose key does not open it has a wrong one.

CREATE TABLE storage_key (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  mark BLOB NOT NULL
) STRICT;
