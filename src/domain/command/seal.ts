/**
 * Commands under the deployment's storage key. Device and CommandUUID are bound into the seal, so what was sealed for
 * one command opens as no other, whatever row it is moved to.
 */
import type { CommandUuid, Udid } from '../ids.ts';
import type { StorageKey } from '../storage-key.ts';
import type { CommandSecrets } from './ports.ts';

export function commandSecrets(key: StorageKey): CommandSecrets {
  const context = (udid: Udid, commandUuid: CommandUuid) => `command/${udid}/${commandUuid}`;
  return {
    seal: (udid, commandUuid, plain) => key.seal(plain, context(udid, commandUuid)),
    open: (udid, commandUuid, sealed) => key.open(sealed, context(udid, commandUuid)),
    openUnlockToken: (udid, sealed) => key.open(sealed, `unlock-token/${udid}`),
  };
}
