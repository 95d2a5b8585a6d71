/**
 * The comparisons of a predicate, as Foundation makes them of NSString, NSNumber, NSArray and nil.
 *
 * - nil equals nil alone; it is `<=` and `>=` nil, and every other comparison with it is false except `!=` with
 *   something. (GNUstep's NSPredicate says the same; in memory Foundation was seen to for `==` and `!=`.)
 * - A Boolean is the number 1 or 0. Values of different types are unequal; to order them, or to search in what is no
 *   string and no array, raises an exception on the device: a doubt here.
 * - `==` compares strings by UTF-16 unit. Orderings and searches take composed and decomposed letters for the same.
 * - An ordering of strings is an ordering of strings: `'9.0' >= '10.0'` holds, versions or not.
 * - LIKE: `?` is one character, `*` any number, and a backslash takes either for itself.
 */
import type { Comparison, StringOptions } from '../../protocol/ddm/predicate/ast.ts';
import type { JsonValue } from '../../protocol/plist/json.ts';
import { type Outcome, ok, refuse } from '../../std/outcome.ts';

export type ValueType = 'nil' | 'string' | 'number' | 'boolean' | 'array' | 'object';

/** `position` is the place in the predicate's text. All but the first are failures on the device too. */
export type PredicateDoubt =
  | { readonly kind: 'status-not-reported'; readonly position: number; readonly item: string }
  | {
      readonly kind: 'not-comparable';
      readonly position: number;
      readonly operator: Comparison['operator'];
      readonly left: ValueType;
      readonly right: ValueType;
    }
  | { readonly kind: 'not-an-array'; readonly position: number; readonly found: ValueType }
  | {
      readonly kind: 'not-an-object';
      readonly position: number;
      readonly key: string;
      readonly found: ValueType;
    }
  | { readonly kind: 'index-out-of-range'; readonly position: number; readonly size: number }
  | { readonly kind: 'too-much-work'; readonly stepsMax: number };

type Truth = Outcome<boolean, PredicateDoubt>;

/**
 * Nested subqueries multiply: 1,000 apps in 3 levels are 10^9 comparisons. A predicate over 1,000 apps that compares
 * two keys of each takes some 11,000 steps; one step is a node visited or 64 characters of a search.
 */
const STEPS_MAX = 200_000;
const CHARACTERS_PER_STEP = 64;

export class Steps {
  #left = STEPS_MAX;
  readonly doubt: PredicateDoubt = { kind: 'too-much-work', stepsMax: STEPS_MAX };

  /** False when there are none left. */
  spend(steps: number): boolean {
    this.#left -= steps;
    return this.#left >= 0;
  }
}

export function compareValues(
  comparison: Comparison,
  left: JsonValue,
  right: JsonValue,
  steps: Steps,
): Truth {
  if (!steps.spend(1 + weightOf([left, right]))) return refuse(steps.doubt);
  const { operator, options } = comparison;
  switch (operator) {
    case '==':
      return ok(isEqual(left, right, options));
    case '!=':
      return ok(!isEqual(left, right, options));
    case 'IN':
      return contains(comparison, { container: right, sought: left }, { left, right });
    case 'CONTAINS':
      return contains(comparison, { container: left, sought: right }, { left, right });
    case 'BETWEEN':
      return isBetween(comparison, left, right);
    case 'BEGINSWITH':
    case 'ENDSWITH':
    case 'LIKE':
      return compareText(comparison, left, right, steps);
    default:
      return order(comparison, left, right, (sign) => ORDERED[operator](sign));
  }
}

const ORDERED = {
  '<': (sign: number) => sign < 0,
  '<=': (sign: number) => sign <= 0,
  '>': (sign: number) => sign > 0,
  '>=': (sign: number) => sign >= 0,
} as const;

export function typeOf(value: JsonValue): ValueType {
  if (value === null) return 'nil';
  if (Array.isArray(value)) return 'array';
  return typeof value as 'string' | 'number' | 'boolean' | 'object';
}

function notComparable({ operator, at }: Comparison, left: JsonValue, right: JsonValue): Truth {
  return refuse({ kind: 'not-comparable', position: at, operator, left: typeOf(left), right: typeOf(right) });
}

/** The steps of looking through values once. */
function weightOf(values: readonly JsonValue[]): number {
  let steps = 0;
  for (const value of values) {
    if (typeof value === 'string') steps += Math.floor(value.length / CHARACTERS_PER_STEP);
    else if (typeof value === 'object' && value !== null) {
      const children = Object.values(value);
      steps += 1 + children.length + weightOf(children);
    }
  }
  return steps;
}

function isEqual(left: JsonValue, right: JsonValue, options: StringOptions): boolean {
  if (typeof left === 'string' && typeof right === 'string') {
    return options === '' ? left === right : fold(left, options) === fold(right, options);
  }
  const [a, b] = [asNumber(left), asNumber(right)];
  if (a !== null || b !== null) return a === b;
  if (typeof left !== 'object' || typeof right !== 'object') return false;
  if (left === null || right === null) return left === right;
  if (Array.isArray(left) !== Array.isArray(right)) return false;
  const [of, to] = [new Map(Object.entries(left)), new Map(Object.entries(right))];
  if (of.size !== to.size) return false;
  return [...of].every(([key, value]) => to.has(key) && isEqual(value, to.get(key) as JsonValue, ''));
}

function asNumber(value: JsonValue): number | null {
  if (typeof value === 'boolean') return value ? 1 : 0;
  return typeof value === 'number' ? value : null;
}

function order(
  comparison: Comparison,
  left: JsonValue,
  right: JsonValue,
  holds: (sign: number) => boolean,
): Truth {
  if (left === null || right === null) return ok(left === right && holds(0));
  const [a, b] = [asNumber(left), asNumber(right)];
  if (a !== null && b !== null) return ok(holds(a - b));
  if (typeof left !== 'string' || typeof right !== 'string') return notComparable(comparison, left, right);
  const [x, y] = [fold(left, ''), fold(right, '')];
  return ok(holds(x < y ? -1 : Number(x > y)));
}

function isBetween(comparison: Comparison, left: JsonValue, right: JsonValue): Truth {
  if (left === null || right === null) return ok(false);
  const [low, high, ...more] = Array.isArray(right) ? right : [];
  if (low === undefined || high === undefined || more.length > 0)
    return notComparable(comparison, left, right);
  const above = order(comparison, left, low, ORDERED['>=']);
  return above.ok && above.value ? order(comparison, left, high, ORDERED['<=']) : above;
}

function contains(
  comparison: Comparison,
  { container, sought }: { container: JsonValue; sought: JsonValue },
  { left, right }: { left: JsonValue; right: JsonValue },
): Truth {
  const { options } = comparison;
  if (container === null) return ok(false);
  if (Array.isArray(container)) return ok(container.some((element) => isEqual(element, sought, options)));
  if (typeof container === 'string' && sought === null) return ok(false);
  if (typeof container !== 'string' || typeof sought !== 'string')
    return notComparable(comparison, left, right);
  return ok(fold(container, options).includes(fold(sought, options)));
}

function compareText(comparison: Comparison, left: JsonValue, right: JsonValue, steps: Steps): Truth {
  if (left === null || right === null) return ok(false);
  if (typeof left !== 'string' || typeof right !== 'string') return notComparable(comparison, left, right);
  const [text, pattern] = [fold(left, comparison.options), fold(right, comparison.options)];
  if (comparison.operator === 'BEGINSWITH') return ok(text.startsWith(pattern));
  if (comparison.operator === 'ENDSWITH') return ok(text.endsWith(pattern));
  // The search below looks at each pair of characters once at most.
  if (!steps.spend(Math.ceil((text.length * pattern.length) / CHARACTERS_PER_STEP)))
    return refuse(steps.doubt);
  return ok(isLike([...text], readPattern(pattern)));
}

/** Composed letters, so that half of one is never found; without case and marks if they do not matter. */
function fold(text: string, options: StringOptions): string {
  const bare = options.includes('d') ? text.normalize('NFD').replace(/\p{Mn}/gu, '') : text;
  return (options.includes('c') ? bare.toLowerCase() : bare).normalize('NFC');
}

const ONE = Symbol('one character');
const ANY = Symbol('any characters');
type PatternPart = string | typeof ONE | typeof ANY;
const WILD: ReadonlyMap<string, PatternPart> = new Map<string, PatternPart>([
  ['?', ONE],
  ['*', ANY],
]);

function readPattern(pattern: string): PatternPart[] {
  const parts: PatternPart[] = [];
  let escaped = false;
  for (const character of pattern) {
    if (!escaped && character === '\\') {
      escaped = true;
      continue;
    }
    parts.push(escaped ? character : (WILD.get(character) ?? character));
    escaped = false;
  }
  return escaped ? [...parts, '\\'] : parts;
}

/** Goes back to the last `*` only: an earlier one can gain nothing that the last cannot. */
function isLike(text: readonly string[], pattern: readonly PatternPart[]): boolean {
  let [at, part, star, resume] = [0, 0, -1, 0];
  while (at < text.length) {
    const want = pattern[part];
    if (want === ANY) {
      [star, resume] = [part++, at];
    } else if (want !== undefined && (want === ONE || want === text[at])) {
      part++;
      at++;
    } else {
      if (star < 0) return false;
      part = star + 1;
      at = ++resume;
    }
  }
  return pattern.slice(part).every((rest) => rest === ANY);
}
