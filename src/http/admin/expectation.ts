/**
 * What a schema expects, in words for people. A schema's own message says it; what the library says by default is read
 * here: all its messages begin with "Invalid", and `expected` has its own notation.
 */
import type * as v from 'valibot';

const WORDS: Readonly<Record<string, string>> = {
  string: 'a string',
  number: 'a number',
  boolean: 'a boolean',
  Array: 'an array',
  Object: 'an object',
};
const BOUNDS: readonly (readonly [RegExp, string])[] = [
  [/^<=/, 'at most '],
  [/^>=/, 'at least '],
];
/** Checks that have no `expected`. */
const CHECKS: Readonly<Record<string, string>> = {
  integer: 'an integer',
  safe_integer: 'an integer',
  finite: 'a number',
  regex: 'text of another form',
};

export function expectation(issue: v.BaseIssue<unknown>): string {
  if (issue.type === 'strict_object' && issue.expected === 'never') return 'no such member';
  if (issue.received === 'undefined') return 'a member that must be present';
  if (!issue.message.startsWith('Invalid ')) return issue.message;
  const check = CHECKS[issue.type];
  if (check !== undefined) return check;
  if (issue.expected === null) return 'another value';
  const words = issue.expected
    .replaceAll(/^\(|\)$/g, '')
    .split(' | ')
    .map(inWords);
  return [words.slice(0, -1).join(', '), ...words.slice(-1)].filter((part) => part !== '').join(' or ');
}

/** `"urgent"` as urgent, `<=100` as at most 100, `Array` as an array. */
function inWords(expected: string): string {
  const bound = BOUNDS.find(([sign]) => sign.test(expected));
  if (bound !== undefined) return expected.replace(...bound);
  return WORDS[expected] ?? expected.replaceAll('"', '');
}
