/**
 * What a device answers to each command of facts 15 (the 21 that watchOS 10 takes), with the response keys of
 * Apple's schema. An answer is merged into the result; it may set `Status` itself. Commands that are not in the
 * map are answered the way a device answers what it does not know: `Error`, MCMDMErrorDomain 12021.
 */
import type { Buffer } from 'node:buffer';
import type { Json } from './declarations.ts';
import type { Plist, PlistDict } from './plist.ts';

export type Answer = (command: PlistDict) => PlistDict;

/** What answers look at and change. */
export interface DeviceFacts {
  readonly udid: string;
  readonly serial: string;
  readonly product: string;
  readonly osVersion: string;
  readonly build: string;
  readonly modelName: string;
  readonly supervised: boolean;
  readonly unlockToken: Buffer | null;
  /** What a test made of status items, by dotted name; null takes the item from the device. */
  readonly status: Map<string, Json>;
  /** Reasons, capitalized, why an item cannot be reported. */
  readonly statusErrors: Map<string, Json>;
  readonly push: () => { readonly token: Buffer; readonly magic: string };
  readonly certificates: () => readonly { name: string; identity: boolean; der: Buffer }[];
  readonly profiles: Map<string, PlistDict>;
  readonly apps: Map<string, { name: string; version: string; managed: boolean }>;
  locked: boolean;
  passcode: boolean;
  /** Whether the passcode is what the device was told to ask for. */
  compliant: boolean;
  erased: boolean;
}

export function refusal(code: number, domain: string, text: string): PlistDict {
  const item = {
    ErrorCode: code,
    ErrorDomain: domain,
    LocalizedDescription: text,
    USEnglishDescription: text,
  };
  return { Status: 'Error', ErrorChain: [item] };
}

export function unknownCommand(requestType: string): PlistDict {
  return refusal(12021, 'MCMDMErrorDomain', `“${requestType}” is not a valid request type.`);
}

export function watchAnswers(device: DeviceFacts): Map<string, Answer> {
  return new Map<string, Answer>([
    ...inventory(device),
    ...applications(device),
    ...profiles(device),
    ...security(device),
    ['DeclarativeManagement', () => ({})],
    ['Settings', settings],
  ]);
}

function inventory(device: DeviceFacts): [string, Answer][] {
  return [
    ['DeviceInformation', (command) => ({ QueryResponses: queryResponses(device, command) })],
    [
      'SecurityInfo',
      () => ({
        SecurityInfo: {
          HardwareEncryptionCaps: 3,
          PasscodePresent: device.passcode,
          PasscodeCompliant: true,
          PasscodeCompliantWithProfiles: true,
          PasscodeLockGracePeriod: 0,
          PasscodeLockGracePeriodEnforced: 0,
          ManagementStatus: { IsUserEnrollment: false },
        },
      }),
    ],
    [
      'CertificateList',
      () => ({
        CertificateList: device
          .certificates()
          .map((one) => ({ CommonName: one.name, IsIdentity: one.identity, Data: one.der })),
      }),
    ],
    ['Restrictions', () => ({ GlobalRestrictions: { restrictedBool: {}, restrictedValue: {} } })],
    ['ProvisioningProfileList', () => ({ ProvisioningProfileList: [] })],
  ];
}

function queryResponses(device: DeviceFacts, command: PlistDict): PlistDict {
  const known: PlistDict = {
    UDID: device.udid,
    SerialNumber: device.serial,
    DeviceName: `${device.modelName} ${device.serial.slice(-4)}`,
    OSVersion: device.osVersion,
    BuildVersion: device.build,
    ProductName: device.product,
    ModelName: device.modelName,
    Model: 'MXTEST',
    ModelNumber: 'MXTEST/A',
    DeviceCapacity: 64,
    AvailableDeviceCapacity: 41.5,
    BatteryLevel: 0.87,
    IsSupervised: device.supervised,
    IsMultiUser: false,
    IsActivationLockEnabled: false,
    WiFiMAC: '02:00:00:00:00:01',
    BluetoothMAC: '02:00:00:00:00:02',
    TimeZone: 'Etc/UTC',
  };
  const asked = Array.isArray(command['Queries']) ? command['Queries'].map(String) : Object.keys(known);
  return Object.fromEntries(
    asked.flatMap((name): [string, Plist][] => (known[name] === undefined ? [] : [[name, known[name]]])),
  );
}

function applications({ apps }: DeviceFacts): [string, Answer][] {
  const identifiers = (command: PlistDict) =>
    Array.isArray(command['Identifiers']) ? command['Identifiers'].map(String) : [...apps.keys()];
  return [
    [
      'InstallApplication',
      (command) => {
        const identifier = String(
          command['Identifier'] ?? `com.example.app${String(command['iTunesStoreID'] ?? 0)}`,
        );
        apps.set(identifier, {
          name: identifier.split('.').at(-1) ?? identifier,
          version: '1.0',
          managed: true,
        });
        return { Identifier: identifier, State: 'Installing' };
      },
    ],
    [
      'InstalledApplicationList',
      (command) => ({
        InstalledApplicationList: identifiers(command).flatMap((identifier) => {
          const app = apps.get(identifier);
          if (app === undefined || (command['ManagedAppsOnly'] === true && !app.managed)) return [];
          return [
            {
              Identifier: identifier,
              Name: app.name,
              Version: app.version,
              ShortVersion: app.version,
              Installing: false,
            },
          ];
        }),
      }),
    ],
    [
      'ManagedApplicationList',
      () => ({
        ManagedApplicationList: Object.fromEntries(
          [...apps].filter(([, app]) => app.managed).map(([identifier]) => [identifier, managedStatus()]),
        ),
      }),
    ],
    [
      'RemoveApplication',
      (command) =>
        apps.delete(String(command['Identifier']))
          ? {}
          : refusal(
              12027,
              'MCMDMErrorDomain',
              `The app “${String(command['Identifier'])}” is not installed.`,
            ),
    ],
    [
      'ManagedApplicationAttributes',
      (command) => ({ ApplicationAttributes: identifiers(command).map((Identifier) => ({ Identifier })) }),
    ],
    [
      'ManagedApplicationConfiguration',
      (command) => ({
        ApplicationConfigurations: identifiers(command).map((Identifier) => ({ Identifier })),
      }),
    ],
  ];
}

function managedStatus(): PlistDict {
  return {
    Status: 'Managed',
    ManagementFlags: 1,
    HasConfiguration: false,
    HasFeedback: false,
    IsValidated: true,
    ExternalVersionIdentifier: 1,
    UnusedRedemptionCode: '',
  };
}

function profiles({ profiles: installed }: DeviceFacts): [string, Answer][] {
  const done: Answer = () => ({});
  return [
    ['ProfileList', () => ({ ProfileList: [...installed.values()].map(profileListItem) })],
    [
      'RemoveProfile',
      (command) =>
        installed.delete(String(command['Identifier']))
          ? {}
          : refusal(12035, 'MCMDMErrorDomain', 'The profile is not installed.'),
    ],
    ['InstallProvisioningProfile', done],
    ['RemoveProvisioningProfile', done],
  ];
}

function profileListItem(profile: PlistDict): PlistDict {
  const content = Array.isArray(profile['PayloadContent']) ? profile['PayloadContent'] : [];
  const keys = ['PayloadType', 'PayloadVersion', 'PayloadIdentifier', 'PayloadUUID', 'PayloadDisplayName'];
  const pick = (from: PlistDict) =>
    Object.fromEntries(Object.entries(from).filter(([key]) => keys.includes(key)));
  const { PayloadType: _type, ...item } = pick(profile);
  return {
    ...item,
    HasRemovalPasscode: false,
    IsEncrypted: false,
    IsManaged: true,
    PayloadContent: content.map((payload) => pick(payload as PlistDict)),
  };
}

function security(device: DeviceFacts): [string, Answer][] {
  return [
    [
      'DeviceLock',
      (command) => {
        device.locked = true;
        const shows = command['Message'] !== undefined || command['PhoneNumber'] !== undefined;
        return { MessageResult: shows ? 'Success' : 'NoMessage' };
      },
    ],
    [
      'ClearPasscode',
      (command) => {
        const token = command['UnlockToken'];
        if (
          !(token instanceof Uint8Array) ||
          device.unlockToken === null ||
          !device.unlockToken.equals(token)
        ) {
          return refusal(12003, 'MCMDMErrorDomain', 'The unlock token is not this device’s.');
        }
        device.passcode = false;
        return {};
      },
    ],
    [
      'EraseDevice',
      () => {
        device.erased = true;
        return {};
      },
    ],
  ];
}

function settings(command: PlistDict): PlistDict {
  const asked = Array.isArray(command['Settings']) ? command['Settings'] : [];
  return { Settings: asked.map(() => ({ Status: 'Acknowledged' })) };
}
