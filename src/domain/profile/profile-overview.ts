/**
 * Which stored profiles are on a device, by command and by declaration, and how that differs from what the device
 * listed itself. It reads and decides nothing.
 */
import { type Outcome, ok, refuse } from '../../std/outcome.ts';
import type {
  DeploymentFilter,
  DeviceProfileOverview,
  ProfileDeployment,
  ProfileOnDevice,
  ProfileOverviewReader,
} from '../admin/profile-services.ts';
import type { MalformedCursor, PageQuery, UnknownDevice } from '../admin/services.ts';
import type { UnknownUpload } from '../admin/upload-services.ts';
import type { Profiles } from '../declaration/profiles.ts';
import type { UploadRow, UploadStore } from '../declaration/upload-ports.ts';
import type { DescribedDeclaration, Devices } from '../enrollment/device.ts';
import type { Udid } from '../ids.ts';
import type { DeviceProfile, DeviceProfileStore, ProfileListings } from './device-profile-ports.ts';
import { driftOf } from './drift.ts';

/** A device with more has been given something else than a configuration. */
export const PROFILES_PER_DEVICE_MAX = 500;
export interface ProfileOverviewOptions {
  readonly profiles: Pick<Profiles, 'find'>;
  readonly uploads: Pick<UploadStore, 'profilesAmong' | 'payloadUuids'>;
  readonly store: DeviceProfileStore;
  readonly listings: ProfileListings;
  readonly devices: Devices;
  readonly isKnown: (udid: Udid) => Promise<boolean>;
  readonly isEnrollmentProfile: (identifier: string) => boolean;
}

export class ProfileOverviews implements ProfileOverviewReader {
  readonly #options: ProfileOverviewOptions;

  constructor(options: ProfileOverviewOptions) {
    this.#options = options;
  }

  async ofDevice(udid: Udid): Promise<Outcome<DeviceProfileOverview, UnknownDevice>> {
    const items = await this.#items(udid);
    if (items === null) return refuse({ kind: 'unknown-device', udid });
    const { listings, uploads, isEnrollmentProfile } = this.#options;
    const listing = await listings.last(udid);
    if (listing === null) return ok({ items, listedAtMs: null, drift: [] });
    const uuids = await uploads.payloadUuids(items.map((one) => one.identifier));
    const uuidsOf = (identifier: string) => uuids.get(identifier) ?? new Map<number, string>();
    const drift = driftOf(listing, items, uuidsOf, isEnrollmentProfile);
    return ok({ items, listedAtMs: listing.answeredAtMs, drift });
  }

  async deployment(
    identifier: string,
    filter: DeploymentFilter,
    page: PageQuery,
  ): Promise<Outcome<ProfileDeployment, MalformedCursor | UnknownUpload>> {
    const { profiles, store } = this.#options;
    const [current, counts] = [await profiles.find(identifier), await store.counts(identifier)];
    const devices = await store.ofProfile(identifier, filter, page);
    if (!devices.ok) return devices;
    // One that was deleted with force is known by what it left.
    const known = current !== null || devices.value.items.length > 0 || page.cursor !== null;
    if (!known) return refuse({ kind: 'unknown-upload', resource: 'profiles', identifier });
    return ok({ currentVersion: current?.version ?? null, counts, page: devices.value });
  }

  /** Null for a device that nobody knows. */
  async #items(udid: Udid): Promise<readonly ProfileOnDevice[] | null> {
    const { devices, isKnown, store, uploads } = this.#options;
    const device = (await isKnown(udid)) ? await devices.of(udid).describe() : null;
    if (device === null) return null;
    const ordered = await store.ofDevice(udid, PROFILES_PER_DEVICE_MAX);
    const held = device.declarations.filter((one) => one.kind === 'configuration');
    const names = [...ordered, ...held].map((one) => one.identifier);
    const stored = new Map((await uploads.profilesAmong(names)).map((row) => [row.identifier, row]));
    const declared = held.flatMap((one) => {
      const row = stored.get(one.identifier);
      return row === undefined ? [] : [byDeclaration(one, row)];
    });
    return [...ordered.map((one) => byCommand(one, stored.get(one.identifier))), ...declared];
  }
}

function byCommand(record: DeviceProfile, stored: UploadRow | undefined): ProfileOnDevice {
  const { udid, action, enrollmentId, ...told } = record;
  return { ...told, via: 'command', currentVersion: stored?.version ?? null, reasons: [] };
}

function byDeclaration(
  { identifier, serverToken, status }: DescribedDeclaration,
  { version, details, serverToken: currentToken }: UploadRow,
): ProfileOnDevice {
  const reported = status?.serverToken === serverToken ? status : null;
  const installed = reported?.active === true && reported.valid === 'valid';
  const declared = serverToken === currentToken ? version : null;
  return {
    identifier,
    payloadIdentifier: String(details['payloadIdentifier']),
    via: 'declaration',
    state: installed ? 'installed' : reported?.valid === 'invalid' ? 'failed' : 'ordered',
    version: declared,
    installedVersion: installed ? declared : null,
    currentVersion: version,
    commandUuid: null,
    error: null,
    reasons: reported?.reasons ?? [],
    orderedAtMs: null,
    changedAtMs: null,
    installedAtMs: null,
  };
}
