/**
 * UUIDs made from names (RFC 9562 §5.8, version 8 over SHA-256): the same profile identifier and payload name always
 * give the same UUID, so a profile that is built again replaces each payload in place. The profile's own follows from
 * what is in it besides: the same input is the same bytes, and a device's ProfileList tells versions apart.
 */

import type { Bytes } from '../../std/bytes.ts';
import { utf8 } from '../../std/bytes.ts';
import { uuidOfDigest } from '../../std/uuid.ts';

export type Sha256Hex = (bytes: Bytes) => Promise<string>;

/** Of the content of one profile, under a key: the UUID is shown, and nobody may try secrets against it. */
export type Fingerprint = (identifier: string, content: Bytes) => Promise<string>;

export function payloadUuid(sha256Hex: Sha256Hex, identifier: string, name: string): Promise<string> {
  return uuidOf(sha256Hex, [identifier, name]);
}

export function profileUuid(sha256Hex: Sha256Hex, identifier: string, fingerprint: string): Promise<string> {
  return uuidOf(sha256Hex, [identifier, '', fingerprint]);
}

/** No part holds a line feed. */
async function uuidOf(sha256Hex: Sha256Hex, parts: readonly string[]): Promise<string> {
  return uuidOfDigest(await sha256Hex(utf8(['escapement/profile', ...parts].join('\n'))));
}
