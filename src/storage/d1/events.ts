/**
 * The feed of events in D1. Ids are given in the order of commits (one writer, whole transactions), so whoever has
 * read up to an id never finds a smaller one later. Only the sweep deletes, from the oldest on.
 */
import type { MalformedCursor, PageQuery } from '../../domain/admin/services.ts';
import type { DeviceEvent, EventKind } from '../../domain/event/event.ts';
import {
  EVENTS_KEPT_DAYS,
  EVENTS_MAX,
  type EventFeed,
  type EventFilter,
  type FeedEvent,
} from '../../domain/event/feed.ts';
import type { Udid } from '../../domain/ids.ts';
import { type Outcome, ok, refuse } from '../../std/outcome.ts';
import { addMs, DAY_MS, type EpochMs } from '../../std/time.ts';
import type { Bound, Database, Statement } from './database.ts';

/** Rows of one DELETE: some 20 ms; and as many of those a sweep that 100,000 rows go in five minutes. */
const SWEEP_ROWS = 5_000;
const SWEEP_BATCHES = 20;

interface Row {
  id: number;
  udid: Udid;
  kind: EventKind;
  at_ms: EpochMs;
  data: string;
}

export class D1Events implements EventFeed {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  async read(
    filter: EventFilter,
    page: PageQuery,
  ): Promise<Outcome<{ items: FeedEvent[]; cursor: string }, MalformedCursor>> {
    const after = page.cursor ?? '0';
    if (!/^(0|[1-9]\d{0,14})$/.test(after)) return refuse({ kind: 'malformed-cursor' });
    // `+` keeps the index of kinds out where the device's own is the shorter way.
    const kind = filter.udid === null ? 'kind = ?' : '+kind = ?';
    const conditions: readonly (readonly [string, Bound])[] = [
      ['id > ?', Number(after)],
      ['udid = ?', filter.udid],
      [kind, filter.kind],
    ];
    const asked = conditions.filter(([, value]) => value !== null);
    const rows = await this.#db.all<Row>(
      `SELECT id, udid, kind, at_ms, data FROM events WHERE ${asked.map(([condition]) => condition).join(' AND ')}
       ORDER BY id LIMIT ?`,
      ...asked.map(([, value]) => value),
      page.limit,
    );
    return ok({ items: rows.map(record), cursor: String(rows.at(-1)?.id ?? after) });
  }

  async latest(): Promise<string> {
    const row = await this.#db.first<{ id: number | null }>('SELECT max(id) AS id FROM events');
    return String(row?.id ?? 0);
  }

  /** Deletes what is too old or too much, in bounded steps; what is left over goes with the next sweep. */
  async sweep(nowMs: EpochMs): Promise<number> {
    let deleted = 0;
    for (let batch = 0; batch < SWEEP_BATCHES; batch++) {
      const gone = await this.#db.run(
        `DELETE FROM events WHERE id IN (SELECT id FROM events ORDER BY id LIMIT ?1)
         AND (at_ms < ?2 OR id <= (SELECT max(id) FROM events) - ?3)`,
        SWEEP_ROWS,
        addMs(nowMs, -EVENTS_KEPT_DAYS * DAY_MS),
        EVENTS_MAX,
      );
      deleted += gone;
      if (gone < SWEEP_ROWS) break;
    }
    return deleted;
  }
}

/** What the object's `revision` was told with before is there, and stays as it is. */
export function insertEvents(message: {
  readonly udid: string;
  readonly revision: number;
  readonly atMs: number;
  readonly events: readonly DeviceEvent[];
}): Statement {
  const rows = message.events.map(({ kind, ...data }) => [kind, JSON.stringify(data)]);
  return {
    sql: `INSERT INTO events (udid, revision, position, kind, at_ms, data)
          SELECT ?1, ?2, j.key, j.value ->> 0, ?3, j.value ->> 1 FROM json_each(?4) j WHERE true ORDER BY j.key
          ON CONFLICT (udid, revision, position) DO NOTHING`,
    bound: [message.udid, message.revision, message.atMs, JSON.stringify(rows)],
  };
}

function record({ id, udid, kind, at_ms: atMs, data }: Row): FeedEvent {
  return { position: String(id), udid, kind, atMs, data: JSON.parse(data) };
}
