/**
 * A one-time enrollment link: an administrator's word that one named phone may have a profile, once.
 *
 * The code in the URL is 256 bits; the object that keeps the grant is named by the code's SHA-256, so whoever
 * reads the store cannot use a link. Taking is strict: the second take is refused, even by the same caller,
 * because the profile behind it carries a fresh credential. Decisions only: no store, no clock.
 */
import { type Outcome, ok, refuse } from '../../std/outcome.ts';
import { addMs, DAY_MS, type EpochMs, HOUR_MS, MINUTE_MS } from '../../std/time.ts';
import type { Platform, SerialNumber, Udid } from '../ids.ts';

/** Long enough to carry a phone to the desk; an administrator may ask for more, up to a month. */
const LINK_LIFETIME_MS = HOUR_MS;
const LINK_LIFETIME_MS_MIN = MINUTE_MS;
const LINK_LIFETIME_MS_MAX = 30 * DAY_MS;

/** How long a link that is over is remembered, so that its holder is told why. */
export const LINK_MEMORY_MS = DAY_MS;

export interface LinkGrant {
  readonly udid: Udid;
  readonly serial: SerialNumber;
  readonly platform: Platform;
  /** Whether the profile behind the link is signed. */
  readonly signed: boolean;
}

export interface LinkRecord {
  readonly linkId: string;
  readonly grant: LinkGrant;
  readonly expiresAtMs: EpochMs;
  readonly takenAtMs: EpochMs | null;
}

/** `linkId` is safe to show and to store: it does not open the link. */
export type TakenLink = LinkGrant & { readonly linkId: string };

export type LinkRefusal =
  | { readonly kind: 'link-unknown' }
  | { readonly kind: 'link-used'; readonly takenAtMs: EpochMs }
  | { readonly kind: 'link-expired'; readonly expiresAtMs: EpochMs };

export type TakeOutcome = Outcome<TakenLink, LinkRefusal>;

/** On `ok` the caller writes `takenAtMs` before anyone else can look. */
export function decideTake(record: LinkRecord | null, nowMs: EpochMs): TakeOutcome {
  if (record === null) return refuse({ kind: 'link-unknown' });
  if (record.takenAtMs !== null) return refuse({ kind: 'link-used', takenAtMs: record.takenAtMs });
  if (nowMs >= record.expiresAtMs) return refuse({ kind: 'link-expired', expiresAtMs: record.expiresAtMs });
  return ok({ ...record.grant, linkId: record.linkId });
}

/** When an administrator's wish is a sensible lifetime, that; else the nearest that is. */
export function linkExpiry(ttlSeconds: number | undefined, nowMs: EpochMs): EpochMs {
  const wishedMs = ttlSeconds === undefined ? LINK_LIFETIME_MS : ttlSeconds * 1000;
  return addMs(nowMs, Math.min(LINK_LIFETIME_MS_MAX, Math.max(LINK_LIFETIME_MS_MIN, Math.trunc(wishedMs))));
}
