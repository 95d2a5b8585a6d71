/**
 * What a report does to the stored status: by item, by object, whole; errors; limits. Random reports are compared with
 * a model that keeps plain objects and knows nothing of canonical text. A failing property names its seed.
 */
import { describe, expect, it } from 'vitest';
import {
  mergeStatus,
  STATUS_ARRAY_MAX,
  STATUS_BYTES_MAX,
  STATUS_ITEMS_MAX,
  type StatusChange,
  type StatusItem,
} from '../../../src/domain/declaration/status-merge.ts';
import { canonicalJson } from '../../../src/protocol/ddm/canonical-json.ts';
import type { JsonObject, JsonValue } from '../../../src/protocol/plist/json.ts';
import { epochMs } from '../../../src/std/time.ts';
import { newSeed, Random } from '../../protocol/plist/generate.ts';

type Status = ReadonlyMap<string, StatusItem>;
const EMPTY: Status = new Map();
const at = (ms: number) => epochMs(ms);

function change(
  values: Record<string, JsonValue>,
  over: { full?: boolean; errors?: Record<string, JsonValue> } = {},
): StatusChange {
  const texts = (object: Record<string, JsonValue>) =>
    new Map(Object.entries(object).map(([name, value]) => [name, canonicalJson(value)]));
  return { full: over.full ?? false, values: texts(values), errors: texts(over.errors ?? {}) };
}

function merged(stored: Status, report: StatusChange, ms = 1): Status {
  const outcome = mergeStatus(stored, report, at(ms));
  if (!outcome.ok) throw new Error(JSON.stringify(outcome.refusal));
  return outcome.value;
}

function refusal(stored: Status, report: StatusChange) {
  const outcome = mergeStatus(stored, report, at(9));
  return outcome.ok ? null : outcome.refusal;
}

const values = (status: Status): Record<string, JsonValue> =>
  Object.fromEntries(
    [...status].flatMap(([name, { value }]) => (value === null ? [] : [[name, JSON.parse(value)]])),
  );

const app = (identifier: string, state = 'managed') => ({ identifier, state });

describe('a report', () => {
  it('names what changed, and leaves everything else as it was', () => {
    const before = merged(EMPTY, change({ a: 1, b: { x: 1, y: 2 }, c: 'c' }));
    const after = merged(before, change({ b: { y: 3 } }), 2);
    expect(values(after)).toEqual({ a: 1, b: { y: 3 }, c: 'c' });
    expect(after.get('b')?.atMs).toBe(2);
    for (const name of ['a', 'c']) expect(after.get(name)).toBe(before.get(name));
  });

  it('that says nothing new leaves the very same items, whatever the order of their keys', () => {
    const report = change({ a: { x: 1, y: [2] }, 'mdm.app': [app('1')] }, { errors: { e: [{ code: 'E' }] } });
    const before = merged(EMPTY, report);
    const again = merged(
      before,
      { ...report, values: change({ a: { y: [2], x: 1 }, 'mdm.app': [app('1')] }).values },
      5,
    );
    for (const [name, item] of before) expect(again.get(name)).toBe(item);
    const full = merged(before, { ...report, full: true }, 6);
    for (const [name, item] of before) expect(full.get(name)).toBe(item);
  });

  it('adds, replaces and takes away objects of an array, by identifier and under either word', () => {
    const before = merged(EMPTY, change({ 'mdm.app': [app('1'), app('2'), app('3'), app('4')] }));
    const after = merged(
      before,
      change({
        'mdm.app': [
          { identifier: '2', version: '2' },
          { identifier: '3', _removed: true },
          { identifier: '4', removed: true },
          { identifier: 'never', removed: true },
          app('5'),
        ],
      }),
    );
    expect(values(after)['mdm.app']).toEqual([app('1'), { identifier: '2', version: '2' }, app('5')]);
  });

  it('does not empty an array of objects by an empty one, unless it is full', () => {
    const before = merged(EMPTY, change({ 'mdm.app': [app('1')], plain: [1] }));
    const after = merged(before, change({ 'mdm.app': [], plain: [] }));
    expect(values(after)).toEqual({ 'mdm.app': [app('1')], plain: [] });
    expect(values(merged(before, change({ 'mdm.app': [] }, { full: true })))).toEqual({ 'mdm.app': [] });
  });

  it('replaces arrays of anything else whole', () => {
    const before = merged(EMPTY, change({ a: [{ key1: 'x' }, { key1: 'y' }], b: ['x'] }));
    expect(values(merged(before, change({ a: [{ key1: 'z' }], b: ['y', 'z'] })))).toEqual({
      a: [{ key1: 'z' }],
      b: ['y', 'z'],
    });
  });

  it('speaks of declarations group by group', () => {
    const name = 'management.declarations';
    const before = merged(EMPTY, change({ [name]: { activations: [app('a')], configurations: [app('c')] } }));
    const after = merged(
      before,
      change({ [name]: { configurations: [{ identifier: 'c', _removed: true }, app('d')] } }),
    );
    expect(values(after)[name]).toEqual({ activations: [app('a')], configurations: [app('d')] });
  });

  it('that is full replaces everything, and keeps since when what is still so', () => {
    const before = merged(
      EMPTY,
      change({ a: 1, b: 2, 'mdm.app': [app('1'), app('2')] }, { errors: { e: [] } }),
    );
    const report = change(
      { a: 1, 'mdm.app': [app('2'), { identifier: '3', _removed: true }] },
      { full: true },
    );
    const after = merged(before, report, 7);
    expect(values(after)).toEqual({ a: 1, 'mdm.app': [app('2')] });
    expect([after.get('a')?.atMs, after.get('mdm.app')?.atMs]).toEqual([1, 7]);
    expect(after.has('e')).toBe(false);
  });

  it('lets an item become the beginning of items, and the other way around', () => {
    const one = merged(EMPTY, change({ x: 1, other: 1 }));
    const two = merged(one, change({ 'x.y.z': 2 }));
    expect(values(two)).toEqual({ 'x.y.z': 2, other: 1 });
    expect(values(merged(two, change({ x: 3 })))).toEqual({ x: 3, other: 1 });
  });
});

describe('an error', () => {
  const failed: JsonValue = [{ code: 'Error.Failed', description: null, details: null }];

  it('stands beside the last value until the item reports one again', () => {
    const before = merged(EMPTY, change({ a: 1 }));
    const wrong = merged(before, change({}, { errors: { a: failed } }), 2);
    expect(wrong.get('a')).toMatchObject({ value: '1', atMs: 1, error: { atMs: 2 } });
    const right = merged(wrong, change({ a: 1 }), 3);
    expect(right.get('a')).toEqual({ name: 'a', value: '1', atMs: 1, error: null });
  });

  it('of an item that never had a value is kept, with the time it began', () => {
    const wrong = merged(EMPTY, change({}, { errors: { a: failed } }), 2);
    expect(wrong.get('a')).toEqual({
      name: 'a',
      value: null,
      atMs: null,
      error: { reasons: canonicalJson(failed), atMs: 2 },
    });
    expect(merged(wrong, change({}, { errors: { a: failed } }), 3).get('a')).toBe(wrong.get('a'));
    expect(merged(wrong, change({}, { errors: { a: [] } }), 3).get('a')?.error).toEqual({
      reasons: '[]',
      atMs: 3,
    });
  });

  it('that comes with a value of the same item is kept with that value', () => {
    const both = merged(EMPTY, change({ a: 2 }, { errors: { a: failed } }), 4);
    expect(both.get('a')).toMatchObject({ value: '2', atMs: 4, error: { atMs: 4 } });
    expect(merged(both, change({ a: 2 }, { errors: { a: failed } }), 5).get('a')).toBe(both.get('a'));
  });
});

describe('what is refused, and changes nothing', () => {
  it.each<[string, JsonValue]>([
    ['an object without its identifier among others', [app('1'), { state: 'x' }]],
    ['an identifier that is no text', [app('1'), { identifier: 5 }]],
    ['a removal of nobody', [{ _removed: true }]],
    ['anything else among objects', [app('1'), 'x']],
    ['null among objects', [null, app('1')]],
  ])('%s', (_what, value) => {
    const before = merged(EMPTY, change({ 'mdm.app': [app('1')], b: 1 }));
    const kept = structuredClone([...before]);
    for (const full of [false, true]) {
      expect(refusal(before, change({ b: 2, 'mdm.app': value }, { full }))).toEqual({
        kind: 'status-malformed',
        reason: 'mdm.app',
      });
    }
    expect([...before]).toEqual(kept);
  });

  it('more than the status may have in all, exactly', () => {
    const tooLarge = (reason: string) => ({ kind: 'status-too-large', reason });
    const text = (bytes: number) => 'x'.repeat(bytes - 'name'.length - 2);
    expect(refusal(EMPTY, change({ name: text(STATUS_BYTES_MAX) }))).toBeNull();
    expect(refusal(EMPTY, change({ name: text(STATUS_BYTES_MAX + 1) }))).toEqual(tooLarge('bytes'));
    // Octets, not characters.
    expect(refusal(EMPTY, change({ name: 'é'.repeat(STATUS_BYTES_MAX / 2) }))).toEqual(tooLarge('bytes'));
    const half = merged(EMPTY, change({ name: text(STATUS_BYTES_MAX / 2) }));
    expect(refusal(half, change({ more: text(STATUS_BYTES_MAX / 2) }))).toBeNull();
    expect(refusal(half, change({ more2: text(STATUS_BYTES_MAX / 2) }))).toEqual(tooLarge('bytes'));
    expect(refusal(half, change({}, { errors: { more2: [text(STATUS_BYTES_MAX / 2)] } }))).toEqual(
      tooLarge('bytes'),
    );
  });

  it('more items and longer arrays than may be, exactly', () => {
    const many = (count: number, from = 0) =>
      Object.fromEntries(Array.from({ length: count }, (_, i) => [`i${from + i}`, i]));
    const full = merged(EMPTY, change(many(STATUS_ITEMS_MAX)));
    expect(full.size).toBe(STATUS_ITEMS_MAX);
    expect(refusal(full, change(many(1)))).toBeNull();
    expect(refusal(full, change(many(1, STATUS_ITEMS_MAX)))?.kind).toBe('status-too-large');
    expect(refusal(EMPTY, change(many(STATUS_ITEMS_MAX + 1)))?.kind).toBe('status-too-large');
    const objects = (count: number, from = 0) => Array.from({ length: count }, (_, i) => app(`${from + i}`));
    const long = merged(EMPTY, change({ a: objects(STATUS_ARRAY_MAX) }));
    expect(refusal(long, change({ a: objects(10) }))).toBeNull();
    expect(refusal(long, change({ a: [{ identifier: '7', _removed: true }, app('new')] }))).toBeNull();
    const refused = { kind: 'status-too-large', reason: 'array' };
    expect(refusal(long, change({ a: objects(1, STATUS_ARRAY_MAX) }))).toEqual(refused);
    expect(refusal(EMPTY, change({ a: Array(STATUS_ARRAY_MAX + 1).fill(1) }))).toEqual(refused);
  });
});

const seed = newSeed();
const NAMES = [
  'device.model.family',
  'passcode.is-present',
  'test.dictionary-value',
  'mdm.app',
  'test.array-value',
];

function randomValue(random: Random, name: string): JsonValue {
  const some = <T>(make: () => T): T[] => Array.from({ length: random.below(5) }, make);
  const scalar = (): JsonValue => random.pick<JsonValue>([true, false, 0, 1, -0.5, 'x', 'y', 'é"\\', null]);
  if (name === 'mdm.app') {
    return some((): JsonObject => {
      const identifier = `app-${random.below(6)}`;
      if (random.chance(0.3)) return { identifier, [random.pick(['_removed', 'removed'])]: true };
      return { identifier, state: scalar(), ...(random.chance(0.2) ? { _removed: false } : {}) };
    });
  }
  if (name === 'test.array-value') return some(() => ({ key1: scalar() }));
  if (name === 'test.dictionary-value') return { k: scalar(), [`k${random.below(3)}`]: scalar() };
  return scalar();
}

/** What is kept by item, told without sharing a line with what is tested. */
type Model = Map<string, { value?: JsonValue; error?: JsonValue }>;

function tell(
  model: Model,
  values: Record<string, JsonValue>,
  errors: Record<string, JsonValue>,
  full: boolean,
) {
  if (full) model.clear();
  for (const [name, value] of Object.entries(values)) {
    if (name !== 'mdm.app') {
      model.set(name, { value });
      continue;
    }
    const apps = [...((model.get(name)?.value ?? []) as JsonObject[])];
    const said = value as JsonObject[];
    const order = [...new Set(said.map(({ identifier }) => identifier))];
    for (const one of order.map((id) => said.findLast(({ identifier }) => identifier === id) as JsonObject)) {
      const known = apps.findIndex(({ identifier }) => identifier === one['identifier']);
      const gone = one['_removed'] === true || one['removed'] === true;
      if (gone && known >= 0) apps.splice(known, 1);
      else if (!gone && known >= 0) apps[known] = one;
      else if (!gone) apps.push(one);
    }
    model.set(name, { value: apps });
  }
  for (const [name, error] of Object.entries(errors)) model.set(name, { ...model.get(name), error });
}

describe(`random reports from seed ${seed}`, () => {
  it('leave what a plain model of them leaves, and said twice change nothing more', () => {
    const random = new Random(seed);
    for (let story = 0; story < 200; story++) {
      let status: Status = EMPTY;
      const model: Model = new Map();
      for (let step = 1; step <= 25; step++) {
        const values = Object.fromEntries(
          NAMES.filter(() => random.chance(0.4)).map((name) => [name, randomValue(random, name)]),
        );
        const errors = Object.fromEntries(
          NAMES.filter(() => random.chance(0.1)).map((name) => [name, [{ code: random.pick(['E', 'F']) }]]),
        );
        const full = random.chance(0.1);
        const report = change(values, { full, errors });
        const after = merged(status, report, step);
        tell(model, values, errors, full);
        const shown = [...after].map(([name, { value, error }]) => [
          name,
          {
            ...(value === null ? {} : { value: JSON.parse(value) }),
            ...(error === null ? {} : { error: JSON.parse(error.reasons) }),
          },
        ]);
        const where = `story ${story}, step ${step}`;
        expect(Object.fromEntries(shown), where).toEqual(Object.fromEntries(model));
        for (const [name, item] of after) {
          const old = status.get(name);
          const same =
            old !== undefined && old.value === item.value && old.error?.reasons === item.error?.reasons;
          // Unchanged is the same object; what changed has this report's time.
          if (same) expect(item, where).toBe(old);
          if (item.value !== null && item.value !== old?.value) expect(item.atMs, where).toBe(step);
          if (item.error !== null && item.error.reasons !== old?.error?.reasons)
            expect(item.error.atMs, where).toBe(step);
        }
        const again = merged(after, report, step + 1000);
        expect(
          [...again.values()].every((item) => after.get(item.name) === item),
          where,
        ).toBe(true);
        status = after;
      }
    }
  });
});
