/** The feed of events: one order, each event once, positions that hold, and a sweep that ends. */
import { env } from 'cloudflare:workers';
import { beforeEach, describe, expect, it } from 'vitest';
import type { DeviceEvent } from '../../../src/domain/event/event.ts';
import { EVENTS_KEPT_DAYS, EVENTS_MAX, type EventFilter } from '../../../src/domain/event/feed.ts';
import { addMs, DAY_MS, epochMs } from '../../../src/std/time.ts';
import { Database } from '../../../src/storage/d1/database.ts';
import { recordDeviceMessages } from '../../../src/storage/d1/device-outbox.ts';
import { D1Events } from '../../../src/storage/d1/events.ts';
import { refusal, udid, value } from '../../support/pairing.ts';

const database = new Database(env.DB);
const events = new D1Events(database);
const NOW = epochMs(Date.UTC(2026, 10, 20));
const ALL: EventFilter = { udid: null, kind: null };

beforeEach(async () => {
  await env.DB.exec("DELETE FROM events; DELETE FROM sqlite_sequence WHERE name = 'events'");
});

const failed = (name: string): DeviceEvent => ({ kind: 'status-error', name, reasons: [] });
const declared = (identifier: string): DeviceEvent => ({
  kind: 'declaration-changed',
  ...{ identifier, serverToken: 't', active: true, valid: 'valid', reasons: [] },
});

async function tell(device: string, revision: number, ...told: DeviceEvent[]): Promise<void> {
  const message = { udid: udid(device), revision, atMs: NOW, events: told };
  await recordDeviceMessages(database, [{ kind: 'events', ...message }]);
}

async function read(filter: Partial<EventFilter> = {}, cursor: string | null = null, limit = 100) {
  const page = value(await events.read({ ...ALL, ...filter }, { cursor, limit }));
  const names = page.items.map(({ data }) => data['name'] ?? data['identifier']);
  return { names, cursor: page.cursor, items: page.items };
}

describe('the feed', () => {
  it('has each event once, in the order in which it was told, however often', async () => {
    await tell('DEVICE-0001', 7, failed('a'), declared('b'), failed('c'));
    await tell('DEVICE-0002', 7, failed('d'));
    await tell('DEVICE-0001', 7, failed('a'), declared('b'), failed('c'));
    await tell('DEVICE-0001', 9, failed('e'));
    await tell('DEVICE-0002', 7, failed('d'));
    const { names, items } = await read();
    expect(names).toEqual(['a', 'b', 'c', 'd', 'e']);
    expect(items[1]).toEqual({
      position: expect.any(String),
      udid: 'DEVICE-0001',
      kind: 'declaration-changed',
      atMs: NOW,
      data: { identifier: 'b', serverToken: 't', active: true, valid: 'valid', reasons: [] },
    });
  });

  it('keeps what a device may say to the letter', async () => {
    const wild = ['\u0000', '\ud800', '"\\\n\u2028', '{"a":1}', '😀', '__proto__'];
    const changes = wild.map((name) => ({ name, from: 0.1, to: { [name]: [1e21, null, name] } }));
    await tell('DEVICE-0001', 1, { kind: 'status-changed', changes });
    expect((await read()).items[0]?.data).toEqual({ changes });
  });

  it('is read in pages under any filter, and a position that was read to misses nothing later', async () => {
    for (let i = 0; i < 6; i++) await tell(`DEVICE-000${i % 2}`, i, failed(`f${i}`), declared(`d${i}`));
    const seen: unknown[] = [];
    let cursor: string | null = null;
    for (let page = 0; page < 4; page++) {
      const next: Awaited<ReturnType<typeof read>> = await read({}, cursor, 4);
      seen.push(...next.names);
      cursor = next.cursor;
      if (page === 2) expect(next.names).toHaveLength(4);
    }
    expect(seen).toEqual(Array.from({ length: 6 }, (_, i) => [`f${i}`, `d${i}`]).flat());
    const one = { udid: udid('DEVICE-0001') };
    expect((await read(one)).names).toEqual(['f1', 'd1', 'f3', 'd3', 'f5', 'd5']);
    expect((await read({ kind: 'status-error' }, null, 2)).names).toEqual(['f0', 'f1']);
    expect((await read({ ...one, kind: 'declaration-changed' })).names).toEqual(['d1', 'd3', 'd5']);
    const end = (await read()).cursor;
    expect(await read({}, end)).toMatchObject({ names: [], cursor: end });
    expect(await events.latest()).toBe(end);
    await tell('DEVICE-0001', 99, failed('later'));
    expect((await read(one, end)).names).toEqual(['later']);
  });

  it('gives a position also when there is nothing', async () => {
    expect(await read()).toEqual({ names: [], items: [], cursor: '0' });
    expect(await events.latest()).toBe('0');
    expect((await read({ udid: udid('DEVICE-0009') }, '5')).cursor).toBe('5');
  });

  it.each(['', '-1', '01', '1e3', 'x', '9'.repeat(16)])('refuses the position %j', async (cursor) => {
    expect(refusal(await events.read(ALL, { cursor, limit: 1 })).kind).toBe('malformed-cursor');
  });
});

describe('the sweep', () => {
  it('takes what is older than thirty days, and gives no id again', async () => {
    await tell('DEVICE-0001', 1, failed('old'));
    await tell('DEVICE-0001', 2, failed('also old'));
    const end = (await read()).cursor;
    expect(await events.sweep(addMs(NOW, EVENTS_KEPT_DAYS * DAY_MS))).toBe(0);
    expect(await events.sweep(addMs(NOW, EVENTS_KEPT_DAYS * DAY_MS + 1))).toBe(2);
    expect(await read({}, end)).toMatchObject({ names: [], cursor: end });
    await tell('DEVICE-0001', 3, failed('new'));
    expect((await read({}, end)).names).toEqual(['new']);
  });

  it('keeps the newest million at the most', async () => {
    await tell('DEVICE-0001', 1, failed('a'), failed('b'), failed('c'));
    const first = Number((await read()).items[0]?.position);
    await database.run('UPDATE events SET id = ? WHERE id = ?', first + 1 + EVENTS_MAX, first + 2);
    expect(await events.sweep(NOW)).toBe(2);
    expect((await read()).names).toEqual(['c']);
  });

  it('goes on where it is bounded', async () => {
    await database.run(
      `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 12000)
       INSERT INTO events (udid, revision, position, kind, at_ms, data)
       SELECT 'DEVICE-0001', i, 0, 'status-error', iif(i <= 11000, 0, ?), '{}' FROM n`,
      NOW,
    );
    expect(await events.sweep(NOW)).toBe(11_000);
    expect(await database.first('SELECT count(*) AS n FROM events')).toEqual({ n: 1_000 });
  });
});
