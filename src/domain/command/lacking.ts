/**
 * Why a platform does not take a command, or one of its words, and what the catalog has there instead: for people who
 * know the command from another platform. The catalog alone decides what is lacking (admission.ts); a command that
 * is not listed here is refused all the same. Where nothing takes its place, the reason says so.
 *
 * A word is a key of the command, an item of Settings, or a query of DeviceInformation: `Settings.DeviceName`.
 */
import type { Platform } from '../ids.ts';

/** What the catalog has on the same platform. */
export interface Alternative {
  readonly kind: 'command' | 'configuration' | 'status';
  readonly type: string;
}

export interface Lack {
  /** A sentence for people. */
  readonly reason: string;
  readonly alternative: Alternative | null;
}

const command = (type: string): Alternative => ({ kind: 'command', type });
const configuration = (type: string): Alternative => ({ kind: 'configuration', type });
const status = (type: string): Alternative => ({ kind: 'status', type });

const lack = (reason: string, alternative: Alternative | null = null): Lack => ({ reason, alternative });

const NO_UPDATES =
  'No command and no configuration updates watchOS. The version that a watch runs is a status item.';
const NO_LOST_MODE = 'watchOS has no managed Lost Mode, and nothing in its place.';
const NO_BYPASS = 'watchOS has no bypass code for Activation Lock, and nothing in its place.';
const NO_MEDIA = 'watchOS has no managed books.';
const NO_USERS = 'Only a Shared iPad has users to manage.';
const NO_MIRRORING = 'The server cannot mirror the screen of a watch.';
const NO_POWER = 'The server cannot restart a watch or shut it down.';
const NO_PIN = 'It takes no PIN.';

const OF_WATCHES: Readonly<Record<string, Lack>> = {
  ActivationLockBypassCode: lack(NO_BYPASS),
  ClearActivationLockBypassCode: lack(NO_BYPASS),
  ApplyRedemptionCode: lack(
    'watchOS takes no redemption codes. Apps are installed by InstallApplication, whose Options have PurchaseMethod.',
    command('InstallApplication'),
  ),
  AvailableOSUpdates: lack(NO_UPDATES, status('device.operating-system.version')),
  OSUpdateStatus: lack(NO_UPDATES, status('device.operating-system.version')),
  ScheduleOSUpdate: lack(NO_UPDATES, status('device.operating-system.version')),
  ClearRestrictionsPassword: lack('watchOS has no passcode of restrictions to clear.'),
  DeleteUser: lack(NO_USERS),
  LogOutUser: lack(NO_USERS),
  UserConfigured: lack(NO_USERS),
  UserList: lack(NO_USERS),
  DeviceConfigured: lack('watchOS has no command that ends its setup.'),
  DeviceLocation: lack(NO_LOST_MODE),
  EnableLostMode: lack(
    'watchOS has no managed Lost Mode. A watch can be locked, with a message and a phone number to show.',
    command('DeviceLock'),
  ),
  DisableLostMode: lack(NO_LOST_MODE),
  PlayLostModeSound: lack(NO_LOST_MODE),
  InstallMedia: lack(NO_MEDIA),
  ManagedMediaList: lack(NO_MEDIA),
  RemoveMedia: lack(NO_MEDIA),
  InviteToProgram: lack('watchOS takes no invitations to a purchase program.'),
  ManagedApplicationFeedback: lack('Apps on watchOS give the server no feedback.'),
  RefreshCellularPlans: lack('The server cannot set up the cellular plan of a watch.'),
  RequestMirroring: lack(NO_MIRRORING),
  StopMirroring: lack(NO_MIRRORING),
  RequestUnlockToken: lack(
    'A watch sends its unlock token by itself, and the server keeps it: order ClearPasscode at once.',
    command('ClearPasscode'),
  ),
  RestartDevice: lack(NO_POWER),
  ShutDownDevice: lack(NO_POWER),
  ValidateApplications: lack('watchOS has no command to validate enterprise apps.'),
  'DeviceLock.PIN': lack(NO_PIN),
  'EraseDevice.PIN': lack(NO_PIN),
  'Settings.PasscodeLockGracePeriod': lack(
    'The grace period is part of the passcode rules.',
    configuration('com.apple.configuration.passcode.settings'),
  ),
  'Settings.SoftwareUpdateSettings': lack(NO_UPDATES, status('device.operating-system.version')),
  'Settings.DeviceName': lack('The server cannot name a watch.'),
  'Settings.TimeZone': lack('The server cannot set the time zone of a watch.'),
};

const UPDATES =
  'From iOS 27 on updates are declared: the version and the time by which it must run, or when it is offered.';
const ENFORCEMENT = configuration('com.apple.configuration.softwareupdate.enforcement.specific');

const OF_PHONES: Readonly<Record<string, Lack>> = {
  AvailableOSUpdates: lack(UPDATES, status('softwareupdate.pending-version')),
  OSUpdateStatus: lack(
    'From iOS 27 on the device reports how far an update is.',
    status('softwareupdate.install-state'),
  ),
  ScheduleOSUpdate: lack(UPDATES, ENFORCEMENT),
  'DeviceInformation.SoftwareUpdateDeviceID': lack(
    'From iOS 27 on it is a status item.',
    status('softwareupdate.device-id'),
  ),
  'DeviceInformation.SoftwareUpdateSettings': lack(
    'From iOS 27 on these settings are declared.',
    configuration('com.apple.configuration.softwareupdate.settings'),
  ),
  'DeviceLock.PIN': lack(NO_PIN),
  'EraseDevice.PIN': lack(NO_PIN),
};

export const LACKING: Readonly<Record<Platform, Readonly<Record<string, Lack>>>> = {
  iOS: OF_PHONES,
  watchOS: OF_WATCHES,
};

export function lackOf(platform: Platform, name: string): Lack | null {
  const lacks = LACKING[platform];
  return Object.hasOwn(lacks, name) ? (lacks[name] ?? null) : null;
}
