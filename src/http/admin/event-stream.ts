/**
 * The feed as a stream of server-sent events. Nobody tells the Worker of new events, so it looks every two seconds, and
 * it ends after a while: a connection then costs a bounded number of queries, and clients come back by themselves with
 * the last `id`. A look that fails ends the stream as well, and loses nothing.
 */
import type { MalformedCursor, PageQuery } from '../../domain/admin/services.ts';
import type { FeedEvent } from '../../domain/event/feed.ts';
import { utf8 } from '../../std/bytes.ts';
import type { Outcome } from '../../std/outcome.ts';

const PAUSE_MS = 2_000;
/** 24 seconds of waiting. */
export const PAUSES_MAX = 12;
/** Who is behind reads without pauses: 15,000 events at the most, and fewer queries than a request may make. */
export const READS_MAX = 30;
/** How long a client waits before it comes back. */
const RETRY_MS = 1_000;

export interface Portion {
  readonly items: readonly FeedEvent[];
  readonly cursor: string;
}

export interface StreamOptions {
  readonly read: (page: PageQuery) => Promise<Outcome<Portion, MalformedCursor>>;
  readonly limit: number;
  readonly pause: (ms: number) => Promise<void>;
  readonly frame: (event: FeedEvent) => string;
  /** The place reached, where there is no event to carry it. */
  readonly mark: (cursor: string) => string;
  /** A look failed; the stream ends. */
  readonly failed: (error: unknown) => void;
}

export function eventStream(first: Portion, options: StreamOptions): Response {
  const frames = portions(first, options);
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      const next = await frames.next();
      if (next.done === true) controller.close();
      else controller.enqueue(utf8(next.value));
    },
    async cancel() {
      await frames.return();
    },
  });
  return new Response(body, { headers: { 'Content-Type': 'text/event-stream; charset=utf-8' } });
}

async function* portions(
  first: Portion,
  { read, limit, pause, frame, mark, failed }: StreamOptions,
): AsyncGenerator<string, void, void> {
  yield `retry: ${RETRY_MS}\n\n`;
  let pauses = 0;
  let { items, cursor } = first;
  for (let reads = 1; ; reads++) {
    // Without news, where to come back to: a client that began with the latest has no place of its own yet. It also
    // keeps what stands between from giving up the connection.
    yield items.length === 0 ? mark(cursor) : items.map(frame).join('');
    if (items.length < limit) {
      if (pauses === PAUSES_MAX) return;
      pauses += 1;
      await pause(PAUSE_MS);
    }
    if (reads === READS_MAX) return;
    try {
      const next = await read({ cursor, limit });
      if (!next.ok) return;
      ({ items, cursor } = next.value);
    } catch (error) {
      // The client comes back, and its next request has a status for this.
      failed(error);
      return;
    }
  }
}
