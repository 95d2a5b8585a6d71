/** `/events` over in-memory services: pages with their cursors, what is refused, and the stream from first to last. */
import { beforeEach, describe, expect, it } from 'vitest';
import type { FeedEvent } from '../../../src/domain/event/feed.ts';
import { encodeCursor } from '../../../src/http/admin/cursor.ts';
import { PAUSES_MAX, READS_MAX } from '../../../src/http/admin/event-stream.ts';
import { Unavailable } from '../../../src/std/outcome.ts';
import { type Answer, caller, FakeServices, kindOf, NOW, PHONE, WATCH } from './fake-services.ts';

let fakes: FakeServices;
let send: ReturnType<typeof caller>;
beforeEach(() => {
  fakes = new FakeServices();
  send = caller(fakes);
});

function happen(...names: string[]): void {
  for (const name of names) {
    const position = String(fakes.events.length + 1);
    const udid = fakes.events.length % 2 === 0 ? PHONE : WATCH;
    const event: FeedEvent = { position, udid, kind: 'status-error', atMs: NOW, data: { name, reasons: [] } };
    fakes.events.push(event);
  }
}

const cursorOf = (position: number) => encodeCursor('events', String(position));
const names = (answer: Answer) => answer.body.items.map((item: { name: string }) => item.name);
const STREAM = { Accept: 'text/event-stream' };

describe('a page', () => {
  it('has the oldest first, and a cursor that goes on under any filter', async () => {
    happen('a', 'b', 'c');
    const first = await send('GET', '/events?limit=2');
    expect(first.body).toEqual({
      items: [
        { kind: 'status-error', udid: PHONE, at: new Date(NOW).toISOString(), name: 'a', reasons: [] },
        { kind: 'status-error', udid: WATCH, at: new Date(NOW).toISOString(), name: 'b', reasons: [] },
      ],
      cursor: cursorOf(2),
    });
    expect(names(await send('GET', `/events?after=${first.body.cursor}`))).toEqual(['c']);
    expect(names(await send('GET', `/events?device=${PHONE}&kind=status-error`))).toEqual(['a', 'c']);
    expect(names(await send('GET', `/events?device=${PHONE}&after=${cursorOf(1)}`))).toEqual(['c']);
    expect(names(await send('GET', '/events?kind=device-enrolled'))).toEqual([]);
  });

  it('has a cursor when it is empty, at which the next event is not missed', async () => {
    const empty = await send('GET', '/events');
    expect(empty.body).toEqual({ items: [], cursor: cursorOf(0) });
    happen('a');
    const next = await send('GET', `/events?after=${empty.body.cursor}`);
    expect(names(next)).toEqual(['a']);
    const again = await send('GET', `/events?after=${next.body.cursor}`);
    expect(again.body).toEqual({ items: [], cursor: next.body.cursor });
  });

  it('begins with what happens from now on, when asked', async () => {
    happen('a', 'b');
    const { body } = await send('GET', '/events?after=latest');
    expect(body).toEqual({ items: [], cursor: cursorOf(2) });
    happen('c');
    expect(names(await send('GET', `/events?after=${body.cursor}`))).toEqual(['c']);
  });

  it.each([
    ['after=x', 'malformed-cursor'],
    [`after=${encodeCursor('devices   ', '1')}`, 'malformed-cursor'],
    [`after=${encodeCursor('events', 'x')}`, 'malformed-cursor'],
    ['limit=501', 'invalid'],
    ['limit=0', 'invalid'],
    ['kind=another', 'invalid'],
    ['device=*', 'invalid'],
    ['cursor=x', 'invalid'],
    ['wait=5', 'invalid'],
  ])('is refused for ?%s', async (query, kind) => {
    const answer = await send('GET', `/events?${query}`);
    expect([answer.status, kindOf(answer)]).toEqual([400, kind]);
    expect(kindOf(await send('GET', `/events?${query}`, undefined, STREAM))).toBe(kind);
  });

  it('asks for a key, and for GET', async () => {
    expect((await send('GET', '/events', undefined, { Authorization: '' })).status).toBe(401);
    expect(kindOf(await send('POST', '/events', {}))).toBe('method-not-allowed');
  });
});

interface Frame {
  readonly id?: string;
  readonly event?: string;
  readonly data?: string;
}

/** As a client reads it (WHATWG HTML §9.2.6): comments and `retry` make no event. */
function framesOf({ text }: Answer): Frame[] {
  expect(text.endsWith('\n\n')).toBe(true);
  return text
    .slice(0, -2)
    .split('\n\n')
    .map((block) =>
      Object.fromEntries(
        block
          .split('\n')
          .map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 2)] as const)
          .filter(([field]) => field === 'id' || field === 'event' || field === 'data'),
      ),
    )
    .filter((frame) => 'data' in frame);
}

const said = (answer: Answer) => framesOf(answer).map(({ data }) => JSON.parse(data ?? '').name);

describe('a stream', () => {
  it('without news tells the place to come back to, which makes no event', async () => {
    happen('a', 'b');
    const answer = await send('GET', '/events?after=latest', undefined, STREAM);
    expect(framesOf(answer)).toEqual([]);
    const places = answer.text.split('\n\n').filter((block) => block.startsWith('id: '));
    expect(new Set(places)).toEqual(new Set([`id: ${cursorOf(2)}`]));
  });

  it('tells what is there and what comes while it lasts, each with its cursor, and ends', async () => {
    happen('a', 'b');
    let pauses = 0;
    fakes.paused = () => {
      pauses += 1;
      if (pauses === 2) happen('c');
    };
    const answer = await send('GET', '/events', undefined, STREAM);
    expect(answer.status).toBe(200);
    expect(answer.headers.get('Content-Type')).toBe('text/event-stream; charset=utf-8');
    expect(answer.headers.get('Cache-Control')).toBe('no-store');
    expect(answer.text.startsWith('retry: ')).toBe(true);
    expect(framesOf(answer)[0]).toEqual({
      id: cursorOf(1),
      event: 'status-error',
      data: JSON.stringify({
        kind: 'status-error',
        udid: PHONE,
        at: new Date(NOW).toISOString(),
        ...fakes.events[0]?.data,
      }),
    });
    expect(framesOf(answer).map(({ id }) => id)).toEqual([1, 2, 3].map(cursorOf));
    expect(said(answer)).toEqual(['a', 'b', 'c']);
    expect(pauses).toBe(PAUSES_MAX);
  });

  it('goes on behind Last-Event-ID, whatever the address says, and keeps the filter', async () => {
    happen('a', 'b', 'c', 'd');
    const after = (id: string) => ({ ...STREAM, 'Last-Event-ID': id });
    expect(said(await send('GET', '/events?after=latest', undefined, after(cursorOf(2) ?? '')))).toEqual([
      'c',
      'd',
    ]);
    expect(said(await send('GET', `/events?after=${cursorOf(3)}`, undefined, after('')))).toEqual(['d']);
    expect(said(await send('GET', `/events?device=${WATCH}`, undefined, STREAM))).toEqual(['b', 'd']);
    expect(kindOf(await send('GET', '/events', undefined, after('x')))).toBe('malformed-cursor');
    // A page has no last event.
    expect(names(await send('GET', '/events', undefined, { 'Last-Event-ID': 'x' }))).toEqual([
      'a',
      'b',
      'c',
      'd',
    ]);
  });

  it('reads without a pause while there is more, but not without end', async () => {
    happen(...Array.from({ length: READS_MAX + 5 }, (_, i) => `e${i}`));
    let pauses = 0;
    fakes.paused = () => {
      pauses += 1;
    };
    const answer = await send('GET', '/events?limit=1', undefined, STREAM);
    expect(said(answer)).toHaveLength(READS_MAX);
    expect(pauses).toBe(0);
  });

  it('ends cleanly when a look fails, and says so in the log only', async () => {
    happen('a');
    fakes.paused = () => {
      fakes.failure = new Unavailable('d1', 'the database did not answer');
    };
    const answer = await send('GET', '/events', undefined, STREAM);
    expect([answer.status, said(answer)]).toEqual([200, ['a']]);
    expect(fakes.logged.map(({ name }) => name)).toContain('unavailable');
    expect((await send('GET', '/events', undefined, STREAM)).status).toBe(503);
  });

  it.each([
    ['text/html, text/event-stream;q=0.9', true],
    ['TEXT/EVENT-STREAM', true],
    ['*/*', false],
    ['application/json', false],
    ['text/event-streams', false],
  ])('is for who accepts it: %s', async (accept, streams) => {
    const answer = await send('GET', '/events', undefined, { Accept: accept });
    expect(answer.headers.get('Content-Type')?.startsWith('text/event-stream')).toBe(streams);
  });

  it('breaks no line, whatever a device says', async () => {
    happen('a\r\n\ndata: forged\u2028');
    expect(said(await send('GET', '/events', undefined, STREAM))).toEqual(['a\r\n\ndata: forged\u2028']);
  });
});
