/** Groups of devices in D1. `everyone` has no rows: its members are the devices that have not checked out. */
import type { GroupChange, GroupRecord } from '../../domain/admin/declaration-services.ts';
import type { MalformedCursor, Page, PageQuery } from '../../domain/admin/services.ts';
import type { Change } from '../../domain/declaration/due.ts';
import type { GroupStore } from '../../domain/declaration/library-ports.ts';
import { parseUdid, type Udid } from '../../domain/ids.ts';
import { type Outcome, ok, refuse } from '../../std/outcome.ts';
import type { EpochMs } from '../../std/time.ts';
import type { Database } from './database.ts';
import { groupMembers, markDue } from './due.ts';

interface GroupRow {
  name: string;
  updated_at_ms: EpochMs;
  devices: number;
}

const SELECT = `SELECT g.name, g.updated_at_ms,
    iif(g.name = 'everyone', (SELECT count(*) FROM devices WHERE state <> 'checked-out'),
      (SELECT count(*) FROM group_devices WHERE group_name = g.name)) AS devices
  FROM groups g`;

/** Of a group, the members among these. */
const NAMED =
  'SELECT udid FROM group_devices WHERE group_name = ? AND udid IN (SELECT value FROM json_each(?))';

export class D1Groups implements GroupStore {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  async list(page: PageQuery): Promise<Outcome<Page<GroupRecord>, MalformedCursor>> {
    const rows = await this.#db.all<GroupRow>(
      `${SELECT} WHERE g.name > ? ORDER BY g.name LIMIT ?`,
      page.cursor ?? '',
      page.limit + 1,
    );
    const items = rows.slice(0, page.limit).map(record);
    return ok({ items, cursor: rows.length > page.limit ? (items.at(-1)?.name ?? null) : null });
  }

  async find(name: string): Promise<GroupRecord | null> {
    const row = await this.#db.first<GroupRow>(`${SELECT} WHERE g.name = ?`, name);
    return row === null ? null : record(row);
  }

  async exists(name: string): Promise<boolean> {
    return (await this.#db.first('SELECT 1 FROM groups WHERE name = ?', name)) !== null;
  }

  async create(name: string, nowMs: EpochMs): Promise<boolean> {
    const changed = await this.#db.run(
      'INSERT INTO groups (name, updated_at_ms) VALUES (?, ?) ON CONFLICT DO NOTHING',
      name,
      nowMs,
    );
    return changed > 0;
  }

  async remove(name: string): Promise<boolean> {
    const changed = await this.#db.run(
      `DELETE FROM groups WHERE name = ?1 AND name <> 'everyone'
         AND NOT EXISTS (SELECT 1 FROM set_groups WHERE group_name = ?1)
         AND NOT EXISTS (SELECT 1 FROM watch_enrollment_groups WHERE group_name = ?1)`,
      name,
    );
    return changed > 0;
  }

  async members(name: string, page: PageQuery): Promise<Outcome<Page<Udid>, MalformedCursor>> {
    if (page.cursor !== null && !parseUdid(page.cursor).ok) return refuse({ kind: 'malformed-cursor' });
    const from =
      name === 'everyone'
        ? "SELECT udid FROM devices WHERE state <> 'checked-out' AND ?1 = 'everyone'"
        : 'SELECT udid FROM group_devices WHERE group_name = ?1';
    const rows = await this.#db.all<{ udid: Udid }>(
      `${from} AND udid > ?2 ORDER BY udid LIMIT ?3`,
      name,
      page.cursor ?? '',
      page.limit + 1,
    );
    const items = rows.slice(0, page.limit).map((row) => row.udid);
    return ok({ items, cursor: rows.length > page.limit ? (items.at(-1) ?? null) : null });
  }

  /** One transaction: marks of the same change must not be made before and after somebody brought a device up. */
  async change(name: string, { add, remove }: GroupChange, change: Change): Promise<void> {
    const [added, removed] = [JSON.stringify(add), JSON.stringify(remove)];
    await this.#db.batch([
      {
        sql: `INSERT INTO group_devices (group_name, udid)
              SELECT g.name, j.value FROM groups g, json_each(?) j WHERE g.name = ? ON CONFLICT DO NOTHING`,
        bound: [added, name],
      },
      // Only members: nobody marks, and so makes an object of, a device that is only named.
      markDue(change, `${NAMED} UNION ${NAMED}`, name, added, name, removed),
      {
        sql: 'DELETE FROM group_devices WHERE group_name = ? AND udid IN (SELECT value FROM json_each(?))',
        bound: [name, removed],
      },
      { sql: 'UPDATE groups SET updated_at_ms = ? WHERE name = ?', bound: [change.atMs, name] },
    ]);
  }

  async uses(name: string) {
    const [sets, watch] = await Promise.all([
      this.#db.all<{ set_name: string }>(
        'SELECT set_name FROM set_groups WHERE group_name = ? ORDER BY 1',
        name,
      ),
      this.#db.first('SELECT 1 FROM watch_enrollment_groups WHERE group_name = ?', name),
    ]);
    return { sets: sets.map((row) => row.set_name), watchEnrollment: watch !== null };
  }

  async fullDevices(name: string, udids: readonly Udid[], groupsMax: number): Promise<readonly Udid[]> {
    const rows = await this.#db.all<{ udid: Udid }>(
      `SELECT udid FROM group_devices WHERE udid IN (SELECT value FROM json_each(?)) AND group_name <> ?
       GROUP BY udid HAVING count(*) >= ? ORDER BY udid`,
      JSON.stringify(udids),
      name,
      groupsMax,
    );
    return rows.map((row) => row.udid);
  }

  async unknownDevices(udids: readonly Udid[]): Promise<readonly Udid[]> {
    const rows = await this.#db.all<{ udid: Udid }>(
      `SELECT value AS udid FROM json_each(?) j
       WHERE NOT EXISTS (SELECT 1 FROM certificates WHERE udid = j.value) ORDER BY value`,
      JSON.stringify(udids),
    );
    return rows.map((row) => row.udid);
  }
}

/** Marks the members of a group. */
export function markGroup(change: Change, name: string) {
  return markDue(change, groupMembers(), name, name);
}

function record({ name, devices, updated_at_ms: updatedAtMs }: GroupRow): GroupRecord {
  return { name, devices, updatedAtMs };
}
