/**
 * The queries that fill a device's inventory. Each costs a watch battery, and what a status subscription tells need not
 * be asked (handbook section 12): so nothing asks by itself, and what is asked already is not asked again.
 *
 * Left out of DeviceInformation: the attestation, which is no fact, the hash of the store account, and accessibility
 * settings, which tell of a person.
 */
import type { PlistDict, PlistValue } from '../../protocol/plist/value.ts';
import type { CommandAdmission, JudgedDevice } from '../command/admission.ts';
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

/** As the device takes it, by its system and by the rights that profiles grant. */
export async function refreshQuery(
  section: RefreshedSection,
  device: JudgedDevice,
  admission: Pick<CommandAdmission, 'judge'>,
): Promise<PlistDict> {
  const query = new Map<string, PlistValue>([['RequestType', requestOf(section)]]);
  if (section === 'restrictions') query.set('ProfileRestrictions', true);
  if (section !== 'device') return query;
  const all = device.platform === 'iOS' ? [...QUERIES, ...PHONE_QUERIES] : QUERIES;
  query.set('Queries', all);
  const judged = await admission.judge({ requestType: requestOf(section), command: query }, device);
  if (judged.ok || judged.refusal.kind !== 'invalid-command') return query;
  const paths = new Set(judged.refusal.problems.map((problem) => problem.path));
  return query.set(
    'Queries',
    all.filter((_name, index) => !paths.has(`Queries[${index}]`)),
  );
}
