import { describe, expect, it } from 'vitest';
import { decodeMessage, parseScepQuery } from '../../../src/protocol/scep/query.ts';
import { toBase64 } from '../../../src/std/bytes.ts';

describe('the query', () => {
  it.each([
    ['http://h/scep', { operation: null, message: null }],
    ['http://h/scep?', { operation: null, message: null }],
    ['http://h/scep?operation', { operation: null, message: null }],
    ['http://h/scep?operation=GetCACaps', { operation: 'GetCACaps', message: null }],
    ['http://h/scep?operation=GetCACert&message=', { operation: 'GetCACert', message: '' }],
    [
      'http://h/scep?message=a+b/c==&operation=PKIOperation',
      { operation: 'PKIOperation', message: 'a+b/c==' },
    ],
    [
      'http://h/scep?operation=PKIOperation&message=a%2Bb%2Fc%3d%3D',
      { operation: 'PKIOperation', message: 'a+b/c==' },
    ],
    ['http://h/scep?operation=A&operation=B', { operation: 'A', message: null }],
    ['http://h/scep?operation=A#operation=B', { operation: 'A', message: null }],
    ['http://h/scep?operation=A&message=%zz%4', { operation: 'A', message: '%zz%4' }],
    ['http://h/scep?operation=A&message=x?y', { operation: 'A', message: 'x?y' }],
  ])('of %s is read', (url, expected) => {
    expect(parseScepQuery(url)).toEqual(expected);
  });

  it('gives back the octets of a message, whatever became of + and =', () => {
    for (let length = 0; length < 70; length++) {
      const bytes = new Uint8Array(length).map((_, i) => 0xf8 + i * 37);
      const text = toBase64(bytes);
      for (const form of [
        text,
        text.replaceAll('+', ' '),
        text.replace(/=+$/, ''),
        text.replace(/.{10}/g, '$&\r\n'),
      ]) {
        expect(decodeMessage(form)).toEqual(bytes);
      }
    }
  });

  it('reads a long run of = in one pass', () => {
    expect(decodeMessage(`${'='.repeat(600_000)}A`)).toBe(null);
    expect(decodeMessage(`AAAA${'='.repeat(600_000)}`)).toEqual(new Uint8Array(3));
  });

  it.each(['*', 'a', 'ab=c', '%41', 'AAAA%', 'ä'])('finds no message in %s', (text) => {
    expect(decodeMessage(text)).toBe(null);
  });
});
