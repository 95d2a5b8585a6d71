/**
 * What a check-in message does to an enrollment. Pure: state and message in, the new state and what others must
 * be told out. Facts: protocol handbook section 2 (order Authenticate, TokenUpdate; a missing UnlockToken keeps
 * the stored one; a new Authenticate is a fresh enrollment).
 */
import type { Bytes } from '../../std/bytes.ts';
import { type Outcome, ok, refuse } from '../../std/outcome.ts';
import type { EpochMs } from '../../std/time.ts';
import type { SerialNumber } from '../ids.ts';
import type { DeviceRefusal, Enrollment, ExpectedIdentity } from './state.ts';

export interface AuthenticateFacts {
  readonly topic: string;
  /** Absent where access rights keep it back. */
  readonly serial: SerialNumber | null;
  readonly productName: string | null;
  readonly osVersion: string | null;
  readonly buildVersion: string | null;
}

export interface TokenUpdateFacts {
  readonly topic: string;
  readonly pushToken: Bytes;
  readonly pushMagic: string;
  /** Already sealed. Null when the message had none. */
  readonly unlockToken: Bytes | null;
}

/** The state after the message, and the pairing step that it completes, if any. */
export interface EnrollmentChange {
  readonly enrollment: Enrollment;
  /** True when everything that belonged to an earlier enrollment must go: queue, declarations' status. */
  readonly reset: boolean;
  readonly pairingStep: 'authenticated' | 'enrolled' | null;
}

/**
 * Who may speak: the pinned certificate, or a renewal of it at its first use. A checked-out device may only say
 * CheckOut again, because its first reply may have been lost.
 */
export function decideCaller(
  enrollment: Enrollment | null,
  expected: readonly ExpectedIdentity[],
  digest: string,
): Outcome<Enrollment, DeviceRefusal> {
  if (enrollment === null) return refuse({ kind: 'not-enrolled' });
  if (enrollment.state === 'checked-out') return refuse({ kind: 'checked-out' });
  if (enrollment.pin === digest) return ok(enrollment);
  const renewal = expected.find((identity) => identity.digest === digest);
  if (renewal?.renewalOf === enrollment.pin) return ok({ ...enrollment, pin: digest });
  return refuse({ kind: 'pin-mismatch' });
}

/**
 * Authenticate. Only a certificate that was issued for this device and has not been used may start an
 * enrollment; the pinned one repeats itself (a lost reply) and changes nothing, so that a replayed message
 * cannot wipe a live enrollment's tokens.
 */
export function decideAuthenticate(
  enrollment: Enrollment | null,
  expected: readonly ExpectedIdentity[],
  digest: string,
  facts: AuthenticateFacts,
  nowMs: EpochMs,
): Outcome<EnrollmentChange | null, DeviceRefusal> {
  if (enrollment !== null && enrollment.state !== 'checked-out' && enrollment.pin === digest) return ok(null);
  const identity = expected.find((candidate) => candidate.digest === digest);
  if (identity === undefined) return refuse({ kind: 'identity-unknown' });
  // The credential was for one UDID and one serial number; the certificate's subject binds the first.
  if (facts.serial !== null && facts.serial !== identity.serial) return refuse({ kind: 'serial-mismatch' });
  const fresh: Enrollment = {
    enrollmentId: digest,
    state: 'authenticated',
    pin: digest,
    platform: identity.platform,
    serial: identity.serial,
    pairingId: identity.pairingId,
    phoneUdid: identity.phoneUdid,
    topic: facts.topic,
    pushToken: null,
    pushMagic: null,
    unlockToken: null,
    bootstrapToken: null,
    productName: facts.productName,
    osVersion: facts.osVersion,
    buildVersion: facts.buildVersion,
    supervised: null,
    startedAtMs: nowMs,
    enrolledAtMs: null,
  };
  return ok({ enrollment: fresh, reset: true, pairingStep: 'authenticated' });
}

export function decideTokenUpdate(
  enrollment: Enrollment,
  facts: TokenUpdateFacts,
  nowMs: EpochMs,
): EnrollmentChange {
  const first = enrollment.state === 'authenticated';
  return {
    enrollment: {
      ...enrollment,
      state: 'enrolled',
      topic: facts.topic,
      pushToken: facts.pushToken,
      pushMagic: facts.pushMagic,
      unlockToken: facts.unlockToken ?? enrollment.unlockToken,
      enrolledAtMs: enrollment.enrolledAtMs ?? nowMs,
    },
    reset: false,
    pairingStep: first ? 'enrolled' : null,
  };
}

/** CheckOut ends the enrollment and forgets every secret of it; the record of who it was stays. */
export function decideCheckOut(enrollment: Enrollment): EnrollmentChange {
  return {
    enrollment: {
      ...enrollment,
      state: 'checked-out',
      pushToken: null,
      pushMagic: null,
      unlockToken: null,
      bootstrapToken: null,
    },
    reset: true,
    pairingStep: null,
  };
}
