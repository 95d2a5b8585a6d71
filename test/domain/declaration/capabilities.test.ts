/** What a device said it can take; what it did not say is not held against it. */
import { describe, expect, it } from 'vitest';
import { parseCapabilities } from '../../../src/domain/declaration/capabilities.ts';
import { parseStatusReport } from '../../../src/protocol/ddm/status-report.ts';
import { utf8 } from '../../../src/std/bytes.ts';
import { value } from '../../support/pairing.ts';

/** As a status report says it, and as the device's object keeps it. */
function said(declarations: unknown, items?: unknown) {
  const payloads = { declarations, 'status-items': items };
  const capabilities = { 'supported-versions': ['1.0.0'], 'supported-payloads': payloads };
  const report = { StatusItems: { management: { 'client-capabilities': capabilities } }, Errors: [] };
  return parseCapabilities(
    JSON.stringify(value(parseStatusReport(utf8(JSON.stringify(report)))).clientCapabilities),
  );
}

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
    '{"supportedDeclarations":null}',
    '{"supportedDeclarations":[],"supportedStatusItems":{}}',
    '{"supportedDeclarations":{"configurations":{"a":1},"assets":[1,null,{}]}}',
    '{"__proto__":{"supportedDeclarations":{"configurations":["a"]}}}',
  ])('of another shape are silence: %s', (json) => {
    const able = parseCapabilities(json);
    expect(able.takes('configuration', 'anything')).toBe(true);
    expect(able.takes('asset', 'anything')).toBe(true);
    expect(able.reports('anything')).toBe(true);
  });
});
