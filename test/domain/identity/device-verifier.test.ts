import { createHash, sign } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import { DeviceVerifier } from '../../../src/domain/identity/device-verifier.ts';
import { VerifiedDevice } from '../../../src/domain/identity/verified-device.ts';
import { type Certificate, certificateDigest } from '../../../src/pki/certificate.ts';
import { toBase64, utf8 } from '../../../src/std/bytes.ts';
import { addMs, DAY_MS } from '../../../src/std/time.ts';
import { NOW, subject, testIdentity, UDID } from '../../support/identity.ts';
import { type ClientKey, commonName, node, oid, rdn, selfSigned } from '../../support/scep-client.ts';
import { keys } from '../../support/scep-fixture.ts';

let f: Awaited<ReturnType<typeof testIdentity>>;
let verifier: DeviceVerifier;
let certificate: Certificate;
beforeAll(async () => {
  f = await testIdentity();
  verifier = new DeviceVerifier(f.chain, f.register);
  certificate = await f.certificates.issue({
    spki: keys.device.spki,
    keyKind: 'RSA',
    udid: UDID,
    deviceSerial: 'TESTWATCH1',
    serialHex: f.certificates.newSerialHex(),
    issuedAtMs: NOW,
  });
});

const body = utf8('<plist/>');
const SHA_256 = node(0x30, oid('2.16.840.1.101.3.4.2.1'), Uint8Array.of(5, 0));
const DATA = oid('1.2.840.113549.1.7.1');

/** A detached signature as a device makes it. */
function header(key: ClientKey, by: Certificate, over = body): string {
  const attributes = [
    node(0x30, oid('1.2.840.113549.1.9.3'), node(0x31, DATA)),
    node(0x30, oid('1.2.840.113549.1.9.4'), node(0x31, node(4, createHash('sha256').update(over).digest()))),
  ];
  const signerInfo = node(
    0x30,
    node(2, Uint8Array.of(1)),
    node(0x30, by.issuer, node(2, by.serialNumber)),
    SHA_256,
    node(0xa0, ...attributes),
    node(0x30, oid('1.2.840.113549.1.1.1'), Uint8Array.of(5, 0)),
    node(4, sign('sha256', node(0x31, ...attributes), key.key)),
  );
  const version = node(2, Uint8Array.of(1));
  const signed = node(
    0x30,
    version,
    node(0x31, SHA_256),
    node(0x30, DATA),
    node(0xa0, by.der),
    node(0x31, signerInfo),
  );
  return toBase64(node(0x30, oid('1.2.840.113549.1.7.2'), node(0xa0, signed)));
}

const kind = async (signature: string | null, over = body, nowMs = NOW) => {
  const outcome = await verifier.verify(signature, over, nowMs);
  return outcome.ok ? 'ok' : outcome.refusal.kind;
};

describe('the device verifier', () => {
  it('names the device and the digest of its certificate', async () => {
    const outcome = await verifier.verify(header(keys.device, certificate), body, NOW);
    if (!outcome.ok) throw new Error(outcome.refusal.kind);
    expect(outcome.value).toBeInstanceOf(VerifiedDevice);
    expect(outcome.value.udid).toBe(UDID);
    expect(outcome.value.certificateDigest).toBe(await certificateDigest(certificate));
  });

  it('takes an empty body, as of a GET', async () => {
    expect(await kind(header(keys.device, certificate, utf8('')), utf8(''))).toBe('ok');
  });

  it('accepts an expired certificate: the pin decides', async () => {
    expect(await kind(header(keys.device, certificate), body, addMs(NOW, 1000 * DAY_MS))).toBe('ok');
  });

  it('refuses a missing, malformed and oversized header', async () => {
    expect(await kind(null)).toBe('signature-missing');
    expect(await kind('')).not.toBe('ok');
    expect(await kind('&&&')).toBe('malformed-header');
    expect(await kind('A'.repeat(17 * 1024))).toBe('malformed-header');
  });

  it('refuses another body and another key', async () => {
    expect(await kind(header(keys.device, certificate), utf8('<plist />'))).toBe('digest-mismatch');
    expect(await kind(header(keys.other, certificate))).toBe('signature-invalid');
  });

  it('refuses certificates of anyone else, also under our name or with a UDID', async () => {
    const subject = node(0x30, rdn('2.5.4.3', UDID), rdn('0.9.2342.19200300.100.1.1', UDID));
    expect(await kind(header(keys.other, selfSigned(keys.other, subject)))).toBe('chain-incomplete');
    const ours = selfSigned(keys.other, f.authority.certificate.subject);
    expect(await kind(header(keys.other, ours))).toBe('chain-signature-invalid');
    expect(await kind(header(keys.other, selfSigned(keys.other, commonName('x'))))).toBe('chain-incomplete');
  });
});

describe('a certificate that the edge verified', () => {
  it('tells the device that it was issued to, and nobody when it was issued elsewhere', async () => {
    const digest = await certificateDigest(certificate);
    expect(await verifier.verifyEdge({ digest })).toEqual({
      ok: false,
      refusal: { kind: 'edge-certificate-unknown' },
    });
    await f.register.insert({
      subject: subject(),
      credentialId: 'credential-1',
      certificateDigest: digest,
      certificateDer: certificate.der,
      serialHex: '01',
      notBeforeMs: NOW,
      notAfterMs: NOW,
      renewalOf: null,
    });
    const known = await verifier.verifyEdge({ digest });
    if (!known.ok) throw new Error(known.refusal.kind);
    expect(known.value).toBeInstanceOf(VerifiedDevice);
    expect([known.value.udid, known.value.certificateDigest]).toEqual([UDID, digest]);
  });
});
