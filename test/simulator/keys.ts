/**
 * Key pairs of simulated devices and authorities, over `node:crypto` in Node 22 and in workerd alike.
 * A pool lets tests spend their time elsewhere: RSA-2048 generation takes 50 to 150 ms in workerd.
 */
import { Buffer } from 'node:buffer';
import {
  constants,
  createPrivateKey,
  createPublicKey,
  createSign,
  createVerify,
  generateKeyPairSync,
  type KeyObject,
  privateDecrypt,
} from 'node:crypto';

export type Hash = 'SHA-1' | 'SHA-256' | 'SHA-512';

const NODE_HASH: Record<Hash, string> = { 'SHA-1': 'sha1', 'SHA-256': 'sha256', 'SHA-512': 'sha512' };

export const nodeHash = (hash: Hash): string => NODE_HASH[hash];

export class DeviceKey {
  readonly #key: KeyObject;
  readonly kind: 'rsa' | 'ec';
  /** SubjectPublicKeyInfo, DER. */
  readonly spki: Buffer;

  constructor(key: KeyObject) {
    this.#key = key;
    this.kind = key.asymmetricKeyType === 'ec' ? 'ec' : 'rsa';
    this.spki = Buffer.from(createPublicKey(exportPem(key)).export({ type: 'spki', format: 'der' }));
  }

  static generate(kind: 'rsa-2048' | 'rsa-1024' | 'p-256' = 'rsa-2048'): DeviceKey {
    if (kind === 'p-256') return new DeviceKey(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey);
    const modulusLength = kind === 'rsa-1024' ? 1024 : 2048;
    return new DeviceKey(generateKeyPairSync('rsa', { modulusLength }).privateKey);
  }

  static fromPem(pem: string): DeviceKey {
    return new DeviceKey(createPrivateKey(pem));
  }

  toPem(): string {
    return exportPem(this.#key);
  }

  /** PKCS#1 v1.5 for RSA, a DER signature for EC. */
  sign(data: Uint8Array, hash: Hash = 'SHA-256'): Buffer {
    const signer = createSign(NODE_HASH[hash]);
    signer.update(data);
    return Buffer.from(signer.sign(this.#key));
  }

  /** RSAES-PKCS1-v1_5. Unpadded here: Node may refuse the padding, and this holder fears no oracle. */
  decrypt(data: Uint8Array): Buffer {
    const block = Buffer.from(privateDecrypt({ key: this.#key, padding: constants.RSA_NO_PADDING }, data));
    const zero = block.indexOf(0, 2);
    if (block[0] !== 0 || block[1] !== 2 || zero < 10)
      throw new Error('RSA padding is not PKCS#1 v1.5 type 2');
    return block.subarray(zero + 1);
  }
}

function exportPem(key: KeyObject): string {
  return String(key.export({ type: 'pkcs8', format: 'pem' }));
}

export function publicKeyOf(spki: Uint8Array): KeyObject {
  const pem = `-----BEGIN PUBLIC KEY-----\n${Buffer.from(spki).toString('base64')}\n-----END PUBLIC KEY-----\n`;
  return createPublicKey(pem);
}

export function verifySignature(
  spki: Uint8Array,
  hash: Hash,
  data: Uint8Array,
  signature: Uint8Array,
): boolean {
  const verifier = createVerify(NODE_HASH[hash]);
  verifier.update(data);
  return verifier.verify(publicKeyOf(spki), signature);
}

/**
 * Hands out RSA-2048 keys. With a `size` it makes that many and then goes round, so that two devices may hold
 * one key: fine wherever certificates, not keys, tell devices apart.
 */
export class KeyPool {
  readonly #keys: DeviceKey[];
  readonly #size: number;
  #taken = 0;

  constructor(options: { size?: number; pems?: readonly string[] } = {}) {
    this.#keys = (options.pems ?? []).map((pem) => DeviceKey.fromPem(pem));
    this.#size = options.size ?? (this.#keys.length > 0 ? this.#keys.length : Number.POSITIVE_INFINITY);
  }

  take(): DeviceKey {
    const index = this.#taken++;
    if (index >= this.#size) return this.#keys[index % this.#size]!;
    const key = this.#keys[index] ?? DeviceKey.generate();
    if (this.#size !== Number.POSITIVE_INFINITY) this.#keys[index] = key;
    return key;
  }
}
