/**
 * Secrets at rest: AES-256-GCM under the deployment's storage key, so that a copy of the storage alone opens nothing.
 *
 *   sealed = version 0x01 ‖ nonce, 12 random octets ‖ ciphertext ‖ tag, 16 octets
 *
 * The context (what this is and whose: `unlock-token/UDID`) is authenticated and not stored: a value moved to another
 * device or column does not open. Random nonces allow 2^32 seals under one key (NIST SP 800-38D §8.3), more than a
 * fleet makes. It does not hide the length.
 *
 * Fingerprints tell whether two secrets are the same: HMAC-SHA-256 under a key derived from the storage key (HKDF, RFC
 * 5869), so that whoever holds the storage alone can try nothing against them.
 */
import { type Bytes, concatBytes, fromBase64, toHex, utf8 } from '../std/bytes.ts';
import { Fault, type Outcome, ok, refuse } from '../std/outcome.ts';
import { randomBytes } from './random.ts';

const VERSION = 1;
const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const HEADER_BYTES = 1 + NONCE_BYTES;
const FINGERPRINT_INFO = 'escapement/fingerprint/1';

export type SealRefusal = { readonly kind: 'seal-broken' };

/** The storage key as a capability: it seals and opens, and cannot be read. */
export class SealKey {
  readonly #key: CryptoKey;
  readonly #fingerprintKey: CryptoKey;

  constructor(key: CryptoKey, fingerprintKey: CryptoKey) {
    this.#key = key;
    this.#fingerprintKey = fingerprintKey;
  }

  /** 64 hex digits. */
  async fingerprint(data: Bytes, context: string): Promise<string> {
    const named = concatBytes(utf8(`${context}\0`), data);
    return toHex(new Uint8Array(await crypto.subtle.sign('HMAC', this.#fingerprintKey, named)));
  }

  async seal(plain: Bytes, context: string): Promise<Bytes> {
    const nonce = randomBytes(NONCE_BYTES);
    const ciphertext = await crypto.subtle.encrypt(parameters(nonce, context), this.#key, plain);
    return concatBytes(Uint8Array.of(VERSION), nonce, new Uint8Array(ciphertext));
  }

  async open(sealed: Bytes, context: string): Promise<Outcome<Bytes, SealRefusal>> {
    if (sealed[0] !== VERSION || sealed.length < HEADER_BYTES + TAG_BYTES)
      return refuse({ kind: 'seal-broken' });
    const nonce = sealed.subarray(1, HEADER_BYTES);
    try {
      const plain = await crypto.subtle.decrypt(
        parameters(nonce, context),
        this.#key,
        sealed.subarray(HEADER_BYTES),
      );
      return ok(new Uint8Array(plain));
    } catch {
      // Decryption fails in one way only: the tag does not fit key, nonce, context and ciphertext.
      return refuse({ kind: 'seal-broken' });
    }
  }
}

function parameters(nonce: Bytes, context: string) {
  return { name: 'AES-GCM', iv: nonce, additionalData: utf8(`escapement/seal/${VERSION}/${context}`) };
}

/** 32 octets in base64. Throws `Fault` for anything else: a configuration error. */
export async function importSealKey(base64: string): Promise<SealKey> {
  const bytes = fromBase64(base64);
  if (bytes === null || bytes.length !== KEY_BYTES) {
    throw new Fault('storage-key-malformed', 'the storage key is not 32 octets in base64');
  }
  const key = await crypto.subtle.importKey('raw', bytes, 'AES-GCM', false, ['encrypt', 'decrypt']);
  const source = await crypto.subtle.importKey('raw', bytes, 'HKDF', false, ['deriveKey']);
  const derivation = { name: 'HKDF', hash: 'SHA-256', salt: new Uint8Array(0), info: utf8(FINGERPRINT_INFO) };
  const mac = { name: 'HMAC', hash: 'SHA-256', length: 256 };
  return new SealKey(key, await crypto.subtle.deriveKey(derivation, source, mac, false, ['sign']));
}

export function sealSecret(key: SealKey, plain: Bytes, context: string): Promise<Bytes> {
  return key.seal(plain, context);
}

/** What was sealed for this context, or `seal-broken`: another key or context, or damage. */
export function openSecret(
  key: SealKey,
  sealed: Bytes,
  context: string,
): Promise<Outcome<Bytes, SealRefusal>> {
  return key.open(sealed, context);
}

export function fingerprintSecret(key: SealKey, plain: Bytes, context: string): Promise<string> {
  return key.fingerprint(plain, context);
}
