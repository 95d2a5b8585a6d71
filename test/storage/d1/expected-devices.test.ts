import { env } from 'cloudflare:workers';
import { beforeEach, describe, expect, it } from 'vitest';
import type { SerialNumber } from '../../../src/domain/ids.ts';
import { epochMs } from '../../../src/std/time.ts';
import { Database } from '../../../src/storage/d1/database.ts';
import { D1ExpectedDevices } from '../../../src/storage/d1/expected-devices.ts';
import { OTHER_PHONE, PHONE, refusal, serial, udid, value } from '../../support/pairing.ts';

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
    expect(await devices.add([one], AT)).toEqual({ added: 1, renewed: 0 });
    expect(await devices.isExpected(one)).toBe(true);
    expect(await devices.isExpected(two)).toBe(false);
    expect(await devices.remove(one)).toBe(true);
    expect(await devices.remove(one)).toBe(false);
    expect(await devices.isExpected(one)).toBe(false);
  });

  it('renews what is listed, and counts what is new and what is renewed', async () => {
    const all = serials(220);
    expect(await devices.add(all.slice(0, 120), AT)).toEqual({ added: 120, renewed: 0 });
    expect(await devices.add([...all, ...all], epochMs(2000))).toEqual({ added: 100, renewed: 120 });
    const page = value(await devices.list({ cursor: null, limit: 1 }));
    expect(page.items).toEqual([{ serial: all[0], platform: 'iOS', addedAtMs: 2000, udid: null }]);
    expect(await devices.add([], AT)).toEqual({ added: 0, renewed: 0 });
  });

  it('admits one device a listing, which may ask again, until the serial number is listed anew', async () => {
    const [one, two] = serials(2) as [SerialNumber, SerialNumber];
    await devices.add([one], AT);
    expect(value(await devices.bind(one, PHONE))).toEqual({ listedAtMs: AT });
    expect(value(await devices.bind(one, PHONE))).toEqual({ listedAtMs: AT });
    expect(refusal(await devices.bind(one, OTHER_PHONE)).kind).toBe('serial-bound-to-another-device');
    expect(refusal(await devices.bind(two, PHONE)).kind).toBe('serial-not-expected');
    const bound = value(await devices.list({ cursor: null, limit: 1 }));
    expect(bound.items).toMatchObject([{ serial: one, udid: PHONE, addedAtMs: AT }]);
    expect(await devices.add([one], epochMs(2000))).toEqual({ added: 0, renewed: 1 });
    expect(value(await devices.bind(one, OTHER_PHONE))).toEqual({ listedAtMs: 2000 });
    expect(refusal(await devices.bind(one, PHONE)).kind).toBe('serial-bound-to-another-device');
  });

  it('has one winner when many devices use a listing at once', async () => {
    const [one] = serials(1) as [SerialNumber];
    await devices.add([one], AT);
    const asking = Array.from({ length: 20 }, (_, i) => devices.bind(one, udid(`PHONE-AT-ONCE-${i}`)));
    expect((await Promise.all(asking)).filter((answer) => answer.ok)).toHaveLength(1);
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
