/**
 * Commands under the deployment's storage key. Device and CommandUUID are bound into the seal, so what was sealed for
 * one command opens as no other, whatever row it is moved to.
 */
import { openSecret, type SealKey, sealSecret } from '../../pki/seal.ts';
import type { Bytes } from '../../std/bytes.ts';
import type { CommandUuid, Udid } from '../ids.ts';
import type { CommandSecrets } from './ports.ts';

export function commandSecrets(key: SealKey): CommandSecrets {
  const context = (udid: Udid, commandUuid: CommandUuid) => `command/${udid}/${commandUuid}`;
  const open = async (sealed: Bytes, from: string) => {
    const opened = await openSecret(key, sealed, from);
    return opened.ok ? opened.value : null;
  };
  return {
    seal: (udid, commandUuid, plain) => sealSecret(key, plain, context(udid, commandUuid)),
    open: (udid, commandUuid, sealed) => open(sealed, context(udid, commandUuid)),
    openUnlockToken: (udid, sealed) => open(sealed, `unlock-token/${udid}`),
  };
}
