/**
 * Idle polls of many devices against the floor, in alternate rounds over the same kind of sockets; then the same
 * with 10,000 answered commands of each device in the records. workerd keeps one core, the generator the other.
 */
import type { SimulatedPhone, World } from '../../test/simulator/index.ts';
import { buildWorker } from '../local/build.ts';
import { type Stack, startStack, WORKER } from '../local/stack.ts';
import { benchWorld, enrollPhones, idlePoll } from './fleet.ts';
import { startFloor } from './floor.ts';
import { LoadGenerator, pin, withItsWorkerd } from './process.ts';
import { median } from './report.ts';

const CONNECTIONS = 32;
const WARM_UP_MS = 1500;
const HISTORY = 10_000;

export interface PollOptions {
  readonly devices: number;
  readonly rounds: number;
  readonly roundMs: number;
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
  readonly withHistory: PollRates;
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
    await addHistory(stack, phones);
    return { pinned, fresh, withHistory: await measure() };
  } finally {
    generator.stop();
    await floor.value.stop();
  }
}

async function addHistory(stack: Stack, phones: readonly SimulatedPhone[]): Promise<void> {
  const database = (await stack.miniflare.getD1Database('DB', WORKER)) as unknown as D1Database;
  const insert = `
    WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${HISTORY})
    INSERT INTO command_history
      (command_uuid, udid, request_type, body, state, status, created_at_ms, answered_at_ms)
    SELECT ?1 || '-' || i, ?1, 'DeviceInformation', '{}', 'acknowledged',
      'Acknowledged', 1700000000000 + i, 1700000000000 + i FROM n`;
  for (const { udid } of phones) await database.prepare(insert).bind(udid).run();
}

const PROOF_POLLS = 300;

/**
 * Polls while the database has no tables left: a poll that asked it anything would fail. And SQLite's own count of
 * changes in each object, before and after.
 */
export async function proveIdle(): Promise<{ statements: number; rowsWritten: number }> {
  const stack = await startStack({ direct: true, inspect: true });
  try {
    const phones = await enrollPhones(stack, benchWorld(stack), 2);
    await new Promise((resolve) => setTimeout(resolve, 1500));
    const database = (await stack.miniflare.getD1Database('DB', WORKER)) as unknown as D1Database;
    const { results } = await database
      .prepare(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT GLOB '_cf*' AND name NOT GLOB 'sqlite*'",
      )
      .all<{ name: string }>();
    const drops = results.map(({ name }) => database.prepare(`DROP TABLE ${name}`));
    await database.batch([database.prepare('PRAGMA defer_foreign_keys = on'), ...drops]);
    const before = await changes(stack, phones);
    let failed = 0;
    for (let poll = 0; poll < PROOF_POLLS; poll++) {
      const phone = phones[poll % phones.length];
      const done = await phone?.connect().then(
        () => true,
        () => false,
      );
      if (done !== true) failed++;
    }
    return { statements: failed, rowsWritten: (await changes(stack, phones)) - before };
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
