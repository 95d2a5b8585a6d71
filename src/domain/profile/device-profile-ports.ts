/**
 * What is recorded of stored profiles on devices: what was ordered, and what the device made of it. Results, cancels,
 * expiries and the end of an enrollment are written in the transaction that records them of the command, by its UUID.
 */

import type { Outcome } from '../../std/outcome.ts';
import type { EpochMs } from '../../std/time.ts';
import type { DeploymentFilter } from '../admin/profile-services.ts';
import type { MalformedCursor, Page, PageQuery } from '../admin/services.ts';
import type { CommandUuid, Udid } from '../ids.ts';

export type ProfileAction = 'install' | 'remove';
export type DeviceProfileState = 'ordered' | 'installed' | 'failed' | 'removing' | 'removed';

/** Why the last order came to nothing. No text of the device's: it could repeat what is in the profile. */
export type DeviceProfileError =
  | {
      readonly kind: 'device';
      readonly status: string;
      readonly domain: string | null;
      readonly code: number | null;
    }
  | { readonly kind: 'canceled' | 'expired' }
  /** The device enrolled anew or not at all any more, and has none of its profiles. */
  | { readonly kind: 'enrollment-ended' }
  /** The order was recorded and its command never queued. */
  | { readonly kind: 'not-queued' };

export interface DeviceProfileOrder {
  readonly udid: Udid;
  readonly identifier: string;
  /** By which the device knows it. */
  readonly payloadIdentifier: string;
  readonly action: ProfileAction;
  readonly version: number;
  readonly commandUuid: CommandUuid;
  readonly enrollmentId: string;
  readonly orderedAtMs: EpochMs;
}

export interface DeviceProfile extends DeviceProfileOrder {
  readonly state: DeviceProfileState;
  readonly error: DeviceProfileError | null;
  readonly changedAtMs: EpochMs;
  /** What the device acknowledged last and was not told to remove since; null when it has none. */
  readonly installedVersion: number | null;
  readonly installedAtMs: EpochMs | null;
}

export type ClaimRefusal =
  /** Another order was recorded since `prior` was read. */
  | { readonly kind: 'changed' }
  /** The profile was deleted since. */
  | { readonly kind: 'gone' }
  | { readonly kind: 'payload-identifier-taken'; readonly identifier: string };

export interface DeviceProfileCounts {
  readonly installed: number;
  /** Of those, with another version than the current one. */
  readonly outdated: number;
  readonly ordered: number;
  readonly failed: number;
}

/** Durable on return. Orders compare and set: one command at most is under way for a profile on a device. */
export interface DeviceProfileStore {
  find(udid: Udid, identifier: string): Promise<DeviceProfile | null>;
  /** By identifier. A device has at most as many as there are stored profiles. */
  ofDevice(udid: Udid, limit: number): Promise<readonly DeviceProfile[]>;
  /** By UDID. `outdated` are those that have another version than the current one and are not ordered that. */
  ofProfile(
    identifier: string,
    filter: DeploymentFilter,
    page: PageQuery,
  ): Promise<Outcome<Page<DeviceProfile>, MalformedCursor>>;
  counts(identifier: string): Promise<DeviceProfileCounts>;
  /** Devices that have it, or are to. */
  devicesWith(identifier: string): Promise<number>;
  /** Records the order if the last one is still `prior`'s; null when there was none. */
  claim(
    order: DeviceProfileOrder,
    prior: CommandUuid | null,
  ): Promise<Outcome<{ readonly claimed: true }, ClaimRefusal>>;
  /** Takes an order back whose command was not queued. */
  undo(order: DeviceProfileOrder, prior: DeviceProfile | null): Promise<void>;
}

/** What a device said that it has, in answer to ProfileList. */
export interface ListedProfile {
  readonly payloadIdentifier: string;
  readonly payloadUuid: string | null;
  readonly displayName: string | null;
  readonly managed: boolean | null;
}

export interface ProfileListing {
  readonly answeredAtMs: EpochMs;
  readonly profiles: readonly ListedProfile[];
}

export interface ProfileListings {
  /** The last one; null when the device never answered. */
  last(udid: Udid): Promise<ProfileListing | null>;
}
