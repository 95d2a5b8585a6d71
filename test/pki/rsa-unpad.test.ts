/** The unpadder against a plain reading of RFC 8017 §7.2.2, and the CBC padding against a plain reading of RFC 5652 §6.3. */
import { describe, expect, it } from 'vitest';
import { unpaddedLength } from '../../src/pki/cms-enveloped.ts';
import { randomBytes } from '../../src/pki/random.ts';
import { unpadOrSubstitute } from '../../src/pki/rsa-unpad.ts';

const BLOCK = 256;

/** With branches: where the first zero after 00 02 stands, and whether the rest has the expected length. */
function reference(block: Uint8Array, length: number): Uint8Array | null {
  if (block[0] !== 0 || block[1] !== 2) return null;
  const separator = block.indexOf(0, 2);
  if (separator < 10 || block.length - separator - 1 !== length) return null;
  return block.subarray(separator + 1);
}

function rightBlock(length: number): Uint8Array<ArrayBuffer> {
  const block = randomBytes(BLOCK).map((octet) => octet || 1);
  block.set([0, 2]);
  block[BLOCK - length - 1] = 0;
  block.set(randomBytes(length), BLOCK - length);
  return block;
}

function check(block: Uint8Array, length: number): boolean {
  const substitute = randomBytes(length);
  const before = Uint8Array.from(block);
  const expected = reference(block, length) ?? substitute;
  expect(unpadOrSubstitute(block, substitute)).toEqual(Uint8Array.from(expected));
  expect(block).toEqual(before);
  return expected !== substitute;
}

describe('RSA padding', () => {
  it.each([8, 16, 24, 32])('finds the key of %i octets in a right block, zeros in it or not', (length) => {
    for (let i = 0; i < 200; i++) expect(check(rightBlock(length), length)).toBe(true);
    const zeros = rightBlock(length);
    zeros.fill(0, BLOCK - length);
    expect(check(zeros, length)).toBe(true);
  });

  it('agrees with the reference on a right block with any one octet set to any of 0, 1, 2, 3, 0xff', () => {
    const block = rightBlock(16);
    for (let at = 0; at < BLOCK; at++) {
      for (const octet of [0, 1, 2, 3, 0xff]) check(block.with(at, octet), 16);
    }
  });

  it('takes no other first and second octet than 00 02', () => {
    const block = rightBlock(16);
    for (let octet = 0; octet < 256; octet++) {
      expect(check(block.with(0, octet), 16)).toBe(octet === 0);
      expect(check(block.with(1, octet), 16)).toBe(octet === 2);
      // Octets whose differences could cancel out in a careless sum.
      check(block.with(0, octet).with(1, octet ^ 2), 16);
    }
  });

  it('agrees with the reference on random blocks', () => {
    for (let i = 0; i < 2000; i++) check(randomBytes(BLOCK), 16);
  });

  it('takes a view of a larger buffer', () => {
    const block = rightBlock(16);
    const larger = new Uint8Array(BLOCK + 20);
    larger.set(block, 11);
    expect(check(larger.subarray(11, 11 + BLOCK), 16)).toBe(true);
  });

  it('yields the substitute for a block that is too short to hold eight octets of padding', () => {
    const substitute = randomBytes(16);
    for (const length of [0, 1, 16, 26]) {
      expect(unpadOrSubstitute(new Uint8Array(length), substitute)).toEqual(substitute);
    }
    const tight = Uint8Array.of(0, 2, 1, 1, 1, 1, 1, 1, 1, 1, 0, ...new Uint8Array(16).fill(9));
    expect(unpadOrSubstitute(tight, substitute)).toEqual(new Uint8Array(16).fill(9));
  });
});

describe('CBC padding', () => {
  const plainReading = (padded: Uint8Array, block: number) => {
    const added = padded.at(-1) as number;
    const right = added >= 1 && added <= block && padded.subarray(-added).every((octet) => octet === added);
    return right ? padded.length - added : padded.length;
  };

  it.each([8, 16])('takes off right padding only, blocks of %i', (block) => {
    for (let added = 0; added < 256; added++) {
      const padded = randomBytes(3 * block);
      padded.fill(added, 3 * block - Math.min(added, 3 * block));
      padded[3 * block - 1] = added;
      expect(unpaddedLength(padded, block)).toBe(plainReading(padded, block));
      for (let at = 2 * block; at < 3 * block; at++) {
        const wrong = padded.with(at, (padded[at] as number) ^ 0x10);
        expect(unpaddedLength(wrong, block)).toBe(plainReading(wrong, block));
      }
    }
  });

  it('agrees with the plain reading on random blocks', () => {
    for (let i = 0; i < 5000; i++) {
      const padded = randomBytes(16).map((octet) => octet & 3);
      expect(unpaddedLength(padded, 16)).toBe(plainReading(padded, 16));
    }
  });
});
