/**
 * Which types of asset a key takes, where the catalog says so (`assetTypes`): an asset of another type would be
 * fetched and then fail on the device. Types and keys that the catalog does not know take any.
 */
import { loadCatalog } from '../../protocol/catalog/catalog.ts';
import type { CatalogKey } from '../../protocol/catalog/entry.ts';
import type { JsonObject, JsonValue } from '../../protocol/plist/json.ts';
import type { DeclarationDraft } from './draft.ts';

export interface MistypedReference {
  readonly path: string;
  readonly identifier: string;
  /** Of the asset that it names. */
  readonly type: string;
  readonly allowed: readonly string[];
}

/** By path, as `referencesOf` names places. */
export async function assetTypesOf(
  draft: Pick<DeclarationDraft, 'kind' | 'type' | 'payload'>,
): Promise<ReadonlyMap<string, readonly string[]>> {
  const found = new Map<string, readonly string[]>();
  const entry = (await loadCatalog(draft.kind)).find(draft.type);
  for (const keys of [entry?.keys ?? [], ...(entry?.variants ?? [])])
    members(keys, draft.payload, 'Payload', found);
  return found;
}

export async function mistyped(
  draft: DeclarationDraft,
  types: ReadonlyMap<string, string>,
): Promise<readonly MistypedReference[]> {
  const allowedAt = await assetTypesOf(draft);
  return draft.references.flatMap(({ path, identifier }) => {
    const [allowed, type] = [allowedAt.get(path), types.get(identifier)];
    if (allowed === undefined || type === undefined || allowed.includes(type)) return [];
    return [{ path, identifier, type, allowed }];
  });
}

type Found = Map<string, readonly string[]>;

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
    for (const [index, item] of value.entries()) {
      const place = `${path}[${index}]`;
      if (allowed !== undefined) allow(found, place, allowed);
      for (const form of key.items ?? []) at(form, item, place, form.assetTypes ?? allowed, found);
    }
  } else if (typeof value === 'object' && value !== null) members(key.keys ?? [], value, path, found);
  else if (allowed !== undefined) allow(found, path, allowed);
}

/** Of several forms, what any of them takes. */
function allow(found: Found, path: string, types: readonly string[]): void {
  found.set(path, [...new Set([...(found.get(path) ?? []), ...types])]);
}
