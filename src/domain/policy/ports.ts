/**
 * What the effective policy needs from the rest: stored payloads and profiles, what commands installed, and what the
 * devices themselves reported. All of them read; nothing is decided from what they say.
 */
import type { JsonObject, JsonValue } from '../../protocol/plist/json.ts';
import type { PlistDict } from '../../protocol/plist/value.ts';
import type { Bytes } from '../../std/bytes.ts';
import type { EpochMs } from '../../std/time.ts';
import type { UploadResource } from '../admin/upload-services.ts';
import type { Udid } from '../ids.ts';

/** A profile behind a declaration, as it is stored. */
export interface DeclaredProfile {
  readonly identifier: string;
  readonly resource: UploadResource;
  readonly serverToken: string;
  /** False when no payload type asked for is in it, as far as is recorded. */
  readonly relevant: boolean;
  /** Null when it is not relevant, or past the limit of one answer. */
  readonly sealed: Bytes | null;
}

export interface DeclaredProfileStore {
  /** Of those stored here; one read, of at most `bytesMax` of content. */
  declared(
    identifiers: readonly string[],
    payloadTypes: readonly string[],
    bytesMax: number,
  ): Promise<readonly DeclaredProfile[]>;
}

/** A profile that is on a device or on its way there or off it. */
export interface InstalledProfile {
  /** As it is stored here. */
  readonly identifier: string;
  readonly payloadIdentifier: string;
  readonly version: number;
  /** By a command, or behind a declaration: the manifest speaks for those. */
  readonly via: 'command' | 'declaration';
  readonly state: InstalledState;
  readonly installedAtMs: EpochMs | null;
  /** The profile as it was sent; null when it is no longer stored. */
  readonly profile: PlistDict | null;
}

/** `installing`: not answered yet. `removing`: it is still there. */
export type InstalledState = 'installing' | 'installed' | 'removing' | 'failed' | 'removed';

export interface InstalledProfiles {
  /** Bounded in number and in bytes. */
  installedOn(udid: Udid): Promise<readonly InstalledProfile[]>;
}

/** What a device answered to queries; null what it never was asked. */
export interface ObservedPolicy {
  /** `GlobalRestrictions` of Restrictions, by key. */
  readonly restrictions: { readonly values: ReadonlyMap<string, JsonValue>; readonly asOfMs: EpochMs } | null;
  readonly security: { readonly info: JsonObject; readonly asOfMs: EpochMs } | null;
  readonly profiles: {
    readonly payloadIdentifiers: ReadonlySet<string>;
    readonly asOfMs: EpochMs;
  } | null;
}

export interface PolicyObservations {
  observed(udids: readonly Udid[]): Promise<ReadonlyMap<Udid, ObservedPolicy>>;
}

export const NOTHING_OBSERVED: ObservedPolicy = { restrictions: null, security: null, profiles: null };
