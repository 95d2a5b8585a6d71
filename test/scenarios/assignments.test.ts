// biome-ignore-all lint/suspicious/noTemplateCurlyInString: variables in declarations are written like this
/**
 * Groups, percentages, properties, subscriptions and capabilities, through the front door: each change reaches the
 * devices that it concerns, and wakes no other. After each story the invariants of everything stored.
 */
import { env } from 'cloudflare:workers';
import { Buffer } from 'node:buffer';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  SIMPLE,
  type SimulatedDevice,
  Story,
  seen,
  told,
  udidInShard,
  wokenBy,
} from '../support/declared.ts';
import {
  admin,
  adminReply,
  assignedPhone,
  enrolledPhone,
  type Json,
  pairedWatch,
} from '../support/front-door.ts';
import { checkInvariants } from '../support/invariants.ts';

const SIRI = 'com.apple.configuration.siri.settings';

let stories = 0;
let story = new Story('a0');
beforeEach(() => {
  stories += 1;
  story = new Story(`a${stories}`);
});
afterEach(async () => {
  const { items } = await admin('GET', 'sets?limit=500');
  for (const set of items as { name: string; groups: { group: string }[] }[])
    for (const { group } of set.groups) await admin('DELETE', `sets/${set.name}/groups/${group}`);
  await admin('DELETE', 'subscriptions/iOS');
  await admin('DELETE', 'subscriptions/watchOS');
  await checkInvariants();
});

const setProperties = (device: SimulatedDevice, properties: Json, name?: string) =>
  admin('PUT', `devices/${device.udid}/properties`, { properties, ...(name === undefined ? {} : { name }) });
const subscribed = (device: SimulatedDevice): unknown[] => {
  const found = device.declarations.find(
    (one) => one.declaration.identifier === 'com.escapement.subscriptions',
  );
  return ((found?.declaration.payload['StatusItems'] ?? []) as Json[]).map((item) => item['Name']);
};
const withheld = async (device: SimulatedDevice, identifier: string) =>
  (await seen(device, identifier))?.['withheld'] ?? null;

/** One status report beside those that the device sends by itself. */
async function report(device: SimulatedDevice, items: Json): Promise<void> {
  const data = Buffer.from(JSON.stringify({ StatusItems: items, Errors: [] }));
  const reply = await device.checkIn('DeclarativeManagement', { Endpoint: 'status', Data: data });
  expect(reply.status).toBe(200);
}
const able = (declarations: Record<string, readonly string[]>) => ({
  management: { 'client-capabilities': { 'supported-payloads': { declarations } } },
});

/** Enrolled, told of everything, and its capabilities reported. */
async function quietPhone(udid?: string) {
  const phone = await enrolledPhone(udid === undefined ? {} : { udid });
  await told(phone);
  return phone;
}

describe('a set of a group', () => {
  it('reaches the devices up to its percentage, and a change of that wakes those whom it moves', async () => {
    const shards = [5, 49, 50, 99];
    const phones = [];
    for (const shard of shards) phones.push(await quietPhone(udidInShard(shard)));
    const udids = phones.map((phone) => phone.udid);
    await story.putSet('s', [await story.echo('a', '1')]);
    const group = await story.group('g', { add: phones });
    let before: boolean[] = phones.map(() => false);
    for (const percent of [10, 50, 50, 100, 0]) {
      const woken = await wokenBy(phones, () => story.assignGroup('s', group, percent));
      const having = shards.map((shard) => shard < percent);
      expect(woken, `${percent} percent`).toEqual(udids.filter((_, i) => having[i] !== before[i]));
      for (const [i, phone] of phones.entries()) {
        expect(await told(phone)).toBe(having[i] !== before[i]);
        expect(story.held(phone)).toEqual(having[i] ? { a: '1' } : {});
      }
      before = having;
    }
    const [, , , last] = phones;
    await story.assignGroup('s', group, 100);
    expect(await wokenBy(phones, () => story.unassignGroup('s', group))).toEqual(udids);
    if (last !== undefined) expect(await told(last)).toBe(true);
  });

  it('comes and goes with membership, and other members hear nothing of it', async () => {
    const [one, two] = [await quietPhone(), await quietPhone()];
    await story.putSet('s', [await story.echo('a', '1')]);
    const group = await story.group('g', { add: [one] });
    await story.assignGroup('s', group);
    await told(one);
    expect(await wokenBy([one, two], () => story.group('g', { add: [one, two] }))).toEqual([two.udid]);
    await told(two);
    expect([story.held(one), story.held(two)]).toEqual([{ a: '1' }, { a: '1' }]);
    expect(await wokenBy([one, two], () => story.group('g', { remove: [one] }))).toEqual([one.udid]);
    await told(one);
    expect([story.held(one), story.held(two)]).toEqual([{}, { a: '1' }]);
    expect(await wokenBy([one, two], () => story.echo('a', '2'))).toEqual([two.udid]);
    // Named in both lists, it is no member afterwards.
    await told(two);
    expect(await wokenBy([one, two], () => story.group('g', { add: [two], remove: [two] }))).toEqual([
      two.udid,
    ]);
    await told(two);
    expect(story.held(two)).toEqual({});
  });

  it('is held once by a device that has it for several reasons, until the last is gone', async () => {
    const phone = await quietPhone();
    const a = await story.echo('a', '1');
    for (const set of ['s', 't']) await story.putSet(set, [a]);
    const group = await story.group('g', { add: [phone] });
    const whole = [
      story.assign('s', phone),
      story.assignGroup('s', group),
      story.assignGroup('t', 'everyone'),
    ];
    await Promise.all(whole);
    await told(phone);
    expect((await seen(phone, a))?.['origin']).toEqual({
      sets: [story.named('s'), story.named('t')],
      setting: null,
    });
    const remove = [
      () => admin('DELETE', `sets/${story.named('s')}/devices/${phone.udid}`),
      () => story.group('g', { remove: [phone] }),
    ];
    for (const act of remove) expect(await wokenBy([phone], act)).toEqual([]);
    expect(await wokenBy([phone], () => story.unassignGroup('t', 'everyone'))).toEqual([phone.udid]);
    await told(phone);
    expect(story.held(phone)).toEqual({});
  });

  it('of everyone reaches phone and watch, and who enrolls later by itself', async () => {
    const phone = await assignedPhone();
    await told(phone);
    const a = await story.echo('a', '1');
    await story.putSet('s', [a, await story.declare('act', SIMPLE, { StandardConfigurations: [a] })]);
    expect(await wokenBy([phone], () => story.assignGroup('s', 'everyone'))).toEqual([phone.udid]);
    await told(phone);
    const watch = await pairedWatch(phone);
    const later = await enrolledPhone();
    for (const device of [phone, watch, later]) {
      await told(device);
      expect(story.held(device)).toEqual({ a: '1', act: 'activation' });
      expect(await seen(device, a)).toMatchObject({ fetched: true, active: true, valid: 'valid' });
    }
    await later.checkOut();
    expect(await wokenBy([phone, watch, later], () => story.echo('a', '2'))).toEqual([
      phone.udid,
      watch.udid,
    ]);
  });

  it('of everyone that changes while a device enrolls is held by it as it is at last', async () => {
    await story.putSet('s', [await story.echo('a', '0')]);
    await story.assignGroup('s', 'everyone');
    const edits = async () => {
      for (let n = 1; n <= 12; n++) await story.echo('a', String(n));
    };
    const [phone] = await Promise.all([enrolledPhone(), edits()]);
    await told(phone);
    expect(story.held(phone)).toEqual({ a: '12' });
  });

  it('that changes while members come and go is held by those who are members at last', async () => {
    const [one, two] = [await quietPhone(), await quietPhone()];
    await story.putSet('s', [await story.echo('a', '0')]);
    const group = await story.group('g', { add: [one] });
    await story.assignGroup('s', group);
    await Promise.all([
      story.echo('a', '1'),
      story.group('g', { remove: [one] }),
      story.group('g', { add: [two] }),
      story.putSet('s', [`${story.prefix}.a`, await story.echo('b', '1')]),
    ]);
    await told(one);
    await told(two);
    expect([story.held(one), story.held(two)]).toEqual([{}, { a: '1', b: '1' }]);
  });
});

describe('variables and properties', () => {
  it('make a declaration of each device, with a token of its own, which no other is given', async () => {
    const [one, two] = [await quietPhone(), await quietPhone()];
    const a = await story.echo('a', '${udid} ${serial} $${udid}');
    const b = await story.echo('b', '${property.room}');
    await story.putSet('s', [a, b]);
    await story.assignGroup('s', await story.group('g', { add: [one, two] }));
    for (const phone of [one, two]) {
      await told(phone);
      expect(story.held(phone)).toEqual({ a: `${phone.udid} ${phone.serial} \${udid}` });
      expect(await withheld(phone, b)).toEqual({
        rule: 'variable',
        expected: 'a value for ${property.room}',
      });
    }
    const tokens = async (identifier: string) =>
      Promise.all([one, two].map(async (phone) => (await seen(phone, identifier))?.['serverToken']));
    const [first, second] = await tokens(a);
    expect(first).not.toBe(second);

    expect(await wokenBy([one, two], () => setProperties(one, { room: 'A' }))).toEqual([one.udid]);
    await told(one);
    expect(await wokenBy([one, two], () => setProperties(two, { room: 'A' }, 'Kim'))).toEqual([two.udid]);
    await told(two);
    expect([story.held(one)['b'], story.held(two)['b']]).toEqual(['A', 'A']);
    const [same, asThis] = await tokens(b);
    expect(same).toBe(asThis);
    // What one device alone is given is not at the edge.
    const { keys } = await env.RENDERED.list();
    const stored = keys
      .map((key) => key.name)
      .filter((name) => name.startsWith(`declaration/${story.prefix}`));
    expect(stored).toEqual([]);

    expect(await wokenBy([one, two], () => setProperties(one, { room: 'A' }))).toEqual([]);
    expect(await wokenBy([one, two], () => setProperties(one, { room: 'B' }))).toEqual([one.udid]);
    await told(one);
    expect([story.held(one)['b'], story.held(two)['b']]).toEqual(['B', 'A']);
    await setProperties(one, {});
    await told(one);
    expect(Object.keys(story.held(one))).toEqual(['a']);
    expect(await withheld(one, b)).toMatchObject({ rule: 'variable' });
  });

  it('name the device, and leave with the last variable', async () => {
    const phone = await quietPhone();
    await story.putSet('s', [await story.echo('a', 'this is ${name}')]);
    await story.assign('s', phone);
    await setProperties(phone, {}, 'Kim');
    await told(phone);
    expect(story.held(phone)).toEqual({ a: 'this is Kim' });
    await story.echo('a', 'this is a phone');
    await told(phone);
    expect(story.held(phone)).toEqual({ a: 'this is a phone' });
    expect(await wokenBy([phone], () => setProperties(phone, {}, 'Pat'))).toEqual([]);
  });

  it('reach the device as its properties too, for predicates, as long as it has any', async () => {
    const phone = await quietPhone();
    const own = () =>
      phone.declarations.find((one) => one.declaration.type === 'com.apple.management.properties')
        ?.declaration;
    expect(own()).toBeUndefined();
    await report(phone, able({ management: ['com.apple.management.properties'] }));
    await setProperties(phone, { room: 'A', floor: 2, 'lab.open': true });
    await told(phone);
    expect(own()).toMatchObject({ kind: 'management', payload: { room: 'A', floor: 2, 'lab.open': true } });
    expect(await seen(phone, 'com.escapement.properties')).toMatchObject({
      origin: { sets: [], setting: 'properties' },
      fetched: true,
      valid: 'valid',
    });
    await setProperties(phone, {});
    await told(phone);
    expect(own()).toBeUndefined();
  });
});

describe('status subscriptions', () => {
  it('reach every device after it enrolled, for what its platform has and it says it reports', async () => {
    const phone = await assignedPhone();
    const watch = await pairedWatch(phone);
    for (const device of [phone, watch]) {
      await told(device);
      expect(subscribed(device)).toContain('passcode.is-compliant');
      // Of iOS, and not among what the simulated device reports.
      expect(subscribed(device)).not.toContain('softwareupdate.install-state');
      const { items } = await admin('GET', `devices/${device.udid}/status`);
      expect((items as Json[]).map((item) => item['name'])).toContain('passcode.is-compliant');
    }
  });

  it('of a platform change for its devices alone, and go back to the default', async () => {
    const phone = await assignedPhone();
    const watch = await pairedWatch(phone);
    const devices = [phone, watch];
    for (const device of devices) await told(device);
    const byDefault = subscribed(watch);
    const items = ['passcode.is-present', 'device.identifier.udid'];
    const put = () => admin('PUT', 'subscriptions/watchOS', { items });
    expect(await wokenBy(devices, put)).toEqual([watch.udid]);
    await told(watch);
    expect(subscribed(watch)).toEqual(items.toSorted());
    expect(await wokenBy(devices, put)).toEqual([]);
    await admin('PUT', 'subscriptions/watchOS', { items: [] });
    await told(watch);
    expect(watch.declarations).toEqual([]);
    expect(await wokenBy(devices, () => admin('DELETE', 'subscriptions/watchOS'))).toEqual([watch.udid]);
    await told(watch);
    expect(subscribed(watch)).toEqual(byDefault);
  });
});

describe('what a device does not take', () => {
  it('is withheld by its capabilities, and given when a later report names it', async () => {
    const phone = await quietPhone();
    await report(phone, able({ configurations: [SIRI] }));
    const a = await story.echo('a', '1');
    await story.putSet('s', [a]);
    expect(await wokenBy([phone], () => story.assign('s', phone))).toEqual([]);
    expect(story.held(phone)).toEqual({});
    expect(await withheld(phone, a)).toMatchObject({ rule: 'capabilities' });
    expect(await wokenBy([phone], () => phone.sync({ fullReport: true }))).toEqual([phone.udid]);
    await told(phone);
    expect(story.held(phone)).toEqual({ a: '1' });
    expect(await withheld(phone, a)).toBe(null);
  });

  it('is withheld by its version, and given when it reports another', async () => {
    const phone = await quietPhone();
    await report(phone, able({ configurations: [SIRI] }));
    const a = await story.declare('siri', SIRI, {});
    await story.putSet('s', [a]);
    await story.assign('s', phone);
    await told(phone);
    expect(await withheld(phone, a)).toEqual({ rule: 'version', expected: 'iOS 26.4 or later' });
    const update = { 'operating-system': { version: '26.4', 'build-version': '23E246' } };
    expect(await wokenBy([phone], () => report(phone, { device: update }))).toEqual([phone.udid]);
    await told(phone);
    expect(Object.keys(story.held(phone))).toEqual(['siri']);
  });

  it('does not make it hear of anything, however often it says so', async () => {
    const phone = await quietPhone();
    const a = await story.echo('a', '1');
    await story.putSet('s', [a]);
    await story.assign('s', phone);
    await told(phone);
    const say = async () => {
      for (let n = 0; n < 5; n++) await phone.sync({ fullReport: true });
    };
    expect(await wokenBy([phone], say)).toEqual([]);
    const { body } = await adminReply('GET', 'manifests');
    expect(body).toEqual({ waiting: 0, since: null });
  });
});
