/** What an issued certificate tells the rest of the server, and when it says it was issued. */
import { describe, expect, it } from 'vitest';
import type { Device } from '../../../src/domain/enrollment/device.ts';
import type { ExpectedIdentity } from '../../../src/domain/enrollment/state.ts';
import type { CredentialOrigin, IssuedIdentity } from '../../../src/domain/identity/ports.ts';
import { DeviceIdentityRegister } from '../../../src/domain/identity/register.ts';
import type { PairingStore } from '../../../src/domain/pairing/ports.ts';
import { ok } from '../../../src/std/outcome.ts';
import { addMs, HOUR_MS } from '../../../src/std/time.ts';
import { MemoryRegister, NOW, subject, UDID } from '../../support/identity.ts';

const LATER = addMs(NOW, HOUR_MS);

function setUp() {
  const records = new MemoryRegister();
  const expected: ExpectedIdentity[] = [];
  const asked: unknown[] = [];
  const steps: unknown[] = [];
  const device: Pick<Device, 'expectIdentity' | 'isCurrent'> = {
    async expectIdentity(identity) {
      expected.push(identity);
    },
    async isCurrent(digest, nowMs) {
      asked.push([digest, nowMs]);
      return true;
    },
  };
  const pairings: Pick<PairingStore, 'progress'> = {
    async progress(...step) {
      steps.push(step);
      return ok(null);
    },
  };
  const register = new DeviceIdentityRegister(
    records,
    { of: () => device as Device },
    pairings as PairingStore,
  );
  return { register, records, expected, asked, steps };
}

function identity(origin: CredentialOrigin, over: Partial<IssuedIdentity> = {}): IssuedIdentity {
  return {
    subject: { ...subject(), origin },
    credentialId: 'c'.repeat(32),
    certificateDigest: 'd'.repeat(64),
    certificateDer: Uint8Array.of(0x30, 0),
    serialHex: '41',
    issuedAtMs: NOW,
    notBeforeMs: NOW,
    notAfterMs: addMs(NOW, HOUR_MS),
    renewalOf: null,
    ...over,
  };
}

describe('an issued certificate', () => {
  it('is expected as issued when its credential was first used, however often it is told', async () => {
    const { register, expected, records } = setUp();
    const issued = identity({ kind: 'link', linkId: 'l' });
    await register.issued(issued, NOW);
    await register.issued(issued, LATER);
    expect(expected.map(({ issuedAtMs }) => issuedAtMs)).toEqual([NOW, NOW]);
    expect(records.issuedIdentities).toHaveLength(1);
  });

  it('was permitted when its serial number was listed, and otherwise by what names this device', async () => {
    const { register, expected, steps } = setUp();
    const { origin } = subject();
    const origins: CredentialOrigin[] = [
      { kind: 'expected-serial', listedAtMs: NOW },
      { kind: 'link', linkId: 'l' },
      origin,
    ];
    for (const each of origins) await register.issued(identity(each), LATER);
    expect(expected.map(({ permittedAtMs }) => permittedAtMs)).toEqual([NOW, null, null]);
    expect(expected.map(({ pairingId }) => pairingId)).toEqual([null, null, 'pairing-1']);
    expect(steps).toEqual([[UDID, 'pairing-1', 'identity-issued', LATER]]);
  });

  it('as a renewal names the certificate that signed, and is no step of a pairing', async () => {
    const { register, expected, steps } = setUp();
    await register.issued(identity(subject().origin, { renewalOf: 'e'.repeat(64) }), NOW);
    expect(expected[0]).toMatchObject({ renewalOf: 'e'.repeat(64), pairingId: 'pairing-1' });
    expect(steps).toEqual([]);
  });

  it('is current when its device says so, at that time', async () => {
    const { register, asked } = setUp();
    expect(await register.isCurrent(subject().udid, 'd', LATER)).toBe(true);
    expect(asked).toEqual([['d', LATER]]);
  });
});
