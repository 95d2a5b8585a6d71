/** A committed command is made known: its device's object learns that work waits, then the device is woken. */
import { Unavailable } from '../../std/outcome.ts';
import type { EpochMs } from '../../std/time.ts';
import type { Devices } from '../enrollment/device.ts';
import type { CommandStore, UnnotedCommand, Waker } from './ports.ts';

export interface AnnounceOptions {
  readonly store: Pick<CommandStore, 'noted'>;
  readonly devices: Devices;
  readonly waker: Waker;
}

/** Whatever fails after the commit, the sweeper makes good. Anything but an outage is a bug and goes on. */
export async function announce(
  { store, devices, waker }: AnnounceOptions,
  { udid, commandUuid, enrollmentId }: UnnotedCommand,
  push: boolean,
  nowMs: EpochMs,
): Promise<void> {
  try {
    await devices.of(udid).tellWork(enrollmentId, nowMs);
    await store.noted(commandUuid, nowMs);
    if (push) await waker.wake(udid);
  } catch (error) {
    if (!(error instanceof Unavailable)) throw error;
  }
}
