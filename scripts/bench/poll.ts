/**
 * Idle polls of many devices against the floor, in alternate rounds over the same kind of sockets. Then polls of one
 * device that was given 10,000 commands and answered every one, against another that had none. workerd keeps one core,
 * the generator the other.
 */
import { type SimulatedPhone, type World, writePlist } from '../../test/simulator/index.ts';
import { buildWorker } from '../local/build.ts';
import { type Stack, startStack, WORKER } from '../local/stack.ts';
import { countingFront, readCounts } from './counting.ts';
import { adminOf, benchWorld, enrollPhones, idlePoll } from './fleet.ts';
import { startFloor } from './floor.ts';
import { LoadGenerator, pin, withItsWorkerd } from './process.ts';
import { median } from './report.ts';

const CONNECTIONS = 32;
const WARM_UP_MS = 1500;
/** Commands of one session; the simulator takes 2,000 for a loop. */
const SESSION = 1000;
/** A single object is compared with a single object: less noise in many short rounds than in few long ones. */
const HISTORY_ROUNDS = 3;

export interface PollOptions {
  readonly devices: number;
  readonly rounds: number;
  readonly roundMs: number;
  /** Commands that one device gets and answers. */
  readonly history: number;
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
  readonly history: HistoryFigures;
  readonly statements: number;
  readonly rowsWritten: number;
}

export interface HistoryFigures {
  /** As the records have it. */
  readonly answered: number;
  /** Polls a second of the device with this history, of the one without, and the median of their ratios. */
  readonly with: number;
  readonly without: number;
  readonly ratio: number;
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
    const history = await benchHistory(running, options, (phone, durationMs) =>
      generator.run({
        port: ports.ours,
        requests: [idlePoll(phone, 0)],
        connections: CONNECTIONS,
        durationMs,
        status: 200,
      }),
    );
    return { pinned, fresh, history };
  } finally {
    generator.stop();
    await floor.value.stop();
  }
}

async function benchHistory(
  { stack, phones }: Running,
  options: PollOptions,
  load: (phone: SimulatedPhone, durationMs: number) => Promise<{ readonly perSecond: number }>,
): Promise<HistoryFigures> {
  const [old, fresh] = phones;
  if (old === undefined || fresh === undefined) throw new Error('two phones are compared');
  await giveHistory(stack, old, options.history);
  const answered = await settledHistory(stack, old.udid, options.history);
  for (const phone of [old, fresh]) await load(phone, WARM_UP_MS);
  const rounds = [];
  for (let round = 0; round < options.rounds * HISTORY_ROUNDS; round++) {
    const first = round % 2 === 0 ? old : fresh;
    const one = await load(first, options.roundMs / HISTORY_ROUNDS);
    const other = await load(first === old ? fresh : old, options.roundMs / HISTORY_ROUNDS);
    rounds.push(first === old ? { with: one, without: other } : { with: other, without: one });
  }
  return {
    answered,
    with: median(rounds.map((r) => r.with.perSecond)),
    without: median(rounds.map((r) => r.without.perSecond)),
    ratio: median(rounds.map((r) => r.with.perSecond / r.without.perSecond)),
  };
}

/**
 * Commands are put into the database as the queue would, and the last of each session through the API, which tells
 * the object. Every one is delivered to the device and answered, one request after the other.
 */
async function giveHistory(stack: Stack, phone: SimulatedPhone, count: number): Promise<void> {
  const database = (await stack.miniflare.getD1Database('DB', WORKER)) as unknown as D1Database;
  const insert = `
    WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?2),
      e (id) AS (SELECT digest FROM certificates WHERE udid = ?1)
    INSERT INTO commands
      (command_uuid, udid, priority, request_type, body, state, created_at_ms, noted_at_ms, enrollment_id)
    SELECT u, ?1, 1, 'ProfileList', replace(?4, '@', u), 'pending', ?3, ?3, id
    FROM (SELECT printf('%08X-0000-4000-8000-%012X', ?3 % 4294967296, i) AS u FROM n), e`;
  const body = writePlist({ CommandUUID: '@', Command: { RequestType: 'ProfileList' } }).toString();
  for (let left = count; left > 0; left -= SESSION) {
    const size = Math.min(left, SESSION);
    if (size > 1)
      await database
        .prepare(insert)
        .bind(phone.udid, size - 1, Date.now(), body)
        .run();
    await adminOf(stack).post(`devices/${phone.udid}/commands`, { command: { RequestType: 'ProfileList' } });
    const { commands } = await phone.connect();
    if (commands.length !== size) throw new Error(`${commands.length} of ${size} commands were delivered`);
  }
}

/** The object tells the records in batches; waits until it has told them everything. */
async function settledHistory(stack: Stack, udid: string, count: number): Promise<number> {
  const database = (await stack.miniflare.getD1Database('DB', WORKER)) as unknown as D1Database;
  const sql = "SELECT count(*) AS n FROM command_history WHERE udid = ? AND state = 'acknowledged'";
  for (let attempt = 0; attempt < 120; attempt++) {
    const answered = (await database.prepare(sql).bind(udid).first<number>('n')) ?? 0;
    if (answered >= count) return answered;
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  throw new Error('the records did not arrive');
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
