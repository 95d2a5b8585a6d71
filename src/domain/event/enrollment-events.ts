/** An enrollment begins to count when the device can be pushed to, and ends when it checks out. Pure. */
import type { Enrollment } from '../enrollment/state.ts';
import type { DeviceEvent } from './event.ts';

/** A message said again leaves the state as it was, and makes none. */
export function enrollmentEvents(before: Enrollment | null, now: Enrollment): readonly DeviceEvent[] {
  if (before?.state === now.state || now.state === 'authenticated') return [];
  const { serial, platform, phoneUdid: phone, pairingId } = now;
  const kind = now.state === 'enrolled' ? 'device-enrolled' : 'device-checked-out';
  return [{ kind, serial, platform, phone, pairingId }];
}
