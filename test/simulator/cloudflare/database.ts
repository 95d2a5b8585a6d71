/**
 * D1 as its HTTP API shows it, on SQLite in memory: several statements in one query are one transaction, and what a
 * statement returns comes back statement by statement. Backups, read replicas and billing are not imitated.
 */
import { DatabaseSync } from 'node:sqlite';

export interface QueryAnswer {
  readonly status: number;
  readonly result: unknown;
  readonly error?: { readonly code: number; readonly message: string };
}

export class FakeDatabase {
  readonly #sqlite = new DatabaseSync(':memory:');
  #bookmark = 0;

  get bookmark(): string {
    return `0000000${this.#bookmark}-00000000-00004e1f-fake`;
  }

  query(sql: string, params: readonly (string | number | null)[]): QueryAnswer {
    try {
      const meta = { duration: 0, changes: 0, last_row_id: 0, rows_read: 0, rows_written: 0, size_after: 0 };
      if (/^\s*(?:SELECT|PRAGMA)\b/i.test(sql)) {
        const results = this.#sqlite.prepare(sql).all(...params);
        return { status: 200, result: [{ results, success: true, meta }] };
      }
      this.#sqlite.exec(`BEGIN;\n${sql}\n;COMMIT`);
      this.#bookmark += 1;
      return { status: 200, result: [{ results: [], success: true, meta }] };
    } catch (error) {
      if (this.#sqlite.isTransaction) this.#sqlite.exec('ROLLBACK');
      return { status: 400, result: null, error: { code: 7500, message: String(error) } };
    }
  }
}
