/**
 * Status from a simulated iPhone and its watch through the front door: what comes unasked, what a subscription brings,
 * what administrators see of it, while objects are evicted, replies are lost and reports make no sense.
 */
import { evictAllDurableObjects } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { Buffer } from 'node:buffer';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { SimulatedPhone, SimulatedWatch } from '../simulator/index.ts';
import {
  admin,
  adminReply,
  assignedPhone,
  enrolledPhone,
  type Json,
  pairedWatch,
  send,
  url,
} from '../support/front-door.ts';
import { checkInvariants, settle } from '../support/invariants.ts';

const SUBSCRIBED = [
  'device.identifier.serial-number',
  'device.model.family',
  'device.model.identifier',
  'device.operating-system.build-version',
  'device.operating-system.version',
  'passcode.is-compliant',
  'passcode.is-present',
];

let phone: SimulatedPhone;
let watch: SimulatedWatch;
beforeAll(async () => {
  phone = await assignedPhone();
  watch = await pairedWatch(phone);
});
afterAll(checkInvariants);

type Device = SimulatedPhone | SimulatedWatch;

/** An administrator has the device report these. */
async function subscribe(device: Device): Promise<void> {
  const declare = async (identifier: string, type: string, payload: Json) => {
    const path = `${url}/api/v1/declarations/${identifier}`;
    const headers = {
      authorization: `Bearer ${env.ADMIN_KEY}`,
      'content-type': 'application/json',
      'If-None-Match': '*',
    };
    const reply = await send(
      new Request(path, { method: 'PUT', headers, body: JSON.stringify({ type, payload }) }),
    );
    expect(reply.ok, await reply.text()).toBe(true);
    return identifier;
  };
  const declarations = [
    await declare('subscription', 'com.apple.configuration.management.status-subscriptions', {
      StatusItems: SUBSCRIBED.map((Name) => ({ Name })),
    }),
    await declare('subscribe', 'com.apple.activation.simple', { StandardConfigurations: ['subscription'] }),
  ];
  await admin('PUT', 'sets/subscribed', { declarations });
  await admin('PUT', `sets/subscribed/devices/${device.udid}`);
  await device.connect();
}

async function status(device: Device): Promise<Record<string, Json>> {
  const { items } = await admin('GET', `devices/${device.udid}/status`);
  return Object.fromEntries((items as Json[]).map((item) => [item['name'], item]));
}

async function say(device: Device, report: unknown): Promise<number> {
  const Data = Buffer.from(typeof report === 'string' ? report : JSON.stringify(report));
  return (await device.checkIn('DeclarativeManagement', { Endpoint: 'status', Data })).status;
}

it('what is below `management` comes from the iPhone without being asked for', async () => {
  await admin('PUT', 'subscriptions/iOS', { items: [] });
  const unasked = await assignedPhone();
  await admin('DELETE', 'subscriptions/iOS');
  const items = await status(unasked);
  expect(Object.keys(items)).toEqual(['management.client-capabilities', 'management.declarations']);
  const declared = items['management.declarations']?.['value'] as { configurations: Json[] };
  expect(declared.configurations).toMatchObject([{ active: true, valid: 'valid' }]);
  const { items: reports } = await admin('GET', `devices/${unasked.udid}/status/reports`);
  expect((reports as Json[])[0]).toMatchObject({ full: true, report: { FullReport: true, Errors: [] } });
});

it.each(['phone', 'watch'])(
  'what a subscription asks of the %s comes, and then only what changed',
  async (which) => {
    const device = which === 'phone' ? await enrolledPhone() : watch;
    await subscribe(device);
    await evictAllDurableObjects();
    const items = await status(device);
    for (const name of SUBSCRIBED) expect(items[name], name).toMatchObject({ error: null });
    expect(items['device.identifier.serial-number']?.['value']).toBe(device.serial);
    expect(items['device.model.family']?.['value']).toBe(which === 'phone' ? 'iPhone' : 'Watch');
    device.facts.passcode = false;
    expect((await device.sync()).reported).toBe(true);
    const after = await status(device);
    expect(after['passcode.is-present']).toMatchObject({ value: false });
    expect({ ...after, 'passcode.is-present': null }).toEqual({ ...items, 'passcode.is-present': null });
    const { items: reports } = await admin('GET', `devices/${device.udid}/status/reports`);
    expect((reports as Json[])[0]).toMatchObject({
      full: false,
      report: { StatusItems: { passcode: { 'is-present': false } } },
    });
    // The daily full report says the same.
    expect((await device.sync({ fullReport: true })).reported).toBe(true);
    expect(await status(device)).toEqual(after);
  },
);

it('a new system shows in the index of devices', async () => {
  const model = { identifier: 'Watch7,77' };
  const report = { device: { 'operating-system': { version: '27.2', 'build-version': '24R1' }, model } };
  expect(await say(watch, { StatusItems: report, Errors: [] })).toBe(200);
  expect(await admin('GET', `devices/${watch.udid}`)).toMatchObject({
    osVersion: '27.2',
    buildVersion: '24R1',
    productName: 'Watch7,77',
  });
});

it('the fleet is asked by status, in pages, and forgets who left', async () => {
  const phones = [await enrolledPhone(), await enrolledPhone(), await enrolledPhone()];
  const name = `Model ${phones[0]?.serial}`;
  for (const [i, one] of phones.entries()) {
    const model = { 'marketing-name': name };
    expect(await say(one, { StatusItems: { device: { model }, passcode: { 'is-compliant': i > 0 } } })).toBe(
      200,
    );
  }
  await settle();
  const ask = async (query: string, cursor = ''): Promise<Json> =>
    admin('GET', `devices?status.device.model.marketing-name=${encodeURIComponent(name)}${query}${cursor}`);
  const udids = (page: Json) => (page['items'] as Json[]).map((item) => item['udid']);
  const all = phones.map((one) => one.udid).sort();
  expect(udids(await ask(''))).toEqual(all);
  expect(udids(await ask('&status.passcode.is-compliant=false'))).toEqual([phones[0]?.udid]);
  const first = await ask('&limit=2');
  expect(udids(first)).toEqual(all.slice(0, 2));
  expect(udids(await ask('&limit=2', `&cursor=${first['cursor']}`))).toEqual(all.slice(2));
  const other = await adminReply('GET', `devices?status.passcode.is-present=true&cursor=${first['cursor']}`);
  expect(other.status).toBe(400);
  expect(await say(phones[0]!, { StatusItems: { passcode: { 'is-compliant': true } } })).toBe(200);
  await phones[1]!.checkOut();
  await settle();
  expect(udids(await ask('&status.passcode.is-compliant=false'))).toEqual([]);
  expect(udids(await ask('')).sort()).toEqual([phones[0]!.udid, phones[2]!.udid].sort());
});

it.each<[string, unknown]>([
  ['no JSON', '{"StatusItems"'],
  ['a list', []],
  ['40 levels', `{"StatusItems":${'{"a":'.repeat(40)}1${'}'.repeat(40)}}`],
  ['items of another type', { StatusItems: { passcode: { 'is-present': 'yes' } }, FullReport: true }],
  ['objects without a name', { StatusItems: { mdm: { app: [{ _removed: true }] } }, FullReport: true }],
  ['more than is kept', { StatusItems: { x: 'x'.repeat(1024 * 1024) }, FullReport: true }],
])('a report of %s is answered 400 and loses nothing', async (_what, report) => {
  const read = async () => [
    await admin('GET', `devices/${watch.udid}/status`),
    await admin('GET', `devices/${watch.udid}/status/reports`),
  ];
  const before = await read();
  expect(await say(watch, report)).toBe(400);
  await evictAllDurableObjects();
  expect(await read()).toEqual(before);
  expect(Object.keys(await status(watch))).toEqual(expect.arrayContaining(SUBSCRIBED));
});

it('a report said again after its reply was lost changes nothing', async () => {
  const apps = [{ identifier: 'com.example.a', state: 'managed' }];
  const report = { StatusItems: { mdm: { app: apps } }, Errors: [] };
  expect(await say(watch, report)).toBe(200);
  const before = await admin('GET', `devices/${watch.udid}/status/reports`);
  await evictAllDurableObjects();
  expect(await say(watch, report)).toBe(200);
  expect(await admin('GET', `devices/${watch.udid}/status/reports`)).toEqual(before);
  expect((await status(watch))['mdm.app']?.['value']).toContainEqual(apps[0]);
});

it('status is shown to administrators only, and of devices that enrolled only', async () => {
  for (const path of ['status', 'status/reports']) {
    expect((await adminReply('GET', `devices/NOBODY-000000001/${path}`)).status).toBe(404);
    expect((await adminReply('POST', `devices/${watch.udid}/${path}`)).status).toBe(405);
  }
});

it('ends with the enrollment', async () => {
  const device = await enrolledPhone();
  expect(await say(device, { StatusItems: { passcode: { 'is-present': true } }, Errors: [] })).toBe(200);
  expect(Object.keys(await status(device))).toEqual(['passcode.is-present']);
  await device.checkOut();
  expect(await status(device)).toEqual({});
});
