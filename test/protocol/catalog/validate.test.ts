/** Content as people write it, with the mistakes people make. */
import { describe, expect, it } from 'vitest';
import type { CatalogKind } from '../../../src/protocol/catalog/entry.ts';
import type { CatalogTarget } from '../../../src/protocol/catalog/support.ts';
import { DEPTH_MAX, PROBLEMS_MAX, validate } from '../../../src/protocol/catalog/validate.ts';
import type { JsonObject, JsonValue } from '../../../src/protocol/plist/json.ts';

const watch: CatalogTarget = { platform: 'watchOS', osVersion: '26.4', supervised: true };
const phone: CatalogTarget = { platform: 'iOS', osVersion: '26.4', supervised: true };

/** `path rule expected`, one for each problem. */
async function check(
  kind: CatalogKind,
  type: string,
  content: JsonObject,
  target?: CatalogTarget,
  allowUnknown = false,
): Promise<string[]> {
  const outcome = await validate(kind, type, content, target, { allowUnknown });
  if (outcome.ok) return [];
  return outcome.refusal.problems.map(({ path, rule, expected }) => `${path} ${rule}: ${expected}`);
}

const configuration = (name: string, content: JsonObject, target?: CatalogTarget) =>
  check('configuration', `com.apple.configuration.${name}`, content, target);
const command = (content: JsonObject, target?: CatalogTarget, allowUnknown?: boolean) =>
  check('command', String(content['RequestType']), content, target, allowUnknown);

describe('a declaration', () => {
  it('is refused at the place that is wrong', async () => {
    const content = { StandardConfigurations: ['one', 2, 'three'], Predicat: 'TRUEPREDICATE' };
    expect(await check('activation', 'com.apple.activation.simple', content)).toEqual([
      'Payload.StandardConfigurations[1] type: a string',
      'Payload.Predicat unknown-key: no such key',
    ]);
    expect(await check('activation', 'com.apple.activation.simple', {})).toEqual([
      'Payload.StandardConfigurations required: a key that must be present',
    ]);
  });

  it('of a type that the platform, version or supervision lacks is refused by that rule', async () => {
    const siri = { AllowWhileLocked: false };
    expect(await configuration('siri.settings', siri, watch)).toEqual([]);
    expect(await configuration('siri.settings', siri, { ...watch, osVersion: '26.3.1' })).toEqual([
      'Type version: watchOS 26.4 or later',
    ]);
    expect(await configuration('siri.settings', siri, { ...watch, supervised: false })).toEqual([
      'Type supervised: a supervised device',
    ]);
    expect(await configuration('watch.enrollment', {}, watch)).toEqual(['Type platform: not watchOS']);
    expect(
      await configuration('siri.settings', siri, { ...watch, supervised: null, enrollment: 'user' }),
    ).toEqual(['Type enrollment: supervised enrollment']);
  });

  it('with a key that the platform or version lacks is refused at the key', async () => {
    expect(await configuration('siri.settings', { Enabled: true }, watch)).toEqual([
      'Payload.Enabled platform: not watchOS',
    ]);
    expect(await configuration('siri.settings', { Enabled: true }, phone)).toEqual([]);
    expect(await configuration('legacy', { ProfileAssetReference: 'a' }, watch)).toEqual([
      'Payload.ProfileAssetReference version: watchOS 27.0 or later',
    ]);
    expect(
      await configuration('legacy', { ProfileAssetReference: 'a' }, { ...watch, osVersion: '27.0' }),
    ).toEqual([]);
  });

  it('is not held to what is not known of the device', async () => {
    expect(await configuration('legacy', { ProfileAssetReference: 'a' })).toEqual([]);
    for (const osVersion of [null, '', 'seed', '1.2.3.4.5']) {
      expect(await configuration('siri.settings', {}, { platform: 'watchOS', osVersion })).toEqual([]);
    }
  });

  it('is held to ranges and words', async () => {
    expect(
      await configuration('passcode.settings', { MinimumLength: 17, MaximumFailedAttempts: 1 }, watch),
    ).toEqual(['Payload.MinimumLength range: 0 to 16', 'Payload.MaximumFailedAttempts range: 2 to 11']);
    expect(await configuration('passcode.settings', { MinimumLength: 4.5 }, watch)).toEqual([
      'Payload.MinimumLength type: an integer',
    ]);
    expect(await configuration('passcode.settings', { RequirePasscode: null }, watch)).toEqual([
      'Payload.RequirePasscode type: a boolean',
    ]);
    const asset = { Reference: { DataURL: 'https://example.com/a' }, Authentication: { Type: 'mdm' } };
    expect(await check('asset', 'com.apple.asset.data', asset)).toEqual([
      'Payload.Authentication.Type values: MDM, None',
    ]);
  });

  it('may hold properties of any name', async () => {
    const properties = { department: 'ward 3', floor: 3, night: true, tags: ['a'] };
    expect(await check('management', 'com.apple.management.properties', properties, watch)).toEqual([]);
    expect(await check('management', 'com.apple.management.properties', { a: null }, watch)).toHaveLength(1);
  });

  it('of a type whose keys are not in the catalog takes none, unless unknown keys are allowed', async () => {
    const type = 'com.apple.configuration.accessibility.settings';
    const target = { ...phone, osVersion: '27.0' };
    expect(await check('configuration', type, { TextSize: 3 }, target)).toEqual([
      'Payload.TextSize unknown-key: no such key',
    ]);
    expect(await check('configuration', type, { TextSize: 3 }, target, true)).toEqual([]);
  });
});

describe('what the catalog does not know', () => {
  it('is refused as a type, and allowed when asked', async () => {
    const type = 'com.apple.configuration.from.the.future';
    expect(await check('configuration', type, {})).toEqual(['Type unknown-type: a type in the catalog']);
    const outcome = await validate('configuration', type, { anything: [] }, watch, { allowUnknown: true });
    expect(outcome).toEqual({ ok: true, value: null });
    for (const name of ['__proto__', 'constructor', 'toString', '']) {
      expect(await check('command', name, {})).toEqual(['RequestType unknown-type: a type in the catalog']);
    }
  });

  it('is allowed as a key, and the rest is still held to the rules', async () => {
    const content = { New: { deep: [1] }, MinimumLength: 99 };
    const type = 'com.apple.configuration.passcode.settings';
    expect(await check('configuration', type, content, watch, true)).toEqual([
      'Payload.MinimumLength range: 0 to 16',
    ]);
  });

  it('is no key because of what every object has', async () => {
    const content = JSON.parse('{"__proto__": {"a": 1}, "constructor": 1, "ANY": 1}');
    expect(await configuration('passcode.settings', content)).toEqual([
      'Payload.__proto__ unknown-key: no such key',
      'Payload.constructor unknown-key: no such key',
      'Payload.ANY unknown-key: no such key',
    ]);
  });
});

describe('a command', () => {
  it('names itself', async () => {
    expect(await command({ RequestType: 'DeviceLock', Message: 'lost' }, watch)).toEqual([]);
    expect(await check('command', 'DeviceLock', { RequestType: 'EraseDevice' })).toEqual([
      'RequestType values: DeviceLock',
    ]);
    expect(await check('command', 'DeviceLock', {})).toEqual([
      'RequestType required: a key that must be present',
    ]);
  });

  it('that a watch does not take is refused', async () => {
    for (const RequestType of ['RestartDevice', 'EnableLostMode', 'RefreshCellularPlans']) {
      expect(await command({ RequestType }, watch)).toEqual(['RequestType platform: not watchOS']);
    }
    expect(await command({ RequestType: 'OSUpdateStatus' }, { ...phone, osVersion: '27.0' })).toEqual([
      'RequestType version: iOS before 27.0',
    ]);
  });

  it.each([
    [1e20, false],
    [1.5, false],
    [{ $data: 'AAEC' }, false],
    [{ $integer: '1' }, true],
    [1, true],
  ])('has %j as an integer: %s', async (iTunesStoreID, is) => {
    const problems = await command({ RequestType: 'InstallApplication', iTunesStoreID }, phone);
    expect(problems).toEqual(is ? [] : ['iTunesStoreID type: an integer']);
  });

  it('may ask for what the platform knows', async () => {
    const ask = (...Queries: JsonValue[]) => ({ RequestType: 'DeviceInformation', Queries });
    expect(await command(ask('UDID', 'BatteryLevel'), watch)).toEqual([]);
    expect(await command(ask('UDID', 'IMEI', 'Mood', 7), watch)).toEqual([
      'Queries[1] platform: not watchOS',
      expect.stringMatching(
        /^Queries\[2\] values: one of (\S+, ){15}\S+ and \d+ more, which the catalog lists for this key$/,
      ),
      'Queries[3] type: a string',
    ]);
    expect(await command(ask('Mood'), watch, true)).toEqual([]);
    expect(await command(ask('IMEI'), watch, true)).toHaveLength(1);
  });

  it('has each of several settings held to its own keys', async () => {
    const set = (...Settings: JsonValue[]) => ({ RequestType: 'Settings', Settings });
    const organization = { Item: 'OrganizationInfo', OrganizationInfo: { OrganizationName: 'Ward' } };
    const accessibility = { Item: 'AccessibilitySettings', TextSize: 12 };
    expect(await command(set(organization, { ...accessibility, TextSize: 11 }), watch)).toEqual([]);
    expect(await command(set({ Item: 'Bluetooth', Enabled: true }), watch)).toEqual([
      'Settings[0] platform: not watchOS',
    ]);
    expect(await command(set({ Item: 'AccessibilitySettings' }), { ...watch, supervised: false })).toEqual([
      'Settings[0] supervised: a supervised device',
    ]);
    expect(await command(set('Bluetooth', {}), phone)).toEqual([
      'Settings[0] type: a dictionary',
      expect.stringMatching(/^Settings\[1\]\.Item values: Wallpaper, DataRoaming, /),
    ]);
    const unknown = set({ Item: 'Mood', Value: 'good' });
    expect(await command(unknown, phone)).toHaveLength(1);
    expect(await command(unknown, phone, true)).toEqual([]);
    expect(await command(set({ Value: 'good' }), phone, true)).toHaveLength(1);
  });

  it('takes data, dates and large integers as property lists in JSON mark them', async () => {
    const clear = (UnlockToken: JsonValue) => ({ RequestType: 'ClearPasscode', UnlockToken });
    expect(await command(clear({ $data: 'AAEC' }), watch)).toEqual([]);
    for (const wrong of ['AAEC', { $data: '*' }, { $date: '2026-11-20T12:00:00Z' }, { data: 'AAEC' }, []]) {
      expect(await command(clear(wrong), watch)).toEqual(['UnlockToken type: data as {"$data": base64}']);
    }
    const install = (id: JsonValue) => ({ RequestType: 'InstallApplication', iTunesStoreID: id });
    expect(await command(install({ $integer: '9223372036854775807' }), watch)).toEqual([]);
    expect(await command(install({ $integer: '12' }), watch)).toEqual([]);
    expect(await command(install({ $integer: 'x' }), watch)).toHaveLength(1);
    const purchase = (PurchaseMethod: JsonValue) => ({
      RequestType: 'InstallApplication',
      Options: { $dict: { PurchaseMethod } },
    });
    expect(await command(purchase({ $integer: '1' }), watch)).toEqual([]);
    expect(await command(purchase({ $integer: '7' }), watch)).toHaveLength(1);
    const top = { PayloadIdentifier: 'a', PayloadUUID: 'b', PayloadType: 'Configuration', PayloadVersion: 1 };
    const profile = (RemovalDate: JsonValue) =>
      check('profile', 'TopLevel', { ...top, PayloadContent: [], RemovalDate }, watch);
    expect(await profile({ $date: '2026-11-20T12:00:00Z' })).toEqual([]);
    expect(await profile('2026-11-20T12:00:00Z')).toEqual([
      'RemovalDate type: a date as {"$date": RFC 3339}',
    ]);
  });
});

describe('a profile payload', () => {
  const common = { PayloadIdentifier: 'com.example.a', PayloadUUID: 'A', PayloadVersion: 1 };

  it('has the keys that all payloads have', async () => {
    const type = 'com.apple.applicationaccess';
    const content = { ...common, PayloadType: type, allowScreenShot: false };
    expect(await check('profile', type, content, watch)).toEqual([]);
    expect(await check('profile', type, { allowScreenShot: false }, watch)).toHaveLength(4);
    expect(await check('profile', type, { ...content, PayloadType: 'com.apple.mdm' }, watch)).toEqual([
      'PayloadType values: com.apple.applicationaccess',
    ]);
    expect(await check('profile', type, { ...content, allowCamera: false }, watch)).toEqual([
      'allowCamera platform: not watchOS',
    ]);
  });

  it('of a type with two forms is held to the form that it has', async () => {
    const type = 'com.apple.extensiblesso';
    const content = { ...common, PayloadType: type, Type: 'Redirect', URLs: ['https://example.com'] };
    const sso = { ...content, ExtensionIdentifier: 'com.example.sso' };
    expect(await check('profile', type, sso, phone)).toEqual([]);
    const kerberos = {
      ...{ ...common, PayloadType: type, Type: 'Credential', TeamIdentifier: 'apple' },
      ExtensionIdentifier: 'com.apple.AppSSOKerberos.KerberosExtension',
    };
    const data = { useSiteAutoDiscovery: 1 };
    expect(await check('profile', type, { ...kerberos, Realm: 'A', ExtensionData: data }, phone)).toEqual([
      'ExtensionData.useSiteAutoDiscovery type: a boolean',
    ]);
    expect(await check('profile', type, { ...sso, ExtensionData: data }, phone)).toEqual([]);
  });

  it('that is recursive is followed as deep as the content goes, up to the limit', async () => {
    const type = 'com.apple.homescreenlayout';
    const nested = (levels: number): JsonObject =>
      levels === 0 ? { Type: 'App' } : { Type: 'Folder', Pages: [[nested(levels - 1)]] };
    const layout = (levels: number) => ({ ...common, PayloadType: type, Pages: [[nested(levels)]] });
    expect(await check('profile', type, layout(5), phone)).toEqual([]);
    const wrong = { ...layout(0), Pages: [[{ Type: 'Folder', Pages: [[{ Type: 'Nothing' }]] }]] };
    expect(await check('profile', type, wrong, phone)).toEqual([
      'Pages[0][0].Pages[0][0].Type values: App, Folder, WebClip',
    ]);
    expect(await check('profile', type, layout(1000), phone)).toEqual([
      expect.stringContaining(`depth: at most ${DEPTH_MAX} levels`),
    ]);
  });
});

describe('the other kinds', () => {
  it('are held to their own forms', async () => {
    const identity = { Password: 'p', Identity: 'AAEC' };
    expect(await check('credential', 'com.apple.credential.identity', identity, watch)).toEqual([]);
    expect(
      await check('credential', 'com.apple.credential.identity', { ...identity, Identity: '*' }),
    ).toEqual(['Identity type: data as base64 text']);
    const pair = (...parts: string[]) => ({ URL: 'https://example.com', Subject: [[parts]] });
    expect(await check('credential', 'com.apple.credential.scep', pair('CN', 'a'))).toEqual([]);
    expect(await check('credential', 'com.apple.credential.scep', pair('CN'))).toEqual([
      'Subject[0][0] count: 2 items',
    ]);
    expect(await check('status', 'passcode.is-compliant', { 'passcode.is-compliant': 'yes' }, watch)).toEqual(
      ['passcode.is-compliant type: a boolean'],
    );
  });

  it('ask for keys of user enrollment in user enrollment alone', async () => {
    const message = { MessageType: 'CheckOut', Topic: 't' };
    const ask = (content: JsonObject, target?: CatalogTarget) =>
      check('checkin', 'CheckOut', content, target);
    expect(await ask({ ...message, UDID: 'u' })).toEqual([]);
    expect(await ask({ ...message, UDID: 'u' }, phone)).toEqual([]);
    const user: CatalogTarget = { platform: 'iOS', enrollment: 'user' };
    expect(await ask({ ...message, EnrollmentID: 'e' }, user)).toEqual([]);
    expect(await ask({ ...message, UDID: 'u' }, user)).toEqual([
      'UDID enrollment: not user enrollment',
      'EnrollmentID required: a key that must be present',
    ]);
    expect(await ask({ ...message, UDID: 'u', EnrollmentID: 'e' }, watch)).toEqual([
      'EnrollmentID platform: not watchOS',
    ]);
  });
});

describe('the refusal', () => {
  it('holds so many problems and no more, and cuts long names', async () => {
    const many = Object.fromEntries(Array.from({ length: 1000 }, (_, at) => [`${'k'.repeat(500)}${at}`, at]));
    const found = await configuration('passcode.settings', many);
    expect(found).toHaveLength(PROBLEMS_MAX);
    expect(found[0]).toBe(`Payload.${'k'.repeat(64)}… unknown-key: no such key`);
    const items = { StandardConfigurations: Array.from({ length: 10_000 }, () => 1) };
    expect(await check('activation', 'com.apple.activation.simple', items)).toHaveLength(PROBLEMS_MAX);
  });
});
