/**
 * Events from a device's object: decided with the report that is stored, told once through evictions, outages and
 * tellings that are repeated, and none of what wakes the device. Reports come through the Worker's service.
 */
import { evictDurableObject, runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import init from '../../../src/durable/device/schema/0001_init.sql';
import status from '../../../src/durable/device/schema/0002_status.sql';
import statusOutbox from '../../../src/durable/device/schema/0003_status_outbox.sql';
import declare from '../../../src/durable/device/schema/0004_declare.sql';
import eventsOutbox from '../../../src/durable/device/schema/0005_events_outbox.sql';
import { migrate } from '../../../src/durable/migrate.ts';
import type { JsonValue } from '../../../src/protocol/plist/json.ts';
import { readUtf8 } from '../../../src/std/bytes.ts';
import { D1Events } from '../../../src/storage/d1/events.ts';
import {
  breakD1,
  connect,
  countingSql,
  database,
  enroll,
  enrolledDevice,
  issue,
  newDevice,
  objectRows,
  START,
  session,
  type TestDevice,
  tokens,
} from '../../support/device.ts';
import { dump } from '../../support/invariants.ts';
import { value } from '../../support/pairing.ts';
import { at, reader, report, send } from '../../support/status.ts';

const feed = new D1Events(database);

beforeEach(() => {
  vi.spyOn(console, 'log').mockImplementation(() => {});
});

/** What the feed has of the device, but for how it came to be enrolled. */
async function told(device: TestDevice): Promise<JsonValue[]> {
  await device.object.flush();
  const page = value(await feed.read({ udid: device.udid, kind: null }, { cursor: null, limit: 500 }));
  return page.items.slice(1).map(({ kind, data }) => ({ kind, ...data }));
}

const passcode = (compliant: boolean) => report({ passcode: { 'is-compliant': compliant } });
const flip = (from: boolean | undefined, to: boolean) => ({
  kind: 'status-changed',
  changes: [{ name: 'passcode.is-compliant', ...(from === undefined ? {} : { from }), to }],
});

describe('a status report', () => {
  it('is told as what it changed, with its time, also by an object that was evicted before it told', async () => {
    const device = await enrolledDevice();
    const outage = breakD1('batch');
    await send(device, passcode(true), 5);
    await evictDurableObject(device.stub);
    await send(device, passcode(false), 6);
    await evictDurableObject(device.stub);
    await send(device, report({}, { Errors: [{ StatusItem: 'x', Reasons: [{ Code: 'E' }] }] }), 7);
    outage.mockRestore();
    expect(await told(device)).toEqual([
      flip(undefined, true),
      flip(true, false),
      { kind: 'status-error', name: 'x', reasons: [{ code: 'E', description: null }] },
    ]);
    const { items } = value(
      await feed.read({ udid: device.udid, kind: 'status-changed' }, { cursor: null, limit: 9 }),
    );
    expect(items.map(({ atMs }) => atMs)).toEqual([at(5), at(6)]);
  });

  it('that the device repeats, because the answer was lost, tells nothing more', async () => {
    const device = await enrolledDevice();
    const first = report(
      { passcode: { 'is-compliant': true }, mdm: { app: [{ identifier: 'a' }] } },
      { FullReport: true, Errors: [{ StatusItem: 'x', Reasons: [{ Code: 'E' }] }] },
    );
    await send(device, first);
    const before = await told(device);
    expect(before).toHaveLength(2);
    for (const evicted of [false, true]) {
      if (evicted) await evictDurableObject(device.stub);
      await send(device, first, 60);
      expect(await told(device)).toEqual(before);
    }
  });

  it('is one event however often its message is told', async () => {
    const device = await enrolledDevice();
    const outage = breakD1('batch');
    await send(device, passcode(true));
    await send(device, passcode(false));
    outage.mockRestore();
    const rows = await objectRows(device, 'SELECT kind, key, body FROM outbox');
    expect(rows.filter((row) => row['kind'] === 'events')).toHaveLength(2);
    const before = await told(device);
    await runInDurableObject(device.stub, (_object, { storage: { sql } }) => {
      for (const { kind, key, body } of rows)
        sql.exec('INSERT INTO outbox (kind, key, body) VALUES (?, ?, ?)', kind ?? '', key ?? '', body ?? '');
    });
    await Promise.all([device.object.flush(), runInDurableObject(device.stub, (object) => object.alarm())]);
    expect(await told(device)).toEqual(before);
    expect(before).toEqual([flip(undefined, true), flip(true, false)]);
  });

  it('that is refused tells nothing, and neither does an idle poll, which stays free', async () => {
    const device = await enrolledDevice();
    await send(device, passcode(true));
    const before = await told(device);
    await send(device, report({ passcode: { 'is-compliant': false }, mdm: { app: 'none' } }));
    await send(device, report({ passcode: { 'is-compliant': false }, x: 'x'.repeat(1024 * 1024) }));
    await session(device);
    const { d1, objects } = await countingSql(() => connect(device));
    expect({ d1, objects }).toEqual({ d1: 0, objects: 0 });
    expect(await told(device)).toEqual(before);
  });

  it('of as many items as a status holds is told whole', async () => {
    const device = await enrolledDevice();
    const many = Object.fromEntries(
      Array.from({ length: 2_000 }, (_, i) => [`i${i}`.padEnd(60, 'x'), 'v'.repeat(250)]),
    );
    expect(await send(device, report({ x: many }))).toBe('accepted');
    expect((await objectRows(device, "SELECT 1 FROM outbox WHERE kind = 'events'")).length).toBeGreaterThan(
      1,
    );
    const events = (await told(device)) as { changes: JsonValue[] }[];
    expect(events.flatMap(({ changes }) => changes)).toHaveLength(2_000);
  });
});

describe('what a device says of its declarations', () => {
  const declared = (active: boolean, more: { [key: string]: JsonValue } = {}) => {
    const status = { identifier: 'c', 'server-token': 't', active, valid: 'valid', ...more };
    return report({ management: { declarations: { configurations: [status] } } });
  };
  const event = (active: boolean | null, over: object = {}) => ({
    kind: 'declaration-changed',
    ...{ identifier: 'c', serverToken: 't', active, valid: 'valid', reasons: [], ...over },
  });

  async function holding(): Promise<TestDevice> {
    const device = await enrolledDevice();
    const entry = { kind: 'configuration', identifier: 'c', serverToken: 't' } as const;
    await device.object.setManifest([entry], 'token', START);
    return device;
  }

  it('is told when it changes, and when it says no more of one', async () => {
    const device = await holding();
    const reasons = [{ code: 'Error.X', description: 'why', details: { deep: 1 } }];
    for (const again of [1, 2]) await send(device, declared(true), again);
    await evictDurableObject(device.stub);
    for (const again of [3, 4]) await send(device, declared(false, { valid: 'invalid', reasons }), again);
    await send(device, declared(false, { valid: 'invalid', reasons }), 5);
    await send(
      device,
      report({ management: { declarations: { configurations: [{ identifier: 'c', _removed: true }] } } }),
    );
    await send(device, declared(true));
    await send(device, report({ management: { declarations: {} } }, { FullReport: true }));
    expect(await told(device)).toEqual([
      event(true),
      event(false, { valid: 'invalid', reasons: [{ code: 'Error.X', description: 'why' }] }),
      event(null, { valid: null }),
      event(true),
      event(null, { valid: null }),
    ]);
  });

  it('is not told of a token that the device is not to hold any more, nor of what it was never to hold', async () => {
    const device = await holding();
    await send(device, declared(true, { 'server-token': 'stale' }));
    await send(device, declared(true, { identifier: 'foreign' }));
    expect(await told(device)).toEqual([]);
    await send(device, declared(true));
    const next = { kind: 'configuration', identifier: 'c', serverToken: 'u' } as const;
    await device.object.setManifest([next], 'another', START);
    await send(device, declared(false));
    await send(device, declared(true, { 'server-token': 'u' }));
    expect(await told(device)).toEqual([event(true), event(true, { serverToken: 'u' })]);
  });
});

describe('an enrollment', () => {
  const kinds = async (device: TestDevice) => {
    await device.object.flush();
    const page = value(await feed.read({ udid: device.udid, kind: null }, { cursor: null, limit: 500 }));
    return page.items.map(({ kind }) => kind);
  };

  it('is told when it begins to count and when it ends, each once, and takes its status along in silence', async () => {
    const device = await newDevice();
    expect(await kinds(device)).toEqual([]);
    await enroll(device, device.pin);
    value(await device.object.updateTokens(device.pin, tokens(), START));
    expect(await kinds(device)).toEqual(['device-enrolled']);
    await send(device, passcode(true));
    await evictDurableObject(device.stub);
    await enroll(device, await issue(device));
    const renewed = ['device-enrolled', 'status-changed', 'device-enrolled'];
    expect(await kinds(device)).toEqual(renewed);
    const pin = await issue(device);
    await enroll(device, pin);
    for (const again of [1, 2]) value(await device.object.checkOut(pin, at(again)));
    expect(await kinds(device)).toEqual([...renewed, 'device-enrolled', 'device-checked-out']);
  });

  it('says which device it is', async () => {
    const device = await enrolledDevice();
    await device.object.flush();
    const { items } = value(await feed.read({ udid: device.udid, kind: null }, { cursor: null, limit: 1 }));
    const data = { serial: 'SERIAL0001', platform: 'watchOS', phone: null, pairingId: null };
    expect(items).toMatchObject([{ kind: 'device-enrolled', udid: device.udid, atMs: START, data }]);
  });
});

describe('push token and PushMagic in a full report', () => {
  const TOKEN = 'c3RhdHVzLXRva2VuLW9mLXRoZS1kZXZpY2U=';
  const MAGIC = '5A1F-STATUS-MAGIC';
  const full = report(
    {
      mdm: { 'push-token': TOKEN, 'push-magic': MAGIC, app: [{ identifier: 'a' }] },
      'mdm.push-magic.more': MAGIC,
      other: [{ mdm: { 'push-token': { value: TOKEN } } }],
      passcode: { 'is-present': true },
    },
    { FullReport: true },
  );

  it('are kept nowhere that a report is kept, and told nobody', async () => {
    const device = await enrolledDevice();
    expect(await send(device, full)).toBe('accepted');
    const tables = ['status_item', 'status_report', 'outbox', 'declaration_status'];
    const kept = await Promise.all(tables.map((table) => objectRows(device, `SELECT * FROM ${table}`)));
    const events = await told(device);
    expect(dump([...kept, events])).not.toMatch(new RegExp(`${TOKEN}|${MAGIC}`));
    expect(events).toEqual([
      {
        kind: 'status-changed',
        changes: [
          { name: 'mdm.app', to: [{ identifier: 'a' }] },
          { name: 'other', to: [{ mdm: { 'push-token': '[secret]' } }] },
          { name: 'passcode.is-present', to: true },
        ],
      },
    ]);
    const [last] = value(await reader.reports(device.udid));
    expect(JSON.parse(readUtf8(last!.raw!) ?? '')).toEqual({
      StatusItems: {
        mdm: { 'push-token': '[secret]', 'push-magic': '[secret]', app: [{ identifier: 'a' }] },
        'mdm.push-magic.more': '[secret]',
        other: [{ mdm: { 'push-token': '[secret]' } }],
        passcode: { 'is-present': true },
      },
      Errors: [],
      FullReport: true,
    });
  });

  it('are masked where an object kept them before', async () => {
    const device = await enrolledDevice();
    await send(device, passcode(true));
    await runInDurableObject(device.stub, (_object, { storage: { sql } }) => {
      sql.exec("INSERT INTO status_item (name, value, at_ms) VALUES ('mdm.push-magic', ?, 1)", `"${MAGIC}"`);
      sql.exec('UPDATE status_report SET raw = ?', new TextEncoder().encode(JSON.stringify(full)));
    });
    const items = value(await reader.items(device.udid));
    expect(items.find(({ name }) => name === 'mdm.push-magic')?.value).toBe('"[secret]"');
    const text = readUtf8(value(await reader.reports(device.udid))[0]!.raw!) ?? '';
    expect(text).toContain('[secret]');
    expect(text).not.toMatch(new RegExp(`${TOKEN}|${MAGIC}`));
    await send(device, full);
    expect(JSON.stringify(await told(device))).not.toContain(MAGIC);
  });
});

describe('an object from before there were events', () => {
  it('keeps what its outbox had to tell, in order, and goes on from there', async () => {
    const stub = env.ISSUANCE.getByName('a device of before events');
    await runInDurableObject(stub, (_object, { storage }) => {
      migrate(storage, [init, status, statusOutbox, declare]);
      const post = (kind: string) =>
        storage.sql.exec("INSERT INTO outbox (kind, key, body, raw) VALUES (?, 'k', '{}', x'00')", kind);
      post('status');
      post('wake');
      const read = () =>
        storage.sql.exec('SELECT id, kind, key, body, length(raw) AS raw FROM outbox').toArray();
      const before = read();
      migrate(storage, [init, status, statusOutbox, declare, eventsOutbox]);
      expect(read()).toEqual(before);
      post('events');
      expect(read().map(({ id, kind }) => [id, kind])).toEqual([
        [1, 'status'],
        [2, 'wake'],
        [3, 'events'],
      ]);
      expect(() => post('another')).toThrow('CHECK');
    });
  });
});
