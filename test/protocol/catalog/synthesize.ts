/**
 * Content made from an entry's keys alone: the least that is valid, and the most that one device takes. Reads the
 * catalog's model and shares no rule with the validator.
 */
import { findEntry } from '../../../src/protocol/catalog/catalog.ts';
import type { CatalogEntry, CatalogKey } from '../../../src/protocol/catalog/entry.ts';
import type { CatalogTarget } from '../../../src/protocol/catalog/support.ts';
import type { JsonObject, JsonValue } from '../../../src/protocol/plist/json.ts';

export interface Setting {
  readonly target: CatalogTarget;
  readonly plist: boolean;
}

export function settingOf(entry: CatalogEntry, platform: CatalogTarget['platform']): Setting {
  const rule = entry.platforms[platform];
  const osVersion = rule?.removed === undefined ? '27.0' : (rule.introduced ?? '27.0');
  return {
    target: { platform, osVersion, supervised: true },
    plist: ['command', 'checkin', 'profile', 'other'].includes(entry.kind),
  };
}

/** The entry's keys with those that its kind puts around them. */
export async function keysOf({ kind, type, keys }: CatalogEntry): Promise<readonly CatalogKey[]> {
  const own = keys ?? [];
  if (kind === 'command')
    return [{ name: 'RequestType', type: 'string', required: true, values: [type] }, ...own];
  if (kind !== 'profile' || type === 'CommonPayloadKeys' || type === 'TopLevel') return own;
  const common = (await findEntry('profile', 'CommonPayloadKeys'))?.keys ?? [];
  return [...common.map((key) => (key.name === 'PayloadType' ? { ...key, values: [type] } : key)), ...own];
}

export function minimal(keys: readonly CatalogKey[], setting: Setting): JsonObject {
  return members(
    keys.filter(({ required }) => required),
    setting,
    minimal,
  );
}

export function full(keys: readonly CatalogKey[], setting: Setting): JsonObject {
  return members(
    keys.filter(({ recursive }) => recursive === undefined),
    setting,
    full,
  );
}

export function isOn({ platforms }: CatalogKey, { target }: Setting): boolean {
  const rule = platforms?.[target.platform];
  if (rule === undefined) return true;
  if (rule === null || rule.userEnrollment === 'required') return false;
  const version = Number(target.osVersion);
  return Number(rule.introduced ?? 0) <= version && !(Number(rule.removed ?? 1000) <= version);
}

type Fill = (keys: readonly CatalogKey[], setting: Setting) => JsonObject;

function members(keys: readonly CatalogKey[], setting: Setting, fill: Fill): JsonObject {
  const there = keys.filter((key) => isOn(key, setting) && key.name !== 'ANY');
  return Object.fromEntries(there.map((key) => [key.name, sampleOf(key, setting, fill)]));
}

export function sampleOf(key: CatalogKey, setting: Setting, fill: Fill): JsonValue {
  switch (key.type) {
    case 'array':
      return itemsOf(key, setting, fill);
    case 'dictionary':
      return fill(key.keys ?? [], setting);
    case 'boolean':
      return true;
    case 'date':
      return setting.plist ? { $date: '2026-11-20T12:00:00Z' } : '2026-11-20T12:00:00Z';
    case 'data':
      return setting.plist ? { $data: 'AAEC' } : 'AAEC';
    case 'integer':
    case 'real':
      return key.values?.[0] ?? key.range?.min ?? key.range?.max ?? 1;
    case 'string':
      return key.values?.[0] ?? key.choices?.find((choice) => isOn(choice, setting))?.name ?? textOf(key);
    case 'any':
      return 'anything';
  }
}

function itemsOf({ items = [], count }: CatalogKey, setting: Setting, fill: Fill): JsonValue[] {
  const forms = items.filter((item) => isOn(item, setting) && item.recursive === undefined);
  return Array.from({ length: count?.min ?? 1 }).flatMap(() =>
    forms.map((item) => sampleOf(item, setting, fill)),
  );
}

const TEXTS = ['text', 'https://example.com/', '01234567-89AB-CDEF-0123-456789ABCDEF', '00:11:22:33:44:55'];
const CODES = ['ABC123', '123456', '2026-11-20T12:00:00', 'example.com'];

function textOf({ name, format }: CatalogKey): string {
  const text = [...TEXTS, ...CODES].find((one) => format === undefined || new RegExp(format).test(one));
  if (text === undefined) throw new Error(`no text for ${name}: ${format}`);
  return text;
}
