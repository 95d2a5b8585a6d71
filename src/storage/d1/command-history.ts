/**
 * Where commands go when they end: out of `commands`, into `command_history`, in one transaction. A second run finds
 * nothing to move. Only the sweep deletes from history.
 */
import { HISTORY_KEPT_DAYS, HISTORY_MAX } from '../../domain/command/retention.ts';
import type { Sent } from '../../domain/enrollment/outbox.ts';
import { addMs, DAY_MS, type EpochMs } from '../../std/time.ts';
import type { Bound, Database, Statement } from './database.ts';
import { profilesExpired } from './device-profile-ends.ts';

/** Of 5 KiB each: some 50 ms a batch. As many a sweep that 10,000 go in five minutes, what 100 devices answer in a day. */
const SWEEP_ROWS = 1_000;
const SWEEP_BATCHES = 10;

/** SQL of the columns that an end decides; the parameters are the caller's. */
interface End {
  readonly state: string;
  readonly status?: string;
  readonly result?: string;
  readonly atMs: string;
  readonly deliveredAtMs?: string;
  readonly deliveries?: string;
  readonly notNows?: string;
}

function move(where: string, end: End, bound: readonly Bound[]): Statement {
  const { state, status = 'NULL', result = 'NULL', atMs } = end;
  const { deliveredAtMs = 'delivered_at_ms', deliveries = 'deliveries', notNows = 'not_nows' } = end;
  const sql = `INSERT INTO command_history (command_uuid, udid, number, priority, request_type, body, sealed, state, status,
      result, created_at_ms, expires_at_ms, answered_at_ms, requeued_from, delivered_at_ms, deliveries, not_nows)
    SELECT command_uuid, udid,
      ifnull((SELECT max(h.number) FROM command_history h WHERE h.udid = c.udid), 0)
        + row_number() OVER (PARTITION BY udid ORDER BY place),
      priority, request_type, body, sealed, ${state}, ${status}, ${result}, created_at_ms, expires_at_ms, ${atMs},
      requeued_from, ${deliveredAtMs}, ${deliveries}, ${notNows}
    FROM commands c WHERE ${where}
    ON CONFLICT (command_uuid) DO NOTHING`;
  return { sql, bound };
}

/** Idempotent. */
export function moveToHistory(
  commandUuid: string,
  end: {
    readonly state: string;
    readonly status: string | null;
    readonly result: string | null;
    readonly atMs: EpochMs;
    readonly sent: Sent;
  },
): Statement[] {
  const { state, status, result, atMs, sent } = end;
  const counted = {
    deliveredAtMs: 'ifnull(?6, delivered_at_ms)',
    deliveries: 'max(deliveries, ?7)',
    notNows: 'max(not_nows, ?8)',
  };
  return [
    move('command_uuid = ?1', { state: '?2', status: '?3', result: '?4', atMs: '?5', ...counted }, [
      commandUuid,
      state,
      status,
      result,
      atMs,
      sent?.deliveredAtMs ?? null,
      sent?.deliveries ?? 0,
      sent?.notNows ?? 0,
    ]),
    { sql: 'DELETE FROM commands WHERE command_uuid = ?1', bound: [commandUuid] },
  ];
}

/** Commands of an enrollment that is over will never be delivered. */
export function closeEnrollment(udid: string, enrollmentId: string, atMs: EpochMs): readonly Statement[] {
  const over = "expires_at_ms <= ?3 AND state <> 'delivered'";
  const end = {
    state: `iif(${over}, 'expired', 'canceled')`,
    status: `iif(${over}, NULL, 'EnrollmentEnded')`,
    atMs: 'min(?3, ifnull(expires_at_ms, ?3))',
  };
  return [
    move('udid = ?1 AND enrollment_id = ?2', end, [udid, enrollmentId, atMs]),
    { sql: 'DELETE FROM commands WHERE udid = ?1 AND enrollment_id = ?2', bound: [udid, enrollmentId] },
  ];
}

/** What no device holds and whose time is over, a bounded part at a time. Returns how many. */
export async function expireCommands(db: Database, nowMs: EpochMs): Promise<number> {
  // All statements of one transaction choose the same, or more: what is over now does not go out any more.
  const expired = `place IN (SELECT place FROM commands WHERE expires_at_ms <= ?1 AND state <> 'delivered'
    ORDER BY expires_at_ms, place LIMIT ?2)`;
  const bound = [nowMs, SWEEP_ROWS];
  return inBatches(async () => {
    const [, , gone] = await db.batch([
      profilesExpired(nowMs),
      move(expired, { state: "'expired'", atMs: 'expires_at_ms' }, bound),
      { sql: `DELETE FROM commands WHERE ${expired}`, bound },
    ]);
    return gone ?? 0;
  });
}

/** Of every device two look-ups tell whether it has too many; what is left over goes with the next sweep. */
const PRUNED = {
  old: `SELECT command_uuid FROM command_history WHERE answered_at_ms < ?1 ORDER BY answered_at_ms LIMIT ?2`,
  surplus: `SELECT h.command_uuid FROM devices d CROSS JOIN command_history h ON h.udid = d.udid
      AND h.number <= (SELECT max(n.number) FROM command_history n WHERE n.udid = d.udid) - ?1 LIMIT ?2`,
};

export async function pruneHistory(db: Database, nowMs: EpochMs): Promise<number> {
  const old = await prune(db, PRUNED.old, addMs(nowMs, -HISTORY_KEPT_DAYS * DAY_MS));
  return old + (await prune(db, PRUNED.surplus, HISTORY_MAX));
}

function prune(db: Database, chosen: string, limit: number): Promise<number> {
  const sql = `DELETE FROM command_history WHERE command_uuid IN (${chosen})`;
  return inBatches(() => db.run(sql, limit, SWEEP_ROWS));
}

/** `act` says how many rows it took; less than a batch of them was the last. */
async function inBatches(act: () => Promise<number>): Promise<number> {
  let taken = 0;
  for (let batch = 0; batch < SWEEP_BATCHES; batch++) {
    const some = await act();
    taken += some;
    if (some < SWEEP_ROWS) break;
  }
  return taken;
}
