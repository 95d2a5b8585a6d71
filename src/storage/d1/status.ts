/** Scalar status items in D1: replaced whole by what a device's object projects, and only rows that differ written. */
import type { Statement } from './database.ts';

export function replaceStatus(status: {
  readonly udid: string;
  readonly revision: number;
  readonly items: Readonly<Record<string, string>>;
}): readonly Statement[] {
  const { udid, revision } = status;
  const items = JSON.stringify(status.items);
  const newer = 'NOT EXISTS (SELECT 1 FROM status_revisions r WHERE r.udid = ?1 AND r.revision >= ?3)';
  return [
    {
      sql: `DELETE FROM status_items WHERE udid = ?1 AND name NOT IN (SELECT key FROM json_each(?2)) AND ${newer}`,
      bound: [udid, items, revision],
    },
    {
      sql: `INSERT INTO status_items (udid, name, value) SELECT ?1, j.key, j.value FROM json_each(?2) j WHERE ${newer}
            ON CONFLICT (udid, name) DO UPDATE SET value = excluded.value WHERE value IS NOT excluded.value`,
      bound: [udid, items, revision],
    },
    {
      sql: `INSERT INTO status_revisions (udid, revision) VALUES (?1, ?2)
            ON CONFLICT (udid) DO UPDATE SET revision = excluded.revision WHERE excluded.revision > revision`,
      bound: [udid, revision],
    },
  ];
}
