/**
 * Stored profiles on devices, in D1. An order compares the one it follows in the statement that writes; what becomes of
 * it is written with its command's end (device-outbox.ts, commands.ts), by statements that change nothing when told
 * twice.
 */
import type { DeploymentFilter } from '../../domain/admin/profile-services.ts';
import type { MalformedCursor, Page, PageQuery } from '../../domain/admin/services.ts';
import type { CommandUuid, Udid } from '../../domain/ids.ts';
import type {
  ClaimRefusal,
  DeviceProfile,
  DeviceProfileCounts,
  DeviceProfileOrder,
  DeviceProfileState,
  DeviceProfileStore,
  ProfileAction,
} from '../../domain/profile/device-profile-ports.ts';
import { type Outcome, ok, refuse } from '../../std/outcome.ts';
import { addMs, type EpochMs, MINUTE_MS } from '../../std/time.ts';
import type { Bound, Database } from './database.ts';
import { profilesUnqueued } from './device-profile-ends.ts';

interface Row {
  udid: Udid;
  identifier: string;
  payload_identifier: string;
  action: ProfileAction;
  version: number;
  state: DeviceProfileState;
  error: string | null;
  command_uuid: CommandUuid;
  enrollment_id: string;
  ordered_at_ms: EpochMs;
  changed_at_ms: EpochMs;
  installed_version: number | null;
  installed_at_ms: EpochMs | null;
}

/** Of a row `p`: the device has the profile, or may come to have it. */
export const ON_DEVICE = "(p.state IN ('ordered', 'removing') OR p.installed_version IS NOT NULL)";

/** Of a row `p`: it has another version than the current one, and is not ordered that. */
const OUTDATED = `p.installed_version IS NOT NULL AND p.state NOT IN ('removing', 'removed')
  AND EXISTS (SELECT 1 FROM uploads u WHERE u.identifier = p.identifier AND u.version <> p.installed_version
    AND NOT (p.state = 'ordered' AND p.version = u.version))`;

const FILTERS: Readonly<Record<DeploymentFilter, string>> = {
  all: 'TRUE',
  installed: 'p.installed_version IS NOT NULL',
  outdated: OUTDATED,
};

export async function countDevicesWith(db: Database, identifier: string): Promise<number> {
  const row = await db.first<{ devices: number }>(
    `SELECT count(*) AS devices FROM device_profiles p WHERE p.identifier = ? AND ${ON_DEVICE}`,
    identifier,
  );
  return row?.devices ?? 0;
}

/** A command is queued within seconds of its order. */
const UNQUEUED_AFTER_MS = 10 * MINUTE_MS;

export class D1DeviceProfiles implements DeviceProfileStore {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  /** Finds what failures left behind. Returns how many. */
  async sweep(nowMs: EpochMs): Promise<number> {
    const [swept] = await this.#db.batch([profilesUnqueued(addMs(nowMs, -UNQUEUED_AFTER_MS), nowMs)]);
    return swept ?? 0;
  }

  async find(udid: Udid, identifier: string): Promise<DeviceProfile | null> {
    const row = await this.#db.first<Row>(
      'SELECT * FROM device_profiles WHERE udid = ? AND identifier = ?',
      udid,
      identifier,
    );
    return row === null ? null : deviceProfile(row);
  }

  async ofDevice(udid: Udid, limit: number): Promise<readonly DeviceProfile[]> {
    const rows = await this.#db.all<Row>(
      'SELECT * FROM device_profiles WHERE udid = ? ORDER BY identifier LIMIT ?',
      udid,
      limit,
    );
    return rows.map(deviceProfile);
  }

  async ofProfile(
    identifier: string,
    filter: DeploymentFilter,
    page: PageQuery,
  ): Promise<Outcome<Page<DeviceProfile>, MalformedCursor>> {
    if (page.cursor !== null && !/^[A-Za-z0-9-]{8,64}$/.test(page.cursor))
      return refuse({ kind: 'malformed-cursor' });
    const rows = await this.#db.all<Row>(
      `SELECT * FROM device_profiles p WHERE p.identifier = ? AND p.udid > ? AND ${FILTERS[filter]}
       ORDER BY p.udid LIMIT ?`,
      identifier,
      page.cursor ?? '',
      page.limit + 1,
    );
    const items = rows.slice(0, page.limit).map(deviceProfile);
    return ok({ items, cursor: rows.length > page.limit ? (items.at(-1)?.udid ?? null) : null });
  }

  async counts(identifier: string): Promise<DeviceProfileCounts> {
    const row = await this.#db.first<DeviceProfileCounts>(
      `SELECT count(p.installed_version) AS installed, count(*) FILTER (WHERE ${OUTDATED}) AS outdated,
         count(*) FILTER (WHERE p.state IN ('ordered', 'removing')) AS ordered,
         count(*) FILTER (WHERE p.state = 'failed') AS failed
       FROM device_profiles p WHERE p.identifier = ?`,
      identifier,
    );
    return row ?? { installed: 0, outdated: 0, ordered: 0, failed: 0 };
  }

  devicesWith(identifier: string): Promise<number> {
    return countDevicesWith(this.#db, identifier);
  }

  async claim(
    order: DeviceProfileOrder,
    prior: CommandUuid | null,
  ): Promise<Outcome<{ readonly claimed: true }, ClaimRefusal>> {
    const changed = await (prior === null ? this.#insert(order) : this.#replace(order, prior));
    if (changed > 0) return ok({ claimed: true });
    const { udid, identifier, payloadIdentifier } = order;
    const holder = await this.#db.first<{ identifier: string }>(
      `SELECT identifier FROM device_profiles p
       WHERE p.udid = ? AND p.payload_identifier = ? AND p.identifier <> ? AND ${ON_DEVICE} LIMIT 1`,
      udid,
      payloadIdentifier,
      identifier,
    );
    if (holder !== null) return refuse({ kind: 'payload-identifier-taken', identifier: holder.identifier });
    const stored = await this.#db.first('SELECT 1 FROM uploads WHERE identifier = ?', identifier);
    return refuse({ kind: stored === null && order.action === 'install' ? 'gone' : 'changed' });
  }

  async undo(order: DeviceProfileOrder, prior: DeviceProfile | null): Promise<void> {
    const { udid, identifier, commandUuid } = order;
    if (prior === null) {
      await this.#db.run(
        'DELETE FROM device_profiles WHERE udid = ? AND identifier = ? AND command_uuid = ?',
        udid,
        identifier,
        commandUuid,
      );
      return;
    }
    await this.#db.run(
      `UPDATE device_profiles SET payload_identifier = ?, action = ?, version = ?, state = ?, error = ?,
         command_uuid = ?, enrollment_id = ?, ordered_at_ms = ?, changed_at_ms = ?
       WHERE udid = ? AND identifier = ? AND command_uuid = ?`,
      prior.payloadIdentifier,
      prior.action,
      prior.version,
      prior.state,
      prior.error === null ? null : JSON.stringify(prior.error),
      prior.commandUuid,
      prior.enrollmentId,
      prior.orderedAtMs,
      prior.changedAtMs,
      udid,
      identifier,
      commandUuid,
    );
  }

  #insert(order: DeviceProfileOrder): Promise<number> {
    return this.#db.run(
      `INSERT INTO device_profiles (udid, identifier, payload_identifier, action, version, state, command_uuid,
         enrollment_id, ordered_at_ms, changed_at_ms)
       SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?9 WHERE ${MAY_CLAIM}
       ON CONFLICT (udid, identifier) DO NOTHING`,
      ...bound(order),
    );
  }

  #replace(order: DeviceProfileOrder, prior: CommandUuid): Promise<number> {
    return this.#db.run(
      `UPDATE device_profiles SET payload_identifier = ?3, action = ?4, version = ?5, state = ?6, error = NULL,
         command_uuid = ?7, enrollment_id = ?8, ordered_at_ms = ?9, changed_at_ms = ?9
       WHERE udid = ?1 AND identifier = ?2 AND command_uuid = ?10 AND ${MAY_CLAIM}`,
      ...bound(order),
      prior,
    );
  }
}

/** What is removed need not be stored any more. */
const MAY_CLAIM = `(?4 = 'remove' OR (
    EXISTS (SELECT 1 FROM uploads u WHERE u.identifier = ?2 AND u.resource = 'profiles')
    AND NOT EXISTS (SELECT 1 FROM device_profiles p
      WHERE p.udid = ?1 AND p.payload_identifier = ?3 AND p.identifier <> ?2 AND ${ON_DEVICE})))`;

function bound(order: DeviceProfileOrder): readonly Bound[] {
  const { udid, identifier, payloadIdentifier, action, version, commandUuid, enrollmentId, orderedAtMs } =
    order;
  const state = action === 'install' ? 'ordered' : 'removing';
  return [
    udid,
    identifier,
    payloadIdentifier,
    action,
    version,
    state,
    commandUuid,
    enrollmentId,
    orderedAtMs,
  ];
}

function deviceProfile(row: Row): DeviceProfile {
  return {
    udid: row.udid,
    identifier: row.identifier,
    payloadIdentifier: row.payload_identifier,
    action: row.action,
    version: row.version,
    state: row.state,
    error: row.error === null ? null : JSON.parse(row.error),
    commandUuid: row.command_uuid,
    enrollmentId: row.enrollment_id,
    orderedAtMs: row.ordered_at_ms,
    changedAtMs: row.changed_at_ms,
    installedVersion: row.installed_version,
    installedAtMs: row.installed_at_ms,
  };
}
