/**
 * One value against one key: its type, then what it may be. In kinds that travel as property lists, data, dates and
 * large integers are marked as `plist/json.ts` marks them; in the others data is base64 text and a date RFC 3339.
 */
import { fromBase64 } from '../../std/bytes.ts';
import { type JsonObject, type JsonValue, jsonToPlist } from '../plist/json.ts';
import { readDate } from '../plist/scalars.ts';
import type { Bounds, CatalogKey, CatalogKind, KeyType } from './entry.ts';

export type ValueForm = 'plist' | 'json';

const PLIST_KINDS: ReadonlySet<CatalogKind> = new Set(['command', 'checkin', 'profile', 'other']);

export function formOf(kind: CatalogKind): ValueForm {
  return PLIST_KINDS.has(kind) ? 'plist' : 'json';
}

export interface ValueProblem {
  readonly rule: 'type' | 'values' | 'range' | 'count' | 'format';
  readonly expected: string;
}

export function valueProblem(key: CatalogKey, value: JsonValue, form: ValueForm): ValueProblem | null {
  if (!hasType(key.type, value, form)) return { rule: 'type', expected: typeName(key.type, form) };
  const { values, range, count, format } = key;
  const plain = numberOf(value) ?? value;
  if (values !== undefined && !values.some((permitted) => permitted === plain)) {
    return { rule: 'values', expected: values.join(', ') };
  }
  if (range !== undefined && typeof plain === 'number' && !isWithin(plain, range)) {
    return { rule: 'range', expected: boundsText(range) };
  }
  if (count !== undefined && Array.isArray(value) && !isWithin(value.length, count)) {
    return { rule: 'count', expected: `${boundsText(count)} items` };
  }
  if (format !== undefined && typeof value === 'string' && !new RegExp(format).test(value)) {
    return { rule: 'format', expected: `text that matches ${format}` };
  }
  return null;
}

/** The members of a dictionary; a property list's may be wrapped in `$dict`. Null for anything else. */
export function membersOf(value: JsonValue, form: ValueForm): JsonObject | null {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return null;
  const [first, ...others] = Object.keys(value);
  if (form === 'json' || others.length > 0 || first === undefined || !first.startsWith('$')) return value;
  const inner = value[first] ?? null;
  if (first === '$dict') return membersOf(inner, 'json');
  return isMark(first) ? null : value;
}

function hasType(type: KeyType, value: JsonValue, form: ValueForm): boolean {
  switch (type) {
    case 'string':
    case 'boolean':
      return typeof value === type;
    case 'integer':
      // In a property list a number past 2^53 is a real: what is an integer there is marked.
      if (form !== 'plist') return Number.isInteger(value);
      return Number.isSafeInteger(value) || numberOf(value) !== undefined;
    case 'real':
      return typeof value === 'number' || (form === 'plist' && numberOf(value) !== undefined);
    case 'data':
      if (form === 'plist') return marked(value) instanceof Uint8Array;
      return typeof value === 'string' && fromBase64(value) !== null;
    case 'date':
      if (form === 'plist') return marked(value) instanceof Date;
      return typeof value === 'string' && readDate(value) !== undefined;
    case 'array':
      return Array.isArray(value);
    case 'dictionary':
      return membersOf(value, form) !== null;
    case 'any':
      return value !== null;
  }
}

/** What a marked value stands for; undefined for anything that is not marked, or marked wrongly. */
function marked(value: JsonValue): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  if (membersOf(value, 'plist') !== null) return undefined;
  const plist = jsonToPlist(value);
  return plist.ok ? plist.value : undefined;
}

function isMark(name: string): boolean {
  return name === '$data' || name === '$date' || name === '$integer';
}

function numberOf(value: JsonValue): number | undefined {
  const integer = marked(value);
  return typeof integer === 'bigint' || typeof integer === 'number' ? Number(integer) : undefined;
}

function isWithin(number: number, { min = -Infinity, max = Infinity }: Bounds): boolean {
  return min <= number && number <= max;
}

function boundsText({ min, max }: Bounds): string {
  if (min === undefined) return `at most ${max}`;
  if (max === undefined) return `at least ${min}`;
  return min === max ? `${min}` : `${min} to ${max}`;
}

function typeName(type: KeyType, form: ValueForm): string {
  switch (type) {
    case 'integer':
    case 'array':
      return `an ${type}`;
    case 'data':
      return form === 'plist' ? 'data as {"$data": base64}' : 'data as base64 text';
    case 'date':
      return form === 'plist' ? 'a date as {"$date": RFC 3339}' : 'a date as RFC 3339 text';
    case 'any':
      return 'a value other than null';
    default:
      return `a ${type}`;
  }
}
