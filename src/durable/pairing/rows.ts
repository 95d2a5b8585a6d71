/** Rows of the pairing object's tables and what they mean. */

import type { SerialNumber, Udid } from '../../domain/ids.ts';
import type { Challenge } from '../../domain/pairing/decisions.ts';
import type { Pairing, PairingReason, PairingState, TimelineEntry } from '../../domain/pairing/states.ts';
import type { EpochMs } from '../../std/time.ts';

export type PairingRow = {
  pairing_id: string;
  security_token: string;
  watch_serial: SerialNumber;
  phone_udid: Udid | null;
  state: PairingState;
  reason: PairingReason | null;
  redeemed_at_ms: EpochMs | null;
  started_at_ms: EpochMs;
  updated_at_ms: EpochMs;
  revision: number;
  timeline: string;
};

export type ChallengeRow = {
  security_token: string;
  pairing_id: string;
  serial: SerialNumber;
  source: string;
  issued_at_ms: EpochMs;
  expires_at_ms: EpochMs;
  phone_udid: Udid | null;
  claimed_at_ms: EpochMs | null;
};

export function toPairing(row: PairingRow, watchUdid: Udid): Pairing {
  return {
    pairingId: row.pairing_id,
    watchUdid,
    watchSerial: row.watch_serial,
    securityToken: row.security_token,
    phoneUdid: row.phone_udid,
    state: row.state,
    reason: row.reason,
    redeemedAtMs: row.redeemed_at_ms,
    startedAtMs: row.started_at_ms,
    updatedAtMs: row.updated_at_ms,
    revision: row.revision,
    // Written by this object alone.
    timeline: JSON.parse(row.timeline) as TimelineEntry[],
  };
}

export function toChallenge(row: ChallengeRow): Challenge {
  return {
    securityToken: row.security_token,
    pairingId: row.pairing_id,
    serial: row.serial,
    source: row.source,
    issuedAtMs: row.issued_at_ms,
    expiresAtMs: row.expires_at_ms,
    phoneUdid: row.phone_udid,
    claimedAtMs: row.claimed_at_ms,
  };
}
