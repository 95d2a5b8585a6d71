/**
 * Writes an XML property list: Apple's DOCTYPE, no indentation, keys in the order given, `undefined` skipped. What XML
 * or the format cannot hold is a `Fault`: callers give this function values they built or read (`jsonToPlist` refuses
 * the same things as input errors).
 */
import { type Bytes, toBase64, utf8 } from '../../std/bytes.ts';
import { Fault } from '../../std/outcome.ts';
import { escapeText, isXmlText } from './characters.ts';
import { isWritableDate, writeDate } from './scalars.ts';
import { INTEGER_MAX, INTEGER_MIN } from './value.ts';

/** What can be written: everything that can be read, plain objects besides `Map`s, and views of any buffer. */
export type PlistInput =
  | string
  | number
  | bigint
  | boolean
  | Date
  | Uint8Array
  | readonly PlistInput[]
  | PlistInputDict;

export type PlistInputDict =
  | ReadonlyMap<string, PlistInput | undefined>
  | { readonly [key: string]: PlistInput | undefined };

const HEAD =
  '<?xml version="1.0" encoding="UTF-8"?>\n' +
  '<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">\n' +
  '<plist version="1.0">';
const TAIL = '</plist>\n';

/** Past any document we write, and short of a cycle's stack overflow. */
const DEPTH_MAX = 64;

export function encodePlist(value: PlistInput): Bytes {
  return utf8(HEAD + write(value, 1) + TAIL);
}

function write(value: PlistInput, depth: number): string {
  switch (typeof value) {
    case 'string':
      return `<string>${text(value)}</string>`;
    case 'boolean':
      return value ? '<true/>' : '<false/>';
    case 'bigint':
      if (value < INTEGER_MIN || value > INTEGER_MAX) throw unwritable('an integer past 64 bits');
      return `<integer>${value}</integer>`;
    case 'number':
      return writeNumber(value);
    case 'object':
      return writeObject(value, depth);
    default:
      throw unwritable(typeof value);
  }
}

/** A number with a fraction, or past what a number can count, is a real. */
function writeNumber(value: number): string {
  if (Number.isSafeInteger(value)) return `<integer>${value}</integer>`;
  if (!Number.isFinite(value)) throw unwritable('a number that is not finite');
  return `<real>${value}</real>`;
}

function writeObject(value: object, depth: number): string {
  if (value === null) throw unwritable('null');
  if (depth > DEPTH_MAX) throw unwritable('nesting past the limit');
  if (value instanceof Map) return writeDict(value, depth);
  if (Array.isArray(value)) {
    let out = '<array>';
    for (const item of value as readonly PlistInput[]) out += write(item, depth + 1);
    return `${out}</array>`;
  }
  if (value instanceof Uint8Array) return `<data>${toBase64(value)}</data>`;
  if (value instanceof Date) return `<date>${date(value)}</date>`;
  const prototype = Object.getPrototypeOf(value);
  // An instance of a class (a `Secret`, say) is not a dictionary.
  if (prototype !== Object.prototype && prototype !== null) throw unwritable('an object of a class');
  return writeDict(Object.entries(value), depth);
}

function writeDict(entries: Iterable<readonly [string, PlistInput | undefined]>, depth: number): string {
  let out = '<dict>';
  for (const [key, value] of entries) {
    if (value !== undefined) out += `<key>${text(key)}</key>${write(value, depth + 1)}`;
  }
  return `${out}</dict>`;
}

function text(value: string): string {
  if (!isXmlText(value)) throw unwritable('text that XML cannot hold');
  return escapeText(value);
}

function date(value: Date): string {
  if (!isWritableDate(value)) throw unwritable('a date outside the years 0 to 9999');
  return writeDate(value);
}

function unwritable(what: string): Fault {
  return new Fault('plist-unwritable', `a property list cannot hold ${what}`);
}
