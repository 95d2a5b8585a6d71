import { describe, expect, it } from 'vitest';
import { plainEcdsaSignature } from '../../src/pki/algorithms.ts';
import { type Bytes, encode, join, node, sequence } from './support/asn1.ts';
import { ecdsaValue, makeKey } from './support/authority.ts';
import { seeded } from './support/seeded.ts';

const number = (...octets: number[]) => node(0x02, Uint8Array.from(octets) as Bytes);

describe('ECDSA signature values', () => {
  it('short numbers are padded on the left', () => {
    expect(plainEcdsaSignature(encode(sequence(number(5), number(0, 0x80))), 4)?.toHex()).toBe(
      '0000000500000080',
    );
    expect(plainEcdsaSignature(encode(sequence(number(0), number(1, 2, 3, 4))), 4)?.toHex()).toBe(
      '0000000001020304',
    );
  });

  it('surplus leading zeros are dropped', () => {
    const value = encode(sequence(number(0, 0, 0, 0, 0, 0, 7), number(0, 0xff, 0xff, 0xff, 0xff)));
    expect(plainEcdsaSignature(value, 4)?.toHex()).toBe('00000007ffffffff');
  });

  it('numbers of any length make the round trip', () => {
    for (let seed = 1; seed <= 2000; seed++) {
      const random = seeded(seed);
      const octets = random.pick([32, 48, 66]);
      const plain = random.bytes(octets * 2);
      plain.fill(0, 0, random.below(octets));
      plain.fill(0, octets, octets + random.below(octets));
      const again = plainEcdsaSignature(ecdsaValue(plain, random.below(3)), octets);
      if (again?.toHex() !== plain.toHex()) throw new Error(`seed ${seed}`);
    }
  });

  it('negative, oversized, missing and trailing numbers are refused', () => {
    const refused = [
      encode(sequence(number(0x80), number(1))),
      encode(sequence(number(1), number(0xff))),
      encode(sequence(number(1, 0, 0, 0, 0), number(1))),
      encode(sequence(number(1))),
      encode(sequence(number(1), number(1), number(1))),
      encode(sequence(number(), number(1))),
      join(encode(sequence(number(1), number(1))), Uint8Array.of(0)),
      new Uint8Array(0),
      new Uint8Array(8),
    ];
    for (const value of refused) expect(plainEcdsaSignature(value, 4)).toBeNull();
  });

  it('a signature cut at any octet is refused', async () => {
    const key = await makeKey('P-256');
    const signature = await key.sign(new Uint8Array(3), 'SHA-256');
    expect(plainEcdsaSignature(signature, 32)).not.toBeNull();
    for (let length = 0; length < signature.length; length++) {
      expect(plainEcdsaSignature(signature.slice(0, length), 32)).toBeNull();
    }
  });
});
