/**
 * Rules of the four certificate payloads (facts 6): what PayloadContent holds is read, and what is out of date is told.
 * It may be written as text, PEM or base64, and becomes what the device takes: DER, for `.pem` the PEM itself. A
 * private key beside a certificate in PEM is refused: no device uses it, and every device would hold it.
 */
import type { Certificate } from '../../pki/certificate.ts';
import { toPem } from '../../pki/pem.ts';
import type { JsonObject } from '../../protocol/plist/json.ts';
import { type Bytes, equalBytes, fromBase64, readUtf8, toBase64, utf8 } from '../../std/bytes.ts';
import type { Outcome } from '../../std/outcome.ts';
import { toTimestamp } from '../../std/time.ts';
import {
  readCertificateDer,
  readCertificateText,
  readIdentity,
  type Unreadable,
} from './certificate-content.ts';
import type { PlacedFindings } from './findings.ts';
import { dataOf, textOf } from './keys.ts';

const CONTENT = 'PayloadContent';
const CERTIFICATE = 'CERTIFICATE';
const RSA_BITS_MIN = 2048;

export function prepareDer(keys: JsonObject, found: PlacedFindings): JsonObject {
  const text = textOf(keys, CONTENT);
  if (text === undefined) return keys;
  const read = readCertificateText(text);
  if (read.ok) return withContent(keys, read.value.der);
  found.problem(CONTENT, 'certificate', read.refusal.expected);
  return keys;
}

/** In one form whatever its line ends were: the same certificate makes the same profile. */
export function preparePem(keys: JsonObject, found: PlacedFindings): JsonObject {
  const data = dataOf(keys, CONTENT);
  const text = data === undefined ? textOf(keys, CONTENT) : (readUtf8(data) ?? '');
  if (text === undefined) return keys;
  const read = readCertificateText(text);
  if (read.ok && !hasPrivateKey(text)) return withContent(keys, utf8(toPem(CERTIFICATE, read.value.der)));
  const expected = read.ok ? 'a certificate without its private key' : read.refusal.expected;
  found.problem(CONTENT, 'certificate', expected);
  return keys;
}

export function preparePkcs12(keys: JsonObject, found: PlacedFindings): JsonObject {
  const text = textOf(keys, CONTENT);
  if (text === undefined) return keys;
  const file = fromBase64(text);
  if (file !== null) return withContent(keys, file);
  found.problem(CONTENT, 'identity', 'a PKCS#12 file in base64');
  return keys;
}

export function judgeDer(keys: JsonObject, found: PlacedFindings): Certificate | null {
  const read = readCertificateDer(dataOf(keys, CONTENT) ?? new Uint8Array());
  return certificateIn(read, found);
}

export function judgeRoot(keys: JsonObject, found: PlacedFindings): void {
  const certificate = judgeDer(keys, found);
  if (certificate !== null && !equalBytes(certificate.issuer, certificate.subject))
    found.warning(
      CONTENT,
      'certificate',
      'a root: another issued this one, and it belongs in .pkcs1 or .pem',
    );
}

export function judgePem(keys: JsonObject, found: PlacedFindings): void {
  const text = readUtf8(dataOf(keys, CONTENT) ?? new Uint8Array()) ?? '';
  certificateIn(readCertificateText(text), found);
}

/** Without a password it is opened with the empty one: nobody is asked while a server installs it. */
export async function judgePkcs12(keys: JsonObject, found: PlacedFindings): Promise<void> {
  const file = dataOf(keys, CONTENT) ?? new Uint8Array();
  const read = await readIdentity(file, textOf(keys, 'Password') ?? '');
  if (!read.ok) {
    const { part, expected } = read.refusal;
    if (part === 'password') found.problem('Password', 'password', expected);
    else found.problem(CONTENT, 'identity', expected);
    return;
  }
  for (const der of read.value.certificateDers) {
    const certificate = readCertificateDer(der);
    if (certificate.ok) judgeDates(certificate.value, found);
  }
}

function certificateIn(read: Outcome<Certificate, Unreadable>, found: PlacedFindings): Certificate | null {
  if (!read.ok) {
    found.problem(CONTENT, 'certificate', read.refusal.expected);
    return null;
  }
  const { rsaBits } = read.value;
  judgeDates(read.value, found);
  if (rsaBits !== null && rsaBits < RSA_BITS_MIN)
    found.warning(CONTENT, 'weak', `a key of at least ${RSA_BITS_MIN} bits`);
  return read.value;
}

function judgeDates({ notBeforeMs, notAfterMs }: Certificate, found: PlacedFindings): void {
  const { nowMs } = found.all;
  if (nowMs > notAfterMs)
    found.warning(CONTENT, 'expired', `a certificate in force: this one ended ${toTimestamp(notAfterMs)}`);
  if (nowMs < notBeforeMs) {
    const expected = `a certificate in force: this one begins ${toTimestamp(notBeforeMs)}`;
    found.warning(CONTENT, 'not-yet-valid', expected);
  }
}

function hasPrivateKey(text: string): boolean {
  return /-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(text);
}

function withContent(keys: JsonObject, bytes: Bytes): JsonObject {
  return { ...keys, [CONTENT]: { $data: toBase64(bytes) } };
}
