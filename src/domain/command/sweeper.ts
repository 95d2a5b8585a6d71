/** What the schedule does for the queue: moves what expired, announces what failures left behind, prunes history. */
import { addMs, type EpochMs, MINUTE_MS } from '../../std/time.ts';
import { type AnnounceOptions, announce } from './announce.ts';
import type { CommandStore } from './ports.ts';

/** A command older than this that no object was told of was left behind by a failure, not by a slow request. */
const UNNOTED_AFTER_MS = MINUTE_MS;
/** Per sweep: at 5 minutes between sweeps this makes good 28,800 forgotten commands a day and more. */
const SWEEP_MAX = 100;

export interface SweeperOptions extends AnnounceOptions {
  readonly store: Pick<CommandStore, 'noted' | 'unnoted' | 'expire' | 'prune'>;
}

export class CommandSweeper {
  readonly #options: SweeperOptions;

  constructor(options: SweeperOptions) {
    this.#options = options;
  }

  /** Returns how many forgotten commands were made good. */
  async sweep(nowMs: EpochMs): Promise<number> {
    const { store } = this.#options;
    await store.expire(nowMs);
    const forgotten = await store.unnoted(addMs(nowMs, -UNNOTED_AFTER_MS), SWEEP_MAX);
    for (const command of forgotten) await announce(this.#options, command, true, nowMs);
    await store.prune(nowMs);
    return forgotten.length;
  }
}
