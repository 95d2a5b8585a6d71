/**
 * The device object's tables, read once into memory and written through. Methods are synchronous and are called
 * inside one transaction by the object, so memory is reloaded if that transaction fails.
 */
import type { Outstanding } from '../../domain/command/queue.ts';
import type { DeviceMessage } from '../../domain/enrollment/outbox.ts';
import type { Enrollment, ExpectedIdentity } from '../../domain/enrollment/state.ts';
import { EXPECTED_IDENTITIES_MAX } from '../../domain/enrollment/state.ts';
import type { CommandUuid } from '../../domain/ids.ts';
import type { EpochMs } from '../../std/time.ts';
import type { Declare, Progress } from './rows.ts';
import * as rows from './rows.ts';

/**
 * Rows told at once: five statements each at most, under the 50 that D1 allows a request on the free plan. A request that
 * runs into them later has told whole batches by then, and the rest is told again.
 */
export const OUTBOX_BATCH = 9;
/** Results have up to 1 MiB, are bound twice and once more as inventory; this keeps a batch near 10 MiB. */
const OUTBOX_BATCH_BYTES = 3 * 1024 * 1024;
/** Done commands are remembered this long after D1 was told, against a stale read or a repeated result. */
export const SETTLED_KEPT_MS = 24 * 60 * 60 * 1000;

export class DeviceStore {
  readonly #sql: SqlStorage;
  #enrollment: Enrollment | null;
  #expected: readonly ExpectedIdentity[];
  #outstanding: Outstanding | null;
  #deferred: readonly CommandUuid[];
  #declare: Declare | null;
  #progress: Progress;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    this.#enrollment = rows.readEnrollment(sql);
    this.#expected = rows.readExpected(sql);
    this.#outstanding = rows.readOutstanding(sql);
    this.#deferred = rows.readDeferred(sql);
    this.#declare = rows.readDeclare(sql);
    this.#progress = rows.readProgress(sql);
  }

  get enrollment(): Enrollment | null {
    return this.#enrollment;
  }

  get expected(): readonly ExpectedIdentity[] {
    return this.#expected;
  }

  get outstanding(): Outstanding | null {
    return this.#outstanding;
  }

  /** Put off in the current session. */
  get deferred(): readonly CommandUuid[] {
    return this.#deferred;
  }

  get progress(): Progress {
    return this.#progress;
  }

  /** The object's own command: waiting, or out. */
  get declare(): Declare | null {
    return this.#declare;
  }

  /** Whether that may go out in this session. */
  get declareWaits(): boolean {
    const declare = this.#declare;
    const waits = declare !== null && declare.deliveredToken === null;
    return waits && !this.#deferred.includes(declare.commandUuid);
  }

  get workWaits(): boolean {
    return this.#progress.workTold > this.#progress.workCleared;
  }

  saveEnrollment(enrollment: Enrollment): void {
    rows.writeEnrollment(this.#sql, enrollment);
    this.#enrollment = enrollment;
  }

  /** Keeps the newest few; the digest is the key, so the same certificate told twice is one row. */
  expectIdentity(identity: ExpectedIdentity): void {
    rows.writeExpected(this.#sql, identity, EXPECTED_IDENTITIES_MAX);
    this.#expected = rows.readExpected(this.#sql);
  }

  /** What no enrollment can begin with any more: renewals of the last one, and all that is not newer than it. */
  forgetExpected(issuedThroughMs: EpochMs): void {
    this.#sql.exec(
      'DELETE FROM expected_identity WHERE renewal_of IS NOT NULL OR issued_at_ms <= ?',
      issuedThroughMs,
    );
    this.#expected = rows.readExpected(this.#sql);
  }

  /** One renewal was used: it is the pin now, and its siblings are of no use to anyone honest. */
  forgetRenewals(): void {
    this.#sql.exec('DELETE FROM expected_identity WHERE renewal_of IS NOT NULL');
    this.#expected = rows.readExpected(this.#sql);
  }

  saveOutstanding(outstanding: Outstanding | null): void {
    rows.writeOutstanding(this.#sql, outstanding);
    this.#outstanding = outstanding;
  }

  /** The outstanding command goes out once more. */
  countDelivery(nowMs: EpochMs): void {
    if (this.#outstanding === null) return;
    const deliveries = this.#outstanding.deliveries + 1;
    this.#sql.exec('UPDATE outstanding SET deliveries = ?, delivered_at_ms = ?', deliveries, nowMs);
    this.#outstanding = { ...this.#outstanding, deliveries, deliveredAtMs: nowMs };
  }

  saveDeclare(declare: Declare | null): void {
    rows.writeDeclare(this.#sql, declare);
    this.#declare = declare;
  }

  /** How many results of the outstanding command could not be read, this one included. */
  countUnreadable(): number {
    const sql = 'UPDATE outstanding SET unreadable = unreadable + 1 RETURNING unreadable';
    return this.#sql.exec<{ unreadable: number }>(sql).toArray()[0]?.unreadable ?? 0;
  }

  settle(commandUuid: CommandUuid, why: 'deferred' | 'answered' | 'canceled', nowMs: EpochMs): void {
    this.#sql.exec(
      `INSERT INTO settled (command_uuid, why, at_ms) VALUES (?, ?, ?)
       ON CONFLICT (command_uuid) DO UPDATE SET why = excluded.why, at_ms = excluded.at_ms WHERE why = 'deferred'`,
      commandUuid,
      why,
      nowMs,
    );
    this.#deferred = rows.readDeferred(this.#sql);
  }

  /** How a command ended, as far as this is remembered; null for one that may go out. */
  ending(commandUuid: CommandUuid): 'answered' | 'canceled' | null {
    const [row] = this.#sql
      .exec<{ why: 'answered' | 'canceled' }>(
        "SELECT why FROM settled WHERE command_uuid = ? AND why <> 'deferred'",
        commandUuid,
      )
      .toArray();
    return row?.why ?? null;
  }

  startSession(): void {
    if (this.#deferred.length === 0) return;
    this.#sql.exec("DELETE FROM settled WHERE why = 'deferred'");
    this.#deferred = [];
  }

  /** Everything an earlier enrollment left in the queue and in the declarations' status. */
  resetQueue(): void {
    this.saveOutstanding(null);
    this.saveDeclare(null);
    this.#sql.exec("DELETE FROM settled WHERE why = 'deferred'");
    this.#sql.exec('DELETE FROM declaration_status');
    this.#sql.exec('UPDATE manifest SET fetched_at_ms = NULL');
    this.#deferred = [];
    this.saveProgress({ capabilities: null });
  }

  saveProgress(change: Partial<Progress>): void {
    this.#progress = { ...this.#progress, ...change };
    rows.writeProgress(this.#sql, this.#progress);
  }

  pruneSettled(nowMs: EpochMs): void {
    this.#sql.exec(
      `DELETE FROM settled WHERE why <> 'deferred' AND at_ms < ?
       AND command_uuid NOT IN (SELECT key FROM outbox WHERE kind IN ('result', 'cancel'))`,
      nowMs - SETTLED_KEPT_MS,
    );
  }

  post(message: DeviceMessage): void {
    rows.writeMessage(this.#sql, message);
  }

  /** The oldest messages with their row numbers, in order. */
  outbox(): readonly { readonly id: number; readonly message: DeviceMessage }[] {
    return rows.readMessages(this.#sql, OUTBOX_BATCH, OUTBOX_BATCH_BYTES);
  }

  /** Commands that ended and that D1 may still show as waiting. */
  untold(): readonly CommandUuid[] {
    const ended = "SELECT key FROM outbox WHERE kind IN ('result', 'cancel')";
    return Array.from(this.#sql.exec<{ key: CommandUuid }>(ended), (row) => row.key);
  }

  hasOutbox(): boolean {
    return this.#sql.exec('SELECT 1 FROM outbox LIMIT 1').toArray().length > 0;
  }

  told(ids: readonly number[]): void {
    for (const id of ids) this.#sql.exec('DELETE FROM outbox WHERE id = ?', id);
  }
}
