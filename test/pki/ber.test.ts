import { describe, expect, it } from 'vitest';
import { BER_DEPTH_MAX, BerReader } from '../../src/pki/ber.ts';
import { encodeOid, oidText } from '../../src/pki/oid.ts';
import { type Bytes, encode, integer, join, node, octets, oid, sequence } from './support/asn1.ts';
import { seeded } from './support/seeded.ts';

const bytes = (hex: string) => Uint8Array.fromHex(hex.replaceAll(' ', '')) as Bytes;
const reader = (hex: string, der = false) => new BerReader(bytes(hex), { der });

describe('lengths', () => {
  it.each([
    ['short', '04 02 aabb', true],
    ['one octet, not minimal', '04 81 02 aabb', false],
    ['four octets, not minimal', '04 84 00000002 aabb', false],
    ['eight octets, not minimal', '04 88 0000000000000002 aabb', false],
  ])('%s is read in BER, and in DER only when minimal', (_, hex, isDer) => {
    const ber = reader(hex);
    expect(ber.octetString().toHex()).toBe('aabb');
    expect(ber.finish()).toBe(true);
    const strict = reader(hex, true);
    strict.octetString();
    expect(strict.finish()).toBe(isDer);
  });

  it.each([
    ['nine octets', '04 89 000000000000000002 aabb'],
    ['the reserved 0xff', `04 ff ${'00'.repeat(127)}`],
    ['past the end', '04 03 aabb'],
    ['four gigabytes', '04 84 ffffffff aabb'],
    ['beyond any number', '04 88 ffffffffffffffff aabb'],
    ['cut in the length', '04 82 01'],
    ['missing', '04'],
    ['nothing at all', ''],
    ['indefinite on a primitive', '04 80 0000'],
    ['a tag number over 30', '1f 81 01 00'],
    ['end-of-contents where none is due', '00 00'],
  ])('%s is refused', (_, hex) => {
    const ber = reader(hex);
    ber.skip();
    expect(ber.finish()).toBe(false);
    expect(ber.error).toMatch(/ at \d+$/);
  });

  it('an indefinite container ends with end-of-contents octets, and only there', () => {
    const whole = reader('30 80 0201 05 30 80 0201 06 0000 0000');
    whole.enter(0x30);
    expect(whole.smallInteger()).toBe(5);
    whole.enter(0x30);
    expect(whole.smallInteger()).toBe(6);
    expect(whole.more()).toBe(false);
    whole.leave();
    whole.leave();
    expect(whole.finish()).toBe(true);

    for (const hex of ['30 80 0201 05', '30 80 0201 05 00', '30 80 0201 05 0001', '30 80 0201 05 0000 00']) {
      const broken = reader(hex);
      broken.enter(0x30);
      broken.smallInteger();
      broken.leave();
      expect(broken.finish(), hex).toBe(false);
    }
  });

  it('end-of-contents octets of a child do not end a definite parent early', () => {
    const ber = reader('30 07 30 80 0201 05 0000');
    ber.enter(0x30);
    ber.skip();
    ber.leave();
    expect(ber.finish()).toBe(true);
    // The child claims octets past its parent's end.
    const stretched = reader('30 05 30 80 0201 05 0000');
    stretched.enter(0x30);
    stretched.skip();
    expect(stretched.finish()).toBe(false);
  });

  it('DER has no indefinite length', () => {
    const strict = reader('30 80 0000', true);
    strict.enter(0x30);
    expect(strict.error).not.toBeNull();
  });
});

describe('depth', () => {
  const nested = (levels: number, indefinite: boolean) =>
    indefinite
      ? join(bytes('3080'.repeat(levels)), bytes('0000'.repeat(levels)))
      : Array.from({ length: levels }).reduce<Bytes>((inner) => encode(node(0x30, inner)), new Uint8Array(0));

  it.each([true, false])('is bounded when entering (indefinite: %s)', (indefinite) => {
    for (const [levels, fits] of [
      [BER_DEPTH_MAX, true],
      [BER_DEPTH_MAX + 1, false],
    ] as const) {
      const ber = new BerReader(nested(levels, indefinite));
      for (let i = 0; i < levels; i++) ber.enter(0x30);
      for (let i = 0; i < levels; i++) ber.leave();
      expect(ber.finish()).toBe(fits);
    }
  });

  it('is bounded when passing over', () => {
    const fits = new BerReader(nested(BER_DEPTH_MAX, true));
    fits.skip();
    expect(fits.finish()).toBe(true);
    const deep = new BerReader(nested(20_000, true));
    deep.skip();
    expect(deep.error).toContain('too deep');
  });

  it('is bounded in nested segments of a string', () => {
    const deep = new BerReader(join(bytes('2480'.repeat(5000)), bytes('0000'.repeat(5000))));
    deep.octetString();
    expect(deep.error).toContain('too deep');
  });
});

describe('strings', () => {
  it('segments are joined, nested and of any length', () => {
    const ber = reader('24 80 04 01 aa 24 04 04 02 bbcc 04 00 04 01 dd 0000');
    expect(ber.octetString().toHex()).toBe('aabbccdd');
    expect(ber.finish()).toBe(true);
  });

  it('an implicit tag may be primitive or constructed', () => {
    expect(reader('80 02 aabb').octetString(0x80).toHex()).toBe('aabb');
    expect(reader('a0 80 04 01 aa 04 01 bb 0000').octetString(0x80).toHex()).toBe('aabb');
  });

  it('a segment of another type is refused', () => {
    const ber = reader('24 03 02 01 05');
    ber.octetString();
    expect(ber.error).not.toBeNull();
  });

  it('a primitive one is a view of the input, at the offset it has', () => {
    const buffer = bytes('ffff 04 02 aabb ffff');
    const view = new BerReader(buffer.subarray(2, 6)).octetString();
    expect(view.toHex()).toBe('aabb');
    expect(view.buffer).toBe(buffer.buffer);
    expect(view.byteOffset).toBe(4);
  });
});

describe('values', () => {
  it('integers have an octet, small ones fit and are not negative', () => {
    expect(reader('02 01 7f').smallInteger()).toBe(127);
    expect(reader('02 02 0080').smallInteger()).toBe(128);
    for (const hex of ['02 00', '02 01 80', '02 05 0100000000', '04 01 05']) {
      const ber = reader(hex);
      expect(ber.smallInteger()).toBe(0);
      expect(ber.error, hex).not.toBeNull();
    }
  });

  it('named bits are numbered from the first', () => {
    expect(reader('03 02 05 a0').namedBits()).toBe(0b101);
    expect(reader('03 03 07 0080').namedBits()).toBe(1 << 8);
    expect(reader('03 01 00').namedBits()).toBe(0);
    for (const hex of ['03 00', '03 02 08 00', '03 05 00 00000000']) {
      const ber = reader(hex);
      ber.namedBits();
      expect(ber.error, hex).not.toBeNull();
    }
  });

  it('bit strings of keys and signatures are whole octets', () => {
    expect(reader('03 03 00 aabb').bitString().toHex()).toBe('aabb');
    for (const hex of ['03 00', '03 02 01 aa']) {
      const ber = reader(hex);
      ber.bitString();
      expect(ber.error, hex).not.toBeNull();
    }
  });

  it('object identifiers read and write the same, known ones and others', () => {
    for (const text of [
      '1.2.840.113549.1.7.2',
      '2.5.4.3',
      '0.9.2342.19200300.100.1.1',
      '2.999.1',
      '1.39.0',
      '0.0',
    ]) {
      expect(oidText(encodeOid(text), 0, encodeOid(text).length)).toBe(text);
    }
    const uuidArc = '2.25.329800735698586629295641978511506172918';
    expect(oidText(encodeOid(uuidArc), 0, encodeOid(uuidArc).length)).toBe(uuidArc);
    expect(encode(oid('1.2.840.113549.1.7.2')).subarray(2)).toEqual(encodeOid('1.2.840.113549.1.7.2'));
  });

  it('damaged object identifiers are refused', () => {
    for (const hex of ['06 00', '06 01 80', '06 03 2a 80 01', '06 02 2a 86', `06 41 ${'2a'.repeat(65)}`]) {
      const ber = reader(hex);
      expect(ber.oid()).toBe('');
      expect(ber.error, hex).not.toBeNull();
    }
  });
});

describe('errors', () => {
  it('the first one stays, and everything after it does nothing', () => {
    const ber = reader('30 03 02 01 05');
    ber.enter(0x31);
    const first = ber.error;
    expect(first).toContain('expected tag 31');
    ber.enter(0x30);
    ber.leave();
    ber.skip();
    expect(ber.more()).toBe(false);
    expect(ber.peek()).toBe(-1);
    expect(ber.raw().length).toBe(0);
    expect(ber.oid()).toBe('');
    expect(ber.smallInteger()).toBe(0);
    expect(ber.boolean()).toBe(false);
    expect(ber.finish()).toBe(false);
    expect(ber.error).toBe(first);
    expect(ber.offset).toBe(0);
  });

  it('trailing bytes, unread elements and open containers are errors', () => {
    const trailing = new BerReader(join(encode(integer(1)), Uint8Array.of(0)));
    trailing.integer();
    expect(trailing.finish()).toBe(false);

    const unread = new BerReader(encode(sequence(integer(1), integer(2))));
    unread.enter(0x30);
    unread.integer();
    unread.leave();
    expect(unread.finish()).toBe(false);

    const open = new BerReader(encode(sequence()));
    open.enter(0x30);
    expect(open.finish()).toBe(false);
  });

  it('random octets never throw, never hang, and never read outside their view', () => {
    for (let seed = 1; seed <= 5000; seed++) {
      const random = seeded(seed);
      const inner = random.bytes(random.below(64));
      // Around the view: octets that would complete what is cut.
      const buffer = join(bytes('3080 24 80'), inner, encode(octets(random.bytes(16))));
      const view = buffer.subarray(4, 4 + inner.length);
      const ber = new BerReader(view, { der: random.chance(0.3) });
      for (let step = 0; step < 40; step++) {
        const tag = ber.peek();
        const action = random.below(6);
        if (action === 0) ber.enter(tag);
        else if (action === 1) ber.leave();
        else if (action === 2) ber.octetString(random.chance(0.5) ? 0x04 : tag & 0xdf);
        else if (action === 3) ber.oid();
        else ber.skip();
        if (ber.offset > inner.length) throw new Error(`read past the end, seed ${seed}`);
      }
      ber.finish();
    }
  });
});
