/**
 * PKCS#10 certification requests (RFC 2986 §4), read in place from DER.
 *
 *     CertificationRequest ::= SEQUENCE {
 *       SEQUENCE { version INTEGER, subject Name, subjectPKInfo, attributes [0] IMPLICIT SET OF Attribute },
 *       signatureAlgorithm, signature BIT STRING }
 *
 * Observed: iOS 9 writes version 2 where the clause has only 0, so the number is passed over.
 * Of the attributes only challengePassword (RFC 2985 §5.4.1) is read: what extensions a client wishes for has no
 * effect on what it gets. Proof of possession is `verifyCsr`, apart, since SCEP checks it in constant work.
 */
import type { Bytes } from '../std/bytes.ts';
import { type Outcome, ok, refuse } from '../std/outcome.ts';
import { plainEcdsaSignature, readAlgorithm } from './algorithms.ts';
import { BerReader, TAG } from './ber.ts';
import { OID } from './oid.ts';

/** Sixteen times what a request with RSA-4096 and a challenge needs (1.3 KB) is room enough. */
export const CSR_BYTES_MAX = 20 * 1024;
/** RFC 2985: pkcs-9-ub-challengePassword. */
const CHALLENGE_CHARACTERS_MAX = 255;
const ATTRIBUTES_MAX = 16;
export const RSA_BITS_MIN = 2048;
export const RSA_BITS_MAX = 4096;

export type CsrKey =
  | { readonly kind: 'RSA'; readonly bits: number }
  | { readonly kind: 'EC'; readonly curve: 'P-256' | 'P-384' };

export interface Csr {
  /** The signed part, identifier and length included; likewise the name and the key. */
  readonly info: Bytes;
  readonly subject: Bytes;
  readonly spki: Bytes;
  readonly key: CsrKey;
  readonly challengePassword: string | null;
  readonly signatureAlgorithm: string;
  readonly signature: Bytes;
}

export type CsrRefusal = { readonly kind: 'malformed-csr'; readonly reason: string };

const ATTRIBUTES = 0xa0;

export function parseCsr(der: Bytes): Outcome<Csr, CsrRefusal> {
  if (der.length > CSR_BYTES_MAX) return refuse({ kind: 'malformed-csr', reason: 'too large' });
  const reader = new BerReader(der, { der: true });
  reader.enter(TAG.sequence);
  const start = reader.offset;
  reader.enter(TAG.sequence);
  reader.smallInteger();
  if (reader.peek() !== TAG.sequence) reader.fail('expected a name');
  const subject = reader.raw();
  const spki = reader.raw();
  const challengePassword = readAttributes(reader);
  reader.leave();
  const info = der.subarray(start, reader.offset);
  const signatureAlgorithm = readAlgorithm(reader);
  const signature = reader.bitString();
  reader.leave();
  const key = readKey(spki);
  if (key === null) reader.fail('malformed public key, or not one of RSA, P-256 and P-384');
  if (!reader.finish() || key === null) return refuse({ kind: 'malformed-csr', reason: reader.error ?? '' });
  return ok({ info, subject, spki, key, challengePassword, signatureAlgorithm, signature });
}

/** Attributes are required by the grammar; Observed: some clients leave out an empty set. */
function readAttributes(reader: BerReader): string | null {
  if (reader.peek() !== ATTRIBUTES) return null;
  let challenge: string | null = null;
  let count = 0;
  reader.enter(ATTRIBUTES);
  while (reader.more()) {
    if (++count > ATTRIBUTES_MAX) reader.fail('too many attributes');
    reader.enter(TAG.sequence);
    const type = reader.oid();
    if (type === OID.challengePassword) {
      if (challenge !== null) reader.fail('repeated challengePassword');
      challenge = readChallenge(reader);
    } else {
      reader.skip();
    }
    reader.leave();
  }
  reader.leave();
  return challenge;
}

/** DirectoryString or IA5String, in a SET of one. */
function readChallenge(reader: BerReader): string {
  reader.enter(TAG.set);
  const tag = reader.peek();
  const decoder = CHALLENGE_STRINGS.get(tag);
  if (decoder === undefined) reader.fail('challengePassword is no string');
  const text = decoder?.decode(reader.primitive(tag)) ?? '';
  if (text.length > CHALLENGE_CHARACTERS_MAX) reader.fail('challengePassword too long');
  reader.leave();
  return text;
}

const utf8Decoder = new TextDecoder('utf-8', { fatal: false, ignoreBOM: true });
/** Our challenges are ASCII, so one-octet strings may be read as UTF-8: anything else would not match anyway. */
const CHALLENGE_STRINGS: ReadonlyMap<number, TextDecoder> = new Map([
  [0x0c, utf8Decoder],
  [0x13, utf8Decoder],
  [0x14, utf8Decoder],
  [0x16, utf8Decoder],
  [0x1e, new TextDecoder('utf-16be', { fatal: false, ignoreBOM: true })],
]);

/** SubjectPublicKeyInfo (RFC 3279 §2.3): `null` when it cannot be read, or its possession could not be verified. */
function readKey(spki: Bytes): CsrKey | null {
  const reader = new BerReader(spki, { der: true });
  reader.enter(TAG.sequence);
  reader.enter(TAG.sequence);
  const algorithm = reader.oid();
  const curve = algorithm === OID.ecPublicKey && reader.peek() === TAG.oid ? reader.oid() : '';
  while (reader.more()) reader.skip();
  reader.leave();
  const bits = reader.bitString();
  reader.leave();
  if (!reader.finish()) return null;
  if (algorithm === OID.rsaEncryption) return readRsaKey(bits);
  if (curve === OID.p256) return { kind: 'EC', curve: 'P-256' };
  return curve === OID.p384 ? { kind: 'EC', curve: 'P-384' } : null;
}

/** RSAPublicKey ::= SEQUENCE { modulus INTEGER, publicExponent INTEGER } */
function readRsaKey(bits: Bytes): CsrKey | null {
  const reader = new BerReader(bits, { der: true });
  reader.enter(TAG.sequence);
  const modulus = reader.integer();
  reader.integer();
  reader.leave();
  if (!reader.finish()) return null;
  const digits = modulus[0] === 0 ? modulus.subarray(1) : modulus;
  const leading = Math.clz32(digits[0] ?? 0) - 24;
  return { kind: 'RSA', bits: digits.length * 8 - leading };
}

interface Scheme {
  readonly kind: 'RSA' | 'EC';
  readonly hash: 'SHA-1' | 'SHA-256' | 'SHA-384' | 'SHA-512';
}

/** SHA-1 signs nothing here but a request to its own receiver: there is no third party to deceive by a collision. */
const SCHEMES: ReadonlyMap<string, Scheme> = new Map<string, Scheme>([
  [OID.sha1WithRsa, { kind: 'RSA', hash: 'SHA-1' }],
  [OID.sha256WithRsa, { kind: 'RSA', hash: 'SHA-256' }],
  [OID.sha384WithRsa, { kind: 'RSA', hash: 'SHA-384' }],
  [OID.sha512WithRsa, { kind: 'RSA', hash: 'SHA-512' }],
  [OID.ecdsaWithSha256, { kind: 'EC', hash: 'SHA-256' }],
  [OID.ecdsaWithSha384, { kind: 'EC', hash: 'SHA-384' }],
  [OID.ecdsaWithSha512, { kind: 'EC', hash: 'SHA-512' }],
]);

const RSA = 'RSASSA-PKCS1-v1_5';
/** One coordinate of r and s, in octets. */
const CURVE_OCTETS = { 'P-256': 32, 'P-384': 48 } as const;

/** Whether the request is signed by the key it names (RFC 2986 §4.2): the client holds the private key. */
export async function verifyCsr(csr: Csr): Promise<boolean> {
  const scheme = SCHEMES.get(csr.signatureAlgorithm);
  if (scheme === undefined || scheme.kind !== csr.key.kind) return false;
  const { hash } = scheme;
  if (csr.key.kind === 'RSA') {
    const key = await importKey(csr.spki, { name: RSA, hash });
    return key !== null && crypto.subtle.verify(RSA, key, csr.signature, csr.info);
  }
  const signature = plainEcdsaSignature(csr.signature, CURVE_OCTETS[csr.key.curve]);
  const key = await importKey(csr.spki, { name: 'ECDSA', namedCurve: csr.key.curve });
  if (signature === null || key === null) return false;
  return crypto.subtle.verify({ name: 'ECDSA', hash }, key, signature, csr.info);
}

async function importKey(
  spki: Bytes,
  algorithm: { readonly name: string; readonly namedCurve?: string; readonly hash?: string },
): Promise<CryptoKey | null> {
  try {
    return await crypto.subtle.importKey('spki', spki, algorithm, false, ['verify']);
  } catch {
    // The key came from outside: a point off its curve or an absurd exponent proves nothing, and is no fault.
    return null;
  }
}
