/** Who may speak for a device, and what each check-in message does to its enrollment (design section 4, facts 2). */
import { describe, expect, it } from 'vitest';
import {
  decideAuthenticate,
  decideCaller,
  decideCheckOut,
  decideTokenUpdate,
} from '../../../src/domain/enrollment/decisions.ts';
import type { Enrollment, ExpectedIdentity } from '../../../src/domain/enrollment/state.ts';
import type { SerialNumber } from '../../../src/domain/ids.ts';
import { utf8 } from '../../../src/std/bytes.ts';
import { epochMs } from '../../../src/std/time.ts';

const NOW = epochMs(1_800_000_000_000);
const [PIN, RENEWED, SECOND_RENEWAL, FRESH] = ['a', 'b', 'c', 'd'].map((letter) => letter.repeat(64)) as [
  string,
  string,
  string,
  string,
];

const TOLD = {
  topic: 'com.apple.mgmt.x',
  productName: 'Watch7,20',
  osVersion: '26.1',
  buildVersion: '23S35',
};
const FACTS = { ...TOLD, serial: 'SERIAL2' as SerialNumber };
const TOKENS = {
  topic: 'com.apple.mgmt.y',
  pushToken: utf8('token'),
  pushMagic: 'magic',
  unlockToken: utf8('sealed'),
};

function enrollment(over: Partial<Enrollment> = {}): Enrollment {
  return {
    enrollmentId: PIN,
    state: 'enrolled',
    pin: PIN,
    platform: 'watchOS',
    serial: 'SERIAL1' as SerialNumber,
    pairingId: 'pairing-1',
    phoneUdid: 'PHONE-0001',
    topic: 'com.apple.mgmt.x',
    pushToken: utf8('old token'),
    pushMagic: 'old magic',
    unlockToken: utf8('old unlock'),
    bootstrapToken: utf8('bootstrap'),
    productName: null,
    osVersion: null,
    buildVersion: null,
    supervised: true,
    identityIssuedAtMs: epochMs(0),
    startedAtMs: epochMs(1),
    enrolledAtMs: epochMs(2),
    endedAtMs: null,
    presumedEnd: null,
    ...over,
  };
}

function expected(
  digest: string,
  renewalOf: string | null = null,
  over: Partial<ExpectedIdentity> = {},
): ExpectedIdentity {
  const serial = 'SERIAL2' as SerialNumber;
  const pairing = { pairingId: 'pairing-2', phoneUdid: 'PHONE-0002' };
  const times = { issuedAtMs: NOW, permittedAtMs: null };
  return { digest, platform: 'watchOS', serial, ...pairing, renewalOf, ...times, ...over };
}

const kindOf = (outcome: { ok: boolean; refusal?: { kind: string } }) =>
  outcome.ok ? 'ok' : outcome.refusal?.kind;

describe('who may speak for a device', () => {
  it.each<[string, Enrollment | null, ExpectedIdentity[], string, string]>([
    ['nobody, before anything Authenticated', null, [expected(PIN)], PIN, 'not-enrolled'],
    ['the pinned certificate', enrollment(), [], PIN, 'ok'],
    ['the pinned certificate before TokenUpdate', enrollment({ state: 'authenticated' }), [], PIN, 'ok'],
    [
      'nobody after CheckOut, not even the pinned one',
      enrollment({ state: 'checked-out' }),
      [],
      PIN,
      'checked-out',
    ],
    [
      'no renewal after CheckOut',
      enrollment({ state: 'checked-out' }),
      [expected(RENEWED, PIN)],
      RENEWED,
      'checked-out',
    ],
    ['no certificate that nobody issued', enrollment(), [], FRESH, 'pin-mismatch'],
    [
      'no certificate of a new enrollment before its Authenticate',
      enrollment(),
      [expected(FRESH)],
      FRESH,
      'pin-mismatch',
    ],
    ['a renewal of the pinned certificate', enrollment(), [expected(RENEWED, PIN)], RENEWED, 'ok'],
    ['no renewal of another certificate', enrollment(), [expected(RENEWED, FRESH)], RENEWED, 'pin-mismatch'],
  ])('%s', (_sentence, state, identities, digest, outcome) => {
    expect(kindOf(decideCaller(state, identities, digest))).toBe(outcome);
  });

  it('moves the pin once: the predecessor and a second renewal of it are out', () => {
    const identities = [expected(RENEWED, PIN), expected(SECOND_RENEWAL, PIN)];
    const moved = decideCaller(enrollment(), identities, RENEWED);
    if (!moved.ok) throw new Error('the renewal was refused');
    expect(moved.value).toEqual(enrollment({ pin: RENEWED }));
    for (const digest of [PIN, SECOND_RENEWAL]) {
      expect(kindOf(decideCaller(moved.value, identities, digest))).toBe('pin-mismatch');
    }
    expect(kindOf(decideCaller(moved.value, identities, RENEWED))).toBe('ok');
  });
});

describe('Authenticate', () => {
  it('with a certificate that was issued for the device starts a fresh enrollment', () => {
    const decided = decideAuthenticate(enrollment(), [expected(FRESH)], FRESH, FACTS, NOW);
    if (!decided.ok || decided.value === null) throw new Error('nothing started');
    expect(decided.value).toMatchObject({ reset: true, pairingStep: 'authenticated' });
    expect(decided.value.enrollment).toEqual({
      ...TOLD,
      enrollmentId: FRESH,
      state: 'authenticated',
      pin: FRESH,
      platform: 'watchOS',
      serial: 'SERIAL2',
      pairingId: 'pairing-2',
      phoneUdid: 'PHONE-0002',
      pushToken: null,
      pushMagic: null,
      unlockToken: null,
      bootstrapToken: null,
      supervised: null,
      identityIssuedAtMs: NOW,
      startedAtMs: NOW,
      enrolledAtMs: null,
      endedAtMs: null,
      presumedEnd: null,
    });
  });

  it.each<Enrollment['state']>(['authenticated', 'enrolled'])(
    'said again by the pinned certificate changes nothing (%s)',
    (state) => {
      expect(decideAuthenticate(enrollment({ state }), [], PIN, FACTS, NOW)).toEqual({
        ok: true,
        value: null,
      });
    },
  );

  it('of a device that checked out is not revived by the old certificate', () => {
    const decided = decideAuthenticate(enrollment({ state: 'checked-out' }), [], PIN, FACTS, NOW);
    expect(kindOf(decided)).toBe('identity-unknown');
  });

  it.each([null, enrollment(), enrollment({ state: 'checked-out' })])(
    'with a certificate that was not issued for it is refused',
    (state) => {
      expect(kindOf(decideAuthenticate(state, [expected(RENEWED)], FRESH, FACTS, NOW))).toBe(
        'identity-unknown',
      );
    },
  );
});

describe('a certificate that may begin no enrollment here', () => {
  const decide = (state: Enrollment | null, identity: Partial<ExpectedIdentity>) =>
    kindOf(decideAuthenticate(state, [expected(FRESH, null, identity)], FRESH, FACTS, NOW));
  const gone = enrollment({ state: 'checked-out' });

  it('is a renewal', () => {
    for (const state of [null, enrollment(), gone]) {
      expect(decide(state, { renewalOf: PIN })).toBe('identity-unknown');
    }
  });

  it('is one that was issued no later than the one that began the last', () => {
    const last = { identityIssuedAtMs: NOW };
    for (const state of [enrollment(last), { ...gone, ...last }]) {
      expect(decide(state, { issuedAtMs: NOW })).toBe('identity-unknown');
      expect(decide(state, { issuedAtMs: epochMs(NOW + 1) })).toBe('ok');
    }
  });

  it('is one for another platform, while the device is enrolled', () => {
    expect(decide(enrollment(), { platform: 'iOS' })).toBe('enrollment-live');
    expect(decide(gone, { platform: 'iOS' })).toBe('ok');
  });

  it('is one of a listed serial number, if the live enrollment is newer than the listing or another’s', () => {
    const serial = enrollment().serial;
    const facts = { ...FACTS, serial };
    const listed = (state: Enrollment, at: number, own = serial) => {
      const identity = expected(FRESH, null, { permittedAtMs: epochMs(at), serial: own });
      return kindOf(decideAuthenticate(state, [identity], FRESH, { ...facts, serial: own }, NOW));
    };
    const live = enrollment({ startedAtMs: epochMs(100) });
    expect([listed(live, 99), listed(live, 100), listed(live, 101)]).toEqual([
      'enrollment-live',
      'enrollment-live',
      'ok',
    ]);
    expect(listed({ ...live, state: 'checked-out' }, 1)).toBe('ok');
    expect(listed({ ...live, state: 'checked-out' }, 1, 'SERIAL9' as SerialNumber)).toBe('enrollment-live');
  });
});

describe('the serial number in Authenticate', () => {
  const decide = (serial: string | null) =>
    decideAuthenticate(
      null,
      [expected(FRESH)],
      FRESH,
      { ...FACTS, serial: serial as SerialNumber | null },
      NOW,
    );

  it('must be the one that the credential was for', () => {
    expect(kindOf(decide('SERIAL9'))).toBe('serial-mismatch');
  });

  it('may be missing, as access rights can keep it back', () => {
    expect(kindOf(decide(null))).toBe('ok');
  });
});

describe('TokenUpdate', () => {
  it('first makes the device enrolled, and the pairing with it', () => {
    const change = decideTokenUpdate(enrollment({ state: 'authenticated', enrolledAtMs: null }), TOKENS, NOW);
    expect(change).toMatchObject({ reset: false, pairingStep: 'enrolled' });
    expect(change.enrollment).toMatchObject({ ...TOKENS, state: 'enrolled', enrolledAtMs: NOW });
  });

  it('later replaces the tokens and keeps the time of enrollment', () => {
    const change = decideTokenUpdate(enrollment(), TOKENS, NOW);
    expect(change).toMatchObject({ reset: false, pairingStep: null });
    expect(change.enrollment).toEqual(enrollment(TOKENS));
  });

  it('without an UnlockToken keeps the stored one', () => {
    const { enrollment: after } = decideTokenUpdate(enrollment(), { ...TOKENS, unlockToken: null }, NOW);
    expect(after.unlockToken).toEqual(utf8('old unlock'));
  });
});

it('CheckOut ends the enrollment and forgets each secret, but not who the device was', () => {
  const change = decideCheckOut(enrollment(), NOW);
  expect(change).toMatchObject({ reset: true, pairingStep: null });
  const gone = { pushToken: null, pushMagic: null, unlockToken: null, bootstrapToken: null };
  expect(change.enrollment).toEqual(enrollment({ state: 'checked-out', endedAtMs: NOW, ...gone }));
});
