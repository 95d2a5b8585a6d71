/**
 * CMS EnvelopedData (RFC 5652 §6) as SCEP uses it: RSA key transport (RFC 3370 §4.2.1), AES-CBC or 3DES-CBC content.
 *
 *     EnvelopedData ::= SEQUENCE { version, originatorInfo [0] OPTIONAL, SET OF RecipientInfo,
 *       SEQUENCE { contentType, contentEncryptionAlgorithm, encryptedContent [0] IMPLICIT OCTET STRING },
 *       unprotectedAttrs [1] OPTIONAL }
 *
 * BER is read (segments, indefinite lengths), DER written. Single DES and RC2 are refused by name (RFC 8894 §2.9).
 * Opening never fails: a wrong key or wrong padding gives other bytes, and the reader of those bytes refuses them
 * as it would any garbage. So nothing here can tell one failure from another.
 */
import { type Bytes, equalBytes } from '../std/bytes.ts';
import { type Outcome, ok, refuse } from '../std/outcome.ts';
import { BerReader, TAG } from './ber.ts';
import type { Certificate } from './certificate.ts';
import { contentInfo } from './cms-sign.ts';
import {
  algorithmIdentifier,
  contextPrimitive,
  objectIdentifier,
  octetString,
  sequence,
  setOf,
  smallInteger,
  tlv,
} from './der.ts';
import type { Opener } from './keys.ts';
import { nodeCrypto } from './node-crypto.ts';
import { OID } from './oid.ts';
import { randomBytes } from './random.ts';

export type ContentCipher = 'AES-128-CBC' | 'AES-192-CBC' | 'AES-256-CBC' | 'DES-EDE3-CBC';

export type EnvelopeRefusal =
  | { readonly kind: 'malformed-envelope'; readonly reason: string }
  | { readonly kind: 'recipient-unknown' }
  | { readonly kind: 'cipher-not-allowed'; readonly algorithm: string }
  | { readonly kind: 'key-transport-not-allowed'; readonly algorithm: string };

/** What was sealed for one recipient, ready to open. */
export interface Envelope {
  readonly cipher: ContentCipher;
  readonly encryptedKey: Bytes;
  readonly iv: Bytes;
  readonly ciphertext: Bytes;
}

interface CipherFacts {
  readonly oid: string;
  readonly node: string;
  readonly keyLength: number;
  readonly blockLength: number;
}

const CIPHERS: Readonly<Record<ContentCipher, CipherFacts>> = {
  'AES-128-CBC': { oid: '2.16.840.1.101.3.4.1.2', node: 'aes-128-cbc', keyLength: 16, blockLength: 16 },
  'AES-192-CBC': { oid: '2.16.840.1.101.3.4.1.22', node: 'aes-192-cbc', keyLength: 24, blockLength: 16 },
  'AES-256-CBC': { oid: '2.16.840.1.101.3.4.1.42', node: 'aes-256-cbc', keyLength: 32, blockLength: 16 },
  'DES-EDE3-CBC': { oid: '1.2.840.113549.3.7', node: 'des-ede3-cbc', keyLength: 24, blockLength: 8 },
};

const OID_ENVELOPED_DATA = '1.2.840.113549.1.7.3';
/** SCEP has one recipient; a sender may add itself. Each costs a comparison of names. */
const RECIPIENTS_MAX = 8;
const CONTENT = 0xa0;
const ORIGINATOR_INFO = 0xa0;
const UNPROTECTED_ATTRIBUTES = 0xa1;
const ENCRYPTED_CONTENT = 0x80;

interface KeyTransport {
  readonly algorithm: string;
  readonly encryptedKey: Bytes;
}

/** The part of an EnvelopedData that is for `recipient`, named by issuer and serial number. */
export function parseEnvelope(bytes: Bytes, recipient: Certificate): Outcome<Envelope, EnvelopeRefusal> {
  const reader = new BerReader(bytes);
  reader.enter(TAG.sequence);
  if (reader.oid() !== OID_ENVELOPED_DATA) reader.fail('not EnvelopedData');
  reader.enter(CONTENT);
  reader.enter(TAG.sequence);
  reader.smallInteger();
  if (reader.peek() === ORIGINATOR_INFO) reader.skip();
  const transport = readRecipients(reader, recipient);
  reader.enter(TAG.sequence);
  if (reader.oid() !== OID.data) reader.fail('content is not data');
  reader.enter(TAG.sequence);
  const cipherOid = reader.oid();
  const cipher = cipherOf(cipherOid);
  const iv = cipher === null ? skipped(reader) : reader.octetString();
  reader.leave();
  const ciphertext = reader.octetString(ENCRYPTED_CONTENT);
  reader.leave();
  if (reader.peek() === UNPROTECTED_ATTRIBUTES) reader.skip();
  reader.leave();
  reader.leave();
  reader.leave();
  if (!reader.finish()) return malformed(reader.error ?? '');
  if (cipher === null) return refuse({ kind: 'cipher-not-allowed', algorithm: cipherOid });
  if (transport === null) return refuse({ kind: 'recipient-unknown' });
  if (transport.algorithm !== OID.rsaEncryption) {
    return refuse({ kind: 'key-transport-not-allowed', algorithm: transport.algorithm });
  }
  const { blockLength } = CIPHERS[cipher];
  if (iv.length !== blockLength) return malformed('initialization vector of the wrong length');
  if (ciphertext.length === 0 || ciphertext.length % blockLength !== 0) return malformed('not whole blocks');
  return ok({ cipher, encryptedKey: transport.encryptedKey, iv, ciphertext });
}

function malformed(reason: string) {
  return refuse<EnvelopeRefusal>({ kind: 'malformed-envelope', reason });
}

function skipped(reader: BerReader): Bytes {
  if (reader.more()) reader.skip();
  return new Uint8Array(0);
}

function cipherOf(oid: string): ContentCipher | null {
  const names = Object.keys(CIPHERS) as ContentCipher[];
  return names.find((name) => CIPHERS[name].oid === oid) ?? null;
}

/** KeyTransRecipientInfo ::= SEQUENCE { version, rid, keyEncryptionAlgorithm, encryptedKey OCTET STRING } */
function readRecipients(reader: BerReader, recipient: Certificate): KeyTransport | null {
  let found: KeyTransport | null = null;
  let count = 0;
  reader.enter(TAG.set);
  while (reader.more()) {
    if (++count > RECIPIENTS_MAX) reader.fail('too many recipients');
    // Key agreement, passwords and key identifiers are other alternatives of the CHOICE, none of them SCEP's.
    if (reader.peek() !== TAG.sequence) {
      reader.skip();
      continue;
    }
    reader.enter(TAG.sequence);
    reader.smallInteger();
    const ours = readIdentifier(reader, recipient);
    reader.enter(TAG.sequence);
    const algorithm = reader.oid();
    skipped(reader);
    reader.leave();
    const encryptedKey = reader.octetString();
    reader.leave();
    if (ours) found ??= { algorithm, encryptedKey };
  }
  reader.leave();
  return found;
}

/** IssuerAndSerialNumber ::= SEQUENCE { issuer Name, serialNumber INTEGER }; `[0]` would be a key identifier. */
function readIdentifier(reader: BerReader, recipient: Certificate): boolean {
  if (reader.peek() !== TAG.sequence) {
    reader.skip();
    return false;
  }
  reader.enter(TAG.sequence);
  const issuer = reader.raw();
  const serialNumber = reader.integer();
  reader.leave();
  return equalBytes(issuer, recipient.issuer) && equalBytes(serialNumber, recipient.serialNumber);
}

/** The content, or bytes that mean nothing when the envelope was not made for this key. Never refuses. */
export async function openEnvelope(envelope: Envelope, opener: Opener): Promise<Bytes> {
  const { node, keyLength, blockLength } = CIPHERS[envelope.cipher];
  const key = await opener.openKey(envelope.encryptedKey, keyLength);
  const { createDecipheriv } = await nodeCrypto();
  const decipher = createDecipheriv(node, key, envelope.iv);
  decipher.setAutoPadding(false);
  const first = decipher.update(envelope.ciphertext);
  const rest = decipher.final();
  const padded = new Uint8Array(first.length + rest.length);
  padded.set(first);
  padded.set(rest, first.length);
  return padded.subarray(0, unpaddedLength(padded, blockLength));
}

/**
 * RFC 5652 §6.3: the last octet says how many octets were added, each with that value. The whole last block is
 * looked at, always. Wrong padding takes nothing off: the content then ends in octets that do not belong to it,
 * which its reader refuses. (Vaudenay's oracle asks exactly whether the padding was right.)
 */
export function unpaddedLength(padded: Uint8Array, blockLength: number): number {
  const added = padded[padded.length - 1] as number;
  // Sign bits: set when added is 0, and when it is more than a block.
  let wrong = ((added - 1) | (blockLength - added)) >> 31;
  for (let i = 1; i <= blockLength; i++) {
    const inPadding = (i - 1 - added) >> 31;
    wrong |= inPadding & ((padded[padded.length - i] as number) ^ added);
  }
  const right = ((wrong | -wrong) >> 31) + 1;
  return padded.length - added * right;
}

/** ContentInfo with EnvelopedData for one certificate with an RSA key. */
export async function sealEnvelope(
  content: Uint8Array,
  recipient: Certificate,
  cipher: ContentCipher,
): Promise<Bytes> {
  const { Buffer, constants, createCipheriv, createPublicKey, publicEncrypt } = await nodeCrypto();
  const { oid, node, keyLength, blockLength } = CIPHERS[cipher];
  const key = randomBytes(keyLength);
  const iv = randomBytes(blockLength);
  const sealing = createCipheriv(node, key, iv);
  const ciphertext = Buffer.concat([sealing.update(content), sealing.final()]);
  const publicKey = createPublicKey({ key: Buffer.from(recipient.spki), format: 'der', type: 'spki' });
  const encryptedKey = publicEncrypt({ key: publicKey, padding: constants.RSA_PKCS1_PADDING }, key);
  const recipientInfo = sequence(
    smallInteger(0),
    sequence(recipient.issuer, tlv(TAG.integer, recipient.serialNumber)),
    algorithmIdentifier(OID.rsaEncryption),
    octetString(encryptedKey),
  );
  const encryptedContent = sequence(
    objectIdentifier(OID.data),
    algorithmIdentifier(oid, octetString(iv)),
    contextPrimitive(0, ciphertext),
  );
  return contentInfo(OID_ENVELOPED_DATA, sequence(smallInteger(0), setOf(recipientInfo), encryptedContent));
}
