import { env } from 'cloudflare:workers';
import { beforeEach, describe, expect, it } from 'vitest';
import type { SerialNumber } from '../../../src/domain/ids.ts';
import { epochMs } from '../../../src/std/time.ts';
import { Database } from '../../../src/storage/d1/database.ts';
import { D1ExpectedDevices } from '../../../src/storage/d1/expected-devices.ts';
import { refusal, serial, value } from '../../support/pairing.ts';

const devices = new D1ExpectedDevices(new Database(env.DB));
const AT = epochMs(1000);

function serials(count: number): SerialNumber[] {
  return Array.from({ length: count }, (_, i) => serial(`SERIAL${String(i).padStart(4, '0')}`));
}

beforeEach(async () => {
  await env.DB.exec('DELETE FROM expected_devices');
});

describe('the list of expected serial numbers', () => {
  it('knows what was added, and forgets what was removed', async () => {
    const [one, two] = serials(2) as [SerialNumber, SerialNumber];
    expect(await devices.add([one], AT)).toBe(1);
    expect(await devices.isExpected(one)).toBe(true);
    expect(await devices.isExpected(two)).toBe(false);
    expect(await devices.remove(one)).toBe(true);
    expect(await devices.remove(one)).toBe(false);
    expect(await devices.isExpected(one)).toBe(false);
  });

  it('leaves what is listed as it is and counts only what is new', async () => {
    const all = serials(120);
    expect(await devices.add(all.slice(0, 20), AT)).toBe(20);
    expect(await devices.add([...all, ...all], epochMs(2000))).toBe(100);
    const page = value(await devices.list({ cursor: null, limit: 1 }));
    expect(page.items).toEqual([{ serial: all[0], platform: 'iOS', addedAtMs: AT }]);
    expect(await devices.add([], AT)).toBe(0);
  });

  it('is read page by page in order', async () => {
    await devices.add(serials(5), AT);
    const first = value(await devices.list({ cursor: null, limit: 3 }));
    const second = value(await devices.list({ cursor: first.cursor, limit: 3 }));
    expect([...first.items, ...second.items].map((device) => device.serial)).toEqual(serials(5));
    expect(second.cursor).toBeNull();
    expect(refusal(await devices.list({ cursor: 'no serial!', limit: 3 })).kind).toBe('malformed-cursor');
  });
});
