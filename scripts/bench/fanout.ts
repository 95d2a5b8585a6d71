/**
 * One changed declaration of a set that a group of up to 10,000 enrolled devices has at 90 percent: from the
 * administrator's request until no device waits and the last one was woken. Those below the percentage must be woken,
 * once each, and nobody else; with the largest group, every object is asked afterwards whether it holds the new
 * declaration. The floor makes as many empty calls to as many objects, through a Worker that does nothing else.
 *
 * Databases are in a file system in memory where there is one: what a shared disk takes to flush is not measured.
 * Objects are left alone first until the runtime has put them away, as they are when a change comes in life.
 */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { shardOf } from '../../src/domain/declaration/shard.ts';
import type { Udid } from '../../src/domain/ids.ts';
import type { AdminClient } from '../local/admin-client.ts';
import { buildWorker } from '../local/build.ts';
import { type Stack, startStack, WORKER } from '../local/stack.ts';
import { readCounts } from './counting.ts';
import {
  copyTo,
  countHolders,
  countWaiting,
  FLEET_FRONT,
  GROUP,
  type MadeUpDevice,
  madeUpDevice,
  makeUpFirst,
} from './fanout-fleet.ts';
import { adminOf } from './fleet.ts';
import { type Floor, startFloor } from './floor.ts';
import { benchOrder, type OrderSize } from './orders.ts';
import { cpuMs, residentMiB, withItsWorkerd } from './process.ts';

export interface FanoutFigures {
  readonly percent: number;
  readonly sizes: readonly FanoutSize[];
  /** One command for as many devices. */
  readonly orders: readonly OrderSize[];
}

export interface FanoutSize {
  readonly devices: number;
  /** From the request until nothing waited and the last device was woken. */
  readonly elapsedMs: number;
  /** Until the administrator had the answer. */
  readonly answeredMs: number;
  /** As many empty calls to as many objects, from what they cost 1,250. */
  readonly floorMs: number;
  /** Devices that have the new declaration, each of which was woken once. */
  readonly changed: number;
  /** Of workerd's CPU, from the request until every device was woken; null where that cannot be known. */
  readonly cpuMs: number | null;
  readonly floorCpuMs: number | null;
  readonly statements: number;
  readonly objectCalls: number;
  /** Of workerd; null where that cannot be known. */
  readonly memory: { readonly beforeMiB: number; readonly peakMiB: number } | null;
}

const PERCENT = 90;
const CONFIGURATION = 'bench.passcode';
/** workerd puts an object away after ten seconds without a call. */
const PUT_AWAY_MS = 11_000;
const LOOK_EVERY_MS = 50;
/** Alarms that wake follow the change at once; after so long without one there is none left. */
const QUIET_MS = 1000;
const GIVEN_UP_MS = 300_000;
/** As many as a message of the queue takes. */
const FLOOR_PER_REQUEST = 300;
/** More would only repeat what these cost. */
const FLOOR_OBJECTS_MAX = 1250;

export async function benchFanout(
  sizes: readonly number[],
  say: (text: string) => void,
): Promise<FanoutFigures> {
  const inMemory = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();
  const stateDir = mkdtempSync(join(inMemory, 'escapement-bench-'));
  const wakes = new Wakes();
  const front = {
    direct: true,
    front: FLEET_FRONT,
    stateDir: join(stateDir, 'server'),
    onLog: (line: string) => wakes.read(line),
  };
  const { value: stack, pid } = await withItsWorkerd(() => startStack(front));
  const { value: floor, pid: floorPid } = await withItsWorkerd(async () =>
    startFloor((await buildWorker()).compatibilityDate, join(stateDir, 'floor')),
  );
  try {
    await assign(adminOf(stack));
    const first = await makeUpFirst(stack);
    await untilNothingWaits(stack);
    const fleet = [...first];
    const objects = join(stateDir, 'server/state/do', `${WORKER}-DeviceObject`);
    const measured: FanoutSize[] = [];
    for (const size of sizes) {
      say(`a set of ${size} devices changes …`);
      await sleep(PUT_AWAY_MS);
      const more = Array.from({ length: size - fleet.length }, (_, at) => madeUpDevice(fleet.length + at));
      // The pattern of a later size has had the earlier changes, as every device before it.
      await copyTo(stack, objects, { first, more, percent: PERCENT });
      fleet.push(...more);
      const figures = await measure({ stack, fleet, wakes, pid, asksAll: size === sizes.at(-1) });
      measured.push({ ...figures, ...(await measureFloor(floor, floorPid, size)) });
    }
    const orders: OrderSize[] = [];
    for (const size of sizes) {
      say(`a command for ${size} devices …`);
      await sleep(PUT_AWAY_MS);
      orders.push(await benchOrder(stack, fleet.slice(0, size), pid));
    }
    return { percent: PERCENT, sizes: measured, orders };
  } finally {
    await floor.stop();
    await stack.stop();
    rmSync(stateDir, { recursive: true, force: true });
  }
}

async function assign(admin: AdminClient): Promise<void> {
  const fresh = { 'if-none-match': '*' };
  await admin.put(`declarations/${CONFIGURATION}`, passcode(0), fresh);
  const activation = {
    type: 'com.apple.activation.simple',
    payload: { StandardConfigurations: [CONFIGURATION] },
  };
  await admin.put('declarations/bench.activation', activation, fresh);
  await admin.put('sets/bench', { declarations: ['bench.activation', CONFIGURATION] });
  await admin.put(`groups/${GROUP}`, {});
  await admin.put(`sets/bench/groups/${GROUP}`, { percent: PERCENT });
}

const passcode = (change: number) => ({
  type: 'com.apple.configuration.passcode.settings',
  payload: { RequirePasscode: true, MaximumFailedAttempts: 2 + (change % 9) },
});

interface Measured {
  readonly stack: Stack;
  readonly fleet: readonly MadeUpDevice[];
  readonly wakes: Wakes;
  readonly pid: number | null;
  /** Whether every object says afterwards what it holds. */
  readonly asksAll: boolean;
}

async function measure({
  stack,
  fleet,
  wakes,
  pid,
  asksAll,
}: Measured): Promise<Omit<FanoutSize, 'floorMs' | 'floorCpuMs'>> {
  const admin = adminOf(stack);
  const current = await admin.get(`declarations/${CONFIGURATION}`);
  const before = await readCounts(stack);
  wakes.forget();
  const memory = pid === null ? null : new MemoryWatch(pid);
  const cpuBefore = pid === null ? 0 : cpuMs(pid);
  const startedAt = performance.now();
  const ifMatch = { 'if-match': `"${current['serverToken']}"` };
  const put = await admin.put(`declarations/${CONFIGURATION}`, passcode(fleet.length), ifMatch);
  const answeredMs = performance.now() - startedAt;
  await untilNothingWaits(stack);
  const settledAt = performance.now();
  await wakes.untilQuiet();
  const peak = memory?.stop() ?? null;
  const cpu = pid === null ? null : cpuMs(pid) - cpuBefore;
  const after = await readCounts(stack);
  const changed = fleet.filter(({ udid }) => shardOf(udid as Udid) < PERCENT).length;
  const held = asksAll ? await countHolders(stack, fleet, String(put['serverToken'])) : changed;
  if (held !== changed || wakes.devices !== changed || wakes.count !== changed)
    throw new Error(`of ${changed}, ${held} changed, ${wakes.devices} were woken, ${wakes.count} times`);
  return {
    devices: fleet.length,
    elapsedMs: Math.max(settledAt, wakes.lastAt) - startedAt,
    answeredMs,
    changed,
    cpuMs: cpu,
    statements: after.statements - before.statements,
    objectCalls: after.objects - before.objects,
    memory: peak,
  };
}

async function untilNothingWaits(stack: Stack): Promise<void> {
  const givenUpAt = performance.now() + GIVEN_UP_MS;
  for (let left = await countWaiting(stack); left > 0; left = await countWaiting(stack)) {
    if (performance.now() > givenUpAt) throw new Error(`${left} devices still wait`);
    await sleep(LOOK_EVERY_MS);
  }
}

async function measureFloor(
  floor: Floor,
  pid: number | null,
  devices: number,
): Promise<Pick<FanoutSize, 'floorMs' | 'floorCpuMs'>> {
  const cpuBefore = pid === null ? 0 : cpuMs(pid);
  const startedAt = performance.now();
  const asked = Math.min(devices, FLOOR_OBJECTS_MAX);
  for (let left = asked; left > 0; left -= FLOOR_PER_REQUEST) {
    const objects = Math.min(left, FLOOR_PER_REQUEST);
    const response = await fetch(`http://127.0.0.1:${floor.port}/calls?objects=${objects}`);
    if (!response.ok) throw new Error(`floor: ${response.status} ${await response.text()}`);
    await response.arrayBuffer();
  }
  const each = devices / asked;
  const floorMs = (performance.now() - startedAt) * each;
  return { floorMs, floorCpuMs: pid === null ? null : (cpuMs(pid) - cpuBefore) * each };
}

/** Who was woken, from the Worker's log. */
class Wakes {
  #udids = new Set<string>();
  count = 0;
  lastAt = 0;

  get devices(): number {
    return this.#udids.size;
  }

  read(line: string): void {
    if (!line.includes('"event":"wake"')) return;
    this.#udids.add(String(JSON.parse(line).udid));
    this.count++;
    this.lastAt = performance.now();
  }

  forget(): void {
    this.#udids = new Set();
    this.count = 0;
  }

  async untilQuiet(): Promise<void> {
    for (let seen = -1; seen !== this.count; ) {
      seen = this.count;
      await sleep(QUIET_MS);
    }
  }
}

class MemoryWatch {
  readonly #pid: number;
  readonly #beforeMiB: number;
  readonly #timer: NodeJS.Timeout;
  #peakMiB: number;

  constructor(pid: number) {
    this.#pid = pid;
    this.#beforeMiB = residentMiB(pid) ?? Number.NaN;
    this.#peakMiB = this.#beforeMiB;
    this.#timer = setInterval(() => this.#look(), LOOK_EVERY_MS);
  }

  stop(): { readonly beforeMiB: number; readonly peakMiB: number } {
    this.#look();
    clearInterval(this.#timer);
    return { beforeMiB: this.#beforeMiB, peakMiB: this.#peakMiB };
  }

  #look(): void {
    this.#peakMiB = Math.max(this.#peakMiB, residentMiB(this.#pid) ?? this.#peakMiB);
  }
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
