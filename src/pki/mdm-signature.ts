/**
 * The `Mdm-Signature` header: base64 of a detached CMS signature over the exact body (facts 8, 19.1), empty for a
 * GET. Real ones are BER of indefinite length as well as DER, SHA-1 and SHA-256, with and without signed attributes.
 * This is the hot path of the server: nothing is parsed into objects but the certificate, and that once.
 *
 * It says who signed. Whether that certificate is one of ours is `ChainVerifier`, which device it is the subject.
 */
import { type Bytes, fromBase64 } from '../std/bytes.ts';
import { type Outcome, ok, refuse } from '../std/outcome.ts';
import type { SignaturePolicy } from './algorithms.ts';
import type { Certificate } from './certificate.ts';
import { type CmsRefusal, parseSignedData, verifySignedData } from './cms-signed.ts';
import { OID } from './oid.ts';

/** Characters of base64: real headers have 2,000 to 5,000. */
export const MDM_SIGNATURE_CHARACTERS_MAX = 16 * 1024;

/** Devices in the field still sign with SHA-1. Keys are those that our own profiles ask for. */
const POLICY: SignaturePolicy = { sha1: true, rsaBitsMin: 2048 };

export type MdmSignatureRefusal = CmsRefusal | { readonly kind: 'malformed-header'; readonly reason: string };

export async function verifyMdmSignature(
  header: string,
  body: Bytes,
): Promise<
  Outcome<
    { readonly signer: Certificate; readonly certificates: readonly Certificate[] },
    MdmSignatureRefusal
  >
> {
  if (header.length > MDM_SIGNATURE_CHARACTERS_MAX)
    return refuse({ kind: 'malformed-header', reason: 'too long' });
  const bytes = fromBase64(header);
  if (bytes === null) return refuse({ kind: 'malformed-header', reason: 'not base64' });
  const parsed = parseSignedData(bytes);
  if (!parsed.ok) return parsed;
  const signed = parsed.value;
  if (signed.contentType !== OID.data) return refuse({ kind: 'content-type-mismatch' });
  if (signed.content !== null) return refuse({ kind: 'malformed-cms', reason: 'content is not detached' });
  const verified = await verifySignedData(signed, body, POLICY);
  return verified.ok ? ok({ signer: verified.value, certificates: signed.certificates }) : verified;
}
