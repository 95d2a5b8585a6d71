/**
 * Signed MachineInfo (facts 7, 19.10, 20): CMS with its content attached, signed by the identity that Apple put into
 * the device. Its chain ended years ago, is RSA-1024 and SHA-1 in places, and Apple tells verifiers to ignore dates:
 * the `ChainVerifier` given here is the one place that is configured to allow that. It also demands a device issuer:
 * every developer's certificate chains to the same Apple Root CA.
 *
 * It identifies a device and proves nothing (facts 19.11), so the form of the signer's subject is told as well.
 */
import type { Bytes } from '../std/bytes.ts';
import { type Outcome, ok, refuse } from '../std/outcome.ts';
import type { EpochMs } from '../std/time.ts';
import type { SignaturePolicy } from './algorithms.ts';
import type { Certificate } from './certificate.ts';
import type { ChainRefusal, ChainVerifier } from './chain.ts';
import { type CmsRefusal, parseSignedData, verifySignedData } from './cms-signed.ts';
import { subjectForm } from './name.ts';
import { OID } from './oid.ts';

/** Octets: a watch's was seen with 3,762; a chain of four RSA-4096 certificates adds some 6,000. */
export const MACHINE_INFO_BYTES_MAX = 64 * 1024;

/** Apple iPhone Device CA has an RSA-1024 key and signs with SHA-1, and so do the devices under it. */
const POLICY: SignaturePolicy = { sha1: true, rsaBitsMin: 1024 };

/**
 * The capture has no extended key usage that is known of (facts 19.10), but a device identity may serve TLS at either
 * end, so these two pass. Signing code, mail or anything else is what other certificates of Apple's are for.
 */
const PURPOSES: ReadonlySet<string> = new Set([OID.clientAuth, OID.serverAuth]);

export type MachineInfoSignatureRefusal =
  | CmsRefusal
  | ChainRefusal
  | { readonly kind: 'signer-purpose'; readonly purpose: string };

export interface SignedMachineInfo {
  /** The plist that was signed. */
  readonly content: Bytes;
  readonly signer: Certificate;
  /** 'CN only' of genuine leaves; 'full subject' of the device keys that circulate in public; see `subjectForm`. */
  readonly signerForm: string;
}

export async function verifyMachineInfoSignature(
  cms: Bytes,
  chain: ChainVerifier,
  nowMs: EpochMs,
): Promise<Outcome<SignedMachineInfo, MachineInfoSignatureRefusal>> {
  if (cms.length > MACHINE_INFO_BYTES_MAX) return refuse({ kind: 'malformed-cms', reason: 'too large' });
  const parsed = parseSignedData(cms);
  if (!parsed.ok) return parsed;
  const { content, contentType, certificates } = parsed.value;
  if (contentType !== OID.data) return refuse({ kind: 'content-type-mismatch' });
  if (content === null) return refuse({ kind: 'malformed-cms', reason: 'no content' });
  const verified = await verifySignedData(parsed.value, content, POLICY);
  if (!verified.ok) return verified;
  const signer = verified.value;
  const trusted = await chain.verify(signer, certificates, nowMs);
  if (!trusted.ok) return trusted;
  const purpose = signer.extendedKeyUsage?.find((named) => !PURPOSES.has(named));
  if (purpose !== undefined) return refuse({ kind: 'signer-purpose', purpose });
  return ok({ content, signer, signerForm: subjectForm(signer.subject) });
}
