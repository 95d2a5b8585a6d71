/**
 * Reads a property list: a binary one by way of `binary.ts`, an XML one (Apple's PropertyList-1.0 DTD) here, in one
 * strict pass without an object model. Both have the same limits and yield the same values.
 * Allowed: a byte order mark, an XML declaration, a DOCTYPE without internal subset, comments, CDATA, the five
 * entities and numeric references, white space inside tags. Refused: everything else XML has (processing
 * instructions, other entities, attributes but `version` on `plist`), a second value, duplicate keys, bytes after the
 * document.
 */
import { type Bytes, fromBase64, readUtf8, utf8 } from '../../std/bytes.ts';
import { type Outcome, ok, refuse } from '../../std/outcome.ts';
import { BinaryReader } from './binary.ts';
import { findNonXml } from './characters.ts';
import { Lexer } from './lexer.ts';
import { readDate, readInteger, readReal } from './scalars.ts';
import { PLIST_LIMITS, type PlistDict, type PlistLimits, type PlistValue } from './value.ts';

/** `offset` is where in the bytes reading stopped. `reason` never quotes the document. */
export type PlistRefusal = {
  readonly kind: 'malformed-plist';
  readonly reason: string;
  readonly offset: number;
};

export function parsePlist(
  bytes: Bytes,
  limits: PlistLimits = PLIST_LIMITS,
): Outcome<PlistValue, PlistRefusal> {
  if (isBinaryPlist(bytes)) return parseBinary(bytes, limits);
  const text = readUtf8(bytes);
  if (text === null) return malformed('not UTF-8', 0);
  const lexer = new Lexer(text);
  const value = new Grammar(lexer, limits).document();
  if (value !== undefined) return ok(value);
  // The decoder took a byte order mark away.
  const mark = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? 3 : 0;
  return malformed(lexer.reason, mark + utf8(text.slice(0, lexer.at)).length);
}

/** `parsePlist`, and the value is a dictionary: what every message of this protocol is. */
export function parsePlistDict(bytes: Bytes, limits?: PlistLimits): Outcome<PlistDict, PlistRefusal> {
  const plist = parsePlist(bytes, limits);
  if (!plist.ok) return plist;
  return plist.value instanceof Map ? ok(plist.value) : malformed('not a dictionary', 0);
}

function malformed(reason: string, offset: number) {
  return refuse({ kind: 'malformed-plist' as const, reason, offset });
}

function parseBinary(bytes: Bytes, limits: PlistLimits): Outcome<PlistValue, PlistRefusal> {
  const reader = new BinaryReader(bytes, limits);
  const value = reader.document();
  return value === undefined ? malformed(reader.reason, reader.at) : ok(value);
}

/** Of any version: no XML document begins so. */
export function isBinaryPlist(bytes: Bytes): boolean {
  const magic = 'bplist';
  for (let i = 0; i < magic.length; i++) if (bytes[i] !== magic.charCodeAt(i)) return false;
  return true;
}

/** XML 1.0 §2.8; §4.3.3: the bytes were read as UTF-8, so no other encoding may be claimed. */
const DECLARATION =
  /<\?xml[ \t\r\n]+version[ \t\r\n]*=[ \t\r\n]*(?:"1\.[0-9]+"|'1\.[0-9]+')(?:[ \t\r\n]+encoding[ \t\r\n]*=[ \t\r\n]*(?:"[Uu][Tt][Ff]-8"|'[Uu][Tt][Ff]-8'))?(?:[ \t\r\n]+standalone[ \t\r\n]*=[ \t\r\n]*(?:"(?:yes|no)"|'(?:yes|no)'))?[ \t\r\n]*\?>/y;
/**
 * §2.8 doctypedecl without intSubset; a public identifier has the characters of §2.3 PubidChar. Neither identifier is
 * looked at, and nothing is ever fetched.
 */
const DOCTYPE =
  /<!DOCTYPE[ \t\r\n]+plist(?:[ \t\r\n]+(?:PUBLIC[ \t\r\n]+(?:"[-'()+,./:=?;!*#@$_%a-zA-Z0-9 \r\n]*"|'[-()+,./:=?;!*#@$_%a-zA-Z0-9 \r\n]*')|SYSTEM)[ \t\r\n]+(?:"[^"<>]*"|'[^'<>]*'))?[ \t\r\n]*>/y;
const PLIST_OPEN = /<plist(?:[ \t\r\n]+version[ \t\r\n]*=[ \t\r\n]*(?:"[0-9.]+"|'[0-9.]+'))?[ \t\r\n]*>/y;

type Leaf = 'string' | 'integer' | 'real' | 'date' | 'data';
type ElementName = Leaf | 'dict' | 'array' | 'true' | 'false';

/** The grammar above the lexer. Recursion is bounded by `depthMax`. */
class Grammar {
  readonly #lexer: Lexer;
  readonly #limits: PlistLimits;
  #nodes = 0;

  constructor(lexer: Lexer, limits: PlistLimits) {
    this.#lexer = lexer;
    this.#limits = limits;
  }

  document(): PlistValue | undefined {
    const lexer = this.#lexer;
    const control = findNonXml(lexer.text);
    if (control !== -1) return lexer.refuse('not a character of XML', control);
    lexer.match(DECLARATION);
    if (!lexer.skip()) return undefined;
    if (lexer.match(DOCTYPE) && !lexer.skip()) return undefined;
    if (!lexer.match(PLIST_OPEN)) return this.#refuseProlog();
    if (!lexer.skip()) return undefined;
    const value = this.#value(1);
    if (value === undefined || !lexer.skip()) return undefined;
    if (!lexer.close('plist')) return lexer.refuse('more than one value in plist');
    if (!lexer.skip()) return undefined;
    return lexer.ended ? value : lexer.refuse('bytes after the document');
  }

  #value(depth: number): PlistValue | undefined {
    const lexer = this.#lexer;
    if (++this.#nodes > this.#limits.nodesMax) return lexer.refuse('too many values');
    const name = elementName(lexer.text, lexer.at);
    if (name === undefined) return lexer.refuse('not an element of a property list');
    const start = lexer.at;
    const tag = lexer.open(name);
    if (tag === undefined) return undefined;
    switch (name) {
      case 'string':
        return tag === 'empty' ? '' : lexer.content(name);
      case 'dict':
      case 'array':
        if (depth > this.#limits.depthMax) return lexer.refuse('nested too deeply', start);
        if (name === 'dict') return tag === 'empty' ? new Map() : this.#dict(depth);
        return tag === 'empty' ? [] : this.#array(depth);
      case 'true':
      case 'false':
        if (tag === 'open' && !lexer.close(name)) return lexer.refuse('a boolean holds nothing');
        return name === 'true';
      default: {
        const text = tag === 'empty' ? '' : lexer.content(name);
        return text === undefined
          ? undefined
          : (readLeaf(name, text) ?? lexer.refuse(`malformed ${name}`, start));
      }
    }
  }

  #dict(depth: number): PlistDict | undefined {
    const lexer = this.#lexer;
    const dict = new Map<string, PlistValue>();
    for (;;) {
      if (!lexer.skip()) return undefined;
      if (lexer.close('dict')) return dict;
      const start = lexer.at;
      if (!lexer.text.startsWith('<key', start)) return lexer.refuse('expected a key');
      const tag = lexer.open('key');
      const key = tag === 'empty' ? '' : tag && lexer.content('key');
      if (key === undefined || !lexer.skip()) return undefined;
      if (dict.has(key)) return lexer.refuse('duplicate key', start);
      const value = this.#value(depth + 1);
      if (value === undefined) return undefined;
      dict.set(key, value);
    }
  }

  #array(depth: number): PlistValue[] | undefined {
    const lexer = this.#lexer;
    const array: PlistValue[] = [];
    for (;;) {
      if (!lexer.skip()) return undefined;
      if (lexer.close('array')) return array;
      const value = this.#value(depth + 1);
      if (value === undefined) return undefined;
      array.push(value);
    }
  }

  #refuseProlog(): undefined {
    const { text, at } = this.#lexer;
    if (text.startsWith('<!DOCTYPE', at)) {
      return this.#lexer.refuse('malformed DOCTYPE, or one with an internal subset');
    }
    if (text.startsWith('<?', at)) return this.#lexer.refuse('processing instruction');
    return this.#lexer.refuse('expected the plist element');
  }
}

/** By as few letters as tell them apart; the lexer compares the rest. */
function elementName(text: string, at: number): ElementName | undefined {
  if (text[at] !== '<') return undefined;
  switch (text[at + 1]) {
    case 's':
      return 'string';
    case 'i':
      return 'integer';
    case 'a':
      return 'array';
    case 't':
      return 'true';
    case 'f':
      return 'false';
    case 'r':
      return 'real';
    case 'd':
      if (text[at + 2] === 'i') return 'dict';
      return text[at + 4] === 'a' ? 'data' : 'date';
    default:
      return undefined;
  }
}

function readLeaf(name: Exclude<Leaf, 'string'>, text: string): PlistValue | undefined {
  switch (name) {
    case 'integer':
      return readInteger(text);
    case 'real':
      return readReal(text);
    case 'date':
      return readDate(text);
    case 'data':
      return fromBase64(text) ?? undefined;
    default:
      return name satisfies never;
  }
}
