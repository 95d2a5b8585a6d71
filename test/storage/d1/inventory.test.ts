/** Answers become rows: whole sections and parts of them, told twice, out of order, too large, or strange. */
import { env } from 'cloudflare:workers';
import { beforeEach, describe, expect, it } from 'vitest';
import type { DeviceMessage } from '../../../src/domain/enrollment/outbox.ts';
import type { CommandUuid, Udid } from '../../../src/domain/ids.ts';
import { SECTION_BYTES_MAX } from '../../../src/domain/inventory/read.ts';
import { inventoryScope } from '../../../src/domain/inventory/section.ts';
import { encodePlist, type PlistInputDict } from '../../../src/protocol/plist/encode.ts';
import type { PlistValue } from '../../../src/protocol/plist/value.ts';
import { utf8 } from '../../../src/std/bytes.ts';
import { epochMs } from '../../../src/std/time.ts';
import { D1Commands } from '../../../src/storage/d1/commands.ts';
import { Database } from '../../../src/storage/d1/database.ts';
import { recordDeviceMessages } from '../../../src/storage/d1/device-outbox.ts';
import { D1Inventory } from '../../../src/storage/d1/inventory.ts';

const database = new Database(env.DB);
const commands = new D1Commands(database);
const inventory = new D1Inventory(database);
let udid: Udid;
let count = 0;

beforeEach(() => {
  udid = `INVENTORY-${++count}` as Udid;
});

/** Queues a query and returns what its answer becomes. */
async function asked(
  requestType: string,
  parameters: Record<string, PlistValue>,
  answer: PlistInputDict,
  over: { atMs?: number; state?: 'acknowledged' | 'error'; raw?: Uint8Array<ArrayBuffer> } = {},
): Promise<DeviceMessage & { commandUuid: string }> {
  const commandUuid = `${udid}-${++count}` as CommandUuid;
  const inserted = await commands.insert(
    {
      commandUuid,
      udid,
      enrollmentId: 'E1',
      requestType,
      body: { sealed: false, bytes: utf8('<plist/>') },
      priority: 'normal',
      createdAtMs: epochMs(1),
      expiresAtMs: null,
      farewell: null,
      requeuedFrom: null,
      inventoryScope: inventoryScope(requestType, new Map(Object.entries(parameters))),
    },
    100,
  );
  expect(inserted).toBe(true);
  const raw = over.raw ?? encodePlist({ Status: 'Acknowledged', CommandUUID: commandUuid, ...answer });
  const state = over.state ?? 'acknowledged';
  const answeredAtMs = epochMs(over.atMs ?? 2000 + count);
  const of = { kind: 'result', udid, commandUuid, requestType, state } as const;
  return { ...of, status: 'Acknowledged', answeredAtMs, sent: null, raw };
}

const tell = (...messages: DeviceMessage[]) => recordDeviceMessages(database, messages);
const app = (Identifier: string, Version = '1') => ({ Identifier, Version });
const apps = (...list: PlistInputDict[]) => ({ InstalledApplicationList: list });

async function keys(section: Parameters<typeof inventory.section>[1]): Promise<string[] | undefined> {
  return (await inventory.section(udid, section))?.items.map((item) => item.key);
}

async function values(section: Parameters<typeof inventory.section>[1]): Promise<Record<string, unknown>> {
  const items = (await inventory.section(udid, section))?.items ?? [];
  return Object.fromEntries(items.map(({ key, value, atMs }) => [key, [value, atMs]]));
}

describe('device information', () => {
  it('is merged key by key, each with its time', async () => {
    const queries = { Queries: ['OSVersion', 'DeviceName'] };
    const nested = { OrganizationInfo: { Name: 'old', Address: 'gone' } };
    const first = { QueryResponses: { OSVersion: '11.1', DeviceName: 'Kim', ...nested } };
    await tell(await asked('DeviceInformation', queries, first, { atMs: 2000 }));
    const second = { QueryResponses: { OSVersion: '11.2', OrganizationInfo: { Name: 'new' } } };
    await tell(await asked('DeviceInformation', { Queries: ['OSVersion'] }, second, { atMs: 3000 }));
    expect(await values('device')).toEqual({
      DeviceName: ['Kim', 2000],
      OSVersion: ['11.2', 3000],
      OrganizationInfo: [{ Name: 'new' }, 3000],
    });
    expect(await inventory.section(udid, 'device')).toMatchObject({ completeAtMs: null, answeredAtMs: 3000 });
  });

  it('of an older answer never replaces a newer one', async () => {
    const asking = { Queries: ['OSVersion'] };
    const older = await asked(
      'DeviceInformation',
      asking,
      { QueryResponses: { OSVersion: '11.1' } },
      { atMs: 1 },
    );
    const newer = await asked(
      'DeviceInformation',
      asking,
      { QueryResponses: { OSVersion: '11.2' } },
      { atMs: 2 },
    );
    await tell(newer);
    await tell(older);
    expect(await values('device')).toEqual({ OSVersion: ['11.2', 2] });
  });
});

describe('a list', () => {
  it('that was asked for whole replaces what was there', async () => {
    await tell(await asked('InstalledApplicationList', {}, apps(app('a'), app('b'))));
    await tell(await asked('InstalledApplicationList', {}, apps(app('b', '2'), app('c'))));
    expect(await keys('installed-applications')).toEqual(['b', 'c']);
    expect((await inventory.section(udid, 'installed-applications'))?.completeAtMs).not.toBeNull();
  });

  it('that was asked for by identifiers changes these alone, and takes away what is not there', async () => {
    await tell(await asked('InstalledApplicationList', {}, apps(app('a'), app('b'), app('c')), { atMs: 1 }));
    const some = { Identifiers: ['b', 'c', 'd'] };
    await tell(await asked('InstalledApplicationList', some, apps(app('b', '2'), app('d')), { atMs: 2 }));
    expect(await values('installed-applications')).toEqual({
      a: [app('a'), 1],
      b: [app('b', '2'), 2],
      d: [app('d'), 2],
    });
    expect(await inventory.section(udid, 'installed-applications')).toMatchObject({
      completeAtMs: 1,
      answeredAtMs: 2,
    });
  });

  it.each([
    ['InstalledApplicationList', { ManagedAppsOnly: true }],
    ['InstalledApplicationList', { ManagedAppsOnly: true, Identifiers: ['a', 'b'] }],
  ])('%s of managed items only takes nothing away (%o)', async (requestType, parameters) => {
    await tell(await asked(requestType, {}, apps(app('a'), app('b'))));
    await tell(await asked(requestType, parameters, apps(app('b', '2'))));
    expect(await keys('installed-applications')).toEqual(['a', 'b']);
  });

  it.each([
    ['ProfileList', 'ProfileList', 'PayloadIdentifier', 'profiles'],
    ['ProvisioningProfileList', 'ProvisioningProfileList', 'UUID', 'provisioning-profiles'],
  ] as const)('%s of managed profiles only takes nothing away', async (requestType, list, key, section) => {
    await tell(await asked(requestType, {}, { [list]: [{ [key]: 'a' }, { [key]: 'b' }] }));
    await tell(await asked(requestType, { ManagedOnly: true }, { [list]: [{ [key]: 'b' }] }));
    expect(await keys(section)).toEqual(['a', 'b']);
    await tell(await asked(requestType, { ManagedOnly: false }, { [list]: [{ [key]: 'b' }] }));
    expect(await keys(section)).toEqual(['b']);
  });

  it('with only some keys of each application leaves the inventory alone', async () => {
    await tell(await asked('InstalledApplicationList', {}, apps(app('a'))));
    await tell(await asked('InstalledApplicationList', { Items: ['Identifier'] }, apps({ Identifier: 'a' })));
    expect(await values('installed-applications')).toMatchObject({ a: [app('a'), expect.any(Number)] });
  });
});

describe('an answer', () => {
  it('told twice is one, also after a newer one', async () => {
    const first = await asked('SecurityInfo', {}, { SecurityInfo: { PasscodePresent: false } }, { atMs: 5 });
    await tell(first);
    await tell(first);
    await tell(await asked('SecurityInfo', {}, { SecurityInfo: { PasscodePresent: true } }, { atMs: 5 }));
    await tell(first);
    expect(await values('security')).toEqual({ PasscodePresent: [true, 5] });
  });

  it('that names a command of another device, type or nobody changes nothing', async () => {
    const answer = { SecurityInfo: { PasscodePresent: true } };
    const own = await asked('SecurityInfo', {}, answer);
    await tell({ ...own, udid: 'SOMEBODY-ELSE' as Udid } as DeviceMessage);
    const other = await asked('DeviceInformation', { Queries: [] }, answer);
    await tell({ ...other, requestType: 'SecurityInfo' } as DeviceMessage);
    const late = await asked('SecurityInfo', {}, answer);
    await tell({ ...late, requestType: null } as DeviceMessage);
    await tell({ ...late, commandUuid: 'nobody' } as DeviceMessage);
    expect(await inventory.sections(udid)).toEqual([]);
    expect(await inventory.sections('SOMEBODY-ELSE' as Udid)).toEqual([]);
  });

  it('that is an error, not readable, or not of its form changes nothing and blocks nothing', async () => {
    const good = { SecurityInfo: { PasscodePresent: true } };
    const told = [
      await asked('SecurityInfo', {}, good),
      await asked('SecurityInfo', {}, {}, { state: 'error' }),
      await asked('SecurityInfo', {}, {}, { raw: new Uint8Array([1, 2, 3]) }),
      await asked('SecurityInfo', {}, { SecurityInfo: 'none' }),
      await asked('SecurityInfo', {}, {}),
    ];
    await tell(...told);
    expect(await keys('security')).toEqual(['PasscodePresent']);
    const states = await Promise.all(
      told.map(async (one) => (await commands.find(udid, one.commandUuid as CommandUuid, epochMs(9)))?.state),
    );
    expect(states).toEqual(['acknowledged', 'error', 'acknowledged', 'acknowledged', 'acknowledged']);
  });

  it('with names that mean something to a machine is kept as it is', async () => {
    const strange = [
      '__proto__',
      'constructor',
      '',
      '$.all',
      "'; DROP TABLE inventory; --",
      'a"b\\c',
      'ü\u{1f600}',
    ];
    const list = strange.map((Identifier) => app(Identifier));
    await tell(await asked('InstalledApplicationList', {}, apps(...list)));
    await tell(
      await asked('InstalledApplicationList', { Identifiers: strange }, apps(app('__proto__', '2'))),
    );
    expect(await keys('installed-applications')).toEqual(['__proto__']);
  });

  it('that is too large is named as such, and what was there stays', async () => {
    const many = (size: number) =>
      apps(...[...Array(size).keys()].map((i) => app(`app.${'x'.repeat(100)}.${i}`)));
    await tell(await asked('InstalledApplicationList', {}, apps(app('a')), { atMs: 1 }));
    const large = await asked('InstalledApplicationList', {}, many(7000), { atMs: 2 });
    await tell(large);
    expect(await inventory.section(udid, 'installed-applications')).toMatchObject({
      items: [{ key: 'a' }],
      answeredAtMs: 1,
      tooLarge: { commandUuid: large.commandUuid, atMs: 2 },
    });
    await tell(await asked('InstalledApplicationList', {}, apps(app('b')), { atMs: 3 }));
    expect(await inventory.section(udid, 'installed-applications')).toMatchObject({
      items: [{ key: 'b' }],
      tooLarge: null,
    });
  });

  it('to the first query that is too large leaves an empty section that says so', async () => {
    const filler = 'x'.repeat(SECTION_BYTES_MAX);
    const large = await asked('SecurityInfo', {}, { SecurityInfo: { filler } });
    await tell(large);
    expect(await inventory.section(udid, 'security')).toMatchObject({
      items: [],
      completeAtMs: null,
      tooLarge: { commandUuid: large.commandUuid },
    });
  });

  it('that adds to a full section more than a row holds is named as too large', async () => {
    const filler = (key: string, share: number) =>
      apps({ Identifier: key, Name: 'x'.repeat(share * SECTION_BYTES_MAX) });
    const some = (key: string) => ({ Identifiers: [key] });
    await tell(await asked('InstalledApplicationList', some('a'), filler('a', 0.9)));
    await tell(await asked('InstalledApplicationList', some('b'), filler('b', 0.5)));
    const third = await asked('InstalledApplicationList', some('c'), filler('c', 0.95));
    await tell(third);
    expect(await keys('installed-applications')).toEqual(['a', 'b']);
    expect((await inventory.section(udid, 'installed-applications'))?.tooLarge?.commandUuid).toBe(
      third.commandUuid,
    );
    expect(await commands.find(udid, third.commandUuid as CommandUuid, epochMs(9))).toMatchObject({
      state: 'acknowledged',
    });
  });

  it('that adds more than a section holds is named as too large', async () => {
    const filler = (key: string) => apps({ Identifier: key, Name: 'x'.repeat(0.9 * SECTION_BYTES_MAX) });
    await tell(await asked('InstalledApplicationList', { Identifiers: ['a'] }, filler('a')));
    const second = await asked('InstalledApplicationList', { Identifiers: ['b'] }, filler('b'));
    await tell(second);
    expect(await keys('installed-applications')).toEqual(['a']);
    expect((await inventory.section(udid, 'installed-applications'))?.tooLarge?.commandUuid).toBe(
      second.commandUuid,
    );
  });
});
