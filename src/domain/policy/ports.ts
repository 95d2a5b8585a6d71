/**
 * What the effective policy needs from the rest: stored payloads and profiles, what commands installed, and what the
 * devices themselves reported. All of them read; nothing is decided from what they say.
 */
import type { JsonObject, JsonValue } from '../../protocol/plist/json.ts';
import type { Bytes } from '../../std/bytes.ts';
import type { EpochMs } from '../../std/time.ts';
import type { UploadResource } from '../admin/upload-services.ts';
import type { CommandUuid, Udid } from '../ids.ts';
import type { InventoryRecord } from '../inventory/ports.ts';
import type { InventorySection } from '../inventory/section.ts';
import type { DeviceProfileState } from '../profile/device-profile-ports.ts';

/** Which payloads to open, and how much of them. */
export interface ProfileQuery {
  readonly payloadTypes: readonly string[];
  readonly bytesMax: number;
}

interface StoredContent {
  readonly identifier: string;
  /** False when no payload type asked for is in it, as far as is recorded. */
  readonly relevant: boolean;
  /** Null when it is not relevant, or past the limit. */
  readonly sealed: Bytes | null;
}

/** A profile behind a declaration. */
export interface DeclaredProfile extends StoredContent {
  readonly resource: UploadResource;
  readonly serverToken: string;
}

/**
 * A profile that a command gave to a device, in the version that the device is to have: of one that is not ordered
 * anew, the version that it has.
 */
export interface OrderedProfile extends StoredContent {
  readonly udid: Udid;
  readonly payloadIdentifier: string;
  readonly enrollmentId: string;
  readonly state: DeviceProfileState;
  /** The device acknowledged some version of it, and still has that. */
  readonly isInstalled: boolean;
  readonly installedAtMs: EpochMs | null;
  /** Whether that version is still stored. */
  readonly isKept: boolean;
}

/** An InstallProfile or RemoveProfile that a device acknowledged. */
export interface CommandedProfile {
  readonly udid: Udid;
  readonly commandUuid: CommandUuid;
  readonly installs: boolean;
  readonly atMs: EpochMs;
  /** Null past the limit. */
  readonly sealed: Bytes | null;
}

/** One read each. */
export interface PolicyProfileStore {
  /** Of those stored here. */
  declared(identifiers: readonly string[], query: ProfileQuery): Promise<readonly DeclaredProfile[]>;
  /** Without those that were removed. */
  ordered(udids: readonly Udid[], query: ProfileQuery): Promise<readonly OrderedProfile[]>;
  /** Of commands in history that were ordered since then and kept with what they say: the newest, in their order. */
  commanded(
    since: ReadonlyMap<Udid, EpochMs>,
    limits: { readonly commandsMax: number; readonly bytesMax: number },
  ): Promise<readonly CommandedProfile[]>;
}

/** What a device answered to queries; null what it never was asked. */
export interface ObservedPolicy {
  /** `GlobalRestrictions` of Restrictions, by key. */
  readonly restrictions: { readonly values: ReadonlyMap<string, JsonValue>; readonly asOfMs: EpochMs } | null;
  readonly security: { readonly info: JsonObject; readonly asOfMs: EpochMs } | null;
  readonly profiles: {
    readonly payloadIdentifiers: ReadonlySet<string>;
    /** Those with payloads that set rules. */
    readonly withRules: readonly string[];
    readonly asOfMs: EpochMs;
  } | null;
}

/** What devices answered in their present enrollment; one read. */
export interface PolicyInventory {
  sectionsOf(
    devices: ReadonlyMap<Udid, { readonly enrollmentId: string }>,
    sections: readonly InventorySection[],
  ): Promise<ReadonlyMap<Udid, readonly InventoryRecord[]>>;
}

export const NOTHING_OBSERVED: ObservedPolicy = { restrictions: null, security: null, profiles: null };
