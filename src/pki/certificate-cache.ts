/**
 * The certificates that this isolate saw last, by their exact bytes. A device sends the same certificate with every
 * request; finding the same object again keeps what hangs on it: its imported key, its digest, its verified chain.
 *
 * A weak hash picks the slot and every byte is then compared, so a certificate made to collide can only push another
 * out of its slot. What is kept says nothing about trust. 2,048 certificates with their keys are about 8 MB.
 */
import type { Bytes } from '../std/bytes.ts';
import { equalBytes } from '../std/bytes.ts';
import { type Outcome, ok } from '../std/outcome.ts';
import { type Certificate, type CertificateRefusal, parseCertificate } from './certificate.ts';

export const CACHED_CERTIFICATES_MAX = 2048;

const cached = new Map<number, Certificate>();

/** The certificate that is exactly these bytes; the result holds a copy, never a view of a larger input. */
export function cachedCertificate(der: Bytes): Outcome<Certificate, CertificateRefusal> {
  const slot = slotOf(der);
  const found = cached.get(slot);
  if (found !== undefined && equalBytes(found.der, der)) return ok(found);
  const parsed = parseCertificate(der.slice());
  if (!parsed.ok) return parsed;
  if (found === undefined && cached.size >= CACHED_CERTIFICATES_MAX) {
    const oldest = cached.keys().next();
    if (!oldest.done) cached.delete(oldest.value);
  }
  cached.set(slot, parsed.value);
  return parsed;
}

/** The last octets of a certificate belong to its signature, and differ where anything differs. */
function slotOf(der: Bytes): number {
  let hash = der.length;
  for (let at = Math.max(0, der.length - 16); at < der.length; at++) {
    hash = (Math.imul(hash, 31) + (der[at] as number)) | 0;
  }
  return hash;
}
