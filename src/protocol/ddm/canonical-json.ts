/**
 * One text for one JSON value, after RFC 8785 (JCS): keys sorted by UTF-16 code units, no white space, numbers and
 * strings as ECMAScript writes them. A server token is a hash of it, so equal declarations get equal tokens whatever
 * the order their author wrote them in.
 */
import { Fault } from '../../std/outcome.ts';
import type { JsonValue } from '../plist/json.ts';

export function canonicalJson(value: JsonValue): string {
  if (typeof value === 'number' && !Number.isFinite(value))
    throw new Fault('json-number', 'not a JSON number');
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  const members = Object.keys(value)
    .sort()
    .map((key) => `${JSON.stringify(key)}:${canonicalJson(value[key] as JsonValue)}`);
  return `{${members.join(',')}}`;
}
