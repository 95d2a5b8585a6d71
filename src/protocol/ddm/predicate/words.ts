/** The words of the predicate language, and what to say when another stands in their place. */

import { type Operator, ORDERINGS, type Quantifier, STRING_OPERATORS } from './ast.ts';
import type { Token } from './lexer.ts';

/** Every spelling, in upper case, with the one that the tree keeps. */
export const OPERATORS: ReadonlyMap<string, Operator> = new Map<string, Operator>([
  ...([...ORDERINGS, ...STRING_OPERATORS, '==', '!=', 'BETWEEN', 'IN', 'CONTAINS'] as const).map(
    (operator): [string, Operator] => [operator, operator],
  ),
  ['=', '=='],
  ['<>', '!='],
  ['=<', '<='],
  ['=>', '>='],
]);

export const QUANTIFIERS: ReadonlyMap<string, Quantifier> = new Map([
  ['ANY', 'ANY'],
  ['SOME', 'ANY'],
  ['ALL', 'ALL'],
  ['NONE', 'NONE'],
]);

export const LITERALS: ReadonlyMap<string, boolean | null> = new Map([
  ['TRUE', true],
  ['YES', true],
  ['FALSE', false],
  ['NO', false],
  ['NULL', null],
  ['NIL', null],
]);

export function takesOptions(operator: Operator): boolean {
  return operator !== 'BETWEEN' && !ORDERINGS.some((ordering) => ordering === operator);
}

const VALUE = 'a value: @status(…), @property(…), a $variable, SUBQUERY(…), a string, a number or {…}';
const OPERATOR = 'a comparison operator such as == or IN';

/** What should stand where a side of a comparison does. */
export function valueExpected(found: Token): string {
  if (found.type !== 'word') return VALUE;
  const word = found.text.toUpperCase();
  if (word === 'SELF') return `${VALUE}; an activation has no SELF`;
  if (word === 'CAST' || word === 'FUNCTION' || word === 'FETCH')
    return `${VALUE}; functions are not accepted`;
  if (OPERATORS.has(word) || ['AND', 'OR', 'NOT', 'MATCHES'].includes(word)) return VALUE;
  return `${VALUE}; "${found.text.slice(0, 32)}" alone is neither a status item nor a property`;
}

export function operatorExpected(found: Token): string {
  if (found.type !== 'word') return OPERATOR;
  const word = found.text.toUpperCase();
  if (word === 'MATCHES') return `${OPERATOR}; LIKE is accepted and MATCHES is not`;
  return word === 'NOT' ? `${OPERATOR}; NOT stands before the comparison` : OPERATOR;
}
