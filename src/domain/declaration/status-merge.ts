/**
 * What a device's status is after a report (handbook section 4.5). Pure: stored items and a report in, all items out.
 * Incremental by item; an array of objects with an `identifier` is incremental by object: unknown is added, known
 * replaced whole, `_removed` (or `removed`, as Apple's prose spells it) taken away. A full report replaces everything.
 *
 * An item that did not change is the same object afterwards, so whoever stores them sees what to write. A refused
 * report changes nothing.
 */
import { isJsonObject, member } from '../../protocol/ddm/bounded-json.ts';
import { canonicalJson } from '../../protocol/ddm/canonical-json.ts';
import { namesAbove } from '../../protocol/ddm/status-items.ts';
import type { JsonObject, JsonValue } from '../../protocol/plist/json.ts';
import { utf8 } from '../../std/bytes.ts';
import { type Outcome, ok, refuse } from '../../std/outcome.ts';
import type { EpochMs } from '../../std/time.ts';

/** Half of what one row of an object's SQLite holds, so that a single item could have all of it. */
export const STATUS_BYTES_MAX = 1024 * 1024;
/** Apps, certificates, declarations: a phone has hundreds. */
export const STATUS_ARRAY_MAX = 5_000;
/** Apple knows 49; one that the catalog does not know may come in pieces. */
export const STATUS_ITEMS_MAX = 2_000;

export interface StatusItem {
  readonly name: string;
  /** Canonical JSON; null when only an error is known. */
  readonly value: string | null;
  /** Since when the device reports this value. */
  readonly atMs: EpochMs | null;
  /** The last attempt to report the item failed. */
  readonly error: { readonly reasons: string; readonly atMs: EpochMs } | null;
}

/** A report as it reaches the device's object: every value and every error's reasons as canonical JSON, by item name. */
export interface StatusChange {
  readonly full: boolean;
  readonly values: ReadonlyMap<string, string>;
  readonly errors: ReadonlyMap<string, string>;
}

export type StatusMergeRefusal =
  /** `reason` is what there is too much of. */
  | { readonly kind: 'status-too-large'; readonly reason: 'bytes' | 'items' | 'array' }
  | { readonly kind: 'status-malformed'; readonly reason: string };

type StatusItems = ReadonlyMap<string, StatusItem>;

/** The one item whose value is a dictionary of such arrays. */
const DECLARATIONS = 'management.declarations';

export function mergeStatus(
  stored: StatusItems,
  change: StatusChange,
  nowMs: EpochMs,
): Outcome<StatusItems, StatusMergeRefusal> {
  const { full, values, errors } = change;
  if (values.size + errors.size > STATUS_ITEMS_MAX) return refuse(tooLarge('items'));
  const next = new Map(full ? [] : stored);
  for (const [name, reported] of values) {
    const old = stored.get(name) ?? null;
    const merged = mergeValue(name, full ? null : (old?.value ?? null), reported);
    if (!merged.ok) return merged;
    if (!full) supersede(next, name);
    next.set(name, withValue(name, old, merged.value, nowMs));
  }
  for (const [name, reasons] of errors) {
    next.set(name, withError(name, stored.get(name) ?? null, next.get(name) ?? null, { reasons, nowMs }));
  }
  if (next.size > STATUS_ITEMS_MAX) return refuse(tooLarge('items'));
  return statusBytes(next) > STATUS_BYTES_MAX ? refuse(tooLarge('bytes')) : ok(next);
}

function withValue(name: string, old: StatusItem | null, value: string, nowMs: EpochMs): StatusItem {
  if (old?.value !== value) return { name, value, atMs: nowMs, error: null };
  return old.error === null ? old : { ...old, error: null };
}

/** `now` is the item as this report's values left it: one that came beside its error is kept with it. */
function withError(
  name: string,
  old: StatusItem | null,
  now: StatusItem | null,
  { reasons, nowMs }: { readonly reasons: string; readonly nowMs: EpochMs },
): StatusItem {
  const { value = null, atMs = null } = now ?? {};
  const same = old?.error?.reasons === reasons ? old.error : null;
  if (same !== null && old?.value === value && old.atMs === atMs) return old;
  return { name, value, atMs, error: same ?? { reasons, atMs: nowMs } };
}

/** A name is an item or the beginning of items, never both: the device's newer word decides which. */
function supersede(items: Map<string, StatusItem>, name: string): void {
  for (const above of namesAbove(name)) items.delete(above);
  if (items.has(name)) return;
  for (const other of [...items.keys()]) if (other.startsWith(`${name}.`)) items.delete(other);
}

function statusBytes(items: StatusItems): number {
  let bytes = 0;
  for (const { name, value, error } of items.values())
    bytes += utf8(name).length + utf8(value ?? '').length + utf8(error?.reasons ?? '').length;
  return bytes;
}

/** `stored` is null where the report replaces. Scalars and dictionaries are taken as they are. */
function mergeValue(
  name: string,
  stored: string | null,
  reported: string,
): Outcome<string, StatusMergeRefusal> {
  const grouped = name === DECLARATIONS;
  if (!grouped && !reported.startsWith('[')) return ok(reported);
  const value: JsonValue = JSON.parse(reported);
  const old: JsonValue = stored === null ? null : JSON.parse(stored);
  const merged =
    grouped && isJsonObject(value)
      ? mergeGroups(isJsonObject(old) ? old : {}, value)
      : mergeArray(name, old, value);
  return merged.ok ? ok(canonicalJson(merged.value)) : merged;
}

/** `management.declarations`: a group that the report does not name is as it was. */
function mergeGroups(old: JsonObject, value: JsonObject): Outcome<JsonValue, StatusMergeRefusal> {
  const groups = new Map(Object.entries(old));
  for (const [key, group] of Object.entries(value)) {
    const merged = mergeArray(DECLARATIONS, groups.get(key) ?? null, group);
    if (!merged.ok) return merged;
    groups.set(key, merged.value);
  }
  return ok(Object.fromEntries(groups));
}

function mergeArray(name: string, old: JsonValue, value: JsonValue): Outcome<JsonValue, StatusMergeRefusal> {
  if (!Array.isArray(value)) return ok(value);
  const before = isIdentified(old) ? old : [];
  // No object changed, where there are objects.
  if (value.length === 0) return ok(before);
  if (!isIdentified(value)) return checkSize(value);
  // The last word on each: a report said twice then leaves what it left once, order included.
  const words = new Map(value.map((object) => [identifierOf(object), object]));
  if (words.has(null)) return refuse({ kind: 'status-malformed', reason: name });
  const objects = new Map(before.map((object) => [identifierOf(object), object]));
  for (const [identifier, object] of words) {
    if (isRemoved(object)) objects.delete(identifier);
    else objects.set(identifier, object);
  }
  return checkSize([...objects.values()]);
}

function checkSize(items: JsonValue[]): Outcome<JsonValue, StatusMergeRefusal> {
  return items.length > STATUS_ARRAY_MAX ? refuse(tooLarge('array')) : ok(items);
}

/** Whether this is an array of objects told apart by `identifier`: one of them is enough to ask it of all. */
function isIdentified(value: JsonValue): value is JsonValue[] {
  return (
    Array.isArray(value) &&
    value.some((item) => isJsonObject(item) && (Object.hasOwn(item, 'identifier') || isRemoved(item)))
  );
}

function identifierOf(item: JsonValue): string | null {
  const identifier = isJsonObject(item) ? member(item, 'identifier') : null;
  return typeof identifier === 'string' ? identifier : null;
}

function isRemoved(item: JsonValue): boolean {
  return isJsonObject(item) && (member(item, '_removed') === true || member(item, 'removed') === true);
}

function tooLarge(reason: 'bytes' | 'items' | 'array'): StatusMergeRefusal {
  return { kind: 'status-too-large', reason };
}
