-- Which watches an iPhone was to host, from the certificate on.

CREATE INDEX certificates_by_phone ON certificates (json_extract(origin, '$.phoneUdid'), not_before_ms)
  WHERE json_extract(origin, '$.phoneUdid') IS NOT NULL;
