/**
 * Stored profiles on an iPhone and a watch, through the front door: installed and removed by commands, given as
 * declarations, changed and brought up to date, with replies lost, put off, resent, and objects evicted. After each
 * story the invariants of everything stored.
 */
import { evictAllDurableObjects } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { Buffer } from 'node:buffer';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { epochMs } from '../../src/std/time.ts';
import { open } from '../simulator/cms.ts';
import { ReplyLost, type SimulatedPhone, type SimulatedWatch, withMischief } from '../simulator/index.ts';
import { fleet } from '../support/device.ts';
import { admin, assignedPhone, newWorld, ordered, pairedWatch, secrets } from '../support/front-door.ts';
import { checkInvariants, settle } from '../support/invariants.ts';
import {
  type Answer,
  CREATE,
  call,
  type Document,
  declaration,
  mobileConfig,
  payload,
  profile,
  putProfile,
  REPLACE,
  text,
} from '../support/uploads.ts';

type Device = SimulatedPhone | SimulatedWatch;

secrets.add('password in a profile', 'the-password-of-profiles');

let phone: SimulatedPhone;
let watch: SimulatedWatch;
beforeAll(async () => {
  phone = await assignedPhone();
  watch = await pairedWatch(phone);
});
afterEach(checkInvariants);

let story = 0;
let id = '';
beforeEach(() => {
  story += 1;
  id = `com.example.story${story}`;
});

const uuid = (version: number) =>
  `5D9D0F6A-2C2B-4D6E-8C1A-${String(story).padStart(4, '0')}${String(version).padStart(8, '0')}`;

/** A Wi-Fi profile of this story; each version has its own SSID and PayloadUUID. */
function wifi(version: number, more: Record<string, string> = {}): string {
  const payloads = [
    payload('com.apple.wifi.managed', {
      SSID_STR: text(`Net ${version}`),
      EncryptionType: text('WPA2'),
      Password: text('the-password-of-profiles'),
    }),
  ];
  return mobileConfig(payloads, {
    PayloadIdentifier: text(`${id}.profile`),
    PayloadUUID: text(uuid(version)),
    ...more,
  });
}

const place = (device: Device, identifier = id) =>
  `/devices/${device.udid}/profiles/${encodeURIComponent(identifier)}`;

async function done(answer: Promise<Answer>): Promise<Answer> {
  const reply = await answer;
  if (reply.status >= 300) throw new Error(`${reply.status} ${reply.text}`);
  const uuids = [reply.body, ...(reply.body?.items ?? [])];
  for (const one of uuids)
    if (one?.ordered === true && one.commandUuid) ordered.set(one.commandUuid, { udid: one.udid });
  return reply;
}

const store = (version: number) => done(putProfile(id, wifi(version), version === 1 ? CREATE : REPLACE));
const install = (device: Device, body: Document = {}) =>
  done(call('PUT', place(device), { push: false, ...body }));
const remove = (device: Device) => done(call('DELETE', `${place(device)}?push=false`));
const record = async (device: Device): Promise<Document> =>
  (await done(call('GET', `/devices/${device.udid}/profiles`))).body.items.find(
    (one: Document) => one.identifier === id,
  );
const overview = async (device: Device): Promise<Document> =>
  (await done(call('GET', `/devices/${device.udid}/profiles`))).body;
/** What the device has under the story's PayloadIdentifier. */
const held = (device: Device) => device.facts.profiles.get(`${id}.profile`)?.['PayloadUUID'];

/** The profile commands that the device was given until nothing more came. */
async function sync(device: Device): Promise<string[]> {
  await settle();
  const seen: string[] = [];
  for (let i = 0; i < 8; i++) {
    const { commands } = await device.connect();
    seen.push(...commands.map((one) => one.requestType));
    if (commands.length === 0) {
      await settle();
      return seen.filter((one) => /^(Install|Remove)Profile$/.test(one));
    }
  }
  throw new Error('a session without end');
}

async function listed(device: Device): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 2));
  const { commandUuid } = await admin('POST', `devices/${device.udid}/commands`, {
    command: { RequestType: 'ProfileList' },
    push: false,
  });
  ordered.set(String(commandUuid), { udid: device.udid });
  await sync(device);
}

describe('a profile by command', () => {
  it('is installed, listed, brought up to date, and removed, on a phone and on a watch', async () => {
    await store(1);
    for (const device of [phone, watch]) {
      const first = await install(device);
      expect([first.status, first.body]).toMatchObject([
        201,
        { state: 'ordered', version: 1, ordered: true },
      ]);
      expect(await sync(device)).toEqual(['InstallProfile']);
      expect(held(device)).toBe(uuid(1));
      // In the authority's name, which the device checks.
      expect(device.facts.signers.get(`${id}.profile`)).toHaveLength(1);
      await listed(device);
      expect(await record(device)).toMatchObject({ state: 'installed', version: 1, installedVersion: 1 });
      expect((await overview(device)).drift).toEqual([]);
    }
    await store(2);
    expect(await record(watch)).toMatchObject({ state: 'installed', installedVersion: 1, currentVersion: 2 });
    const outdated = await done(call('GET', `${profile(id)}/devices?filter=outdated`));
    expect(outdated.body).toMatchObject({ currentVersion: 2, counts: { installed: 2, outdated: 2 } });
    const update = await done(call('POST', `${profile(id)}/install`, { outdated: true, push: false }));
    expect(update.body.counts).toEqual({ ordered: 2, unchanged: 0, refused: 0, unavailable: 0 });
    const again = await done(call('POST', `${profile(id)}/install`, { outdated: true, push: false }));
    expect(again.body).toEqual({
      counts: { ordered: 0, unchanged: 0, refused: 0, unavailable: 0 },
      items: [],
      cursor: null,
    });
    for (const device of [phone, watch]) {
      await sync(device);
      expect([held(device), (await record(device)).installedVersion]).toEqual([uuid(2), 2]);
      expect((await remove(device)).body).toMatchObject({ state: 'removing', installedVersion: 2 });
      expect(await sync(device)).toEqual(['RemoveProfile']);
      expect([held(device), (await record(device)).state]).toEqual([undefined, 'removed']);
      const twice = await remove(device);
      expect([twice.status, twice.body.ordered, await sync(device)]).toEqual([200, false, []]);
    }
    expect((await call('DELETE', profile(id))).status).toBe(204);
  });

  it('is ordered once by whoever repeats the order, before and after the device answered', async () => {
    await store(1);
    const first = await install(watch);
    const second = await install(watch);
    expect([second.status, second.body]).toEqual([200, { ...first.body, ordered: false }]);
    expect(await sync(watch)).toEqual(['InstallProfile']);
    const third = await install(watch);
    expect([third.status, third.body.state, third.body.ordered]).toEqual([200, 'installed', false]);
    expect(await sync(watch)).toEqual([]);
    const again = await install(watch, { again: true });
    expect([again.status, await sync(watch)]).toEqual([201, ['InstallProfile']]);
    await remove(watch);
    await remove(watch);
    expect(await sync(watch)).toEqual(['RemoveProfile']);
  });

  it('is ordered once by forty at once', async () => {
    await store(1);
    const answers = await Promise.all(
      Array.from({ length: 40 }, () => call('PUT', place(phone), { push: false })),
    );
    expect([...new Set(answers.map(({ status }) => status))].sort()).toEqual([200, 201]);
    expect(new Set(answers.map(({ body }) => body.commandUuid)).size).toBe(1);
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(1);
    ordered.set(answers[0]?.body.commandUuid, { udid: phone.udid });
    expect(await sync(phone)).toEqual(['InstallProfile']);
    await remove(phone);
    await sync(phone);
  });

  it('is one version only after forty orders of two at once', async () => {
    await store(1);
    await store(2);
    const answers = await Promise.all(
      Array.from({ length: 40 }, (_, n) =>
        call('PUT', place(phone), { push: false, version: 1 + (n % 2), again: n % 3 === 0 }),
      ),
    );
    for (const { body } of answers) if (body.commandUuid) ordered.set(body.commandUuid, { udid: phone.udid });
    const { version, commandUuid } = await record(phone);
    const { body } = await call('GET', `/devices/${phone.udid}/commands?requestType=InstallProfile`);
    const waiting = body.items.filter((one: Document) => one.state === 'pending');
    expect(waiting.map((one: Document) => one.commandUuid)).toEqual([commandUuid]);
    expect(await sync(phone)).toEqual(['InstallProfile']);
    expect([held(phone), (await record(phone)).installedVersion]).toEqual([uuid(version), version]);
    await remove(phone);
    await sync(phone);
  });

  it('is removed also when the record has yet to learn that it was installed', async () => {
    await store(1);
    await install(watch);
    await watch.connect();
    const removed = await remove(watch);
    expect([removed.status, removed.body.state]).toEqual([201, 'removing']);
    expect([await sync(watch), held(watch)]).toEqual([['RemoveProfile'], undefined]);
  });

  it('that the device puts off is not overtaken by its own removal', async () => {
    await store(1);
    watch.manners.defer('InstallProfile', 1);
    await install(watch);
    const { commands } = await watch.connect();
    expect(commands.map(({ status }) => status)).toEqual(['NotNow']);
    const removed = await remove(watch);
    expect([removed.status, removed.body]).toMatchObject([
      200,
      { state: 'failed', error: { kind: 'canceled' } },
    ]);
    expect([await sync(watch), held(watch)]).toEqual([[], undefined]);
    expect((await install(watch)).status).toBe(201);
    await sync(watch);
    watch.manners.defer('RemoveProfile', 1);
    await remove(watch);
    await watch.connect();
    // Taken back by the opposite order.
    await install(watch);
    expect([await sync(watch), held(watch)]).toEqual([['InstallProfile'], uuid(1)]);
    await remove(watch);
    await sync(watch);
  });

  it('survives lost replies, resent results and evictions on both sides, and is where the record says', async () => {
    const world = withMischief(newWorld(), {
      dropReply: 0.25,
      dropRequest: 0.1,
      resendResult: 0.5,
      notNow: 0.2,
      doubleTokenUpdate: 0,
    });
    const shaky = await assignedPhone({ world });
    await store(1);
    const poll = async () => {
      try {
        await shaky.connect();
      } catch (error) {
        if (!(error instanceof ReplyLost)) throw error;
      }
    };
    for (let version = 1; version <= 3; version++) {
      if (version > 1) await store(version);
      await install(shaky);
      await evictAllDurableObjects();
      for (let i = 0; i < 60 && (await record(shaky)).state !== 'installed'; i++) await poll();
      expect([held(shaky), (await record(shaky)).installedVersion]).toEqual([uuid(version), version]);
    }
    await remove(shaky);
    for (let i = 0; i < 60 && (await record(shaky)).state !== 'removed'; i++) await poll();
    expect(held(shaky)).toBeUndefined();
  });

  it('that the device refuses is failed with the codes, and what it had stays recorded', async () => {
    await store(1);
    await install(watch);
    await sync(watch);
    await store(2);
    watch.manners.fail('InstallProfile');
    await install(watch);
    await sync(watch);
    expect(await record(watch)).toMatchObject({
      state: 'failed',
      version: 2,
      installedVersion: 1,
      error: { kind: 'device', status: 'Error', domain: 'MCMDMErrorDomain', code: 12000 },
    });
    expect((await install(watch)).status).toBe(201);
    await sync(watch);
    expect(await record(watch)).toMatchObject({ state: 'installed', installedVersion: 2, error: null });
    await remove(watch);
    await sync(watch);
  });

  it('whose command expires or is canceled is failed, and may be ordered anew', async () => {
    await store(1);
    const { body } = await install(watch);
    await done(call('DELETE', `/devices/${watch.udid}/commands/${body.commandUuid}`));
    await settle();
    expect(await record(watch)).toMatchObject({ state: 'failed', error: { kind: 'canceled' } });
    const brief = await install(watch, { expiresAt: new Date(Date.now() + 100).toISOString() });
    await new Promise((resolve) => setTimeout(resolve, 150));
    await fleet.sweeper.sweep(epochMs(Date.now()));
    expect([brief.status, await record(watch)]).toMatchObject([
      201,
      { state: 'failed', error: { kind: 'expired' } },
    ]);
    const soon = await install(watch, { expiresAt: new Date(Date.now() + 300).toISOString() });
    await new Promise((resolve) => setTimeout(resolve, 350));
    expect([soon.status, await sync(watch)]).toEqual([201, []]);
    // Whoever orders anew need not wait for the sweeper, which says so in the record.
    expect((await install(watch)).status).toBe(201);
    await fleet.sweeper.sweep(epochMs(Date.now()));
    expect((await record(watch)).state).toBe('ordered');
    expect([await sync(watch), held(watch)]).toEqual([['InstallProfile'], uuid(1)]);
    await remove(watch);
    await sync(watch);
  });

  it('goes with the enrollment, and may be ordered in the next', async () => {
    const host = await assignedPhone();
    const own = await pairedWatch(host);
    await store(1);
    await install(own);
    await sync(own);
    await own.checkOut();
    await settle();
    expect(await record(own)).toMatchObject({
      state: 'removed',
      installedVersion: null,
      error: { kind: 'enrollment-ended' },
    });
    expect((await call('PUT', place(own), {})).kind).toBe('device-not-enrolled');
    await own.pairWith(host);
    expect((await install(own)).status).toBe(201);
    expect([await sync(own), held(own)]).toEqual([expect.arrayContaining(['InstallProfile']), uuid(1)]);
    await remove(own);
    await sync(own);
  });
});

describe('drift', () => {
  it('is what the device lists against what is recorded', async () => {
    await store(1);
    await install(watch);
    await sync(watch);
    await store(2);
    const item = watch.facts.profiles.get(`${id}.profile`) ?? {};
    watch.facts.profiles.set(`${id}.profile`, { ...item, PayloadUUID: uuid(2) });
    watch.facts.profiles.set('com.example.stranger', { ...item, PayloadIdentifier: 'com.example.stranger' });
    await listed(watch);
    expect((await overview(watch)).drift).toEqual([
      { kind: 'other-version', identifier: id, payloadIdentifier: `${id}.profile`, version: 2 },
      { kind: 'unknown', payloadIdentifier: 'com.example.stranger', displayName: 'Wi-Fi' },
    ]);
    watch.facts.profiles.delete('com.example.stranger');
    watch.facts.profiles.delete(`${id}.profile`);
    await listed(watch);
    expect((await overview(watch)).drift).toEqual([
      { kind: 'missing', identifier: id, payloadIdentifier: `${id}.profile` },
    ]);
    // The record is put right by ordering it again, or by having it removed.
    await install(watch, { version: 1, again: true });
    await sync(watch);
    expect(held(watch)).toBe(uuid(1));
    await remove(watch);
    await sync(watch);
  });

  it('settles a removal that failed because the profile was gone', async () => {
    await store(1);
    await install(watch);
    await sync(watch);
    watch.manners.fail('RemoveProfile');
    await remove(watch);
    await sync(watch);
    await listed(watch);
    // Still there: the failure stands.
    expect(await record(watch)).toMatchObject({ state: 'failed', installedVersion: 1 });
    watch.facts.profiles.delete(`${id}.profile`);
    await listed(watch);
    expect(await record(watch)).toMatchObject({ state: 'removed', installedVersion: null, error: null });
    expect((await overview(watch)).drift).toEqual([]);
    expect((await call('DELETE', profile(id))).status).toBe(204);
  });
});

describe('a profile by declaration', () => {
  async function give(device: Device): Promise<void> {
    const act = { type: 'com.apple.activation.simple', payload: { StandardConfigurations: [id] } };
    await done(call('PUT', declaration(`${id}.act`), act, CREATE));
    await admin('PUT', `sets/profiles${story}`, { declarations: [id, `${id}.act`] });
    await admin('PUT', `sets/profiles${story}/devices/${device.udid}`);
    await sync(device);
  }

  it('is shown beside those by command, follows its versions, and is not ordered besides', async () => {
    await store(1);
    await give(watch);
    const content = () => open(watch.profileData(id) ?? Buffer.alloc(0)).content.toString();
    expect(content()).toBe(wifi(1));
    expect(await record(watch)).toMatchObject({ via: 'declaration', state: 'installed', version: 1 });
    expect((await call('PUT', place(watch), {})).kind).toBe('profile-declared');
    await store(2);
    await sync(watch);
    expect([content(), (await record(watch)).installedVersion]).toEqual([wifi(2), 2]);
    await listed(watch);
    expect((await overview(watch)).drift).toEqual([]);
    await admin('DELETE', `sets/profiles${story}/devices/${watch.udid}`);
    await sync(watch);
    expect([await record(watch), watch.profileData(id)]).toEqual([undefined, null]);
  });

  it('is downloaded the same however often, and its token does not know of the signature', async () => {
    const created = await store(1);
    await give(phone);
    const bytes = phone.profileData(id);
    const path = `${env.PUBLIC_URL}/ddm/profiles/${id}`;
    const headers = { 'mdm-signature': phone.mdmSignature(new Uint8Array()) };
    const reply = await phone.world.send(new Request(path, { headers }));
    expect(Buffer.from(await reply.arrayBuffer()).equals(bytes ?? Buffer.alloc(0))).toBe(true);
    expect(created.body).toMatchObject({ signed: false, signedOnDelivery: true });
    const plain = await done(putProfile(id, wifi(1), REPLACE, '?sign=false'));
    expect(plain.body).toMatchObject({ version: 2, signedOnDelivery: false });
    await sync(phone);
    expect(phone.profileData(id)?.toString()).toBe(wifi(1));
    await admin('DELETE', `sets/profiles${story}/devices/${phone.udid}`);
    await sync(phone);
  });
});
