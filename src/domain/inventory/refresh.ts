/**
 * The queries that fill a device's inventory. Each costs a watch battery, and what a status subscription tells need not
 * be asked (handbook section 12): so nothing asks by itself, and what is asked already is not asked again.
 *
 * Left out of DeviceInformation: the attestation, which is no fact, the hash of the store account, and accessibility
 * settings, which tell of a person.
 */
import { compareVersions } from '../../protocol/catalog/version.ts';
import type { PlistDict, PlistValue } from '../../protocol/plist/value.ts';
import type { Platform } from '../ids.ts';
import { type InventorySection, requestOf } from './section.ts';

/** Attributes and configurations of applications are asked for by name: there is no query for all. */
export const REFRESHED_SECTIONS = [
  'device',
  'security',
  'profiles',
  'provisioning-profiles',
  'certificates',
  'installed-applications',
  'managed-applications',
  'restrictions',
] as const satisfies readonly InventorySection[];
export type RefreshedSection = (typeof REFRESHED_SECTIONS)[number];

/** What both platforms tell. */
const QUERIES = [
  'UDID',
  'DeviceName',
  'OSVersion',
  'BuildVersion',
  'ModelName',
  'Model',
  'ModelNumber',
  'ProductName',
  'SerialNumber',
  'DeviceCapacity',
  'AvailableDeviceCapacity',
  'BatteryLevel',
  'IsSupervised',
  'TimeZone',
  'WiFiMAC',
];
const PATCH_QUERIES = ['SupplementalOSVersionExtra', 'SupplementalBuildVersion'];
/** Every watchOS that is managed tells them. */
const PATCHES_SINCE_IOS = '16.1';
const PHONE_QUERIES = [
  'BluetoothMAC',
  'IsActivationLockEnabled',
  'IsMDMLostModeEnabled',
  'ModemFirmwareVersion',
];

export interface RefreshedDevice {
  readonly platform: Platform;
  readonly osVersion: string | null;
}

export function refreshQuery(section: RefreshedSection, device: RefreshedDevice): PlistDict {
  const query = new Map<string, PlistValue>([['RequestType', requestOf(section)]]);
  if (section === 'device') query.set('Queries', queriesFor(device));
  if (section === 'restrictions') query.set('ProfileRestrictions', true);
  return query;
}

function queriesFor({ platform, osVersion }: RefreshedDevice): string[] {
  if (platform === 'watchOS') return [...QUERIES, ...PATCH_QUERIES];
  const patches = osVersion !== null && compareVersions(osVersion, PATCHES_SINCE_IOS) >= 0;
  return [...QUERIES, ...PHONE_QUERIES, ...(patches ? PATCH_QUERIES : [])];
}
