/**
 * What D1 has yet to be told of this watch's pairings. A row only names a pairing: what is sent is the pairing as
 * it stands then, so a row is told at most a few times and never out of order.
 */
import type { Udid } from '../../domain/ids.ts';
import type { Pairing } from '../../domain/pairing/states.ts';
import { type EpochMs, MINUTE_MS, SECOND_MS } from '../../std/time.ts';
import { type PairingRow, toPairing } from './rows.ts';

/** D1 takes a batch in one round trip; 16 full timelines are about 200 KB. */
const OUTBOX_BATCH = 16;
/** Retries wait 1 s, 2 s, 4 s … and never longer than this. */
const RETRY_MAX_MS = 5 * MINUTE_MS;

type OutboxRow = { pairing_id: string; revision: number; removed: number };

export interface OutboxBatch {
  readonly changed: readonly Pairing[];
  readonly removed: readonly string[];
  readonly rows: readonly OutboxRow[];
}

export class PairingOutbox {
  readonly #sql: SqlStorage;
  readonly #watchUdid: Udid;

  constructor(sql: SqlStorage, watchUdid: Udid) {
    this.#sql = sql;
    this.#watchUdid = watchUdid;
  }

  batch(): OutboxBatch {
    const rows = this.#sql
      .exec<OutboxRow>('SELECT * FROM outbox ORDER BY pairing_id LIMIT ?', OUTBOX_BATCH)
      .toArray();
    const changed = this.#sql
      .exec<PairingRow>(
        `SELECT * FROM pairings WHERE pairing_id IN (SELECT pairing_id FROM outbox ORDER BY pairing_id LIMIT ?)`,
        OUTBOX_BATCH,
      )
      .toArray();
    return {
      rows,
      changed: changed.map((row) => toPairing(row, this.#watchUdid)),
      removed: rows.filter((row) => row.removed === 1).map((row) => row.pairing_id),
    };
  }

  /** Rows that changed while they were being told stay. */
  told(batch: OutboxBatch): void {
    for (const { pairing_id, revision, removed } of batch.rows) {
      const sql = 'DELETE FROM outbox WHERE pairing_id = ? AND revision = ? AND removed = ?';
      this.#sql.exec(sql, pairing_id, revision, removed);
    }
    this.#sql.exec('UPDATE drain SET failures = 0, due_ms = 0 WHERE failures > 0');
  }

  /** Returns how often it has failed in a row. */
  failed(nowMs: EpochMs): number {
    const { failures } = this.#sql.exec<{ failures: number }>('SELECT failures FROM drain').one();
    const waitMs = Math.min(SECOND_MS * 2 ** Math.min(failures, 16), RETRY_MAX_MS);
    this.#sql.exec('UPDATE drain SET failures = ?, due_ms = ?', failures + 1, nowMs + waitMs);
    return failures + 1;
  }

  /** When to try; `null` when there is nothing to tell. 0 means at once. */
  dueMs(): number | null {
    const sql = 'SELECT due_ms FROM drain WHERE EXISTS (SELECT 1 FROM outbox)';
    return this.#sql.exec<{ due_ms: number }>(sql).toArray()[0]?.due_ms ?? null;
  }
}
