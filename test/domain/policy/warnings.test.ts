/** What an administrator is told beside the rows. */
import { describe, expect, it } from 'vitest';
import { contributionsOf } from '../../../src/domain/policy/contributions.ts';
import { mergeRows } from '../../../src/domain/policy/merge.ts';
import type { PolicySource } from '../../../src/domain/policy/sources.ts';
import {
  phoneWarnings,
  rowWarnings,
  sourceWarnings,
  watchOnly,
  withheldWarnings,
} from '../../../src/domain/policy/warnings.ts';
import {
  catalog,
  judged,
  PASSCODE,
  PHONE,
  PHONE_27,
  POLICY,
  RESTRICTIONS,
  source,
  WATCH_27,
} from './sources.ts';

const VPN = 'com.apple.vpn.managed';
const ofSources = (sources: readonly PolicySource[], target = WATCH_27) =>
  sourceWarnings(sources, contributionsOf(sources, target, catalog));
const ofPhone = (sources: readonly PolicySource[]) =>
  phoneWarnings(mergeRows(judged(sources, PHONE_27)), sources);
const kinds = (warnings: readonly { readonly kind: string }[]) => warnings.map(({ kind }) => kind);

describe('keys of a source', () => {
  it('are named once for each source when they are deprecated, with what replaces them', () => {
    const old = source(RESTRICTIONS, { allowAssistantWhileLocked: false, forceOnDeviceOnlyDictation: true });
    expect(ofSources([old])).toMatchObject([
      {
        kind: 'deprecated-key',
        since: '26.4',
        replacement: 'com.apple.configuration.siri.settings',
        keys: ['restrictions/allowAssistantWhileLocked'],
      },
      {
        kind: 'deprecated-key',
        since: '26.4',
        replacement: null,
        keys: ['restrictions/forceOnDeviceOnlyDictation'],
      },
    ]);
    const before = { platform: 'watchOS', osVersion: '26.3', supervised: true } as const;
    expect(ofSources([old], before)).toEqual([]);
  });

  it('are named when the watch does not know them, and when the catalog does not', () => {
    const warnings = ofSources([
      source(RESTRICTIONS, { allowCamera: false, allowNews: false, futureKey: 1 }),
    ]);
    expect(warnings).toMatchObject([
      {
        kind: 'unsupported-key',
        rule: 'platform',
        expected: 'not watchOS',
        keys: ['restrictions/allowCamera', 'restrictions/allowNews'],
      },
      { kind: 'unknown-key', keys: ['restrictions/futureKey'] },
    ]);
  });

  it('are named when they ask for supervision that the device does not have', () => {
    const unsupervised = { ...PHONE_27, supervised: false };
    const warnings = ofSources([source(RESTRICTIONS, { allowPairedWatch: false })], unsupervised);
    expect(warnings).toMatchObject([{ kind: 'unsupported-key', rule: 'supervised' }]);
  });
});

describe('sources of one device', () => {
  it('are in conflict when passcode profiles say different things, and only then', () => {
    const two = [
      source(POLICY, { minLength: 6, maxInactivity: 5 }),
      source(POLICY, { minLength: 8, maxInactivity: 5 }),
    ];
    expect(ofSources(two)).toMatchObject([
      {
        kind: 'conflict',
        type: POLICY,
        keys: ['passcode/minLength'],
        origins: two.map(({ origin }) => origin),
      },
    ]);
    expect(ofSources([source(POLICY, { minLength: 6 }), source(POLICY, { minLength: 6 })])).toEqual([]);
    expect(
      ofSources([
        source(POLICY, { minLength: 6 }),
        source(POLICY, { minLength: 8 }, { because: 'inactive' }),
      ]),
    ).toEqual([]);
  });

  it('replace each other when they are profiles of one PayloadIdentifier', () => {
    const same = { payloadIdentifier: 'com.example.same' };
    const two = [
      source(POLICY, { minLength: 6 }, same),
      source(RESTRICTIONS, { allowScreenShot: false }, same),
    ];
    expect(ofSources(two)).toMatchObject([{ kind: 'same-profile', ...same }]);
  });

  it('are named when they cannot be read, or hold too much', () => {
    const many = Object.fromEntries(Array.from({ length: 501 }, (_, n) => [`allowThing${n}`, false]));
    const unread = source(POLICY, {}, { unread: 'foreign' });
    const found = ofSources([unread, source(RESTRICTIONS, many)]).filter(
      ({ kind }) => kind === 'source-unread',
    );
    expect(found).toMatchObject([{ reason: 'foreign', origin: unread.origin }, { reason: 'limit' }]);
  });

  it('are named when the manifest withholds them, unless they set no rules', () => {
    const withheld = { rule: 'version', expected: 'watchOS 26.4 or later' } as const;
    const one = (identifier: string, type: string) => ({
      ...({ kind: 'configuration', identifier, type, payload: null, serverToken: 't', withheld } as const),
      origin: { sets: [], setting: null },
    });
    const compiled = [one('a', PASSCODE), one('b', 'com.apple.configuration.management.test')];
    expect(withheldWarnings(compiled)).toEqual([{ kind: 'withheld', identifier: 'a', ...withheld }]);
  });
});

describe('an iPhone', () => {
  it('forces a passcode on its watch, and its own way to unlock it', () => {
    const sources = [source(PASSCODE, { RequireAlphanumericPasscode: true }, { device: PHONE })];
    expect(ofPhone(sources)).toEqual([
      { kind: 'passcode-forced-by-phone', keys: ['passcode/forcePIN', 'passcode/requireAlphanumeric'] },
      { kind: 'alphanumeric-on-phone' },
    ]);
    expect(ofPhone([source(PASSCODE, { MinimumLength: 6 }, { device: PHONE, because: 'inactive' })])).toEqual(
      [],
    );
  });

  it('unpairs its watch when that is forbidden', () => {
    const rule = (allowPairedWatch: boolean) => [
      source(RESTRICTIONS, { allowPairedWatch }, { device: PHONE }),
    ];
    expect(kinds(ofPhone(rule(false)))).toEqual(['paired-watch-forbidden']);
    expect(ofPhone(rule(true))).toEqual([]);
  });

  it('excludes the watch by an always-on VPN, in a profile or a declaration, and by no other', () => {
    const types = [VPN, 'com.apple.configuration.network.vpn.always-on'] as const;
    const always = types.map((type) => source(type, { VPNType: 'AlwaysOn' }, { device: PHONE }));
    expect(ofPhone(always)).toMatchObject(always.map(({ origin }) => ({ kind: 'always-on-vpn', origin })));
    expect(ofPhone([source(VPN, { VPNType: 'IKEv2' }, { device: PHONE })])).toEqual([]);
    expect(judged(always, PHONE_27)).toEqual([]);
  });
});

it('names rules that stay on the watch: those that its iPhone does not have as strictly', () => {
  const own = { minLength: 6, maxFailedAttempts: 5, maxGracePeriod: 3, maxInactivity: 5, pinHistory: 2 };
  const theirs = { minLength: 6, maxGracePeriod: 4, maxInactivity: 0, pinHistory: 3 };
  const watch = mergeRows(judged([source(POLICY, own)]));
  const phone = mergeRows(judged([source(POLICY, theirs, { device: PHONE })], PHONE_27));
  const keys = ['passcode/maxFailedAttempts', 'passcode/maxGracePeriod', 'passcode/maxInactivity'];
  expect(watchOnly(watch, phone)).toEqual([{ kind: 'watch-only', keys }]);
  expect(watchOnly([], phone)).toEqual([]);
});

it('names rows that the schema makes weaker, and limits beside an undocumented zero', () => {
  const weaker = [3, 7].map((limit) => source(PASSCODE, { PasscodeReuseLimit: limit }));
  const zero = [0, 5].map((minutes) => source(POLICY, { maxInactivity: minutes }));
  expect(rowWarnings(mergeRows(judged([...weaker, ...zero])))).toEqual([
    { kind: 'weaker-by-combine', keys: ['passcode/pinHistory'] },
    { kind: 'zero-undocumented', keys: ['passcode/maxInactivity'] },
  ]);
});
