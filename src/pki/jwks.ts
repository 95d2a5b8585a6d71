/**
 * Keys as JWK sets (RFC 7517 §5): P-256 for ES256, each with a `kid`. Our own private set is configuration and must
 * be right; another server's public set is fetched, so it may be anything, and is kept for ten minutes.
 * One request fetches, and the others do not wait for it: a promise of another request's I/O may never settle
 * (`node-crypto.ts`).
 */
import { importJWK, type JWK } from 'jose';
import { Fault, type Outcome, ok, refuse, Unavailable } from '../std/outcome.ts';
import { type EpochMs, MINUTE_MS, SECOND_MS } from '../std/time.ts';

/** A public P-256 key as it is published: nothing of the private one. */
export interface PublicJwk {
  readonly kty: 'EC';
  readonly crv: 'P-256';
  readonly x: string;
  readonly y: string;
  readonly kid: string;
  readonly alg: 'ES256';
  readonly use: 'sig';
}

/** One that signs, and those whose tokens of the last minutes are still about. */
const KEYS_MAX = 8;
const KEY_ID_CHARACTERS_MAX = 128;

const KEPT_MS = 10 * MINUTE_MS;
/**
 * How soon a set is fetched again for a `kid` it lacks, or after a failure: whoever sends tokens sets no pace. For as
 * long a set may be over its time while the next one is being fetched, or could not be.
 */
const REFETCH_MS = 30 * SECOND_MS;

/**
 * How soon a fetch that has not ended is given up on. Its request may have been canceled, even on purpose, and nobody
 * would be told; with the five seconds that a fetch may take, no more than five are under way.
 */
const IN_FLIGHT_MS = SECOND_MS;

/** The public half of an EC JWK, or `null` when it is not a P-256 key for signatures with a usable `kid`. */
export function publicJwk(jwk: unknown): PublicJwk | null {
  if (typeof jwk !== 'object' || jwk === null) return null;
  const { kty, crv, x, y, kid, alg = 'ES256', use = 'sig' } = jwk as Record<string, unknown>;
  if (kty !== 'EC' || crv !== 'P-256' || alg !== 'ES256' || use !== 'sig') return null;
  if (typeof x !== 'string' || typeof y !== 'string' || typeof kid !== 'string') return null;
  return kid.length === 0 || kid.length > KEY_ID_CHARACTERS_MAX ? null : { kty, crv, x, y, kid, alg, use };
}

/** Imports for verifying. Throws what the runtime throws when the point is not on the curve. */
async function importPublic(jwk: PublicJwk): Promise<CryptoKey> {
  return await importJWK({ ...jwk } satisfies JWK & { kty: 'EC' }, 'ES256');
}

export interface SigningKeys {
  readonly signing: { readonly kid: string; readonly key: CryptoKey };
  readonly verifying: ReadonlyMap<string, CryptoKey>;
  readonly published: readonly PublicJwk[];
}

/** A private set: the first key signs, all verify. Throws `Fault`, with no part of the keys in its message. */
export async function importSigningKeys(jwksJson: string): Promise<SigningKeys> {
  const members = keysOf(parseJson(jwksJson));
  if (members === null)
    throw new Fault('token-keys-malformed', 'token keys are not a JWK set of 1 to 8 keys');
  const published: PublicJwk[] = [];
  const verifying = new Map<string, CryptoKey>();
  let signing: SigningKeys['signing'] | null = null;
  for (const member of members) {
    const jwk = publicJwk(member);
    const d = (member as { d?: unknown } | null)?.d;
    if (jwk === null || typeof d !== 'string' || verifying.has(jwk.kid)) {
      throw new Fault('token-keys-malformed', 'a token key is not a private P-256 JWK with a kid of its own');
    }
    try {
      verifying.set(jwk.kid, await importPublic(jwk));
      const key = await importJWK({ ...jwk, d } satisfies JWK & { kty: 'EC' }, 'ES256');
      signing ??= { kid: jwk.kid, key };
    } catch {
      // The cause may quote the key: it is left out.
      throw new Fault('token-keys-malformed', 'a token key cannot be imported');
    }
    published.push(jwk);
  }
  if (signing === null) throw new Fault('token-keys-malformed', 'no token key');
  return { signing, verifying, published };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // The one failure is a SyntaxError, and it would quote the secret.
    return null;
  }
}

function keysOf(set: unknown): readonly unknown[] | null {
  const keys = typeof set === 'object' && set !== null ? (set as { keys?: unknown }).keys : null;
  return Array.isArray(keys) && keys.length > 0 && keys.length <= KEYS_MAX ? keys : null;
}

export interface ForeignIssuer {
  readonly issuer: string;
  readonly jwksUrl: string;
}

/** Fetches and decodes a JWK set; throws when it cannot. It bounds time, redirects and size. */
export type FetchJwks = (url: string) => Promise<unknown>;

export type ForeignKeyRefusal = { readonly kind: 'issuer-unknown' } | { readonly kind: 'key-unknown' };

interface KeptSet {
  readonly keys: ReadonlyMap<string, CryptoKey>;
  readonly fetchedAtMs: EpochMs;
}

/** A fetch that has brought no set, or not yet. */
interface Attempt {
  readonly beganAtMs: EpochMs;
  readonly state: 'under way' | 'failed';
}

/** Other servers of the organization, and their keys as last fetched. One set is kept for each. */
export class ForeignIssuers {
  readonly #urls: ReadonlyMap<string, string>;
  readonly #fetchJwks: FetchJwks;
  readonly #now: () => EpochMs;
  readonly #kept = new Map<string, KeptSet>();
  readonly #attempts = new Map<string, Attempt>();

  constructor(issuers: readonly ForeignIssuer[], fetchJwks: FetchJwks, now: () => EpochMs) {
    this.#urls = new Map(issuers.map(({ issuer, jwksUrl }) => [issuer, jwksUrl]));
    this.#fetchJwks = fetchJwks;
    this.#now = now;
  }

  /** Throws `Unavailable` when the issuer's keys cannot be had now. */
  async findKey(issuer: string, kid: string): Promise<Outcome<CryptoKey, ForeignKeyRefusal>> {
    const url = this.#urls.get(issuer);
    if (url === undefined) return refuse({ kind: 'issuer-unknown' });
    const nowMs = this.#now();
    const kept = this.#kept.get(issuer);
    const ageMs = kept === undefined ? Number.POSITIVE_INFINITY : nowMs - kept.fetchedAtMs;
    const waits = this.#mustWait(issuer, nowMs);
    const known = ageMs < KEPT_MS + (waits ? REFETCH_MS : 0) ? kept?.keys.get(kid) : undefined;
    if (known !== undefined) return ok(known);
    if (ageMs < REFETCH_MS) return refuse({ kind: 'key-unknown' });
    if (waits) {
      throw new Unavailable(
        'issuer-keys-unavailable',
        'the keys of another issuer are being fetched, or could not be a moment ago',
      );
    }
    const key = (await this.#fetch(issuer, url, nowMs)).get(kid);
    return key === undefined ? refuse({ kind: 'key-unknown' }) : ok(key);
  }

  #mustWait(issuer: string, nowMs: EpochMs): boolean {
    const attempt = this.#attempts.get(issuer);
    if (attempt === undefined) return false;
    return nowMs - attempt.beganAtMs < (attempt.state === 'failed' ? REFETCH_MS : IN_FLIGHT_MS);
  }

  async #fetch(issuer: string, url: string, nowMs: EpochMs): Promise<ReadonlyMap<string, CryptoKey>> {
    this.#attempts.set(issuer, { beganAtMs: nowMs, state: 'under way' });
    try {
      const keys = await readKeys(await this.#fetchJwks(url));
      this.#kept.set(issuer, { keys, fetchedAtMs: nowMs });
      this.#attempts.delete(issuer);
      return keys;
    } catch (cause) {
      this.#attempts.set(issuer, { beganAtMs: nowMs, state: 'failed' });
      throw new Unavailable('issuer-keys-unavailable', 'the keys of another issuer cannot be fetched', cause);
    }
  }
}

/** Keys of other kinds in a published set are passed over (RFC 7517 §5); a set without any of ours is an error. */
async function readKeys(set: unknown): Promise<ReadonlyMap<string, CryptoKey>> {
  const keys = new Map<string, CryptoKey>();
  for (const member of keysOf(set) ?? []) {
    const jwk = publicJwk(member);
    if (jwk !== null) keys.set(jwk.kid, await importPublic(jwk));
  }
  if (keys.size === 0) throw new Unavailable('issuer-keys-unavailable', 'no usable key in the set');
  return keys;
}
