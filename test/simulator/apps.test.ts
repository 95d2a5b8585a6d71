/** Apps on the simulated devices: their states from poll to poll, whom they need, and who says no. */
import { Buffer } from 'node:buffer';
import { createHash } from 'node:crypto';
import { beforeEach, describe, expect, it } from 'vitest';
import { type ManagedDevice, type PlistDict, writePlist } from './index.ts';
import { statusItems } from './inventory.ts';
import { Stage } from './stage.ts';

let stage: Stage;

beforeEach(() => {
  stage = new Stage();
});

const APP = 'com.example.app';

async function stateOf(device: ManagedDevice, identifier = APP): Promise<unknown> {
  const { ManagedApplicationList: list } = await stage.ask(device, 'ManagedApplicationList', {
    Identifiers: [identifier],
  });
  return ((list as PlistDict)[identifier] as PlistDict | undefined)?.['Status'];
}

describe('apps', () => {
  it('are queued, installed a poll later, and managed after that', async () => {
    const watch = await stage.watch();
    expect(
      await stage.ask(watch, 'InstallApplication', { Identifier: APP, ManagementFlags: 1 }),
    ).toMatchObject({
      Identifier: APP,
      State: 'Queued',
    });
    expect(await stage.ask(watch, 'InstallApplication', { Identifier: 'com.example.b' })).toMatchObject({
      State: 'Queued',
    });
    expect(await stateOf(watch)).toBe('Managed');
    expect(await stateOf(watch, 'com.example.b')).toBe('Managed');
    const { InstalledApplicationList: list } = await stage.ask(watch, 'InstalledApplicationList', {
      ManagedAppsOnly: true,
      Identifiers: [APP],
      Items: ['Version', 'BundleSize'],
    });
    expect(list).toEqual([{ Identifier: APP, Version: '1.0', BundleSize: 4_200_000 }]);
    expect(statusItems(watch.model, watch.facts)['mdm.app']).toContainEqual(
      expect.objectContaining({ identifier: APP, state: 'managed' }),
    );
    expect((await stage.ask(watch, 'RemoveApplication', { Identifier: APP }))['Status']).toBe('Acknowledged');
    expect(await stateOf(watch)).toBeUndefined();
    expect((await stage.ask(watch, 'RemoveApplication', { Identifier: APP }))['Status']).toBe('Error');
  });

  it('are rejected by the user, and installed when asked again', async () => {
    const watch = await stage.watch();
    watch.facts.onInstall = () => 'reject';
    await stage.ask(watch, 'InstallApplication', { Identifier: APP });
    expect(await stateOf(watch)).toBe('UserRejected');
    watch.facts.onInstall = () => 'install';
    expect(await stage.ask(watch, 'InstallApplication', { Identifier: APP })).toMatchObject({
      State: 'Queued',
    });
    expect(await stateOf(watch)).toBe('Installing');
    expect(await stateOf(watch)).toBe('Managed');
  });

  it('are not queued twice, nor installed over one of the user', async () => {
    const watch = await stage.watch();
    watch.facts.onInstall = () => 'wait';
    await stage.ask(watch, 'InstallApplication', { Identifier: APP });
    expect(await stage.ask(watch, 'InstallApplication', { Identifier: APP })).toMatchObject({
      Status: 'Error',
      RejectionReason: 'AppAlreadyQueued',
    });
    expect(await stateOf(watch)).toBe('Prompting');
    const own = { Identifier: 'com.example.built-in' };
    expect(await stage.ask(watch, 'InstallApplication', own)).toMatchObject({
      RejectionReason: 'AppAlreadyInstalled',
    });
    const taken = await stage.ask(watch, 'InstallApplication', { ...own, ChangeManagementState: 'Managed' });
    expect(taken).toMatchObject({ State: 'Managed' });
  });

  it('are updated to what the store has', async () => {
    const watch = await stage.watch();
    await stage.ask(watch, 'InstallApplication', { Identifier: APP });
    await watch.connect();
    await watch.connect();
    watch.facts.store.set(APP, { name: 'app', version: '2.0', externalVersion: 2 });
    expect(await stage.ask(watch, 'InstallApplication', { Identifier: APP })).toMatchObject({
      State: 'Updating',
    });
    expect(await stateOf(watch)).toBe('Managed');
    expect(watch.facts.apps.get(APP)).toMatchObject({ version: '2.0', externalVersion: 2 });
  });

  it.each(['paired', 'dependent'] as const)('of the %s kind need their iPhone app first', async (kind) => {
    const phone = await stage.phone();
    const watch = await stage.watch({}, phone);
    const companion = 'com.example.host';
    watch.facts.store.set(APP, { name: 'app', version: '1.0', externalVersion: 1, kind, companion });
    expect(await stage.ask(watch, 'InstallApplication', { Identifier: APP })).toMatchObject({
      RejectionReason: 'Other',
    });
    await stage.ask(phone, 'InstallApplication', { Identifier: companion });
    expect((await stage.ask(watch, 'InstallApplication', { Identifier: APP }))['Status']).toBe('Error');
    await phone.connect();
    await phone.connect();
    expect(await stage.ask(watch, 'InstallApplication', { Identifier: APP })).toMatchObject({
      State: 'Queued',
    });
    await watch.connect();
    expect(await stateOf(watch)).toBe('Managed');
    await stage.ask(phone, 'RemoveApplication', { Identifier: companion });
    expect(await stateOf(watch)).toBe('ManagedButUninstalled');
  });

  it('keep the configuration and attributes they are given, also by Settings', async () => {
    const watch = await stage.watch();
    const Attributes = { Removable: false };
    await stage.ask(watch, 'InstallApplication', { Identifier: APP, Configuration: { a: 1 }, Attributes });
    const Identifiers = [APP];
    const read = async () => [
      (await stage.ask(watch, 'ManagedApplicationConfiguration', { Identifiers }))[
        'ApplicationConfigurations'
      ],
      (await stage.ask(watch, 'ManagedApplicationAttributes', { Identifiers }))['ApplicationAttributes'],
    ];
    expect(await read()).toEqual([
      [{ Identifier: APP, Configuration: { a: 1 } }],
      [{ Identifier: APP, Attributes }],
    ]);
    const { Settings } = await stage.ask(watch, 'Settings', {
      Settings: [
        { Item: 'ApplicationConfiguration', Identifier: APP, Configuration: { a: 2 } },
        { Item: 'ApplicationAttributes', Identifier: APP },
        { Item: 'ApplicationConfiguration', Identifier: 'com.example.none' },
        { Item: 'Wallpaper' },
      ],
    });
    expect((Settings as PlistDict[]).map((one) => one['Status'])).toEqual([
      'Acknowledged',
      'Acknowledged',
      'Error',
      'Error',
    ]);
    expect(await read()).toEqual([[{ Identifier: APP, Configuration: { a: 2 } }], [{ Identifier: APP }]]);
  });

  it.each([
    [true, 'Managed'],
    [false, 'Failed'],
  ])('come by a manifest, and only as the package that it names: %s', async (whole, state) => {
    const watch = await stage.watch();
    const app = Buffer.from('an app');
    const digest = createHash('md5')
      .update(whole ? app : 'another')
      .digest('hex');
    const asset = {
      kind: 'software-package',
      url: `${stage.server.url}/assets/app`,
      'md5-size': 1024,
      md5s: [digest],
    };
    const metadata = { kind: 'software', title: 'App', 'bundle-identifier': APP, 'bundle-version': '3.1' };
    const manifest = writePlist({ items: [{ assets: [asset], metadata }] });
    stage.server.assets.set('/assets/manifest', { type: 'text/xml', data: manifest });
    stage.server.assets.set('/assets/app', { type: 'application/octet-stream', data: app });
    const ManifestURL = `${stage.server.url}/assets/manifest`;
    expect(await stage.ask(watch, 'InstallApplication', { ManifestURL })).toMatchObject({
      Identifier: APP,
      State: 'Queued',
    });
    await watch.connect();
    expect(await stateOf(watch)).toBe(state);
    expect(
      await stage.ask(watch, 'InstallApplication', { ManifestURL: `${stage.server.url}/assets/none` }),
    ).toMatchObject({
      Status: 'Error',
      RejectionReason: 'CouldNotVerifyAppID',
    });
  });

  it('that are gone are reported as removed', async () => {
    const watch = await stage.watch();
    await stage.ask(watch, 'InstallApplication', { Identifier: APP });
    const Payload = { StatusItems: [{ Name: 'mdm.app' }] };
    const of = (Identifier: string, Type: string, content: object) => ({
      document: { Type, Identifier, ServerToken: '1', Payload: content },
    });
    stage.server.declarations = [
      {
        kind: 'configuration',
        ...of('s', 'com.apple.configuration.management.status-subscriptions', Payload),
      },
      { kind: 'activation', ...of('a', 'com.apple.activation.simple', { StandardConfigurations: ['s'] }) },
    ];
    stage.server.declarationsToken = 'subscribed';
    await watch.sync();
    await stage.ask(watch, 'RemoveApplication', { Identifier: APP });
    expect(JSON.stringify(stage.server.reports.at(-1))).toContain(`{"identifier":"${APP}","_removed":true}`);
  });
});
