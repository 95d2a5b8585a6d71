/**
 * Strings in a predicate, in single or double quotes. Escapes are those of Apple's format syntax and the usual
 * control characters:
 *
 *   string = DQUOTE *(character / escape) DQUOTE / "'" *(character / escape) "'"
 *   escape = "\" ("\" / "'" / DQUOTE / "n" / "r" / "t" / "b" / "f" / 3octal / "x" 2HEXDIG / "u" 4HEXDIG)
 *
 * Foundation drops the backslash of an escape that it does not know, which is seldom what was meant (`'\d'` is `d`):
 * here it is refused. So are raw control characters, NUL, and half of a surrogate pair.
 */
import type { Token } from './lexer.ts';

const PLAIN: ReadonlyMap<string, string> = new Map([
  ['\\', '\\'],
  ["'", "'"],
  ['"', '"'],
  ['n', '\n'],
  ['r', '\r'],
  ['t', '\t'],
  ['b', '\b'],
  ['f', '\f'],
]);

export function readQuoted(text: string, at: number): Token {
  const quote = text[at] as string;
  let value = '';
  let end = at + 1;
  while (end < text.length && text[end] !== quote) {
    const character = text[end] as string;
    if (character < ' ' || character === '\x7f')
      return bad(end, 'an escape such as \\n in place of a control character');
    if (character !== '\\') {
      value += character;
      end++;
      continue;
    }
    const escaped = readEscape(text, end);
    if (escaped === null) return bad(end, 'one of \\\\ \\\' \\" \\n \\r \\t \\b \\f \\ooo \\xhh \\uhhhh');
    value += escaped.value;
    end = escaped.end;
  }
  if (end >= text.length) return bad(end, `the closing ${quote}`);
  if (!value.isWellFormed() || value.includes('\0'))
    return bad(at, 'a string of Unicode characters without NUL');
  return { type: 'string', value, at, end: end + 1 };
}

function readEscape(text: string, at: number): { value: string; end: number } | null {
  const letter = text[at + 1] ?? '';
  const plain = PLAIN.get(letter);
  if (plain !== undefined) return { value: plain, end: at + 2 };
  if (letter === 'x' || letter === 'X') return readCode(text, at + 2, 2, 16);
  if (letter === 'u' || letter === 'U') return readCode(text, at + 2, 4, 16);
  return readCode(text, at + 1, 3, 8);
}

function readCode(
  text: string,
  from: number,
  digits: number,
  radix: 8 | 16,
): { value: string; end: number } | null {
  const allowed = '0123456789abcdef'.slice(0, radix);
  const code = text.slice(from, from + digits).toLowerCase();
  if (code.length < digits || ![...code].every((digit) => allowed.includes(digit))) return null;
  return { value: String.fromCharCode(Number.parseInt(code, radix)), end: from + digits };
}

function bad(at: number, expected: string): Token {
  return { type: 'bad', expected, at, end: at };
}

/** The way back, always in single quotes. */
export function writeQuoted(value: string): string {
  let text = "'";
  for (const character of value) {
    if (character === '\\' || character === "'") text += `\\${character}`;
    else if (character < ' ' || character === '\x7f') {
      text += `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
    } else text += character;
  }
  return `${text}'`;
}
