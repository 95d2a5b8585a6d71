/**
 * Rows of any sources: whatever the order of the sources, the same rows; and no source that counts is stricter than its
 * row, but where Apple's schema combines to less.
 */
import { describe, expect, it } from 'vitest';
import type { PolicySource } from '../../../src/domain/policy/sources.ts';
import { isAsStrict } from '../../../src/domain/policy/strictness.ts';
import type { JsonValue } from '../../../src/protocol/plist/json.ts';
import { Random } from '../../simulator/random.ts';
import { PASSCODE, PHONE, POLICY, RESTRICTIONS, rowsOf, SIRI, source } from './sources.ts';

describe('any sources', () => {
  const BOOLEANS = [
    'allowScreenShot',
    'allowAppInstallation',
    'forceWatchWristDetection',
    'allowUSBRestrictedMode',
  ];
  const POLICIES = [
    'minLength',
    'maxFailedAttempts',
    'maxInactivity',
    'maxGracePeriod',
    'maxPINAgeInDays',
    'pinHistory',
  ];
  const DECLARED = [
    'MinimumLength',
    'MaximumFailedAttempts',
    'MaximumInactivityInMinutes',
    'PasscodeReuseLimit',
  ];

  function some(random: Random, n: number): PolicySource {
    const device = random.int(2) === 0 ? PHONE : undefined;
    const over = { identifier: `any-${n}`, ...(device === undefined ? {} : { device }) };
    const pick = (keys: readonly string[], value: () => JsonValue) =>
      Object.fromEntries(keys.filter(() => random.int(2) === 0).map((key) => [key, value()]));
    const number = () => random.int(8);
    const boolean = () => random.int(2) === 0;
    switch (random.int(4)) {
      case 0:
        return source(RESTRICTIONS, pick(BOOLEANS, boolean), over);
      case 1:
        return source(
          POLICY,
          { ...pick(POLICIES, number), ...pick(['allowSimple', 'forcePIN'], boolean) },
          over,
        );
      case 2:
        return source(SIRI, pick(['AllowWhileLocked', 'AllowUserGeneratedContent'], boolean), over);
      default:
        return source(
          PASSCODE,
          { ...pick(DECLARED, number), ...pick(['RequireComplexPasscode'], boolean) },
          over,
        );
    }
  }

  it.each(Array.from({ length: 200 }, (_, seed) => seed))(
    'come to the same rows in any order, none weaker than a source (seed %i)',
    (seed) => {
      const random = new Random(seed);
      const sources = Array.from({ length: 1 + random.int(8) }, (_, n) => some(random, n));
      const split = (list: readonly PolicySource[]) =>
        rowsOf(
          list.filter(({ origin }) => origin.device !== PHONE),
          list.filter(({ origin }) => origin.device === PHONE),
        );
      const rows = split(sources);
      const shuffled = sources.map((one) => [random.int(1000), one] as const).sort(([a], [b]) => a - b);
      expect(split(shuffled.map(([, one]) => one))).toEqual(rows);
      expect(split([...sources].reverse())).toEqual(rows);
      for (const row of rows.values()) {
        const { rule, value, contributors } = row;
        if (rule.kind !== 'most-restrictive' || row.weaker) continue;
        const zeroIsNone = ['maxInactivity', 'maxPINAgeInDays'].includes(row.key);
        for (const one of contributors)
          if (one.because === null)
            expect(isAsStrict(rule.prefers, value, one.value, zeroIsNone), row.key).toBe(true);
        expect(row.weaker).toBe(false);
      }
      const weaker = [...rows.values()].filter((row) => row.weaker).map((row) => row.key);
      expect(weaker.every((key) => key === 'pinHistory')).toBe(true);
    },
  );
});
