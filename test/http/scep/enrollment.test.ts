/** Clients of every sort get a certificate, and what they ask for beside a key has no effect. */
import { beforeAll, describe, expect, it } from 'vitest';
import { certificateDigest, subjectAttributes } from '../../../src/pki/certificate.ts';
import { toBase64 } from '../../../src/std/bytes.ts';
import { Unavailable } from '../../../src/std/outcome.ts';
import { DAY_MS, HOUR_MS, MINUTE_MS } from '../../../src/std/time.ts';
import { NOW, UDID } from '../../support/identity.ts';
import {
  commonName,
  NONCE,
  node,
  openReply,
  type RequestOptions,
  rdn,
  selfSigned,
} from '../../support/scep-client.ts';
import { appleSigner, keys, scepFixture } from '../../support/scep-fixture.ts';

let f: Awaited<ReturnType<typeof scepFixture>>;
beforeAll(async () => {
  f = await scepFixture();
});

describe('what is told to anyone', () => {
  it('names the capabilities that let every client in', async () => {
    const response = await f.app.request('http://mdm.example/scep?operation=GetCACaps');
    expect(response.headers.get('Content-Type')).toBe('text/plain');
    const expected = 'AES\nDES3\nSHA-1\nSHA-256\nSHA-512\nPOSTPKIOperation\nSCEPStandard\nRenewal\n';
    expect(await response.text()).toBe(expected);
  });

  it.each(['', '&message=0', '&message=1', '&message=CA%20name'])(
    'hands out the authority certificate as one DER with GetCACert%s',
    async (message) => {
      const response = await f.app.request(`http://mdm.example/scep?operation=GetCACert${message}`);
      expect(response.headers.get('Content-Type')).toBe('application/x-x509-ca-cert');
      expect(new Uint8Array(await response.arrayBuffer())).toEqual(Uint8Array.from(f.ca.der));
    },
  );

  it.each(['', '?operation=GetNextCACert', '?operation=', '?x=1'])(
    'answers 400 to an unknown operation %s',
    async (q) => {
      expect((await f.app.request(`http://mdm.example/scep${q}`)).status).toBe(400);
      expect((await f.app.request(`http://mdm.example/scep${q}`, { method: 'POST', body: 'x' })).status).toBe(
        400,
      );
    },
  );
});

describe('enrollment', () => {
  const variants: [string, Partial<RequestOptions>][] = [
    ['Apple: SHA-1, 3DES', { hash: 'sha1', cipher: 'des-ede3-cbc' }],
    ['Apple: SHA-512, 3DES', { hash: 'sha512', cipher: 'des-ede3-cbc' }],
    ['AES-128, SHA-256', { hash: 'sha256', cipher: 'aes-128-cbc' }],
    ['AES-192, SHA-384', { hash: 'sha384', cipher: 'aes-192-cbc' }],
    ['AES-256, SHA-256, signature algorithm with hash', { cipher: 'aes-256-cbc', signatureOid: 'withHash' }],
    ['constructed encryptedContent, as Go writes it', { constructedContent: true }],
    ['BER of indefinite length throughout', { indefinite: true, constructedContent: true }],
    ['a nonce of eight octets', { senderNonce: NONCE.subarray(0, 8) }],
  ];

  it.each(variants)('issues to %s, under the same cipher and digest', async (_, options) => {
    const challenge = await f.challenge();
    const { status, reply } = await f.exchange(
      f.request({ challenge }, { transactionId: 'ABC123', ...options }),
    );
    expect(status).toBe(200);
    expect(reply).toMatchObject({ messageType: '3', status: '0', failInfo: null, transactionId: 'ABC123' });
    expect(reply.recipientNonce).toEqual(Uint8Array.from(options.senderNonce ?? NONCE));
    expect(reply.senderNonce).toHaveLength(16);
    expect(reply.signatureAlgorithm).toBe('1.2.840.113549.1.1.1');
    const digests = { sha1: '1.3.14.3.2.26', sha256: '.2.1', sha384: '.2.2', sha512: '.2.3', md5: '' };
    expect(reply.digestAlgorithm.endsWith(digests[options.hash ?? 'sha256'])).toBe(true);
    const { certificates, cipher } = openReply(reply.content, keys.signer);
    expect(cipher).toBe(options.cipher ?? 'aes-128-cbc');
    const [issued, authority] = certificates;
    expect(issued?.spki).toEqual(keys.device.spki);
    expect(authority?.der).toEqual(f.ca.der);
  });

  it('writes the subject itself, from the credential', async () => {
    const named = node(0x30, rdn('2.5.4.3', 'Administrator'), rdn('2.5.4.10', 'Someone Else'));
    const { reply } = await f.exchange(f.request({ challenge: await f.challenge(), subject: named }));
    const [issued] = openReply(reply.content, keys.signer).certificates;
    expect([...subjectAttributes(issued!.subject)]).toEqual([
      ['2.5.4.10', 'Escapement Test'],
      ['2.5.4.3', UDID],
      ['2.5.4.5', 'TESTWATCH1'],
      ['0.9.2342.19200300.100.1.1', UDID],
    ]);
    expect(issued).toMatchObject({ isCa: false, keyUsage: 0b101, rsaBits: 2048, unhandledCritical: null });
    expect(issued!.notAfterMs - f.clock.nowMs).toBe(365 * DAY_MS);
    expect((await f.chain.verify(issued!, [], f.clock.nowMs)).ok).toBe(true);
  });

  it('gives a P-256 key a certificate for signing only', async () => {
    const { reply } = await f.exchange(f.request({ key: keys.p256, challenge: await f.challenge() }));
    const [issued] = openReply(reply.content, keys.signer).certificates;
    expect(issued).toMatchObject({ keyAlgorithm: 'P-256', keyUsage: 0b001 });
  });

  it('records the certificate with what earned it before it leaves', async () => {
    const challenge = await f.challenge();
    const { reply } = await f.exchange(f.request({ challenge }));
    const [issued] = openReply(reply.content, keys.signer).certificates;
    const record = await f.register.find(await certificateDigest(issued!));
    expect(record).toMatchObject({ credentialId: challenge.slice(0, 32), renewalOf: null });
    expect(record?.certificateDer).toEqual(issued?.der);
    expect(f.events.at(-1)).toMatchObject({ name: 'scep-issued', fields: { udid: UDID, messageType: '19' } });
  });

  it('gives the same certificate to the same key after a lost reply, also past the credential life', async () => {
    const g = await scepFixture();
    const challenge = await g.challenge();
    const issue = async () => {
      const { reply } = await g.exchange(g.request({ challenge }));
      return openReply(reply.content, keys.signer).certificates[0]?.der;
    };
    const first = await issue();
    g.advance(59 * MINUTE_MS);
    expect(await issue()).toEqual(first);
    g.advance(30 * MINUTE_MS);
    expect(await issue()).toEqual(first);
    expect(g.register.issuedIdentities).toHaveLength(1);
    // The device's object must see that nothing newer came.
    expect(g.register.told.map(({ issuedAtMs }) => issuedAtMs)).toEqual(Array(3).fill(NOW));
  });

  it.each([0x0c, 0x13, 0x14, 0x16])('reads a challengePassword with string tag %s', async (challengeTag) => {
    const { reply } = await f.exchange(f.request({ challenge: await f.challenge(), challengeTag }));
    expect(reply.status).toBe('0');
  });

  it('takes the version number that Apple writes into its requests', async () => {
    const { reply } = await f.exchange(f.request({ challenge: await f.challenge(), version: 2 }));
    expect(reply.status).toBe('0');
  });

  it('answers 503 when the register fails, and the retry succeeds', async () => {
    const g = await scepFixture();
    const message = g.request({ challenge: await g.challenge() });
    g.register.failure = new Unavailable('d1', 'down');
    const refused = await g.post(message);
    expect([refused.status, refused.headers.get('Retry-After')]).toEqual([503, '10']);
    expect((await g.exchange(message)).reply.status).toBe('0');
  });
});

describe('ways to send a request', () => {
  it.each([
    ['without a Content-Type', {}],
    ['as application/x-pki-message', { 'Content-Type': 'application/x-pki-message' }],
    ['as a form, which it is not', { 'Content-Type': 'application/x-www-form-urlencoded' }],
  ])('takes a POST %s', async (_, headers) => {
    const response = await f.post(f.request({ challenge: await f.challenge() }), headers);
    expect(response.headers.get('Content-Type')).toBe('application/x-pki-message');
  });

  it('ignores a message in the URL of a POST with a body', async () => {
    const message = f.request({ challenge: await f.challenge() });
    expect((await f.post(message, {}, `&message=${encodeURIComponent(toBase64(message))}`)).status).toBe(200);
    expect((await f.post(message, {}, '&message=junk')).status).toBe(200);
  });

  it.each([
    ['percent-escaped', (text: string) => encodeURIComponent(text)],
    ['with raw + and /', (text: string) => text.replace(/=/g, '%3D')],
    ['with nothing escaped', (text: string) => text],
    ['with + turned to space', (text: string) => text.replace(/\+/g, '%20')],
    ['in lines', (text: string) => encodeURIComponent(text.replace(/.{64}/g, '$&\n'))],
    ['without padding', (text: string) => text.replace(/=/g, '')],
  ])('takes a GET %s', async (_, write) => {
    // Several messages, so that + and / and every padding occur.
    for (const transactionId of ['1', '22', '333']) {
      const message = f.request({ challenge: await f.challenge() }, { transactionId });
      const url = `http://mdm.example/scep?operation=PKIOperation&message=${write(toBase64(message))}`;
      const response = await f.app.request(url);
      expect(response.status).toBe(200);
    }
  });

  it('answers 400 to what cannot be read as far as a transactionID', async () => {
    const whole = f.request({ challenge: await f.challenge() });
    const bodies = [
      new Uint8Array(0),
      new Uint8Array(300),
      whole.subarray(0, 900),
      f.request({}, { transactionId: null }),
    ];
    for (const body of [
      ...bodies,
      f.request({}, { transactionId: '' }),
      f.request({}, { transactionId: 'x'.repeat(300) }),
    ]) {
      expect((await f.post(body)).status).toBe(400);
    }
    const get = (m: string) => f.app.request(`http://mdm.example/scep?operation=PKIOperation${m}`);
    for (const m of ['', '&message=', '&message=%%%', '&message=abc'])
      expect((await get(m)).status).toBe(400);
  });

  it('answers 413 to more than 64 KiB', async () => {
    expect((await f.post(new Uint8Array(64 * 1024 + 1))).status).toBe(413);
  });

  it('never answers 5xx to a message cut anywhere', async () => {
    const whole = f.request({ challenge: await f.challenge() });
    for (let length = 0; length < whole.length; length++) {
      const response = await f.post(whole.slice(0, length));
      expect(response.status).toBe(400);
    }
  });

  it('never answers 5xx to a message with any octet changed', async () => {
    const whole = f.request({ challenge: await f.challenge() });
    for (let at = 0; at < whole.length; at += 3) {
      const mutated = whole.slice();
      mutated[at] = (mutated[at] as number) ^ (1 << (at % 8));
      const response = await f.post(mutated);
      expect([200, 400]).toContain(response.status);
    }
  });
});

describe('renewal', () => {
  async function enrolled() {
    const g = await scepFixture();
    const { reply } = await g.exchange(g.request({ challenge: await g.challenge() }));
    const [certificate] = openReply(reply.content, keys.signer).certificates;
    return { g, signer: { key: keys.device, certificate: certificate! } };
  }

  it.each(['17', '19'])(
    'renews with messageType %s signed by the current certificate, without a challenge',
    async (messageType) => {
      const { g, signer } = await enrolled();
      g.advance(300 * DAY_MS);
      const { reply } = await g.exchange(g.request({ key: keys.other }, { signer, messageType }));
      expect(reply.status).toBe('0');
      const [renewed] = openReply(reply.content, keys.device).certificates;
      expect(renewed?.spki).toEqual(keys.other.spki);
      expect(renewed?.subject).toEqual(signer.certificate.subject);
      const record = await g.register.find(await certificateDigest(renewed!));
      expect(record?.renewalOf).toBe(await certificateDigest(signer.certificate));
      expect(record?.credentialId).toBe(g.register.issuedIdentities[0]?.credentialId);
      expect(g.register.told.at(-1)?.issuedAtMs).toBe(g.clock.nowMs);
    },
  );

  it('ignores the used challenge that Apple sends along', async () => {
    const { g, signer } = await enrolled();
    const challenge = await g.challenge();
    await g.exchange(g.request({ challenge, key: keys.other }));
    g.register.current.set(
      g.register.issuedIdentities[0]!.subject.udid,
      await certificateDigest(signer.certificate),
    );
    const { reply } = await g.exchange(g.request({ key: keys.other, challenge }, { signer }));
    expect(reply.status).toBe('0');
  });

  it.each([
    ['used within the hour', 10 * MINUTE_MS],
    ['expired since', 90 * MINUTE_MS],
    ['as old as the certificate', 300 * DAY_MS],
  ])('ignores the challenge that the certificate was got with, %s', async (_, ageMs) => {
    const g = await scepFixture();
    const challenge = await g.challenge();
    const { reply } = await g.exchange(g.request({ challenge }));
    const [certificate] = openReply(reply.content, keys.signer).certificates;
    g.advance(ageMs);
    const signer = { key: keys.device, certificate: certificate! };
    for (const sent of [
      challenge,
      `${'0'.repeat(32)}.${challenge.slice(33)}`,
      'no challenge of ours',
      null,
    ]) {
      g.register.current.set(g.register.told[0]!.subject.udid, await certificateDigest(certificate!));
      const csr = { key: keys.other, ...(sent === null ? {} : { challenge: sent }) };
      expect((await g.exchange(g.request(csr, { signer }))).reply.status).toBe('0');
      expect(g.register.told.at(-1)?.renewalOf).toBe(await certificateDigest(certificate!));
    }
  });

  it('is not what a fresh challenge asks for, though the current certificate signs', async () => {
    const { g, signer } = await enrolled();
    g.advance(DAY_MS);
    const challenge = await g.challenge();
    const { reply } = await g.exchange(g.request({ key: keys.other, challenge }, { signer }));
    expect(reply.status).toBe('0');
    expect(g.register.told.at(-1)).toMatchObject({
      renewalOf: null,
      credentialId: challenge.slice(0, 32),
      issuedAtMs: g.clock.nowMs,
    });
  });

  it('is not had with a challenge whose secret is wrong', async () => {
    const { g, signer } = await enrolled();
    const challenge = `${(await g.challenge()).slice(0, 33)}${'A'.repeat(43)}`;
    const { reply } = await g.exchange(g.request({ key: keys.other, challenge }, { signer }));
    expect(reply).toMatchObject({ status: '2', failInfo: '2' });
    expect(g.events.at(-1)?.fields.refusal).toBe('credential-secret-wrong');
  });

  it('refuses an expired certificate, one that is not current, and one never recorded', async () => {
    const { g, signer } = await enrolled();
    const ask = async () => (await g.exchange(g.request({ key: keys.other }, { signer }))).reply;
    g.register.current.clear();
    expect(await ask()).toMatchObject({ status: '2', failInfo: '4' });
    expect(g.events.at(-1)?.fields.refusal).toBe('renewal-not-current');
    g.register.current.set(
      g.register.issuedIdentities[0]!.subject.udid,
      await certificateDigest(signer.certificate),
    );
    g.register.issuedIdentities.length = 0;
    expect(await ask()).toMatchObject({ failInfo: '4' });
    g.advance(365 * DAY_MS + HOUR_MS);
    expect(await ask()).toMatchObject({ failInfo: '4' });
    expect(g.events.at(-1)?.fields.refusal).toBe('renewal-expired');
  });

  it('refuses a request that names another device', async () => {
    const { g, signer } = await enrolled();
    const stranger = commonName('00008006-FFFFFFFFFFFFFFFF');
    const { reply } = await g.exchange(
      g.request({ key: keys.other, subject: stranger }, { signer, messageType: '17' }),
    );
    expect(reply).toMatchObject({ status: '2', failInfo: '2' });
    expect(g.events.at(-1)?.fields.refusal).toBe('subject-mismatch');
  });

  it('refuses RenewalReq from a certificate of anyone else, even one that copies our name', async () => {
    const copied = { key: keys.signer, certificate: selfSigned(keys.signer, f.ca.subject) };
    for (const signer of [appleSigner, copied]) {
      const message = f.request({ challenge: await f.challenge() }, { signer, messageType: '17' });
      expect((await f.exchange(message)).reply).toMatchObject({ status: '2', failInfo: '4' });
      expect(f.events.at(-1)?.fields.refusal).toBe('renewal-untrusted');
    }
  });

  it('lets a device with an old identity enroll anew with a credential', async () => {
    const { g, signer } = await enrolled();
    g.register.current.clear();
    const message = g.request({ key: keys.other, challenge: await g.challenge() }, { signer });
    expect((await g.exchange(message)).reply.status).toBe('0');
  });
});
