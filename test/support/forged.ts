/** Certificates and signatures that are nearly right: under our own authority's key, or under a stranger's. */
import { env } from 'cloudflare:workers';
import { Buffer } from 'node:buffer';
import {
  type CertificateOrder,
  fromPem,
  issueCertificate,
  OID,
  readCertificate,
  type X509,
} from '../simulator/certificate.ts';
import { CMS, type SignOptions, sign } from '../simulator/cms.ts';
import { child, integer, oid, read, sequence, set, TAG, tlv } from '../simulator/der.ts';
import { DeviceKey } from '../simulator/keys.ts';
import { keys } from './front-door.ts';

export const authority = readCertificate(fromPem(env.CA_CERTIFICATE)[0]!);
export const authorityKey = DeviceKey.fromPem(env.CA_KEY);
export const key = keys.take();

const YEAR_MS = 365 * 86_400_000;
let serial = 1;

/** What our authority would have issued for `udid`, but for what `over` changes. */
export function certificateFor(udid: string | null, over: Partial<CertificateOrder> = {}): X509 {
  serial += 1;
  const der = issueCertificate({
    serial: Buffer.from(`7f${serial.toString(16).padStart(30, '0')}`, 'hex'),
    subject: [[OID.commonName, udid ?? 'nobody'], ...(udid === null ? [] : [[OID.userId, udid] as const])],
    issuer: authority.subject,
    spki: key.spki,
    notBeforeMs: Date.now() - YEAR_MS,
    notAfterMs: Date.now() + YEAR_MS,
    signWith: authorityKey,
    ...over,
  });
  return readCertificate(der);
}

export function signature(body: Uint8Array, certificate: X509, over: Partial<SignOptions> = {}): string {
  return sign(body, { key, certificate, detached: true, ...over }).toString('base64');
}

type Change = (members: Buffer[]) => Buffer[];

/** Rebuilds a DER SignedData from its members: version, digests, content, certificates, signers. */
export function rebuilt(base64: string, change: Change): string {
  const signedData = child(child(read(Buffer.from(base64, 'base64')), 1), 0);
  const members = change(signedData.children.map((node) => node.raw));
  return sequence(oid(CMS.signedData), tlv(0xa0, sequence(...members))).toString('base64');
}

export const withoutCertificates: Change = (members) => members.filter((member) => member[0] !== 0xa0);
export const withoutSigners: Change = (members) => [...members.slice(0, -1), set()];
export const withTwoSigners: Change = (members) => {
  const [signer] = read(members.at(-1)!).children;
  return [...members.slice(0, -1), tlv(TAG.set, signer!.raw, signer!.raw)];
};
/** eContentType of EnvelopedData instead of data. */
export const withOtherContentType: Change = ([version, digests, , ...rest]) => [
  version!,
  digests!,
  sequence(oid(CMS.envelopedData)),
  ...rest,
];
/** A critical extension that nobody knows. */
export const criticalExtension = sequence(
  oid('1.2.3.4.5'),
  Buffer.from([0x01, 0x01, 0xff]),
  tlv(TAG.octetString, integer(1)),
);
