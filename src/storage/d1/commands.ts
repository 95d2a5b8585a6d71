/** The command queue and its history in D1. Answered commands leave `commands`: a poll never pays for history. */
import type {
  CommandRecord,
  CommandState,
  CommandSummary,
  MalformedCursor,
  Page,
  PageQuery,
} from '../../domain/admin/services.ts';
import type { CommandStore, QueuedCommand, UnnotedCommand } from '../../domain/command/ports.ts';
import type { Candidate } from '../../domain/command/queue.ts';
import type { DeviceMessage } from '../../domain/enrollment/outbox.ts';
import type { CommandUuid, Udid } from '../../domain/ids.ts';
import { utf8 } from '../../std/bytes.ts';
import { type Outcome, ok, refuse } from '../../std/outcome.ts';
import type { EpochMs } from '../../std/time.ts';
import type { Database, Statement } from './database.ts';

interface Row {
  command_uuid: CommandUuid;
  udid: Udid;
  request_type: string;
  state: CommandState;
  status: string | null;
  result: string | null;
  created_at_ms: EpochMs;
  expires_at_ms: EpochMs | null;
  answered_at_ms: EpochMs | null;
}

/** A command whose time is over reads as expired before the sweeper has moved it. `?2` is now. */
const SUMMARY = `command_uuid, udid, request_type,
  iif(expires_at_ms <= ?2 AND state <> 'delivered', 'expired', state) AS state,
  NULL AS status, NULL AS result, created_at_ms, expires_at_ms,
  iif(expires_at_ms <= ?2 AND state <> 'delivered', expires_at_ms, NULL) AS answered_at_ms`;
const HISTORY =
  'command_uuid, udid, request_type, state, status, result, created_at_ms, expires_at_ms, answered_at_ms';

const URGENT = 0;
const NORMAL = 1;

export class D1Commands implements CommandStore {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  async insert(command: QueuedCommand, pendingMax: number): Promise<boolean> {
    const changes = await this.#db.run(
      `INSERT INTO commands (command_uuid, udid, priority, request_type, body, state, created_at_ms, expires_at_ms, enrollment_id, inventory_scope)
       SELECT ?1, ?2, ?3, ?4, ?5, 'pending', ?6, ?7, ?8, ?10
       WHERE NOT EXISTS (SELECT 1 FROM command_history WHERE command_uuid = ?1)
         AND (SELECT count(*) FROM commands WHERE udid = ?2) < ?9
       ON CONFLICT (command_uuid) DO NOTHING`,
      command.commandUuid,
      command.udid,
      command.priority === 'urgent' ? URGENT : NORMAL,
      command.requestType,
      command.body,
      command.createdAtMs,
      command.expiresAtMs,
      command.enrollmentId,
      pendingMax,
      command.inventoryScope,
    );
    return changes > 0;
  }

  stored(commandUuid: CommandUuid): Promise<{ udid: Udid; body: string } | null> {
    return this.#db.first(
      `SELECT udid, body FROM commands WHERE command_uuid = ?1
       UNION ALL SELECT udid, body FROM command_history WHERE command_uuid = ?1`,
      commandUuid,
    );
  }

  async next(udid: Udid, enrollmentId: string, nowMs: EpochMs, limit: number): Promise<readonly Candidate[]> {
    const rows = await this.#db.all<{
      command_uuid: CommandUuid;
      request_type: string;
      priority: number;
      body: string;
      expires_at_ms: EpochMs | null;
    }>(
      `SELECT command_uuid, request_type, priority, body, expires_at_ms FROM commands
       WHERE udid = ? AND enrollment_id = ? AND (expires_at_ms IS NULL OR expires_at_ms > ?)
       ORDER BY priority, rowid LIMIT ?`,
      udid,
      enrollmentId,
      nowMs,
      limit,
    );
    return rows.map((row) => ({
      commandUuid: row.command_uuid,
      requestType: row.request_type,
      urgent: row.priority === URGENT,
      expiresAtMs: row.expires_at_ms,
      body: utf8(row.body),
    }));
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

  async expire(nowMs: EpochMs): Promise<number> {
    const expired = "expires_at_ms <= ?1 AND state <> 'delivered'";
    const [moved] = await this.#db.batch([
      {
        sql: `INSERT INTO command_history (command_uuid, udid, request_type, body, state, status, result, created_at_ms, expires_at_ms, answered_at_ms)
              SELECT command_uuid, udid, request_type, body, 'expired', NULL, NULL, created_at_ms, expires_at_ms, expires_at_ms
              FROM commands WHERE ${expired} ON CONFLICT (command_uuid) DO NOTHING`,
        bound: [nowMs],
      },
      { sql: `DELETE FROM commands WHERE ${expired}`, bound: [nowMs] },
    ]);
    return moved ?? 0;
  }

  async find(udid: Udid, commandUuid: CommandUuid, nowMs: EpochMs): Promise<CommandRecord | null> {
    const row = await this.#db.first<Row>(
      `SELECT ${HISTORY} FROM command_history WHERE udid = ?1 AND command_uuid = ?3
       UNION ALL SELECT ${SUMMARY} FROM commands WHERE udid = ?1 AND command_uuid = ?3`,
      udid,
      nowMs,
      commandUuid,
    );
    return row === null ? null : { ...summary(row), result: row.result === null ? null : utf8(row.result) };
  }

  async list(
    udid: Udid,
    page: PageQuery,
    nowMs: EpochMs,
  ): Promise<Outcome<Page<CommandSummary>, MalformedCursor>> {
    const after = page.cursor === null ? null : /^(\d{1,16})\.([\x21-\x7e]{1,128})$/.exec(page.cursor);
    if (page.cursor !== null && after === null) return refuse({ kind: 'malformed-cursor' });
    const rows = await this.#db.all<Row>(
      `SELECT * FROM (
         SELECT ${SUMMARY} FROM commands WHERE udid = ?1
         UNION ALL SELECT ${HISTORY.replace('result,', 'NULL AS result,')} FROM command_history WHERE udid = ?1
       ) WHERE (created_at_ms, command_uuid) < (?3, ?4)
       ORDER BY created_at_ms DESC, command_uuid DESC LIMIT ?5`,
      udid,
      nowMs,
      after === null ? Number.MAX_SAFE_INTEGER : Number(after[1]),
      after?.[2] ?? '',
      page.limit + 1,
    );
    const items = rows.slice(0, page.limit).map(summary);
    const last = rows.length > page.limit ? items.at(-1) : undefined;
    return ok({ items, cursor: last === undefined ? null : `${last.createdAtMs}.${last.commandUuid}` });
  }
}

/**
 * A command that a device's object made and delivered by itself. Said again after it was put off, it went out once
 * more, maybe with other bytes; one that ended stays in history. No object need be told of it, so it counts as noted.
 */
export function recordDelivered(command: Extract<DeviceMessage, { kind: 'declared' }>): Statement {
  const { commandUuid, udid, requestType, body, atMs, enrollmentId } = command;
  return {
    sql: `INSERT INTO commands (command_uuid, udid, priority, request_type, body, state, created_at_ms, expires_at_ms, noted_at_ms, enrollment_id)
          SELECT ?1, ?2, ?3, ?4, ?5, 'delivered', ?6, NULL, ?6, ?7
          WHERE NOT EXISTS (SELECT 1 FROM command_history WHERE command_uuid = ?1)
          ON CONFLICT (command_uuid) DO UPDATE SET state = excluded.state, body = excluded.body`,
    bound: [commandUuid, udid, NORMAL, requestType, body, atMs, enrollmentId],
  };
}

/** Idempotent: a second run finds nothing to move. */
export function moveToHistory(
  commandUuid: string,
  end: {
    readonly state: string;
    readonly status: string | null;
    readonly result: string | null;
    readonly atMs: EpochMs;
  },
): Statement[] {
  return [
    {
      sql: `INSERT INTO command_history (command_uuid, udid, request_type, body, state, status, result, created_at_ms, expires_at_ms, answered_at_ms)
            SELECT command_uuid, udid, request_type, body, ?2, ?3, ?4, created_at_ms, expires_at_ms, ?5
            FROM commands WHERE command_uuid = ?1
            ON CONFLICT (command_uuid) DO NOTHING`,
      bound: [commandUuid, end.state, end.status, end.result, end.atMs],
    },
    { sql: 'DELETE FROM commands WHERE command_uuid = ?1', bound: [commandUuid] },
  ];
}

function summary(row: Row): CommandSummary {
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
