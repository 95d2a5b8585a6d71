/** Client capabilities as the object keeps them: from a device's report to what it is taken to take. */
import { describe, expect, it } from 'vitest';
import { parseCapabilities } from '../../../src/domain/declaration/capabilities.ts';
import { parseStatusReport } from '../../../src/protocol/ddm/status-report.ts';
import { utf8 } from '../../../src/std/bytes.ts';
import { value } from '../../support/pairing.ts';

/** What the object keeps of a report of these. */
function kept(payloads: unknown): string {
  const capabilities = { 'supported-versions': ['1.0.0'], 'supported-payloads': payloads };
  const report = { StatusItems: { management: { 'client-capabilities': capabilities } }, Errors: [] };
  return JSON.stringify(value(parseStatusReport(utf8(JSON.stringify(report)))).clientCapabilities);
}

describe('client capabilities', () => {
  it('name the types and status items that a device takes', () => {
    const { takes, reports } = parseCapabilities(
      kept({ declarations: { configurations: ['c.one'], management: ['m.one'] }, 'status-items': ['s.one'] }),
    );
    expect([takes('configuration', 'c.one'), takes('configuration', 'c.two')]).toEqual([true, false]);
    expect([takes('management', 'm.one'), takes('management', 'c.one')]).toEqual([true, false]);
    expect([reports('s.one'), reports('s.two')]).toEqual([true, false]);
  });

  it('that are missing or empty say nothing', () => {
    for (const json of [null, kept({}), kept({ declarations: { configurations: [] }, 'status-items': [] })]) {
      const { takes, reports } = parseCapabilities(json);
      expect([takes('configuration', 'c.one'), takes('asset', 'a'), reports('s')]).toEqual([
        true,
        true,
        true,
      ]);
    }
  });
});
