/**
 * Certificates and identities as administrators bring them: a certificate as PEM or DER, an identity as a PKCS#12 file
 * with its password. A reason is for people and quotes nothing of what was read.
 */
import { type Certificate, parseCertificate } from '../../pki/certificate.ts';
import { parsePem } from '../../pki/pem.ts';
import { type Pkcs12, readPkcs12 } from '../../pki/pkcs12.ts';
import { type Bytes, fromBase64 } from '../../std/bytes.ts';
import { type Outcome, ok, refuse } from '../../std/outcome.ts';

/** `expected` says what should have been there. */
export interface Unreadable {
  readonly kind: 'unreadable';
  readonly expected: string;
}

export interface UnreadableIdentity extends Unreadable {
  readonly part: 'file' | 'password';
}

const CERTIFICATE = 'CERTIFICATE';

/** One certificate as text: PEM, or DER in base64. */
export function readCertificateText(text: string): Outcome<Certificate, Unreadable> {
  const isPem = text.includes('-----BEGIN');
  const [der, ...more] = isPem ? parsePem(text, CERTIFICATE) : [fromBase64(text)];
  if (der === undefined || der === null || more.length > 0)
    return unreadable(isPem ? 'exactly one certificate in PEM' : 'PEM, or DER in base64');
  return readCertificateDer(der);
}

export function readCertificateDer(der: Bytes): Outcome<Certificate, Unreadable> {
  const parsed = parseCertificate(der);
  return parsed.ok ? parsed : unreadable(`a certificate: ${parsed.refusal.reason}`);
}

export async function readIdentity(
  file: Bytes,
  password: string,
): Promise<Outcome<Pkcs12, UnreadableIdentity>> {
  const read = await readPkcs12(file, password);
  if (read.ok) return ok(read.value);
  const { kind, reason } = read.refusal;
  if (kind === 'wrong-password') return refuse({ kind: 'unreadable', part: 'password', expected: reason });
  const what = kind === 'malformed-pkcs12' ? 'a PKCS#12 file' : 'another PKCS#12 file';
  return refuse({ kind: 'unreadable', part: 'file', expected: `${what}: ${reason}` });
}

function unreadable(expected: string) {
  return refuse<Unreadable>({ kind: 'unreadable', expected });
}
