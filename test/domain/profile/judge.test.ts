/** What the catalog says of a profile on each platform, and what deserves a look. */
import { describe, expect, it } from 'vitest';
import { parseProfile } from '../../../src/domain/declaration/profile-content.ts';
import { fitnessFor, fitnessOf } from '../../../src/domain/profile/judge.ts';
import { warningsOf } from '../../../src/domain/profile/warnings.ts';
import { utf8 } from '../../../src/std/bytes.ts';
import { mobileConfig, payload, text, WIFI } from '../../support/uploads.ts';

function read(xml: string) {
  const profile = parseProfile(utf8(xml));
  if (!profile.ok) throw new Error(profile.refusal.kind);
  return profile.value;
}

let made = 0;
/** A payload with identifiers of its own. */
function own(type: string, more: Record<string, string> = {}) {
  made += 1;
  const tail = String(made).padStart(12, '0');
  return payload(type, {
    PayloadIdentifier: text(`com.example.own.${made}`),
    PayloadUUID: text(`5D9D0F6A-2C2B-4D6E-8C1B-${tail}`),
    ...more,
  });
}
const places = (problems: readonly { path: string; rule: string }[]) =>
  problems.map(({ path, rule }) => [path, rule]);
const TRUE = '<true/>';
const FALSE = '<false/>';

describe('a profile', () => {
  it('of payloads that both platforms have fits both', async () => {
    const { iOS, watchOS } = await fitnessOf(read(mobileConfig()), false);
    expect([iOS, watchOS]).toEqual(Array(2).fill({ ok: true, problems: [], passedOver: [] }));
  });

  it('with a payload that a watch does not have is not for a watch', async () => {
    const mail = own('com.apple.mail.managed');
    const { iOS, watchOS } = await fitnessOf(read(mobileConfig([WIFI, mail])), true);
    expect(places(watchOS.problems)).toEqual([['PayloadContent[1].PayloadType', 'platform']]);
    expect([watchOS.ok, places(iOS.problems).some(([path]) => path?.endsWith('PayloadType'))]).toEqual([
      false,
      false,
    ]);
  });

  it('with keys that a watch does not have is for a watch, and they are said', async () => {
    const restrictions = own('com.apple.applicationaccess', {
      allowCamera: FALSE,
      forceWatchWristDetection: TRUE,
    });
    const xml = mobileConfig([restrictions], {
      PayloadRemovalDisallowed: TRUE,
      PayloadExpirationDate: '<date>2030-01-01T00:00:00Z</date>',
    });
    const { iOS, watchOS } = await fitnessOf(read(xml), false);
    expect([watchOS.ok, places(watchOS.passedOver)]).toEqual([
      true,
      [
        ['PayloadRemovalDisallowed', 'platform'],
        ['PayloadExpirationDate', 'platform'],
        ['PayloadContent[0].allowCamera', 'platform'],
      ],
    ]);
    expect(iOS).toEqual({ ok: true, problems: [], passedOver: [] });
  });

  it('meant for an Apple Watch is not for an iPhone, and meant for another device not for a watch', async () => {
    const meant = (type: number) =>
      fitnessOf(read(mobileConfig([WIFI], { TargetDeviceType: `<integer>${type}</integer>` })), false);
    const ok = async (type: number) => Object.values(await meant(type)).map((one) => one.ok);
    expect(await ok(0)).toEqual([true, true]);
    expect(await ok(2)).toEqual([false, true]);
    expect(await ok(1)).toEqual([true, false]);
    expect(places((await meant(2)).iOS.problems)).toEqual([['TargetDeviceType', 'platform']]);
  });

  it('with declarations in it is installed by nobody but a person', async () => {
    const xml = mobileConfig([own('com.apple.declarations', { Declarations: '<array/>' })]);
    for (const one of Object.values(await fitnessOf(read(xml), false)))
      expect(places(one.problems)).toContainEqual(['PayloadContent[0].PayloadType', 'enrollment']);
  });

  it('is judged by the version and the supervision of a device that is known', async () => {
    const acme = own('com.apple.security.acme', {
      DirectoryURL: text('https://acme.example.com/directory'),
      ClientIdentifier: text('x'),
      KeySize: '<integer>256</integer>',
      KeyType: text('ECSECPrimeRandom'),
      HardwareBound: TRUE,
      Subject: '<array/>',
      Attest: TRUE,
    });
    const profile = read(mobileConfig([acme]));
    const on = (osVersion: string) => fitnessFor(profile, false, { platform: 'watchOS', osVersion });
    expect([(await on('8.0')).ok, (await on('9.1')).ok]).toEqual([false, true]);
    expect(places((await on('9.1')).passedOver)).toEqual([['PayloadContent[0].Attest', 'version']]);
    expect((await on('10.0')).passedOver).toEqual([]);
    const vpn = read(mobileConfig([own('com.apple.vpn.managed.applayer')]));
    const supervised = async (is: boolean) =>
      places((await fitnessFor(vpn, true, { platform: 'watchOS', supervised: is })).problems);
    expect(await supervised(false)).toContainEqual(['PayloadContent[0].PayloadType', 'supervised']);
    expect(await supervised(true)).not.toContainEqual(['PayloadContent[0].PayloadType', 'supervised']);
  });

  it('of types that nobody knows is passed when that was allowed', async () => {
    const profile = read(mobileConfig([own('com.example.custom')]));
    expect((await fitnessOf(profile, true)).watchOS.ok).toBe(true);
    expect((await fitnessOf(profile, false)).watchOS.ok).toBe(false);
  });
});

describe('a warning', () => {
  const codes = async (xml: string) => (await warningsOf(read(xml))).map(({ rule, path }) => [rule, path]);
  const PASSCODE = 'com.apple.mobiledevice.passwordpolicy';

  it.each([
    [
      'two payloads of one UUID',
      [WIFI, { ...WIFI, PayloadIdentifier: text('x') }],
      'duplicate-payload-uuid',
      'PayloadContent[1].PayloadUUID',
    ],
    [
      'two payloads of one identifier',
      [WIFI, { ...WIFI, PayloadUUID: text('x') }],
      'duplicate-payload-identifier',
      'PayloadContent[1].PayloadIdentifier',
    ],
    [
      'several passcode payloads',
      [own(PASSCODE), own(PASSCODE)],
      'several-passcode-payloads',
      'PayloadContent[1].PayloadType',
    ],
    [
      'two of a type that a device may have once',
      [own('com.apple.cellular'), own('com.apple.cellular')],
      'single-payload-repeated',
      'PayloadContent[1].PayloadType',
    ],
    [
      'what unpairs watches',
      [own('com.apple.applicationaccess', { allowPairedWatch: FALSE })],
      'unpairs-watches',
      'PayloadContent[0].allowPairedWatch',
    ],
    [
      'a VPN that is always on',
      [own('com.apple.vpn.managed', { VPNType: text('AlwaysOn') })],
      'always-on-vpn',
      'PayloadContent[0].VPNType',
    ],
  ])('tells of %s', async (_what, payloads, code, path) => {
    expect(await codes(mobileConfig(payloads as Record<string, string>[]))).toEqual([[code, path]]);
  });

  it('tells of a profile that ends by itself, and of nothing in an ordinary one', async () => {
    const until = { DurationUntilRemoval: '<real>60</real>' };
    expect(await codes(mobileConfig([WIFI], until))).toEqual([['ends-by-itself', 'DurationUntilRemoval']]);
    expect(await codes(mobileConfig([WIFI, own('com.apple.wifi.managed')]))).toEqual([]);
    const allowed = own('com.apple.applicationaccess', { allowPairedWatch: TRUE });
    expect(await codes(mobileConfig([allowed]))).toEqual([]);
  });

  it('is said so often and no more', async () => {
    expect(await codes(mobileConfig(Array(100).fill(WIFI)))).toHaveLength(32);
  });
});
