/** Keys of a payload read from JSON that the catalog has already judged: absent, or of the type asked for. */
import { type JsonObject, type JsonValue, jsonToPlist } from '../../protocol/plist/json.ts';
import type { Bytes } from '../../std/bytes.ts';

export function textOf(keys: JsonObject, name: string): string | undefined {
  const value = keys[name];
  return typeof value === 'string' ? value : undefined;
}

export function numberOf(keys: JsonObject, name: string): number | undefined {
  const value = keys[name];
  return typeof value === 'number' ? value : undefined;
}

export function listOf(keys: JsonObject, name: string): readonly JsonValue[] | undefined {
  const value = keys[name];
  return Array.isArray(value) ? value : undefined;
}

export function dictOf(keys: JsonObject, name: string): JsonObject | undefined {
  const value = keys[name];
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : undefined;
}

/** What `{"$data": base64}` stands for. */
export function dataOf(keys: JsonObject, name: string): Bytes | undefined {
  const read = jsonToPlist(keys[name]);
  return read.ok && read.value instanceof Uint8Array ? read.value : undefined;
}
