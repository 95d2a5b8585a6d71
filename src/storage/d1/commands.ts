/** The command queue and its history in D1. Answered commands leave `commands`: a poll never pays for history. */
import type {
  CommandFilter,
  CommandPage,
  CommandPriority,
  CommandState,
  CommandSummary,
} from '../../domain/admin/command-services.ts';
import type { MalformedCursor, PageQuery } from '../../domain/admin/services.ts';
import type {
  CommandRow,
  CommandStore,
  QueuedCommand,
  StoredCommand,
  UnnotedCommand,
} from '../../domain/command/ports.ts';
import type { Candidates, CommandBody } from '../../domain/command/queue.ts';
import type { OwnSign } from '../../domain/enrollment/ending.ts';
import type { DeviceMessage } from '../../domain/enrollment/outbox.ts';
import type { CommandUuid, Udid } from '../../domain/ids.ts';
import { readUtf8, utf8 } from '../../std/bytes.ts';
import { type Outcome, ok, refuse } from '../../std/outcome.ts';
import type { EpochMs } from '../../std/time.ts';
import { expireCommands, pruneHistory } from './command-history.ts';
import { blob, type Database, type Statement } from './database.ts';

/** Of the two at most one is not null. */
interface BodyRow {
  body: string | null;
  sealed: unknown;
}

interface SummaryRow {
  command_uuid: CommandUuid;
  udid: Udid;
  request_type: string;
  state: CommandState;
  status: string | null;
  created_at_ms: EpochMs;
  expires_at_ms: EpochMs | null;
  answered_at_ms: EpochMs | null;
}

interface Row extends SummaryRow, BodyRow {
  result: string | null;
  priority: number | null;
  requeued_from: CommandUuid | null;
  requeued_as: string;
  delivered_at_ms: EpochMs | null;
  deliveries: number;
  not_nows: number;
}

/** A command whose time is over reads as expired before the sweeper has moved it. `?2` is now. */
const OVER = "expires_at_ms <= ?2 AND state <> 'delivered'";
const PENDING = `command_uuid, udid, request_type, iif(${OVER}, 'expired', state) AS state, NULL AS status,
  created_at_ms, expires_at_ms, iif(${OVER}, expires_at_ms, NULL) AS answered_at_ms`;
const ENDED = 'command_uuid, udid, request_type, state, status, created_at_ms, expires_at_ms, answered_at_ms';
const DETAILS = 'priority, body, sealed, requeued_from, delivered_at_ms, deliveries, not_nows';
/** `?3` is the command that they repeat. */
const REPEATS = `SELECT json_group_array(command_uuid) FROM (
  SELECT command_uuid, created_at_ms FROM commands WHERE requeued_from = ?3
  UNION ALL SELECT command_uuid, created_at_ms FROM command_history WHERE requeued_from = ?3
  ORDER BY created_at_ms)`;

/** One goes out; another may be canceled or expire meanwhile. */
const NEXT_MAX = 8;
/** What stands before the last row: D1 hands bytes over as numbers in JSON, and a profile has up to 1.4 MB here. */
const NEXT_BYTES_MAX = 256 * 1024;
const SIZE = 'ifnull(length(sealed), length(body))';
const NEXT = `SELECT * FROM (
    SELECT command_uuid, request_type, priority, body, sealed, expires_at_ms, deliveries, not_nows, farewell, place,
      count(*) OVER () AS waiting, sum(${SIZE}) OVER (ORDER BY priority, place ROWS UNBOUNDED PRECEDING) - ${SIZE} AS before
    FROM (
      SELECT * FROM commands
      WHERE udid = ?1 AND enrollment_id = ?2 AND (expires_at_ms IS NULL OR expires_at_ms > ?3)
        AND command_uuid NOT IN (SELECT value FROM json_each(?4))
      ORDER BY priority, place LIMIT ?5))
  WHERE before < ?6 ORDER BY priority, place`;

const URGENT = 0;
const NORMAL = 1;

export class D1Commands implements CommandStore {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  async insert(command: QueuedCommand, pendingMax: number): Promise<boolean> {
    const { sealed, bytes } = command.body;
    const changes = await this.#db.run(
      `INSERT INTO commands (command_uuid, udid, priority, request_type, body, sealed, state, created_at_ms, expires_at_ms, enrollment_id, requeued_from, inventory_scope, farewell)
       SELECT ?1, ?2, ?3, ?4, ?5, ?6, 'pending', ?7, ?8, ?9, ?10, ?12, ?13
       WHERE NOT EXISTS (SELECT 1 FROM command_history WHERE command_uuid = ?1)
         AND (SELECT count(*) FROM commands WHERE udid = ?2) < ?11
       ON CONFLICT (command_uuid) DO NOTHING`,
      command.commandUuid,
      command.udid,
      command.priority === 'urgent' ? URGENT : NORMAL,
      command.requestType,
      sealed ? null : readUtf8(bytes),
      sealed ? bytes : null,
      command.createdAtMs,
      command.expiresAtMs,
      command.enrollmentId,
      command.requeuedFrom,
      pendingMax,
      command.inventoryScope,
      command.farewell,
    );
    return changes > 0;
  }

  async stored(commandUuid: CommandUuid): Promise<StoredCommand | null> {
    const row = await this.#db.first<BodyRow & { udid: Udid }>(
      `SELECT udid, body, sealed FROM commands WHERE command_uuid = ?1
       UNION ALL SELECT udid, body, sealed FROM command_history WHERE command_uuid = ?1`,
      commandUuid,
    );
    return row === null ? null : { udid: row.udid, body: bodyOf(row) };
  }

  async next(
    udid: Udid,
    enrollmentId: string,
    nowMs: EpochMs,
    passedOver: readonly CommandUuid[],
  ): Promise<Candidates> {
    const rows = await this.#db.all<
      BodyRow &
        Pick<
          Row,
          'command_uuid' | 'request_type' | 'priority' | 'expires_at_ms' | 'deliveries' | 'not_nows'
        > & {
          farewell: OwnSign | null;
          waiting: number;
        }
    >(NEXT, udid, enrollmentId, nowMs, JSON.stringify(passedOver), NEXT_MAX, NEXT_BYTES_MAX);
    const candidates = rows.flatMap((row) => {
      const body = bodyOf(row);
      if (body === null) return [];
      const { command_uuid: commandUuid, request_type: requestType, expires_at_ms: expiresAtMs } = row;
      const { deliveries, not_nows: notNows, farewell } = row;
      const urgent = row.priority === URGENT;
      return [{ commandUuid, requestType, urgent, expiresAtMs, body, deliveries, notNows, farewell }];
    });
    const waiting = rows[0]?.waiting ?? 0;
    return { candidates, complete: waiting < NEXT_MAX && rows.length === waiting };
  }

  async noted(commandUuid: CommandUuid, nowMs: EpochMs): Promise<void> {
    await this.#db.run('UPDATE commands SET noted_at_ms = ? WHERE command_uuid = ?', nowMs, commandUuid);
  }

  async unnoted(createdBeforeMs: EpochMs, limit: number): Promise<readonly UnnotedCommand[]> {
    const rows = await this.#db.all<{ command_uuid: CommandUuid; udid: Udid; enrollment_id: string }>(
      `SELECT command_uuid, udid, enrollment_id FROM commands
       WHERE noted_at_ms IS NULL AND created_at_ms < ? ORDER BY created_at_ms LIMIT ?`,
      createdBeforeMs,
      limit,
    );
    return rows.map((row) => ({
      commandUuid: row.command_uuid,
      udid: row.udid,
      enrollmentId: row.enrollment_id,
    }));
  }

  expire(nowMs: EpochMs): Promise<number> {
    return expireCommands(this.#db, nowMs);
  }

  prune(nowMs: EpochMs): Promise<number> {
    return pruneHistory(this.#db, nowMs);
  }

  async find(udid: Udid, commandUuid: CommandUuid, nowMs: EpochMs): Promise<CommandRow | null> {
    const row = await this.#db.first<Row>(
      `SELECT *, (${REPEATS}) AS requeued_as FROM (
         SELECT ${ENDED}, result, ${DETAILS} FROM command_history WHERE udid = ?1 AND command_uuid = ?3
         UNION ALL SELECT ${PENDING}, NULL, ${DETAILS} FROM commands WHERE udid = ?1 AND command_uuid = ?3)`,
      udid,
      nowMs,
      commandUuid,
    );
    return row === null ? null : commandRow(row);
  }

  async list(
    udid: Udid,
    filter: CommandFilter,
    page: PageQuery,
    nowMs: EpochMs,
  ): Promise<Outcome<CommandPage, MalformedCursor>> {
    const after = page.cursor === null ? null : /^(\d{1,16})\.([\x21-\x7e]{1,128})$/.exec(page.cursor);
    if (page.cursor !== null && after === null) return refuse({ kind: 'malformed-cursor' });
    const wanted = `(created_at_ms, command_uuid) < (?3, ?4)
      AND (?6 IS NULL OR state = ?6) AND (?7 IS NULL OR request_type = ?7)`;
    const order = 'ORDER BY created_at_ms DESC, command_uuid DESC LIMIT ?5';
    const [rows, pending] = await Promise.all([
      this.#db.all<SummaryRow>(
        `SELECT * FROM (SELECT * FROM (SELECT ${PENDING} FROM commands WHERE udid = ?1) WHERE ${wanted} ${order})
         UNION ALL SELECT * FROM (SELECT ${ENDED} FROM command_history WHERE udid = ?1 AND ${wanted} ${order})
         ${order}`,
        udid,
        nowMs,
        after === null ? Number.MAX_SAFE_INTEGER : Number(after[1]),
        after?.[2] ?? '',
        page.limit + 1,
        filter.state,
        filter.requestType,
      ),
      this.#db.first<{ n: number }>(
        `SELECT count(*) AS n FROM commands WHERE udid = ?1 AND NOT ifnull(${OVER}, 0)`,
        udid,
        nowMs,
      ),
    ]);
    const items = rows.slice(0, page.limit).map(summary);
    const last = rows.length > page.limit ? items.at(-1) : undefined;
    const cursor = last === undefined ? null : `${last.createdAtMs}.${last.commandUuid}`;
    return ok({ items, cursor, pending: pending?.n ?? 0 });
  }
}

/**
 * A command that a device's object made and delivered by itself. Said again after it was put off, it went out once
 * more, maybe with other bytes; one that ended stays in history. No object need be told of it, so it counts as noted.
 */
export function recordDelivered(command: Extract<DeviceMessage, { kind: 'declared' }>): Statement {
  const { commandUuid, udid, requestType, body, atMs, enrollmentId } = command;
  return {
    sql: `INSERT INTO commands (command_uuid, udid, priority, request_type, body, state, created_at_ms, expires_at_ms, noted_at_ms, enrollment_id, delivered_at_ms, deliveries)
          SELECT ?1, ?2, ?3, ?4, ?5, 'delivered', ?6, NULL, ?6, ?7, ?6, 1
          WHERE NOT EXISTS (SELECT 1 FROM command_history WHERE command_uuid = ?1)
          ON CONFLICT (command_uuid) DO UPDATE SET state = excluded.state, body = excluded.body,
            deliveries = deliveries + (excluded.delivered_at_ms > delivered_at_ms),
            delivered_at_ms = max(delivered_at_ms, excluded.delivered_at_ms)`,
    bound: [commandUuid, udid, NORMAL, requestType, body, atMs, enrollmentId],
  };
}

/** The counts are absolute and only grow: told twice they are the same. */
export function updateProgress(message: Extract<DeviceMessage, { kind: 'progress' }>): Statement {
  const { commandUuid, state, sent } = message;
  return {
    sql: `UPDATE commands SET state = ?2, delivered_at_ms = ifnull(?3, delivered_at_ms),
            deliveries = max(deliveries, ?4), not_nows = max(not_nows, ?5) WHERE command_uuid = ?1`,
    bound: [commandUuid, state, sent?.deliveredAtMs ?? null, sent?.deliveries ?? 0, sent?.notNows ?? 0],
  };
}

/** Null where it was not kept. */
function bodyOf({ body, sealed }: BodyRow): CommandBody | null {
  if (sealed !== null) return { sealed: true, bytes: blob(sealed) };
  return body === null ? null : { sealed: false, bytes: utf8(body) };
}

function summary(row: SummaryRow): CommandSummary {
  return {
    commandUuid: row.command_uuid,
    udid: row.udid,
    requestType: row.request_type,
    state: row.state,
    status: row.status,
    createdAtMs: row.created_at_ms,
    expiresAtMs: row.expires_at_ms,
    answeredAtMs: row.answered_at_ms,
  };
}

function commandRow(row: Row): CommandRow {
  return {
    ...summary(row),
    result: row.result === null ? null : utf8(row.result),
    body: bodyOf(row),
    priority: priorityOf(row.priority),
    deliveredAtMs: row.delivered_at_ms,
    deliveries: row.deliveries,
    notNows: row.not_nows,
    requeuedFrom: row.requeued_from,
    requeuedAs: JSON.parse(row.requeued_as),
  };
}

function priorityOf(priority: number | null): CommandPriority | null {
  if (priority === null) return null;
  return priority === URGENT ? 'urgent' : 'normal';
}
