/**
 * CMS SignedData (RFC 5652 §5) by hand, as devices make it and as servers answer it.
 *
 * SignedData ::= SEQUENCE { version, digestAlgorithms, encapContentInfo, [0] certificates, signerInfos SET }
 * SignerInfo ::= SEQUENCE { version, sid, digestAlgorithm, [0] signedAttrs, signatureAlgorithm, signature }
 *
 * Two dressings: DER, and the indefinite-length BER of real `Mdm-Signature` headers (facts 19.1).
 */
import { Buffer } from 'node:buffer';
import { createHash } from 'node:crypto';
import { readCertificate, type X509 } from './certificate.ts';
import {
  child,
  indefinite,
  integer,
  type Node,
  nothing,
  octetString,
  octets,
  oid,
  oidText,
  read,
  sequence,
  set,
  TAG,
  time,
  tlv,
} from './der.ts';
import { type DeviceKey, type Hash, nodeHash, verifySignature } from './keys.ts';

export const CMS = {
  data: '1.2.840.113549.1.7.1',
  signedData: '1.2.840.113549.1.7.2',
  envelopedData: '1.2.840.113549.1.7.3',
  contentType: '1.2.840.113549.1.9.3',
  messageDigest: '1.2.840.113549.1.9.4',
  signingTime: '1.2.840.113549.1.9.5',
} as const;

const DIGEST_OID: Record<Hash, string> = {
  'SHA-1': '1.3.14.3.2.26',
  'SHA-256': '2.16.840.1.101.3.4.2.1',
  'SHA-512': '2.16.840.1.101.3.4.2.3',
};
const RSA_ENCRYPTION = '1.2.840.113549.1.1.1';
const ECDSA_WITH: Record<Hash, string> = {
  'SHA-1': '1.2.840.10045.4.1',
  'SHA-256': '1.2.840.10045.4.3.2',
  'SHA-512': '1.2.840.10045.4.3.4',
};

export function digest(hash: Hash, data: Uint8Array): Buffer {
  return createHash(nodeHash(hash)).update(data).digest();
}

export interface SignOptions {
  readonly key: DeviceKey;
  readonly certificate: X509;
  /** Further certificates to carry: intermediates. */
  readonly chain?: readonly X509[];
  readonly hash?: Hash;
  /** False leaves them out and signs the content itself, as old devices do. */
  readonly signedAttributes?: boolean;
  /** More signed attributes: SCEP's. Values are encoded. */
  readonly attributes?: readonly (readonly [oid: string, value: Buffer])[];
  readonly encoding?: 'der' | 'ber';
  readonly detached?: boolean;
  readonly signingTimeMs?: number;
}

export function sign(content: Uint8Array, options: SignOptions): Buffer {
  const hash = options.hash ?? 'SHA-256';
  const digestAlgorithm = sequence(oid(DIGEST_OID[hash]), nothing());
  const attributes = options.signedAttributes === false ? [] : signedAttributes(content, hash, options);
  const signature = options.key.sign(attributes.length === 0 ? content : set(...attributes), hash);
  const signerInfo = sequence(
    integer(1),
    sequence(options.certificate.issuer, tlv(TAG.integer, options.certificate.serial)),
    digestAlgorithm,
    ...(attributes.length === 0 ? [] : [asContext0(set(...attributes))]),
    options.key.kind === 'rsa' ? sequence(oid(RSA_ENCRYPTION), nothing()) : sequence(oid(ECDSA_WITH[hash])),
    octetString(signature),
  );
  const certificates = [options.certificate, ...(options.chain ?? [])].map((one) => one.der);
  const ber = options.encoding === 'ber';
  const wrap = ber ? indefinite : tlv;
  const inner = options.detached ? [] : [wrap(0xa0, ber ? chunked(content) : octetString(content))];
  const signedData = wrap(
    TAG.sequence,
    integer(1),
    set(digestAlgorithm),
    wrap(TAG.sequence, oid(CMS.data), ...inner),
    wrap(0xa0, ...certificates),
    set(signerInfo),
  );
  return wrap(TAG.sequence, oid(CMS.signedData), wrap(0xa0, signedData));
}

function signedAttributes(content: Uint8Array, hash: Hash, options: SignOptions): Buffer[] {
  const own: (readonly [string, Buffer])[] = [
    [CMS.contentType, oid(CMS.data)],
    [CMS.messageDigest, octetString(digest(hash, content))],
    ...(options.signingTimeMs === undefined ? [] : [[CMS.signingTime, time(options.signingTimeMs)] as const]),
    ...(options.attributes ?? []),
  ];
  return own.map(([type, value]) => sequence(oid(type), set(value)));
}

/** SignedAttributes are hashed as a SET but travel as `[0] IMPLICIT` (RFC 5652 §5.4). */
function asContext0(attributes: Buffer): Buffer {
  return Buffer.concat([Buffer.from([0xa0]), attributes.subarray(1)]);
}

/** A constructed OCTET STRING of pieces, the way stream encoders send content. */
function chunked(content: Uint8Array): Buffer {
  const pieces: Buffer[] = [];
  for (let at = 0; at < content.length; at += 1000) pieces.push(octetString(content.subarray(at, at + 1000)));
  return indefinite(0x24, ...pieces);
}

export class CmsError extends Error {}

export interface Opened {
  readonly content: Buffer;
  readonly signer: X509;
  readonly certificates: readonly X509[];
  readonly hash: Hash;
  /** Signed attributes by OID: the first value of each. */
  readonly attributes: ReadonlyMap<string, Node>;
  /** OID in the SignerInfo's signatureAlgorithm. */
  readonly signatureAlgorithm: string;
}

/** Opens and verifies: exactly one signer, whose certificate must be inside or given. */
export function open(
  cms: Uint8Array,
  options: { content?: Uint8Array; certificates?: readonly X509[] } = {},
): Opened {
  const signedData = contentOf(cms, CMS.signedData);
  const encapsulated = child(signedData, 2, TAG.sequence);
  const inner = encapsulated.children[1];
  const content = inner === undefined ? options.content : octets(child(inner, 0));
  if (content === undefined) throw new CmsError('the signature is detached and no content was given');
  const certificates = [...certificatesOf(signedData), ...(options.certificates ?? [])];
  const signerInfos = signedData.children[signedData.children.length - 1]!;
  if (signerInfos.tag !== TAG.set || signerInfos.children.length !== 1)
    throw new CmsError('not exactly one signer');
  const info = child(signerInfos, 0, TAG.sequence);
  const sid = child(info, 1, TAG.sequence);
  const signer = certificates.find(
    (one) => one.issuer.equals(child(sid, 0).raw) && one.serial.equals(child(sid, 1).body),
  );
  if (signer === undefined) throw new CmsError('the signer certificate is not inside');
  const signed = verifySigner(info, Buffer.from(content), signer);
  return { content: Buffer.from(content), signer, certificates, ...signed };
}

function verifySigner(
  info: Node,
  content: Buffer,
  signer: X509,
): Pick<Opened, 'hash' | 'attributes' | 'signatureAlgorithm'> {
  const digestOid = oidText(child(child(info, 2), 0));
  const hash = (['SHA-1', 'SHA-256', 'SHA-512'] as const).find((name) => DIGEST_OID[name] === digestOid);
  if (hash === undefined) throw new CmsError(`digest algorithm ${digestOid} is not known`);
  const attributesNode = info.children.find((node) => node.tag === 0xa0);
  const attributes = new Map<string, Node>();
  for (const one of attributesNode?.children ?? []) {
    attributes.set(oidText(child(one, 0)), child(child(one, 1, TAG.set), 0));
  }
  if (attributesNode !== undefined) {
    const claimed = attributes.get(CMS.messageDigest)?.body;
    if (claimed === undefined || !claimed.equals(digest(hash, content)))
      throw new CmsError('messageDigest differs');
    if (attributes.get(CMS.contentType) === undefined) throw new CmsError('no contentType attribute');
  }
  const at = attributesNode === undefined ? 3 : 4;
  const data =
    attributesNode === undefined
      ? content
      : Buffer.concat([Buffer.from([TAG.set]), attributesNode.raw.subarray(1)]);
  const signature = child(info, at + 1, TAG.octetString).body;
  if (!verifySignature(signer.spki, hash, data, signature))
    throw new CmsError('the signature does not verify');
  return { hash, attributes, signatureAlgorithm: oidText(child(child(info, at), 0)) };
}

/** The value inside a ContentInfo of the given type. */
export function contentOf(cms: Uint8Array, type: string): Node {
  const info = read(cms);
  const found = oidText(child(info, 0));
  if (found !== type) throw new CmsError(`content type ${found}, expected ${type}`);
  return child(child(info, 1, 0xa0), 0);
}

function certificatesOf(signedData: Node): X509[] {
  const field = signedData.children.slice(3).find((node) => node.tag === 0xa0);
  return (field?.children ?? [])
    .filter((node) => node.tag === TAG.sequence)
    .map((node) => readCertificate(node.raw));
}

/** The certificates of a degenerate, signer-less SignedData: SCEP's way of sending certificates. */
export function certificatesOnly(cms: Uint8Array): X509[] {
  return certificatesOf(contentOf(cms, CMS.signedData));
}
