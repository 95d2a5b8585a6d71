/**
 * What a command does beyond its answer. Erasing is final, and ending an iPhone's enrollment also unpairs and
 * erases its managed watch, so an administrator must name the device by its serial number first.
 *
 * Judged are EraseDevice, the removal of the enrollment profile, and an iPhone's profile whose restrictions forbid paired
 * watches. For the same profile in a legacy declaration this is asked when it is stored.
 */
import type { PlistDict } from '../../protocol/plist/value.ts';
import { type Outcome, ok, refuse } from '../../std/outcome.ts';
import { effectsOfProfile } from '../declaration/profile-effects.ts';
import type { SerialNumber, Udid } from '../ids.ts';
import type { CommandPriority } from './command-services.ts';
import type { DeviceRecord } from './services.ts';

export type Effect = 'unenroll' | 'unpair' | 'erase';

export interface Consequence {
  readonly device: Udid;
  readonly effects: readonly Effect[];
}

/** What an administrator should know and need not confirm. */
export interface CommandWarning {
  readonly kind: 'always-on-vpn';
  /** For people. */
  readonly detail: string;
}

export interface Consequences {
  readonly causes: readonly Consequence[];
  readonly warnings: readonly CommandWarning[];
}

export type ConfirmationRefusal = {
  readonly kind: 'confirmation-needed';
  readonly causes: readonly Consequence[];
};

export interface GraveCommand {
  readonly requestType: string;
  readonly command: PlistDict;
}

export const NO_CONSEQUENCES: Consequences = { causes: [], warnings: [] };

/** A person waits for these three, and a lost device may not be there for long. */
const URGENT = new Set(['DeviceLock', 'EraseDevice', 'ClearPasscode']);
const GRAVE = new Set(['EraseDevice', 'RemoveProfile', 'InstallProfile']);
const END: readonly Effect[] = ['unenroll', 'unpair', 'erase'];
const ALWAYS_ON_VPN: CommandWarning = {
  kind: 'always-on-vpn',
  detail:
    'With Always-On VPN the iPhone pairs no watch, and a paired one loses all traffic through the iPhone.',
};

export function defaultPriority(requestType: string): CommandPriority {
  return URGENT.has(requestType) ? 'urgent' : 'normal';
}

/** Whether `consequencesOf` can be other than empty: what is worth looking the device up for. */
export function mayHaveConsequences(requestType: string): boolean {
  return GRAVE.has(requestType);
}

export function consequencesOf(
  { requestType, command }: GraveCommand,
  device: DeviceRecord,
  isEnrollmentProfile: (identifier: string) => boolean,
): Consequences {
  if (requestType === 'InstallProfile') return consequencesOfProfile(command.get('Payload'), device);
  const erases = requestType === 'EraseDevice';
  const identifier = command.get('Identifier');
  const unenrolls =
    requestType === 'RemoveProfile' && typeof identifier === 'string' && isEnrollmentProfile(identifier);
  if (!erases && !unenrolls) return NO_CONSEQUENCES;
  if (device.platform === 'watchOS') return { causes: [{ device: device.udid, effects: END }], warnings: [] };
  const own: readonly Effect[] = erases ? ['unenroll', 'erase'] : ['unenroll'];
  return { causes: [{ device: device.udid, effects: own }, ...endOfWatches(device)], warnings: [] };
}

function consequencesOfProfile(payload: unknown, device: DeviceRecord): Consequences {
  if (device.platform === 'watchOS' || !(payload instanceof Uint8Array)) return NO_CONSEQUENCES;
  const effects = effectsOfProfile(payload as Uint8Array<ArrayBuffer>);
  return {
    // The watch that is paired need not be managed, so the iPhone stands here even when no watch is known.
    causes: effects.forbidsPairedWatch
      ? [{ device: device.udid, effects: ['unpair'] }, ...endOfWatches(device)]
      : [],
    warnings: effects.alwaysOnVpn ? [ALWAYS_ON_VPN] : [],
  };
}

function endOfWatches({ watches }: DeviceRecord): readonly Consequence[] {
  return watches.map((watch) => ({ device: watch, effects: END }));
}

/** A command with consequences goes through only with the device's own serial number beside it. */
export function decideConfirmation(
  causes: readonly Consequence[],
  device: DeviceRecord,
  confirmedSerial: SerialNumber | null,
): Outcome<void, ConfirmationRefusal> {
  if (causes.length === 0 || confirmedSerial === device.serial) return ok(undefined);
  return refuse({ kind: 'confirmation-needed', causes });
}
