/** The only source of random values. `protocol` and `domain` are handed what they need from here. */
import type { Bytes } from '../std/bytes.ts';

/** At most 65,536 octets, the limit of the runtime's generator for one call. */
export function randomBytes(length: number): Bytes {
  return crypto.getRandomValues(new Uint8Array(length));
}

/** A version 4 UUID in upper case, as Apple writes them. */
export function randomUuid(): string {
  return crypto.randomUUID().toUpperCase();
}
