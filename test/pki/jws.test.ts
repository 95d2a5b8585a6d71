import { CompactSign, exportJWK, generateKeyPair, type JWK, SignJWT, UnsecuredJWT } from 'jose';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ForeignIssuers, publicJwk } from '../../src/pki/jwks.ts';
import { PAIRING_TOKEN_CHARACTERS_MAX, PAIRING_TOKEN_TYPE, PairingTokenKeys } from '../../src/pki/jws.ts';
import { Fault, Unavailable } from '../../src/std/outcome.ts';
import { epochMs, MINUTE_MS, SECOND_MS } from '../../src/std/time.ts';
import { seeded } from './support/seeded.ts';

const OWN = 'https://mdm.example.com';
const OTHER = 'https://phones.example.com';
const CLAIMS = { iss: OWN, aud: OWN, sub: 'WATCH', phone: 'PHONE', nonce: 'N', jti: 'J', iat: 1, exp: 2 };

interface Made {
  readonly jwk: JWK;
  readonly key: CryptoKey;
}

let first: Made;
let second: Made;
let stranger: Made;
let keys: PairingTokenKeys;

async function make(kid: string, alg = 'ES256'): Promise<Made> {
  const pair = await generateKeyPair(alg, { extractable: true });
  return { jwk: { ...(await exportJWK(pair.privateKey)), kid }, key: pair.privateKey };
}

const set = (...made: Made[]) => JSON.stringify({ keys: made.map(({ jwk }) => jwk) });

beforeAll(async () => {
  [first, second, stranger] = await Promise.all([make('first'), make('second'), make('stranger')]);
  keys = await PairingTokenKeys.import(set(first, second));
});

async function check(token: string, by = keys, foreign?: ForeignIssuers): Promise<string> {
  const verified = await by.verify(token, foreign === undefined ? { own: OWN } : { own: OWN, foreign });
  return verified.ok ? 'ok' : verified.refusal.kind;
}

function token(made: Made, claims: object = CLAIMS, header: Record<string, unknown> = {}): Promise<string> {
  const payload = new TextEncoder().encode(JSON.stringify(claims));
  const full = { alg: 'ES256', typ: PAIRING_TOKEN_TYPE, kid: made.jwk.kid as string, ...header };
  return new CompactSign(payload).setProtectedHeader(full).sign(made.key);
}

describe('our own tokens', () => {
  it('are signed by the first key and read back as they were', async () => {
    const signed = await keys.sign(CLAIMS);
    expect(JSON.parse(atob(signed.split('.')[0] as string))).toEqual({
      alg: 'ES256',
      typ: PAIRING_TOKEN_TYPE,
      kid: 'first',
    });
    expect(await keys.verify(signed, { own: OWN })).toEqual({ ok: true, value: CLAIMS });
    expect(signed.length).toBeLessThan(700);
  });

  it('verify while their key is in the set, at any place', async () => {
    const rotated = await PairingTokenKeys.import(set(second, first));
    expect(await check(await keys.sign(CLAIMS), rotated)).toBe('ok');
    const retired = await PairingTokenKeys.import(set(second));
    expect(await check(await keys.sign(CLAIMS), retired)).toBe('token-signature');
  });

  it('have no date checked here', async () => {
    expect(await check(await token(first, { ...CLAIMS, exp: 1, nbf: 9e9 }))).toBe('ok');
  });

  it('are refused under another key of the same name', async () => {
    expect(await check(await token(stranger, CLAIMS, { kid: 'first' }))).toBe('token-signature');
    expect(await check(await token(stranger))).toBe('token-signature');
    expect(await check(await token(first, CLAIMS, { kid: 'second' }))).toBe('token-signature');
  });

  it('are refused with any character changed, dropped or added', async () => {
    const signed = await keys.sign(CLAIMS);
    for (let length = 0; length < signed.length; length++)
      expect(await check(signed.slice(0, length))).not.toBe('ok');
    for (let seed = 1; seed <= 1000; seed++) {
      const random = seeded(seed);
      const at = random.below(signed.length);
      const to = String.fromCharCode(0x21 + random.below(94));
      const changed = random.chance(0.5)
        ? signed.slice(0, at) + to + signed.slice(at + 1)
        : signed.slice(0, at) + to + signed.slice(at);
      if (changed === signed) continue;
      const verified = await keys.verify(changed, { own: OWN });
      // The last character of the signature carries four bits that mean nothing.
      if (verified.ok) expect([verified.value, at], `seed ${seed}`).toEqual([CLAIMS, signed.length - 1]);
    }
  });
});

describe('headers', () => {
  it('say this type and this algorithm, and name a key', async () => {
    for (const header of [
      { typ: 'JWT' },
      { typ: undefined },
      { typ: PAIRING_TOKEN_TYPE.toUpperCase() },
      { kid: undefined },
    ]) {
      expect(await check(await token(first, CLAIMS, header))).toBe('token-malformed');
    }
  });

  it('cannot ask for another algorithm', async () => {
    const header = { typ: PAIRING_TOKEN_TYPE, kid: 'first' };
    const unsigned = new UnsecuredJWT(CLAIMS).encode();
    const none = `${btoa(JSON.stringify({ alg: 'none', ...header })).replaceAll('=', '')}.${unsigned.split('.')[1]}.`;
    expect(await check(unsigned)).toBe('token-malformed');
    expect(await check(none)).toBe('token-malformed');
    // The public key as a MAC secret.
    const secret = new TextEncoder().encode(JSON.stringify(publicJwk(first.jwk)));
    const mac = await new SignJWT(CLAIMS).setProtectedHeader({ alg: 'HS256', ...header }).sign(secret);
    expect(await check(mac)).toBe('token-malformed');
    const wide = await make('first', 'ES384');
    expect(await check(await token(wide, CLAIMS, { alg: 'ES384' }))).toBe('token-malformed');
  });

  it('cannot bring a key along or demand extensions', async () => {
    const { d: _, ...bare } = stranger.jwk;
    expect(await check(await token(stranger, CLAIMS, { jwk: bare, kid: 'first' }))).toBe('token-signature');
    const signed = await keys.sign(CLAIMS);
    const crit = btoa(
      JSON.stringify({ alg: 'ES256', typ: PAIRING_TOKEN_TYPE, kid: 'first', crit: ['x'], x: 1 }),
    );
    expect(await check([crit.replaceAll('=', ''), ...signed.split('.').slice(1)].join('.'))).toBe(
      'token-malformed',
    );
  });
});

describe('claims', () => {
  it('are an object with an issuer', async () => {
    for (const claims of [[], [CLAIMS], 'text', null, 7, {}, { iss: 5 }]) {
      expect(await check(await token(first, claims as object))).toBe('token-malformed');
    }
  });

  it('are bounded', async () => {
    expect(await check(await token(first, { ...CLAIMS, x: 'y'.repeat(2600) }))).toBe('ok');
    const long = await token(first, { ...CLAIMS, x: 'y'.repeat(PAIRING_TOKEN_CHARACTERS_MAX) });
    expect(await check(long)).toBe('token-malformed');
  });

  it('that are not three segments of base64url are refused', async () => {
    for (const text of [
      '',
      '.',
      '..',
      '...',
      'a.b.c',
      '{}',
      'e30.e30.e30',
      `${await keys.sign(CLAIMS)}.`,
      '\u0000',
    ]) {
      expect(await check(text)).toBe('token-malformed');
    }
  });
});

describe('issuers', () => {
  let now: number;
  let fetched: string[];
  let answer: () => unknown;
  let foreign: ForeignIssuers;

  beforeEach(() => {
    now = Date.UTC(2026, 10, 22);
    fetched = [];
    answer = () => ({ keys: [publicJwk(stranger.jwk), { kty: 'RSA', kid: 'rsa' }] });
    foreign = new ForeignIssuers(
      [{ issuer: OTHER, jwksUrl: `${OTHER}/jwks.json` }],
      async (url) => {
        fetched.push(url);
        return answer();
      },
      () => epochMs(now),
    );
  });

  const theirs = () => token(stranger, { ...CLAIMS, iss: OTHER });

  it('other than the configured ones are refused, and nothing is fetched', async () => {
    expect(
      await check(await token(stranger, { ...CLAIMS, iss: 'https://evil.example' }), keys, foreign),
    ).toBe('token-issuer');
    expect(await check(await theirs())).toBe('token-issuer');
    expect(fetched).toEqual([]);
  });

  it('are verified with their published keys, fetched once in ten minutes', async () => {
    for (let i = 0; i < 3; i++) expect(await check(await theirs(), keys, foreign)).toBe('ok');
    now += 10 * MINUTE_MS - 1;
    expect(await check(await theirs(), keys, foreign)).toBe('ok');
    expect(fetched).toEqual([`${OTHER}/jwks.json`]);
    now += 1;
    expect(await check(await theirs(), keys, foreign)).toBe('ok');
    expect(fetched.length).toBe(2);
  });

  const outcome = async (signed: string) =>
    check(signed, keys, foreign).catch((error: unknown) =>
      error instanceof Unavailable ? 'unavailable' : String(error),
    );

  it('have their keys fetched by one request, though two hundred tokens come at once', async () => {
    const signed = await theirs();
    const outcomes = await Promise.all(Array.from({ length: 200 }, () => outcome(signed)));
    expect(fetched.length).toBe(1);
    expect(outcomes.filter((each) => each === 'ok').length).toBe(1);
    expect(outcomes.filter((each) => each === 'unavailable').length).toBe(199);
    expect(await outcome(signed)).toBe('ok');
  });

  it('are taken with the last keys while one request fetches the next, for half a minute', async () => {
    const signed = await theirs();
    expect(await outcome(signed)).toBe('ok');
    now += 10 * MINUTE_MS;
    const outcomes = await Promise.all(Array.from({ length: 200 }, () => outcome(signed)));
    expect(new Set(outcomes)).toEqual(new Set(['ok']));
    expect(fetched.length).toBe(2);
    now += 10 * MINUTE_MS;
    answer = () => null;
    expect(await outcome(signed)).toBe('unavailable');
    expect(await outcome(signed)).toBe('ok');
    now += 30 * SECOND_MS - 1;
    expect(await outcome(signed)).toBe('ok');
    now += 1;
    for (let i = 0; i < 2; i++) expect(await outcome(signed)).toBe('unavailable');
  });

  it('are not locked out by a request that was canceled while it fetched', async () => {
    const signed = await theirs();
    answer = () => new Promise(() => {});
    void outcome(signed);
    answer = () => ({ keys: [publicJwk(stranger.jwk)] });
    expect(await outcome(signed)).toBe('unavailable');
    now += SECOND_MS;
    expect(await outcome(signed)).toBe('ok');
    expect(fetched.length).toBe(2);
  });

  it('cannot sign in each other’s name', async () => {
    expect(await check(await token(stranger, CLAIMS), keys, foreign)).toBe('token-signature');
    expect(await check(await token(first, { ...CLAIMS, iss: OTHER }), keys, foreign)).toBe('token-signature');
    answer = () => ({ keys: [{ ...publicJwk(stranger.jwk), kid: 'first' }] });
    now += 11 * MINUTE_MS;
    expect(await check(await token(stranger, CLAIMS, { kid: 'first' }), keys, foreign)).toBe(
      'token-signature',
    );
  });

  it('may rotate: an unknown key fetches the set again, but not at the sender’s pace', async () => {
    expect(await check(await theirs(), keys, foreign)).toBe('ok');
    const fresh = await make('fresh');
    const signed = await token(fresh, { ...CLAIMS, iss: OTHER });
    answer = () => ({ keys: [publicJwk(fresh.jwk)] });
    for (let i = 0; i < 20; i++) expect(await check(signed, keys, foreign)).toBe('token-signature');
    expect(fetched.length).toBe(1);
    now += 30 * SECOND_MS;
    expect(await check(signed, keys, foreign)).toBe('ok');
    expect(await check(await theirs(), keys, foreign)).toBe('token-signature');
    expect(fetched.length).toBe(2);
  });

  it('whose keys cannot be fetched are unavailable, and are not asked again at once', async () => {
    const answers: (() => unknown)[] = [
      () => {
        throw new Error('refused');
      },
      () => null,
      () => ({ keys: [] }),
      () => ({ keys: Array.from({ length: 9 }, () => publicJwk(stranger.jwk)) }),
      () => ({ keys: [{ ...publicJwk(stranger.jwk), x: 'AAAA' }] }),
      () => ({ keys: [{ kty: 'oct', k: 'AAAA', kid: 'stranger' }] }),
    ];
    for (const [index, bad] of answers.entries()) {
      answer = bad;
      now += MINUTE_MS;
      for (let i = 0; i < 3; i++) {
        const error = await check(await theirs(), keys, foreign).catch((reason: unknown) => reason);
        expect(error, `answer ${index}`).toBeInstanceOf(Unavailable);
      }
      expect(fetched.length).toBe(index + 1);
    }
    answer = () => ({ keys: [publicJwk(stranger.jwk)] });
    now += MINUTE_MS;
    expect(await check(await theirs(), keys, foreign)).toBe('ok');
  });
});

describe('key sets', () => {
  it('are published without the private half', () => {
    const published = keys.publicJwks();
    expect(published.keys.map(({ kid }) => kid)).toEqual(['first', 'second']);
    for (const key of published.keys) {
      expect(Object.keys(key).sort()).toEqual(['alg', 'crv', 'kid', 'kty', 'use', 'x', 'y']);
    }
    expect(JSON.stringify(published)).not.toContain(first.jwk.d as string);
  });

  it('that cannot serve are a fault, which does not quote them', async () => {
    const { d, ...bare } = first.jwk;
    const bad: unknown[] = [
      'no json',
      {},
      { keys: [] },
      { keys: [bare] },
      { keys: [first.jwk, first.jwk] },
      { keys: [{ ...first.jwk, kid: undefined }] },
      { keys: [{ ...first.jwk, kid: '' }] },
      { keys: [{ ...first.jwk, kid: 'k'.repeat(129) }] },
      { keys: [{ ...first.jwk, crv: 'P-384' }] },
      { keys: [{ ...first.jwk, use: 'enc' }] },
      { keys: [{ ...first.jwk, alg: 'ES384' }] },
      { keys: [{ ...first.jwk, x: second.jwk.x }] },
      { keys: [{ ...first.jwk, d: `${d}AA` }] },
      { keys: [{ kty: 'oct', k: 'AAAA', kid: 'k' }] },
      { keys: Array.from({ length: 9 }, (_, i) => ({ ...first.jwk, kid: `k${i}` })) },
    ];
    for (const [index, each] of bad.entries()) {
      const json = typeof each === 'string' ? each : JSON.stringify(each);
      const error = await PairingTokenKeys.import(json).catch((reason: unknown) => reason);
      expect(error, `set ${index}`).toBeInstanceOf(Fault);
      expect(String(error)).not.toContain(d);
    }
  });
});
