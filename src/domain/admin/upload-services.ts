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
import type { Changed, Precondition, PutRefusal, RemoveRefusal } from './declaration-services.ts';
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

export interface ProfileRecord extends UploadRecord, ProfileDetails {}

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
  /** XML, or signed around it: kept as it is. */
  readonly profile: Bytes;
  /** Takes payload types and keys that the catalog does not know. */
  readonly allowUnknown: boolean;
}

export interface ProfileLibrary extends UploadLibrary<ProfileRecord, ProfileInput, ProfileRefusal> {
  content(identifier: string): Promise<Bytes | null>;
}
