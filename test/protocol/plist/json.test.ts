import { describe, expect, it } from 'vitest';
import { encodePlist } from '../../../src/protocol/plist/encode.ts';
import { jsonToPlist, plistToJson } from '../../../src/protocol/plist/json.ts';
import type { PlistValue } from '../../../src/protocol/plist/value.ts';
import { newSeed, Random, randomValue } from './generate.ts';

const refusal = (value: unknown) => {
  const plist = jsonToPlist(value);
  return plist.ok ? null : plist.refusal;
};

describe('plistToJson', () => {
  it('marks what JSON has no word for', () => {
    const value: PlistValue = new Map<string, PlistValue>([
      ['data', new Uint8Array([1, 2, 3, 4]).subarray(1)],
      ['date', new Date('2026-01-31T12:00:00Z')],
      ['big', 2n ** 63n],
      ['list', [1, 0.5, true, 'x']],
    ]);
    expect(plistToJson(value)).toEqual({
      data: { $data: 'AgME' },
      date: { $date: '2026-01-31T12:00:00Z' },
      big: { $integer: '9223372036854775808' },
      list: [1, 0.5, true, 'x'],
    });
  });

  it('wraps a dictionary that looks like a mark', () => {
    for (const mark of ['$data', '$date', '$integer', '$dict']) {
      const value: PlistValue = new Map([[mark, 'AAAA']]);
      expect(plistToJson(value)).toEqual({ $dict: { [mark]: 'AAAA' } });
      expect(jsonToPlist(plistToJson(value))).toEqual({ ok: true, value });
    }
  });

  it('leaves such a key alone beside another', () => {
    const value: PlistValue = new Map([
      ['$data', 'AAAA'],
      ['x', 'y'],
    ]);
    expect(plistToJson(value)).toEqual({ $data: 'AAAA', x: 'y' });
    expect(jsonToPlist(plistToJson(value))).toEqual({ ok: true, value });
  });

  it('takes __proto__ for a key', () => {
    const value: PlistValue = new Map<string, PlistValue>([
      ['__proto__', new Map([['admin', true]])],
      ['constructor', 1],
    ]);
    const json = plistToJson(value) as object;
    expect(Object.keys(json)).toEqual(['__proto__', 'constructor']);
    expect(Object.getPrototypeOf(json)).toBe(Object.prototype);
    expect(({} as { admin?: boolean }).admin).toBeUndefined();
    expect(jsonToPlist(JSON.parse(JSON.stringify(json)))).toEqual({ ok: true, value });
  });
});

describe('jsonToPlist', () => {
  it('gives every value back, through JSON text as well', () => {
    const seed = newSeed();
    const random = new Random(seed);
    for (let n = 0; n < 3000; n++) {
      const value = randomValue(random);
      const text = JSON.stringify(plistToJson(value));
      expect(jsonToPlist(JSON.parse(text)), `seed ${seed}, value ${n}: ${text}`).toEqual({ ok: true, value });
    }
  });

  it('reads a command as an administrator writes it', () => {
    expect(jsonToPlist({ RequestType: 'DeviceInformation', Queries: ['UDID'], Size: 5, Ratio: 0.5 })).toEqual(
      {
        ok: true,
        value: new Map<string, PlistValue>([
          ['RequestType', 'DeviceInformation'],
          ['Queries', ['UDID']],
          ['Size', 5],
          ['Ratio', 0.5],
        ]),
      },
    );
  });

  it.each<[string, unknown, string]>([
    ['null', { Command: { Settings: [1, null] } }, 'Command.Settings[1]'],
    ['undefined', [undefined], '[0]'],
    ['text that XML cannot hold', { a: '\0' }, 'a'],
    ['half of a surrogate pair', { a: '\ud800' }, 'a'],
    ['a key that XML cannot hold', { a: { '\x01': 1 } }, 'a'],
    ['a number that is not finite', [Number.NaN], '[0]'],
    ['damaged base64', { a: { $data: 'AA=' } }, 'a'],
    ['data that is no text', { a: { $data: 5 } }, 'a'],
    ['a date with a fraction', { a: { $date: '2026-01-31T12:00:00.5Z' } }, 'a'],
    ['a date that is none', { a: { $date: '2026-02-30T12:00:00Z' } }, 'a'],
    ['an integer in hexadecimal', { a: { $integer: '0x10' } }, 'a'],
    ['an integer past 64 bits', { a: { $integer: '18446744073709551616' } }, 'a'],
    ['a wrapped list', { a: { $dict: [] } }, 'a'],
    ['a wrapped null', { a: { $dict: null } }, 'a'],
  ])('refuses %s and names the place', (_name, value, path) => {
    expect(refusal(value)).toMatchObject({ kind: 'malformed-plist-json', path });
  });

  it('keeps the limits of the reader', () => {
    const nested = (depth: number) => JSON.parse(`${'['.repeat(depth)}${']'.repeat(depth)}`);
    expect(refusal(nested(32))).toBeNull();
    expect(refusal(nested(33))?.reason).toBe('nested too deeply');
    expect(refusal(nested(5000))?.reason).toBe('nested too deeply');
    expect(refusal(Array(19_999).fill(1))).toBeNull();
    expect(refusal(Array(20_000).fill(1))?.reason).toBe('too many values');
  });

  it('accepts nothing that cannot be written', () => {
    for (const value of [
      { $integer: '-9223372036854775808' },
      1e300,
      -0,
      2 ** 53,
      { $date: '0001-01-01T00:00:00Z' },
      { '': '' },
    ]) {
      const plist = jsonToPlist(value);
      expect(plist.ok).toBe(true);
      if (plist.ok) expect(() => encodePlist(plist.value)).not.toThrow();
    }
  });
});
