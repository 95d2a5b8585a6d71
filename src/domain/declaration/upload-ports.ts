/** What uploads need from the fleet's records and from the seal. */

import type { JsonObject } from '../../protocol/plist/json.ts';
import type { Bytes } from '../../std/bytes.ts';
import type { Outcome } from '../../std/outcome.ts';
import type { EpochMs } from '../../std/time.ts';
import type { MalformedCursor, Page, PageQuery } from '../admin/services.ts';
import type { UploadResource } from '../admin/upload-services.ts';

/** What is stored beside a declaration that an upload made. Whoever read the store would see all but the data. */
export interface SealedUpload {
  readonly resource: UploadResource;
  readonly contentType: string;
  /** Of the data before it was sealed. */
  readonly size: number;
  /** Facts to list it by, none of them secret. */
  readonly details: JsonObject;
  /** Of the data, keyed; null for an asset, and for what was stored before there were any. */
  readonly fingerprint: string | null;
  /** The id of the administrator; null likewise. */
  readonly author: string | null;
  readonly sealed: Bytes;
}

export interface UploadRow extends Omit<SealedUpload, 'sealed' | 'resource'> {
  readonly identifier: string;
  readonly type: string;
  readonly serverToken: string;
  readonly updatedAtMs: EpochMs;
  /** Grows with every change of the data, and is never given again while a device's record names it. */
  readonly version: number;
}

/** What a profile is, or was before it changed. */
export interface UploadVersion extends Omit<SealedUpload, 'sealed' | 'resource' | 'contentType'> {
  readonly version: number;
  /** The one that its declaration has, or had last. */
  readonly serverToken: string;
  readonly storedAtMs: EpochMs;
}

export interface LoadedUpload extends SealedUpload {
  readonly version: number;
  readonly serverToken: string;
}

/** Uploads are written with their declaration, by the library's store, which keeps what a profile was before. */
export interface UploadStore {
  list(resource: UploadResource, page: PageQuery): Promise<Outcome<Page<UploadRow>, MalformedCursor>>;
  find(resource: UploadResource, identifier: string): Promise<UploadRow | null>;
  /** With its data, and the server token that it was stored under: one read. */
  load(identifier: string): Promise<LoadedUpload | null>;
  /** Of a profile, newest first, the current one among them; empty when there is no such profile. */
  versions(identifier: string): Promise<readonly UploadVersion[]>;
  /** Null when there is no such profile, or it has no such version any more. */
  loadVersion(
    identifier: string,
    version: number,
  ): Promise<(UploadVersion & { readonly sealed: Bytes }) | null>;
  /** Of these, the ones that are profiles. */
  profilesAmong(identifiers: readonly string[]): Promise<readonly UploadRow[]>;
  /** Of these profiles and their kept versions, by identifier and version. */
  payloadUuids(identifiers: readonly string[]): Promise<ReadonlyMap<string, ReadonlyMap<number, string>>>;
}

/** Sealed data opens under its own identifier only. */
export interface UploadSeal {
  seal(identifier: string, data: Bytes): Promise<Bytes>;
  /** Null when it does not open: sealed with another key or for another identifier, or damaged. */
  open(identifier: string, sealed: Bytes): Promise<Bytes | null>;
  /** The same for the same data of one identifier; tells nothing of it to whoever lacks the key. */
  fingerprint(identifier: string, data: Bytes): Promise<string>;
}
