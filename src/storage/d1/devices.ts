/** The index of devices in D1: a projection of the devices' own objects that may trail them by seconds. */
import type {
  DeviceFilter,
  DeviceRecord,
  DeviceState,
  MalformedCursor,
  Page,
  PageQuery,
} from '../../domain/admin/services.ts';
import {
  type EnrollmentEnd,
  type HostEnrollment,
  hostState,
  type OwnSign,
  presumeGone,
} from '../../domain/enrollment/ending.ts';
import type { DeviceProjection } from '../../domain/enrollment/outbox.ts';
import type { CommandUuid, Platform, SerialNumber, Udid } from '../../domain/ids.ts';
import { type Outcome, ok, refuse } from '../../std/outcome.ts';
import type { EpochMs } from '../../std/time.ts';
import type { Bound, Database, Statement } from './database.ts';
import { type PresumedRow, presumedEnd } from './enrollments.ts';

interface DeviceRow extends PresumedRow {
  udid: Udid;
  serial: SerialNumber;
  platform: Platform;
  state: DeviceState;
  product_name: string | null;
  os_version: string | null;
  build_version: string | null;
  phone_udid: Udid | null;
  pairing_id: string | null;
  enrolled_at_ms: EpochMs | null;
  last_seen_ms: EpochMs;
  watches: string;
  other_udids: string;
  name: unknown;
  model: unknown;
  host: string | null;
  host_ended: EnrollmentEnd | null;
  host_ended_at_ms: EpochMs | null;
  host_presumed: OwnSign | null;
  host_presumed_by: CommandUuid | null;
  host_presumed_at_ms: EpochMs | null;
}

/** `h` is the iPhone's enrollment in which the watch was paired: the last that had begun by then. */
const SELECT = `SELECT d.*, (
    SELECT json_group_array(w.udid) FROM devices w WHERE w.phone_udid = d.udid AND w.state <> 'checked-out'
  ) AS watches, (
    SELECT json_group_array(udid) FROM
      (SELECT o.udid FROM devices o WHERE o.serial = d.serial AND o.udid <> d.udid ORDER BY o.udid)
  ) AS other_udids,
  json_extract(i.value, '$.DeviceName[0]') AS name, json_extract(i.value, '$.ModelName[0]') AS model,
  e.presumed, e.presumed_by, e.presumed_at_ms, h.enrollment_id AS host, h.ended AS host_ended,
  h.ended_at_ms AS host_ended_at_ms, h.presumed AS host_presumed, h.presumed_by AS host_presumed_by,
  h.presumed_at_ms AS host_presumed_at_ms
  FROM devices d
  LEFT JOIN inventory i ON i.udid = d.udid AND i.section = 'device'
  LEFT JOIN enrollments e ON e.udid = d.udid AND e.enrollment_id = d.enrollment_id
  LEFT JOIN enrollments h ON h.udid = d.phone_udid AND h.enrollment_id = (
    SELECT b.enrollment_id FROM enrollments b WHERE b.udid = d.phone_udid AND b.started_at_ms <= e.started_at_ms
    ORDER BY b.started_at_ms DESC LIMIT 1)`;

/** Of the newest: a watch begins with its certificate, within minutes. */
const WATCHES_TO_COME_MAX = 4;

export class D1Devices {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  async find(udid: Udid): Promise<DeviceRecord | null> {
    const row = await this.#db.first<DeviceRow>(`${SELECT} WHERE d.udid = ?`, udid);
    return row === null ? null : record(row);
  }

  /** Whether a certificate was ever issued for this UDID: recorded before the device gets it. */
  async isKnown(udid: Udid): Promise<boolean> {
    const row = await this.#db.first('SELECT 1 AS known FROM certificates WHERE udid = ? LIMIT 1', udid);
    return row !== null;
  }

  /** Watches that this iPhone may host by now: the last with a certificate that the index does not show with it. */
  async watchesToCome(phone: Udid): Promise<readonly Udid[]> {
    const rows = await this.#db.all<{ udid: Udid }>(
      `SELECT c.udid FROM certificates c
       WHERE json_extract(c.origin, '$.phoneUdid') = ?1 AND NOT EXISTS (
         SELECT 1 FROM devices d WHERE d.udid = c.udid AND d.phone_udid = ?1 AND d.state <> 'checked-out')
       GROUP BY c.udid ORDER BY max(c.not_before_ms) DESC LIMIT ?2`,
      phone,
      WATCHES_TO_COME_MAX,
    );
    return rows.map((row) => row.udid);
  }

  async list(filter: DeviceFilter, page: PageQuery): Promise<Outcome<Page<DeviceRecord>, MalformedCursor>> {
    if (page.cursor !== null && !/^[A-Za-z0-9-]{8,64}$/.test(page.cursor))
      return refuse({ kind: 'malformed-cursor' });
    const conditions: readonly (readonly [string, Bound])[] = [
      ['d.platform = ?', filter.platform],
      ['d.state = ?', filter.state],
      ['d.serial = ?', filter.serial],
      ['d.udid > ?', page.cursor],
    ];
    const status = Object.entries(filter.status ?? {});
    const asked = conditions.filter(([, value]) => value !== null);
    const reports = 'd.udid IN (SELECT s.udid FROM status_items s WHERE s.name = ? AND s.value = ?)';
    const all = [...asked.map(([condition]) => condition), ...status.map(() => reports)];
    const where = all.length === 0 ? '' : `WHERE ${all.join(' AND ')}`;
    const rows = await this.#db.all<DeviceRow>(
      `${SELECT} ${where} ORDER BY d.udid LIMIT ?`,
      ...asked.map(([, value]) => value),
      ...status.flat(),
      page.limit + 1,
    );
    const items = rows.slice(0, page.limit).map(record);
    return ok({ items, cursor: rows.length > page.limit ? (items.at(-1)?.udid ?? null) : null });
  }
}

/** An older revision never replaces a newer one, however late or often it is told. */
export function upsertDevice(device: DeviceProjection): Statement {
  return {
    sql: `INSERT INTO devices (udid, serial, platform, state, product_name, os_version, build_version, phone_udid,
            pairing_id, enrolled_at_ms, last_seen_ms, revision, enrollment_id)
          VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
          ON CONFLICT (udid) DO UPDATE SET serial = excluded.serial, platform = excluded.platform,
            state = excluded.state, product_name = excluded.product_name, os_version = excluded.os_version,
            build_version = excluded.build_version, phone_udid = excluded.phone_udid,
            pairing_id = excluded.pairing_id, enrolled_at_ms = excluded.enrolled_at_ms,
            last_seen_ms = excluded.last_seen_ms, revision = excluded.revision,
            enrollment_id = excluded.enrollment_id
          WHERE excluded.revision > revision`,
    bound: [
      device.udid,
      device.serial,
      device.platform,
      device.state,
      device.productName,
      device.osVersion,
      device.buildVersion,
      device.phoneUdid,
      device.pairingId,
      device.enrolledAtMs,
      device.lastSeenMs,
      device.revision,
      device.history?.enrollmentId ?? null,
    ],
  };
}

function record(row: DeviceRow): DeviceRecord {
  const host = hostOf(row);
  const presumed = presumedEnd(row);
  const { udid, last_seen_ms: lastSeenMs, state } = row;
  return {
    udid,
    serial: row.serial,
    platform: row.platform,
    state,
    productName: row.product_name,
    osVersion: row.os_version,
    buildVersion: row.build_version,
    enrolledAtMs: row.enrolled_at_ms,
    lastSeenAtMs: lastSeenMs,
    phone: row.phone_udid,
    watches: JSON.parse(row.watches),
    pairingId: row.pairing_id,
    name: typeof row.name === 'string' ? row.name : null,
    model: typeof row.model === 'string' ? row.model : null,
    otherUdids: JSON.parse(row.other_udids),
    phoneState: host === null ? null : hostState(host),
    presumedGone: state === 'checked-out' ? null : presumeGone({ udid, presumed, lastSeenMs, host }),
  };
}

function hostOf(row: DeviceRow): (HostEnrollment & { readonly phone: Udid }) | null {
  const { host, phone_udid: phone, host_ended: ended, host_ended_at_ms: endedAtMs } = row;
  if (host === null || phone === null) return null;
  const presumed = presumedEnd({
    presumed: row.host_presumed,
    presumed_by: row.host_presumed_by,
    presumed_at_ms: row.host_presumed_at_ms,
  });
  return { phone, ended, endedAtMs, presumed };
}
