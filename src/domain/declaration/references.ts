/**
 * What a declaration refers to (facts 4.4): an activation to its configurations, anything to assets under keys whose
 * names end in `AssetReference` or `AssetReferences`, at any depth. That is how Apple names nearly all of them, so
 * types that the catalog does not know are read alike; the exception is found by the catalog (`asset-types.ts`).
 */
import type { JsonObject, JsonValue } from '../../protocol/plist/json.ts';
import type { DeclarationKind } from './manifest.ts';

export interface Reference {
  readonly kind: DeclarationKind;
  readonly identifier: string;
  /** As the catalog names places: `Payload.StandardConfigurations[0]`. */
  readonly path: string;
}

export function referencesOf(kind: DeclarationKind, payload: JsonObject): readonly Reference[] {
  const found: Reference[] = [];
  if (kind === 'activation') {
    collect(payload['StandardConfigurations'], 'configuration', 'Payload.StandardConfigurations', found);
  }
  search(payload, 'Payload', found);
  return found;
}

/** The payload's depth was bounded when it was read. */
function search(value: JsonValue, path: string, found: Reference[]): void {
  if (typeof value !== 'object' || value === null) return;
  if (Array.isArray(value)) {
    for (const [index, item] of value.entries()) search(item, `${path}[${index}]`, found);
    return;
  }
  for (const [name, item] of Object.entries(value)) {
    const inner = `${path}.${name}`;
    if (/AssetReferences?$/.test(name)) collect(item, 'asset', inner, found);
    search(item, inner, found);
  }
}

function collect(
  value: JsonValue | undefined,
  kind: DeclarationKind,
  path: string,
  found: Reference[],
): void {
  if (typeof value === 'string') found.push({ kind, identifier: value, path });
  if (!Array.isArray(value)) return;
  for (const [index, item] of value.entries()) {
    if (typeof item === 'string') found.push({ kind, identifier: item, path: `${path}[${index}]` });
  }
}
