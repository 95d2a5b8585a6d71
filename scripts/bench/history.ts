/**
 * A device with a long history beside one with none: 10,000 commands are ordered by the API, delivered to a simulated
 * device and answered, one request after the other. Then, in turn with the other device, idle polls, and a command
 * delivered and answered. Both devices' records are in the same tables.
 */
import { Buffer } from 'node:buffer';
import { randomUUID } from 'node:crypto';
import { type SimulatedPhone, writePlist } from '../../test/simulator/index.ts';
import { type Stack, WORKER } from '../local/stack.ts';
import { adminOf } from './fleet.ts';
import { median } from './report.ts';

/** Commands of one session; the simulator takes 2,000 for a loop. */
const SESSION = 1000;
/** Orders under way at once. */
const LANES = 8;
const WARM_UP = 20;

export interface Compared {
  /** As the records have it. */
  readonly answered: number;
  readonly with: number;
  readonly without: number;
  /** Median of the ratios of neighbors. */
  readonly ratio: number;
}

export interface Pair {
  readonly old: SimulatedPhone;
  readonly fresh: SimulatedPhone;
}

/** Measures both, whichever first in turn, as often as `rounds`. */
export async function compare(
  { old, fresh }: Pair,
  rounds: number,
  measure: (phone: SimulatedPhone) => Promise<number>,
): Promise<Omit<Compared, 'answered'>> {
  const measured = [];
  for (let round = 0; round < rounds; round++) {
    const first = round % 2 === 0 ? old : fresh;
    const one = await measure(first);
    const other = await measure(first === old ? fresh : old);
    measured.push(first === old ? { with: one, without: other } : { with: other, without: one });
  }
  return {
    with: median(measured.map((round) => round.with)),
    without: median(measured.map((round) => round.without)),
    ratio: median(measured.map((round) => round.with / round.without)),
  };
}

/** Returns how many answers the records have. */
export async function giveHistory(stack: Stack, phone: SimulatedPhone, count: number): Promise<number> {
  const admin = adminOf(stack);
  const path = `devices/${phone.udid}/commands`;
  for (let left = count; left > 0; left -= SESSION) {
    const size = Math.min(left, SESSION);
    let waiting = size;
    const lane = async () => {
      while (waiting-- > 0) await admin.post(path, { command: { RequestType: 'ProfileList' }, push: false });
    };
    await Promise.all(Array.from({ length: LANES }, lane));
    const { commands } = await phone.connect();
    if (commands.length !== size) throw new Error(`${commands.length} of ${size} commands were delivered`);
  }
  return settled(stack, phone.udid, count);
}

/** The object tells the records in batches; waits until it has told them everything. */
async function settled(stack: Stack, udid: string, count: number): Promise<number> {
  const database = (await stack.miniflare.getD1Database('DB', WORKER)) as unknown as D1Database;
  const sql = "SELECT count(*) AS n FROM command_history WHERE udid = ? AND state = 'acknowledged'";
  for (let attempt = 0; attempt < 120; attempt++) {
    const answered = (await database.prepare(sql).bind(udid).first<number>('n')) ?? 0;
    if (answered >= count) return answered;
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  throw new Error('the records did not arrive');
}

/** Milliseconds from the Idle of a device for which a command waits until its answer is taken, by the median. */
export async function benchDelivery(
  stack: Stack,
  pair: Pair,
  rounds: number,
): Promise<Omit<Compared, 'answered'>> {
  for (let i = 0; i < WARM_UP; i++) {
    await deliver(stack, pair.old);
    await deliver(stack, pair.fresh);
  }
  return compare(pair, rounds, (phone) => deliver(stack, phone));
}

/** Both messages are signed before, so that the simulator's own work is not in it. */
async function deliver(stack: Stack, phone: SimulatedPhone): Promise<number> {
  const commandUuid = randomUUID().toUpperCase();
  const order = { command: { RequestType: 'ProfileList' }, commandUuid, push: false };
  await adminOf(stack).post(`devices/${phone.udid}/commands`, order);
  const [idle, answer] = [
    signed(phone, { UDID: phone.udid, Status: 'Idle' }),
    signed(phone, { UDID: phone.udid, Status: 'Acknowledged', CommandUUID: commandUuid, ProfileList: [] }),
  ];
  const startedAt = performance.now();
  const given = await say(stack, idle);
  const rest = await say(stack, answer);
  const elapsedMs = performance.now() - startedAt;
  if (!given.includes(commandUuid) || rest !== '') throw new Error(`expected ${commandUuid} alone: ${given}`);
  return elapsedMs;
}

function signed(phone: SimulatedPhone, message: Parameters<typeof writePlist>[0]) {
  const body = Uint8Array.from(writePlist(message));
  return { body, signature: phone.mdmSignature(Buffer.from(body)) };
}

async function say(stack: Stack, message: ReturnType<typeof signed>): Promise<string> {
  const headers = {
    'content-type': 'application/x-apple-aspen-mdm; charset=UTF-8',
    'mdm-signature': message.signature,
  };
  const response = await fetch(`${stack.url}/mdm/connect`, { method: 'PUT', headers, body: message.body });
  if (response.status !== 200) throw new Error(`connect answered ${response.status}`);
  return response.text();
}
