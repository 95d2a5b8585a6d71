/**
 * What the admin API needs for content that it stores itself: assets with their data, and legacy profiles. Each makes
 * one declaration, under the same identifier and server token; both are stored together or not at all. Data goes out
 * to devices that hold the declaration, a profile also back to the administrator, an asset to nobody else.
 */
import type { Bytes } from '../../std/bytes.ts';
import type { Outcome } from '../../std/outcome.ts';
import type { EpochMs } from '../../std/time.ts';
import type { AssetInput, AssetRefusal } from '../declaration/asset-content.ts';
import type { ProfileDetails, ProfileRefusal } from '../declaration/profile-content.ts';
import type { Fitnesses } from '../profile/judge.ts';
import type { ProfileWarning } from '../profile/warnings.ts';
import type { Changed, PutRefusal, RemoveRefusal } from './declaration-services.ts';
import type { Precondition } from './precondition.ts';
import type { MalformedCursor, Page, PageQuery } from './services.ts';

interface UploadRecord {
  readonly identifier: string;
  readonly serverToken: string;
  /** Of what devices download, in octets. */
  readonly size: number;
  readonly updatedAtMs: EpochMs;
}

export interface AssetRecord extends UploadRecord {
  readonly type: string;
  readonly contentType: string;
  /** The `Accessible` key; null where it was not given. */
  readonly accessible: string | null;
}

export interface ProfileRecord extends UploadRecord, ProfileDetails {
  readonly version: number;
  /** Signed by this server when a device is given it. */
  readonly signedOnDelivery: boolean;
}

export interface ProfileVersion extends ProfileDetails {
  readonly version: number;
  readonly serverToken: string;
  readonly size: number;
  readonly signedOnDelivery: boolean;
  /** Equal for equal content of this profile. Keyed: nobody else can compute it. */
  readonly fingerprint: string | null;
  /** The administrator's id. Null for what was stored before that was kept. */
  readonly author: string | null;
  readonly storedAtMs: EpochMs;
}

export type UnknownVersion = {
  readonly kind: 'unknown-version';
  readonly identifier: string;
  readonly version: number;
};

/** What the catalog says of a stored profile on each platform, and what deserves a look. */
export interface ProfileVerdict {
  readonly platforms: Fitnesses;
  readonly warnings: readonly ProfileWarning[];
}

export type UnknownUpload = {
  readonly kind: 'unknown-upload';
  readonly resource: UploadResource;
  readonly identifier: string;
};

/** Where uploads of a kind are administered: the last part of their path. */
export type UploadResource = 'assets' | 'profiles';

export interface PutUpload<Item> extends Changed<Item> {
  readonly created: boolean;
}

export interface UploadLibrary<Item, Input, Refusal extends { readonly kind: string }> {
  /** By identifier. */
  list(page: PageQuery): Promise<Outcome<Page<Item>, MalformedCursor>>;
  find(identifier: string): Promise<Item | null>;
  /** What is stored already is no change and fulfils every precondition. */
  put(
    identifier: string,
    input: Input,
    precondition: Precondition,
    nowMs: EpochMs,
  ): Promise<Outcome<PutUpload<Item>, PutRefusal | Refusal>>;
  remove(
    identifier: string,
    precondition: Precondition | null,
  ): Promise<Outcome<{ readonly removed: true }, RemoveRefusal | UnknownUpload>>;
}

export type AssetLibrary = UploadLibrary<AssetRecord, AssetInput, AssetRefusal>;

export interface ProfileInput {
  /** XML or binary, or signed around it: kept as it is. */
  readonly profile: Bytes;
  /** Takes payload types and keys that the catalog does not know. */
  readonly allowUnknown: boolean;
  /** Whether devices are given it signed by this server; nothing to one that came signed. */
  readonly sign: boolean;
  /** What the administrator said of it: that it may unpair watches. */
  readonly unpairsWatches: boolean;
  /** The administrator's id. */
  readonly author: string;
}

export type PutProfileRefusal =
  | PutRefusal
  | ProfileRefusal
  /** It does, and nobody said that it may: a set gives it to iPhones without asking again. */
  | { readonly kind: 'unpairs-watches' }
  /** Devices have it, who would not know the next one for the same. */
  | {
      readonly kind: 'payload-identifier-fixed';
      readonly payloadIdentifier: string;
      readonly devices: number;
    };

/** What a deleted profile leaves behind. */
export interface LeftProfiles {
  /** Devices that have it, or are to. */
  readonly devices: number;
  /** Of them, those whose order stands: one that waits is still carried out. */
  readonly ordered: number;
}

export interface ProfileLibrary {
  /** By identifier. */
  list(page: PageQuery): Promise<Outcome<Page<ProfileRecord>, MalformedCursor>>;
  find(identifier: string): Promise<ProfileRecord | null>;
  /** As in `UploadLibrary`. */
  put(
    identifier: string,
    input: ProfileInput,
    precondition: Precondition,
    nowMs: EpochMs,
  ): Promise<Outcome<PutUpload<ProfileRecord>, PutProfileRefusal>>;
  /** One that devices have is refused unless `force`: it stays on them. Returns what that leaves. */
  remove(
    identifier: string,
    precondition: Precondition | null,
    force: boolean,
  ): Promise<Outcome<LeftProfiles, RemoveRefusal | UnknownUpload>>;
  /** As it was uploaded; of the current version when none is named. */
  content(
    identifier: string,
    version: number | null,
  ): Promise<Outcome<Bytes, UnknownUpload | UnknownVersion>>;
  /** Null when there is none. */
  judge(identifier: string): Promise<ProfileVerdict | null>;
  /** Newest first; not more than are kept. */
  versions(identifier: string): Promise<Outcome<readonly ProfileVersion[], UnknownUpload>>;
  /** Stores an older one again, as a new version. */
  restore(
    identifier: string,
    version: number,
    by: Pick<ProfileInput, 'author' | 'unpairsWatches'>,
    precondition: Precondition,
    nowMs: EpochMs,
  ): Promise<Outcome<PutUpload<ProfileRecord>, PutProfileRefusal | UnknownUpload | UnknownVersion>>;
}
