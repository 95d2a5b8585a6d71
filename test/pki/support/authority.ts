/** Keys and certificates for tests, made on the spot: any key, any flaw. Shares no code with `src/pki`. */
import {
  type Bytes,
  bits,
  bool,
  encode,
  explicit,
  integer,
  type Node,
  nil,
  node,
  octets,
  oid,
  sequence,
  set,
  text,
  utcTime,
  verbatim,
} from './asn1.ts';

export type KeyKind = 'RSA-1024' | 'RSA-2048' | 'P-256' | 'P-384' | 'P-521';
export type Hash = 'SHA-1' | 'SHA-256' | 'SHA-384' | 'SHA-512';

export interface Key {
  readonly kind: KeyKind;
  readonly spki: Bytes;
  /** DER signatures for EC keys. */
  sign(data: Bytes, hash: Hash): Promise<Bytes>;
}

export interface Identity {
  readonly key: Key;
  readonly certificate: Bytes;
  readonly issuer: Bytes;
  readonly serial: number;
  readonly subject: Bytes;
  readonly keyIdentifier: Bytes;
}

const HASHES: readonly Hash[] = ['SHA-1', 'SHA-256', 'SHA-384', 'SHA-512'];

export async function makeKey(kind: KeyKind): Promise<Key> {
  const rsa = kind.startsWith('RSA');
  const parameters = rsa
    ? {
        name: 'RSASSA-PKCS1-v1_5',
        modulusLength: Number(kind.slice(4)),
        publicExponent: Uint8Array.of(1, 0, 1),
        hash: 'SHA-256',
      }
    : { name: 'ECDSA', namedCurve: kind };
  const pair = (await crypto.subtle.generateKey(parameters, true, ['sign', 'verify'])) as CryptoKeyPair;
  const spki = new Uint8Array((await crypto.subtle.exportKey('spki', pair.publicKey)) as ArrayBuffer);
  const pkcs8 = (await crypto.subtle.exportKey('pkcs8', pair.privateKey)) as ArrayBuffer;
  const forHash = new Map<Hash, CryptoKey>();
  if (rsa) {
    for (const hash of HASHES) {
      const algorithm = { name: 'RSASSA-PKCS1-v1_5', hash };
      forHash.set(hash, await crypto.subtle.importKey('pkcs8', pkcs8, algorithm, false, ['sign']));
    }
  }
  return {
    kind,
    spki,
    async sign(data, hash) {
      if (rsa) {
        return new Uint8Array(
          await crypto.subtle.sign('RSASSA-PKCS1-v1_5', forHash.get(hash) as CryptoKey, data),
        );
      }
      const plain = new Uint8Array(await crypto.subtle.sign({ name: 'ECDSA', hash }, pair.privateKey, data));
      return ecdsaValue(plain);
    },
  };
}

/** Ecdsa-Sig-Value; `padding` writes surplus leading zeros. */
export function ecdsaValue(plain: Bytes, padding = 0): Bytes {
  const half = plain.length / 2;
  const number = (value: Bytes) => {
    let at = 0;
    while (at < value.length - 1 && value[at] === 0) at++;
    const digits = value.subarray(at);
    const zeros = padding + ((digits[0] as number) > 127 ? 1 : 0);
    const content = new Uint8Array(zeros + digits.length);
    content.set(digits, zeros);
    return node(0x02, content);
  };
  return encode(sequence(number(plain.subarray(0, half)), number(plain.subarray(half))));
}

export const SIGNATURE_OIDS: Record<'RSA' | 'EC', Record<Hash, string>> = {
  RSA: {
    'SHA-1': '1.2.840.113549.1.1.5',
    'SHA-256': '1.2.840.113549.1.1.11',
    'SHA-384': '1.2.840.113549.1.1.12',
    'SHA-512': '1.2.840.113549.1.1.13',
  },
  EC: {
    'SHA-1': '1.2.840.10045.4.1',
    'SHA-256': '1.2.840.10045.4.3.2',
    'SHA-384': '1.2.840.10045.4.3.3',
    'SHA-512': '1.2.840.10045.4.3.4',
  },
};

export const family = (key: Key) => (key.kind.startsWith('RSA') ? 'RSA' : 'EC');

export function signatureAlgorithm(key: Key, hash: Hash): Node {
  const name = oid(SIGNATURE_OIDS[family(key)][hash]);
  return family(key) === 'RSA' ? sequence(name, nil()) : sequence(name);
}

export function name(attributes: Readonly<Record<string, string>>): Bytes {
  const rdns = Object.entries(attributes).map(([type, value]) => set(sequence(oid(type), text(value))));
  return encode(sequence(...rdns));
}

export const commonName = (value: string) => name({ '2.5.4.3': value });
export const EMPTY_NAME = encode(sequence());

export interface Plan {
  readonly subject: Bytes;
  readonly key: Key;
  /** Self-signed when absent. */
  readonly issuer?: Identity;
  readonly hash?: Hash;
  readonly ca?: boolean;
  readonly pathLength?: number;
  /** Named bits as the content of the BIT STRING. */
  readonly keyUsage?: Bytes;
  readonly notBefore?: string;
  readonly notAfter?: string;
  readonly serial?: number;
  readonly extra?: readonly { readonly type: string; readonly critical: boolean; readonly value: Bytes }[];
  /** Puts another name into the issuer field than the issuer's own. */
  readonly issuerName?: Bytes;
  /** Signs with this key in place of the issuer's. */
  readonly forgedBy?: Key;
}

let serials = 0;

export async function issue(plan: Plan): Promise<Identity> {
  const hash = plan.hash ?? 'SHA-256';
  const issuerKey = plan.forgedBy ?? plan.issuer?.key ?? plan.key;
  const issuer = plan.issuerName ?? plan.issuer?.subject ?? plan.subject;
  serials++;
  const serial = plan.serial ?? serials;
  const keyIdentifier = await keyIdentifierOf(plan.key.spki);
  const tbs = encode(
    sequence(
      explicit(0, integer(2)),
      integer(serial),
      signatureAlgorithm(issuerKey, hash),
      verbatim(issuer),
      sequence(utcTime(plan.notBefore ?? '200101000000Z'), utcTime(plan.notAfter ?? '491231235959Z')),
      verbatim(plan.subject),
      verbatim(plan.key.spki),
      explicit(3, sequence(...extensions(plan, keyIdentifier))),
    ),
  );
  const signature = await issuerKey.sign(tbs, hash);
  const certificate = encode(sequence(verbatim(tbs), signatureAlgorithm(issuerKey, hash), bits(signature)));
  return { key: plan.key, certificate, issuer, serial, subject: plan.subject, keyIdentifier };
}

function extensions(plan: Plan, keyIdentifier: Bytes): Node[] {
  const list = [extension('2.5.29.14', false, encode(octets(keyIdentifier)))];
  if (plan.ca !== undefined) {
    const flags = plan.ca ? [bool(true)] : [];
    if (plan.pathLength !== undefined) flags.push(integer(plan.pathLength));
    list.push(extension('2.5.29.19', true, encode(sequence(...flags))));
  }
  if (plan.keyUsage !== undefined) list.push(extension('2.5.29.15', true, encode(node(0x03, plan.keyUsage))));
  for (const { type, critical, value } of plan.extra ?? []) list.push(extension(type, critical, value));
  return list;
}

function extension(type: string, critical: boolean, value: Bytes): Node {
  return critical ? sequence(oid(type), bool(true), octets(value)) : sequence(oid(type), octets(value));
}

/** RFC 5280 §4.2.1.2 method 1: SHA-1 of the subject public key, which ends the SPKI. */
async function keyIdentifierOf(spki: Bytes): Promise<Bytes> {
  const at = spki.findIndex((octet, i) => octet === 0x03 && i > 10 && lengthFits(spki, i));
  const header = (spki[at + 1] as number) < 0x80 ? 2 : 2 + ((spki[at + 1] as number) & 0x7f);
  const key = spki.slice(at + header + 1);
  return new Uint8Array(await crypto.subtle.digest('SHA-1', key));
}

function lengthFits(spki: Bytes, at: number): boolean {
  const first = spki[at + 1] as number;
  if (first < 0x80) return at + 2 + first === spki.length;
  const count = first & 0x7f;
  let length = 0;
  for (let i = 0; i < count && count <= 3; i++) length = length * 256 + (spki[at + 2 + i] as number);
  return at + 2 + count + length === spki.length;
}
