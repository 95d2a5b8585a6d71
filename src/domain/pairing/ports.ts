/** What pairing needs from elsewhere, as promises. */
import type { Bytes } from '../../std/bytes.ts';
import type { Outcome } from '../../std/outcome.ts';
import type { EpochMs } from '../../std/time.ts';
import type { CredentialSubject } from '../identity/ports.ts';
import type { SerialNumber, Udid } from '../ids.ts';
import type {
  ChallengeReason,
  ClaimReason,
  Pairing,
  PhoneReason,
  ProgressStep,
  RedemptionReason,
} from './states.ts';
import type { PairingClaims, PresentedToken, TokenRefusal } from './token.ts';

/** Values that nobody has had before, for a challenge that may have to be issued. */
export interface FreshIds {
  readonly securityToken: string;
  readonly pairingId: string;
}

/** One verified MachineInfo, as far as the object needs it. */
export interface WatchRequest {
  readonly watchUdid: Udid;
  readonly serial: SerialNumber;
  /** The address it came from, as limits count it. */
  readonly source: string;
  /** How the signer's subject looks (facts 19.11). */
  readonly signerForm: string;
  readonly fresh: FreshIds;
}

export type IssuedChallenge = { readonly securityToken: string; readonly pairingId: string };

export interface ClaimRequest {
  readonly watchUdid: Udid;
  readonly phoneUdid: Udid;
  readonly securityToken: string;
  readonly fault: ClaimReason | null;
}

/** `recorded`: whether the security token was this watch's, and the refusal thus stands on its timeline. */
export type ClaimRefusal = { readonly kind: ClaimReason; readonly recorded: boolean };

export interface Redemption {
  readonly request: WatchRequest;
  readonly token: Outcome<PresentedToken, TokenRefusal>;
  readonly phone: PhoneReason | null;
}

export type RedemptionAnswer =
  | { readonly kind: 'redeemed'; readonly pairingId: string; readonly phoneUdid: Udid }
  | { readonly kind: 'challenge'; readonly because: RedemptionReason; readonly challenge: IssuedChallenge }
  | { readonly kind: 'refused'; readonly because: RedemptionReason };

export type ProgressRefusal = { readonly kind: 'pairing-unknown' | 'pairing-not-redeemed' };

/**
 * The watches' objects. Each call is one transaction in one object and durable on return. Whoever controlled the
 * store could let a watch enroll with a used token, but mint none: those are signed elsewhere.
 */
export interface PairingStore {
  challenge(
    request: WatchRequest,
    nowMs: EpochMs,
  ): Promise<Outcome<IssuedChallenge, { readonly kind: ChallengeReason }>>;
  claim(
    request: ClaimRequest,
    nowMs: EpochMs,
  ): Promise<Outcome<{ readonly pairingId: string }, ClaimRefusal>>;
  /** At most one call for a security token ever answers `redeemed`. */
  redeem(redemption: Redemption, nowMs: EpochMs): Promise<RedemptionAnswer>;
  /** Idempotent; a step already passed changes nothing. */
  progress(
    watchUdid: Udid,
    pairingId: string,
    step: ProgressStep,
    nowMs: EpochMs,
  ): Promise<Outcome<null, ProgressRefusal>>;
  /** What the object still holds, newest first. */
  history(watchUdid: Udid): Promise<readonly Pairing[]>;
}

/** The object's records, copied to where the fleet is asked about. Idempotent by pairing and revision. */
export interface PairingArchive {
  /** An older revision never overwrites a newer one. */
  put(pairings: readonly Pairing[]): Promise<void>;
  /** Only for pairings that no phone ever claimed. */
  remove(pairingIds: readonly string[]): Promise<void>;
}

export type PhoneStanding = 'hosting' | 'not-enrolled' | 'not-assigned' | 'unsupervised';

/** Whether an iPhone is enrolled here and watch enrollment is assigned to it, as its own object says now. */
export interface PhoneDirectory {
  hosting(phoneUdid: Udid): Promise<{ readonly kind: PhoneStanding }>;
}

/** Signs and verifies ES256 with the keys of the JWKS. Checks no claim but `iss`, by which it picks the key. */
export interface TokenKeys {
  sign(claims: PairingClaims): Promise<string>;
  /** Takes issuers other than us from configuration; throws `Unavailable` when their keys cannot be had. */
  verify(
    token: string,
  ): Promise<
    Outcome<
      Readonly<Record<string, unknown>>,
      { readonly kind: 'token-malformed' | 'token-signature' | 'token-issuer' }
    >
  >;
}

export interface DeviceInfo {
  readonly udid: Udid;
  readonly serial: SerialNumber;
  /** Such as `Watch6,1` or `iPhone14,2`. */
  readonly product: string;
  readonly pairingToken: Bytes | null;
  readonly signerForm: string;
}

export type MachineInfoRefusal = {
  readonly kind: 'machine-info-malformed' | 'machine-info-unverified';
  /** For the log. */
  readonly detail: string;
};

/** Signature, chain, then contents of a signed MachineInfo (facts 5 and 7). */
export interface MachineInfoVerifier {
  verify(cms: Bytes, nowMs: EpochMs): Promise<Outcome<DeviceInfo, MachineInfoRefusal>>;
}

/** Builds the enrollment profile around a one-time credential. Unsigned. */
export interface ProfileBuilder {
  build(subject: CredentialSubject, challenge: string): Bytes | Promise<Bytes>;
}

/** Wraps a profile in CMS as this server. */
export interface ProfileSigner {
  sign(profile: Bytes): Promise<Bytes>;
}

export type ListingRefusal = {
  readonly kind: 'serial-not-expected' | 'serial-bound-to-another-device';
  readonly serial: SerialNumber;
};

/** Serial numbers whose iPhones may enroll by themselves. A listing admits one device until it is renewed. */
export interface ExpectedSerials {
  /** Whether the serial number is listed, for whichever device. */
  isExpected(serial: SerialNumber): Promise<boolean>;
  /**
   * Keeps the listing for this device: of devices that ask at once one wins, and it may ask again. Durable on return.
   * Whoever controlled the store could list what it likes: it stands for the administrator here.
   */
  bind(serial: SerialNumber, udid: Udid): Promise<Outcome<{ readonly listedAtMs: EpochMs }, ListingRefusal>>;
}

/** `ended`: it checked out, and nobody has enrolled by this UDID since. */
export type EnrollmentStanding =
  | { readonly kind: 'unknown' }
  | { readonly kind: 'live'; readonly serial: SerialNumber; readonly startedAtMs: EpochMs }
  | { readonly kind: 'ended'; readonly serial: SerialNumber };

/** What a device's own object says now. Leaves nothing behind for a UDID that was never here. */
export interface EnrollmentStandings {
  standing(udid: Udid): Promise<EnrollmentStanding>;
}
