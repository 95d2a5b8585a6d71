/** Every D1 call of this folder goes through here, so that a failing database is `Unavailable` everywhere. */
import { Unavailable } from '../../std/outcome.ts';

export type Bound = string | number | null | ArrayBuffer | Uint8Array;

export interface Statement {
  readonly sql: string;
  readonly bound: readonly Bound[];
}

export class Database {
  readonly #d1: D1Database;

  constructor(d1: D1Database) {
    this.#d1 = d1;
  }

  async all<Row>(sql: string, ...bound: readonly Bound[]): Promise<Row[]> {
    const { results } = await guard(() =>
      this.#d1
        .prepare(sql)
        .bind(...bound)
        .all<Row>(),
    );
    return results;
  }

  async first<Row>(sql: string, ...bound: readonly Bound[]): Promise<Row | null> {
    return guard(() =>
      this.#d1
        .prepare(sql)
        .bind(...bound)
        .first<Row>(),
    );
  }

  /** Rows changed. */
  async run(sql: string, ...bound: readonly Bound[]): Promise<number> {
    const result = await guard(() =>
      this.#d1
        .prepare(sql)
        .bind(...bound)
        .run(),
    );
    return result.meta.changes;
  }

  /** One transaction, in order. Returns the rows changed by each. */
  async batch(statements: readonly Statement[]): Promise<number[]> {
    const results = await this.results(statements);
    return results.map((result) => result.meta.changes);
  }

  /** Likewise, with the rows. */
  async results(statements: readonly Statement[]): Promise<D1Result[]> {
    if (statements.length === 0) return [];
    return guard(() =>
      this.#d1.batch(statements.map(({ sql, bound }) => this.#d1.prepare(sql).bind(...bound))),
    );
  }
}

/** D1 hands BLOBs back as plain arrays of numbers. */
export function blob(value: unknown): Uint8Array<ArrayBuffer> {
  return new Uint8Array(value as number[]);
}

async function guard<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    throw new Unavailable('d1', 'the database did not answer', error);
  }
}
