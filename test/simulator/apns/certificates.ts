/**
 * The certificates of a simulated APNs: an authority, the server's certificate for loopback, and MDM push
 * certificates whose subject UID is their topic, as Apple issues them. Keys are P-256: they are made in a moment.
 */
import { Buffer } from 'node:buffer';
import { randomBytes } from 'node:crypto';
import { extension, issueCertificate, type NameParts, OID, toPem } from '../certificate.ts';
import { sequence, tlv } from '../der.ts';
import { DeviceKey } from '../keys.ts';

const SUBJECT_ALT_NAME = '2.5.29.17';
const DAY_MS = 86_400_000;

export interface PemPair {
  readonly certificatePem: string;
  readonly keyPem: string;
}

export interface PushCertificateOrder {
  /** Null leaves the subject without UID. */
  readonly topic: string | null;
  readonly notBeforeMs?: number;
  readonly notAfterMs?: number;
}

export class ApnsAuthority {
  readonly #key = DeviceKey.generate('p-256');
  /** Each its own: under one name Node trips over the other's signature and drops connections it should serve. */
  readonly #name: NameParts = [
    [OID.commonName, `Simulated Push Services CA ${randomBytes(4).toString('hex')}`],
  ];
  readonly #nowMs: number;
  readonly certificatePem: string;

  constructor(nowMs: number) {
    this.#nowMs = nowMs;
    this.certificatePem = toPem(
      issueCertificate({
        serial: 1,
        subject: this.#name,
        issuer: this.#name,
        spki: this.#key.spki,
        notBeforeMs: nowMs - DAY_MS,
        notAfterMs: nowMs + 3650 * DAY_MS,
        signWith: this.#key,
        ca: true,
      }),
    );
  }

  /** For `localhost` and 127.0.0.1. */
  issueServer(): PemPair {
    const names = sequence(
      tlv(0x82, Buffer.from('localhost', 'latin1')),
      tlv(0x87, Buffer.from([127, 0, 0, 1])),
    );
    return this.#issue([[OID.commonName, 'localhost']], {}, [extension(SUBJECT_ALT_NAME, names)]);
  }

  issuePush({ topic, ...validity }: PushCertificateOrder): PemPair {
    const subject: NameParts = [
      ...(topic === null ? [] : [[OID.userId, topic] as const]),
      [OID.commonName, topic === null ? 'Simulated' : `APSP:${topic.split('.').at(-1)}`],
      [OID.country, 'US'],
    ];
    return this.#issue(subject, validity, []);
  }

  #issue(
    subject: NameParts,
    validity: { readonly notBeforeMs?: number; readonly notAfterMs?: number },
    extensions: readonly Buffer[],
  ): PemPair {
    const key = DeviceKey.generate('p-256');
    const der = issueCertificate({
      // A leading octet below 0x80 and above 0 keeps it positive and of full length.
      serial: Buffer.concat([Buffer.from([0x4d]), randomBytes(7)]),
      subject,
      issuer: this.#name,
      spki: key.spki,
      notBeforeMs: validity.notBeforeMs ?? this.#nowMs - DAY_MS,
      notAfterMs: validity.notAfterMs ?? this.#nowMs + 365 * DAY_MS,
      signWith: this.#key,
      extensions,
    });
    return { certificatePem: toPem(der), keyPem: key.toPem() };
  }
}
