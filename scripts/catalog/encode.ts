/** Merged facts in the short form of `src/protocol/catalog/encoded.ts`. What says nothing beyond a default is left out. */
import {
  type EncodedBounds,
  type EncodedDetails,
  type EncodedEntry,
  type EncodedKey,
  type EncodedPlatforms,
  type EncodedRule,
  KEY_TYPES,
} from '../../src/protocol/catalog/encoded.ts';
import { ANY } from '../../src/protocol/catalog/entry.ts';
import type { Key, Platforms, Range, Rule } from './facts.ts';
import type { Merged } from './merge.ts';

const letters = new Map(Object.entries(KEY_TYPES).map(([letter, type]) => [type as string, letter]));

export function encodeEntry(entry: Merged): EncodedEntry {
  const keys = (list: readonly Key[]) => encodeKeys(list, entry.platforms, []);
  return compact({
    z: entry.schema,
    b: entry.basis,
    c: entry.amended,
    p: encodePlatforms(entry.platforms, 'entry') ?? {},
    y: entry.apply,
    t: entry.relatedStatus,
    k: entry.keys === null ? null : keys(entry.keys),
    v: entry.variants.length === 0 ? undefined : entry.variants.map(keys),
    r: entry.responseKeys === undefined ? undefined : keys(entry.responseKeys),
    e: entry.reasons?.map(({ value, details = {} }) => ({ code: value, details })),
  });
}

/** Keys that exist on none of the entry's platforms are no part of it. */
function encodeKeys(list: readonly Key[], on: Platforms, path: readonly Key[]): EncodedKey[] {
  const names = (['iOS', 'watchOS'] as const).filter((name) => on[name] !== undefined);
  return list
    .filter((key) => names.some((name) => isThere(key.platforms?.[name])))
    .map((key) => encodeKey(key, on, path));
}

function encodeKey(key: Key, on: Platforms, path: readonly Key[]): EncodedKey {
  const letter = letters.get(key.type);
  if (letter === undefined) throw new Error(`${key.key} has the unknown type ${key.type}`);
  const inner = Array.isArray(key.subkeys) ? (key.subkeys as readonly Key[]) : [];
  const children = encodeKeys(inner, on, [...path, key]);
  const repetition = key.type === 'array' ? inner[0]?.repetition : undefined;
  const details: EncodedDetails = compact({
    d: key.default,
    v: key.rangelist,
    r: encodeRange(key.range),
    n: encodeRange(repetition),
    f: key.format,
    s: key.subtype,
    c: key.combinetype,
    a: key.assettypes,
    m: key['asset-content-types'],
    p: key.platforms === undefined ? undefined : encodePlatforms(key.platforms, 'key'),
    k: children.length === 0 ? undefined : children,
    u: key.subkeys === 'recursive' ? levelsUp(key, path) : undefined,
  });
  const form = key.presence === 'required' ? `${letter}*` : letter;
  // `ANY app identifier` and its like: any name again.
  const name = key.key.startsWith('ANY ') ? ANY : key.key;
  return Object.keys(details).length === 0 ? [name, form] : [name, form, details];
}

/** A recursive key holds what the nearest key of its kind above it holds. */
function levelsUp(key: Key, path: readonly Key[]): number {
  const kindAt = (index: number, self: Key) =>
    `${self.type} ${self.subkeytype ?? path[index - 1]?.subkeytype}`;
  const own = kindAt(path.length, key);
  for (let index = path.length - 1; index >= 0; index--) {
    if (kindAt(index, path[index] as Key) === own) return path.length - index;
  }
  throw new Error(`${key.key} is recursive into nothing`);
}

function encodeRange(range: Range | undefined): EncodedBounds | undefined {
  return range === undefined ? undefined : [range.min ?? null, range.max ?? null];
}

/** `removed: 0` in the schema: never there. */
function isThere(rule: Rule | undefined): boolean {
  return rule?.introduced !== 'n/a' && rule?.removed !== '0';
}

function encodePlatforms(platforms: Platforms, of: 'entry' | 'key'): EncodedPlatforms | undefined {
  const encoded: EncodedPlatforms = {};
  for (const [letter, rule] of [['i', platforms.iOS] as const, ['w', platforms.watchOS] as const]) {
    if (rule === undefined) continue;
    if (isThere(rule)) {
      const members = encodeRule(rule);
      if (Object.keys(members).length > 0) encoded[letter] = members;
    } else if (of === 'key') encoded[letter] = 0;
  }
  return Object.keys(encoded).length === 0 ? undefined : encoded;
}

const RIGHTS: Readonly<Record<string, string>> = { 'n/a': 'none', None: 'none', 'Special Case': 'varies' };

function encodeRule(rule: Rule): EncodedRule {
  const unlessAllowed = (word: string | undefined) => (word === 'allowed' ? undefined : word);
  const { accessrights, 'always-skippable': skippable } = rule;
  return compact({
    i: rule.introduced,
    d: rule.deprecated,
    x: rule.removed,
    s: rule.supervised ? 1 : undefined,
    a: rule.requiresdep ? 1 : undefined,
    r: accessrights === undefined ? undefined : (RIGHTS[accessrights] ?? accessrights),
    e: rule['allowed-enrollments'],
    o: rule['allowed-scopes'],
    u: unlessAllowed(rule.userenrollment),
    h: unlessAllowed(rule.sharedipad),
    j: rule['sharedipad-scopes'],
    m: rule.multiple ? 1 : undefined,
    n: rule.allowmanualinstall === false ? 0 : undefined,
    k: skippable === undefined ? undefined : skippable ? 1 : 0,
  });
}

type Undefinable<T> = { readonly [K in keyof T]: T[K] | undefined };

function compact<T>(members: Undefinable<T>): T {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined)) as T;
}
