/**
 * X.509 certificates (RFC 5280 §4.1), read in place from DER: every field that chain building and signature checks
 * need, as views of the input. It reads; it does not judge. Signatures and constraints are `chain.ts`, names `name.ts`.
 * BER is refused here: the signature covers the DER of the tbsCertificate, so no other form can verify.
 */
import { type Bytes, equalBytes, toHex } from '../std/bytes.ts';
import { type Outcome, ok, refuse } from '../std/outcome.ts';
import { type EpochMs, epochMs } from '../std/time.ts';
import { type Curve, type KeyAlgorithm, readAlgorithm } from './algorithms.ts';
import { BerReader, TAG } from './ber.ts';
import { OID } from './oid.ts';

export { subjectAttributes } from './name.ts';

/** keyUsage bits (RFC 5280 §4.2.1.3): named bit n is `1 << n`. */
export const KEY_USAGE = { digitalSignature: 1 << 0, keyEncipherment: 1 << 2, keyCertSign: 1 << 5 } as const;

export interface Certificate {
  readonly der: Bytes;
  /** The signed part, identifier and length included. */
  readonly tbs: Bytes;
  /** Content octets of the INTEGER. */
  readonly serialNumber: Bytes;
  /** Names and key as they stand, identifier and length included. */
  readonly issuer: Bytes;
  readonly subject: Bytes;
  readonly spki: Bytes;
  readonly notBeforeMs: EpochMs;
  readonly notAfterMs: EpochMs;
  /** Dotted identifier. */
  readonly signatureAlgorithm: string;
  readonly signature: Bytes;
  readonly isCa: boolean;
  readonly pathLength: number | null;
  readonly keyUsage: number | null;
  /** Dotted purposes; `null` without the extension, which then limits nothing (RFC 5280 §4.2.1.12). */
  readonly extendedKeyUsage: readonly string[] | null;
  readonly subjectKeyIdentifier: Bytes | null;
  /** The first critical extension that nothing here understands. */
  readonly unhandledCritical: string | null;
  readonly keyAlgorithm: KeyAlgorithm;
  readonly rsaBits: number | null;
}

export type CertificateRefusal = { readonly kind: 'malformed-certificate'; readonly reason: string };

/** 16 KiB: device certificates have 0.8 to 2 KB, attestation leaves 3 KB. */
export const CERTIFICATE_BYTES_MAX = 16 * 1024;
/** Extensions read at most; attestation leaves have about fifteen. */
const EXTENSIONS_MAX = 64;

const VERSION = 0xa0;
const ISSUER_UNIQUE_ID = 0x81;
const SUBJECT_UNIQUE_ID = 0x82;
const EXTENSIONS = 0xa3;

/** Read here, or without effect on whether a chain holds (no policy is asked for, no name is matched). */
const HANDLED: ReadonlySet<string> = new Set([
  OID.basicConstraints,
  OID.keyUsage,
  OID.extendedKeyUsage,
  OID.subjectAltName,
  OID.subjectKeyIdentifier,
  OID.authorityKeyIdentifier,
  OID.certificatePolicies,
]);
/** Apple marks its own extensions critical; they say what a certificate is for and take no right away. */
const APPLE_EXTENSIONS = '1.2.840.113635.100.';

const CURVES: ReadonlyMap<string, Curve> = new Map<string, Curve>([
  [OID.p256, 'P-256'],
  [OID.p384, 'P-384'],
  [OID.p521, 'P-521'],
]);

interface Extensions {
  isCa: boolean;
  pathLength: number | null;
  keyUsage: number | null;
  extendedKeyUsage: readonly string[] | null;
  subjectKeyIdentifier: Bytes | null;
  unhandledCritical: string | null;
}

/** The certificate that is exactly these bytes. The result holds views of them: do not change them afterwards. */
export function parseCertificate(der: Bytes): Outcome<Certificate, CertificateRefusal> {
  if (der.length > CERTIFICATE_BYTES_MAX) return malformed('too large');
  const outer = new BerReader(der, { der: true });
  outer.enter(TAG.sequence);
  const tbs = outer.raw();
  const algorithmAt = outer.offset;
  const signatureAlgorithm = readAlgorithm(outer);
  const algorithm = der.subarray(algorithmAt, outer.offset);
  const signature = outer.bitString();
  outer.leave();
  if (!outer.finish()) return malformed(outer.error ?? '');

  const reader = new BerReader(tbs, { der: true });
  reader.enter(TAG.sequence);
  const version = readVersion(reader);
  const serialNumber = reader.integer();
  // RFC 5280 §4.1.1.2: the signed algorithm and the one beside the signature are the same.
  if (!equalBytes(reader.raw(), algorithm)) reader.fail('signature algorithms differ');
  const issuer = readName(reader, tbs);
  reader.enter(TAG.sequence);
  const notBeforeMs = readTime(reader);
  const notAfterMs = readTime(reader);
  reader.leave();
  const subject = readName(reader, tbs);
  const spki = reader.raw();
  const extensions = readTail(reader, version);
  reader.leave();
  if (!reader.finish()) return malformed(reader.error ?? '');
  const key = readKey(spki);
  if (key === null) return malformed('malformed public key');
  return ok({
    der,
    tbs,
    serialNumber,
    issuer,
    subject,
    spki,
    notBeforeMs,
    notAfterMs,
    signatureAlgorithm,
    signature,
    ...extensions,
    ...key,
  });
}

function malformed(reason: string) {
  return refuse<CertificateRefusal>({ kind: 'malformed-certificate', reason });
}

function readVersion(reader: BerReader): number {
  if (reader.peek() !== VERSION) return 0;
  reader.enter(VERSION);
  const version = reader.smallInteger();
  reader.leave();
  if (version > 2) reader.fail('unknown version');
  return version;
}

/** A Name in its outline: RDNs of attributes, whose values are left alone. */
function readName(reader: BerReader, tbs: Bytes): Bytes {
  const start = reader.offset;
  reader.enter(TAG.sequence);
  while (reader.more()) {
    reader.enter(TAG.set);
    while (reader.more()) {
      reader.enter(TAG.sequence);
      reader.oid();
      reader.skip();
      reader.leave();
    }
    reader.leave();
  }
  reader.leave();
  return tbs.subarray(start, reader.offset);
}

/** What may follow the key: unique identifiers, and from version 3 extensions. */
function readTail(reader: BerReader, version: number): Extensions {
  const extensions: Extensions = {
    isCa: false,
    pathLength: null,
    keyUsage: null,
    extendedKeyUsage: null,
    subjectKeyIdentifier: null,
    unhandledCritical: null,
  };
  if (reader.peek() === ISSUER_UNIQUE_ID) reader.skip();
  if (reader.peek() === SUBJECT_UNIQUE_ID) reader.skip();
  if (reader.peek() !== EXTENSIONS) return extensions;
  if (version !== 2) reader.fail('extensions before version 3');
  reader.enter(EXTENSIONS);
  reader.enter(TAG.sequence);
  const seen = new Set<string>();
  while (reader.more()) {
    reader.enter(TAG.sequence);
    const type = reader.oid();
    const critical = reader.peek() === TAG.boolean && reader.boolean();
    const value = reader.octetString();
    reader.leave();
    // RFC 5280 §4.2: a certificate has at most one of each.
    if (seen.has(type) || seen.size >= EXTENSIONS_MAX) reader.fail('repeated or too many extensions');
    seen.add(type);
    if (reader.error === null && !readExtension(type, value, extensions))
      reader.fail(`malformed extension ${type}`);
    if (critical && !HANDLED.has(type) && !type.startsWith(APPLE_EXTENSIONS))
      extensions.unhandledCritical ??= type;
  }
  reader.leave();
  reader.leave();
  return extensions;
}

function readExtension(type: string, value: Bytes, into: Extensions): boolean {
  if (type === OID.basicConstraints) {
    const reader = new BerReader(value, { der: true });
    reader.enter(TAG.sequence);
    if (reader.peek() === TAG.boolean) into.isCa = reader.boolean();
    if (reader.peek() === TAG.integer) into.pathLength = reader.smallInteger();
    reader.leave();
    return reader.finish();
  }
  if (type === OID.keyUsage) {
    const reader = new BerReader(value, { der: true });
    into.keyUsage = reader.namedBits();
    return reader.finish();
  }
  if (type === OID.extendedKeyUsage) {
    const reader = new BerReader(value, { der: true });
    const purposes: string[] = [];
    reader.enter(TAG.sequence);
    while (reader.more()) purposes.push(reader.oid());
    reader.leave();
    into.extendedKeyUsage = purposes;
    return reader.finish() && purposes.length > 0;
  }
  if (type === OID.subjectKeyIdentifier) {
    const reader = new BerReader(value, { der: true });
    into.subjectKeyIdentifier = reader.octetString();
    return reader.finish();
  }
  return true;
}

/** SubjectPublicKeyInfo: the sort of key and, for RSA, the size of its modulus. */
function readKey(spki: Bytes): { keyAlgorithm: KeyAlgorithm; rsaBits: number | null } | null {
  const reader = new BerReader(spki, { der: true });
  reader.enter(TAG.sequence);
  reader.enter(TAG.sequence);
  const algorithm = reader.oid();
  const curve = algorithm === OID.ecPublicKey && reader.peek() === TAG.oid ? reader.oid() : '';
  while (reader.more()) reader.skip();
  reader.leave();
  const key = reader.bitString();
  reader.leave();
  if (!reader.finish()) return null;
  if (algorithm !== OID.rsaEncryption) return { keyAlgorithm: CURVES.get(curve) ?? 'unknown', rsaBits: null };
  const rsa = new BerReader(key, { der: true });
  rsa.enter(TAG.sequence);
  const modulus = rsa.integer();
  rsa.integer();
  rsa.leave();
  return rsa.finish() ? { keyAlgorithm: 'RSA', rsaBits: bitLength(modulus) } : null;
}

function bitLength(value: Bytes): number {
  let skip = 0;
  while (skip < value.length && value[skip] === 0) skip++;
  return skip === value.length ? 0 : (value.length - skip) * 8 - (Math.clz32(value[skip] as number) - 24);
}

/** UTCTime or GeneralizedTime in the only forms a certificate may have (RFC 5280 §4.1.2.5): seconds, and Z. */
function readTime(reader: BerReader): EpochMs {
  const tag = reader.peek();
  if (tag !== TAG.utcTime && tag !== TAG.generalizedTime) reader.fail('expected a time');
  const octets = reader.primitive(tag);
  const yearDigits = tag === TAG.utcTime ? 2 : 4;
  if (octets.length !== yearDigits + 11 || octets[octets.length - 1] !== 0x5a) reader.fail('malformed time');
  if (reader.error !== null) return epochMs(0);
  const digits = (at: number, count: number) => {
    let value = 0;
    for (let i = at; i < at + count; i++) {
      const digit = (octets[i] as number) - 0x30;
      if (digit < 0 || digit > 9) reader.fail('malformed time');
      value = value * 10 + digit;
    }
    return value;
  };
  const written = digits(0, yearDigits);
  const year = tag === TAG.utcTime ? written + (written < 50 ? 2000 : 1900) : written;
  const [month, day, hour, minute, second] = [0, 2, 4, 6, 8].map((at) => digits(yearDigits + at, 2)) as [
    number,
    number,
    number,
    number,
    number,
  ];
  if (month < 1 || month > 12 || day < 1 || day > 31 || hour > 23 || minute > 59 || second > 59) {
    reader.fail('malformed time');
  }
  return epochMs(Date.UTC(year, month - 1, day, hour, minute, second));
}

const digests = new WeakMap<Certificate, string>();

/** SHA-256 of the DER, lower-case hex: what is pinned. Kept with the certificate. */
export async function certificateDigest(certificate: Certificate): Promise<string> {
  const known = digests.get(certificate);
  if (known !== undefined) return known;
  const digest = toHex(new Uint8Array(await crypto.subtle.digest('SHA-256', certificate.der)));
  digests.set(certificate, digest);
  return digest;
}
