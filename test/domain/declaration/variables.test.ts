// biome-ignore-all lint/suspicious/noTemplateCurlyInString: variables in declarations are written like this
/** Variables in payloads: what is one, what becomes of it, and what never is read as one. */
import { describe, expect, it } from 'vitest';
import { parseDraft } from '../../../src/domain/declaration/draft.ts';
import type { DeviceProperties } from '../../../src/domain/declaration/properties.ts';
import {
  hasVariables,
  isPropertyName,
  isVariable,
  substitute,
  variablesOf,
} from '../../../src/domain/declaration/variables.ts';
import type { JsonObject } from '../../../src/protocol/plist/json.ts';
import { serial, udid } from '../../support/pairing.ts';

const facts = (properties: Partial<DeviceProperties> = {}) => ({
  udid: udid('DEVICE-0001'),
  serial: serial('SERIAL0001'),
  properties: { name: 'Kim', values: {}, ...properties },
});
const filled = (text: string, properties: Partial<DeviceProperties> = {}) => {
  const result = substitute({ Echo: text }, facts(properties));
  return 'missing' in result ? result.missing : result.payload['Echo'];
};

describe('a variable', () => {
  it('stands for what is known of the device, once or often in a text', () => {
    expect(filled('${udid}/${serial}/${name}/${udid}')).toBe('DEVICE-0001/SERIAL0001/Kim/DEVICE-0001');
    expect(filled('a ${property.room.floor-2}', { values: { 'room.floor-2': 'x' } })).toBe('a x');
  });

  it('of a property is a text whatever the value', () => {
    const values = { n: -1.5, yes: true, no: false, empty: '', zero: 0 };
    expect(
      filled('${property.n},${property.yes},${property.no},${property.empty},${property.zero}', { values }),
    ).toBe('-1.5,true,false,,0');
  });

  it('without a value is named, each once and in order, and nothing is filled', () => {
    expect(filled('${property.b}${property.a}${property.b}${udid}')).toEqual(['property.a', 'property.b']);
    expect(filled('${name}', { name: null })).toEqual(['name']);
  });

  it.each(['__proto__', 'constructor', 'prototype', 'toString', 'hasOwnProperty'])(
    'is not found in what every object has: %s',
    (name) => {
      expect(filled(`\${property.${name}}`)).toEqual([`property.${name}`]);
    },
  );

  it('is filled in once: what a property holds is never read again', () => {
    const values = { a: '${udid}', b: '$${name}', c: '${property.c}' };
    expect(filled('${property.a} ${property.b} ${property.c}', { values })).toBe(
      '${udid} $${name} ${property.c}',
    );
    expect(filled('$${property.a}${property.a}', { values })).toBe('${property.a}${udid}');
  });

  it('is no pattern of a replacement', () => {
    const values = { a: "$& $1 $' $$" };
    expect(filled('<${property.a}>', { values })).toBe("<$& $1 $' $$>");
  });

  it.each([
    ['$${udid}', '${udid}'],
    ['$$${udid}', '$${udid}'],
    ['$${', '${'],
    ['$$', '$$'],
    ['$5 and $x', '$5 and $x'],
    ['${udid', '${udid'],
    ['{udid}', '{udid}'],
    ['$ {udid}', '$ {udid}'],
  ])('is not in %s, which becomes %s', (text, becomes) => {
    expect(filled(text)).toBe(becomes);
    expect(variablesOf({ a: text })).toEqual([]);
  });

  it('is looked for in every text of a payload, and never in a key', () => {
    const payload: JsonObject = {
      '${udid}': [1, true, null, { deep: ['${serial}', 'x'] }],
      ['__proto__']: '${name}',
    };
    expect(variablesOf(payload)).toEqual([
      { path: 'Payload.${udid}[3].deep[0]', name: 'serial' },
      { path: 'Payload.__proto__', name: 'name' },
    ]);
    const result = substitute(payload, facts());
    expect(result).toEqual({
      payload: { '${udid}': [1, true, null, { deep: ['SERIAL0001', 'x'] }], ['__proto__']: 'Kim' },
    });
    const written = 'payload' in result ? JSON.stringify(result.payload) : '';
    expect(written).toContain('"__proto__":"Kim"');
    expect(hasVariables({ a: { b: ['x'] } })).toBe(false);
    expect(hasVariables({ a: { b: ['$${'] } })).toBe(true);
  });

  it('is one of four, and a property is called as predicates can call it', () => {
    for (const name of ['udid', 'serial', 'name', 'property.a', 'property.a.b.c.d', 'property.A-1_x'])
      expect(isVariable(name), name).toBe(true);
    for (const name of [
      '',
      'UDID',
      'property',
      'property.',
      'property.a b',
      'property.a..b',
      'property.a.b.c.d.e',
    ])
      expect(isVariable(name), name).toBe(false);
    for (const name of ['__proto__', 'constructor', 'prototype', 'a/b', 'é', 'x'.repeat(65), '.a', 'a.'])
      expect(isPropertyName(name), name).toBe(false);
    expect(isPropertyName('x'.repeat(64))).toBe(true);
  });
});

describe('a declaration with variables', () => {
  const TEST = 'com.apple.configuration.management.test';
  const draft = (payload: JsonObject, type = TEST, allowUnknown = false) =>
    parseDraft('com.example.a', { type, payload, allowUnknown });
  const activation = 'com.apple.activation.simple';
  const kindOf = async (outcome: ReturnType<typeof draft>) => {
    const result = await outcome;
    return result.ok ? result.value.templated : result.refusal;
  };

  it('is a template, as is one with an escape alone', async () => {
    expect(await kindOf(draft({ Echo: '${udid}' }))).toBe(true);
    expect(await kindOf(draft({ Echo: '$${udid}' }))).toBe(true);
    expect(await kindOf(draft({ Echo: '$5' }))).toBe(false);
  });

  it('is refused with the place of each variable that nobody knows, at most 32 of them', async () => {
    expect(await kindOf(draft({ Echo: '${udid} ${color} ${property.a b}' }))).toEqual({
      kind: 'unknown-variables',
      uses: [
        { path: 'Payload.Echo', name: 'color' },
        { path: 'Payload.Echo', name: 'property.a b' },
      ],
    });
    const many = await draft({ Echo: '${x}'.repeat(40) });
    expect(!many.ok && many.refusal.kind === 'unknown-variables' && many.refusal.uses.length).toBe(32);
  });

  it('has at most 64 of them', async () => {
    expect(await kindOf(draft({ Echo: '${udid}'.repeat(64) }))).toBe(true);
    expect(await kindOf(draft({ Echo: '${udid}'.repeat(65) }))).toEqual({
      kind: 'too-many-variables',
      usesMax: 64,
    });
  });

  it('has none in its predicate, where a value could become syntax', async () => {
    const payload = { StandardConfigurations: [], Predicate: "@property(a) == '${property.a}'" };
    expect(await kindOf(draft(payload, activation))).toEqual({ kind: 'variable-in-predicate' });
    const own = { StandardConfigurations: [], Predicate: "@property(a) == '$${x}'" };
    expect(await kindOf(draft(own, activation))).toBe(false);
  });
});
