/**
 * Sends pushes and answers for each exactly once, whatever happens to the connections:
 *
 *     answered 2xx, 4xx     reported; a 429 leaves that device alone for a while
 *     answered 5xx          again on a new connection, with jitter, a few times; then reported
 *     refused unlooked-at   again on another connection
 *     nobody knows          reported as `transport-down`, never sent again: the device may have been woken
 *     no time left          `timeout` when it was sent, else `transport-down`, or the last 5xx
 */

import type { Answer, ApnsAnswer, ApnsPush, Connection } from './connection.ts';
import type { PushResult } from './contract.ts';
import { Pool, type PoolOptions } from './pool.ts';
import { delayMs, type Growth, Throttles } from './throttle.ts';

export interface SenderOptions extends Omit<PoolOptions, 'onRoom'> {
  /** From being taken in to being answered for, tries and waits included. */
  readonly pushTimeoutMs: number;
  readonly triesMax: number;
  readonly retry: Growth;
  readonly throttle: Growth;
  /** A connection that answered 5xx is left for a new one, but not if it is newer than this. */
  readonly connectionAgeMsMin: number;
  readonly now: () => number;
}

/** Whoever asked: when it has gone away, what was not sent yet is dropped. */
export interface Asker {
  gone: boolean;
}

/** A peer that refuses stream after stream on an open connection is not asked for ever. */
const REFUSALS_MAX = 10;

interface Job {
  readonly push: ApnsPush;
  readonly asker: Asker;
  readonly settle: (result: PushResult) => void;
  readonly endsAtMs: number;
  tries: number;
  refusals: number;
  /** What APNs said last, when that was worth another try. */
  last: PushResult | null;
  cancel: (() => void) | null;
  connection: Connection | null;
  timer: NodeJS.Timeout;
  retryTimer: NodeJS.Timeout | undefined;
}

export class Sender {
  readonly #options: SenderOptions;
  readonly #pool: Pool;
  readonly #throttles: Throttles;
  readonly #jobs = new Set<Job>();
  readonly #queue = new Set<Job>();
  sent = 0;
  failed = 0;

  constructor(options: SenderOptions) {
    this.#options = options;
    this.#throttles = new Throttles(options.throttle);
    this.#pool = new Pool({ ...options, onRoom: () => this.#pump() });
    this.#pool.grow();
  }

  get inFlight(): number {
    return this.#jobs.size;
  }

  get connected(): boolean {
    return this.#pool.connected;
  }

  send(push: ApnsPush, asker: Asker): Promise<PushResult> {
    const waitSeconds = this.#throttles.remainingSeconds(push.token, this.#options.now());
    if (waitSeconds !== null) {
      this.failed++;
      const held = { status: 429, reason: 'TooManyRequests', timestampMs: null };
      return Promise.resolve({ id: push.id, ...held, retryAfterSeconds: waitSeconds });
    }
    return new Promise((settle) => {
      const { pushTimeoutMs } = this.#options;
      const job: Job = {
        push,
        asker,
        settle,
        endsAtMs: performance.now() + pushTimeoutMs,
        tries: 0,
        refusals: 0,
        last: null,
        cancel: null,
        connection: null,
        timer: setTimeout(() => this.#expire(job), pushTimeoutMs),
        retryTimer: undefined,
      };
      this.#jobs.add(job);
      this.#queue.add(job);
      this.#pump();
    });
  }

  /** Waits until nothing is in flight, then closes. Each push has a time limit, so this ends. */
  async close(graceMs: number): Promise<void> {
    const endMs = performance.now() + graceMs;
    while (this.#jobs.size > 0 && performance.now() < endMs) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    for (const job of this.#jobs) this.#expire(job);
    await this.#pool.close(Math.max(100, endMs - performance.now()));
  }

  #pump(): void {
    for (const job of this.#queue) {
      const connection = job.asker.gone ? null : this.#pool.take();
      if (connection === null && !job.asker.gone) return;
      this.#queue.delete(job);
      if (connection === null) this.#settle(job, unanswered(job, 'transport-down'));
      else this.#dispatch(job, connection);
    }
  }

  #dispatch(job: Job, connection: Connection): void {
    job.tries++;
    job.connection = connection;
    job.cancel = connection.send(job.push, (answer) => this.#answered(job, connection, answer));
  }

  #answered(job: Job, connection: Connection, answer: Answer): void {
    job.cancel = null;
    job.connection = null;
    if (!this.#jobs.has(job)) return;
    const result = this.#conclude(job, connection, answer);
    if (result !== null) this.#settle(job, result);
  }

  /** What to report; null when the push is on its way once more. */
  #conclude(job: Job, connection: Connection, answer: Answer): PushResult | null {
    switch (answer.kind) {
      case 'unknown':
        return unanswered(job, 'transport-down');
      case 'refused':
        return this.#sendAgainUnseen(job, connection);
      case 'answered':
        if (answer.status >= 500) return this.#sendAgainLater(job, connection, answer);
        return answer.status === 429 ? this.#leaveAlone(job, answer) : this.#taken(job, answer);
      default:
        return answer satisfies never;
    }
  }

  #taken(job: Job, answer: ApnsAnswer): PushResult {
    this.#throttles.clear(job.push.token);
    return resultOf(job, answer);
  }

  #leaveAlone(job: Job, answer: ApnsAnswer): PushResult {
    const { token } = job.push;
    const retryAfterSeconds = this.#throttles.strike(token, this.#options.now(), answer.retryAfterSeconds);
    return { ...resultOf(job, answer), retryAfterSeconds };
  }

  #sendAgainUnseen(job: Job, connection: Connection): PushResult | null {
    job.tries--;
    job.refusals++;
    if (job.refusals > REFUSALS_MAX) return job.last ?? unanswered(job, 'transport-down');
    // From a connection that leaves, a push goes straight to the next; an open one is given time.
    if (connection.state === 'open') this.#enqueueIn(job, delayMs(this.#options.retry, job.refusals - 1));
    else this.#enqueue(job);
    return null;
  }

  #sendAgainLater(job: Job, connection: Connection, answer: ApnsAnswer): PushResult | null {
    const { triesMax, retry, connectionAgeMsMin } = this.#options;
    if (answer.reason === 'Shutdown' || connection.ageMs >= connectionAgeMsMin) {
      connection.retire(answer.reason ?? `status ${answer.status}`);
    }
    job.last = resultOf(job, answer);
    const waitMs = Math.max(delayMs(retry, job.tries - 1), (answer.retryAfterSeconds ?? 0) * 1000);
    if (job.tries >= triesMax || performance.now() + waitMs >= job.endsAtMs) return job.last;
    this.#enqueueIn(job, waitMs);
    return null;
  }

  #enqueueIn(job: Job, waitMs: number): void {
    job.retryTimer = setTimeout(() => this.#enqueue(job), waitMs);
  }

  #enqueue(job: Job): void {
    this.#queue.add(job);
    this.#pump();
  }

  /** Out of time. The connection that kept it waiting is asked whether it is still there. */
  #expire(job: Job): void {
    const { cancel, connection } = job;
    this.#settle(
      job,
      cancel === null ? (job.last ?? unanswered(job, 'transport-down')) : unanswered(job, 'timeout'),
    );
    cancel?.();
    connection?.check();
  }

  /** Once: what is no longer among the jobs has been answered for. */
  #settle(job: Job, result: PushResult): void {
    if (!this.#jobs.delete(job)) return;
    this.#queue.delete(job);
    clearTimeout(job.timer);
    clearTimeout(job.retryTimer);
    if (result.status === 200) this.sent++;
    else this.failed++;
    job.settle(result);
  }
}

function resultOf(job: Job, { status, reason, timestampMs, retryAfterSeconds }: ApnsAnswer): PushResult {
  return { id: job.push.id, status, reason, timestampMs, retryAfterSeconds };
}

function unanswered(job: Job, reason: 'transport-down' | 'timeout'): PushResult {
  return { id: job.push.id, status: 0, reason, timestampMs: null, retryAfterSeconds: null };
}
