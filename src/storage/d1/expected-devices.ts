/** Serial numbers whose iPhones may take a profile at `/enroll/phone`: an administrator's list in D1. */
import type {
  ExpectedDevice,
  ExpectedDevices,
  MalformedCursor,
  Page,
  PageQuery,
} from '../../domain/admin/services.ts';
import { parseSerialNumber, type SerialNumber } from '../../domain/ids.ts';
import type { ExpectedSerials } from '../../domain/pairing/ports.ts';
import { type Outcome, ok, refuse } from '../../std/outcome.ts';
import type { EpochMs } from '../../std/time.ts';
import type { Database, Statement } from './database.ts';

/** Rows of one statement: D1 binds at most 100 values, and a row takes two. */
const ROWS_PER_STATEMENT = 50;

export class D1ExpectedDevices implements ExpectedDevices, ExpectedSerials {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  async isExpected(serial: SerialNumber): Promise<boolean> {
    return (await this.#db.first('SELECT 1 FROM expected_devices WHERE serial = ?', serial)) !== null;
  }

  async add(serials: readonly SerialNumber[], nowMs: EpochMs): Promise<number> {
    const statements: Statement[] = [];
    for (let at = 0; at < serials.length; at += ROWS_PER_STATEMENT) {
      const part = serials.slice(at, at + ROWS_PER_STATEMENT);
      const values = part.map(() => "(?, 'iOS', ?)").join(', ');
      const sql = `INSERT INTO expected_devices (serial, platform, added_at_ms) VALUES ${values} ON CONFLICT DO NOTHING`;
      statements.push({ sql, bound: part.flatMap((serial) => [serial, nowMs]) });
    }
    const added = await this.#db.batch(statements);
    return added.reduce((sum, rows) => sum + rows, 0);
  }

  async list(page: PageQuery): Promise<Outcome<Page<ExpectedDevice>, MalformedCursor>> {
    const after = page.cursor === null ? ok('') : parseSerialNumber(page.cursor);
    if (!after.ok) return refuse({ kind: 'malformed-cursor' });
    const results = await this.#db.all<{ serial: SerialNumber; added_at_ms: EpochMs }>(
      'SELECT serial, added_at_ms FROM expected_devices WHERE serial > ? ORDER BY serial LIMIT ?',
      ...[after.value, page.limit + 1],
    );
    const items = results.slice(0, page.limit).map((row): ExpectedDevice => {
      return { serial: row.serial, platform: 'iOS', addedAtMs: row.added_at_ms };
    });
    return ok({ items, cursor: results.length > page.limit ? (items.at(-1)?.serial ?? null) : null });
  }

  async remove(serial: SerialNumber): Promise<boolean> {
    return (await this.#db.run('DELETE FROM expected_devices WHERE serial = ?', serial)) > 0;
  }
}
