/**
 * A SCEP client (RFC 8894) as the devices have one: GetCACaps, GetCACert, PKIOperation by POST or GET, a
 * self-signed `CN=MDM SCEP SIGNER` or the old certificate as the signer, and distrust of every answer.
 * Renewal goes out as PKCSReq signed with the existing certificate, which is what Apple's client sends (facts 9).
 */
import { Buffer } from 'node:buffer';
import { randomBytes } from 'node:crypto';
import {
  buildCsr,
  issueCertificate,
  type NameParts,
  OID,
  readCertificate,
  type X509,
} from './certificate.ts';
import { certificatesOnly, digest, type Opened, open, sign } from './cms.ts';
import { octetString, printable } from './der.ts';
import { type Cipher, envelop, openEnvelope } from './enveloped.ts';
import type { DeviceKey, Hash } from './keys.ts';
import { exchange, type Reply, SimulatorError, type World } from './world.ts';

const ATTRIBUTE = {
  messageType: '2.16.840.1.113733.1.9.2',
  pkiStatus: '2.16.840.1.113733.1.9.3',
  failInfo: '2.16.840.1.113733.1.9.4',
  senderNonce: '2.16.840.1.113733.1.9.5',
  recipientNonce: '2.16.840.1.113733.1.9.6',
  transactionId: '2.16.840.1.113733.1.9.7',
} as const;

export const FAIL_INFO = ['badAlg', 'badMessageCheck', 'badRequest', 'badTime', 'badCertId'] as const;

export interface ScepOptions {
  readonly cipher?: Cipher;
  /** Digest of the pkiMessage and the CSR. */
  readonly hash?: Hash;
  readonly method?: 'POST' | 'GET';
  /** encryptedContent as a constructed `[0]`, as Go clients send it. */
  readonly constructed?: boolean;
  readonly messageType?: string;
  /** For attacks: the finished pkiMessage passes through here. */
  readonly tamper?: (message: Buffer) => Buffer;
}

export interface ScepOrder extends ScepOptions {
  readonly url: string;
  readonly subject: NameParts;
  readonly key: DeviceKey;
  readonly challenge?: string;
  /** From the profile: the digest of the CA certificate, SHA-1 or longer. */
  readonly caFingerprint?: Uint8Array;
  /** Renewal: who signs the request instead of a self-made certificate. */
  readonly signer?: { readonly key: DeviceKey; readonly certificate: X509 };
}

/** The server answered a well-formed FAILURE. */
export class ScepFailure extends Error {
  readonly failInfo: string;
  constructor(failInfo: string) {
    super(`SCEP FAILURE, failInfo ${failInfo}`);
    this.failInfo = failInfo;
  }
}

export interface ScepCa {
  readonly ca: X509;
  /** Who the request is enveloped to: the CA itself, or a registration authority. */
  readonly recipient: X509;
  readonly capabilities: readonly string[];
}

export class ScepClient {
  readonly #world: World;
  readonly #who: string;

  constructor(world: World, who: string) {
    this.#world = world;
    this.#who = who;
  }

  /** Runs the three operations and returns the certificate, which belongs to `order.key`. */
  async enroll(order: ScepOrder): Promise<{ certificate: X509; ca: X509 }> {
    const authority = await this.authority(order.url, order.caFingerprint);
    const nonce = randomBytes(16);
    const transactionId = digest('SHA-256', order.key.spki).toString('hex').toUpperCase();
    const signer = order.signer ?? { key: order.key, certificate: selfSigned(order.key) };
    const message = this.#message(order, authority.recipient, signer, transactionId, nonce);
    const reply = await this.#send(order, message, authority.capabilities);
    const answer = this.#checkReply(reply, authority, transactionId, nonce);
    const opened = openEnvelope(answer.content, signer.certificate, signer.key);
    this.#check('the request’s cipher in the answer', order.cipher ?? '3des', opened.cipher);
    const certificate = certificatesOnly(opened.content).find((one) => one.spki.equals(order.key.spki));
    if (certificate === undefined) throw this.#error('a certificate for the requested key', 'none');
    this.#check('a certificate issued by the CA', true, certificate.issuedBy(authority.ca));
    return { certificate, ca: authority.ca };
  }

  /** GetCACaps and GetCACert, with the checks of an Apple client (facts 9). */
  async authority(url: string, fingerprint?: Uint8Array): Promise<ScepCa> {
    const caps = await this.#get(url, 'GetCACaps');
    const capabilities = caps.body
      .toString()
      .split(/\r?\n/)
      .map((line) => line.trim())
      .filter((line) => line !== '');
    this.#check('text/plain from GetCACaps', 'text/plain', caps.contentType.split(';')[0]);
    for (const needed of [/^SHA-(1|256|512)$/, /^(AES|DES3)$/]) {
      this.#check(
        `a capability like ${needed.source}`,
        true,
        capabilities.some((one) => needed.test(one)),
      );
    }
    const reply = await this.#get(url, 'GetCACert');
    const isSingle = reply.contentType === 'application/x-x509-ca-cert';
    if (!isSingle && reply.contentType !== 'application/x-x509-ca-ra-cert') {
      throw this.#error('application/x-x509-ca-cert or …-ca-ra-cert', reply.contentType);
    }
    const certificates = isSingle ? [readCertificate(reply.body)] : certificatesOnly(reply.body);
    const ca = certificates.find((one) => one.isCa);
    if (ca === undefined) throw this.#error('a CA certificate', 'none');
    if (fingerprint !== undefined) {
      const hash = ({ 20: 'SHA-1', 32: 'SHA-256', 64: 'SHA-512' } as const)[
        fingerprint.length as 20 | 32 | 64
      ];
      this.#check('a CAFingerprint of a known length', true, hash !== undefined);
      this.#check(
        'the CA named by CAFingerprint',
        true,
        digest(hash, ca.der).equals(Buffer.from(fingerprint)),
      );
    }
    return { ca, recipient: certificates.find((one) => !one.isCa) ?? ca, capabilities };
  }

  #message(
    order: ScepOrder,
    recipient: X509,
    signer: { key: DeviceKey; certificate: X509 },
    transactionId: string,
    nonce: Buffer,
  ): Buffer {
    const hash = order.hash ?? 'SHA-256';
    const csr = buildCsr({
      subject: order.subject,
      key: order.key,
      hash,
      ...(order.challenge === undefined ? {} : { challenge: order.challenge }),
    });
    const envelope = envelop(csr, {
      recipient,
      cipher: order.cipher ?? '3des',
      constructed: order.constructed ?? false,
    });
    const message = sign(envelope, {
      key: signer.key,
      certificate: signer.certificate,
      hash,
      attributes: [
        [ATTRIBUTE.messageType, printable(order.messageType ?? '19')],
        [ATTRIBUTE.transactionId, printable(transactionId)],
        [ATTRIBUTE.senderNonce, octetString(nonce)],
      ],
    });
    return order.tamper?.(message) ?? message;
  }

  #send(order: ScepOrder, message: Buffer, capabilities: readonly string[]): Promise<Reply> {
    const method = order.method ?? (capabilities.includes('POSTPKIOperation') ? 'POST' : 'GET');
    const sent = `PKCSReq, ${order.cipher ?? '3des'}, ${order.hash ?? 'SHA-256'}, ${message.length.toLocaleString('en-US')} bytes`;
    const base = withQuery(order.url, 'operation=PKIOperation');
    if (method === 'POST') {
      const headers = { 'content-type': 'application/x-pki-message' };
      return this.#exchange({ step: 'SCEP PKIOperation', method, url: base, headers, body: message, sent });
    }
    // Apple's client escapes only `=`; `+` and `/` stay raw (facts 9).
    const text = message.toString('base64').replace(/=/g, '%3D');
    return this.#exchange({ step: 'SCEP PKIOperation', method, url: `${base}&message=${text}`, sent });
  }

  #checkReply(reply: Reply, authority: ScepCa, transactionId: string, nonce: Buffer): Opened {
    this.#check('200 from PKIOperation', 200, reply.status);
    this.#check('application/x-pki-message', 'application/x-pki-message', reply.contentType);
    const answer = open(reply.body, { certificates: [authority.ca, authority.recipient] });
    const text = (name: keyof typeof ATTRIBUTE) => answer.attributes.get(ATTRIBUTE[name])?.body;
    const signedByCa =
      answer.signer.spki.equals(authority.recipient.spki) || answer.signer.spki.equals(authority.ca.spki);
    this.#check('a CertRep signed by the CA or RA', true, signedByCa);
    this.#check('signatureAlgorithm rsaEncryption', '1.2.840.113549.1.1.1', answer.signatureAlgorithm);
    this.#check('messageType CertRep', '3', text('messageType')?.toString());
    this.#check('the transactionID echoed', transactionId, text('transactionId')?.toString());
    this.#check(
      'the senderNonce as recipientNonce',
      nonce.toString('hex'),
      text('recipientNonce')?.toString('hex'),
    );
    const status = text('pkiStatus')?.toString();
    if (status === '2') {
      const failInfo = text('failInfo')?.toString() ?? '';
      this.#check('a failInfo between 0 and 4', true, /^[0-4]$/.test(failInfo));
      throw new ScepFailure(FAIL_INFO[Number(failInfo)]!);
    }
    this.#check('pkiStatus SUCCESS', '0', status);
    return answer;
  }

  async #get(url: string, operation: string): Promise<Reply> {
    const reply = await this.#exchange({
      step: `SCEP ${operation}`,
      method: 'GET',
      url: withQuery(url, `operation=${operation}`),
      sent: operation,
    });
    this.#check(`200 from ${operation}`, 200, reply.status);
    return reply;
  }

  #exchange(outgoing: Parameters<typeof exchange>[2]): Promise<Reply> {
    return exchange(this.#world, this.#who, outgoing);
  }

  #check(expected: string, wanted: unknown, got: unknown): void {
    if (wanted !== got) throw this.#error(expected, String(got));
  }

  #error(expected: string, got: string): SimulatorError {
    return new SimulatorError(`${this.#who}, SCEP`, expected, got);
  }
}

function withQuery(url: string, query: string): string {
  return `${url}${url.includes('?') ? '&' : '?'}${query}`;
}

/** The throw-away certificate that signs a first request (RFC 8894 §2.3), named as Apple's client names it. */
function selfSigned(key: DeviceKey): X509 {
  const subject: NameParts = [[OID.commonName, 'MDM SCEP SIGNER']];
  const der = issueCertificate({
    serial: 1,
    subject,
    issuer: subject,
    spki: key.spki,
    notBeforeMs: Date.now() - 60_000,
    notAfterMs: Date.now() + 86_400_000,
    signWith: key,
  });
  return readCertificate(der);
}
