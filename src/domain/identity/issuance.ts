/**
 * Hands out one-time values and takes them back: the credential in an enrollment profile, the link to a phone's
 * profile. Randomness and objects are passed in; the decisions are in `credential.ts` and `one-time-link.ts`.
 */
import { sha256Hex } from '../../pki/digest.ts';
import { type Bytes, toBase64Url, toHex, utf8 } from '../../std/bytes.ts';
import { refuse } from '../../std/outcome.ts';
import { addMs, type EpochMs } from '../../std/time.ts';
import {
  type ConsumeOutcome,
  CREDENTIAL_LIFETIME_MS,
  type CredentialClaim,
  type CredentialRecord,
  encodeChallenge,
} from './credential.ts';
import { type LinkGrant, type LinkRecord, linkExpiry, type TakeOutcome } from './one-time-link.ts';
import type { CredentialMint, CredentialSubject } from './ports.ts';

/**
 * One object per one-time value. `open…` is durable on return and does nothing when the name is taken already.
 * `consumeCredential` is idempotent for one key; `takeLink` succeeds at most once, ever. A name that was never
 * opened is refused as unknown and leaves nothing stored. All throw `Unavailable`. Whoever controlled the store
 * could hand any device a certificate: this is part of the certificate authority.
 */
export interface IssuanceCell {
  openCredential(record: Omit<CredentialRecord, 'use'>): Promise<void>;
  consumeCredential(claim: CredentialClaim, nowMs: EpochMs): Promise<ConsumeOutcome>;
  openLink(record: Omit<LinkRecord, 'takenAtMs'>): Promise<void>;
  takeLink(nowMs: EpochMs): Promise<TakeOutcome>;
}

export type IssuanceCells = (name: string) => IssuanceCell;

/** Unpredictable bytes; `pki/random.ts` in the Worker. */
export type RandomBytes = (length: number) => Bytes;

const CREDENTIAL_ID_BYTES = 16;
/** The secret has to resist guessing by anyone who saw the id: 256 bits. */
const SECRET_BYTES = 32;

export class IssuanceMint implements CredentialMint {
  readonly #cells: IssuanceCells;
  readonly #random: RandomBytes;
  readonly #lifetimeMs: number;

  constructor(cells: IssuanceCells, random: RandomBytes, lifetimeMs: number = CREDENTIAL_LIFETIME_MS) {
    this.#cells = cells;
    this.#random = random;
    this.#lifetimeMs = lifetimeMs;
  }

  async mint(
    subject: CredentialSubject,
    nowMs: EpochMs,
  ): Promise<{ credentialId: string; challenge: string; expiresAtMs: EpochMs }> {
    const credentialId = toHex(this.#random(CREDENTIAL_ID_BYTES));
    const secret = toBase64Url(this.#random(SECRET_BYTES));
    const expiresAtMs = addMs(nowMs, this.#lifetimeMs);
    const secretDigest = await sha256Hex(utf8(secret));
    await this.#cells(credentialId).openCredential({ secretDigest, subject, expiresAtMs });
    return { credentialId, challenge: encodeChallenge(credentialId, secret), expiresAtMs };
  }
}

const CODE = /^[A-Za-z0-9_-]{43}$/;
/** Of the 64 hex digits that name the object: enough to tell links apart, too few to find the object. */
const LINK_ID_LENGTH = 32;

export class OneTimeLinks {
  readonly #cells: IssuanceCells;
  readonly #random: RandomBytes;

  constructor(cells: IssuanceCells, random: RandomBytes) {
    this.#cells = cells;
    this.#random = random;
  }

  async create(
    grant: LinkGrant,
    ttlSeconds: number | undefined,
    nowMs: EpochMs,
  ): Promise<{ code: string; linkId: string; expiresAtMs: EpochMs }> {
    const code = toBase64Url(this.#random(SECRET_BYTES));
    const name = await sha256Hex(utf8(code));
    const linkId = name.slice(0, LINK_ID_LENGTH);
    const expiresAtMs = linkExpiry(ttlSeconds, nowMs);
    await this.#cells(name).openLink({ linkId, grant, expiresAtMs });
    return { code, linkId, expiresAtMs };
  }

  async take(code: string, nowMs: EpochMs): Promise<TakeOutcome> {
    if (!CODE.test(code)) return refuse({ kind: 'link-unknown' });
    return this.#cells(await sha256Hex(utf8(code))).takeLink(nowMs);
  }
}
