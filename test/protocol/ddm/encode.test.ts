import { describe, expect, it } from 'vitest';
import { canonicalJson } from '../../../src/protocol/ddm/canonical-json.ts';
import { encodeDeclaration, encodeDeclarationItems, encodeTokens } from '../../../src/protocol/ddm/encode.ts';
import type { JsonValue } from '../../../src/protocol/plist/json.ts';
import { readUtf8 } from '../../../src/std/bytes.ts';
import { Fault } from '../../../src/std/outcome.ts';
import { epochMs, toTimestamp } from '../../../src/std/time.ts';
import { Random } from '../plist/generate.ts';

const item = (identifier: string, serverToken = 't1') => ({ identifier, serverToken });
const empty = { activations: [], assets: [], configurations: [], management: [], declarationsToken: 'd1' };

describe('encodeTokens', () => {
  it('writes a TokensResponse', () => {
    const timestamp = toTimestamp(epochMs(Date.UTC(2026, 0, 31, 12)));
    expect(readUtf8(encodeTokens({ declarationsToken: 'd1', timestamp }))).toBe(
      '{"SyncTokens":{"Timestamp":"2026-01-31T12:00:00Z","DeclarationsToken":"d1"}}',
    );
  });

  it('throws a fault at a fraction, an offset, and a token past 256 octets', () => {
    for (const timestamp of ['2026-01-31T12:00:00.5Z', '2026-01-31T12:00:00+00:00', 'now']) {
      expect(() => encodeTokens({ declarationsToken: 'd1', timestamp })).toThrow(Fault);
    }
    const timestamp = '2026-01-31T12:00:00Z';
    expect(() => encodeTokens({ declarationsToken: 'x'.repeat(256), timestamp })).not.toThrow();
    for (const declarationsToken of ['', 'x'.repeat(257), 'é'.repeat(129)]) {
      expect(() => encodeTokens({ declarationsToken, timestamp })).toThrow(Fault);
    }
  });
});

describe('encodeDeclarationItems', () => {
  it('writes all four arrays, empty or not', () => {
    expect(JSON.parse(readUtf8(encodeDeclarationItems(empty)) as string)).toEqual({
      Declarations: { Activations: [], Assets: [], Configurations: [], Management: [] },
      DeclarationsToken: 'd1',
    });
    const bytes = encodeDeclarationItems({
      activations: [item('a')],
      assets: [item('b'), item('c', 't2')],
      configurations: [item('d')],
      management: [item('e')],
      declarationsToken: 'd2',
    });
    expect(JSON.parse(readUtf8(bytes) as string)).toEqual({
      Declarations: {
        Activations: [{ Identifier: 'a', ServerToken: 't1' }],
        Assets: [
          { Identifier: 'b', ServerToken: 't1' },
          { Identifier: 'c', ServerToken: 't2' },
        ],
        Configurations: [{ Identifier: 'd', ServerToken: 't1' }],
        Management: [{ Identifier: 'e', ServerToken: 't1' }],
      },
      DeclarationsToken: 'd2',
    });
  });

  it('throws a fault at identifiers and tokens outside 1 to 64 octets', () => {
    for (const bad of [item(''), item('x'.repeat(65)), item('x', ''), item('x', 'é'.repeat(33))]) {
      expect(() => encodeDeclarationItems({ ...empty, assets: [bad] })).toThrow(Fault);
    }
  });
});

describe('encodeDeclaration', () => {
  it('writes the four keys', () => {
    const bytes = encodeDeclaration({
      type: 'com.apple.activation.simple',
      identifier: 'watch-activation',
      serverToken: 'x1',
      payload: { StandardConfigurations: ['watch-enrollment'] },
    });
    expect(readUtf8(bytes)).toBe(
      '{"Type":"com.apple.activation.simple","Identifier":"watch-activation","ServerToken":"x1","Payload":{"StandardConfigurations":["watch-enrollment"]}}',
    );
  });
});

describe('canonicalJson', () => {
  it('sorts keys by code units and leaves no white space', () => {
    expect(canonicalJson({ b: [1, { d: null, c: true }], a: 'é"\n', '10': 1, '9': 2 })).toBe(
      '{"10":1,"9":2,"a":"é\\"\\n","b":[1,{"c":true,"d":null}]}',
    );
    // RFC 8785 §3.2.3: U+1F600 (D83D DE00) sorts before U+FB33.
    expect(canonicalJson({ '\ufb33': 1, '😀': 2 })).toBe('{"😀":2,"\ufb33":1}');
    expect(canonicalJson([1e21, 1e-7, -0, 4.5])).toBe('[1e+21,1e-7,0,4.5]');
  });

  it('keeps a key __proto__ and throws a fault at what is no JSON number', () => {
    expect(canonicalJson(JSON.parse('{"b":1,"__proto__":{"x":2}}'))).toBe('{"__proto__":{"x":2},"b":1}');
    expect(() => canonicalJson([Number.NaN])).toThrow(Fault);
  });

  it('is the same whatever the order of keys', () => {
    const random = new Random(7);
    for (let n = 0; n < 300; n++) {
      const entries: [string, JsonValue][] = Array.from({ length: random.below(8) }, (_, i) => [
        `k${i}`,
        random.below(9),
      ]);
      const shuffled = [...entries].sort(() => random.fraction() - 0.5);
      expect(canonicalJson(Object.fromEntries(shuffled))).toBe(canonicalJson(Object.fromEntries(entries)));
    }
  });
});
