/** What issuing an identity needs from elsewhere. */
import type { EpochMs } from '../../std/time.ts';
import type { Platform, SerialNumber, Udid } from '../ids.ts';

/** How a device earned the right to ask for a certificate. Kept with the certificate, for ever. */
export type CredentialOrigin =
  | { readonly kind: 'pairing'; readonly pairingId: string; readonly phoneUdid: Udid }
  | { readonly kind: 'link'; readonly linkId: string }
  | { readonly kind: 'expected-serial'; readonly listedAtMs: EpochMs };

/** The device that a one-time credential is bound to. */
export interface CredentialSubject {
  readonly udid: Udid;
  readonly serial: SerialNumber;
  readonly platform: Platform;
  readonly origin: CredentialOrigin;
}

/** A certificate was issued to a device's key. */
export interface IssuedIdentity {
  readonly subject: CredentialSubject;
  readonly credentialId: string;
  /** SHA-256 of the DER, lower-case hex. */
  readonly certificateDigest: string;
  readonly certificateDer: Uint8Array<ArrayBuffer>;
  readonly serialHex: string;
  /** When the credential was first used, however often its request is repeated; for a renewal, this renewal. */
  readonly issuedAtMs: EpochMs;
  readonly notBeforeMs: EpochMs;
  readonly notAfterMs: EpochMs;
  /** On renewal: the digest of the certificate that signed the request. */
  readonly renewalOf: string | null;
}

/**
 * Told before the device gets its certificate. When it returns, the device's object will accept that
 * certificate (and for a renewal, the old one until the new is first used), and the record is durable.
 * Idempotent by digest. Throws `Unavailable`; the device then retries SCEP.
 */
export interface IdentityRegister {
  issued(identity: IssuedIdentity, nowMs: EpochMs): Promise<void>;
  /**
   * Whether this certificate is the device's current one: what a renewal must be signed with. Signing one is a use, so
   * a renewed certificate that was not used before becomes the current one by it.
   */
  isCurrent(udid: Udid, certificateDigest: string, nowMs: EpochMs): Promise<boolean>;
}

/**
 * Mints the one-time credential that goes into an enrollment profile. Single use is the promise: the challenge
 * yields at most one certificate key, for this UDID and serial, before it expires.
 */
export interface CredentialMint {
  mint(
    subject: CredentialSubject,
    nowMs: EpochMs,
  ): Promise<{ credentialId: string; challenge: string; expiresAtMs: EpochMs }>;
}

/** Without the time of issue, which only the device's object compares; the certificate's own start has it to the second. */
export type CertificateRecord = Omit<IssuedIdentity, 'issuedAtMs'>;

/**
 * The record of every certificate issued here, for ever. `insert` is durable on return and idempotent by digest;
 * `find` returns `null` for a certificate that was never issued. Both throw `Unavailable`. Whoever controlled the
 * store could hide a certificate or make a renewal continue another device's record, not forge a certificate.
 */
export interface CertificateRecords {
  insert(certificate: CertificateRecord): Promise<void>;
  find(certificateDigest: string): Promise<CertificateRecord | null>;
}
