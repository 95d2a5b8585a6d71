/**
 * The certificates an administrator pins for watch enrollment: PEM in, DER out. An anchor judges the TLS chain
 * of `EnrollmentProfileURL` on the iPhone; it may be a CA or the server's own leaf, so neither is demanded here.
 * A certificate that this server cannot read is refused, because a phone that cannot either ends the pairing.
 */
import { parseCertificate } from '../../pki/certificate.ts';
import { parsePem } from '../../pki/pem.ts';
import { type Bytes, equalBytes } from '../../std/bytes.ts';
import { type Outcome, ok, refuse } from '../../std/outcome.ts';

export type AnchorRefusal =
  | { readonly kind: 'malformed-anchor'; readonly index: number; readonly reason: string }
  | { readonly kind: 'duplicate-anchor'; readonly index: number };

/** A chain has at most six certificates; eight leave room for the next server certificate beside the old. */
export const ANCHORS_MAX = 8;
/** 16 KiB of PEM is 12 KiB of DER: RSA-8192 with every common extension takes half. */
export const ANCHOR_CHARS_MAX = 16 * 1024;

const LABEL = 'CERTIFICATE';

export function parseAnchors(pems: readonly string[]): Outcome<Bytes[], AnchorRefusal> {
  const anchors: Bytes[] = [];
  for (const [index, pem] of pems.entries()) {
    const [der, ...more] = parsePem(pem, LABEL);
    if (der === undefined || more.length > 0) {
      return refuse({ kind: 'malformed-anchor', index, reason: 'exactly one certificate in PEM' });
    }
    const certificate = parseCertificate(der);
    if (!certificate.ok) {
      return refuse({ kind: 'malformed-anchor', index, reason: certificate.refusal.reason });
    }
    if (anchors.some((anchor) => equalBytes(anchor, der))) {
      return refuse({ kind: 'duplicate-anchor', index });
    }
    anchors.push(der);
  }
  return ok(anchors);
}
