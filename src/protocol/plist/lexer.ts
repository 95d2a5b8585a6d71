/**
 * The XML below a property list's grammar: white space and comments, tags, and the text of an element (XML 1.0 §2.3,
 * §2.4, §2.5, §2.7, §3.1). A cursor over decoded text; nothing is copied but the text of elements. Methods return
 * `undefined` (or false) once something is refused; `reason` and `at` then say what and where.
 */
import { normalizeLineEnds, resolveReferences } from './characters.ts';

const TAB = 0x09;
const LF = 0x0a;
const CR = 0x0d;
const SPACE = 0x20;
const SLASH = 0x2f;
const LT = 0x3c;
const GT = 0x3e;

const CDATA = '<![CDATA[';

export class Lexer {
  readonly text: string;
  /** Looked for once over the whole document, so that text without them is a slice and no more. */
  readonly #plain: boolean;
  at = 0;
  reason = '';

  constructor(text: string) {
    this.text = text;
    this.#plain = !text.includes('&') && !text.includes('\r') && !text.includes(']]>');
  }

  get ended(): boolean {
    return this.at === this.text.length;
  }

  /** Past white space and comments; false when a comment is malformed. */
  skip(): boolean {
    for (;;) {
      const c = this.text.charCodeAt(this.at);
      if (c === LF || c === TAB || c === SPACE || c === CR) this.at++;
      else if (c !== LT || !this.text.startsWith('<!--', this.at)) return true;
      else if (!this.#comment()) return false;
    }
  }

  /** Past `<name>` or `<name/>`, which must stand here. No attributes. */
  open(name: string): 'open' | 'empty' | undefined {
    if (!this.text.startsWith(name, this.at + 1)) return this.refuse('not an element of a property list');
    let at = this.#afterSpace(this.at + 1 + name.length);
    const empty = this.text.charCodeAt(at) === SLASH;
    if (empty) at++;
    if (this.text.charCodeAt(at) !== GT) return this.refuse('malformed tag');
    this.at = at + 1;
    return empty ? 'empty' : 'open';
  }

  /** Past `</name>` if it stands here. */
  close(name: string): boolean {
    const { text, at } = this;
    if (text.charCodeAt(at + 1) !== SLASH || text.charCodeAt(at) !== LT) return false;
    if (!text.startsWith(name, at + 2)) return false;
    const end = this.#afterSpace(at + 2 + name.length);
    if (text.charCodeAt(end) !== GT) return false;
    this.at = end + 1;
    return true;
  }

  /** Character data up to `</name>`, and past it. */
  content(name: string): string | undefined {
    const end = this.text.indexOf('<', this.at);
    if (!this.#plain || end === -1 || this.text.charCodeAt(end + 1) !== SLASH)
      return this.#mixedContent(name);
    const content = this.text.slice(this.at, end);
    this.at = end;
    return this.close(name) ? content : this.refuse('mismatched end tag');
  }

  /** Past what a sticky expression matches here. */
  match(form: RegExp): boolean {
    form.lastIndex = this.at;
    if (!form.test(this.text)) return false;
    this.at = form.lastIndex;
    return true;
  }

  refuse(reason: string, at = this.at): undefined {
    this.at = at;
    this.reason = reason;
    return undefined;
  }

  /** The same with references, CDATA sections and comments between. */
  #mixedContent(name: string): string | undefined {
    let content = '';
    for (;;) {
      const end = this.text.indexOf('<', this.at);
      if (end === -1) return this.refuse('unclosed element');
      const raw = this.text.slice(this.at, end);
      // XML 1.0 §2.4: the CDATA end mark may not stand in text.
      if (raw.includes(']]>')) return this.refuse('CDATA end mark in text');
      const resolved = resolveReferences(normalizeLineEnds(raw));
      if (resolved === undefined) return this.refuse('undefined reference');
      content += resolved;
      this.at = end;
      if (this.close(name)) return content;
      const section = this.#cdataOrComment();
      if (section === undefined) return undefined;
      content += section;
    }
  }

  #cdataOrComment(): string | undefined {
    if (this.text.startsWith('<!--', this.at)) return this.#comment() ? '' : undefined;
    if (!this.text.startsWith(CDATA, this.at)) return this.refuse('mismatched end tag');
    const start = this.at + CDATA.length;
    const end = this.text.indexOf(']]>', start);
    if (end === -1) return this.refuse('unclosed CDATA section');
    this.at = end + ']]>'.length;
    return normalizeLineEnds(this.text.slice(start, end));
  }

  /** XML 1.0 §2.5: `--` ends a comment and stands nowhere else in it. */
  #comment(): boolean {
    const end = this.text.indexOf('--', this.at + '<!--'.length);
    if (end === -1 || this.text.charCodeAt(end + 2) !== GT) {
      this.refuse('malformed comment');
      return false;
    }
    this.at = end + '-->'.length;
    return true;
  }

  #afterSpace(from: number): number {
    let at = from;
    for (let c = this.text.charCodeAt(at); c === SPACE || c === LF || c === TAB || c === CR; ) {
      c = this.text.charCodeAt(++at);
    }
    return at;
  }
}
