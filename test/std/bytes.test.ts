import { describe, expect, it } from 'vitest';
import {
  concatBytes,
  equalBytes,
  fromBase64,
  fromBase64Url,
  fromHex,
  readUtf8,
  toBase64,
  toBase64Url,
  toHex,
  utf8,
} from '../../src/std/bytes.ts';

const some = (length: number) => Uint8Array.from({ length }, (_, i) => (i * 37 + length) & 255);

describe('text forms', () => {
  it('make the round trip at every length', () => {
    for (let length = 0; length < 100; length++) {
      const bytes = some(length);
      expect(fromBase64(toBase64(bytes))).toEqual(bytes);
      expect(fromBase64Url(toBase64Url(bytes))).toEqual(bytes);
      expect(fromHex(toHex(bytes))).toEqual(bytes);
    }
  });

  it('take a view by its offset', () => {
    const view = Uint8Array.of(9, 1, 2, 9).subarray(1, 3);
    expect(toHex(view)).toBe('0102');
    expect(toBase64(view)).toBe('AQI=');
    expect(toBase64Url(view)).toBe('AQI');
    expect(readUtf8(utf8('xabx').subarray(1, 3))).toBe('ab');
  });

  it('base64 allows white space and wants its padding', () => {
    expect(fromBase64(' AQ\n\tI=\r\n')).toEqual(Uint8Array.of(1, 2));
    for (const bad of ['AQI', 'AQI==', 'A', 'AQ-_', 'AQ=I', '====', 'AQI=AQI=', 'ÄÖ=='])
      expect(fromBase64(bad), bad).toBeNull();
  });

  it('base64 whose unused bits are set is refused: one text for each octet string', () => {
    expect(fromBase64('AQJ=')).toBeNull();
    expect(fromBase64('AR==')).toBeNull();
  });

  it('base64url allows neither padding, white space nor the other alphabet', () => {
    expect(fromBase64Url('-_8')).toEqual(Uint8Array.of(0xfb, 0xff));
    for (const bad of ['AQI=', 'AQ I', 'AQ\nI', '+/8', 'A']) expect(fromBase64Url(bad), bad).toBeNull();
  });

  it('hexadecimal has an even number of digits', () => {
    expect(fromHex('0aFF')).toEqual(Uint8Array.of(10, 255));
    for (const bad of ['0', '0g', ' 00', '0x00']) expect(fromHex(bad), bad).toBeNull();
  });

  it('UTF-8 is well formed', () => {
    expect(readUtf8(utf8('⌚ Müller'))).toBe('⌚ Müller');
    expect(readUtf8(new Uint8Array(0))).toBe('');
    for (const bad of ['ff', 'c0af', 'e28c', 'eda080', 'f4908080', '80'])
      expect(readUtf8(fromHex(bad) as Uint8Array), bad).toBeNull();
  });
});

describe('octet strings', () => {
  it('are joined in order', () => {
    expect(concatBytes()).toEqual(new Uint8Array(0));
    expect(concatBytes(Uint8Array.of(1), new Uint8Array(0), Uint8Array.of(2, 3))).toEqual(
      Uint8Array.of(1, 2, 3),
    );
  });

  it('are equal when every octet is', () => {
    expect(equalBytes(some(50), some(50))).toBe(true);
    expect(equalBytes(new Uint8Array(0), new Uint8Array(0))).toBe(true);
    expect(equalBytes(some(50), some(51))).toBe(false);
    for (let i = 0; i < 50; i++) {
      const other = some(50);
      other[i] = (other[i] as number) ^ 0x80;
      expect(equalBytes(some(50), other)).toBe(false);
    }
  });
});
