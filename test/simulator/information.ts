/**
 * What a device tells of itself: DeviceInformation, SecurityInfo, Restrictions, and Settings, which changes some of it.
 * Only what was asked for and what the platform has is answered; the rest is left out, as devices do.
 */
import type { Answer } from './answers.ts';
import { configureApp, setAppAttributes } from './apps.ts';
import type { DeviceFacts } from './facts.ts';
import { isDict, type Plist, type PlistDict } from './plist.ts';
import { errorChain } from './refusals.ts';
import { globalRestrictions, passcodeComplies, passcodeRules, profileRestrictions } from './restrictions.ts';

export function informationAnswers(facts: DeviceFacts): [string, Answer][] {
  return [
    ['DeviceInformation', (command) => ({ QueryResponses: queryResponses(facts, command) })],
    ['SecurityInfo', () => ({ SecurityInfo: securityInfo(facts) })],
    ['Restrictions', (command) => restrictions(facts, command['ProfileRestrictions'] === true)],
    ['Settings', (command) => settings(facts, command)],
  ];
}

/** WiFiMAC is network information, which is a right of its own. */
const NETWORK_RIGHT = 32;
const NETWORK_QUERIES = ['WiFiMAC', 'BluetoothMAC'];

/** DevicePropertiesAttestation is not among them: no simulated device has a genuine attestation. */
function queryResponses(facts: DeviceFacts, command: PlistDict): PlistDict {
  const known = knownQueries(facts);
  const rights = facts.enrollment()?.accessRights ?? 0;
  const asked = Array.isArray(command['Queries']) ? command['Queries'].map(String) : Object.keys(known);
  return Object.fromEntries(
    asked.flatMap((name): [string, Plist][] => {
      const value = known[name];
      const permitted = !NETWORK_QUERIES.includes(name) || (rights & NETWORK_RIGHT) !== 0;
      return value === undefined || !permitted ? [] : [[name, value]];
    }),
  );
}

function knownQueries(facts: DeviceFacts): PlistDict {
  const { organization, accessibility, supervised } = facts;
  return {
    UDID: facts.udid,
    SerialNumber: facts.serial,
    DeviceName: facts.deviceName,
    OSVersion: facts.osVersion,
    BuildVersion: facts.build,
    SupplementalBuildVersion: facts.build,
    ProductName: facts.product,
    ModelName: facts.modelName,
    Model: 'MXTEST',
    ModelNumber: 'MXTEST/A',
    MDMOptions: {},
    AwaitingConfiguration: false,
    iTunesStoreAccountIsActive: true,
    iTunesStoreAccountHash: 'bm8gYWNjb3VudCBhdCBhbGw=',
    DeviceCapacity: 64,
    AvailableDeviceCapacity: 41.5,
    BatteryLevel: 0.87,
    IsSupervised: supervised,
    IsDeviceLocatorServiceEnabled: true,
    IsActivationLockEnabled: false,
    IsDoNotDisturbInEffect: false,
    IsMDMLostModeEnabled: false,
    DiagnosticSubmissionEnabled: true,
    AppAnalyticsEnabled: false,
    TimeZone: 'Etc/UTC',
    WiFiMAC: '02:00:00:00:00:01',
    ...(organization === null ? {} : { OrganizationInfo: organization }),
    ...(supervised ? { AccessibilitySettings: { ...ACCESSIBILITY, ...accessibility } } : {}),
    ...(facts.family === 'Watch' ? {} : ONLY_IPHONE),
  };
}

const ONLY_IPHONE: PlistDict = {
  BluetoothMAC: '02:00:00:00:00:02',
  IsMultiUser: false,
  IsCloudBackupEnabled: false,
  CellularTechnology: 1,
  DataRoamingEnabled: false,
};

const ACCESSIBILITY: PlistDict = {
  BoldTextEnabled: false,
  ReduceMotionEnabled: false,
  ReduceTransparencyEnabled: false,
  TextSize: 4,
  TouchAccommodationsEnabled: false,
  VoiceOverEnabled: false,
  ZoomEnabled: false,
};

function securityInfo(facts: DeviceFacts): PlistDict {
  const enforced = passcodeRules(facts)['maxGracePeriod'];
  return {
    HardwareEncryptionCaps: 3,
    PasscodePresent: facts.passcode,
    PasscodeCompliant: passcodeComplies(facts),
    PasscodeCompliantWithProfiles: passcodeComplies(facts, 'own-profiles'),
    PasscodeLockGracePeriod: 0,
    // Minutes in the rule, seconds in the answer.
    PasscodeLockGracePeriodEnforced: typeof enforced === 'number' ? enforced * 60 : 0,
    ManagementStatus: { IsUserEnrollment: false },
  };
}

function restrictions(facts: DeviceFacts, byProfile: boolean): PlistDict {
  return {
    GlobalRestrictions: globalRestrictions(facts),
    ...(byProfile ? { ProfileRestrictions: profileRestrictions(facts) } : {}),
  };
}

/** The command is acknowledged even where an item is not; each has a status of its own. */
function settings(facts: DeviceFacts, command: PlistDict): PlistDict {
  const asked = Array.isArray(command['Settings']) ? command['Settings'].filter(isDict) : [];
  return {
    Settings: asked.map((item) => {
      const wrong = set(facts, item);
      const identifier = item['Identifier'];
      return {
        ...(wrong === null
          ? { Status: 'Acknowledged' }
          : {
              Status: 'Error',
              ErrorChain: errorChain({ code: 12014, domain: 'MCMDMErrorDomain', text: wrong }),
            }),
        ...(typeof identifier === 'string' ? { Identifier: identifier } : {}),
      };
    }),
  };
}

/** What is wrong with it, or null once it is done. */
function set(facts: DeviceFacts, item: PlistDict): string | null {
  switch (item['Item']) {
    case 'ApplicationConfiguration':
      return configureApp(facts, String(item['Identifier']), dictOf(item['Configuration']));
    case 'ApplicationAttributes':
      return setAppAttributes(facts, String(item['Identifier']), dictOf(item['Attributes']));
    case 'OrganizationInfo':
      facts.organization = dictOf(item['OrganizationInfo']);
      return null;
    case 'AccessibilitySettings':
      return setAccessibility(facts, item);
    default:
      return setOnIphone(facts, item);
  }
}

function dictOf(value: Plist | undefined): PlistDict | null {
  return isDict(value) ? value : null;
}

function setAccessibility(facts: DeviceFacts, { Item: _item, ...values }: PlistDict): string | null {
  if (!facts.supervised) return 'AccessibilitySettings needs supervision.';
  facts.accessibility = { ...facts.accessibility, ...values };
  return null;
}

const IPHONE_ITEMS = [
  'Bluetooth',
  'DataRoaming',
  'MDMOptions',
  'PersonalHotspot',
  'VoiceRoaming',
  'Wallpaper',
];

function setOnIphone(facts: DeviceFacts, item: PlistDict): string | null {
  const name = String(item['Item']);
  const unknown = `The setting “${name}” is not known.`;
  if (facts.family === 'Watch') return unknown;
  if (name === 'DeviceName') {
    if (!facts.supervised) return 'DeviceName needs supervision.';
    facts.deviceName = String(item['DeviceName']);
    return null;
  }
  return IPHONE_ITEMS.includes(name) ? null : unknown;
}
