/**
 * The part of a device's status that the whole fleet is asked about: scalar items of the catalog, as text. Push token
 * and PushMagic stay in the device's object (docs/storage.md).
 */
import { type KindCatalog, loadCatalog } from '../../protocol/catalog/catalog.ts';
import type { KeyType } from '../../protocol/catalog/entry.ts';
import type { StatusItem } from './status-merge.ts';
import { isSecretStatusItem } from './status-secrets.ts';

/** A longer text is not something one asks for; Apple's longest, marketing names, have some 30. */
export const FLEET_VALUE_CHARS_MAX = 64;

const SCALARS: ReadonlySet<KeyType> = new Set(['string', 'integer', 'real', 'boolean', 'date']);

export type FleetStatus = Readonly<Record<string, string>>;

/** Names of the items that may be asked for. */
export async function fleetItemNames(): Promise<readonly string[]> {
  const catalog = await loadCatalog('status');
  return catalog.types.filter((name) => !isSecretStatusItem(name) && isScalar(catalog, name));
}

function isScalar(catalog: KindCatalog, name: string): boolean {
  const type = catalog.find(name)?.keys?.find((key) => key.name === name)?.type;
  return type !== undefined && SCALARS.has(type);
}

/** In the order of `names`, so that equal statuses are equal texts. */
export function fleetStatus(items: ReadonlyMap<string, StatusItem>, names: readonly string[]): FleetStatus {
  const found: [string, string][] = [];
  for (const name of names) {
    const value: unknown = JSON.parse(items.get(name)?.value ?? 'null');
    if (value === null || typeof value === 'object') continue;
    const text = String(value);
    if (text.length <= FLEET_VALUE_CHARS_MAX) found.push([name, text]);
  }
  return Object.fromEntries(found);
}
