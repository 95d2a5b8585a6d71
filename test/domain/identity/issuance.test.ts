import { describe, expect, it } from 'vitest';
import { encodeChallenge, parseChallenge } from '../../../src/domain/identity/credential.ts';
import { namedUdids, subjectUdid } from '../../../src/domain/identity/identity-subject.ts';
import { IssuanceMint } from '../../../src/domain/identity/issuance.ts';
import { randomBytes } from '../../../src/pki/random.ts';
import { issuanceCellsContract } from '../../contracts/issuance-cells.ts';
import { memoryCells, NOW, subject, UDID } from '../../support/identity.ts';
import { commonName, node, rdn } from '../../support/scep-client.ts';

describe('cells in memory keep the promises', () => issuanceCellsContract(memoryCells));

describe('challenges', () => {
  it('have 128 bits of name and 256 of secret, and are read back', async () => {
    const minted = await new IssuanceMint(memoryCells(), randomBytes).mint(subject(), NOW);
    expect(minted.challenge).toMatch(/^[0-9a-f]{32}\.[A-Za-z0-9_-]{43}$/);
    const parsed = parseChallenge(minted.challenge);
    expect(parsed).toEqual({
      ok: true,
      value: { credentialId: minted.credentialId, secret: minted.challenge.slice(33) },
    });
    expect(encodeChallenge(minted.credentialId, minted.challenge.slice(33))).toBe(minted.challenge);
  });

  it('are refused in any other form', () => {
    const right = `${'a'.repeat(32)}.${'B'.repeat(43)}`;
    for (const wrong of [
      '',
      '.',
      right.slice(1),
      `${right}=`,
      `${right}\n`,
      right.replace('.', ':'),
      ` ${right}`,
    ]) {
      expect(parseChallenge(wrong)).toEqual({ ok: false, refusal: { kind: 'malformed-challenge' } });
    }
    expect(parseChallenge(right).ok).toBe(true);
  });
});

describe('subjects', () => {
  it('name UDIDs as UID, and as CN when it has the form of one', () => {
    const form = (cn: string) => namedUdids(commonName(cn));
    expect(form(UDID)).toEqual([UDID]);
    expect(form('a'.repeat(40))).toEqual(['a'.repeat(40)]);
    expect(form('6D2B5C2E-0F0B-4F5D-9B0E-1C1D1E1F2021')).toEqual(['6D2B5C2E-0F0B-4F5D-9B0E-1C1D1E1F2021']);
    for (const label of [
      'iphone-42',
      'MDM Identity',
      'com.apple.security.scep.063D7953-1338-4BF0-8F99-913382996224',
    ]) {
      expect(form(label)).toEqual([]);
    }
    const both = node(0x30, rdn('2.5.4.3', UDID), rdn('0.9.2342.19200300.100.1.1', 'x'));
    expect(namedUdids(both)).toEqual(['x', UDID]);
    expect(namedUdids(node(0x30))).toEqual([]);
  });

  it('are read for a UDID only where this authority writes it', () => {
    expect(subjectUdid(commonName(UDID))).toBe(null);
    expect(subjectUdid(node(0x30, rdn('0.9.2342.19200300.100.1.1', UDID)))).toBe(UDID);
    expect(subjectUdid(node(0x30, rdn('0.9.2342.19200300.100.1.1', 'no udid!')))).toBe(null);
  });
});
