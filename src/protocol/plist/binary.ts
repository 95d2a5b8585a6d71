/**
 * Reads a binary property list of version 00, as Apple's CFBinaryPList.c writes it. All integers are big-endian.
 *
 *   plist   = "bplist00" object+ offset{objectCount} trailer                  nothing between, nothing after
 *   trailer = unused(6) offsetBytes(1) referenceBytes(1) objectCount(8) top(8) offsetsAt(8)
 *   object  = 08 false | 09 true
 *           | 1p integer of 2^p bytes: unsigned of 1, 2 and 4, signed of 8 and 16
 *           | 22 float32 | 23 float64 | 33 float64, a date in seconds from 2001-01-01T00:00:00Z
 *           | 4n n bytes | 5n n ASCII characters | 6n n UTF-16 units
 *           | An reference{n} | Dn key reference{n} value reference{n}
 *   n = F: the count follows as an integer object. A reference is an index into the offsets.
 *
 * Refused: the format's other objects (null, fill, URL, UUID, UID, sets), which XML has no elements for, and values that
 * the XML reader would refuse. An object may be referred to from many places or from within itself, so limits count
 * visits, not objects. Like the lexer's, methods return `undefined` once something is refused.
 */
import { type Bytes, readUtf8 } from '../../std/bytes.ts';
import { isXmlText } from './characters.ts';
import { isWritableDate, narrowInteger } from './scalars.ts';
import type { PlistDict, PlistLimits, PlistValue } from './value.ts';

const HEADER_BYTES = 8;
const TRAILER_BYTES = 32;
const EPOCH_MS = Date.UTC(2001, 0, 1);
/**
 * What repeated visits to one text or data may come to, beyond the length of the document: Apple's writer stores equal
 * texts once. 2,500 apps of eight keys of 15 letters are 300 kB.
 */
const REPEATED_BYTES_MAX = 1024 * 1024;

export class BinaryReader {
  readonly #bytes: Bytes;
  readonly #view: DataView;
  readonly #limits: PlistLimits;
  #nodes = 0;
  #contentLeft: number;
  #offsetBytes = 0;
  #referenceBytes = 0;
  #objectCount = 0;
  /** Where the offsets begin, and objects end. */
  #offsetsAt = 0;
  at = 0;
  reason = '';

  constructor(bytes: Bytes, limits: PlistLimits) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#limits = limits;
    this.#contentLeft = bytes.length + REPEATED_BYTES_MAX;
  }

  document(): PlistValue | undefined {
    const trailer = this.#bytes.length - TRAILER_BYTES;
    if (this.#byte(6) !== 0x30 || this.#byte(7) !== 0x30) return this.#refuse('not version 00', 6);
    if (trailer <= HEADER_BYTES) return this.#refuse('no room for a trailer');
    this.#offsetBytes = this.#byte(trailer + 6);
    this.#referenceBytes = this.#byte(trailer + 7);
    if (!isWidth(this.#offsetBytes) || !isWidth(this.#referenceBytes)) {
      return this.#refuse('malformed trailer', trailer + 6);
    }
    this.#objectCount = this.#unsigned(trailer + 8, 8);
    this.#offsetsAt = this.#unsigned(trailer + 24, 8);
    // The sum is exact wherever it equals: any addend past 2^53 is longer than the document.
    if (this.#offsetsAt + this.#objectCount * this.#offsetBytes !== trailer) {
      return this.#refuse('the offsets do not end at the trailer', trailer + 8);
    }
    return this.#value(this.#unsigned(trailer + 16, 8), 1);
  }

  #value(index: number, depth: number): PlistValue | undefined {
    if (++this.#nodes > this.#limits.nodesMax) return this.#refuse('too many values');
    const marker = this.#open(index);
    if (marker === undefined) return undefined;
    const size = marker & 0x0f;
    switch (marker >> 4) {
      case 0x1:
        return this.#integer(size);
      case 0x2:
        return this.#real(size);
      case 0x4:
        return this.#data(size);
      case 0x5:
      case 0x6:
        return this.#string(marker);
      case 0xa:
      case 0xd:
        if (depth > this.#limits.depthMax) return this.#refuse('nested too deeply', this.at - 1);
        return marker >> 4 === 0xa ? this.#array(size, depth) : this.#dict(size, depth);
      default:
        if (marker === 0x08 || marker === 0x09) return marker === 0x09;
        return marker === 0x33 ? this.#date() : this.#refuse(NO_OBJECT, this.at - 1);
    }
  }

  /** To just past an object's marker, which it returns. */
  #open(index: number): number | undefined {
    if (index >= this.#objectCount) return this.#refuse('a reference to no object');
    const entry = this.#offsetsAt + index * this.#offsetBytes;
    const offset = this.#unsigned(entry, this.#offsetBytes);
    if (offset < HEADER_BYTES || offset >= this.#offsetsAt) {
      return this.#refuse('an offset outside the objects', entry);
    }
    this.at = offset + 1;
    return this.#byte(offset);
  }

  /** Past `length` bytes of the object; returns where they begin. */
  #take(length: number): number | undefined {
    const start = this.at;
    if (length > this.#offsetsAt - start) return this.#refuse('an object past the end of the objects');
    this.at = start + length;
    return start;
  }

  /** May be inexact past 2^53; whatever it becomes is first compared with the length of something. */
  #count(size: number): number | undefined {
    if (size !== 0x0f) return size;
    const marker = this.#take(1);
    if (marker === undefined) return undefined;
    const power = this.#byte(marker) - 0x10;
    if (power < 0 || power > 3) return this.#refuse('malformed count', marker);
    const start = this.#take(1 << power);
    return start === undefined ? undefined : this.#unsigned(start, 1 << power);
  }

  #integer(power: number): number | bigint | undefined {
    if (power > 4) return this.#refuse('malformed integer', this.at - 1);
    const start = this.#take(1 << power);
    if (start === undefined) return undefined;
    if (power < 3) return this.#unsigned(start, 1 << power);
    const high = this.#view.getBigInt64(start);
    const value = power === 3 ? high : (high << 64n) | this.#view.getBigUint64(start + 8);
    return narrowInteger(value) ?? this.#refuse('malformed integer', start - 1);
  }

  #real(power: number): number | undefined {
    if (power !== 2 && power !== 3) return this.#refuse('malformed real', this.at - 1);
    const start = this.#take(1 << power);
    if (start === undefined) return undefined;
    const value = power === 2 ? this.#view.getFloat32(start) : this.#view.getFloat64(start);
    // Adding zero turns -0 into 0, as in XML.
    return Number.isFinite(value) ? value + 0 : this.#refuse('malformed real', start - 1);
  }

  /** XML has no fractions of a second, so they go. */
  #date(): Date | undefined {
    const start = this.#take(8);
    if (start === undefined) return undefined;
    const value = new Date(EPOCH_MS + Math.floor(this.#view.getFloat64(start)) * 1000);
    return isWritableDate(value) ? value : this.#refuse('malformed date', start - 1);
  }

  #data(size: number): Bytes | undefined {
    const content = this.#content(size, 1);
    return content?.slice();
  }

  #string(marker: number): string | undefined {
    const start = this.at - 1;
    const wide = marker >> 4 === 0x6;
    const content = this.#content(marker & 0x0f, wide ? 2 : 1);
    if (content === undefined) return undefined;
    const text = wide ? readUtf16(content) : readAscii(content);
    if (text === undefined) return this.#refuse('not ASCII', start);
    return isXmlText(text) ? text : this.#refuse('not a character of XML', start);
  }

  /** The bytes of text or data, in place. */
  #content(size: number, unitBytes: number): Bytes | undefined {
    const count = this.#count(size);
    const start = count === undefined ? undefined : this.#take(count * unitBytes);
    if (start === undefined) return undefined;
    this.#contentLeft -= this.at - start;
    if (this.#contentLeft < 0) return this.#refuse('too much repeated content', start);
    return this.#bytes.subarray(start, this.at);
  }

  #array(size: number, depth: number): PlistValue[] | undefined {
    const count = this.#count(size);
    const start = count === undefined ? undefined : this.#take(count * this.#referenceBytes);
    if (count === undefined || start === undefined) return undefined;
    const array: PlistValue[] = [];
    for (let i = 0; i < count; i++) {
      const value = this.#value(this.#reference(start, i), depth + 1);
      if (value === undefined) return undefined;
      array.push(value);
    }
    return array;
  }

  #dict(size: number, depth: number): PlistDict | undefined {
    const count = this.#count(size);
    const start = count === undefined ? undefined : this.#take(2 * count * this.#referenceBytes);
    if (count === undefined || start === undefined) return undefined;
    const dict = new Map<string, PlistValue>();
    for (let i = 0; i < count; i++) {
      const key = this.#key(this.#reference(start, i));
      if (key === undefined) return undefined;
      if (dict.has(key)) return this.#refuse('duplicate key', start + i * this.#referenceBytes);
      const value = this.#value(this.#reference(start, count + i), depth + 1);
      if (value === undefined) return undefined;
      dict.set(key, value);
    }
    return dict;
  }

  #key(index: number): string | undefined {
    const marker = this.#open(index);
    if (marker === undefined) return undefined;
    const text = marker >> 4 === 0x5 || marker >> 4 === 0x6;
    return text ? this.#string(marker) : this.#refuse('expected a key', this.at - 1);
  }

  #reference(start: number, i: number): number {
    return this.#unsigned(start + i * this.#referenceBytes, this.#referenceBytes);
  }

  #unsigned(at: number, width: number): number {
    let value = 0;
    for (let i = at; i < at + width; i++) value = value * 256 + this.#byte(i);
    return value;
  }

  /** Callers have checked the bounds, but for a document shorter than its header. */
  #byte(at: number): number {
    return this.#bytes[at] ?? 0;
  }

  #refuse(reason: string, at = this.at): undefined {
    this.at = at;
    this.reason = reason;
    return undefined;
  }
}

const NO_OBJECT = 'not an object of a property list';

function isWidth(bytes: number): boolean {
  return bytes >= 1 && bytes <= 8;
}

/** Every character of UTF-8 past ASCII, and a byte order mark, makes the text shorter than its bytes. */
function readAscii(bytes: Bytes): string | undefined {
  const text = readUtf8(bytes);
  return text?.length === bytes.length ? text : undefined;
}

/** As many arguments as any engine takes in one call. */
const UNITS_AT_ONCE = 4096;

/** Halves of surrogate pairs pass: they are no text of XML, which is looked at next. */
function readUtf16(bytes: Bytes): string {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let text = '';
  for (let at = 0; at < bytes.length; ) {
    const units: number[] = [];
    for (; at < bytes.length && units.length < UNITS_AT_ONCE; at += 2) units.push(view.getUint16(at));
    text += String.fromCharCode(...units);
  }
  return text;
}
