/** How much a query asks for decides what its answer may replace. */
import { describe, expect, it } from 'vitest';
import { CommandAdmission } from '../../../src/domain/command/admission.ts';
import { REFRESHED_SECTIONS, refreshQuery } from '../../../src/domain/inventory/refresh.ts';
import {
  INVENTORY_SECTIONS,
  inventoryScope,
  requestOf,
  sectionOf,
} from '../../../src/domain/inventory/section.ts';
import type { PlistValue } from '../../../src/protocol/plist/value.ts';

const scope = (requestType: string, parameters: Record<string, PlistValue> = {}) =>
  JSON.parse(inventoryScope(requestType, new Map(Object.entries(parameters))) ?? 'null') as unknown;

describe('a query', () => {
  it.each([
    ['SecurityInfo', {}, { all: true }],
    ['ProfileList', {}, { all: true }],
    ['ProfileList', { ManagedOnly: false }, { all: true }],
    ['ProfileList', { ManagedOnly: true }, { all: false }],
    ['CertificateList', { ManagedOnly: true }, { all: false }],
    ['ProvisioningProfileList', { ManagedOnly: true }, { all: false }],
    ['Restrictions', {}, { all: false }],
    ['Restrictions', { ProfileRestrictions: true }, { all: true }],
    ['DeviceInformation', { Queries: ['b', 'a', 'b'] }, { all: false, queries: ['a', 'b'] }],
    ['InstalledApplicationList', {}, { all: true }],
    ['InstalledApplicationList', { ManagedAppsOnly: true }, { all: false }],
    ['InstalledApplicationList', { Identifiers: ['b', 'a'] }, { all: false, named: ['a', 'b'] }],
    ['InstalledApplicationList', { Identifiers: [] }, { all: false, named: [] }],
    ['InstalledApplicationList', { Identifiers: ['a'], ManagedAppsOnly: true }, { all: false }],
    ['ManagedApplicationList', {}, { all: true }],
    ['ManagedApplicationList', { Identifiers: ['a'] }, { all: false, named: ['a'] }],
    ['ManagedApplicationAttributes', { Identifiers: ['a'] }, { all: false, named: ['a'] }],
    ['ManagedApplicationConfiguration', { Identifiers: ['a'] }, { all: false, named: ['a'] }],
  ])('%s with %o asks for %o', (requestType, parameters, expected) => {
    expect(scope(requestType, parameters as Record<string, PlistValue>)).toEqual(expected);
  });

  it.each([
    ['InstalledApplicationList', { Items: ['Identifier'] }],
    ['Settings', {}],
    ['DeviceLock', {}],
    ['toString', {}],
  ])('%s with %o is no part of the inventory', (requestType, parameters) => {
    expect(scope(requestType, parameters as Record<string, PlistValue>)).toBeNull();
  });

  it('for more names than are kept asks for some, whichever they are', () => {
    const Identifiers = [...Array(2000).keys()].map((index) => `com.example.app-${index}`);
    expect(scope('InstalledApplicationList', { Identifiers })).toEqual({ all: false });
  });

  it('keeps nothing else of what was asked', () => {
    const parameters = { Queries: ['UDID'], DeviceAttestationNonce: new Uint8Array([1]) };
    expect(scope('DeviceInformation', parameters)).toEqual({ all: false, queries: ['UDID'] });
  });
});

it('each section has its one request', () => {
  for (const section of INVENTORY_SECTIONS) expect(sectionOf(requestOf(section))).toBe(section);
  expect(sectionOf('toString')).toBeNull();
});

it.each([
  ['iOS', '27.0', 8191, ['ModelNumber', 'BluetoothMAC', 'WiFiMAC'], []],
  ['iOS', '15.0', 8191, ['BluetoothMAC'], ['ModelNumber', 'SupplementalBuildVersion']],
  ['watchOS', '10.0', 8191, ['ModelNumber', 'WiFiMAC'], ['BluetoothMAC']],
  ['watchOS', '10.0', 8191 - 32, ['ModelNumber', 'UDID'], ['WiFiMAC']],
] as const)('%s %s with the rights %i takes each query of a refresh', async (...row) => {
  const [platform, osVersion, rights, asked, not] = row;
  const admission = new CommandAdmission({ accessRights: () => rights, isEnrollmentProfile: () => false });
  const unknown = { productName: null, supervised: false, hasUnlockToken: false };
  const device = { platform, osVersion, ...unknown };
  for (const section of REFRESHED_SECTIONS) {
    const command = await refreshQuery(section, device, admission);
    const requestType = requestOf(section);
    expect(command.get('RequestType')).toBe(requestType);
    expect(await admission.judge({ requestType, command }, device), section).toMatchObject({ ok: true });
    expect(scope(requestType, Object.fromEntries(command))).toMatchObject({ all: section !== 'device' });
    if (section !== 'device') continue;
    expect(command.get('Queries')).toEqual(expect.arrayContaining([...asked]));
    for (const name of not) expect(command.get('Queries')).not.toContain(name);
  }
});
