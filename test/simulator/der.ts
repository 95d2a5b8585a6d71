/**
 * DER by hand: a writer that takes parts and a reader that gives nodes (X.690). The writer also makes the
 * indefinite-length BER that real devices send in `Mdm-Signature`; the reader takes both. It is a stranger to
 * the server's reader on purpose: recursive, copying nothing, with no limits but the end of the bytes.
 */
import { Buffer } from 'node:buffer';

export type Part = Uint8Array;

export const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  oid: 0x06,
  utf8String: 0x0c,
  printableString: 0x13,
  ia5String: 0x16,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const;

function length(size: number): Buffer {
  if (size < 0x80) return Buffer.from([size]);
  const hex = size.toString(16);
  const digits = Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex');
  return Buffer.concat([Buffer.from([0x80 | digits.length]), digits]);
}

export function tlv(tag: number, ...parts: readonly Part[]): Buffer {
  const body = Buffer.concat(parts);
  return Buffer.concat([Buffer.from([tag]), length(body.length), body]);
}

/** The same element with an indefinite length: only constructed tags may have one. */
export function indefinite(tag: number, ...parts: readonly Part[]): Buffer {
  return Buffer.concat([Buffer.from([tag, 0x80]), ...parts, Buffer.from([0, 0])]);
}

export const sequence = (...parts: readonly Part[]) => tlv(TAG.sequence, ...parts);
/** DER orders the members of a SET OF by their bytes (X.690 §11.6). */
export const set = (...parts: readonly Part[]) => tlv(TAG.set, ...[...parts].sort(Buffer.compare));
export const octetString = (bytes: Part) => tlv(TAG.octetString, bytes);
export const bitString = (bytes: Part, unused = 0) => tlv(TAG.bitString, Buffer.from([unused]), bytes);
export const printable = (text: string) => tlv(TAG.printableString, Buffer.from(text, 'latin1'));
export const utf8 = (text: string) => tlv(TAG.utf8String, Buffer.from(text));
export const nothing = () => tlv(TAG.null);
export const boolean = (value: boolean) => tlv(TAG.boolean, Buffer.from([value ? 0xff : 0]));
/** `[n] EXPLICIT`, or any other constructed context tag. */
export const context = (n: number, ...parts: readonly Part[]) => tlv(0xa0 | n, ...parts);

/** A number, or the big-endian bytes of a non-negative one. */
export function integer(value: number | Part): Buffer {
  let bytes = typeof value === 'number' ? Buffer.from(evenHex(value), 'hex') : Buffer.from(value);
  while (bytes.length > 1 && bytes[0] === 0 && bytes[1]! < 0x80) bytes = bytes.subarray(1);
  return tlv(TAG.integer, bytes[0]! >= 0x80 ? Buffer.concat([Buffer.from([0]), bytes]) : bytes);
}

function evenHex(value: number): string {
  const hex = value.toString(16);
  return hex.length % 2 === 0 ? hex : `0${hex}`;
}

export function oid(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number);
  const bytes = [first * 40 + second, ...rest].flatMap((arc) => {
    const digits = [arc & 0x7f];
    for (let left = Math.floor(arc / 128); left > 0; left = Math.floor(left / 128)) {
      digits.unshift((left % 128) | 0x80);
    }
    return digits;
  });
  return tlv(TAG.oid, Buffer.from(bytes));
}

/** UTCTime until 2049, GeneralizedTime after (RFC 5280 §4.1.2.5). */
export function time(ms: number): Buffer {
  const digits = new Date(ms).toISOString().replace(/[-:T]|\.\d+/g, '');
  const year = Number(digits.slice(0, 4));
  return year >= 1950 && year < 2050
    ? tlv(TAG.utcTime, Buffer.from(digits.slice(2)))
    : tlv(TAG.generalizedTime, Buffer.from(digits));
}

export class DerError extends Error {}

export interface Node {
  readonly tag: number;
  /** The whole element, tag and length included. */
  readonly raw: Buffer;
  /** The content octets. */
  readonly body: Buffer;
  readonly children: readonly Node[];
}

/** One element and nothing after it. */
export function read(bytes: Uint8Array): Node {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const { node, end } = readAt(buffer, 0);
  if (end !== buffer.length) throw new DerError(`${buffer.length - end} bytes after the last element`);
  return node;
}

function readAt(bytes: Buffer, start: number): { node: Node; end: number } {
  const tag = bytes[start];
  const first = bytes[start + 1];
  if (tag === undefined || first === undefined) throw new DerError('the bytes end inside an element');
  if ((tag & 0x1f) === 0x1f) throw new DerError('a tag of more than one byte');
  if (first === 0x80) return readIndefinite(bytes, start, tag);
  const extra = first > 0x80 ? first & 0x7f : 0;
  const size =
    extra === 0 ? first : bytes.subarray(start + 2, start + 2 + extra).reduce((n, b) => n * 256 + b, 0);
  const from = start + 2 + extra;
  const end = from + size;
  if (end > bytes.length) throw new DerError('an element is longer than its container');
  return { node: make(tag, bytes.subarray(start, end), bytes.subarray(from, end)), end };
}

function readIndefinite(bytes: Buffer, start: number, tag: number): { node: Node; end: number } {
  const children: Node[] = [];
  let at = start + 2;
  while (bytes[at] !== 0 || bytes[at + 1] !== 0) {
    const { node, end } = readAt(bytes, at);
    children.push(node);
    at = end;
  }
  const node = { tag, raw: bytes.subarray(start, at + 2), body: bytes.subarray(start + 2, at), children };
  return { node, end: at + 2 };
}

function make(tag: number, raw: Buffer, body: Buffer): Node {
  let children: Node[] | null = null;
  return {
    tag,
    raw,
    body,
    get children() {
      children ??= (tag & 0x20) === 0 ? [] : readAll(body);
      return children;
    },
  };
}

function readAll(body: Buffer): Node[] {
  const nodes: Node[] = [];
  for (let at = 0; at < body.length; ) {
    const { node, end } = readAt(body, at);
    nodes.push(node);
    at = end;
  }
  return nodes;
}

/** The child at `index`, which must be there and, when a tag is given, carry it. */
export function child(node: Node, index: number, tag?: number): Node {
  const found = node.children[index];
  if (found === undefined) throw new DerError(`element 0x${node.tag.toString(16)} has no member ${index}`);
  if (tag !== undefined && found.tag !== tag) {
    throw new DerError(`member ${index} has tag 0x${found.tag.toString(16)}, not 0x${tag.toString(16)}`);
  }
  return found;
}

export function oidText(node: Node): string {
  if (node.tag !== TAG.oid) throw new DerError('not an object identifier');
  const arcs: number[] = [];
  let value = 0;
  for (const byte of node.body) {
    value = value * 128 + (byte & 0x7f);
    if (byte < 0x80) {
      arcs.push(value);
      value = 0;
    }
  }
  const [joined = 0, ...rest] = arcs;
  const first = Math.min(2, Math.floor(joined / 40));
  return [first, joined - first * 40, ...rest].join('.');
}

/** Octets of a primitive string, or of a constructed one joined. */
export function octets(node: Node): Buffer {
  return (node.tag & 0x20) === 0 ? node.body : Buffer.concat(node.children.map(octets));
}

export function timeMs(node: Node): number {
  const text = node.body.toString('latin1');
  const year = node.tag === TAG.utcTime ? (Number(text.slice(0, 2)) < 50 ? '20' : '19') : '';
  const match = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/.exec(year + text);
  if (match === null) throw new DerError(`not a time: ${text}`);
  const [, y, mo, d, h, mi, s] = match;
  return Date.parse(`${y}-${mo}-${d}T${h}:${mi}:${s}Z`);
}
