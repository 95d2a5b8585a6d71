/**
 * Bad networks, awkward devices, impatient administrators and evicted objects, all at once and from a seed: an iPhone
 * and two watches enroll, answer everything that is ordered and not taken back, leave and come back. Nothing is lost,
 * doubled or told to the wrong one. A failing seed is printed with what was done.
 */
import { evictAllDurableObjects } from 'cloudflare:test';
import { afterAll, expect, it, vi } from 'vitest';
import {
  type ManagedDevice,
  ORDINARY_MISCHIEF,
  type Random,
  type SimulatedPhone,
  type SimulatedWatch,
  withMischief,
} from '../simulator/index.ts';
import {
  admin,
  adminReply,
  assignedPhone,
  commandState,
  newWorld,
  order,
  printOnFailure,
  unpairedWatch,
} from '../support/front-door.ts';
import { checkInvariants } from '../support/invariants.ts';

const SEEDS = Array.from({ length: 8 }, (_, i) => 4000 + i);
const TYPES = ['ProfileList', 'SecurityInfo', 'CertificateList', 'DeviceInformation', 'NoSuchCommand'];

afterAll(() => vi.restoreAllMocks());

async function pair(watch: SimulatedWatch, phone: SimulatedPhone): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    const outcome = await watch.pairWith(phone);
    if (outcome.kind === 'enrolled') return;
    if (attempt === 6) throw new Error(`not paired in ${attempt} attempts: ${JSON.stringify(outcome)}`);
  }
}

interface Story {
  readonly dice: Random;
  readonly deeds: string[];
  readonly live: Set<string>;
}

/** Orders a few commands, in between takes some back, lets some expire, and lets the device poll. */
async function work(device: ManagedDevice, { dice, deeds, live }: Story): Promise<void> {
  for (let i = 0; i < 6; i++) {
    const more = dice.chance(0.2) ? { priority: 'urgent' } : {};
    // What the catalog does not know, the device refuses by itself.
    const uuid = await order(device, dice.pick(TYPES), { ...more, allowUnknown: true });
    live.add(uuid);
    if (dice.chance(0.2)) {
      const reply = await adminReply('DELETE', `devices/${device.udid}/commands/${uuid}`);
      deeds.push(`cancel ${uuid}: ${reply.status}`);
      expect([200, 204, 409]).toContain(reply.status);
    }
    if (dice.chance(0.1)) {
      deeds.push('evict all');
      await evictAllDurableObjects();
    }
    if (dice.chance(0.4)) await device.connect();
  }
}

/** Polls until everything ordered has ended, as a device does that is woken again and again. */
async function finish(device: ManagedDevice, live: ReadonlySet<string>): Promise<void> {
  for (let poll = 0; poll < 40; poll++) {
    const states = await Promise.all([...live].map((uuid) => commandState(device, uuid)));
    if (states.every((state) => !['pending', 'delivered', 'not-now'].includes(state))) return;
    await device.connect();
  }
  throw new Error('commands are still waiting');
}

it.each(SEEDS)(
  'seed %i: all three enroll, everything ordered is answered once or taken back',
  async (seed) => {
    const world = withMischief(newWorld({ seed }), { ...ORDINARY_MISCHIEF, delayMsMax: 4 });
    const dice = world.random.fork();
    const deeds: string[] = [];
    printOnFailure(() => `seed ${seed}: ${[...world.mischiefLog.deeds, ...deeds].join(', ')}`);
    const phone = await assignedPhone({ world });
    const watches = await Promise.all([1, 2].map(() => unpairedWatch(phone)));
    const story = () => ({ dice: dice.fork(), deeds, live: new Set<string>() });
    await Promise.all(
      watches.map(async (watch) => {
        await pair(watch, phone);
        const first = story();
        await work(watch, first);
        if (first.dice.chance(0.3)) {
          deeds.push(`${watch.udid} is erased and pairs again`);
          if (first.dice.chance(0.5)) await watch.checkOut();
          await pair(watch, phone);
          first.live.clear();
        }
        if (first.dice.chance(0.3)) await watch.renew();
        await finish(watch, first.live);
      }),
    );
    const own = story();
    await work(phone, own);
    await finish(phone, own.live);
    for (const watch of watches)
      expect(await admin('GET', `devices/${watch.udid}`)).toMatchObject({ state: 'enrolled' });
    await checkInvariants();
  },
);
