/** The watch's object: single redemption, limits, expiry, history, and what D1 is told. */
import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { Udid } from '../../../src/domain/ids.ts';
import type { IssuedChallenge, RedemptionAnswer } from '../../../src/domain/pairing/ports.ts';
import { ok, refuse } from '../../../src/std/outcome.ts';
import { addMs, DAY_MS, type EpochMs, HOUR_MS, MINUTE_MS } from '../../../src/std/time.ts';
import {
  claimRequest,
  freshWatch,
  newest,
  now,
  OTHER_PHONE,
  PHONE,
  presented,
  redemption,
  refusal,
  serial,
  steps,
  store,
  value,
  watchRequest,
} from '../../support/pairing.ts';

afterEach(() => {
  vi.useRealTimers();
});

async function challenged(watch: Udid, at: EpochMs, source = '192.0.2.1'): Promise<IssuedChallenge> {
  return value(await store().challenge(watchRequest(watch, { source }), at));
}

async function claimed(watch: Udid, at: EpochMs, phoneUdid = PHONE): Promise<IssuedChallenge> {
  const issued = await challenged(watch, at);
  value(await store().claim(claimRequest(watch, issued.securityToken, { phoneUdid }), at));
  return issued;
}

async function redeemed(watch: Udid, at: EpochMs): Promise<IssuedChallenge> {
  const issued = await claimed(watch, at);
  const answer = await store().redeem(redemption(watch, issued.securityToken), at);
  expect(answer.kind).toBe('redeemed');
  return issued;
}

/** Lets the object believe that it is later, and runs its alarm. */
async function alarmAt(watch: Udid, at: EpochMs): Promise<boolean> {
  vi.useFakeTimers({ toFake: ['Date'], now: at });
  try {
    return await runDurableObjectAlarm(env.PAIRING.getByName(watch));
  } finally {
    vi.useRealTimers();
  }
}

/** The object's own tables, none when it has deleted itself, and its alarm. */
function stored(watch: Udid): Promise<{ tables: string[]; alarm: number | null }> {
  return runInDurableObject(env.PAIRING.getByName(watch), async (_, { storage }) => {
    const names = storage.sql.exec<{ name: string }>("SELECT name FROM sqlite_master WHERE type = 'table'");
    const tables = names.toArray().map(({ name }) => name);
    return { tables: tables.filter((name) => !/^(_cf|sqlite)_/.test(name)), alarm: await storage.getAlarm() };
  });
}

function row(pairingId: string) {
  const statement = env.DB.prepare('SELECT * FROM pairings WHERE pairing_id = ?').bind(pairingId);
  return statement.first<{ state: string; phone_udid: string | null; revision: number; timeline: string }>();
}

describe('the way of one pairing', () => {
  it('goes from challenge to enrolled with every step on one timeline', async () => {
    const watch = freshWatch();
    const at = now();
    const { pairingId, securityToken } = await challenged(watch, at);
    expect(await newest(watch)).toMatchObject({ pairingId, state: 'challenged', phoneUdid: null });
    expect(await store().claim(claimRequest(watch, securityToken), addMs(at, 1000))).toEqual(
      ok({ pairingId }),
    );
    expect(await newest(watch)).toMatchObject({ state: 'claimed', phoneUdid: PHONE });
    const answer = await store().redeem(redemption(watch, securityToken), addMs(at, 2000));
    expect(answer).toEqual({ kind: 'redeemed', pairingId, phoneUdid: PHONE });
    for (const step of ['identity-issued', 'authenticated', 'enrolled'] as const) {
      expect(await store().progress(watch, pairingId, step, addMs(at, 3000))).toEqual(ok(null));
    }
    const pairing = await newest(watch);
    expect(pairing).toMatchObject({ state: 'enrolled', reason: null, redeemedAtMs: at + 2000 });
    expect(steps(pairing.timeline)).toEqual([
      'challenged',
      'claimed',
      'redeemed',
      'identity-issued',
      'authenticated',
      'enrolled',
    ]);
    expect(pairing.timeline[0]?.detail).toBe('signer CN only');
    expect(pairing.timeline[1]?.detail).toBe(`phone ${PHONE}`);
  });

  it('survives eviction between any two steps', async () => {
    const watch = freshWatch();
    const stub = env.PAIRING.getByName(watch);
    const { pairingId, securityToken } = await claimed(watch, now());
    await evictDurableObject(stub);
    const answer = await store().redeem(redemption(watch, securityToken), now());
    expect(answer.kind).toBe('redeemed');
    await evictDurableObject(stub);
    const again = await store().redeem(redemption(watch, securityToken), now());
    expect(again).toMatchObject({ kind: 'challenge', because: 'challenge-consumed' });
    await store().progress(watch, pairingId, 'enrolled', now());
    expect((await store().history(watch)).find((p) => p.pairingId === pairingId)?.state).toBe('enrolled');
  });

  it('takes steps that come twice, late or out of order', async () => {
    const watch = freshWatch();
    const { pairingId } = await redeemed(watch, now());
    for (const step of [
      'authenticated',
      'identity-issued',
      'authenticated',
      'enrolled',
      'enrolled',
    ] as const) {
      await store().progress(watch, pairingId, step, now());
    }
    const { state, timeline } = await newest(watch);
    expect(state).toBe('enrolled');
    expect(steps(timeline).slice(3)).toEqual(['authenticated', 'enrolled']);
  });

  it('goes no further before its redemption, and nowhere when unknown', async () => {
    const watch = freshWatch();
    const { pairingId } = await claimed(watch, now());
    const early = await store().progress(watch, pairingId, 'enrolled', now());
    expect(early).toEqual(refuse({ kind: 'pairing-not-redeemed' }));
    const unknown = await store().progress(watch, 'nothing', 'enrolled', now());
    expect(unknown).toEqual(refuse({ kind: 'pairing-unknown' }));
    const nobody = await store().progress(freshWatch(), 'nothing', 'enrolled', now());
    expect(nobody).toEqual(refuse({ kind: 'pairing-unknown' }));
  });
});

describe('single use', () => {
  it.each(['one isolate', 'an object evicted on the way'])(
    'gives 200 parallel redemptions exactly one success, in %s',
    async (story) => {
      const watch = freshWatch();
      const { securityToken, pairingId } = await claimed(watch, now());
      const attempt = (i: number): Promise<RedemptionAnswer> => {
        const request = watchRequest(watch, { source: `198.51.100.${i}` });
        return store().redeem(redemption(watch, securityToken, { request }), now());
      };
      const first = Array.from({ length: 100 }, (_, i) => attempt(i));
      if (story !== 'one isolate') {
        await Promise.race(first);
        await evictDurableObject(env.PAIRING.getByName(watch)).catch(() => undefined);
      }
      const answers = await Promise.allSettled([
        ...first,
        ...Array.from({ length: 100 }, (_, i) => attempt(100 + i)),
      ]);
      const kinds = answers.flatMap((a) => (a.status === 'fulfilled' ? [a.value.kind] : []));
      expect(kinds.filter((kind) => kind === 'redeemed')).toHaveLength(1);
      expect(kinds.length).toBeGreaterThanOrEqual(100);
      const pairing = (await store().history(watch)).find((p) => p.pairingId === pairingId);
      expect(steps(pairing?.timeline ?? []).filter((step) => step === 'redeemed')).toHaveLength(1);
    },
  );

  it('spends every token of a challenge with the first of them', async () => {
    const watch = freshWatch();
    const { securityToken } = await claimed(watch, now());
    value(await store().claim(claimRequest(watch, securityToken), now()));
    const first = redemption(watch, securityToken, {
      token: ok(presented(securityToken, { tokenId: 'one' })),
    });
    const second = redemption(watch, securityToken, {
      token: ok(presented(securityToken, { tokenId: 'two' })),
    });
    expect((await store().redeem(first, now())).kind).toBe('redeemed');
    expect(await store().redeem(second, now())).toMatchObject({ because: 'challenge-consumed' });
  });

  it("binds the phone of another issuer's token in the redemption itself", async () => {
    const watch = freshWatch();
    const { securityToken } = await challenged(watch, now());
    const token = (phoneUdid: typeof PHONE) =>
      ok(presented(securityToken, { phoneUdid, foreignIssuer: 'https://phones.example.com' }));
    const answers = await Promise.all(
      [PHONE, OTHER_PHONE, PHONE].map((phone) =>
        store().redeem(redemption(watch, securityToken, { token: token(phone) }), now()),
      ),
    );
    expect(answers.filter(({ kind }) => kind === 'redeemed')).toHaveLength(1);
    const pairing = (await store().history(watch)).find((p) => p.securityToken === securityToken);
    expect(pairing).toMatchObject({ state: 'redeemed', phoneUdid: PHONE });
    expect(pairing?.timeline[1]?.detail).toBe(`phone ${PHONE}, issuer https://phones.example.com`);
  });

  it("does not let another issuer's token take a challenge from the phone that claimed it", async () => {
    const watch = freshWatch();
    const { securityToken } = await claimed(watch, now());
    const foreign = { phoneUdid: OTHER_PHONE, foreignIssuer: 'https://phones.example.com' };
    const answer = await store().redeem(
      redemption(watch, securityToken, { token: ok(presented(securityToken, foreign)) }),
      now(),
    );
    expect(answer).toMatchObject({ kind: 'challenge', because: 'claimed-by-another-phone' });
    expect((await store().redeem(redemption(watch, securityToken), now())).kind).toBe('redeemed');
  });
});

describe('claims', () => {
  it('belong to the first phone, which may ask again', async () => {
    const watch = freshWatch();
    const { securityToken } = await claimed(watch, now());
    const other = claimRequest(watch, securityToken, { phoneUdid: OTHER_PHONE });
    expect(refusal(await store().claim(other, now()))).toEqual({
      kind: 'claimed-by-another-phone',
      recorded: true,
    });
    expect((await store().claim(claimRequest(watch, securityToken), now())).ok).toBe(true);
    expect(steps((await newest(watch)).timeline)).toEqual([
      'challenged',
      'claimed',
      'claimed!claimed-by-another-phone',
      'claimed',
    ]);
  });

  it('of one challenge by many phones at once have one winner', async () => {
    const watch = freshWatch();
    const { securityToken } = await challenged(watch, now());
    const phones = [PHONE, OTHER_PHONE, PHONE, OTHER_PHONE];
    const answers = await Promise.all(
      phones.map((phoneUdid) => store().claim(claimRequest(watch, securityToken, { phoneUdid }), now())),
    );
    const winners = new Set(phones.filter((_, i) => answers[i]?.ok));
    expect([...winners]).toEqual([(await newest(watch)).phoneUdid]);
  });

  it('are recorded only if the security token is of this watch', async () => {
    const watch = freshWatch();
    const { securityToken } = await challenged(watch, now());
    const stranger = claimRequest(watch, 'INVENTED', { fault: 'phone-not-assigned' });
    expect(refusal(await store().claim(stranger, now()))).toEqual({
      kind: 'phone-not-assigned',
      recorded: false,
    });
    expect((await newest(watch)).timeline).toHaveLength(1);
    const known = claimRequest(watch, securityToken, { fault: 'phone-not-assigned' });
    expect(refusal(await store().claim(known, now())).recorded).toBe(true);
    expect(steps((await newest(watch)).timeline)).toEqual(['challenged', 'claimed!phone-not-assigned']);
  });

  it('on a watch that was never here leave nothing behind', async () => {
    const watch = freshWatch();
    expect(refusal(await store().claim(claimRequest(watch, 'S'), now())).kind).toBe('challenge-unknown');
    expect(await store().history(watch)).toEqual([]);
    const tables = await runInDurableObject(env.PAIRING.getByName(watch), (_, state) =>
      state.storage.sql
        .exec("SELECT name FROM sqlite_master WHERE name NOT LIKE '\\_cf%' ESCAPE '\\'")
        .toArray(),
    );
    expect(tables).toEqual([]);
  });

  it('on another watch are refused, and leave its challenge alone', async () => {
    const [watch, other] = [freshWatch(), freshWatch()];
    const { securityToken } = await challenged(watch, now());
    await challenged(other, now());
    expect(refusal(await store().claim(claimRequest(other, securityToken), now())).kind).toBe(
      'challenge-unknown',
    );
    expect((await newest(watch)).state).toBe('challenged');
  });

  it('are refused after the redemption and after ten minutes', async () => {
    const watch = freshWatch();
    const { securityToken } = await redeemed(watch, now());
    const late = await store().claim(claimRequest(watch, securityToken), now());
    expect(refusal(late).kind).toBe('challenge-consumed');
    const at = now();
    const next = await challenged(watch, at);
    const justInTime = claimRequest(watch, next.securityToken, { phoneUdid: OTHER_PHONE });
    expect((await store().claim(justInTime, addMs(at, 10 * MINUTE_MS - 1))).ok).toBe(true);
    const tooLate = await store().claim(justInTime, addMs(at, 10 * MINUTE_MS));
    expect(refusal(tooLate).kind).toBe('challenge-expired');
  });
});

describe('a refused token', () => {
  it('is answered with a fresh challenge three times, then in words, and its reasons stand on timelines', async () => {
    const watch = freshWatch();
    const answers: RedemptionAnswer[] = [];
    for (let i = 0; i < 5; i++) {
      const token = refuse({ kind: 'token-signature' as const, securityToken: null });
      answers.push(await store().redeem(redemption(watch, 'S', { token }), now()));
    }
    expect(answers.map(({ kind }) => kind)).toEqual([
      'challenge',
      'challenge',
      'challenge',
      'refused',
      'refused',
    ]);
    const timelines = (await store().history(watch)).map(({ timeline }) => steps(timeline));
    expect(timelines).toEqual([
      ['redeemed!token-signature', 'challenged', 'redeemed!token-signature', 'redeemed!token-signature'],
      ['redeemed!token-signature', 'challenged'],
      ['redeemed!token-signature', 'challenged'],
    ]);
  });

  it('is counted for its source alone, and forgotten after an hour or a success', async () => {
    const watch = freshWatch();
    const at = now();
    const bad = (source: string, when: EpochMs) => {
      const token = refuse({ kind: 'token-expired' as const, securityToken: null });
      const request = watchRequest(watch, { source });
      return store().redeem(redemption(watch, 'S', { token, request }), when);
    };
    for (let i = 0; i < 4; i++) await bad('192.0.2.66', at);
    expect((await bad('192.0.2.66', at)).kind).toBe('refused');
    const elsewhere = await bad('192.0.2.1', at);
    expect(elsewhere.kind).toBe('challenge');
    expect((await bad('192.0.2.66', addMs(at, HOUR_MS))).kind).toBe('challenge');
    const later = addMs(at, HOUR_MS);
    for (let i = 0; i < 4; i++) await bad('192.0.2.66', later);
    await redeemed(watch, later);
    expect((await bad('192.0.2.66', later)).kind).toBe('challenge');
  });

  it('earns a challenge that works', async () => {
    const watch = freshWatch();
    const token = refuse({ kind: 'token-expired' as const, securityToken: null });
    const answer = await store().redeem(redemption(watch, 'S', { token }), now());
    if (answer.kind !== 'challenge') throw new Error(answer.kind);
    const { securityToken } = answer.challenge;
    value(await store().claim(claimRequest(watch, securityToken), now()));
    expect((await store().redeem(redemption(watch, securityToken), now())).kind).toBe('redeemed');
  });

  it('that names its challenge is recorded there', async () => {
    const watch = freshWatch();
    const { securityToken, pairingId } = await claimed(watch, now());
    const token = refuse({ kind: 'token-audience' as const, securityToken });
    await store().redeem(redemption(watch, securityToken, { token }), now());
    const pairing = (await store().history(watch)).find((p) => p.pairingId === pairingId);
    expect(pairing?.state).toBe('claimed');
    expect(steps(pairing?.timeline ?? []).at(-1)).toBe('redeemed!token-audience');
  });

  it.each([
    ['the serial number of another watch', { request: { serial: serial('SERIAL0002') } }, 'serial-mismatch'],
    ['a security token never issued', { nonce: 'INVENTED' }, 'challenge-unknown'],
    ['a challenge that no phone claimed', { unclaimed: true }, 'challenge-unclaimed'],
  ] as const)('with %s', async (_, story, because) => {
    const watch = freshWatch();
    const issued = 'unclaimed' in story ? await challenged(watch, now()) : await claimed(watch, now());
    const request = watchRequest(watch, 'request' in story ? story.request : {});
    const nonce = 'nonce' in story ? story.nonce : issued.securityToken;
    const answer = await store().redeem(redemption(watch, nonce, { request }), now());
    expect(answer).toMatchObject({ kind: 'challenge', because });
    const reasons = (await store().history(watch)).flatMap(({ timeline }) => timeline.map((e) => e.reason));
    expect(reasons).toContain(because);
  });

  it('after ten minutes is told that its challenge expired', async () => {
    const watch = freshWatch();
    const at = now();
    const { securityToken } = await claimed(watch, at);
    const answer = await store().redeem(redemption(watch, securityToken), addMs(at, 10 * MINUTE_MS));
    expect(answer).toMatchObject({ because: 'challenge-expired' });
  });

  it('whose phone may not host ends the pairing in words, and its challenge with it', async () => {
    const watch = freshWatch();
    const { securityToken } = await claimed(watch, now());
    const withdrawn = redemption(watch, securityToken, { phone: 'phone-not-assigned' });
    expect(await store().redeem(withdrawn, now())).toEqual({
      kind: 'refused',
      because: 'phone-not-assigned',
    });
    expect(await newest(watch)).toMatchObject({ state: 'refused', reason: 'phone-not-assigned' });
    const again = await store().redeem(redemption(watch, securityToken), now());
    expect(again).toMatchObject({ kind: 'challenge', because: 'challenge-consumed' });
  });
});

describe('limits', () => {
  it('keep three live challenges: unclaimed ones go oldest first, claimed ones never', async () => {
    const watch = freshWatch();
    const at = now();
    const kept = await claimed(watch, at);
    const issued = [];
    for (let i = 1; i <= 4; i++) issued.push(await challenged(watch, addMs(at, i)));
    const states = (await store().history(watch)).map(({ state, reason }) => reason ?? state);
    expect(states).toEqual(['challenged', 'challenged', 'superseded', 'superseded', 'claimed']);
    const evicted = issued[0]?.securityToken ?? '';
    expect(refusal(await store().claim(claimRequest(watch, evicted), at)).kind).toBe('challenge-expired');
    expect((await store().redeem(redemption(watch, kept.securityToken), addMs(at, 9))).kind).toBe('redeemed');
  });

  it('refuse a fourth challenge plainly while three are claimed, until one of them is over', async () => {
    const watch = freshWatch();
    const at = now();
    for (const phone of ['PHONE-0001', 'PHONE-0002', 'PHONE-0003']) await claimed(watch, at, phone as Udid);
    expect(refusal(await store().challenge(watchRequest(watch), at)).kind).toBe('too-many-challenges');
    expect(steps((await newest(watch)).timeline).at(-1)).toBe('challenged!too-many-challenges');
    expect((await store().challenge(watchRequest(watch), addMs(at, 10 * MINUTE_MS))).ok).toBe(true);
  });

  it('let a phone hold one claimed challenge of a watch: a newer claim ends the older, an older one ends none', async () => {
    const watch = freshWatch();
    const at = now();
    const first = await claimed(watch, at);
    const second = await challenged(watch, addMs(at, 1));
    const third = await claimed(watch, addMs(at, 2));
    expect(refusal(await store().claim(claimRequest(watch, first.securityToken), addMs(at, 3))).kind).toBe(
      'challenge-expired',
    );
    value(await store().claim(claimRequest(watch, second.securityToken), addMs(at, 4)));
    expect((await store().redeem(redemption(watch, third.securityToken), addMs(at, 5))).kind).toBe(
      'redeemed',
    );
  });

  it('give one source twenty challenges in any hour', async () => {
    const watch = freshWatch();
    const at = now();
    for (let i = 0; i < 20; i++) await challenged(watch, addMs(at, i));
    const request = () => watchRequest(watch);
    expect(refusal(await store().challenge(request(), addMs(at, 20))).kind).toBe('source-rate');
    expect(refusal(await store().challenge(request(), addMs(at, HOUR_MS - 1))).kind).toBe('source-rate');
    expect((await store().challenge(request(), addMs(at, HOUR_MS))).ok).toBe(true);
    expect(refusal(await store().challenge(request(), addMs(at, HOUR_MS))).kind).toBe('source-rate');
  });

  it('let the watch pair although a forger spends everything that the watch is allowed', async () => {
    const watch = freshWatch();
    const at = now();
    const forgers = ['203.0.113.1', '203.0.113.2', '203.0.113.3'];
    for (const source of forgers) for (let i = 0; i < 20; i++) await challenged(watch, at, source);
    for (const source of forgers) {
      const request = watchRequest(watch, { source });
      expect(refusal(await store().challenge(request, at)).kind).toBe('source-rate');
    }
    const genuine = await challenged(watch, at, '192.0.2.1');
    const second = watchRequest(watch, { source: '192.0.2.1' });
    expect(refusal(await store().challenge(second, at)).kind).toBe('watch-rate');
    for (const source of ['203.0.113.4', '203.0.113.5']) await challenged(watch, at, source);
    for (let i = 0; i < 30; i++) {
      const token = refuse({ kind: 'token-signature' as const, securityToken: null });
      const request = watchRequest(watch, { source: '203.0.113.1' });
      expect((await store().redeem(redemption(watch, 'S', { token, request }), at)).kind).toBe('refused');
    }
    value(await store().claim(claimRequest(watch, genuine.securityToken), at));
    for (const source of ['203.0.113.6', '203.0.113.7', '203.0.113.8']) await challenged(watch, at, source);
    const answer = await store().redeem(redemption(watch, genuine.securityToken), at);
    expect(answer.kind).toBe('redeemed');
  });

  it('give a whole /48 one challenge beyond the sixty, however many addresses it has', async () => {
    const watch = freshWatch();
    const at = now();
    const forgers = ['2001:db8:f:1::/64', '2001:db8:f:2::/64', '2001:db8:f:3::/64'];
    for (const source of forgers) for (let i = 0; i < 20; i++) await challenged(watch, at, source);
    for (let i = 10; i < 30; i++) {
      const request = watchRequest(watch, { source: `2001:db8:f:${i}::/64` });
      expect(refusal(await store().challenge(request, at)).kind).toBe('watch-rate');
    }
    await challenged(watch, at, '2001:db8:a:1::/64');
    const neighbor = watchRequest(watch, { source: '2001:db8:a:2::/64' });
    expect(refusal(await store().challenge(neighbor, at)).kind).toBe('watch-rate');
  });

  it('keep counting challenges while more addresses bring bad tokens than are remembered', async () => {
    const watch = freshWatch();
    const at = now();
    for (let i = 0; i < 20; i++) await challenged(watch, at);
    const counts = await runInDurableObject(env.PAIRING.getByName(watch), (object, state) => {
      for (let i = 0; i < 1100; i++) {
        const request = watchRequest(watch, { source: `2001:db8:f:${i.toString(16)}::/64` });
        const token = refuse({ kind: 'token-malformed' as const, securityToken: null });
        object.redeem(redemption(watch, 'S', { token, request }), at);
      }
      return state.storage.sql
        .exec(
          "SELECT kind, count(*) AS n FROM requests WHERE source = '192.0.2.1' OR kind = 'refusal' GROUP BY 1",
        )
        .toArray();
    });
    expect(counts).toEqual([
      { kind: 'challenge', n: 20 },
      { kind: 'refusal', n: 1024 },
    ]);
    expect(refusal(await store().challenge(watchRequest(watch), at)).kind).toBe('source-rate');
  });

  it('are not loosened by a flood of bad tokens', async () => {
    const watch = freshWatch();
    const at = now();
    for (let i = 0; i < 20; i++) await challenged(watch, at);
    for (let i = 0; i < 50; i++) {
      const token = refuse({ kind: 'token-malformed' as const, securityToken: null });
      await store().redeem(redemption(watch, 'S', { token }), at);
    }
    const counted = await runInDurableObject(env.PAIRING.getByName(watch), (_, state) =>
      state.storage.sql
        .exec('SELECT kind, count(*) AS n FROM requests GROUP BY kind ORDER BY kind')
        .toArray(),
    );
    expect(counted).toEqual([
      { kind: 'challenge', n: 20 },
      { kind: 'refusal', n: 3 },
    ]);
    expect(refusal(await store().challenge(watchRequest(watch), at)).kind).toBe('source-rate');
  });

  it('keep the object small: unclaimed pairings go first, twenty in all stay', async () => {
    const watch = freshWatch();
    const at = now(-3 * HOUR_MS);
    const kept = await redeemed(watch, at);
    for (let i = 0; i < 12; i++) {
      const source = `198.51.100.${i}`;
      await challenged(watch, addMs(at, i * MINUTE_MS), source);
    }
    expect(await store().history(watch)).toHaveLength(1 + 3 + 5);
    const later = now(-HOUR_MS);
    for (let i = 0; i < 25; i++) {
      const request = watchRequest(watch, { source: `198.51.100.${i}` });
      const { securityToken } = value(await store().challenge(request, addMs(later, i)));
      value(await store().claim(claimRequest(watch, securityToken), addMs(later, i)));
      await store().redeem(redemption(watch, securityToken), addMs(later, i));
      await runDurableObjectAlarm(env.PAIRING.getByName(watch));
    }
    for (let i = 0; i < 3; i++) await alarmAt(watch, now());
    const history = await store().history(watch);
    expect(history).toHaveLength(20);
    expect(history.some(({ pairingId }) => pairingId === kept.pairingId)).toBe(false);
    expect(await row(kept.pairingId)).toMatchObject({ phone_udid: PHONE });
  });
});

describe('the alarm', () => {
  it('ends challenges that nobody used, at their own time, and runs twice without harm', async () => {
    const watch = freshWatch();
    const at = now();
    const unclaimed = await challenged(watch, at);
    const unused = await claimed(watch, addMs(at, 1));
    for (let i = 0; i < 2; i++) await alarmAt(watch, addMs(at, 11 * MINUTE_MS));
    const [second, first] = await store().history(watch);
    expect(first).toMatchObject({ pairingId: unclaimed.pairingId, state: 'expired', reason: 'not-claimed' });
    expect(second).toMatchObject({ pairingId: unused.pairingId, state: 'expired', reason: 'not-redeemed' });
    expect(first?.timeline.at(-1)?.at).toBe(new Date(at + 10 * MINUTE_MS).toISOString());
    expect(steps(first?.timeline ?? [])).toEqual(['challenged', 'expired!not-claimed']);
    expect(await row(unclaimed.pairingId)).toMatchObject({ state: 'expired' });
    const left = await runInDurableObject(env.PAIRING.getByName(watch), (_, state) =>
      state.storage.sql.exec('SELECT * FROM challenges').toArray(),
    );
    expect(left).toEqual([]);
  });

  it('ends a redeemed pairing that got no certificate within the hour; a late device overtakes it', async () => {
    const watch = freshWatch();
    const at = now();
    const { pairingId } = await redeemed(watch, at);
    await alarmAt(watch, addMs(at, HOUR_MS - 1));
    expect((await newest(watch)).state).toBe('redeemed');
    await alarmAt(watch, addMs(at, HOUR_MS));
    expect(await newest(watch)).toMatchObject({ state: 'expired', reason: 'no-identity' });
    await store().progress(watch, pairingId, 'authenticated', addMs(at, 2 * HOUR_MS));
    expect(await newest(watch)).toMatchObject({ state: 'authenticated', reason: null });
  });

  it('does not expire a pairing whose watch has its certificate', async () => {
    const watch = freshWatch();
    const at = now();
    const { pairingId } = await redeemed(watch, at);
    await store().progress(watch, pairingId, 'identity-issued', at);
    await alarmAt(watch, addMs(at, 5 * HOUR_MS));
    expect((await newest(watch)).state).toBe('identity-issued');
  });

  it('copies pairings to D1, and an older copy never overwrites a newer one', async () => {
    const watch = freshWatch();
    const { pairingId } = await redeemed(watch, now());
    await alarmAt(watch, now());
    const copy = await row(pairingId);
    expect(copy).toMatchObject({ state: 'redeemed', phone_udid: PHONE, revision: 3 });
    expect(steps(JSON.parse(copy?.timeline ?? '[]'))).toEqual(['challenged', 'claimed', 'redeemed']);
  });

  it('takes unclaimed pairings out of D1 again when the object forgets them', async () => {
    const watch = freshWatch();
    const at = now(-2 * HOUR_MS);
    const first = await challenged(watch, at);
    await alarmAt(watch, now());
    expect(await row(first.pairingId)).toMatchObject({ state: 'expired' });
    for (let i = 0; i < 8; i++) await challenged(watch, addMs(at, i + 1), `198.51.100.${i}`);
    for (let i = 0; i < 2; i++) await alarmAt(watch, now());
    expect(await row(first.pairingId)).toBeNull();
    const { results } = await env.DB.prepare('SELECT 1 FROM pairings WHERE watch_udid = ?').bind(watch).all();
    expect(results).toHaveLength(5);
  });

  it('forgets sixty watches that nobody claimed a day after the last request, with their rows in D1', async () => {
    const at = now();
    const watches = Array.from({ length: 60 }, freshWatch);
    const made = await Promise.all(watches.map((watch) => challenged(watch, at)));
    for (const watch of watches) await alarmAt(watch, addMs(at, 10 * MINUTE_MS));
    expect(await row(made[0]?.pairingId ?? '')).toMatchObject({ state: 'expired' });
    const endMs = addMs(at, 10 * MINUTE_MS + DAY_MS);
    for (const watch of watches) await alarmAt(watch, addMs(endMs, -1));
    expect((await store().history(watches[0] as Udid)).length).toBe(1);
    for (const watch of watches) await alarmAt(watch, endMs);
    for (const watch of watches) expect(await stored(watch)).toEqual({ tables: [], alarm: null });
    const { results } = await env.DB.prepare(
      `SELECT 1 FROM pairings WHERE watch_udid IN (${watches.map((watch) => `'${watch}'`).join(', ')})`,
    ).all();
    expect(results).toEqual([]);
    for (const watch of watches) expect(await alarmAt(watch, endMs)).toBe(false);
    expect((await store().challenge(watchRequest(watches[0] as Udid), endMs)).ok).toBe(true);
  });

  it('is set for that day by itself, and put off by a further request', async () => {
    const watch = freshWatch();
    const at = now();
    await challenged(watch, at);
    await alarmAt(watch, addMs(at, 10 * MINUTE_MS));
    expect((await stored(watch)).alarm).toBe(at + 10 * MINUTE_MS + DAY_MS);
    await challenged(watch, addMs(at, 20 * HOUR_MS));
    for (const hours of [21, 25]) await alarmAt(watch, addMs(at, hours * HOUR_MS));
    expect(await store().history(watch)).toHaveLength(2);
    await alarmAt(watch, addMs(at, 46 * HOUR_MS));
    expect((await stored(watch)).tables).toEqual([]);
  });

  it('keeps everything of a watch once a phone has claimed a challenge of it', async () => {
    const watch = freshWatch();
    const at = now();
    const { pairingId } = await claimed(watch, at);
    for (let i = 1; i <= 8; i++) await challenged(watch, addMs(at, i * 11 * MINUTE_MS), `198.51.100.${i}`);
    for (const days of [1, 2, 3, 30]) await alarmAt(watch, addMs(at, days * DAY_MS));
    expect((await store().history(watch)).at(-1)).toMatchObject({ pairingId, reason: 'not-redeemed' });
    expect(await row(pairingId)).toMatchObject({ phone_udid: PHONE });
  });

  it('forgets nothing before D1 has, and keeps a watch that came meanwhile', async () => {
    const watch = freshWatch();
    const at = now();
    const { pairingId } = await challenged(watch, at);
    await alarmAt(watch, addMs(at, 10 * MINUTE_MS));
    const endMs = addMs(at, 2 * DAY_MS);
    await env.DB.exec('ALTER TABLE pairings RENAME TO pairings_away');
    try {
      await alarmAt(watch, endMs);
      expect((await stored(watch)).tables).toContain('outbox');
    } finally {
      await env.DB.exec('ALTER TABLE pairings_away RENAME TO pairings');
    }
    expect(await row(pairingId)).not.toBeNull();
    const late = await challenged(watch, endMs);
    for (let i = 0; i < 2; i++) await alarmAt(watch, addMs(endMs, MINUTE_MS));
    expect(await row(pairingId)).toBeNull();
    expect((await store().history(watch)).map((pairing) => pairing.pairingId)).toEqual([late.pairingId]);
    value(await store().claim(claimRequest(watch, late.securityToken), addMs(endMs, MINUTE_MS)));
  });

  it('tries again when D1 fails, and loses nothing', async () => {
    const watch = freshWatch();
    const { pairingId } = await redeemed(watch, now());
    await env.DB.exec('ALTER TABLE pairings RENAME TO pairings_away');
    try {
      await alarmAt(watch, now());
      expect(
        await runInDurableObject(env.PAIRING.getByName(watch), (_, s) => s.storage.getAlarm()),
      ).not.toBeNull();
    } finally {
      await env.DB.exec('ALTER TABLE pairings_away RENAME TO pairings');
    }
    await alarmAt(watch, now(MINUTE_MS));
    expect(await row(pairingId)).toMatchObject({ state: 'redeemed' });
  });
});
