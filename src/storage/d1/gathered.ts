/**
 * A database for work that asks many small things at once: what is asked while an earlier answer is awaited goes out as
 * one batch. D1 runs one statement after the other in any case; this spares the way there and back. A batch is a
 * transaction, so when one statement fails all that were with it are `Unavailable`: use it for statements that do not
 * depend on each other and may be said again. What is asked before its answer to another came may run in either order.
 *
 * Made for one request, and dropped with it: what one request waits for must not be answered to another.
 */
import { type Bound, Database, type Statement } from './database.ts';

/** D1 takes far more; a batch of this many small statements takes a few milliseconds. */
const STATEMENTS_MAX = 100;
/** Of what is bound: a batch is one message. */
const BYTES_MAX = 2 * 1024 * 1024;

interface Asked {
  readonly statement: Statement;
  readonly bytes: number;
  readonly answer: (result: D1Result) => void;
  readonly fail: (error: unknown) => void;
}

export class GatheringDatabase extends Database {
  #waiting: Asked[] = [];
  #isBusy = false;

  override async all<Row>(sql: string, ...bound: readonly Bound[]): Promise<Row[]> {
    return (await this.#ask({ sql, bound })).results as Row[];
  }

  override async first<Row>(sql: string, ...bound: readonly Bound[]): Promise<Row | null> {
    return (await this.all<Row>(sql, ...bound))[0] ?? null;
  }

  override async run(sql: string, ...bound: readonly Bound[]): Promise<number> {
    return (await this.#ask({ sql, bound })).meta.changes;
  }

  #ask(statement: Statement): Promise<D1Result> {
    const asked = new Promise<D1Result>((answer, fail) => {
      this.#waiting.push({ statement, bytes: sizeOf(statement), answer, fail });
    });
    if (!this.#isBusy) {
      this.#isBusy = true;
      // Whoever asks in the same turn is still with it.
      queueMicrotask(() => this.#empty());
    }
    return asked;
  }

  async #empty(): Promise<void> {
    while (this.#waiting.length > 0) {
      const together = this.#take();
      try {
        const results = await this.results(together.map(({ statement }) => statement));
        for (const [index, { answer }] of together.entries()) answer(results[index] as D1Result);
      } catch (error) {
        for (const { fail } of together) fail(error);
      }
    }
    this.#isBusy = false;
  }

  /** At least one. */
  #take(): readonly Asked[] {
    let bytes = 0;
    const isTooMuch = (asked: Asked, index: number) => {
      bytes += asked.bytes;
      return index > 0 && (index >= STATEMENTS_MAX || bytes > BYTES_MAX);
    };
    const end = this.#waiting.findIndex(isTooMuch);
    return this.#waiting.splice(0, end === -1 ? this.#waiting.length : end);
  }
}

function sizeOf({ bound }: Statement): number {
  return bound.reduce<number>((sum, value) => {
    if (typeof value === 'string') return sum + value.length;
    return sum + (value instanceof Uint8Array || value instanceof ArrayBuffer ? value.byteLength : 8);
  }, 0);
}
