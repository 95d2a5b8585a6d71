/** Asks for another message of the queue that brings devices' manifests up to date. */
import type { DueQueue } from '../../domain/declaration/due.ts';
import type { Log } from '../../log.ts';

/** What the Worker's queue carries. The message names no device: whoever gets it takes what waits. */
export interface FanoutMessage {
  readonly kind: 'manifests';
}

export class QueueDue implements DueQueue {
  readonly #queue: Queue<FanoutMessage>;
  readonly #log: Log;

  constructor(queue: Queue<FanoutMessage>, log: Log) {
    this.#queue = queue;
    this.#log = log;
  }

  async ask(): Promise<void> {
    try {
      await this.#queue.send({ kind: 'manifests' });
    } catch (error) {
      // What waits is marked in D1, and the sweeper asks again.
      this.#log.event('queue-failed', { error: String(error) });
    }
  }
}
