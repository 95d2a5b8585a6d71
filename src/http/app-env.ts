/** What the root application sets for every request, before any audience's own middleware. */
import type { Log } from '../log.ts';
import type { EpochMs } from '../std/time.ts';

export interface AppEnv {
  Variables: {
    /** The request's one reading of the clock. */
    nowMs: EpochMs;
    requestId: string;
    log: Log;
  };
}
