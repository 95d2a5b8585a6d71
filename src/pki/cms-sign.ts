/**
 * Builds CMS SignedData (RFC 5652 §5) in the authority's name: signed profiles and SCEP replies.
 *
 * One signer, named by issuerAndSerialNumber, always with signed attributes. The SignerInfo's signatureAlgorithm is
 * `rsaEncryption` (RFC 3370 §3.2): Observed: some SCEP clients refuse `sha1WithRSAEncryption` there. DER throughout.
 * No signingTime: nothing reads it, and a clock would have to be passed in.
 */
import type { Bytes } from '../std/bytes.ts';
import type { Hash } from './algorithms.ts';
import {
  algorithmIdentifier,
  contextConstructed,
  objectIdentifier,
  octetString,
  sequence,
  setOf,
  smallInteger,
  tlv,
} from './der.ts';
import type { Signer } from './keys.ts';
import { OID } from './oid.ts';

const HASH_OIDS: Readonly<Record<Hash, string>> = {
  'SHA-1': OID.sha1,
  'SHA-256': OID.sha256,
  'SHA-384': OID.sha384,
  'SHA-512': OID.sha512,
};

export interface SignOptions {
  readonly hash: Hash;
  /** Signed attributes besides contentType and messageDigest: OID and the value's TLV. */
  readonly attributes: readonly (readonly [oid: string, value: Uint8Array])[];
  readonly certificates: readonly Uint8Array[];
}

/** SignedData with the content inside, SHA-256, the signer's certificate included: a signed `.mobileconfig`. */
export function signAttached(content: Uint8Array, signer: Signer): Promise<Bytes> {
  return signData(content, signer, {
    hash: 'SHA-256',
    attributes: [],
    certificates: [signer.certificate.der],
  });
}

/** ContentInfo holding SignedData over `content` (type id-data), attached. */
export async function signData(content: Uint8Array, signer: Signer, options: SignOptions): Promise<Bytes> {
  const { hash } = options;
  const digest = new Uint8Array(await crypto.subtle.digest(hash, content as Bytes));
  const attributes = [
    attribute(OID.contentType, objectIdentifier(OID.data)),
    attribute(OID.messageDigest, octetString(digest)),
    ...options.attributes.map(([oid, value]) => attribute(oid, value)),
  ];
  // RFC 5652 §5.4: the signature is over the attributes as a SET OF, their place in the message is [0] IMPLICIT.
  const signedAttributes = setOf(...attributes);
  const signature = await signer.sign(signedAttributes, hash);
  const implicit = Uint8Array.from(signedAttributes);
  implicit[0] = 0xa0;
  const { issuer, serialNumber } = signer.certificate;
  const signerInfo = sequence(
    smallInteger(1),
    sequence(issuer, tlv(0x02, serialNumber)),
    algorithmIdentifier(HASH_OIDS[hash]),
    implicit,
    algorithmIdentifier(OID.rsaEncryption),
    octetString(signature),
  );
  return contentInfo(
    OID.signedData,
    signedData({
      digestAlgorithms: [algorithmIdentifier(HASH_OIDS[hash])],
      content: contextConstructed(0, octetString(content)),
      certificates: options.certificates,
      signerInfos: [signerInfo],
    }),
  );
}

/** Certificates only, signed by no one (RFC 5652 §5.2, RFC 8894 §3.4): "degenerate" SignedData. */
export function bundleCertificates(certificates: readonly Uint8Array[]): Bytes {
  const content = new Uint8Array(0);
  return contentInfo(
    OID.signedData,
    signedData({ digestAlgorithms: [], content, certificates, signerInfos: [] }),
  );
}

interface SignedDataParts {
  readonly digestAlgorithms: readonly Uint8Array[];
  /** `[0] EXPLICIT` around the content, or nothing. */
  readonly content: Uint8Array;
  readonly certificates: readonly Uint8Array[];
  readonly signerInfos: readonly Uint8Array[];
}

function signedData(parts: SignedDataParts): Bytes {
  const certificates = parts.certificates.length === 0 ? [] : [tlv(0xa0, ...parts.certificates)];
  return sequence(
    smallInteger(1),
    setOf(...parts.digestAlgorithms),
    sequence(objectIdentifier(OID.data), parts.content),
    ...certificates,
    setOf(...parts.signerInfos),
  );
}

/** ContentInfo ::= SEQUENCE { contentType, content [0] EXPLICIT } */
export function contentInfo(contentType: string, content: Uint8Array): Bytes {
  return sequence(objectIdentifier(contentType), contextConstructed(0, content));
}

function attribute(oid: string, value: Uint8Array): Bytes {
  return sequence(objectIdentifier(oid), setOf(value));
}
