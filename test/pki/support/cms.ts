/** CMS SignedData for tests, in every form that devices and tools send, and in some that nobody should accept. */
import {
  type Bytes,
  der,
  encode,
  explicit,
  integer,
  type Node,
  nil,
  node,
  octets,
  oid,
  type Style,
  sequence,
  set,
  verbatim,
} from './asn1.ts';
import { family, type Hash, type Identity, SIGNATURE_OIDS } from './authority.ts';

export const DATA = '1.2.840.113549.1.7.1';
const SIGNED_DATA = '1.2.840.113549.1.7.2';

const HASH_OIDS: Record<Hash, string> = {
  'SHA-1': '1.3.14.3.2.26',
  'SHA-256': '2.16.840.1.101.3.4.2.1',
  'SHA-384': '2.16.840.1.101.3.4.2.2',
  'SHA-512': '2.16.840.1.101.3.4.2.3',
};

export interface CmsPlan {
  readonly content: Bytes;
  readonly signer: Identity;
  readonly hash?: Hash;
  readonly attached?: boolean;
  /** Lengths of the segments of a constructed content; primitive when absent. */
  readonly segments?: readonly number[];
  readonly attributes?: boolean;
  /** The bare key algorithm (rsaEncryption) in place of the one with a hash. RSA only. */
  readonly bareAlgorithm?: boolean;
  readonly byKeyIdentifier?: boolean;
  readonly certificates?: readonly Bytes[];
  readonly unsignedAttributes?: boolean;
  readonly style?: Style;
  readonly contentType?: string;
  /** Replaces or adds signed attributes before signing. */
  readonly changeAttributes?: (attributes: Node[]) => Node[];
  /** Style of the signed attributes as sent; the signature stays over their DER. */
  readonly attributeStyle?: Style;
  /** Changes the signature value. */
  readonly changeSignature?: (signature: Bytes) => Bytes;
  readonly signerInfos?: (info: Node) => Node[];
  readonly absentParameters?: boolean;
  readonly digestAlgorithm?: string;
  readonly signatureAlgorithm?: string;
}

export const attribute = (type: string, ...values: Node[]) => sequence(oid(type), set(...values));

export async function digestOf(hash: Hash, content: Bytes): Promise<Bytes> {
  return new Uint8Array(await crypto.subtle.digest(hash, content));
}

export async function makeCms(plan: CmsPlan): Promise<Bytes> {
  const hash = plan.hash ?? 'SHA-256';
  const contentType = plan.contentType ?? DATA;
  const attributes = plan.attributes === false ? null : await signedAttributes(plan, hash, contentType);
  const toSign = attributes === null ? plan.content : encode(set(...attributes));
  const signed = await plan.signer.key.sign(toSign, hash);
  const signature = plan.changeSignature?.(signed) ?? signed;
  const info = signerInfo(plan, hash, attributes, signature);
  const certificates = plan.certificates ?? [plan.signer.certificate];
  const tree = sequence(
    oid(SIGNED_DATA),
    explicit(
      0,
      sequence(
        integer(1),
        set(digestAlgorithm(plan, hash)),
        sequence(oid(contentType), ...(plan.attached ? [explicit(0, contentNode(plan))] : [])),
        ...(certificates.length > 0 ? [explicit(0, ...certificates.map(verbatim))] : []),
        set(...(plan.signerInfos?.(info) ?? [info])),
      ),
    ),
  );
  return encode(tree, plan.style ?? der);
}

async function signedAttributes(plan: CmsPlan, hash: Hash, contentType: string): Promise<Node[]> {
  const attributes = [
    attribute('1.2.840.113549.1.9.3', oid(contentType)),
    attribute('1.2.840.113549.1.9.4', octets(await digestOf(hash, plan.content))),
  ];
  return plan.changeAttributes?.(attributes) ?? attributes;
}

function signerInfo(plan: CmsPlan, hash: Hash, attributes: Node[] | null, signature: Bytes): Node {
  const { signer } = plan;
  const bare = plan.bareAlgorithm && family(signer.key) === 'RSA';
  const algorithm =
    plan.signatureAlgorithm ?? (bare ? '1.2.840.113549.1.1.1' : SIGNATURE_OIDS[family(signer.key)][hash]);
  const parameters = family(signer.key) === 'RSA' && !plan.absentParameters ? [nil()] : [];
  return sequence(
    integer(plan.byKeyIdentifier ? 3 : 1),
    plan.byKeyIdentifier
      ? node(0x80, signer.keyIdentifier)
      : // pkijs finds no signer whose serial number has a non-minimal length.
        sequence(verbatim(signer.issuer), verbatim(encode(integer(signer.serial)))),
    digestAlgorithm(plan, hash),
    ...(attributes === null
      ? []
      : [verbatim(encode(explicit(0, ...attributes), plan.attributeStyle ?? der))]),
    sequence(oid(algorithm), ...parameters),
    octets(signature),
    ...(plan.unsignedAttributes ? [explicit(1, attribute('1.2.3.4', octets(new Uint8Array(8))))] : []),
  );
}

function digestAlgorithm(plan: CmsPlan, hash: Hash): Node {
  const name = oid(plan.digestAlgorithm ?? HASH_OIDS[hash]);
  return plan.absentParameters ? sequence(name) : sequence(name, nil());
}

function contentNode(plan: CmsPlan): Node {
  if (plan.segments === undefined) return octets(plan.content);
  const parts: Node[] = [];
  let at = 0;
  for (const length of [...plan.segments, plan.content.length]) {
    parts.push(octets(plan.content.slice(at, at + length)));
    at = Math.min(plan.content.length, at + length);
  }
  return node(0x24, parts);
}
