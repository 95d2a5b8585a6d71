/**
 * A dry run of every kind of change: what it forecasts is what the change then does, for fleets and edits from a
 * printed seed; and it stores nothing and wakes nobody. Devices are their objects alone, with invented certificates.
 */
import { env } from 'cloudflare:workers';
import { beforeAll, describe, expect, it } from 'vitest';
import { DeclarativeManagementService } from '../../src/domain/declaration/ddm.ts';
import { VerifiedDevice } from '../../src/domain/identity/verified-device.ts';
import { randomUuid } from '../../src/pki/random.ts';
import { utf8 } from '../../src/std/bytes.ts';
import { D1Declarations } from '../../src/storage/d1/declarations.ts';
import { KvRendered } from '../../src/storage/kv/rendered.ts';
import { Random } from '../simulator/index.ts';
import {
  database,
  enrolledDevice,
  fleet,
  newDevice,
  devices as objects,
  START,
  type TestDevice,
} from '../support/device.ts';
import { admin, adminReply, type Json, logged, printOnFailure } from '../support/front-door.ts';
import { readD1 } from '../support/invariants.ts';
import { value } from '../support/pairing.ts';
import { call } from '../support/uploads.ts';

const TEST = 'com.apple.configuration.management.test';
const SIMPLE = 'com.apple.activation.simple';

interface Forecast {
  readonly udid: string;
  readonly changes: readonly { identifier: string; kind: string; change: 'add' | 'replace' | 'remove' }[];
  readonly withheld: readonly { identifier: string; rule: string; expected: string }[];
  readonly activations: readonly { identifier: string; active: boolean | null; doubt: string | null }[];
}

/** As declarations write it. */
const variable = (name: string) => `$\{${name}}`;
/** Every device of this file: all are everyone's. */
const made: TestDevice[] = [];

async function device(platform: 'iOS' | 'watchOS' = 'watchOS'): Promise<TestDevice> {
  const one = await enrolledDevice({ platform });
  made.push(one);
  return one;
}

const fresh = (what: string) => `com.example.${what}.${randomUuid().slice(0, 8).toLowerCase()}`;
const named = (what: string) => `${what}.${randomUuid().slice(0, 8).toLowerCase()}`;

async function declare(identifier: string, type: string, payload: Json): Promise<string> {
  const path = `/declarations/${identifier}`;
  const created = await call('PUT', path, { type, payload }, { 'If-None-Match': '*' });
  const reply =
    created.status === 412 ? await call('PUT', path, { type, payload }, { 'If-Match': '*' }) : created;
  if (reply.status >= 300) throw new Error(`${identifier}: ${reply.status} ${reply.text}`);
  return identifier;
}

const echo = (identifier: string, text: string) => declare(identifier, TEST, { Echo: text });
const putSet = (name: string, declarations: readonly string[]) =>
  admin('PUT', `sets/${name}`, { declarations: [...declarations] });

/** Every page of a dry run. */
async function dryRun(change: Json, limit?: number): Promise<Forecast[]> {
  const items: Forecast[] = [];
  let cursor: unknown = null;
  do {
    const query = new URLSearchParams();
    if (cursor !== null) query.set('cursor', String(cursor));
    if (limit !== undefined) query.set('limit', String(limit));
    const page = await admin('POST', `dry-run?${query}`, change);
    items.push(...(page['items'] as Forecast[]));
    cursor = page['cursor'];
  } while (cursor !== null);
  return items;
}

async function only(change: Json): Promise<Forecast> {
  const [first, ...more] = await dryRun(change);
  if (first === undefined || more.length > 0) throw new Error(`not one device: ${more.length}`);
  return first;
}

async function refusedAs(change: Json, query = ''): Promise<[number, string]> {
  const reply = await adminReply('POST', `dry-run${query}`, change);
  return [reply.status, String(reply.body['type']).replace('urn:escapement:problem:', '')];
}

const service = new DeclarativeManagementService({
  devices: objects,
  store: new D1Declarations(database),
  rendered: new KvRendered(env.RENDERED),
  manifests: fleet.manifests,
});

/** The device's full status report. */
async function report(device: TestDevice, items: Json): Promise<void> {
  const data = utf8(JSON.stringify({ StatusItems: items, Errors: [], FullReport: true }));
  const caller = new VerifiedDevice(device.udid, device.pin);
  const message = { type: 'DeclarativeManagement' as const, udid: device.udid, endpoint: 'status', data };
  value(await service.handle(caller, message as never, START));
  await device.object.flush();
}

/** Identifier to server token: what the device is to hold. */
async function holding(udid: string): Promise<Map<string, string>> {
  const device = await objects.of(udid as TestDevice['udid']).describe();
  return new Map((device?.declarations ?? []).map((one) => [one.identifier, one.serverToken]));
}

function difference(before: ReadonlyMap<string, string>, after: ReadonlyMap<string, string>) {
  const changes: Record<string, string> = {};
  for (const [name, token] of after)
    if (before.get(name) !== token) changes[name] = before.has(name) ? 'replace' : 'add';
  for (const name of before.keys()) if (!after.has(name)) changes[name] = 'remove';
  return changes;
}

const changesOf = (one: Forecast) =>
  Object.fromEntries(one.changes.map((item) => [item.identifier, item.change]));

async function everything(): Promise<string> {
  const d1 = await readD1();
  const held = await Promise.all((d1['certificates'] ?? []).map((row) => holding(String(row['udid']))));
  return JSON.stringify([d1, held.map((one) => [...one])]);
}

const wakes = () => logged.filter((line) => line.includes('"wake"')).length;

/** Makes the dry run; checks that it did nothing; makes the change; checks that it did what was said, and to whom. */
async function proves(change: Json, make: () => Promise<unknown>): Promise<Forecast[]> {
  const all = made;
  await Promise.all(all.map((one) => one.object.flush()));
  const [stored, woken] = [await everything(), wakes()];
  const forecast = await dryRun(change, 3);
  await Promise.all(all.map((one) => one.object.flush()));
  expect(await everything()).toBe(stored);
  expect(wakes()).toBe(woken);
  const before = await Promise.all(all.map((one) => holding(one.udid)));
  const from = logged.length;
  await make();
  await Promise.all(all.map((one) => one.object.flush()));
  const done: Record<string, Json> = {};
  for (const [i, { udid }] of all.entries()) {
    const changes = difference(before[i] as Map<string, string>, await holding(udid));
    if (Object.keys(changes).length > 0) done[udid] = changes;
  }
  const said = forecast.filter((one) => one.changes.length > 0);
  expect(Object.fromEntries(said.map((one) => [one.udid, changesOf(one)]))).toEqual(done);
  const told = logged
    .slice(from)
    .filter((line) => line.includes('"wake"'))
    .map((line) => JSON.parse(line).udid);
  expect(told.sort()).toEqual(Object.keys(done).sort());
  expect(forecast.map((one) => one.udid)).toEqual(forecast.map((one) => one.udid).sort());
  return forecast;
}

describe('a dry run', () => {
  it('of each kind of change says what the change then does', async () => {
    const [phone, watch] = [await device('iOS'), await device()];
    const [a, act] = [fresh('a'), fresh('act')];
    const [set, group] = [named('set'), named('group')];
    await echo(a, '1');
    await declare(act, SIMPLE, { StandardConfigurations: [a] });
    await putSet(set, [a]);
    await admin('PUT', `groups/${group}`);
    const join = () => admin('POST', `groups/${group}/devices`, { add: [watch.udid] });
    await join();

    const path = `sets/${set}`;
    const assigned = await proves({ assign: { set, device: phone.udid } }, () =>
      admin('PUT', `${path}/devices/${phone.udid}`),
    );
    expect(assigned).toEqual([
      {
        udid: phone.udid,
        changes: [{ identifier: a, kind: 'configuration', change: 'add' }],
        withheld: [],
        activations: [{ identifier: 'com.escapement.subscriptions.activation', active: true, doubt: null }],
      },
    ]);
    await proves({ assign: { set, group } }, () => admin('PUT', `${path}/groups/${group}`, {}));
    const declaration = { identifier: a, type: TEST, payload: { Echo: '2' } };
    expect(await proves({ declaration }, () => echo(a, '2'))).toHaveLength(2);
    const declarations = [a, act];
    const grown = await proves({ set: { name: set, declarations } }, () => putSet(set, declarations));
    expect(grown.map(changesOf)).toEqual(Array(2).fill({ [act]: 'add' }));
    const none = { set, group, percent: 0 };
    await proves({ assign: none }, () => admin('PUT', `${path}/groups/${group}`, { percent: 0 }));
    expect(await dryRun({ unassign: { set, group } })).toEqual([]);
    await proves({ unassign: { set, device: phone.udid } }, () =>
      admin('DELETE', `${path}/devices/${phone.udid}`),
    );
    const properties = { device: watch.udid, name: 'Ann', properties: { site: 'north' } };
    const [told] = await proves({ properties }, () =>
      admin('PUT', `devices/${watch.udid}/properties`, { name: 'Ann', properties: { site: 'north' } }),
    );
    expect(told?.changes).toEqual([
      { identifier: 'com.escapement.properties', kind: 'management', change: 'add' },
    ]);
  });

  it('of what is stored already, or of a set that nobody has, lists nobody', async () => {
    const watch = await device();
    const [a, set] = [await echo(fresh('a'), '1'), named('set')];
    await putSet(set, [a]);
    expect(await dryRun({ set: { name: set, declarations: [] } })).toEqual([]);
    expect(await dryRun({ set: { name: named('other'), declarations: [a] } })).toEqual([]);
    await admin('PUT', `sets/${set}/devices/${watch.udid}`);
    expect(await dryRun({ set: { name: set, declarations: [a, a] } })).toEqual([]);
    expect(await dryRun({ declaration: { identifier: a, type: TEST, payload: { Echo: '1' } } })).toEqual([]);
    expect(await dryRun({ assign: { set, device: watch.udid } })).toEqual([]);
    const unheard = { identifier: fresh('new'), type: TEST, payload: { Echo: '1' } };
    expect(await dryRun({ declaration: unheard })).toEqual([]);
  });

  it('shows what a device would not be given, and why, though nothing else changes', async () => {
    const watch = await device();
    const set = named('set');
    const forPhones = await declare(fresh('phones'), 'com.apple.configuration.watch.enrollment', {
      EnrollmentProfileURL: 'https://x.example/',
    });
    const filled = await declare(fresh('name'), TEST, { Echo: variable('name') });
    await putSet(set, [forPhones, filled]);
    const assigned = await only({ assign: { set, device: watch.udid } });
    expect(assigned.changes).toEqual([]);
    expect(assigned.withheld).toEqual([
      { identifier: filled, rule: 'variable', expected: `a value for ${variable('name')}` },
      { identifier: forPhones, rule: 'platform', expected: 'not watchOS' },
    ]);
    await admin('PUT', `sets/${set}/devices/${watch.udid}`);
    const put = await only({ properties: { device: watch.udid, name: 'Ann' } });
    expect(changesOf(put)).toEqual({ [filled]: 'add' });
    expect(put.withheld.map((one) => one.identifier)).toEqual([forPhones]);
  });

  it('tells of an activation that would fail, since the device is not given all that it names', async () => {
    const watch = await device();
    const [given, withheld] = [
      await echo(fresh('given'), '1'),
      await declare(fresh('phones'), 'com.apple.configuration.watch.enrollment', {
        EnrollmentProfileURL: 'https://x.example/',
      }),
    ];
    const [fine, failing, lacking] = [
      await declare(fresh('fine'), SIMPLE, { StandardConfigurations: [given] }),
      await declare(fresh('failing'), SIMPLE, { StandardConfigurations: [given, withheld] }),
      await declare(fresh('lacking'), SIMPLE, {
        StandardConfigurations: [await echo(fresh('outside'), '1')],
      }),
    ];
    const set = named('set');
    await putSet(set, [given, withheld, fine, failing, lacking]);
    const { activations } = await only({ assign: { set, device: watch.udid } });
    const verdicts = Object.fromEntries(activations.map((one) => [one.identifier, [one.active, one.doubt]]));
    expect([fine, failing, lacking].map((identifier) => verdicts[identifier])).toEqual([
      [true, null],
      [false, 'missing-configurations'],
      [false, 'missing-configurations'],
    ]);
  });

  it('judges activations by the last status and by properties, and says what it cannot judge', async () => {
    const watch = await device();
    await report(watch, {
      device: { identifier: { udid: watch.udid } },
      passcode: { 'is-compliant': true, 'is-present': false },
    });
    const site = await declare(fresh('site'), 'com.apple.management.properties', { site: 'south', floor: 3 });
    const activate = (what: string, predicate: string) =>
      declare(fresh(what), SIMPLE, { StandardConfigurations: [], Predicate: predicate });
    const expected: [string, boolean | null, string | null][] = [
      [await activate('yes', '@status(passcode.is-compliant) == TRUE'), true, null],
      [await activate('no', '@status(passcode.is-present) == TRUE'), false, null],
      [
        await activate('unheard', '@status(device.operating-system.version) == "26.1"'),
        null,
        'status-not-reported',
      ],
      [await activate('declared', '@property(floor) > 2'), true, null],
      [await activate('said', '@property(department) == "sales"'), false, null],
    ];
    const set = named('set');
    await putSet(set, [site, ...expected.map(([identifier]) => identifier)]);
    const judged = async (change: Json) => {
      const { activations } = await only(change);
      return Object.fromEntries(activations.map((one) => [one.identifier, [one.active, one.doubt]]));
    };
    const assign = { assign: { set, device: watch.udid } };
    const verdicts = await judged(assign);
    for (const [identifier, active, doubt] of expected.filter(([name]) => !name.includes('said')))
      expect([identifier, ...(verdicts[identifier] ?? [])]).toEqual([identifier, active, doubt]);
    await admin('PUT', `sets/${set}/devices/${watch.udid}`);
    const sales = { device: watch.udid, properties: { department: 'sales' } };
    const after = await judged({ properties: sales });
    const said = expected.find(([name]) => name.includes('said'))?.[0] ?? '';
    expect(after[said]).toEqual([true, null]);
    const hr = { device: watch.udid, properties: { department: 'hr' } };
    expect((await judged({ properties: hr }))[said]).toEqual([false, null]);
    const yes = expected[0]?.[0] ?? '';
    const payload = { StandardConfigurations: [], Predicate: '@status(passcode.is-compliant) == FALSE' };
    expect((await judged({ declaration: { identifier: yes, type: SIMPLE, payload } }))[yes]).toEqual([
      false,
      null,
    ]);
  });

  it('says of a roll-out to a part of a group whom it would reach', async () => {
    const all = [];
    for (let n = 0; n < 12; n++) all.push(await device());
    const [a, set, group] = [await echo(fresh('a'), '1'), named('set'), named('group')];
    await putSet(set, [a]);
    await admin('PUT', `groups/${group}`);
    await admin('POST', `groups/${group}/devices`, { add: all.map((one) => one.udid) });
    for (const percent of [30, 70, 50, 100])
      await proves({ assign: { set, group, percent } }, () =>
        admin('PUT', `sets/${set}/groups/${group}`, { percent }),
      );
    await proves({ unassign: { set, group } }, () => admin('DELETE', `sets/${set}/groups/${group}`));
  });
});

describe('a dry run that is refused', () => {
  let watch: TestDevice;
  let a = '';
  let set = '';
  beforeAll(async () => {
    watch = await device();
    a = await echo(fresh('a'), '1');
    set = named('set');
    await putSet(set, [a]);
  });

  const declaration = (over: Json) => ({
    declaration: { identifier: a, type: TEST, payload: { Echo: 'x' }, ...over },
  });

  it('says why as the change itself would', async () => {
    const upload = fresh('upload');
    const userName = { type: 'com.apple.asset.credential.userpassword', userName: 'a', password: 'b' };
    expect((await call('PUT', `/assets/${upload}`, userName, { 'If-None-Match': '*' })).status).toBe(201);
    const { type, payload } = (await call('GET', `/declarations/${upload}`)).body;
    expect(await dryRun({ declaration: { identifier: upload, type, payload } })).toEqual([]);
    const Reference = { DataURL: 'https://x.example/', ContentType: 'application/pkcs1' };
    const data = 'com.apple.asset.data';
    const url = await declare(fresh('url'), data, { Reference });
    const identity = 'com.apple.asset.credential.certificate';
    const wrong = { EnrollmentProfileURL: 'https://x.example/', AnchorCertificateAssetReferences: [url] };
    const unheard = { StandardConfigurations: ['com.example.nobody'] };
    const cases: [Json, string][] = [
      [declaration({ identifier: 'com.escapement.x' }), 'reserved-identifier'],
      [declaration({ identifier: 'x'.repeat(65) }), 'malformed-identifier'],
      [declaration({ payload: { Ecco: 'x' } }), 'invalid-content'],
      [declaration({ payload: { Echo: 'x'.repeat(300_000) } }), 'payload-too-large'],
      [declaration({ payload: { Echo: variable('serial') + variable('nothing') } }), 'unknown-variables'],
      [declaration({ type: SIMPLE, payload: { StandardConfigurations: [] } }), 'kind-fixed'],
      [declaration({ identifier: upload, type, payload: { Reference } }), 'made-by-upload'],
      [declaration({ identifier: url, type: identity, payload: { Reference } }), 'type-fixed'],
      [
        declaration({
          identifier: fresh('x'),
          type: 'com.apple.configuration.watch.enrollment',
          payload: wrong,
        }),
        'asset-type-mismatch',
      ],
      [declaration({ identifier: fresh('x'), type: SIMPLE, payload: unheard }), 'unknown-references'],
      [
        declaration({
          identifier: fresh('x'),
          type: SIMPLE,
          payload: { StandardConfigurations: [], Predicate: '@status(' },
        }),
        'malformed-predicate',
      ],
      [{ set: { name: set, declarations: ['com.example.nobody'] } }, 'unknown-declarations'],
      [{ set: { name: set, declarations: ['com.escapement.subscriptions'] } }, 'unknown-declarations'],
      [{ set: { name: 'no such/name', declarations: [] } }, 'malformed-identifier'],
      [{ assign: { set: 'nobody', device: watch.udid } }, 'unknown-set'],
      [{ assign: { set, device: 'DEVICE-NOBODY' } }, 'unknown-device'],
      [{ assign: { set, group: 'nobody' } }, 'unknown-group'],
      [{ unassign: { set: 'nobody', group: 'everyone' } }, 'unknown-set'],
      [{ unassign: { set, group: 'nobody' } }, 'unknown-group'],
      [{ unassign: { set, device: 'DEVICE-NOBODY' } }, 'unknown-device'],
      [{ properties: { device: 'DEVICE-NOBODY', properties: {} } }, 'unknown-device'],
    ];
    for (const [change, kind] of cases) expect([kind, (await refusedAs(change))[1]]).toEqual([kind, kind]);
  });

  it('knows a device only that has Authenticated, as an assignment does', async () => {
    const certified = await newDevice();
    const change = { set, device: certified.udid };
    expect(await refusedAs({ assign: change })).toEqual([404, 'unknown-device']);
    const made = await adminReply('PUT', `sets/${set}/devices/${certified.udid}`);
    expect(made.status).toBe(404);
  });

  it('has room in no device and no group for a 21st set', async () => {
    const group = named('group');
    await admin('PUT', `groups/${group}`);
    const sets = Array.from({ length: 20 }, () => named('full'));
    for (const name of sets) {
      await putSet(name, []);
      await admin('PUT', `sets/${name}/devices/${watch.udid}`);
      await admin('PUT', `sets/${name}/groups/${group}`, {});
    }
    expect((await refusedAs({ assign: { set, device: watch.udid } }))[1]).toBe('device-sets-full');
    expect((await refusedAs({ assign: { set, group } }))[1]).toBe('group-sets-full');
    expect(await dryRun({ assign: { set: sets[0], group, percent: 1 } })).toEqual([]);
    expect(await dryRun({ unassign: { set, group } })).toEqual([]);
  });

  it.each([
    ['nothing', {}],
    ['two changes', { set: { name: 's', declarations: [] }, unassign: { set: 's', group: 'g' } }],
    ['a set for nobody', { assign: { set: 's' } }],
    ['a set for a device and a group', { assign: { set: 's', group: 'g', device: 'D' } }],
    ['a percentage of a device', { assign: { set: 's', device: 'D', percent: 5 } }],
    ['a percentage past 100', { assign: { set: 's', group: 'g', percent: 101 } }],
    ['201 declarations', { set: { name: 's', declarations: Array(201).fill('x') } }],
    ['a change of another name', { removal: { set: 's' } }],
  ])('proposes %s', async (_, change) => {
    expect(await refusedAs(change as Json)).toEqual([400, 'invalid']);
  });

  it('has a cursor of another listing', async () => {
    expect((await refusedAs({ unassign: { set, group: 'everyone' } }, '?cursor=x'))[1]).toBe(
      'malformed-cursor',
    );
    expect((await refusedAs({ unassign: { set, group: 'everyone' } }, '?limit=0'))[0]).toBe(400);
  });
});

describe('random fleets and edits', () => {
  const seeds = Array.from({ length: 3 }, (_, i) => Math.floor(Math.random() * 2 ** 20) * 10 + i);

  it.each(seeds)('do what their dry run said: seed %i', async (seed) => {
    const edits: string[] = [];
    printOnFailure(() => `seed ${seed}: ${edits.join('; ')}`);
    const dice = new Random(seed);
    const all: TestDevice[] = [];
    for (let n = 0; n < 5; n++) all.push(await device(dice.chance(0.4) ? 'iOS' : 'watchOS'));
    const sets = ['s', 't'].map(named);
    const groups = [...['g', 'h'].map(named), 'everyone'];
    const names = ['a', 'b', 'c'].map(fresh);
    for (const name of names) await echo(name, '0');
    for (const set of sets)
      await putSet(
        set,
        names.filter(() => dice.chance(0.5)),
      );
    for (const group of groups.slice(0, 2)) {
      await admin('PUT', `groups/${group}`);
      await admin('POST', `groups/${group}/devices`, {
        add: all.filter(() => dice.chance(0.6)).map((one) => one.udid),
      });
    }
    const edit = (): [Json, () => Promise<unknown>] => {
      const [set, group, name] = [dice.pick(sets), dice.pick(groups), dice.pick(names)];
      const { udid } = dice.pick(all);
      switch (dice.int(7)) {
        case 0:
        case 1: {
          const Echo = dice.pick([
            '1',
            '2',
            variable('name'),
            variable('property.site'),
            `$${variable('name')}`,
          ]);
          return [
            { declaration: { identifier: name, type: TEST, payload: { Echo } } },
            () => echo(name, Echo),
          ];
        }
        case 2: {
          const declarations = names.filter(() => dice.chance(0.5));
          return [{ set: { name: set, declarations } }, () => putSet(set, declarations)];
        }
        case 3:
          return dice.chance(0.6)
            ? [{ assign: { set, device: udid } }, () => admin('PUT', `sets/${set}/devices/${udid}`)]
            : [{ unassign: { set, device: udid } }, () => admin('DELETE', `sets/${set}/devices/${udid}`)];
        case 4: {
          const percent = dice.int(101);
          return [
            { assign: { set, group, percent } },
            () => admin('PUT', `sets/${set}/groups/${group}`, { percent }),
          ];
        }
        case 5:
          return [{ unassign: { set, group } }, () => admin('DELETE', `sets/${set}/groups/${group}`)];
        default: {
          const name = dice.pick([null, 'Ann', 'Bob']);
          const properties = dice.pick<Json>([{}, { site: 'n' }, { site: 's', floor: 2 }]);
          return [
            { properties: { device: udid, name, properties } },
            () => admin('PUT', `devices/${udid}/properties`, { name, properties }),
          ];
        }
      }
    };
    let changed = 0;
    for (let round = 0; round < 16; round++) {
      const [change, make] = edit();
      edits.push(JSON.stringify(change));
      changed += (await proves(change, make)).length;
    }
    for (const set of sets) await adminReply('DELETE', `sets/${set}/groups/everyone`);
    expect(changed).toBeGreaterThan(0);
  });
});

describe('a dry run of many devices', () => {
  it('goes on after its cursor, though a page may list none', async () => {
    const all = [];
    for (let n = 0; n < 60; n++) all.push(await device());
    const [a, set, group] = [await echo(fresh('a'), '1'), named('set'), named('group')];
    const udids = all.map((one) => one.udid).sort();
    await putSet(set, [a]);
    await admin('PUT', `groups/${group}`);
    await admin('POST', `groups/${group}/devices`, { add: udids });
    const has = udids.slice(0, 7);
    for (const udid of has) await admin('PUT', `sets/${set}/devices/${udid}`);
    const change = { assign: { set, group } };
    const first = await admin('POST', 'dry-run?limit=200', change);
    expect((first['items'] as Forecast[]).map((one) => one.udid)).toEqual(udids.slice(7, 50));
    expect(first['cursor']).toEqual(expect.any(String));
    const pages: string[][] = [];
    for (let cursor: unknown = ''; cursor !== null; ) {
      const page = await admin('POST', `dry-run?limit=5${cursor === '' ? '' : `&cursor=${cursor}`}`, change);
      pages.push((page['items'] as Forecast[]).map((one) => one.udid));
      cursor = page['cursor'];
    }
    expect(pages[0]).toEqual([]);
    expect(pages).toHaveLength(12);
    expect(pages.flat()).toEqual(udids.slice(7));
  });
});
