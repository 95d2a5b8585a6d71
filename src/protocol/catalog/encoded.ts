/**
 * How `data/*.json` holds an entry: JSON text per type, with short names, so that an isolate pays for a type when
 * it is first asked for. `scripts/catalog.ts` writes it; what it writes is trusted here and checked by tests.
 */
import type { Platform } from '../../domain/ids.ts';
import type { JsonValue } from '../plist/json.ts';
import type {
  Bounds,
  CatalogEntry,
  CatalogKey,
  CatalogKind,
  CatalogReason,
  EntryPlatforms,
  KeyPlatforms,
  KeyType,
  PlatformRule,
} from './entry.ts';

export const KEY_TYPES: Readonly<Record<string, KeyType>> = {
  s: 'string',
  i: 'integer',
  r: 'real',
  b: 'boolean',
  t: 'date',
  x: 'data',
  a: 'array',
  d: 'dictionary',
  '?': 'any',
};

/** Name; letter of the type, with `*` after it if required; the rest if there is any. */
export type EncodedKey = readonly [string, string, EncodedDetails?];

export interface EncodedDetails {
  d?: JsonValue;
  v?: readonly (string | number)[];
  r?: EncodedBounds;
  n?: EncodedBounds;
  f?: string;
  s?: string;
  c?: string;
  a?: readonly string[];
  m?: readonly string[];
  p?: EncodedPlatforms;
  /** Members, items or words, as the type goes. */
  k?: readonly EncodedKey[];
  u?: number;
}

/** Null for a side without a bound. */
export type EncodedBounds = readonly [number | null, number | null];

/** Letters of `PlatformRule`; 0 where the key does not exist. */
export interface EncodedPlatforms {
  i?: EncodedRule | 0;
  w?: EncodedRule | 0;
}

export interface EncodedRule {
  i?: string;
  d?: string;
  x?: string;
  s?: 1;
  a?: 1;
  r?: string;
  e?: readonly string[];
  o?: readonly string[];
  u?: string;
  h?: string;
  j?: readonly string[];
  m?: 1;
  n?: 0;
  k?: 0 | 1;
}

export interface EncodedEntry {
  /** Index into the schemas of `data/index.json`. */
  z: number;
  b: string;
  c?: string;
  p: EncodedPlatforms;
  y?: string;
  t?: readonly string[];
  k: readonly EncodedKey[] | null;
  v?: readonly (readonly EncodedKey[])[];
  r?: readonly EncodedKey[];
  e?: readonly CatalogReason[];
}

export function decodeEntry(
  kind: CatalogKind,
  type: string,
  text: string,
  schemas: readonly string[],
): CatalogEntry {
  const entry: EncodedEntry = JSON.parse(text);
  return defined<CatalogEntry>({
    kind,
    type,
    platforms: decodePlatforms(entry.p) as EntryPlatforms,
    schema: schemas[entry.z] ?? '',
    basis: entry.b,
    amended: entry.c,
    apply: entry.y,
    relatedStatus: entry.t,
    keys: entry.k === null ? null : entry.k.map(decodeKey),
    variants: entry.v?.map((keys) => keys.map(decodeKey)),
    responseKeys: entry.r?.map(decodeKey),
    reasons: entry.e,
  });
}

function decodeKey([name, form, details = {}]: EncodedKey): CatalogKey {
  const type = KEY_TYPES[form[0] ?? ''] ?? 'any';
  const children = details.k?.map(decodeKey);
  return defined<CatalogKey>({
    name,
    type,
    required: form.endsWith('*') || undefined,
    default: details.d,
    values: details.v,
    range: decodeBounds(details.r),
    count: decodeBounds(details.n),
    format: details.f,
    subtype: details.s,
    combine: details.c,
    assetTypes: details.a,
    assetContentTypes: details.m,
    platforms: details.p === undefined ? undefined : decodePlatforms(details.p),
    keys: type === 'dictionary' ? children : undefined,
    items: type === 'array' ? children : undefined,
    choices: type === 'string' ? children : undefined,
    recursive: details.u,
  });
}

function decodeBounds(bounds: EncodedBounds | undefined): Bounds | undefined {
  if (bounds === undefined) return undefined;
  const [min, max] = bounds;
  return defined<Bounds>({ min: min ?? undefined, max: max ?? undefined });
}

function decodePlatforms({ i, w }: EncodedPlatforms): KeyPlatforms {
  const platforms: { [P in Platform]?: PlatformRule | null } = {};
  if (i !== undefined) platforms.iOS = i === 0 ? null : decodeRule(i);
  if (w !== undefined) platforms.watchOS = w === 0 ? null : decodeRule(w);
  return platforms;
}

function decodeRule(rule: EncodedRule): PlatformRule {
  return defined<PlatformRule>({
    introduced: rule.i,
    deprecated: rule.d,
    removed: rule.x,
    supervised: rule.s === 1 || undefined,
    automatedEnrollment: rule.a === 1 || undefined,
    accessRight: rule.r,
    enrollments: rule.e,
    scopes: rule.o,
    userEnrollment: rule.u,
    sharedIpad: rule.h,
    sharedIpadScopes: rule.j,
    multiple: rule.m === 1 || undefined,
    manualInstall: rule.n === 0 ? false : undefined,
    alwaysSkippable: rule.k === undefined ? undefined : rule.k === 1,
  });
}

/** The members that are there; the generator answers for the words in them. */
function defined<T>(members: { readonly [K in keyof T]-?: unknown }): T {
  const present: Record<string, unknown> = {};
  for (const name in members) if (members[name] !== undefined) present[name] = members[name];
  return present as T;
}
