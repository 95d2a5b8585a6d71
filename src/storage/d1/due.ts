/**
 * Devices whose manifest may have to change, in D1. A change marks them in its own transaction, more rather than
 * fewer; whoever brings a device up to date claims the mark for a while and clears it only if no later change has
 * marked the device again. So a change is told to every device, whatever fails between.
 */
import type { Change, DueDevice, DueStore } from '../../domain/declaration/due.ts';
import type { EpochMs } from '../../std/time.ts';
import type { Bound, Database, Statement } from './database.ts';

/** Marks the devices that a query yields as its only column, which is named `udid`. */
export function markDue(change: Change, query: string, ...bound: readonly Bound[]): Statement {
  return {
    // `WHERE true`: SQLite reads ON after a SELECT as part of a join.
    sql: `INSERT INTO manifest_due (udid, change_id, since_ms)
          SELECT udid, ?, ? FROM (${query}) WHERE true
          ON CONFLICT (udid) DO UPDATE SET change_id = excluded.change_id, leased_until_ms = 0`,
    bound: [change.id, change.atMs, ...bound],
  };
}

/** Of each part of a query of members: from the first, or after a UDID, which is then bound after the part's own. */
export type Part = 'all' | 'after';

/** The devices of a group, whose name is bound twice. */
export function groupMembers(part: Part = 'all'): string {
  const after = part === 'all' ? '' : 'AND udid > ?';
  return `SELECT udid FROM group_devices WHERE group_name = ? ${after}
    UNION SELECT udid FROM devices WHERE ? = 'everyone' AND state <> 'checked-out' ${after}`;
}

/** Marks the members of a group, if a query finds anything: a wrong name must not stir the fleet. */
export function markGroup(
  change: Change,
  name: string,
  condition: string,
  ...bound: readonly Bound[]
): Statement {
  return markDue(
    change,
    `SELECT m.udid FROM (${condition}) CROSS JOIN (${groupMembers()}) m`,
    ...bound,
    name,
    name,
  );
}

/**
 * The devices of the sets that a query of set names yields; what that query binds is bound three times. The index of
 * all devices is read for everyone's sets only, and once: SQLite would read it through to ask an EXISTS beside it.
 */
export function setMembers(names: string, part: Part = 'all'): string {
  const after = (column: string) => (part === 'all' ? '' : `AND ${column} > ?`);
  return `SELECT udid FROM set_devices WHERE set_name IN (${names}) ${after('udid')}
    UNION SELECT m.udid FROM set_groups g JOIN group_devices m ON m.group_name = g.group_name
      WHERE g.set_name IN (${names}) ${after('m.udid')}
    UNION SELECT d.udid FROM (
        SELECT 1 FROM set_groups WHERE group_name = 'everyone' AND set_name IN (${names}) LIMIT 1
      ) CROSS JOIN devices d WHERE d.state <> 'checked-out' ${after('d.udid')}`;
}

interface DueRow {
  udid: DueDevice['udid'];
  change_id: string;
}

export class D1Due implements DueStore {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  async claim(
    change: string | null,
    limit: number,
    { nowMs, untilMs }: { readonly nowMs: EpochMs; readonly untilMs: EpochMs },
  ): Promise<readonly DueDevice[]> {
    const [choice, order] =
      change === null ? ['?4 IS NULL', 'ORDER BY leased_until_ms, since_ms'] : ['change_id = ?4', ''];
    const rows = await this.#db.all<DueRow>(
      `UPDATE manifest_due SET leased_until_ms = ?2 WHERE udid IN (
         SELECT udid FROM manifest_due WHERE ${choice} AND leased_until_ms <= ?1 ${order} LIMIT ?3
       ) RETURNING udid, change_id`,
      nowMs,
      untilMs,
      limit,
      change,
    );
    return rows.map((row) => ({ udid: row.udid, change: row.change_id, untilMs }));
  }

  async clear(done: readonly DueDevice[]): Promise<void> {
    if (done.length === 0) return;
    await this.#db.run(
      `DELETE FROM manifest_due WHERE (udid, change_id, leased_until_ms) IN (
         SELECT value ->> 'udid', value ->> 'change', value ->> 'untilMs' FROM json_each(?)
       )`,
      JSON.stringify(done),
    );
  }

  async count(change: string | null): Promise<number> {
    const [sql, bound] = change === null ? ['', []] : ['WHERE change_id = ?', [change]];
    const row = await this.#db.first<{ n: number }>(
      `SELECT count(*) AS n FROM manifest_due ${sql}`,
      ...bound,
    );
    return row?.n ?? 0;
  }

  async oldest(): Promise<EpochMs | null> {
    const row = await this.#db.first<{ since_ms: EpochMs | null }>(
      'SELECT min(since_ms) AS since_ms FROM manifest_due',
    );
    return row?.since_ms ?? null;
  }
}
