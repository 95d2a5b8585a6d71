/**
 * How a device is told that its manifest changed: by one command that its object makes when it connects, through
 * NotNow, lost replies and evictions.
 */
import { evictDurableObject, runDurableObjectAlarm } from 'cloudflare:test';
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import type { ReportStatus } from '../../../src/domain/command/queue.ts';
import type { CommandUuid } from '../../../src/domain/ids.ts';
import { addMs, HOUR_MS, MINUTE_MS, toTimestamp } from '../../../src/std/time.ts';
import { Random } from '../../simulator/random.ts';
import { change, type Given, given, listed, listen, pollCost, say, wakes } from '../../support/declare.ts';
import {
  breakD1,
  connect,
  countingSql,
  database,
  enrolledDevice,
  fleet,
  objectRows,
  queueCommand,
  START,
  session,
  stateOf,
  type TestDevice,
  withoutSubscriptions,
} from '../../support/device.ts';
import { refusal, value } from '../../support/pairing.ts';

beforeAll(withoutSubscriptions);

listen();
afterEach(() => {
  vi.restoreAllMocks();
  listen();
});

describe('a change of the manifest', () => {
  it('is told by one command however often it changes, with the token as of delivery', async () => {
    const device = await enrolledDevice({ platform: 'iOS' });
    for (let i = 1; i <= 4; i++) {
      await change(device, `t${i}`, addMs(START, i * HOUR_MS));
      if (i !== 2) await device.object.flush();
      await change(device, `t${i}`, addMs(START, i * HOUR_MS));
    }
    expect(await listed(device)).toEqual([]);
    const told = await given(device);
    expect(told.token).toBe('token-t4');
    const [body] = /<data>([^<]+)/.exec(told.text)?.slice(1) ?? [];
    expect(JSON.parse(atob(body ?? '')).SyncTokens.Timestamp).toBe(toTimestamp(addMs(START, 4 * HOUR_MS)));
    expect(await say(device, 'Acknowledged', told.uuid)).toBeNull();
    expect(await session(device)).toEqual([]);
    expect(await listed(device)).toEqual([[told.uuid, 'acknowledged']]);
  });

  it('is told without a statement in D1 when no other work waits, and a device that was told polls for free', async () => {
    const device = await enrolledDevice();
    await change(device, 't1');
    await device.object.flush();
    // Not only unasked: D1 is away.
    const outage = breakD1('prepare');
    const told = await given(device);
    expect(told.token).toBe('token-t1');
    expect(await say(device, 'Acknowledged', told.uuid)).toBeNull();
    outage.mockRestore();
    await device.object.flush();
    expect(await stateOf(device, told.uuid)).toBe('acknowledged');
    expect(await pollCost(device)).toEqual({ d1: 0, objects: 0 });
  });

  it('costs D1 nothing until the device comes, and then the record and its end', async () => {
    const device = await enrolledDevice();
    const quiet = async () => {
      await device.object.flush();
      await runDurableObjectAlarm(device.stub);
    };
    await quiet();
    const changed = await countingSql(async () => {
      for (let i = 1; i <= 5; i++) await change(device, `t${i}`);
      await quiet();
    });
    const told = await countingSql(async () => {
      expect(await session(device)).toHaveLength(1);
      await quiet();
    });
    expect([changed.d1, told.d1]).toEqual([0, 4]);
  });

  it('is answered with `deliver` at once, not with `fetch`', async () => {
    const device = await enrolledDevice();
    await change(device, 't1');
    const idle = { status: 'Idle', commandUuid: null, raw: new Uint8Array(0), facts: null } as const;
    expect(value(await device.object.report(device.pin, idle, START)).kind).toBe('deliver');
  });

  it('wakes the device once; the same again changes nothing and wakes nobody', async () => {
    const device = await enrolledDevice();
    const before = await wakes(device);
    expect(await change(device, 't1')).toBe(true);
    expect((await wakes(device)) - before).toBe(1);
    expect(await change(device, 't1')).toBe(false);
    const told = await given(device);
    expect(await change(device, 't1')).toBe(false);
    await say(device, 'Acknowledged', told.uuid);
    value(await device.object.fetchDeclaration(device.pin, 'configuration', 'a', START));
    expect(await change(device, 't1')).toBe(false);
    expect((await wakes(device)) - before).toBe(1);
    expect(await session(device)).toEqual([]);
    expect(await change(device, 't2')).toBe(true);
    expect((await wakes(device)) - before).toBe(2);
  });

  it('that was told and never fetched is told anew when it is said again', async () => {
    const device = await enrolledDevice();
    await change(device, 't1');
    const first = await session(device);
    // It may be at it.
    expect(await change(device, 't1')).toBe(false);
    expect(await change(device, 't1', addMs(START, 11 * MINUTE_MS))).toBe(true);
    const second = await session(device);
    expect([first.length, second.length]).toEqual([1, 1]);
    expect(second).not.toEqual(first);
  });

  it('while the command is out is told by another one after it', async () => {
    const device = await enrolledDevice();
    await change(device, 't1');
    const first = await given(device);
    await change(device, 't2');
    await change(device, 't3');
    expect(await given(device)).toEqual(first);
    const second = await given(device, 'Acknowledged', first.uuid);
    expect(second.token).toBe('token-t3');
    expect(second.uuid).not.toBe(first.uuid);
    expect(await say(device, 'Acknowledged', second.uuid)).toBeNull();
    expect(await session(device)).toEqual([]);
  });

  it('and back while the command is out is told by another one: it may have fetched what stood between', async () => {
    const device = await enrolledDevice();
    await change(device, 't1');
    const first = await given(device);
    await change(device, 't2');
    value(await device.object.read(device.pin, START));
    await change(device, 't1');
    const second = await given(device, 'Acknowledged', first.uuid);
    expect([second.token, second.uuid === first.uuid]).toEqual(['token-t1', false]);
    expect(await say(device, 'Acknowledged', second.uuid)).toBeNull();
    expect(await session(device)).toEqual([]);
  });

  it('is told after the error of an older command, and not again after its own', async () => {
    const device = await enrolledDevice();
    await change(device, 't1');
    const first = await given(device);
    await change(device, 't2');
    const second = await given(device, 'Error', first.uuid);
    expect(second.token).toBe('token-t2');
    expect(await say(device, 'Error', second.uuid)).toBeNull();
    expect(await session(device)).toEqual([]);
    expect((await listed(device)).map(([, state]) => state)).toEqual(['error', 'error']);
  });

  it('is told once though its result comes twice', async () => {
    const device = await enrolledDevice();
    await change(device, 't1');
    const first = await given(device);
    await change(device, 't2');
    const second = await given(device, 'Acknowledged', first.uuid);
    expect(await given(device, 'Acknowledged', first.uuid)).toEqual(second);
    expect(await say(device, 'Acknowledged', second.uuid)).toBeNull();
    expect(await say(device, 'Error', second.uuid)).toBeNull();
    expect((await listed(device)).map(([, state]) => state)).toEqual(['acknowledged', 'acknowledged']);
  });

  it('is told with the same bytes while the reply is lost, whatever changes meanwhile', async () => {
    const device = await enrolledDevice();
    await change(device, 't1');
    const first = await given(device);
    expect(await given(device)).toEqual(first);
    await evictDurableObject(device.stub);
    await change(device, 't2');
    expect(await given(device)).toEqual(first);
    expect((await listed(device)).map(([, state]) => state)).toEqual(['delivered']);
  });

  it('is given up after three results that cannot be read, and goes on to what changed since', async () => {
    const device = await enrolledDevice();
    await change(device, 't1');
    const first = await given(device);
    await change(device, 't2');
    for (let i = 0; i < 3; i++) value(await device.object.settleUnreadable(device.pin, START));
    expect((await given(device)).token).toBe('token-t2');
    expect(await stateOf(device, first.uuid)).toBe('error');
  });

  it('comes after urgent commands and before the others', async () => {
    const device = await enrolledDevice();
    const normal = await queueCommand(device);
    const urgent = await queueCommand(device, { priority: 'urgent' });
    await change(device, 't1');
    expect(await connect(device)).toBe(urgent);
    const told = await given(device, 'Acknowledged', urgent);
    expect(told.token).toBe('token-t1');
    const late = await queueCommand(device, { priority: 'urgent' });
    expect(await connect(device, 'Acknowledged', told.uuid)).toBe(late);
    expect(await connect(device, 'Acknowledged', late)).toBe(normal);
    expect(await connect(device, 'Acknowledged', normal)).toBeNull();
    expect(await pollCost(device)).toEqual({ d1: 0, objects: 0 });
  });

  it('is given to parallel connections as one command', async () => {
    const device = await enrolledDevice();
    await queueCommand(device);
    await change(device, 't1');
    const all = await Promise.all(Array.from({ length: 8 }, () => given(device)));
    expect(new Set(all.map((one) => one.text)).size).toBe(1);
    expect(all[0]?.token).toBe('token-t1');
  });
});

describe('NotNow', () => {
  it('puts it off for the session, to come again under its UUID with the newest token', async () => {
    const device = await enrolledDevice();
    await change(device, 't1');
    const first = await given(device);
    expect(await say(device, 'NotNow', first.uuid)).toBeNull();
    expect(await listed(device)).toEqual([[first.uuid, 'not-now']]);
    await change(device, 't2');
    const again = await given(device);
    expect([again.uuid, again.token]).toEqual([first.uuid, 'token-t2']);
    expect(await listed(device)).toEqual([[first.uuid, 'delivered']]);
    const [row] = await database.all('SELECT body FROM commands WHERE command_uuid = ?', first.uuid);
    expect(row).toEqual({ body: again.text });
    expect(await say(device, 'Acknowledged', again.uuid)).toBeNull();
    expect(await listed(device)).toEqual([[first.uuid, 'acknowledged']]);
  });

  it('to it and to others: what D1 still shows of it is never given in its place', async () => {
    const device = await enrolledDevice();
    await change(device, 't1');
    const first = await given(device);
    const other = await queueCommand(device);
    expect(await connect(device, 'NotNow', first.uuid)).toBe(other);
    await device.object.flush();
    expect(await connect(device, 'NotNow', other)).toBeNull();
    await change(device, 't2');
    const again = await given(device);
    expect([again.uuid, again.token]).toEqual([first.uuid, 'token-t2']);
    expect(await connect(device, 'Acknowledged', again.uuid)).toBe(other);
    expect(await connect(device, 'Acknowledged', other)).toBeNull();
  });

  it('wakes the device if something else was its last word', async () => {
    const device = await enrolledDevice();
    await change(device, 't1');
    const other = await queueCommand(device);
    const before = await wakes(device);
    const first = await given(device);
    expect(await connect(device, 'NotNow', first.uuid)).toBe(other);
    expect(await connect(device, 'Acknowledged', other)).toBeNull();
    expect((await wakes(device)) - before).toBe(1);
  });
});

describe('an eviction', () => {
  it('between any two steps changes nothing', async () => {
    const device = await enrolledDevice();
    const evict = () => evictDurableObject(device.stub);
    await change(device, 't1');
    await evict();
    const first = await given(device);
    await evict();
    expect(await given(device)).toEqual(first);
    await evict();
    expect(await say(device, 'NotNow', first.uuid)).toBeNull();
    await evict();
    await change(device, 't2');
    await evict();
    const again = await given(device);
    expect([again.uuid, again.token]).toEqual([first.uuid, 'token-t2']);
    await evict();
    await change(device, 't3');
    await evict();
    const second = await given(device, 'Acknowledged', again.uuid);
    expect(second.token).toBe('token-t3');
    await evict();
    expect(await say(device, 'Acknowledged', again.uuid)).toMatchObject({ uuid: second.uuid });
    expect(await say(device, 'Acknowledged', second.uuid)).toBeNull();
    await evict();
    expect(await session(device)).toEqual([]);
    expect((await listed(device)).map(([, state]) => state)).toEqual(['acknowledged', 'acknowledged']);
  });
});

describe('an administrator', () => {
  const cancel = (device: TestDevice, uuid: CommandUuid) => fleet.commands.cancel(device.udid, uuid, START);

  it('cannot take it back when the device has it', async () => {
    const device = await enrolledDevice();
    await change(device, 't1');
    const told = await given(device);
    expect(refusal(await cancel(device, told.uuid))).toMatchObject({ state: 'delivered' });
    await say(device, 'Acknowledged', told.uuid);
    expect(refusal(await cancel(device, told.uuid))).toMatchObject({ state: 'acknowledged' });
  });

  it('who takes back one that was put off leaves the device to the next change', async () => {
    const device = await enrolledDevice();
    await change(device, 't1');
    const told = await given(device);
    await say(device, 'NotNow', told.uuid);
    value(await cancel(device, told.uuid));
    expect(await session(device)).toEqual([]);
    expect(await stateOf(device, told.uuid)).toBe('canceled');
    await change(device, 't2');
    const next = await given(device);
    expect(next.token).toBe('token-t2');
    expect(next.uuid).not.toBe(told.uuid);
  });

  it('sees whether the device is yet to be told', async () => {
    const device = await enrolledDevice();
    const seen = async () => {
      const described = await device.object.describe();
      return [described?.declarationsToken, described?.manifestChangedAtMs, described?.declarePending];
    };
    expect(await seen()).toEqual([null, null, false]);
    await change(device, 't1', addMs(START, 1));
    expect(await seen()).toEqual(['token-t1', START + 1, true]);
    const told = await given(device);
    expect(await seen()).toEqual(['token-t1', START + 1, true]);
    await say(device, 'Acknowledged', told.uuid);
    expect(await seen()).toEqual(['token-t1', START + 1, false]);
  });
});

describe('random stories', () => {
  it.each(Array.from({ length: 12 }, (_, seed) => seed))(
    'tell the newest token in the end, by one command at a time: seed %i',
    async (seed) => {
      const dice = new Random(seed);
      const device = await enrolledDevice();
      const answered = new Set<string>();
      let [n, out, told] = [0, null as Given | null, null as string | null];
      const take = (next: Given | null) => {
        if (next !== null) expect(answered.has(next.uuid), `${next.uuid} after it was answered`).toBe(false);
        if (next !== null && out !== null) expect(next.uuid).toBe(out.uuid);
        if (next?.token != null && next.text !== out?.text) expect(next.token).toBe(`token-t${n}`);
        out = next ?? out;
      };
      const answer = async (status: ReportStatus) => {
        if (out === null) return take(await say(device));
        const { uuid, token } = out;
        if (status !== 'NotNow') answered.add(uuid);
        if (status === 'Acknowledged' && token !== null) told = token;
        out = null;
        take(await say(device, status, uuid));
      };
      for (let i = 0; i < 40; i++) {
        const deed = dice.int(12);
        if (deed < 3) await change(device, `t${++n}`);
        else if (deed < 4) await queueCommand(device, dice.chance(0.5) ? { priority: 'urgent' } : {});
        else if (deed < 5) await evictDurableObject(device.stub);
        else if (deed < 6) await device.object.flush();
        else if (deed < 7) take(await say(device));
        else await answer(dice.pick<ReportStatus>(['Acknowledged', 'Acknowledged', 'NotNow']));
        expect((await objectRows(device, 'SELECT 1 FROM declare_command')).length).toBeLessThanOrEqual(1);
      }
      await change(device, `t${++n}`);
      // The session that is open, and one more: what was put off in it comes again in the next alone.
      for (let ended = 0; ended < 2; ended += out === null ? 1 : 0) await answer('Acknowledged');
      expect(told).toBe(`token-t${n}`);
      expect(await session(device)).toEqual([]);
      const records = await listed(device);
      expect(new Set(records.map(([, state]) => state))).toEqual(new Set(['acknowledged']));
      expect(records.every(([uuid]) => answered.has(String(uuid)))).toBe(true);
    },
  );
});
