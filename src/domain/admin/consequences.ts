/**
 * What a command does beyond its answer. Erasing is final, and ending an iPhone's enrollment also unpairs and
 * erases its managed watch, so an administrator must name the device by its serial number first.
 *
 * Judged are EraseDevice and the removal of the enrollment profile. A profile whose restrictions forbid paired
 * watches has the same effect and is not looked into here.
 */
import { type Outcome, ok, refuse } from '../../std/outcome.ts';
import type { SerialNumber, Udid } from '../ids.ts';
import type { CommandPriority, DeviceRecord } from './services.ts';

export type Effect = 'unenroll' | 'unpair' | 'erase';

export interface Consequence {
  readonly device: Udid;
  readonly effects: readonly Effect[];
}

export type ConfirmationRefusal = {
  readonly kind: 'confirmation-needed';
  readonly causes: readonly Consequence[];
};

/** A person waits for these three, and a lost device may not be there for long. */
const URGENT = new Set(['DeviceLock', 'EraseDevice', 'ClearPasscode']);

export function defaultPriority(requestType: string): CommandPriority {
  return URGENT.has(requestType) ? 'urgent' : 'normal';
}

/** Whether `consequencesOf` can be other than empty: what is worth looking the device up for. */
export function mayHaveConsequences(requestType: string): boolean {
  return requestType === 'EraseDevice' || requestType === 'RemoveProfile';
}

export function consequencesOf(
  command: { readonly requestType: string; readonly profileIdentifier: unknown },
  device: DeviceRecord,
  isEnrollmentProfile: (identifier: string) => boolean,
): readonly Consequence[] {
  const erases = command.requestType === 'EraseDevice';
  const unenrolls =
    command.requestType === 'RemoveProfile' &&
    typeof command.profileIdentifier === 'string' &&
    isEnrollmentProfile(command.profileIdentifier);
  if (!erases && !unenrolls) return [];
  if (device.platform === 'watchOS') {
    return [{ device: device.udid, effects: ['unenroll', 'unpair', 'erase'] }];
  }
  const own: readonly Effect[] = erases ? ['unenroll', 'erase'] : ['unenroll'];
  const watches = device.watches.map(
    (watch): Consequence => ({ device: watch, effects: ['unenroll', 'unpair', 'erase'] }),
  );
  return [{ device: device.udid, effects: own }, ...watches];
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
