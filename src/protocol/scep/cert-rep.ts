/**
 * CertRep (RFC 8894 §3.3.2), the answer to every request that could be read: signed by the authority.
 *
 * The digest is the request's where that is known to be spoken by the client: SHA-1 for SHA-1, else SHA-256 or
 * SHA-512. The certificate goes to the key that signed the request, under the request's own cipher (Observed: OpenSSL 3
 * clients cannot open DES replies). A failure carries an empty content: Observed: some clients refuse a missing one.
 */

import { type Hash, hashOf } from '../../pki/algorithms.ts';
import type { Certificate } from '../../pki/certificate.ts';
import { type ContentCipher, sealEnvelope } from '../../pki/cms-enveloped.ts';
import { bundleCertificates, signData } from '../../pki/cms-sign.ts';
import { octetString, printableString, utf8String } from '../../pki/der.ts';
import type { Signer } from '../../pki/keys.ts';
import type { Bytes } from '../../std/bytes.ts';
import { MESSAGE_TYPE, SCEP_OID, type ScepMessage } from './message.ts';

/** RFC 8894 §3.2.1.4. badTime (3) is about the signingTime attribute, which nothing here judges. */
export type FailInfo = 'badAlg' | 'badMessageCheck' | 'badRequest' | 'badCertId';

const FAIL_INFO: Readonly<Record<FailInfo, string>> = {
  badAlg: '0',
  badMessageCheck: '1',
  badRequest: '2',
  badCertId: '4',
};

const STATUS = { success: '0', failure: '2' } as const;

/** Our nonce: RFC 8894 §3.2.1.5. */
export const NONCE_BYTES = 16;

export interface Issued {
  readonly certificate: Certificate;
  readonly recipient: Certificate;
  readonly cipher: ContentCipher;
}

/** SUCCESS: the certificate and the authority's, as a degenerate SignedData in an envelope. */
export async function encodeSuccess(
  message: ScepMessage,
  signer: Signer,
  nonce: Bytes,
  issued: Issued,
): Promise<Bytes> {
  const bundle = bundleCertificates([issued.certificate.der, signer.certificate.der]);
  const content = await sealEnvelope(bundle, issued.recipient, issued.cipher);
  return encode(message, signer, nonce, content, [[SCEP_OID.pkiStatus, printableString(STATUS.success)]]);
}

/** FAILURE with its failInfo; `text` is failInfoText (RFC 8894 §3.2.1.4), for a person reading a client's log. */
export function encodeFailure(
  message: ScepMessage,
  signer: Signer,
  nonce: Bytes,
  failure: { readonly failInfo: FailInfo; readonly text: string | null },
): Promise<Bytes> {
  const attributes: Attribute[] = [
    [SCEP_OID.pkiStatus, printableString(STATUS.failure)],
    [SCEP_OID.failInfo, printableString(FAIL_INFO[failure.failInfo])],
  ];
  if (failure.text !== null) attributes.push([SCEP_OID.failInfoText, utf8String(failure.text)]);
  return encode(message, signer, nonce, new Uint8Array(0), attributes);
}

type Attribute = readonly [oid: string, value: Uint8Array];

function encode(
  message: ScepMessage,
  signer: Signer,
  nonce: Bytes,
  content: Bytes,
  status: readonly Attribute[],
): Promise<Bytes> {
  const attributes: Attribute[] = [
    [SCEP_OID.messageType, printableString(MESSAGE_TYPE.certRep)],
    [SCEP_OID.transactionId, message.transactionId],
    [SCEP_OID.senderNonce, octetString(nonce)],
    ...status,
  ];
  if (message.senderNonce !== null) {
    attributes.push([SCEP_OID.recipientNonce, octetString(message.senderNonce)]);
  }
  const hash = replyHash(message);
  return signData(content, signer, { hash, attributes, certificates: [signer.certificate.der] });
}

function replyHash(message: ScepMessage): Hash {
  return hashOf(message.signed.digestAlgorithm) ?? 'SHA-256';
}
