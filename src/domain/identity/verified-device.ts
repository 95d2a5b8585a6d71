/**
 * Proof that a request came from a device: its certificate was issued here, its signature over this request
 * verified. The `#` field keeps literals out, and only `device-verifier.ts` constructs one (design section 4).
 * The pin is compared later, by the device's own object, on every call.
 */
import type { Udid } from '../ids.ts';

export class VerifiedDevice {
  readonly #udid: Udid;
  readonly #certificateDigest: string;

  constructor(udid: Udid, certificateDigest: string) {
    this.#udid = udid;
    this.#certificateDigest = certificateDigest;
  }

  /** The UDID in the certificate's subject. */
  get udid(): Udid {
    return this.#udid;
  }

  /** SHA-256 of the certificate's DER, lower-case hex: what is pinned. */
  get certificateDigest(): string {
    return this.#certificateDigest;
  }
}
