/** Rows merged from sources: by a table of cases, where nobody says which value counts, and what does not count. */
import { describe, expect, it } from 'vitest';
import { mergeRows } from '../../../src/domain/policy/merge.ts';
import type { JsonObject, JsonValue } from '../../../src/protocol/plist/json.ts';
import {
  byName,
  judged,
  PASSCODE,
  PHONE,
  PHONE_27,
  POLICY,
  RESTRICTIONS,
  rowsOf,
  SIRI,
  source,
} from './sources.ts';

const KEYBOARD = 'com.apple.configuration.keyboard.settings';
const SAFARI = 'com.apple.configuration.safari.settings';
const UPDATES = 'com.apple.configuration.softwareupdate.settings';
const APPS = 'com.apple.configuration.app.settings';
const ACCESSORY = 'com.apple.configuration.audio-accessory.settings';

type Said = readonly [string, JsonObject];

/** Sources of an iPhone, and the value that a row comes to. */
const CASES: readonly (readonly [string, readonly Said[], string, JsonValue])[] = [
  [
    'the longest minimum',
    [
      [PASSCODE, { MinimumLength: 6 }],
      [POLICY, { minLength: 8 }],
    ],
    'passcode/minLength',
    8,
  ],
  [
    'the fewest attempts',
    [
      [PASSCODE, { MaximumFailedAttempts: 5 }],
      [POLICY, { maxFailedAttempts: 10 }],
    ],
    'passcode/maxFailedAttempts',
    5,
  ],
  [
    'no grace at all',
    [
      [PASSCODE, { MaximumGracePeriodInMinutes: 5 }],
      [POLICY, { maxGracePeriod: 0 }],
    ],
    'passcode/maxGracePeriod',
    0,
  ],
  [
    'the shortest idle time, 0 being none',
    [
      [PASSCODE, { MaximumInactivityInMinutes: 0 }],
      [POLICY, { maxInactivity: 5 }],
    ],
    'passcode/maxInactivity',
    5,
  ],
  [
    'no idle time, where all say 0',
    [
      [PASSCODE, { MaximumInactivityInMinutes: 0 }],
      [POLICY, { maxInactivity: 0 }],
    ],
    'passcode/maxInactivity',
    0,
  ],
  [
    'the shortest age',
    [
      [PASSCODE, { MaximumPasscodeAgeInDays: 90 }],
      [POLICY, { maxPINAgeInDays: 30 }],
    ],
    'passcode/maxPINAgeInDays',
    30,
  ],
  [
    'the longest history',
    [
      [POLICY, { pinHistory: 3 }],
      [POLICY, { pinHistory: 7 }],
    ],
    'passcode/pinHistory',
    7,
  ],
  [
    'the shorter history of two declarations, as the schema combines them',
    [
      [PASSCODE, { PasscodeReuseLimit: 3 }],
      [PASSCODE, { PasscodeReuseLimit: 7 }],
    ],
    'passcode/pinHistory',
    3,
  ],
  [
    'the longer history of a declaration and a profile',
    [
      [PASSCODE, { PasscodeReuseLimit: 3 }],
      [POLICY, { pinHistory: 7 }],
    ],
    'passcode/pinHistory',
    7,
  ],
  [
    'a complex passcode is not a simple one',
    [
      [PASSCODE, { RequireComplexPasscode: true }],
      [POLICY, { allowSimple: true }],
    ],
    'passcode/allowSimple',
    false,
  ],
  [
    'one declaration of two asks for a complex passcode',
    [
      [PASSCODE, { RequireComplexPasscode: true }],
      [PASSCODE, { RequireComplexPasscode: false }],
    ],
    'passcode/allowSimple',
    false,
  ],
  [
    'a passcode, where one asks',
    [
      [PASSCODE, { RequirePasscode: false }],
      [POLICY, { forcePIN: true }],
    ],
    'passcode/forcePIN',
    true,
  ],
  [
    'a passcode, where a rule for it is declared',
    [[PASSCODE, { RequirePasscode: false, MinimumLength: 4 }]],
    'passcode/forcePIN',
    true,
  ],
  [
    'alphanumeric, where one asks',
    [
      [PASSCODE, { RequireAlphanumericPasscode: true }],
      [POLICY, { requireAlphanumeric: false }],
    ],
    'passcode/requireAlphanumeric',
    true,
  ],
  [
    'not allowed, where one forbids',
    [
      [RESTRICTIONS, { allowCamera: true }],
      [RESTRICTIONS, { allowCamera: false }],
    ],
    'restrictions/allowCamera',
    false,
  ],
  [
    'forced, where one forces',
    [
      [RESTRICTIONS, { forceEncryptedBackup: true }],
      [RESTRICTIONS, { forceEncryptedBackup: false }],
    ],
    'restrictions/forceEncryptedBackup',
    true,
  ],
  [
    'Siri by either spelling',
    [
      [RESTRICTIONS, { allowAssistantWhileLocked: true }],
      [SIRI, { AllowWhileLocked: false }],
    ],
    'restrictions/allowAssistantWhileLocked',
    false,
  ],
  [
    'apps that both lists have',
    [
      [RESTRICTIONS, { allowListedAppBundleIDs: ['b', 'a'] }],
      [RESTRICTIONS, { allowListedAppBundleIDs: ['c', 'b'] }],
    ],
    'restrictions/allowListedAppBundleIDs',
    ['b'],
  ],
  [
    'apps that either list has',
    [
      [RESTRICTIONS, { blockedAppBundleIDs: ['b', 'a'] }],
      [RESTRICTIONS, { blockedAppBundleIDs: ['c', 'b'] }],
    ],
    'restrictions/blockedAppBundleIDs',
    ['a', 'b', 'c'],
  ],
  [
    'the longest delay',
    [
      [RESTRICTIONS, { enforcedSoftwareUpdateDelay: 30 }],
      [RESTRICTIONS, { enforcedSoftwareUpdateDelay: 60 }],
    ],
    'restrictions/enforcedSoftwareUpdateDelay',
    60,
  ],
  [
    'the lowest rating',
    [
      [RESTRICTIONS, { ratingApps: 300 }],
      [RESTRICTIONS, { ratingApps: 100 }],
    ],
    'restrictions/ratingApps',
    100,
  ],
  [
    'boolean-and',
    [
      [KEYBOARD, { AllowDictation: true }],
      [KEYBOARD, { AllowDictation: false }],
    ],
    `${KEYBOARD}/AllowDictation`,
    false,
  ],
  [
    'boolean-or',
    [
      [SIRI, { ForceProfanityFilter: true }],
      [SIRI, { ForceProfanityFilter: false }],
    ],
    `${SIRI}/ForceProfanityFilter`,
    true,
  ],
  [
    'number-max, in a dictionary',
    [
      [UPDATES, { Deferrals: { CombinedPeriodInDays: 7 } }],
      [UPDATES, { Deferrals: { CombinedPeriodInDays: 30 } }],
    ],
    `${UPDATES}/Deferrals.CombinedPeriodInDays`,
    30,
  ],
  [
    'enum-first',
    [
      [SAFARI, { AcceptCookies: 'Always' }],
      [SAFARI, { AcceptCookies: 'CurrentWebsite' }],
    ],
    `${SAFARI}/AcceptCookies`,
    'CurrentWebsite',
  ],
  [
    'enum-last',
    [
      [UPDATES, { RecommendedCadence: 'Newest' }],
      [UPDATES, { RecommendedCadence: 'All' }],
    ],
    `${UPDATES}/RecommendedCadence`,
    'Newest',
  ],
  [
    'enum-last, by the name of an app',
    [[APPS, { Privacy: { PermissionDefaults: { 'com.example.a': { Camera: 'Allow' } } } }]],
    `${APPS}/Privacy.PermissionDefaults.com.example.a.Camera`,
    'Allow',
  ],
  [
    'set-intersection',
    [
      [APPS, { Allowed: { AllowedApps: ['a', 'b'] } }],
      [APPS, { Allowed: { AllowedApps: ['b'] } }],
    ],
    `${APPS}/Allowed.AllowedApps`,
    ['b'],
  ],
];

describe('a table of cases', () => {
  it.each(CASES)('%s', (_name, said, row, value) => {
    const sources = said.map(([type, values]) => source(type, values, { device: PHONE }));
    for (const order of [sources, [...sources].reverse()]) {
      const found = byName(mergeRows(judged(order, PHONE_27))).get(row);
      expect(found?.value).toEqual(value);
      expect(found?.decided).toBe(true);
    }
  });
});

describe('what cannot be said', () => {
  it('shows all values of a key that nobody documents, and claims none', () => {
    const sources = [true, false].map((value) =>
      source(RESTRICTIONS, { allowUSBRestrictedMode: value }, { device: PHONE }),
    );
    const row = byName(mergeRows(judged(sources, PHONE_27))).get('restrictions/allowUSBRestrictedMode');
    expect(row).toMatchObject({
      value: null,
      decided: false,
      certain: false,
      rule: { kind: 'unknown' },
      origin: null,
    });
    expect(row?.contributors.map(({ value, wins }) => [value, wins])).toEqual([
      [true, false],
      [false, false],
    ]);
  });

  it('takes a value that all sources of an unknown key agree on', () => {
    const sources = [1, 1].map((value) => source(RESTRICTIONS, { futureKey: value }));
    const row = rowsOf(sources).get('restrictions/futureKey');
    expect(row).toMatchObject({ value: 1, decided: true, rule: { kind: 'unknown' } });
  });

  it('leaves what the schema decides by order undecided', () => {
    const Configuration = (hour: number) => ({
      TemporaryPairing: { Configuration: { UnpairingTime: { Policy: 'Hour', Hour: hour } } },
    });
    const sources = [7, 8].map((hour) => source(ACCESSORY, Configuration(hour), { device: PHONE }));
    const rows = mergeRows(judged(sources, PHONE_27)).filter((row) => row.key.endsWith('Hour'));
    expect(rows).toMatchObject([{ value: null, decided: false }]);
  });

  it('is not certain of a list to which something is added that may be mirrored', () => {
    const list = (ids: string[], over = {}) => source(RESTRICTIONS, { blockedAppBundleIDs: ids }, over);
    const mirrored = { device: PHONE, via: 'mirror' } as const;
    const [more] = mergeRows(judged([list(['a']), list(['b'], mirrored)], PHONE_27));
    expect(more).toMatchObject({ value: ['a', 'b'], own: ['a'], certain: false });
    const [same] = mergeRows(judged([list(['a']), list(['a'], mirrored)], PHONE_27));
    expect(same).toMatchObject({ value: ['a'], certain: true });
  });

  it('is not certain of a limit beside an undocumented zero', () => {
    const row = rowsOf([source(POLICY, { maxInactivity: 0 }), source(POLICY, { maxInactivity: 5 })]).get(
      'passcode/maxInactivity',
    );
    expect(row).toMatchObject({ value: 5, certain: false, zero: true });
  });

  it('says where the schema combines to less than the strictest', () => {
    const declared = [3, 7].map((limit) => source(PASSCODE, { PasscodeReuseLimit: limit }));
    expect(rowsOf(declared).get('passcode/pinHistory')).toMatchObject({ value: 3, weaker: true });
    expect(
      rowsOf([source(POLICY, { pinHistory: 3 }), source(POLICY, { pinHistory: 7 })]).get(
        'passcode/pinHistory',
      ),
    ).toMatchObject({ value: 7, weaker: false });
  });
});

describe('what does not count', () => {
  it('shows and passes over a source that the device does not apply', () => {
    const row = rowsOf([
      source(POLICY, { minLength: 12 }, { because: 'not-installed' }),
      source(PASSCODE, { MinimumLength: 10 }, { because: 'inactive' }),
      source(POLICY, { minLength: 4 }),
    ]).get('passcode/minLength');
    expect(row?.value).toBe(4);
    expect(row?.contributors.map(({ value, because, wins }) => [value, because, wins])).toEqual(
      expect.arrayContaining([
        [12, 'not-installed', false],
        [10, 'inactive', false],
        [4, null, true],
      ]),
    );
  });

  it('has no value where nothing counts', () => {
    const row = rowsOf([source(POLICY, { minLength: 12 }, { because: 'not-installed' })]).get(
      'passcode/minLength',
    );
    expect(row).toMatchObject({ value: null, own: null, origin: null, decided: true });
  });

  it('passes over a key that the watch does not know, and a value of another type', () => {
    const rows = rowsOf([source(RESTRICTIONS, { allowCamera: false, allowScreenShot: 'no' })]);
    expect(rows.get('restrictions/allowCamera')?.contributors).toMatchObject([{ because: 'unsupported' }]);
    expect(rows.get('restrictions/allowScreenShot')?.contributors).toMatchObject([{ because: 'malformed' }]);
  });
});
