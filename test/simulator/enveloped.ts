/**
 * CMS EnvelopedData (RFC 5652 §6) with RSA key transport (PKCS#1 v1.5), the envelope of SCEP.
 *
 * EnvelopedData ::= SEQUENCE { version 0, recipientInfos SET, encryptedContentInfo }
 * EncryptedContentInfo ::= SEQUENCE { contentType, algorithm, [0] encryptedContent }
 *
 * encryptedContent goes out primitive (Apple's clients) or constructed (Go clients): facts 19.2.
 */
import { Buffer } from 'node:buffer';
import { constants, createCipheriv, createDecipheriv, publicEncrypt, randomBytes } from 'node:crypto';
import type { X509 } from './certificate.ts';
import { CMS, CmsError, contentOf } from './cms.ts';
import {
  child,
  context,
  integer,
  nothing,
  octetString,
  octets,
  oid,
  oidText,
  sequence,
  set,
  TAG,
  tlv,
} from './der.ts';
import { type DeviceKey, publicKeyOf } from './keys.ts';

/** Single DES is here to be refused. Node has none, so it is 3DES with one key three times, which is the same. */
export type Cipher = 'aes-128' | 'aes-256' | '3des' | 'des';

const CIPHERS: Record<Cipher, { oid: string; name: string; keyBytes: number; ivBytes: number }> = {
  'aes-128': { oid: '2.16.840.1.101.3.4.1.2', name: 'aes-128-cbc', keyBytes: 16, ivBytes: 16 },
  'aes-256': { oid: '2.16.840.1.101.3.4.1.42', name: 'aes-256-cbc', keyBytes: 32, ivBytes: 16 },
  '3des': { oid: '1.2.840.113549.3.7', name: 'des-ede3-cbc', keyBytes: 24, ivBytes: 8 },
  des: { oid: '1.3.14.3.2.7', name: 'des-ede3-cbc', keyBytes: 8, ivBytes: 8 },
};

const RSA_ENCRYPTION = '1.2.840.113549.1.1.1';

export interface EnvelopeOptions {
  readonly recipient: X509;
  readonly cipher?: Cipher;
  readonly constructed?: boolean;
  /** Names another recipient than the key belongs to. */
  readonly recipientSerial?: Uint8Array;
}

export function envelop(content: Uint8Array, options: EnvelopeOptions): Buffer {
  const cipher = CIPHERS[options.cipher ?? '3des'];
  const key = randomBytes(cipher.keyBytes);
  const iv = randomBytes(cipher.ivBytes);
  const encrypt = createCipheriv(cipher.name, cipherKey(key), iv);
  const encrypted = Buffer.concat([encrypt.update(Buffer.from(content)), encrypt.final()]);
  const encryptedKey = publicEncrypt(
    { key: publicKeyOf(options.recipient.spki), padding: constants.RSA_PKCS1_PADDING },
    key,
  );
  const recipientInfo = sequence(
    integer(0),
    sequence(options.recipient.issuer, tlv(TAG.integer, options.recipientSerial ?? options.recipient.serial)),
    sequence(oid(RSA_ENCRYPTION), nothing()),
    octetString(encryptedKey),
  );
  const encryptedContentInfo = sequence(
    oid(CMS.data),
    sequence(oid(cipher.oid), octetString(iv)),
    options.constructed ? context(0, octetString(encrypted)) : tlv(0x80, encrypted),
  );
  const envelopedData = sequence(integer(0), set(recipientInfo), encryptedContentInfo);
  return sequence(oid(CMS.envelopedData), context(0, envelopedData));
}

function cipherKey(key: Buffer): Buffer {
  return key.length === 8 ? Buffer.concat([key, key, key]) : key;
}

export interface OpenedEnvelope {
  readonly content: Buffer;
  readonly cipher: Cipher;
}

/** Opens an envelope addressed to `recipient` (issuer and serial number must name it). */
export function openEnvelope(cms: Uint8Array, recipient: X509, key: DeviceKey): OpenedEnvelope {
  const envelopedData = contentOf(cms, CMS.envelopedData);
  const infos = child(envelopedData, 1, TAG.set).children;
  const mine = infos.find((info) => {
    const rid = child(info, 1);
    return child(rid, 0).raw.equals(recipient.issuer) && child(rid, 1).body.equals(recipient.serial);
  });
  if (mine === undefined) throw new CmsError('the envelope is addressed to someone else');
  const contentInfo = child(envelopedData, 2, TAG.sequence);
  const algorithm = child(contentInfo, 1, TAG.sequence);
  const algorithmOid = oidText(child(algorithm, 0));
  const cipher = (Object.keys(CIPHERS) as Cipher[]).find((name) => CIPHERS[name].oid === algorithmOid);
  if (cipher === undefined) throw new CmsError(`cipher ${algorithmOid} is not known`);
  const contentKey = key.decrypt(child(mine, 3, TAG.octetString).body);
  const decrypt = createDecipheriv(
    CIPHERS[cipher].name,
    cipherKey(contentKey),
    child(algorithm, 1, TAG.octetString).body,
  );
  const content = Buffer.concat([decrypt.update(octets(child(contentInfo, 2))), decrypt.final()]);
  return { content, cipher };
}
