import { describe, expect, it } from 'vitest';
import {
  type Challenge,
  decideChallenge,
  decideClaim,
  decideRedemption,
  deservesChallenge,
  type Lookup,
  type Redeeming,
} from '../../../src/domain/pairing/decisions.ts';
import { advance, beginPairing, type Pairing } from '../../../src/domain/pairing/states.ts';
import { epochMs } from '../../../src/std/time.ts';
import {
  OTHER_PHONE,
  PHONE,
  presented,
  refusal,
  SERIAL,
  serial,
  udid,
  value,
} from '../../support/pairing.ts';

const AT = epochMs(1_000_000);
const NONE = { bySource: 0, byNetwork: 0, byWatch: 0 };

function challenge(over: Partial<Challenge> = {}): Challenge {
  return {
    securityToken: 'S',
    pairingId: 'P',
    serial: SERIAL,
    source: '192.0.2.1',
    issuedAtMs: AT,
    expiresAtMs: epochMs(AT + 600_000),
    phoneUdid: null,
    claimedAtMs: null,
    ...over,
  };
}

function claimed(phoneUdid = PHONE): Challenge {
  return challenge({ phoneUdid, claimedAtMs: AT });
}

const begun: Pairing = beginPairing(
  { pairingId: 'P', watchUdid: udid('WATCH-0001'), watchSerial: SERIAL, securityToken: 'S' },
  AT,
);
const expired: Lookup = {
  challenge: null,
  pairing: advance(begun, { step: 'expired', reason: 'not-claimed' }, AT),
};
const consumed: Lookup = { challenge: null, pairing: { ...begun, phoneUdid: PHONE, redeemedAtMs: AT } };
const unknown: Lookup = { challenge: null, pairing: null };

function live(of: Challenge): Lookup {
  return { challenge: of, pairing: begun };
}

describe('a challenge', () => {
  it('is given while fewer than three are live', () => {
    expect(value(decideChallenge([challenge(), challenge()], NONE)).evict).toBeNull();
  });

  it('evicts the oldest unclaimed one when three are live', () => {
    const old = challenge({ securityToken: 'old', issuedAtMs: epochMs(AT - 2) });
    const older = { ...claimed(), securityToken: 'older', issuedAtMs: epochMs(AT - 3) };
    expect(value(decideChallenge([challenge(), older, old], NONE)).evict).toBe(old);
  });

  it('is refused when three live ones are claimed', () => {
    const refused = refusal(decideChallenge([claimed(), claimed(), claimed(OTHER_PHONE)], NONE));
    expect(refused.kind).toBe('too-many-challenges');
  });

  it.each([
    [19, 19, 19, null],
    [20, 20, 20, 'source-rate'],
    [0, 0, 60, null],
    [0, 0, 5000, null],
    [1, 1, 60, 'watch-rate'],
    [0, 1, 60, 'watch-rate'],
    [0, 59, 59, null],
    [1, 1, 59, null],
    [20, 20, 60, 'source-rate'],
  ])(
    'with %i from the source, %i from its network and %i for the watch this hour is judged %s',
    (bySource, byNetwork, byWatch, kind) => {
      const decided = decideChallenge([], { bySource, byNetwork, byWatch });
      expect(decided.ok ? null : decided.refusal.kind).toBe(kind);
    },
  );
});

describe('a claim', () => {
  it('is granted on a live challenge, and again to the same phone', () => {
    expect(decideClaim(live(challenge()), { phoneUdid: PHONE, fault: null }).ok).toBe(true);
    expect(decideClaim(live(claimed()), { phoneUdid: PHONE, fault: null }).ok).toBe(true);
  });

  it.each([
    ['unknown', unknown, 'challenge-unknown'],
    ['expired', expired, 'challenge-expired'],
    ['consumed', consumed, 'challenge-consumed'],
    ['claimed by another phone', live(claimed(OTHER_PHONE)), 'claimed-by-another-phone'],
  ])('on a challenge that is %s is refused', (_, found, kind) => {
    expect(refusal(decideClaim(found, { phoneUdid: PHONE, fault: null })).kind).toBe(kind);
  });

  it('reports what is wrong with the phone before what is wrong with the challenge', () => {
    const decided = decideClaim(live(claimed(OTHER_PHONE)), {
      phoneUdid: PHONE,
      fault: 'phone-not-assigned',
    });
    expect(refusal(decided).kind).toBe('phone-not-assigned');
  });
});

describe('a redemption', () => {
  const good: Redeeming = { serial: SERIAL, token: presented('S'), phone: null };
  const foreign = presented('S', { foreignIssuer: 'https://phones.example.com' });
  const otherSerial = serial('SERIAL0002');

  it('is granted for the claiming phone on a live challenge of this serial', () => {
    expect(decideRedemption(live(claimed()), good).ok).toBe(true);
  });

  it("takes another issuer's word for the phone of an unclaimed challenge", () => {
    expect(decideRedemption(live(challenge()), { ...good, token: foreign }).ok).toBe(true);
  });

  // Each row has the fault it is named for and every later one as well: the earlier is reported.
  it.each<[string, Lookup, Partial<Redeeming>]>([
    ['challenge-unknown', unknown, { serial: otherSerial, phone: 'phone-not-enrolled' }],
    ['challenge-consumed', consumed, { serial: otherSerial, phone: 'phone-not-enrolled' }],
    ['challenge-expired', expired, { serial: otherSerial, phone: 'phone-not-enrolled' }],
    ['serial-mismatch', live(challenge()), { serial: otherSerial, phone: 'phone-not-enrolled' }],
    ['serial-mismatch', live(claimed(OTHER_PHONE)), { serial: otherSerial, phone: 'phone-not-enrolled' }],
    ['challenge-unclaimed', live(challenge()), { phone: 'phone-not-enrolled' }],
    ['claimed-by-another-phone', live(claimed(OTHER_PHONE)), { phone: 'phone-not-enrolled' }],
    ['claimed-by-another-phone', live(claimed(OTHER_PHONE)), { token: foreign }],
    ['phone-not-enrolled', live(claimed()), { phone: 'phone-not-enrolled' }],
    ['phone-not-assigned', live(claimed()), { phone: 'phone-not-assigned' }],
    ['phone-unsupervised', live(claimed()), { phone: 'phone-unsupervised' }],
  ])('is refused as %s before anything later', (kind, found, change) => {
    expect(refusal(decideRedemption(found, { ...good, ...change })).kind).toBe(kind);
  });

  it('that is refused earns three fresh challenges, unless its phone may not host', () => {
    expect([0, 1, 2, 3, 4].map((before) => deservesChallenge('token-expired', before))).toEqual([
      true,
      true,
      true,
      false,
      false,
    ]);
    expect(deservesChallenge('phone-not-assigned', 0)).toBe(false);
    expect(deservesChallenge('phone-not-enrolled', 0)).toBe(false);
    expect(deservesChallenge('phone-unsupervised', 0)).toBe(false);
  });
});
