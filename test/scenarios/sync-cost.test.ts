/**
 * What a device's questions about its declarations cost: `tokens` and `declaration-items` come from its own object,
 * whether anything changed or not, so the fleet may ask as often as it likes. Counted at the D1 binding, through the
 * front door.
 */
import { evictAllDurableObjects } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import type { ManagedDevice } from '../simulator/index.ts';
import { admin, assignedPhone, type Json, pairedWatch } from '../support/front-door.ts';
import { checkInvariants, settle } from '../support/invariants.ts';
import { declare } from '../support/put-declaration.ts';

const IDENTIFIER = 'com.example.cost';
const TYPE = 'com.apple.configuration.management.test';
let devices: readonly ManagedDevice[];

beforeAll(async () => {
  const phone = await assignedPhone();
  const watch = await pairedWatch(phone);
  devices = [phone, watch];
  await declare(IDENTIFIER, TYPE, { Echo: 'first' });
  await admin('PUT', 'sets/cost', { declarations: [IDENTIFIER] });
  for (const device of devices) {
    await admin('PUT', `sets/cost/devices/${device.udid}`);
    await settle(device);
    await device.connect();
  }
});
afterAll(checkInvariants);

/** Everything that D1 is asked while `act` runs: each statement prepared, and each text executed as it is. */
async function statements(act: () => Promise<unknown>): Promise<readonly string[]> {
  const prototype = Object.getPrototypeOf(env.DB) as D1Database;
  const prepare = vi.spyOn(prototype, 'prepare');
  const exec = vi.spyOn(prototype, 'exec');
  const session = vi.spyOn(prototype, 'withSession');
  try {
    await act();
    return [...prepare.mock.calls, ...exec.mock.calls, ...session.mock.calls].map(([text]) => String(text));
  } finally {
    for (const spy of [prepare, exec, session]) spy.mockRestore();
  }
}

async function ask(device: ManagedDevice, endpoint: string): Promise<Json> {
  const reply = await device.checkIn('DeclarativeManagement', { Endpoint: endpoint });
  expect(reply.status).toBe(200);
  return JSON.parse(reply.body.toString()) as Json;
}

const tokenOf = (answer: Json) => (answer['SyncTokens'] as Json)['DeclarationsToken'];

it('is counted: an administrator asking for the devices costs statements', async () => {
  expect(await statements(() => admin('GET', 'devices'))).not.toEqual([]);
});

it.each([
  ['phone', 'in memory'],
  ['phone', 'evicted'],
  ['watch', 'in memory'],
  ['watch', 'evicted'],
])('an unchanged %s, its object %s, asks without a statement', async (which, where) => {
  const device = devices[which === 'phone' ? 0 : 1] as ManagedDevice;
  for (const endpoint of ['tokens', 'declaration-items']) {
    if (where === 'evicted') await evictAllDurableObjects();
    expect(await statements(() => ask(device, endpoint)), endpoint).toEqual([]);
  }
  if (where === 'evicted') await evictAllDurableObjects();
  // The whole session, from Idle to the end, and a sync that finds nothing new.
  expect(await statements(() => device.connect())).toEqual([]);
  expect(await statements(() => device.sync())).toEqual([]);
});

it('a device whose set changed asks without a statement too, and one rendering serves all devices', async () => {
  const before = await Promise.all(devices.map(async (device) => tokenOf(await ask(device, 'tokens'))));
  await declare(IDENTIFIER, TYPE, { Echo: 'second' });
  for (const device of devices) await settle(device);
  for (const [i, device] of devices.entries()) {
    let token: unknown;
    const asked = async () => {
      token = tokenOf(await ask(device, 'tokens'));
    };
    expect(await statements(asked)).toEqual([]);
    expect(token).not.toBe(before[i]);
    let named: unknown;
    const listed = async () => {
      const answer = await ask(device, 'declaration-items');
      expect(answer['DeclarationsToken']).toBe(token);
      named = (answer['Declarations'] as Record<string, Json[]>)['Configurations'];
    };
    expect(await statements(listed)).toEqual([]);
    expect(named).toContainEqual(expect.objectContaining({ Identifier: IDENTIFIER }));
    const fetched = await statements(() => ask(device, `declaration/configuration/${IDENTIFIER}`));
    if (i > 0) expect(fetched).toEqual([]);
    else expect(fetched.length).toBeLessThanOrEqual(1);
  }
});
