/**
 * The command queue from both ends, on the real object and D1: order, NotNow, repeated results, cancellation,
 * enrollments that end in the middle, evictions and outages.
 */
import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test';
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { CommandContents } from '../../../src/domain/command/content.ts';
import type { CommandStore } from '../../../src/domain/command/ports.ts';
import { commandSecrets } from '../../../src/domain/command/seal.ts';
import { CommandQueue } from '../../../src/domain/command/service.ts';
import type { CommandUuid } from '../../../src/domain/ids.ts';
import type { PlistDict } from '../../../src/protocol/plist/value.ts';
import { addMs, DAY_MS, epochMs, HOUR_MS, MINUTE_MS } from '../../../src/std/time.ts';
import { D1Commands } from '../../../src/storage/d1/commands.ts';
import {
  breakD1,
  connect,
  database,
  devices,
  enroll,
  enrolledDevice,
  fleet,
  issue,
  objectRows,
  orderFor,
  queueCommand,
  START,
  session,
  stateOf,
  storageKey,
  withoutSubscriptions,
} from '../../support/device.ts';
import { refusal, value } from '../../support/pairing.ts';

beforeAll(withoutSubscriptions);

const logged: string[] = [];
vi.spyOn(console, 'log').mockImplementation((line: string) => {
  logged.push(line);
});
afterEach(() => {
  vi.restoreAllMocks();
  vi.spyOn(console, 'log').mockImplementation((line: string) => {
    logged.push(line);
  });
});

/** The queue as the Worker has it, with something happening before each command is stored. */
async function slowQueue(before: () => Promise<void>): Promise<CommandQueue> {
  const d1 = new D1Commands(database);
  const store: CommandStore = new Proxy(d1, {
    get(target, name) {
      const method = (Reflect.get(target, name) as (...args: unknown[]) => Promise<unknown>).bind(target);
      if (name !== 'insert') return method;
      return (...args: unknown[]) => before().then(() => method(...args));
    },
  });
  const contents = new CommandContents(commandSecrets(storageKey));
  return new CommandQueue({ ...fleet, contents, store, devices });
}

const wakes = (udid: string) =>
  logged.filter((line) => line.includes('"wake"') && line.includes(udid)).length;
const supervised = (is: boolean): PlistDict => new Map([['QueryResponses', new Map([['IsSupervised', is]])]]);

describe('delivery', () => {
  it('goes in order within a priority, urgent ones first, one at a time', async () => {
    const device = await enrolledDevice();
    for (const uuid of ['A', 'B', 'C']) await queueCommand(device, { uuid: `${device.udid}/${uuid}` });
    await queueCommand(device, { uuid: `${device.udid}/urgent`, priority: 'urgent' });
    expect((await session(device)).map((uuid) => uuid.split('/')[1])).toEqual(['urgent', 'A', 'B', 'C']);
    expect(await session(device)).toEqual([]);
  });

  it('repeats the command that is out, whatever the device says in between', async () => {
    const device = await enrolledDevice();
    const first = await queueCommand(device);
    await queueCommand(device, { priority: 'urgent' }).then(() => connect(device));
    const [out] = await objectRows(device, 'SELECT command_uuid FROM outstanding');
    const given = out?.['command_uuid'] as CommandUuid;
    for (const again of [
      connect(device),
      connect(device, 'Acknowledged', first),
      connect(device, 'Acknowledged', 'never-heard-of' as CommandUuid),
    ]) {
      expect(await again).toBe(given);
    }
    expect(await stateOf(device, given)).toBe('delivered');
  });

  it('takes a result without CommandUUID as that of the command that is out, and goes on', async () => {
    const device = await enrolledDevice();
    const [refused, next] = [await queueCommand(device), await queueCommand(device)];
    expect(await connect(device)).toBe(refused);
    expect(await connect(device, 'CommandFormatError', null)).toBe(next);
    expect(await stateOf(device, refused)).toBe('error');
  });

  it('does not repeat a command after its time, and counts an answer that comes all the same', async () => {
    const device = await enrolledDevice();
    const late = await queueCommand(device, { expiresAtMs: addMs(START, MINUTE_MS) });
    expect(await connect(device)).toBe(late);
    const afterMs = addMs(START, 2 * MINUTE_MS);
    expect(await connect(device, 'Idle', null, { nowMs: afterMs })).toBeNull();
    expect(await stateOf(device, late)).toBe('expired');
    expect(await connect(device, 'Acknowledged', late, { nowMs: afterMs })).toBeNull();
    expect(await stateOf(device, late)).toBe('acknowledged');
  });

  it('gives a command up when its result cannot be read for the third time', async () => {
    const device = await enrolledDevice();
    const [stuck, next] = [await queueCommand(device), await queueCommand(device)];
    expect(await connect(device)).toBe(stuck);
    const unreadable = () => device.object.settleUnreadable(device.pin, START);
    expect([value(await unreadable()), value(await unreadable())]).toEqual([false, false]);
    await evictDurableObject(device.stub);
    expect(value(await unreadable())).toBe(true);
    expect(value(await unreadable())).toBe(false);
    expect(await connect(device)).toBe(next);
    expect(await stateOf(device, stuck)).toBe('error');
  });

  it('gives parallel connections of one device one and the same command', async () => {
    const device = await enrolledDevice();
    for (let i = 0; i < 3; i++) await queueCommand(device);
    const given = await Promise.all(Array.from({ length: 10 }, () => connect(device)));
    expect(new Set(given).size).toBe(1);
    const next = await Promise.all(
      Array.from({ length: 10 }, () => connect(device, 'Acknowledged', given[0]!)),
    );
    expect(new Set(next).size).toBe(1);
    expect(next[0]).not.toBe(given[0]);
  });

  it('does not miss a command that is queued while the last one is answered', async () => {
    const device = await enrolledDevice();
    for (let round = 0; round < 20; round++) {
      const uuid = await queueCommand(device);
      expect(await connect(device)).toBe(uuid);
      const [next, late] = await Promise.all([connect(device, 'Acknowledged', uuid), queueCommand(device)]);
      const given = next ?? (await connect(device));
      expect(given).toBe(late);
      expect(await connect(device, 'Acknowledged', late)).toBeNull();
    }
  });

  it('leaves an expired command, and sweeps it into history', async () => {
    const device = await enrolledDevice();
    const uuid = await queueCommand(device, { expiresAtMs: addMs(START, MINUTE_MS) });
    const kept = await queueCommand(device);
    const later = addMs(START, MINUTE_MS);
    expect(await session(device, () => 'Acknowledged', { nowMs: later })).toEqual([kept]);
    await fleet.sweeper.sweep(later);
    expect(await stateOf(device, uuid)).toBe('expired');
  });

  it('counts the answer to a command that expired while the device worked on it', async () => {
    const device = await enrolledDevice();
    const uuid = await queueCommand(device, { expiresAtMs: addMs(START, MINUTE_MS) });
    // The sweeper runs before D1 has heard that the command went out.
    const outage = breakD1('batch');
    expect(await connect(device)).toBe(uuid);
    await device.object.flush();
    outage.mockRestore();
    await fleet.sweeper.sweep(addMs(START, HOUR_MS));
    expect(await connect(device, 'Acknowledged', uuid)).toBeNull();
    expect(await stateOf(device, uuid)).toBe('acknowledged');
  });
});

it('wakes a device again if all that it was to choose from ended in that moment, and more waits', async () => {
  const device = await enrolledDevice();
  const all: CommandUuid[] = [];
  for (let one = 0; one < 9; one++) all.push(await queueCommand(device, { uuid: `${device.udid}/${one}` }));
  const idle = { status: 'Idle', commandUuid: null, raw: new Uint8Array(0), facts: null } as const;
  const step = value(await device.object.report(device.pin, idle, START));
  if (step.kind !== 'fetch') throw new Error('nothing is asked of D1');
  const shown = await fleet.store.next(device.udid, step.enrollmentId, START, step.passedOver);
  for (const { commandUuid } of shown.candidates) await device.object.cancel(commandUuid, START);
  const offer = { ...shown, workTold: step.workTold, lastStatus: 'Idle' } as const;
  expect(value(await device.object.offer(device.pin, offer, START))).toBeNull();
  await device.object.flush();
  expect(wakes(device.udid)).toBe(1);
  expect(await session(device)).toEqual([all.at(-1)]);
});

describe('results', () => {
  it.each([
    ['Acknowledged', 'acknowledged'],
    ['Error', 'error'],
    ['CommandFormatError', 'error'],
  ] as const)('%s is kept with its plist', async (status, state) => {
    const device = await enrolledDevice();
    const uuid = await queueCommand(device);
    await session(device, () => status);
    const record = await fleet.commands.find(device.udid, uuid, START);
    expect(record).toMatchObject({ state, status });
    expect(new TextDecoder().decode(record?.result ?? undefined)).toBe(`<${status}/>`);
  });

  it('that come twice are counted once, the first', async () => {
    const device = await enrolledDevice();
    const uuid = await queueCommand(device);
    await connect(device);
    await connect(device, 'Acknowledged', uuid);
    expect(await connect(device, 'Error', uuid)).toBeNull();
    expect(await stateOf(device, uuid)).toBe('acknowledged');
  });

  it('tell whether the device is supervised', async () => {
    const device = await enrolledDevice();
    for (const is of [false, true]) {
      const uuid = await queueCommand(device);
      await connect(device);
      await connect(device, 'Acknowledged', uuid, { content: supervised(is) });
      expect((await device.object.describe())?.supervised).toBe(is);
    }
  });

  it('survive an eviction before D1 has heard of them', async () => {
    const device = await enrolledDevice();
    const uuid = await queueCommand(device);
    await connect(device);
    const outage = breakD1('batch');
    await connect(device, 'Acknowledged', uuid);
    await device.object.flush();
    await evictDurableObject(device.stub);
    outage.mockRestore();
    expect(await connect(device)).toBeNull();
    await runDurableObjectAlarm(device.stub);
    expect(await stateOf(device, uuid)).toBe('acknowledged');
  });
});

describe('NotNow', () => {
  it('puts a command off until the next session', async () => {
    const device = await enrolledDevice();
    const [a, b] = [await queueCommand(device), await queueCommand(device)];
    expect(await session(device, (uuid) => (uuid === a ? 'NotNow' : 'Acknowledged'))).toEqual([a, b]);
    expect(await stateOf(device, a)).toBe('not-now');
    expect(await session(device)).toEqual([a]);
    expect(await stateOf(device, a)).toBe('acknowledged');
  });

  it('wakes the device if something else was its last word, as it will not come back by itself', async () => {
    const device = await enrolledDevice();
    const [a] = [await queueCommand(device), await queueCommand(device)];
    await session(device, (uuid) => (uuid === a ? 'NotNow' : 'Acknowledged'));
    await device.object.flush();
    expect(wakes(device.udid)).toBe(1);
  });

  it('wakes nobody if it was the last word', async () => {
    const device = await enrolledDevice();
    await queueCommand(device);
    await session(device, () => 'NotNow');
    await device.object.flush();
    expect(wakes(device.udid)).toBe(0);
  });

  it('survives an eviction within the session', async () => {
    const device = await enrolledDevice();
    const [a, b] = [await queueCommand(device), await queueCommand(device)];
    await connect(device);
    expect(await connect(device, 'NotNow', a)).toBe(b);
    await evictDurableObject(device.stub);
    expect(await connect(device, 'Acknowledged', b)).toBeNull();
    expect(await connect(device)).toBe(a);
  });

  it('to 32 commands lets the device rest', async () => {
    const device = await enrolledDevice();
    for (let i = 0; i < 34; i++) await queueCommand(device);
    expect(await session(device, () => 'NotNow')).toHaveLength(32);
    expect(await session(device)).toHaveLength(34);
  });
});

describe('a cancellation', () => {
  it('of a waiting command holds, also from an object that was evicted', async () => {
    const device = await enrolledDevice();
    const [a, b] = [await queueCommand(device), await queueCommand(device)];
    expect(value(await fleet.commands.cancel(device.udid, a, START)).state).toBe('canceled');
    await evictDurableObject(device.stub);
    expect(await session(device)).toEqual([b]);
    expect(await stateOf(device, a)).toBe('canceled');
  });

  it('of a command that is out comes too late', async () => {
    const device = await enrolledDevice();
    const uuid = await queueCommand(device);
    await connect(device);
    expect(refusal(await fleet.commands.cancel(device.udid, uuid, START))).toMatchObject({
      state: 'delivered',
    });
    await connect(device, 'Acknowledged', uuid);
    expect(refusal(await fleet.commands.cancel(device.udid, uuid, START))).toMatchObject({
      state: 'acknowledged',
    });
  });

  it('and a delivery at the same moment: one of them wins', async () => {
    for (let round = 0; round < 10; round++) {
      const device = await enrolledDevice();
      const uuid = await queueCommand(device);
      const [given, canceled] = await Promise.all([
        connect(device),
        fleet.commands.cancel(device.udid, uuid, START),
      ]);
      expect(canceled.ok, `given ${given}`).toBe(given === null);
      expect(await stateOf(device, uuid)).toBe(given === null ? 'canceled' : 'delivered');
    }
  });

  it('that D1 did not hear of is told later, and may be said again', async () => {
    const device = await enrolledDevice();
    const uuid = await queueCommand(device);
    const outage = breakD1('batch');
    value(await fleet.commands.cancel(device.udid, uuid, START));
    outage.mockRestore();
    expect(await connect(device)).toBeNull();
    expect(await stateOf(device, uuid)).toBe('canceled');
    expect(refusal(await fleet.commands.cancel(device.udid, uuid, START))).toMatchObject({
      state: 'canceled',
    });
  });

  it('of a command that was queued only after it holds, once it is said again', async () => {
    const device = await enrolledDevice();
    const uuid = crypto.randomUUID().toUpperCase() as CommandUuid;
    expect(await device.stub.cancel(uuid, START)).toBe(true);
    await device.stub.flush();
    await queueCommand(device, { uuid });
    expect(await session(device)).toEqual([]);
    expect(await device.stub.cancel(uuid, START)).toBe(true);
    await device.stub.flush();
    expect(await stateOf(device, uuid)).toBe('canceled');
  });

  it('of a command that was put off holds', async () => {
    const device = await enrolledDevice();
    const uuid = await queueCommand(device);
    await session(device, () => 'NotNow');
    value(await fleet.commands.cancel(device.udid, uuid, START));
    expect(await session(device)).toEqual([]);
  });
});

describe('a new enrollment', () => {
  it('cancels what waited for the old one, and keeps its history', async () => {
    const device = await enrolledDevice();
    const answered = await queueCommand(device);
    await session(device);
    const [out, waiting] = [await queueCommand(device), await queueCommand(device)];
    expect(await connect(device)).toBe(out);
    const digest = await issue(device);
    await enroll(device, digest);
    expect(await session(device, () => 'Acknowledged', { digest })).toEqual([]);
    expect(await stateOf(device, answered)).toBe('acknowledged');
    for (const uuid of [out, waiting]) expect(await stateOf(device, uuid)).toBe('canceled');
    const fresh = await queueCommand(device);
    expect(await session(device, () => 'Acknowledged', { digest })).toEqual([fresh]);
  });

  it('does not count a result of the old one', async () => {
    const device = await enrolledDevice();
    const out = await queueCommand(device);
    await connect(device);
    const digest = await issue(device);
    await enroll(device, digest);
    expect(await connect(device, 'Acknowledged', out, { digest })).toBeNull();
    expect(await stateOf(device, out)).toBe('canceled');
  });

  it('by a device that checks out cancels everything, and takes no more', async () => {
    const device = await enrolledDevice();
    const uuid = await queueCommand(device);
    value(await device.object.checkOut(device.pin, START));
    expect(await stateOf(device, uuid)).toBe('canceled');
    await expect(queueCommand(device)).rejects.toThrow('device-not-enrolled');
  });

  it('that begins while a command is queued does not leave the command waiting for ever', async () => {
    const device = await enrolledDevice();
    const digest = await issue(device);
    // The device Authenticates after the queue asked for its enrollment, before the command is stored.
    const slow = await slowQueue(() => enroll(device, digest));
    const uuid = `${device.udid}/late` as CommandUuid;
    const queued = await slow.enqueue(orderFor(device, uuid), START);
    expect(queued.ok).toBe(true);
    const given = await session(device, () => 'Acknowledged', { digest });
    await fleet.sweeper.sweep(addMs(START, HOUR_MS));
    expect(await stateOf(device, uuid)).toBe(given.includes(uuid) ? 'acknowledged' : 'canceled');
  });
});

describe('an outage of D1', () => {
  it('during a poll loses nothing: the device says it again', async () => {
    const device = await enrolledDevice();
    const [a, b] = [await queueCommand(device), await queueCommand(device)];
    await connect(device);
    const outage = breakD1('prepare');
    await expect(connect(device, 'Acknowledged', a)).rejects.toThrow('the database did not answer');
    outage.mockRestore();
    expect(await connect(device, 'Acknowledged', a)).toBe(b);
    expect(await stateOf(device, a)).toBe('acknowledged');
  });

  it('between commit and telling is made good by the sweeper', async () => {
    const device = await enrolledDevice();
    const outage = breakD1('prepare', (sql) => String(sql).includes('SET noted_at_ms'));
    const uuid = await queueCommand(device);
    outage.mockRestore();
    const [row] = await fleet.db.all<{ noted_at_ms: number | null }>(
      'SELECT noted_at_ms FROM commands WHERE command_uuid = ?',
      uuid,
    );
    expect(row?.noted_at_ms).toBeNull();
    expect(await fleet.sweeper.sweep(addMs(START, MINUTE_MS))).toBe(0);
    expect(await fleet.sweeper.sweep(addMs(START, MINUTE_MS + 1))).toBeGreaterThan(0);
    expect(wakes(device.udid)).toBe(1);
    expect(await fleet.sweeper.sweep(addMs(START, HOUR_MS))).toBe(0);
    expect(await session(device)).toEqual([uuid]);
  });

  it('of writes does not end a session early: the device would sleep on what waits', async () => {
    const device = await enrolledDevice();
    const uuids: CommandUuid[] = [];
    for (let i = 0; i < 20; i++) uuids.push(await queueCommand(device));
    const outage = breakD1('batch');
    const given = await session(device);
    outage.mockRestore();
    await device.object.flush();
    expect(given.length === 20 || wakes(device.udid) > 0, `${given.length} of 20, and nobody woke it`).toBe(
      true,
    );
  });

  it('of more than a day does not bring an answered or canceled command back', async () => {
    const device = await enrolledDevice();
    const [answered, canceled] = [await queueCommand(device), await queueCommand(device)];
    await connect(device);
    const outage = breakD1('batch');
    const answeredAtMs = epochMs(START - 2 * DAY_MS);
    value(await fleet.commands.cancel(device.udid, canceled, answeredAtMs));
    expect(await connect(device, 'Acknowledged', answered, { nowMs: answeredAtMs })).toBeNull();
    await runInDurableObject(device.stub, (object) => object.alarm());
    // Reads work, and the object has not yet told what it knows.
    const fresh = await queueCommand(device);
    expect(await session(device)).toEqual([fresh]);
    outage.mockRestore();
    expect(await stateOf(device, answered)).toBe('acknowledged');
    expect(await stateOf(device, canceled)).toBe('canceled');
  });
});
