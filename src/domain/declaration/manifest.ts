/**
 * What one device is to hold. `DeclarationsToken` is a function of the entries alone: the same set, in whatever
 * order and whenever computed, has the same token, so a device never syncs for ever (handbook 19.12).
 */
import type { EpochMs } from '../../std/time.ts';

/** Identifiers of the server's own declarations begin so; an administrator's never do. */
export const RESERVED_PREFIX = 'com.escapement.';

export type DeclarationKind = 'activation' | 'asset' | 'configuration' | 'management';

export interface ManifestEntry {
  readonly kind: DeclarationKind;
  readonly identifier: string;
  readonly serverToken: string;
}

export interface Manifest {
  readonly declarationsToken: string;
  /** When this set came into force: the `Timestamp` of SyncTokens. */
  readonly changedAtMs: EpochMs;
  readonly entries: readonly ManifestEntry[];
}

/** One declaration as the device last described it in `management.declarations`. */
export interface DeclarationStatus {
  readonly identifier: string;
  readonly serverToken: string;
  readonly active: boolean;
  readonly valid: 'valid' | 'invalid' | 'unknown';
  readonly reasons: readonly { readonly code: string; readonly description: string | null }[];
}

/** The bytes whose digest is the token. Identifiers hold no line feed: `parse` refuses control characters. */
export function manifestContent(entries: readonly ManifestEntry[]): string {
  return entries
    .map((entry) => `${entry.kind}\n${entry.identifier}\n${entry.serverToken}\n`)
    .sort()
    .join('');
}
