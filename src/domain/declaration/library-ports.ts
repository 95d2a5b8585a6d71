/** What the declarations of administrators, their sets and the manifests made of them need from the fleet's records. */

import type { Outcome } from '../../std/outcome.ts';
import type { EpochMs } from '../../std/time.ts';
import type {
  DeclarationFilter,
  DeclarationRecord,
  DeclarationSummary,
  Holders,
  SetDevice,
  SetRecord,
} from '../admin/declaration-services.ts';
import type { MalformedCursor, Page, PageQuery } from '../admin/services.ts';
import type { Udid } from '../ids.ts';
import type { DeclarationKind, ManifestEntry } from './manifest.ts';

export interface StoredDeclaration extends DeclarationRecord {
  readonly salt: string | null;
}

/** Durable on return. Writes compare and set: false means that nothing was written. */
export interface LibraryStore {
  list(
    filter: DeclarationFilter,
    page: PageQuery,
  ): Promise<Outcome<Page<DeclarationSummary>, MalformedCursor>>;
  find(identifier: string): Promise<StoredDeclaration | null>;
  /** False when the identifier is taken. */
  insert(declaration: StoredDeclaration, targets: readonly string[]): Promise<boolean>;
  /** False when the stored token is not `serverToken`. Null targets leave what it refers to as it is. */
  replace(
    declaration: StoredDeclaration,
    targets: readonly string[] | null,
    serverToken: string,
  ): Promise<boolean>;
  /** False when the token is another, or something refers to it. */
  remove(identifier: string, serverToken: string): Promise<boolean>;
  holders(identifier: string): Promise<Holders>;
  /** Of those that exist. */
  kindsOf(identifiers: readonly string[]): Promise<ReadonlyMap<string, DeclarationKind>>;
  /** At most `limit` of the devices whose sets hold the declaration. */
  devicesWith(identifier: string, limit: number): Promise<readonly Udid[]>;
}

export interface SetStore {
  list(page: PageQuery): Promise<Outcome<Page<SetRecord>, MalformedCursor>>;
  find(name: string): Promise<SetRecord | null>;
  put(name: string, identifiers: readonly string[], nowMs: EpochMs): Promise<void>;
  /** False when there is none, or it is assigned. */
  remove(name: string): Promise<boolean>;
  devicesOf(name: string, limit: number): Promise<readonly Udid[]>;
  /** By UDID; empty when there is no such set. */
  listDevices(name: string, page: PageQuery): Promise<Outcome<Page<SetDevice>, MalformedCursor>>;
  /** False when there is no such set. */
  assign(name: string, udid: Udid, nowMs: EpochMs): Promise<boolean>;
  unassign(name: string, udid: Udid): Promise<void>;
  setsOf(udid: Udid): Promise<readonly string[]>;
}

export interface AssignedDeclaration extends ManifestEntry {
  readonly type: string;
}

/** What is assigned to one device. */
export interface Assigned {
  readonly sets: ReadonlyMap<string, readonly AssignedDeclaration[]>;
  /** Empty without watch enrollment; `unrecorded` when the assignment is older than the record of what it made. */
  readonly watchEnrollment: readonly AssignedDeclaration[] | 'unrecorded';
}

/** Reads may be torn by a change between them; whoever made the change reads after it. */
export interface AssignmentSource {
  /** One answer for each UDID, known or not. */
  assigned(udids: readonly Udid[]): Promise<ReadonlyMap<Udid, Assigned>>;
}
