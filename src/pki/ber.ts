/**
 * A bounded reader of BER and DER (X.690 §8, §10) over bytes in place: it moves through one buffer, returns views
 * of it and builds no tree. Definite, non-minimal and indefinite lengths are read; with `der` only what DER allows.
 *
 * Errors are sticky, as in a scanner: the first one is kept in `error`, every later call does nothing and returns an
 * empty value, and `more()` is false. A caller reads straight on and looks at `finish()` once. Nothing here throws.
 * Tag numbers over 30 are refused: neither CMS nor X.509 uses them.
 */
import type { Bytes } from '../std/bytes.ts';
import { oidText } from './oid.ts';

/** Open containers at once. A SignedData with constructed content stays under 12. */
export const BER_DEPTH_MAX = 32;
/** Length octets after the first. Four would do for any input here; BER allows leading zeros. */
const LENGTH_OCTETS_MAX = 8;

export const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  oid: 0x06,
  utf8String: 0x0c,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const;

const CONSTRUCTED = 0x20;
const INDEFINITE = -1;
const EMPTY: Bytes = new Uint8Array(0);

export class BerReader {
  readonly #bytes: Bytes;
  readonly #der: boolean;
  /** Of each open container's parent: its end, complemented when that parent is of indefinite length. */
  readonly #parents: number[] = [];
  #at = 0;
  /** Where the innermost definite container ends: nothing is read past it. */
  #end: number;
  /** The innermost container ends with end-of-contents octets. */
  #open = false;
  #length = 0;
  #error: string | null = null;

  constructor(bytes: Bytes, options?: { readonly der: boolean }) {
    this.#bytes = bytes;
    this.#der = options?.der ?? false;
    this.#end = bytes.length;
  }

  /** The first thing that was wrong, with its offset. */
  get error(): string | null {
    return this.#error;
  }

  get offset(): number {
    return this.#at;
  }

  /** Marks the input as malformed for a reason of the caller's own. */
  fail(reason: string): false {
    if (this.#error === null) this.#error = `${reason} at ${this.#at}`;
    return false;
  }

  /** The identifier octet of the next element of this container, or -1 when there is none. */
  peek(): number {
    if (this.#error !== null) return -1;
    if (this.#at >= this.#end) {
      if (this.#open) this.fail('unterminated');
      return -1;
    }
    const tag = this.#bytes[this.#at] as number;
    return tag === 0 && this.#open ? -1 : tag;
  }

  more(): boolean {
    return this.peek() !== -1;
  }

  /** Goes into the constructed element that comes next, which must have this identifier octet. */
  enter(tag: number): boolean {
    if (!this.#expect(tag)) return false;
    if (this.#parents.length >= BER_DEPTH_MAX) return this.fail('too deep');
    this.#parents.push(this.#open ? ~this.#end : this.#end);
    this.#open = this.#length === INDEFINITE;
    if (!this.#open) this.#end = this.#at + this.#length;
    return true;
  }

  /** Leaves the container, which must have been read to its end. */
  leave(): void {
    if (this.#error !== null) return;
    if (this.#open ? !this.#endOfContents() : this.#at !== this.#end) {
      this.fail('unexpected element');
      return;
    }
    const parent = this.#parents.pop() ?? this.#bytes.length;
    this.#open = parent < 0;
    this.#end = parent < 0 ? ~parent : parent;
  }

  /** The content of a primitive element. */
  primitive(tag: number): Bytes {
    if (!this.#expect(tag)) return EMPTY;
    return this.#take();
  }

  /** An element as it stands, identifier and length included. */
  raw(): Bytes {
    const start = this.#at;
    this.skip();
    return this.#error === null ? this.#bytes.subarray(start, this.#at) : EMPTY;
  }

  /** Passes over one element. Inside a definite length nothing is looked at. */
  skip(): void {
    let open = 0;
    do {
      if (open > 0 && this.#endOfContents()) {
        open--;
      } else {
        if (!this.#header()) return;
        if (this.#length !== INDEFINITE) this.#at += this.#length;
        else if (++open > BER_DEPTH_MAX) {
          this.fail('too deep');
          return;
        }
      }
    } while (open > 0);
  }

  /**
   * An OCTET STRING, or with another tag an IMPLICIT one: `0x80` for `[0]`. In BER it may be constructed of
   * segments, themselves perhaps constructed (X.690 §8.7.3); these are joined, a primitive one is a view.
   */
  octetString(tag: number = TAG.octetString): Bytes {
    if (this.peek() !== (tag | CONSTRUCTED)) return this.primitive(tag);
    if (this.#der) {
      this.fail('constructed string');
      return EMPTY;
    }
    const joined = new Uint8Array(this.#end - this.#at);
    const length = this.#join(tag | CONSTRUCTED, joined, 0);
    return this.#error === null ? joined.subarray(0, length) : EMPTY;
  }

  /** The content octets of an INTEGER, two's complement, at least one. */
  integer(): Bytes {
    const value = this.primitive(TAG.integer);
    if (value.length === 0) this.fail('empty integer');
    return value;
  }

  /** A small INTEGER that is not negative: a version, a path length. */
  smallInteger(): number {
    const value = this.integer();
    if (value.length > 4 || (value[0] as number) > 0x7f) this.fail('integer out of range');
    return this.#error === null ? value.reduce((sum, octet) => sum * 256 + octet, 0) : 0;
  }

  boolean(): boolean {
    const value = this.primitive(TAG.boolean);
    if (value.length !== 1) this.fail('malformed boolean');
    return value[0] !== undefined && value[0] !== 0;
  }

  /** A BIT STRING of whole octets, without the count of unused bits. */
  bitString(): Bytes {
    const value = this.primitive(TAG.bitString);
    if (value[0] !== 0) this.fail('bit string not of whole octets');
    return value.subarray(1);
  }

  /** A short BIT STRING of named bits (X.680 §22): named bit n is `1 << n`, up to 16 of them. */
  namedBits(): number {
    const value = this.primitive(TAG.bitString);
    if (value.length < 1 || value.length > 3 || (value[0] as number) > 7) this.fail('malformed named bits');
    let bits = 0;
    for (let n = 0; n < (value.length - 1) * 8; n++) {
      if (((value[1 + (n >> 3)] as number) >> (7 - (n & 7))) & 1) bits |= 1 << n;
    }
    return bits;
  }

  /** An OBJECT IDENTIFIER in dotted form. */
  oid(): string {
    if (!this.#expect(TAG.oid)) return '';
    const start = this.#at;
    this.#at += this.#length;
    const text = oidText(this.#bytes, start, this.#at);
    if (text === null) this.fail('malformed object identifier');
    return text ?? '';
  }

  /** The input was read to its end, and nothing was wrong. */
  finish(): boolean {
    if (this.#error === null && (this.#parents.length > 0 || this.#at !== this.#bytes.length)) {
      this.fail('trailing bytes');
    }
    return this.#error === null;
  }

  #expect(tag: number): boolean {
    if (this.#error !== null) return false;
    if (this.peek() !== tag) return this.fail(`expected tag ${tag.toString(16)}`);
    return this.#header();
  }

  /** Reads identifier and length, and moves to the content. */
  #header(): boolean {
    if (this.#error !== null) return false;
    const at = this.#at;
    if (this.#end - at < 2) return this.fail('truncated');
    const tag = this.#bytes[at] as number;
    if (tag === 0 || (tag & 0x1f) === 0x1f) return this.fail('unsupported tag');
    const first = this.#bytes[at + 1] as number;
    this.#at = at + 2;
    if (first === 0x80) {
      if (this.#der || (tag & CONSTRUCTED) === 0) return this.fail('indefinite length');
      this.#length = INDEFINITE;
      return true;
    }
    this.#length = first;
    if (first > 0x80 && !this.#longLength(first & 0x7f)) return false;
    return this.#length <= this.#end - this.#at || this.fail('length past the end');
  }

  #longLength(octets: number): boolean {
    if (octets > LENGTH_OCTETS_MAX) return this.fail('length too long');
    if (this.#end - this.#at < octets) return this.fail('truncated');
    let length = 0;
    for (let i = 0; i < octets; i++) length = length * 256 + (this.#bytes[this.#at + i] as number);
    if (this.#der && (length < 0x80 || this.#bytes[this.#at] === 0)) return this.fail('length not minimal');
    this.#at += octets;
    this.#length = length;
    return true;
  }

  #take(): Bytes {
    const start = this.#at;
    this.#at += this.#length;
    return this.#bytes.subarray(start, this.#at);
  }

  #endOfContents(): boolean {
    const at = this.#at;
    if (this.#end - at < 2 || this.#bytes[at] !== 0 || this.#bytes[at + 1] !== 0) return false;
    this.#at = at + 2;
    return true;
  }

  #join(tag: number, joined: Bytes, length: number): number {
    let total = length;
    this.enter(tag);
    while (this.more()) {
      if (this.peek() === (TAG.octetString | CONSTRUCTED)) {
        total = this.#join(TAG.octetString | CONSTRUCTED, joined, total);
      } else {
        const segment = this.primitive(TAG.octetString);
        joined.set(segment, total);
        total += segment.length;
      }
    }
    this.leave();
    return total;
  }
}
