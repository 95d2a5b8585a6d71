/** The copy of pairing history in D1, and what administrators read. */
import { env } from 'cloudflare:workers';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Page, PairingRecord } from '../../../src/domain/admin/services.ts';
import type { Udid } from '../../../src/domain/ids.ts';
import { advance, beginPairing, type Pairing } from '../../../src/domain/pairing/states.ts';
import { randomUuid } from '../../../src/pki/random.ts';
import { epochMs } from '../../../src/std/time.ts';
import { Database } from '../../../src/storage/d1/database.ts';
import { D1PairingArchive, D1PairingReader } from '../../../src/storage/d1/pairings.ts';
import {
  claimRequest,
  freshWatch,
  now,
  PHONE,
  redemption,
  refusal,
  SERIAL,
  store,
  value,
  watchRequest,
} from '../../support/pairing.ts';

const database = new Database(env.DB);
const archive = new D1PairingArchive(database);
const reader = new D1PairingReader(database, store());

function pairing(watchUdid: Udid, atMs: number, over: Partial<Pairing> = {}): Pairing {
  const at = epochMs(atMs);
  const identity = { pairingId: randomUuid(), watchUdid, watchSerial: SERIAL, securityToken: randomUuid() };
  return { ...advance(beginPairing(identity, at), { step: 'challenged', detail: 'x' }, at), ...over };
}

beforeEach(async () => {
  await env.DB.exec('DELETE FROM pairings');
});

describe('the archive', () => {
  it('takes the same revision twice and never an older one', async () => {
    const first = pairing(freshWatch(), 1000);
    const second = advance({ ...first, phoneUdid: PHONE }, { step: 'claimed' }, epochMs(2000));
    for (const copy of [first, second, second, first]) await archive.put([copy]);
    const record = await reader.get(first.pairingId);
    expect(record).toMatchObject({ state: 'claimed', phone: PHONE, updatedAtMs: 2000 });
    expect(record?.timeline).toHaveLength(2);
  });

  it('removes only what no phone claimed', async () => {
    const unclaimed = pairing(freshWatch(), 1000);
    const claimed = pairing(freshWatch(), 1000, { phoneUdid: PHONE });
    await archive.put([unclaimed, claimed]);
    await archive.remove([unclaimed.pairingId, claimed.pairingId, 'nothing']);
    expect(await reader.get(unclaimed.pairingId)).toBeNull();
    expect(await reader.get(claimed.pairingId)).not.toBeNull();
  });

  it('takes nothing and removes nothing without asking the database', async () => {
    await archive.put([]);
    await archive.remove([]);
  });
});

describe('the reader', () => {
  it('shows one record with its timeline', async () => {
    const watch = freshWatch();
    const [saved] = [pairing(watch, Date.UTC(2026, 0, 31))];
    await archive.put([saved]);
    expect(await reader.get(saved.pairingId)).toEqual({
      pairingId: saved.pairingId,
      watch,
      serial: SERIAL,
      phone: null,
      state: 'challenged',
      reason: null,
      startedAtMs: Date.UTC(2026, 0, 31),
      updatedAtMs: Date.UTC(2026, 0, 31),
      timeline: [
        { atMs: Date.UTC(2026, 0, 31), step: 'challenged', outcome: 'ok', reason: null, detail: 'x' },
      ],
    });
    expect(await reader.get('nothing')).toBeNull();
  });

  it('lists the fleet newest first, page by page, each once, also where times are equal', async () => {
    const saved = Array.from({ length: 7 }, (_, i) => pairing(freshWatch(), 1000 + Math.floor(i / 3)));
    await archive.put(saved);
    const seen: string[] = [];
    let cursor: string | null = null;
    do {
      const page: Page<PairingRecord> = value(await reader.list({ watch: null, cursor, limit: 2 }));
      expect(page.items.length).toBeLessThanOrEqual(2);
      seen.push(...page.items.map(({ pairingId }) => pairingId));
      cursor = page.cursor;
    } while (cursor !== null);
    expect(new Set(seen).size).toBe(7);
    expect(seen).toHaveLength(7);
    expect(seen[0]).toBe(saved[6]?.pairingId);
  });

  it.each(['', 'x', '12', '12.', '.P', '12.a b', '1e3.P'])(
    'calls the cursor %j malformed',
    async (cursor) => {
      for (const watch of [null, freshWatch()]) {
        expect(refusal(await reader.list({ watch, cursor, limit: 2 })).kind).toBe('malformed-cursor');
      }
    },
  );

  it('asks the object for one watch, so that the last moment shows', async () => {
    const watch = freshWatch();
    const { securityToken, pairingId } = value(await store().challenge(watchRequest(watch), now()));
    value(await store().claim(claimRequest(watch, securityToken), now()));
    const page = value(await reader.list({ watch, cursor: null, limit: 10 }));
    expect(page.cursor).toBeNull();
    expect(page.items).toMatchObject([{ pairingId, state: 'claimed', phone: PHONE }]);
    expect(value(await reader.list({ watch: freshWatch(), cursor: null, limit: 10 })).items).toEqual([]);
  });

  it('gets one pairing as its object has it now, and from D1 what the object dropped', async () => {
    const watch = freshWatch();
    const { securityToken, pairingId } = value(await store().challenge(watchRequest(watch), now()));
    const [held] = await store().history(watch);
    if (held !== undefined) await archive.put([held]);
    value(await store().claim(claimRequest(watch, securityToken), now()));
    expect((await reader.get(pairingId))?.state).toBe('claimed');
    const dropped = pairing(watch, 1000, { phoneUdid: PHONE, state: 'enrolled' });
    await archive.put([dropped]);
    expect((await reader.get(dropped.pairingId))?.state).toBe('enrolled');
  });

  it('goes on from the object to the history of that watch alone', async () => {
    const watch = freshWatch();
    for (let i = 0; i < 3; i++) {
      const { securityToken } = value(await store().challenge(watchRequest(watch), now(i)));
      value(await store().claim(claimRequest(watch, securityToken), now(i)));
      await store().redeem(redemption(watch, securityToken), now(i));
    }
    await archive.put(await store().history(watch));
    await archive.put([pairing(watch, 1000, { phoneUdid: PHONE }), pairing(freshWatch(), 2000)]);
    const first = value(await reader.list({ watch, cursor: null, limit: 2 }));
    const second = value(await reader.list({ watch, cursor: first.cursor, limit: 10 }));
    const all = [...first.items, ...second.items];
    expect(all).toHaveLength(4);
    expect(all.every((record) => record.watch === watch)).toBe(true);
    expect(second.cursor).toBeNull();
  });
});
