/**
 * One command ordered for many devices, as many in a request as the API takes, one request after the other: until each
 * has its row, its object was told, and it was woken. Nobody answers it.
 */
import type { Stack } from '../local/stack.ts';
import { readCounts } from './counting.ts';
import type { MadeUpDevice } from './fanout-fleet.ts';
import { adminOf } from './fleet.ts';
import { cpuMs } from './process.ts';

/** `TARGETS_MAX` of the server. */
const PER_REQUEST = 500;

export interface OrderSize {
  readonly devices: number;
  readonly elapsedMs: number;
  /** Of workerd; null where that cannot be known. */
  readonly cpuMs: number | null;
  readonly statements: number;
  readonly objectCalls: number;
}

export async function benchOrder(
  stack: Stack,
  devices: readonly MadeUpDevice[],
  pid: number | null,
): Promise<OrderSize> {
  const admin = adminOf(stack);
  const udids = devices.map(({ udid }) => udid);
  const before = await readCounts(stack);
  const cpuBefore = pid === null ? 0 : cpuMs(pid);
  const startedAt = performance.now();
  let queued = 0;
  for (let at = 0; at < udids.length; at += PER_REQUEST) {
    const order = { command: { RequestType: 'ProfileList' }, devices: udids.slice(at, at + PER_REQUEST) };
    const { counts } = (await admin.post('commands', order)) as { counts: { queued: number } };
    queued += counts.queued;
  }
  const elapsedMs = performance.now() - startedAt;
  const cpu = pid === null ? null : cpuMs(pid) - cpuBefore;
  const after = await readCounts(stack);
  if (queued !== udids.length) throw new Error(`${queued} of ${udids.length} devices have the command`);
  return {
    devices: udids.length,
    elapsedMs,
    cpuMs: cpu,
    statements: after.statements - before.statements,
    objectCalls: after.objects - before.objects,
  };
}
