/**
 * Values merged: to the strictest by a key's direction, or as the schema combines declarations. Pure, and no order of
 * the values changes the outcome. Lists come out sorted, each item once.
 */
import { canonicalJson } from '../../protocol/ddm/canonical-json.ts';
import type { JsonValue } from '../../protocol/plist/json.ts';
import type { Prefers } from '../admin/policy-services.ts';

/** Whether a key of this direction can have the value at all. */
export function fits(prefers: Prefers, value: JsonValue): boolean {
  switch (prefers) {
    case 'false':
    case 'true':
      return typeof value === 'boolean';
    case 'smaller':
    case 'larger':
      return typeof value === 'number' && Number.isFinite(value);
    case 'union':
    case 'intersection':
      return Array.isArray(value);
    default:
      return prefers satisfies never;
  }
}

/** Of values that fit, at least one. */
export function strictest(prefers: Prefers, values: readonly JsonValue[], zeroIsNone = false): JsonValue {
  switch (prefers) {
    case 'false':
      return !values.includes(false);
    case 'true':
      return values.includes(true);
    case 'smaller': {
      const numbers = values.map(Number);
      const limits = zeroIsNone ? numbers.filter((number) => number !== 0) : numbers;
      return limits.length === 0 ? 0 : Math.min(...limits);
    }
    case 'larger':
      return Math.max(...values.map(Number));
    case 'union':
      return sorted(values.flatMap(items));
    case 'intersection':
      return intersection(values.map(items));
    default:
      return prefers satisfies never;
  }
}

/** Whether `value` allows nothing that `other` forbids. Both fit. */
export function isAsStrict(
  prefers: Prefers,
  value: JsonValue,
  other: JsonValue,
  zeroIsNone = false,
): boolean {
  switch (prefers) {
    case 'false':
      return value === false || other === true;
    case 'true':
      return value === true || other === false;
    case 'smaller':
      if (zeroIsNone && (other === 0 || value === 0)) return other === 0;
      return Number(value) <= Number(other);
    case 'larger':
      return Number(value) >= Number(other);
    case 'union':
      return contains(value, other);
    case 'intersection':
      return contains(other, value);
    default:
      return prefers satisfies never;
  }
}

const DIRECTIONS: Readonly<Record<string, Prefers>> = {
  'boolean-and': 'false',
  'boolean-or': 'true',
  'number-min': 'smaller',
  'number-max': 'larger',
  'set-union': 'union',
  'set-intersection': 'intersection',
};

export interface Combination {
  /** The schema's word; undefined where it has none. */
  readonly by: string | undefined;
  /** The key's own words, in their order. */
  readonly choices: readonly JsonValue[];
  readonly zeroIsNone?: boolean;
}

/**
 * At least one value, as the schema combines declarations. Undefined where they differ and the word decides by an order
 * that no device reports (`first`), or there is no word.
 */
export function combine(
  values: readonly JsonValue[],
  { by, choices, zeroIsNone }: Combination,
): JsonValue | undefined {
  if (new Set(values.map(canonicalJson)).size === 1) return values[0];
  const prefers = by !== undefined && Object.hasOwn(DIRECTIONS, by) ? DIRECTIONS[by] : undefined;
  if (prefers === undefined) return chosen(by, values, choices);
  return values.every((value) => fits(prefers, value)) ? strictest(prefers, values, zeroIsNone) : undefined;
}

/** `enum-first` and `enum-last` take the word that comes first or last among the key's own. */
function chosen(
  by: string | undefined,
  values: readonly JsonValue[],
  choices: readonly JsonValue[],
): JsonValue | undefined {
  if (by !== 'enum-first' && by !== 'enum-last') return undefined;
  const places = values.map((value) => choices.indexOf(value));
  if (places.includes(-1)) return undefined;
  return choices[by === 'enum-first' ? Math.min(...places) : Math.max(...places)];
}

function items(value: JsonValue): readonly JsonValue[] {
  return Array.isArray(value) ? value : [];
}

function sorted(values: readonly JsonValue[]): JsonValue[] {
  const byText = new Map(values.map((value) => [canonicalJson(value), value]));
  return [...byText.keys()].sort().map((text) => byText.get(text) as JsonValue);
}

function intersection([first = [], ...others]: readonly (readonly JsonValue[])[]): JsonValue[] {
  const sets = others.map((list) => new Set(list.map(canonicalJson)));
  return sorted(first.filter((item) => sets.every((set) => set.has(canonicalJson(item)))));
}

function contains(whole: JsonValue, part: JsonValue): boolean {
  const texts = new Set(items(whole).map(canonicalJson));
  return items(part).every((item) => texts.has(canonicalJson(item)));
}
