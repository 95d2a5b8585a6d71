/**
 * Brings an object's SQLite up to its schema: runs the migrations that this object has not had, in order, in one
 * transaction, synchronously, so that no request meets a half-made table.
 *
 * Position in the list is the version. A migration is frozen once merged; a change is a new file. The version is
 * a row, since the runtime does not authorize `PRAGMA user_version`.
 */
import { Fault } from '../std/outcome.ts';

export function migrate(storage: DurableObjectStorage, migrations: readonly string[]): void {
  const { sql } = storage;
  if (storedVersion(sql) === migrations.length) return;
  storage.transactionSync(() => {
    sql.exec('CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL) STRICT');
    const have = storedVersion(sql);
    if (have > migrations.length) {
      throw new Fault('schema-too-new', `stored schema ${have}, this build knows ${migrations.length}`);
    }
    for (const migration of migrations.slice(have)) sql.exec(migration);
    sql.exec('DELETE FROM schema_version');
    sql.exec('INSERT INTO schema_version (version) VALUES (?)', migrations.length);
  });
}

/** Whether this object ever stored anything: what lets one that was only guessed at leave no trace. */
export function isMigrated(storage: DurableObjectStorage): boolean {
  return storedVersion(storage.sql) > 0;
}

function storedVersion(sql: SqlStorage): number {
  const table = sql.exec("SELECT 1 FROM sqlite_master WHERE name = 'schema_version'").toArray();
  if (table.length === 0) return 0;
  const [row] = sql.exec<{ version: number }>('SELECT version FROM schema_version').toArray();
  return row?.version ?? 0;
}
