/**
 * `Idempotency-Key` without a table: the CommandUUID is derived from who asked, for which device, with which
 * key. The queue is idempotent by CommandUUID, so a repeated request finds the command it made, for as long as
 * that command is kept; the same key with other content meets `command-conflict`.
 */
import { sha256Hex } from '../../pki/digest.ts';
import { utf8 } from '../../std/bytes.ts';
import { Fault } from '../../std/outcome.ts';
import { uuidOfDigest } from '../../std/uuid.ts';
import { type CommandUuid, parseCommandUuid, type Udid } from '../ids.ts';
import type { Admin } from './services.ts';

/** A version 8 UUID (RFC 9562 §5.8): 122 bits of SHA-256 over the names. */
export function commandUuidFor(admin: Admin, device: Udid, key: string): Promise<CommandUuid> {
  return derived([admin.id, device, key]);
}

/** The name of an order for many devices, which the commands' own UUIDs are derived from. */
export function orderUuidFor(admin: Admin, key: string): Promise<CommandUuid> {
  return derived([admin.id, 'order', key]);
}

/** One device's command of an order for many: whoever says the order again, with whatever key. */
export function commandUuidOf(order: CommandUuid, device: Udid): Promise<CommandUuid> {
  return derived(['command', order, device]);
}

async function derived(names: readonly string[]): Promise<CommandUuid> {
  const parsed = parseCommandUuid(uuidOfDigest(await sha256Hex(utf8(JSON.stringify(names)))));
  if (!parsed.ok) throw new Fault('derived-uuid', 'a derived UUID has the form of a CommandUUID');
  return parsed.value;
}
