import { describe, expect, it } from 'vitest';
import { parseStatusReport } from '../../../src/protocol/ddm/status-report.ts';
import type { JsonValue } from '../../../src/protocol/plist/json.ts';
import { concatBytes, utf8 } from '../../../src/std/bytes.ts';
import { mutate, newSeed, Random } from '../plist/generate.ts';

const reason = { code: 'Error.ConfigurationCannotBeApplied', description: 'no', details: { Error: 'x' } };
const declaration = (identifier: string, more: object = {}) => ({
  identifier,
  'server-token': 't1',
  active: true,
  valid: 'valid',
  reasons: [],
  ...more,
});
const capabilities = {
  'supported-versions': ['1.0.0'],
  'supported-features': { f: {} },
  'supported-payloads': {
    declarations: {
      activations: ['com.apple.activation.simple'],
      assets: ['com.apple.asset.credential.certificate'],
      configurations: ['com.apple.configuration.watch.enrollment'],
      management: ['com.apple.management.server-capabilities'],
    },
    'status-items': ['device.model.family'],
  },
};
const declarations = {
  activations: [declaration('a')],
  assets: [declaration('b', { active: false, valid: 'unknown' })],
  configurations: [declaration('c', { valid: 'invalid', reasons: [reason, { code: 'Info.Predicate' }] })],
  management: [declaration('d', { active: false })],
};
const report = {
  StatusItems: {
    management: { declarations, 'client-capabilities': capabilities },
    device: { model: { family: 'Watch' } },
  },
  Errors: [
    {
      StatusItem: 'passcode.is-present',
      Reasons: [{ Code: 'Error.Unknown', Description: 'd', Details: {} }],
    },
  ],
  FullReport: true,
};

const bytesOf = (value: unknown) => utf8(JSON.stringify(value));
const readReport = (value: unknown) => {
  const parsed = parseStatusReport(bytesOf(value));
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.refusal));
  return parsed.value;
};
const refusalOf = (value: unknown) => {
  const parsed = parseStatusReport(bytesOf(value));
  return parsed.ok ? null : parsed.refusal;
};
const withManagement = (management: JsonValue) => ({ StatusItems: { management }, Errors: [] });

describe('parseStatusReport', () => {
  it('reads a full report', () => {
    const raw = bytesOf(report);
    expect(parseStatusReport(raw)).toEqual({
      ok: true,
      value: {
        fullReport: true,
        statusItems: report.StatusItems,
        errors: [
          {
            statusItem: 'passcode.is-present',
            reasons: [{ code: 'Error.Unknown', description: 'd', details: {} }],
          },
        ],
        declarations: {
          activations: [{ identifier: 'a', serverToken: 't1', active: true, valid: 'valid', reasons: [] }],
          assets: [{ identifier: 'b', serverToken: 't1', active: false, valid: 'unknown', reasons: [] }],
          configurations: [
            {
              identifier: 'c',
              serverToken: 't1',
              active: true,
              valid: 'invalid',
              reasons: [
                { code: reason.code, description: 'no', details: { Error: 'x' } },
                { code: 'Info.Predicate', description: null, details: null },
              ],
            },
          ],
          management: [{ identifier: 'd', serverToken: 't1', active: false, valid: 'valid', reasons: [] }],
          removed: [],
        },
        clientCapabilities: {
          supportedVersions: ['1.0.0'],
          supportedDeclarations: capabilities['supported-payloads'].declarations,
          supportedStatusItems: ['device.model.family'],
          supportedFeatures: { f: {} },
        },
        raw,
      },
    });
  });

  it('reads what leaves out everything that can be left out', () => {
    expect(readReport({})).toMatchObject({
      fullReport: false,
      statusItems: {},
      errors: [],
      declarations: null,
      clientCapabilities: null,
    });
    expect(readReport(withManagement({ declarations: {}, 'client-capabilities': {} }))).toMatchObject({
      declarations: { activations: [], assets: [], configurations: [], management: [], removed: [] },
      clientCapabilities: { supportedVersions: [], supportedStatusItems: [], supportedFeatures: {} },
    });
    const { reasons, ...bare } = declaration('x');
    expect(
      readReport(withManagement({ declarations: { assets: [bare] } })).declarations?.assets[0]?.reasons,
    ).toEqual([]);
  });

  it('collects the identifiers of removed declarations in either spelling', () => {
    const removed = {
      activations: [{ identifier: 'a', _removed: true }],
      assets: [{ identifier: 'b', removed: true }, declaration('c', { _removed: false })],
    };
    const read = readReport(withManagement({ declarations: removed })).declarations;
    expect(read?.removed).toEqual(['a', 'b']);
    expect(read?.assets.map(({ identifier }) => identifier)).toEqual(['c']);
  });

  it('leaves the keys of other items alone, __proto__ among them', () => {
    const raw = utf8(
      '{"StatusItems":{"__proto__":{"management":{"declarations":5}},"x":[1,null]},"Errors":[]}',
    );
    const parsed = parseStatusReport(raw);
    expect(parsed).toMatchObject({ ok: true, value: { declarations: null } });
    expect(parsed.ok && Object.keys(parsed.value.statusItems)).toEqual(['__proto__', 'x']);
  });

  it.each<[string, unknown, string]>([
    ['a list', [], 'StatusReport'],
    ['null', null, 'StatusReport'],
    ['items that are a list', { StatusItems: [] }, 'StatusItems'],
    ['a full report that is a word', { FullReport: 'yes' }, 'FullReport'],
    ['errors that are an object', { Errors: {} }, 'Errors'],
    ['an error that is text', { Errors: ['x'] }, 'Errors'],
    ['an error without item', { Errors: [{ Reasons: [] }] }, 'Errors.StatusItem'],
    ['an error whose reasons are text', { Errors: [{ StatusItem: 'x', Reasons: 'y' }] }, 'Errors.Reasons'],
    ['a reason without code', { Errors: [{ StatusItem: 'x', Reasons: [{}] }] }, 'reasons.code'],
    [
      'a description that is a number',
      { Errors: [{ StatusItem: 'x', Reasons: [{ Code: 'c', Description: 1 }] }] },
      'reasons.description',
    ],
    [
      'details that are a list',
      { Errors: [{ StatusItem: 'x', Reasons: [{ Code: 'c', Details: [] }] }] },
      'reasons.details',
    ],
    ['management that is text', withManagement('x'), 'management'],
    ['declarations that are a list', withManagement({ declarations: [] }), 'management.declarations'],
    [
      'assets that are an object',
      withManagement({ declarations: { assets: {} } }),
      'management.declarations.assets',
    ],
    [
      'a declaration that is text',
      withManagement({ declarations: { assets: ['x'] } }),
      'management.declarations.assets',
    ],
    [
      'capabilities that are null',
      withManagement({ 'client-capabilities': null }),
      'management.client-capabilities',
    ],
    [
      'versions that are numbers',
      withManagement({ 'client-capabilities': { 'supported-versions': [1] } }),
      'management.client-capabilities.supported-versions',
    ],
    [
      'payloads that are a list',
      withManagement({ 'client-capabilities': { 'supported-payloads': [] } }),
      'management.client-capabilities.supported-payloads',
    ],
    [
      'features that are a list',
      withManagement({ 'client-capabilities': { 'supported-features': [] } }),
      'management.client-capabilities.supported-features',
    ],
  ])('refuses %s', (_name, value, field) => {
    expect(refusalOf(value)).toEqual({ kind: 'malformed-status-report', field });
  });

  it.each<[string, JsonValue]>([
    ['identifier', 5],
    ['server-token', 5],
    ['active', 'true'],
    ['valid', 'maybe'],
    ['reasons', {}],
  ])('refuses a declaration whose %s is wrong', (key, wrong) => {
    const field = `management.declarations.assets.${key}`;
    const broken = declaration('x', { [key]: wrong });
    expect(refusalOf(withManagement({ declarations: { assets: [broken as JsonValue] } }))).toEqual({
      kind: 'malformed-status-report',
      field,
    });
    const { [key]: _, ...without } = declaration('x') as Record<string, JsonValue>;
    const missing = refusalOf(withManagement({ declarations: { assets: [without] } }));
    expect(missing).toEqual(key === 'reasons' ? null : { kind: 'malformed-status-report', field });
  });

  it('refuses the report cut at every byte, and bytes after it', () => {
    const whole = bytesOf(report);
    const kinds = new Set<string>();
    for (let length = 0; length < whole.length; length++) {
      const parsed = parseStatusReport(whole.subarray(0, length));
      kinds.add(parsed.ok ? `accepted at ${length}` : parsed.refusal.kind);
    }
    expect([...kinds]).toEqual(['malformed-json']);
    expect(parseStatusReport(concatBytes(whole, utf8('{}'))).ok).toBe(false);
  });

  it('reads a view with an offset', () => {
    const whole = bytesOf(report);
    const view = concatBytes(utf8('[{'), whole, utf8('}]')).subarray(2, 2 + whole.length);
    expect(parseStatusReport(view)).toEqual({ ok: true, value: { ...readReport(report), raw: view } });
  });

  it('refuses bytes that are not UTF-8', () => {
    expect(parseStatusReport(new Uint8Array([0x7b, 0xff, 0x7d]))).toMatchObject({
      refusal: { kind: 'malformed-json', reason: 'not UTF-8' },
    });
  });

  it('reads 32 levels and 20,000 values, and no more', () => {
    const nested = (depth: number) => utf8(`{"StatusItems":${'{"x":'.repeat(depth)}1${'}'.repeat(depth)}}`);
    expect(parseStatusReport(nested(31)).ok).toBe(true);
    expect(parseStatusReport(nested(32))).toMatchObject({ refusal: { reason: 'nested too deeply' } });
    expect(parseStatusReport(utf8(`{"StatusItems":${'['.repeat(500_000)}`)).ok).toBe(false);
    expect(parseStatusReport(utf8(`${'['.repeat(100_000)}${']'.repeat(100_000)}`))).toMatchObject({
      ok: false,
    });
    const wide = (count: number) => bytesOf({ StatusItems: { x: Array(count).fill(1) } });
    expect(parseStatusReport(wide(19_997)).ok).toBe(true);
    expect(parseStatusReport(wide(19_998))).toMatchObject({ refusal: { reason: 'too many values' } });
    expect(parseStatusReport(utf8('{"StatusItems":{"x":-1e999}}'))).toMatchObject({
      refusal: { reason: 'a number too large' },
    });
  });

  it('does not throw on mutations', () => {
    const seed = newSeed();
    const random = new Random(seed);
    const text = JSON.stringify(report);
    for (let n = 0; n < 3000; n++) {
      const mutated = mutate(random, text);
      try {
        parseStatusReport(utf8(mutated));
      } catch (error) {
        throw new Error(`seed ${seed}, mutation ${n}: threw`, { cause: error });
      }
    }
  });
});
