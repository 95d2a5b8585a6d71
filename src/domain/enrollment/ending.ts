/**
 * When an enrollment is over, or must be taken for over. CheckOut is best effort (handbook section 2), so three signs
 * count beside it: the device acknowledged the command that ends its enrollment; it began another; and, for a watch, any
 * of these of its iPhone, because that unenrolls, unpairs and erases the watch (handbook section 14).
 *
 * A sign is no more than that: nothing is taken from the device, commands may still be queued, and a device that
 * speaks again is there.
 */

import type { PlistDict } from '../../protocol/plist/value.ts';
import { ENROLLMENT_PROFILE_IDENTIFIER } from '../../protocol/profile/enrollment-profile.ts';
import type { EpochMs } from '../../std/time.ts';
import type { CommandUuid, Udid } from '../ids.ts';

export type OwnSign = 'erase-acknowledged' | 'removal-acknowledged';

/** The device acknowledged this command, and has not spoken since. */
export interface PresumedEnd {
  readonly why: OwnSign;
  readonly commandUuid: CommandUuid;
  readonly atMs: EpochMs;
}

/** Whether the acknowledgement of a command will mean that the device leaves: said while its content can be read. */
export function signOf(requestType: string, command: PlistDict): OwnSign | null {
  if (requestType === 'EraseDevice') return 'erase-acknowledged';
  const ends = requestType === 'RemoveProfile' && command.get('Identifier') === ENROLLMENT_PROFILE_IDENTIFIER;
  return ends ? 'removal-acknowledged' : null;
}

export type EnrollmentEnd = 'checked-out' | 'replaced';

/** What is known of the iPhone's enrollment through which a watch was paired. */
export interface HostEnrollment {
  readonly ended: EnrollmentEnd | null;
  readonly endedAtMs: EpochMs | null;
  readonly presumed: PresumedEnd | null;
}

export type HostState = 'enrolled' | 'presumed-ended' | EnrollmentEnd;

export interface PresumedGone {
  readonly why: OwnSign | `phone-${OwnSign | EnrollmentEnd}`;
  /** The device whose sign it is, and its command if it was one. */
  readonly device: Udid;
  readonly commandUuid: CommandUuid | null;
  readonly atMs: EpochMs;
}

/** Since when it is so; null while it is enrolled, and where the record began later. */
export function hostState(host: HostEnrollment): {
  readonly state: HostState;
  readonly sinceMs: EpochMs | null;
} {
  if (host.ended !== null) return { state: host.ended, sinceMs: host.endedAtMs };
  if (host.presumed !== null) return { state: 'presumed-ended', sinceMs: host.presumed.atMs };
  return { state: 'enrolled', sinceMs: null };
}

/** Why a device that did not check out is expected to be gone; null when nothing says so, or it spoke after that. */
export function presumeGone(device: {
  readonly udid: Udid;
  readonly presumed: PresumedEnd | null;
  readonly lastSeenMs: EpochMs;
  readonly host: (HostEnrollment & { readonly phone: Udid }) | null;
}): PresumedGone | null {
  const { udid, presumed, host, lastSeenMs } = device;
  if (presumed !== null) return { ...presumed, device: udid };
  if (host === null) return null;
  const sign = host.ended ?? host.presumed?.why ?? null;
  const { sinceMs } = hostState(host);
  if (sign === null || sinceMs === null || lastSeenMs > sinceMs) return null;
  const commandUuid = host.ended === null ? (host.presumed?.commandUuid ?? null) : null;
  return { why: `phone-${sign}`, device: host.phone, commandUuid, atMs: sinceMs };
}
