/**
 * What devices answer becomes their inventory, through the front door: with lost replies, repeated results, objects
 * that are evicted, answers that make no sense, and a new enrollment.
 */
import { evictAllDurableObjects } from 'cloudflare:test';
import { Buffer } from 'node:buffer';
import { afterEach, describe, expect, it } from 'vitest';
import { ReplyLost, type SimulatedPhone, type SimulatedWatch } from '../simulator/index.ts';
import {
  admin,
  adminReply,
  assign,
  assignedPhone,
  commandState,
  enrolledPhone,
  type Json,
  newWorld,
  order,
  ordered,
  pairedWatch,
  secrets,
  send,
} from '../support/front-door.ts';
import { checkInvariants, readD1, settle } from '../support/invariants.ts';

afterEach(checkInvariants);

type Device = SimulatedPhone | SimulatedWatch;
type Item = { readonly value: unknown; readonly asOf: string };
interface Section {
  readonly asOf: string | null;
  readonly completeAsOf: string | null;
  readonly commandUuid: string | null;
  readonly items: Record<string, Item>;
  readonly tooLarge: unknown;
}
interface Asked {
  readonly section: string;
  readonly requestType: string;
  readonly commandUuid: string;
}

const ALL = [
  'device',
  'security',
  'profiles',
  'provisioning-profiles',
  'certificates',
  'installed-applications',
  'managed-applications',
  'restrictions',
];

const section = async (device: Device, name: string) =>
  (await admin('GET', `devices/${device.udid}/inventory/${name}`)) as unknown as Section;
const sections = async (device: Device) =>
  (await admin('GET', `devices/${device.udid}/inventory`))['sections'] as Record<string, Section>;

async function refresh(device: Device, query = '') {
  const answer = await admin('POST', `devices/${device.udid}/inventory/refresh${query}`);
  const asked = answer as unknown as Record<'queued' | 'pending' | 'recent' | 'refused', Asked[]>;
  for (const { commandUuid } of asked.queued) ordered.set(commandUuid, { udid: device.udid });
  return asked;
}

const values = ({ items }: Section) =>
  Object.fromEntries(Object.entries(items).map(([key, { value }]) => [key, value]));

async function ask(device: Device, command: Json): Promise<string> {
  const uuid = await order(device, String(command['RequestType']), { command });
  await device.connect();
  return uuid;
}

describe('a refresh', () => {
  it('asks for everything once, and what comes back is the inventory', async () => {
    const watch = await pairedWatch(await assignedPhone());
    const first = await refresh(watch);
    expect(first.queued.map((one) => one.section)).toEqual(ALL);
    const again = await refresh(watch);
    expect([again.queued, again.recent, again.refused]).toEqual([[], [], []]);
    expect(again.pending).toEqual(first.queued);
    await watch.connect();
    const answered = await sections(watch);
    expect(Object.keys(answered).sort()).toEqual([...ALL].sort());
    for (const { section: name, commandUuid } of first.queued) {
      expect(answered[name], name).toMatchObject({ commandUuid, asOf: expect.any(String), tooLarge: null });
    }
    expect(values(answered['device'] as Section)).toMatchObject({ UDID: watch.udid, IsSupervised: true });
    expect(answered['device']?.completeAsOf).toBeNull();
    expect(answered['installed-applications']?.completeAsOf).toBe(answered['installed-applications']?.asOf);
    expect(Object.keys(answered['installed-applications']?.items ?? {})).toEqual(['com.example.built-in']);
    const device = await admin('GET', `devices/${watch.udid}`);
    expect(device).toMatchObject({ name: values(answered['device'] as Section)['DeviceName'] });
    const { items } = (await admin('GET', `devices?serial=${watch.serial}`)) as { items: Json[] };
    expect(items).toMatchObject([{ name: device['name'], model: device['model'] }]);
  });

  it('that was answered within the minute asks nothing again, and asks of one section only', async () => {
    const phone = await enrolledPhone();
    const one = await refresh(phone, '?section=security');
    expect(one.queued.map((asked) => asked.requestType)).toEqual(['SecurityInfo']);
    await phone.connect();
    const again = await refresh(phone, '?section=security');
    // A minute may begin between the two, and then it is asked again.
    expect(again.recent.length + again.queued.length).toBe(1);
    expect(again.pending).toEqual([]);
    await phone.connect();
  });

  it('of several at once queues each query once', async () => {
    const phone = await enrolledPhone();
    const both = await Promise.all([refresh(phone), refresh(phone), refresh(phone)]);
    const uuids = new Set(
      both.flatMap((one) => [...one.queued, ...one.pending].map((asked) => asked.commandUuid)),
    );
    expect(uuids.size).toBeLessThanOrEqual(2 * ALL.length);
    expect(both.flatMap((one) => one.queued).length).toBe(uuids.size);
    expect((await phone.connect()).commands.length).toBeGreaterThanOrEqual(ALL.length);
  });

  it('finds a query that an administrator queued, and not one that asks for less', async () => {
    const phone = await enrolledPhone();
    const own = await order(phone, 'CertificateList');
    await order(phone, 'ProfileList', { command: { RequestType: 'ProfileList', ManagedOnly: true } });
    const asked = await refresh(phone);
    expect(asked.pending).toEqual([
      { section: 'certificates', requestType: 'CertificateList', commandUuid: own },
    ]);
    expect(asked.queued.map((one) => one.section)).toContain('profiles');
    await phone.connect();
  });

  it('is refused for nobody, for a device that checked out, and for a section that there is not', async () => {
    const phone = await enrolledPhone();
    const post = async (path: string) => (await adminReply('POST', `devices/${path}`)).status;
    expect(await post(`${phone.udid}/inventory/refresh?section=application-configurations`)).toBe(400);
    expect(await post('NOBODY-000000001/inventory/refresh')).toBe(404);
    await phone.checkOut();
    expect(await post(`${phone.udid}/inventory/refresh`)).toBe(409);
    const get = async (path: string) => (await adminReply('GET', `devices/${path}`)).status;
    expect(await get('NOBODY-000000001/inventory')).toBe(404);
    expect(await get('NOBODY-000000001/inventory/device')).toBe(404);
    expect(await get(`${phone.udid}/inventory/never`)).toBe(404);
    expect(await section(phone, 'device')).toMatchObject({ asOf: null, items: {} });
  });
});

it('the inventory is whole when every reply is lost once and every object forgets', async () => {
  const seen = new Map<string, number>();
  const world = newWorld({
    async send(request) {
      const text = Buffer.from(await request.clone().arrayBuffer()).toString();
      const reply = await send(request);
      const times = (seen.get(text) ?? 0) + 1;
      seen.set(text, times);
      if (!request.url.endsWith('/mdm/connect') || times > 1) return reply;
      await evictAllDurableObjects();
      throw new ReplyLost('dropped');
    },
  });
  const phone = await enrolledPhone({ world });
  const { queued } = await refresh(phone);
  await phone.connect();
  await evictAllDurableObjects();
  const answered = await sections(phone);
  for (const { section: name, commandUuid } of queued)
    expect(answered[name]?.commandUuid, name).toBe(commandUuid);
  await settle();
  expect(await sections(phone)).toEqual(answered);
});

describe('an answer', () => {
  it('to some queries leaves the others, each with its own time', async () => {
    const phone = await enrolledPhone();
    const queries = (...Queries: string[]) => ({ RequestType: 'DeviceInformation', Queries });
    await ask(phone, queries('DeviceName', 'OSVersion'));
    const before = await section(phone, 'device');
    phone.answers.set('DeviceInformation', () => ({ QueryResponses: { DeviceName: 'Renamed' } }));
    await ask(phone, queries('DeviceName', 'OSVersion'));
    const after = await section(phone, 'device');
    expect(values(after)).toEqual({ ...values(before), DeviceName: 'Renamed' });
    expect(after.items['OSVersion']?.asOf).toBe(before.items['OSVersion']?.asOf);
    expect(Date.parse(String(after.asOf))).toBeGreaterThan(Date.parse(String(before.asOf)));
  });

  it('to a query by name changes those alone', async () => {
    const phone = await enrolledPhone();
    const [builtIn] = phone.facts.apps.values();
    if (builtIn === undefined) throw new Error('an iPhone comes with an application');
    for (const identifier of ['a', 'b', 'c']) phone.facts.apps.set(identifier, { ...builtIn, identifier });
    await ask(phone, { RequestType: 'InstalledApplicationList' });
    phone.facts.apps.delete('b');
    phone.facts.apps.delete('c');
    await ask(phone, { RequestType: 'InstalledApplicationList', Identifiers: ['a', 'b'] });
    const { items } = await section(phone, 'installed-applications');
    expect(Object.keys(items)).toEqual(['a', 'c', 'com.example.built-in']);
  });

  it('that cannot be understood changes nothing and holds up nothing', async () => {
    const phone = await enrolledPhone();
    await ask(phone, { RequestType: 'SecurityInfo' });
    const before = await section(phone, 'security');
    phone.answers.set('SecurityInfo', () => ({ SecurityInfo: ['not', 'a', 'dictionary'] }));
    const strange = await ask(phone, { RequestType: 'SecurityInfo' });
    phone.answers.set('SecurityInfo', () => ({ Status: 'Error', ErrorChain: [] }));
    const failed = await ask(phone, { RequestType: 'SecurityInfo' });
    expect(await section(phone, 'security')).toEqual(before);
    expect(await commandState(phone, strange)).toBe('acknowledged');
    expect(await commandState(phone, failed)).toBe('error');
  });

  it('shows certificates by what they say, and keeps no configuration of an application', async () => {
    const watch = await pairedWatch(await assignedPhone());
    await ask(watch, { RequestType: 'CertificateList' });
    const shown = Object.values((await section(watch, 'certificates')).items).map(
      (item) => item.value as Json,
    );
    const own = shown.find((one) => one['isIdentity'] === true);
    expect(own).toMatchObject({ readable: true, subject: expect.stringContaining(watch.udid) });
    expect(Date.parse(String(own?.['notAfter']))).toBeGreaterThan(Date.now());
    watch.answers.set('ManagedApplicationConfiguration', () => ({
      ApplicationConfigurations: [
        { Identifier: 'a', Configuration: { token: 'confidential' } },
        { Identifier: 'b' },
      ],
    }));
    await ask(watch, { RequestType: 'ManagedApplicationConfiguration', Identifiers: ['a', 'b'] });
    expect(values(await section(watch, 'application-configurations'))).toEqual({
      a: { HasConfiguration: true },
      b: { HasConfiguration: false },
    });
    await settle();
    expect(JSON.stringify((await readD1())['inventory'])).not.toContain('confidential');
    expect(secrets.foundIn(JSON.stringify(await sections(watch)))).toEqual([]);
  });
});

describe('what DeviceInformation tells of the device', () => {
  it('is what its record says from then on, and a newer system makes it another manifest', async () => {
    const phone = await enrolledPhone({ osVersion: '16.7' });
    await admin('PUT', `watch-enrollment/devices/${phone.udid}`, { anchors: [] });
    const standing = () => admin('GET', `watch-enrollment/devices/${phone.udid}`);
    expect(await standing()).toMatchObject({ blockedBy: { reason: 'os-too-old' } });
    // What it is told so far, it has: nothing but the answer moves anything from here on.
    await phone.connect();
    await settle();
    await phone.connect();
    const told = { OSVersion: '18.2', BuildVersion: '22C1', ProductName: 'iPhone16,1', IsSupervised: true };
    phone.answers.set('DeviceInformation', () => ({ QueryResponses: told }));
    await ask(phone, { RequestType: 'DeviceInformation', Queries: Object.keys(told) });
    expect(await admin('GET', `devices/${phone.udid}`)).toMatchObject({
      osVersion: '18.2',
      buildVersion: '22C1',
      productName: 'iPhone16,1',
    });
    await settle();
    expect(await standing()).not.toHaveProperty('blockedBy.reason', 'os-too-old');
    const { items } = await admin('GET', `devices/${phone.udid}/declarations`);
    expect(items).not.toEqual([]);
  });

  it('of supervision decides whether it hosts watches', async () => {
    const phone = await assignedPhone();
    phone.answers.set('DeviceInformation', () => ({ QueryResponses: { IsSupervised: false } }));
    await ask(phone, { RequestType: 'DeviceInformation', Queries: ['IsSupervised'] });
    const standing = await admin('GET', `watch-enrollment/devices/${phone.udid}`);
    expect(standing).toMatchObject({ blockedBy: { reason: 'unsupervised' } });
  });
});

it('an inventory ends when another enrollment begins, and the answers stay in history', async () => {
  const phone = await assignedPhone();
  const watch = await pairedWatch(phone);
  const uuid = await ask(watch, { RequestType: 'SecurityInfo' });
  expect(Object.keys(await sections(watch))).toEqual(['security']);
  expect(await watch.pairWith(phone)).toMatchObject({ kind: 'enrolled' });
  expect(await sections(watch)).toEqual({});
  expect(await commandState(watch, uuid)).toBe('acknowledged');
  await assign(phone);
  expect((await refresh(watch, '?section=security')).queued.length).toBe(1);
  await watch.connect();
  expect(Object.keys(await sections(watch))).toEqual(['security']);
});
