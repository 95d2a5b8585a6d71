/** What people read of a value that a schema does not take. */
import * as v from 'valibot';
import { describe, expect, it } from 'vitest';
import { expectation } from '../../../src/http/admin/expectation.ts';

const kinds: readonly (readonly [v.GenericSchema, unknown, string])[] = [
  [v.string(), 1, 'a string'],
  [v.number(), 'x', 'a number'],
  [v.boolean(), 'x', 'a boolean'],
  [v.array(v.string()), 'x', 'an array'],
  [v.strictObject({}), 'x', 'an object'],
  [v.looseObject({}), 'x', 'an object'],
  [v.record(v.string(), v.string()), 'x', 'an object'],
  [v.strictObject({}), { extra: 1 }, 'no such member'],
  [v.strictObject({ a: v.string() }), {}, 'a member that must be present'],
  [v.picklist(['urgent', 'normal']), 'soon', 'urgent or normal'],
  [v.picklist(['a', 'b', 'c']), 'd', 'a, b or c'],
  [v.literal('iOS'), 'tvOS', 'iOS'],
  [v.literal(true), false, 'true'],
  [v.union([v.string(), v.null()]), 1, 'a string or null'],
  [v.union([v.string(), v.number()]), true, 'a string or a number'],
  [
    v.variant('kind', [v.object({ kind: v.literal('a') }), v.object({ kind: v.literal('b') })]),
    { kind: 'c' },
    'a or b',
  ],
  [v.pipe(v.number(), v.integer()), 1.5, 'an integer'],
  [v.pipe(v.number(), v.safeInteger()), 1e20, 'an integer'],
  [v.pipe(v.number(), v.finite()), Number.POSITIVE_INFINITY, 'a number'],
  [v.pipe(v.number(), v.minValue(1)), 0, 'at least 1'],
  [v.pipe(v.number(), v.maxValue(100)), 101, 'at most 100'],
  [v.pipe(v.string(), v.regex(/x/, 'an x')), 'y', 'an x'],
];

describe('what is expected', () => {
  it.each(kinds.map(([schema, value, words]) => ({ schema, value, words })))(
    'reads: $words',
    ({ schema, value, words }) => {
      const [issue] = v.safeParse(schema, value, { abortPipeEarly: true }).issues ?? [];
      expect(issue && expectation(issue)).toBe(words);
    },
  );
});
