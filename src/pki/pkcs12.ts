/**
 * PKCS#12 files (RFC 7292), read far enough to tell whether a device could: the password fits, and a private key and
 * a certificate are in it.
 *
 *   PFX ::= SEQUENCE { version 3, authSafe ContentInfo of data, macData OPTIONAL }
 *   AuthenticatedSafe ::= SEQUENCE OF ContentInfo, each data or encryptedData
 *   SafeContents ::= SEQUENCE OF SEQUENCE { bagId, bagValue [0] EXPLICIT, attributes SET OPTIONAL }
 *
 * What is encrypted with RC2 or RC4 is not opened: then the MAC alone says that the password is the one. Whether key
 * and certificate belong together is not asked, and no key is kept.
 */
import { type Bytes, equalBytes } from '../std/bytes.ts';
import { type Outcome, ok, refuse } from '../std/outcome.ts';
import { BerReader, TAG } from './ber.ts';
import { OID } from './oid.ts';
import { type Opened, PasswordKeys } from './password-based.ts';

export interface Pkcs12 {
  readonly keys: number;
  readonly certificates: number;
  /** Of these, the X.509 ones, as they stand. */
  readonly certificateDers: readonly Bytes[];
  /** A part is encrypted as nothing here opens: there may be more keys and certificates than were counted. */
  readonly unread: boolean;
}

/** `reason` is for people and never quotes what is in the file. */
export type Pkcs12Refusal = {
  readonly kind: 'malformed-pkcs12' | 'unsupported-pkcs12' | 'wrong-password';
  readonly reason: string;
};

/** A file has one part for certificates and one for keys; chains and attributes do not add any. */
const PARTS_MAX = 8;
/** Certificates of a chain and a key. */
const BAGS_MAX = 32;

const ENCRYPTED_DATA = '1.2.840.113549.1.7.6';
const KEY_BAG = '1.2.840.113549.1.12.10.1.1';
const SHROUDED_KEY_BAG = '1.2.840.113549.1.12.10.1.2';
const CERTIFICATE_BAG = '1.2.840.113549.1.12.10.1.3';
const X509_CERTIFICATE = '1.2.840.113549.1.9.22.1';
const PBMAC1 = '1.2.840.113549.1.5.14';
const EXPLICIT_0 = 0xa0;
const IMPLICIT_0 = 0x80;

interface MacData {
  readonly hash: string;
  readonly digest: Bytes;
  readonly salt: Bytes;
  readonly iterations: number;
}

interface Pfx {
  readonly contentType: string;
  readonly content: Bytes;
  readonly mac: MacData | null;
}

export async function readPkcs12(file: Bytes, password: string): Promise<Outcome<Pkcs12, Pkcs12Refusal>> {
  const pfx = readPfx(file);
  if (typeof pfx === 'string') return malformed(pfx);
  if (pfx.contentType !== OID.data) return unsupported('it is sealed by a signature, not by a password');
  const keys = await PasswordKeys.load(password);
  const { mac } = pfx;
  if (mac !== null) {
    if (mac.hash === PBMAC1) return unsupported('its MAC is PBMAC1 (write it with an HMAC of SHA-256)');
    const digest = keys.mac(mac.hash, pfx.content, mac.salt, mac.iterations);
    if (typeof digest === 'string') return unsupported(digest);
    if (!equalBytes(digest, mac.digest)) return wrongPassword('the password does not fit, or it is damaged');
  }
  const counted = new Contents(keys).read(pfx.content);
  if (!counted.ok) {
    // The MAC said that this is the password: its parts were written with another.
    if (counted.refusal.kind === 'wrong-password' && mac !== null)
      return wrongPassword('a part of it has another password than the whole');
    return counted;
  }
  const { keys: keyCount, certificates, unread } = counted.value;
  if (mac === null && unread) return unsupported('it has no MAC and is encrypted with RC2 or RC4');
  if (keyCount === 0 && !unread) return malformed('it holds no private key');
  if (certificates === 0 && !unread) return malformed('it holds no certificate');
  return counted;
}

function readPfx(file: Bytes): Pfx | string {
  const reader = new BerReader(file);
  reader.enter(TAG.sequence);
  if (reader.smallInteger() !== 3) reader.fail('not version 3');
  reader.enter(TAG.sequence);
  const contentType = reader.oid();
  reader.enter(EXPLICIT_0);
  const content = contentType === OID.data ? reader.octetString() : reader.raw();
  reader.leave();
  reader.leave();
  const mac = reader.more() ? readMac(reader) : null;
  reader.leave();
  return reader.finish() ? { contentType, content, mac } : (reader.error ?? '');
}

/** MacData ::= SEQUENCE { DigestInfo, macSalt OCTET STRING, iterations INTEGER DEFAULT 1 } */
function readMac(reader: BerReader): MacData {
  reader.enter(TAG.sequence);
  reader.enter(TAG.sequence);
  reader.enter(TAG.sequence);
  const hash = reader.oid();
  while (reader.more()) reader.skip();
  reader.leave();
  const digest = reader.octetString();
  reader.leave();
  const salt = reader.octetString();
  const iterations = reader.more() ? reader.smallInteger() : 1;
  reader.leave();
  return { hash, digest, salt, iterations };
}

class Contents {
  readonly #keys: PasswordKeys;
  #keyCount = 0;
  #certificates = 0;
  readonly #ders: Bytes[] = [];
  #bags = 0;
  #unread = false;
  #refusal: Pkcs12Refusal | null = null;

  constructor(keys: PasswordKeys) {
    this.#keys = keys;
  }

  read(authenticatedSafe: Bytes): Outcome<Pkcs12, Pkcs12Refusal> {
    const reader = new BerReader(authenticatedSafe);
    reader.enter(TAG.sequence);
    for (let part = 1; reader.more() && this.#refusal === null; part++) {
      if (part > PARTS_MAX) reader.fail('too many parts');
      this.#part(reader);
    }
    if (this.#refusal === null) this.#finish(reader);
    if (this.#refusal !== null) return refuse(this.#refusal);
    const [keys, certificates, certificateDers] = [this.#keyCount, this.#certificates, this.#ders];
    return ok({ keys, certificates, certificateDers, unread: this.#unread });
  }

  #part(reader: BerReader): void {
    reader.enter(TAG.sequence);
    const type = reader.oid();
    reader.enter(EXPLICIT_0);
    if (type === OID.data) this.#safe(reader.octetString());
    else if (type === ENCRYPTED_DATA) this.#encrypted(reader);
    else reader.fail('a part that a password does not open');
    reader.leave();
    reader.leave();
  }

  /** EncryptedData ::= SEQUENCE { version, SEQUENCE { contentType, algorithm, [0] IMPLICIT OCTET STRING } } */
  #encrypted(reader: BerReader): void {
    reader.enter(TAG.sequence);
    reader.smallInteger();
    reader.enter(TAG.sequence);
    reader.oid();
    const algorithm = reader.raw();
    const ciphertext = reader.octetString(IMPLICIT_0);
    reader.leave();
    while (reader.more()) reader.skip();
    reader.leave();
    if (reader.error !== null) return;
    const plain = this.#plain(this.#keys.open(algorithm, ciphertext));
    if (plain !== null) this.#safe(plain);
  }

  #safe(safeContents: Bytes): void {
    const reader = new BerReader(safeContents);
    reader.enter(TAG.sequence);
    while (reader.more() && this.#refusal === null) {
      if (++this.#bags > BAGS_MAX) reader.fail('too many keys and certificates');
      reader.enter(TAG.sequence);
      const type = reader.oid();
      reader.enter(EXPLICIT_0);
      if (type === SHROUDED_KEY_BAG) this.#shroudedKey(reader);
      else if (type === CERTIFICATE_BAG) this.#certificate(reader);
      else reader.skip();
      reader.leave();
      while (reader.more()) reader.skip();
      reader.leave();
      if (type === KEY_BAG) this.#keyCount++;
    }
    if (this.#refusal === null) this.#finish(reader);
  }

  /** CertBag ::= SEQUENCE { certId, certValue [0] EXPLICIT OCTET STRING } */
  #certificate(reader: BerReader): void {
    reader.enter(TAG.sequence);
    const type = reader.oid();
    reader.enter(EXPLICIT_0);
    if (type === X509_CERTIFICATE) this.#ders.push(reader.octetString());
    else reader.skip();
    reader.leave();
    reader.leave();
    this.#certificates++;
  }

  /** EncryptedPrivateKeyInfo ::= SEQUENCE { algorithm, OCTET STRING } */
  #shroudedKey(reader: BerReader): void {
    reader.enter(TAG.sequence);
    const algorithm = reader.raw();
    const ciphertext = reader.octetString();
    reader.leave();
    if (reader.error !== null) return;
    const plain = this.#plain(this.#keys.open(algorithm, ciphertext));
    if (plain === null) return;
    const key = new BerReader(plain);
    key.enter(TAG.sequence);
    while (key.more()) key.skip();
    key.leave();
    // Padding fits a wrong key one time in 256; an exact SEQUENCE does not.
    if (key.finish()) this.#keyCount++;
    else this.#refusal ??= wrongPassword('a private key in it does not open').refusal;
  }

  #plain(opened: Opened): Bytes | null {
    switch (opened.kind) {
      case 'plain':
        return opened.plain;
      case 'unread':
        this.#unread = true;
        return null;
      case 'refused':
        this.#refusal ??= wrongPassword('the password does not fit, or it is damaged').refusal;
        return null;
      case 'malformed':
        this.#refusal ??= malformed(opened.reason).refusal;
        return null;
      default:
        return opened satisfies never;
    }
  }

  #finish(reader: BerReader): void {
    reader.leave();
    if (!reader.finish()) this.#refusal ??= malformed(reader.error ?? '').refusal;
  }
}

function malformed(reason: string) {
  return refuse<Pkcs12Refusal>({ kind: 'malformed-pkcs12', reason });
}

function unsupported(reason: string) {
  return refuse<Pkcs12Refusal>({ kind: 'unsupported-pkcs12', reason });
}

function wrongPassword(reason: string) {
  return refuse<Pkcs12Refusal>({ kind: 'wrong-password', reason });
}
