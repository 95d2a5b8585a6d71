/** Uploads under the deployment's storage key: sealed data opens under its own identifier only. */
import { openSecret, type SealKey, sealSecret } from '../../pki/seal.ts';
import type { UploadSeal } from './upload-ports.ts';

export function uploadSeal(key: SealKey): UploadSeal {
  const context = (identifier: string) => `upload/${identifier}`;
  return {
    seal: (identifier, data) => sealSecret(key, data, context(identifier)),
    async open(identifier, sealed) {
      const opened = await openSecret(key, sealed, context(identifier));
      return opened.ok ? opened.value : null;
    },
  };
}
