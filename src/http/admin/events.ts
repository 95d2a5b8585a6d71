/**
 * `/events`: what happened to devices, oldest first, by page or as server-sent events (WHATWG HTML §9.2). A cursor is
 * a place in the one feed, whatever the filter, and every answer has one: whoever goes on from it misses nothing.
 */
import { Hono } from 'hono';
import type { AdminServices, PageQuery } from '../../domain/admin/services.ts';
import type { FeedEvent } from '../../domain/event/feed.ts';
import { ok } from '../../std/outcome.ts';
import { decodeCursor, encodeCursor } from './cursor.ts';
import type { AdminContext, AdminEnv } from './env.ts';
import { eventStream } from './event-stream.ts';
import { readQuery } from './input.ts';
import { refused } from './refusals.ts';
import { eventQuery } from './schemas/event.ts';
import { timestamp } from './views.ts';

const FEED = 'events';
/** In place of a cursor: only what happens from now on. */
const LATEST = 'latest';

export function events({ events: feed, pause }: AdminServices): Hono<AdminEnv> {
  const app = new Hono<AdminEnv>();

  app.get('/', async (c) => {
    const query = readQuery(c, eventQuery);
    if (!query.ok) return refused(c, query.refusal);
    const { device, kind, limit, after } = query.value;
    const streams = wantsStream(c);
    const asked = (streams ? lastEventId(c) : undefined) ?? after;
    const cursor = asked === LATEST ? ok(await feed.latest()) : decodeCursor(FEED, asked);
    if (!cursor.ok) return refused(c, cursor.refusal);
    const filter = { udid: device ?? null, kind: kind ?? null };
    const read = (page: PageQuery) => feed.read(filter, page);
    const first = await read({ cursor: cursor.value, limit });
    if (!first.ok) return refused(c, first.refusal);
    if (streams) return eventStream(first.value, { read, limit, pause, frame, mark, failed: logFailure(c) });
    return c.json({ items: first.value.items.map(view), cursor: encodeCursor(FEED, first.value.cursor) });
  });

  return app;
}

function logFailure(c: AdminContext): (error: unknown) => void {
  return (error) => {
    const { method, path } = c.req;
    c.get('log').event('unavailable', { method, path, error: error instanceof Error ? error.message : '' });
  };
}

/** Only what names it: a client that takes everything gets a page. */
function wantsStream(c: AdminContext): boolean {
  return /(^|[\s,])text\/event-stream\s*($|[,;])/i.test(c.req.header('Accept') ?? '');
}

/** What a client got last outranks the address that it began with. */
function lastEventId(c: AdminContext): string | undefined {
  const id = c.req.header('Last-Event-ID')?.trim();
  return id === '' ? undefined : id;
}

function view({ udid, kind, atMs, data }: FeedEvent) {
  return { kind, udid, at: timestamp(atMs), ...data };
}

/** HTML, server-sent events: an `id` without data is remembered, and nothing is dispatched. */
function mark(cursor: string): string {
  return `id: ${encodeCursor(FEED, cursor)}\n\n`;
}

/** JSON has no line break outside of its strings, nor in them. */
function frame(event: FeedEvent): string {
  const id = encodeCursor(FEED, event.position);
  return `id: ${id}\nevent: ${event.kind}\ndata: ${JSON.stringify(view(event))}\n\n`;
}
