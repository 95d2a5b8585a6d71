/**
 * Digests of a large upload that is never held whole: SHA-256 over all of it, and the MD5 of each part, which Apple's
 * manifests name. MD5 is for damage on the way, not for trust: that is the package's own signature.
 */
import { type Bytes, toHex } from '../std/bytes.ts';
import { nodeCrypto } from './node-crypto.ts';

export interface PackageDigest {
  /** Adds a part; returns its MD5 in hex. */
  update(part: Bytes): Promise<string>;
  /** In hex; the last call. */
  sha256(): string;
}

export async function startPackageDigest(): Promise<PackageDigest> {
  const { createHash } = await nodeCrypto();
  const whole = createHash('sha256');
  return {
    async update(part) {
      whole.update(part);
      return toHex(new Uint8Array(await crypto.subtle.digest('MD5', part)));
    },
    sha256: () => whole.digest('hex'),
  };
}
