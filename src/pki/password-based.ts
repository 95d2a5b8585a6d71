/**
 * Keys from passwords as PKCS#12 files use them, and what these keys open: PBKDF2 (RFC 8018 §5.2), the derivation of
 * RFC 7292 appendix B, PBES2 with AES or 3DES, and 3DES of PKCS#12. RC2 and RC4 have no implementation in the runtime:
 * they are named and not opened. Work is bounded, because whoever made the file chose the iterations.
 */
import { type Bytes, concatBytes, utf8 } from '../std/bytes.ts';
import { BerReader, TAG } from './ber.ts';
import { nodeCrypto } from './node-crypto.ts';
import { OID } from './oid.ts';

type NodeCrypto = Awaited<ReturnType<typeof nodeCrypto>>;
type NodeHash = 'sha1' | 'sha256' | 'sha384' | 'sha512';

/** OpenSSL and Windows take 2,000, Java 10,000 and before version 16 100,000. The runtime's PBKDF2 goes no further. */
export const ITERATIONS_MAX = 100_000;
/**
 * Of one file: that Java's 100,000 for the MAC and twice 50,000 for each of certificate and key. They take 3 s, since
 * appendix B takes 10 µs an iteration here; OpenSSL's own take 0.1 s.
 */
export const ITERATIONS_SUM_MAX = 300_000;

const HASHES: ReadonlyMap<string, NodeHash> = new Map<string, NodeHash>([
  [OID.sha1, 'sha1'],
  [OID.sha256, 'sha256'],
  [OID.sha384, 'sha384'],
  [OID.sha512, 'sha512'],
]);
const PRFS: ReadonlyMap<string, NodeHash> = new Map<string, NodeHash>([
  ['1.2.840.113549.2.7', 'sha1'],
  ['1.2.840.113549.2.9', 'sha256'],
  ['1.2.840.113549.2.10', 'sha384'],
  ['1.2.840.113549.2.11', 'sha512'],
]);
const PBES2 = '1.2.840.113549.1.5.13';
const PBKDF2 = '1.2.840.113549.1.5.12';
const PKCS12_3DES = '1.2.840.113549.1.12.1.3';
const CIPHERS: ReadonlyMap<string, readonly [name: string, keyBytes: number]> = new Map([
  ['2.16.840.1.101.3.4.1.2', ['aes-128-cbc', 16]],
  ['2.16.840.1.101.3.4.1.22', ['aes-192-cbc', 24]],
  ['2.16.840.1.101.3.4.1.42', ['aes-256-cbc', 32]],
  ['1.2.840.113549.3.7', ['des-ede3-cbc', 24]],
]);
/** What the derivation of RFC 7292 appendix B.3 is for. */
const PURPOSE = { key: 1, iv: 2, mac: 3 } as const;

/** Decrypted; or why not: `unread`, an algorithm that is not opened here; `refused`, wrong password or damage. */
export type Opened =
  | { readonly kind: 'plain'; readonly plain: Bytes }
  | { readonly kind: 'unread' }
  | { readonly kind: 'refused' }
  | { readonly kind: 'malformed'; readonly reason: string };

interface Scheme {
  readonly cipher: string;
  readonly key: Bytes;
  readonly iv: Bytes;
}

/** One password, and the work that may still be spent on it. */
export class PasswordKeys {
  readonly #node: NodeCrypto;
  readonly #utf8: Bytes;
  /** RFC 7292 §B.1: UTF-16, big-endian, with the terminating zero. */
  readonly #bmp: Bytes;
  #iterationsLeft = ITERATIONS_SUM_MAX;

  static async load(password: string): Promise<PasswordKeys> {
    return new PasswordKeys(await nodeCrypto(), password);
  }

  constructor(node: NodeCrypto, password: string) {
    this.#node = node;
    this.#utf8 = utf8(password);
    this.#bmp = new Uint8Array((password.length + 1) * 2);
    for (let at = 0; at < password.length; at++) {
      const unit = password.charCodeAt(at);
      this.#bmp[at * 2] = unit >> 8;
      this.#bmp[at * 2 + 1] = unit & 0xff;
    }
  }

  /** RFC 7292 §5.1: HMAC of the content. Text: why there is none. */
  mac(hashOid: string, content: Bytes, salt: Bytes, iterations: number): Bytes | string {
    const hash = HASHES.get(hashOid);
    if (hash === undefined) return `a MAC with ${hashOid}`;
    if (!this.#spend(iterations)) return TOO_MANY;
    const length = this.#node.createHash(hash).digest().length;
    const key = this.#derive(hash, PURPOSE.mac, salt, iterations, length);
    return bytes(this.#node.createHmac(hash, key).update(content).digest());
  }

  /** `algorithm` is the AlgorithmIdentifier as it stands. */
  open(algorithm: Bytes, ciphertext: Bytes): Opened {
    const reader = new BerReader(algorithm);
    reader.enter(TAG.sequence);
    const oid = reader.oid();
    const scheme = oid === PBES2 ? this.#pbes2(reader) : oid === PKCS12_3DES ? this.#tripleDes(reader) : null;
    if (scheme === null) return { kind: 'unread' };
    if (typeof scheme === 'string') return { kind: 'malformed', reason: scheme };
    reader.leave();
    if (!reader.finish()) return { kind: 'malformed', reason: reader.error ?? '' };
    try {
      const decipher = this.#node.createDecipheriv(scheme.cipher, scheme.key, scheme.iv);
      return { kind: 'plain', plain: concatBytes(decipher.update(ciphertext), decipher.final()) };
    } catch {
      // The padding or the length is wrong: what a wrong password looks like.
      return { kind: 'refused' };
    }
  }

  /** PBES2-params ::= SEQUENCE { keyDerivationFunc PBKDF2, encryptionScheme with its IV } (RFC 8018 §A.4). */
  #pbes2(reader: BerReader): Scheme | string | null {
    reader.enter(TAG.sequence);
    reader.enter(TAG.sequence);
    const derivation = reader.oid();
    if (reader.error === null && derivation !== PBKDF2) return null;
    reader.enter(TAG.sequence);
    const salt = reader.octetString();
    const iterations = reader.smallInteger();
    if (reader.peek() === TAG.integer) reader.smallInteger();
    const prf = reader.peek() === TAG.sequence ? PRFS.get(algorithmOid(reader)) : 'sha1';
    reader.leave();
    reader.leave();
    reader.enter(TAG.sequence);
    const cipher = CIPHERS.get(reader.oid());
    if (reader.error === null && (cipher === undefined || prf === undefined)) return null;
    const iv = reader.octetString();
    reader.leave();
    reader.leave();
    if (reader.error !== null) return reader.error;
    if (!this.#spend(iterations)) return TOO_MANY;
    const [name, keyBytes] = cipher as readonly [string, number];
    const key = this.#node.pbkdf2Sync(this.#utf8, salt, iterations, keyBytes, prf as NodeHash);
    return { cipher: name, key: bytes(key), iv };
  }

  /** pkcs-12PbeParams ::= SEQUENCE { salt OCTET STRING, iterations INTEGER } (RFC 7292 appendix C). */
  #tripleDes(reader: BerReader): Scheme | string {
    reader.enter(TAG.sequence);
    const salt = reader.octetString();
    const iterations = reader.smallInteger();
    reader.leave();
    if (reader.error !== null) return reader.error;
    if (!this.#spend(iterations, 2)) return TOO_MANY;
    const key = this.#derive('sha1', PURPOSE.key, salt, iterations, 24);
    return { cipher: 'des-ede3-cbc', key, iv: this.#derive('sha1', PURPOSE.iv, salt, iterations, 8) };
  }

  #spend(iterations: number, times = 1): boolean {
    this.#iterationsLeft -= times * iterations;
    return iterations > 0 && iterations <= ITERATIONS_MAX && this.#iterationsLeft >= 0;
  }

  /** RFC 7292 §B.2, its steps by number. */
  #derive(hash: NodeHash, purpose: number, salt: Bytes, iterations: number, length: number): Bytes {
    const v = hash === 'sha1' || hash === 'sha256' ? 64 : 128;
    // 1 to 4.
    const diversifier = new Uint8Array(v).fill(purpose);
    const block = concatBytes(repeated(salt, v), repeated(this.#bmp, v));
    const out = new Uint8Array(length);
    for (let at = 0; at < length; ) {
      // 6A.
      let a = this.#node.createHash(hash).update(diversifier).update(block).digest();
      for (let n = 1; n < iterations; n++) a = this.#node.createHash(hash).update(a).digest();
      out.set(a.subarray(0, length - at), at);
      at += a.length;
      // 6B, 6C.
      addToBlocks(block, repeated(bytes(a), v).subarray(0, v), v);
    }
    return out;
  }
}

const TOO_MANY = `more iterations than ${ITERATIONS_MAX}`;

function algorithmOid(reader: BerReader): string {
  reader.enter(TAG.sequence);
  const oid = reader.oid();
  while (reader.more()) reader.skip();
  reader.leave();
  return oid;
}

/** Copies of it, the last one cut, to the next multiple of `v` octets. */
function repeated(value: Bytes, v: number): Bytes {
  const out = new Uint8Array(v * Math.ceil(value.length / v));
  for (let at = 0; at < out.length; at++) out[at] = value[at % value.length] as number;
  return out;
}

/** Each block of `v` octets, as a number: I = (I + B + 1) mod 2^8v. */
function addToBlocks(blocks: Bytes, b: Bytes, v: number): void {
  for (let start = 0; start < blocks.length; start += v) {
    let carry = 1;
    for (let at = v - 1; at >= 0; at--) {
      const sum = (blocks[start + at] as number) + (b[at] as number) + carry;
      blocks[start + at] = sum & 0xff;
      carry = sum >> 8;
    }
  }
}

function bytes(value: Uint8Array): Bytes {
  return new Uint8Array(value);
}
