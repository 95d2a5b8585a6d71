/** Where devices stand in a staged roll-out: always in the same place, and about as many in each. */
import { describe, expect, it } from 'vitest';
import { SHARDS, shardOf } from '../../../src/domain/declaration/shard.ts';
import type { Udid } from '../../../src/domain/ids.ts';

const hex = (n: number, digits: number) => n.toString(16).toUpperCase().padStart(digits, '0');

/** As Apple's UDIDs look: a chip, then a number of the device. */
const FLEETS: Record<string, (n: number) => string> = {
  'numbers in a row': (n) => `00008130-${hex(n, 16)}`,
  'numbers whose last digits are the same': (n) => `00008310-${hex(n, 12)}001E`,
  'several chips': (n) => `000081${hex(n % 7, 2)}-001A2B3C4D5E${hex(n, 4)}`,
  'random UUIDs': () => crypto.randomUUID().toUpperCase(),
};

describe('the shard of a device', () => {
  it('is the same for ever: fixed vectors, which no change of the function may move', () => {
    const vectors = ['00008130-000A1B2C3D4E5F60', '00008310-0001A2B3C4D5E6F7', 'DEVICE-0001', 'DEVICE-0002'];
    expect(vectors.map((udid) => shardOf(udid as Udid))).toEqual(VECTORS);
  });

  it.each(Object.entries(FLEETS))('is spread evenly over %s', (_, name) => {
    const counts = new Array<number>(SHARDS).fill(0);
    const devices = 20_000;
    for (let n = 0; n < devices; n++) {
      const shard = shardOf(name(n) as Udid);
      expect(Number.isInteger(shard) && shard >= 0 && shard < SHARDS).toBe(true);
      counts[shard] = (counts[shard] ?? 0) + 1;
    }
    // 200 expected, 14 the deviation of an honest throw: seven of those either way.
    expect(Math.min(...counts)).toBeGreaterThan(100);
    expect(Math.max(...counts)).toBeLessThan(300);
    const tenth = counts.slice(0, 10).reduce((sum, count) => sum + count, 0);
    expect(Math.abs(tenth / devices - 0.1)).toBeLessThan(0.02);
  });
});

/** Computed by another program. */
const VECTORS = [87, 60, 55, 29];
