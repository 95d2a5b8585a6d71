/**
 * Where a device stands in a staged roll-out: a number from 0 to 99 that follows from its UDID alone, so that a device
 * that has a set at 10 percent has it at 20 percent too, and the same devices go first every time.
 */
import { utf8 } from '../../std/bytes.ts';
import type { Udid } from '../ids.ts';

export const SHARDS = 100;

/** FNV-1a, mixed once more: UDIDs differ mostly in their last characters, which FNV alone leaves in the low bits. */
export function shardOf(udid: Udid): number {
  let hash = 0x811c9dc5;
  for (const byte of utf8(udid)) hash = Math.imul(hash ^ byte, 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return ((hash ^ (hash >>> 16)) >>> 0) % SHARDS;
}
