/**
 * Reads an XML property list (Apple's PropertyList-1.0 DTD) in one strict pass, without an object model.
 * Allowed: a byte order mark, an XML declaration, a DOCTYPE without internal subset, comments, CDATA, the five
 * entities and numeric references, white space inside tags. Refused: everything else XML has (processing
 * instructions, other entities, attributes but `version` on `plist`), a second value, duplicate keys, bytes after the
 * document. Binary property lists are named as such and not read (facts: devices send XML).
 */
import { type Bytes, fromBase64, readUtf8, utf8 } from '../../std/bytes.ts';
import { type Outcome, ok, refuse } from '../../std/outcome.ts';
import { findNonXml, normalizeLineEnds, resolveReferences } from './characters.ts';
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
  if (isBinary(bytes)) return malformed('binary property list', 0);
  const text = readUtf8(bytes);
  if (text === null) return malformed('not UTF-8', 0);
  const scanner = new Scanner(text, limits);
  const value = scanner.document();
  if (value !== undefined) return ok(value);
  const mark = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? 3 : 0;
  return malformed(scanner.reason, mark + utf8(text.slice(0, scanner.at)).length);
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

function isBinary(bytes: Bytes): boolean {
  const magic = 'bplist';
  for (let i = 0; i < magic.length; i++) if (bytes[i] !== magic.charCodeAt(i)) return false;
  return true;
}

const TAB = 0x09;
const LF = 0x0a;
const CR = 0x0d;
const SPACE = 0x20;
const SLASH = 0x2f;
const LT = 0x3c;
const GT = 0x3e;

/** XML 1.0 §2.8; §4.3.3: the bytes were read as UTF-8, so no other encoding may be claimed. */
const DECLARATION =
  /<\?xml[ \t\r\n]+version[ \t\r\n]*=[ \t\r\n]*(?:"1\.[0-9]+"|'1\.[0-9]+')(?:[ \t\r\n]+encoding[ \t\r\n]*=[ \t\r\n]*(?:"[Uu][Tt][Ff]-8"|'[Uu][Tt][Ff]-8'))?(?:[ \t\r\n]+standalone[ \t\r\n]*=[ \t\r\n]*(?:"(?:yes|no)"|'(?:yes|no)'))?[ \t\r\n]*\?>/y;
/** §2.8 doctypedecl without intSubset. The identifiers are not looked at, and nothing is ever fetched. */
const DOCTYPE =
  /<!DOCTYPE[ \t\r\n]+plist(?:[ \t\r\n]+(?:PUBLIC[ \t\r\n]+(?:"[^"<>]*"|'[^'<>]*')|SYSTEM)[ \t\r\n]+(?:"[^"<>]*"|'[^'<>]*'))?[ \t\r\n]*>/y;
const PLIST_OPEN = /<plist(?:[ \t\r\n]+version[ \t\r\n]*=[ \t\r\n]*(?:"[0-9.]+"|'[0-9.]+'))?[ \t\r\n]*>/y;

type Leaf = 'string' | 'integer' | 'real' | 'date' | 'data';
type Tag = 'open' | 'empty';

/**
 * Methods return `undefined` once something is refused; `reason` and `at` then say what and where. Recursion is
 * bounded by `depthMax`.
 */
class Scanner {
  readonly #text: string;
  readonly #limits: PlistLimits;
  /** Looked for once over the whole document, so that a leaf without them is a slice and no more. */
  readonly #plain: boolean;
  #nodes = 0;
  at = 0;
  reason = '';

  constructor(text: string, limits: PlistLimits) {
    this.#text = text;
    this.#limits = limits;
    this.#plain = !text.includes('&') && !text.includes('\r') && !text.includes(']]>');
  }

  document(): PlistValue | undefined {
    const control = findNonXml(this.#text);
    if (control !== -1) return this.#refuseAt(control, 'not a character of XML');
    this.#match(DECLARATION);
    if (!this.#skip()) return undefined;
    if (this.#match(DOCTYPE) && !this.#skip()) return undefined;
    if (!this.#match(PLIST_OPEN)) return this.#refuseProlog();
    if (!this.#skip()) return undefined;
    const value = this.#value(1);
    if (value === undefined || !this.#skip()) return undefined;
    if (!this.#close('plist')) return this.#refuse('more than one value in plist');
    if (!this.#skip()) return undefined;
    return this.at === this.#text.length ? value : this.#refuse('bytes after the document');
  }

  #value(depth: number): PlistValue | undefined {
    if (++this.#nodes > this.#limits.nodesMax) return this.#refuse('too many values');
    const name = this.#elementName();
    if (name === undefined) return this.#refuse('not an element of a property list');
    const tag = this.#open(name);
    if (tag === undefined) return undefined;
    switch (name) {
      case 'dict':
      case 'array':
        if (depth > this.#limits.depthMax) return this.#refuse('nested too deeply');
        if (name === 'dict') return tag === 'empty' ? new Map() : this.#dict(depth);
        return tag === 'empty' ? [] : this.#array(depth);
      case 'true':
      case 'false':
        if (tag === 'open' && !this.#close(name)) return this.#refuse('a boolean holds nothing');
        return name === 'true';
      default:
        return this.#leaf(name, tag);
    }
  }

  #dict(depth: number): PlistDict | undefined {
    const dict = new Map<string, PlistValue>();
    for (;;) {
      if (!this.#skip()) return undefined;
      if (this.#close('dict')) return dict;
      if (!this.#text.startsWith('<key', this.at)) return this.#refuse('expected a key');
      const keyAt = this.at;
      const tag = this.#open('key');
      const key = tag === 'empty' ? '' : tag && this.#content('key');
      if (key === undefined || !this.#skip()) return undefined;
      if (dict.has(key)) return this.#refuseAt(keyAt, 'duplicate key');
      const value = this.#value(depth + 1);
      if (value === undefined) return undefined;
      dict.set(key, value);
    }
  }

  #array(depth: number): PlistValue[] | undefined {
    const array: PlistValue[] = [];
    for (;;) {
      if (!this.#skip()) return undefined;
      if (this.#close('array')) return array;
      const value = this.#value(depth + 1);
      if (value === undefined) return undefined;
      array.push(value);
    }
  }

  #leaf(name: Leaf, tag: Tag): PlistValue | undefined {
    const start = this.at;
    const text = tag === 'empty' ? '' : this.#content(name);
    if (text === undefined || name === 'string') return text;
    const value = readLeaf(name, text);
    return value === undefined ? this.#refuseAt(start, `malformed ${name}`) : value;
  }

  /** Character data up to and including the end tag. */
  #content(name: Leaf | 'key'): string | undefined {
    const end = this.#text.indexOf('<', this.at);
    if (!this.#plain || end === -1 || this.#text.charCodeAt(end + 1) !== SLASH)
      return this.#mixedContent(name);
    const content = this.#text.slice(this.at, end);
    this.at = end;
    return this.#close(name) ? content : this.#refuse('mismatched end tag');
  }

  /** The same with references, CDATA sections and comments between. */
  #mixedContent(name: Leaf | 'key'): string | undefined {
    let content = '';
    for (;;) {
      const end = this.#text.indexOf('<', this.at);
      if (end === -1) return this.#refuse('unclosed element');
      const raw = this.#text.slice(this.at, end);
      // XML 1.0 §2.4: the CDATA end mark may not stand in text.
      if (raw.includes(']]>')) return this.#refuse('CDATA end mark in text');
      const resolved = resolveReferences(normalizeLineEnds(raw));
      if (resolved === undefined) return this.#refuse('undefined reference');
      content += resolved;
      this.at = end;
      if (this.#close(name)) return content;
      const section = this.#cdataOrComment();
      if (section === undefined) return undefined;
      content += section;
    }
  }

  #cdataOrComment(): string | undefined {
    if (this.#text.startsWith('<!--', this.at)) return this.#comment() ? '' : undefined;
    if (!this.#text.startsWith('<![CDATA[', this.at)) return this.#refuse('mismatched end tag');
    const start = this.at + '<![CDATA['.length;
    const end = this.#text.indexOf(']]>', start);
    if (end === -1) return this.#refuse('unclosed CDATA section');
    this.at = end + ']]>'.length;
    return normalizeLineEnds(this.#text.slice(start, end));
  }

  /** Past white space and comments; false once refused. */
  #skip(): boolean {
    for (;;) {
      const c = this.#text.charCodeAt(this.at);
      if (c === LF || c === TAB || c === SPACE || c === CR) this.at++;
      else if (c !== LT || !this.#text.startsWith('<!--', this.at)) return true;
      else if (!this.#comment()) return false;
    }
  }

  /** XML 1.0 §2.5: `--` ends a comment and stands nowhere else in it. */
  #comment(): boolean {
    const end = this.#text.indexOf('--', this.at + '<!--'.length);
    if (end === -1 || this.#text.charCodeAt(end + 2) !== GT) {
      this.#refuse('malformed comment');
      return false;
    }
    this.at = end + '-->'.length;
    return true;
  }

  #elementName(): 'dict' | 'array' | 'true' | 'false' | Leaf | undefined {
    if (this.#text.charCodeAt(this.at) !== LT) return undefined;
    switch (this.#text.slice(this.at + 1, this.at + 4)) {
      case 'str':
        return 'string';
      case 'int':
        return 'integer';
      case 'dic':
        return 'dict';
      case 'arr':
        return 'array';
      case 'tru':
        return 'true';
      case 'fal':
        return 'false';
      case 'dat':
        return this.#text.startsWith('<data', this.at) ? 'data' : 'date';
      case 'rea':
        return 'real';
      default:
        return undefined;
    }
  }

  #open(name: string): Tag | undefined {
    if (!this.#text.startsWith(name, this.at + 1)) return this.#refuse('not an element of a property list');
    let at = this.#afterSpace(this.at + 1 + name.length);
    const empty = this.#text.charCodeAt(at) === SLASH;
    if (empty) at++;
    if (this.#text.charCodeAt(at) !== GT) return this.#refuse('malformed tag');
    this.at = at + 1;
    return empty ? 'empty' : 'open';
  }

  /** Past the end tag if it stands here. */
  #close(name: string): boolean {
    if (this.#text.charCodeAt(this.at + 1) !== SLASH || !this.#text.startsWith(name, this.at + 2))
      return false;
    if (this.#text.charCodeAt(this.at) !== LT) return false;
    const at = this.#afterSpace(this.at + 2 + name.length);
    if (this.#text.charCodeAt(at) !== GT) return false;
    this.at = at + 1;
    return true;
  }

  #afterSpace(from: number): number {
    let at = from;
    for (let c = this.#text.charCodeAt(at); c === SPACE || c === LF || c === TAB || c === CR; )
      c = this.#text.charCodeAt(++at);
    return at;
  }

  #match(form: RegExp): boolean {
    form.lastIndex = this.at;
    if (!form.test(this.#text)) return false;
    this.at = form.lastIndex;
    return true;
  }

  #refuseProlog(): undefined {
    if (this.#text.startsWith('<!DOCTYPE', this.at)) {
      return this.#refuse('malformed DOCTYPE, or one with an internal subset');
    }
    if (this.#text.startsWith('<?', this.at)) return this.#refuse('processing instruction');
    return this.#refuse('expected the plist element');
  }

  #refuseAt(at: number, reason: string): undefined {
    this.at = at;
    return this.#refuse(reason);
  }

  #refuse(reason: string): undefined {
    this.reason = reason;
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
