/** Sets of declarations, their devices and groups in D1. Foreign keys keep a set from naming what is gone. */
import type { SetDevice, SetGroup, SetRecord } from '../../domain/admin/declaration-services.ts';
import type { MalformedCursor, Page, PageQuery } from '../../domain/admin/services.ts';
import type { Change } from '../../domain/declaration/due.ts';
import type { SetStore } from '../../domain/declaration/library-ports.ts';
import { parseSetName } from '../../domain/declaration/sets.ts';
import { parseUdid, type Udid } from '../../domain/ids.ts';
import { type Outcome, ok, refuse } from '../../std/outcome.ts';
import type { EpochMs } from '../../std/time.ts';
import type { Database, Statement } from './database.ts';
import { groupMembers, markDue, setMembers } from './due.ts';

interface SetRow {
  name: string;
  updated_at_ms: EpochMs;
  declarations: string;
  devices: number;
  groups: string;
}

const SELECT = `SELECT s.name, s.updated_at_ms,
    (SELECT json_group_array(identifier) FROM set_declarations WHERE set_name = s.name) AS declarations,
    (SELECT count(*) FROM set_devices WHERE set_name = s.name) AS devices,
    (SELECT json_group_array(json_object('group', group_name, 'percent', percent)) FROM set_groups
      WHERE set_name = s.name) AS groups
  FROM sets s`;

export class D1DeclarationSets implements SetStore {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  async list(page: PageQuery): Promise<Outcome<Page<SetRecord>, MalformedCursor>> {
    if (page.cursor !== null && !parseSetName(page.cursor).ok) return refuse({ kind: 'malformed-cursor' });
    const rows = await this.#db.all<SetRow>(
      `${SELECT} WHERE s.name > ? ORDER BY s.name LIMIT ?`,
      page.cursor ?? '',
      page.limit + 1,
    );
    const items = rows.slice(0, page.limit).map(record);
    return ok({ items, cursor: rows.length > page.limit ? (items.at(-1)?.name ?? null) : null });
  }

  async find(name: string): Promise<SetRecord | null> {
    const row = await this.#db.first<SetRow>(`${SELECT} WHERE s.name = ?`, name);
    return row === null ? null : record(row);
  }

  async put(name: string, identifiers: readonly string[], change: Change): Promise<void> {
    await this.#db.batch([
      {
        sql: `INSERT INTO sets (name, updated_at_ms) VALUES (?, ?)
              ON CONFLICT (name) DO UPDATE SET updated_at_ms = excluded.updated_at_ms`,
        bound: [name, change.atMs],
      },
      { sql: 'DELETE FROM set_declarations WHERE set_name = ?', bound: [name] },
      {
        sql: 'INSERT INTO set_declarations (set_name, identifier) SELECT ?, value FROM json_each(?)',
        bound: [name, JSON.stringify(identifiers)],
      },
      markDue(change, setMembers('?'), name, name, name),
    ]);
  }

  async remove(name: string): Promise<boolean> {
    const changed = await this.#db.run(
      `DELETE FROM sets WHERE name = ?1 AND NOT EXISTS (SELECT 1 FROM set_devices WHERE set_name = ?1)
         AND NOT EXISTS (SELECT 1 FROM set_groups WHERE set_name = ?1)`,
      name,
    );
    return changed > 0;
  }

  async devicesOf(name: string, limit: number): Promise<readonly Udid[]> {
    const rows = await this.#db.all<{ udid: Udid }>(
      'SELECT udid FROM set_devices WHERE set_name = ? ORDER BY udid LIMIT ?',
      name,
      limit,
    );
    return rows.map((row) => row.udid);
  }

  async listDevices(name: string, page: PageQuery): Promise<Outcome<Page<SetDevice>, MalformedCursor>> {
    if (page.cursor !== null && !parseUdid(page.cursor).ok) return refuse({ kind: 'malformed-cursor' });
    const rows = await this.#db.all<{ udid: Udid; assigned_at_ms: EpochMs }>(
      'SELECT udid, assigned_at_ms FROM set_devices WHERE set_name = ? AND udid > ? ORDER BY udid LIMIT ?',
      name,
      page.cursor ?? '',
      page.limit + 1,
    );
    const items = rows
      .slice(0, page.limit)
      .map((row) => ({ udid: row.udid, assignedAtMs: row.assigned_at_ms }));
    return ok({ items, cursor: rows.length > page.limit ? (items.at(-1)?.udid ?? null) : null });
  }

  async groupsOf(name: string): Promise<readonly SetGroup[]> {
    return this.#db.all<{ group: string; percent: number }>(
      'SELECT group_name AS "group", percent FROM set_groups WHERE set_name = ? ORDER BY group_name',
      name,
    );
  }

  async assign(name: string, udid: Udid, change: Change): Promise<boolean> {
    const [, marked] = await this.#db.batch([
      {
        sql: `INSERT INTO set_devices (set_name, udid, assigned_at_ms) SELECT name, ?2, ?3 FROM sets WHERE name = ?1
              ON CONFLICT DO NOTHING`,
        bound: [name, udid, change.atMs],
      },
      markDue(change, 'SELECT udid FROM set_devices WHERE set_name = ? AND udid = ?', name, udid),
    ]);
    return marked === 1;
  }

  async unassign(name: string, udid: Udid, change: Change): Promise<void> {
    await this.#db.batch([
      markDue(change, 'SELECT udid FROM set_devices WHERE set_name = ? AND udid = ?', name, udid),
      { sql: 'DELETE FROM set_devices WHERE set_name = ? AND udid = ?', bound: [name, udid] },
    ]);
  }

  async assignGroup(name: string, { group, percent }: SetGroup, change: Change): Promise<boolean> {
    const [assigned] = await this.#db.batch([
      {
        sql: `INSERT INTO set_groups (set_name, group_name, percent, assigned_at_ms)
              SELECT s.name, g.name, ?3, ?4 FROM sets s, groups g WHERE s.name = ?1 AND g.name = ?2
              ON CONFLICT (set_name, group_name) DO UPDATE SET percent = excluded.percent`,
        bound: [name, group, percent, change.atMs],
      },
      markAssigned(name, group, change),
    ]);
    return assigned === 1;
  }

  async unassignGroup(name: string, group: string, change: Change): Promise<void> {
    await this.#db.batch([
      markAssigned(name, group, change),
      { sql: 'DELETE FROM set_groups WHERE set_name = ? AND group_name = ?', bound: [name, group] },
    ]);
  }

  async setsOfGroup(group: string): Promise<readonly string[]> {
    const rows = await this.#db.all<{ set_name: string }>(
      'SELECT set_name FROM set_groups WHERE group_name = ?',
      group,
    );
    return rows.map((row) => row.set_name);
  }

  async setsOf(udid: Udid): Promise<readonly string[]> {
    const rows = await this.#db.all<{ set_name: string }>(
      'SELECT set_name FROM set_devices WHERE udid = ?',
      udid,
    );
    return rows.map((row) => row.set_name);
  }
}

/** Marks the group's members, if the set is assigned to it: a wrong name must not stir the fleet. */
function markAssigned(set: string, group: string, change: Change): Statement {
  const assigned = 'SELECT 1 FROM set_groups WHERE set_name = ? AND group_name = ?';
  return markDue(
    change,
    `SELECT m.udid FROM (${assigned}) CROSS JOIN (${groupMembers()}) m`,
    set,
    group,
    group,
    group,
  );
}

function record(row: SetRow): SetRecord {
  const groups = JSON.parse(row.groups) as SetGroup[];
  return {
    name: row.name,
    declarations: (JSON.parse(row.declarations) as string[]).sort(),
    devices: row.devices,
    groups: groups.sort((a, b) => (a.group < b.group ? -1 : 1)),
    updatedAtMs: row.updated_at_ms,
  };
}
