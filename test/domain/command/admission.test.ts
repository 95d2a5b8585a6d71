/** What is queued and what is not: each rule by which the catalog judges a command, and each case that it cannot tell. */
import { env } from 'cloudflare:workers';
import { describe, expect, it } from 'vitest';
import {
  CommandAdmission,
  type CommandProblem,
  type JudgedDevice,
} from '../../../src/domain/command/admission.ts';
import { LACKING } from '../../../src/domain/command/lacking.ts';
import { signAttached } from '../../../src/pki/cms-sign.ts';
import { importAuthority } from '../../../src/pki/keys.ts';
import { findEntry, listEntries } from '../../../src/protocol/catalog/catalog.ts';
import { type CatalogTarget, entryUnsupported } from '../../../src/protocol/catalog/support.ts';
import { ACCESS_RIGHTS, ACCESS_RIGHTS_ALL } from '../../../src/protocol/mdm/access-rights.ts';
import { type JsonObject, jsonToPlist } from '../../../src/protocol/plist/json.ts';
import type { PlistDict, PlistValue } from '../../../src/protocol/plist/value.ts';
import { type Bytes, toBase64, utf8 } from '../../../src/std/bytes.ts';
import { full, keysOf, settingOf } from '../../protocol/catalog/synthesize.ts';
import { mobileConfig, payload, text } from '../../support/uploads.ts';

const WATCH: JudgedDevice = {
  platform: 'watchOS',
  osVersion: '11.2',
  supervised: true,
  hasUnlockToken: true,
  productName: 'Watch7,5',
};
const PHONE: JudgedDevice = { ...WATCH, platform: 'iOS', osVersion: '18.1', productName: 'iPhone17,1' };
const PAD: JudgedDevice = { ...PHONE, productName: 'iPad14,3' };
const ENROLLMENT = 'com.example.enrollment';

interface Choice {
  readonly rights?: number;
  readonly allowUnknown?: boolean;
}

function admission(rights = ACCESS_RIGHTS_ALL): CommandAdmission {
  const isEnrollmentProfile = (identifier: string) => identifier === ENROLLMENT;
  return new CommandAdmission({ accessRights: () => rights, isEnrollmentProfile });
}

/** `path rule: expected` of each problem, after the refusal's kind; empty when the command is admitted. */
async function told(
  device: JudgedDevice,
  requestType: string,
  keys: JsonObject = {},
  { rights, allowUnknown = false }: Choice = {},
): Promise<string[]> {
  return (
    await problems(device, requestType, keys, { ...(rights === undefined ? {} : { rights }), allowUnknown })
  ).map(({ kind, path, rule, expected }) => `${kind}: ${path} ${rule}: ${expected}`);
}

async function problems(
  device: JudgedDevice,
  requestType: string,
  keys: JsonObject = {},
  { rights, allowUnknown = false }: Choice = {},
): Promise<(CommandProblem & { kind: string })[]> {
  const dict = jsonToPlist({ RequestType: requestType, ...keys });
  if (!dict.ok) throw new Error(dict.refusal.reason);
  const command = dict.value as PlistDict;
  const judged = await admission(rights).judge({ requestType, command, allowUnknown }, device);
  if (judged.ok) return [];
  const { refusal } = judged;
  expect(refusal.requestType).toBe(requestType);
  const found = refusal.kind === 'unsupported-command' ? [refusal.problem] : refusal.problems;
  return found.map((problem) => ({ kind: refusal.kind.replace('-command', ''), ...problem }));
}

const data = (content: string | Bytes) => ({
  $data: toBase64(typeof content === 'string' ? utf8(content) : content),
});
const without = (...names: readonly string[]) =>
  names.reduce((rights, name) => rights & ~(ACCESS_RIGHTS[name] ?? 0), ACCESS_RIGHTS_ALL);
const ask = (...Queries: readonly string[]): JsonObject => ({ Queries: [...Queries] });

describe('the type of a command', () => {
  it.each<[string, JudgedDevice, string, string[]]>([
    [
      'that nobody knows',
      WATCH,
      'DeviceLok',
      ['unsupported: RequestType unknown-type: a command in the catalog'],
    ],
    ['of another platform', WATCH, 'RestartDevice', ['unsupported: RequestType platform: not watchOS']],
    [
      'newer than the device',
      { ...PHONE, osVersion: '9.2' },
      'RestartDevice',
      ['unsupported: RequestType version: iOS 10.3 or later'],
    ],
    [
      'that the device has no longer',
      { ...PHONE, osVersion: '27.1' },
      'OSUpdateStatus',
      ['unsupported: RequestType version: iOS before 27.0'],
    ],
    [
      'for supervised devices',
      { ...PHONE, supervised: false },
      'RestartDevice',
      ['unsupported: RequestType supervised: a supervised device'],
    ],
    [
      'for a Shared iPad, on an iPhone',
      PHONE,
      'UserList',
      ['unsupported: RequestType platform: a Shared iPad'],
    ],
  ])('%s is refused', async (_what, device, type, expected) => {
    expect(await told(device, type)).toEqual(expected);
  });

  it.each<[string, JudgedDevice, string]>([
    ['that it has', WATCH, 'SecurityInfo'],
    [
      'for supervised devices, when it is not known whether it is',
      { ...PHONE, supervised: null },
      'RestartDevice',
    ],
    ['of some version, when its own is not known', { ...PHONE, osVersion: null }, 'OSUpdateStatus'],
    ['for a Shared iPad, on an iPad', PAD, 'UserList'],
    ['without supervision, on a device without', { ...PHONE, supervised: false }, 'ProfileList'],
  ])('%s is admitted', async (_what, device, type) => {
    expect(await told(device, type)).toEqual([]);
  });

  it.each<[string, string, JsonObject]>([
    ['AllowInspection', 'ProfileList', {}],
    ['AllowInstallationRemoval', 'RemoveProfile', { Identifier: 'x' }],
    ['AllowPasscodeRemovalAndLock', 'DeviceLock', {}],
    ['AllowDeviceErase', 'EraseDevice', {}],
    ['AllowProvisioningInspection', 'ProvisioningProfileList', {}],
    ['AllowProvisioningInstallationRemoval', 'RemoveProvisioningProfile', { UUID: 'x' }],
    ['AllowQueryApplications', 'InstalledApplicationList', {}],
    ['AllowQueryRestrictions', 'Restrictions', {}],
    ['AllowQuerySecurity', 'SecurityInfo', {}],
    ['AllowSettings', 'Settings', { Settings: [] }],
    ['AllowAppInstallation', 'RemoveApplication', { Identifier: 'x' }],
  ])('without the right %s is refused', async (right, type, keys) => {
    expect(await told(WATCH, type, keys)).toEqual([]);
    expect(await told(WATCH, type, keys, { rights: without(right) })).toEqual([
      `unsupported: RequestType access-right: the access right ${right} (${ACCESS_RIGHTS[right]})`,
    ]);
  });

  it('that asks for no right is admitted with any', async () => {
    expect(await told(WATCH, 'DeclarativeManagement', {}, { rights: 16 })).toEqual([]);
    expect(await told(PHONE, 'DeviceLocation', {}, { rights: 16 })).toEqual([]);
  });
});

describe('what the device is asked for', () => {
  it('goes by the right that each query needs', async () => {
    const queries = ask('UDID', 'DeviceName', 'WiFiMAC', 'iTunesStoreAccountHash', 'AccessibilitySettings');
    expect(await told(WATCH, 'DeviceInformation', queries)).toEqual([]);
    const one = (index: number, right: string) =>
      `invalid: Queries[${index}] access-right: the access right ${right} (${ACCESS_RIGHTS[right]})`;
    const few = { rights: without('AllowQueryNetworkInformation') };
    expect(await told(WATCH, 'DeviceInformation', queries, few)).toEqual([
      one(2, 'AllowQueryNetworkInformation'),
    ]);
    expect(await told(WATCH, 'DeviceInformation', queries, { rights: 1 })).toEqual([
      one(1, 'AllowQueryDeviceInformation'),
      one(2, 'AllowQueryNetworkInformation'),
      one(3, 'AllowAppInstallation'),
    ]);
  });

  it('goes by platform, version and supervision', async () => {
    const queries = ask('IMEI', 'AccessibilitySettings', 'SoftwareUpdateSettings');
    expect(await told({ ...WATCH, supervised: false }, 'DeviceInformation', queries)).toEqual([
      'invalid: Queries[0] platform: not watchOS',
      'invalid: Queries[1] supervised: a supervised device',
      'invalid: Queries[2] platform: not watchOS',
    ]);
    expect(await told({ ...PHONE, osVersion: '15.8' }, 'DeviceInformation', queries)).toEqual([
      'invalid: Queries[1] version: iOS 16.0 or later',
    ]);
  });

  it('is named, and known', async () => {
    expect(await told(WATCH, 'DeviceInformation')).toEqual([
      'invalid: Queries required: a key that must be present',
    ]);
    expect(await told(WATCH, 'DeviceInformation', ask('Moon'))).toEqual([
      expect.stringMatching(/^invalid: Queries\[0\] values: one of \S+, \S+, .* and \d+ more/),
    ]);
    expect(await told(WATCH, 'DeviceInformation', ask('Moon'), { allowUnknown: true })).toEqual([]);
  });
});

describe('the content of a command', () => {
  it.each<[string, string, JsonObject, string[]]>([
    ['a key is unknown', 'DeviceLock', { Mesage: 'x' }, ['Mesage unknown-key: no such key']],
    ['a key is missing', 'RemoveProfile', {}, ['Identifier required: a key that must be present']],
    ['a type is wrong', 'DeviceLock', { Message: 1 }, ['Message type: a string']],
    [
      'a value is wrong',
      'InstallApplication',
      { Identifier: 'x', ManagementFlags: 2 },
      ['ManagementFlags values: 1, 4, 5'],
    ],
    [
      'a key is of another platform',
      'EraseDevice',
      { DisallowProximitySetup: true },
      ['DisallowProximitySetup platform: not watchOS'],
    ],
    [
      'several things are',
      'Settings',
      {
        Settings: [
          { Item: 'DeviceName', DeviceName: 'x' },
          { Item: 'OrganizationInfo', Moon: 1 },
        ],
      },
      ['Settings[0] platform: not watchOS', 'Settings[1].Moon unknown-key: no such key'],
    ],
  ])('is refused where %s', async (_what, type, keys, expected) => {
    expect(await told(WATCH, type, keys)).toEqual(expected.map((problem) => `invalid: ${problem}`));
  });

  it('may hold unknown keys when that is allowed, and nothing that the platform lacks', async () => {
    const keys = { PreserveDataPlan: true, Moon: 1, DisallowProximitySetup: true };
    expect(await told(WATCH, 'EraseDevice', keys, { allowUnknown: true })).toEqual([
      'invalid: DisallowProximitySetup platform: not watchOS',
    ]);
  });

  it('is not looked into for an unknown command, which passes only when that is allowed', async () => {
    expect(await told(WATCH, 'NewInWatchOS28', { Moon: 1 }, { allowUnknown: true })).toEqual([]);
    expect(await told(WATCH, 'NewInWatchOS28', { Moon: 1 })).toHaveLength(1);
    expect(await told(WATCH, 'RestartDevice', {}, { allowUnknown: true })).toHaveLength(1);
  });

  it.each(['watchOS', 'iOS'] as const)('of every %s command, whole, is admitted', async (platform) => {
    const device = { ...(platform === 'iOS' ? PAD : WATCH), osVersion: platform === 'iOS' ? '26.4' : '27.0' };
    const special = new Set(['ClearPasscode', 'DeclarativeManagement', 'InstallProfile']);
    for (const entry of await listEntries('command', platform)) {
      if (special.has(entry.type)) continue;
      const { RequestType: _type, ...keys } = full(await keysOf(entry), settingOf(entry, platform));
      if (entry.type === 'DeviceInformation') keys['Queries'] = ['UDID'];
      const found = await told(device, entry.type, keys);
      // Keys that an earlier version had are in the whole form as well.
      expect(
        found.filter((problem) => !/ before \d/.test(problem)),
        entry.type,
      ).toEqual([]);
    }
  });
});

describe('ClearPasscode', () => {
  it('is ordered without the unlock token, which is put in later', async () => {
    expect(await told(WATCH, 'ClearPasscode')).toEqual([]);
    expect(await told(WATCH, 'ClearPasscode', { UnlockToken: data('mine') })).toEqual([
      'invalid: UnlockToken reserved: no such key: the token that the device sent is put in',
    ]);
  });

  it('is refused for a device that has sent none', async () => {
    expect(await told({ ...WATCH, hasUnlockToken: false }, 'ClearPasscode')).toEqual([
      'unsupported: RequestType unlock-token: a device that has sent an unlock token',
    ]);
  });
});

describe('DeclarativeManagement', () => {
  it('asks the device to look, and carries no tokens but the server’s own', async () => {
    expect(await told(WATCH, 'DeclarativeManagement')).toEqual([]);
    expect(await told(WATCH, 'DeclarativeManagement', { Data: data('{}') })).toEqual([
      'invalid: Data reserved: no such key: the server alone knows the tokens of the moment',
    ]);
  });
});

describe('InstallApplication', () => {
  it('says which app, on a watch the watch’s own', async () => {
    expect(await told(PHONE, 'InstallApplication', { ManagementFlags: 1 })).toEqual([
      'invalid: Identifier required: iTunesStoreID, Identifier or ManifestURL',
    ]);
    expect(await told(WATCH, 'InstallApplication')).toEqual([
      "invalid: Identifier required: iTunesStoreID, Identifier (of the watch's own app, not of the iPhone's) or ManifestURL",
    ]);
    for (const key of [{ iTunesStoreID: 1 }, { Identifier: 'x' }, { ManifestURL: 'https://x' }])
      expect(await told(WATCH, 'InstallApplication', key)).toEqual([]);
  });
});

describe('InstallProfile', () => {
  const install = (profile: string | Bytes, device = WATCH, choice: Choice = {}) =>
    told(device, 'InstallProfile', { Payload: data(profile) }, choice);
  const of = (...types: readonly string[]) => mobileConfig(types.map((type) => payload(type)));

  it('takes a profile that the catalog knows, signed or not', async () => {
    expect(await install(mobileConfig())).toEqual([]);
    const { signer } = await importAuthority(env.CA_CERTIFICATE, env.CA_KEY);
    expect(await install(await signAttached(utf8(mobileConfig()), signer))).toEqual([]);
  });

  it.each<[string, string, RegExp]>([
    ['is no profile', 'hello', /Payload profile: a profile that can be read/],
    ['is encrypted', mobileConfig([], { IsEncrypted: '<true/>' }), /Payload profile: .*encrypted/],
    ['is too large', mobileConfig() + ' '.repeat(1024 * 1024), /Payload profile: at most 1048576 bytes/],
    ['manages the device', of('com.apple.mdm'), /Payload reserved: /],
    [
      'replaces the one that does',
      mobileConfig(undefined, { PayloadIdentifier: text(ENROLLMENT) }),
      /Payload reserved: /,
    ],
    ['has an unknown payload', of('com.example.moon'), /Payload unknown-type: PayloadContent\[0\]/],
    [
      'has a wrong key',
      mobileConfig([payload('com.apple.wifi.managed', { SSID_STR: '<true/>' })]),
      /Payload type: PayloadContent\[0\]\.SSID_STR: a string/,
    ],
    [
      'only a person may install',
      mobileConfig([payload('com.apple.declarations', { Declarations: '<array/>' })]),
      /Payload profile: not com\.apple\.declarations/,
    ],
    [
      'has a payload of another platform',
      mobileConfig([
        payload('com.apple.mail.managed', {
          EmailAccountType: text('EmailTypeIMAP'),
          IncomingMailServerAuthentication: text('EmailAuthNone'),
          IncomingMailServerHostName: text('x'),
          OutgoingMailServerAuthentication: text('EmailAuthNone'),
          OutgoingMailServerHostName: text('x'),
        }),
      ]),
      /Payload platform: com\.apple\.mail\.managed: not watchOS/,
    ],
  ])('is refused when the profile %s', async (_what, profile, expected) => {
    const found = await install(profile);
    expect(found).toHaveLength(1);
    expect(found[0]).toMatch(expected);
  });

  it('goes by the version and the supervision that a payload asks for', async () => {
    const acme = payload('com.apple.security.acme', {
      DirectoryURL: text('https://x'),
      ClientIdentifier: text('x'),
      KeySize: '<integer>256</integer>',
      KeyType: text('ECSECPrimeRandom'),
      HardwareBound: '<true/>',
      Subject: '<array/>',
    });
    const profile = mobileConfig([acme]);
    expect(await install(profile, PHONE)).toEqual([]);
    expect(await install(profile, { ...PHONE, osVersion: '15.0' })).toEqual([
      'invalid: Payload version: com.apple.security.acme: iOS 16.0 or later',
    ]);
  });

  it('takes what nobody knows when that is allowed, and no management of the device', async () => {
    expect(await install(of('com.example.moon'), WATCH, { allowUnknown: true })).toEqual([]);
    expect(await install(of('com.apple.mdm'), WATCH, { allowUnknown: true })).toHaveLength(1);
  });

  it('asks for data', async () => {
    expect(await told(WATCH, 'InstallProfile', { Payload: 'text' })).toEqual([
      'invalid: Payload type: data as {"$data": base64}',
    ]);
    expect(await told(WATCH, 'InstallProfile')).toEqual([
      'invalid: Payload required: a key that must be present',
    ]);
  });
});

describe('what a platform lacks', () => {
  const LATEST = { iOS: '27.0', watchOS: '27.0' };

  it('has a reason for every command that an iPhone has and a watch has not', async () => {
    const lacking = (await listEntries('command')).filter(({ platforms }) => platforms.watchOS === undefined);
    expect(lacking).toHaveLength(28);
    for (const { type } of lacking) {
      const [problem] = await problems(WATCH, type);
      expect(problem?.lack?.reason, type).toMatch(/^\S.*\.$/);
    }
  });

  it('has a reason for every command that iOS has no longer', async () => {
    const device = { ...PHONE, osVersion: '27.0' };
    const gone = (await listEntries('command', 'iOS')).filter(
      ({ platforms }) => platforms.iOS?.removed !== undefined,
    );
    expect(gone.map(({ type }) => type)).toEqual([
      'AvailableOSUpdates',
      'OSUpdateStatus',
      'ScheduleOSUpdate',
    ]);
    for (const { type } of gone)
      expect((await problems(device, type))[0]?.lack?.alternative, type).not.toBeNull();
  });

  it.each(['iOS', 'watchOS'] as const)('names for %s only what is there instead', async (platform) => {
    const target: CatalogTarget = { platform, osVersion: LATEST[platform], supervised: true };
    const alternatives = Object.entries(LACKING[platform]).flatMap(([name, { alternative }]) =>
      alternative === null ? [] : [{ name, alternative }],
    );
    expect(alternatives.length).toBeGreaterThan(3);
    for (const { name, alternative } of alternatives) {
      const entry = await findEntry(alternative.kind, alternative.type);
      expect(entry, name).not.toBeNull();
      expect(entry === null ? null : entryUnsupported(entry, target), name).toBeNull();
    }
  });

  it.each(['iOS', 'watchOS'] as const)('speaks of nothing that %s has', async (platform) => {
    const target: CatalogTarget = { platform, osVersion: LATEST[platform], supervised: true };
    for (const name of Object.keys(LACKING[platform]).filter((one) => !one.includes('.'))) {
      const entry = await findEntry('command', name);
      expect(entry === null ? null : entryUnsupported(entry, target), name).not.toBeNull();
    }
  });

  it.each<[JudgedDevice, string, JsonObject, RegExp, string | null]>([
    [WATCH, 'EraseDevice', { PIN: '123456' }, /PIN/, null],
    [WATCH, 'DeviceLock', { PIN: '123456' }, /PIN/, null],
    [PHONE, 'DeviceLock', { PIN: '123456' }, /PIN/, null],
    [
      WATCH,
      'Settings',
      { Settings: [{ Item: 'PasscodeLockGracePeriod', PasscodeLockGracePeriod: 60 }] },
      /passcode/,
      'com.apple.configuration.passcode.settings',
    ],
    [WATCH, 'Settings', { Settings: [{ Item: 'TimeZone', TimeZone: 'x' }] }, /time zone/, null],
    [
      { ...PHONE, osVersion: '27.0' },
      'DeviceInformation',
      ask('SoftwareUpdateDeviceID'),
      /status item/,
      'softwareupdate.device-id',
    ],
  ])('is said of a word as well: %#', async (device, type, keys, reason, alternative) => {
    const [problem] = await problems(device, type, keys);
    expect(problem?.lack?.reason).toMatch(reason);
    expect(problem?.lack?.alternative?.type ?? null).toBe(alternative);
  });
});

describe('one command for several devices', () => {
  it('is judged for each kind of device, whatever was said of it for another', async () => {
    const command: PlistDict = new Map([['RequestType', 'RestartDevice']]);
    const one = admission();
    const judge = async (device: JudgedDevice) =>
      (await one.judge({ requestType: 'RestartDevice', command }, device)).ok;
    const devices = [
      PHONE,
      WATCH,
      { ...PHONE, osVersion: '9.0' },
      { ...PHONE, supervised: false },
      { ...PHONE },
    ];
    expect(await Promise.all(devices.map(judge))).toEqual([true, false, false, false, true]);
  });

  it('is judged as it stands, whatever was said of it before', async () => {
    const command = new Map<string, PlistValue>([['RequestType', 'DeviceInformation']]);
    const one = admission();
    const judge = async () => (await one.judge({ requestType: 'DeviceInformation', command }, WATCH)).ok;
    expect(await judge()).toBe(false);
    command.set('Queries', ['UDID']);
    expect(await judge()).toBe(true);
  });

  it('with a profile is judged for each, and by what is allowed', async () => {
    const Payload = data(mobileConfig([payload('com.example.moon')]));
    const dict = jsonToPlist({ RequestType: 'InstallProfile', Payload });
    const command = (dict.ok ? dict.value : new Map()) as PlistDict;
    const one = admission();
    const judge = async (allowUnknown: boolean, device = WATCH) =>
      (await one.judge({ requestType: 'InstallProfile', command, allowUnknown }, device)).ok;
    expect([await judge(false), await judge(true), await judge(false), await judge(true, PHONE)]).toEqual([
      ...[false, true, false, true],
    ]);
  });

  it('is judged anew with allowUnknown', async () => {
    const command: PlistDict = new Map([['RequestType', 'Moon']]);
    const one = admission();
    const judge = async (allowUnknown: boolean) =>
      (await one.judge({ requestType: 'Moon', command, allowUnknown }, WATCH)).ok;
    expect([await judge(false), await judge(true), await judge(false)]).toEqual([false, true, false]);
  });
});

describe('what a device takes', () => {
  it('is said of every command, as the order of one would be judged', async () => {
    const said = await admission(without('AllowDeviceErase')).available({ ...WATCH, hasUnlockToken: false });
    expect(said).toHaveLength((await listEntries('command')).length);
    const open = said.filter(({ problem }) => problem === null).map(({ requestType }) => requestType);
    const watch = (await listEntries('command', 'watchOS')).map(({ type }) => type);
    expect(open).toEqual(watch.filter((type) => type !== 'EraseDevice' && type !== 'ClearPasscode'));
    const erase = said.find(({ requestType }) => requestType === 'EraseDevice');
    expect(erase?.problem?.rule).toBe('access-right');
  });
});
