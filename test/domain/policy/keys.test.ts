/** The table of directions against the catalog: every key that a policy payload may have is decided, or said not to be. */
import { expect, it } from 'vitest';
import { DECLARED_PASSCODE, PASSCODE, POLICY_CONFIGURATIONS } from '../../../src/domain/policy/keys.ts';
import { settingsOf, spellingsOf } from '../../../src/domain/policy/settings.ts';
import { listEntries } from '../../../src/protocol/catalog/catalog.ts';
import type { JsonValue } from '../../../src/protocol/plist/json.ts';
import { catalog, POLICY, RESTRICTIONS, PASSCODE as SETTINGS, SIRI } from './sources.ts';

const UNDECIDED = ['allowUSBRestrictedMode', 'autonomousSingleAppModePermittedAppIDs', 'ratingRegion'];
const SAMPLES: Record<string, JsonValue> = { boolean: true, integer: 1, real: 1, string: 'x', array: [] };

const keysOf = (type: string) => catalog.find(type)?.keys ?? [];
const settingOf = (type: string, key: string, kind: string) =>
  settingsOf(type, { [key]: SAMPLES[kind] ?? null }, catalog).settings[0];

it('has a direction for each of the 155 restrictions but three, which nobody documents', () => {
  const open = keysOf(RESTRICTIONS).filter(
    ({ name, type }) => settingOf(RESTRICTIONS, name, type)?.row.prefers === null,
  );
  expect(keysOf(RESTRICTIONS)).toHaveLength(155);
  expect(open.map(({ name }) => name)).toEqual(UNDECIDED);
});

it('has every key of both passcode payloads, and no other', () => {
  expect(Object.keys(PASSCODE).sort()).toEqual(
    keysOf(POLICY)
      .map(({ name }) => name)
      .sort(),
  );
  expect([...DECLARED_PASSCODE.keys()].sort()).toEqual(
    keysOf(SETTINGS)
      .map(({ name }) => name)
      .sort(),
  );
});

/** The one that the schema combines the other way than its meaning is. */
it('prefers of a passcode key what the schema combines to, but for the history', () => {
  const words: Record<string, string> = {
    'boolean-or': 'true',
    'number-max': 'larger',
    'number-min': 'smaller',
  };
  const different = keysOf(SETTINGS).filter(({ name, combine }) => {
    const { prefers, negated } = PASSCODE[DECLARED_PASSCODE.get(name) ?? ''] ?? {};
    return (negated ? 'true' : prefers) !== words[combine ?? ''];
  });
  expect(different.map(({ name }) => name)).toEqual(['PasscodeReuseLimit']);
});

it('reads both spellings of a rule into one row', () => {
  for (const [declared, key] of DECLARED_PASSCODE) {
    expect(settingOf(SETTINGS, declared, 'boolean')?.row).toEqual(settingOf(POLICY, key, 'boolean')?.row);
    expect(spellingsOf({ domain: 'passcode', key })).toEqual([
      [POLICY, key],
      [SETTINGS, declared],
    ]);
  }
  expect(settingOf(SIRI, 'AllowWhileLocked', 'boolean')?.row).toEqual(
    settingOf(RESTRICTIONS, 'allowAssistantWhileLocked', 'boolean')?.row,
  );
});

it('names every configuration of either platform that is combined and sets rules', async () => {
  const content = ['management.status-subscriptions', 'safari.bookmarks'].map(
    (name) => `com.apple.configuration.${name}`,
  );
  const combined = (await listEntries('configuration'))
    .filter(
      ({ platforms, apply }) => (platforms.iOS ?? platforms.watchOS) !== undefined && apply === 'combined',
    )
    .map(({ type }) => type);
  expect([...POLICY_CONFIGURATIONS, ...content].sort()).toEqual(combined.sort());
});

it('looks at no more keys than a payload may have', () => {
  const many = Object.fromEntries(Array.from({ length: 501 }, (_, n) => [`allowThing${n}`, false]));
  const { settings, cut } = settingsOf(RESTRICTIONS, many, catalog);
  expect([settings.length, cut]).toEqual([500, true]);
});
