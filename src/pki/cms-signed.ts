/**
 * CMS SignedData (RFC 5652 §5) with exactly one signer, read in place from BER or DER, and its verification.
 *
 *   SignedData ::= SEQUENCE { version, digestAlgorithms SET, encapContentInfo, certificates [0] IMPLICIT OPTIONAL,
 *                             crls [1] IMPLICIT OPTIONAL, signerInfos SET OF SignerInfo }
 *   SignerInfo ::= SEQUENCE { version, sid, digestAlgorithm, signedAttrs [0] IMPLICIT OPTIONAL,
 *                             signatureAlgorithm, signature OCTET STRING, unsignedAttrs [1] IMPLICIT OPTIONAL }
 *
 * Verifying says that the holder of the signer's key signed this content. Whether that certificate is to be trusted
 * is `chain.ts`. Version numbers, the digestAlgorithms, CRLs and unsigned attributes have no effect.
 */
import type { Bytes } from '../std/bytes.ts';
import { equalBytes } from '../std/bytes.ts';
import { type Outcome, ok, refuse } from '../std/outcome.ts';
import { hashOf, readAlgorithm, type SignaturePolicy, verifySignature } from './algorithms.ts';
import { BerReader, TAG } from './ber.ts';
import type { Certificate } from './certificate.ts';
import { cachedCertificate } from './certificate-cache.ts';
import { OID } from './oid.ts';

export interface SignedData {
  /** eContentType, dotted. */
  readonly contentType: string;
  /** `null` when the signature is detached. */
  readonly content: Bytes | null;
  readonly certificates: readonly Certificate[];
  readonly digestAlgorithm: string;
  readonly signatureAlgorithm: string;
  /** As the DER SET OF that is hashed (RFC 5652 §5.4). */
  readonly signedAttributes: Bytes | null;
  readonly signature: Bytes;
  /** The certificate that the signer names, when it is included. */
  readonly signer: Certificate | null;
  /** The first value of a signed attribute, as it stands. */
  attribute(oid: string): Bytes | null;
}

export type CmsRefusal =
  | { readonly kind: 'malformed-cms'; readonly reason: string }
  | { readonly kind: 'signer-missing' }
  | { readonly kind: 'signer-count'; readonly count: number }
  | { readonly kind: 'algorithm-not-allowed'; readonly algorithm: string }
  | { readonly kind: 'content-type-mismatch' }
  | { readonly kind: 'digest-mismatch' }
  | { readonly kind: 'signature-invalid' };

/** Certificates in one message. Apple's device chain is leaf, two intermediates and sometimes the root. */
export const CMS_CERTIFICATES_MAX = 6;
/** Signed attributes of one signer. SCEP sends eight. */
const ATTRIBUTES_MAX = 32;

const EXPLICIT_0 = 0xa0;
const IMPLICIT_1 = 0xa1;
/** SubjectKeyIdentifier as `[0] IMPLICIT OCTET STRING`. */
const KEY_IDENTIFIER = 0x80;

interface SignerInfo {
  issuer: Bytes | null;
  serialNumber: Bytes | null;
  subjectKeyIdentifier: Bytes | null;
  digestAlgorithm: string;
  signedAttributes: Bytes | null;
  signatureAlgorithm: string;
  signature: Bytes;
}

export function parseSignedData(bytes: Bytes): Outcome<SignedData, CmsRefusal> {
  const reader = new BerReader(bytes);
  reader.enter(TAG.sequence);
  if (reader.oid() !== OID.signedData) reader.fail('not SignedData');
  reader.enter(EXPLICIT_0);
  reader.enter(TAG.sequence);
  reader.smallInteger();
  reader.enter(TAG.set);
  while (reader.more()) readAlgorithm(reader);
  reader.leave();
  reader.enter(TAG.sequence);
  const contentType = reader.oid();
  const content = readContent(reader);
  reader.leave();
  const certificates = readCertificates(reader);
  if (reader.peek() === IMPLICIT_1) reader.skip();
  reader.enter(TAG.set);
  let count = 0;
  let info: SignerInfo | null = null;
  for (; reader.more(); count++) {
    if (count === 0) info = readSignerInfo(reader);
    else reader.skip();
  }
  reader.leave();
  reader.leave();
  reader.leave();
  reader.leave();
  if (!reader.finish()) return malformed(reader.error ?? '');
  if (info === null || count !== 1) return refuse({ kind: 'signer-count', count });
  const attributes = info.signedAttributes === null ? NO_ATTRIBUTES : readAttributes(info.signedAttributes);
  if (typeof attributes === 'string') return malformed(attributes);
  return ok({
    contentType,
    content,
    certificates,
    digestAlgorithm: info.digestAlgorithm,
    signatureAlgorithm: info.signatureAlgorithm,
    signedAttributes: info.signedAttributes,
    signature: info.signature,
    signer: findSigner(certificates, info),
    attribute: (oid) => attributes.get(oid) ?? null,
  });
}

/**
 * Checks the one signature over `content`: for a detached message what it came with, else `signed.content`. The
 * caller decides which; nothing here falls back from one to the other.
 */
export async function verifySignedData(
  signed: SignedData,
  content: Bytes,
  policy: SignaturePolicy,
): Promise<Outcome<Certificate, CmsRefusal>> {
  const { signer, signedAttributes, digestAlgorithm } = signed;
  if (signer === null) return refuse({ kind: 'signer-missing' });
  const hash = hashOf(digestAlgorithm);
  if (hash === null || (hash === 'SHA-1' && !policy.sha1)) return notAllowed(digestAlgorithm);
  if (signedAttributes === null) {
    if (mayBeAttributes(content)) return malformed('content may be signed attributes');
  } else {
    // RFC 5652 §5.3: with signed attributes, content-type and message-digest are both there.
    const type = onlyValue(signed, OID.contentType, TAG.oid);
    const expected = onlyValue(signed, OID.messageDigest, TAG.octetString);
    if (type === null || expected === null)
      return malformed('signed attributes without content type or digest');
    if (type.oid() !== signed.contentType) return refuse({ kind: 'content-type-mismatch' });
    const digest = new Uint8Array(await crypto.subtle.digest(hash, content));
    if (!equalBytes(expected.octetString(), digest)) return refuse({ kind: 'digest-mismatch' });
  }
  const algorithm = { signature: signed.signatureAlgorithm, digest: digestAlgorithm };
  const verdict = await verifySignature(
    signer,
    algorithm,
    policy,
    signed.signature,
    signedAttributes ?? content,
  );
  if (verdict === 'valid') return ok(signer);
  return verdict === 'invalid' ? refuse({ kind: 'signature-invalid' }) : notAllowed(describe(signed, signer));
}

function malformed(reason: string) {
  return refuse<CmsRefusal>({ kind: 'malformed-cms', reason });
}

function notAllowed(algorithm: string) {
  return refuse<CmsRefusal>({ kind: 'algorithm-not-allowed', algorithm });
}

function describe(signed: SignedData, signer: Certificate): string {
  const key = signer.rsaBits === null ? signer.keyAlgorithm : `RSA-${signer.rsaBits}`;
  return `${signed.signatureAlgorithm} with ${signed.digestAlgorithm}, key ${key}`;
}

/** `[0] EXPLICIT OCTET STRING`, absent when detached. */
function readContent(reader: BerReader): Bytes | null {
  if (!reader.more()) return null;
  reader.enter(EXPLICIT_0);
  const content = reader.octetString();
  reader.leave();
  return content;
}

/** CertificateSet: certificates are read, the other choices (attribute certificates) only counted. */
function readCertificates(reader: BerReader): Certificate[] {
  const certificates: Certificate[] = [];
  if (reader.peek() !== EXPLICIT_0) return certificates;
  reader.enter(EXPLICIT_0);
  for (let count = 1; reader.more(); count++) {
    if (count > CMS_CERTIFICATES_MAX) reader.fail('too many certificates');
    const isCertificate = reader.peek() === TAG.sequence;
    const der = reader.raw();
    if (!isCertificate || reader.error !== null) continue;
    const certificate = cachedCertificate(der);
    if (certificate.ok) certificates.push(certificate.value);
    else reader.fail(`malformed certificate: ${certificate.refusal.reason}`);
  }
  reader.leave();
  return certificates;
}

function readSignerInfo(reader: BerReader): SignerInfo {
  reader.enter(TAG.sequence);
  reader.smallInteger();
  let issuer: Bytes | null = null;
  let serialNumber: Bytes | null = null;
  let subjectKeyIdentifier: Bytes | null = null;
  if (reader.peek() === KEY_IDENTIFIER) {
    subjectKeyIdentifier = reader.octetString(KEY_IDENTIFIER);
  } else {
    reader.enter(TAG.sequence);
    issuer = reader.raw();
    serialNumber = reader.integer();
    reader.leave();
  }
  const digestAlgorithm = readAlgorithm(reader);
  let signedAttributes: Bytes | null = null;
  if (reader.peek() === EXPLICIT_0) {
    // The signature covers them with the tag of SET OF in place of [0] (RFC 5652 §5.4).
    signedAttributes = reader.raw().slice();
    signedAttributes[0] = TAG.set;
  }
  const signatureAlgorithm = readAlgorithm(reader);
  const signature = reader.octetString();
  if (reader.peek() === IMPLICIT_1) reader.skip();
  reader.leave();
  return {
    issuer,
    serialNumber,
    subjectKeyIdentifier,
    digestAlgorithm,
    signedAttributes,
    signatureAlgorithm,
    signature,
  };
}

const NO_ATTRIBUTES: ReadonlyMap<string, Bytes> = new Map();

/**
 * Reads the attributes out of the very octets that the signature covers, with lengths as DER has them, so what is
 * read is what was signed. RFC 5652 §5.4 signs their DER whatever was sent: other encodings are refused, as no known
 * signer sends them. The order of the set is left as sent, since real signers do not sort. Text: what is wrong.
 */
function readAttributes(set: Bytes): ReadonlyMap<string, Bytes> | string {
  const attributes = new Map<string, Bytes>();
  const reader = new BerReader(set, { der: true });
  reader.enter(TAG.set);
  while (reader.more()) {
    reader.enter(TAG.sequence);
    const type = reader.oid();
    reader.enter(TAG.set);
    const value = reader.raw();
    // RFC 5652 §11: content type and message digest have a single value. Others may have more.
    if (type !== OID.contentType && type !== OID.messageDigest) while (reader.more()) reader.skip();
    reader.leave();
    reader.leave();
    if (attributes.has(type) || attributes.size >= ATTRIBUTES_MAX)
      reader.fail('repeated or too many attributes');
    attributes.set(type, value);
  }
  reader.leave();
  return reader.finish() ? attributes : `signed attributes: ${reader.error}`;
}

function onlyValue(signed: SignedData, type: string, tag: number): BerReader | null {
  const value = signed.attribute(type);
  return value !== null && value[0] === tag ? new BerReader(value, { der: true }) : null;
}

/**
 * A signature over signed attributes also fits a message without any whose content is those attributes. No content
 * signed here is a DER SET that fills its octets, so such content is refused where there are no signed attributes.
 */
function mayBeAttributes(content: Bytes): boolean {
  if (content[0] !== TAG.set) return false;
  const reader = new BerReader(content, { der: true });
  reader.skip();
  return reader.finish();
}

function findSigner(certificates: readonly Certificate[], info: SignerInfo): Certificate | null {
  const { issuer, serialNumber, subjectKeyIdentifier } = info;
  for (const certificate of certificates) {
    if (subjectKeyIdentifier !== null) {
      const identifier = certificate.subjectKeyIdentifier;
      if (identifier !== null && equalBytes(identifier, subjectKeyIdentifier)) return certificate;
    } else if (serialNumber !== null && equalBytes(certificate.serialNumber, serialNumber)) {
      if (issuer !== null && equalBytes(certificate.issuer, issuer)) return certificate;
    }
  }
  return null;
}
