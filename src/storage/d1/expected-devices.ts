/**
 * Serial numbers whose iPhones may take a profile at `/enroll/phone`: an administrator's list in D1. A listing is
 * bound to the first device that uses it, in one conditional statement; listing the serial again unbinds it.
 */
import type {
  ExpectedDevice,
  ExpectedDevices,
  MalformedCursor,
  Page,
  PageQuery,
} from '../../domain/admin/services.ts';
import { parseSerialNumber, type SerialNumber, type Udid } from '../../domain/ids.ts';
import type { ExpectedSerials, ListingRefusal } from '../../domain/pairing/ports.ts';
import { type Outcome, ok, refuse } from '../../std/outcome.ts';
import type { EpochMs } from '../../std/time.ts';
import type { Database, Statement } from './database.ts';

/** Rows of one statement: D1 binds at most 100 values, one of which is the time. */
const ROWS_PER_STATEMENT = 99;

export class D1ExpectedDevices implements ExpectedDevices, ExpectedSerials {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  async isExpected(serial: SerialNumber): Promise<boolean> {
    return (await this.#db.first('SELECT 1 FROM expected_devices WHERE serial = ?', serial)) !== null;
  }

  async bind(
    serial: SerialNumber,
    udid: Udid,
  ): Promise<Outcome<{ readonly listedAtMs: EpochMs }, ListingRefusal>> {
    const bound = await this.#db.first<{ added_at_ms: EpochMs }>(
      `UPDATE expected_devices SET udid = ?2 WHERE serial = ?1 AND (udid IS NULL OR udid = ?2)
       RETURNING added_at_ms`,
      ...[serial, udid],
    );
    if (bound !== null) return ok({ listedAtMs: bound.added_at_ms });
    const listed = await this.isExpected(serial);
    return refuse({ kind: listed ? 'serial-bound-to-another-device' : 'serial-not-expected', serial });
  }

  async add(
    serials: readonly SerialNumber[],
    nowMs: EpochMs,
  ): Promise<{ readonly added: number; readonly renewed: number }> {
    const unique = [...new Set(serials)];
    const renewals: Statement[] = [];
    const inserts: Statement[] = [];
    for (let at = 0; at < unique.length; at += ROWS_PER_STATEMENT) {
      const bound = [nowMs, ...unique.slice(at, at + ROWS_PER_STATEMENT)];
      const places = bound.slice(1).map((_, index) => `?${index + 2}`);
      renewals.push({
        sql: `UPDATE expected_devices SET added_at_ms = ?1, udid = NULL WHERE serial IN (${places.join(', ')})`,
        bound,
      });
      inserts.push({
        sql: `INSERT INTO expected_devices (serial, platform, added_at_ms)
              VALUES ${places.map((place) => `(${place}, 'iOS', ?1)`).join(', ')} ON CONFLICT DO NOTHING`,
        bound,
      });
    }
    const rows = await this.#db.batch([...renewals, ...inserts]);
    const sum = (part: readonly number[]) => part.reduce((total, changed) => total + changed, 0);
    return { renewed: sum(rows.slice(0, renewals.length)), added: sum(rows.slice(renewals.length)) };
  }

  async list(page: PageQuery): Promise<Outcome<Page<ExpectedDevice>, MalformedCursor>> {
    const after = page.cursor === null ? ok('') : parseSerialNumber(page.cursor);
    if (!after.ok) return refuse({ kind: 'malformed-cursor' });
    const results = await this.#db.all<{ serial: SerialNumber; added_at_ms: EpochMs; udid: Udid | null }>(
      'SELECT serial, added_at_ms, udid FROM expected_devices WHERE serial > ? ORDER BY serial LIMIT ?',
      ...[after.value, page.limit + 1],
    );
    const items = results.slice(0, page.limit).map((row): ExpectedDevice => {
      return { serial: row.serial, platform: 'iOS', addedAtMs: row.added_at_ms, udid: row.udid };
    });
    return ok({ items, cursor: results.length > page.limit ? (items.at(-1)?.serial ?? null) : null });
  }

  async remove(serial: SerialNumber): Promise<boolean> {
    return (await this.#db.run('DELETE FROM expected_devices WHERE serial = ?', serial)) > 0;
  }
}
