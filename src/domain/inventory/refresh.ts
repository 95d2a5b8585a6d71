/**
 * The queries that fill a device's inventory. Each costs a watch battery, and what a status subscription tells need not
 * be asked (handbook section 12): so nothing asks by itself, and what is asked already is not asked again.
 *
 * Left out of DeviceInformation: the attestation, which is no fact, the hash of the store account, and accessibility
 * settings, which tell of a person.
 */
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
  'SupplementalOSVersionExtra',
  'BuildVersion',
  'SupplementalBuildVersion',
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
const PHONE_QUERIES = [
  'BluetoothMAC',
  'IsActivationLockEnabled',
  'IsMDMLostModeEnabled',
  'ModemFirmwareVersion',
];

export function refreshQuery(section: RefreshedSection, platform: Platform): PlistDict {
  const requestType = requestOf(section);
  const parameters: [string, PlistValue][] =
    section === 'device'
      ? [['Queries', platform === 'iOS' ? [...QUERIES, ...PHONE_QUERIES] : QUERIES]]
      : section === 'restrictions'
        ? [['ProfileRestrictions', true]]
        : [];
  return new Map<string, PlistValue>([['RequestType', requestType], ...parameters]);
}
