/**
 * The certificates that this isolate saw lately, by their exact bytes; beyond the limit the one kept longest goes. A device sends the same certificate with every
 * request; finding the same object again keeps what hangs on it: its imported key, its digest, its verified chain.
 *
 * A weak hash picks the slot and every byte is then compared, so a certificate made to collide can only push another
 * out of its slot. What is kept says nothing about trust: anyone may fill it, at 2,048 times 4 KiB with 8 MiB of DER
 * and about as much again in objects and imported keys. Larger certificates are read, and not kept.
 */
import type { Bytes } from '../std/bytes.ts';
import { equalBytes } from '../std/bytes.ts';
import { type Outcome, ok } from '../std/outcome.ts';
import { type Certificate, type CertificateRefusal, parseCertificate } from './certificate.ts';

export const CACHED_CERTIFICATES_MAX = 2048;
/** Those that devices sign with have 0.8 to 2 KB, attestation leaves 3 KB. */
export const CACHED_CERTIFICATE_BYTES_MAX = 4 * 1024;

const cached = new Map<number, Certificate>();

/** The certificate that is exactly these bytes; the result holds a copy, never a view of a larger input. */
export function cachedCertificate(der: Bytes): Outcome<Certificate, CertificateRefusal> {
  const slot = slotOf(der);
  const found = cached.get(slot);
  if (found !== undefined && equalBytes(found.der, der)) return ok(found);
  const parsed = parseCertificate(der.slice());
  if (!parsed.ok || der.length > CACHED_CERTIFICATE_BYTES_MAX) return parsed;
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
