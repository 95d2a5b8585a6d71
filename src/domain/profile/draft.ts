/**
 * A profile as an administrator describes it. Words outside `keys` are this server's and become the envelope; what is
 * inside `keys` is the payload's own, in Apple's names, with data and dates marked as in every property list here.
 */
import type { JsonObject } from '../../protocol/plist/json.ts';
import type { Bytes } from '../../std/bytes.ts';
import type { EpochMs } from '../../std/time.ts';
import type { Platform } from '../ids.ts';
import type { Finding } from './findings.ts';

/** A device keeps one of most types; the largest profiles in the field have some twenty payloads. */
export const PAYLOADS_MAX = 50;
/** Opening one takes up to 100,000 iterations of its key derivation, some three times over. */
export const IDENTITIES_MAX = 5;

export interface ProfileDraft {
  readonly displayName: string;
  readonly description?: string | undefined;
  readonly organization?: string | undefined;
  /** Without it the profile is for any: what one platform lacks is a warning. */
  readonly platform?: Platform | undefined;
  readonly removalDate?: EpochMs | undefined;
  readonly removalDisallowed?: boolean | undefined;
  readonly payloads: readonly PayloadDraft[];
}

export interface PayloadDraft {
  readonly type: string;
  /** Unique in the profile: what references say, and what makes the PayloadUUID. */
  readonly name: string;
  readonly displayName?: string | undefined;
  readonly description?: string | undefined;
  readonly keys: JsonObject;
}

export interface BuiltPayload {
  readonly name: string;
  readonly type: string;
  readonly payloadIdentifier: string;
  readonly payloadUuid: string;
}

export interface BuiltProfile {
  readonly profile: Bytes;
  readonly payloadIdentifier: string;
  readonly payloadUuid: string;
  readonly payloads: readonly BuiltPayload[];
  readonly warnings: readonly Finding[];
}

export type InvalidProfile = {
  readonly kind: 'invalid-profile';
  readonly problems: readonly Finding[];
  readonly warnings: readonly Finding[];
};
