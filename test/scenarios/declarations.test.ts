/**
 * An administrator's declarations reach an iPhone and a watch, through the front door: after every edit both hold
 * what was declared, and are told exactly when it changed. After each story the invariants of everything stored.
 */

import { evictAllDurableObjects } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Random, type SimulatedPhone, type SimulatedWatch } from '../simulator/index.ts';
import { countingSql } from '../support/device.ts';
import {
  admin,
  adminReply,
  assign,
  assignedPhone,
  enrolledPhone,
  type Json,
  pairedWatch,
  printOnFailure,
  url,
} from '../support/front-door.ts';
import { checkInvariants, settle } from '../support/invariants.ts';
import { declare as putAnyway } from '../support/put-declaration.ts';

afterEach(checkInvariants);

type Device = SimulatedPhone | SimulatedWatch;

const TEST = 'com.apple.configuration.management.test';
const SIMPLE = 'com.apple.activation.simple';
const PHONES_ONLY = 'com.apple.configuration.watch.enrollment';

let story = 0;
let prefix = '';
beforeEach(() => {
  story += 1;
  prefix = `com.example.${story}`;
});

async function declare(name: string, type: string, payload: Json): Promise<string> {
  await putAnyway(`${prefix}.${name}`, type, payload);
  return `${prefix}.${name}`;
}

const echo = (name: string, text: string) => declare(name, TEST, { Echo: text });
const activate = (name: string, configurations: readonly string[]) =>
  declare(name, SIMPLE, { StandardConfigurations: [...configurations] });
const putSet = (name: string, declarations: readonly string[]) =>
  admin('PUT', `sets/s${story}.${name}`, { declarations: [...declarations] });
const assignSet = (name: string, device: Device) =>
  admin('PUT', `sets/s${story}.${name}/devices/${device.udid}`);
const unassignSet = (name: string, device: Device) =>
  admin('DELETE', `sets/s${story}.${name}/devices/${device.udid}`);

/** What the administrator's view of a device says of what `setting` made; null is an administrator's own. */
async function items(device: Device, setting: string | null = null): Promise<Json[]> {
  const all = (await admin('GET', `devices/${device.udid}/declarations`))['items'] as Json[];
  return all.filter((item) => (item['origin'] as Json)['setting'] === setting);
}

/** Whether the device was told, and synced. */
async function told(device: Device): Promise<boolean> {
  await settle();
  let synced = false;
  for (let i = 0; i < 5; i++) {
    const { commands, sync } = await device.connect();
    synced ||= sync !== null;
    // Its first report tells of its capabilities, which may change what it is to hold.
    await settle();
    if (commands.length === 0) return synced;
  }
  throw new Error('a session without end');
}

/** It reported its capabilities, and is asked for no more than they name. */
async function acquainted(): Promise<SimulatedPhone> {
  const phone = await enrolledPhone();
  while (await told(phone));
  return phone;
}

/** Own declarations that the device holds: identifier without prefix, and the Echo, active or not. */
function held(device: Device): Record<string, unknown> {
  const own = device.declarations.filter(({ declaration }) => declaration.identifier.startsWith(prefix));
  return Object.fromEntries(
    own.map(({ declaration, active }) => [
      declaration.identifier.slice(prefix.length + 1),
      `${declaration.payload['Echo'] ?? declaration.kind}${active ? '' : ' (inactive)'}`,
    ]),
  );
}

describe('declarations of an administrator', () => {
  it('reach a phone and a watch when they are assigned, replaced, removed and unassigned', async () => {
    const phone = await assignedPhone();
    const watch = await pairedWatch(phone);
    const [a, b] = [await echo('a', '1'), await echo('b', '1')];
    const act = await activate('act', [a, b]);
    await putSet('all', [a, b, act]);
    const devices = [phone, watch];
    for (const device of devices) {
      await assignSet('all', device);
      expect(await told(device)).toBe(true);
      expect(held(device)).toEqual({ a: '1', b: '1', act: 'activation' });
    }
    await echo('a', '2');
    for (const device of devices) {
      expect(await told(device)).toBe(true);
      expect(held(device)).toEqual({ a: '2', b: '1', act: 'activation' });
    }
    expect(await items(watch)).toEqual([
      expect.objectContaining({ identifier: act, fetched: true, active: true, valid: 'valid' }),
      expect.objectContaining({
        identifier: a,
        origin: { sets: [`s${story}.all`], setting: null },
        fetched: true,
        active: true,
        valid: 'valid',
      }),
      expect.objectContaining({ identifier: b, fetched: true, active: true, valid: 'valid' }),
    ]);
    await activate('act', [a]);
    await putSet('all', [a, act]);
    await admin('DELETE', `declarations/${b}`);
    for (const device of devices) {
      expect(await told(device)).toBe(true);
      expect(held(device)).toEqual({ a: '2', act: 'activation' });
    }
    await unassignSet('all', watch);
    expect(await told(watch)).toBe(true);
    expect(held(watch)).toEqual({});
    expect(await told(phone)).toBe(false);
    expect(held(phone)).toEqual({ a: '2', act: 'activation' });
    expect(phone.watchEnrollmentUrl()).toBe(`${url}/enroll/watch`);
  });

  it('and watch enrollment keep each other', async () => {
    const phone = await enrolledPhone();
    const a = await echo('a', '1');
    await putSet('one', [a, await activate('act', [a])]);
    await assignSet('one', phone);
    expect(await told(phone)).toBe(true);
    await assign(phone);
    expect(held(phone)).toEqual({ a: '1', act: 'activation' });
    expect(phone.watchEnrollmentUrl()).not.toBeNull();
    await echo('a', '2');
    expect(await told(phone)).toBe(true);
    expect(held(phone)).toEqual({ a: '2', act: 'activation' });
    expect(phone.watchEnrollmentUrl()).not.toBeNull();
    const own = await items(phone, 'watch-enrollment');
    expect(own.map((item) => item['kind'])).toEqual(['activation', 'configuration']);
    await admin('DELETE', `watch-enrollment/devices/${phone.udid}`);
    expect(await told(phone)).toBe(true);
    expect(held(phone)).toEqual({ a: '2', act: 'activation' });
    expect(phone.watchEnrollmentUrl()).toBeNull();
    await unassignSet('one', phone);
    expect(await told(phone)).toBe(true);
    expect(await items(phone)).toEqual([]);
    expect(held(phone)).toEqual({});
  });

  it('that one platform does not take reach the other', async () => {
    const phone = await assignedPhone();
    const watch = await pairedWatch(phone);
    const only = await declare('phones', PHONES_ONLY, { EnrollmentProfileURL: 'https://x.example/' });
    const both = await echo('both', '1');
    await putSet('one', [only, both]);
    for (const device of [phone, watch]) {
      await assignSet('one', device);
      await told(device);
    }
    expect(Object.keys(held(phone)).sort()).toEqual(['both', 'phones']);
    expect(Object.keys(held(watch))).toEqual(['both']);
    expect((await items(watch)).find((item) => item['identifier'] === only)).toMatchObject({
      withheld: { rule: 'platform', expected: 'not watchOS' },
      fetched: false,
    });
  });

  it('are told of once, whatever was edited meanwhile, and asked for without a query of D1 when unchanged', async () => {
    const phone = await acquainted();
    const commandsOf = async () => (await admin('GET', `devices/${phone.udid}/commands`))['items'] as Json[];
    const before = (await commandsOf()).length;
    const a = await echo('a', '0');
    await putSet('one', [a]);
    await assignSet('one', phone);
    for (let i = 1; i <= 4; i++) await echo('a', String(i));
    await settle();
    const { commands } = await phone.connect();
    expect(commands.map((one) => one.requestType)).toEqual(['DeclarativeManagement']);
    await settle();
    const listed = await commandsOf();
    expect(listed.slice(0, listed.length - before)).toMatchObject([
      { requestType: 'DeclarativeManagement', state: 'acknowledged' },
    ]);
    expect(await admin('GET', `devices/${phone.udid}/declarations`)).toMatchObject({
      declarationsToken: phone.declarationsToken,
      pending: false,
    });
    expect(held(phone)).toEqual({ a: '4 (inactive)' });
    const { result, d1 } = await countingSql(() => phone.sync());
    expect([result.changed, d1]).toEqual([false, 0]);
    await echo('a', '4');
    expect(await told(phone)).toBe(false);
    await admin('POST', `declarations/${a}/touch`);
    expect(await told(phone)).toBe(true);
  });

  it('that changed and changed back before the device asked are held, and are not told of again', async () => {
    const phone = await acquainted();
    const a = await echo('a', '1');
    await putSet('one', [a]);
    await assignSet('one', phone);
    await told(phone);
    const token = phone.declarationsToken;
    await echo('a', '2');
    await echo('a', '1');
    await settle();
    const { sync } = await phone.connect();
    expect([sync?.fetched ?? [], phone.declarationsToken]).toEqual([[], token]);
    const own = (await items(phone)).filter((item) => item['identifier'] === a);
    expect(own).toMatchObject([{ fetched: true, valid: 'valid' }]);
    await putSet('one', [a]);
    expect(await told(phone)).toBe(false);
  });

  it('that a device dropped and was given again are not held to what it said of them before', async () => {
    const phone = await acquainted();
    const a = await echo('a', '1');
    await putSet('one', [a]);
    await assignSet('one', phone);
    expect(await told(phone)).toBe(true);
    expect(await items(phone)).toMatchObject([{ identifier: a, fetched: true, valid: 'valid' }]);
    await unassignSet('one', phone);
    expect(await told(phone)).toBe(true);
    await assignSet('one', phone);
    await settle();
    expect(await items(phone)).toMatchObject([{ identifier: a, fetched: false, active: null, valid: null }]);
    expect(await told(phone)).toBe(true);
    expect(await items(phone)).toMatchObject([{ identifier: a, fetched: true, valid: 'valid' }]);
  });

  it('that changed at the same moment all arrive', async () => {
    const phone = await enrolledPhone();
    const names = ['a', 'b', 'c', 'd', 'e'];
    const declared = await Promise.all(names.map((name) => echo(name, '0')));
    await Promise.all(declared.map((identifier, i) => putSet(names[i] as string, [identifier])));
    await Promise.all([
      assign(phone),
      ...names.map((name) => assignSet(name, phone)),
      ...names.map((name) => echo(name, '1')),
    ]);
    await told(phone);
    expect(held(phone)).toEqual(Object.fromEntries(names.map((name) => [name, '1 (inactive)'])));
    expect(phone.watchEnrollmentUrl()).not.toBeNull();
  });

  it('that a device could not be told of reach it when it asks', async () => {
    const phone = await enrolledPhone();
    const a = await echo('a', '1');
    await putSet('one', [a]);
    await assignSet('one', phone);
    await settle();
    // The declaration changed and the call that changed it ended before the phone's object heard of it.
    await env.DB.prepare(
      'UPDATE declarations SET payload = \'{"Echo":"2"}\', server_token = \'other\' WHERE identifier = ?',
    )
      .bind(a)
      .run();
    for (const { name } of (await env.RENDERED.list()).keys) await env.RENDERED.delete(name);
    await expect(phone.connect()).rejects.toThrow('503');
    await told(phone);
    expect(held(phone)).toEqual({ a: '2 (inactive)' });
  });
});

describe('random edits', () => {
  const seeds = Array.from({ length: 4 }, (_, i) => Math.floor(Math.random() * 2 ** 20) * 10 + i);

  it.each(seeds)(
    'leave phone and watch with what is declared, and tell them exactly of changes: seed %i',
    async (seed) => {
      printOnFailure(() => `seed ${seed}: ${edits.join('; ')}`);
      const edits: string[] = [];
      const dice = new Random(seed);
      const phone = await assignedPhone();
      const watch = await pairedWatch(phone);
      const devices = [phone, watch];
      const names = ['a', 'b', 'c', 'd'];
      const content = new Map<string, string>();
      const sets = new Map<string, Set<string>>([
        ['x', new Set()],
        ['y', new Set()],
      ]);
      const members = new Map<string, Set<Device>>([
        ['x', new Set()],
        ['y', new Set()],
      ]);
      const tokens = new Map<string, string>();
      for (const set of sets.keys()) await putSet(set, []);
      for (const device of devices) await told(device);
      const expected = (device: Device) => {
        const own = [...sets]
          .filter(([set]) => members.get(set)?.has(device))
          .flatMap(([, list]) => [...list]);
        return Object.fromEntries([...new Set(own)].map((name) => [name, `${content.get(name)} (inactive)`]));
      };
      const edit = async () => {
        const [name, set, device] = [dice.pick(names), dice.pick([...sets.keys()]), dice.pick(devices)];
        const deed = dice.int(6);
        edits.push(`${deed} ${name} ${set} ${device === phone ? 'phone' : 'watch'}`);
        if (deed <= 1) {
          const text = String(dice.int(3));
          content.set(name, text);
          await echo(name, text);
          const { serverToken } = await admin('GET', `declarations/${prefix}.${name}`);
          const key = `${name} ${text}`;
          expect(tokens.get(key) ?? serverToken).toBe(serverToken);
          tokens.set(key, String(serverToken));
        } else if (deed === 2) {
          const { status } = await adminReply('DELETE', `declarations/${prefix}.${name}`);
          const used = [...sets.values()].some((list) => list.has(name));
          expect(status).toBe(!content.has(name) ? 404 : used ? 409 : 204);
          if (status === 204) content.delete(name);
        } else if (deed === 3) {
          const list = [...content.keys()].filter(() => dice.int(2) === 0);
          sets.set(set, new Set(list));
          await putSet(
            set,
            list.map((one) => `${prefix}.${one}`),
          );
        } else if (deed === 4) {
          members.get(set)?.add(device);
          await assignSet(set, device);
        } else {
          members.get(set)?.delete(device);
          await unassignSet(set, device);
        }
      };
      for (let round = 0; round < 12; round++) {
        const before = devices.map(expected);
        await edit();
        if (dice.int(4) === 0) await evictAllDurableObjects();
        for (const [i, device] of devices.entries()) {
          const old = device.declarationsToken;
          const changed =
            JSON.stringify(sorted(before[i] as Json)) !== JSON.stringify(sorted(expected(device)));
          expect(await told(device), edits.join('; ')).toBe(changed);
          expect(device.declarationsToken !== old).toBe(changed);
          expect(held(device)).toEqual(expected(device));
        }
      }
      expect(new Set(tokens.values()).size).toBe(tokens.size);
      expect(phone.watchEnrollmentUrl()).not.toBeNull();
    },
  );
});

function sorted(record: Json): [string, unknown][] {
  return Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1));
}
