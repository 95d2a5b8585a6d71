/**
 * Names derived from names, as version 8 UUIDs (RFC 9562 §5.8): a step that runs twice queues the same command, and a
 * request that is repeated with its Idempotency-Key makes the same deployment.
 */
import { sha256Hex } from '../../pki/digest.ts';
import { utf8 } from '../../std/bytes.ts';
import { Fault } from '../../std/outcome.ts';
import { type CommandUuid, parseCommandUuid } from '../ids.ts';

export async function derivedUuid(...names: readonly string[]): Promise<string> {
  const hex = (await sha256Hex(utf8(JSON.stringify(names)))).toUpperCase();
  const variant = '89AB'[Number.parseInt(hex.slice(16, 17), 16) & 3];
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    `8${hex.slice(13, 16)}`,
    `${variant}${hex.slice(17, 20)}`,
    hex.slice(20, 32),
  ].join('-');
}

/** `number` counts the deployment's commands. */
export async function deploymentCommandUuid(deploymentId: string, number: number): Promise<CommandUuid> {
  const parsed = parseCommandUuid(await derivedUuid('app-deployment', deploymentId, String(number)));
  if (!parsed.ok) throw new Fault('derived-uuid', 'a derived UUID has the form of a CommandUUID');
  return parsed.value;
}
