/**
 * The connections that pushes go over: one at least while the relay runs, another when all streams of those there
 * are in use. A lost one is replaced after a capped, jittered back-off that grows with each connection on which
 * nothing was answered, so that a refused certificate does not hammer Apple's door.
 */
import { type ApnsAddress, Connection, type ConnectionTimings } from './connection.ts';
import type { RelayLog } from './log.ts';
import { delayMs, type Growth } from './throttle.ts';

export interface PoolOptions {
  readonly address: ApnsAddress;
  readonly timings: ConnectionTimings;
  readonly connectionsMax: number;
  readonly reconnect: Growth;
  readonly log: RelayLog;
  /** There is room for a push. */
  readonly onRoom: () => void;
}

/** A connection that stood this long was good, even if nobody had to be woken. */
const GOOD_AGE_MS = 60_000;

export class Pool {
  readonly #options: PoolOptions;
  readonly #connections = new Set<Connection>();
  #fruitless = 0;
  #notBeforeMs = 0;
  #timer: NodeJS.Timeout | undefined;
  #closing = false;

  constructor(options: PoolOptions) {
    this.#options = options;
  }

  get connected(): boolean {
    return this.#usable().some(({ state }) => state === 'open');
  }

  /** One with room; otherwise null, and another is on its way if there may be one more. */
  take(): Connection | null {
    const free = this.#usable().find((connection) => connection.hasRoom());
    if (free === undefined) this.grow();
    return free ?? null;
  }

  grow(): void {
    const usable = this.#usable();
    if (this.#closing || this.#timer !== undefined || usable.length >= this.#options.connectionsMax) return;
    if (usable.some(({ state }) => state === 'connecting')) return;
    const waitMs = this.#notBeforeMs - performance.now();
    if (waitMs <= 0) {
      this.#connect();
      return;
    }
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.grow();
    }, waitMs);
  }

  /** Lets what is under way finish, for so long. */
  async close(graceMs: number): Promise<void> {
    this.#closing = true;
    clearTimeout(this.#timer);
    for (const connection of this.#connections) connection.retire('stopping');
    const endMs = performance.now() + graceMs;
    while (this.#connections.size > 0 && performance.now() < endMs) await pause(10);
    for (const connection of this.#connections) connection.destroy();
  }

  #usable(): Connection[] {
    return [...this.#connections].filter(({ state }) => state === 'open' || state === 'connecting');
  }

  #connect(): void {
    const { address, timings, log, onRoom } = this.#options;
    let counted = false;
    const ended = () => {
      if (counted) return;
      counted = true;
      this.#replace(connection);
    };
    const connection = new Connection(address, timings, {
      opened: () => {
        log.event('connected', { apnsHost: address.host, streamsMax: connection.streamsMax });
        onRoom();
      },
      leaving: (kind) => {
        if (!this.#closing) log.event('going-away', { kind });
        ended();
      },
      closed: (code) => {
        const expected = counted || this.#closing;
        this.#connections.delete(connection);
        ended();
        if (expected) return;
        const retryInMs = Math.max(0, Math.round(this.#notBeforeMs - performance.now()));
        log.event(connection.ageMs > 0 ? 'connection-lost' : 'connection-failed', { code, retryInMs });
      },
      room: onRoom,
    });
    this.#connections.add(connection);
  }

  /** Counted once per connection, when it stops being of use. */
  #replace(connection: Connection): void {
    const fruitful = connection.answered > 0 || connection.ageMs > GOOD_AGE_MS;
    this.#fruitless = fruitful ? 0 : this.#fruitless + 1;
    // Even a good one is not replaced at once more than twenty times a second.
    const waitMs = fruitful
      ? delayMs({ baseMs: 50, capMs: 50 }, 0)
      : delayMs(this.#options.reconnect, this.#fruitless - 1);
    this.#notBeforeMs = performance.now() + waitMs;
    this.grow();
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
