/**
 * The parser's place in the text: the current token, the limits, and where and why reading stopped. `stop` and
 * `stopAt` return `undefined` so that a method can end with them; the first stop is the one that counts.
 */
import { PREDICATE_LIMITS } from './ast.ts';
import { readToken, type Token } from './lexer.ts';

export class Cursor {
  readonly #text: string;
  #nodes = 0;
  token: Token;
  stoppedAt = 0;
  expected: string | null = null;

  constructor(text: string) {
    this.#text = text;
    this.token = readToken(text, 0);
  }

  advance(): void {
    this.token = readToken(this.#text, this.token.end);
  }

  /** The current token's word in upper case, or nothing. */
  get word(): string {
    return this.token.type === 'word' ? this.token.text.toUpperCase() : '';
  }

  is(symbol: string): boolean {
    return this.token.type === 'symbol' && this.token.text === symbol;
  }

  take(symbol: string): boolean {
    const taken = this.is(symbol);
    if (taken) this.advance();
    return taken;
  }

  takeWord(word: string): boolean {
    const taken = this.word === word;
    if (taken) this.advance();
    return taken;
  }

  stop(expected: string): undefined {
    const { token } = this;
    return this.stopAt(token.at, token.type === 'bad' ? token.expected : expected);
  }

  stopAt(at: number, expected: string): undefined {
    if (this.expected !== null) return;
    this.stoppedAt = at;
    this.expected = expected;
  }

  /** Whether `depth` levels are allowed; stops if not. */
  within(depth: number, at: number): boolean {
    const { depthMax } = PREDICATE_LIMITS;
    if (depth > depthMax) this.stopAt(at, `at most ${depthMax} levels of nesting`);
    return depth <= depthMax;
  }

  /** Takes account of a node made. */
  count<T extends { readonly at: number }>(node: T): T | undefined {
    const { nodesMax } = PREDICATE_LIMITS;
    return ++this.#nodes > nodesMax ? this.stopAt(node.at, `at most ${nodesMax} terms`) : node;
  }
}
