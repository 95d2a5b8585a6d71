/** The index of devices, and what is remembered of certificates: projections that never go back in time. */
import { env } from 'cloudflare:workers';
import { beforeEach, describe, expect, it } from 'vitest';
import type { DeviceProjection } from '../../../src/domain/enrollment/outbox.ts';
import { epochMs } from '../../../src/std/time.ts';
import { Database } from '../../../src/storage/d1/database.ts';
import { recordDeviceMessages } from '../../../src/storage/d1/device-outbox.ts';
import { D1Devices } from '../../../src/storage/d1/devices.ts';
import { refusal, serial, udid, value } from '../../support/pairing.ts';

const database = new Database(env.DB);
const devices = new D1Devices(database);
const ANY = { platform: null, state: null, serial: null };

beforeEach(async () => {
  await env.DB.exec('DELETE FROM devices');
});

async function project(name: string, over: Partial<DeviceProjection> = {}): Promise<void> {
  const device: DeviceProjection = {
    udid: udid(name),
    serial: serial('SERIAL0001'),
    platform: 'iOS',
    state: 'enrolled',
    productName: 'iPhone17,3',
    osVersion: '26.1',
    buildVersion: '23B85',
    phoneUdid: null,
    pairingId: null,
    enrolledAtMs: epochMs(5),
    lastSeenMs: epochMs(10),
    revision: 1,
    ...over,
  };
  await recordDeviceMessages(database, [{ kind: 'projection', device }]);
}

describe('a device in the index', () => {
  it('is what its object told last, whatever arrives late or twice', async () => {
    await project('DEVICE-0001', { revision: 3, osVersion: '26.2' });
    for (const revision of [3, 2, 1]) await project('DEVICE-0001', { revision, osVersion: 'older' });
    expect(await devices.find(udid('DEVICE-0001'))).toMatchObject({
      osVersion: '26.2',
      state: 'enrolled',
      watches: [],
    });
    await project('DEVICE-0001', { revision: 4, state: 'checked-out' });
    expect((await devices.find(udid('DEVICE-0001')))?.state).toBe('checked-out');
    expect(await devices.find(udid('DEVICE-0002'))).toBeNull();
  });

  it('names its watches, but not those that left, and a watch its phone', async () => {
    await project('PHONE-0001');
    for (const [name, state] of [
      ['WATCH-0001', 'enrolled'],
      ['WATCH-0002', 'authenticated'],
      ['WATCH-0003', 'checked-out'],
    ] as const) {
      await project(name, { platform: 'watchOS', state, phoneUdid: 'PHONE-0001', pairingId: 'P1' });
    }
    expect((await devices.find(udid('PHONE-0001')))?.watches.toSorted()).toEqual([
      'WATCH-0001',
      'WATCH-0002',
    ]);
    expect(await devices.find(udid('WATCH-0003'))).toMatchObject({ phone: 'PHONE-0001', pairingId: 'P1' });
  });
});

describe('the list', () => {
  it('is filtered, and comes in pages', async () => {
    for (let i = 0; i < 5; i++) await project(`DEVICE-000${i}`, { serial: serial(`SERIAL000${i}`) });
    await project('WATCH-0001', { platform: 'watchOS', state: 'authenticated' });
    const names = async (
      filter: Partial<Record<keyof typeof ANY, unknown>>,
      limit = 10,
      cursor: string | null = null,
    ) => {
      const page = value(await devices.list({ ...ANY, ...filter } as typeof ANY, { cursor, limit }));
      return [page.items.map((one) => one.udid), page.cursor];
    };
    expect(await names({ platform: 'watchOS' })).toEqual([['WATCH-0001'], null]);
    expect(await names({ state: 'authenticated', platform: 'iOS' })).toEqual([[], null]);
    expect(await names({ serial: 'SERIAL0003' })).toEqual([['DEVICE-0003'], null]);
    expect(await names({}, 4)).toEqual([
      ['DEVICE-0000', 'DEVICE-0001', 'DEVICE-0002', 'DEVICE-0003'],
      'DEVICE-0003',
    ]);
    expect(await names({}, 4, 'DEVICE-0003')).toEqual([['DEVICE-0004', 'WATCH-0001'], null]);
    expect(await names({}, 6)).toMatchObject([{ length: 6 }, null]);
  });

  it('is filtered by what devices report, as their newest word has it', async () => {
    for (let i = 0; i < 3; i++) await project(`DEVICE-000${i}`);
    const tell = (name: string, revision: number, items: Record<string, string>) =>
      recordDeviceMessages(database, [{ kind: 'status', udid: udid(name), revision, items }]);
    const names = async (status: Record<string, string>) => {
      const page = value(await devices.list({ ...ANY, status }, { cursor: null, limit: 10 }));
      return page.items.map((one) => one.udid);
    };
    await tell('DEVICE-0000', 2, { a: 'true', b: 'x' });
    await tell('DEVICE-0001', 2, { a: 'true' });
    await tell('DEVICE-0002', 2, { a: 'false' });
    expect(await names({ a: 'true' })).toEqual(['DEVICE-0000', 'DEVICE-0001']);
    expect(await names({ a: 'true', b: 'x' })).toEqual(['DEVICE-0000']);
    expect(await names({ c: 'true' })).toEqual([]);
    await tell('DEVICE-0000', 3, { a: 'false' });
    for (const late of [2, 1]) await tell('DEVICE-0000', late, { a: 'true', b: 'x', c: 'late' });
    await tell('DEVICE-0001', 5, {});
    await tell('DEVICE-0001', 4, { a: 'true' });
    expect(await names({ a: 'true' })).toEqual([]);
    expect(await names({ a: 'false' })).toEqual(['DEVICE-0000', 'DEVICE-0002']);
    expect(await names({ b: 'x' })).toEqual([]);
  });

  it('has no page for a cursor that it did not give', async () => {
    expect(refusal(await devices.list(ANY, { cursor: "' OR 1=1", limit: 3 })).kind).toBe('malformed-cursor');
  });
});
