/**
 * Whole watch enrollments, from the first POST without a token to TokenUpdate, with the records that follow each:
 * the CPU time of the process, which counts everything that workerd does; what they ask of storage; and their
 * requests as they went, for `compute.ts`.
 */
import { Buffer } from 'node:buffer';
import { SimulatedWatch, type World } from '../../test/simulator/index.ts';
import { type Stack, startStack, WORKER } from '../local/stack.ts';
import { countingFront, readCounts, type StorageUse } from './counting.ts';
import { adminOf, benchWorld, enrollPhones } from './fleet.ts';
import type { RecordedRequest, Recording } from './handshake-worker.ts';
import type { Running } from './poll.ts';
import { cpuMs } from './process.ts';

export interface HandshakeFigures {
  readonly count: number;
  /** Milliseconds for one; null where the platform does not tell. */
  readonly cpuMs: number | null;
  /** Durable Objects that did not exist before. */
  readonly newObjects: number;
  /** Of one handshake, with the records that follow it. */
  readonly storage: Omit<StorageUse, 'objects'>;
}

export interface RecordedHandshakes {
  /** What each request was for. */
  readonly names: readonly string[];
  readonly recordings: readonly Recording[];
}

const SETTLE_MS = 1500;
const WARM_UP = 5;

export async function benchHandshake(
  running: Running,
  count: number,
): Promise<{ handshake: HandshakeFigures; recorded: RecordedHandshakes }> {
  const { stack, pid } = running;
  const { pair, recordings, recorder } = await startPairing(stack, running.world, WARM_UP + count);
  await pair(WARM_UP);
  await settle();
  const objects = await countObjects(stack);
  const before = pid === null ? 0 : cpuMs(pid);
  await pair(count);
  await settle();
  const spent = pid === null ? null : (cpuMs(pid) - before) / count;
  const newObjects = ((await countObjects(stack)) - objects) / count;
  const handshake = { count, cpuMs: spent, newObjects, storage: await countStatements() };
  return { handshake, recorded: { names: recorder.names, recordings } };
}

/** One phone and its watches, which pair one after the other. */
async function startPairing(stack: Stack, world: World, watchCount: number) {
  const recorder = new Recorder();
  const recording: World = { ...world, ...recorder.hooks(world) };
  const [phone] = await enrollPhones(stack, recording, 1);
  if (phone === undefined) throw new Error('no phone to pair with');
  await adminOf(stack).put(`watch-enrollment/devices/${phone.udid}`, { anchors: [] });
  const { sync } = await phone.connect();
  if (sync === null) await phone.sync();
  const watches = await Promise.all(
    Array.from({ length: watchCount }, () => SimulatedWatch.create(recording, { signing: 'modern' })),
  );
  const recordings: Recording[] = [];
  const pair = async (count: number) => {
    for (const watch of watches.splice(0, count)) {
      recorder.begin();
      const outcome = await watch.pairWith(phone);
      if (outcome.kind !== 'enrolled')
        throw new Error(`a watch was refused at ${outcome.at}: ${outcome.status}`);
      const { udid, serial } = watch;
      recordings.push({ udid, serial, phoneUdid: phone.udid, requests: recorder.requests });
    }
  };
  return { pair, recordings, recorder };
}

class Recorder {
  requests: RecordedRequest[] = [];
  names: string[] = [];

  begin(): void {
    this.requests = [];
    this.names = [];
  }

  hooks(world: World): Pick<World, 'send' | 'trace'> {
    return {
      send: async (request) => {
        const body = request.body === null ? null : Buffer.from(await request.clone().arrayBuffer());
        const response = await world.send(request);
        this.requests.push({
          method: request.method,
          url: request.url,
          headers: Object.fromEntries(request.headers),
          body: body?.toString('base64') ?? null,
          status: response.status,
        });
        return response;
      },
      trace: ({ step }) => this.names.push(step),
    };
  }
}

const COUNTED = 4;

async function countStatements(): Promise<Omit<StorageUse, 'objects'>> {
  const stack = await startStack({ direct: true, front: countingFront() });
  try {
    const { pair } = await startPairing(stack, benchWorld(stack), COUNTED + 1);
    await pair(1);
    await settle();
    const before = await readCounts(stack);
    await pair(COUNTED);
    await settle();
    const after = await readCounts(stack);
    const each = (name: 'statements' | 'calls') => (after[name] - before[name]) / COUNTED;
    return { statements: each('statements'), calls: each('calls') };
  } finally {
    await stack.stop();
  }
}

async function countObjects(stack: Stack): Promise<number> {
  const lists = ['DEVICE', 'PAIRING', 'ISSUANCE'].map((name) =>
    stack.miniflare.listDurableObjectIds(name, WORKER),
  );
  return (await Promise.all(lists)).reduce((sum, ids) => sum + ids.length, 0);
}

function settle(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
}
