import { describe, expect, it } from 'vitest';
import { parsePredicate } from '../../../../src/protocol/ddm/predicate/parse.ts';
import {
  referencedProperties,
  referencedStatusItems,
} from '../../../../src/protocol/ddm/predicate/references.ts';

const predicate = (text: string) => {
  const outcome = parsePredicate(text);
  if (!outcome.ok) throw new Error(outcome.refusal.expected);
  return outcome.value;
};

describe('what a predicate asks about', () => {
  it('is found in every corner of it, each name once, where it stands first', () => {
    const text =
      'NOT @property(b) == {@status(s.two), 1} OR ' +
      'SUBQUERY(@status(s.one), $x, $x.@key(k) == @property(a) AND @status(s.two) == @property(b)).@count == 1 AND ' +
      '@status(s.three)[SIZE] == 0';
    const status = referencedStatusItems(predicate(text));
    expect(status.map(({ name }) => name)).toEqual(['s.two', 's.one', 's.three']);
    for (const { name, position } of status) expect(position).toBe(text.indexOf(`@status(${name})`));
    expect(referencedProperties(predicate(text))).toEqual([
      { name: 'b', position: text.indexOf('@property(b)') },
      { name: 'a', position: text.indexOf('@property(a)') },
    ]);
  });

  it('is nothing for a constant, and not the keys of objects', () => {
    expect(referencedStatusItems(predicate('TRUEPREDICATE'))).toEqual([]);
    expect(referencedProperties(predicate('SUBQUERY({1}, $x, $x.@key(a.b) == 1).@count == 0'))).toEqual([]);
  });
});
