/**
 * Which types of asset a key takes, where the catalog says so (`assetTypes`): an asset of another type would be
 * fetched and then fail on the device. Types and keys that the catalog does not know take any. It also finds what is
 * a reference and not named like one: `PublicKeyData` of the network relay.
 */
import { loadCatalog } from '../../protocol/catalog/catalog.ts';
import type { CatalogKey } from '../../protocol/catalog/entry.ts';
import type { JsonObject, JsonValue } from '../../protocol/plist/json.ts';
import type { DeclarationDraft } from './draft.ts';
import { type Reference, referencesOf } from './references.ts';

export interface MistypedReference {
  readonly path: string;
  readonly identifier: string;
  /** Of the asset that it names. */
  readonly type: string;
  readonly allowed: readonly string[];
}

type Content = Pick<DeclarationDraft, 'kind' | 'type' | 'payload'>;
type Found = Map<string, { readonly identifier: string; readonly allowed: readonly string[] }>;

/** By path, as `referencesOf` names places. */
export async function assetsNamedIn({ kind, type, payload }: Content): Promise<Found> {
  const found: Found = new Map();
  const entry = (await loadCatalog(kind)).find(type);
  for (const keys of [entry?.keys ?? [], ...(entry?.variants ?? [])])
    members(keys, payload, 'Payload', found);
  return found;
}

/** By name and by catalog, each place once. */
export async function allReferencesOf(content: Content): Promise<readonly Reference[]> {
  const named = referencesOf(content.kind, content.payload);
  const known = new Set(named.map(({ path }) => path));
  const others = [...(await assetsNamedIn(content))].filter(([path]) => !known.has(path));
  return [
    ...named,
    ...others.map(([path, { identifier }]) => ({ kind: 'asset' as const, identifier, path })),
  ];
}

/** `types` are those of the declarations that it refers to. */
export async function mistyped(
  draft: DeclarationDraft,
  types: ReadonlyMap<string, string>,
): Promise<readonly MistypedReference[]> {
  return [...(await assetsNamedIn(draft))].flatMap(([path, { identifier, allowed }]) => {
    const type = types.get(identifier);
    return type === undefined || allowed.includes(type) ? [] : [{ path, identifier, type, allowed }];
  });
}

/** No key that takes an asset is below a recursive one, so those are not followed. */
function members(keys: readonly CatalogKey[], payload: JsonObject, path: string, found: Found): void {
  for (const key of keys) {
    const value = payload[key.name];
    if (value !== undefined) at(key, value, `${path}.${key.name}`, key.assetTypes, found);
  }
}

function at(
  key: CatalogKey,
  value: JsonValue,
  path: string,
  allowed: readonly string[] | undefined,
  found: Found,
): void {
  if (Array.isArray(value)) {
    for (const [index, item] of value.entries())
      for (const form of key.items ?? [])
        at(form, item, `${path}[${index}]`, form.assetTypes ?? allowed, found);
  } else if (typeof value === 'object' && value !== null) members(key.keys ?? [], value, path, found);
  else if (typeof value === 'string' && allowed !== undefined)
    found.set(path, { identifier: value, allowed });
}
