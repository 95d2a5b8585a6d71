/**
 * What a predicate's operators make of two values (facts 4.4), as Foundation does with NSString, NSNumber, NSArray and
 * nil: a Boolean is 1 or 0, things of different types are unequal, and to order or search what has no order or text
 * raises an exception, after which the device reports `Error.UnableToEvaluatePredicate`.
 */
import type { Json, JsonDict } from './declarations.ts';

export type Compare = (left: Json, right: Json) => boolean;

/** Which of the reason codes of facts 4.5 the device gives. */
export class PredicateError extends Error {
  readonly code:
    | 'Error.UnableToParsePredicate'
    | 'Error.UnableToParsePredicateWithCustomOperator'
    | 'Error.UnableToEvaluatePredicate';

  constructor(code: PredicateError['code'], message: string) {
    super(message);
    this.code = code;
  }
}

export function stuck(why: string): PredicateError {
  return new PredicateError('Error.UnableToEvaluatePredicate', why);
}

export function list(value: Json): Json[] {
  if (!Array.isArray(value)) throw stuck(`${JSON.stringify(value)} is no list`);
  return value;
}

export function folded(value: Json, fold: string): Json {
  if (Array.isArray(value)) return fold === '' ? value : value.map((one) => folded(one, fold));
  if (typeof value !== 'string') return value;
  const plain = fold.includes('d') ? value.normalize('NFD').replace(/\p{Mn}/gu, '') : value;
  return fold.includes('c') ? plain.toLowerCase() : plain;
}

const numeric = (value: Json) => (typeof value === 'boolean' ? Number(value) : value);

function same(left: Json, right: Json): boolean {
  const [a, b] = [numeric(left), numeric(right)];
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return a === b;
  const [keys, others] = [Object.keys(a), Object.keys(b)];
  if (Array.isArray(a) !== Array.isArray(b) || keys.length !== others.length) return false;
  return keys.every((key) => key in b && same((a as JsonDict)[key] ?? null, (b as JsonDict)[key] ?? null));
}

/** Negative, zero, positive; null where one side is nil and the other is not. */
function sign(left: Json, right: Json): number | null {
  const [a, b] = [numeric(left), numeric(right)];
  if (a === null || b === null) return a === b ? 0 : null;
  if (typeof a === 'number' && typeof b === 'number') return a - b;
  if (typeof a !== 'string' || typeof b !== 'string') throw stuck('two things without an order');
  const [x, y] = [a.normalize('NFC'), b.normalize('NFC')];
  return x < y ? -1 : Number(x > y);
}

function ordered(accepts: (sign: number) => boolean): Compare {
  return (left, right) => {
    const found = sign(left, right);
    return found !== null && accepts(found);
  };
}

/** Composed letters, so that half of one is not found. */
function texts(compare: (text: string, sought: string) => boolean): Compare {
  return (left, right) => {
    if (left === null || right === null) return false;
    if (typeof left !== 'string' || typeof right !== 'string') throw stuck('a search in what is no text');
    return compare(left.normalize('NFC'), right.normalize('NFC'));
  };
}

const contains: Compare = (container, sought) => {
  if (Array.isArray(container)) return container.some((one) => same(one, sought));
  if (container !== null && typeof container !== 'string') throw stuck('a search in what is no collection');
  return texts((text, part) => text.includes(part))(container, sought);
};

/** `?` is one character, `*` any number; a backslash takes the next one as it is. */
function like(text: string, pattern: string): boolean {
  const source = pattern.replace(/\\?[\s\S]/gu, (one) => {
    if (one === '?') return '[\\s\\S]';
    if (one === '*') return '[\\s\\S]*';
    return one.slice(-1).replace(/[\\^$.*+?()[\]{}|]/, '\\$&');
  });
  return new RegExp(`^${source}$`, 'u').test(text);
}

const between: Compare = (value, limits) => {
  if (value === null || limits === null) return false;
  const [low, high, ...more] = list(limits);
  if (low === undefined || high === undefined || more.length > 0) throw stuck('BETWEEN takes two limits');
  return ordered((s) => s >= 0)(value, low) && ordered((s) => s <= 0)(value, high);
};

const equal: Compare = same;
const unequal: Compare = (left, right) => !same(left, right);
const atMost = ordered((s) => s <= 0);
const atLeast = ordered((s) => s >= 0);

export const COMPARISONS: Record<string, Compare | undefined> = {
  '=': equal,
  '==': equal,
  '!=': unequal,
  '<>': unequal,
  '<': ordered((s) => s < 0),
  '>': ordered((s) => s > 0),
  '<=': atMost,
  '=<': atMost,
  '>=': atLeast,
  '=>': atLeast,
  IN: (left, right) => contains(right, left),
  CONTAINS: contains,
  BETWEEN: between,
  BEGINSWITH: texts((text, start) => text.startsWith(start)),
  ENDSWITH: texts((text, end) => text.endsWith(end)),
  LIKE: texts(like),
};
