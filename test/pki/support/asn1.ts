/**
 * A small ASN.1 writer for tests, apart from the one in `src`: a tree of nodes, encoded as DER or, where a style asks
 * for it, with indefinite or non-minimal lengths and segmented strings.
 */
export type Bytes = Uint8Array<ArrayBuffer>;

export interface Node {
  readonly tag: number;
  readonly content: Bytes | readonly Node[];
  /** Encoded as it stands, without tag and length. */
  readonly verbatim?: true;
}

/** How the next length is written. */
export type Form = 'minimal' | 'long' | 'indefinite';
export type Style = () => Form;

export const der: Style = () => 'minimal';

export function node(tag: number, content: Bytes | readonly Node[]): Node {
  return { tag, content };
}

export function verbatim(content: Bytes): Node {
  return { tag: 0, content, verbatim: true };
}

export const sequence = (...children: Node[]) => node(0x30, children);
export const set = (...children: Node[]) => node(0x31, children);
export const explicit = (number: number, ...children: Node[]) => node(0xa0 | number, children);
export const octets = (content: Bytes) => node(0x04, content);
export const bits = (content: Bytes) => node(0x03, join(Uint8Array.of(0), content));
export const nil = () => node(0x05, new Uint8Array(0));
export const bool = (value: boolean) => node(0x01, Uint8Array.of(value ? 0xff : 0));
export const integer = (value: number) => {
  const digits = [value & 0xff];
  for (let left = value >>> 8; left > 0; left >>>= 8) digits.unshift(left & 0xff);
  return node(0x02, Uint8Array.from((digits[0] as number) > 127 ? [0, ...digits] : digits));
};
export const text = (value: string) => node(0x0c, new TextEncoder().encode(value) as Bytes);
export const utcTime = (value: string) => node(0x17, new TextEncoder().encode(value) as Bytes);

export function oid(dotted: string): Node {
  const [a = 0, b = 0, ...rest] = dotted.split('.').map(Number);
  const out: number[] = [];
  for (const arc of [a * 40 + b, ...rest]) {
    const octetsOfArc = [arc % 128];
    for (let left = Math.floor(arc / 128); left > 0; left = Math.floor(left / 128)) {
      octetsOfArc.unshift((left % 128) | 0x80);
    }
    out.push(...octetsOfArc);
  }
  return node(0x06, Uint8Array.from(out));
}

export function join(...parts: readonly Uint8Array[]): Bytes {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

export function encode(tree: Node, style: Style = der): Bytes {
  if (tree.verbatim) return tree.content as Bytes;
  const constructed = Array.isArray(tree.content);
  const body = constructed
    ? join(...(tree.content as readonly Node[]).map((child) => encode(child, style)))
    : (tree.content as Bytes);
  const form = style();
  if (form === 'indefinite' && constructed)
    return join(Uint8Array.of(tree.tag, 0x80), body, Uint8Array.of(0, 0));
  return join(Uint8Array.of(tree.tag), lengthOf(body.length, form === 'long'), body);
}

function lengthOf(length: number, long: boolean): Bytes {
  if (long)
    return Uint8Array.of(0x84, length >>> 24, (length >>> 16) & 255, (length >>> 8) & 255, length & 255);
  if (length < 0x80) return Uint8Array.of(length);
  if (length < 0x100) return Uint8Array.of(0x81, length);
  if (length < 0x10000) return Uint8Array.of(0x82, length >> 8, length & 255);
  return Uint8Array.of(0x83, length >> 16, (length >> 8) & 255, length & 255);
}
