/** Profiles on the simulated devices: what is kept, what is refused, and what the lists tell. */
import { Buffer } from 'node:buffer';
import { beforeEach, describe, expect, it } from 'vitest';
import { type PlistDict, signCms, writePlist } from './index.ts';
import { ENROLLMENT, Stage } from './stage.ts';

let stage: Stage;

beforeEach(() => {
  stage = new Stage();
});

describe('profiles', () => {
  it('are kept by identifier, listed, replaced and removed', async () => {
    const watch = await stage.watch();
    expect((await stage.install(watch, stage.profile('one')))['Status']).toBe('Acknowledged');
    const again = stage.profile('one', { type: 'com.apple.mobiledevice.passwordpolicy', forcePIN: true });
    await stage.install(watch, again);
    const { ProfileList: list } = await stage.ask(watch, 'ProfileList');
    expect(identifiers(list)).toEqual([ENROLLMENT, 'com.example.one']);
    expect((list as PlistDict[])[1]).toMatchObject({ PayloadUUID: again['PayloadUUID'], IsManaged: true });
    expect(await stage.ask(watch, 'RemoveProfile', { Identifier: 'com.example.one' })).toMatchObject({
      Status: 'Acknowledged',
    });
    const gone = await stage.ask(watch, 'RemoveProfile', { Identifier: 'com.example.one' });
    expect(gone).toMatchObject({ Status: 'Error', ErrorChain: [{ ErrorDomain: 'MCMDMErrorDomain' }] });
    expect(identifiers((await stage.ask(watch, 'ProfileList'))['ProfileList'])).toEqual([ENROLLMENT]);
  });

  it('may be signed, and say by whom; a broken signature is no profile', async () => {
    const watch = await stage.watch();
    const { key, certificate } = watch.identity;
    const signed = signCms(writePlist(stage.profile('signed')), { key, certificate });
    await stage.ask(watch, 'InstallProfile', { Payload: signed });
    const { ProfileList: list } = await stage.ask(watch, 'ProfileList');
    expect((list as PlistDict[])[1]).toMatchObject({ SignerCertificates: [certificate.der] });
    signed[signed.indexOf('com.example.signed')] = 0x21;
    expect((await stage.ask(watch, 'InstallProfile', { Payload: signed }))['Status']).toBe('Error');
  });

  it.each([
    ['a payload of another platform', { type: 'com.apple.webClip.managed' }, {}],
    ['a restriction that is no boolean', { type: 'com.apple.applicationaccess', allowScreenShot: 'no' }, {}],
    ['a certificate that is none', { type: 'com.apple.security.root', PayloadContent: Buffer.from('x') }, {}],
    ['what needs supervision', { type: 'com.apple.vpn.managed.applayer' }, { supervised: false }],
  ])('are refused with a chain of errors for %s', async (_what, payload, options) => {
    const watch = await stage.watch(options);
    const result = await stage.install(watch, stage.profile('bad', payload as PlistDict));
    expect(result['Status']).toBe('Error');
    expect(result['ErrorChain']).toHaveLength(2);
    expect(watch.facts.profiles.has('com.example.bad')).toBe(false);
  });

  it.each(['PayloadIdentifier', 'PayloadUUID', 'PayloadType', 'PayloadVersion', 'PayloadContent'])(
    'are refused without %s',
    async (key) => {
      const watch = await stage.watch();
      const { [key]: _left, ...rest } = stage.profile('bad');
      expect((await stage.install(watch, rest))['Status']).toBe('Error');
    },
  );

  it('that a phone takes and a watch does not are taken by the phone', async () => {
    const phone = await stage.phone();
    expect(
      (await stage.install(phone, stage.profile('clip', { type: 'com.apple.webClip.managed' })))['Status'],
    ).toBe('Acknowledged');
  });

  it('of the provisioning kind are stored, listed and removed', async () => {
    const watch = await stage.watch();
    const { key, certificate } = watch.identity;
    const ExpirationDate = new Date('2030-01-01T00:00:00Z');
    const file = signCms(writePlist({ Name: 'Example', UUID: 'P1', ExpirationDate }), { key, certificate });
    await stage.ask(watch, 'InstallProvisioningProfile', { ProvisioningProfile: file });
    expect(await stage.ask(watch, 'ProvisioningProfileList')).toMatchObject({
      ProvisioningProfileList: [{ Name: 'Example', UUID: 'P1', ExpiryDate: ExpirationDate }],
    });
    expect((await stage.ask(watch, 'RemoveProvisioningProfile', { UUID: 'P1' }))['Status']).toBe(
      'Acknowledged',
    );
    expect((await stage.ask(watch, 'RemoveProvisioningProfile', { UUID: 'P1' }))['Status']).toBe('Error');
  });

  it('bring certificates', async () => {
    const watch = await stage.watch();
    const { der } = watch.identity.certificate;
    await stage.install(
      watch,
      stage.profile('cert', { type: 'com.apple.security.pkcs1', PayloadContent: der }),
    );
    const { CertificateList: list } = await stage.ask(watch, 'CertificateList');
    const held = (list as PlistDict[]).map((one) => [one['IsIdentity'], (one['Data'] as Buffer).equals(der)]);
    expect(held).toEqual([
      [true, false],
      [false, false],
      [false, true],
    ]);
  });
});

const identifiers = (list: unknown) => (list as PlistDict[]).map((one) => one['PayloadIdentifier']);
