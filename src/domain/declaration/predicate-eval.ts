/**
 * What an iPhone or a watch would make of a predicate, as far as its last status tells (facts 4.4). Pure, for dry runs
 * and explanations; the device decides.
 *
 * Truth has three values. `unknown` is either a status item that was never reported here (the device knows its own
 * value and we do not), or a comparison at which the device itself would give up with
 * `Error.UnableToEvaluatePredicate`. AND and OR go from left to right and stop as Foundation does; a failure behind an
 * operand that already decides is never met. An item not reported could be anything: `FALSE AND unknown` is false in
 * either order.
 *
 * A management property that is not declared, a key that a reported object lacks, and JSON's null are nil. What nil,
 * mixed types and the string options do is in `predicate-compare.ts`.
 */
import { isJsonObject, member } from '../../protocol/ddm/bounded-json.ts';
import type {
  Comparison,
  Compound,
  Expression,
  Predicate,
  Subquery,
} from '../../protocol/ddm/predicate/ast.ts';
import type { JsonObject, JsonValue } from '../../protocol/plist/json.ts';
import { type Outcome, ok, refuse } from '../../std/outcome.ts';
import { compareValues, type PredicateDoubt, Steps, typeOf } from './predicate-compare.ts';

export interface PredicateContext {
  /** Nested by dots, as reported. */
  readonly status: JsonObject;
  /** The payloads of the device's `com.apple.management.properties`, merged. */
  readonly properties: JsonObject;
}

export type PredicateVerdict =
  | { readonly value: boolean }
  | { readonly value: 'unknown'; readonly why: PredicateDoubt };

type Truth = Outcome<boolean, PredicateDoubt>;
type Value = Outcome<JsonValue, PredicateDoubt>;

export function evaluatePredicate(predicate: Predicate, context: PredicateContext): PredicateVerdict {
  const truth = new Evaluation(context).truth(predicate);
  return truth.ok ? { value: truth.value } : { value: 'unknown', why: truth.refusal };
}

class Evaluation {
  readonly #context: PredicateContext;
  readonly #variables = new Map<string, JsonValue>();
  readonly #steps = new Steps();

  constructor(context: PredicateContext) {
    this.#context = context;
  }

  truth(predicate: Predicate): Truth {
    if (!this.#steps.spend(1)) return refuse(this.#steps.doubt);
    switch (predicate.kind) {
      case 'constant':
        return ok(predicate.value);
      case 'not': {
        const truth = this.truth(predicate.operand);
        return truth.ok ? ok(!truth.value) : truth;
      }
      case 'and':
      case 'or':
        return this.#compound(predicate);
      case 'comparison':
        return this.#comparison(predicate);
    }
  }

  #compound({ kind, operands }: Compound): Truth {
    const decisive = kind === 'or';
    let doubt: Truth | null = null;
    for (const operand of operands) {
      const truth = this.truth(operand);
      if (truth.ok && truth.value === decisive) return truth;
      if (truth.ok) continue;
      doubt ??= truth;
      if (truth.refusal.kind !== 'status-not-reported') return doubt;
    }
    return doubt ?? ok(!decisive);
  }

  #comparison(comparison: Comparison): Truth {
    const left = this.#value(comparison.left);
    if (!left.ok) return left;
    const right = this.#value(comparison.right);
    if (!right.ok) return right;
    if (comparison.quantifier === null)
      return compareValues(comparison, left.value, right.value, this.#steps);
    if (!Array.isArray(left.value)) return notAnArray(comparison.left, left.value);
    const decisive = comparison.quantifier !== 'ALL';
    for (const element of left.value) {
      const truth = compareValues(comparison, element, right.value, this.#steps);
      if (!truth.ok) return truth;
      if (truth.value === decisive) return ok(comparison.quantifier === 'ANY');
    }
    return ok(comparison.quantifier !== 'ANY');
  }

  #value(expression: Expression): Value {
    if (!this.#steps.spend(1)) return refuse(this.#steps.doubt);
    switch (expression.kind) {
      case 'literal':
        return ok(expression.value);
      case 'array':
        return this.#array(expression.items);
      case 'status': {
        const value = follow(this.#context.status, expression.path);
        if (value !== undefined) return ok(value);
        return refuse({ kind: 'status-not-reported', item: expression.path, position: expression.at });
      }
      case 'property':
        return ok(property(this.#context.properties, expression.path));
      case 'variable':
        return ok(this.#variables.get(expression.name) ?? null);
      case 'subquery':
        return this.#subquery(expression);
      default:
        return this.#link(expression);
    }
  }

  #array(items: readonly Expression[]): Value {
    const values: JsonValue[] = [];
    for (const item of items) {
      const value = this.#value(item);
      if (!value.ok) return value;
      values.push(value.value);
    }
    return ok(values);
  }

  #subquery({ collection, variable, predicate }: Subquery): Value {
    const elements = this.#value(collection);
    if (!elements.ok) return elements;
    if (!Array.isArray(elements.value)) return notAnArray(collection, elements.value);
    const chosen: JsonValue[] = [];
    for (const element of elements.value) {
      this.#variables.set(variable, element);
      const truth = this.truth(predicate);
      if (!truth.ok) return truth;
      if (truth.value) chosen.push(element);
    }
    return ok(chosen);
  }

  #link(expression: Extract<Expression, { kind: 'key' | 'count' | 'index' }>): Value {
    const of = this.#value(expression.of);
    if (!of.ok) return of;
    if (expression.kind === 'key') return this.#key(expression, of.value);
    if (of.value === null) return of;
    if (!Array.isArray(of.value)) return notAnArray(expression.of, of.value);
    const size = of.value.length;
    if (expression.kind === 'count' || expression.index === 'SIZE') return ok(size);
    const first = expression.index === 'FIRST' ? 0 : expression.index;
    const element = of.value[first === 'LAST' ? size - 1 : first];
    if (element !== undefined) return ok(element);
    return refuse({ kind: 'index-out-of-range', position: expression.at, size });
  }

  /** The key of an object, or of each element of an array, as key-value coding has it. */
  #key(expression: Extract<Expression, { kind: 'key' }>, of: JsonValue): Value {
    if (of === null) return ok(null);
    if (isJsonObject(of)) return ok(follow(of, expression.path) ?? null);
    if (!Array.isArray(of)) {
      return refuse({
        kind: 'not-an-object',
        position: expression.at,
        key: expression.path,
        found: typeOf(of),
      });
    }
    const values: JsonValue[] = [];
    for (const element of of) {
      if (!this.#steps.spend(1)) return refuse(this.#steps.doubt);
      const value = this.#key(expression, element);
      if (!value.ok) return value;
      values.push(value.value);
    }
    return ok(values);
  }
}

function notAnArray(expression: Expression, found: JsonValue) {
  return refuse({ kind: 'not-an-array', position: expression.at, found: typeOf(found) } as const);
}

/** Undefined where an object on the way lacks the key or is none. */
function follow(object: JsonObject, path: string): JsonValue | undefined {
  let value: JsonValue | undefined = object;
  for (const key of path.split('.')) value = isJsonObject(value) ? member(value, key) : undefined;
  return value;
}

/** A key may have dots in its name: servers in the field name properties that way. */
function property(properties: JsonObject, path: string): JsonValue {
  return member(properties, path) ?? follow(properties, path) ?? null;
}
