/**
 * How a device is told that its manifest changed: by one command that its object makes when it connects, through
 * NotNow, lost replies, evictions, outages and enrollments that end; what D1 keeps of it; and when the object says
 * that its manifest must be compiled anew.
 */
import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { ReportStatus } from '../../../src/domain/command/queue.ts';
import type { ManifestEntry } from '../../../src/domain/declaration/manifest.ts';
import type { CommandUuid } from '../../../src/domain/ids.ts';
import init from '../../../src/durable/device/schema/0001_init.sql';
import status from '../../../src/durable/device/schema/0002_status.sql';
import statusOutbox from '../../../src/durable/device/schema/0003_status_outbox.sql';
import declareSchema from '../../../src/durable/device/schema/0004_declare.sql';
import { migrate } from '../../../src/durable/migrate.ts';
import { readUtf8 } from '../../../src/std/bytes.ts';
import { addMs, DAY_MS, HOUR_MS, toTimestamp } from '../../../src/std/time.ts';
import { recordDeviceMessages } from '../../../src/storage/d1/device-outbox.ts';
import { Random } from '../../simulator/random.ts';
import {
  assignEntries,
  breakD1,
  commandIn,
  connect,
  countingSql,
  database,
  enroll,
  enrolledDevice,
  exchange,
  FACTS,
  fleet,
  issue,
  newDevice,
  objectRows,
  queueCommand,
  START,
  session,
  stateOf,
  statusReport,
  type TestDevice,
  tokens,
} from '../../support/device.ts';
import { refusal, value } from '../../support/pairing.ts';

const logged: string[] = [];
const listen = () =>
  vi.spyOn(console, 'log').mockImplementation((line: string) => {
    logged.push(line);
  });
listen();
afterEach(() => {
  vi.restoreAllMocks();
  listen();
});

const entry = (serverToken = 't1', identifier = 'a'): ManifestEntry => ({
  kind: 'configuration',
  identifier,
  serverToken,
});

/** The manifest of `token`, past the assignments: only for stories in which nothing is compiled. */
const change = (device: TestDevice, token: string, nowMs = START) =>
  device.object.setManifest([entry(token)], `token-${token}`, nowMs);

interface Given {
  readonly uuid: CommandUuid;
  /** DeclarationsToken, and null for another command. */
  readonly token: string | null;
  readonly text: string;
}

async function say(
  device: TestDevice,
  status: ReportStatus = 'Idle',
  uuid: CommandUuid | null = null,
  over: Parameters<typeof exchange>[3] = {},
): Promise<Given | null> {
  const body = await exchange(device, status, uuid, over);
  if (body === null) return null;
  const text = readUtf8(body) ?? '';
  const data = /<data>([^<]+)/.exec(text)?.[1]?.replace(/\s/g, '');
  const tokens = data === undefined ? null : JSON.parse(atob(data)).SyncTokens;
  return { uuid: commandIn(body), token: tokens?.DeclarationsToken ?? null, text };
}

/** What must come. */
async function given(...args: Parameters<typeof say>): Promise<Given> {
  const answer = await say(...args);
  if (answer === null) throw new Error('nothing was given');
  return answer;
}

/** DeclarativeManagement commands of the device, as administrators see them, oldest first. */
async function listed(device: TestDevice): Promise<(string | null)[][]> {
  await device.object.flush();
  const page = value(await fleet.commands.list(device.udid, { cursor: null, limit: 100 }, START));
  return page.items
    .filter((one) => one.requestType === 'DeclarativeManagement')
    .map((one) => [one.commandUuid, one.state]);
}

const wakes = async (device: TestDevice) => {
  await device.object.flush();
  return logged.filter((line) => line.includes('"wake"') && line.includes(device.udid)).length;
};

/** Statements of a poll by which nothing comes, when everything was told and no alarm is left. */
async function pollCost(device: TestDevice): Promise<{ d1: number; objects: number }> {
  await device.object.flush();
  await runDurableObjectAlarm(device.stub);
  const { result, d1, objects } = await countingSql(() => connect(device));
  expect(result).toBeNull();
  return { d1, objects };
}

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

  it('is answered with `deliver` at once, not with `fetch`', async () => {
    const device = await enrolledDevice();
    await change(device, 't1');
    const idle = { status: 'Idle', commandUuid: null, raw: new Uint8Array(0), supervised: null } as const;
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
    expect(await change(device, 't1')).toBe(true);
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

  it('and back while the command is out needs no other', async () => {
    const device = await enrolledDevice();
    await change(device, 't1');
    const first = await given(device);
    await change(device, 't2');
    await change(device, 't1');
    expect(await say(device, 'Acknowledged', first.uuid)).toBeNull();
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

describe('an enrollment', () => {
  it('that is not complete is told of nothing, and is once it is', async () => {
    const device = await newDevice();
    value(await device.object.authenticate(device.pin, { ...FACTS, serial: null }, START));
    await assignEntries(device, [entry()]);
    expect(await device.object.describe()).toMatchObject({ declarePending: true });
    expect(await session(device)).toEqual([]);
    expect(await wakes(device)).toBe(0);
    value(await device.object.updateTokens(device.pin, tokens(), START));
    expect(await wakes(device)).toBe(1);
    expect(await session(device)).toHaveLength(1);
  });

  it('that ends takes the command with it; nothing of it is told after CheckOut', async () => {
    const device = await enrolledDevice();
    await change(device, 't1');
    value(await device.object.checkOut(device.pin, START));
    expect(await objectRows(device, 'SELECT * FROM declare_command')).toEqual([]);
    const before = await wakes(device);
    expect(await change(device, 't2')).toBe(true);
    expect(await device.object.describe()).toMatchObject({ declarePending: false });
    expect(await wakes(device)).toBe(before);
  });

  it('that ends while the command is out cancels its record', async () => {
    const device = await enrolledDevice();
    await change(device, 't1');
    const outage = breakD1('batch');
    const told = await given(device);
    value(await device.object.checkOut(device.pin, START));
    outage.mockRestore();
    await device.object.flush();
    expect(await listed(device)).toEqual([[told.uuid, 'canceled']]);
  });

  it('that is new is told afresh, by another command, and has fetched nothing', async () => {
    const device = await enrolledDevice();
    await assignEntries(device, [entry()]);
    const [first] = await session(device);
    value(await device.object.fetchDeclaration(device.pin, 'configuration', 'a', START));
    const { identifier, serverToken } = entry();
    const said = { identifier, serverToken, active: true, valid: 'valid' as const, reasons: [] };
    const report = statusReport({ declarations: { statuses: [said], removed: [] }, capabilities: '{}' });
    value(await device.object.reportDeclarations(device.pin, report, START));
    const digest = await issue(device);
    await enroll(device, digest);
    const described = await device.object.describe();
    expect(described).toMatchObject({ capabilities: null, declarations: [{ fetched: false, status: null }] });
    const again = await session(device, () => 'Acknowledged', { digest });
    expect(again).toHaveLength(1);
    expect(again).not.toContain(first);
  });
});

describe('the record in D1', () => {
  it('is one, with the device’s answer, though D1 fails in the middle of telling', async () => {
    const device = await enrolledDevice();
    for (let failAt = 1; failAt <= 8; failAt++) {
      let calls = 0;
      const outage = breakD1('prepare', () => ++calls === failAt);
      await change(device, `t${failAt}`);
      const told = await given(device);
      await device.object.flush();
      await say(device, 'Acknowledged', told.uuid);
      await device.object.flush();
      outage.mockRestore();
      await device.object.flush();
      const record = await fleet.commands.find(device.udid, told.uuid, START);
      expect(record, `failing at statement ${failAt}`).toMatchObject({
        state: 'acknowledged',
        status: 'Acknowledged',
        createdAtMs: START,
      });
      expect(readUtf8(record?.result ?? new Uint8Array(0))).toBe('<Acknowledged/>');
    }
    expect(await listed(device)).toHaveLength(8);
    expect(await database.all('SELECT 1 FROM commands WHERE udid = ?', device.udid)).toEqual([]);
  });

  it('is as before when all of it is told again', async () => {
    const device = await enrolledDevice();
    await change(device, 't1');
    const outage = breakD1('batch');
    const told = await given(device);
    await say(device, 'NotNow', told.uuid);
    await given(device);
    await device.object.flush();
    const rows = await objectRows(device, 'SELECT body FROM outbox ORDER BY id');
    outage.mockRestore();
    const messages = rows.map((row) => JSON.parse(String(row['body'])));
    expect(messages.map(({ kind, state }) => state ?? kind)).toContain('declared');
    await device.object.flush();
    await recordDeviceMessages(database, messages);
    expect(await listed(device)).toEqual([[told.uuid, 'delivered']]);
    await say(device, 'Acknowledged', told.uuid);
    expect(await listed(device)).toEqual([[told.uuid, 'acknowledged']]);
    await recordDeviceMessages(database, messages);
    expect(await listed(device)).toEqual([[told.uuid, 'acknowledged']]);
  });

  it('is nothing that the sweeper makes good, or that keeps the device asking D1', async () => {
    const device = await enrolledDevice();
    await change(device, 't1');
    const told = await given(device);
    await device.object.flush();
    const [before] = await objectRows(device, 'SELECT work_told FROM progress');
    await fleet.commands.sweep(addMs(START, DAY_MS));
    expect(await objectRows(device, 'SELECT work_told FROM progress')).toEqual([before]);
    expect(await stateOf(device, told.uuid)).toBe('delivered');
  });
});

describe('a manifest is compiled anew', () => {
  /** What the object has to tell, which it cannot. */
  async function posted(device: TestDevice, act: () => Promise<unknown>): Promise<unknown[]> {
    await device.object.flush();
    const outage = breakD1('batch');
    try {
      await act();
      return (await objectRows(device, "SELECT body FROM outbox WHERE kind = 'compile'")).map((row) =>
        JSON.parse(String(row['body'])),
      );
    } finally {
      outage.mockRestore();
      await device.object.flush();
    }
  }
  const system = (version: string, build: string) =>
    statusReport({
      status: {
        full: false,
        values: new Map([
          ['device.operating-system.version', JSON.stringify(version)],
          ['device.operating-system.build-version', JSON.stringify(build)],
        ]),
        errors: new Map(),
      },
    });
  const model = (name: string) =>
    statusReport({
      status: {
        full: false,
        values: new Map([['device.model.identifier', JSON.stringify(name)]]),
        errors: new Map(),
      },
    });
  const report =
    (device: TestDevice, said: Parameters<TestDevice['object']['reportDeclarations']>[1]) => () =>
      device.object.reportDeclarations(device.pin, said, START);

  it('when the device has enrolled, and not when it says its tokens again', async () => {
    const device = await newDevice();
    const message = { kind: 'compile', udid: device.udid, atMs: START };
    value(await device.object.authenticate(device.pin, { ...FACTS, serial: null }, START));
    const update = () => device.object.updateTokens(device.pin, tokens(), START);
    expect(await posted(device, update)).toEqual([message]);
    expect(await posted(device, update)).toEqual([]);
  });

  it('when it reports another system version, model or other capabilities, and for nothing else', async () => {
    const device = await enrolledDevice();
    const times = async (said: Parameters<typeof report>[1]) =>
      (await posted(device, report(device, said))).length;
    expect(await times(system('27.0', '24R1'))).toBe(1);
    expect(await times(system('27.0', '24R1'))).toBe(0);
    expect(await times(system('27.0', '24R2'))).toBe(0);
    expect(await times(model('Watch7,99'))).toBe(1);
    expect(await times(model('Watch7,99'))).toBe(0);
    expect(await times(statusReport({ capabilities: '{"a":1}' }))).toBe(1);
    expect(await times(statusReport({ capabilities: '{"a":1}' }))).toBe(0);
    expect(await times(statusReport({ full: true }))).toBe(0);
  });

  it('so that a device is given what its system takes now, and is told by one command', async () => {
    const device = await enrolledDevice();
    const identifier = `siri-${device.udid}`;
    await assignEntries(device, [entry('t1', identifier)]);
    await database.run(
      "UPDATE declarations SET type = 'com.apple.configuration.siri.settings' WHERE identifier = ?",
      identifier,
    );
    await fleet.manifests.hold([device.udid], START);
    const held = async () => (await device.object.describe())?.declarations.map((one) => one.identifier);
    expect(await held()).toEqual([]);
    await session(device);
    value(await report(device, system('26.4', '23T1'))());
    await device.object.flush();
    expect(await held()).toEqual([identifier]);
    expect(await session(device)).toHaveLength(1);
  });

  it('though D1 was away when it was to be', async () => {
    const device = await newDevice();
    const outage = breakD1('prepare', (sql) => String(sql).includes('set_devices'));
    await database.run('INSERT INTO sets (name, updated_at_ms) VALUES (?, 0)', device.udid);
    await enroll(device, device.pin);
    expect(await objectRows(device, "SELECT kind FROM outbox WHERE kind = 'compile'")).toHaveLength(1);
    outage.mockRestore();
    await assignEntries(device, [entry()]);
    expect(await runDurableObjectAlarm(device.stub)).toBe(true);
    expect(await objectRows(device, 'SELECT kind FROM outbox')).toEqual([]);
    expect(await session(device)).toHaveLength(1);
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
      for (let i = 0; i < 20 && (out !== null || i === 0); i++) await answer('Acknowledged');
      expect(told).toBe(`token-t${n}`);
      expect(await session(device)).toEqual([]);
      const records = await listed(device);
      expect(new Set(records.map(([, state]) => state))).toEqual(new Set(['acknowledged']));
      expect(records.every(([uuid]) => answered.has(String(uuid)))).toBe(true);
    },
  );
});

describe('an object from before the command was its own', () => {
  const migrated = (name: string, prepare: (sql: SqlStorage) => void) =>
    runInDurableObject(env.ISSUANCE.getByName(name), (_object, { storage }) => {
      migrate(storage, [init, status, statusOutbox]);
      prepare(storage.sql);
      migrate(storage, [init, status, statusOutbox, declareSchema]);
      const all = (sql: string) => storage.sql.exec(sql).toArray();
      expect(() =>
        storage.sql.exec("INSERT INTO outbox (kind, key, body) VALUES ('another', 'k', '')"),
      ).toThrow('CHECK');
      for (const kind of ['declared', 'compile'])
        storage.sql.exec("INSERT INTO outbox (kind, key, body) VALUES (?, 'new', '{}')", kind);
      return {
        declare: all('SELECT command_uuid, delivered_token FROM declare_command'),
        outbox: all("SELECT kind, key, body, raw FROM outbox WHERE key <> 'new' ORDER BY id"),
      };
    });
  const enrolled = (sql: SqlStorage, state: string) =>
    sql.exec(
      `INSERT INTO enrollment (one, enrollment_id, state, pin, platform, serial, push_token, identity_issued_at_ms, started_at_ms)
       VALUES (1, 'e', ?, ?, 'iOS', 'SERIAL', x'00', 0, 0)`,
      state,
      'f'.repeat(64),
    );
  const post = (sql: SqlStorage, kind: string, body: string) =>
    sql.exec('INSERT INTO outbox (kind, key, body, raw) VALUES (?1, ?1, ?2, NULL)', kind, body);

  it('is to tell what it had to have queued, wakes the device, and keeps the rest of its outbox', async () => {
    const { declare, outbox } = await migrated('declaring', (sql) => {
      enrolled(sql, 'enrolled');
      post(sql, 'projection', '{}');
      post(sql, 'declare', '{"kind":"declare","udid":"DEVICE-0001"}');
      post(sql, 'status', '{}');
    });
    expect(declare).toHaveLength(1);
    expect(declare[0]?.['command_uuid']).toMatch(
      /^[0-9A-F]{8}-[0-9A-F]{4}-4[0-9A-F]{3}-A[0-9A-F]{3}-[0-9A-F]{12}$/,
    );
    expect(declare[0]?.['delivered_token']).toBeNull();
    expect(outbox.map(({ kind }) => kind)).toEqual(['projection', 'status', 'wake']);
    expect(JSON.parse(String(outbox[2]?.['body']))).toEqual({ kind: 'wake', udid: 'DEVICE-0001' });
  });

  it('that had nothing to tell, or whose device left, has nothing to tell', async () => {
    const none = await migrated('not declaring', (sql) => {
      enrolled(sql, 'enrolled');
      post(sql, 'wake', '{"old":1}');
    });
    expect([none.declare, none.outbox.map(({ body }) => body)]).toEqual([[], ['{"old":1}']]);
    const left = await migrated('left', (sql) => {
      enrolled(sql, 'checked-out');
      post(sql, 'declare', '{"kind":"declare","udid":"DEVICE-0001"}');
    });
    expect(left).toEqual({ declare: [], outbox: [] });
  });
});
