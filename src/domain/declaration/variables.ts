/**
 * Variables in a declaration's payload: `${udid}`, `${serial}`, `${name}` and `${property.NAME}` stand in any string
 * that is a value, and become what is known of the device when its manifest is compiled, before the server token is
 * taken. `$${` stands for the characters `${`; a `$` before anything else is only a `$`.
 *
 * Predicates take none: a device evaluates `@property(NAME)` itself, and a value must not become syntax. Neither do
 * references, which name one declaration for all devices.
 */
import type { JsonObject, JsonValue } from '../../protocol/plist/json.ts';
import type { DeviceFacts } from './properties.ts';

const VARIABLE = /\$\$\{|\$\{([^}]*)\}/g;
const PROPERTY = 'property.';
const BUILT_IN: ReadonlySet<string> = new Set(['udid', 'serial', 'name']);

/** Whether a payload holds any, or the escape of one. */
export function hasVariables(value: JsonValue): boolean {
  if (typeof value === 'string') return value.includes('${');
  return typeof value === 'object' && value !== null && Object.values(value).some(hasVariables);
}

export interface VariableUse {
  /** `Payload.EAPClientConfiguration.UserName`. */
  readonly path: string;
  readonly name: string;
}

export function variablesOf(value: JsonValue, path = 'Payload'): readonly VariableUse[] {
  if (typeof value === 'string') {
    return [...value.matchAll(VARIABLE)].flatMap(([, name]) => (name === undefined ? [] : [{ path, name }]));
  }
  if (Array.isArray(value)) return value.flatMap((item, index) => variablesOf(item, `${path}[${index}]`));
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, item]) => variablesOf(item, `${path}.${key}`));
}

/** Whether a device may have a value for it. */
export function isVariable(name: string): boolean {
  return BUILT_IN.has(name) || (name.startsWith(PROPERTY) && isPropertyName(name.slice(PROPERTY.length)));
}

/** Every object of JavaScript has these, and the parsers of its world drop or mistake them. */
const TAKEN: ReadonlySet<string> = new Set(['__proto__', 'constructor', 'prototype']);

/** As `@property(…)` in a predicate can name it. */
export function isPropertyName(name: string): boolean {
  return !TAKEN.has(name) && /^[A-Za-z0-9_-]{1,64}(\.[A-Za-z0-9_-]{1,64}){0,3}$/.test(name);
}

/** The payload for this device, or the names of which it has no value. */
export function substitute(
  payload: JsonObject,
  facts: DeviceFacts,
): { readonly payload: JsonObject } | { readonly missing: readonly string[] } {
  const missing = new Set<string>();
  const fill = (value: JsonValue): JsonValue => {
    if (typeof value === 'string') {
      return value.replace(VARIABLE, (_, name: string | undefined) => {
        if (name === undefined) return '${';
        const found = valueFor(name, facts);
        if (found === null) missing.add(name);
        return found ?? '';
      });
    }
    if (Array.isArray(value)) return value.map(fill);
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, fill(item)]));
  };
  const filled = fill(payload) as JsonObject;
  return missing.size > 0 ? { missing: [...missing].sort() } : { payload: filled };
}

function valueFor(name: string, { udid, serial, properties }: DeviceFacts): string | null {
  if (name === 'udid') return udid;
  if (name === 'serial') return serial;
  if (name === 'name') return properties.name;
  const key = name.slice(PROPERTY.length);
  const value = Object.hasOwn(properties.values, key) ? properties.values[key] : undefined;
  return value === undefined ? null : String(value);
}
