/**
 * Answers SCEP requests (RFC 8894 §3.3): who may have a certificate, and for which key.
 *
 * Two ways lead to one. With a one-time credential as challengePassword: enrollment. Without one, or with one that is
 * over, signed by a certificate that was issued here and is the device's current one: renewal, as RenewalReq or, as
 * Apple does it, as PKCSReq. Subject,
 * lifetime and usage are the authority's; the client brings a key. Observed: Apple signs an enrollment with a
 * throw-away key that is not the requested one, so the two are not compared (RFC 8894 §2.3 says SHOULD).
 *
 * What happens after decryption does not tell why it failed: see `scep-opening.ts`.
 */
import { type Certificate, certificateDigest } from '../../pki/certificate.ts';
import type { CertificateAuthority } from '../../pki/certificate-authority.ts';
import type { ChainVerifier } from '../../pki/chain.ts';
import { type ContentCipher, type EnvelopeRefusal, parseEnvelope } from '../../pki/cms-enveloped.ts';
import { type CmsRefusal, verifySignedData } from '../../pki/cms-signed.ts';
import { type Csr, RSA_BITS_MAX, RSA_BITS_MIN } from '../../pki/csr.ts';
import { sha256Hex } from '../../pki/digest.ts';
import type { Authority } from '../../pki/keys.ts';
import { encodeFailure, encodeSuccess, type FailInfo, NONCE_BYTES } from '../../protocol/scep/cert-rep.ts';
import {
  type MalformedScepMessage,
  MESSAGE_TYPE,
  parseScepMessage,
  type ScepMessage,
} from '../../protocol/scep/message.ts';
import { type Bytes, utf8 } from '../../std/bytes.ts';
import { type Outcome, ok, refuse } from '../../std/outcome.ts';
import type { EpochMs } from '../../std/time.ts';
import { type CredentialRefusal, parseChallenge } from './credential.ts';
import { namedUdids, subjectUdid } from './identity-subject.ts';
import type { IssuanceCells, RandomBytes } from './issuance.ts';
import type { CertificateRecords, CredentialSubject, IdentityRegister } from './ports.ts';
import { type OpeningRefusal, openRequest } from './scep-opening.ts';

export type ScepRefusal =
  | CmsRefusal
  | EnvelopeRefusal
  | OpeningRefusal
  | CredentialRefusal
  | { readonly kind: 'message-type-unsupported'; readonly messageType: string | null }
  | { readonly kind: 'nonce-missing' }
  | { readonly kind: 'signer-key-not-rsa' }
  | { readonly kind: 'key-too-small'; readonly bits: number }
  | { readonly kind: 'key-too-large'; readonly bits: number }
  | { readonly kind: 'challenge-missing' }
  | { readonly kind: 'malformed-challenge' }
  | { readonly kind: 'renewal-untrusted' }
  | { readonly kind: 'renewal-expired' }
  | { readonly kind: 'renewal-not-current' };

export interface IssuedCertificate {
  readonly certificate: Certificate;
  /** Who the reply is sealed for, and how. */
  readonly recipient: Certificate;
  readonly cipher: ContentCipher;
  readonly subject: CredentialSubject;
  readonly credentialId: string;
  readonly renewalOf: string | null;
}

/** A request that could be read, and what became of it. */
export interface ScepExchange {
  readonly message: ScepMessage;
  readonly outcome: Outcome<IssuedCertificate, ScepRefusal>;
}

export interface ScepParts {
  readonly authority: Authority;
  readonly certificates: CertificateAuthority;
  /** Anchored at the authority, without dates: expiry is judged here. */
  readonly chain: ChainVerifier;
  readonly cells: IssuanceCells;
  readonly register: IdentityRegister;
  readonly records: CertificateRecords;
  readonly random: RandomBytes;
}

/** SHA-1 signs nothing but a request whose contents are proven otherwise (facts 19.2: Apple's client of 2016). */
const POLICY = { sha1: true, rsaBitsMin: RSA_BITS_MIN } as const;

/** Everything known about a request once it is open. */
interface OpenRequest {
  readonly message: ScepMessage;
  readonly signer: Certificate;
  readonly cipher: ContentCipher;
  readonly csr: Csr;
  readonly keyKind: 'RSA' | 'EC';
}

/**
 * No credential, or one that is over: Apple's client may send the challenge of its profile along with a renewal, and
 * that was used long ago (refused by its age, or forgotten). A wrong secret or another device's name is no renewal.
 */
const NO_CREDENTIAL: ReadonlySet<ScepRefusal['kind']> = new Set([
  'challenge-missing',
  'malformed-challenge',
  'credential-used',
  'credential-expired',
  'credential-unknown',
]);

type Grant = Pick<IssuedCertificate, 'subject' | 'credentialId' | 'renewalOf'> & {
  readonly serialHex: string;
  readonly issuedAtMs: EpochMs;
};

export class ScepService {
  readonly #parts: ScepParts;

  constructor(parts: ScepParts) {
    this.#parts = parts;
  }

  /** The authority's certificate, for GetCACert. */
  get authorityDer(): Bytes {
    return this.#parts.authority.certificate.der;
  }

  async handle(bytes: Bytes, nowMs: EpochMs): Promise<Outcome<ScepExchange, MalformedScepMessage>> {
    const parsed = parseScepMessage(bytes);
    if (!parsed.ok) return parsed;
    const message = parsed.value;
    return ok({ message, outcome: await this.#decide(message, nowMs) });
  }

  deliver(message: ScepMessage, issued: IssuedCertificate): Promise<Bytes> {
    return encodeSuccess(message, this.#parts.authority.signer, this.#parts.random(NONCE_BYTES), issued);
  }

  decline(
    message: ScepMessage,
    failure: { readonly failInfo: FailInfo; readonly text: string | null },
  ): Promise<Bytes> {
    return encodeFailure(message, this.#parts.authority.signer, this.#parts.random(NONCE_BYTES), failure);
  }

  async #decide(message: ScepMessage, nowMs: EpochMs): Promise<Outcome<IssuedCertificate, ScepRefusal>> {
    const opened = await this.#open(message);
    if (!opened.ok) return opened;
    const grant = await this.#authorize(opened.value, nowMs);
    if (!grant.ok) return grant;
    return ok(await this.#issue(opened.value, grant.value, nowMs));
  }

  async #open(message: ScepMessage): Promise<Outcome<OpenRequest, ScepRefusal>> {
    const { authority } = this.#parts;
    const verified = await verifySignedData(message.signed, message.content, POLICY);
    if (!verified.ok) return tooSmall(message) ?? verified;
    const signer = verified.value;
    const { messageType } = message;
    if (messageType !== MESSAGE_TYPE.pkcsReq && messageType !== MESSAGE_TYPE.renewalReq) {
      return refuse({ kind: 'message-type-unsupported', messageType });
    }
    if (message.senderNonce === null) return refuse({ kind: 'nonce-missing' });
    if (signer.rsaBits === null) return refuse({ kind: 'signer-key-not-rsa' });
    const envelope = parseEnvelope(message.content, authority.certificate);
    if (!envelope.ok) return envelope;
    const csr = await openRequest(envelope.value, authority.opener, message.signed, signer);
    if (!csr.ok) return csr;
    const key = usableKey(csr.value);
    if (!key.ok) return key;
    return ok({ message, signer, cipher: envelope.value.cipher, csr: csr.value, keyKind: key.value });
  }

  async #authorize(request: OpenRequest, nowMs: EpochMs): Promise<Outcome<Grant, ScepRefusal>> {
    if (request.message.messageType === MESSAGE_TYPE.renewalReq) return this.#renew(request, nowMs);
    // The credential first, whoever signed: what a device with an identity was given anew is not to be a renewal.
    const enrollment = await this.#enroll(request, nowMs);
    if (enrollment.ok || !NO_CREDENTIAL.has(enrollment.refusal.kind)) return enrollment;
    const renewal = await this.#renew(request, nowMs);
    return renewal.ok || renewal.refusal.kind !== 'renewal-untrusted' ? renewal : enrollment;
  }

  async #enroll(request: OpenRequest, nowMs: EpochMs): Promise<Outcome<Grant, ScepRefusal>> {
    const { csr } = request;
    if (csr.challengePassword === null) return refuse({ kind: 'challenge-missing' });
    const challenge = parseChallenge(csr.challengePassword);
    if (!challenge.ok) return challenge;
    const { credentialId, secret } = challenge.value;
    const claim = {
      secretDigest: await sha256Hex(utf8(secret)),
      keyDigest: await sha256Hex(csr.spki),
      certificateSerialHex: this.#parts.certificates.newSerialHex(),
      namedUdids: namedUdids(csr.subject),
    };
    const consumed = await this.#parts.cells(credentialId).consumeCredential(claim, nowMs);
    if (!consumed.ok) return consumed;
    const { subject, use } = consumed.value;
    return ok({
      subject,
      credentialId,
      renewalOf: null,
      serialHex: use.certificateSerialHex,
      issuedAtMs: use.atMs,
    });
  }

  async #renew({ signer, csr }: OpenRequest, nowMs: EpochMs): Promise<Outcome<Grant, ScepRefusal>> {
    const { chain, records, register, certificates } = this.#parts;
    const trusted = await chain.verify(signer, [], nowMs);
    const udid = trusted.ok ? subjectUdid(signer.subject) : null;
    if (udid === null) return refuse({ kind: 'renewal-untrusted' });
    if (nowMs > signer.notAfterMs) return refuse({ kind: 'renewal-expired' });
    const stranger = namedUdids(csr.subject).find((named) => named.toLowerCase() !== udid.toLowerCase());
    if (stranger !== undefined) return refuse({ kind: 'subject-mismatch', named: stranger });
    const digest = await certificateDigest(signer);
    const [record, current] = await Promise.all([
      records.find(digest),
      register.isCurrent(udid, digest, nowMs),
    ]);
    if (record === null || !current) return refuse({ kind: 'renewal-not-current' });
    const { subject, credentialId } = record;
    const serialHex = certificates.newSerialHex();
    return ok({ subject, credentialId, renewalOf: digest, serialHex, issuedAtMs: nowMs });
  }

  /** Registered before it is delivered: a certificate that nobody knows never leaves. */
  async #issue(request: OpenRequest, grant: Grant, nowMs: EpochMs): Promise<IssuedCertificate> {
    const { subject, credentialId, renewalOf, serialHex, issuedAtMs } = grant;
    const certificate = await this.#parts.certificates.issue({
      spki: request.csr.spki,
      keyKind: request.keyKind,
      udid: subject.udid,
      deviceSerial: subject.serial,
      serialHex,
      issuedAtMs,
    });
    const identity = {
      subject,
      credentialId,
      certificateDigest: await certificateDigest(certificate),
      certificateDer: certificate.der,
      serialHex,
      issuedAtMs,
      notBeforeMs: certificate.notBeforeMs,
      notAfterMs: certificate.notAfterMs,
      renewalOf,
    };
    await this.#parts.register.issued(identity, nowMs);
    const { signer: recipient, cipher } = request;
    return { certificate, recipient, cipher, subject, credentialId, renewalOf };
  }
}

/** The policy refuses a small signing key like any algorithm; the client is told what is really wrong. */
function tooSmall(message: ScepMessage) {
  const bits = message.signed.signer?.rsaBits ?? RSA_BITS_MIN;
  return bits < RSA_BITS_MIN ? refuse<ScepRefusal>({ kind: 'key-too-small', bits }) : null;
}

function usableKey({ key }: Csr): Outcome<'RSA' | 'EC', ScepRefusal> {
  if (key.kind === 'EC') return ok('EC');
  if (key.bits < RSA_BITS_MIN) return refuse({ kind: 'key-too-small', bits: key.bits });
  if (key.bits > RSA_BITS_MAX) return refuse({ kind: 'key-too-large', bits: key.bits });
  return ok('RSA');
}
