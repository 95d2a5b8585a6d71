/**
 * The client certificate of a request as the edge saw it: `request.cf.tlsClientAuth`, which only the edge sets. No
 * header counts, since anyone can send one. Without a certificate, or where the edge does not ask for any, there is
 * none here; one that the edge did not find good is refused.
 */
import type { EdgeCertificate } from '../domain/identity/device-verifier.ts';
import { type Outcome, ok, refuse } from '../std/outcome.ts';

/** `reason` is the edge's own word: `NONE`, `FAILED:…`, or `revoked`. */
export type EdgeRefusal = { readonly kind: 'edge-certificate-refused'; readonly reason: string };

const REASON_CHARS_MAX = 64;

/** Null when there is none. */
export function edgeCertificate(request: Request): Outcome<EdgeCertificate | null, EdgeRefusal> {
  const tls = (request.cf as { readonly tlsClientAuth?: unknown } | undefined)?.tlsClientAuth;
  const facts = (typeof tls === 'object' ? (tls ?? {}) : {}) as Readonly<Record<string, unknown>>;
  if (facts['certPresented'] !== '1') return ok(null);
  const verified = String(facts['certVerified']);
  if (verified !== 'SUCCESS')
    return refuse({ kind: 'edge-certificate-refused', reason: verified.slice(0, REASON_CHARS_MAX) });
  if (facts['certRevoked'] === '1') return refuse({ kind: 'edge-certificate-refused', reason: 'revoked' });
  const digest = String(facts['certFingerprintSHA256']).toLowerCase();
  if (!/^[0-9a-f]{64}$/.test(digest))
    return refuse({ kind: 'edge-certificate-refused', reason: 'no SHA-256' });
  return ok({ digest });
}
