/**
 * The policy of an iPhone and its watch through the front door: rules declared, stored in profiles and installed by
 * command, on either; what mirrors and what stays; what is in force once the devices report and answer; and what is
 * left when the iPhone checks out. After the story the invariants of everything stored.
 */
import { env } from 'cloudflare:workers';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { SimulatedPhone, SimulatedWatch } from '../simulator/index.ts';
import { admin, adminReply, assignedPhone, type Json, order, pairedWatch } from '../support/front-door.ts';
import { checkInvariants, settle } from '../support/invariants.ts';
import { declare } from '../support/put-declaration.ts';
import { CREATE, mobileConfig, payload, putProfile, text } from '../support/uploads.ts';

const PASSCODE = 'com.apple.configuration.passcode.settings';
const POLICY = 'com.apple.mobiledevice.passwordpolicy';
const RESTRICTIONS = 'com.apple.applicationaccess';

type Device = SimulatedPhone | SimulatedWatch;
let phone: SimulatedPhone;
let watch: SimulatedWatch;
beforeAll(async () => {
  phone = await assignedPhone();
  watch = await pairedWatch(phone);
});
afterAll(checkInvariants);

const integer = (value: number) => `<integer>${value}</integer>`;
const [yes, no] = ['<true/>', '<false/>'];

/** Stores a profile of one payload under a PayloadIdentifier of its own. */
async function store(name: string, type: string, keys: Record<string, string>): Promise<string> {
  const uuid = (n: number) => text(`5D9D0F6A-2C2B-4D6E-8C1A-${name.length}${String(n).padStart(10, '0')}`);
  const own = payload(type, { PayloadIdentifier: text(`${name}.rules`), PayloadUUID: uuid(1), ...keys });
  const more = { PayloadIdentifier: text(name), PayloadUUID: uuid(2) };
  const stored = await putProfile(name, mobileConfig([own], more), CREATE, '?unpairsWatches=true');
  expect(stored.status, stored.text).toBe(201);
  return name;
}

/** A set of these configurations with an activation of all, assigned to one device, who is not asked yet. */
async function assign(device: Device, set: string, configurations: readonly string[]): Promise<void> {
  await declare(`${set}.act`, 'com.apple.activation.simple', { StandardConfigurations: [...configurations] });
  await admin('PUT', `sets/${set}`, { declarations: [...configurations, `${set}.act`] });
  await admin('PUT', `sets/${set}/devices/${device.udid}`);
}

async function sync(device: Device): Promise<void> {
  await settle();
  for (let i = 0; i < 5; i++) if ((await device.connect()).commands.length === 0) break;
  await settle();
}

async function ask(device: Device, requestType: string, more: Json = {}): Promise<void> {
  await order(device, requestType, { command: { RequestType: requestType, ...more } });
  await sync(device);
}

interface Policy {
  readonly document: Json;
  readonly rows: ReadonlyMap<string, Json>;
  readonly warnings: readonly Json[];
  warning(kind: string): Json | undefined;
}

async function policyOf(device: { readonly udid: string }): Promise<Policy> {
  const document = await admin('GET', `devices/${device.udid}/policy`);
  const rows = new Map((document['rows'] as Json[]).map((row) => [`${row['domain']}/${row['key']}`, row]));
  const warnings = document['warnings'] as Json[];
  return { document, rows, warnings, warning: (kind) => warnings.find((one) => one['kind'] === kind) };
}

const kinds = ({ warnings }: Policy) => warnings.map((one) => one['kind']);
const inForce = (policy: Policy, row: string) => (policy.rows.get(row)?.['inForce'] ?? {}) as Json;

describe('rules on an iPhone and its watch', () => {
  it('are merged before any device has said a word of them, and nothing is said to be in force', async () => {
    await declare('policy.passcode', PASSCODE, { MinimumLength: 6, MaximumFailedAttempts: 8 });
    await assign(phone, 'policy-phone', ['policy.passcode']);
    await store('com.example.policy.phone', RESTRICTIONS, {
      allowScreenShot: no,
      allowCamera: no,
      forceWatchWristDetection: yes,
      allowAutoUnlock: no,
    });
    await store('com.example.policy.watch', POLICY, { minLength: integer(4), maxFailedAttempts: integer(5) });
    await admin('PUT', `devices/${phone.udid}/profiles/com.example.policy.phone`, { push: false });
    await admin('PUT', `devices/${watch.udid}/profiles/com.example.policy.watch`, { push: false });
    const policy = await policyOf(watch);
    expect(policy.document).toMatchObject({
      device: { udid: watch.udid, platform: 'watchOS', state: 'enrolled' },
      phone: { udid: phone.udid, state: 'enrolled' },
    });
    expect([...policy.rows.keys()]).toEqual([
      'passcode/forcePIN',
      'passcode/maxFailedAttempts',
      'passcode/minLength',
      'restrictions/allowAutoUnlock',
      'restrictions/allowScreenShot',
      'restrictions/forceWatchWristDetection',
    ]);
    expect(policy.rows.get('passcode/minLength')).toMatchObject({
      value: 6,
      own: 4,
      certain: true,
      rule: { kind: 'most-restrictive', prefers: 'larger', source: 'passcode.settings: number-max' },
      origin: { kind: 'declaration', identifier: 'policy.passcode', device: phone.udid, via: 'mirror' },
      inForce: { value: null, by: null, asOf: null },
      contributors: [
        { type: POLICY, key: 'minLength', said: 4, counts: true, wins: false, origin: { via: 'direct' } },
        {
          type: PASSCODE,
          key: 'MinimumLength',
          said: 6,
          counts: true,
          wins: true,
          origin: { via: 'mirror' },
        },
      ],
    });
    expect(policy.rows.get('passcode/maxFailedAttempts')).toMatchObject({
      value: 5,
      origin: { kind: 'profile', identifier: 'com.example.policy.watch', device: watch.udid, via: 'direct' },
    });
    expect(policy.rows.get('restrictions/allowScreenShot')).toMatchObject({ value: false, certain: false });
    expect(policy.rows.get('restrictions/allowAutoUnlock')).toMatchObject({ origin: { via: 'phone' } });
    expect([...policy.rows.values()].map((row) => (row['inForce'] as Json)['value'])).toEqual(
      Array(6).fill(null),
    );
    expect(policy.warning('watch-only')).toMatchObject({
      keys: ['passcode/maxFailedAttempts'],
    });
    expect(kinds(policy)).toContain('passcode-forced-by-phone');
  });

  it('show on the iPhone as its own, with what of them reaches the watch', async () => {
    const policy = await policyOf(phone);
    expect(policy.rows.get('passcode/minLength')).toMatchObject({ value: 6, own: 6 });
    expect(policy.rows.has('restrictions/allowCamera')).toBe(true);
    const [reached] = policy.document['reaches'] as Json[];
    expect(reached).toMatchObject({ watch: watch.udid });
    const reach = ((reached?.['keys'] ?? []) as Json[]).map((one) => [
      one['key'],
      one['value'],
      one['via'],
      one['certain'],
    ]);
    expect(reach).toEqual([
      ['forcePIN', true, 'mirror', true],
      ['maxFailedAttempts', 8, 'mirror', true],
      ['minLength', 6, 'mirror', true],
      ['allowAutoUnlock', false, 'phone', true],
      ['allowScreenShot', false, 'mirror', false],
      ['forceWatchWristDetection', true, 'mirror', true],
    ]);
    expect(policy.warning('watch-only')).toBeUndefined();
  });

  it('are in force where the devices report them applied or acknowledged them', async () => {
    await sync(phone);
    await sync(watch);
    const onPhone = await policyOf(phone);
    expect(inForce(onPhone, 'passcode/minLength')).toMatchObject({
      value: true,
      by: 'management.declarations',
    });
    expect(inForce(onPhone, 'restrictions/allowCamera')).toMatchObject({ value: true, by: 'InstallProfile' });
    const onWatch = await policyOf(watch);
    expect(inForce(onWatch, 'passcode/maxFailedAttempts')).toMatchObject({
      value: true,
      by: 'InstallProfile',
    });
    // What the iPhone applied does not show what reached the watch; what is about watches is the iPhone's to say.
    expect(inForce(onWatch, 'passcode/minLength')['value']).toBeNull();
    expect(inForce(onWatch, 'restrictions/allowAutoUnlock')).toMatchObject({
      value: true,
      by: 'InstallProfile',
    });
  });

  it('that are mirrored are in force once the watch answers what restricts it', async () => {
    await ask(watch, 'Restrictions', { ProfileRestrictions: true });
    const policy = await policyOf(watch);
    for (const row of [
      'passcode/minLength',
      'restrictions/allowScreenShot',
      'restrictions/forceWatchWristDetection',
    ])
      expect(inForce(policy, row), row).toMatchObject({ value: true, by: 'Restrictions' });
  });

  it('are not in force while the passcode does not comply', async () => {
    watch.facts.compliant = false;
    await ask(watch, 'SecurityInfo');
    const policy = await policyOf(watch);
    expect((policy.document['passcode'] as Json)['compliant']).toMatchObject({ value: false });
    expect(inForce(policy, 'passcode/minLength')['value']).toBe(false);
    expect(inForce(policy, 'restrictions/allowScreenShot')['value']).toBe(true);
    watch.facts.compliant = true;
    await ask(watch, 'SecurityInfo');
    expect(inForce(await policyOf(watch), 'passcode/minLength')).toMatchObject({
      value: true,
      by: 'Restrictions',
    });
  });

  it('of an invalid declaration, an inactive one and a failed profile do not count', async () => {
    await declare('policy.unnamed', PASSCODE, { MinimumLength: 9 });
    await declare('policy.off', PASSCODE, { MinimumLength: 10 });
    await declare('policy.off.act', 'com.apple.activation.simple', {
      StandardConfigurations: ['policy.off'],
      Predicate: 'FALSEPREDICATE',
    });
    await admin('PUT', 'sets/policy-off', {
      declarations: ['policy.unnamed', 'policy.off', 'policy.off.act'],
    });
    await admin('PUT', `sets/policy-off/devices/${watch.udid}`);
    await sync(watch);
    const row = (await policyOf(watch)).rows.get('passcode/minLength');
    expect(row?.['value']).toBe(6);
    const said = ((row?.['contributors'] ?? []) as Json[]).filter((one) => one['counts'] === false);
    expect(said.map((one) => [one['said'], one['because']])).toEqual([
      [10, 'inactive'],
      [9, 'not-activated'],
    ]);
    await admin('DELETE', `sets/policy-off/devices/${watch.udid}`);
    await sync(watch);
  });

  it('stay in the order that is given to remove their profile, and go with it', async () => {
    await store('com.example.policy.gone', POLICY, { minLength: integer(8) });
    await admin('PUT', `devices/${watch.udid}/profiles/com.example.policy.gone`, { push: false });
    await sync(watch);
    expect((await policyOf(watch)).rows.get('passcode/minLength')).toMatchObject({ value: 8 });
    expect((await policyOf(watch)).warning('conflict')).toMatchObject({ keys: ['passcode/minLength'] });
    await admin('DELETE', `devices/${watch.udid}/profiles/com.example.policy.gone`);
    const ordered = (await policyOf(watch)).rows.get('passcode/minLength');
    expect(ordered).toMatchObject({ value: 6 });
    expect(JSON.stringify(ordered?.['contributors'])).toContain('"because":"removing"');
    await sync(watch);
    expect(JSON.stringify((await policyOf(watch)).rows.get('passcode/minLength'))).not.toContain(
      'policy.gone',
    );
  });
});

describe('a profile that is in the command itself', () => {
  const data = (rules: Record<string, string>) => {
    const name = { PayloadIdentifier: text('com.example.policy.raw.rules') };
    const uuid = (n: number) => text(`5D9D0F6A-2C2B-4D6E-8C1A-0000000000B${n}`);
    const own = payload(POLICY, { ...name, PayloadUUID: uuid(1), ...rules });
    const more = { PayloadIdentifier: text('com.example.policy.raw'), PayloadUUID: uuid(2) };
    return { $data: btoa(mobileConfig([own], more)) };
  };
  const install = (rules: Record<string, string>) => ask(watch, 'InstallProfile', { Payload: data(rules) });
  const length = async () => (await policyOf(watch)).rows.get('passcode/minLength');

  it('counts from when it was acknowledged until one of its name takes its place or it is removed', async () => {
    await install({ minLength: integer(9) });
    expect(await length()).toMatchObject({
      value: 9,
      origin: { kind: 'command', payloadIdentifier: 'com.example.policy.raw', device: watch.udid },
    });
    await ask(watch, 'ProfileList');
    expect((await policyOf(watch)).warning('foreign-profiles')).toBeUndefined();
    await install({ minLength: integer(8) });
    expect(await length()).toMatchObject({ value: 8 });
    await ask(watch, 'RemoveProfile', { Identifier: 'com.example.policy.raw' });
    expect(await length()).toMatchObject({ value: 6 });
  });

  it('takes the place of a stored one, which no longer counts, as does one that such a command removed', async () => {
    await store('com.example.policy.raw', POLICY, { minLength: integer(12) });
    const ordered = `devices/${watch.udid}/profiles/com.example.policy.raw`;
    await admin('PUT', ordered, { push: false });
    await sync(watch);
    expect(await length()).toMatchObject({ value: 12, origin: { kind: 'profile' } });
    await install({ minLength: integer(7) });
    expect(await length()).toMatchObject({ value: 7, origin: { kind: 'command' } });
    await ask(watch, 'RemoveProfile', { Identifier: 'com.example.policy.raw' });
    const row = await length();
    expect(row).toMatchObject({ value: 6 });
    const because = ((row?.['contributors'] ?? []) as Json[]).map((one) => [one['said'], one['because']]);
    expect(because).toContainEqual([12, 'not-installed']);
    await admin('PUT', ordered, { push: false, again: true });
    await sync(watch);
    expect(await length()).toMatchObject({ value: 12, origin: { kind: 'profile' } });
    await admin('DELETE', ordered);
    await sync(watch);
    expect(await length()).toMatchObject({ value: 6 });
  });
});

describe('a profile behind a declaration', () => {
  it('is opened where it is stored here, and named where it is not', async () => {
    await store('com.example.policy.legacy', RESTRICTIONS, { allowDiagnosticSubmission: no, allowNews: no });
    await declare('policy.elsewhere', 'com.apple.configuration.legacy', {
      ProfileURL: 'https://example.com/p',
    });
    await assign(watch, 'policy-legacy', ['com.example.policy.legacy', 'policy.elsewhere']);
    const policy = await policyOf(watch);
    expect(policy.rows.get('restrictions/allowDiagnosticSubmission')).toMatchObject({
      value: false,
      origin: { kind: 'declaration', payloadIdentifier: 'com.example.policy.legacy', via: 'direct' },
    });
    expect(policy.rows.get('restrictions/allowNews')).toMatchObject({ value: null });
    expect(policy.warning('unsupported-key')).toMatchObject({ keys: ['restrictions/allowNews'] });
    expect(policy.warning('source-unread')).toMatchObject({
      reason: 'foreign',
      origin: { identifier: 'policy.elsewhere' },
    });
    await admin('DELETE', `sets/policy-legacy/devices/${watch.udid}`);
  });
});

it('shows nothing of a profile but its rules', async () => {
  const wifi = payload('com.apple.wifi.managed', {
    PayloadUUID: text('5D9D0F6A-2C2B-4D6E-8C1A-0000000000A1'),
    SSID_STR: text('Example'),
    EncryptionType: text('WPA2'),
    Password: text('the-password-of-policies'),
  });
  const rules = payload(POLICY, { PayloadIdentifier: text('com.example.both.rules'), minLength: integer(7) });
  const more = {
    PayloadIdentifier: text('com.example.policy.both'),
    PayloadUUID: text('5D9D0F6A-2C2B-4D6E-8C1A-0000000000A2'),
  };
  const stored = await putProfile('com.example.policy.both', mobileConfig([wifi, rules], more));
  expect(stored.status, stored.text).toBe(201);
  await assign(watch, 'policy-both', ['com.example.policy.both']);
  const { document, rows } = await policyOf(watch);
  expect(rows.get('passcode/minLength')).toMatchObject({ value: 7 });
  expect(JSON.stringify(document)).not.toMatch(/the-password|SSID|wifi/);
  await admin('DELETE', `sets/policy-both/devices/${watch.udid}`);
});

describe('an iPhone', () => {
  it('that may have no watch says what that does to it', async () => {
    await store('com.example.policy.unpair', RESTRICTIONS, { allowPairedWatch: no });
    await store('com.example.policy.alpha', POLICY, { requireAlphanumeric: yes });
    await assign(phone, 'policy-danger', ['com.example.policy.unpair', 'com.example.policy.alpha']);
    for (const device of [phone, watch])
      expect(kinds(await policyOf(device))).toEqual(
        expect.arrayContaining(['paired-watch-forbidden', 'alphanumeric-on-phone']),
      );
    await admin('DELETE', `sets/policy-danger/devices/${phone.udid}`);
    expect(kinds(await policyOf(watch))).not.toContain('paired-watch-forbidden');
  });
});

/** Everything that D1 is asked while `act` runs. */
async function statements(act: () => Promise<unknown>): Promise<number> {
  const prepare = vi.spyOn(Object.getPrototypeOf(env.DB) as D1Database, 'prepare');
  try {
    await act();
    return prepare.mock.calls.length;
  } finally {
    prepare.mockRestore();
  }
}

/** Two devices are read for a watch, one for an iPhone: with the same statements, but for the watch's iPhone being known. */
it('costs thirteen statements, whatever the number of devices, sources and keys', async () => {
  const names: string[] = [];
  for (const many of [1, 6]) {
    for (let n = names.length / 2; n < many; n++) {
      const keys = {
        allowNews: no,
        allowChat: no,
        allowSafari: no,
        [`allowAir${n % 2 === 0 ? 'Drop' : 'Print'}`]: no,
      };
      names.push(await store(`com.example.policy.many.${n}`, RESTRICTIONS, keys));
      await declare(`policy.many.${n}`, PASSCODE, { MinimumLength: n + 4, MaximumPasscodeAgeInDays: 30 + n });
      names.push(`policy.many.${n}`);
    }
    await assign(phone, 'policy-many', names);
    expect(await statements(() => policyOf(watch)), `${many} of the watch`).toBe(13);
    expect(await statements(() => policyOf(phone)), `${many} of the iPhone`).toBe(13);
  }
  const contributors = (await policyOf(phone)).rows.get('restrictions/allowNews')?.['contributors'] as Json[];
  expect(contributors).toHaveLength(6);
  await admin('DELETE', `sets/policy-many/devices/${phone.udid}`);
});

it('is asked of a device that is known, by an administrator', async () => {
  expect(await adminReply('GET', 'devices/NOBODY-000000001/policy')).toMatchObject({ status: 404 });
  expect(await adminReply('GET', 'devices/x/policy')).toMatchObject({ status: 400 });
});

it('of a watch whose iPhone checked out mirrors nothing, and says what becomes of the watch', async () => {
  await phone.checkOut();
  await settle();
  const policy = await policyOf(watch);
  expect(policy.document['phone']).toMatchObject({ state: 'checked-out' });
  expect(policy.warning('phone-checked-out')).toMatchObject({ phone: phone.udid });
  expect([...policy.rows.keys()]).toEqual(['passcode/maxFailedAttempts', 'passcode/minLength']);
  expect(policy.rows.get('passcode/minLength')).toMatchObject({ value: 4, origin: { via: 'direct' } });
  // The watch did not speak since, so what it reported before is no proof.
  expect(policy.warning('presumed-gone')).toMatchObject({ why: 'phone-checked-out', device: phone.udid });
  expect([...policy.rows.keys()].map((row) => inForce(policy, row)['value'])).toEqual([null, null]);
  const left = await policyOf(phone);
  expect(left.rows.size).toBe(0);
  expect(kinds(left)).toContain('device-checked-out');
});
