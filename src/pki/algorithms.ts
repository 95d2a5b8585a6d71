/**
 * Signature and digest algorithms: what the identifiers of certificates and CMS mean, and the one function that
 * checks a signature with a certificate's key. RSA is PKCS#1 v1.5 (RFC 8017 §8.2), ECDSA on the three NIST curves.
 * RSA-PSS and EdDSA are not here: no Apple device signs with them.
 */
import type { Bytes } from '../std/bytes.ts';
import { BerReader, TAG } from './ber.ts';
import type { Certificate } from './certificate.ts';
import { OID } from './oid.ts';

export type Hash = 'SHA-1' | 'SHA-256' | 'SHA-384' | 'SHA-512';
export type Curve = 'P-256' | 'P-384' | 'P-521';
export type KeyAlgorithm = 'RSA' | Curve | 'unknown';

/** What a caller accepts. SHA-1 and RSA-1024 are for the device chain of MachineInfo (facts 19.10) alone. */
export interface SignaturePolicy {
  readonly sha1: boolean;
  readonly rsaBitsMin: number;
}

export type SignatureVerdict = 'valid' | 'invalid' | 'not-allowed';

/** The largest RSA key that is used: verifying costs with the square of its size, and Apple makes none over 4096. */
export const RSA_BITS_MAX = 4096;

/** One coordinate of r and s, in octets. */
const CURVE_OCTETS: Record<Curve, number> = { 'P-256': 32, 'P-384': 48, 'P-521': 66 };

const HASHES: ReadonlyMap<string, Hash> = new Map<string, Hash>([
  [OID.sha1, 'SHA-1'],
  [OID.sha256, 'SHA-256'],
  [OID.sha384, 'SHA-384'],
  [OID.sha512, 'SHA-512'],
]);

/** `hash: null` where the identifier names the key alone, and the digest algorithm stands elsewhere. */
const SIGNATURES: ReadonlyMap<string, { readonly family: 'RSA' | 'EC'; readonly hash: Hash | null }> =
  new Map([
    [OID.rsaEncryption, { family: 'RSA', hash: null }],
    [OID.sha1WithRsa, { family: 'RSA', hash: 'SHA-1' }],
    [OID.sha256WithRsa, { family: 'RSA', hash: 'SHA-256' }],
    [OID.sha384WithRsa, { family: 'RSA', hash: 'SHA-384' }],
    [OID.sha512WithRsa, { family: 'RSA', hash: 'SHA-512' }],
    [OID.ecPublicKey, { family: 'EC', hash: null }],
    [OID.ecdsaWithSha1, { family: 'EC', hash: 'SHA-1' }],
    [OID.ecdsaWithSha256, { family: 'EC', hash: 'SHA-256' }],
    [OID.ecdsaWithSha384, { family: 'EC', hash: 'SHA-384' }],
    [OID.ecdsaWithSha512, { family: 'EC', hash: 'SHA-512' }],
  ]);

export function hashOf(digestAlgorithm: string): Hash | null {
  return HASHES.get(digestAlgorithm) ?? null;
}

/**
 * AlgorithmIdentifier: its identifier. Parameters of the algorithms above are NULL or absent (RFC 8017 §A.2.4,
 * RFC 5758 §3.2), and anything else is refused; those of an unknown algorithm are passed over.
 */
export function readAlgorithm(reader: BerReader): string {
  reader.enter(TAG.sequence);
  const algorithm = reader.oid();
  if (reader.more()) {
    if (!SIGNATURES.has(algorithm) && !HASHES.has(algorithm)) reader.skip();
    else if (reader.primitive(TAG.null).length > 0) reader.fail('unexpected parameters');
  }
  reader.leave();
  return algorithm;
}

/**
 * Checks `signature` over `data` with the key of `signer`. `digest` is the digest algorithm that stands beside the
 * signature in a CMS; when both name a hash they must agree.
 */
export async function verifySignature(
  signer: Certificate,
  algorithm: { readonly signature: string; readonly digest: string | null },
  policy: SignaturePolicy,
  signature: Bytes,
  data: Bytes,
): Promise<SignatureVerdict> {
  const scheme = SIGNATURES.get(algorithm.signature);
  if (scheme === undefined) return 'not-allowed';
  const beside = algorithm.digest === null ? scheme.hash : hashOf(algorithm.digest);
  const hash = scheme.hash ?? beside;
  if (hash === null || hash !== beside || (hash === 'SHA-1' && !policy.sha1)) return 'not-allowed';
  if (!keyAllowed(signer, scheme.family, policy)) return 'not-allowed';
  const key = await publicKey(signer, hash);
  if (key === null) return 'not-allowed';
  if (signer.keyAlgorithm === 'RSA') {
    return verdict(await crypto.subtle.verify('RSASSA-PKCS1-v1_5', key, signature, data));
  }
  const plain = plainEcdsaSignature(signature, CURVE_OCTETS[signer.keyAlgorithm as Curve]);
  if (plain === null) return 'invalid';
  return verdict(await crypto.subtle.verify({ name: 'ECDSA', hash }, key, plain, data));
}

function verdict(valid: boolean): SignatureVerdict {
  return valid ? 'valid' : 'invalid';
}

function keyAllowed(signer: Certificate, family: 'RSA' | 'EC', policy: SignaturePolicy): boolean {
  if (signer.keyAlgorithm === 'unknown' || (signer.keyAlgorithm === 'RSA') !== (family === 'RSA'))
    return false;
  return signer.rsaBits === null || (signer.rsaBits >= policy.rsaBitsMin && signer.rsaBits <= RSA_BITS_MAX);
}

/** Imported keys live as long as the certificate they belong to: importing costs a quarter of verifying. */
const imported = new WeakMap<Certificate, Map<Hash, CryptoKey>>();

/** An EC key serves every hash, an RSA key is imported for one. `null`: the runtime will not take this key. */
async function publicKey(certificate: Certificate, hash: Hash): Promise<CryptoKey | null> {
  const keys = imported.get(certificate);
  const cached = keys?.get(hash);
  if (cached !== undefined) return cached;
  const algorithm =
    certificate.keyAlgorithm === 'RSA'
      ? { name: 'RSASSA-PKCS1-v1_5', hash }
      : { name: 'ECDSA', namedCurve: certificate.keyAlgorithm };
  try {
    const key = await crypto.subtle.importKey('spki', certificate.spki, algorithm, false, ['verify']);
    if (keys === undefined) imported.set(certificate, new Map([[hash, key]]));
    else keys.set(hash, key);
    return key;
  } catch {
    // The certificate came from outside: a point off its curve or an absurd exponent is refused, not a fault.
    return null;
  }
}

/**
 * Ecdsa-Sig-Value (RFC 3279 §2.2.3: SEQUENCE of INTEGER r, INTEGER s) as WebCrypto wants it: r and s of fixed
 * width, side by side. Surplus leading zeros are dropped and short numbers padded; negative ones are refused.
 */
export function plainEcdsaSignature(signature: Bytes, octets: number): Bytes | null {
  const reader = new BerReader(signature);
  reader.enter(TAG.sequence);
  const r = reader.integer();
  const s = reader.integer();
  reader.leave();
  if (!reader.finish()) return null;
  const plain = new Uint8Array(2 * octets);
  return place(r, plain, octets) && place(s, plain, 2 * octets) ? plain : null;
}

function place(value: Bytes, plain: Bytes, end: number): boolean {
  if ((value[0] as number) > 0x7f) return false;
  let skip = 0;
  while (skip < value.length && value[skip] === 0) skip++;
  const digits = value.length - skip;
  if (digits > plain.length / 2) return false;
  plain.set(value.subarray(skip), end - digits);
  return true;
}
