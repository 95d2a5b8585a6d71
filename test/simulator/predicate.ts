/**
 * The device's own predicates (facts 4.4): the part of NSPredicate's format language that activations use, read by
 * recursive descent into closures and evaluated over what the device knows of itself. AND binds tighter than OR, both
 * stop at the first operand that decides; nil equals nil alone; `[c]` and `[d]` fold case and accents.
 *
 * Knows nothing of the server's parser. MATCHES, arithmetic, SELF and FUNCTION are not here: to this device they do
 * not parse.
 */
import { isJsonDict, type Json, type JsonDict } from './declarations.ts';
import { COMPARISONS, type Compare, folded, list, PredicateError, stuck } from './predicate-values.ts';

export interface Surroundings {
  /** By dotted item name; an item the device does not have is absent. */
  readonly status: Readonly<Record<string, Json>>;
  /** What the declarations `com.apple.management.properties` say, together. */
  readonly properties: JsonDict;
}

export function holds(text: string, surroundings: Surroundings): boolean {
  return parsePredicate(text)({ ...surroundings, variables: {} });
}

interface Scope extends Surroundings {
  readonly variables: Readonly<Record<string, Json>>;
}

export type Test = (scope: Scope) => boolean;
type Term = (scope: Scope) => Json;

const TOKEN =
  /\s*(?:(@[A-Za-z]+)\s*\(\s*([^()]*?)\s*\)|(@count)\b|("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|(-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)|(\$[A-Za-z_]\w*)|([A-Za-z_]\w*)|(&&|\|\||[=!<>]=|=[<>]|<>|[=<>!(){},.[\]]))/y;

interface Token {
  readonly kind: 'call' | 'count' | 'string' | 'number' | 'variable' | 'word' | 'symbol';
  readonly text: string;
  readonly argument: string;
}

export function parsePredicate(text: string): Test {
  const parser = new Parser(tokenize(text));
  const test = parser.either();
  if (!parser.atEnd) throw unreadable(`something after the predicate: ${text}`);
  return test;
}

function tokenize(text: string): Token[] {
  const tokens: Token[] = [];
  let at = 0;
  while (text.slice(at).trim() !== '') {
    TOKEN.lastIndex = at;
    const found = TOKEN.exec(text);
    if (found === null) throw unreadable(`nothing readable at ${at}: ${text}`);
    at = TOKEN.lastIndex;
    const [, call, argument = '', count, string, number, variable, word, symbol] = found;
    if (call !== undefined && !['@status', '@property', '@key'].includes(call)) {
      throw new PredicateError('Error.UnableToParsePredicateWithCustomOperator', `${call} is not known`);
    }
    if (call !== undefined) tokens.push({ kind: 'call', text: call, argument });
    else if (count !== undefined) tokens.push({ kind: 'count', text: count, argument });
    else if (string !== undefined) tokens.push({ kind: 'string', text: unquote(string), argument });
    else if (number !== undefined) tokens.push({ kind: 'number', text: number, argument });
    else if (variable !== undefined) tokens.push({ kind: 'variable', text: variable, argument });
    else if (word !== undefined) tokens.push({ kind: 'word', text: word.toUpperCase(), argument });
    else tokens.push({ kind: 'symbol', text: symbol ?? '', argument });
  }
  return tokens;
}

const ESCAPES: Record<string, string> = { n: '\n', r: '\r', t: '\t', b: '\b', f: '\f' };

function unquote(quoted: string): string {
  return quoted
    .slice(1, -1)
    .replace(/\\(?:u([0-9a-fA-F]{4})|(.))/gs, (_all, code: string | undefined, letter: string) =>
      code === undefined ? (ESCAPES[letter] ?? letter) : String.fromCharCode(Number.parseInt(code, 16)),
    );
}

function unreadable(why: string): PredicateError {
  return new PredicateError('Error.UnableToParsePredicate', why);
}

const WORDS: Record<string, Json> = { TRUE: true, YES: true, FALSE: false, NO: false, NULL: null, NIL: null };
const ANYWAY = ['ANY', 'SOME', 'ALL', 'NONE'];

class Parser {
  readonly #tokens: readonly Token[];
  #at = 0;

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  get atEnd(): boolean {
    return this.#at === this.#tokens.length;
  }

  either(): Test {
    const first = this.#both();
    if (!this.#take('OR', '||')) return first;
    const rest = this.either();
    return (scope) => first(scope) || rest(scope);
  }

  #both(): Test {
    const first = this.#negated();
    if (!this.#take('AND', '&&')) return first;
    const rest = this.#both();
    return (scope) => first(scope) && rest(scope);
  }

  #negated(): Test {
    if (this.#take('NOT', '!')) {
      const test = this.#negated();
      return (scope) => !test(scope);
    }
    if (this.#take('TRUEPREDICATE')) return () => true;
    if (this.#take('FALSEPREDICATE')) return () => false;
    return this.#grouped() ?? this.#comparison();
  }

  /** `(` may open a predicate or one side of a comparison. */
  #grouped(): Test | null {
    const start = this.#at;
    if (!this.#take('(')) return null;
    try {
      const test = this.either();
      if (this.#take(')')) return test;
    } catch (error) {
      if (!(error instanceof PredicateError)) throw error;
      // Not a predicate: the caller reads it as a value.
    }
    this.#at = start;
    return null;
  }

  #comparison(): Test {
    const quantifier = ANYWAY.includes(this.#peek?.text ?? '') && this.#peek?.kind === 'word';
    const how = quantifier ? this.#next().text : null;
    const left = this.#term();
    const compare = this.#operator();
    const right = this.#term();
    if (how === null) return (scope) => compare(left(scope), right(scope));
    return (scope) => {
      const elements = list(left(scope));
      const wanted = right(scope);
      if (how === 'ALL') return elements.every((one) => compare(one, wanted));
      return elements.some((one) => compare(one, wanted)) === (how !== 'NONE');
    };
  }

  #operator(): Compare {
    const { text } = this.#next();
    const compare = COMPARISONS[text];
    if (compare === undefined) throw unreadable(`${text} is no operator`);
    let fold = '';
    if (this.#take('[')) {
      fold = this.#next().text.toLowerCase();
      if (!/^(c|d|cd)$/.test(fold) || !this.#take(']')) throw unreadable(`options ${fold}`);
    }
    return (left, right) => compare(folded(left, fold), folded(right, fold));
  }

  #term(): Term {
    let term = this.#base();
    for (;;) {
      const of = term;
      if (this.#take('[')) {
        term = this.#indexed(of);
        continue;
      }
      if (!this.#take('.')) return term;
      const { kind, text, argument } = this.#next();
      if (kind === 'count') term = (scope) => countOf(of(scope));
      else if (kind === 'call' && text === '@key') term = (scope) => keyOf(of(scope), argument);
      else throw unreadable(`${text} after a dot`);
    }
  }

  #indexed(of: Term): Term {
    const { kind, text } = this.#next();
    if (!this.#take(']')) throw unreadable('an open index');
    if (kind !== 'number' && !['FIRST', 'LAST', 'SIZE'].includes(text)) throw unreadable(`index ${text}`);
    return (scope) => {
      const value = of(scope);
      return value === null ? null : elementOf(list(value), text);
    };
  }

  #base(): Term {
    const { kind, text, argument } = this.#next();
    if (kind === 'string') return () => text;
    if (kind === 'number') return () => Number(text);
    if (kind === 'variable') return (scope) => scope.variables[text] ?? null;
    if (kind === 'call' && text === '@status') return (scope) => statusOf(scope, argument);
    if (kind === 'call' && text === '@property') return (scope) => propertyOf(scope, argument);
    if (kind === 'word' && text === 'SUBQUERY') return this.#subquery();
    const constant = kind === 'word' ? WORDS[text] : undefined;
    if (constant !== undefined) return () => constant;
    if (text === '(') return this.#closed(this.#term());
    if (text === '{') return this.#list();
    throw unreadable(`${text} is no value`);
  }

  #closed(term: Term): Term {
    if (!this.#take(')')) throw unreadable('an open parenthesis');
    return term;
  }

  #list(): Term {
    const items: Term[] = [];
    if (this.#take('}')) return () => [];
    do items.push(this.#term());
    while (this.#take(','));
    if (!this.#take('}')) throw unreadable('an open list');
    return (scope) => items.map((item) => item(scope));
  }

  #subquery(): Term {
    if (!this.#take('(')) throw unreadable('SUBQUERY without (');
    const collection = this.#term();
    const comma = this.#take(',');
    const { kind, text: name } = this.#next();
    if (!comma || kind !== 'variable' || !this.#take(','))
      throw unreadable('SUBQUERY(list, $name, predicate)');
    const test = this.either();
    if (!this.#take(')')) throw unreadable('an open SUBQUERY');
    return (scope) =>
      list(collection(scope)).filter((one) =>
        test({ ...scope, variables: { ...scope.variables, [name]: one } }),
      );
  }

  get #peek(): Token | undefined {
    return this.#tokens[this.#at];
  }

  #next(): Token {
    const token = this.#peek;
    if (token === undefined) throw unreadable('an end too early');
    this.#at += 1;
    return token;
  }

  #take(...texts: readonly string[]): boolean {
    const token = this.#peek;
    if (token === undefined || !['word', 'symbol'].includes(token.kind) || !texts.includes(token.text)) {
      return false;
    }
    this.#at += 1;
    return true;
  }
}

/** The item, or what stands inside of one: `management.declarations.configurations`. */
function statusOf({ status }: Scope, path: string): Json {
  if (status[path] !== undefined) return status[path];
  const item = Object.keys(status).find((name) => path.startsWith(`${name}.`));
  const inside = item === undefined ? undefined : within(status[item], path.slice(item.length + 1));
  if (inside === undefined) throw stuck(`this device has no status item ${path}`);
  return inside;
}

function propertyOf({ properties }: Scope, path: string): Json {
  return properties[path] ?? within(properties, path) ?? null;
}

function within(value: Json | undefined, path: string): Json | undefined {
  return path.split('.').reduce<Json | undefined>((at, key) => (isJsonDict(at) ? at[key] : undefined), value);
}

/** Of an array, the key of each of its elements. */
function keyOf(value: Json, key: string): Json {
  if (value === null || isJsonDict(value)) return within(value, key) ?? null;
  return list(value).map((one) => keyOf(one, key));
}

function countOf(value: Json): Json {
  return value === null ? null : list(value).length;
}

function elementOf(elements: readonly Json[], index: string): Json {
  if (index === 'SIZE') return elements.length;
  const at = index === 'FIRST' ? 0 : index === 'LAST' ? elements.length - 1 : Number(index);
  const element = elements[at];
  if (element === undefined) throw stuck(`no element ${index}`);
  return element;
}
