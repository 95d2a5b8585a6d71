/**
 * The descent over the grammar that stands in `parse.ts`. Parentheses may hold a predicate or an expression, so both
 * are read by the same methods and told apart by what comes of them; nothing is read twice. `undefined` from a method
 * means that the cursor has stopped and says why.
 */
import type { ArrayIndex, Comparison, Expression, Operator, Predicate, StringOptions } from './ast.ts';
import type { Cursor } from './cursor.ts';
import type { Token } from './lexer.ts';
import { LITERALS, OPERATORS, operatorExpected, QUANTIFIERS, takesOptions, valueExpected } from './words.ts';

type Node = Predicate | Expression;

const PREDICATE_KINDS: ReadonlySet<string> = new Set(['constant', 'not', 'and', 'or', 'comparison']);

export class PredicateParser {
  readonly #cursor: Cursor;
  #variables: readonly string[] = [];

  constructor(cursor: Cursor) {
    this.#cursor = cursor;
  }

  whole(): Predicate | undefined {
    const predicate = this.#predicate(0);
    if (predicate === undefined) return undefined;
    return this.#cursor.token.type === 'end' ? predicate : this.#cursor.stop('AND, OR or the end');
  }

  #predicate(depth: number): Predicate | undefined {
    const node = this.#either(depth);
    return node === undefined ? undefined : this.#asPredicate(node);
  }

  /** A predicate, or an expression that nothing compares yet. */
  #either(depth: number): Node | undefined {
    return this.#compound('or', () => this.#compound('and', () => this.#negation(depth)));
  }

  #compound(kind: 'and' | 'or', operand: () => Node | undefined): Node | undefined {
    const [word, sign] = kind === 'and' ? ['AND', '&&'] : ['OR', '||'];
    const { at } = this.#cursor.token;
    const first = operand();
    if (first === undefined || !(this.#cursor.word === word || this.#cursor.is(sign))) return first;
    const operands: Predicate[] = [];
    let node: Node | undefined = first;
    for (;;) {
      const predicate: Predicate | undefined = node === undefined ? undefined : this.#asPredicate(node);
      if (predicate === undefined) return undefined;
      operands.push(predicate);
      if (!(this.#cursor.takeWord(word) || this.#cursor.take(sign))) break;
      node = operand();
    }
    return this.#cursor.count({ kind, operands, at });
  }

  #negation(depth: number): Node | undefined {
    const { at } = this.#cursor.token;
    if (this.#cursor.takeWord('NOT') || this.#cursor.take('!')) {
      if (!this.#cursor.within(depth + 1, at)) return undefined;
      const node = this.#negation(depth + 1);
      const operand = node === undefined ? undefined : this.#asPredicate(node);
      return operand === undefined ? undefined : this.#cursor.count({ kind: 'not', operand, at });
    }
    if (this.#cursor.takeWord('TRUEPREDICATE'))
      return this.#cursor.count({ kind: 'constant', value: true, at });
    if (this.#cursor.takeWord('FALSEPREDICATE'))
      return this.#cursor.count({ kind: 'constant', value: false, at });
    return this.#comparison(depth);
  }

  #comparison(depth: number): Node | undefined {
    const quantifier = this.#quantifier();
    const left = quantifier === null ? this.#operand(depth) : this.#expression(depth);
    if (left === undefined || isPredicate(left)) return left;
    const operator = this.#operator();
    // Without a quantifier it may yet be an expression in parentheses.
    if (operator === null && quantifier === null) return left;
    if (operator === null) return this.#cursor.stop(operatorExpected(this.#cursor.token));
    const { at } = this.#cursor.token;
    this.#cursor.advance();
    const options = this.#options(operator);
    if (options === undefined) return undefined;
    const right = this.#expression(depth);
    if (right === undefined) return undefined;
    if (operator === 'BETWEEN' && right.kind === 'array' && right.items.length !== 2) {
      return this.#cursor.stopAt(right.at, 'two bounds, as in {1, 10}');
    }
    const comparison: Comparison = { kind: 'comparison', quantifier, left, operator, options, right, at };
    return this.#cursor.count(comparison);
  }

  #quantifier(): Comparison['quantifier'] {
    const quantifier = QUANTIFIERS.get(this.#cursor.word);
    if (quantifier !== undefined) this.#cursor.advance();
    return quantifier ?? null;
  }

  #operator(): Operator | null {
    const { token } = this.#cursor;
    return OPERATORS.get(token.type === 'symbol' ? token.text : this.#cursor.word) ?? null;
  }

  #options(operator: Operator): StringOptions | undefined {
    if (!this.#cursor.is('[')) return '';
    if (!takesOptions(operator)) return this.#cursor.stop(`a value: ${operator} takes no options`);
    this.#cursor.advance();
    const text = this.#cursor.token.type === 'word' ? this.#cursor.token.text : '';
    if (text !== 'c' && text !== 'd' && text !== 'cd') return this.#cursor.stop('c, d or cd');
    this.#cursor.advance();
    return this.#cursor.take(']') ? text : this.#cursor.stop('"]"');
  }

  #expression(depth: number): Expression | undefined {
    const { token } = this.#cursor;
    const node = this.#operand(depth);
    if (node === undefined || !isPredicate(node)) return node;
    return this.#cursor.stopAt(token.at, valueExpected(token));
  }

  /** One side of a comparison, or whatever stands in parentheses. */
  #operand(depth: number): Node | undefined {
    const token = this.#cursor.token;
    switch (token.type) {
      case 'string':
      case 'number':
        this.#cursor.advance();
        return this.#cursor.count({ kind: 'literal', value: token.value, at: token.at });
      case 'term':
        if (token.name === 'key') return this.#cursor.stop('a variable before it: $x.@key(…)');
        this.#cursor.advance();
        return this.#path(this.#cursor.count({ kind: token.name, path: token.path, at: token.at }), depth);
      case 'variable':
        if (!this.#variables.includes(token.text))
          return this.#cursor.stop('a variable that a SUBQUERY around it binds');
        this.#cursor.advance();
        return this.#path(this.#cursor.count({ kind: 'variable', name: token.text, at: token.at }), depth);
      case 'word':
        return this.#word(depth);
      default:
        if (this.#cursor.is('(')) return this.#parentheses(depth);
        return this.#cursor.is('{')
          ? this.#array(depth)
          : this.#cursor.stop(valueExpected(this.#cursor.token));
    }
  }

  #word(depth: number): Expression | undefined {
    const { word } = this.#cursor;
    const { at } = this.#cursor.token;
    if (word === 'SUBQUERY') return this.#path(this.#subquery(depth), depth);
    const value = LITERALS.get(word);
    if (value === undefined) return this.#cursor.stop(valueExpected(this.#cursor.token));
    this.#cursor.advance();
    return this.#cursor.count({ kind: 'literal', value, at });
  }

  #parentheses(depth: number): Node | undefined {
    if (!this.#cursor.within(depth + 1, this.#cursor.token.at)) return undefined;
    this.#cursor.advance();
    const node = this.#either(depth + 1);
    if (node === undefined) return undefined;
    if (!this.#cursor.take(')')) {
      return this.#cursor.stop(isPredicate(node) ? 'AND, OR or ")"' : operatorExpected(this.#cursor.token));
    }
    return isPredicate(node) || node.kind === 'literal' || node.kind === 'array'
      ? node
      : this.#path(node, depth);
  }

  #array(depth: number): Expression | undefined {
    const { at } = this.#cursor.token;
    if (!this.#cursor.within(depth + 1, at)) return undefined;
    this.#cursor.advance();
    const items: Expression[] = [];
    if (this.#cursor.take('}')) return this.#cursor.count({ kind: 'array', items, at });
    do {
      const item = this.#expression(depth + 1);
      if (item === undefined) return undefined;
      items.push(item);
    } while (this.#cursor.take(','));
    return this.#cursor.take('}')
      ? this.#cursor.count({ kind: 'array', items, at })
      : this.#cursor.stop('"," or "}"');
  }

  #subquery(depth: number): Expression | undefined {
    const { at } = this.#cursor.token;
    if (!this.#cursor.within(depth + 1, at)) return undefined;
    this.#cursor.advance();
    if (!this.#cursor.take('(')) return this.#cursor.stop('"(" after SUBQUERY');
    const collection = this.#expression(depth + 1);
    if (collection === undefined) return undefined;
    if (!this.#cursor.take(',')) return this.#cursor.stop('"," and a variable');
    const variable = this.#cursor.token;
    if (variable.type !== 'variable') return this.#cursor.stop('a variable such as $app');
    const outer = this.#variables;
    if (outer.includes(variable.text))
      return this.#cursor.stop('a variable that no SUBQUERY around it binds');
    this.#cursor.advance();
    if (!this.#cursor.take(',')) return this.#cursor.stop('"," and a predicate');
    this.#variables = [...outer, variable.text];
    const predicate = this.#predicate(depth + 1);
    this.#variables = outer;
    if (predicate === undefined) return undefined;
    if (!this.#cursor.take(')')) return this.#cursor.stop('AND, OR or ")"');
    return this.#cursor.count({ kind: 'subquery', collection, variable: variable.text, predicate, at });
  }

  /** What may follow a term. The chain counts as depth, because the tree of it is as deep. */
  #path(base: Expression | undefined, depth: number): Expression | undefined {
    let of = base;
    for (let link = depth + 1; of !== undefined; link++) {
      const { at } = this.#cursor.token;
      const dot = this.#cursor.take('.');
      if (!dot && !this.#cursor.take('[')) return of;
      if (!this.#cursor.within(link, at)) return undefined;
      of = dot ? this.#link(of, at) : this.#index(of, at);
    }
    return of;
  }

  #link(of: Expression, at: number): Expression | undefined {
    const token = this.#cursor.token;
    if (token.type === 'count') {
      this.#cursor.advance();
      return this.#cursor.count({ kind: 'count', of, at });
    }
    if (token.type !== 'term' || token.name !== 'key') return this.#cursor.stop('@key(…) or @count');
    this.#cursor.advance();
    return this.#cursor.count({ kind: 'key', of, path: token.path, at });
  }

  #index(of: Expression, at: number): Expression | undefined {
    const index = readIndex(this.#cursor.token);
    if (index === null) return this.#cursor.stop('an index, FIRST, LAST or SIZE');
    this.#cursor.advance();
    return this.#cursor.take(']')
      ? this.#cursor.count({ kind: 'index', of, index, at })
      : this.#cursor.stop('"]"');
  }

  #asPredicate(node: Node): Predicate | undefined {
    return isPredicate(node) ? node : this.#cursor.stop(operatorExpected(this.#cursor.token));
  }
}

function isPredicate(node: Node): node is Predicate {
  return PREDICATE_KINDS.has(node.kind);
}

function readIndex(token: Token): ArrayIndex | null {
  if (token.type === 'number')
    return Number.isSafeInteger(token.value) && token.value >= 0 ? token.value : null;
  const word = token.type === 'word' ? token.text.toUpperCase() : '';
  return word === 'FIRST' || word === 'LAST' || word === 'SIZE' ? word : null;
}
