/**
 * Watch enrollment for one iPhone, for a group and for everyone: which assignment counts, how far each iPhone got and
 * why it went no further, and that watches pair by it. After each story the invariants of everything stored.
 */
import { env } from 'cloudflare:workers';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import * as attacks from '../simulator/attacks.ts';
import { SimulatedPhone } from '../simulator/index.ts';
import {
  admin,
  adminReply,
  enrolledPhone,
  type Json,
  logged,
  newWorld,
  order,
  type PhoneChoice,
  pairedWatch,
  pairingOf,
  send,
  steps,
  unpairedWatch,
  url,
} from '../support/front-door.ts';
import { checkInvariants, settle } from '../support/invariants.ts';

const OWN = env.TEST_DEVICE_CA.certificate;
const OTHER = env.TEST_ATTESTATION_CA.certificate;
const THIRD = env.CA_CERTIFICATE;
const TYPE = 'com.apple.configuration.watch.enrollment';

let story = 0;
beforeEach(() => {
  story += 1;
});
afterEach(async () => {
  for (const { group } of (await admin('GET', 'watch-enrollment'))['groups'] as { group: string }[])
    await admin('DELETE', `watch-enrollment/groups/${group}`);
  await checkInvariants();
});

const assignEveryone = (anchors: readonly string[] = []) =>
  admin('PUT', 'watch-enrollment', { anchors: [...anchors] });
const assignGroup = (name: string, anchors: readonly string[] = []) =>
  admin('PUT', `watch-enrollment/groups/${name}`, { anchors: [...anchors] });
const assignOwn = (phone: SimulatedPhone, anchors: readonly string[] = []) =>
  admin('PUT', `watch-enrollment/devices/${phone.udid}`, { anchors: [...anchors] });
const statusOf = (phone: SimulatedPhone) => admin('GET', `watch-enrollment/devices/${phone.udid}`);
const stageOf = async (phone: SimulatedPhone) => (await statusOf(phone))['stage'];

/** A group of these, whose name begins with `letter`. */
async function groupOf(letter: string, ...phones: readonly SimulatedPhone[]): Promise<string> {
  const name = `${letter}-${story}`;
  await admin('PUT', `groups/${name}`);
  await admin('POST', `groups/${name}/devices`, { add: phones.map((one) => one.udid) });
  return name;
}

/** Sessions until the server has no more to say. */
async function catchUp(phone: SimulatedPhone): Promise<void> {
  await settle();
  for (let n = 0; n < 10; n++) if ((await phone.connect()).commands.length === 0) return settle();
  throw new Error('a session without end');
}

/** The anchors that the phone was told to trust, as the server names them. */
async function anchorsHeld(phone: SimulatedPhone): Promise<number | null> {
  const configuration = phone.declarations.find((one) => one.declaration.type === TYPE);
  if (configuration === undefined) return null;
  const references = configuration.declaration.payload['AnchorCertificateAssetReferences'];
  return Array.isArray(references) ? references.length : 0;
}

/** Every iPhone in the list, whatever its page. */
async function listed(): Promise<Map<string, Json>> {
  const items: Json[] = [];
  for (let cursor: unknown = ''; cursor !== null; ) {
    const page = await admin('GET', `watch-enrollment?limit=2${cursor === '' ? '' : `&cursor=${cursor}`}`);
    items.push(...(page['items'] as Json[]));
    cursor = page['cursor'];
  }
  return new Map(items.map((item) => [String(item['device']), item]));
}

describe('watch enrollment', () => {
  it('of everyone reaches an iPhone that enrolls later, and a watch pairs by it', async () => {
    expect(await assignEveryone()).toEqual({
      group: 'everyone',
      assignedAt: expect.stringMatching(/^20/),
      anchors: [],
      waiting: 0,
    });
    const phone = await enrolledPhone();
    await catchUp(phone);
    expect(phone.watchEnrollmentUrl()).toBe(`${url}/enroll/watch`);
    expect(await statusOf(phone)).toMatchObject({
      assigned: true,
      group: 'everyone',
      stage: 'active',
      valid: 'valid',
    });
    await pairedWatch(phone);
    await settle();
    expect(await statusOf(phone)).toMatchObject({ stage: 'paired', pairings: 1 });
  });

  it('of a group lets a watch pair, and withdrawn gives its iPhones no token', async () => {
    const [phone, outside] = [await enrolledPhone(), await enrolledPhone()];
    const group = await groupOf('g', phone);
    await assignGroup(group);
    for (const one of [phone, outside]) await catchUp(one);
    expect([phone.watchEnrollmentUrl(), outside.watchEnrollmentUrl()]).toEqual([`${url}/enroll/watch`, null]);
    await pairedWatch(phone);
    const watch = await unpairedWatch(phone);
    const securityToken = await attacks.challengeOf(watch);
    expect((await outside.getToken({ securityToken, watchUdid: watch.udid })).status).toBe(400);
    expect(await admin('DELETE', `watch-enrollment/groups/${group}`)).toEqual({ waiting: 0 });
    expect((await phone.getToken({ securityToken, watchUdid: watch.udid })).status).toBe(400);
    expect(steps(await pairingOf(watch))).toContain('claimed!phone-not-assigned');
    await catchUp(phone);
    expect(phone.watchEnrollmentUrl()).toBeNull();
    expect(await statusOf(phone)).toMatchObject({
      assigned: false,
      group: null,
      stage: 'unassigned',
      pairings: 1,
    });
  });

  it('that counts is its own, else of its groups the first by name, else of everyone', async () => {
    const phone = await enrolledPhone();
    const [b, a] = [await groupOf('b', phone), await groupOf('a', phone)];
    const counts = async (group: string | null, anchors: number | null) => {
      await catchUp(phone);
      const status = await statusOf(phone);
      const told = status['assigned'] ? (status['anchors'] as string[]).length : null;
      expect([status['group'], told, await anchorsHeld(phone)]).toEqual([group, anchors, anchors]);
    };
    await assignEveryone([OWN, OTHER, THIRD]);
    await counts('everyone', 3);
    await assignGroup(b, [OWN]);
    await counts(b, 1);
    await assignGroup(a, [OWN, OTHER]);
    await counts(a, 2);
    await assignOwn(phone);
    await counts(null, 0);
    await admin('POST', `groups/${a}/devices`, { remove: [phone.udid] });
    await counts(null, 0);
    await admin('DELETE', `watch-enrollment/devices/${phone.udid}`);
    await counts(b, 1);
    await admin('POST', `groups/${a}/devices`, { add: [phone.udid] });
    await counts(a, 2);
    for (const group of [a, b]) await admin('DELETE', `watch-enrollment/groups/${group}`);
    await counts('everyone', 3);
    await admin('DELETE', 'watch-enrollment');
    await counts(null, null);
    const { groups } = await admin('GET', 'watch-enrollment');
    expect(groups).toEqual([]);
  });

  it('given again wakes nobody, and with other anchors those whom it changes', async () => {
    const [phone, own] = [await enrolledPhone(), await enrolledPhone()];
    const group = await groupOf('g', phone, own);
    await assignOwn(own, [OTHER]);
    await assignGroup(group, [OWN]);
    for (const one of [phone, own]) await catchUp(one);
    const wakes = async (act: () => Promise<unknown>) => {
      const from = logged.length;
      await act();
      await settle();
      return logged
        .slice(from)
        .filter((line) => line.includes('"wake"'))
        .map((line) => JSON.parse(line).udid);
    };
    expect(await wakes(() => assignGroup(group, [OWN]))).toEqual([]);
    expect(await wakes(() => assignGroup(group, [OTHER]))).toEqual([phone.udid]);
    expect((await admin('GET', 'watch-enrollment'))['groups']).toMatchObject([
      { group, anchors: [expect.any(String)] },
    ]);
  });

  it('is refused for a group or an iPhone that is not there, for a watch, and with unreadable anchors', async () => {
    const phone = await enrolledPhone();
    await assignOwn(phone);
    await catchUp(phone);
    const watch = await pairedWatch(phone);
    const kinds: [string, string, Json, number][] = [
      ['watch-enrollment/groups/nobody', 'unknown-group', { anchors: [] }, 404],
      ['watch-enrollment/devices/DEVICE-NOBODY', 'unknown-device', { anchors: [] }, 404],
      [`watch-enrollment/devices/${watch.udid}`, 'not-a-phone', { anchors: [] }, 409],
      ['watch-enrollment', 'invalid', { anchors: 'x' }, 400],
    ];
    for (const [path, kind, body, status] of kinds) {
      const reply = await adminReply('PUT', path, body);
      expect([path, reply.status, reply.body['type']]).toEqual([
        path,
        status,
        `urn:escapement:problem:${kind}`,
      ]);
    }
    expect((await adminReply('PUT', 'watch-enrollment', { anchors: ['no PEM'] })).status).toBe(422);
    expect((await admin('GET', 'watch-enrollment'))['groups']).toEqual([]);
  });
});

describe('an iPhone', () => {
  it('goes from unassigned to assigned, delivered, active and paired, and is listed so', async () => {
    let lost = false;
    const world = newWorld({
      send: async (request) => {
        const said = new TextDecoder().decode(await request.clone().arrayBuffer());
        if (lost && said.includes('<string>status</string>')) return new Response('', { status: 503 });
        return send(request);
      },
    });
    const phone = await enrolledPhone({ world });
    const others = [await enrolledPhone(), await enrolledPhone()];
    await catchUp(phone);
    expect(await statusOf(phone)).toEqual({
      device: phone.udid,
      assigned: false,
      group: null,
      stage: 'unassigned',
      assignedAt: null,
      anchors: [],
      delivered: false,
      active: null,
      valid: null,
      reasons: [],
      pairings: 0,
    });
    const group = await groupOf('g', phone);
    await assignGroup(group, [OWN]);
    expect(await statusOf(phone)).toMatchObject({ group, stage: 'assigned', delivered: false, active: null });
    lost = true;
    await expect(phone.connect()).rejects.toThrow('503');
    expect(await statusOf(phone)).toMatchObject({ stage: 'delivered', delivered: true, active: null });
    lost = false;
    await phone.sync({ fullReport: true });
    expect(await statusOf(phone)).toMatchObject({
      stage: 'active',
      active: true,
      valid: 'valid',
      pairings: 0,
    });
    await pairedWatch(phone);
    await settle();
    const status = await statusOf(phone);
    expect(status).toMatchObject({ stage: 'paired', pairings: 1 });
    expect(status).not.toHaveProperty('blockedBy');
    const list = await listed();
    expect(list.get(phone.udid)).toEqual(status);
    for (const one of others)
      expect(list.get(one.udid)).toMatchObject({ stage: 'unassigned', assigned: false });
    const { items } = await admin('GET', 'devices?platform=watchOS');
    for (const watch of items as Json[]) expect(list.has(String(watch['udid']))).toBe(false);
  });
});

describe('an iPhone that stops', () => {
  const blocked = async (phone: SimulatedPhone) => {
    const status = await statusOf(phone);
    expect((await listed()).get(phone.udid)).toEqual(status);
    return status['blockedBy'];
  };

  /** Its simulator has these facts instead of an iPhone's. */
  async function phoneWith(model: Partial<SimulatedPhone['model']>, choice: PhoneChoice = {}) {
    const phone = await SimulatedPhone.create(choice.world ?? newWorld(), choice);
    Object.assign(phone, { model: { ...phone.model, ...model } });
    const { udid, serial } = phone;
    const link = await admin('POST', 'enrollment-links', { udid, serial, platform: 'iOS', signed: false });
    await phone.enrollByLink(String(link['url']));
    return phone;
  }

  it('because it checked out', async () => {
    const phone = await enrolledPhone();
    await assignOwn(phone);
    await phone.checkOut();
    await settle();
    expect(await blocked(phone)).toEqual({ reason: 'checked-out', detail: null });
  });

  it('because it has not enrolled', async () => {
    await assignEveryone();
    const phone = await SimulatedPhone.create(newWorld());
    const { udid, serial } = phone;
    const link = await admin('POST', 'enrollment-links', { udid, serial, platform: 'iOS', signed: false });
    const profile = await send(new Request(String(link['url'])));
    await phone.installIdentity(new Uint8Array(await profile.arrayBuffer()));
    await phone.authenticate();
    await settle();
    expect(await blocked(phone)).toEqual({ reason: 'not-enrolled', detail: null });
    await phone.tokenUpdate();
    await catchUp(phone);
    expect([await stageOf(phone), await blocked(phone)]).toEqual(['active', undefined]);
  });

  it('because it is not supervised', async () => {
    const phone = await enrolledPhone({ supervised: false });
    await assignOwn(phone);
    await order(phone, 'DeviceInformation', {
      command: { RequestType: 'DeviceInformation', Queries: ['IsSupervised'] },
    });
    await catchUp(phone);
    expect(await blocked(phone)).toEqual({ reason: 'unsupervised', detail: null });
  });

  it('because its iOS is too old, until it reports another', async () => {
    const phone = await phoneWith({ osVersion: '16.7' });
    await assignOwn(phone);
    await catchUp(phone);
    expect(await stageOf(phone)).toBe('assigned');
    expect(await blocked(phone)).toEqual({ reason: 'os-too-old', detail: 'iOS 17.0 or later' });
    Object.assign(phone, { model: { ...phone.model, osVersion: '26.1' } });
    await phone.sync({ fullReport: true });
    await catchUp(phone);
    expect([await stageOf(phone), await blocked(phone)]).toEqual(['active', undefined]);
  });

  it('because it does not report the configuration among its capabilities', async () => {
    const phone = await phoneWith({
      configurations: ['com.apple.configuration.management.status-subscriptions'],
    });
    await catchUp(phone);
    await assignOwn(phone);
    await catchUp(phone);
    expect(await stageOf(phone)).toBe('assigned');
    expect(await blocked(phone)).toEqual({
      reason: 'not-capable',
      detail: `a device that reports ${TYPE} among its capabilities`,
    });
  });

  it('because an anchor is no use to it', async () => {
    const world = newWorld({
      send: async (request) =>
        request.url.includes('/ddm/assets/') ? new Response('', { status: 404 }) : send(request),
    });
    const phone = await enrolledPhone({ world });
    await assignOwn(phone, [OWN]);
    await catchUp(phone);
    expect(await stageOf(phone)).toBe('delivered');
    expect(await blocked(phone)).toEqual({ reason: 'invalid-anchor', detail: expect.stringMatching(/\S/) });
  });

  it('because it finds the configuration invalid', async () => {
    const world = newWorld({
      send: async (request) => {
        const answer = await send(request);
        const text = new TextDecoder().decode(await answer.clone().arrayBuffer());
        if (!text.includes('EnrollmentProfileURL')) return answer;
        return new Response(text.replace('https:', 'ftp:'), answer);
      },
    });
    const phone = await enrolledPhone({ world });
    await assignOwn(phone);
    await catchUp(phone);
    expect(await statusOf(phone)).toMatchObject({
      stage: 'delivered',
      active: false,
      valid: 'invalid',
      blockedBy: { reason: 'invalid-configuration', detail: 'EnrollmentProfileURL is not an https URL' },
    });
  });
});
