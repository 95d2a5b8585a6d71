/**
 * Names derived from names, as version 8 UUIDs (RFC 9562 §5.8): a step that runs twice queues the same command, and a
 * request that is repeated with its Idempotency-Key makes the same deployment.
 */
import { sha256Hex } from '../../pki/digest.ts';
import { utf8 } from '../../std/bytes.ts';
import { Fault } from '../../std/outcome.ts';
import { uuidOfDigest } from '../../std/uuid.ts';
import { type CommandUuid, parseCommandUuid } from '../ids.ts';

export async function derivedUuid(...names: readonly string[]): Promise<string> {
  return uuidOfDigest(await sha256Hex(utf8(JSON.stringify(names))));
}

/** `number` counts the deployment's commands. */
export async function deploymentCommandUuid(deploymentId: string, number: number): Promise<CommandUuid> {
  const parsed = parseCommandUuid(await derivedUuid('app-deployment', deploymentId, String(number)));
  if (!parsed.ok) throw new Fault('derived-uuid', 'a derived UUID has the form of a CommandUUID');
  return parsed.value;
}
