import { describe, expect, it } from 'vitest';
import { sha256, sha256Hex } from '../../src/pki/digest.ts';
import { parsePem, toPem } from '../../src/pki/pem.ts';
import { randomBytes, randomUuid } from '../../src/pki/random.ts';
import { utf8 } from '../../src/std/bytes.ts';

describe('PEM', () => {
  it('makes the round trip at every length', () => {
    for (let length = 1; length < 200; length++) {
      const bytes = Uint8Array.from({ length }, (_, i) => (i * 7 + length) & 255);
      const text = toPem('CERTIFICATE', bytes);
      expect(parsePem(text, 'CERTIFICATE')).toEqual([bytes]);
      for (const line of text.split('\n')) expect(line.length).toBeLessThanOrEqual(64);
    }
  });

  it('reads every block of its label, with text and other blocks between', () => {
    const [a, b] = [Uint8Array.of(1), Uint8Array.of(2)];
    const text = `subject=x\r\n${toPem('CERTIFICATE', a).replaceAll('\n', '\r\n')}# note\n${toPem('PRIVATE KEY', b)}${toPem('CERTIFICATE', b)}`;
    expect(parsePem(text, 'CERTIFICATE')).toEqual([a, b]);
    expect(parsePem(text, 'PRIVATE KEY')).toEqual([b]);
    expect(parsePem(text, 'PUBLIC KEY')).toEqual([]);
  });

  it('leaves out blocks that are damaged, empty or cut', () => {
    const good = toPem('CERTIFICATE', Uint8Array.of(1, 2, 3));
    expect(parsePem(good.replace('AQID', 'AQ*D') + good, 'CERTIFICATE').length).toBe(1);
    expect(parsePem(good.replace('AQID', ''), 'CERTIFICATE')).toEqual([]);
    for (let length = 0; length < good.length - 1; length++) {
      expect(parsePem(good.slice(0, length), 'CERTIFICATE')).toEqual([]);
    }
    expect(parsePem('', 'CERTIFICATE')).toEqual([]);
  });
});

describe('digests', () => {
  it('are SHA-256, of the view and not of its buffer', async () => {
    const expected = 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad';
    expect(await sha256Hex(utf8('abc'))).toBe(expected);
    expect((await sha256(utf8('xabcx').subarray(1, 4))).toHex()).toBe(expected);
  });
});

describe('random values', () => {
  it('have the length asked for and do not repeat', () => {
    expect(randomBytes(0).length).toBe(0);
    const seen = new Set(Array.from({ length: 100 }, () => randomBytes(16).toHex()));
    expect(seen.size).toBe(100);
  });

  it('UUIDs are in upper case', () => {
    expect(randomUuid()).toMatch(/^[0-9A-F]{8}-[0-9A-F]{4}-4[0-9A-F]{3}-[89AB][0-9A-F]{3}-[0-9A-F]{12}$/);
  });
});
