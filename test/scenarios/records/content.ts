/** Content for each record: whole, with one fault, and between JSON and the property lists that devices speak. */
import { Buffer } from 'node:buffer';
import { findEntry } from '../../../src/protocol/catalog/catalog.ts';
import type { CatalogEntry, CatalogKind } from '../../../src/protocol/catalog/entry.ts';
import { validate } from '../../../src/protocol/catalog/validate.ts';
import type { JsonObject, JsonValue } from '../../../src/protocol/plist/json.ts';
import { type Fault, faultsOf, memberFaults, nodesOf } from '../../protocol/catalog/mutate.ts';
import { full, keysOf, settingOf } from '../../protocol/catalog/synthesize.ts';
import type { Plist } from '../../simulator/index.ts';

export const WATCH = { platform: 'watchOS', osVersion: '27.0', supervised: true } as const;

const DECLARATIONS: readonly CatalogKind[] = ['activation', 'configuration', 'asset', 'management'];

export async function entryOf(kind: CatalogKind, type: string): Promise<CatalogEntry> {
  const entry = await findEntry(kind, type);
  if (entry === null) throw new Error(`${kind} ${type} is not in the catalog`);
  return entry;
}

/** Every key that watchOS has, filled; `over` replaces what means something. */
export async function wholeOf(kind: CatalogKind, type: string, over: JsonObject = {}): Promise<JsonObject> {
  const entry = await entryOf(kind, type);
  return { ...full(await keysOf(entry), settingOf(entry, 'watchOS')), ...over };
}

/** Each way in which one value of `content` can be wrong on any platform. */
export async function faultsIn(
  kind: CatalogKind,
  type: string,
  content: JsonObject,
): Promise<readonly Fault[]> {
  const entry = await entryOf(kind, type);
  const keys = await keysOf(entry);
  const setting = settingOf(entry, 'watchOS');
  const root = DECLARATIONS.includes(kind) ? 'Payload' : '';
  const nodes = nodesOf(keys, content, root).flatMap((node) => faultsOf(node, content, setting));
  const all = [...nodes, ...memberFaults(keys, { path: root, steps: [] }, content, setting)];
  return all.filter(({ change }) => change !== 'elsewhere');
}

/** The paths at which the catalog finds fault; none when it is as it should be on the watch. */
export async function problemsOf(kind: CatalogKind, type: string, content: JsonObject): Promise<string[]> {
  const outcome = await validate(kind, type, content, WATCH);
  return outcome.ok ? [] : outcome.refusal.problems.map(({ path, rule }) => `${path} ${rule}`);
}

/** Whether `content` passes and each single fault in it is found at its place. */
export async function checkedAndRefused(
  kind: CatalogKind,
  type: string,
  content: JsonObject,
): Promise<string[]> {
  const found = await problemsOf(kind, type, content);
  const faults = await faultsIn(kind, type, content);
  if (faults.length === 0) found.push('no fault can be made');
  for (const fault of faults) {
    const problems = await problemsOf(kind, type, fault.content);
    const expected = `${fault.path} ${fault.rule}`;
    if (problems.length !== 1 || problems[0] !== expected) found.push(`${fault.change}, not ${expected}`);
  }
  return found;
}

/** JSON with its marks as the property list that it stands for. */
export function plistOf(value: JsonValue): Plist {
  if (value === null) throw new Error('a property list has no null');
  if (typeof value !== 'object') return value;
  if (Array.isArray(value)) return value.map(plistOf);
  if (typeof value['$data'] === 'string') return Buffer.from(value['$data'], 'base64');
  if (typeof value['$date'] === 'string') return new Date(value['$date']);
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, plistOf(inner)]));
}

/** And back. */
export function jsonOf(value: Plist): JsonValue {
  if (value instanceof Uint8Array) return { $data: Buffer.from(value).toString('base64') };
  if (value instanceof Date) return { $date: value.toISOString().replace('.000Z', 'Z') };
  if (Array.isArray(value)) return value.map(jsonOf);
  if (typeof value !== 'object') return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, jsonOf(inner)]));
}
