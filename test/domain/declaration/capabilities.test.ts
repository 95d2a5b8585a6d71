/** What a device said it can take; what it did not say is not held against it. */
import { describe, expect, it } from 'vitest';
import { parseCapabilities } from '../../../src/domain/declaration/capabilities.ts';

const said = (declarations: unknown, items?: unknown) =>
  parseCapabilities(JSON.stringify({ 'supported-payloads': { declarations, 'status-items': items } }));

describe('client capabilities', () => {
  it('name the types of each kind, and the status items', () => {
    const able = said({ configurations: ['a', 'b'], assets: ['c'] }, ['x']);
    expect(able.takes('configuration', 'a')).toBe(true);
    expect(able.takes('configuration', 'c')).toBe(false);
    expect(able.takes('asset', 'c')).toBe(true);
    expect(able.takes('asset', 'a')).toBe(false);
    expect(able.reports('x')).toBe(true);
    expect(able.reports('y')).toBe(false);
  });

  it('leave open what they are silent about', () => {
    const able = said({ configurations: ['a'], management: [] });
    expect(able.takes('management', 'anything')).toBe(true);
    expect(able.takes('activation', 'anything')).toBe(true);
    expect(able.reports('anything')).toBe(true);
    expect(said({ configurations: [] }, []).takes('configuration', 'anything')).toBe(true);
    expect(parseCapabilities(null).takes('configuration', 'anything')).toBe(true);
  });

  it.each([
    'null',
    '1',
    '[]',
    '{}',
    '{"supported-payloads":null}',
    '{"supported-payloads":[]}',
    '{"supported-payloads":{"declarations":"x","status-items":{}}}',
    '{"supported-payloads":{"declarations":{"configurations":{"a":1},"assets":[1,null,{}]}}}',
    '{"__proto__":{"supported-payloads":{"declarations":{"configurations":["a"]}}}}',
  ])('of another shape are silence: %s', (json) => {
    const able = parseCapabilities(json);
    expect(able.takes('configuration', 'anything')).toBe(true);
    expect(able.takes('asset', 'anything')).toBe(true);
    expect(able.reports('anything')).toBe(true);
  });

  it('with members of other types count by those that are texts', () => {
    const able = said({ configurations: [1, 'a', null] });
    expect(able.takes('configuration', 'a')).toBe(true);
    expect(able.takes('configuration', 'b')).toBe(false);
  });
});
