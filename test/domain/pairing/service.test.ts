/** Claim and enroll through the real object and real signatures; MachineInfo is taken as verified here. */
import { describe, expect, it } from 'vitest';
import { VerifiedDevice } from '../../../src/domain/identity/verified-device.ts';
import type { Udid } from '../../../src/domain/ids.ts';
import type { DeviceInfo, MachineInfoVerifier } from '../../../src/domain/pairing/ports.ts';
import type { EnrollAnswer } from '../../../src/domain/pairing/service.ts';
import { ForeignIssuers } from '../../../src/pki/jwks.ts';
import { type Claims, PairingTokenKeys } from '../../../src/pki/jws.ts';
import { type Bytes, readUtf8, toBase64Url, utf8 } from '../../../src/std/bytes.ts';
import { ok, refuse } from '../../../src/std/outcome.ts';
import { addMs, type EpochMs, MINUTE_MS } from '../../../src/std/time.ts';
import {
  freshWatch,
  newest,
  now,
  OTHER_PHONE,
  PHONE,
  PUBLIC_URL,
  pairingWorld,
  refusal,
  SERIAL,
  serial,
  steps,
  store,
  udid,
  value,
  type World,
} from '../../support/pairing.ts';

const FOREIGN = 'https://phones.example.com';

/** MachineInfo as JSON, unsigned: the signature has its own tests. */
const asJson: MachineInfoVerifier = {
  async verify(cms) {
    const text = readUtf8(cms) ?? '';
    if (text === 'forged') return refuse({ kind: 'machine-info-unverified', detail: 'signature-invalid' });
    if (text === 'garbage') return refuse({ kind: 'machine-info-malformed', detail: 'no CMS' });
    const { token, ...info } = JSON.parse(text) as DeviceInfo & { token: string | null };
    return ok({ ...info, pairingToken: token === null ? null : utf8(token) });
  },
};

function machineInfo(watch: Udid, token: string | null = null, over: Partial<DeviceInfo> = {}): Bytes {
  const info = { udid: watch, serial: SERIAL, product: 'Watch7,20', signerForm: 'CN only', token };
  return utf8(JSON.stringify({ ...info, ...over }));
}

const phone = (name = PHONE) => new VerifiedDevice(name, 'a'.repeat(64));

async function challengeFor(world: World, watch: Udid, at: EpochMs): Promise<string> {
  const answer = await world.service.enroll(machineInfo(watch), '192.0.2.1', at);
  if (answer.kind !== 'challenge') throw new Error(answer.kind);
  expect(answer.because).toBeNull();
  return answer.securityToken;
}

async function tokenFor(world: World, watch: Udid, at: EpochMs): Promise<string> {
  const securityToken = await challengeFor(world, watch, at);
  const params = { securityToken, phoneUdid: PHONE, watchUdid: watch };
  return readUtf8(value(await world.service.claim(phone(), params, at))) ?? '';
}

function present(world: World, watch: Udid, token: string, at: EpochMs): Promise<EnrollAnswer> {
  return world.service.enroll(machineInfo(watch, token), '192.0.2.1', at);
}

function outcome(answer: EnrollAnswer): string {
  if (answer.kind === 'challenge') return `challenge: ${answer.because}`;
  return answer.kind === 'refused' ? `refused: ${answer.refusal.kind}` : answer.kind;
}

describe('a watch and its phone', () => {
  it('get from the first request to a profile, and the credential is bound to watch, serial and pairing', async () => {
    const world = await pairingWorld(asJson);
    const watch = freshWatch();
    const token = await tokenFor(world, watch, now());
    const answer = await present(world, watch, token, now());
    if (answer.kind !== 'profile') throw new Error(outcome(answer));
    expect(readUtf8(answer.profile)).toBe(`profile of ${watch}: one-time`);
    const origin = { kind: 'pairing', pairingId: answer.pairingId, phoneUdid: PHONE };
    expect(world.minted).toEqual([{ udid: watch, serial: SERIAL, platform: 'watchOS', origin }]);
    expect(steps((await newest(watch)).timeline)).toEqual(['challenged', 'claimed', 'redeemed']);
  });

  it('are given tokens with the claims and the header of the design', async () => {
    const world = await pairingWorld(asJson);
    const watch = freshWatch();
    const at = now();
    const securityToken = await challengeFor(world, watch, at);
    const params = { securityToken, phoneUdid: PHONE, watchUdid: watch };
    const tokens = [1, 2].map(async () => {
      const data = value(await world.service.claim(phone(), params, at));
      return value(await world.keys.verify(readUtf8(data) ?? '', { own: PUBLIC_URL }));
    });
    const [first, second] = (await Promise.all(tokens)) as [Claims, Claims];
    const iat = Math.floor(at / 1000);
    const claims = { iss: PUBLIC_URL, aud: PUBLIC_URL, sub: watch, phone: PHONE, nonce: securityToken, iat };
    expect(first).toEqual({ ...claims, exp: iat + 600, jti: first['jti'] });
    expect(second['jti']).not.toBe(first['jti']);
  });

  it('share one redemption between all tokens that the phone fetched', async () => {
    const world = await pairingWorld(asJson);
    const watch = freshWatch();
    const securityToken = await challengeFor(world, watch, now());
    const params = { securityToken, phoneUdid: PHONE, watchUdid: watch };
    const tokens = await Promise.all(
      [1, 2, 3].map(async () => readUtf8(value(await world.service.claim(phone(), params, now()))) ?? ''),
    );
    const answers = await Promise.all(tokens.map((token) => present(world, watch, token, now())));
    expect(answers.filter(({ kind }) => kind === 'profile')).toHaveLength(1);
    expect(world.minted).toHaveLength(1);
  });

  it('heal a mint that failed after the redemption: the retry earns a fresh challenge', async () => {
    const world = await pairingWorld(asJson);
    const watch = freshWatch();
    const token = await tokenFor(world, watch, now());
    world.mintFails = true;
    await expect(present(world, watch, token, now())).rejects.toThrow('the mint is closed');
    world.mintFails = false;
    const retry = await present(world, watch, token, now());
    if (retry.kind !== 'challenge') throw new Error(outcome(retry));
    expect(retry.because).toBe('challenge-consumed');
    const params = { securityToken: retry.securityToken, phoneUdid: PHONE, watchUdid: watch };
    const next = readUtf8(value(await world.service.claim(phone(), params, now()))) ?? '';
    expect((await present(world, watch, next, now())).kind).toBe('profile');
  });
});

describe('a phone asks for a token', () => {
  it.each([
    ['without a security token', { securityToken: null }],
    ['without its own UDID', { phoneUdid: undefined }],
    ['without a watch', { watchUdid: undefined }],
    ['for a watch that is no UDID', { watchUdid: '../x' }],
    ['with an empty security token', { securityToken: '' }],
    ['with an endless security token', { securityToken: 'x'.repeat(129) }],
  ])('%s: the parameters are missing', async (_, change) => {
    const world = await pairingWorld(asJson);
    const params = { securityToken: 'S', phoneUdid: PHONE, watchUdid: freshWatch(), ...change };
    const refused = refusal(await world.service.claim(phone(), params, now()));
    expect(refused).toEqual({ kind: 'parameters-missing', recorded: false });
  });

  it.each([
    ['not-enrolled', 'phone-not-enrolled'],
    ['not-assigned', 'phone-not-assigned'],
    ['unsupervised', 'phone-unsupervised'],
  ] as const)('while it is %s: refused, and recorded on the watch', async (standing, kind) => {
    const world = await pairingWorld(asJson);
    world.standings.set(PHONE, standing);
    const watch = freshWatch();
    const securityToken = await challengeFor(world, watch, now());
    const params = { securityToken, phoneUdid: PHONE, watchUdid: watch };
    expect(refusal(await world.service.claim(phone(), params, now()))).toEqual({ kind, recorded: true });
    expect((await newest(watch)).timeline.at(-1)).toMatchObject({ reason: kind, detail: `phone ${PHONE}` });
  });

  it("in another phone's name: refused, and the timeline says who really asked", async () => {
    const world = await pairingWorld(asJson);
    world.standings.set(OTHER_PHONE, 'hosting');
    const watch = freshWatch();
    const securityToken = await challengeFor(world, watch, now());
    const params = { securityToken, phoneUdid: PHONE, watchUdid: watch };
    const refused = refusal(await world.service.claim(phone(OTHER_PHONE), params, now()));
    expect(refused.kind).toBe('phone-mismatch');
    expect((await newest(watch)).timeline.at(-1)?.detail).toBe(`phone ${OTHER_PHONE}`);
  });

  it('for a challenge that another phone holds: refused', async () => {
    const world = await pairingWorld(asJson);
    world.standings.set(OTHER_PHONE, 'hosting');
    const watch = freshWatch();
    const securityToken = await challengeFor(world, watch, now());
    const params = { securityToken, watchUdid: watch };
    value(await world.service.claim(phone(), { ...params, phoneUdid: PHONE }, now()));
    const second = await world.service.claim(
      phone(OTHER_PHONE),
      { ...params, phoneUdid: OTHER_PHONE },
      now(),
    );
    expect(refusal(second).kind).toBe('claimed-by-another-phone');
  });
});

describe('a watch presents a token', () => {
  it('that was used: a fresh challenge', async () => {
    const world = await pairingWorld(asJson);
    const watch = freshWatch();
    const token = await tokenFor(world, watch, now());
    await present(world, watch, token, now());
    expect(outcome(await present(world, watch, token, now()))).toBe('challenge: challenge-consumed');
    expect(world.minted).toHaveLength(1);
  });

  it('of another watch: a fresh challenge, and the right watch can still use it', async () => {
    const world = await pairingWorld(asJson);
    const [watch, thief] = [freshWatch(), freshWatch()];
    const token = await tokenFor(world, watch, now());
    expect(outcome(await present(world, thief, token, now()))).toBe('challenge: token-other-watch');
    expect(steps((await newest(thief)).timeline)).toEqual(['redeemed!token-other-watch', 'challenged']);
    expect((await present(world, watch, token, now())).kind).toBe('profile');
  });

  it('after its ten minutes: a fresh challenge', async () => {
    const world = await pairingWorld(asJson);
    const watch = freshWatch();
    const at = now();
    const token = await tokenFor(world, watch, at);
    expect(outcome(await present(world, watch, token, addMs(at, 10 * MINUTE_MS)))).toBe(
      'challenge: token-expired',
    );
  });

  it('whose phone was unassigned meanwhile: refused in words', async () => {
    const world = await pairingWorld(asJson);
    const watch = freshWatch();
    const token = await tokenFor(world, watch, now());
    world.standings.set(PHONE, 'not-assigned');
    expect(outcome(await present(world, watch, token, now()))).toBe('refused: phone-not-assigned');
    expect((await newest(watch)).state).toBe('refused');
    expect(world.minted).toEqual([]);
  });

  it.each([
    ['text', 'not a token', 'token-malformed'],
    ['nothing', '', 'token-malformed'],
    ['4,097 bytes', 'x'.repeat(4097), 'token-malformed'],
  ])('that is %s: a fresh challenge', async (_, token, kind) => {
    const world = await pairingWorld(asJson);
    expect(outcome(await present(world, freshWatch(), token, now()))).toBe(`challenge: ${kind}`);
  });

  it('with changed claims, of an unknown issuer, or for another audience: a fresh challenge', async () => {
    const world = await pairingWorld(asJson);
    const watch = freshWatch();
    const token = await tokenFor(world, watch, now());
    const [header = '', , signature = ''] = token.split('.');
    const claims = value(await world.keys.verify(token, { own: PUBLIC_URL }));
    const forged = (change: Claims) =>
      [header, toBase64Url(utf8(JSON.stringify({ ...claims, ...change }))), signature].join('.');
    expect(outcome(await present(world, watch, forged({ sub: 'X' }), now()))).toBe(
      'challenge: token-signature',
    );
    expect(outcome(await present(world, watch, forged({ iss: FOREIGN }), now()))).toBe(
      'challenge: token-issuer',
    );
    const elsewhere = await world.keys.sign({ ...claims, aud: FOREIGN });
    expect(outcome(await present(world, watch, elsewhere, now()))).toBe('challenge: token-audience');
  });

  // Every fault of the row and all later ones at once: the first is reported.
  it('with two faults: the earlier one of the order is reported', async () => {
    const world = await pairingWorld(asJson);
    const watch = freshWatch();
    const at = now();
    const token = await tokenFor(world, watch, at);
    const claims = value(await world.keys.verify(token, { own: PUBLIC_URL }));
    const late = addMs(at, 11 * MINUTE_MS);
    world.standings.set(PHONE, 'not-enrolled');
    const faults: [string, Claims, EpochMs][] = [
      ['token-audience', { aud: FOREIGN, sub: 'WATCH-X', nonce: 'INVENTED' }, late],
      ['token-expired', { sub: 'WATCH-X', nonce: 'INVENTED' }, late],
      ['token-other-watch', { sub: 'WATCH-X', nonce: 'INVENTED' }, at],
    ];
    for (const [kind, change, when] of faults) {
      const signed = await world.keys.sign({ ...claims, ...change });
      expect(outcome(await present(world, watch, signed, when))).toBe(`challenge: ${kind}`);
    }
    const other = { serial: serial('SERIAL0002') };
    const source = '198.51.100.1';
    const invented = await world.keys.sign({ ...claims, nonce: 'INVENTED' });
    const unknown = await world.service.enroll(machineInfo(watch, invented, other), source, at);
    expect(outcome(unknown)).toBe('challenge: challenge-unknown');
    world.standings.set(PHONE, 'hosting');
    const fresh = await tokenFor(world, watch, at);
    world.standings.set(PHONE, 'not-enrolled');
    const mismatch = await world.service.enroll(machineInfo(watch, fresh, other), source, at);
    expect(outcome(mismatch)).toBe('challenge: serial-mismatch');
  });
});

describe("another issuer's token", () => {
  it('is honored once, without asking about its phone, and binds it', async () => {
    const foreignKeys = await PairingTokenKeys.import(await freshJwks());
    const world = await pairingWorld(asJson, issuersWith(foreignKeys));
    const watch = freshWatch();
    const at = now();
    const nonce = await challengeFor(world, watch, at);
    const foreignPhone = udid('PHONE-ELSEWHERE');
    const iat = Math.floor(at / 1000);
    const claims = { iss: FOREIGN, aud: PUBLIC_URL, sub: watch, phone: foreignPhone, nonce, jti: 'J', iat };
    const token = await foreignKeys.sign({ ...claims, exp: iat + 600 });
    // Has the issuer's keys fetched: requests that meet that fetch are told to come again.
    expect(outcome(await present(world, freshWatch(), token, at))).toBe('challenge: token-other-watch');
    const answers = await Promise.all([1, 2, 3].map(() => present(world, watch, token, at)));
    expect(answers.filter(({ kind }) => kind === 'profile')).toHaveLength(1);
    const pairing = (await store().history(watch)).find((p) => p.securityToken === nonce);
    expect(pairing).toMatchObject({ state: 'redeemed', phoneUdid: foreignPhone });
    expect(world.minted[0]?.origin).toMatchObject({ phoneUdid: foreignPhone });
  });

  it('signed in our name with its key is refused', async () => {
    const foreignKeys = await PairingTokenKeys.import(await freshJwks());
    const world = await pairingWorld(asJson, issuersWith(foreignKeys));
    const watch = freshWatch();
    const at = now();
    const nonce = await challengeFor(world, watch, at);
    const iat = Math.floor(at / 1000);
    const claims = { iss: PUBLIC_URL, aud: PUBLIC_URL, sub: watch, phone: PHONE, nonce, jti: 'J', iat };
    const token = await foreignKeys.sign({ ...claims, exp: iat + 600 });
    expect(outcome(await present(world, watch, token, at))).toBe('challenge: token-signature');
  });
});

describe('what is no watch', () => {
  it.each([
    ['forged', 'refused: machine-info-unverified'],
    ['garbage', 'refused: machine-info-malformed'],
  ])('%s MachineInfo is refused and written nowhere', async (body, expected) => {
    const world = await pairingWorld(asJson, { own: PUBLIC_URL }, untouchable());
    expect(outcome(await world.service.enroll(utf8(body), '192.0.2.1', now()))).toBe(expected);
  });

  it("an iPhone's MachineInfo is refused and written nowhere", async () => {
    const world = await pairingWorld(asJson, { own: PUBLIC_URL }, untouchable());
    const body = machineInfo(PHONE, null, { product: 'iPhone18,1' });
    expect(outcome(await world.service.enroll(body, '192.0.2.1', now()))).toBe('refused: not-a-watch');
  });
});

/** A store that fails the test when it is touched. */
function untouchable(): ReturnType<typeof store> {
  return new Proxy({} as ReturnType<typeof store>, {
    get: (_, name) => {
      throw new Error(`the store was touched: ${String(name)}`);
    },
  });
}

async function freshJwks(): Promise<string> {
  const { generateKeyPair, exportJWK } = await import('jose');
  const { privateKey } = await generateKeyPair('ES256', { extractable: true });
  return JSON.stringify({ keys: [{ ...(await exportJWK(privateKey)), kid: 'foreign' }] });
}

function issuersWith(keys: PairingTokenKeys) {
  const listed = [{ issuer: FOREIGN, jwksUrl: `${FOREIGN}/jwks.json` }];
  return { own: PUBLIC_URL, foreign: new ForeignIssuers(listed, async () => keys.publicJwks(), now) };
}
