/** Declarations, assets and assignments in D1; their renderings in KV. */
import { env } from 'cloudflare:workers';
import { describe, expect, it, vi } from 'vitest';
import type { Asset, Declaration } from '../../../src/domain/declaration/ports.ts';
import type { Udid } from '../../../src/domain/ids.ts';
import { Unavailable } from '../../../src/std/outcome.ts';
import { epochMs } from '../../../src/std/time.ts';
import { Database } from '../../../src/storage/d1/database.ts';
import { D1Declarations } from '../../../src/storage/d1/declarations.ts';
import { udid } from '../../support/pairing.ts';

const store = new D1Declarations(new Database(env.DB));
const [PHONE, OTHER] = [udid('PHONE-0001'), udid('PHONE-0002')];
const assignment = (atMs: number, anchors: string[] = [], group: string | null = null) => ({
  group,
  assignedAtMs: epochMs(atMs),
  anchors,
});
let changes = 0;
const change = (atMs = 0) => ({ id: `change-${++changes}`, atMs: epochMs(atMs) });
const device = (name: Udid) => ({ kind: 'device', udid: name }) as const;
const compiled = (declarations: Declaration[], anchors: string[] = [], assets: Asset[] = []) => ({
  declarations,
  assets,
  anchors,
});
const declaration = (
  identifier: string,
  serverToken = 't1',
  kind: Declaration['kind'] = 'configuration',
): Declaration => ({
  kind,
  identifier,
  serverToken,
  type: 'com.apple.configuration.watch.enrollment',
  payload: { EnrollmentProfileURL: 'https://x/ü', list: [1, true, 'a'] },
});

describe('an assignment', () => {
  it('is stored with everything that it uses, and keeps its first time', async () => {
    const bytes = Uint8Array.from({ length: 256 }, (_, i) => i);
    const asset: Asset = { identifier: 'asset-1', contentType: 'application/pkcs1', data: bytes };
    const declarations = [declaration('asset-1', 't1', 'asset'), declaration('conf-1')];
    await store.assign(device(PHONE), compiled(declarations, ['aa', 'bb'], [asset]), change(1));
    expect(await store.assignment(PHONE)).toEqual(assignment(1, ['aa', 'bb']));
    expect(await store.find('conf-1')).toEqual(declaration('conf-1'));
    expect(await store.asset('asset-1')).toEqual(asset);
    await store.assign(device(PHONE), compiled([declaration('conf-1', 't2')]), change(2));
    expect(await store.assignment(PHONE)).toEqual(assignment(1));
    expect((await store.find('conf-1'))?.serverToken).toBe('t2');
  });

  it('is one phone’s, and may be taken back twice', async () => {
    await store.assign(device(OTHER), compiled([declaration('conf-1')]), change(3));
    for (let i = 0; i < 2; i++) await store.withdraw(device(PHONE), change());
    expect(await store.assignment(PHONE)).toBeNull();
    expect(await store.assignment(OTHER)).not.toBeNull();
    expect(await store.find('conf-1')).not.toBeNull();
  });

  it('is stored whole or not at all', async () => {
    const phone = udid('PHONE-0003');
    const tooLong = declaration('x'.repeat(65));
    await expect(async () =>
      store.assign(device(phone), compiled([declaration('conf-9'), tooLong]), change()),
    ).rejects.toThrow(Unavailable);
    expect(await store.find('conf-9')).toBeNull();
    expect(await store.assignment(phone)).toBeNull();
  });

  it('counts the pairings that its phone claimed', async () => {
    expect(await store.countPairings(PHONE)).toBe(0);
  });

  it('that is not there is null, and so is everything else', async () => {
    expect(await store.find('none')).toBeNull();
    expect(await store.asset('none')).toBeNull();
  });
});

it('a database that fails is Unavailable, whatever was asked', async () => {
  const outages = ['prepare', 'batch'].map((method) =>
    vi.spyOn(Object.getPrototypeOf(env.DB), method as 'batch').mockRejectedValue(new Error('D1_ERROR')),
  );
  outages[0]?.mockImplementation(() => {
    throw new Error('D1_ERROR');
  });
  for (const call of [() => store.find('x'), () => store.assignment(OTHER), () => store.assignment(PHONE)]) {
    await expect(call).rejects.toThrow(Unavailable);
  }
  outages[0]?.mockRestore();
  await expect(() => store.withdraw(device(PHONE), change())).rejects.toThrow(Unavailable);
  await expect(() => store.assign(device(PHONE), compiled([]), change())).rejects.toThrow(Unavailable);
  outages[1]?.mockRestore();
});
