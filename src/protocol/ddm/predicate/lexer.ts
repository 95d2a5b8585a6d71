/**
 * Predicate text to tokens, one at a time and each character once. A token that cannot be read is of type `bad` and
 * says what was expected and where.
 *
 *   space    = SP / HTAB / CR / LF
 *   word     = (ALPHA / "_") *(ALPHA / DIGIT / "_")                ; keywords in any case
 *   variable = "$" word
 *   term     = ("@status" / "@property" / "@key") "(" path ")"     ; no space inside, lower case
 *   path     = segment *("." segment)
 *   segment  = 1*(ALPHA / DIGIT / "_" / "-")
 *   number   = ["-"] ("0" / DIGIT1-9 *DIGIT) ["." 1*DIGIT] [("e" / "E") ["+" / "-"] 1*DIGIT]
 *
 * Hexadecimal, octal and binary numbers, which NSPredicate has, are left out; so is an integer past 2^53.
 */
import { readQuoted } from './quoted.ts';

export type TermName = 'status' | 'property' | 'key';

export type Token = { readonly at: number; readonly end: number } & (
  | { readonly type: 'word'; readonly text: string }
  | { readonly type: 'variable'; readonly text: string }
  | { readonly type: 'term'; readonly name: TermName; readonly path: string }
  | { readonly type: 'count' }
  | { readonly type: 'string'; readonly value: string }
  | { readonly type: 'number'; readonly value: number }
  | { readonly type: 'symbol'; readonly text: string }
  | { readonly type: 'bad'; readonly expected: string }
  | { readonly type: 'end' }
);

/** The longer first, so that `<=` is not `<` and `=`. */
const SYMBOLS = '== =< => != <> <= >= && || = < > ! ( ) { } [ ] , .'.split(' ');
const TERMS: readonly TermName[] = ['status', 'property', 'key'];
export const TERMS_EXPECTED = '@status(…), @property(…), $variable.@key(…) or .@count';

/** The token that begins at or after `from`. */
export function readToken(text: string, from: number): Token {
  let at = from;
  while (at < text.length && ' \t\r\n'.includes(text[at] as string)) at++;
  if (at >= text.length) return { type: 'end', at, end: at };
  const first = text[at] as string;
  if (first === "'" || first === '"') return readQuoted(text, at);
  if (first === '@') return readTerm(text, at);
  if (first === '$') return readVariable(text, at);
  if (isDigit(first) || (first === '-' && isDigit(text[at + 1]))) return readNumber(text, at);
  if (isWordStart(first)) {
    const end = skip(text, at, isWordPart);
    return { type: 'word', text: text.slice(at, end), at, end };
  }
  const symbol = SYMBOLS.find((each) => text.startsWith(each, at));
  if (symbol !== undefined) return { type: 'symbol', text: symbol, at, end: at + symbol.length };
  return bad(at, `an operator or a value; ${unsupported(first)}`);
}

function unsupported(first: string): string {
  if (first === '%') return 'there are no arguments to put in place of %';
  if ('+-*/:'.includes(first)) return 'arithmetic and assignment are not accepted';
  return first === '#' ? 'a name is written inside @status(…) or @property(…)' : 'no such character is used';
}

function readTerm(text: string, at: number): Token {
  const wordEnd = skip(text, at + 1, isWordPart);
  const word = text.slice(at + 1, wordEnd);
  if (word === 'count') return { type: 'count', at, end: wordEnd };
  const name = TERMS.find((term) => term === word);
  if (name === undefined) return bad(at, TERMS_EXPECTED);
  if (text[wordEnd] !== '(') return bad(wordEnd, `"(" right after @${name}`);
  let end = wordEnd;
  do {
    const segment = end + 1;
    end = skip(text, segment, isPathPart);
    if (end === segment) return bad(end, 'a name of letters, digits, "-" and "_"');
  } while (text[end] === '.');
  if (text[end] !== ')') return bad(end, `")" after the name in @${name}(…)`);
  return { type: 'term', name, path: text.slice(wordEnd + 1, end), at, end: end + 1 };
}

function readVariable(text: string, at: number): Token {
  const end = isWordStart(text[at + 1]) ? skip(text, at + 1, isWordPart) : at + 1;
  if (end === at + 1) return bad(end, "a variable's name after $");
  return { type: 'variable', text: text.slice(at + 1, end), at, end };
}

function readNumber(text: string, at: number): Token {
  const start = text[at] === '-' ? at + 1 : at;
  let end = skip(text, start, isDigit);
  if (text[start] === '0' && end > start + 1) return bad(start, 'a number without leading zeros');
  let integer = true;
  if (text[end] === '.' && isDigit(text[end + 1])) {
    integer = false;
    end = skip(text, end + 1, isDigit);
  }
  if (text[end] === 'e' || text[end] === 'E') {
    const digits = text[end + 1] === '+' || text[end + 1] === '-' ? end + 2 : end + 1;
    if (!isDigit(text[digits])) return bad(digits, 'the digits of an exponent');
    integer = false;
    end = skip(text, digits, isDigit);
  }
  if (isWordPart(text[end])) return bad(end, 'the end of a decimal number');
  const value = Number(text.slice(at, end)) + 0;
  const inRange = integer ? Number.isSafeInteger(value) : Number.isFinite(value);
  return inRange ? { type: 'number', value, at, end } : bad(at, 'a number that a double holds exactly');
}

function bad(at: number, expected: string): Token {
  return { type: 'bad', expected, at, end: at };
}

function skip(text: string, from: number, belongs: (character: string | undefined) => boolean): number {
  let at = from;
  while (belongs(text[at])) at++;
  return at;
}

function isDigit(character: string | undefined): boolean {
  return character !== undefined && character >= '0' && character <= '9';
}

function isWordStart(character: string | undefined): boolean {
  if (character === undefined) return false;
  return (
    (character >= 'a' && character <= 'z') || (character >= 'A' && character <= 'Z') || character === '_'
  );
}

function isWordPart(character: string | undefined): boolean {
  return isWordStart(character) || isDigit(character);
}

function isPathPart(character: string | undefined): boolean {
  return isWordPart(character) || character === '-';
}
