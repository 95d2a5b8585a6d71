/** JSON from a device: strict UTF-8, bounded depth and number of values, and refusals instead of exceptions. */
import { type Bytes, readUtf8 } from '../../std/bytes.ts';
import { type Outcome, ok, refuse } from '../../std/outcome.ts';
import type { JsonObject, JsonValue } from '../plist/json.ts';

export type JsonRefusal = { readonly kind: 'malformed-json'; readonly reason: string };

/** As for property lists. A full report of 1,000 declarations with their reasons has some 10,000 values. */
const DEPTH_MAX = 32;
const NODES_MAX = 20_000;

export function parseJson(bytes: Bytes): Outcome<JsonValue, JsonRefusal> {
  const text = readUtf8(bytes);
  if (text === null) return refuse({ kind: 'malformed-json', reason: 'not UTF-8' });
  let value: JsonValue;
  try {
    value = JSON.parse(text);
  } catch {
    // A SyntaxError is the one way this fails; the engine's parser does not recurse.
    return refuse({ kind: 'malformed-json', reason: 'not JSON' });
  }
  const excess = findExcess(value);
  return excess === null ? ok(value) : refuse({ kind: 'malformed-json', reason: excess });
}

/** Level by level, so that depth is a count and not a stack. */
function findExcess(root: JsonValue): string | null {
  let nodes = 1;
  let level = [root];
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > DEPTH_MAX) return 'nested too deeply';
    const next: JsonValue[] = [];
    for (const value of level) {
      // `1e999` is a JSON number that no JSON can be written from again.
      if (typeof value === 'number' && !Number.isFinite(value)) return 'a number too large';
      if (typeof value !== 'object' || value === null) continue;
      for (const child of Array.isArray(value) ? value : Object.values(value)) {
        if (++nodes > NODES_MAX) return 'too many values';
        next.push(child);
      }
    }
    level = next;
  }
  return null;
}

export function isJsonObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A member of the object's own, so that no key reaches the prototype. */
export function member(object: JsonObject, key: string): JsonValue | undefined {
  return Object.hasOwn(object, key) ? object[key] : undefined;
}
