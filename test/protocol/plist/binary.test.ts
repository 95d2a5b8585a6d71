/** Binary property lists: another writer's documents, and documents laid out by hand to be refused. */
import { describe, expect, it } from 'vitest';
import { encodePlist } from '../../../src/protocol/plist/encode.ts';
import { parsePlist } from '../../../src/protocol/plist/parse.ts';
import type { PlistLimits } from '../../../src/protocol/plist/value.ts';
import { type Bytes, concatBytes, fromHex, utf8 } from '../../../src/std/bytes.ts';
import { binaryVectors } from './binary-vectors.ts';
import { newSeed, Random } from './generate.ts';

const vectors = binaryVectors.map(({ name, hex, value }) => ({ name, value, bytes: fromHex(hex) as Bytes }));

interface Layout {
  readonly offsetBytes?: number;
  readonly referenceBytes?: number;
  readonly top?: number;
  readonly objectCount?: bigint;
  readonly offsetsAt?: bigint;
  readonly header?: string;
  /** Instead of where the objects are. */
  readonly offsets?: readonly number[];
}

function layOut(objects: readonly (readonly number[])[], layout: Layout = {}): Bytes {
  const { offsetBytes = 2, referenceBytes = 1, top = 0, header = 'bplist00' } = layout;
  const offsets: number[] = [];
  let at = header.length;
  for (const object of objects) {
    offsets.push(at);
    at += object.length;
  }
  const table = (layout.offsets ?? offsets).flatMap((offset) => wide(BigInt(offset), offsetBytes));
  const trailer = [
    ...[0, 0, 0, 0, 0, 0, offsetBytes, referenceBytes],
    ...wide(layout.objectCount ?? BigInt(offsets.length), 8),
    ...wide(BigInt(top), 8),
    ...wide(layout.offsetsAt ?? BigInt(at), 8),
  ];
  return concatBytes(utf8(header), new Uint8Array([...objects.flat(), ...table, ...trailer]));
}

function wide(value: bigint, width: number): number[] {
  return Array.from({ length: width }, (_, i) => Number((value >> BigInt(8 * (width - 1 - i))) & 255n));
}

function float64(value: number): number[] {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer, 0, 8).setFloat64(0, value);
  return [...bytes];
}

function read(bytes: Bytes, limits?: PlistLimits): unknown {
  const parsed = parsePlist(bytes, limits);
  return parsed.ok ? parsed.value : parsed.refusal.reason;
}

const ascii = (text: string) => [0x50 + text.length, ...utf8(text)];
const NO_OBJECT = 'not an object of a property list';
const PAST_END = 'an object past the end of the objects';
const UNENDING = 'the offsets do not end at the trailer';
const OUTSIDE = 'an offset outside the objects';

describe('parsePlist reads in binary', () => {
  it.each(vectors)('$name', ({ bytes, value }) => {
    expect(parsePlist(bytes)).toEqual({ ok: true, value });
    // The same value by way of XML.
    expect(parsePlist(encodePlist(value))).toEqual({ ok: true, value });
  });

  it.each(vectors)('$name, in a view with an offset', ({ bytes, value }) => {
    const around = concatBytes(utf8('bplist00'), bytes, new Uint8Array(40));
    expect(parsePlist(around.subarray(8, 8 + bytes.length))).toEqual({ ok: true, value });
  });

  it('data as a copy, whose change leaves the document as it is', () => {
    const bytes = layOut([[0x42, 1, 2]]);
    const data = read(bytes) as Bytes;
    data[0] = 9;
    expect(read(bytes)).toEqual(new Uint8Array([1, 2]));
    expect(data.buffer.byteLength).toBe(2);
  });

  it.each([1, 2, 3, 4, 5, 8])('offsets and references of %i bytes', (width) => {
    const array = [0xa2, ...wide(1n, width), ...wide(2n, width)];
    const bytes = layOut([array, [0x10, 7], ascii('x')], { offsetBytes: width, referenceBytes: width });
    expect(read(bytes)).toEqual([7, 'x']);
  });

  it('a top object that is not the first', () => {
    expect(
      read(
        layOut(
          [
            [0x10, 7],
            [0xa1, 0],
          ],
          { top: 1 },
        ),
      ),
    ).toEqual([7]);
  });

  it('a short real, and a year 0', () => {
    expect(read(layOut([[0x22, 0x3f, 0xc0, 0, 0]]))).toBe(1.5);
    const distantPast = layOut([[0x33, ...float64(-63_114_076_800)]]);
    expect(read(distantPast)).toEqual(new Date('0000-12-30T00:00:00Z'));
  });

  it('objects that nothing refers to, whatever they are', () => {
    expect(read(layOut([[0x09], [0xff], [0x00]]))).toBe(true);
  });
});

const hostile: readonly (readonly [string, Bytes, string])[] = [
  ['another version', layOut([[0x09]], { header: 'bplist15' }), 'not version 00'],
  ['a header alone', utf8('bplist00'), 'no room for a trailer'],
  ['a header cut short', utf8('bplist'), 'not version 00'],
  ['zeros for a trailer', concatBytes(utf8('bplist00'), new Uint8Array(40)), 'malformed trailer'],
  ['offsets of no bytes', layOut([[0x09]], { offsetBytes: 0 }), 'malformed trailer'],
  ['references of nine bytes', layOut([[0x09]], { referenceBytes: 9 }), 'malformed trailer'],
  ['a byte after the document', concatBytes(layOut([[0x09]]), new Uint8Array(1)), 'malformed trailer'],
  ['fewer offsets than there are', layOut([[0x09], [0x09]], { objectCount: 1n }), UNENDING],
  ['more offsets than there are', layOut([[0x09]], { objectCount: 2n }), UNENDING],
  ['2^64-1 objects', layOut([[0x09]], { objectCount: 2n ** 64n - 1n }), UNENDING],
  ['as many objects as wrap around 2^64', layOut([[0x09]], { objectCount: 2n ** 63n + 1n }), UNENDING],
  ['offsets that begin past 2^63', layOut([[0x09]], { offsetsAt: 2n ** 64n - 2n }), UNENDING],
  ['no object', layOut([], {}), 'no room for a trailer'],
  ['a top object that is none', layOut([[0x09]], { top: 1 }), 'a reference to no object'],
  ['a reference to no object', layOut([[0xa1, 9]]), 'a reference to no object'],
  ['an offset into the header', layOut([[0x09]], { offsets: [7] }), OUTSIDE],
  ['an offset into the offsets', layOut([[0x09]], { offsets: [9] }), OUTSIDE],
  ['an offset past the document', layOut([[0x09]], { offsets: [0xffff] }), OUTSIDE],
  ['an integer that does not fit', layOut([[0x13, 0]]), PAST_END],
  ['a real that does not fit', layOut([[0x23, 0]]), PAST_END],
  ['a date that does not fit', layOut([[0x33, 0]]), PAST_END],
  ['data that does not fit', layOut([[0x42, 0]]), PAST_END],
  ['text that does not fit', layOut([[0x61, 0]]), PAST_END],
  ['an array that does not fit', layOut([[0xa2, 0]]), PAST_END],
  ['a dictionary that does not fit', layOut([[0xd1, 0]]), PAST_END],
  ['a count that is missing', layOut([[0x4f]]), PAST_END],
  ['a count that does not fit', layOut([[0x4f, 0x11, 0]]), PAST_END],
  ['a count of 2^64-1', layOut([[0xaf, 0x13, ...wide(2n ** 64n - 1n, 8)]]), PAST_END],
  ['a count of 2^63', layOut([[0x6f, 0x13, ...wide(2n ** 63n, 8)]]), PAST_END],
  ['a count of sixteen bytes', layOut([[0x4f, 0x14, ...wide(1n, 16), 0]]), 'malformed count'],
  ['a count that is text', layOut([[0x4f, 0x51, 0x31]]), 'malformed count'],
  ['an integer of 32 bytes', layOut([[0x15, ...wide(1n, 32)]]), 'malformed integer'],
  ['2^64', layOut([[0x14, ...wide(2n ** 64n, 16)]]), 'malformed integer'],
  ['-2^63-1', layOut([[0x14, ...wide(-(2n ** 63n) - 1n, 16)]]), 'malformed integer'],
  ['a real of one byte', layOut([[0x20, 0]]), 'malformed real'],
  ['a real that is no number', layOut([[0x23, ...float64(Number.NaN)]]), 'malformed real'],
  ['an infinite real', layOut([[0x22, 0xff, 0x80, 0, 0]]), 'malformed real'],
  ['a date that is no number', layOut([[0x33, ...float64(Number.NaN)]]), 'malformed date'],
  ['a date before year 0', layOut([[0x33, ...float64(-7e10)]]), 'malformed date'],
  ['a date past year 9999', layOut([[0x33, ...float64(3e11)]]), 'malformed date'],
  ['a date past every calendar', layOut([[0x33, ...float64(1e308)]]), 'malformed date'],
  ['a date of four bytes', layOut([[0x32, 0, 0, 0, 0]]), NO_OBJECT],
  ['null', layOut([[0x00]]), NO_OBJECT],
  ['a fill byte', layOut([[0x0f]]), NO_OBJECT],
  ['a UID', layOut([[0x80, 1]]), NO_OBJECT],
  ['a set', layOut([[0xc0]]), NO_OBJECT],
  ['an ordered set', layOut([[0xb0]]), NO_OBJECT],
  ['text in UTF-8', layOut([[0x71, 0x61]]), NO_OBJECT],
  ['a byte past ASCII', layOut([[0x52, 0xc3, 0xa9]]), 'not ASCII'],
  ['a byte order mark in ASCII', layOut([[0x53, 0xef, 0xbb, 0xbf]]), 'not ASCII'],
  ['a NUL in text', layOut([[0x51, 0]]), 'not a character of XML'],
  ['half of a surrogate pair', layOut([[0x62, 0, 0x61, 0xd8, 0x3d]]), 'not a character of XML'],
  ['a surrogate pair in reverse', layOut([[0x62, 0xde, 0, 0xd8, 0x3d]]), 'not a character of XML'],
  ['U+FFFE', layOut([[0x61, 0xff, 0xfe]]), 'not a character of XML'],
  [
    'a key that is an integer',
    layOut([
      [0xd1, 1, 1],
      [0x10, 1],
    ]),
    'expected a key',
  ],
  [
    'a key that is data',
    layOut([
      [0xd1, 1, 1],
      [0x41, 0x61],
    ]),
    'expected a key',
  ],
  ['a key twice', layOut([[0xd2, 1, 1, 1, 1], ascii('a')]), 'duplicate key'],
  [
    'a key twice, in two encodings',
    layOut([[0xd2, 1, 2, 1, 1], ascii('a'), [0x61, 0, 0x61]]),
    'duplicate key',
  ],
  ['an array that holds itself', layOut([[0xa1, 0]]), 'nested too deeply'],
  ['a dictionary that holds itself', layOut([[0xd1, 1, 0], ascii('a')]), 'nested too deeply'],
  [
    'two arrays that hold each other, widely',
    layOut([
      [0xa2, 1, 1],
      [0xa2, 0, 0],
    ]),
    'nested too deeply',
  ],
];

describe('parsePlist refuses in binary', () => {
  it.each(hostile)('%s', (_name, bytes, reason) => {
    const parsed = parsePlist(bytes);
    expect(parsed).toMatchObject({ ok: false, refusal: { kind: 'malformed-plist', reason } });
    if (!parsed.ok) expect(parsed.refusal.offset).toBeLessThanOrEqual(bytes.length);
  });

  it('tells the offset of the object at fault', () => {
    const bytes = layOut([[0xa2, 1, 2], [0x09], [0x80, 1]]);
    expect(parsePlist(bytes)).toEqual({
      ok: false,
      refusal: { kind: 'malformed-plist', reason: NO_OBJECT, offset: 12 },
    });
  });

  it('the 45 bytes of an array that holds itself', () => {
    const bytes = layOut([[0xa2, 0, 0]], { offsetBytes: 2 });
    expect(bytes.length).toBe(45);
    expect(read(bytes)).toBe('nested too deeply');
    expect(read(bytes, { depthMax: 1000, nodesMax: 20_000 })).toBe('nested too deeply');
  });

  it('every document cut at every byte, and any byte after it', () => {
    for (const { name, bytes } of vectors) {
      for (let length = 0; length < bytes.length; length++) {
        expect(parsePlist(bytes.subarray(0, length)).ok, `${name} cut at ${length}`).toBe(false);
      }
      for (const byte of [0, 0x0a, 0xff]) {
        expect(parsePlist(concatBytes(bytes, new Uint8Array([byte]))).ok, `${name} and ${byte}`).toBe(false);
      }
    }
  });
});

describe('limits in binary', () => {
  it('32 levels, and no 33rd', () => {
    const nested = (depth: number) =>
      layOut(Array.from({ length: depth }, (_, i) => (i === depth - 1 ? [0xa0] : [0xa1, i + 1])));
    expect(parsePlist(nested(32)).ok).toBe(true);
    expect(read(nested(33))).toBe('nested too deeply');
  });

  it('every visit to a shared object is a value', () => {
    // Each level refers ten times to the next: 10^8 values in 150 bytes.
    const levels = Array.from({ length: 8 }, (_, i) => [0xaa, ...Array(10).fill(i + 1)]);
    const bomb = layOut([...levels, [0x09]]);
    expect(bomb.length).toBeLessThan(160);
    expect(read(bomb)).toBe('too many values');
    const flags = (count: number) =>
      layOut([[0xaf, 0x11, ...wide(BigInt(count), 2), ...Array(count).fill(1)], [0x09]]);
    expect(parsePlist(flags(19_999)).ok).toBe(true);
    expect(read(flags(20_000))).toBe('too many values');
    expect(read(flags(2), { depthMax: 1, nodesMax: 2 })).toBe('too many values');
  });

  it.each([
    ['data', 0x4f],
    ['text', 0x5f],
  ])('shared %s counts each time: what a document unfolds to is bounded', (_name, marker) => {
    const size = 64 * 1024;
    const content = [marker, 0x12, ...wide(BigInt(size), 4), ...Array(size).fill(0x61)];
    // The document's own 64 KiB, and 16 times that again.
    const times = (count: number) =>
      layOut([[0xaf, 0x10, count, ...Array(count).fill(1)], content], { offsetBytes: 4 });
    expect(parsePlist(times(17)).ok).toBe(true);
    expect(read(times(18))).toBe('too much repeated content');
  });

  it('a megabyte of data in one piece', () => {
    const size = 1024 * 1024;
    const head = [0x4f, 0x12, ...wide(BigInt(size), 4)];
    const bytes = layOut([head], { offsetBytes: 4 });
    const whole = concatBytes(bytes.subarray(0, 14), new Uint8Array(size), bytes.subarray(14));
    new DataView(whole.buffer, whole.byteOffset, whole.length).setUint32(whole.length - 4, 14 + size);
    expect((read(whole) as Bytes).length).toBe(size);
  });
});

it('never throws on changed bytes, and what it then accepts can be written as XML', () => {
  const seed = newSeed();
  const random = new Random(seed);
  let accepted = 0;
  for (let n = 0; n < 20_000; n++) {
    const bytes = random.pick(vectors).bytes.slice();
    for (let edits = 1 + random.below(3); edits > 0; edits--) {
      const from = random.chance(0.3) ? bytes.length - 32 : 8;
      bytes[from + random.below(bytes.length - from)] = random.pick([0, 1, 0xff, random.below(256)]);
    }
    const parsed = parsePlist(bytes);
    const context = `seed ${seed}, mutation ${n}: ${bytes.toHex()}`;
    if (parsed.ok) {
      accepted++;
      expect(parsePlist(encodePlist(parsed.value)), context).toEqual(parsed);
    } else if (parsed.refusal.reason === '' || !(parsed.refusal.offset <= bytes.length)) {
      expect.unreachable(context);
    }
  }
  expect(accepted, `seed ${seed}`).toBeGreaterThan(500);
});
