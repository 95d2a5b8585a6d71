import { describe, expect, it } from 'vitest';
import { PREDICATE_LIMITS, type Predicate } from '../../../../src/protocol/ddm/predicate/ast.ts';
import { formatPredicate } from '../../../../src/protocol/ddm/predicate/format.ts';
import { parsePredicate } from '../../../../src/protocol/ddm/predicate/parse.ts';

const parsed = (text: string): Predicate => {
  const outcome = parsePredicate(text);
  if (!outcome.ok) throw new Error(`${text}: ${JSON.stringify(outcome.refusal)}`);
  return outcome.value;
};
const canonical = (text: string) => formatPredicate(parsed(text));
const refusal = (text: string) => {
  const outcome = parsePredicate(text);
  if (outcome.ok) throw new Error(`parsed: ${text}`);
  return outcome.refusal;
};

/** As written, and in the canonical spelling where that differs. */
const ACCEPTED: readonly (readonly [string, string?])[] = [
  ["@status(device.model.family) == 'AppleTV'"],
  ["(@status(device.model.family) == 'iPad')", "@status(device.model.family) == 'iPad'"],
  [
    '@status(device.identifier.serial-number) == "ABC-XYZ"',
    "@status(device.identifier.serial-number) == 'ABC-XYZ'",
  ],
  ['@status(passcode.is-present) == TRUE'],
  ["@property(department) IN {'sales','it'}", "@property(department) IN {'sales', 'it'}"],
  [
    "(@status(device.model.family) == 'Watch') AND (@status(device.operating-system.version) >= '10.0')",
    "@status(device.model.family) == 'Watch' AND @status(device.operating-system.version) >= '10.0'",
  ],
  [
    '(@property(age) >= 18) AND ("Grade12" IN @property(roles))',
    "@property(age) >= 18 AND 'Grade12' IN @property(roles)",
  ],
  [
    'SUBQUERY(@status(mdm.app),\n  $app,\n  ($app.@key(identifier) == "com.example.app") AND ($app.@key(state) == "managed")\n).@count == 1',
    "SUBQUERY(@status(mdm.app), $app, $app.@key(identifier) == 'com.example.app' AND $app.@key(state) == 'managed').@count == 1",
  ],
  [
    'SUBQUERY(@status(management.declarations.configurations), $d, $d.@key(active) == true).@count >= 1',
    'SUBQUERY(@status(management.declarations.configurations), $d, $d.@key(active) == TRUE).@count >= 1',
  ],
  ["ANY @property(fleet.groups) IN {'a'}"],
  ["SOME @status(mdm.app).@key(state) == 'managed'", "ANY @status(mdm.app).@key(state) == 'managed'"],
  ['1==0', '1 == 0'],
  ['TRUEPREDICATE'],
  ['truepredicate and not FalsePredicate', 'TRUEPREDICATE AND NOT FALSEPREDICATE'],
  ['!(1 = 2 || 3 <> 4)', 'NOT (1 == 2 OR 3 != 4)'],
  ['NOT 1 == 2 AND 3 == 4 OR 5 == 6', 'NOT 1 == 2 AND 3 == 4 OR 5 == 6'],
  ['1 == 1 AND (2 == 2 AND 3 == 3)'],
  ['1 == 1 AND (2 == 2 OR 3 == 3)'],
  ['1 =< 2 AND 2 => 1', '1 <= 2 AND 2 >= 1'],
  ['((1)) == (((2)))', '1 == 2'],
  ['((@property(a)).@count) == 2', '@property(a).@count == 2'],
  ['@property(shard) BETWEEN {0, 19.5}'],
  ['@property(x) BETWEEN @property(bounds)'],
  [
    "@property(n) contains[cd] 'é' and @property(n) LIKE[c] 'a*?'",
    "@property(n) CONTAINS[cd] 'é' AND @property(n) LIKE[c] 'a*?'",
  ],
  ["@property(n) BEGINSWITH 'a' OR @property(n) ENDSWITH[d] 'b'"],
  ["@property(n) ==[c] 'x' AND @property(n) !=[d] 'y' AND 'a' IN[cd] @property(n)"],
  ['@property(l)[FIRST] == @property(l)[last]', '@property(l)[FIRST] == @property(l)[LAST]'],
  ['@property(l)[SIZE] > 0 AND @property(l)[2] == nil', '@property(l)[SIZE] > 0 AND @property(l)[2] == NULL'],
  [
    'NONE @property(l) == yes OR ALL @property(l) == No',
    'NONE @property(l) == TRUE OR ALL @property(l) == FALSE',
  ],
  ['@property(l) == {} OR @property(l) == {1, {2, NULL}}'],
  [
    '@property(n) == -5 OR @property(n) == 1.5e-3 OR @property(n) == 2E+3',
    '@property(n) == -5 OR @property(n) == 0.0015 OR @property(n) == 2000',
  ],
  [
    "@property(n) == 'O\\'Brien \\\\ \\x41\\u00e9\\101\\n\"'",
    "@property(n) == 'O\\'Brien \\\\ AéA\\u000a\"'",
  ],
  ['SUBQUERY(@property(a), $x, SUBQUERY(@property(b), $y, $x == $y).@count > 0).@count > 0'],
];

describe('parsePredicate', () => {
  it('reads the predicates of the field and of the public documents', () => {
    for (const [text, spelling] of ACCEPTED) expect(canonical(text), text).toBe(spelling ?? text);
  });

  it('says where each part of the text is', () => {
    expect(parsed("  NOT @status(a) ==[c] 'x'")).toEqual({
      kind: 'not',
      at: 2,
      operand: {
        kind: 'comparison',
        quantifier: null,
        left: { kind: 'status', path: 'a', at: 6 },
        operator: '==',
        options: 'c',
        right: { kind: 'literal', value: 'x', at: 23 },
        at: 17,
      },
    });
  });

  it('binds NOT closer than AND and AND closer than OR', () => {
    const tree = parsed('1 == 1 OR NOT 2 == 2 AND 3 == 3');
    expect(tree).toMatchObject({
      kind: 'or',
      operands: [{}, { kind: 'and', operands: [{ kind: 'not' }, {}] }],
    });
  });

  it.each<[text: string, position: number, expected: RegExp]>([
    ['', 0, /a value/],
    ['   ', 3, /a value/],
    ["@invalid == 'AppleTV'", 0, /@status/],
    ["@Status(a) == 'x'", 0, /@status/],
    ["@status == 'AppleTV'", 7, /"\("/],
    ["@status (a) == 'x'", 7, /"\("/],
    ["@status( a) == 'x'", 8, /a name/],
    ["@status() == 'x'", 8, /a name/],
    ["@status(a..b) == 'x'", 10, /a name/],
    ["@status(a b) == 'x'", 9, /"\)"/],
    ["@status('a') == 'x'", 8, /a name/],
    ["@key(identifier) == 'x'", 0, /a variable before it/],
    ['@count == 1', 0, /a value/],
    ['@property(a).@sum == 1', 13, /@status/],
    ["@property(a).b == 'x'", 13, /@key/],
    ["device.model.family == 'iPad'", 0, /neither a status item/],
    ["SELF == 'x'", 0, /SELF/],
    ["@status(a) MATCHES '.*'", 11, /MATCHES/],
    ["@status(a) NOT IN {'x'}", 11, /NOT stands before/],
    ['@status(a)', 10, /comparison operator/],
    ['(@status(a))', 12, /comparison operator/],
    ['@status(a) AND 1 == 1', 11, /comparison operator/],
    ['1 == 1 AND', 10, /a value/],
    ['1 == ', 5, /a value/],
    ['1 === 1', 4, /a value/],
    ['1 == 2 == 3', 7, /AND, OR/],
    ['1 == (2 == 3)', 5, /a value/],
    ['(1 == 1', 7, /"\)"/],
    ['1 == 1)', 6, /the end/],
    ['1 == 1 extra', 7, /the end/],
    ['ANY (1 == 1)', 4, /a value/],
    ['ANY ANY 1 == 1', 4, /a value/],
    ['ANY @property(a)', 16, /comparison operator/],
    ['1 + 1 == 2', 2, /arithmetic/],
    ['1 == %@', 5, /%/],
    ['sum(1) == 1', 0, /alone/],
    ['CAST(1, "x") == 1', 0, /functions/],
    ['$app == 1', 0, /SUBQUERY/],
    ['SUBQUERY(@property(a), app, 1 == 1).@count == 1', 23, /a variable/],
    ['SUBQUERY(@property(a), $x, 1).@count == 1', 28, /comparison operator/],
    ['SUBQUERY(@property(a), $x, 1 == 1).@count == $x', 45, /SUBQUERY/],
    ['SUBQUERY(@property(a), $x, SUBQUERY($x, $x, 1 == 1) == {})', 40, /no SUBQUERY/],
    ["@property(a) CONTAINS[x] 'b'", 22, /c, d or cd/],
    ["@property(a) <[c] 'b'", 14, /takes no options/],
    ['@property(a) BETWEEN {1}', 21, /two bounds/],
    ['@property(a)[-1] == 1', 13, /an index/],
    ['@property(a)[FOO] == 1', 13, /an index/],
    ['@property(a)[0 == 1', 15, /"\]"/],
    ['{1, } == 1', 4, /a value/],
    ['{1 2} == 1', 3, /"}"/],
    ["'open == 1", 10, /closing '/],
    ["'a\\d' == 1", 2, /one of/],
    ["'a\\u00' == 1", 2, /one of/],
    ["'\\ud800' == 'x'", 0, /Unicode/],
    ["'\\000' == 'x'", 0, /NUL/],
    ["'a\nb' == 'x'", 2, /control character/],
    ['007 == 7', 0, /leading zeros/],
    ['0x1F == 31', 1, /decimal/],
    ['12abc == 1', 2, /decimal/],
    ['1e == 1', 2, /exponent/],
    ['9007199254740993 == 1', 0, /double/],
    ['1e999 == 1', 0, /double/],
    ['$ == 1', 1, /name after/],
    ['1 == 1\u00a0', 6, /no such character/],
  ])('refuses %j at %i', (text, position, expected) => {
    const found = refusal(text);
    expect(found).toMatchObject({ kind: 'malformed-predicate', position, line: expect.any(Number) });
    expect(found.expected).toMatch(expected);
  });

  it('gives the line and the column of a refusal', () => {
    expect(refusal('1 == 1 AND\n  @foo == 2')).toMatchObject({ position: 13, line: 2, column: 3 });
    expect(refusal('1 ==\n')).toMatchObject({ position: 5, line: 2, column: 1 });
  });

  it('stops at the limits of length, depth and terms, and not before', () => {
    const { charactersMax, depthMax, nodesMax } = PREDICATE_LIMITS;
    expect(parsePredicate('1 == 1'.padEnd(charactersMax)).ok).toBe(true);
    expect(refusal('1 == 1'.padEnd(charactersMax + 1)).position).toBe(charactersMax);
    const deep = (open: string, close: string, n: number) => `${open.repeat(n)}1 == 1${close.repeat(n)}`;
    for (const [open, close] of [
      ['(', ')'],
      ['!', ''],
      ['NOT (', ')'],
    ] as const) {
      const levels = open === 'NOT (' ? depthMax / 2 : depthMax;
      expect(parsePredicate(deep(open, close, levels)).ok, open).toBe(true);
      expect(refusal(deep(open, close, levels + 1)).expected).toMatch(/levels/);
    }
    const chain = (n: number) => `@property(a)${'.@key(b)'.repeat(n)} == 1`;
    expect(parsePredicate(chain(depthMax)).ok).toBe(true);
    expect(refusal(chain(depthMax + 1)).expected).toMatch(/levels/);
    expect(refusal(`${'{'.repeat(depthMax + 1)}`).expected).toMatch(/levels/);
    const terms = (n: number) => `1 IN {${Array.from({ length: n }, () => '1').join()}}`;
    expect(parsePredicate(terms(nodesMax - 3)).ok).toBe(true);
    expect(refusal(terms(nodesMax - 2)).expected).toMatch(/terms/);
  });

  it('answers the worst texts of the greatest length', () => {
    for (const piece of [
      '(',
      '!',
      '{',
      '[',
      "'",
      '"\\',
      '@status(',
      '$',
      'a',
      '9',
      '.',
      '1 == 1 AND ',
      'SUBQUERY(',
    ]) {
      const text = piece.repeat(PREDICATE_LIMITS.charactersMax / piece.length);
      expect(parsePredicate(text).ok, piece).toBe(false);
    }
  });
});
