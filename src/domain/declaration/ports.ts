/** What declarations need from the fleet's records, the renderings at the edge, and cryptography. */
import type { JsonObject } from '../../protocol/plist/json.ts';
import type { Bytes } from '../../std/bytes.ts';
import type { EpochMs } from '../../std/time.ts';
import type { Udid } from '../ids.ts';
import type { Change } from './due.ts';
import type { DeclarationKind, ManifestEntry } from './manifest.ts';

export interface Declaration {
  readonly kind: DeclarationKind;
  readonly identifier: string;
  readonly type: string;
  readonly payload: JsonObject;
  /** A digest of type and payload: same content, same token. */
  readonly serverToken: string;
}

export interface Asset {
  readonly identifier: string;
  readonly contentType: string;
  readonly data: Bytes;
}

/** One iPhone, or the iPhones of a group; everyone's is the group `everyone`. */
export type WatchEnrollmentTarget =
  | { readonly kind: 'device'; readonly udid: Udid }
  | { readonly kind: 'group'; readonly name: string };

export interface WatchEnrollmentAssignment {
  /** The group that it was assigned to; null for an iPhone's own. */
  readonly group: string | null;
  readonly assignedAtMs: EpochMs;
  /** SHA-256 of each pinned anchor in lower-case hex, in the administrator's order. */
  readonly anchors: readonly string[];
}

export interface CompiledWatchEnrollment {
  readonly declarations: readonly Declaration[];
  readonly assets: readonly Asset[];
  /** SHA-256 of each anchor in lower-case hex, in the order given, each once. */
  readonly anchors: readonly string[];
}

/** The declarations and assignments of the fleet. Durable on return; one call is one transaction. */
export interface DeclarationStore {
  /** Stores the declarations and assets, and the assignment that uses them, together. False for an unknown group. */
  assign(target: WatchEnrollmentTarget, compiled: CompiledWatchEnrollment, change: Change): Promise<boolean>;
  withdraw(target: WatchEnrollmentTarget, change: Change): Promise<void>;
  /** The one that counts: the iPhone's own, else of its groups the first by name, else everyone's. */
  assignment(phone: Udid): Promise<WatchEnrollmentAssignment | null>;
  ofGroup(name: string): Promise<WatchEnrollmentAssignment | null>;
  /** By name. */
  groups(): Promise<readonly WatchEnrollmentAssignment[]>;
  find(identifier: string): Promise<Declaration | null>;
  asset(identifier: string): Promise<Asset | null>;
  /** Pairings that this iPhone claimed. */
  countPairings(phone: Udid): Promise<number>;
}

/**
 * Rendered declarations by identifier and server token, so an entry is never stale; it may be missing, and then
 * the store is asked. Decides nothing.
 */
export interface RenderedDeclarations {
  get(entry: ManifestEntry): Promise<Bytes | null>;
  put(entry: ManifestEntry, body: Bytes): Promise<void>;
}

/** SHA-256 in lower-case hex. */
export type Sha256Hex = (bytes: Bytes) => Promise<string>;
