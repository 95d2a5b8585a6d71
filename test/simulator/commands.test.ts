/** What the simulated devices do with commands, against the stand-in: state that one changes shows in another's answer. */
import { Buffer } from 'node:buffer';
import { beforeEach, describe, expect, it } from 'vitest';
import { EVERY, type PlistDict, refusal, writePlist } from './index.ts';
import { statusItems } from './inventory.ts';
import { ENROLLMENT, Stage } from './stage.ts';

let stage: Stage;

beforeEach(() => {
  stage = new Stage();
});

describe('the enrollment profile removed', () => {
  it('from the watch unpairs and erases it; the phone goes on', async () => {
    const phone = await stage.phone();
    const watch = await stage.watch({}, phone);
    stage.server.queue.set('later', { RequestType: 'DeviceLock' });
    await stage.ask(watch, 'RemoveProfile', { Identifier: ENROLLMENT });
    expect([watch.facts.erased, watch.profile, watch.phone, phone.watches.size]).toEqual([
      true,
      null,
      null,
      0,
    ]);
    expect(phone.profile).not.toBeNull();
    await expect(watch.connect()).rejects.toThrow(/not enrolled/);
  });

  it.each([true, false])('is said by a CheckOut if the profile asks for it: %s', async (asked) => {
    stage.server.mdm = { CheckOutWhenRemoved: asked };
    const watch = await stage.watch();
    await stage.ask(watch, 'RemoveProfile', { Identifier: ENROLLMENT });
    expect(stage.server.messages.at(-1)?.['MessageType']).toBe(asked ? 'CheckOut' : undefined);
  });

  it('from the phone resets its watches', async () => {
    const phone = await stage.phone();
    const watch = await stage.watch({}, phone);
    stage.server.udid = phone.udid;
    await stage.ask(phone, 'RemoveProfile', { Identifier: ENROLLMENT });
    expect([phone.facts.erased, watch.facts.erased, watch.profile]).toEqual([false, true, null]);
  });
});

describe('security', () => {
  it('a passcode rule makes a short passcode fail, and a cleared one', async () => {
    const watch = await stage.watch();
    await stage.install(
      watch,
      stage.profile('rules', {
        type: 'com.apple.mobiledevice.passwordpolicy',
        forcePIN: true,
        minLength: 8,
        maxGracePeriod: 5,
      }),
    );
    const told = async () => (await stage.ask(watch, 'SecurityInfo'))['SecurityInfo'] as PlistDict;
    expect(await told()).toMatchObject({
      PasscodePresent: true,
      PasscodeCompliant: false,
      PasscodeCompliantWithProfiles: false,
      PasscodeLockGracePeriodEnforced: 300,
    });
    watch.facts.shape.length = 8;
    expect(await told()).toMatchObject({ PasscodeCompliant: true });
    const wrong = await stage.ask(watch, 'ClearPasscode', { UnlockToken: Buffer.from('another') });
    expect([wrong['Status'], watch.facts.passcode]).toEqual(['Error', true]);
    await stage.ask(watch, 'ClearPasscode', { UnlockToken: watch.facts.unlockToken! });
    expect(await told()).toMatchObject({ PasscodePresent: false, PasscodeCompliant: false });
    expect(statusItems(watch.model, watch.facts)).toMatchObject({
      'passcode.is-present': false,
      'passcode.is-compliant': false,
    });
  });

  it('restrictions are merged, the strictest winning, and told by profile when asked', async () => {
    const watch = await stage.watch();
    const type = 'com.apple.applicationaccess';
    await stage.install(
      watch,
      stage.profile('a', {
        type,
        allowScreenShot: true,
        forceWatchWristDetection: true,
        allowAirDrop: false,
      }),
    );
    await stage.install(
      watch,
      stage.profile('b', { type, allowScreenShot: false, forceWatchWristDetection: false }),
    );
    const inForce = { allowScreenShot: { value: false }, forceWatchWristDetection: { value: true } };
    expect((await stage.ask(watch, 'Restrictions'))['GlobalRestrictions']).toEqual({
      restrictedBool: inForce,
      restrictedValue: {},
    });
    const { ProfileRestrictions: each } = await stage.ask(watch, 'Restrictions', {
      ProfileRestrictions: true,
    });
    expect(Object.keys(each as PlistDict)).toEqual(['com.example.a', 'com.example.b']);
  });

  it("a phone's rules and restrictions reach its watch, and never the other way", async () => {
    const phone = await stage.phone();
    const watch = await stage.watch({}, phone);
    const type = 'com.apple.applicationaccess';
    await stage.install(watch, stage.profile('w', { type, allowLockScreenNotificationsView: false }));
    const rules = { type: 'com.apple.mobiledevice.passwordpolicy', minLength: 9, requireAlphanumeric: true };
    await stage.install(
      phone,
      stage.profile('p', { type, allowScreenShot: false, allowAirDrop: false }, rules),
    );
    const { GlobalRestrictions: onWatch } = await stage.ask(watch, 'Restrictions');
    expect(onWatch).toEqual({
      restrictedBool: {
        allowLockScreenNotificationsView: { value: false },
        allowScreenShot: { value: false },
      },
      restrictedValue: { minLength: { value: 9 } },
    });
    expect((await stage.ask(watch, 'SecurityInfo'))['SecurityInfo']).toMatchObject({
      PasscodeCompliant: false,
      PasscodeCompliantWithProfiles: true,
    });
    const { GlobalRestrictions: onPhone } = await stage.ask(phone, 'Restrictions');
    expect(JSON.stringify(onPhone)).not.toContain('allowLockScreenNotificationsView');
  });

  it('a phone that may have no watch resets the one it has', async () => {
    const phone = await stage.phone();
    const watch = await stage.watch({}, phone);
    stage.server.udid = phone.udid;
    await stage.install(
      phone,
      stage.profile('none', { type: 'com.apple.applicationaccess', allowPairedWatch: false }),
    );
    expect([watch.facts.erased, watch.profile, phone.profile === null]).toEqual([true, null, false]);
  });

  it('a lock locks, and a message is shown; an erasure is the last thing said', async () => {
    const phone = await stage.phone();
    const watch = await stage.watch({}, phone);
    expect(await stage.ask(watch, 'DeviceLock')).not.toHaveProperty('MessageResult');
    expect(await stage.ask(watch, 'DeviceLock', { Message: 'lost' })).toMatchObject({
      MessageResult: 'Success',
    });
    expect(watch.facts.locked).toBe(true);
    expect((await stage.ask(watch, 'EraseDevice'))['Status']).toBe('Acknowledged');
    expect(stage.server.messages.at(-1)).toMatchObject({ Status: 'Acknowledged' });
    expect([watch.facts.erased, watch.profile, phone.watches.size]).toEqual([true, null, 0]);
    await stage.pair(watch, phone);
    expect([watch.facts.erased, watch.facts.locked, watch.phone]).toEqual([false, false, phone]);
  });

  it('a right that the enrollment did not give is refused', async () => {
    stage.server.mdm = { AccessRights: 8191 - 8 - 32 };
    const watch = await stage.watch();
    expect((await stage.ask(watch, 'EraseDevice'))['Status']).toBe('Error');
    expect(watch.facts.erased).toBe(false);
    expect(
      (await stage.ask(watch, 'DeviceInformation', { Queries: ['WiFiMAC', 'UDID'] }))['QueryResponses'],
    ).toEqual({
      UDID: watch.udid,
    });
  });
});

describe('information', () => {
  it('follows Settings, and leaves out what the watch lacks or nobody asked for', async () => {
    const watch = await stage.watch();
    const OrganizationInfo = { OrganizationName: 'Example' };
    await stage.ask(watch, 'Settings', {
      Settings: [
        { Item: 'OrganizationInfo', OrganizationInfo },
        { Item: 'AccessibilitySettings', TextSize: 7 },
      ],
    });
    const Queries = [
      ...['OrganizationInfo', 'IsSupervised', 'AccessibilitySettings'],
      ...['DevicePropertiesAttestation', 'BluetoothMAC'],
    ];
    const { QueryResponses: told } = await stage.ask(watch, 'DeviceInformation', { Queries });
    expect(told).toMatchObject({
      OrganizationInfo,
      IsSupervised: true,
      AccessibilitySettings: { TextSize: 7 },
    });
    expect(Object.keys(told as PlistDict)).toHaveLength(3);
  });

  it('of an unsupervised watch has no accessibility settings, and takes none', async () => {
    const watch = await stage.watch({ supervised: false });
    const item = { Item: 'AccessibilitySettings', TextSize: 7 };
    const { Settings } = await stage.ask(watch, 'Settings', { Settings: [item] });
    expect(Settings).toMatchObject([{ Status: 'Error' }]);
    const { QueryResponses: told } = await stage.ask(watch, 'DeviceInformation', {
      Queries: ['AccessibilitySettings'],
    });
    expect(told).toEqual({});
  });
});

describe('manners', () => {
  it('put off so many times, fail once, and then obey', async () => {
    const watch = await stage.watch();
    watch.manners.defer('ProfileList', 2);
    watch.manners.fail('SecurityInfo', refusal(1, 'Example', 'no'));
    stage.server.queue.set('p', { RequestType: 'ProfileList' });
    expect((await stage.ask(watch, 'SecurityInfo'))['ErrorChain']).toMatchObject([
      { ErrorDomain: 'Example' },
    ]);
    expect((await watch.connect()).commands).toMatchObject([{ status: 'NotNow' }]);
    expect((await watch.connect()).commands).toMatchObject([{ status: 'Acknowledged' }]);
    watch.manners.defer(EVERY, 1);
    stage.server.queue.set('q', { RequestType: 'DeviceLock' });
    expect((await watch.connect()).commands).toMatchObject([{ status: 'NotNow' }]);
    expect((await stage.ask(watch, 'SecurityInfo'))['Status']).toBe('Acknowledged');
  });

  it('put off what needs an unlocked device, while it is locked', async () => {
    const watch = await stage.watch();
    watch.manners.deferWhenLocked = true;
    await stage.ask(watch, 'DeviceLock');
    expect(
      (await stage.ask(watch, 'InstallProfile', { Payload: writePlist(stage.profile('x')) }))['Status'],
    ).toBe('NotNow');
    watch.facts.locked = false;
    expect((await watch.connect()).commands).toMatchObject([{ status: 'Acknowledged' }]);
  });
});

it('a phone takes its own commands besides, and a watch does not', async () => {
  const phone = await stage.phone();
  expect((await stage.ask(phone, 'RestartDevice'))['Status']).toBe('Acknowledged');
  expect((await stage.ask(phone, 'DeviceLocation'))['Status']).toBe('Error');
  await stage.ask(phone, 'EnableLostMode', { Message: 'lost' });
  expect(await stage.ask(phone, 'DeviceLocation')).toMatchObject({ Latitude: expect.any(Number) });
});
