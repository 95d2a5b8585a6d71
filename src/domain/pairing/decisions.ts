/**
 * The three questions that only a watch's own object may answer, as pure functions of what it holds: may this
 * watch have a challenge, may this phone claim one, is this token to be redeemed (design sections 2 to 4).
 *
 * Nothing here reads a clock, a store or a random value; the object loads, decides and applies in one transaction.
 */
import { type Outcome, ok, refuse } from '../../std/outcome.ts';
import type { EpochMs } from '../../std/time.ts';
import type { SerialNumber, Udid } from '../ids.ts';
import {
  CHALLENGES_PER_SOURCE_MAX,
  CHALLENGES_PER_WATCH_MAX,
  LIVE_CHALLENGES_MAX,
  REFUSALS_IN_ROW_MAX,
} from './limits.ts';
import type { ChallengeReason, ClaimReason, Pairing, PhoneReason, RedemptionReason } from './states.ts';
import type { PresentedToken } from './token.ts';

/** A live challenge: consumed and expired ones have no row. */
export interface Challenge {
  readonly securityToken: string;
  readonly pairingId: string;
  readonly serial: SerialNumber;
  readonly source: string;
  readonly issuedAtMs: EpochMs;
  readonly expiresAtMs: EpochMs;
  readonly phoneUdid: Udid | null;
  readonly claimedAtMs: EpochMs | null;
}

/** Challenges of the last hour: of one source, of the network around it, of the watch in all. */
export interface ChallengeCounts {
  readonly bySource: number;
  readonly byNetwork: number;
  readonly byWatch: number;
}

/** Which unclaimed challenge makes room, if one must. */
export function decideChallenge(
  live: readonly Challenge[],
  counts: ChallengeCounts,
): Outcome<{ readonly evict: Challenge | null }, { readonly kind: ChallengeReason }> {
  if (counts.bySource >= CHALLENGES_PER_SOURCE_MAX) return refuse({ kind: 'source-rate' });
  if (counts.byWatch >= CHALLENGES_PER_WATCH_MAX && counts.byNetwork > 0)
    return refuse({ kind: 'watch-rate' });
  if (live.length < LIVE_CHALLENGES_MAX) return ok({ evict: null });
  const [oldest] = live.filter((c) => c.phoneUdid === null).sort((a, b) => a.issuedAtMs - b.issuedAtMs);
  return oldest === undefined ? refuse({ kind: 'too-many-challenges' }) : ok({ evict: oldest });
}

/** What the object knows of a security token: its live challenge, or the pairing that it once began. */
export interface Lookup {
  readonly challenge: Challenge | null;
  readonly pairing: Pairing | null;
}

export interface Claiming {
  readonly phoneUdid: Udid;
  /** What was wrong before the challenge was looked at; `null` when nothing was. */
  readonly fault: ClaimReason | null;
}

/** Design section 2, step 3. The first phone owns the challenge; asking again is no offense. */
export function decideClaim(
  found: Lookup,
  claiming: Claiming,
): Outcome<Challenge, { readonly kind: ClaimReason }> {
  if (claiming.fault !== null) return refuse({ kind: claiming.fault });
  const gone = whyNotLive(found);
  if (gone !== null || found.challenge === null) return refuse({ kind: gone ?? 'challenge-unknown' });
  const owner = found.challenge.phoneUdid;
  if (owner !== null && owner !== claiming.phoneUdid) return refuse({ kind: 'claimed-by-another-phone' });
  return ok(found.challenge);
}

export interface Redeeming {
  readonly serial: SerialNumber;
  readonly token: PresentedToken;
  /** Looked up beforehand, judged at its place in the order. `null`: the phone may host. */
  readonly phone: PhoneReason | null;
}

/** Design section 2, step 4, from `nonce` on; what comes before it needs no object. */
export function decideRedemption(
  found: Lookup,
  redeeming: Redeeming,
): Outcome<Challenge, { readonly kind: RedemptionReason }> {
  const { token } = redeeming;
  const gone = whyNotLive(found);
  if (gone !== null || found.challenge === null) return refuse({ kind: gone ?? 'challenge-unknown' });
  const { challenge } = found;
  if (challenge.serial !== redeeming.serial) return refuse({ kind: 'serial-mismatch' });
  // Another issuer's claim never came by here: its token binds the phone now, in the same transaction.
  if (challenge.phoneUdid === null && token.foreignIssuer === null)
    return refuse({ kind: 'challenge-unclaimed' });
  if (challenge.phoneUdid !== null && challenge.phoneUdid !== token.phoneUdid) {
    return refuse({ kind: 'claimed-by-another-phone' });
  }
  if (redeeming.phone !== null) return refuse({ kind: redeeming.phone });
  return ok(challenge);
}

/**
 * Whether a refused token earns a fresh challenge. The count is of refusals to one source in the last hour, not
 * of the watch: a stranger's bad tokens do not use up the watch's own. A redemption sets it back to none.
 */
export function deservesChallenge(reason: RedemptionReason, refusalsBefore: number): boolean {
  return !endsPairing(reason) && refusalsBefore < REFUSALS_IN_ROW_MAX;
}

/** The token was good but its phone may not host: a next `GetToken` would be refused, so people are told at once. */
export function endsPairing(reason: RedemptionReason): reason is PhoneReason {
  return (
    reason === 'phone-not-enrolled' || reason === 'phone-not-assigned' || reason === 'phone-unsupervised'
  );
}

function whyNotLive(found: Lookup): 'challenge-unknown' | 'challenge-consumed' | 'challenge-expired' | null {
  if (found.challenge !== null) return null;
  if (found.pairing === null) return 'challenge-unknown';
  const unused = found.pairing.state === 'expired' && found.pairing.redeemedAtMs === null;
  return unused ? 'challenge-expired' : 'challenge-consumed';
}
