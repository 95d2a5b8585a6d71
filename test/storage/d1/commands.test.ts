/** The queue and its history in D1, as the port promises them; what the object's outbox writes included. */
import { env } from 'cloudflare:workers';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import type { CommandPage } from '../../../src/domain/admin/command-services.ts';
import type { QueuedCommand } from '../../../src/domain/command/ports.ts';
import type { DeviceMessage } from '../../../src/domain/enrollment/outbox.ts';
import type { CommandUuid } from '../../../src/domain/ids.ts';
import { readUtf8, utf8 } from '../../../src/std/bytes.ts';
import { Unavailable } from '../../../src/std/outcome.ts';
import { epochMs } from '../../../src/std/time.ts';
import { D1Commands } from '../../../src/storage/d1/commands.ts';
import { Database } from '../../../src/storage/d1/database.ts';
import { recordDeviceMessages } from '../../../src/storage/d1/device-outbox.ts';
import { refusal, udid, value } from '../../support/pairing.ts';

const database = new Database(env.DB);
const commands = new D1Commands(database);
const [DEVICE, OTHER] = [udid('DEVICE-0001'), udid('DEVICE-0002')];
const uuid = (text: string) => text as CommandUuid;
const at = epochMs;
const ALL = { state: null, requestType: null };

beforeEach(async () => {
  await env.DB.exec('DELETE FROM commands');
  await env.DB.exec('DELETE FROM command_history');
});

function queued(commandUuid: string, over: Partial<QueuedCommand> = {}): QueuedCommand {
  const own = {
    udid: DEVICE,
    enrollmentId: 'E1',
    requestType: 'DeviceInformation',
    body: { sealed: true, bytes: utf8(`sealed ${commandUuid}`) },
    requeuedFrom: null,
  };
  return {
    commandUuid: uuid(commandUuid),
    ...own,
    priority: 'normal',
    createdAtMs: at(1000),
    expiresAtMs: null,
    inventoryScope: null,
    farewell: null,
    ...over,
  };
}

const insert = (command: QueuedCommand, pendingMax = 10_000) => commands.insert(command, pendingMax);
const countPending = async (udid: string) =>
  (await database.all('SELECT 1 FROM commands WHERE udid = ?', udid)).length;
const tell = (...messages: DeviceMessage[]) => recordDeviceMessages(database, messages);
const result = (
  commandUuid: string,
  state: 'acknowledged' | 'error' = 'acknowledged',
  text = '<plist/>',
): DeviceMessage => {
  const status = state === 'error' ? 'Error' : 'Acknowledged';
  const answer = {
    commandUuid,
    requestType: null,
    state,
    status,
    answeredAtMs: at(2000),
    sent: null,
    raw: utf8(text),
  };
  return { kind: 'result', udid: DEVICE, ...answer };
};
const shown = (...passedOver: string[]) => commands.next(DEVICE, 'E1', at(1500), passedOver.map(uuid));
const next = async (...passedOver: string[]) =>
  (await shown(...passedOver)).candidates.map((one) => one.commandUuid);
const state = async (commandUuid: string) => (await commands.find(DEVICE, uuid(commandUuid), at(0)))?.state;

describe('the queue', () => {
  it('takes a command once, also after it was answered', async () => {
    expect(await insert(queued('A'))).toBe(true);
    expect(await insert(queued('A', { udid: OTHER }))).toBe(false);
    await tell(result('A'));
    expect(await insert(queued('A'))).toBe(false);
    expect(await commands.stored(uuid('A'))).toEqual({
      udid: DEVICE,
      body: { sealed: true, bytes: utf8('sealed A') },
    });
    expect(await commands.stored(uuid('B'))).toBeNull();
  });

  it('takes a command once of many at the same time', async () => {
    const taken = await Promise.all(Array.from({ length: 20 }, () => insert(queued('A'))));
    expect(taken.filter(Boolean)).toHaveLength(1);
  });

  it('shows urgent ones first, then the order of arrival, for this enrollment and unexpired', async () => {
    await insert(queued('A'));
    await insert(queued('expired', { expiresAtMs: at(1500) }));
    await insert(queued('old', { enrollmentId: 'E0' }));
    await insert(queued('other', { udid: OTHER }));
    await insert(queued('B', { createdAtMs: at(1), expiresAtMs: at(1501) }));
    await insert(queued('C', { priority: 'urgent' }));
    expect(await next()).toEqual(['C', 'A', 'B']);
    expect(await next('C', 'A')).toEqual(['B']);
    expect(await next('C', 'A', 'B')).toEqual([]);
    expect(await countPending(DEVICE)).toBe(5);
    const { candidates, complete } = await shown();
    expect([candidates.map((one) => one.urgent), complete]).toEqual([[true, false, false], true]);
  });

  it('shows a few at a time, of large ones one, and says whether that is all', async () => {
    const large = { sealed: true, bytes: new Uint8Array(1_000_000) };
    for (const one of ['A', 'B', 'C']) await insert(queued(one, { body: large }));
    for (let more = 0; more < 9; more++) await insert(queued(`small-${more}`));
    const first = await shown();
    expect([first.candidates.map((one) => one.commandUuid), first.complete]).toEqual([['A'], false]);
    expect(first.candidates[0]?.body).toEqual(large);
    expect(await next('A', 'B')).toEqual(['C']);
    const rest = await shown('A', 'B', 'C');
    expect([rest.candidates.length, rest.complete]).toEqual([8, false]);
    const last = await shown('A', 'B', 'C', 'small-0', 'small-1');
    expect([last.candidates.length, last.complete]).toEqual([7, true]);
  });

  it('finds old commands that no object was told of', async () => {
    for (const one of ['A', 'B', 'C']) await insert(queued(one, { createdAtMs: at(one.charCodeAt(0)) }));
    await commands.noted(uuid('A'), at(100));
    expect((await commands.unnoted(at(67), 10)).map((one) => one.commandUuid)).toEqual(['B']);
    expect(await commands.unnoted(at(100), 1)).toHaveLength(1);
  });

  it('expires what no device holds', async () => {
    for (const one of ['A', 'B', 'C']) await insert(queued(one, { expiresAtMs: at(1500) }));
    await insert(queued('D', { expiresAtMs: at(1501) }));
    await tell(
      { kind: 'progress', commandUuid: 'B', state: 'delivered', sent: null },
      { kind: 'progress', commandUuid: 'C', state: 'not-now', sent: null },
    );
    expect(await commands.expire(at(1500))).toBe(2);
    expect(await Promise.all(['A', 'B', 'C', 'D'].map(state))).toEqual([
      'expired',
      'delivered',
      'expired',
      'pending',
    ]);
  });
});

describe('what the object tells', () => {
  it('moves an answered command into history with its result, once', async () => {
    await insert(queued('A'));
    await tell({ kind: 'progress', commandUuid: 'A', state: 'delivered', sent: null });
    expect(await state('A')).toBe('delivered');
    await tell(result('A', 'error', '<plist>ü</plist>'));
    const record = await commands.find(DEVICE, uuid('A'), at(0));
    expect(record).toMatchObject({ state: 'error', status: 'Error', createdAtMs: 1000, answeredAtMs: 2000 });
    expect(readUtf8(record?.result ?? new Uint8Array())).toBe('<plist>ü</plist>');
    await tell(result('A', 'acknowledged'), {
      kind: 'progress',
      commandUuid: 'A',
      state: 'delivered',
      sent: null,
    });
    expect(await commands.find(DEVICE, uuid('A'), at(0))).toEqual(record);
    expect(await next()).toEqual([]);
  });

  it('outranks a clock that had expired the command meanwhile', async () => {
    await insert(queued('A', { expiresAtMs: at(1500) }));
    await commands.expire(at(1500));
    await tell(result('A'));
    expect(await state('A')).toBe('acknowledged');
  });

  it('cancels, and a cancellation does not undo an answer', async () => {
    await insert(queued('A'));
    await tell({ kind: 'cancel', state: 'canceled', commandUuid: 'A', atMs: at(1) });
    expect(await state('A')).toBe('canceled');
    await insert(queued('B'));
    await tell(result('B'), { kind: 'cancel', state: 'canceled', commandUuid: 'B', atMs: at(1) });
    expect(await state('B')).toBe('acknowledged');
  });

  it('closes what was meant for an enrollment that ended, and nothing else', async () => {
    await insert(queued('old', { enrollmentId: 'E0' }));
    await insert(queued('A'));
    await insert(queued('other', { udid: OTHER, enrollmentId: 'E9' }));
    await tell({ kind: 'reset', udid: DEVICE, enrollmentId: 'E0', atMs: at(1) });
    expect(await Promise.all(['old', 'A'].map(state))).toEqual(['canceled', 'pending']);
    await tell({ kind: 'reset', udid: DEVICE, enrollmentId: 'E1', atMs: at(1) });
    expect(await state('A')).toBe('canceled');
    expect(await countPending(OTHER)).toBe(1);
  });

  it('makes the record of a command that the object delivered by itself, again when it goes out again', async () => {
    const declared = (body: string, atMs: number): DeviceMessage => ({
      kind: 'declared',
      udid: DEVICE,
      enrollmentId: 'E1',
      commandUuid: 'A',
      requestType: 'DeclarativeManagement',
      body,
      atMs: at(atMs),
    });
    await tell(declared('<a/>', 1000));
    expect(await commands.find(DEVICE, uuid('A'), at(0))).toMatchObject({
      state: 'delivered',
      requestType: 'DeclarativeManagement',
      createdAtMs: 1000,
      expiresAtMs: null,
    });
    expect(await commands.unnoted(at(9000), 10)).toEqual([]);
    await tell({ kind: 'progress', commandUuid: 'A', state: 'not-now', sent: null }, declared('<b/>', 3000));
    expect(await commands.stored(uuid('A'))).toEqual({
      udid: DEVICE,
      body: { sealed: false, bytes: utf8('<b/>') },
    });
    expect(await commands.find(DEVICE, uuid('A'), at(0))).toMatchObject({
      state: 'delivered',
      createdAtMs: 1000,
    });
    await tell(declared('<b/>', 3000), result('A'), declared('<b/>', 3000));
    expect(await state('A')).toBe('acknowledged');
    expect(await countPending(DEVICE)).toBe(0);
  });

  it('makes no record of such a command that its enrollment took with it', async () => {
    const own = { udid: DEVICE, enrollmentId: 'E1', commandUuid: 'A', requestType: 'X', body: '<a/>' };
    const declared: DeviceMessage = { kind: 'declared', ...own, atMs: at(1000) };
    await tell(declared, { kind: 'reset', udid: DEVICE, enrollmentId: 'E1', atMs: at(2000) }, declared);
    expect(await state('A')).toBe('canceled');
    expect(await countPending(DEVICE)).toBe(0);
  });

  it('is one transaction', async () => {
    await insert(queued('A'));
    const broken = { ...result('A'), state: 'no such state' } as unknown as DeviceMessage;
    await expect(async () =>
      tell({ kind: 'progress', commandUuid: 'A', state: 'delivered', sent: null }, broken),
    ).rejects.toThrow(Unavailable);
    expect(await state('A')).toBe('pending');
  });
});

describe('the list', () => {
  it('has the queue and the history, newest first, in pages, and is the device’s own', async () => {
    for (let i = 0; i < 7; i++) await insert(queued(`C${i}`, { createdAtMs: at(1000 + Math.floor(i / 2)) }));
    await insert(queued('other', { udid: OTHER }));
    await tell(result('C1'), result('C4'));
    const seen: string[] = [];
    let cursor: string | null = null;
    do {
      const page: CommandPage = value(await commands.list(DEVICE, ALL, { cursor, limit: 3 }, at(0)));
      seen.push(...page.items.map((one) => one.commandUuid));
      cursor = page.cursor;
    } while (cursor !== null);
    expect(seen).toEqual(['C6', 'C5', 'C4', 'C3', 'C2', 'C1', 'C0']);
    expect(await commands.find(OTHER, uuid('C1'), at(0))).toBeNull();
  });

  it('has no page for a cursor that it did not give', async () => {
    expect(refusal(await commands.list(DEVICE, ALL, { cursor: 'x', limit: 3 }, at(0))).kind).toBe(
      'malformed-cursor',
    );
  });

  it('has an end also when the last page is full', async () => {
    for (const one of ['A', 'B']) await insert(queued(one));
    expect(value(await commands.list(DEVICE, ALL, { cursor: null, limit: 2 }, at(0))).cursor).toBeNull();
  });
});

it('a poll looks at no more rows however long the history is', async () => {
  await env.DB.batch(
    Array.from({ length: 500 }, (_, i) =>
      env.DB.prepare(
        `INSERT INTO command_history (command_uuid, udid, number, request_type, state, created_at_ms, answered_at_ms)
         VALUES (?1, ?2, ?3, 'X', 'acknowledged', ?3, ?3)`,
      ).bind(`old-${i}`, DEVICE, i),
    ),
  );
  await insert(queued('A'));
  const said = vi.spyOn(Object.getPrototypeOf(env.DB) as D1Database, 'prepare');
  await next();
  const sql = said.mock.calls.map(([one]) => one).join(';');
  said.mockRestore();
  const plan = await env.DB.prepare(`EXPLAIN QUERY PLAN ${sql}`)
    .bind('x', 'y', 1, '[]', 8, 1)
    .all<{ detail: string }>();
  const tables = plan.results.map((row) => row.detail).filter((detail) => detail.includes('command'));
  expect(tables).toEqual(['SEARCH commands USING INDEX commands_by_device (udid=?)']);
  expect(await next()).toEqual(['A']);
});
