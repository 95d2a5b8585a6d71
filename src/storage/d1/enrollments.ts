/** Every enrollment that a device had, as its object tells it with each projection: what it was and how it ended. */

import type { EnrollmentHistoryReader, EnrollmentRecord } from '../../domain/admin/pair-services.ts';
import type { MalformedCursor, Page, PageQuery } from '../../domain/admin/services.ts';
import type { EnrollmentEnd, OwnSign, PresumedEnd } from '../../domain/enrollment/ending.ts';
import type { DeviceProjection } from '../../domain/enrollment/outbox.ts';
import type { CommandUuid, Platform, SerialNumber, Udid } from '../../domain/ids.ts';
import { type Outcome, ok, refuse } from '../../std/outcome.ts';
import type { EpochMs } from '../../std/time.ts';
import type { Database, Statement } from './database.ts';

interface Row extends PresumedRow {
  enrollment_id: string;
  serial: SerialNumber;
  platform: Platform;
  phone_udid: Udid | null;
  pairing_id: string | null;
  started_at_ms: EpochMs;
  enrolled_at_ms: EpochMs | null;
  ended: EnrollmentEnd | null;
  ended_at_ms: EpochMs | null;
}

export interface PresumedRow {
  presumed: OwnSign | null;
  presumed_by: CommandUuid | null;
  presumed_at_ms: EpochMs | null;
}

export function presumedEnd(row: PresumedRow): PresumedEnd | null {
  const { presumed: why, presumed_by: commandUuid, presumed_at_ms: atMs } = row;
  return why === null || commandUuid === null || atMs === null ? null : { why, commandUuid, atMs };
}

export class D1Enrollments implements EnrollmentHistoryReader {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  async list(udid: Udid, page: PageQuery): Promise<Outcome<Page<EnrollmentRecord>, MalformedCursor>> {
    const after = page.cursor === null ? null : /^(\d{1,16})\.([0-9a-f]{1,128})$/.exec(page.cursor);
    if (page.cursor !== null && after === null) return refuse({ kind: 'malformed-cursor' });
    const rows = await this.#db.all<Row>(
      `SELECT * FROM enrollments WHERE udid = ? AND (started_at_ms, enrollment_id) < (?, ?)
       ORDER BY started_at_ms DESC, enrollment_id DESC LIMIT ?`,
      udid,
      after === null ? Number.MAX_SAFE_INTEGER : Number(after[1]),
      after?.[2] ?? '',
      page.limit + 1,
    );
    const items = rows.slice(0, page.limit).map(record);
    const last = rows.length > page.limit ? items.at(-1) : undefined;
    return ok({ items, cursor: last === undefined ? null : `${last.startedAtMs}.${last.enrollmentId}` });
  }
}

function record(row: Row): EnrollmentRecord {
  const { enrollment_id: enrollmentId, serial, platform, phone_udid: phone, pairing_id: pairingId } = row;
  const { started_at_ms: startedAtMs, enrolled_at_ms: enrolledAtMs, ended, ended_at_ms: endedAtMs } = row;
  const times = { startedAtMs, enrolledAtMs, ended, endedAtMs, presumedEnd: presumedEnd(row) };
  return { enrollmentId, serial, platform, phone, pairingId, ...times };
}

/** An older revision never replaces a newer one. What was asked in an earlier enrollment is no inventory of this one. */
export function recordEnrollment(device: DeviceProjection): readonly Statement[] {
  const { history, udid, serial, platform, phoneUdid, pairingId, enrolledAtMs, revision } = device;
  if (history === undefined) return [];
  const { enrollmentId, startedAtMs, ended, endedAtMs, presumedEnd: presumed } = history;
  return [
    {
      sql: `INSERT INTO enrollments (udid, enrollment_id, serial, platform, phone_udid, pairing_id, started_at_ms,
              enrolled_at_ms, ended, ended_at_ms, presumed, presumed_by, presumed_at_ms, revision)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
            ON CONFLICT (udid, enrollment_id) DO UPDATE SET enrolled_at_ms = excluded.enrolled_at_ms,
              ended = excluded.ended, ended_at_ms = excluded.ended_at_ms, presumed = excluded.presumed,
              presumed_by = excluded.presumed_by, presumed_at_ms = excluded.presumed_at_ms,
              revision = excluded.revision
            WHERE excluded.revision > revision`,
      bound: [
        udid,
        enrollmentId,
        serial,
        platform,
        phoneUdid,
        pairingId,
        startedAtMs,
        enrolledAtMs,
        ended,
        endedAtMs,
        presumed?.why ?? null,
        presumed?.commandUuid ?? null,
        presumed?.atMs ?? null,
        revision,
      ],
    },
    {
      sql: `DELETE FROM inventory WHERE udid = ?1
              AND enrollment_id <> (SELECT enrollment_id FROM devices WHERE udid = ?1)`,
      bound: [udid],
    },
  ];
}
