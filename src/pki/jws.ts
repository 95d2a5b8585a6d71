/**
 * The pairing token's signature: compact JWS (RFC 7515 §3.1), ES256 and `typ: watch-pairing+jwt` only (design §2).
 * The key is chosen by the token's `iss`: our own keys for ourselves, a configured server's published keys for that
 * server, so nobody signs in another's name. No other claim is judged here, dates included.
 */
import { CompactSign, compactVerify, decodeProtectedHeader, errors } from 'jose';
import { type Bytes, fromBase64Url, readUtf8, utf8 } from '../std/bytes.ts';
import { type Outcome, ok, refuse } from '../std/outcome.ts';
import { type ForeignIssuers, importSigningKeys, type PublicJwk, type SigningKeys } from './jwks.ts';

export const PAIRING_TOKEN_TYPE = 'watch-pairing+jwt';
/** Characters, all ASCII: ours have about 600, another issuer may add claims. It travels in a CMS of at most 64 KiB. */
export const PAIRING_TOKEN_CHARACTERS_MAX = 4096;

export type Claims = Readonly<Record<string, unknown>>;

export type TokenRefusal =
  | { readonly kind: 'token-malformed'; readonly reason: string }
  | { readonly kind: 'token-issuer' }
  | { readonly kind: 'token-signature'; readonly reason: 'unknown key' | 'invalid' };

/** Whose tokens are honored. */
export interface TokenIssuers {
  readonly own: string;
  readonly foreign?: ForeignIssuers;
}

export class PairingTokenKeys {
  readonly #keys: SigningKeys;

  constructor(keys: SigningKeys) {
    this.#keys = keys;
  }

  /** `{"keys":[private P-256 JWK with kid, …]}`: the first signs, all verify. Throws `Fault` when they cannot serve. */
  static async import(jwksJson: string): Promise<PairingTokenKeys> {
    return new PairingTokenKeys(await importSigningKeys(jwksJson));
  }

  async sign(claims: object): Promise<string> {
    const { kid, key } = this.#keys.signing;
    return await new CompactSign(utf8(JSON.stringify(claims)))
      .setProtectedHeader({ alg: 'ES256', typ: PAIRING_TOKEN_TYPE, kid })
      .sign(key);
  }

  /** The signed claims. Throws `Unavailable` when another issuer's keys cannot be had. */
  async verify(token: string, issuers: TokenIssuers): Promise<Outcome<Claims, TokenRefusal>> {
    if (token.length > PAIRING_TOKEN_CHARACTERS_MAX) return malformed('too long');
    const kid = readKeyId(token);
    if (kid === null) return malformed('header');
    const issuer = unverifiedIssuer(token);
    if (issuer === null) return malformed('claims');
    const key = await this.#findKey(issuer, kid, issuers);
    if (!key.ok) return key;
    try {
      const { payload } = await compactVerify(token, key.value, { algorithms: ['ES256'] });
      const claims = readClaims(payload as Bytes);
      return claims === null ? malformed('claims') : ok(claims);
    } catch (error) {
      if (error instanceof errors.JWSSignatureVerificationFailed) {
        return refuse({ kind: 'token-signature', reason: 'invalid' });
      }
      if (error instanceof errors.JOSEError) return malformed(error.code);
      throw error;
    }
  }

  /** What `/.well-known/escapement/jwks.json` serves. */
  publicJwks(): { readonly keys: readonly PublicJwk[] } {
    return { keys: this.#keys.published };
  }

  async #findKey(
    issuer: string,
    kid: string,
    issuers: TokenIssuers,
  ): Promise<Outcome<CryptoKey, TokenRefusal>> {
    if (issuer === issuers.own) {
      const key = this.#keys.verifying.get(kid);
      return key === undefined ? refuse({ kind: 'token-signature', reason: 'unknown key' }) : ok(key);
    }
    const found = await issuers.foreign?.findKey(issuer, kid);
    if (found?.ok) return found;
    return found?.refusal.kind === 'key-unknown'
      ? refuse({ kind: 'token-signature', reason: 'unknown key' })
      : refuse({ kind: 'token-issuer' });
  }
}

function malformed(reason: string) {
  return refuse<TokenRefusal>({ kind: 'token-malformed', reason });
}

/** `kid` of a header that says what we sign: this algorithm, this type. */
function readKeyId(token: string): string | null {
  try {
    const { alg, typ, kid } = decodeProtectedHeader(token);
    return alg === 'ES256' && typ === PAIRING_TOKEN_TYPE && typeof kid === 'string' ? kid : null;
  } catch {
    // Its one failure is a header that cannot be read.
    return null;
  }
}

/** Read before the signature is checked, and used only to choose the key that must then fit. */
function unverifiedIssuer(token: string): string | null {
  const payload = fromBase64Url(token.split('.')[1] ?? '');
  const issuer = payload === null ? undefined : readClaims(payload)?.['iss'];
  return typeof issuer === 'string' ? issuer : null;
}

function readClaims(payload: Bytes): Claims | null {
  const text = readUtf8(payload);
  if (text === null) return null;
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Claims) : null;
  } catch {
    // A SyntaxError is the one way this fails: not JSON.
    return null;
  }
}
