import { describe, expect, it } from 'vitest';
import { statusChange } from '../../../src/domain/declaration/status.ts';
import {
  isSecretStatusItem,
  MASK,
  maskReport,
  maskSecrets,
} from '../../../src/domain/declaration/status-secrets.ts';
import type { JsonValue } from '../../../src/protocol/plist/json.ts';
import { readUtf8, utf8 } from '../../../src/std/bytes.ts';

const SECRETS = { 'push-token': 'dG9rZW4=', 'push-magic': 'MAGIC' };
const HIDDEN = { 'push-token': MASK, 'push-magic': MASK };

describe('what wakes a device', () => {
  it.each<[string, JsonValue, JsonValue]>([
    ['nested by dots', { mdm: { ...SECRETS, app: [] } }, { mdm: { ...HIDDEN, app: [] } }],
    ['named in one piece', { 'mdm.push-token': 'T', x: 1 }, { 'mdm.push-token': MASK, x: 1 }],
    ['as a whole subtree', { mdm: { 'push-magic': { value: 'M' } } }, { mdm: { 'push-magic': MASK } }],
    ['as a list', { mdm: { 'push-token': ['T', { x: 'T' }] } }, { mdm: { 'push-token': MASK } }],
    ['with more dots behind', { 'mdm.push-token.raw': 'T' }, { 'mdm.push-token.raw': MASK }],
    ['inside another item', { x: [{ mdm: SECRETS }] }, { x: [{ mdm: HIDDEN }] }],
    ['in a list of what it is below', { mdm: [SECRETS] }, { mdm: [HIDDEN] }],
  ])('is masked %s', (_how, value, masked) => {
    expect(maskSecrets(value)).toEqual(masked);
  });

  it('is told by its whole name, and nothing else is touched', () => {
    const other = { mdm: { 'push-tokens': 'a', 'push-token2': 'b' }, 'push-token': 'c', xmdm: SECRETS };
    expect(maskSecrets({ ...other, n: null, list: [1, 'x', false] })).toEqual({
      ...other,
      n: null,
      list: [1, 'x', false],
    });
    expect(['mdm.push-token', 'mdm.push-magic', 'a.mdm.push-token.b'].every(isSecretStatusItem)).toBe(true);
    expect(['mdm', 'mdm.app', 'push-token', 'mdm.push-token-x'].some(isSecretStatusItem)).toBe(false);
  });

  it('does not stay in the bytes of a report, also said twice or written with escapes', () => {
    const text =
      '{"StatusItems":{"mdm":{"push-token":"FIRST"},"mdm":{"push-\\u0074oken":"SECOND"}},"Errors":[],"Errors":[]}';
    expect(readUtf8(maskReport(utf8(text)))).toBe(
      `{"StatusItems":{"mdm":{"push-token":"${MASK}"}},"Errors":[]}`,
    );
  });

  it('keeps every other key, whatever it is called', () => {
    const text = '{"__proto__":{"mdm":{"push-token":"T"}},"constructor":1}';
    expect(readUtf8(maskReport(utf8(text)))).toBe(
      `{"__proto__":{"mdm":{"push-token":"${MASK}"}},"constructor":1}`,
    );
  });

  it('reaches no object: neither as a value nor in the details of an error', () => {
    const values = new Map<string, JsonValue>([
      ['mdm.push-token', 'T'],
      ['other', { mdm: { 'push-magic': 'M' } }],
    ]);
    const reasons = [{ code: 'E', description: null, details: { mdm: { 'push-token': 'T' } } }];
    const errors = [{ statusItem: 'mdm.push-token', reasons }];
    const change = statusChange(
      {
        fullReport: false,
        statusItems: {},
        errors,
        declarations: null,
        clientCapabilities: null,
        raw: utf8(''),
      },
      values,
    );
    expect(Object.fromEntries(change.values)).toEqual({
      'mdm.push-token': '"[secret]"',
      other: '{"mdm":{"push-magic":"[secret]"}}',
    });
    expect(change.errors.get('mdm.push-token')).toContain('"push-token":"[secret]"');
  });
});
