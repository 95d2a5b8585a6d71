/**
 * A one-time credential: what an enrollment profile carries so that one device may get one certificate.
 *
 * It is written `<credentialId>.<secret>` and travels as the SCEP challengePassword (RFC 8894 §2.4). The id names
 * the object that keeps it; only the secret's digest is kept. The first use binds it to the requested key and
 * fixes the certificate's serial number and date, so the same key asking again (a lost reply) gets the same
 * certificate, byte for byte, and any other key gets nothing. Decisions only: no store, no clock.
 */
import { equalBytes, fromHex } from '../../std/bytes.ts';
import { type Outcome, ok, refuse } from '../../std/outcome.ts';
import { addMs, type EpochMs, HOUR_MS } from '../../std/time.ts';
import type { CredentialSubject } from './ports.ts';

/**
 * From handing out the profile to asking for the certificate: seconds for a watch, minutes for a phone that
 * waits at its setup screen. An hour forgives a dead network without leaving profiles of yesterday usable.
 */
export const CREDENTIAL_LIFETIME_MS = HOUR_MS;

/** After expiry the same key may still fetch its certificate again: Apple's client retries within minutes. */
export const CREDENTIAL_RETRY_MS = HOUR_MS;

export interface CredentialRecord {
  /** SHA-256 of the secret, lower-case hex. */
  readonly secretDigest: string;
  readonly subject: CredentialSubject;
  readonly expiresAtMs: EpochMs;
  readonly use: CredentialUse | null;
}

/** Fixed at the first use. */
export interface CredentialUse {
  /** SHA-256 of the SubjectPublicKeyInfo, lower-case hex. */
  readonly keyDigest: string;
  /** Of the certificate, lower-case hex. */
  readonly certificateSerialHex: string;
  readonly atMs: EpochMs;
}

export interface CredentialClaim {
  readonly secretDigest: string;
  readonly keyDigest: string;
  /** Used if this turns out to be the first use. */
  readonly certificateSerialHex: string;
  /** The UDIDs that the request's subject names; each must be the credential's. */
  readonly namedUdids: readonly string[];
}

export interface ConsumedCredential {
  readonly subject: CredentialSubject;
  readonly use: CredentialUse;
}

export type CredentialRefusal =
  | { readonly kind: 'credential-unknown' }
  | { readonly kind: 'credential-secret-wrong' }
  | { readonly kind: 'credential-expired'; readonly ageMs: number }
  | { readonly kind: 'credential-used'; readonly usedAtMs: EpochMs }
  | { readonly kind: 'subject-mismatch'; readonly named: string };

export type ConsumeOutcome = Outcome<ConsumedCredential, CredentialRefusal>;

/** The claim is right: what to answer, and the use to write down, unless it was written before. */
export function decideConsume(
  record: CredentialRecord | null,
  claim: CredentialClaim,
  nowMs: EpochMs,
): { readonly outcome: ConsumeOutcome; readonly firstUse: CredentialUse | null } {
  if (record === null) return { outcome: refuse({ kind: 'credential-unknown' }), firstUse: null };
  const refusal = whyNot(record, claim, nowMs);
  if (refusal !== null) return { outcome: refuse(refusal), firstUse: null };
  const { subject, use } = record;
  if (use !== null) return { outcome: ok({ subject, use }), firstUse: null };
  const { keyDigest, certificateSerialHex } = claim;
  const firstUse = { keyDigest, certificateSerialHex, atMs: nowMs };
  return { outcome: ok({ subject, use: firstUse }), firstUse };
}

/** The secret first: who does not know it learns nothing about the rest. */
function whyNot(record: CredentialRecord, claim: CredentialClaim, nowMs: EpochMs): CredentialRefusal | null {
  if (!sameDigest(record.secretDigest, claim.secretDigest)) return { kind: 'credential-secret-wrong' };
  const forgottenAtMs = addMs(record.expiresAtMs, record.use === null ? 0 : CREDENTIAL_RETRY_MS);
  if (nowMs >= forgottenAtMs) return { kind: 'credential-expired', ageMs: nowMs - record.expiresAtMs };
  const stranger = claim.namedUdids.find((named) => !sameUdid(named, record.subject.udid));
  if (stranger !== undefined) return { kind: 'subject-mismatch', named: stranger };
  if (record.use !== null && record.use.keyDigest !== claim.keyDigest) {
    return { kind: 'credential-used', usedAtMs: record.use.atMs };
  }
  return null;
}

/** Whether two digests agree, in a time that does not tell where they differ. */
function sameDigest(a: string, b: string): boolean {
  const left = fromHex(a);
  const right = fromHex(b);
  return left !== null && right !== null && equalBytes(left, right);
}

/** Apple prints the same UDID in either case. */
function sameUdid(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase();
}

const CHALLENGE = /^([0-9a-f]{32})\.([A-Za-z0-9_-]{43})$/;

/** `<credentialId>.<secret>`: 128 bits in hex to find the object, 256 bits in base64url to prove the right. */
export function parseChallenge(
  text: string,
): Outcome<{ credentialId: string; secret: string }, { kind: 'malformed-challenge' }> {
  const match = CHALLENGE.exec(text);
  if (match === null) return refuse({ kind: 'malformed-challenge' });
  return ok({ credentialId: match[1] as string, secret: match[2] as string });
}

export function encodeChallenge(credentialId: string, secret: string): string {
  return `${credentialId}.${secret}`;
}
