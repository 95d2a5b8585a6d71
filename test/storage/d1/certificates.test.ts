import { env } from 'cloudflare:workers';
import { beforeAll, describe, expect, it } from 'vitest';
import type { CertificateRecord } from '../../../src/domain/identity/ports.ts';
import { certificateDigest } from '../../../src/pki/certificate.ts';
import { Unavailable } from '../../../src/std/outcome.ts';
import { D1CertificateRecords } from '../../../src/storage/d1/certificates.ts';
import { Database } from '../../../src/storage/d1/database.ts';
import { NOW, subject, testIdentity } from '../../support/identity.ts';
import { keys } from '../../support/scep-fixture.ts';

const records = new D1CertificateRecords(new Database(env.DB));
let issue: (renewalOf: string | null) => Promise<CertificateRecord>;

beforeAll(async () => {
  const { certificates } = await testIdentity();
  issue = async (renewalOf) => {
    const serialHex = certificates.newSerialHex();
    const { udid, serial: deviceSerial } = subject();
    const { spki } = keys.device;
    const certificate = await certificates.issue({
      spki,
      keyKind: 'RSA',
      udid,
      deviceSerial,
      serialHex,
      issuedAtMs: NOW,
    });
    return {
      subject: subject(),
      credentialId: 'c'.repeat(32),
      certificateDigest: await certificateDigest(certificate),
      certificateDer: certificate.der,
      serialHex,
      notBeforeMs: certificate.notBeforeMs,
      notAfterMs: certificate.notAfterMs,
      renewalOf,
    };
  };
});

describe('certificate records', () => {
  it('give back what was inserted, by digest', async () => {
    const first = await issue(null);
    const renewed = await issue(first.certificateDigest);
    await records.insert(first);
    await records.insert(renewed);
    expect(await records.find(first.certificateDigest)).toEqual(first);
    expect(await records.find(renewed.certificateDigest)).toEqual(renewed);
  });

  it('know nothing of a certificate that was never issued', async () => {
    expect(await records.find('0'.repeat(64))).toBe(null);
  });

  it('take the same certificate again and change nothing', async () => {
    const identity = await issue(null);
    await records.insert(identity);
    await records.insert({ ...identity, credentialId: 'd'.repeat(32) });
    expect(await records.find(identity.certificateDigest)).toEqual(identity);
  });

  it('refuse a second certificate with one serial number', async () => {
    const [one, two] = [await issue(null), await issue(null)];
    await records.insert(one);
    await expect(records.insert({ ...two, serialHex: one.serialHex })).rejects.toThrow(Unavailable);
  });
});
