/**
 * Tells the outbox, oldest first, in batches; what fails stays and is told again later. An alarm that throws is
 * given up by the runtime after six tries, so this one never does: it keeps its own count and its own clock.
 */
import type { DeviceMessage, DeviceOutboxPort } from '../../domain/enrollment/outbox.ts';
import type { Udid } from '../../domain/ids.ts';
import { consoleLog } from '../../log.ts';
import { MINUTE_MS, SECOND_MS } from '../../std/time.ts';
import type { DeviceStore } from './store.ts';

/** Retries wait 1 s, 2 s, 4 s … and never longer than this. */
const RETRY_MAX_MS = 5 * MINUTE_MS;

export interface DrainHost {
  readonly udid: Udid;
  readonly store: () => DeviceStore;
  readonly transact: (act: () => void) => void;
}

export class OutboxDrain {
  readonly #storage: DurableObjectStorage;
  readonly #port: DeviceOutboxPort;
  readonly #host: DrainHost;
  #running: Promise<void> | null = null;

  constructor(storage: DurableObjectStorage, port: DeviceOutboxPort, host: DrainHost) {
    this.#storage = storage;
    this.#port = port;
    this.#host = host;
  }

  /** One at a time; whoever comes meanwhile waits for the same one. */
  run(): Promise<void> {
    this.#running ??= this.#all().finally(() => {
      this.#running = null;
    });
    return this.#running;
  }

  async #all(): Promise<void> {
    const { udid, store, transact } = this.#host;
    for (let batch = store().outbox(); batch.length > 0; batch = store().outbox()) {
      try {
        await this.#port.tell(batch.map((row) => named(row.message, udid)));
      } catch (error) {
        // Whatever failed, the rows stay.
        this.#retryLater(error);
        return;
      }
      transact(() => {
        store().told(batch.map((row) => row.id));
        if (store().progress.outboxFailures > 0) store().saveProgress({ outboxFailures: 0 });
      });
    }
  }

  #retryLater(error: unknown): void {
    const { udid, store, transact } = this.#host;
    const outboxFailures = store().progress.outboxFailures + 1;
    transact(() => store().saveProgress({ outboxFailures }));
    const waitMs = Math.min(SECOND_MS * 2 ** Math.min(outboxFailures - 1, 20), RETRY_MAX_MS);
    void this.#storage.setAlarm(Date.now() + waitMs);
    const message = error instanceof Error ? error.message : String(error);
    consoleLog().event('drain-failed', { udid, count: outboxFailures, error: message });
  }
}

/** A result that was kept before results said whose they are and what was asked. */
function named(message: DeviceMessage, udid: Udid): DeviceMessage {
  return message.kind === 'result' ? { ...message, udid, requestType: message.requestType ?? null } : message;
}
