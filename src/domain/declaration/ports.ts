/** What declarations need from the fleet's records, the renderings at the edge, and cryptography. */
import type { JsonObject } from '../../protocol/plist/json.ts';
import type { Bytes } from '../../std/bytes.ts';
import type { EpochMs } from '../../std/time.ts';
import type { Udid } from '../ids.ts';
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

export interface WatchEnrollmentAssignment {
  readonly assignedAtMs: EpochMs;
  /** SHA-256 of each pinned anchor in lower-case hex, in the administrator's order. */
  readonly anchors: readonly string[];
}

/** The declarations and assignments of the fleet. Durable on return; one call is one transaction. */
export interface DeclarationStore {
  /** Stores the declarations and assets, and the assignment that uses them, together. */
  assign(
    phone: Udid,
    assignment: WatchEnrollmentAssignment,
    declarations: readonly Declaration[],
    assets: readonly Asset[],
  ): Promise<void>;
  withdraw(phone: Udid): Promise<void>;
  assignment(phone: Udid): Promise<WatchEnrollmentAssignment | null>;
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
