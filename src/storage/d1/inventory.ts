/**
 * What devices answered about themselves. A section is one row: items by key, each `[what was answered, when]`. Arrays,
 * because `json_patch` (RFC 7396) merges objects and replaces everything else: so an answer to a query for some items
 * takes the place of just these.
 *
 * Written while the command is still in the queue, whose row says how much was asked for: told a second time, there is
 * no such row, and nothing happens.
 */

import type { CommandUuid, Udid } from '../../domain/ids.ts';
import type { AskedQuery, InventoryRecord, InventoryStore } from '../../domain/inventory/ports.ts';
import { type InventoryAnswer, SECTION_BYTES_MAX } from '../../domain/inventory/read.ts';
import type { InventorySection } from '../../domain/inventory/section.ts';
import type { JsonValue } from '../../protocol/plist/json.ts';
import type { EpochMs } from '../../std/time.ts';
import type { Database, Statement } from './database.ts';

interface Row {
  section: InventorySection;
  value: string;
  complete_at_ms: EpochMs | null;
  answered_at_ms: EpochMs;
  command_uuid: CommandUuid;
  too_large_uuid: CommandUuid | null;
  too_large_at_ms: EpochMs | null;
}

const COLUMNS =
  'section, value, complete_at_ms, answered_at_ms, command_uuid, too_large_uuid, too_large_at_ms';

export class D1Inventory implements InventoryStore {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  async sections(udid: Udid): Promise<readonly InventoryRecord[]> {
    const sql = `SELECT ${COLUMNS} FROM inventory WHERE udid = ? ORDER BY section`;
    return (await this.#db.all<Row>(sql, udid)).map(record);
  }

  async section(udid: Udid, section: InventorySection): Promise<InventoryRecord | null> {
    const sql = `SELECT ${COLUMNS} FROM inventory WHERE udid = ? AND section = ?`;
    const row = await this.#db.first<Row>(sql, udid, section);
    return row === null ? null : record(row);
  }

  async sectionsOf(
    devices: ReadonlyMap<Udid, { readonly enrollmentId: string }>,
    sections: readonly InventorySection[],
  ): Promise<ReadonlyMap<Udid, readonly InventoryRecord[]>> {
    const asked = [...devices].map(([udid, { enrollmentId }]) => [udid, enrollmentId]);
    const rows = await this.#db.all<Row & { udid: Udid }>(
      `SELECT udid, ${COLUMNS} FROM inventory
       WHERE (udid, enrollment_id) IN (SELECT j.value ->> 0, j.value ->> 1 FROM json_each(?1) j)
         AND section IN (SELECT j.value FROM json_each(?2) j)`,
      JSON.stringify(asked),
      JSON.stringify(sections),
    );
    return new Map(
      [...devices.keys()].map((udid) => [udid, rows.filter((row) => row.udid === udid).map(record)]),
    );
  }

  asked(udid: Udid, enrollmentId: string): Promise<readonly AskedQuery[]> {
    return this.#db.all<AskedQuery>(
      `SELECT command_uuid AS commandUuid, request_type AS requestType, inventory_scope AS scope FROM commands
       WHERE udid = ? AND enrollment_id = ? AND inventory_scope IS NOT NULL ORDER BY rowid`,
      udid,
      enrollmentId,
    );
  }
}

function record(row: Row): InventoryRecord {
  const { section, complete_at_ms: completeAtMs, answered_at_ms: answeredAtMs } = row;
  const { command_uuid: commandUuid, too_large_uuid: tooLarge, too_large_at_ms: tooLargeAtMs } = row;
  const items = Object.entries(JSON.parse(row.value) as Record<string, [JsonValue, EpochMs]>)
    .map(([key, [value, atMs]]) => ({ key, value, atMs }))
    .sort((a, b) => (a.key < b.key ? -1 : 1));
  const beyond =
    tooLarge === null || tooLargeAtMs === null ? null : { commandUuid: tooLarge, atMs: tooLargeAtMs };
  return { section, answeredAtMs, commandUuid, completeAtMs, items, tooLarge: beyond };
}

/** What answers to queries for some items may add up to; a row of D1 holds 2 MB, and so does any string on the way. */
const MERGED_BYTES_MAX = SECTION_BYTES_MAX * 1.5;

/** The items that were asked for by name and not answered: the device does not have them. */
const GONE = `(SELECT json_group_object(n.value, NULL) FROM commands c, json_each(c.inventory_scope, '$.named') n
  WHERE c.command_uuid = excluded.command_uuid)`;

/** NULL when it is too large, which shows before it is put together. */
const MERGED = `iif(excluded.complete_at_ms IS NULL,
  (SELECT iif(length(CAST(kept AS BLOB)) + length(CAST(excluded.value AS BLOB)) <= ?7,
     json_patch(kept, excluded.value), NULL)
   FROM (SELECT json_patch(inventory.value, ${GONE}) AS kept)),
  excluded.value)`;

/** Before the command leaves the queue, and before or after anything else of its result. */
export function recordInventory(
  answer: InventoryAnswer,
  of: {
    readonly udid: string;
    readonly commandUuid: string;
    readonly requestType: string;
    readonly atMs: number;
  },
): Statement {
  const { section, items } = answer;
  const { udid, commandUuid, requestType, atMs } = of;
  const asked = `FROM commands c WHERE c.command_uuid = ?1 AND c.udid = ?2 AND c.request_type = ?3
    AND c.inventory_scope IS NOT NULL`;
  const columns = 'udid, section, value, complete_at_ms, answered_at_ms, command_uuid, enrollment_id';
  if (items === null) {
    return {
      sql: `INSERT INTO inventory (${columns}, too_large_uuid, too_large_at_ms)
            SELECT c.udid, ?4, '{}', NULL, ?5, ?1, c.enrollment_id, ?1, ?5 ${asked}
            ON CONFLICT (udid, section) DO UPDATE
              SET too_large_uuid = excluded.too_large_uuid, too_large_at_ms = excluded.too_large_at_ms
            WHERE excluded.answered_at_ms >= answered_at_ms`,
      bound: [commandUuid, udid, requestType, section, atMs],
    };
  }
  const value = JSON.stringify(Object.fromEntries([...items].map(([key, item]) => [key, [item, atMs]])));
  return {
    sql: `INSERT INTO inventory (${columns})
          SELECT c.udid, ?4, ?6, iif(json_extract(c.inventory_scope, '$.all'), ?5, NULL), ?5, ?1, c.enrollment_id ${asked}
          ON CONFLICT (udid, section) DO UPDATE SET
            (value, complete_at_ms, answered_at_ms, command_uuid, too_large_uuid, too_large_at_ms) = (
              SELECT iif(fits, m, inventory.value),
                iif(fits, ifnull(excluded.complete_at_ms, inventory.complete_at_ms), inventory.complete_at_ms),
                iif(fits, excluded.answered_at_ms, inventory.answered_at_ms),
                iif(fits, excluded.command_uuid, inventory.command_uuid),
                iif(fits, NULL, excluded.command_uuid),
                iif(fits, NULL, excluded.answered_at_ms)
              FROM (SELECT m, m IS NOT NULL AS fits FROM (SELECT ${MERGED} AS m))
            )
          WHERE excluded.answered_at_ms >= answered_at_ms`,
    bound: [commandUuid, udid, requestType, section, atMs, value, MERGED_BYTES_MAX],
  };
}
