/** Many small questions to D1 as a few batches: each gets its own answer, and an outage is everybody's who was with it. */
import { env } from 'cloudflare:workers';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { Unavailable } from '../../../src/std/outcome.ts';
import { GatheringDatabase } from '../../../src/storage/d1/gathered.ts';

afterEach(() => vi.restoreAllMocks());

/** How many statements each batch had. */
function watched(fails: (batch: number) => boolean = () => false): number[] {
  const prototype = Object.getPrototypeOf(env.DB) as D1Database;
  const original = prototype.batch;
  const sizes: number[] = [];
  vi.spyOn(prototype, 'batch').mockImplementation(function (this: D1Database, statements) {
    sizes.push(statements.length);
    if (fails(sizes.length)) throw new Error('D1_ERROR: simulated outage');
    return original.call(this, statements) as never;
  });
  return sizes;
}

const echo = (db: GatheringDatabase, value: number | string) =>
  db.first<{ v: unknown }>('SELECT ? AS v', value);
const numbers = (count: number) => Array.from({ length: count }, (_, n) => n);

describe('a gathering database', () => {
  it('asks at once what is asked in one turn, and answers each', async () => {
    const sizes = watched();
    const db = new GatheringDatabase(env.DB);
    const answers = await Promise.all(numbers(30).map((n) => echo(db, n)));
    expect(answers.map((row) => row?.v)).toEqual(numbers(30));
    expect(sizes).toEqual([30]);
  });

  it('gathers what comes while it waits', async () => {
    const sizes = watched();
    const db = new GatheringDatabase(env.DB);
    const first = echo(db, 0);
    await Promise.resolve();
    const later = numbers(20).map((n) => echo(db, n));
    await Promise.all([first, ...later]);
    expect(sizes).toEqual([1, 20]);
  });

  it('sends no more than 100 statements or 2 MiB together, and a larger one alone', async () => {
    const sizes = watched();
    const db = new GatheringDatabase(env.DB);
    await Promise.all(numbers(205).map((n) => echo(db, n)));
    expect(sizes.splice(0)).toEqual([100, 100, 5]);
    const large = 'x'.repeat(900 * 1024);
    const rows = await Promise.all([large, large, large, 'small'].map((value) => echo(db, value)));
    expect(rows.map((row) => String(row?.v).length)).toEqual([large.length, large.length, large.length, 5]);
    expect(sizes).toEqual([2, 2]);
  });

  it('tells rows, the absence of one, and how many were changed', async () => {
    const db = new GatheringDatabase(env.DB);
    const name = `gathered-${crypto.randomUUID()}`;
    const insert = 'INSERT INTO groups (name, updated_at_ms) VALUES (?, 0) ON CONFLICT DO NOTHING';
    expect(await Promise.all([db.run(insert, name), db.run(insert, name)])).toEqual([1, 0]);
    expect(await db.all('SELECT name FROM groups WHERE name = ?', name)).toEqual([{ name }]);
    expect(await db.first('SELECT name FROM groups WHERE name = ?', 'nobody')).toBeNull();
  });

  it('is unavailable to all that were in a failed batch, and to nobody after them', async () => {
    watched((batch) => batch === 1);
    const db = new GatheringDatabase(env.DB);
    const failed = await Promise.allSettled(numbers(3).map((n) => echo(db, n)));
    expect(failed.map((one) => one.status === 'rejected' && one.reason instanceof Unavailable)).toEqual(
      Array(3).fill(true),
    );
    expect(await echo(db, 7)).toEqual({ v: 7 });
  });

  it('goes on with what waited behind a failed batch', async () => {
    watched((batch) => batch === 1);
    const db = new GatheringDatabase(env.DB);
    const first = echo(db, 1);
    const refused = expect(first).rejects.toThrow(Unavailable);
    await Promise.resolve();
    const second = echo(db, 2);
    await refused;
    expect(await second).toEqual({ v: 2 });
  });
});
