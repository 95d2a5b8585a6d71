/** A device's secrets under the deployment's storage key; each opens for its own device and purpose only. */
import { openSecret, type SealKey, sealSecret } from '../../pki/seal.ts';
import { Fault } from '../../std/outcome.ts';
import type { DeviceSeal } from './check-in.ts';

export function deviceSeal(key: SealKey): DeviceSeal {
  return {
    seal: (udid, purpose, secret) => sealSecret(key, secret, `${purpose}/${udid}`),
    async open(udid, purpose, sealed) {
      const opened = await openSecret(key, sealed, `${purpose}/${udid}`);
      if (!opened.ok)
        throw new Fault('seal-broken', `the ${purpose} of a device does not open with STORAGE_KEY`);
      return opened.value;
    },
  };
}
