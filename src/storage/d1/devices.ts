/** The index of devices in D1: a projection of the devices' own objects that may trail them by seconds. */
import type {
  DeviceFilter,
  DeviceRecord,
  DeviceState,
  MalformedCursor,
  Page,
  PageQuery,
} from '../../domain/admin/services.ts';
import type { Platform, SerialNumber, Udid } from '../../domain/ids.ts';
import { type Outcome, ok, refuse } from '../../std/outcome.ts';
import type { EpochMs } from '../../std/time.ts';
import type { Bound, Database, Statement } from './database.ts';

interface DeviceRow {
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
}

/** What a device's object projects. */
export interface DeviceProjectionRow {
  readonly udid: string;
  readonly serial: string;
  readonly platform: string;
  readonly state: string;
  readonly productName: string | null;
  readonly osVersion: string | null;
  readonly buildVersion: string | null;
  readonly phoneUdid: string | null;
  readonly pairingId: string | null;
  readonly enrolledAtMs: number | null;
  readonly lastSeenMs: number;
  readonly revision: number;
}

const SELECT = `SELECT d.*, (
    SELECT json_group_array(w.udid) FROM devices w WHERE w.phone_udid = d.udid AND w.state <> 'checked-out'
  ) AS watches FROM devices d`;

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
export function upsertDevice(device: DeviceProjectionRow): Statement {
  return {
    sql: `INSERT INTO devices (udid, serial, platform, state, product_name, os_version, build_version, phone_udid,
            pairing_id, enrolled_at_ms, last_seen_ms, revision)
          VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
          ON CONFLICT (udid) DO UPDATE SET serial = excluded.serial, platform = excluded.platform,
            state = excluded.state, product_name = excluded.product_name, os_version = excluded.os_version,
            build_version = excluded.build_version, phone_udid = excluded.phone_udid,
            pairing_id = excluded.pairing_id, enrolled_at_ms = excluded.enrolled_at_ms,
            last_seen_ms = excluded.last_seen_ms, revision = excluded.revision
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
    ],
  };
}

function record(row: DeviceRow): DeviceRecord {
  return {
    udid: row.udid,
    serial: row.serial,
    platform: row.platform,
    state: row.state,
    productName: row.product_name,
    osVersion: row.os_version,
    buildVersion: row.build_version,
    enrolledAtMs: row.enrolled_at_ms,
    lastSeenAtMs: row.last_seen_ms,
    phone: row.phone_udid,
    watches: JSON.parse(row.watches),
    pairingId: row.pairing_id,
  };
}
