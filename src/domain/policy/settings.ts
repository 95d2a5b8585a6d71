/**
 * Policy payloads taken apart into settings: one key, its value, and the row that it belongs to. What a payload says in
 * other words than the row is translated here: passcode.settings into the keys of the password policy, siri.settings
 * into the restrictions that it replaces. A rule for passcodes asks for one even where it does not say so.
 */
import { type KindCatalog, loadCatalog } from '../../protocol/catalog/catalog.ts';
import { ANY, type CatalogEntry, type CatalogKey } from '../../protocol/catalog/entry.ts';
import { isJsonObject } from '../../protocol/ddm/bounded-json.ts';
import type { JsonObject, JsonValue } from '../../protocol/plist/json.ts';
import type { Prefers } from '../admin/policy-services.ts';
import {
  DECLARED_PASSCODE,
  PASSCODE,
  PASSCODE_SETTINGS,
  PASSWORD_POLICY,
  RESTRICTIONS,
  restrictionDirection,
  SIRI_RESTRICTIONS,
  SIRI_SETTINGS,
} from './keys.ts';
import type { Combination } from './strictness.ts';

/** The catalog has 155 restrictions; a payload taken unchecked could name 20,000. */
export const SETTINGS_PER_PAYLOAD_MAX = 500;

export interface PolicyCatalog {
  find(type: string): CatalogEntry | null;
}

export interface RowKey {
  readonly domain: string;
  readonly key: string;
  readonly prefers: Prefers | null;
  readonly zeroIsNone: boolean;
  readonly source: string;
}

export interface Setting {
  readonly row: RowKey;
  /** Where it stands. */
  readonly type: string;
  readonly key: string;
  readonly said: JsonValue;
  readonly value: JsonValue;
  readonly implied: boolean;
  /** Null when the catalog does not have it. */
  readonly known: CatalogKey | null;
  /** How Apple's schema merges configurations of the type in this key; null where they do not apply `combined`. */
  readonly combination: Omit<Combination, 'zeroIsNone'> | null;
}

/** The payload types of profiles and declarations share no name. */
export async function loadPolicyCatalog(): Promise<PolicyCatalog> {
  const kinds: readonly KindCatalog[] = [await loadCatalog('profile'), await loadCatalog('configuration')];
  return {
    find: (type) => kinds.map((kind) => kind.find(type)).find((entry) => entry !== null) ?? null,
  };
}

/** At most so many as a payload may have, and whether there were more. */
export function settingsOf(
  type: string,
  payload: JsonObject,
  catalog: PolicyCatalog,
): { readonly settings: readonly Setting[]; readonly cut: boolean } {
  const entry = catalog.find(type);
  const leaves = leavesOf(payload, entry?.keys ?? [], '').filter(({ path }) => !/^Payload[A-Z]/.test(path));
  const settings = leaves.slice(0, SETTINGS_PER_PAYLOAD_MAX).map((leaf) => settingOf(type, leaf, entry));
  return {
    settings: [...settings, ...impliedBy(settings, entry)],
    cut: leaves.length > SETTINGS_PER_PAYLOAD_MAX,
  };
}

/** The places where a row's key stands, in whatever payload. */
export function spellingsOf({
  domain,
  key,
}: Pick<RowKey, 'domain' | 'key'>): readonly (readonly [string, string])[] {
  if (domain === 'passcode') {
    const declared = PASSCODE[key]?.declared;
    const legacy = [PASSWORD_POLICY, key] as const;
    return declared === undefined ? [legacy] : [legacy, [PASSCODE_SETTINGS, declared]];
  }
  if (domain !== 'restrictions') return [[domain, key]];
  const siri = [...SIRI_RESTRICTIONS].find(([, restriction]) => restriction === key);
  return siri === undefined
    ? [[RESTRICTIONS, key]]
    : [
        [RESTRICTIONS, key],
        [SIRI_SETTINGS, siri[0]],
      ];
}

interface Leaf {
  readonly path: string;
  readonly value: JsonValue;
  readonly known: CatalogKey | null;
}

/** Dictionaries that the catalog knows the keys of are walked; a list is one value. The payload's depth is bounded. */
function leavesOf(payload: JsonObject, keys: readonly CatalogKey[], prefix: string): readonly Leaf[] {
  return Object.entries(payload).flatMap(([name, value]): readonly Leaf[] => {
    const known = keys.find((key) => key.name === name) ?? keys.find((key) => key.name === ANY) ?? null;
    const path = `${prefix}${name}`;
    return known?.keys !== undefined && isJsonObject(value)
      ? leavesOf(value, known.keys, `${path}.`)
      : [{ path, value, known }];
  });
}

function settingOf(type: string, { path, value, known }: Leaf, entry: CatalogEntry | null): Setting {
  const row = rowOf(type, path, known);
  const negated = type === PASSCODE_SETTINGS && PASSCODE[row.key]?.negated === true;
  return {
    row,
    type,
    key: path,
    said: value,
    value: negated && typeof value === 'boolean' ? !value : value,
    implied: false,
    known,
    combination: entry?.apply === 'combined' ? combinationOf(known, negated) : null,
  };
}

/** The schema's word is about the value as it stands there; a row may have its opposite. */
function combinationOf(known: CatalogKey | null, negated: boolean): Setting['combination'] {
  const by = negated && known?.combine === 'boolean-or' ? 'boolean-and' : known?.combine;
  return { by, choices: known?.values ?? [] };
}

function rowOf(type: string, key: string, known: CatalogKey | null): RowKey {
  const passcode =
    type === PASSCODE_SETTINGS ? DECLARED_PASSCODE.get(key) : type === PASSWORD_POLICY ? key : undefined;
  if (passcode !== undefined) return passcodeRow(passcode);
  const restriction =
    type === SIRI_SETTINGS ? SIRI_RESTRICTIONS.get(key) : type === RESTRICTIONS ? key : undefined;
  if (restriction !== undefined) {
    const { prefers, source, zeroIsNone } = restrictionDirection(restriction, known?.type === 'boolean');
    return { domain: 'restrictions', key: restriction, prefers, source, zeroIsNone: zeroIsNone ?? false };
  }
  const word = known?.combine;
  const source = word === undefined ? 'the schema says no word on merging' : `${type}: ${word}`;
  return { domain: type, key, prefers: null, zeroIsNone: false, source };
}

function passcodeRow(key: string): RowKey {
  const listed = Object.hasOwn(PASSCODE, key) ? PASSCODE[key] : undefined;
  const { prefers = null, source = 'not in the catalog', zeroIsNone = false } = listed ?? {};
  return { domain: 'passcode', key, prefers, source, zeroIsNone };
}

/** passcode.settings: any other key asks for a passcode, and outranks this one (its schema says so). */
function impliedBy(settings: readonly Setting[], entry: CatalogEntry | null): readonly Setting[] {
  const other = settings.find((one) => one.type === PASSCODE_SETTINGS && one.row.key !== 'forcePIN');
  if (other === undefined) return [];
  const key = PASSCODE['forcePIN']?.declared ?? '';
  const known = entry?.keys?.find((one) => one.name === key) ?? null;
  const combination = combinationOf(known, false);
  return [
    {
      ...other,
      row: passcodeRow('forcePIN'),
      key,
      said: null,
      value: true,
      implied: true,
      known,
      combination,
    },
  ];
}
