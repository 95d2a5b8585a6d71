/** A device's secrets under the deployment's storage key; each opens for its own device and purpose only. */
import { Fault } from '../../std/outcome.ts';
import type { StorageKey } from '../storage-key.ts';
import type { DeviceSeal } from './check-in.ts';

export function deviceSeal(key: StorageKey): DeviceSeal {
  return {
    seal: (udid, purpose, secret) => key.seal(secret, `${purpose}/${udid}`),
    async open(udid, purpose, sealed) {
      const opened = await key.open(sealed, `${purpose}/${udid}`);
      if (opened === null) throw new Fault('seal-broken', `the ${purpose} of a device does not open`);
      return opened;
    },
  };
}
