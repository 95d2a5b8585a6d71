/**
 * The two signatures of a device: `Mdm-Signature` with the identity it was issued, MachineInfo with the one it was
 * born with (facts 7, 8, 19.1). `legacy` is SHA-1 without signed attributes, as old devices do; `modern` is SHA-256
 * with them.
 */
import type { Buffer } from 'node:buffer';
import type { X509 } from './certificate.ts';
import { sign } from './cms.ts';
import type { DeviceKey } from './keys.ts';
import { type PlistDict, writePlist } from './plist.ts';
import type { DeviceIdentity } from './world.ts';

export type SigningMode = 'legacy' | 'modern';

/** Base64 of a detached signature over exactly `body`. Legacy is indefinite-length BER. */
export function mdmSignature(body: Uint8Array, key: DeviceKey, certificate: X509, mode: SigningMode): string {
  const cms =
    mode === 'legacy'
      ? sign(body, {
          key,
          certificate,
          detached: true,
          hash: 'SHA-1',
          signedAttributes: false,
          encoding: 'ber',
        })
      : sign(body, { key, certificate, detached: true, hash: 'SHA-256', signingTimeMs: Date.now() });
  return cms.toString('base64');
}

/** The CMS that names the device: content, signer and chain inside, DER in both modes. */
export function machineInfo(content: PlistDict, identity: DeviceIdentity, mode: SigningMode): Buffer {
  const { key, certificate, chain } = identity;
  const legacy = mode === 'legacy';
  const hash = legacy ? 'SHA-1' : 'SHA-256';
  return sign(writePlist(content), { key, certificate, chain, hash, signedAttributes: !legacy });
}
