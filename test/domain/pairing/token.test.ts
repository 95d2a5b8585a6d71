import { describe, expect, it } from 'vitest';
import { checkClaims, pairingClaims } from '../../../src/domain/pairing/token.ts';
import { addMs, epochMs, MINUTE_MS } from '../../../src/std/time.ts';
import { OTHER_PHONE, PHONE, PUBLIC_URL, refusal, udid, value } from '../../support/pairing.ts';

const AT = epochMs(Date.UTC(2026, 0, 31, 12));
const WATCH = udid('WATCH-0001');
const EXPECTED = { publicUrl: PUBLIC_URL, watchUdid: WATCH };
const minting = {
  publicUrl: PUBLIC_URL,
  watchUdid: WATCH,
  phoneUdid: PHONE,
  securityToken: 'S',
  tokenId: 'J',
};
const good = { ...pairingClaims(minting, AT) };

function kindOf(claims: Record<string, unknown>, at = AT): string {
  return refusal(checkClaims(claims, EXPECTED, at)).kind;
}

describe('the claims of a pairing token', () => {
  it('are those of the design, valid for ten minutes', () => {
    expect(good).toEqual({
      iss: PUBLIC_URL,
      aud: PUBLIC_URL,
      sub: WATCH,
      phone: PHONE,
      nonce: 'S',
      jti: 'J',
      iat: AT / 1000,
      exp: AT / 1000 + 600,
    });
  });

  it('live shorter where the deployment wants that', () => {
    const short = { ...pairingClaims(minting, AT, 5000) };
    expect(short.exp).toBe(AT / 1000 + 5);
    expect(checkClaims(short, EXPECTED, addMs(AT, 4999)).ok).toBe(true);
    expect(kindOf(short, addMs(AT, 5000))).toBe('token-expired');
  });

  it('are accepted for this watch and server within their time', () => {
    const token = { phoneUdid: PHONE, securityToken: 'S', tokenId: 'J', foreignIssuer: null };
    expect(value(checkClaims(good, EXPECTED, AT))).toEqual(token);
    expect(checkClaims(good, EXPECTED, addMs(AT, 10 * MINUTE_MS - 1)).ok).toBe(true);
  });

  it('name the issuer when another server minted the token', () => {
    const claims = { ...good, iss: 'https://phones.example.com' };
    expect(value(checkClaims(claims, EXPECTED, AT)).foreignIssuer).toBe('https://phones.example.com');
  });

  for (const name of ['iss', 'sub', 'phone', 'nonce', 'jti', 'iat', 'exp']) {
    it(`are malformed without ${name}`, () => {
      const { [name]: _, ...rest } = good as Record<string, unknown>;
      expect(kindOf(rest)).toBe('token-malformed');
    });
  }

  it.each([
    ['no audience', { aud: undefined }, 'token-audience'],
    ['another audience', { aud: 'https://other.example.com' }, 'token-audience'],
    ['several audiences', { aud: [PUBLIC_URL] }, 'token-audience'],
    ['a phone that is no UDID', { phone: 'x y' }, 'token-malformed'],
    ['an empty nonce', { nonce: '' }, 'token-malformed'],
    ['a nonce of 257 characters', { nonce: 'n'.repeat(257) }, 'token-malformed'],
    ['a number as jti', { jti: 7 }, 'token-malformed'],
    ['an expiry in words', { exp: 'soon' }, 'token-malformed'],
    ['an expiry that is no number', { exp: Number.NaN }, 'token-expired'],
    ['another watch', { sub: 'WATCH-0002' }, 'token-other-watch'],
    ['an issue time far ahead', { iat: AT / 1000 + 61 }, 'token-expired'],
  ])('are refused with %s', (_, change, kind) => {
    expect(kindOf({ ...good, ...change })).toBe(kind);
  });

  it('expire at the end of ten minutes, whatever a longer exp says', () => {
    const long = { ...good, exp: AT / 1000 + 86_400 };
    expect(kindOf(good, addMs(AT, 10 * MINUTE_MS))).toBe('token-expired');
    expect(kindOf(long, addMs(AT, 10 * MINUTE_MS))).toBe('token-expired');
  });

  it('tolerate an issuer whose clock is a minute ahead', () => {
    expect(checkClaims({ ...good, iat: AT / 1000 + 60 }, EXPECTED, AT).ok).toBe(true);
  });

  it('report the earliest fault of the order: shape, audience, expiry, watch', () => {
    const late = addMs(AT, 11 * MINUTE_MS);
    const all = { ...good, jti: null, aud: 'x', sub: 'WATCH-0002', phone: OTHER_PHONE };
    expect(kindOf(all, late)).toBe('token-malformed');
    expect(kindOf({ ...all, jti: 'J' }, late)).toBe('token-audience');
    expect(kindOf({ ...all, jti: 'J', aud: PUBLIC_URL }, late)).toBe('token-expired');
    expect(kindOf({ ...all, jti: 'J', aud: PUBLIC_URL }, AT)).toBe('token-other-watch');
  });

  it('tell the security token with a refusal, for its timeline', () => {
    expect(refusal(checkClaims({ ...good, aud: 'x' }, EXPECTED, AT)).securityToken).toBe('S');
    expect(refusal(checkClaims({}, EXPECTED, AT)).securityToken).toBeNull();
  });
});
