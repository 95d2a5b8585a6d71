/** Objects of the issuance class serve as empty databases; the schema here is the test's own. */
import { runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { describe, expect, it } from 'vitest';
import { isMigrated, migrate } from '../../src/durable/migrate.ts';
import { Fault } from '../../src/std/outcome.ts';

const FIRST = 'CREATE TABLE a (n INTEGER NOT NULL) STRICT; INSERT INTO a VALUES (1);';
const SECOND = 'ALTER TABLE a ADD COLUMN m INTEGER; UPDATE a SET m = n + 1;';
const BROKEN = 'CREATE TABLE b (n INTEGER) STRICT; INSERT INTO nowhere VALUES (1);';

let objects = 0;
const inStorage = <T>(run: (storage: DurableObjectStorage) => T) =>
  runInDurableObject(env.ISSUANCE.getByName(`migrate ${objects++}`), (_, state) => run(state.storage));

const failure = (run: () => void): unknown => {
  try {
    run();
  } catch (error) {
    return error;
  }
  return null;
};

describe('migrations', () => {
  it('run once, in order, and later ones on top', async () => {
    const rows = await inStorage((storage) => {
      expect(isMigrated(storage)).toBe(false);
      migrate(storage, [FIRST]);
      migrate(storage, [FIRST]);
      expect(isMigrated(storage)).toBe(true);
      migrate(storage, [FIRST, SECOND]);
      migrate(storage, [FIRST, SECOND]);
      return storage.sql.exec('SELECT * FROM a').toArray();
    });
    expect(rows).toEqual([{ n: 1, m: 2 }]);
  });

  it('leave nothing behind when one fails', async () => {
    await inStorage((storage) => {
      migrate(storage, [FIRST]);
      expect(failure(() => migrate(storage, [FIRST, BROKEN]))).not.toBe(null);
      expect(storage.sql.exec("SELECT 1 FROM sqlite_master WHERE name = 'b'").toArray()).toEqual([]);
      migrate(storage, [FIRST, SECOND]);
      expect(storage.sql.exec('SELECT m FROM a').toArray()).toEqual([{ m: 2 }]);
    });
  });

  it('refuse a schema of a later build', async () => {
    await inStorage((storage) => {
      migrate(storage, [FIRST, SECOND]);
      expect(failure(() => migrate(storage, [FIRST]))).toBeInstanceOf(Fault);
    });
  });
});
