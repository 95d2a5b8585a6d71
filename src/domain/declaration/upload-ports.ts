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
  readonly sealed: Bytes;
}

export interface UploadRow extends Omit<SealedUpload, 'sealed' | 'resource'> {
  readonly identifier: string;
  readonly type: string;
  readonly serverToken: string;
  readonly updatedAtMs: EpochMs;
}

/** Uploads are written with their declaration, by the library's store. */
export interface UploadStore {
  list(resource: UploadResource, page: PageQuery): Promise<Outcome<Page<UploadRow>, MalformedCursor>>;
  find(resource: UploadResource, identifier: string): Promise<UploadRow | null>;
  /** With its data, and the server token that it was stored under: one read. */
  load(identifier: string): Promise<(SealedUpload & { readonly serverToken: string }) | null>;
}

/** Sealed data opens under its own identifier only. */
export interface UploadSeal {
  seal(identifier: string, data: Bytes): Promise<Bytes>;
  /** Null when it does not open: sealed with another key or for another identifier, or damaged. */
  open(identifier: string, sealed: Bytes): Promise<Bytes | null>;
}
