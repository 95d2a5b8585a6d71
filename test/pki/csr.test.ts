/** Requests by OpenSSL, by Apple's client and by hand; cut, stretched and changed; against pkijs as a second reader. */
import { CertificationRequest, CryptoEngine, setEngine } from 'pkijs';
import { beforeAll, describe, expect, it } from 'vitest';
import { subjectAttributes } from '../../src/pki/certificate.ts';
import { CSR_BYTES_MAX, parseCsr, verifyCsr } from '../../src/pki/csr.ts';
import { type Bytes, fromBase64 } from '../../src/std/bytes.ts';
import { buildCsr, commonName, node, oid } from '../support/scep-client.ts';
import { keys } from '../support/scep-fixture.ts';
import appleText from '../vectors/scep/apple-2016-csr.b64?raw';
import opensslText from '../vectors/scep/openssl-csr.b64?raw';

const openssl = fromBase64(opensslText) as Bytes;
const apple = fromBase64(appleText) as Bytes;
const CHALLENGE = '0123456789abcdef0123456789abcdef.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA';

function parsed(der: Bytes) {
  const csr = parseCsr(der);
  if (!csr.ok) throw new Error(csr.refusal.reason);
  return csr.value;
}

describe('good requests', () => {
  it('reads one by OpenSSL', async () => {
    const csr = parsed(openssl);
    expect(csr.key).toEqual({ kind: 'RSA', bits: 2048 });
    expect(csr.challengePassword).toBe(CHALLENGE);
    expect(csr.spki).toEqual(keys.device.spki);
    expect(await verifyCsr(csr)).toBe(true);
  });

  it('reads one by Apple, with version 2 and without a challenge', async () => {
    const csr = parsed(apple);
    expect(csr.key).toEqual({ kind: 'RSA', bits: 1024 });
    expect(csr.challengePassword).toBe(null);
    const name = subjectAttributes(csr.subject).get('2.5.4.3');
    expect(name).toBe('com.apple.security.scep.063D7953-1338-4BF0-8F99-913382996224');
    expect(await verifyCsr(csr)).toBe(true);
  });

  it.each(['sha1', 'sha256', 'sha384', 'sha512'] as const)('verifies a proof with %s', async (hash) => {
    expect(await verifyCsr(parsed(buildCsr({ key: keys.device, hash })))).toBe(true);
    expect(await verifyCsr(parsed(buildCsr({ key: keys.p256 })))).toBe(true);
  });

  it('reads a view into a larger buffer', async () => {
    const larger = new Uint8Array(openssl.length + 50).fill(0x30);
    larger.set(openssl, 17);
    expect(await verifyCsr(parsed(larger.subarray(17, 17 + openssl.length)))).toBe(true);
  });

  it('reads attributes in any order and passes over those it does not know', () => {
    const csr = buildCsr({ key: keys.device, challenge: 'ä€', challengeTag: 0x0c });
    expect(parsed(csr).challengePassword).toBe('ä€');
    expect(parsed(withAttributes([unknown, challengeAttribute('x')])).challengePassword).toBe('x');
    expect(parsed(withAttributes([])).challengePassword).toBe(null);
    expect(parsed(withAttributes(null)).challengePassword).toBe(null);
  });

  it('reads a BMPString', () => {
    const bmp = node(0x1e, Uint8Array.of(0, 0x61, 0x20, 0xac));
    expect(parsed(withAttributes([attribute(bmp)])).challengePassword).toBe('a€');
  });
});

const CHALLENGE_PASSWORD = oid('1.2.840.113549.1.9.7');
const attribute = (value: Uint8Array) => node(0x30, CHALLENGE_PASSWORD, node(0x31, value));
const challengeAttribute = (text: string) => attribute(node(0x13, new TextEncoder().encode(text)));
const unknown = node(0x30, oid('1.2.840.113549.1.9.14'), node(0x31, node(0x30)));

/** With a signature that proves nothing: reading does not look at it. */
function withAttributes(attributes: readonly Uint8Array[] | null): Bytes {
  const set = attributes === null ? [] : [node(0xa0, ...attributes)];
  const info = node(0x30, node(2, Uint8Array.of(0)), commonName('x'), keys.device.spki, ...set);
  const algorithm = node(0x30, oid('1.2.840.113549.1.1.11'), Uint8Array.of(5, 0));
  return node(0x30, info, algorithm, node(3, new Uint8Array(257)));
}

describe('requests that are refused', () => {
  it('are those cut at any octet, or with more behind', () => {
    for (const der of [openssl, apple]) {
      for (let length = 0; length < der.length; length++)
        expect(parseCsr(der.subarray(0, length)).ok).toBe(false);
      expect(parseCsr(Uint8Array.of(...der, 0)).ok).toBe(false);
    }
  });

  it.each([
    ['a challengePassword that is no string', [attribute(node(4, Uint8Array.of(1)))]],
    ['two challengePasswords', [challengeAttribute('a'), challengeAttribute('b')]],
    [
      'a challengePassword with two values',
      [node(0x30, CHALLENGE_PASSWORD, node(0x31, node(0x13), node(0x13)))],
    ],
    ['an empty set of values', [node(0x30, CHALLENGE_PASSWORD, node(0x31))]],
    ['a challengePassword of 256 characters', [challengeAttribute('x'.repeat(256))]],
    ['17 attributes', Array.from({ length: 17 }, () => unknown)],
  ])('have %s', (_, attributes) => {
    expect(parseCsr(withAttributes(attributes))).toMatchObject({ refusal: { kind: 'malformed-csr' } });
  });

  it('are larger than the limit', () => {
    expect(parseCsr(new Uint8Array(CSR_BYTES_MAX + 1))).toMatchObject({ refusal: { reason: 'too large' } });
    expect(parsed(withAttributes([challengeAttribute('x'.repeat(255))])).challengePassword).toHaveLength(255);
  });

  it('prove nothing when the algorithm does not fit the key, or is unknown', async () => {
    const csr = parsed(openssl);
    const wrong = [
      '1.2.840.10045.4.3.2',
      '1.2.840.113549.1.1.4',
      '1.2.840.113549.1.1.10',
      '1.2.840.113549.1.1.12',
    ];
    for (const signatureAlgorithm of wrong)
      expect(await verifyCsr({ ...csr, signatureAlgorithm })).toBe(false);
    const ec = parsed(buildCsr({ key: keys.p256 }));
    expect(await verifyCsr({ ...ec, signatureAlgorithm: '1.2.840.113549.1.1.11' })).toBe(false);
    expect(await verifyCsr({ ...ec, signature: new Uint8Array(0) })).toBe(false);
  });
});

describe('pkijs as a second reader', () => {
  beforeAll(() => {
    const engine = new CryptoEngine({
      name: 'workerd',
      crypto: crypto as never,
      subtle: crypto.subtle as never,
    });
    setEngine('workerd', engine as never);
  });

  it('agrees on key and subject of what we take', () => {
    for (const der of [openssl, apple]) {
      const theirs = CertificationRequest.fromBER(der);
      const ours = parsed(der);
      expect(new Uint8Array(theirs.subjectPublicKeyInfo.toSchema().toBER(false))).toEqual(ours.spki);
      expect(new Uint8Array(theirs.subject.toSchema().toBER(false))).toEqual(ours.subject);
    }
  });

  it('never calls a changed request proven, and neither do we', async () => {
    for (let at = 0; at < openssl.length; at += 2) {
      const mutated = openssl.with(at, (openssl[at] as number) ^ (1 << ((at / 2) % 8)));
      const csr = parseCsr(mutated);
      expect([at, csr.ok && (await verifyCsr(csr.value))]).toEqual([at, false]);
    }
    for (let at = 4; at < openssl.length; at += 41) {
      const mutated = openssl.with(at, (openssl[at] as number) ^ 0x10);
      const theirs = await Promise.resolve()
        .then(() => CertificationRequest.fromBER(mutated).verify())
        .catch(() => false);
      expect(theirs).toBe(false);
    }
  });
});
