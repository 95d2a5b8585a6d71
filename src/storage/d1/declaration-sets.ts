/** Sets of declarations and their devices in D1. Foreign keys keep a set from naming what is gone. */
import type { SetDevice, SetRecord } from '../../domain/admin/declaration-services.ts';
import type { MalformedCursor, Page, PageQuery } from '../../domain/admin/services.ts';
import type { SetStore } from '../../domain/declaration/library-ports.ts';
import { parseSetName } from '../../domain/declaration/sets.ts';
import { parseUdid, type Udid } from '../../domain/ids.ts';
import { type Outcome, ok, refuse } from '../../std/outcome.ts';
import type { EpochMs } from '../../std/time.ts';
import type { Database } from './database.ts';

interface SetRow {
  name: string;
  updated_at_ms: EpochMs;
  declarations: string;
  devices: number;
}

const SELECT = `SELECT s.name, s.updated_at_ms,
    (SELECT json_group_array(identifier) FROM set_declarations WHERE set_name = s.name) AS declarations,
    (SELECT count(*) FROM set_devices WHERE set_name = s.name) AS devices
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

  async put(name: string, identifiers: readonly string[], nowMs: EpochMs): Promise<void> {
    await this.#db.batch([
      {
        sql: `INSERT INTO sets (name, updated_at_ms) VALUES (?, ?)
              ON CONFLICT (name) DO UPDATE SET updated_at_ms = excluded.updated_at_ms`,
        bound: [name, nowMs],
      },
      { sql: 'DELETE FROM set_declarations WHERE set_name = ?', bound: [name] },
      {
        sql: 'INSERT INTO set_declarations (set_name, identifier) SELECT ?, value FROM json_each(?)',
        bound: [name, JSON.stringify(identifiers)],
      },
    ]);
  }

  async remove(name: string): Promise<boolean> {
    const changed = await this.#db.run(
      `DELETE FROM sets WHERE name = ?1 AND NOT EXISTS (SELECT 1 FROM set_devices WHERE set_name = ?1)`,
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

  async assign(name: string, udid: Udid, nowMs: EpochMs): Promise<boolean> {
    await this.#db.run(
      `INSERT INTO set_devices (set_name, udid, assigned_at_ms) SELECT name, ?2, ?3 FROM sets WHERE name = ?1
       ON CONFLICT DO NOTHING`,
      name,
      udid,
      nowMs,
    );
    const row = await this.#db.first('SELECT 1 FROM set_devices WHERE set_name = ? AND udid = ?', name, udid);
    return row !== null;
  }

  async unassign(name: string, udid: Udid): Promise<void> {
    await this.#db.run('DELETE FROM set_devices WHERE set_name = ? AND udid = ?', name, udid);
  }

  async setsOf(udid: Udid): Promise<readonly string[]> {
    const rows = await this.#db.all<{ set_name: string }>(
      'SELECT set_name FROM set_devices WHERE udid = ?',
      udid,
    );
    return rows.map((row) => row.set_name);
  }
}

function record({ name, updated_at_ms: updatedAtMs, declarations, devices }: SetRow): SetRecord {
  return { name, declarations: (JSON.parse(declarations) as string[]).sort(), devices, updatedAtMs };
}
