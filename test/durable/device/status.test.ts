/**
 * The device's status in its object: merged and kept across evictions, written only where it changed, together with
 * what the report says of declarations, and gone with the enrollment. Reports come through the Worker's service.
 */
import { evictDurableObject, runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { describe, expect, it, vi } from 'vitest';
import { REPORT_KEPT_BYTES_MAX, REPORTS_KEPT } from '../../../src/domain/declaration/status.ts';
import { STATUS_ARRAY_MAX, STATUS_BYTES_MAX } from '../../../src/domain/declaration/status-merge.ts';
import init from '../../../src/durable/device/schema/0001_init.sql';
import schema from '../../../src/durable/device/schema/0002_status.sql';
import outboxSchema from '../../../src/durable/device/schema/0003_status_outbox.sql';
import { migrate } from '../../../src/durable/migrate.ts';
import type { JsonValue } from '../../../src/protocol/plist/json.ts';
import { readUtf8, utf8 } from '../../../src/std/bytes.ts';
import {
  assignEntries,
  connect,
  countingSql,
  database,
  enroll,
  enrolledDevice,
  issue,
  objectRows,
  START,
  session,
  type TestDevice,
} from '../../support/device.ts';
import { udid, value } from '../../support/pairing.ts';
import { at, reader, report, send } from '../../support/status.ts';

vi.spyOn(console, 'log').mockImplementation(() => {});

async function items(device: TestDevice): Promise<Record<string, unknown>> {
  const found = value(await reader.items(device.udid));
  return Object.fromEntries(
    found.map((item) => [item.name, item.value === null ? undefined : JSON.parse(item.value)]),
  );
}

async function everything(device: TestDevice) {
  return {
    items: value(await reader.items(device.udid)),
    reports: value(await reader.reports(device.udid)),
    device: await device.object.describe(),
  };
}

/** Rows that `act` writes in any object of this isolate. */
async function rowsWritten(act: () => Promise<unknown>): Promise<number> {
  const sql = await runInDurableObject(env.DEVICE.getByName('COUNTING'), (_object, state) =>
    Object.getPrototypeOf(state.storage.sql),
  );
  const spy = vi.spyOn(sql, 'exec');
  try {
    await act();
    const cursors = spy.mock.results.map((result) => result.value as { rowsWritten: number });
    return cursors.reduce((sum, cursor) => sum + cursor.rowsWritten, 0);
  } finally {
    spy.mockRestore();
  }
}

const app = (identifier: string) => ({ identifier, name: `App ${identifier}` });

describe('status', () => {
  it('is merged report by report, also by an object that was evicted in between', async () => {
    const device = await enrolledDevice();
    expect(await items(device)).toEqual({});
    expect(
      await send(
        device,
        report(
          { mdm: { app: [app('1'), app('2')] }, passcode: { 'is-present': true } },
          { FullReport: true },
        ),
      ),
    ).toBe('accepted');
    await evictDurableObject(device.stub);
    expect(
      await send(
        device,
        report({ mdm: { app: [{ identifier: '1', _removed: true }, app('3')] }, later: { item: [1] } }),
        60,
      ),
    ).toBe('accepted');
    await evictDurableObject(device.stub);
    expect(value(await reader.items(device.udid))).toMatchObject([
      { name: 'later.item', value: '[1]', atMs: at(60), error: null },
      { name: 'mdm.app', atMs: at(60) },
      { name: 'passcode.is-present', value: 'true', atMs: START },
    ]);
    expect((await items(device))['mdm.app']).toEqual([app('2'), app('3')]);
    await send(device, report({ passcode: { 'is-present': false } }, { FullReport: true }), 120);
    expect(await items(device)).toEqual({ 'passcode.is-present': false });
  });

  it('keeps an error with its time until the item reports a value', async () => {
    const device = await enrolledDevice();
    const Errors = [{ StatusItem: 'test.error-value', Reasons: [{ Code: 'Error.Failed' }] }];
    await send(device, report({}, { Errors }), 5);
    await evictDurableObject(device.stub);
    const reasons = JSON.stringify([{ code: 'Error.Failed', description: null, details: null }]);
    expect(value(await reader.items(device.udid))).toEqual([
      { name: 'test.error-value', value: null, atMs: null, error: { reasons, atMs: at(5) } },
    ]);
    await send(device, report({ test: { 'error-value': 'fine' } }), 6);
    expect(value(await reader.items(device.udid))).toEqual([
      { name: 'test.error-value', value: '"fine"', atMs: at(6), error: null },
    ]);
  });

  it('writes nothing when the same report comes again, and only the difference of another', async () => {
    const device = await enrolledDevice();
    await assignEntries(device, [{ kind: 'configuration', identifier: 'c', serverToken: 't' }]);
    const declared = { identifier: 'c', 'server-token': 't', active: true, valid: 'valid' };
    const management = {
      declarations: { activations: [], assets: [], configurations: [declared], management: [] },
      'client-capabilities': { 'supported-versions': ['1.0.0'] },
    };
    const first = report({ management, mdm: { app: [app('1')] } }, { FullReport: true });
    await send(device, first);
    await device.object.flush();
    const before = await everything(device);
    for (const evicted of [false, true]) {
      if (evicted) await evictDurableObject(device.stub);
      await device.object.describe();
      expect(await rowsWritten(() => send(device, first, 30))).toBe(0);
    }
    const after = await everything(device);
    expect(after.items).toEqual(before.items);
    expect(after.reports).toEqual(before.reports);
    expect(after.device?.declarations).toEqual(before.device?.declarations);
    expect(after.device?.declarations[0]?.status).toMatchObject({ active: true, valid: 'valid' });
    // One item and the report itself; and the event, its place in line (table, index and counter) and its number.
    const next = report({ management, mdm: { app: [app('1'), app('2')] } });
    expect(await rowsWritten(() => send(device, next, 31))).toBe(6);
  });

  it('is told of two reports at once in some order, and loses neither', async () => {
    const device = await enrolledDevice();
    await Promise.all([
      send(device, report({ mdm: { app: [app('1')] } })),
      send(device, report({ mdm: { app: [app('2')] } })),
    ]);
    const apps = (await items(device))['mdm.app'] as { identifier: string }[];
    expect(apps.map(({ identifier }) => identifier).sort()).toEqual(['1', '2']);
  });

  it.each<[string, string | JsonValue, string]>([
    ['is no JSON', '{"StatusItems":', 'status-malformed'],
    ['is nested too deeply', `{"StatusItems":${'{"x":'.repeat(40)}1${'}'.repeat(40)}}`, 'status-malformed'],
    ['has too many values', report({ x: Array(20_000).fill(1) }), 'status-malformed'],
    ['has a number that none can hold', '{"StatusItems":{"x":1e999}}', 'status-malformed'],
    ['has items of another type', report({ mdm: { app: 'none' } }), 'status-malformed'],
    ['has a scalar where items branch', report({ device: 'x' }), 'status-malformed'],
    ['has errors of another type', report({}, { Errors: [{ StatusItem: 5 }] }), 'status-malformed'],
    ['has an error of no item', report({}, { Errors: [{ StatusItem: '' }] }), 'status-malformed'],
    ['has declarations of another type', report({ management: { declarations: [] } }), 'status-malformed'],
    ['has an object without identifier', report({ mdm: { app: [app('1'), {}] } }), 'status-malformed'],
    ['is larger than a status', report({ x: 'x'.repeat(STATUS_BYTES_MAX) }), 'status-too-large'],
    ['has a longer array', report({ x: Array(STATUS_ARRAY_MAX + 1).fill(1) }), 'status-too-large'],
    [
      'has more items',
      report({ x: Object.fromEntries(Array.from({ length: 2_001 }, (_, i) => [`i${i}`, i])) }),
      'status-too-large',
    ],
  ])('loses nothing to a report that %s, though it begins well', async (_what, wrong, kind) => {
    const device = await enrolledDevice();
    await device.object.setManifest(
      [{ kind: 'configuration', identifier: 'c', serverToken: 't' }],
      'token',
      START,
    );
    const configurations = [{ identifier: 'c', 'server-token': 't', active: true, valid: 'valid' }];
    const good = report({
      passcode: { 'is-present': true },
      management: { declarations: { configurations } },
    });
    expect(await send(device, good)).toBe('accepted');
    const before = await everything(device);
    const full = typeof wrong === 'string' ? wrong : { FullReport: true, ...(wrong as object) };
    for (const text of [wrong, full]) expect(await send(device, text)).toBe(kind);
    await evictDurableObject(device.stub);
    expect(await everything(device)).toEqual(before);
  });

  it('holds what many reports add up to, and no more', async () => {
    const device = await enrolledDevice();
    const objects = (from: number) =>
      report({ mdm: { app: Array.from({ length: 2_500 }, (_, i) => app(`${from + i}`)) } });
    expect(await send(device, objects(0))).toBe('accepted');
    expect(await send(device, objects(2_500))).toBe('accepted');
    expect(await send(device, report({ mdm: { app: [app('one more')] } }))).toBe('status-too-large');
    expect((await items(device))['mdm.app']).toHaveLength(STATUS_ARRAY_MAX);
  });

  it('ends with its enrollment', async () => {
    const device = await enrolledDevice();
    await send(device, report({ passcode: { 'is-present': true } }));
    await enroll(device, await issue(device));
    expect(await items(device)).toEqual({});
    expect(value(await reader.reports(device.udid))).toEqual([]);
    const left = await enrolledDevice();
    await send(left, report({ passcode: { 'is-present': true } }));
    value(await left.object.checkOut(left.pin, START));
    expect(await items(left)).toEqual({});
    expect(await send(left, report({ passcode: { 'is-present': true } }))).toBe('checked-out');
    expect(await items(left)).toEqual({});
  });

  it('of a device that nobody knows is unknown, and makes no object', async () => {
    const stranger = udid('STRANGER-0000001');
    expect(await reader.items(stranger)).toMatchObject({ refusal: { kind: 'unknown-device' } });
    expect(await reader.reports(stranger)).toMatchObject({ refusal: { kind: 'unknown-device' } });
  });

  it('costs an idle poll nothing', async () => {
    const device = await enrolledDevice();
    await send(device, report({ passcode: { 'is-present': true } }));
    await session(device);
    const { d1, objects } = await countingSql(() => connect(device));
    expect({ d1, objects }).toEqual({ d1: 0, objects: 0 });
  });
});

describe('the last reports', () => {
  it('are kept, the newest first, and no more than ten', async () => {
    const device = await enrolledDevice();
    for (let i = 0; i < REPORTS_KEPT + 3; i++)
      await send(device, report({ x: i }, i % 2 === 0 ? { FullReport: true } : {}), i);
    await evictDurableObject(device.stub);
    const kept = value(await reader.reports(device.udid));
    expect(kept.map(({ atMs }) => atMs)).toEqual(
      Array.from({ length: REPORTS_KEPT }, (_, i) => at(REPORTS_KEPT + 2 - i)),
    );
    expect(kept.slice(0, 2).map(({ full }) => full)).toEqual([true, false]);
    const text = JSON.stringify(report({ x: REPORTS_KEPT + 2 }, { FullReport: true }));
    expect([readUtf8(kept[0]?.raw ?? utf8('')), kept[0]?.bytes]).toEqual([text, text.length]);
  });

  it('are only measured when they are larger than 64 KiB', async () => {
    const device = await enrolledDevice();
    const empty = JSON.stringify(report({ x: '' })).length;
    const padded = (size: number) => report({ x: 'x'.repeat(size - empty) });
    await send(device, padded(REPORT_KEPT_BYTES_MAX));
    await send(device, padded(REPORT_KEPT_BYTES_MAX + 1));
    const kept = value(await reader.reports(device.udid));
    expect(kept.map(({ bytes, raw }) => [bytes, raw?.length ?? null])).toEqual([
      [REPORT_KEPT_BYTES_MAX + 1, null],
      [REPORT_KEPT_BYTES_MAX, REPORT_KEPT_BYTES_MAX],
    ]);
  });
});

describe('an object from before there was status', () => {
  it('keeps what its outbox had to tell, in order, and goes on from there', async () => {
    const stub = env.ISSUANCE.getByName('a device of before');
    await runInDurableObject(stub, (_object, { storage }) => {
      migrate(storage, [init]);
      const post = (kind: string) =>
        storage.sql.exec("INSERT INTO outbox (kind, key, body, raw) VALUES (?, 'k', '{}', x'00')", kind);
      post('wake');
      post('reset');
      const read = () =>
        storage.sql.exec('SELECT id, kind, key, body, length(raw) AS raw FROM outbox').toArray();
      const before = read();
      migrate(storage, [init, schema, outboxSchema]);
      expect(read()).toEqual(before);
      post('status');
      expect(read().map(({ id, kind }) => [id, kind])).toEqual([
        [1, 'wake'],
        [2, 'reset'],
        [3, 'status'],
      ]);
      expect(() => post('another')).toThrow('CHECK');
      expect(() => storage.sql.exec("INSERT INTO outbox (kind, key, body) VALUES ('wake', 'k', '')")).toThrow(
        'UNIQUE',
      );
    });
  });
});

describe('what the fleet may be asked about', () => {
  const rows = async (device: TestDevice) => {
    await device.object.flush();
    const found = await database.all<{ name: string; value: string }>(
      'SELECT name, value FROM status_items WHERE udid = ? ORDER BY name',
      device.udid,
    );
    return Object.fromEntries(found.map(({ name, value: text }) => [name, text]));
  };

  it('is every scalar of the catalog as it stands, and not what wakes the device', async () => {
    const device = await enrolledDevice();
    const mdm = { app: [app('1')], 'push-magic': 'magic', 'push-token': 'dG9rZW4=' };
    const test = {
      'integer-value': 7,
      'real-value': 1.5,
      'dictionary-value': {},
      'string-value': 'x'.repeat(65),
    };
    await send(device, report({ passcode: { 'is-compliant': false }, mdm, test, unknown: { scalar: 1 } }));
    await evictDurableObject(device.stub);
    const expected = {
      'passcode.is-compliant': 'false',
      'test.integer-value': '7',
      'test.real-value': '1.5',
    };
    expect(await rows(device)).toEqual(expected);
    await send(device, report({ passcode: { 'is-present': true } }));
    expect(await rows(device)).toEqual({ ...expected, 'passcode.is-present': 'true' });
    await send(device, report({ passcode: { 'is-present': true } }, { FullReport: true }));
    expect(await rows(device)).toEqual({ 'passcode.is-present': 'true' });
    await enroll(device, await issue(device));
    expect(await rows(device)).toEqual({});
  });

  it('is told only when it changed', async () => {
    const device = await enrolledDevice();
    await send(device, report({ passcode: { 'is-present': true } }));
    await device.object.flush();
    await send(device, report({ passcode: { 'is-present': true }, mdm: { app: [app('1')] } }));
    expect(await objectRows(device, "SELECT 1 FROM outbox WHERE kind = 'status'")).toEqual([]);
  });
});

describe('what the device says of itself', () => {
  const indexed = async (device: TestDevice) => {
    await device.object.flush();
    return database.first(
      'SELECT product_name, os_version, build_version FROM devices WHERE udid = ?',
      device.udid,
    );
  };
  const system = (version: JsonValue, build: JsonValue): JsonValue => ({
    device: { 'operating-system': { version, 'build-version': build } },
  });

  it('reaches the index of devices, each fact by itself', async () => {
    const device = await enrolledDevice();
    await send(device, report(system('27.2', '24C1')));
    expect(await indexed(device)).toMatchObject({ os_version: '27.2', build_version: '24C1' });
    await send(device, report({ device: { model: { identifier: 'Watch7,99', family: 'Watch' } } }));
    await evictDurableObject(device.stub);
    expect(await indexed(device)).toEqual({
      product_name: 'Watch7,99',
      os_version: '27.2',
      build_version: '24C1',
    });
    expect(await device.object.describe()).toMatchObject({ productName: 'Watch7,99', osVersion: '27.2' });
  });

  it('is told once, and not at all when it is nothing new or nothing', async () => {
    const device = await enrolledDevice();
    await send(device, report(system('27.2', '24C1')));
    const before = await indexed(device);
    await send(device, report({ ...(system('27.2', '24C1') as object), x: 1 }));
    await send(device, report(system('', 'x'.repeat(65))));
    expect(await objectRows(device, "SELECT 1 FROM outbox WHERE kind = 'projection'")).toEqual([]);
    expect(await indexed(device)).toEqual(before);
  });

  it('is taken back by the next Authenticate', async () => {
    const device = await enrolledDevice();
    await send(device, report(system('27.2', '24C1')));
    await enroll(device, await issue(device));
    expect(await indexed(device)).toMatchObject({ os_version: '26.1', build_version: '23S35' });
  });
});
