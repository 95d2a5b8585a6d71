/**
 * Property lists as JSON, for the admin API and the stored command: data is `{"$data": base64}`, a date
 * `{"$date": RFC 3339}`, an integer past 2^53 `{"$integer": decimal}`. A dictionary whose only key is one of these
 * words is wrapped in `{"$dict": …}`, so that the way back is never ambiguous. A number is an integer if it is integral
 * and a real otherwise; JSON's `null` has no counterpart.
 */
import { fromBase64, toBase64 } from '../../std/bytes.ts';
import { type Outcome, ok, refuse } from '../../std/outcome.ts';
import { isXmlText } from './characters.ts';
import { readDate, readDecimal, writeDate } from './scalars.ts';
import { PLIST_LIMITS, type PlistDict, type PlistLimits, type PlistValue } from './value.ts';

export type JsonValue = null | boolean | number | string | JsonValue[] | JsonObject;
export type JsonObject = { [key: string]: JsonValue };

/** `path` names the place, as in `Command.Settings[0]`; its words are the caller's own keys. */
export type PlistJsonRefusal = {
  readonly kind: 'malformed-plist-json';
  readonly reason: string;
  readonly path: string;
};

const MARKS: ReadonlySet<string> = new Set(['$data', '$date', '$integer', '$dict']);

export function plistToJson(value: PlistValue): JsonValue {
  if (typeof value === 'bigint') return { $integer: value.toString() };
  if (typeof value !== 'object') return value;
  if (value instanceof Uint8Array) return { $data: toBase64(value) };
  if (value instanceof Date) return { $date: writeDate(value) };
  if (Array.isArray(value)) return value.map(plistToJson);
  return dictToJson(value);
}

function dictToJson(dict: PlistDict): JsonObject {
  // `fromEntries` defines own properties: a key `__proto__` is a key like any other.
  const object: JsonObject = Object.fromEntries([...dict].map(([key, item]) => [key, plistToJson(item)]));
  return isMarked([...dict.keys()]) ? { $dict: object } : object;
}

function isMarked(keys: readonly string[]): boolean {
  return keys.length === 1 && MARKS.has(keys[0] as string);
}

/** The inverse. What it accepts, `encodePlist` can write. */
export function jsonToPlist(
  value: unknown,
  limits: PlistLimits = PLIST_LIMITS,
): Outcome<PlistValue, PlistJsonRefusal> {
  const reader = new JsonReader(limits);
  const plist = reader.value(value, '', 1);
  return plist === undefined ? refuse(reader.refusal) : ok(plist);
}

/** `undefined` from a method means that `refusal` says why. */
class JsonReader {
  readonly #limits: PlistLimits;
  #nodes = 0;
  refusal: PlistJsonRefusal = { kind: 'malformed-plist-json', reason: '', path: '' };

  constructor(limits: PlistLimits) {
    this.#limits = limits;
  }

  value(value: unknown, path: string, depth: number): PlistValue | undefined {
    if (++this.#nodes > this.#limits.nodesMax) return this.#refuse('too many values', path);
    switch (typeof value) {
      case 'string':
        return isXmlText(value) ? value : this.#refuse('text that a property list cannot hold', path);
      case 'boolean':
        return value;
      case 'number':
        return Number.isFinite(value) ? value + 0 : this.#refuse('not a finite number', path);
      case 'object':
        if (value === null) return this.#refuse('null has no counterpart', path);
        if (depth > this.#limits.depthMax) return this.#refuse('nested too deeply', path);
        return Array.isArray(value) ? this.#array(value, path, depth) : this.#object(value, path, depth);
      default:
        return this.#refuse('not JSON', path);
    }
  }

  #array(items: readonly unknown[], path: string, depth: number): PlistValue[] | undefined {
    const array: PlistValue[] = [];
    for (const [index, item] of items.entries()) {
      const read = this.value(item, `${path}[${index}]`, depth + 1);
      if (read === undefined) return undefined;
      array.push(read);
    }
    return array;
  }

  #object(object: object, path: string, depth: number): PlistValue | undefined {
    const entries: [string, unknown][] = Object.entries(object);
    if (!isMarked(entries.map(([key]) => key))) return this.#dict(entries, path, depth);
    const [mark, content] = entries[0] as [string, unknown];
    if (mark === '$dict') {
      if (typeof content !== 'object' || content === null || Array.isArray(content)) {
        return this.#refuse('malformed $dict', path);
      }
      return this.#dict(Object.entries(content), path, depth);
    }
    const leaf = typeof content === 'string' ? readMarked(mark, content) : undefined;
    return leaf ?? this.#refuse(`malformed ${mark}`, path);
  }

  #dict(entries: readonly [string, unknown][], path: string, depth: number): PlistDict | undefined {
    const dict = new Map<string, PlistValue>();
    for (const [key, item] of entries) {
      const at = path === '' ? key : `${path}.${key}`;
      if (!isXmlText(key)) return this.#refuse('a key that a property list cannot hold', path);
      const read = this.value(item, at, depth + 1);
      if (read === undefined) return undefined;
      dict.set(key, read);
    }
    return dict;
  }

  #refuse(reason: string, path: string): undefined {
    this.refusal = { kind: 'malformed-plist-json', reason, path };
    return undefined;
  }
}

function readMarked(mark: string, content: string): PlistValue | undefined {
  switch (mark) {
    case '$data':
      return fromBase64(content) ?? undefined;
    case '$date':
      return readDate(content);
    default:
      return readDecimal(content);
  }
}
