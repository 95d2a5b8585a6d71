/**
 * From a sealed SCEP request to a certification request that proves possession of its key, or to one refusal.
 *
 * Whoever sends a manipulated envelope must not learn how far it came: that is the question of Bleichenbacher and
 * Manger (was the RSA padding right?) and of Vaudenay (was the CBC padding right?). Therefore:
 *   1. A wrong RSA padding yields a substitute key, the same for the same ciphertext; decryption goes on.
 *   2. A wrong CBC padding takes nothing off; reading goes on.
 *   3. Bytes that are no request cost one public-key verification all the same, over as many bytes, with the
 *      signer's key. A request that can be read costs the same, with its own.
 *   4. All three ends meet in `request-unreadable`. The reply is signed in every case.
 * What remains is the reader's own work: 0.6 µs for garbage, 1.8 µs for a whole request with a wrong end, of 2,200 µs
 * for the answer, and that a whole request was found is no news to who sent it. Refusals after this point need an intact request with a valid proof.
 */
import type { Certificate } from '../../pki/certificate.ts';
import { type Envelope, openEnvelope } from '../../pki/cms-enveloped.ts';
import type { SignedData } from '../../pki/cms-signed.ts';
import { type Csr, parseCsr, verifyCsr } from '../../pki/csr.ts';
import type { Opener } from '../../pki/keys.ts';
import { OID } from '../../pki/oid.ts';
import type { Bytes } from '../../std/bytes.ts';
import { type Outcome, ok, refuse } from '../../std/outcome.ts';

export type OpeningRefusal = { readonly kind: 'request-unreadable' };

export async function openRequest(
  envelope: Envelope,
  opener: Opener,
  signed: SignedData,
  signer: Certificate,
): Promise<Outcome<Csr, OpeningRefusal>> {
  const content = await openEnvelope(envelope, opener);
  const csr = parseCsr(content);
  const proven = await verifyCsr(csr.ok ? csr.value : standIn(content, signed, signer));
  return csr.ok && proven ? ok(csr.value) : refuse({ kind: 'request-unreadable' });
}

/** Something to verify where nothing could be read: it fails, after the same work. */
function standIn(content: Bytes, signed: SignedData, signer: Certificate): Csr {
  return {
    info: content,
    subject: signer.subject,
    spki: signer.spki,
    key: { kind: 'RSA', bits: signer.rsaBits ?? 0 },
    challengePassword: null,
    signatureAlgorithm: OID.sha256WithRsa,
    signature: signed.signature,
  };
}
