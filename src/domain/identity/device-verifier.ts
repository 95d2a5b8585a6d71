/**
 * Tells which device sent a request: `Mdm-Signature` over the exact body, by a key that this authority certified,
 * for the UDID in that certificate's subject; or, for downloads, the client certificate whose key the edge saw proven
 * in the TLS handshake, if it is one that was issued here. The only maker of `VerifiedDevice`.
 *
 * An expired certificate is still accepted here, on purpose. What admits a device is the pin that its own object
 * compares next; a refusal by date would lock out a watch that slept past the day, and the only way back would be to
 * erase it. Expiry ends renewal by SCEP (`scep-service.ts`), where a fresh credential is the other way in.
 */
import { type Certificate, certificateDigest } from '../../pki/certificate.ts';
import type { ChainRefusal, ChainVerifier } from '../../pki/chain.ts';
import { type MdmSignatureRefusal, verifyMdmSignature } from '../../pki/mdm-signature.ts';
import type { Bytes } from '../../std/bytes.ts';
import { type Outcome, ok, refuse } from '../../std/outcome.ts';
import type { EpochMs } from '../../std/time.ts';
import { subjectUdid } from './identity-subject.ts';
import type { CertificateRecords } from './ports.ts';
import { VerifiedDevice } from './verified-device.ts';

export type DeviceVerifierRefusal =
  | { readonly kind: 'signature-missing' }
  | MdmSignatureRefusal
  | ChainRefusal
  | { readonly kind: 'subject-without-udid' }
  /** No certificate with this digest was issued here. */
  | { readonly kind: 'edge-certificate-unknown' };

/** A client certificate that the edge asked for and verified (`http/edge-certificate.ts`). */
export interface EdgeCertificate {
  /** SHA-256 of its DER, lower-case hex. */
  readonly digest: string;
}

export class DeviceVerifier {
  readonly #chain: ChainVerifier;
  readonly #issued: Pick<CertificateRecords, 'find'>;
  /** Devices whose certificate was found good: without dates, it stays so for as long as its bytes are kept. */
  readonly #known = new WeakMap<Certificate, VerifiedDevice>();

  /** `chain` is anchored at our own authority, with `checkDates: false`. */
  constructor(chain: ChainVerifier, issued: Pick<CertificateRecords, 'find'>) {
    this.#chain = chain;
    this.#issued = issued;
  }

  /** `signatureHeader` as it came; `body` is empty for a GET. */
  async verify(
    signatureHeader: string | null,
    body: Bytes,
    nowMs: EpochMs,
  ): Promise<Outcome<VerifiedDevice, DeviceVerifierRefusal>> {
    if (signatureHeader === null) return refuse({ kind: 'signature-missing' });
    const signature = await verifyMdmSignature(signatureHeader, body);
    if (!signature.ok) return signature;
    const { signer } = signature.value;
    const known = this.#known.get(signer);
    if (known !== undefined) return ok(known);
    const chain = await this.#chain.verify(signer, [], nowMs);
    if (!chain.ok) return chain;
    const udid = subjectUdid(signer.subject);
    if (udid === null) return refuse({ kind: 'subject-without-udid' });
    const device = new VerifiedDevice(udid, await certificateDigest(signer));
    this.#known.set(signer, device);
    return ok(device);
  }
  /** The record of what was issued says whose it is; whoever controlled it could lend one device's name to another. */
  async verifyEdge(certificate: EdgeCertificate): Promise<Outcome<VerifiedDevice, DeviceVerifierRefusal>> {
    const record = await this.#issued.find(certificate.digest);
    if (record === null) return refuse({ kind: 'edge-certificate-unknown' });
    return ok(new VerifiedDevice(record.subject.udid, record.certificateDigest));
  }
}
