/** StatusItems taken apart by the catalog's names, and what becomes of names that it does not know. */
import { beforeAll, describe, expect, it } from 'vitest';
import { type KindCatalog, loadCatalog } from '../../../src/protocol/catalog/catalog.ts';
import type { KeyType } from '../../../src/protocol/catalog/entry.ts';
import { isStatusItemName, namesAbove, splitStatusItems } from '../../../src/protocol/ddm/status-items.ts';
import type { JsonObject, JsonValue } from '../../../src/protocol/plist/json.ts';

let catalog: KindCatalog;
beforeAll(async () => {
  catalog = await loadCatalog('status');
});

const split = (items: JsonObject) => {
  const outcome = splitStatusItems(items, catalog);
  return outcome.ok ? Object.fromEntries(outcome.value) : outcome.refusal;
};
const malformed = (field: string) => ({ kind: 'malformed-status-report', field });

const nested = (name: string, value: JsonValue): JsonObject =>
  name.split('.').reduceRight<JsonValue>((inner, part) => ({ [part]: inner }), value) as JsonObject;

const SAMPLES: Record<KeyType, JsonValue> = {
  string: 'text',
  integer: 7,
  real: 1.5,
  boolean: false,
  date: '2026-01-01T00:00:00Z',
  data: 'AAEC',
  array: [{ identifier: 'a' }],
  dictionary: { inner: { deep: 1 } },
  any: null,
};
const typeOf = (name: string): KeyType => catalog.find(name)?.keys?.[0]?.type ?? 'any';

describe('status items', () => {
  it('of every name in the catalog are found whole, nested by its dots or flat', () => {
    for (const name of catalog.types) {
      const value = SAMPLES[typeOf(name)];
      expect(split(nested(name, value))).toEqual({ [name]: value });
      expect(split({ [name]: value })).toEqual({ [name]: value });
    }
  });

  it('have names of which none is the beginning of another', () => {
    const above = new Set(catalog.types.flatMap(namesAbove));
    expect(catalog.types.filter((name) => above.has(name))).toEqual([]);
    expect(namesAbove('a.b.c')).toEqual(['a.b', 'a']);
    expect(namesAbove('a')).toEqual([]);
  });

  it('of another type than the catalog’s are refused by name', () => {
    for (const name of catalog.types) {
      const type = typeOf(name);
      for (const [other, value] of Object.entries(SAMPLES)) {
        const same =
          type === 'any' ||
          (typeof value === typeof SAMPLES[type] &&
            Array.isArray(value) === Array.isArray(SAMPLES[type]) &&
            value !== null &&
            !(type === 'integer' && other === 'real'));
        if (!same) expect(split(nested(name, value)), `${name} as ${other}`).toEqual(malformed(name));
      }
    }
    expect(split(nested('test.real-value', 3))).toEqual({ 'test.real-value': 3 });
    expect(split({ device: 5 })).toEqual(malformed('device'));
    expect(split({ device: { model: ['x'] } })).toEqual(malformed('device.model'));
  });

  it('that the catalog does not know end where no dictionary follows', () => {
    expect(
      split({ device: { power: { level: 5, cells: [1], states: { a: null, b: {} } } }, x: 'y' }),
    ).toEqual({
      'device.power.level': 5,
      'device.power.cells': [1],
      'device.power.states.a': null,
      'device.power.states.b': {},
      x: 'y',
    });
  });

  it('that the catalog does not know keep a dictionary whole whose keys are no parts of a name', () => {
    expect(split({ apps: { 'com.example.a': 1, 'b c': 2 } })).toEqual({
      apps: { 'com.example.a': 1, 'b c': 2 },
    });
    // But never one that the catalog's own names run through.
    expect(split({ device: { 'b c': 2, model: { family: 'iPhone' } } })).toEqual({
      'device.b c': 2,
      'device.model.family': 'iPhone',
    });
    const long = 'x'.repeat(64);
    const deep = nested(Array(4).fill(long).join('.'), 1);
    expect(Object.keys(split(deep))).toEqual([`${long}.${long}.${long}`]);
  });

  it('reach no prototype', () => {
    expect(split(JSON.parse('{"__proto__":{"device":{"model":{"family":"x"}}},"constructor":1}'))).toEqual({
      '__proto__.device.model.family': 'x',
      constructor: 1,
    });
  });

  it.each(['', 'a\0b', 'a\nb', '\ud800', 'x'.repeat(257)])('are refused under the name %j', (name) => {
    expect(isStatusItemName(name)).toBe(false);
    expect(split({ [name]: 1 })).toEqual(malformed('StatusItems'));
  });

  it('may be named in any script', () => {
    expect(split({ 'größe 水😀': 1 })).toEqual({ 'größe 水😀': 1 });
  });
});
