/**
 * XML character data (XML 1.0 §2.2, §2.11, §4.1, §4.6): which characters may stand at all, the five predefined
 * entities, numeric references, and line ends. No other entity exists here, since no document may declare one.
 */

/** §2.2 Char, negated: C0 controls but tab, LF and CR; U+FFFE and U+FFFF; halves of a surrogate pair. */
const NOT_XML =
  /[\0-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/;

/** For text that came out of a UTF-8 decoder: it holds no half of a surrogate pair. */
const NOT_XML_DECODED = /[\0-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]/;

/** Where the first character stands that XML cannot hold, or -1. */
export function findNonXml(decoded: string): number {
  return decoded.search(NOT_XML_DECODED);
}

/** Whether XML can hold this text, escaped or not. */
export function isXmlText(text: string): boolean {
  return !NOT_XML.test(text);
}

/** §2.11: CR LF and a lone CR are read as LF. A CR that is meant comes as `&#13;`. */
export function normalizeLineEnds(text: string): string {
  return text.replace(/\r\n?/g, '\n');
}

const ENTITIES: ReadonlyMap<string, string> = new Map([
  ['amp', '&'],
  ['lt', '<'],
  ['gt', '>'],
  ['quot', '"'],
  ['apos', "'"],
]);

/** `&#x10FFFF;` is the longest that means anything; leading zeros get a little room. */
const REFERENCE_CHARS_MAX = 16;

/** Replaces references; `undefined` when one is unterminated, unknown, or not a character of XML. */
export function resolveReferences(text: string): string | undefined {
  let out = '';
  let from = 0;
  for (let at = text.indexOf('&'); at !== -1; at = text.indexOf('&', from)) {
    const end = text.indexOf(';', at);
    if (end === -1 || end - at > REFERENCE_CHARS_MAX) return undefined;
    const replacement = resolve(text.slice(at + 1, end));
    if (replacement === undefined) return undefined;
    out += text.slice(from, at) + replacement;
    from = end + 1;
  }
  return out + text.slice(from);
}

function resolve(name: string): string | undefined {
  if (!name.startsWith('#')) return ENTITIES.get(name);
  const digits = /^#(?:x([0-9a-fA-F]+)|([0-9]+))$/.exec(name);
  if (digits === null) return undefined;
  const code =
    digits[1] === undefined ? Number.parseInt(digits[2] as string, 10) : Number.parseInt(digits[1], 16);
  if (code > 0x10ffff) return undefined;
  const character = String.fromCodePoint(code);
  return isXmlText(character) ? character : undefined;
}

/** Text as element content. `>` for the sake of `]]>`; CR because a reader would make it LF. */
export function escapeText(text: string): string {
  return /[&<>\r]/.test(text) ? text.replace(/[&<>\r]/g, (c) => ESCAPES[c] as string) : text;
}

const ESCAPES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '\r': '&#13;' };
