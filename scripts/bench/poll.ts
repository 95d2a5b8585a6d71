/**
 * Idle polls of many devices against the floor, in alternate rounds over the same kind of sockets. Then a device with a
 * long history against one with none (history.ts). workerd keeps one core, the generator the other.
 */
import type { SimulatedPhone, World } from '../../test/simulator/index.ts';
import { buildWorker } from '../local/build.ts';
import { type Stack, startStack, WORKER } from '../local/stack.ts';
import { countingFront, readCounts } from './counting.ts';
import { benchWorld, enrollPhones, idlePoll } from './fleet.ts';
import { startFloor } from './floor.ts';
import { benchDelivery, type Compared, compare, giveHistory } from './history.ts';
import { LoadGenerator, pin, withItsWorkerd } from './process.ts';
import { median } from './report.ts';

const CONNECTIONS = 32;
const WARM_UP_MS = 1500;
/** A single object is compared with a single object: less noise in many short rounds than in few long ones. */
const HISTORY_ROUNDS = 3;

export interface PollOptions {
  readonly devices: number;
  readonly rounds: number;
  readonly roundMs: number;
  /** Commands that one device gets and answers. */
  readonly history: number;
  /** Of one command each, to either device. */
  readonly deliveries: number;
}

export interface PollRates {
  /** Requests a second. */
  readonly ours: number;
  readonly floor: number;
  /** Median over the rounds, each against the floor's round next to it. */
  readonly ratio: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

export interface PollFigures {
  readonly pinned: boolean;
  readonly fresh: PollRates;
  /** Polls a second. */
  readonly history: Compared;
  /** Milliseconds. */
  readonly delivery: Compared;
  readonly statements: number;
  readonly rowsWritten: number;
}

export interface Running {
  readonly stack: Stack;
  readonly world: World;
  readonly phones: readonly SimulatedPhone[];
  readonly pid: number | null;
}

export async function benchPoll(
  running: Running,
  options: PollOptions,
): Promise<Omit<PollFigures, 'statements' | 'rowsWritten'>> {
  const { stack, phones } = running;
  const floor = await withItsWorkerd(async () => startFloor((await buildWorker()).compatibilityDate));
  const generator = new LoadGenerator(1);
  const pinned = pin(running.pid, 0) && pin(floor.pid, 0);
  try {
    const requests = phones.map(idlePoll);
    const ports = { ours: Number(new URL(stack.url).port), floor: floor.value.port };
    const load = (port: number, durationMs: number) =>
      generator.run({ port, requests, connections: CONNECTIONS, durationMs, status: 200 });
    const measure = async (): Promise<PollRates> => {
      const rounds = [];
      await load(ports.ours, WARM_UP_MS);
      await load(ports.floor, WARM_UP_MS);
      for (let round = 0; round < options.rounds; round++) {
        rounds.push({
          floor: await load(ports.floor, options.roundMs),
          ours: await load(ports.ours, options.roundMs),
        });
      }
      return {
        ours: median(rounds.map((r) => r.ours.perSecond)),
        floor: median(rounds.map((r) => r.floor.perSecond)),
        ratio: median(rounds.map((r) => r.ours.perSecond / r.floor.perSecond)),
        p50Ms: median(rounds.map((r) => r.ours.p50Ms)),
        p99Ms: median(rounds.map((r) => r.ours.p99Ms)),
      };
    };
    const fresh = await measure();
    const compared = await benchHistory(running, options, (phone, durationMs) =>
      generator.run({
        port: ports.ours,
        requests: [idlePoll(phone, 0)],
        connections: CONNECTIONS,
        durationMs,
        status: 200,
      }),
    );
    return { pinned, fresh, ...compared };
  } finally {
    generator.stop();
    await floor.value.stop();
  }
}

async function benchHistory(
  { stack, phones }: Running,
  options: PollOptions,
  load: (phone: SimulatedPhone, durationMs: number) => Promise<{ readonly perSecond: number }>,
): Promise<{ history: Compared; delivery: Compared }> {
  const [old, fresh] = phones;
  if (old === undefined || fresh === undefined) throw new Error('two phones are compared');
  const pair = { old, fresh };
  const answered = await giveHistory(stack, old, options.history);
  for (const phone of [old, fresh]) await load(phone, WARM_UP_MS);
  const polls = await compare(
    pair,
    options.rounds * HISTORY_ROUNDS,
    async (phone) => (await load(phone, options.roundMs / HISTORY_ROUNDS)).perSecond,
  );
  const delivery = await benchDelivery(stack, pair, options.deliveries);
  return { history: { answered, ...polls }, delivery: { answered, ...delivery } };
}

export const PROOF_POLLS = 300;

/** Statements to the database during idle polls, and SQLite's own count of changes in each object, before and after. */
export async function proveIdle(): Promise<{ statements: number; rowsWritten: number }> {
  const stack = await startStack({ direct: true, inspect: true, front: countingFront() });
  try {
    const phones = await enrollPhones(stack, benchWorld(stack), 2);
    await new Promise((resolve) => setTimeout(resolve, 1500));
    const before = { ...(await readCounts(stack)), rows: await changes(stack, phones) };
    for (let poll = 0; poll < PROOF_POLLS; poll++) await phones[poll % phones.length]?.connect();
    const { statements } = await readCounts(stack);
    const rowsWritten = (await changes(stack, phones)) - before.rows;
    return { statements: statements - before.statements, rowsWritten };
  } finally {
    await stack.stop();
  }
}

async function changes(stack: Stack, phones: readonly SimulatedPhone[]): Promise<number> {
  let sum = 0;
  for (const { udid } of phones) {
    const storage = await stack.miniflare.unsafeGetDurableObjectStorage(WORKER, 'DeviceObject', {
      name: udid,
    });
    const [row] = await storage.exec<{ n: number }>('SELECT total_changes() AS n');
    sum += row?.n ?? 0;
  }
  return sum;
}
