/**
 * Waiting longer each time: between connections, between tries of one push, and per device after a 429
 * (APNs means one device token by it). All delays carry jitter, so that what failed together does not return together.
 */

export interface Growth {
  readonly baseMs: number;
  readonly capMs: number;
}

/** Half to all of `base · 2^step`, never above the cap. */
export function delayMs({ baseMs, capMs }: Growth, step: number): number {
  return Math.min(capMs, baseMs * 2 ** Math.min(step, 30)) * (0.5 + Math.random() / 2);
}

interface Strike {
  readonly untilMs: number;
  readonly strikes: number;
}

/** Devices that are to be left alone. Above it the oldest is forgotten: APNs will say so again. About 20 MB. */
const DEVICES_MAX = 100_000;

export class Throttles {
  readonly #growth: Growth;
  readonly #strikes = new Map<string, Strike>();

  constructor(growth: Growth) {
    this.#growth = growth;
  }

  /** Whole seconds for which this device must still be left alone, or null. */
  remainingSeconds(token: string, nowMs: number): number | null {
    const leftMs = (this.#strikes.get(token)?.untilMs ?? 0) - nowMs;
    return leftMs > 0 ? Math.ceil(leftMs / 1000) : null;
  }

  /** APNs said 429: how many seconds to leave this device alone. `askedSeconds` is APNs' own wish, if it had one. */
  strike(token: string, nowMs: number, askedSeconds: number | null): number {
    const strikes = (this.#strikes.get(token)?.strikes ?? 0) + 1;
    const waitMs = Math.max(delayMs(this.#growth, strikes - 1), (askedSeconds ?? 0) * 1000);
    this.#strikes.delete(token);
    this.#strikes.set(token, { untilMs: nowMs + waitMs, strikes });
    for (const oldest of this.#strikes.keys()) {
      if (this.#strikes.size <= DEVICES_MAX) break;
      this.#strikes.delete(oldest);
    }
    return Math.max(1, Math.ceil(waitMs / 1000));
  }

  clear(token: string): void {
    this.#strikes.delete(token);
  }
}
