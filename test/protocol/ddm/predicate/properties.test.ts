/** Whatever the text, an answer; and the canonical spelling says the same. A failing test names its seed. */
import { describe, expect, it } from 'vitest';
import { formatPredicate } from '../../../../src/protocol/ddm/predicate/format.ts';
import { parsePredicate } from '../../../../src/protocol/ddm/predicate/parse.ts';
import { newSeed, Random } from '../../plist/generate.ts';
import { randomPredicate, respell, withoutPlaces } from './generate.ts';

const seed = newSeed();
const MISCHIEF = [
  ...'()[]{}\'"\\@$.,!=<>&|%#0-9eE \n\0é\ud800',
  'AND',
  'NOT ',
  '@key(',
  '@count',
  'SUBQUERY(',
];

describe(`predicates from seed ${seed}`, () => {
  it('parse to the tree that was printed', () => {
    const random = new Random(seed);
    for (let round = 0; round < 2_000; round++) {
      const predicate = randomPredicate(random);
      const text = formatPredicate(predicate);
      const outcome = parsePredicate(text);
      expect(outcome.ok ? withoutPlaces(outcome.value) : outcome.refusal, text).toEqual(predicate);
      const respelled = respell(random, text);
      const again = parsePredicate(respelled);
      expect(again.ok ? formatPredicate(again.value) : again.refusal, respelled).toBe(text);
    }
  });

  it('never throw when cut at any character, and are never refused past their end', () => {
    const random = new Random(seed + 1);
    for (let round = 0; round < 60; round++) {
      const text = formatPredicate(randomPredicate(random));
      for (let end = 0; end < text.length; end++) {
        const outcome = parsePredicate(text.slice(0, end));
        if (!outcome.ok) expect(outcome.refusal.position).toBeLessThanOrEqual(end);
      }
    }
  });

  it('never throw when changed, and what still parses prints to what parses alike', () => {
    const random = new Random(seed + 2);
    let parsed = 0;
    for (let round = 0; round < 5_000; round++) {
      const characters = [...formatPredicate(randomPredicate(random, 2))];
      for (let edits = 1 + random.below(3); edits > 0; edits--) {
        characters.splice(random.below(characters.length + 1), random.below(3), random.pick(MISCHIEF));
      }
      const outcome = parsePredicate(characters.join(''));
      if (!outcome.ok) {
        expect(outcome.refusal.expected).not.toBe('');
        continue;
      }
      parsed++;
      const again = parsePredicate(formatPredicate(outcome.value));
      expect(again.ok && withoutPlaces(again.value), characters.join('')).toEqual(
        withoutPlaces(outcome.value),
      );
    }
    expect(parsed).toBeGreaterThan(100);
  });
});
