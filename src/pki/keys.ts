/**
 * The authority's private key as two capabilities: a `Signer` (certificates, CMS) and an `Opener` (the key
 * transport of SCEP requests, RFC 8894 §3). The key itself never leaves this module and cannot be exported.
 *
 * WebCrypto has no RSAES-PKCS1-v1_5 decryption, so opening uses the raw RSA operation of `node:crypto` and unpads
 * in `rsa-unpad.ts`. Imported keys are kept, not promises of them (see `node-crypto.ts`).
 */
import type { Bytes } from '../std/bytes.ts';
import { concatBytes, utf8 } from '../std/bytes.ts';
import { Fault } from '../std/outcome.ts';
import type { Hash } from './algorithms.ts';
import { type Certificate, KEY_USAGE, parseCertificate } from './certificate.ts';
import { nodeCrypto } from './node-crypto.ts';
import { parsePem } from './pem.ts';
import { unpadOrSubstitute } from './rsa-unpad.ts';

/** Signs in the name of a certificate; the key never leaves. RSASSA-PKCS1-v1_5, so equal input, equal output. */
export interface Signer {
  readonly certificate: Certificate;
  sign(data: Uint8Array, hash?: Hash): Promise<Bytes>;
}

/** Decrypts what was encrypted to the authority's certificate; the key never leaves. */
export interface Opener {
  /**
   * The content-encryption key of `keyLength` octets in an RSAES-PKCS1-v1_5 ciphertext. Never fails and never
   * tells: what cannot be right yields a key that depends on the ciphertext alone (implicit rejection).
   */
  openKey(encryptedKey: Uint8Array, keyLength: number): Promise<Bytes>;
}

export interface Authority {
  readonly certificate: Certificate;
  readonly signer: Signer;
  readonly opener: Opener;
}

const RSA_BITS_MIN = 2048;
const KEY_USAGES = KEY_USAGE.digitalSignature | KEY_USAGE.keyEncipherment | KEY_USAGE.keyCertSign;

/**
 * Certificate and PKCS#8 key in PEM. Throws `Fault` when they cannot serve: a configuration error.
 *
 * Profiles make this certificate a trusted root of the device, so whoever has the key could intercept its TLS. It should
 * therefore be an authority of its own, for nothing else, with name constraints (RFC 5280 §4.2.1.10) that exclude every
 * dNSName and iPAddress, a path length of 0, and keyUsage digitalSignature, keyEncipherment, keyCertSign. One without
 * constraints is taken all the same: what an organization trusts its authority with is for it to say.
 */
export async function importAuthority(certificatePem: string, keyPem: string): Promise<Authority> {
  const certificate = authorityCertificate(certificatePem);
  const [pkcs8] = parsePem(keyPem, 'PRIVATE KEY');
  if (pkcs8 === undefined) throw new Fault('ca-key-malformed', 'no PRIVATE KEY in the authority key PEM');
  const signer = new RsaSigner(certificate, pkcs8);
  await checkPair(certificate, signer);
  return { certificate, signer, opener: await RsaOpener.import(pkcs8) };
}

function authorityCertificate(pem: string): Certificate {
  const [der] = parsePem(pem, 'CERTIFICATE');
  const parsed = der === undefined ? null : parseCertificate(der);
  if (parsed === null || !parsed.ok) {
    throw new Fault('ca-certificate-malformed', parsed?.refusal.reason ?? 'no CERTIFICATE in the PEM');
  }
  const certificate = parsed.value;
  if (!certificate.isCa || (certificate.rsaBits ?? 0) < RSA_BITS_MIN) {
    throw new Fault(
      'ca-certificate-unfit',
      'the authority must be a CA with an RSA key of 2048 bits or more',
    );
  }
  // RFC 8894 §2.1.2: who receives the envelope needs digitalSignature and keyEncipherment.
  if (certificate.keyUsage !== null && (certificate.keyUsage & KEY_USAGES) !== KEY_USAGES) {
    throw new Fault(
      'ca-certificate-unfit',
      'its key usage lacks signing, key encipherment or certificate signing',
    );
  }
  return certificate;
}

async function checkPair(certificate: Certificate, signer: Signer): Promise<void> {
  const algorithm = { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' };
  const key = await crypto.subtle.importKey('spki', certificate.spki, algorithm, false, ['verify']);
  const probe = utf8('escapement authority');
  if (!(await crypto.subtle.verify(algorithm, key, await signer.sign(probe), probe))) {
    throw new Fault('ca-key-mismatch', 'the authority key does not belong to its certificate');
  }
}

class RsaSigner implements Signer {
  readonly certificate: Certificate;
  /** WebCrypto ties a key to one digest, so the key is imported once for each that is used. */
  readonly #keys = new Map<Hash, CryptoKey>();
  readonly #pkcs8: Bytes;

  constructor(certificate: Certificate, pkcs8: Bytes) {
    this.certificate = certificate;
    this.#pkcs8 = pkcs8;
  }

  async sign(data: Uint8Array, hash: Hash = 'SHA-256'): Promise<Bytes> {
    const key = this.#keys.get(hash) ?? (await this.#import(hash));
    return new Uint8Array(await crypto.subtle.sign('RSASSA-PKCS1-v1_5', key, data as Bytes));
  }

  async #import(hash: Hash): Promise<CryptoKey> {
    const algorithm = { name: 'RSASSA-PKCS1-v1_5', hash };
    try {
      const key = await crypto.subtle.importKey('pkcs8', this.#pkcs8, algorithm, false, ['sign']);
      this.#keys.set(hash, key);
      return key;
    } catch (cause) {
      throw new Fault('ca-key-malformed', 'the authority key is not an RSA key in PKCS#8', cause);
    }
  }
}

class RsaOpener implements Opener {
  readonly #pkcs8: Bytes;
  readonly #rejection: CryptoKey;
  #decrypt: ((encryptedKey: Uint8Array) => Bytes) | null = null;

  constructor(pkcs8: Bytes, rejection: CryptoKey) {
    this.#pkcs8 = pkcs8;
    this.#rejection = rejection;
  }

  static async import(pkcs8: Bytes): Promise<RsaOpener> {
    const hmac = { name: 'HMAC', hash: 'SHA-256' };
    const seed = await crypto.subtle.digest(
      'SHA-256',
      concatBytes(utf8('escapement implicit rejection\0'), pkcs8),
    );
    const rejection = await crypto.subtle.importKey('raw', seed, hmac, false, ['sign']);
    return new RsaOpener(pkcs8, rejection);
  }

  async openKey(encryptedKey: Uint8Array, keyLength: number): Promise<Bytes> {
    this.#decrypt ??= await rawDecryption(this.#pkcs8);
    // Made for right and wrong blocks alike; the same question always gets the same answer.
    const mac = await crypto.subtle.sign('HMAC', this.#rejection, encryptedKey as Bytes);
    const substitute = new Uint8Array(mac).subarray(0, keyLength);
    return unpadOrSubstitute(this.#decrypt(encryptedKey), substitute);
  }
}

/** The RSA operation without padding. A ciphertext out of range, which anyone can see, gives a block of zeros. */
async function rawDecryption(pkcs8: Bytes): Promise<(encryptedKey: Uint8Array) => Bytes> {
  const { Buffer, constants, createPrivateKey, privateDecrypt } = await nodeCrypto();
  const key = createPrivateKey({ key: Buffer.from(pkcs8), format: 'der', type: 'pkcs8' });
  const octets = (key.asymmetricKeyDetails?.modulusLength ?? 0) / 8;
  return (encryptedKey) => {
    try {
      const block = privateDecrypt({ key, padding: constants.RSA_NO_PADDING }, encryptedKey);
      return new Uint8Array(block);
    } catch {
      // Wrong length or not below the modulus: public facts. The zeros are refused like any wrong padding.
      return new Uint8Array(octets);
    }
  };
}
