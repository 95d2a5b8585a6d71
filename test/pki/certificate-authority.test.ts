/** What the authority issues, read by pkijs and by `node:crypto`; and what cannot be an authority. */
import { X509Certificate } from 'node:crypto';
import { Certificate as PkijsCertificate } from 'pkijs';
import { beforeAll, describe, expect, it } from 'vitest';
import { CertificateAuthority, IDENTITY_LIFETIME_MS } from '../../src/pki/certificate-authority.ts';
import { signAttached } from '../../src/pki/cms-sign.ts';
import { parseSignedData, verifySignedData } from '../../src/pki/cms-signed.ts';
import { algorithmIdentifier, objectIdentifier, time } from '../../src/pki/der.ts';
import { importAuthority } from '../../src/pki/keys.ts';
import { toHex, utf8 } from '../../src/std/bytes.ts';
import { Fault } from '../../src/std/outcome.ts';
import { addMs, epochMs } from '../../src/std/time.ts';
import { NOW, testIdentity, UDID } from '../support/identity.ts';
import { keys } from '../support/scep-fixture.ts';
import caKeyPem from '../vectors/scep/ca.key.pem?raw';
import caPem from '../vectors/scep/ca.pem?raw';
import deviceKeyPem from '../vectors/scep/device.key.pem?raw';
import foreignCaPem from '../vectors/scep/foreign-ca.pem?raw';
import p256KeyPem from '../vectors/scep/p256.key.pem?raw';

let f: Awaited<ReturnType<typeof testIdentity>>;
beforeAll(async () => {
  f = await testIdentity();
});

const request = (serialHex: string, issuedAtMs = NOW) =>
  ({
    spki: keys.device.spki,
    keyKind: 'RSA',
    udid: UDID,
    deviceSerial: 'TESTWATCH1',
    serialHex,
    issuedAtMs,
  }) as const;

describe('issuing', () => {
  it('gives the same certificate for the same request', async () => {
    const serial = f.certificates.newSerialHex();
    const [a, b] = [await f.certificates.issue(request(serial)), await f.certificates.issue(request(serial))];
    expect(a.der).toEqual(b.der);
    expect((await f.certificates.issue(request(f.certificates.newSerialHex()))).der).not.toEqual(a.der);
  });

  it('numbers with 127 random bits, positive, sixteen octets', () => {
    const serials = Array.from({ length: 200 }, () => f.certificates.newSerialHex());
    expect(new Set(serials).size).toBe(200);
    for (const serial of serials) expect(serial).toMatch(/^[4-7][0-9a-f]{31}$/);
  });

  it('is read by node:crypto and pkijs as it is by us', async () => {
    const issued = await f.certificates.issue(request(f.certificates.newSerialHex()));
    const node = new X509Certificate(issued.der);
    expect(node.serialNumber.toLowerCase()).toBe(toHex(issued.serialNumber));
    expect(node.verify(new X509Certificate(caPem).publicKey)).toBe(true);
    expect(node.ca).toBe(false);
    expect(node.subject).toContain(`CN=${UDID}`);
    const theirs = PkijsCertificate.fromBER(issued.der);
    expect(theirs.notBefore.value.getTime()).toBe(issued.notBeforeMs);
    expect(theirs.notAfter.value.getTime()).toBe(issued.notAfterMs);
    const authority = PkijsCertificate.fromBER(f.authority.certificate.der);
    expect(theirs.issuer.isEqual(authority.subject)).toBe(true);
    const extensions = theirs.extensions?.map(({ extnID, critical }) => [extnID, critical]);
    expect(extensions).toEqual([
      ['2.5.29.19', true],
      ['2.5.29.15', true],
      ['2.5.29.37', false],
      ['2.5.29.14', false],
      ['2.5.29.35', false],
    ]);
  });

  it('never outlives the authority', async () => {
    const end = f.authority.certificate.notAfterMs;
    const late = await f.certificates.issue(request(f.certificates.newSerialHex(), addMs(end, -1000)));
    expect(late.notAfterMs).toBe(end);
    expect((await f.certificates.issue(request('41'))).notAfterMs).toBe(addMs(NOW, IDENTITY_LIFETIME_MS));
  });
});

describe('the authority', () => {
  it.each([
    ['a key of another certificate', caPem, deviceKeyPem, 'ca-key-mismatch'],
    ['an EC key', caPem, p256KeyPem, 'ca-key-malformed'],
    ['no key', caPem, 'nothing', 'ca-key-malformed'],
    ['no certificate', '', caKeyPem, 'ca-certificate-malformed'],
    ['a certificate that is none', caPem.replace(/MII/, 'AII'), caKeyPem, 'ca-certificate-malformed'],
    ['a certificate of another key', foreignCaPem, caKeyPem, 'ca-key-mismatch'],
  ])('is refused with %s', async (_, certificate, key, code) => {
    const failure = await importAuthority(certificate, key).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(Fault);
    expect(failure).toMatchObject({ code });
  });

  it('shows no key when printed', async () => {
    const authority = await importAuthority(caPem, caKeyPem);
    expect(
      JSON.stringify([authority.signer, authority.opener, new CertificateAuthority(authority, 'x')]),
    ).not.toMatch(/pkcs8|PRIVATE|#/i);
  });

  it('signs content that verifies, and no other', async () => {
    const content = utf8('<plist/>');
    const parsed = parseSignedData(await signAttached(content, f.authority.signer));
    if (!parsed.ok) throw new Error('unreadable');
    expect(parsed.value.content).toEqual(content);
    expect(parsed.value.signatureAlgorithm).toBe('1.2.840.113549.1.1.1');
    const policy = { sha1: false, rsaBitsMin: 2048 };
    expect((await verifySignedData(parsed.value, content, policy)).ok).toBe(true);
    expect((await verifySignedData(parsed.value, utf8('<plist>'), policy)).ok).toBe(false);
  });
});

describe('DER as it is written', () => {
  it('has shortest lengths and identifiers', () => {
    const hex = (bytes: Uint8Array) => toHex(bytes);
    expect(hex(objectIdentifier('2.999.3'))).toBe('0603883703');
    expect(hex(objectIdentifier('0.9.2342.19200300.100.1.1'))).toBe('060a0992268993f22c640101');
    expect(hex(algorithmIdentifier('1.2.840.113549.1.1.11'))).toBe('300d06092a864886f70d01010b0500');
  });

  it('writes times through 2049 with two digits, later ones with four', () => {
    const text = (iso: string) => new TextDecoder().decode(time(epochMs(Date.parse(iso))).subarray(2));
    expect(text('2049-12-31T23:59:59.999Z')).toBe('491231235959Z');
    expect(text('2050-01-01T00:00:00Z')).toBe('20500101000000Z');
  });
});
