/**
 * Where accepted pushes arrive, as on the devices' own connection to Apple: in order, for whoever listens in this
 * process or asks with a wait. Only the last ones are kept; whoever was away longer asks its server by itself,
 * as a device does.
 */
export interface Delivery {
  /** Counts up from 1 over all devices. */
  readonly sequence: number;
  readonly token: string;
  readonly magic: string;
  readonly id: string;
}

export type Listener = (delivery: Delivery) => void;

/** About 40 MB. */
const KEPT_MAX = 200_000;

export class Mailbox {
  readonly #listeners = new Set<Listener>();
  #kept: Delivery[] = [];
  #sequence = 0;

  get count(): number {
    return this.#sequence;
  }

  deliver(push: { readonly token: string; readonly magic: string; readonly id: string }): void {
    const { token, magic, id } = push;
    const delivery = { sequence: ++this.#sequence, token, magic, id };
    this.#kept.push(delivery);
    if (this.#kept.length > 2 * KEPT_MAX) this.#kept = this.#kept.slice(-KEPT_MAX);
    for (const listener of [...this.#listeners]) listener(delivery);
  }

  /** Returns how to stop. */
  listen(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** What came after `sequence`, for one token or for all. */
  after(sequence: number, token?: string): Delivery[] {
    const first = this.#sequence - this.#kept.length;
    const fresh = this.#kept.slice(Math.max(0, sequence - first));
    return token === undefined ? fresh : fresh.filter((one) => one.token === token.toLowerCase());
  }

  /** The same, but waits for the first when there is none. */
  async wait(sequence: number, waitMs: number, token?: string): Promise<Delivery[]> {
    const there = this.after(sequence, token);
    if (there.length > 0 || waitMs <= 0) return there;
    await new Promise<void>((resolve) => {
      const done = () => {
        stop();
        clearTimeout(timer);
        resolve();
      };
      const stop = this.listen((one) => {
        if (token === undefined || one.token === token.toLowerCase()) done();
      });
      const timer = setTimeout(done, waitMs);
    });
    return this.after(sequence, token);
  }
}
