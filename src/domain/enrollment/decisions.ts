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
 * Authenticate. Only a certificate that was issued for this device, is no renewal, and is newer than the one that
 * began the last enrollment may start one. The pinned certificate repeats itself (a lost reply) and changes
 * nothing, so that neither a replayed message nor a repeated SCEP request can bring an old enrollment back.
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
  if (identity === undefined || !mayBegin(enrollment, identity)) return refuse({ kind: 'identity-unknown' });
  // The credential was for one UDID and one serial number; the certificate's subject binds the first.
  if (facts.serial !== null && facts.serial !== identity.serial) return refuse({ kind: 'serial-mismatch' });
  if (enrollment !== null && !mayReplace(enrollment, identity)) return refuse({ kind: 'enrollment-live' });
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
    identityIssuedAtMs: identity.issuedAtMs,
    startedAtMs: nowMs,
    enrolledAtMs: null,
    endedAtMs: null,
    presumedEnd: null,
  };
  return ok({ enrollment: fresh, reset: true, pairingStep: 'authenticated' });
}

/** Whether this certificate is one that an enrollment may begin with, now or ever again. */
export function mayBegin(enrollment: Enrollment | null, identity: ExpectedIdentity): boolean {
  if (identity.renewalOf !== null) return false;
  return enrollment === null || identity.issuedAtMs > enrollment.identityIssuedAtMs;
}

/**
 * MachineInfo names its UDID and nobody proves it (handbook 19.11). So a UDID never changes its platform while it is
 * enrolled, and a listed serial number neither takes over a live enrollment that is newer than the listing nor a
 * UDID that was another serial number's.
 */
function mayReplace(enrollment: Enrollment, identity: ExpectedIdentity): boolean {
  const live = enrollment.state !== 'checked-out';
  if (live && identity.platform !== enrollment.platform) return false;
  if (identity.permittedAtMs === null) return true;
  return identity.serial === enrollment.serial && !(live && identity.permittedAtMs <= enrollment.startedAtMs);
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
export function decideCheckOut(enrollment: Enrollment, nowMs: EpochMs): EnrollmentChange {
  return {
    enrollment: {
      ...enrollment,
      state: 'checked-out',
      pushToken: null,
      pushMagic: null,
      unlockToken: null,
      bootstrapToken: null,
      endedAtMs: nowMs,
    },
    reset: true,
    pairingStep: null,
  };
}

/** A device that speaks again is not gone. The same enrollment if nobody thought so. */
export function decideHeard(enrollment: Enrollment): Enrollment {
  return enrollment.presumedEnd === null ? enrollment : { ...enrollment, presumedEnd: null };
}
