/** What a device answered to queries, out of the inventory: as far as it tells of rules, and nothing that it does not. */
import { isJsonObject } from '../../protocol/ddm/bounded-json.ts';
import type { JsonObject, JsonValue } from '../../protocol/plist/json.ts';
import type { InventoryRecord } from '../inventory/ports.ts';
import type { InventorySection } from '../inventory/section.ts';
import { PASSWORD_POLICY, RESTRICTIONS } from './keys.ts';
import type { ObservedPolicy } from './ports.ts';

export const OBSERVED_SECTIONS: readonly InventorySection[] = ['restrictions', 'security', 'profiles'];

export function observedPolicy(records: readonly InventoryRecord[]): ObservedPolicy {
  const of = (section: InventorySection) => records.find((one) => one.section === section);
  const [restrictions, security, profiles] = [of('restrictions'), of('security'), of('profiles')];
  const global = restrictions?.items.find(({ key }) => key === 'GlobalRestrictions');
  return {
    restrictions:
      global !== undefined && isJsonObject(global.value)
        ? { values: globalRestrictions(global.value), asOfMs: global.atMs }
        : null,
    security:
      security === undefined || security.completeAtMs === null
        ? null
        : {
            info: Object.fromEntries(security.items.map(({ key, value }) => [key, value])),
            asOfMs: security.completeAtMs,
          },
    // Answers to queries for managed profiles alone are in it and make it no list of all.
    profiles:
      profiles === undefined || profiles.completeAtMs === null
        ? null
        : {
            payloadIdentifiers: new Set(profiles.items.map(({ key }) => key)),
            withRules: profiles.items.filter(({ value }) => setsRules(value)).map(({ key }) => key),
            asOfMs: profiles.completeAtMs,
          },
  };
}

/** As ProfileList describes the payloads of a profile. */
function setsRules(profile: JsonValue): boolean {
  const content = isJsonObject(profile) ? profile['PayloadContent'] : null;
  const types = Array.isArray(content) ? content.map((one) => isJsonObject(one) && one['PayloadType']) : [];
  return types.includes(RESTRICTIONS) || types.includes(PASSWORD_POLICY);
}

/** One value a key, out of `restrictedBool`, `restrictedValue`, `intersection` and `union`. */
export function globalRestrictions(global: JsonObject): ReadonlyMap<string, JsonValue> {
  const values = new Map<string, JsonValue>();
  for (const part of ['restrictedBool', 'restrictedValue', 'intersection', 'union']) {
    const keys = global[part];
    for (const [key, said] of Object.entries(isJsonObject(keys) ? keys : {})) {
      const value = isJsonObject(said) ? (said['value'] ?? said['values']) : undefined;
      if (value !== undefined) values.set(key, value);
    }
  }
  return values;
}
