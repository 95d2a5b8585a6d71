/**
 * The server's CPU time for whole watch enrollments: from the first POST without a token to TokenUpdate, with the
 * records that follow each. Read from the process's own accounting, so everything that workerd does counts.
 */
import { SimulatedWatch } from '../../test/simulator/index.ts';
import { WORKER } from '../local/stack.ts';
import { adminOf } from './fleet.ts';
import type { Running } from './poll.ts';
import { cpuMs } from './process.ts';

export interface HandshakeFigures {
  readonly count: number;
  /** Milliseconds for one; null where the platform does not tell. */
  readonly cpuMs: number | null;
  readonly requests: number;
  /** Durable Objects that did not exist before. */
  readonly newObjects: number;
}

const SETTLE_MS = 1500;
const WARM_UP = 5;

export async function benchHandshake(running: Running, count: number): Promise<HandshakeFigures> {
  const { stack, world, phones, pid } = running;
  const [phone] = phones;
  if (phone === undefined) throw new Error('no phone to pair with');
  await adminOf(stack).put(`watch-enrollment/devices/${phone.udid}`, { anchors: [] });
  const { sync } = await phone.connect();
  if (sync === null) await phone.sync();
  let requests = 0;
  const send = (request: Request) => {
    requests++;
    return world.send(request);
  };
  const watches = await Promise.all(
    Array.from({ length: WARM_UP + count }, () =>
      SimulatedWatch.create({ ...world, send }, { signing: 'modern' }),
    ),
  );
  const pair = async (watch: SimulatedWatch) => {
    const outcome = await watch.pairWith(phone);
    if (outcome.kind !== 'enrolled')
      throw new Error(`a watch was refused at ${outcome.at}: ${outcome.status}`);
  };
  for (const watch of watches.slice(0, WARM_UP)) await pair(watch);
  await settle();
  requests = 0;
  const objects = await countObjects(running);
  const before = pid === null ? 0 : cpuMs(pid);
  for (const watch of watches.slice(WARM_UP)) await pair(watch);
  await settle();
  const spent = pid === null ? null : (cpuMs(pid) - before) / count;
  // The phone's GetToken goes through its own world and is not in the count.
  const newObjects = ((await countObjects(running)) - objects) / count;
  return { count, cpuMs: spent, requests: requests / count + 1, newObjects };
}

async function countObjects({ stack }: Running): Promise<number> {
  const lists = ['DEVICE', 'PAIRING', 'ISSUANCE'].map((name) =>
    stack.miniflare.listDurableObjectIds(name, WORKER),
  );
  return (await Promise.all(lists)).reduce((sum, ids) => sum + ids.length, 0);
}

function settle(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
}
