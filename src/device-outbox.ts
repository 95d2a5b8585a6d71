/** Where a device's object's messages go: D1 first, in one transaction, then the other owners. */
import type { DeviceMessage, DeviceOutboxPort } from './domain/enrollment/outbox.ts';
import { durablePairings } from './durable/pairing/pairings.ts';
import { recordDeviceMessages } from './storage/d1/device-outbox.ts';
import { fleetFor } from './wiring.ts';

export function deviceOutbox(env: Env): DeviceOutboxPort {
  const pairings = durablePairings(env.PAIRING);
  return {
    async tell(messages) {
      const { db, sync, waker } = fleetFor(env);
      await recordDeviceMessages(db, messages);
      for (const message of messages) await tellOwner(message, { pairings, sync, waker });
    },
  };
}

type Owners = Pick<ReturnType<typeof fleetFor>, 'sync' | 'waker'> & {
  readonly pairings: ReturnType<typeof durablePairings>;
};

async function tellOwner(message: DeviceMessage, { pairings, sync, waker }: Owners): Promise<void> {
  switch (message.kind) {
    case 'pairing':
      await pairings.progress(message.watchUdid, message.pairingId, message.step, message.atMs);
      return;
    case 'declare':
      await sync.declare(message.udid, message.point, message.atMs);
      return;
    case 'wake':
      await waker.wake(message.udid);
      return;
    default:
      // The rest is D1's, and already there.
      return;
  }
}
