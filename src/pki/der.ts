/**
 * Writes DER (X.690 §10) for what this server issues: certificates, CMS, SCEP replies.
 *
 * Each function returns a whole TLV. Only definite lengths and the types used here; OID and integer forms are
 * the shortest ones, as DER demands. Reading is `ber.ts`; nothing here looks at foreign bytes.
 */
import { type Bytes, utf8 } from '../std/bytes.ts';
import type { EpochMs } from '../std/time.ts';

/** One TLV: identifier octet, length, and the contents in order. */
export function tlv(tag: number, ...contents: readonly Uint8Array[]): Bytes {
  const length = contents.reduce((sum, part) => sum + part.length, 0);
  const header = lengthOctets(length);
  const out = new Uint8Array(1 + header.length + length);
  out[0] = tag;
  out.set(header, 1);
  let at = 1 + header.length;
  for (const part of contents) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

function lengthOctets(length: number): number[] {
  if (length < 0x80) return [length];
  const octets: number[] = [];
  for (let rest = length; rest > 0; rest = Math.floor(rest / 256)) octets.unshift(rest % 256);
  return [0x80 | octets.length, ...octets];
}

export function sequence(...parts: readonly Uint8Array[]): Bytes {
  return tlv(0x30, ...parts);
}

/** SET OF: the encodings in ascending order (X.690 §11.6). */
export function setOf(...parts: readonly Uint8Array[]): Bytes {
  return tlv(0x31, ...[...parts].sort(compareOctets));
}

function compareOctets(a: Uint8Array, b: Uint8Array): number {
  const shared = Math.min(a.length, b.length);
  for (let i = 0; i < shared; i++) {
    const difference = (a[i] as number) - (b[i] as number);
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}

/** [number] EXPLICIT, or an IMPLICIT constructed type when the parts are its contents. */
export function contextConstructed(number: number, ...parts: readonly Uint8Array[]): Bytes {
  return tlv(0xa0 | number, ...parts);
}

/** [number] IMPLICIT over a primitive type. */
export function contextPrimitive(number: number, content: Uint8Array): Bytes {
  return tlv(0x80 | number, content);
}

export function smallInteger(value: number): Bytes {
  if (!Number.isInteger(value) || value < 0 || value > 0x7f) throw new RangeError('0 to 127 only');
  return tlv(0x02, Uint8Array.of(value));
}

export function octetString(content: Uint8Array): Bytes {
  return tlv(0x04, content);
}

export function bitString(content: Uint8Array, unusedBits = 0): Bytes {
  return tlv(0x03, Uint8Array.of(unusedBits), content);
}

export const NULL: Uint8Array = Uint8Array.of(0x05, 0x00);
export const TRUE: Uint8Array = Uint8Array.of(0x01, 0x01, 0xff);

export function utf8String(text: string): Bytes {
  return tlv(0x0c, utf8(text));
}

/** The caller answers for the alphabet: letters, digits and `'()+,-./:=?` with space (X.680 §41.4). */
export function printableString(text: string): Bytes {
  return tlv(0x13, utf8(text));
}

export function objectIdentifier(dotted: string): Bytes {
  const arcs = dotted.split('.').map(Number);
  const [first, second, ...rest] = arcs as [number, number, ...number[]];
  return tlv(0x06, Uint8Array.from([first * 40 + second, ...rest].flatMap(base128)));
}

function base128(arc: number): number[] {
  const octets = [arc % 128];
  for (let rest = Math.floor(arc / 128); rest > 0; rest = Math.floor(rest / 128)) {
    octets.unshift(0x80 | (rest % 128));
  }
  return octets;
}

/** RFC 5280 §4.1.2.5: UTCTime through 2049, GeneralizedTime after; seconds, Zulu. */
export function time(at: EpochMs): Bytes {
  const digits = `${new Date(at).toISOString().slice(0, 19).replace(/[-:T]/g, '')}Z`;
  return Number(digits.slice(0, 4)) < 2050 ? tlv(0x17, utf8(digits.slice(2))) : tlv(0x18, utf8(digits));
}

export function algorithmIdentifier(oid: string, parameters: Uint8Array = NULL): Bytes {
  return sequence(objectIdentifier(oid), parameters);
}
