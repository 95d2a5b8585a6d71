/**
 * Issues device identity certificates (RFC 5280): the profile is fixed here and nothing of it comes from the client
 * but the key. Subject: UDID and serial number of the device that the credential was bound to.
 *
 * RSASSA-PKCS1-v1_5 is deterministic, so equal input gives the same certificate, byte for byte: a repeated request is
 * answered without a stored copy. Renewal is a new certificate for the same subject. No revocation list is written:
 * the server that checks these certificates is the one that issued them, and it pins the one in force.
 */
import { type Bytes, fromHex, toHex } from '../std/bytes.ts';
import { Fault } from '../std/outcome.ts';
import { addMs, DAY_MS, type EpochMs, epochMs, HOUR_MS, SECOND_MS } from '../std/time.ts';
import { type Certificate, KEY_USAGE, parseCertificate } from './certificate.ts';
import {
  algorithmIdentifier,
  bitString,
  contextConstructed,
  contextPrimitive,
  objectIdentifier,
  octetString,
  printableString,
  sequence,
  setOf,
  smallInteger,
  TRUE,
  time,
  tlv,
  utf8String,
} from './der.ts';
import type { Authority } from './keys.ts';
import { OID } from './oid.ts';
import { randomBytes } from './random.ts';

/** A year: renewal is by SCEP or a new profile, and a lost certificate does not stay valid for ever. */
export const IDENTITY_LIFETIME_MS = 365 * DAY_MS;
/** A watch fresh out of the box may have a slow clock; an hour is what Apple's own certificates allow for. */
const BACKDATE_MS = HOUR_MS;
/** 128 random bits, against the 64 that CAs are held to; RFC 5280 §4.1.2.2 allows 20 octets. */
const SERIAL_BYTES = 16;

export interface IdentityRequest {
  readonly spki: Bytes;
  readonly keyKind: 'RSA' | 'EC';
  readonly udid: string;
  readonly deviceSerial: string;
  /** From `newSerialHex`. */
  readonly serialHex: string;
  readonly issuedAtMs: EpochMs;
}

export class CertificateAuthority {
  readonly #authority: Authority;
  readonly #organization: string;

  constructor(authority: Authority, organization: string) {
    this.#authority = authority;
    this.#organization = organization;
  }

  /** A serial number for the next certificate: positive, without a leading zero octet. */
  newSerialHex(): string {
    const serial = randomBytes(SERIAL_BYTES);
    serial[0] = ((serial[0] as number) & 0x7f) | 0x40;
    return toHex(serial);
  }

  async issue(request: IdentityRequest): Promise<Certificate> {
    const serial = fromHex(request.serialHex);
    if (serial === null)
      throw new Fault('serial-malformed', 'a certificate serial number must be hexadecimal');
    const { certificate: ca, signer } = this.#authority;
    const algorithm = algorithmIdentifier(OID.sha256WithRsa);
    const tbs = sequence(
      contextConstructed(0, smallInteger(2)),
      tlv(0x02, serial),
      algorithm,
      ca.subject,
      validity(request.issuedAtMs, ca.notAfterMs),
      this.#subject(request),
      request.spki,
      contextConstructed(3, sequence(...(await extensions(request, ca)))),
    );
    const der = sequence(tbs, algorithm, bitString(await signer.sign(tbs, 'SHA-256')));
    const issued = parseCertificate(der);
    if (!issued.ok) throw new Fault('certificate-unreadable', issued.refusal.reason);
    return issued.value;
  }

  #subject({ udid, deviceSerial }: IdentityRequest): Bytes {
    return sequence(
      attribute(OID.organization, utf8String(this.#organization)),
      attribute(OID.commonName, utf8String(udid)),
      attribute(OID.serialNumber, printableString(deviceSerial)),
      attribute(OID.userId, utf8String(udid)),
    );
  }
}

/** RelativeDistinguishedName of one AttributeTypeAndValue. */
function attribute(type: string, value: Uint8Array): Bytes {
  return setOf(sequence(objectIdentifier(type), value));
}

/** Whole seconds, and never past the authority's own end. */
function validity(issuedAtMs: EpochMs, authorityEndMs: EpochMs): Bytes {
  const wholeSecond = epochMs(Math.floor(issuedAtMs / SECOND_MS) * SECOND_MS);
  const end = Math.min(addMs(wholeSecond, IDENTITY_LIFETIME_MS), authorityEndMs);
  return sequence(time(addMs(wholeSecond, -BACKDATE_MS)), time(epochMs(end)));
}

async function extensions({ spki, keyKind }: IdentityRequest, ca: Certificate): Promise<Bytes[]> {
  // RFC 5280 §4.2.1.2 allows any unique value; the digest of the whole SubjectPublicKeyInfo is one (RFC 7093 §2).
  const keyId = new Uint8Array(await crypto.subtle.digest('SHA-256', spki)).subarray(0, 20);
  // RFC 8813 §3: a key that only signs has no keyEncipherment.
  const usage = KEY_USAGE.digitalSignature | (keyKind === 'RSA' ? KEY_USAGE.keyEncipherment : 0);
  const issuerKeyId = ca.subjectKeyIdentifier;
  return [
    extension(OID.basicConstraints, true, sequence()),
    extension(OID.keyUsage, true, namedBits(usage)),
    extension(OID.extendedKeyUsage, false, sequence(objectIdentifier(OID.clientAuth))),
    extension(OID.subjectKeyIdentifier, false, octetString(keyId)),
    ...(issuerKeyId === null
      ? []
      : [extension(OID.authorityKeyIdentifier, false, sequence(contextPrimitive(0, issuerKeyId)))]),
  ];
}

function extension(type: string, critical: boolean, value: Uint8Array): Bytes {
  return sequence(objectIdentifier(type), ...(critical ? [TRUE] : []), octetString(value));
}

/** Up to eight named bits (X.680 §22.7): bit 0 is the highest, trailing zero bits are not written. */
function namedBits(bits: number): Bytes {
  let octet = 0;
  for (let n = 0; n < 8; n++) if (bits & (1 << n)) octet |= 0x80 >> n;
  const unused = 31 - Math.clz32(octet & -octet);
  return bitString(Uint8Array.of(octet), unused);
}
