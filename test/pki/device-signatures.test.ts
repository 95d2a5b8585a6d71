/** The two signatures devices make: over each request's body, and over MachineInfo. */
import { beforeAll, describe, expect, it } from 'vitest';
import { type Certificate, parseCertificate } from '../../src/pki/certificate.ts';
import { ChainVerifier } from '../../src/pki/chain.ts';
import { sha256Hex } from '../../src/pki/digest.ts';
import { MACHINE_INFO_BYTES_MAX, verifyMachineInfoSignature } from '../../src/pki/machine-info-signature.ts';
import { MDM_SIGNATURE_CHARACTERS_MAX, verifyMdmSignature } from '../../src/pki/mdm-signature.ts';
import { toBase64, toBase64Url } from '../../src/std/bytes.ts';
import { epochMs } from '../../src/std/time.ts';
import { type Bytes, encode, join, oid, type Style, sequence } from './support/asn1.ts';
import { commonName, EMPTY_NAME, type Identity, issue, makeKey, name } from './support/authority.ts';
import { type CmsPlan, makeCms } from './support/cms.ts';

const BODY = new TextEncoder().encode('<plist version="1.0"><dict/></plist>') as Bytes;
const NOW = epochMs(Date.UTC(2026, 10, 22));
const [SERVER_AUTH, CLIENT_AUTH, CODE_SIGNING] = [1, 2, 3].map((n) => `1.3.6.1.5.5.7.3.${n}`) as [
  string,
  string,
  string,
];
const der = ({ certificate }: Identity) => certificate;
const indefinite: Style = () => 'indefinite';

let device: Identity;
let deviceCa: Identity;
let authority: Identity;
let root: Identity;
let factory: Identity;
let chain: ChainVerifier;

function read(identity: Identity): Certificate {
  const parsed = parseCertificate(identity.certificate);
  if (!parsed.ok) throw new Error(parsed.refusal.reason);
  return parsed.value;
}

beforeAll(async () => {
  const [rsa, second, small] = await Promise.all([
    makeKey('RSA-2048'),
    makeKey('RSA-2048'),
    makeKey('RSA-1024'),
  ]);
  const ended = { notBefore: '070416000000Z', notAfter: '140416000000Z' };
  root = await issue({ subject: commonName('Root'), key: rsa, hash: 'SHA-1', ca: true });
  authority = await issue({
    subject: commonName('Authority'),
    key: second,
    issuer: root,
    hash: 'SHA-1',
    ca: true,
    ...ended,
  });
  deviceCa = await issue({
    subject: commonName('Device CA'),
    key: small,
    issuer: authority,
    hash: 'SHA-1',
    ca: true,
    ...ended,
  });
  factory = await issue({
    subject: commonName('5AF0A6D2-6FA0-4C52-B1C9-6FD2E8A43A6C'),
    key: await makeKey('RSA-1024'),
    issuer: deviceCa,
    hash: 'SHA-1',
    ...ended,
  });
  device = await issue({ subject: EMPTY_NAME, key: second, issuer: root });
  chain = new ChainVerifier({ anchors: [read(root)], checkDates: false, sha1: true, rsaBitsMin: 1024 });
}, 60_000);

describe('Mdm-Signature', () => {
  const header = async (plan: Partial<CmsPlan> = {}) =>
    toBase64(await makeCms({ content: BODY, signer: device, ...plan }));
  async function check(value: string, body = BODY): Promise<string> {
    const verified = await verifyMdmSignature(value, body);
    return verified.ok ? 'ok' : verified.refusal.kind;
  }

  it('as old devices send it: BER, SHA-1, no attributes, an empty subject', async () => {
    const verified = await verifyMdmSignature(
      await header({ style: indefinite, hash: 'SHA-1', attributes: false, bareAlgorithm: true }),
      BODY,
    );
    expect(verified.ok && verified.value.signer.der).toEqual(device.certificate);
    expect(verified.ok && verified.value.certificates.length).toBe(1);
  });

  it('as newer ones do: SHA-256 with attributes', async () => {
    expect(await check(await header({ bareAlgorithm: true }))).toBe('ok');
  });

  it('over no body at all', async () => {
    const empty = new Uint8Array(0);
    expect(await check(await header({ content: empty }), empty)).toBe('ok');
    expect(await check(await header({ content: empty }), BODY)).toBe('digest-mismatch');
  });

  it('over exactly this body, though it is a view', async () => {
    const buffer = join(Uint8Array.of(1), BODY, Uint8Array.of(2));
    expect(await check(await header(), buffer.subarray(1, -1))).toBe('ok');
    expect(await check(await header(), buffer)).toBe('digest-mismatch');
    expect(await check(await header({ attributes: false }), buffer)).toBe('signature-invalid');
  });

  it('is detached, and of plain data', async () => {
    expect(await check(await header({ attached: true }))).toBe('malformed-cms');
    expect(await check(await header({ contentType: '1.2.840.113549.1.9.16.1.4' }))).toBe(
      'content-type-mismatch',
    );
  });

  it('is not made with a small key', async () => {
    expect(await check(await header({ signer: factory }))).toBe('algorithm-not-allowed');
  });

  it('is base64, with its padding', async () => {
    const value = await header();
    expect(await check('')).toBe('malformed-cms');
    expect(await check(`${value}!`)).toBe('malformed-header');
    expect(await check(`${value}A`)).toBe('malformed-header');
    expect(
      await check(toBase64Url(await makeCms({ content: BODY, signer: device })).replace(/$/, '_-')),
    ).not.toBe('ok');
    for (let length = 0; length < value.length; length += 7) {
      expect(['malformed-header', 'malformed-cms']).toContain(await check(value.slice(0, length)));
    }
  });

  it('has a limit, before anything is decoded', async () => {
    const long = 'A'.repeat(MDM_SIGNATURE_CHARACTERS_MAX);
    expect(await check(long)).toBe('malformed-cms');
    expect(await check(`${long}AAAA`)).toBe('malformed-header');
  });
});

describe('MachineInfo', () => {
  const certificates = () => [factory, deviceCa, authority, root].map(({ certificate }) => certificate);
  const make = (plan: Partial<CmsPlan> = {}) =>
    makeCms({
      content: BODY,
      signer: factory,
      hash: 'SHA-1',
      attached: true,
      attributes: false,
      bareAlgorithm: true,
      certificates: certificates(),
      ...plan,
    });
  async function check(cms: Bytes, by = chain): Promise<string> {
    const verified = await verifyMachineInfoSignature(cms, by, NOW);
    return verified.ok ? 'ok' : verified.refusal.kind;
  }

  it('as a genuine device signs it: RSA-1024, SHA-1, no attributes, a chain long ended', async () => {
    const verified = await verifyMachineInfoSignature(await make(), chain, NOW);
    if (!verified.ok) throw new Error(verified.refusal.kind);
    expect(verified.value.content).toEqual(BODY);
    expect(verified.value.signer.der).toEqual(factory.certificate);
    expect(verified.value.signerForm).toBe('CN only');
  });

  it('in BER, with attributes, with SHA-256, without the root', async () => {
    expect(await check(await make({ style: indefinite, segments: [10, 5] }))).toBe('ok');
    expect(await check(await make({ attributes: true, hash: 'SHA-256' }))).toBe('ok');
    expect(await check(await make({ certificates: certificates().slice(0, 3) }))).toBe('ok');
  });

  it('tells the form of a full subject, as leaked device keys have it', async () => {
    const subject = name({
      '2.5.4.6': 'US',
      '2.5.4.8': 'CA',
      '2.5.4.7': 'Cupertino',
      '2.5.4.10': 'Apple Inc.',
      '2.5.4.11': 'iPhone',
      '2.5.4.3': 'x',
    });
    const signer = await issue({ subject, key: factory.key, issuer: deviceCa, hash: 'SHA-1' });
    const cms = await make({ signer, certificates: [signer.certificate, ...certificates().slice(1)] });
    const verified = await verifyMachineInfoSignature(cms, chain, NOW);
    expect(verified.ok && verified.value.signerForm).toBe('full subject');
  });

  it('has its content, of plain data', async () => {
    expect(await check(await make({ attached: false }))).toBe('malformed-cms');
    expect(await check(await make({ contentType: '1.2.3' }))).toBe('content-type-mismatch');
  });

  it('is refused when another chain signed it, or no chain comes along', async () => {
    const fresh = () =>
      new ChainVerifier({ anchors: [read(root)], checkDates: false, sha1: true, rsaBitsMin: 1024 });
    expect(await check(await make({ certificates: [factory.certificate] }), fresh())).toBe(
      'chain-incomplete',
    );
    const own = await issue({ subject: commonName('Device CA'), key: device.key, ca: true });
    const forged = await issue({ subject: factory.subject, key: device.key, issuer: own });
    const cms = await make({ signer: forged, certificates: [forged.certificate, own.certificate] });
    expect(await check(cms, fresh())).toBe('chain-incomplete');
    const strict = new ChainVerifier({
      anchors: [read(root)],
      checkDates: true,
      sha1: true,
      rsaBitsMin: 1024,
    });
    expect(await check(await make(), strict)).toBe('certificate-expired');
  });

  it('is refused from anyone else under the same root, and tells which CA vouched for it', async () => {
    const under = async (...issuers: Identity[]) =>
      new ChainVerifier({
        anchors: [read(root)],
        requiredIssuers: await Promise.all(issuers.map(({ key }) => sha256Hex(key.spki))),
        checkDates: false,
        sha1: true,
        rsaBitsMin: 1024,
      });
    const relations = await issue({
      subject: commonName('Developer Relations'),
      key: await makeKey('P-256'),
      issuer: root,
      ca: true,
    });
    const developer = await issue({
      subject: commonName('5AF0A6D2-6FA0-4C52-B1C9-6FD2E8A43A6C'),
      key: factory.key,
      issuer: relations,
    });
    const forged = await make({ signer: developer, certificates: [developer, relations].map(der) });
    for (const chainOf of [await under(deviceCa), await under(deviceCa, authority)]) {
      expect(await check(await make(), chainOf)).toBe('ok');
      expect(await verifyMachineInfoSignature(forged, chainOf, NOW)).toEqual({
        ok: false,
        refusal: {
          kind: 'chain-constraint',
          reason: `no required issuer; issued by key ${await sha256Hex(relations.key.spki)}`,
        },
      });
    }
    expect(await check(await make(), await under(authority))).toBe('ok');
    expect(await check(await make(), await under(relations))).toBe('chain-constraint');
  });

  it.each([
    ['no purpose at all', undefined, 'ok'],
    ['TLS at both ends', [SERVER_AUTH, CLIENT_AUTH], 'ok'],
    ['signing code', [CODE_SIGNING], 'signer-purpose'],
    ['TLS and signing code', [CLIENT_AUTH, CODE_SIGNING], 'signer-purpose'],
    ['any purpose', ['2.5.29.37.0'], 'signer-purpose'],
  ])('by a certificate for %s', async (_, purposes, expected) => {
    const value = purposes === undefined ? undefined : encode(sequence(...purposes.map(oid)));
    const extra = value === undefined ? [] : [{ type: '2.5.29.37', critical: false, value }];
    const signer = await issue({ subject: factory.subject, key: factory.key, issuer: deviceCa, extra });
    expect(await check(await make({ signer, certificates: [signer, deviceCa, authority].map(der) }))).toBe(
      expected,
    );
  });

  it('is refused when its content changed, at every octet of it', async () => {
    const cms = await make();
    const at = toHexIndex(cms, BODY);
    for (let i = 0; i < BODY.length; i++) {
      const changed = cms.slice();
      changed[at + i] = (changed[at + i] as number) ^ 0x20;
      expect(await check(changed)).toBe('signature-invalid');
    }
  });

  it('is refused cut at any octet, with anything after it, or too large', async () => {
    const cms = await make();
    for (let length = 0; length < cms.length; length++)
      expect(await check(cms.slice(0, length))).toBe('malformed-cms');
    expect(await check(join(cms, Uint8Array.of(10)))).toBe('malformed-cms');
    const content = new Uint8Array(MACHINE_INFO_BYTES_MAX).fill(0x20);
    expect(await check(await make({ content }))).toBe('malformed-cms');
    expect(await check(await make({ content: content.subarray(8192) }))).toBe('ok');
  });
});

function toHexIndex(cms: Bytes, part: Bytes): number {
  return cms.toHex().indexOf(part.toHex()) / 2;
}
