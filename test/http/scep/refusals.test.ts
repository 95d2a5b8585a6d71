/**
 * Every refusal is a signed CertRep with the right failInfo; and whoever manipulates an envelope, in whatever way, gets
 * one and the same answer (Bleichenbacher, Manger, Vaudenay).
 */
import { constants } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import { scepFailure } from '../../../src/http/scep/refusals.ts';
import { parseCertificate } from '../../../src/pki/certificate.ts';
import { parsePem } from '../../../src/pki/pem.ts';
import { fromHex, toHex } from '../../../src/std/bytes.ts';
import { HOUR_MS } from '../../../src/std/time.ts';
import { UDID } from '../../support/identity.ts';
import {
  buildCsr,
  commonName,
  encryptTo,
  NONCE,
  node,
  type RequestOptions,
  rdn,
  selfSigned,
  signRequest,
} from '../../support/scep-client.ts';
import { appleSigner, keys, scepFixture } from '../../support/scep-fixture.ts';
import foreignCaPem from '../../vectors/scep/foreign-ca.pem?raw';

let f: Awaited<ReturnType<typeof scepFixture>>;
beforeAll(async () => {
  f = await scepFixture();
});

const lastRefusal = () => f.events.at(-1)?.fields.refusal;

function foreignCa() {
  const parsed = parseCertificate(parsePem(foreignCaPem, 'CERTIFICATE')[0] as Uint8Array<ArrayBuffer>);
  if (!parsed.ok) throw new Error('fixture');
  return parsed.value;
}

describe('refusals before decryption', () => {
  const flip = (bytes: Uint8Array) => bytes.map((octet, i) => (i === 40 ? octet ^ 1 : octet));
  const rows: [string, Partial<RequestOptions>, string, string][] = [
    ['single DES', { cipher: 'des-cbc' }, '0', 'cipher-not-allowed'],
    ['RC2', { cipher: 'rc2-cbc' }, '0', 'cipher-not-allowed'],
    ['MD5', { hash: 'md5' }, '0', 'algorithm-not-allowed'],
    ['RSA-OAEP', { keyTransport: '1.2.840.113549.1.1.7' }, '0', 'key-transport-not-allowed'],
    ['a wrong signature', { signature: flip }, '1', 'signature-invalid'],
    ['no certificate of the signer', { withoutCertificate: true }, '1', 'signer-missing'],
    [
      'another envelope than was signed',
      { envelope: () => node(0x30, fromHex('0102')!) },
      '1',
      'malformed-envelope',
    ],
    ['CertPoll', { messageType: '20' }, '2', 'message-type-unsupported'],
    ['GetCert', { messageType: '21' }, '2', 'message-type-unsupported'],
    ['GetCRL', { messageType: '22' }, '2', 'message-type-unsupported'],
    ['CertRep', { messageType: '3' }, '2', 'message-type-unsupported'],
    ['messageType 99', { messageType: '99' }, '2', 'message-type-unsupported'],
    ['a messageType that is no number', { messageType: 'PKCSReq' }, '2', 'message-type-unsupported'],
    ['no messageType', { messageType: null }, '2', 'message-type-unsupported'],
    ['no senderNonce', { senderNonce: null }, '2', 'nonce-missing'],
    ['a senderNonce over 64 octets', { senderNonce: new Uint8Array(65) }, '2', 'nonce-missing'],
  ];

  it.each(rows)('refuses %s', async (_, options, failInfo, kind) => {
    const message = f.request({ challenge: await f.challenge() }, { transactionId: 'T-9', ...options });
    const { status, reply } = await f.exchange(message);
    expect(status).toBe(200);
    expect(reply).toMatchObject({ messageType: '3', status: '2', failInfo, transactionId: 'T-9' });
    expect(reply.content).toHaveLength(0);
    const nonce = options.senderNonce === undefined ? Uint8Array.from(NONCE) : null;
    expect(reply.recipientNonce).toEqual(nonce);
    expect(lastRefusal()).toBe(kind);
  });

  it('refuses an envelope for another authority of the same name', async () => {
    const message = f.request({ challenge: await f.challenge() }, { authority: foreignCa() });
    expect((await f.exchange(message)).reply).toMatchObject({ status: '2', failInfo: '2' });
    expect(lastRefusal()).toBe('recipient-unknown');
  });

  it('refuses content that is no envelope at all, or none', async () => {
    for (const content of [new Uint8Array(0), new Uint8Array(40), node(0x30)]) {
      const options = { authority: f.ca, signer: appleSigner, csr: content };
      expect((await f.exchange(signRequest(content, options))).reply).toMatchObject({ failInfo: '1' });
      expect(lastRefusal()).toBe('malformed-envelope');
    }
  });

  it('refuses a signer with an RSA-1024 or an EC key, and says why', async () => {
    const small = { key: keys.small, certificate: selfSigned(keys.small) };
    const ec = { key: keys.p256, certificate: selfSigned(keys.p256) };
    const csr = { challenge: await f.challenge() };
    expect((await f.exchange(f.request(csr, { signer: small }))).reply).toMatchObject({
      failInfo: '2',
      failText: 'RSA key of 1024 bits, 2048 needed',
    });
    expect((await f.exchange(f.request(csr, { signer: ec }))).reply).toMatchObject({ failInfo: '0' });
    expect(lastRefusal()).toBe('signer-key-not-rsa');
  });
});

describe('refusals of a request that could be read', () => {
  const otherUdid = '00008006-FFFFFFFFFFFFFFFF';

  it('refuses RSA-1024, and the credential stays unused', async () => {
    const challenge = await f.challenge();
    const { reply } = await f.exchange(f.request({ key: keys.small, challenge }));
    expect(reply).toMatchObject({ failInfo: '2', failText: 'RSA key of 1024 bits, 2048 needed' });
    expect((await f.exchange(f.request({ challenge }))).reply.status).toBe('0');
  });

  it('refuses a missing, malformed, foreign and wrong challenge alike on the wire', async () => {
    const right = await f.challenge();
    const wrongSecret = `${right.slice(0, 33)}${'A'.repeat(43)}`;
    const unknownId = `${'0'.repeat(32)}${right.slice(32)}`;
    const seen: string[] = [];
    for (const challenge of [null, '', 'secret', `${right}x`, right.toUpperCase(), wrongSecret, unknownId]) {
      const { reply } = await f.exchange(f.request({ challenge }));
      expect(reply).toMatchObject({ status: '2', failInfo: '2', failText: null });
      seen.push(lastRefusal() ?? '');
    }
    expect(seen).toEqual([
      'challenge-missing',
      'malformed-challenge',
      'malformed-challenge',
      'malformed-challenge',
      'malformed-challenge',
      'credential-secret-wrong',
      'credential-unknown',
    ]);
    expect((await f.exchange(f.request({ challenge: right }))).reply.status).toBe('0');
  });

  it('refuses a second key for a used credential', async () => {
    const challenge = await f.challenge();
    expect((await f.exchange(f.request({ challenge }))).reply.status).toBe('0');
    expect((await f.exchange(f.request({ challenge, key: keys.other }))).reply.failInfo).toBe('2');
    expect(lastRefusal()).toBe('credential-used');
  });

  it('refuses a credential after an hour', async () => {
    const g = await scepFixture();
    const message = g.request({ challenge: await g.challenge() });
    g.advance(HOUR_MS);
    expect((await g.exchange(message)).reply.failInfo).toBe('2');
    expect(g.events.at(-1)?.fields.refusal).toBe('credential-expired');
  });

  it.each([
    ['CN of another UDID', commonName(otherUdid)],
    ['UID of another UDID', node(0x30, rdn('2.5.4.3', UDID), rdn('0.9.2342.19200300.100.1.1', otherUdid))],
    ['UID that is no UDID', node(0x30, rdn('0.9.2342.19200300.100.1.1', 'root'))],
  ])('refuses a %s, and the credential stays unused', async (_, subject) => {
    const challenge = await f.challenge();
    expect((await f.exchange(f.request({ challenge, subject }))).reply.failInfo).toBe('2');
    expect(lastRefusal()).toBe('subject-mismatch');
    const lower = commonName(UDID.toLowerCase());
    expect((await f.exchange(f.request({ challenge, subject: lower }))).reply.status).toBe('0');
  });
});

describe('manipulated envelopes', () => {
  const block = (start: readonly number[], fill = 0x55) => {
    const bytes = new Uint8Array(256).fill(fill);
    bytes.set(start);
    return bytes;
  };
  /** An RSA block of the attacker's choice; the ciphertext is below the modulus because it was made with its key. */
  const raw = (bytes: Uint8Array) => () => encryptTo(f.ca, bytes, constants.RSA_NO_PADDING);
  const withKey =
    (start: readonly number[], separator: number) => (_: Uint8Array, contentKey: Uint8Array) => {
      const bytes = block(start);
      bytes[separator] = 0;
      bytes.set(contentKey, 256 - contentKey.length);
      return encryptTo(f.ca, bytes, constants.RSA_NO_PADDING);
    };
  const variants: [string, Partial<RequestOptions>][] = [
    ['RSA block that does not start 00 02', { encryptedKey: raw(block([0, 1])) }],
    ['RSA block of type 0', { encryptedKey: raw(block([0, 0])) }],
    ['RSA block whose first octet is not zero (Manger)', { encryptedKey: raw(block([1, 2])) }],
    ['RSA block without a separator', { encryptedKey: raw(block([0, 2])) }],
    ['RSA block with a zero in the padding', { encryptedKey: withKey([0, 2, 1, 1, 0], 239) }],
    ['RSA block whose key is one octet longer', { encryptedKey: withKey([0, 2], 238) }],
    ['RSA block whose key is one octet shorter', { encryptedKey: withKey([0, 2], 240) }],
    ['right key behind 01 02', { encryptedKey: withKey([1, 2], 239) }],
    ['right key behind 00 03', { encryptedKey: withKey([0, 3], 239) }],
    ['RSA ciphertext of zeros', { encryptedKey: () => new Uint8Array(256) }],
    ['RSA ciphertext not below the modulus', { encryptedKey: () => new Uint8Array(256).fill(0xff) }],
    ['RSA ciphertext that is empty', { encryptedKey: () => new Uint8Array(0) }],
    ['RSA ciphertext one octet short', { encryptedKey: (right) => right.subarray(1) }],
    ['RSA ciphertext one octet long', { encryptedKey: (right) => Uint8Array.of(...right, 0) }],
    ['RSA ciphertext for a random key', { encryptedKey: () => encryptTo(f.ca, new Uint8Array(16).fill(7)) }],
    ['CBC padding of zero', { padded: (plain) => plain.with(-1, 0) }],
    ['CBC padding longer than a block', { padded: (plain) => plain.with(-1, 17) }],
    ['CBC padding of 255', { padded: (plain) => plain.with(-1, 255) }],
    ['CBC padding with a wrong inner octet', { padded: (plain) => plain.with(-2, 0x77).with(-1, 2) }],
    ['CBC padding right, last octet of the content gone', { padded: (plain, n) => repad(plain, n, -1) }],
    ['CBC padding right, content of one block', { padded: (_, n) => new Uint8Array(n).fill(n) }],
    ['CBC padding right, garbage', { padded: () => new Uint8Array(32).fill(1) }],
    ['CBC content cut to its first block', { ciphertext: (right) => right.subarray(0, 16) }],
    ['CBC content cut to its last block', { ciphertext: (right) => right.subarray(-16) }],
    ['CBC first block changed', { ciphertext: (right) => right.with(3, (right[3] as number) ^ 1) }],
    ['CBC last block changed', { ciphertext: (right) => right.with(-1, (right.at(-1) as number) ^ 1) }],
    [
      'CBC last but one block changed',
      { ciphertext: (right) => right.with(-17, (right.at(-17) as number) ^ 1) },
    ],
  ];

  it('answers all of them in the same octets, but for nonce and signature', async () => {
    const replies = new Map<string, string>();
    const sources = { ...Object.fromEntries(variants) };
    for (const [name, options] of Object.entries(sources)) {
      const { status, bytes, reply } = await f.exchange(
        f.request({ challenge: await f.challenge() }, options),
      );
      expect([name, status, reply.failInfo, lastRefusal()]).toEqual([name, 200, '1', 'request-unreadable']);
      replies.set(name, shape(bytes, reply.senderNonce as Uint8Array));
    }
    for (const [name, csr] of Object.entries(badRequests())) {
      const message = f.request({}, { csr });
      const { bytes, reply } = await f.exchange(message);
      expect([name, reply.failInfo, lastRefusal()]).toEqual([name, '1', 'request-unreadable']);
      replies.set(name, shape(bytes, reply.senderNonce as Uint8Array));
    }
    expect(new Set(replies.values()).size).toBe(1);
  });

  /** Sealed and signed as they should be, but not requests with a valid proof. */
  function badRequests(): Record<string, Uint8Array> {
    const right = buildCsr({ key: keys.device });
    return {
      'proof by another key': buildCsr({ key: keys.device, signature: new Uint8Array(256).fill(1) }),
      'proof that is empty': buildCsr({ key: keys.device, signature: new Uint8Array(0) }),
      'trailing octet': Uint8Array.of(...right, 0),
      'cut in half': right.subarray(0, right.length / 2),
      'no content': new Uint8Array(0),
      'an octet of the subject changed': right.with(20, (right[20] as number) ^ 1),
    };
  }

  function repad(plain: Uint8Array, n: number, by: number): Uint8Array {
    const content = plain.subarray(0, plain.length - (plain.at(-1) as number) + by);
    const added = n - (content.length % n);
    return Uint8Array.of(...content, ...new Array<number>(added).fill(added));
  }

  /** The reply in hex without what is fresh in every reply: nonce, digest over nothing stays, signature goes. */
  function shape(bytes: Uint8Array, nonce: Uint8Array): string {
    return toHex(bytes.subarray(0, bytes.length - 256)).replace(toHex(nonce), '');
  }

  it('gives the same substitute for the same ciphertext, another for another', async () => {
    const { opener } = f.authority;
    const [a, b] = [new Uint8Array(256).fill(3), new Uint8Array(256).fill(4)];
    expect(await opener.openKey(a, 16)).toEqual(await opener.openKey(a, 16));
    expect(await opener.openKey(a, 16)).not.toEqual(await opener.openKey(b, 16));
    expect(await opener.openKey(a, 32)).toHaveLength(32);
  });
});

describe('the table', () => {
  it('has failInfoText only where it answers no guess', () => {
    for (const kind of [
      'request-unreadable',
      'credential-unknown',
      'credential-secret-wrong',
      'challenge-missing',
    ] as const) {
      expect(scepFailure({ kind }).text).toBe(null);
    }
    expect(scepFailure({ kind: 'renewal-untrusted' })).toEqual({ failInfo: 'badCertId', text: null });
    expect(scepFailure({ kind: 'key-too-large', bits: 8192 }).failInfo).toBe('badRequest');
    expect(scepFailure({ kind: 'signer-count', count: 2 }).failInfo).toBe('badMessageCheck');
  });
});
