/** What of an iPhone's rules a watch shows, from where, and how certain that is (facts 0.10, 13, 17). */
import { describe, expect, it } from 'vitest';
import { PASSCODE, PHONE, POLICY, RESTRICTIONS, rowsOf, SIRI, source } from './sources.ts';

describe('what an iPhone mirrors', () => {
  it('takes the stricter of both, whichever device has it, and names the device', () => {
    const rows = rowsOf(
      [source(POLICY, { minLength: 4, maxFailedAttempts: 4 })],
      [
        source(
          PASSCODE,
          { MinimumLength: 6, MaximumFailedAttempts: 8 },
          { device: PHONE, identifier: 'the-phones' },
        ),
      ],
    );
    expect(rows.get('passcode/minLength')).toMatchObject({
      ...{ value: 6, own: 4, certain: true },
      origin: { identifier: 'the-phones', device: PHONE, via: 'mirror' },
    });
    expect(rows.get('passcode/maxFailedAttempts')).toMatchObject({
      value: 4,
      own: 4,
      origin: { via: 'direct' },
    });
  });

  it('is certain of passcode rules and of wrist detection, and of no other restriction', () => {
    const rows = rowsOf(
      [],
      [source(RESTRICTIONS, { allowScreenShot: false, forceWatchWristDetection: true }, { device: PHONE })],
    );
    expect(rows.get('restrictions/allowScreenShot')).toMatchObject({
      value: false,
      own: null,
      certain: false,
    });
    expect(rows.get('restrictions/forceWatchWristDetection')).toMatchObject({ value: true, certain: true });
  });

  it('is certain where the watch has the same rule itself', () => {
    const rule = { allowScreenShot: false };
    const rows = rowsOf([source(RESTRICTIONS, rule)], [source(RESTRICTIONS, rule, { device: PHONE })]);
    expect(rows.get('restrictions/allowScreenShot')).toMatchObject({
      value: false,
      certain: true,
      origin: { via: 'direct' },
    });
  });

  it('keeps what watchOS does not have, but for keys about watches', () => {
    const rows = rowsOf(
      [],
      [
        source(
          RESTRICTIONS,
          { allowCamera: false, allowPairedWatch: false, allowAutoUnlock: false },
          { device: PHONE },
        ),
        source(POLICY, { requireAlphanumeric: true, minComplexChars: 2 }, { device: PHONE }),
      ],
    );
    expect([...rows.keys()]).toEqual(['restrictions/allowAutoUnlock', 'restrictions/allowPairedWatch']);
    expect(rows.get('restrictions/allowPairedWatch')?.origin?.via).toBe('phone');
  });

  it('goes by the version of the watch', () => {
    const phone = [source(SIRI, { AllowWhileLocked: false }, { device: PHONE })];
    const old = { platform: 'watchOS', osVersion: '9.0', supervised: true } as const;
    expect(rowsOf([], phone).has('restrictions/allowAssistantWhileLocked')).toBe(true);
    expect(rowsOf([], phone, { watchTarget: old }).size).toBe(0);
  });
});
