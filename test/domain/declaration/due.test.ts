/**
 * Devices brought up to date after a change: none is forgotten, whatever fails between; none waits for one that is
 * deaf; and a message of the queue costs the same in a fleet of any size. The marks are in D1, the devices are here.
 */
import { env } from 'cloudflare:workers';
import { beforeEach, describe, expect, it } from 'vitest';
import { type Change, DueManifests } from '../../../src/domain/declaration/due.ts';
import type { Udid } from '../../../src/domain/ids.ts';
import { addMs, epochMs, MINUTE_MS } from '../../../src/std/time.ts';
import { Database } from '../../../src/storage/d1/database.ts';
import { D1Due, markDue } from '../../../src/storage/d1/due.ts';
import { countingSql } from '../../support/device.ts';

const NOW = epochMs(1_000_000);
const database = new Database(env.DB);
const store = new D1Due(database);

beforeEach(async () => {
  await env.DB.exec('DELETE FROM manifest_due');
});

/** Marks that many devices, from `first` on. */
async function mark(id: string, devices: number, first = 0): Promise<Change> {
  const change = { id, atMs: NOW };
  const udids = Array.from({ length: devices }, (_, i) => `DEVICE-${first + i}`);
  const listed = JSON.stringify(udids);
  await database.batch([markDue(change, 'SELECT value AS udid FROM json_each(?)', listed)]);
  return change;
}

/** Devices that hear everything, but for those that `hear` returns. */
class Fleet {
  readonly told: Udid[] = [];
  asked = 0;
  most = 0;
  hear: (udids: readonly Udid[]) => Promise<readonly Udid[]> = async () => [];
  readonly due = new DueManifests({
    store,
    queue: {
      ask: async () => {
        this.asked += 1;
      },
    },
    manifests: {
      hold: async (udids) => {
        this.most = Math.max(this.most, udids.length);
        const missed = await this.hear(udids);
        this.told.push(...udids.filter((udid) => !missed.includes(udid)));
        return missed;
      },
    },
  });

  /** How many were told, when each was told once. */
  get once(): number {
    expect(new Set(this.told).size).toBe(this.told.length);
    return this.told.length;
  }
}

describe('a change', () => {
  it('of few devices is told to all of them before the answer, and asks for nothing', async () => {
    const fleet = new Fleet();
    expect(await fleet.due.settle(await mark('a', 60))).toBe(0);
    expect([fleet.once, fleet.asked, await store.count(null)]).toEqual([60, 0, 0]);
  });

  it.each([
    [100, 0, 0],
    [101, 1, 1],
    [400, 300, 1],
    [401, 301, 2],
    [5000, 4900, 4],
  ])('of %i devices leaves %i to the background, which is asked %i times', async (devices, left, asked) => {
    const fleet = new Fleet();
    expect(await fleet.due.settle(await mark('a', devices))).toBe(left);
    expect([fleet.once, fleet.asked, fleet.most]).toEqual([100, asked, 50]);
    expect(await fleet.due.waiting()).toEqual({ devices: left, sinceMs: left === 0 ? null : NOW });
  });

  it('brings no other change to its end, and counts no other', async () => {
    const fleet = new Fleet();
    await mark('before', 10);
    expect(await fleet.due.settle(await mark('a', 5, 100))).toBe(0);
    expect([fleet.once, await store.count('before')]).toEqual([5, 10]);
  });

  it('leaves marked who does not answer, alone, and tries it again after a minute', async () => {
    const fleet = new Fleet();
    fleet.hear = async (udids) => udids.filter((udid) => udid === 'DEVICE-3');
    expect(await fleet.due.settle(await mark('a', 80))).toBe(1);
    expect(fleet.once).toBe(79);
    fleet.hear = async () => [];
    await fleet.due.bringSome(addMs(NOW, MINUTE_MS - 1));
    expect(fleet.once).toBe(79);
    await fleet.due.bringSome(addMs(NOW, MINUTE_MS));
    expect([fleet.once, fleet.told.at(-1), await store.count(null)]).toEqual([80, 'DEVICE-3', 0]);
  });

  it('made while a device is being told is told to it too', async () => {
    const fleet = new Fleet();
    const first = await mark('a', 1);
    fleet.hear = async () => {
      fleet.hear = async () => [];
      await mark('b', 1);
      return [];
    };
    await fleet.due.settle(first);
    expect([await store.count('a'), await store.count('b')]).toEqual([0, 1]);
    expect(await fleet.due.settle({ id: 'b', atMs: NOW })).toBe(0);
    expect([fleet.told, await store.count(null)]).toEqual([['DEVICE-0', 'DEVICE-0'], 0]);
  });

  it('whose telling broke off is made good by the sweeper', async () => {
    const fleet = new Fleet();
    fleet.hear = async () => {
      throw new Error('the assignments could not be read');
    };
    await expect(fleet.due.settle(await mark('a', 70))).rejects.toThrow('could not be read');
    expect([await store.count('a'), fleet.asked]).toEqual([70, 0]);
    expect([await fleet.due.sweep(), fleet.asked]).toEqual([70, 1]);
    fleet.hear = async () => [];
    await fleet.due.bringSome(addMs(NOW, MINUTE_MS));
    expect([fleet.once, await store.count(null)]).toEqual([70, 0]);
  });

  it('of which nobody was told, because the Worker ended first, is made good by the sweeper', async () => {
    const fleet = new Fleet();
    await mark('a', 10);
    expect([await fleet.due.sweep(), fleet.asked]).toEqual([10, 1]);
    await fleet.due.bringSome(NOW);
    expect([fleet.once, await fleet.due.sweep(), fleet.asked]).toEqual([10, 0, 1]);
  });
});

describe('a message of the queue', () => {
  it('brings 300 devices up to date and asks for its successor, until nothing is left', async () => {
    const fleet = new Fleet();
    await mark('a', 650);
    const after: number[][] = [];
    for (let n = 0; n < 3; n++) {
      await fleet.due.bringSome(NOW);
      after.push([fleet.once, fleet.asked]);
    }
    expect(after).toEqual([
      [300, 1],
      [600, 2],
      [650, 2],
    ]);
  });

  it('that arrives twice does nothing the second time', async () => {
    const fleet = new Fleet();
    await mark('a', 200);
    await fleet.due.bringSome(NOW);
    await fleet.due.bringSome(NOW);
    expect([fleet.once, fleet.asked]).toEqual([200, 0]);
  });

  it('and others at the same moment share the devices, each told once', async () => {
    const fleet = new Fleet();
    const change = await mark('a', 700);
    await Promise.all([
      fleet.due.settle(change),
      ...Array.from({ length: 4 }, () => fleet.due.bringSome(NOW)),
    ]);
    expect([fleet.once, await store.count(null)]).toEqual([700, 0]);
  });

  it('goes past devices that do not answer, and ends though none of them does', async () => {
    const fleet = new Fleet();
    fleet.hear = async (udids) => udids.filter((udid) => Number(udid.slice(7)) < 320);
    await mark('a', 700);
    let messages = 0;
    for (fleet.asked = 1; fleet.asked > messages && messages < 20; messages++) await fleet.due.bringSome(NOW);
    expect([fleet.once, await store.count(null), messages]).toEqual([380, 320, 3]);
  });

  it('makes as many statements in a large fleet as in a small one, and holds 50 devices at once', async () => {
    const costs = [];
    for (const devices of [400, 4000]) {
      await env.DB.exec('DELETE FROM manifest_due');
      const fleet = new Fleet();
      await mark('a', devices);
      const { d1 } = await countingSql(() => fleet.due.bringSome(NOW));
      costs.push({ d1, told: fleet.once, most: fleet.most });
    }
    expect(costs).toEqual(Array(2).fill({ d1: 12, told: 300, most: 50 }));
  });
});
