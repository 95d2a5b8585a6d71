/** Finding, listing, and what the entries say of platforms and versions. */
import { describe, expect, it } from 'vitest';
import {
  catalogCounts,
  catalogSchemas,
  findEntry,
  listEntries,
  loadCatalog,
} from '../../../src/protocol/catalog/catalog.ts';
import { ANY, CATALOG_KINDS, type CatalogEntry } from '../../../src/protocol/catalog/entry.ts';
import { type CatalogTarget, supportedOn } from '../../../src/protocol/catalog/support.ts';
import { compareVersions, isVersion } from '../../../src/protocol/catalog/version.ts';
import { ACCESS_RIGHTS } from '../../../src/protocol/mdm/access-rights.ts';

const found = async (...[kind, type]: Parameters<typeof findEntry>) =>
  (await findEntry(kind, type)) as CatalogEntry;

describe('the catalog', () => {
  it('finds a type in its kind alone, and the same entry each time', async () => {
    const entry = await found('command', 'DeviceLock');
    expect(entry).toMatchObject({ kind: 'command', type: 'DeviceLock', schema: '18.1' });
    expect(await findEntry('command', 'DeviceLock')).toBe(entry);
    expect(await findEntry('profile', 'DeviceLock')).toBeNull();
    expect(await findEntry('command', 'toString')).toBeNull();
  });

  it('decodes every type, in order, with a schema and a basis', async () => {
    for (const kind of CATALOG_KINDS) {
      const entries = await listEntries(kind);
      const types = entries.map(({ type }) => type);
      expect(types).toEqual([...types].sort());
      expect(entries).toHaveLength(catalogCounts[kind]);
      for (const { schema, basis, platforms } of entries) {
        expect(catalogSchemas.map((one) => one.schema)).toContain(schema);
        expect(basis).not.toBe('');
        for (const rule of Object.values(platforms)) {
          expect(isVersion(rule.introduced ?? '')).toBe(true);
          const { accessRight = 'none' } = rule;
          expect([...Object.keys(ACCESS_RIGHTS), 'none', 'varies']).toContain(accessRight);
        }
      }
    }
  });

  it('can be asked without waiting once a kind is loaded', async () => {
    const commands = await loadCatalog('command');
    expect(commands.find('EraseDevice')?.platforms.watchOS?.accessRight).toBe('AllowDeviceErase');
    expect(await loadCatalog('command')).toBe(commands);
  });

  it('takes declarations from the newer schema and corrections by hand', async () => {
    expect(await found('configuration', 'com.apple.configuration.legacy')).toMatchObject({
      schema: '27.0 seed 1',
    });
    expect(await found('status', 'mdm.push-token')).toMatchObject({ schema: 'hand-entered' });
    expect(await found('profile', 'com.apple.applicationaccess')).toMatchObject({
      schema: '18.1',
      amended: expect.stringContaining('Restrictions'),
    });
  });

  it('says how a configuration applies and what tells of it', async () => {
    expect(await found('configuration', 'com.apple.configuration.watch.enrollment')).toMatchObject({
      apply: 'single',
      platforms: { iOS: { introduced: '17.0', enrollments: ['supervised'], scopes: ['system'] } },
    });
    const { relatedStatus } = await found('configuration', 'com.apple.configuration.passcode.settings');
    expect(relatedStatus).toEqual(['passcode.is-compliant', 'passcode.is-present']);
  });

  it('gives a per-app VPN the keys of a VPN, and a watch those of IKEv2 alone', async () => {
    const { keys } = await found('profile', 'com.apple.vpn.managed.applayer');
    const elsewhere = keys?.filter(({ platforms }) => platforms?.watchOS === null).map(({ name }) => name);
    expect(keys?.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['VPNUUID', 'VPNType', 'IKEv2', 'DNS']),
    );
    expect(elsewhere).toEqual(expect.arrayContaining(['SafariDomains', 'VPN', 'IPSec', 'AlwaysOn']));
    for (const name of ['VPNUUID', 'VPNType', 'UserDefinedName', 'IKEv2', 'DNS', 'Proxies'])
      expect(elsewhere).not.toContain(name);
  });

  it('holds what a command brings back', async () => {
    const { keys, responseKeys } = await found('command', 'SecurityInfo');
    expect(keys).toEqual([]);
    expect(responseKeys?.map(({ name }) => name)).toEqual(['SecurityInfo']);
    const list = (await found('command', 'ManagedApplicationList')).responseKeys?.[0];
    expect(list?.keys?.map(({ name }) => name)).toEqual([ANY]);
  });
});

describe('support', () => {
  const watch: CatalogTarget = { platform: 'watchOS' };
  const ask = async (type: string, target: CatalogTarget) => {
    const outcome = supportedOn(await found('status', type), target);
    return outcome.ok ? 'supported' : `${outcome.refusal.rule}: ${outcome.refusal.expected}`;
  };

  it.each([
    ['passcode.is-present', { ...watch, osVersion: '10.0' }, 'supported'],
    ['passcode.is-present', { ...watch, osVersion: '9.6.3' }, 'version: watchOS 10.0 or later'],
    ['mdm.push-token', { ...watch, osVersion: '26.10' }, 'version: watchOS 27.0 or later'],
    ['mdm.push-token', watch, 'supported'],
    ['mdm.is-return-to-service', watch, 'platform: not watchOS'],
    ['security.lockdown-mode', { platform: 'iOS', supervised: false }, 'supervised: a supervised device'],
    ['passcode.is-present', { platform: 'iOS', supervised: false }, 'supported'],
    ['mdm.app', { ...watch, enrollment: 'local' }, 'enrollment: supervised enrollment'],
    ['mdm.app', { ...watch, enrollment: 'device' }, 'supported'],
    ['mdm.app', { ...watch, enrollment: 'device', supervised: false }, 'supervised: a supervised device'],
    ['mdm.app', { platform: 'iOS', enrollment: 'user' }, 'supported'],
  ] as const)('of %s on %j: %s', async (type, target, answer) => {
    expect(await ask(type, target)).toBe(answer);
  });
});

describe('versions', () => {
  it.each([
    ['10.10', '10.9', 1],
    ['9.0', '10.0', -1],
    ['26.4', '26.4.0', 0],
    ['26.4.1', '26.4', 1],
    ['26', '26.0', 0],
    ['27.0 beta 2', '27.0', 0],
    ['17.10.2', '17.9.9', 1],
  ])('%s against %s', (a, b, sign) => {
    expect(Math.sign(compareVersions(a, b))).toBe(sign);
    expect(Math.sign(compareVersions(b, a))).toBe(sign === 0 ? 0 : -sign);
  });

  it('are numbers with points between them', () => {
    for (const text of ['10', '10.1', '10.1.2', '27.0 beta'])
      expect([text, isVersion(text)]).toEqual([text, true]);
    for (const text of ['', 'n/a', '.1', '10.', '10..1', '1.2.3.4.5', '99999999']) {
      expect([text, isVersion(text)]).toEqual([text, false]);
    }
  });
});
