/** What the simulator is told to do instead of accepting: for one device token, or for every one (`*`). */
import type { Reason } from './reasons.ts';

export type Behavior = (
  | {
      readonly kind: 'answer';
      readonly reason: Reason;
      /** With 410: since when. */
      readonly timestampMs?: number;
      readonly retryAfterSeconds?: number;
    }
  /** Accepts, but later. */
  | { readonly kind: 'slow'; readonly delayMs: number }
  /** Takes the push and never answers; nothing is delivered. */
  | { readonly kind: 'silent' }
  /** RST_STREAM with REFUSED_STREAM: a promise that nothing was done. */
  | { readonly kind: 'refuse-stream' }
  /** Ends the connection without a word, before looking at the push. */
  | { readonly kind: 'drop' }
  /** Delivers the push, and ends the connection instead of answering. */
  | { readonly kind: 'deliver-and-drop' }
) & {
  /** How often, before pushes are accepted again; without it, always. */
  readonly times?: number;
};

export const EVERY_TOKEN = '*';

export class Behaviors {
  readonly #behaviors = new Map<string, { readonly behavior: Behavior; left: number }>();

  set(token: string, behavior: Behavior | null): void {
    const key = token.toLowerCase();
    if (behavior === null) this.#behaviors.delete(key);
    else this.#behaviors.set(key, { behavior, left: behavior.times ?? Number.POSITIVE_INFINITY });
  }

  /** The behavior for this push; each call uses one of its times. */
  take(token: string): Behavior | null {
    for (const key of [token.toLowerCase(), EVERY_TOKEN]) {
      const found = this.#behaviors.get(key);
      if (found === undefined) continue;
      found.left--;
      if (found.left <= 0) this.#behaviors.delete(key);
      return found.behavior;
    }
    return null;
  }
}
