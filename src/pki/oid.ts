/**
 * Object identifiers in their dotted form (X.690 §8.19), and the ones this project knows by name.
 * Known identifiers are found by comparing bytes, so the hot path builds no text.
 */
import type { Bytes } from '../std/bytes.ts';

export const OID = {
  data: '1.2.840.113549.1.7.1',
  signedData: '1.2.840.113549.1.7.2',
  contentType: '1.2.840.113549.1.9.3',
  messageDigest: '1.2.840.113549.1.9.4',
  signingTime: '1.2.840.113549.1.9.5',
  challengePassword: '1.2.840.113549.1.9.7',
  rsaEncryption: '1.2.840.113549.1.1.1',
  sha1WithRsa: '1.2.840.113549.1.1.5',
  sha256WithRsa: '1.2.840.113549.1.1.11',
  sha384WithRsa: '1.2.840.113549.1.1.12',
  sha512WithRsa: '1.2.840.113549.1.1.13',
  ecPublicKey: '1.2.840.10045.2.1',
  p256: '1.2.840.10045.3.1.7',
  p384: '1.3.132.0.34',
  p521: '1.3.132.0.35',
  ecdsaWithSha1: '1.2.840.10045.4.1',
  ecdsaWithSha256: '1.2.840.10045.4.3.2',
  ecdsaWithSha384: '1.2.840.10045.4.3.3',
  ecdsaWithSha512: '1.2.840.10045.4.3.4',
  sha1: '1.3.14.3.2.26',
  sha256: '2.16.840.1.101.3.4.2.1',
  sha384: '2.16.840.1.101.3.4.2.2',
  sha512: '2.16.840.1.101.3.4.2.3',
  commonName: '2.5.4.3',
  serialNumber: '2.5.4.5',
  country: '2.5.4.6',
  locality: '2.5.4.7',
  state: '2.5.4.8',
  organization: '2.5.4.10',
  organizationalUnit: '2.5.4.11',
  userId: '0.9.2342.19200300.100.1.1',
  subjectKeyIdentifier: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  certificatePolicies: '2.5.29.32',
  authorityKeyIdentifier: '2.5.29.35',
  extendedKeyUsage: '2.5.29.37',
  serverAuth: '1.3.6.1.5.5.7.3.1',
  clientAuth: '1.3.6.1.5.5.7.3.2',
} as const;

/** The longest identifier read: no registered one comes near, and the dotted text stays short. */
const OID_BYTES_MAX = 64;

interface KnownOid {
  readonly bytes: Bytes;
  readonly text: string;
}

const known = new Map<number, KnownOid>();
for (const text of Object.values(OID)) {
  const bytes = encodeOid(text);
  known.set(mix(bytes, 0, bytes.length), { bytes, text });
}

/** The dotted form of the content octets `bytes[start, end)`, or `null` when they are no identifier. */
export function oidText(bytes: Bytes, start: number, end: number): string | null {
  const length = end - start;
  if (length < 1 || length > OID_BYTES_MAX) return null;
  const candidate = known.get(mix(bytes, start, end));
  if (candidate !== undefined && candidate.bytes.length === length) {
    let same = true;
    for (let i = 0; same && i < length; i++) same = candidate.bytes[i] === bytes[start + i];
    if (same) return candidate.text;
  }
  return decodeOid(bytes, start, end);
}

function decodeOid(bytes: Bytes, start: number, end: number): string | null {
  const arcs: bigint[] = [];
  let arc = 0n;
  let fresh = true;
  for (let at = start; at < end; at++) {
    const octet = bytes[at] as number;
    if (fresh && octet === 0x80) return null;
    arc = (arc << 7n) | BigInt(octet & 0x7f);
    fresh = octet < 0x80;
    if (!fresh) continue;
    arcs.push(arc);
    arc = 0n;
  }
  if (!fresh) return null;
  const joined = arcs[0] as bigint;
  const first = joined < 80n ? joined / 40n : 2n;
  return [first, joined - first * 40n, ...arcs.slice(1)].join('.');
}

/** The content octets (no tag, no length) of a dotted identifier. */
export function encodeOid(text: string): Bytes {
  const [first = 0n, second = 0n, ...rest] = text.split('.').map(BigInt);
  const out: number[] = [];
  for (const arc of [first * 40n + second, ...rest]) {
    const octets = [Number(arc & 0x7fn)];
    for (let left = arc >> 7n; left > 0n; left >>= 7n) octets.unshift(Number(left & 0x7fn) | 0x80);
    out.push(...octets);
  }
  return new Uint8Array(out);
}

/** A weak hash: it only picks the candidate, the bytes decide. */
function mix(bytes: Bytes, start: number, end: number): number {
  let hash = end - start;
  for (let at = start; at < end; at++) hash = (Math.imul(hash, 31) + (bytes[at] as number)) | 0;
  return hash;
}
