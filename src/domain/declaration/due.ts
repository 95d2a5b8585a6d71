/**
 * Brings devices up to date after a change. The change itself marks them (one transaction, so none is forgotten);
 * here they are claimed, told and cleared, at once for a few and in the background for many: each message of the
 * queue brings some hundred devices up to date and asks for its successor, the sweeper for what a failure left.
 * Memory and the statements of one message do not grow with the fleet.
 */
import { addMs, type EpochMs, MINUTE_MS } from '../../std/time.ts';
import type { Udid } from '../ids.ts';
import type { ManifestCompiler } from './manifest-compiler.ts';

/** One change of what devices are assigned: its marks carry its name. */
export interface Change {
  readonly id: string;
  readonly atMs: EpochMs;
}

export interface DueDevice {
  readonly udid: Udid;
  /** The change that marked it last. */
  readonly change: string;
  /** The end of the claim: a mark made meanwhile, even by the same change, ends it at once. */
  readonly untilMs: EpochMs;
}

/** Marks are written by the stores that make the changes. Each call is one transaction. */
export interface DueStore {
  /** At most `limit` that nobody has claimed, of one change or of any; they are the caller's until then. */
  claim(
    change: string | null,
    limit: number,
    lease: { readonly nowMs: EpochMs; readonly untilMs: EpochMs },
  ): Promise<readonly DueDevice[]>;
  /** Those that nobody has marked or claimed since. */
  clear(done: readonly DueDevice[]): Promise<void>;
  count(change: string | null): Promise<number>;
  /** When the oldest mark was made; null when there is none. */
  oldest(): Promise<EpochMs | null>;
}

/** Asks that `bringSome` be called soon, elsewhere; may be lost, and then the sweeper asks again. */
export interface DueQueue {
  ask(): Promise<void>;
}

/** Some six reads and a claim in D1, and two calls to each object; of those that change a third, and the reads again. */
const CHUNK = 50;
/** So many are told before an administrator has the answer: a second, on a slow day. */
const INLINE_MAX = 100;
/** A message of the queue: at most 900 calls and some 90 statements, far from the 10,000 that one invocation may make. */
const PER_MESSAGE = 300;
/** Messages at once, each of which goes on until nothing is left. */
const MESSAGES = 4;
/** A device that did not answer is tried again after this. */
const LEASE_MS = MINUTE_MS;

export class DueManifests {
  readonly #store: DueStore;
  readonly #queue: DueQueue;
  readonly #manifests: Pick<ManifestCompiler, 'hold'>;

  constructor(options: {
    readonly store: DueStore;
    readonly queue: DueQueue;
    readonly manifests: Pick<ManifestCompiler, 'hold'>;
  }) {
    this.#store = options.store;
    this.#queue = options.queue;
    this.#manifests = options.manifests;
  }

  /** After a change was stored: brings a few devices up to date now. Returns how many are left to the background. */
  async settle(change: Change): Promise<number> {
    await this.#bring(change.id, INLINE_MAX, change.atMs);
    const left = await this.#store.count(change.id);
    const messages = Math.min(MESSAGES, Math.ceil(left / PER_MESSAGE));
    for (let n = 0; n < messages; n++) await this.#queue.ask();
    return left;
  }

  /** For the queue's consumer: brings some up to date, and asks for another message while there are more. */
  async bringSome(nowMs: EpochMs): Promise<void> {
    if (await this.#bring(null, PER_MESSAGE, nowMs)) await this.#queue.ask();
  }

  /** For the sweeper: whatever waits, a message is under way for it. Returns how many wait. */
  async sweep(): Promise<number> {
    const waiting = await this.#store.count(null);
    if (waiting > 0) await this.#queue.ask();
    return waiting;
  }

  async waiting(): Promise<{ readonly devices: number; readonly sinceMs: EpochMs | null }> {
    const [devices, sinceMs] = await Promise.all([this.#store.count(null), this.#store.oldest()]);
    return { devices, sinceMs };
  }

  /** Whether as many were claimed as might be, so that there may be more. */
  async #bring(change: string | null, devicesMax: number, nowMs: EpochMs): Promise<boolean> {
    const lease = { nowMs, untilMs: addMs(nowMs, LEASE_MS) };
    for (let claimed = 0; claimed < devicesMax; claimed += CHUNK) {
      const due = await this.#store.claim(change, CHUNK, lease);
      const missed = new Set(
        await this.#manifests.hold(
          due.map((one) => one.udid),
          nowMs,
        ),
      );
      await this.#store.clear(due.filter((one) => !missed.has(one.udid)));
      if (due.length < CHUNK) return false;
    }
    return true;
  }
}
