/** Asks for another message of the queue: one that brings devices' manifests up to date, or carries deployments on. */
import type { DueQueue } from '../../domain/declaration/due.ts';
import type { Log } from '../../log.ts';

/** What the Worker's queue carries. The message names no device: whoever gets it takes what waits. */
export interface FanoutMessage {
  readonly kind: 'manifests' | 'deployments';
}

export class QueueDue implements DueQueue {
  readonly #queue: Queue<FanoutMessage>;
  readonly #log: Log;
  readonly #kind: FanoutMessage['kind'];

  constructor(queue: Queue<FanoutMessage>, log: Log, kind: FanoutMessage['kind'] = 'manifests') {
    this.#queue = queue;
    this.#log = log;
    this.#kind = kind;
  }

  async ask(): Promise<void> {
    try {
      await this.#queue.send({ kind: this.#kind });
    } catch (error) {
      // What waits is marked in D1, and the sweeper asks again.
      this.#log.event('queue-failed', { error: String(error) });
    }
  }
}
