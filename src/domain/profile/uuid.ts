/**
 * UUIDs made from names (RFC 9562 §5.8, version 8 over SHA-256): the same profile identifier and payload name always
 * give the same UUID, so a profile that is built again replaces each payload in place, and one built from the same
 * input is the same bytes.
 */

import type { Bytes } from '../../std/bytes.ts';
import { utf8 } from '../../std/bytes.ts';

export type Sha256Hex = (bytes: Bytes) => Promise<string>;

/** Neither part holds a line feed; without a payload it is the profile's own. */
export async function uuidOf(sha256Hex: Sha256Hex, identifier: string, payload = ''): Promise<string> {
  const digest = await sha256Hex(utf8(`escapement/profile\n${identifier}\n${payload}`));
  const variant = ((Number.parseInt(digest.charAt(16), 16) & 0x3) | 0x8).toString(16);
  const groups = [
    digest.slice(0, 8),
    digest.slice(8, 12),
    `8${digest.slice(13, 16)}`,
    `${variant}${digest.slice(17, 20)}`,
    digest.slice(20, 32),
  ];
  return groups.join('-').toUpperCase();
}
