/**
 * Who may ask for pushes: the holder of the shared key, once per signature, within five minutes.
 *
 *     HMAC-SHA-256(key, "escapement-push/1\n" + method + " " + path + "\n" + timestamp + "\n" + hex SHA-256 of body)
 *
 * Signatures seen are kept in memory alone. So that a restart does not let a recorded request in again, what was
 * signed before this process started is told to be signed anew (503), which a sender does when it retries.
 */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';

export const SKEW_MS_MAX = 5 * 60_000;
/** A signature is good from five minutes before its time to five after: it is remembered that long. */
const REMEMBER_MS = 2 * SKEW_MS_MAX;
/** 167 requests a second over the ten minutes, each of up to 500 pushes; about 15 MB. Full means 503, not forgetting. */
const REMEMBERED_MAX = 100_000;

export interface SignedRequest {
  readonly method: string;
  readonly path: string;
  readonly timestamp: string | undefined;
  readonly signature: string | undefined;
  readonly body: Uint8Array;
}

export type Admission =
  | 'admitted'
  | 'unsigned'
  | 'skewed'
  | 'replayed'
  | 'signed-before-start'
  | 'memory-full';

export interface GateOptions {
  readonly key: Uint8Array;
  readonly startedAtMs: number;
  readonly rememberedMax?: number;
}

export class Gate {
  readonly #key: Uint8Array;
  readonly #startedAtMs: number;
  readonly #rememberedMax: number;
  /** Signature to when it came, oldest first. Only good signatures enter: nobody else can fill it. */
  readonly #seen = new Map<string, number>();

  constructor({ key, startedAtMs, rememberedMax = REMEMBERED_MAX }: GateOptions) {
    this.#key = key;
    this.#startedAtMs = startedAtMs;
    this.#rememberedMax = rememberedMax;
  }

  /** The signature comes first: whoever cannot sign learns nothing about clocks or about what was seen. */
  admit(request: SignedRequest, nowMs: number): Admission {
    const { timestamp = '', signature = '' } = request;
    if (!looksSigned(timestamp, signature)) return 'unsigned';
    const expected = sign(this.#key, timestamp, request);
    if (!timingSafeEqual(expected, Buffer.from(signature, 'hex'))) return 'unsigned';
    const signedAtMs = Number(timestamp);
    if (Math.abs(nowMs - signedAtMs) > SKEW_MS_MAX) return 'skewed';
    if (signedAtMs < this.#startedAtMs) return 'signed-before-start';
    return this.#remember(expected.toString('base64'), nowMs);
  }

  #remember(signature: string, nowMs: number): Admission {
    for (const [old, cameAtMs] of this.#seen) {
      if (nowMs - cameAtMs <= REMEMBER_MS) break;
      this.#seen.delete(old);
    }
    if (this.#seen.has(signature)) return 'replayed';
    if (this.#seen.size >= this.#rememberedMax) return 'memory-full';
    this.#seen.set(signature, nowMs);
    return 'admitted';
  }
}

/** The two headers have the form of a signature; whether it is one, only the body tells. */
export function looksSigned(timestamp = '', signature = ''): boolean {
  return /^\d{1,15}$/.test(timestamp) && /^[0-9a-f]{64}$/i.test(signature);
}

function sign(key: Uint8Array, timestamp: string, { method, path, body }: SignedRequest): Buffer {
  const digest = createHash('sha256').update(body).digest('hex');
  return createHmac('sha256', key)
    .update(`escapement-push/1\n${method} ${path}\n${timestamp}\n${digest}`)
    .digest();
}
