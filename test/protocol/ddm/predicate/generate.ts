/** Predicates from a seed: trees as the parser makes them, and texts that spell them carelessly. */
import type {
  ArrayIndex,
  Comparison,
  Expression,
  Operator,
  Predicate,
} from '../../../../src/protocol/ddm/predicate/ast.ts';
import type { Random } from '../../plist/generate.ts';

const OPERATORS: readonly Operator[] = [
  ...(['==', '!=', '<', '<=', '>', '>=', 'BETWEEN', 'IN'] as const),
  ...(['CONTAINS', 'BEGINSWITH', 'ENDSWITH', 'LIKE'] as const),
];
const TAKES_OPTIONS = new Set<Operator>(['==', '!=', 'IN', 'CONTAINS', 'BEGINSWITH', 'ENDSWITH', 'LIKE']);
const CHARACTERS = [...'abZ09 \'"\\*?()[]{},.@$%\n\té😀\u0301'];
const NUMBERS = [0, 1, -1, 17, 2.5, -0.125, 1e21, 5e-7, 2 ** 53 - 1, 1.2345678901234568e20, 1.7e308];
const PATHS = ['device.model.family', 'a', 'passcode.is-present', 'x_1.9', 'test.array-value'];
const INDEXES: readonly ArrayIndex[] = [0, 7, 'FIRST', 'LAST', 'SIZE'];

/** `at` is 0 throughout: compare with `withoutPlaces`. */
export function randomPredicate(random: Random, depth = 4, variables: readonly string[] = []): Predicate {
  const choice = depth <= 0 ? 3 + random.below(6) : random.below(9);
  if (choice === 0) return { kind: 'not', operand: randomPredicate(random, depth - 1, variables), at: 0 };
  if (choice <= 2) {
    const operands = Array.from({ length: 2 + random.below(2) }, () =>
      randomPredicate(random, depth - 1, variables),
    );
    return { kind: choice === 1 ? 'and' : 'or', operands, at: 0 };
  }
  if (choice === 3) return { kind: 'constant', value: random.chance(0.5), at: 0 };
  return randomComparison(random, depth, variables);
}

function randomComparison(random: Random, depth: number, variables: readonly string[]): Comparison {
  const operator = random.pick(OPERATORS);
  const bounds = operator === 'BETWEEN';
  return {
    kind: 'comparison',
    quantifier: random.pick([null, null, null, 'ANY', 'ALL', 'NONE'] as const),
    left: randomExpression(random, depth - 1, variables),
    operator,
    options: TAKES_OPTIONS.has(operator) ? random.pick(['', '', 'c', 'd', 'cd'] as const) : '',
    right: bounds
      ? { kind: 'array', items: [1, 2].map(() => randomExpression(random, 0, variables)), at: 0 }
      : randomExpression(random, depth - 1, variables),
    at: 0,
  };
}

function randomExpression(random: Random, depth: number, variables: readonly string[]): Expression {
  const choice = random.below(depth > 0 ? 10 : 4);
  if (choice < 3) return { kind: 'literal', value: randomLiteral(random), at: 0 };
  if (choice === 3 || choice > 6) return randomPath(random, depth, variables);
  if (choice === 4) {
    const items = Array.from({ length: random.below(4) }, () =>
      randomExpression(random, depth - 1, variables),
    );
    return { kind: 'array', items, at: 0 };
  }
  const variable = `v${variables.length}`;
  return {
    kind: 'subquery',
    collection: randomExpression(random, depth - 1, variables),
    variable,
    predicate: randomPredicate(random, depth - 1, [...variables, variable]),
    at: 0,
  };
}

function randomPath(random: Random, depth: number, variables: readonly string[]): Expression {
  let path: Expression = {
    kind: random.pick(['status', 'property'] as const),
    path: random.pick(PATHS),
    at: 0,
  };
  if (variables.length > 0 && random.chance(0.6))
    path = { kind: 'variable', name: random.pick(variables), at: 0 };
  for (let link = random.below(Math.max(depth, 1)); link > 0; link--) {
    const kind = random.pick(['key', 'count', 'index'] as const);
    if (kind === 'key') path = { kind, of: path, path: random.pick(PATHS), at: 0 };
    else if (kind === 'count') path = { kind, of: path, at: 0 };
    else path = { kind, of: path, index: random.pick(INDEXES), at: 0 };
  }
  return path;
}

function randomLiteral(random: Random): string | number | boolean | null {
  const choice = random.below(6);
  if (choice === 0) return null;
  if (choice === 1) return random.chance(0.5);
  if (choice === 2) return random.pick(NUMBERS);
  return Array.from({ length: random.below(6) }, () => random.pick(CHARACTERS)).join('');
}

/** The tree with every `at` at 0. */
export function withoutPlaces<T>(tree: T): T {
  return JSON.parse(JSON.stringify(tree, (key, value: unknown) => (key === 'at' ? 0 : value))) as T;
}

const SPELLINGS: readonly (readonly [string, readonly string[]])[] = [
  [' AND ', [' and ', '&&', '\nAnd\t']],
  [' OR ', [' or ', ' || ']],
  ['NOT ', ['!', 'not ', '! ']],
  ['ANY ', ['any ', 'SOME ', 'some ']],
  [' == ', ['=', ' = ', '==']],
  [' != ', ['<>', '!=']],
  [' <= ', ['=<', '<=']],
  [' >= ', ['=>', '>=']],
  [', ', [',', ' , ']],
];

/** Other spellings of the same tree, wherever no string is in the way. */
export function respell(random: Random, text: string): string {
  if (text.includes("'")) return text;
  let respelled = text;
  for (const [canonical, others] of SPELLINGS) {
    respelled = respelled.replaceAll(canonical, () => (random.chance(0.5) ? random.pick(others) : canonical));
  }
  return respelled;
}
