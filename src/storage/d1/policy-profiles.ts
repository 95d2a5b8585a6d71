/**
 * Profiles for the effective policy, behind declarations, by order and in commands: one statement for either, however many devices
 * and profiles. Sealed content comes only of those whose recorded payload types are asked for, and of these as many as
 * fit, by identifier.
 */
import type { UploadResource } from '../../domain/admin/upload-services.ts';
import type { CommandUuid, Udid } from '../../domain/ids.ts';
import type {
  CommandedProfile,
  DeclaredProfile,
  OrderedProfile,
  PolicyProfileStore,
  ProfileQuery,
} from '../../domain/policy/ports.ts';
import type { DeviceProfileState } from '../../domain/profile/device-profile-ports.ts';
import type { EpochMs } from '../../std/time.ts';
import { blob, type Database } from './database.ts';

interface DeclaredRow {
  identifier: string;
  resource: UploadResource;
  server_token: string;
  relevant: number;
  sealed: unknown;
}

interface OrderedRow {
  udid: Udid;
  identifier: string;
  payload_identifier: string;
  enrollment_id: string;
  state: DeviceProfileState;
  installed: number;
  installed_at_ms: EpochMs | null;
  kept: number;
  relevant: number;
  sealed: unknown;
}

interface CommandedRow {
  udid: Udid;
  command_uuid: CommandUuid;
  request_type: string;
  answered_at_ms: EpochMs;
  sealed: unknown;
}

/** Of recorded details: whether one of the payload types ?2 is in the profile. */
const isAsked = (details: string) => `EXISTS (SELECT 1 FROM json_each(${details}, '$.payloadTypes') t
  WHERE t.value IN (SELECT value FROM json_each(?2)))`;

/** The version that the device is to have; one that is not ordered anew, the one that it has. */
const WANTED = "iif(p.state = 'ordered', p.version, ifnull(p.installed_version, p.version))";

export class D1PolicyProfiles implements PolicyProfileStore {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  async declared(
    identifiers: readonly string[],
    { payloadTypes, bytesMax }: ProfileQuery,
  ): Promise<readonly DeclaredProfile[]> {
    // Of an asset no payload types are recorded: whether it is a profile shows when it is opened.
    const rows = await this.#db.all<DeclaredRow>(
      `WITH asked AS (
         SELECT u.identifier, u.resource, d.server_token, u.size,
           u.resource = 'assets' OR ${isAsked('u.details')} AS relevant
         FROM uploads u JOIN declarations d ON d.identifier = u.identifier
         WHERE u.identifier IN (SELECT value FROM json_each(?1))
       ), measured AS (
         SELECT *, sum(iif(relevant, size, 0)) OVER (ORDER BY identifier) AS total FROM asked
       )
       SELECT m.identifier, m.resource, m.server_token, m.relevant,
         iif(m.relevant AND m.total <= ?3, (SELECT sealed FROM uploads u WHERE u.identifier = m.identifier), NULL) AS sealed
       FROM measured m ORDER BY m.identifier`,
      JSON.stringify(identifiers),
      JSON.stringify(payloadTypes),
      bytesMax,
    );
    return rows.map(({ identifier, resource, server_token: serverToken, relevant, sealed }) => ({
      ...{ identifier, resource, serverToken, relevant: relevant === 1 },
      sealed: sealed === null ? null : blob(sealed),
    }));
  }

  async ordered(
    udids: readonly Udid[],
    { payloadTypes, bytesMax }: ProfileQuery,
  ): Promise<readonly OrderedProfile[]> {
    const rows = await this.#db.all<OrderedRow>(
      `WITH asked AS (
         SELECT p.*, ${WANTED} AS wanted FROM device_profiles p
         WHERE p.udid IN (SELECT value FROM json_each(?1)) AND p.state <> 'removed'
       ), found AS (
         SELECT a.*, ifnull(u.size, v.size) AS size, ifnull(u.details, v.details) AS details,
           u.identifier IS NOT NULL AS current
         FROM asked a LEFT JOIN uploads u ON u.identifier = a.identifier AND u.version = a.wanted
           LEFT JOIN profile_versions v ON v.identifier = a.identifier AND v.version = a.wanted
       ), judged AS (
         SELECT *, details IS NOT NULL AS kept, details IS NOT NULL AND ${isAsked('details')} AS relevant FROM found
       ), measured AS (
         SELECT *, sum(iif(relevant, size, 0)) OVER (ORDER BY udid, identifier) AS total FROM judged
       )
       SELECT m.udid, m.identifier, m.payload_identifier, m.enrollment_id, m.state, m.installed_at_ms,
         m.installed_version IS NOT NULL AS installed, m.kept, m.relevant,
         iif(m.relevant AND m.total <= ?3, iif(m.current,
           (SELECT sealed FROM uploads u WHERE u.identifier = m.identifier),
           (SELECT sealed FROM profile_versions v WHERE v.identifier = m.identifier AND v.version = m.wanted)
         ), NULL) AS sealed
       FROM measured m ORDER BY m.udid, m.identifier`,
      JSON.stringify(udids),
      JSON.stringify(payloadTypes),
      bytesMax,
    );
    return rows.map((row) => ({
      udid: row.udid,
      identifier: row.identifier,
      payloadIdentifier: row.payload_identifier,
      enrollmentId: row.enrollment_id,
      state: row.state,
      isInstalled: row.installed === 1,
      installedAtMs: row.installed_at_ms,
      isKept: row.kept === 1,
      relevant: row.relevant === 1,
      sealed: row.sealed === null ? null : blob(row.sealed),
    }));
  }

  async commanded(
    since: ReadonlyMap<Udid, EpochMs>,
    { commandsMax, bytesMax }: { readonly commandsMax: number; readonly bytesMax: number },
  ): Promise<readonly CommandedProfile[]> {
    const rows = await this.#db.all<CommandedRow>(
      `WITH asked AS (
         SELECT h.command_uuid, h.udid, h.request_type, h.answered_at_ms, h.number, length(h.sealed) AS size
         FROM json_each(?1) j JOIN command_history h ON h.udid = j.value ->> 0 AND h.created_at_ms >= j.value ->> 1
         WHERE h.state = 'acknowledged' AND h.request_type IN ('InstallProfile', 'RemoveProfile')
           AND h.sealed IS NOT NULL
         ORDER BY h.answered_at_ms DESC, h.number DESC LIMIT ?2
       ), measured AS (
         SELECT *, sum(size) OVER (ORDER BY answered_at_ms DESC, number DESC, udid) AS total FROM asked
       )
       SELECT m.udid, m.command_uuid, m.request_type, m.answered_at_ms,
         iif(m.total <= ?3, (SELECT sealed FROM command_history h WHERE h.command_uuid = m.command_uuid), NULL) AS sealed
       FROM measured m ORDER BY m.answered_at_ms, m.number, m.udid`,
      JSON.stringify([...since]),
      commandsMax,
      bytesMax,
    );
    return rows.map((row) => ({
      udid: row.udid,
      commandUuid: row.command_uuid,
      installs: row.request_type === 'InstallProfile',
      atMs: row.answered_at_ms,
      sealed: row.sealed === null ? null : blob(row.sealed),
    }));
  }
}
