/**
 * What one device's enrollment is, as its own object holds it. The certificate that Authenticated is the pin:
 * nothing but it, or a renewal of it that was issued here, speaks for the device afterwards.
 */
import type { Bytes } from '../../std/bytes.ts';
import type { EpochMs } from '../../std/time.ts';
import type { Platform, SerialNumber } from '../ids.ts';
import type { PresumedEnd } from './ending.ts';

/** `authenticated` is "started"; TokenUpdate makes it `enrolled` (Apple: push only after the first one). */
export type EnrollmentState = 'authenticated' | 'enrolled' | 'checked-out';

export interface Enrollment {
  /** Digest of the certificate that Authenticated: one enrollment, one name, also across renewals. */
  readonly enrollmentId: string;
  readonly state: EnrollmentState;
  /** SHA-256 of the pinned certificate's DER, lower-case hex. */
  readonly pin: string;
  readonly platform: Platform;
  readonly serial: SerialNumber;
  readonly pairingId: string | null;
  /** The iPhone that a watch was paired through. */
  readonly phoneUdid: string | null;
  readonly topic: string | null;
  readonly pushToken: Bytes | null;
  readonly pushMagic: string | null;
  /** Sealed under the storage key; opened only to build ClearPasscode. */
  readonly unlockToken: Bytes | null;
  /** Sealed likewise. */
  readonly bootstrapToken: Bytes | null;
  readonly productName: string | null;
  readonly osVersion: string | null;
  readonly buildVersion: string | null;
  /** As far as the device has told; null is "not known". */
  readonly supervised: boolean | null;
  /** When the certificate that Authenticated was issued: only one issued later may begin the next enrollment. */
  readonly identityIssuedAtMs: EpochMs;
  readonly startedAtMs: EpochMs;
  readonly enrolledAtMs: EpochMs | null;
  /** When it checked out. */
  readonly endedAtMs: EpochMs | null;
  /** Why the device is expected to be gone although it did not check out. */
  readonly presumedEnd: PresumedEnd | null;
}

/** A certificate issued here for this device that has not spoken yet. */
export interface ExpectedIdentity {
  readonly digest: string;
  readonly platform: Platform;
  readonly serial: SerialNumber;
  readonly pairingId: string | null;
  readonly phoneUdid: string | null;
  /** Digest of the certificate that it replaces, when it is a renewal. */
  readonly renewalOf: string | null;
  /** The first time it was issued, however often it is repeated since. */
  readonly issuedAtMs: EpochMs;
  /**
   * Null where what led to it names this very device (a link, a pairing). Otherwise when an administrator allowed
   * it: a live enrollment that began later stays.
   */
  readonly permittedAtMs: EpochMs | null;
}

/**
 * A device that SCEP answers twice may hold several certificates for a moment; more than this is a loop. Renewals
 * are counted apart, so that they cannot push out the certificate of an enrollment that is about to begin.
 */
export const EXPECTED_IDENTITIES_MAX = 4;

/** Why a device's message is not acted on. To the device all of these are a bare 403. */
export type DeviceRefusal =
  | { readonly kind: 'not-enrolled' }
  | { readonly kind: 'checked-out' }
  | { readonly kind: 'pin-mismatch' }
  | { readonly kind: 'identity-unknown' }
  /** Authenticate named another serial number than the credential was for. */
  | { readonly kind: 'serial-mismatch' }
  /** The UDID belongs to a live enrollment that this certificate may not replace. */
  | { readonly kind: 'enrollment-live' };
