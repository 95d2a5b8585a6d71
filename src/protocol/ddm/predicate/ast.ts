/**
 * A predicate of `com.apple.activation.simple` as a tree (facts 4.4). Every node carries `at`, the 0-based UTF-16
 * position in the text it was read from, so that what is said of it later can point at it.
 *
 * The tree holds the part of NSPredicate that activations use. Arithmetic, functions, CAST, assignments, `%`
 * arguments, SELF, bare key paths and MATCHES have no node: the parser refuses them.
 */

/** Text: a sixteenth of the largest declaration. Depth and nodes: the recursion and the work they cause downstream. */
export const PREDICATE_LIMITS = { charactersMax: 16 * 1024, depthMax: 32, nodesMax: 1_000 } as const;

export type Predicate = Constant | Negation | Compound | Comparison;

export interface Constant {
  readonly kind: 'constant';
  readonly value: boolean;
  readonly at: number;
}

export interface Negation {
  readonly kind: 'not';
  readonly operand: Predicate;
  readonly at: number;
}

/** Two operands or more; parentheses written around a compound of the same kind keep it apart. */
export interface Compound {
  readonly kind: 'and' | 'or';
  readonly operands: readonly Predicate[];
  readonly at: number;
}

/** `at` is the operator's place. A quantifier speaks of the elements of `left`; SOME is read as ANY. */
export interface Comparison {
  readonly kind: 'comparison';
  readonly quantifier: Quantifier | null;
  readonly left: Expression;
  readonly operator: Operator;
  readonly options: StringOptions;
  readonly right: Expression;
  readonly at: number;
}

export type Quantifier = 'ANY' | 'ALL' | 'NONE';

export const ORDERINGS = ['<', '<=', '>', '>='] as const;
export const STRING_OPERATORS = ['BEGINSWITH', 'ENDSWITH', 'LIKE'] as const;
export type Ordering = (typeof ORDERINGS)[number];
export type StringOperator = (typeof STRING_OPERATORS)[number];
export type Operator = '==' | '!=' | Ordering | 'BETWEEN' | 'IN' | 'CONTAINS' | StringOperator;

/** `c` ignores case and `d` diacritics; only where two strings are compared. */
export type StringOptions = '' | 'c' | 'd' | 'cd';

export type Expression =
  | { readonly kind: 'literal'; readonly value: string | number | boolean | null; readonly at: number }
  | { readonly kind: 'array'; readonly items: readonly Expression[]; readonly at: number }
  | { readonly kind: 'status' | 'property'; readonly path: string; readonly at: number }
  | { readonly kind: 'variable'; readonly name: string; readonly at: number }
  | { readonly kind: 'key'; readonly of: Expression; readonly path: string; readonly at: number }
  | { readonly kind: 'count'; readonly of: Expression; readonly at: number }
  | { readonly kind: 'index'; readonly of: Expression; readonly index: ArrayIndex; readonly at: number }
  | Subquery;

export type ArrayIndex = number | 'FIRST' | 'LAST' | 'SIZE';

/** The elements of `collection` for which `predicate` holds, each in turn being `$variable`. */
export interface Subquery {
  readonly kind: 'subquery';
  readonly collection: Expression;
  readonly variable: string;
  readonly predicate: Predicate;
  readonly at: number;
}
