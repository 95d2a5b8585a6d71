/** The simulated device's predicates: known ones, unreadable ones, and random ones held against the server's. */
import { describe, expect, it } from 'vitest';
import { evaluatePredicate } from '../../../src/domain/declaration/predicate-eval.ts';
import { formatPredicate } from '../../../src/protocol/ddm/predicate/format.ts';
import { parsePredicate as parseAsServer } from '../../../src/protocol/ddm/predicate/parse.ts';
import type { JsonObject } from '../../../src/protocol/plist/json.ts';
import { randomPredicate, respell } from '../../protocol/ddm/predicate/generate.ts';
import { newSeed, Random } from '../../protocol/plist/generate.ts';
import type { JsonDict } from '../../simulator/declarations.ts';
import { holds, parsePredicate, type Surroundings } from '../../simulator/predicate.ts';
import { PredicateError } from '../../simulator/predicate-values.ts';

const SURROUNDINGS: Surroundings = {
  status: {
    'device.model.family': 'Watch',
    'device.model.marketing-name': 'Apple Watch Série 9',
    'device.operating-system.version': '10.6.1',
    'passcode.is-present': true,
    'passcode.is-compliant': false,
    'mdm.app': [
      { identifier: 'com.example.a', state: 'managed' },
      { identifier: 'com.example.b', state: 'prompting' },
    ],
    'test.integer-value': 42,
    'test.array-value': [1, 2, 3],
    'management.declarations': { configurations: [{ identifier: 'c1', active: true }] },
  },
  properties: {
    department: 'sales',
    shard: 40,
    roles: ['grade12', 'Été'],
    'fleet.groups': ['g1'],
    site: { name: 'north' },
  },
};

it.each([
  'TRUEPREDICATE',
  "@status(device.model.family) == 'Watch'",
  '@status( passcode.is-present ) == YES AND NOT @status(passcode.is-compliant) == true',
  '@status(device.model.family) = \'iPhone\' OR @status(device.model.family) = "Watch" AND TRUEPREDICATE',
  "!(@status(device.model.family) <> 'Watch') && (FALSEPREDICATE || TRUEPREDICATE)",
  "@property(department) IN {'sales', 'it'}",
  "'grade12' IN @property(roles)",
  "@property(roles) CONTAINS 'grade12'",
  "@status(device.model.marketing-name) BEGINSWITH 'Apple'",
  "@status(device.model.marketing-name) CONTAINS[cd] 'SERIE'",
  "@status(device.model.marketing-name) ENDSWITH ' 9'",
  "@status(device.operating-system.version) LIKE '10.?.*'",
  '@status(test.integer-value) BETWEEN {40, 42}',
  '@property(shard) >= 40 and @property(shard) =< 75',
  "ANY @property(roles) ==[cd] 'ete'",
  "ANY @status(mdm.app).@key(state) == 'managed'",
  "NONE @status(mdm.app).@key(state) == 'installing'",
  'ALL @status(test.array-value) > 0',
  "SUBQUERY(@status(mdm.app), $a, $a.@key(identifier) == 'com.example.a' AND $a.@key(state) == 'managed').@count == 1",
  'SUBQUERY(@status(management.declarations.configurations), $d, $d.@key(active) == TRUE).@count == 1',
  "@property(fleet.groups) CONTAINS 'g1' AND @property(site.name) == 'north'",
  '@property(nothing) == NULL AND NOT @property(nothing) > 1',
])('holds: %s', (text) => {
  expect(holds(text, SURROUNDINGS)).toBe(true);
  expect(holds(`NOT (${text})`, SURROUNDINGS)).toBe(false);
});

it.each<[PredicateError['code'], string]>([
  ['Error.UnableToParsePredicate', ''],
  ['Error.UnableToParsePredicate', "@status(a) == 'x"],
  ['Error.UnableToParsePredicate', "@status(a) MATCHES 'x'"],
  ['Error.UnableToParsePredicate', '(TRUEPREDICATE'],
  ['Error.UnableToParsePredicate', 'TRUEPREDICATE TRUEPREDICATE'],
  ['Error.UnableToParsePredicate', "'x' IN {'x'"],
  ['Error.UnableToParsePredicateWithCustomOperator', "@state(device.model.family) == 'Watch'"],
  ['Error.UnableToEvaluatePredicate', "@status(device.no.such) == 'x'"],
  ['Error.UnableToEvaluatePredicate', "@status(test.integer-value) > 'x'"],
  ['Error.UnableToEvaluatePredicate', 'ANY @status(test.integer-value) == 1'],
])('%s: %s', (code, text) => {
  try {
    expect(holds(text, SURROUNDINGS)).toBe('an error');
  } catch (error) {
    expect(error).toBeInstanceOf(PredicateError);
    expect((error as PredicateError).code).toBe(code);
  }
});

describe('random predicates', () => {
  const seed = newSeed();

  it(`mean to the device what they mean to the server: seed ${seed}`, () => {
    const random = new Random(seed);
    const status = {
      'device.model.family': 'Watch',
      a: [1, 'a', true],
      'passcode.is-present': true,
      'x_1.9': 2.5,
      'test.array-value': ['a', 'Z', 'aZ'],
    };
    const nested: JsonObject = {
      device: { model: { family: 'Watch' } },
      a: [1, 'a', true],
      passcode: { 'is-present': true },
      x_1: { '9': 2.5 },
      test: { 'array-value': ['a', 'Z', 'aZ'] },
    };
    const properties: JsonDict = { a: [true], 'x_1.9': 17 };
    const verdicts = { true: 0, false: 0, unknown: 0 };
    for (let i = 0; i < 3000; i++) {
      const text = respell(random, formatPredicate(randomPredicate(random, 3)));
      const parsed = parseAsServer(text);
      if (!parsed.ok) throw new Error(`${text}: ${JSON.stringify(parsed.refusal)}`);
      const { value } = evaluatePredicate(parsed.value, { status: nested, properties });
      const test = parsePredicate(text);
      let own: boolean | 'unknown' = 'unknown';
      try {
        own = test({ status, properties, variables: {} });
      } catch (error) {
        if (!(error instanceof PredicateError)) throw error;
      }
      expect(own, text).toBe(value);
      verdicts[`${value}`]++;
    }
    for (const count of Object.values(verdicts)) expect(count).toBeGreaterThan(300);
  });
});
