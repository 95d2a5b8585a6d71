/** The fleet's events as they are read: one order for all devices, oldest first. */
import type { JsonObject } from '../../protocol/plist/json.ts';
import type { Outcome } from '../../std/outcome.ts';
import type { EpochMs } from '../../std/time.ts';
import type { MalformedCursor, PageQuery } from '../admin/services.ts';
import type { Udid } from '../ids.ts';
import type { EventKind } from './event.ts';

/** For as long as a reader may be away. */
export const EVENTS_KEPT_DAYS = 30;
/** At some 300 octets each, rarely 8 KiB: 300 MB, and never the 10 GB that a database holds. */
export const EVENTS_MAX = 1_000_000;

export interface FeedEvent {
  /** Where a reader goes on that has read this one. */
  readonly position: string;
  readonly udid: Udid;
  readonly kind: EventKind;
  readonly atMs: EpochMs;
  /** What the kind tells beside this. */
  readonly data: JsonObject;
}

export interface EventFilter {
  readonly udid: Udid | null;
  readonly kind: EventKind | null;
}

/** An event never appears behind a position that was given out, so a reader that goes on from there misses none. */
export interface EventFeed {
  /** After the cursor, or from the oldest that is kept. `cursor` is where to go on, whatever the filter. */
  read(
    filter: EventFilter,
    page: PageQuery,
  ): Promise<Outcome<{ readonly items: readonly FeedEvent[]; readonly cursor: string }, MalformedCursor>>;
  /** The cursor behind everything that is there. */
  latest(): Promise<string>;
}
