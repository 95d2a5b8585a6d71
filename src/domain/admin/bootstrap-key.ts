/**
 * The administrator key from the deployment's configuration. Keys are compared by their SHA-256 digests in
 * constant time, so neither the content nor the length of the right one can be learned from an answer's time.
 */
import { sha256 } from '../../pki/digest.ts';
import { equalBytes, utf8 } from '../../std/bytes.ts';
import { Fault, type Outcome, ok, refuse } from '../../std/outcome.ts';
import type { Secret } from '../../std/secret.ts';
import type { Admin, Authenticator, UnknownKey } from './services.ts';

/** `token68` (RFC 9110 §11.2). 16 characters hold 96 random bits in base64: out of reach of guessing over a network. */
const KEY = /^[A-Za-z0-9._~+/-]{16,512}={0,2}$/;

const BOOTSTRAP: Admin = { id: 'bootstrap' };

export class BootstrapKey implements Authenticator {
  readonly #digest: Promise<Uint8Array>;

  /** @throws Fault when the key is too short to keep anyone out, or could not be sent as a bearer token. */
  constructor(key: Secret<string>) {
    if (!KEY.test(key.expose())) {
      throw new Fault('admin-key-unfit', 'ADMIN_KEY must be 16 to 512 letters, digits and ._~+/-');
    }
    this.#digest = sha256(utf8(key.expose()));
  }

  async authenticate(token: string): Promise<Outcome<Admin, UnknownKey>> {
    const offered = await sha256(utf8(token));
    return equalBytes(offered, await this.#digest) ? ok(BOOTSTRAP) : refuse({ kind: 'unknown-key' });
  }
}
