import { describe, expect, it } from 'vitest';
import { evaluatePredicate } from '../../../src/domain/declaration/predicate-eval.ts';
import { parsePredicate } from '../../../src/protocol/ddm/predicate/parse.ts';
import type { JsonObject, JsonValue } from '../../../src/protocol/plist/json.ts';
import { randomPredicate } from '../../protocol/ddm/predicate/generate.ts';
import { newSeed, Random } from '../../protocol/plist/generate.ts';

const app = (identifier: string, state: string, more: JsonObject = {}): JsonObject => ({
  identifier,
  state,
  ...more,
});
const STATUS: JsonObject = {
  device: {
    model: { family: 'Watch', 'marketing-name': 'Apple Watch Série 9' },
    'operating-system': { version: '10.6.1', 'supplemental-version': null },
  },
  passcode: { 'is-present': true, 'is-compliant': false },
  mdm: { app: [app('com.example.a', 'managed'), app('com.example.b', 'prompting', { version: '2' })] },
  test: { integer: 42, real: 2.5, empty: [], array: [1, 2, 3], words: ['Ab', 'cd'] },
  management: { declarations: { configurations: [{ identifier: 'c1', active: true }] } },
};
const PROPERTIES: JsonObject = {
  department: 'sales',
  shard: 40,
  roles: ['grade12', 'Été'],
  'fleet.groups': ['g1', 'g2'],
  site: { name: 'north' },
  nothing: null,
};

const verdict = (text: string, status = STATUS, properties = PROPERTIES) => {
  const outcome = parsePredicate(text);
  if (!outcome.ok) throw new Error(`${text}: ${JSON.stringify(outcome.refusal)}`);
  return evaluatePredicate(outcome.value, { status, properties });
};
const why = (text: string) => {
  const found = verdict(text);
  return found.value === 'unknown' ? found.why : found.value;
};

/** A predicate and its negation, so that false is false and not unknown. */
function expectTruth(holds: boolean, ...texts: readonly string[]): void {
  for (const text of texts) {
    expect(verdict(text), text).toEqual({ value: holds });
    expect(verdict(`NOT (${text})`), text).toEqual({ value: !holds });
  }
}

describe('evaluatePredicate', () => {
  it('finds the predicates of the field true', () => {
    expectTruth(
      true,
      'TRUEPREDICATE',
      "@status(device.model.family) == 'Watch'",
      '@status(passcode.is-present) == TRUE',
      '@status(passcode.is-compliant) == NO',
      "@property(department) IN {'sales', 'it'}",
      "(@status(device.model.family) == 'Watch') AND (@status(device.operating-system.version) >= '10.0')",
      "(@property(shard) <= 75) AND ('grade12' IN @property(roles))",
      "SUBQUERY(@status(mdm.app), $app, ($app.@key(identifier) == 'com.example.a') AND ($app.@key(state) == 'managed')).@count == 1",
      'SUBQUERY(@status(management.declarations.configurations), $d, $d.@key(active) == TRUE).@count == 1',
      "ANY @property(fleet.groups) IN {'g2'}",
      "ANY @status(mdm.app).@key(state) == 'managed'",
      "@property(site.name) == 'north'",
    );
  });

  it('finds the same predicates false of another device', () => {
    expectTruth(
      false,
      'FALSEPREDICATE',
      "@status(device.model.family) == 'iPhone'",
      '@status(passcode.is-compliant) == TRUE',
      "@property(department) IN {'it'}",
      "SUBQUERY(@status(mdm.app), $app, $app.@key(state) == 'installing').@count != 0",
      "ANY @property(fleet.groups) IN {'g3'}",
      "ALL @status(mdm.app).@key(state) == 'managed'",
      "NONE @status(mdm.app).@key(state) == 'managed'",
    );
  });

  it('orders numbers as numbers, Booleans among them, and strings as strings', () => {
    expectTruth(
      true,
      '@status(test.integer) > 41.5',
      '@status(test.real) BETWEEN {2.5, 3}',
      'TRUE == 1',
      'FALSE < 1',
    );
    expectTruth(
      true,
      "'10.0' < '9.0'",
      "'a' < 'b'",
      "'B' < 'a'",
      "'a' BETWEEN {'a', 'c'}",
      "'9.5' >= '10.0'",
    );
    expectTruth(false, '@status(test.integer) < 42', "'a' > 'a'", '1 BETWEEN {2, 3}', '4 BETWEEN {2, 3}');
  });

  it('holds nil equal to nil alone, and no other comparison with it but "not equal"', () => {
    for (const nil of ['NULL', '@property(absent)', '@property(nothing)', '@property(site.absent)']) {
      expectTruth(true, `${nil} == NIL`, `${nil} != 'x'`, `${nil} <= NIL`, `${nil} IN {NULL}`);
      expectTruth(
        false,
        `${nil} == 'x'`,
        `${nil} < 1`,
        `1 >= ${nil}`,
        `${nil} != NULL`,
        `${nil} BETWEEN {1, 2}`,
      );
      expectTruth(false, `${nil} CONTAINS 'x'`, `'x' IN ${nil}`, `${nil} LIKE '*'`, `'x' BEGINSWITH ${nil}`);
    }
    expectTruth(
      false,
      '@property(absent).@count == 0',
      '@property(nothing).@key(a) == 1',
      '@property(absent)[0] == 1',
    );
    expectTruth(true, '@status(device.operating-system.supplemental-version) == NULL');
    expectTruth(true, 'SUBQUERY(@status(mdm.app), $a, $a.@key(version) == NULL).@count == 1');
  });

  it('holds values of two types unequal, and does not order or search them', () => {
    expectTruth(true, "1 != '1'", "'a' != {'a'}", '{1, 2} == {TRUE, 2}');
    expectTruth(false, "1 == '1'", '{1, 2} == {2, 1}', '{1} == {1, 1}', "@status(passcode) == 'x'");
    expectTruth(true, '@status(passcode) == @status(passcode)');
    expect(why("@property(shard) < 'x'")).toEqual({
      kind: 'not-comparable',
      position: 17,
      operator: '<',
      left: 'number',
      right: 'string',
    });
    for (const text of ["1 CONTAINS 'x'", "'x' IN 5", "5 LIKE '*'", "'5' BEGINSWITH 5"]) {
      expect(why(text), text).toMatchObject({ kind: 'not-comparable' });
    }
    expect(why('1 BETWEEN @status(test.array)')).toMatchObject({ kind: 'not-comparable', right: 'array' });
    expect(why('1 IN @status(passcode)')).toMatchObject({ kind: 'not-comparable', right: 'object' });
    expect(why("'x' CONTAINS 1")).toMatchObject({ kind: 'not-comparable', left: 'string', right: 'number' });
  });

  it('ignores case and diacritics when told to', () => {
    expectTruth(
      true,
      "'ÉTÉ' ==[cd] 'ete'",
      "'Été' CONTAINS[d] 'te'",
      "'été' ENDSWITH[c] 'TÉ'",
      "'A' IN[c] {'a'}",
    );
    expectTruth(true, "ANY @property(roles) ==[cd] 'ETE'", "'x' !=[c] 'y'", "'AbC' LIKE[c] 'a?c'");
    expectTruth(
      false,
      "'ÉTÉ' == 'été'",
      "'été' ==[c] 'ete'",
      "'été' ==[d] 'ETE'",
      "'Ab' IN 'xab'",
      "'été' CONTAINS 'e'",
    );
    const decomposed = "'e\\u0301'";
    expectTruth(false, `'é' == ${decomposed}`, `${decomposed} BEGINSWITH 'e'`);
    expectTruth(true, `'é' <= ${decomposed}`, `${decomposed} CONTAINS 'é'`, `'é' ==[d] ${decomposed}`);
  });

  it('matches LIKE over the whole string', () => {
    expectTruth(
      true,
      "'abc' LIKE 'abc'",
      "'abc' LIKE '*'",
      "'' LIKE '*'",
      "'abc' LIKE 'a*c'",
      "'abc' LIKE '**b?'",
    );
    expectTruth(
      true,
      "'a*c' LIKE 'a\\\\*c'",
      "'a\\\\' LIKE 'a\\\\'",
      "'😀' LIKE '?'",
      "'abcabd' LIKE '*ab?'",
    );
    expectTruth(
      false,
      "'abc' LIKE 'b'",
      "'abc' LIKE 'a?'",
      "'' LIKE '?'",
      "'abc' LIKE 'a\\\\*c'",
      "'a.c' LIKE 'abc'",
    );
  });

  it('counts and indexes arrays, and says when an index is past the end', () => {
    expectTruth(
      true,
      '@status(test.array).@count == 3',
      '@status(test.array)[SIZE] == 3',
      '@status(test.empty).@count == 0',
    );
    expectTruth(
      true,
      '@status(test.array)[FIRST] == 1',
      '@status(test.array)[LAST] == 3',
      '@status(test.array)[1] == 2',
    );
    expectTruth(true, "@status(mdm.app)[LAST].@key(version) == '2'");
    for (const index of ['FIRST', 'LAST', '0']) {
      expect(why(`@status(test.empty)[${index}] == 1`)).toEqual({
        kind: 'index-out-of-range',
        position: 19,
        size: 0,
      });
    }
    expect(why('@status(test.integer).@count == 1')).toEqual({
      kind: 'not-an-array',
      position: 0,
      found: 'number',
    });
    expect(why('@status(test.integer).@key(a) == 1')).toEqual({
      kind: 'not-an-object',
      position: 21,
      key: 'a',
      found: 'number',
    });
  });

  it('asks ANY, ALL and NONE of arrays only', () => {
    expectTruth(
      true,
      'ANY @status(test.array) == 2',
      'ALL @status(test.array) > 0',
      'NONE @status(test.array) > 3',
    );
    expectTruth(false, 'ANY @status(test.empty) == 1');
    expectTruth(true, 'ALL @status(test.empty) == 1', 'NONE @status(test.empty) == 1');
    expect(why("ANY @property(department) == 'sales'")).toMatchObject({
      kind: 'not-an-array',
      found: 'string',
    });
    expect(why("NONE @property(absent) == 'x'")).toMatchObject({ kind: 'not-an-array', found: 'nil' });
    expect(why('SUBQUERY(@property(absent), $x, $x == 1).@count == 0')).toMatchObject({ found: 'nil' });
  });

  it('does not guess at an item that was never reported', () => {
    const doubt = { kind: 'status-not-reported', item: 'device.model.number', position: 0 };
    expect(why("@status(device.model.number) == 'x'")).toEqual(doubt);
    expect(why('NOT @status(device.model.number) == NULL')).toMatchObject({ kind: 'status-not-reported' });
    for (const path of ['toString', '__proto__.x', 'constructor.name', 'device.model.family.length']) {
      expect(why(`@status(${path}) == 'x'`), path).toMatchObject({ kind: 'status-not-reported', item: path });
    }
    expectTruth(true, '@property(constructor) == NULL', '@property(site.toString) == NULL');
  });

  it('knows an answer that the missing item cannot change, in either order', () => {
    const missing = '@status(no.such) == 1';
    expectTruth(false, `${missing} AND 1 == 2`, `1 == 2 AND ${missing}`);
    expectTruth(true, `${missing} OR 1 == 1`, `1 == 1 OR ${missing}`);
    for (const text of [`${missing} AND 1 == 1`, `1 == 2 OR ${missing}`, `NOT ${missing}`]) {
      expect(why(text), text).toMatchObject({ kind: 'status-not-reported' });
    }
  });

  it('meets a failure of the device only where the device would', () => {
    const failing = "1 < 'x'";
    expectTruth(false, `1 == 2 AND ${failing}`);
    expectTruth(true, `1 == 1 OR ${failing}`);
    for (const text of [`${failing} AND 1 == 2`, `${failing} OR 1 == 1`, `1 == 1 AND ${failing}`]) {
      expect(why(text), text).toMatchObject({ kind: 'not-comparable' });
    }
    expect(why(`@status(no.such) == 1 AND ${failing} AND 1 == 2`)).toMatchObject({
      kind: 'status-not-reported',
    });
  });

  it('gives up on subqueries that multiply, and on patterns and objects without end', () => {
    const items: JsonValue[] = Array.from({ length: 1_000 }, (_, n) => ({
      identifier: `app-${n}`,
      state: 'managed',
    }));
    const status = { mdm: { app: items } };
    const two =
      "SUBQUERY(@status(mdm.app), $a, $a.@key(identifier) == 'app-7' AND $a.@key(state) == 'managed').@count == 1";
    expect(verdict(two, status)).toEqual({ value: true });
    const nested = (levels: number): string =>
      levels === 0 ? '1 == 2' : `SUBQUERY(@status(mdm.app), $v${levels}, ${nested(levels - 1)}).@count == 0`;
    expect(verdict(nested(1), status)).toEqual({ value: true });
    const tooMuch = { value: 'unknown', why: { kind: 'too-much-work', stepsMax: 200_000 } };
    expect(verdict(nested(3), status)).toEqual(tooMuch);
    expect(verdict(`${nested(3)} OR 1 == 1`, status)).toEqual(tooMuch);
    expect(verdict('ANY @status(mdm.app) == @status(mdm.app)', status)).toEqual(tooMuch);
    const long = 'a'.repeat(10_000);
    expect(verdict(`@property(x) LIKE '${'*a'.repeat(5_000)}b'`, {}, { x: long })).toEqual(tooMuch);
  });

  const seed = newSeed();
  it(`answers every predicate, and the opposite to its negation (seed ${seed})`, () => {
    const random = new Random(seed);
    const seen = new Set<boolean | 'unknown'>();
    const status = {
      a: [1, { a: 'x' }, 'é'],
      device: { model: { family: 'Watch' } },
      test: { 'array-value': [[1], []] },
    };
    for (let round = 0; round < 3_000; round++) {
      const operand = randomPredicate(random, 3);
      const found = evaluatePredicate(operand, { status, properties: { a: [true], 'x_1.9': 17 } });
      const negated = evaluatePredicate(
        { kind: 'not', operand, at: 0 },
        { status, properties: { a: [true], 'x_1.9': 17 } },
      );
      seen.add(found.value);
      expect(negated).toEqual(found.value === 'unknown' ? found : { value: !found.value });
    }
    expect([...seen].sort()).toEqual([false, true, 'unknown']);
  });
});
