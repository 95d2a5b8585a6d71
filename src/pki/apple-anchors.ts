/**
 * The published fingerprints of Apple's certificate authorities (facts 20), so that a configured trust anchor can be
 * told from a simulated one. Fingerprints only: the certificates are Apple's to distribute.
 */
import type { Certificate } from './certificate.ts';
import { certificateDigest } from './certificate.ts';
import { sha256Hex } from './digest.ts';

export const APPLE_ROOT_SPKI_DIGEST = 'eb4993efa9b089e593418aa893f8e93a7374d810e52fcbe01e7f1d7e92a6d024';

export interface AppleAnchor {
  readonly name: string;
  /** What may chain to it: a device's identity, or the attestation of a key. */
  readonly purpose: 'device' | 'attestation';
  /** SHA-256 in lower-case hex, of the DER and of the SubjectPublicKeyInfo. */
  readonly certificateDigest: string;
  readonly spkiDigest: string;
}

export const APPLE_ANCHORS: readonly AppleAnchor[] = [
  {
    name: 'Apple Root CA',
    purpose: 'device',
    certificateDigest: 'b0b1730ecbc7ff4505142c49f1295e6eda6bcaed7e2c68c5be91b5a11001f024',
    spkiDigest: APPLE_ROOT_SPKI_DIGEST,
  },
  {
    name: 'Apple iPhone Certification Authority',
    purpose: 'device',
    certificateDigest: 'e4e2936d3c076ec4aea8ac37277524950ca005894b39bba2d347fa33155ae5fa',
    spkiDigest: '74b67db15c23cc36ab2a356bd1ec2dcb27542e5509b757a9162dbbbe424a4e7c',
  },
  {
    name: 'Apple iPhone Device CA',
    purpose: 'device',
    certificateDigest: '76f27d00e1333bc88de0e2916c38c9a7f2b75774c25a794c092a80e3c4c66cce',
    spkiDigest: '13686ec675f9fd26a123adb17b5533f593cf451edd6105ae39b748277a3922e5',
  },
  {
    name: 'Apple Enterprise Attestation Root CA',
    purpose: 'attestation',
    certificateDigest: 'ccf59ef8fcb3017d97f8b5fa6fa90e7a3f9283f76b55ac6cf6eda8b8b949f05b',
    spkiDigest: '4179683e87e3f483849848b3eb80e08ecdf52e3f1a99dd1340f29b88ecbc2041',
  },
];

const APPLE_DEVICE_ISSUERS: readonly string[] = APPLE_ANCHORS.filter(({ name }) =>
  ['Apple iPhone Device CA', 'Apple iPhone Certification Authority'].includes(name),
).map(({ spkiDigest }) => spkiDigest);

/** The published authority that this certificate is, byte for byte; `null` for every other one. */
export async function findAppleAnchor(certificate: Certificate): Promise<AppleAnchor | null> {
  const digest = await certificateDigest(certificate);
  const anchor = APPLE_ANCHORS.find((published) => published.certificateDigest === digest);
  return anchor !== undefined && anchor.spkiDigest === (await sha256Hex(certificate.spki)) ? anchor : null;
}

/**
 * Whose certificates say "this is a device", under one anchor. A simulated anchor makes devices itself. Under Apple's
 * it is the two that are published for that (Over-the-Air Profile Delivery: "issued from Apple iPhone Device CA"), not
 * the root, under which developers have certificates too. Which CA signs for a watch is not published.
 */
export async function deviceIssuersUnder(
  anchor: Certificate,
  published: AppleAnchor | null,
): Promise<readonly string[]> {
  return published === null ? [await sha256Hex(anchor.spki)] : APPLE_DEVICE_ISSUERS;
}
