import { describe, expect, it } from 'vitest';
import { encodePlist, type PlistInput } from '../../../src/protocol/plist/encode.ts';
import { parsePlist } from '../../../src/protocol/plist/parse.ts';
import { readUtf8, utf8 } from '../../../src/std/bytes.ts';
import { Fault } from '../../../src/std/outcome.ts';
import { Secret } from '../../../src/std/secret.ts';
import { newSeed, Random, randomValue } from './generate.ts';

const inner = (value: PlistInput) =>
  /<plist version="1.0">(.*)<\/plist>/s.exec(readUtf8(encodePlist(value)) as string)?.[1];

describe('encodePlist', () => {
  it("writes Apple's document type and nothing between elements", () => {
    expect(readUtf8(encodePlist({ CommandUUID: 'A-1', Command: { RequestType: 'DeviceLock' } }))).toBe(
      '<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">\n<plist version="1.0"><dict><key>CommandUUID</key><string>A-1</string><key>Command</key><dict><key>RequestType</key><string>DeviceLock</string></dict></dict></plist>\n',
    );
  });

  it('escapes what is markup in text and in keys', () => {
    expect(inner({ '<&>': ']]>\r\n"\'' })).toBe(
      '<dict><key>&lt;&amp;&gt;</key><string>]]&gt;&#13;\n"\'</string></dict>',
    );
  });

  it('writes each kind of value', () => {
    expect(inner([1, -7, 2n ** 64n - 1n, 0.5, 1e300, true, false])).toBe(
      '<array><integer>1</integer><integer>-7</integer><integer>18446744073709551615</integer><real>0.5</real><real>1e+300</real><true/><false/></array>',
    );
    expect(inner(new Date('2026-01-31T12:00:00.999Z'))).toBe('<date>2026-01-31T12:00:00Z</date>');
    expect(inner(new Uint8Array([1, 2, 3, 4]).subarray(1))).toBe('<data>AgME</data>');
    expect(inner([[], {}, '', new Map(), new Uint8Array(0)])).toBe(
      '<array><array></array><dict></dict><string></string><dict></dict><data></data></array>',
    );
  });

  it('keeps the order of keys and skips those without value', () => {
    expect(inner({ b: 1, skipped: undefined, a: 2 })).toBe(
      '<dict><key>b</key><integer>1</integer><key>a</key><integer>2</integer></dict>',
    );
    expect(
      inner(
        new Map<string, PlistInput | undefined>([
          ['z', 1],
          ['skipped', undefined],
          ['1', 2],
        ]),
      ),
    ).toBe('<dict><key>z</key><integer>1</integer><key>1</key><integer>2</integer></dict>');
  });

  it.each<[string, unknown]>([
    ['a NUL', 'a\0b'],
    ['a control character in a key', { '\x07': 1 }],
    ['half of a surrogate pair', '\ud800'],
    ['the other half', 'a\udc00'],
    ['U+FFFF', '\uffff'],
    ['a number that is not one', Number.NaN],
    ['infinity', Number.POSITIVE_INFINITY],
    ['an integer past 64 bits', 2n ** 64n],
    ['one past them below', -(2n ** 63n) - 1n],
    ['null', null],
    ['undefined', [undefined]],
    ['a function', () => 1],
    ['a date that is none', new Date(Number.NaN)],
    ['a year of five digits', new Date(Date.UTC(12026, 0))],
    ['a secret', { Challenge: new Secret('x') }],
    ['an object of a class', new URL('https://example.com')],
    ['a buffer without view', new ArrayBuffer(1)],
  ])('throws a fault at %s', (_name, value) => {
    expect(() => encodePlist(value as PlistInput)).toThrow(Fault);
  });

  it('throws a fault at a cycle', () => {
    const cycle: PlistInput[] = [];
    cycle.push(cycle);
    expect(() => encodePlist(cycle)).toThrow(Fault);
  });

  it('writes what is read back the same', () => {
    const seed = newSeed();
    const random = new Random(seed);
    for (let n = 0; n < 3000; n++) {
      const value = randomValue(random);
      expect(parsePlist(encodePlist(value)), `seed ${seed}, value ${n}`).toEqual({ ok: true, value });
    }
  });

  it('writes a document of many kinds in the same bytes whether from a map or an object', () => {
    const bytes = utf8('x');
    expect(
      encodePlist(
        new Map<string, PlistInput>([
          ['a', bytes],
          ['b', [1]],
        ]),
      ),
    ).toEqual(encodePlist({ a: bytes, b: [1] }));
  });
});
