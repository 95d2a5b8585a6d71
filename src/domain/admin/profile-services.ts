/**
 * What the admin API needs for stored profiles on devices: ordering them by InstallProfile and RemoveProfile, and what
 * became of it. Delivery as a declaration is assigned with sets, as any declaration is; it is shown here and not
 * ordered here.
 */
import type { ContentProblem } from '../../protocol/catalog/validate.ts';
import type { Bytes } from '../../std/bytes.ts';
import type { Outcome } from '../../std/outcome.ts';
import type { EpochMs } from '../../std/time.ts';
import type { OpenedProfile } from '../declaration/profiles.ts';
import type { CommandUuid, Platform, SerialNumber, Udid } from '../ids.ts';
import type {
  DeviceProfile,
  DeviceProfileCounts,
  DeviceProfileError,
  DeviceProfileState,
} from '../profile/device-profile-ports.ts';
import type { EnqueueRefusal } from './command-services.ts';
import type { ConfirmationRefusal, Consequences } from './consequences.ts';
import type { MalformedCursor, Page, PageQuery, StatusReason, UnknownDevice } from './services.ts';
import type { AssetLibrary, ProfileLibrary, UnknownUpload, UnknownVersion } from './upload-services.ts';

/** How the command goes out. */
export interface ProfileDispatch {
  readonly push: boolean;
  readonly expiresAtMs: EpochMs | null;
  readonly confirmedSerial: SerialNumber | null;
}

export interface InstallOrder extends ProfileDispatch {
  readonly identifier: string;
  /** The current one when none is named. */
  readonly version: number | null;
  /** Orders it although the device acknowledged this version. */
  readonly again: boolean;
}

export interface ProfileOrdered extends Consequences {
  readonly profile: DeviceProfile;
  /** False when nothing was ordered: it was ordered before, or is as it is to be. */
  readonly ordered: boolean;
  /** What of it the device does not take. */
  readonly passedOver: readonly ContentProblem[];
}

export interface ProfileRemoved {
  /** Null when the device was never ordered to install it. */
  readonly profile: DeviceProfile | null;
  readonly ordered: boolean;
}

export type ProfileOrderRefusal =
  | UnknownDevice
  | EnqueueRefusal
  | ConfirmationRefusal
  /** The device has the last order's command, or is at work on it. */
  | { readonly kind: 'profile-order-under-way'; readonly commandUuid: CommandUuid };

export type InstallRefusal =
  | ProfileOrderRefusal
  | UnknownUpload
  | UnknownVersion
  | {
      readonly kind: 'profile-unfit';
      readonly platform: Platform;
      readonly problems: readonly ContentProblem[];
    }
  /** Another stored profile of that PayloadIdentifier is on the device: one would replace the other. */
  | { readonly kind: 'payload-identifier-taken'; readonly identifier: string }
  /** The device has the profile under another PayloadIdentifier than this version's: it would have both. */
  | { readonly kind: 'payload-identifier-changed'; readonly payloadIdentifier: string }
  /** It is in the device's manifest. */
  | { readonly kind: 'profile-declared' };

/** A stored profile on a device. */
export interface ProfileOnDevice {
  readonly identifier: string;
  readonly payloadIdentifier: string;
  readonly via: 'command' | 'declaration';
  readonly state: DeviceProfileState;
  /** Ordered or declared last. */
  readonly version: number | null;
  readonly installedVersion: number | null;
  /** Of what is stored now; null when it was deleted. */
  readonly currentVersion: number | null;
  readonly commandUuid: CommandUuid | null;
  readonly error: DeviceProfileError | null;
  /** Of a declaration, as the device reports it. */
  readonly reasons: readonly StatusReason[];
  readonly orderedAtMs: EpochMs | null;
  readonly changedAtMs: EpochMs | null;
  readonly installedAtMs: EpochMs | null;
}

export type ProfileDrift =
  /** The device acknowledged it and does not list it any more. */
  | { readonly kind: 'missing'; readonly identifier: string; readonly payloadIdentifier: string }
  /** It lists it under another PayloadUUID; `version` is the one that has this, if any is kept. */
  | {
      readonly kind: 'other-version';
      readonly identifier: string;
      readonly payloadIdentifier: string;
      readonly version: number | null;
    }
  /** It is not there by the record, or nothing here ordered it. */
  | { readonly kind: 'unknown'; readonly payloadIdentifier: string; readonly displayName: string | null };

export interface DeviceProfileOverview {
  readonly items: readonly ProfileOnDevice[];
  /** When the device last answered ProfileList, and how that differs from `items`; null when it never did. */
  readonly listedAtMs: EpochMs | null;
  readonly drift: readonly ProfileDrift[];
}

export interface ProfileDeployment {
  readonly currentVersion: number | null;
  readonly counts: DeviceProfileCounts;
  readonly page: Page<DeviceProfile>;
}

/** A version of a stored profile, ready to be given to any number of devices. */
export interface PreparedProfile extends OpenedProfile {
  /** As devices are given it. */
  readonly payload: Bytes;
}

/** Every order is durable on return, and said again orders nothing more. */
export interface DeviceProfileService {
  install(udid: Udid, order: InstallOrder, nowMs: EpochMs): Promise<Outcome<ProfileOrdered, InstallRefusal>>;
  prepare(
    identifier: string,
    version: number | null,
  ): Promise<Outcome<PreparedProfile, UnknownUpload | UnknownVersion>>;
  installPrepared(
    udid: Udid,
    prepared: PreparedProfile,
    order: ProfileDispatch & Pick<InstallOrder, 'again'>,
    nowMs: EpochMs,
  ): Promise<Outcome<ProfileOrdered, InstallRefusal>>;
  /** One that the device does not have is removed: there is nothing to order. */
  remove(
    udid: Udid,
    identifier: string,
    dispatch: ProfileDispatch,
    nowMs: EpochMs,
  ): Promise<Outcome<ProfileRemoved, ProfileOrderRefusal>>;
}

export type DeploymentFilter = 'all' | 'installed' | 'outdated';

export interface ProfileOverviewReader {
  ofDevice(udid: Udid): Promise<Outcome<DeviceProfileOverview, UnknownDevice>>;
  /** By UDID. */
  deployment(
    identifier: string,
    filter: DeploymentFilter,
    page: PageQuery,
  ): Promise<Outcome<ProfileDeployment, MalformedCursor | UnknownUpload>>;
}

/** Of `AdminServices`: what is stored for devices to download or install, and where it is. */
export interface ProfileServices {
  readonly assets: AssetLibrary;
  readonly profiles: ProfileLibrary;
  readonly deviceProfiles: DeviceProfileService;
  /** Of which many calls at once cost less. One serves one request, and no other after it. */
  readonly gatheredProfiles: () => DeviceProfileService;
  readonly profileOverviews: ProfileOverviewReader;
}
