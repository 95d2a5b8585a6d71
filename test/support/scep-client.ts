/**
 * Builds SCEP requests of every sort, right and wrong, and reads the replies. Crypto is `node:crypto`, so the sums
 * are done by other code than the server's. Its own DER writing is five lines; indefinite lengths on request.
 */
import {
  constants,
  createCipheriv,
  createDecipheriv,
  createHash,
  createPrivateKey,
  createPublicKey,
  type KeyObject,
  privateDecrypt,
  publicEncrypt,
  randomBytes,
  sign,
} from 'node:crypto';
import { BerReader } from '../../src/pki/ber.ts';
import { type Certificate, parseCertificate } from '../../src/pki/certificate.ts';
import { parseSignedData, verifySignedData } from '../../src/pki/cms-signed.ts';
import { type Bytes, concatBytes, utf8 } from '../../src/std/bytes.ts';

export type ClientCipher =
  | 'aes-128-cbc'
  | 'aes-192-cbc'
  | 'aes-256-cbc'
  | 'des-ede3-cbc'
  | 'des-cbc'
  | 'rc2-cbc';
export type ClientHash = 'sha1' | 'sha256' | 'sha384' | 'sha512' | 'md5';

const CIPHER_OIDS: Record<ClientCipher, string> = {
  'aes-128-cbc': '2.16.840.1.101.3.4.1.2',
  'aes-192-cbc': '2.16.840.1.101.3.4.1.22',
  'aes-256-cbc': '2.16.840.1.101.3.4.1.42',
  'des-ede3-cbc': '1.2.840.113549.3.7',
  'des-cbc': '1.3.14.3.2.7',
  'rc2-cbc': '1.2.840.113549.3.2',
};
const KEY_LENGTHS: Record<ClientCipher, number> = {
  'aes-128-cbc': 16,
  'aes-192-cbc': 24,
  'aes-256-cbc': 32,
  'des-ede3-cbc': 24,
  'des-cbc': 8,
  'rc2-cbc': 16,
};
const HASH_OIDS: Record<ClientHash, string> = {
  md5: '1.2.840.113549.2.5',
  sha1: '1.3.14.3.2.26',
  sha256: '2.16.840.1.101.3.4.2.1',
  sha384: '2.16.840.1.101.3.4.2.2',
  sha512: '2.16.840.1.101.3.4.2.3',
};
const RSA_WITH: Record<ClientHash, string> = {
  md5: '1.2.840.113549.1.1.4',
  sha1: '1.2.840.113549.1.1.5',
  sha256: '1.2.840.113549.1.1.11',
  sha384: '1.2.840.113549.1.1.12',
  sha512: '1.2.840.113549.1.1.13',
};
const RSA = '1.2.840.113549.1.1.1';
const ATTRIBUTE = (n: number) => `2.16.840.1.113733.1.9.${n}`;

export function node(tag: number, ...parts: readonly Uint8Array[]): Bytes {
  const content = concatBytes(...parts);
  const n = content.length;
  const length = n < 128 ? [n] : n < 256 ? [0x81, n] : [0x82, n >> 8, n & 255];
  return concatBytes(Uint8Array.of(tag, ...length), content);
}

/** A constructed element of indefinite length. */
export function open(tag: number, ...parts: readonly Uint8Array[]): Bytes {
  return concatBytes(Uint8Array.of(tag, 0x80), ...parts, Uint8Array.of(0, 0));
}

export function oid(dotted: string): Bytes {
  const [a = 0, b = 0, ...rest] = dotted.split('.').map(Number);
  const octets = [a * 40 + b, ...rest].flatMap((arc) => {
    const out = [arc & 127];
    for (let left = Math.floor(arc / 128); left > 0; left = Math.floor(left / 128))
      out.unshift((left & 127) | 128);
    return out;
  });
  return node(6, Uint8Array.from(octets));
}

const seq = (...parts: readonly Uint8Array[]) => node(0x30, ...parts);
const set = (...parts: readonly Uint8Array[]) => node(0x31, ...parts);
const int = (n: number) => node(2, Uint8Array.of(n));
const printable = (text: string) => node(0x13, utf8(text));
const octets = (bytes: Uint8Array) => node(4, bytes);
const algorithm = (dotted: string) => seq(oid(dotted), Uint8Array.of(5, 0));
const attribute = (dotted: string, value: Uint8Array) => seq(oid(dotted), set(value));

export const rdn = (dotted: string, text: string) => set(seq(oid(dotted), node(0x0c, utf8(text))));
export const commonName = (text: string) => seq(rdn('2.5.4.3', text));

export interface ClientKey {
  readonly key: KeyObject;
  readonly spki: Bytes;
}

export function clientKey(pem: string): ClientKey {
  const key = createPrivateKey(pem);
  const spki = createPublicKey(pem).export({ format: 'der', type: 'spki' });
  return { key, spki: Uint8Array.from(spki) };
}

/** `CN=MDM SCEP SIGNER` by its own key, as Apple's client makes one. */
export function selfSigned(
  { key, spki }: ClientKey,
  name: Bytes = commonName('MDM SCEP SIGNER'),
): Certificate {
  const rsa = key.asymmetricKeyType === 'rsa';
  const signatureAlgorithm = rsa ? algorithm(RSA_WITH.sha256) : seq(oid('1.2.840.10045.4.3.2'));
  const validity = seq(node(0x17, utf8('200101000000Z')), node(0x17, utf8('491231000000Z')));
  const tbs = seq(node(0xa0, int(2)), int(1), signatureAlgorithm, name, validity, name, spki);
  const certificate = parseCertificate(
    seq(tbs, signatureAlgorithm, node(3, Uint8Array.of(0), sign('sha256', tbs, key))),
  );
  if (!certificate.ok) throw new Error(certificate.refusal.reason);
  return certificate.value;
}

export interface CsrOptions {
  readonly key: ClientKey;
  readonly subject?: Bytes;
  readonly challenge?: string | null;
  readonly challengeTag?: number;
  readonly version?: number;
  readonly hash?: ClientHash;
  /** Instead of the key's own signature. */
  readonly signature?: Uint8Array;
}

export function buildCsr(options: CsrOptions): Bytes {
  const { key, spki } = options.key;
  const hash = options.hash ?? 'sha256';
  const challenge = options.challenge ?? null;
  const attributes =
    challenge === null
      ? []
      : [attribute('1.2.840.113549.1.9.7', node(options.challengeTag ?? 0x13, utf8(challenge)))];
  const subject = options.subject ?? commonName('label');
  const info = seq(int(options.version ?? 0), subject, spki, node(0xa0, ...attributes));
  const rsa = key.asymmetricKeyType === 'rsa';
  const signatureAlgorithm = rsa ? algorithm(RSA_WITH[hash]) : seq(oid('1.2.840.10045.4.3.2'));
  const signature = options.signature ?? sign(hash, info, key);
  return seq(info, signatureAlgorithm, node(3, Uint8Array.of(0), signature));
}

export interface RequestOptions {
  readonly authority: Certificate;
  readonly signer: { readonly key: ClientKey; readonly certificate: Certificate };
  readonly csr: Uint8Array;
  readonly cipher?: ClientCipher;
  readonly hash?: ClientHash;
  readonly messageType?: string | null;
  readonly transactionId?: string | null;
  readonly senderNonce?: Uint8Array | null;
  readonly constructedContent?: boolean;
  readonly indefinite?: boolean;
  readonly signatureOid?: 'rsaEncryption' | 'withHash';
  readonly keyTransport?: string;
  readonly withoutCertificate?: boolean;
  /** What the attacker changes. */
  readonly padded?: (plain: Uint8Array, block: number) => Uint8Array;
  readonly encryptedKey?: (right: Uint8Array, contentKey: Uint8Array) => Uint8Array;
  readonly ciphertext?: (right: Uint8Array) => Uint8Array;
  readonly envelope?: (right: Bytes) => Bytes;
  readonly signature?: (right: Uint8Array) => Uint8Array;
}

export const NONCE = Uint8Array.from({ length: 16 }, (_, i) => i);

/** Encrypted to a certificate, PKCS#1 v1.5. */
export function encryptTo(
  certificate: Certificate,
  content: Uint8Array,
  padding = constants.RSA_PKCS1_PADDING,
) {
  const key = createPublicKey({ key: Buffer.from(certificate.spki), format: 'der', type: 'spki' });
  return publicEncrypt({ key, padding }, content);
}

export function buildEnvelope(options: RequestOptions): Bytes {
  const cipher = options.cipher ?? 'aes-128-cbc';
  const wrap = options.indefinite ? open : node;
  const contentKey = randomBytes(KEY_LENGTHS[cipher]);
  const block = cipher.startsWith('aes') ? 16 : 8;
  const iv = randomBytes(block);
  const ciphertext = encryptContent(options, cipher, contentKey, iv);
  const wrapped = encryptTo(options.authority, contentKey);
  const { issuer, serialNumber } = options.authority;
  const recipient = wrap(
    0x30,
    int(0),
    seq(issuer, node(2, serialNumber)),
    algorithm(options.keyTransport ?? RSA),
    octets(options.encryptedKey?.(wrapped, contentKey) ?? wrapped),
  );
  const half = Math.floor(ciphertext.length / 2);
  const encrypted = options.constructedContent
    ? wrap(0xa0, octets(ciphertext.subarray(0, half)), octets(ciphertext.subarray(half)))
    : node(0x80, ciphertext);
  const content = wrap(
    0x30,
    oid('1.2.840.113549.1.7.1'),
    seq(oid(CIPHER_OIDS[cipher]), octets(iv)),
    encrypted,
  );
  const enveloped = wrap(0x30, int(0), wrap(0x31, recipient), content);
  return wrap(0x30, oid('1.2.840.113549.1.7.3'), wrap(0xa0, enveloped));
}

function encryptContent(
  { csr, padded, ciphertext }: RequestOptions,
  cipher: ClientCipher,
  key: Uint8Array,
  iv: Uint8Array,
): Uint8Array {
  const block = cipher.startsWith('aes') ? 16 : 8;
  const added = block - (csr.length % block);
  const right = concatBytes(csr, new Uint8Array(added).fill(added));
  const sealing = createCipheriv(cipher, key, iv);
  sealing.setAutoPadding(false);
  const sealed = Buffer.concat([sealing.update(padded?.(right, block) ?? right), sealing.final()]);
  return ciphertext?.(sealed) ?? sealed;
}

export function buildRequest(options: RequestOptions): Bytes {
  const built = buildEnvelope(options);
  const envelope = options.envelope?.(built) ?? built;
  return signRequest(envelope, options);
}

/** The outer SignedData around any content. */
export function signRequest(envelope: Bytes, options: RequestOptions): Bytes {
  const hash = options.hash ?? 'sha256';
  const wrap = options.indefinite ? open : node;
  const { key, certificate } = options.signer;
  const messageType = options.messageType === undefined ? '19' : options.messageType;
  const transactionId = options.transactionId === undefined ? 'TX-1' : options.transactionId;
  const senderNonce = options.senderNonce === undefined ? NONCE : options.senderNonce;
  const attributes = [
    attribute('1.2.840.113549.1.9.3', oid('1.2.840.113549.1.7.1')),
    attribute('1.2.840.113549.1.9.4', octets(createHash(hash).update(envelope).digest())),
    ...(messageType === null ? [] : [attribute(ATTRIBUTE(2), printable(messageType))]),
    ...(transactionId === null ? [] : [attribute(ATTRIBUTE(7), printable(transactionId))]),
    ...(senderNonce === null ? [] : [attribute(ATTRIBUTE(5), octets(senderNonce))]),
  ];
  const rsa = key.key.asymmetricKeyType === 'rsa';
  const signature = sign(hash, set(...attributes), key.key);
  const signatureOid = options.signatureOid === 'withHash' ? RSA_WITH[hash] : RSA;
  const signerInfo = wrap(
    0x30,
    int(1),
    seq(certificate.issuer, node(2, certificate.serialNumber)),
    algorithm(HASH_OIDS[hash]),
    node(0xa0, ...attributes),
    rsa ? algorithm(signatureOid) : seq(oid('1.2.840.10045.4.3.2')),
    octets(options.signature?.(signature) ?? signature),
  );
  const half = Math.floor(envelope.length / 2);
  const content = options.indefinite
    ? open(0x24, octets(envelope.subarray(0, half)), octets(envelope.subarray(half)))
    : octets(envelope);
  const certificates = options.withoutCertificate ? [] : [wrap(0xa0, certificate.der)];
  const signed = wrap(
    0x30,
    int(1),
    set(algorithm(HASH_OIDS[hash])),
    wrap(0x30, oid('1.2.840.113549.1.7.1'), wrap(0xa0, content)),
    ...certificates,
    wrap(0x31, signerInfo),
  );
  return wrap(0x30, oid('1.2.840.113549.1.7.2'), wrap(0xa0, signed));
}

export interface Reply {
  readonly status: string | null;
  readonly failInfo: string | null;
  readonly failText: string | null;
  readonly messageType: string | null;
  readonly transactionId: string | null;
  readonly senderNonce: Bytes | null;
  readonly recipientNonce: Bytes | null;
  readonly digestAlgorithm: string;
  readonly signatureAlgorithm: string;
  readonly content: Bytes;
}

/** Checks the signature by the authority and reads the attributes. */
export async function readReply(bytes: Bytes, authority: Certificate): Promise<Reply> {
  const parsed = parseSignedData(bytes);
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.refusal));
  const signed = parsed.value;
  const content = signed.content ?? new Uint8Array(0);
  const verified = await verifySignedData(signed, content, { sha1: true, rsaBitsMin: 2048 });
  if (!verified.ok) throw new Error(JSON.stringify(verified.refusal));
  if (Buffer.compare(verified.value.der, authority.der) !== 0) throw new Error('not signed by the authority');
  const bare = (n: number | string) => {
    const tlv = signed.attribute(typeof n === 'string' ? n : ATTRIBUTE(n));
    if (tlv === null) return null;
    const reader = new BerReader(tlv);
    return reader.primitive(reader.peek());
  };
  const text = (n: number | string) => {
    const value = bare(n);
    return value === null ? null : new TextDecoder().decode(value);
  };
  return {
    messageType: text(2),
    status: text(3),
    failInfo: text(4),
    failText: text('1.3.6.1.5.5.7.24.1'),
    senderNonce: bare(5),
    recipientNonce: bare(6),
    transactionId: text(7),
    digestAlgorithm: signed.digestAlgorithm,
    signatureAlgorithm: signed.signatureAlgorithm,
    content,
  };
}

/** Opens the reply's envelope and takes the certificates out of the degenerate SignedData. */
export function openReply(content: Bytes, key: ClientKey): { certificates: Certificate[]; cipher: string } {
  const reader = new BerReader(content);
  reader.enter(0x30);
  reader.oid();
  reader.enter(0xa0);
  reader.enter(0x30);
  reader.smallInteger();
  reader.enter(0x31);
  reader.enter(0x30);
  reader.smallInteger();
  reader.skip();
  reader.skip();
  const encryptedKey = reader.octetString();
  reader.leave();
  reader.leave();
  reader.enter(0x30);
  reader.oid();
  reader.enter(0x30);
  const cipherOid = reader.oid();
  const iv = reader.octetString();
  reader.leave();
  const ciphertext = reader.octetString(0x80);
  const cipher = (Object.keys(CIPHER_OIDS) as ClientCipher[]).find((name) => CIPHER_OIDS[name] === cipherOid);
  if (reader.error !== null || cipher === undefined) throw new Error(reader.error ?? cipherOid);
  const contentKey = privateDecrypt({ key: key.key, padding: constants.RSA_PKCS1_PADDING }, encryptedKey);
  const opening = createDecipheriv(cipher, contentKey, iv);
  const bundle = Uint8Array.from(Buffer.concat([opening.update(ciphertext), opening.final()]));
  return { certificates: readBundle(bundle), cipher };
}

/** The certificates of a SignedData that nobody signed. */
export function readBundle(bundle: Bytes): Certificate[] {
  const reader = new BerReader(bundle, { der: true });
  reader.enter(0x30);
  reader.oid();
  reader.enter(0xa0);
  reader.enter(0x30);
  reader.smallInteger();
  reader.skip();
  reader.skip();
  reader.enter(0xa0);
  const certificates: Certificate[] = [];
  while (reader.more()) {
    const certificate = parseCertificate(reader.raw());
    if (certificate.ok) certificates.push(certificate.value);
  }
  return certificates;
}
