/**
 * X.509 certificates (RFC 5280 §4.1) and PKCS#10 requests (RFC 2986) by hand: what a simulated Apple device CA
 * issues, what a device asks for, and what it looks at in the certificates it is given.
 *
 * Certificate ::= SEQUENCE { tbsCertificate, signatureAlgorithm, signatureValue BIT STRING }
 * TBSCertificate ::= SEQUENCE { [0] version, serialNumber, signature, issuer, validity, subject, spki, [3] extensions }
 */
import { Buffer } from 'node:buffer';
import {
  bitString,
  boolean,
  child,
  context,
  integer,
  type Node,
  nothing,
  octetString,
  oid,
  oidText,
  type Part,
  printable,
  read,
  sequence,
  set,
  TAG,
  time,
  timeMs,
  utf8,
} from './der.ts';
import { type DeviceKey, type Hash, verifySignature } from './keys.ts';

export const OID = {
  commonName: '2.5.4.3',
  serialNumber: '2.5.4.5',
  country: '2.5.4.6',
  locality: '2.5.4.7',
  state: '2.5.4.8',
  organization: '2.5.4.10',
  organizationalUnit: '2.5.4.11',
  userId: '0.9.2342.19200300.100.1.1',
  basicConstraints: '2.5.29.19',
  keyUsage: '2.5.29.15',
  challengePassword: '1.2.840.113549.1.9.7',
  /** Marks Apple's device identity leaves, as in the capture of facts 19.10. */
  appleDevice: '1.2.840.113635.100.6.10.4',
} as const;

const RSA_SIGNATURE: Record<Hash, string> = {
  'SHA-1': '1.2.840.113549.1.1.5',
  'SHA-256': '1.2.840.113549.1.1.11',
  'SHA-512': '1.2.840.113549.1.1.13',
};
const ECDSA_SIGNATURE: Record<Hash, string> = {
  'SHA-1': '1.2.840.10045.4.1',
  'SHA-256': '1.2.840.10045.4.3.2',
  'SHA-512': '1.2.840.10045.4.3.4',
};

export function signatureAlgorithm(kind: 'rsa' | 'ec', hash: Hash): Buffer {
  return kind === 'rsa'
    ? sequence(oid(RSA_SIGNATURE[hash]), nothing())
    : sequence(oid(ECDSA_SIGNATURE[hash]));
}

function hashOfSignature(algorithm: Node): Hash {
  const dotted = oidText(child(algorithm, 0));
  for (const table of [RSA_SIGNATURE, ECDSA_SIGNATURE]) {
    for (const hash of ['SHA-1', 'SHA-256', 'SHA-512'] as const) if (table[hash] === dotted) return hash;
  }
  throw new Error(`signature algorithm ${dotted} is not known`);
}

/** `[['2.5.4.3', 'x'], …]`, one attribute in each RDN. ASCII goes as PrintableString, the rest as UTF-8. */
export type NameParts = readonly (readonly [oid: string, value: string])[];

export function encodeName(parts: NameParts): Buffer {
  return sequence(
    ...parts.map(([type, value]) =>
      set(sequence(oid(type), /^[A-Za-z0-9 '()+,\-./:=?]*$/.test(value) ? printable(value) : utf8(value))),
    ),
  );
}

export function readName(name: Uint8Array): Map<string, string> {
  const attributes = read(name).children.flatMap((rdn) => rdn.children);
  return new Map(attributes.map((one) => [oidText(child(one, 0)), child(one, 1).body.toString()]));
}

export interface X509 {
  readonly der: Buffer;
  readonly serial: Buffer;
  readonly issuer: Buffer;
  readonly subject: Buffer;
  readonly spki: Buffer;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly isCa: boolean;
  /** The KeyUsage bits as text, `digitalSignature` first: '101'. Null when the extension is absent. */
  readonly keyUsage: string | null;
  /** True when this certificate's signature verifies under `issuer`'s key and the names match. */
  issuedBy(issuer: X509): boolean;
}

export function readCertificate(der: Uint8Array): X509 {
  const root = read(der);
  const tbs = child(root, 0, TAG.sequence);
  const at = tbs.children[0]?.tag === 0xa0 ? 1 : 0;
  const validity = child(tbs, at + 3, TAG.sequence);
  const extensions = tbs.children.find((node) => node.tag === 0xa3)?.children[0]?.children ?? [];
  const extension = (dotted: string) => {
    const found = extensions.find((one) => oidText(child(one, 0)) === dotted);
    return found === undefined ? null : read(found.children[found.children.length - 1]!.body);
  };
  const constraints = extension(OID.basicConstraints);
  const usage = extension(OID.keyUsage);
  const issuer = child(tbs, at + 2).raw;
  return {
    der: root.raw,
    serial: child(tbs, at, TAG.integer).body,
    issuer,
    notBeforeMs: timeMs(child(validity, 0)),
    notAfterMs: timeMs(child(validity, 1)),
    subject: child(tbs, at + 4).raw,
    spki: child(tbs, at + 5).raw,
    isCa: constraints?.children[0]?.tag === TAG.boolean && constraints.children[0].body[0] !== 0,
    keyUsage: usage === null ? null : usageBits(usage.body),
    issuedBy: (ca) =>
      issuer.equals(ca.subject) &&
      verifySignature(
        ca.spki,
        hashOfSignature(child(root, 1)),
        tbs.raw,
        child(root, 2, TAG.bitString).body.subarray(1),
      ),
  };
}

function usageBits(body: Buffer): string {
  const bits = [...body.subarray(1)].map((byte) => byte.toString(2).padStart(8, '0')).join('');
  return bits.slice(0, bits.length - (body[0] ?? 0));
}

export interface CertificateOrder {
  readonly serial: Part | number;
  readonly subject: NameParts;
  readonly issuer: Uint8Array | NameParts;
  readonly spki: Uint8Array;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly signWith: DeviceKey;
  readonly hash?: Hash;
  readonly ca?: boolean;
  readonly extensions?: readonly Buffer[];
}

export function issueCertificate(order: CertificateOrder): Buffer {
  const hash = order.hash ?? 'SHA-256';
  const algorithm = signatureAlgorithm(order.signWith.kind, hash);
  // keyCertSign and cRLSign for an authority, digitalSignature and keyEncipherment for a device.
  const usage = order.ca ? bitString(Buffer.from([0x06]), 1) : bitString(Buffer.from([0xa0]), 5);
  const extensions = [
    extension(OID.basicConstraints, sequence(...(order.ca ? [boolean(true)] : [])), true),
    extension(OID.keyUsage, usage, true),
    ...(order.extensions ?? []),
  ];
  const tbs = sequence(
    context(0, integer(2)),
    integer(order.serial),
    algorithm,
    order.issuer instanceof Uint8Array ? order.issuer : encodeName(order.issuer),
    sequence(time(order.notBeforeMs), time(order.notAfterMs)),
    encodeName(order.subject),
    order.spki,
    context(3, sequence(...extensions)),
  );
  return sequence(tbs, algorithm, bitString(order.signWith.sign(tbs, hash)));
}

export function extension(dotted: string, value: Uint8Array, critical = false): Buffer {
  return sequence(oid(dotted), ...(critical ? [boolean(true)] : []), octetString(value));
}

/** CertificationRequest with the SCEP challenge as its challengePassword attribute (RFC 2985 §5.4.1). */
export function buildCsr(options: {
  readonly subject: NameParts;
  readonly key: DeviceKey;
  readonly challenge?: string;
  readonly hash?: Hash;
}): Buffer {
  const hash = options.hash ?? 'SHA-256';
  const attributes =
    options.challenge === undefined
      ? []
      : [sequence(oid(OID.challengePassword), set(challengeString(options.challenge)))];
  const info = sequence(integer(0), encodeName(options.subject), options.key.spki, context(0, ...attributes));
  return sequence(info, signatureAlgorithm(options.key.kind, hash), bitString(options.key.sign(info, hash)));
}

function challengeString(text: string): Buffer {
  return /^[A-Za-z0-9 '()+,\-./:=?]*$/.test(text) ? printable(text) : utf8(text);
}

export function fromPem(pem: string, label = 'CERTIFICATE'): Buffer[] {
  const blocks = pem.matchAll(new RegExp(`-----BEGIN ${label}-----([^-]+)-----END ${label}-----`, 'g'));
  return [...blocks].map((match) => Buffer.from(match[1] ?? '', 'base64'));
}

export function toPem(der: Uint8Array, label = 'CERTIFICATE'): string {
  const lines =
    Buffer.from(der)
      .toString('base64')
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
}
