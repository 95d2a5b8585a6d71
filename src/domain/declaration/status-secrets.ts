/**
 * The two status items whose values wake a device: push token and PushMagic. What a device reports of them is masked
 * before its object sees the report, so that neither the kept status, the kept reports, the events nor the API hold
 * them; what an object kept before that is masked when it is read.
 *
 * A value is found by where it stands, whatever the report nests: names joined by dots, through lists, at any depth.
 */
import type { JsonValue } from '../../protocol/plist/json.ts';
import { type Bytes, readUtf8, utf8 } from '../../std/bytes.ts';
import { Fault } from '../../std/outcome.ts';

export const SECRET_STATUS_ITEMS = ['mdm.push-token', 'mdm.push-magic'] as const;
export const MASK = '[secret]';

/** Whether this is such an item, a part of one, or one inside another item. */
export function isSecretStatusItem(name: string): boolean {
  const dotted = `.${name}.`;
  return SECRET_STATUS_ITEMS.some((secret) => dotted.includes(`.${secret}.`));
}

/** `name` is where the value stands. Recurses no deeper than a report is read. */
export function maskSecrets(value: JsonValue, name = ''): JsonValue {
  if (isSecretStatusItem(name)) return MASK;
  if (Array.isArray(value)) return value.map((item) => maskSecrets(item, name));
  if (typeof value !== 'object' || value === null) return value;
  const members = Object.entries(value).map(([key, inner]): [string, JsonValue] => [
    key,
    maskSecrets(inner, name === '' ? key : `${name}.${key}`),
  ]);
  return Object.fromEntries(members);
}

/** A report that was read as JSON, written anew: a member said twice would else be kept and not be seen. */
export function maskReport(report: Bytes): Bytes {
  const text = readUtf8(report);
  if (text === null) throw new Fault('status-report', 'a report that was read is not UTF-8');
  return utf8(JSON.stringify(maskSecrets(JSON.parse(text))));
}
