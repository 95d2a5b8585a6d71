/** The mark of the storage key in D1, which tells a wrong key from damage. One row, written once. */
import type { KeyMarks } from '../../domain/storage-key.ts';
import type { Bytes } from '../../std/bytes.ts';
import { Fault } from '../../std/outcome.ts';
import { blob, type Database } from './database.ts';

const FIND = 'SELECT mark FROM storage_key';

export class D1KeyMark implements KeyMarks {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  async find(): Promise<Bytes | null> {
    const row = await this.#db.first<{ mark: unknown }>(FIND);
    return row === null ? null : blob(row.mark);
  }

  async leave(mark: Bytes): Promise<Bytes> {
    await this.#db.run(
      'INSERT INTO storage_key (one, mark) VALUES (1, ?) ON CONFLICT (one) DO NOTHING',
      mark,
    );
    const kept = await this.find();
    if (kept === null) throw new Fault('storage-key', 'the mark of the storage key is gone');
    return kept;
  }
}
