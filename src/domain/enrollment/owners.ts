/**
 * Whom else a device's object tells what D1 has by then: the watch's pairing, the compiler of manifests, whoever wakes
 * devices. The object waits for its telling: nothing here may wait for the object's outbox, as `flush` does.
 */
import type { Waker } from '../command/ports.ts';
import type { Change, DueManifests } from '../declaration/due.ts';
import type { Udid } from '../ids.ts';
import type { PairingStore } from '../pairing/ports.ts';
import type { DeviceMessage } from './outbox.ts';

export interface Owners {
  readonly pairings: Pick<PairingStore, 'progress'>;
  readonly due: Pick<DueManifests, 'settle'>;
  readonly waker: Waker;
  /** D1 has its mark, and the sweeper makes it good. */
  readonly onMissed: (udid: Udid, error: unknown) => void;
}

/** The change that a device brought about by itself: it enrolled, or became another. */
export function compileChange({ udid, atMs }: Extract<DeviceMessage, { kind: 'compile' }>): Change {
  return { id: `compile/${udid}/${atMs}`, atMs };
}

export async function tellOwner(message: DeviceMessage, owners: Owners): Promise<void> {
  switch (message.kind) {
    case 'pairing':
      await owners.pairings.progress(message.watchUdid, message.pairingId, message.step, message.atMs);
      return;
    case 'compile':
      try {
        await owners.due.settle(compileChange(message));
      } catch (error) {
        // Results behind this message must not wait for that.
        owners.onMissed(message.udid, error);
      }
      return;
    case 'wake':
      await owners.waker.wake(message.udid);
      return;
    default:
      // The rest is D1's, and already there.
      return;
  }
}
