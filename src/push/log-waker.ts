/** Wakes nobody: writes what would be pushed to the log, for servers whose devices poll by themselves. */
import type { Waker } from '../domain/command/ports.ts';
import type { Udid } from '../domain/ids.ts';
import type { Log } from '../log.ts';

export class LogWaker implements Waker {
  readonly #log: Log;

  constructor(log: Log) {
    this.#log = log;
  }

  async wake(udid: Udid): Promise<void> {
    this.#log.event('wake', { udid });
  }
}
