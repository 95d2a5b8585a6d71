/** Asks for another message of the queue that brings devices' manifests up to date. */
import type { DueQueue } from '../../domain/declaration/due.ts';

/** What the Worker's queue carries. The message names no device: whoever gets it takes what waits. */
export interface FanoutMessage {
  readonly kind: 'manifests';
}

export class QueueDue implements DueQueue {
  readonly #queue: Queue<FanoutMessage>;

  constructor(queue: Queue<FanoutMessage>) {
    this.#queue = queue;
  }

  async ask(): Promise<void> {
    try {
      await this.#queue.send({ kind: 'manifests' });
    } catch {
      // What waits is marked in D1, and the sweeper asks again.
    }
  }
}
