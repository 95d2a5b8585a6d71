/**
 * StatusItems taken apart (facts 4.5): Apple nests an item's value by the dots of its name, so where the name ends and
 * the value begins is known only from the catalog. An item that the catalog does not know ends at the first value
 * that is no dictionary, or whose keys could not be parts of a name: such a dictionary is kept in pieces, and none of
 * them is lost when a later report names only another.
 *
 * Of an item's value only the outermost type is checked: what is inside may grow with any release.
 */
import { type Outcome, ok, refuse } from '../../std/outcome.ts';
import type { KindCatalog } from '../catalog/catalog.ts';
import type { KeyType } from '../catalog/entry.ts';
import type { JsonObject, JsonValue } from '../plist/json.ts';
import { isJsonObject } from './bounded-json.ts';
import type { StatusRefusal } from './status-report.ts';

/** Apple's longest has 50 characters. */
const NAME_CHARS_MAX = 256;
const NAME_PART = /^[A-Za-z0-9_-]{1,64}$/;

/** Values by item name, in the order of the report. */
export function splitStatusItems(
  items: JsonObject,
  catalog: KindCatalog,
): Outcome<ReadonlyMap<string, JsonValue>, StatusRefusal> {
  const splitter = new Splitter(catalog);
  for (const [key, value] of Object.entries(items)) splitter.add(key, value);
  const { failed, found } = splitter;
  return failed === null ? ok(found) : refuse({ kind: 'malformed-status-report', field: failed });
}

/** Text that can name an item: no control characters, no half of a surrogate pair. */
export function isStatusItemName(text: string): boolean {
  return text.length <= NAME_CHARS_MAX && /^[^\p{Cc}\p{Cs}]+$/u.test(text);
}

class Splitter {
  readonly found = new Map<string, JsonValue>();
  failed: string | null = null;
  readonly #catalog: KindCatalog;
  /** What names of the catalog begin with: `device`, `device.model`. */
  readonly #trunks: ReadonlySet<string>;

  constructor(catalog: KindCatalog) {
    this.#catalog = catalog;
    this.#trunks = new Set(catalog.types.flatMap(namesAbove));
  }

  /** Recurses no deeper than the parsed report does. */
  add(name: string, value: JsonValue): void {
    const entry = this.#catalog.find(name);
    if (entry !== null) {
      const type = entry.keys?.find((key) => key.name === name)?.type ?? 'any';
      if (isOfType(type, value)) this.found.set(name, value);
      else this.#fail(name);
    } else if (this.#trunks.has(name)) {
      if (isJsonObject(value)) this.#addMembers(name, value);
      else this.#fail(name);
    } else if (isJsonObject(value) && areParts(name, Object.keys(value))) this.#addMembers(name, value);
    else if (isStatusItemName(name)) this.found.set(name, value);
    else this.#fail('StatusItems');
  }

  #addMembers(name: string, value: JsonObject): void {
    for (const [key, inner] of Object.entries(value)) this.add(`${name}.${key}`, inner);
  }

  #fail(field: string): void {
    this.failed ??= field;
  }
}

/** `a.b` and `a` for `a.b.c`. */
export function namesAbove(name: string): readonly string[] {
  const names: string[] = [];
  for (let dot = name.lastIndexOf('.'); dot > 0; dot = name.lastIndexOf('.', dot - 1))
    names.push(name.slice(0, dot));
  return names;
}

function areParts(name: string, keys: readonly string[]): boolean {
  return (
    keys.length > 0 &&
    keys.every((key) => NAME_PART.test(key) && name.length + 1 + key.length <= NAME_CHARS_MAX)
  );
}

function isOfType(type: KeyType, value: JsonValue): boolean {
  switch (type) {
    case 'string':
    case 'date':
    case 'data':
      return typeof value === 'string';
    case 'integer':
      return Number.isInteger(value);
    case 'real':
      return typeof value === 'number';
    case 'boolean':
      return typeof value === 'boolean';
    case 'array':
      return Array.isArray(value);
    case 'dictionary':
      return isJsonObject(value);
    case 'any':
      return true;
    default:
      return type satisfies never;
  }
}
