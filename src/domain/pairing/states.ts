/**
 * One pairing: its states, its reasons, its timeline (design section 2). A pairing begins with a challenge and
 * ends enrolled, expired or refused; there is one pairing for each challenge issued.
 *
 * States only go forward. A refusal is an entry on the timeline and takes nothing back, because a stranger can
 * provoke most of them. The exception is `refused`: the token was good, so the phone took part, but that phone may
 * no longer host a watch.
 */
import { type EpochMs, epochMs } from '../../std/time.ts';
import type { SerialNumber, Udid } from '../ids.ts';
import { DETAIL_CHARS_MAX, TIMELINE_ENTRIES_MAX, TIMELINE_RESERVED } from './limits.ts';

export type PairingState =
  | 'challenged'
  | 'claimed'
  | 'redeemed'
  | 'identity-issued'
  | 'authenticated'
  | 'enrolled'
  | 'expired'
  | 'refused';

/** The steps that others report: the identity register and the watch's own device object. */
export type ProgressStep = 'identity-issued' | 'authenticated' | 'enrolled';

/** Why a phone got no token (design section 2, step 3). */
export type ClaimReason =
  | 'parameters-missing'
  | 'phone-mismatch'
  | PhoneReason
  | 'challenge-unknown'
  | 'challenge-consumed'
  | 'challenge-expired'
  | 'claimed-by-another-phone';

/** Why an iPhone may not host a watch now. */
export type PhoneReason = 'phone-not-enrolled' | 'phone-not-assigned' | 'phone-unsupervised';

/** What was wrong with a token before anyone asked for its challenge, in the order of the checks. */
export type TokenReason =
  | 'token-malformed'
  | 'token-signature'
  | 'token-issuer'
  | 'token-audience'
  | 'token-expired'
  | 'token-other-watch';

/** Why a token was not redeemed (design section 2, step 4), in the order of the checks. */
export type RedemptionReason =
  | TokenReason
  | 'challenge-unknown'
  | 'challenge-consumed'
  | 'challenge-expired'
  | 'serial-mismatch'
  | 'challenge-unclaimed'
  | 'claimed-by-another-phone'
  | PhoneReason;

/** Why a watch got no challenge. */
export type ChallengeReason = 'source-rate' | 'watch-rate' | 'too-many-challenges';

/** Why a pairing ended by itself. */
export type ExpiryReason = 'superseded' | 'not-claimed' | 'not-redeemed' | 'no-identity';

export type PairingReason = ClaimReason | RedemptionReason | ChallengeReason | ExpiryReason;

export interface TimelineEntry {
  /** RFC 3339 in UTC with milliseconds. */
  readonly at: string;
  readonly step: PairingState;
  readonly outcome: 'ok' | 'refused';
  readonly reason?: PairingReason;
  readonly detail?: string;
  /** On a full timeline: how many later entries were only counted here. */
  readonly repeats?: number;
}

export interface Pairing {
  readonly pairingId: string;
  readonly watchUdid: Udid;
  readonly watchSerial: SerialNumber;
  /** Of the challenge that began it. Kept after the challenge is gone, to tell a used token from an unknown one. */
  readonly securityToken: string;
  readonly phoneUdid: Udid | null;
  readonly state: PairingState;
  /** Of the state, when it is `expired` or `refused`. */
  readonly reason: PairingReason | null;
  readonly redeemedAtMs: EpochMs | null;
  readonly startedAtMs: EpochMs;
  readonly updatedAtMs: EpochMs;
  /** Raised with each change: an older projection never overwrites a newer one. */
  readonly revision: number;
  readonly timeline: readonly TimelineEntry[];
}

export interface Note {
  readonly step: PairingState;
  readonly reason?: PairingReason | null;
  readonly detail?: string | null;
}

/** What each state leads on from; `expired` and `refused` are entered through their reason instead. */
const RANK: Readonly<Record<PairingState, number>> = {
  challenged: 1,
  claimed: 2,
  redeemed: 3,
  'identity-issued': 4,
  authenticated: 5,
  enrolled: 6,
  expired: 7,
  refused: 7,
};

export function beginPairing(
  identity: Pick<Pairing, 'pairingId' | 'watchUdid' | 'watchSerial' | 'securityToken'>,
  nowMs: EpochMs,
): Pairing {
  return {
    ...identity,
    phoneUdid: null,
    state: 'challenged',
    reason: null,
    redeemedAtMs: null,
    startedAtMs: nowMs,
    updatedAtMs: nowMs,
    revision: 0,
    timeline: [],
  };
}

/** Adds an entry and, where it leads on, moves the state. The one way in which a pairing changes. */
export function advance(pairing: Pairing, note: Note, nowMs: EpochMs): Pairing {
  const reason = note.reason ?? null;
  const ends = note.step === 'expired' || note.step === 'refused';
  const moves = ends || (reason === null && isForward(pairing, note.step));
  const timeline = appendEntry(pairing.timeline, note, nowMs);
  // A full timeline only counts: nothing that others are told of has changed.
  const counted = timeline.length === pairing.timeline.length && !moves;
  return {
    ...pairing,
    state: moves ? note.step : pairing.state,
    reason: moves ? reason : pairing.reason,
    updatedAtMs: epochMs(Math.max(nowMs, pairing.updatedAtMs)),
    revision: counted ? pairing.revision : pairing.revision + 1,
    timeline,
  };
}

/** Whether this step leads on from what was reached. A redeemed pairing that expired may still be overtaken. */
export function isForward(pairing: Pairing, step: PairingState): boolean {
  const overtakable = pairing.state === 'expired' && pairing.redeemedAtMs !== null;
  return RANK[step] > RANK[overtakable ? 'redeemed' : pairing.state];
}

export function appendEntry(
  timeline: readonly TimelineEntry[],
  note: Note,
  nowMs: EpochMs,
): readonly TimelineEntry[] {
  const entry: TimelineEntry = {
    at: new Date(nowMs).toISOString(),
    step: note.step,
    outcome: note.reason ? 'refused' : 'ok',
    ...(note.reason ? { reason: note.reason } : {}),
    ...(note.detail ? { detail: note.detail.slice(0, DETAIL_CHARS_MAX) } : {}),
  };
  const last = timeline.at(-1);
  const places = isMilestone(timeline, entry)
    ? TIMELINE_ENTRIES_MAX
    : TIMELINE_ENTRIES_MAX - TIMELINE_RESERVED;
  if (last === undefined || timeline.length < places) return [...timeline, entry];
  return [...timeline.slice(0, -1), { ...last, repeats: (last.repeats ?? 0) + 1 }];
}

/** A step that went well for the first time, or the end: seven at most, and none may be crowded out. */
function isMilestone(timeline: readonly TimelineEntry[], entry: TimelineEntry): boolean {
  if (entry.step === 'expired' || entry.step === 'refused') return true;
  return entry.outcome === 'ok' && !timeline.some((e) => e.step === entry.step && e.outcome === 'ok');
}
