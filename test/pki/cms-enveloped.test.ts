/** Envelopes of other makers are read, ours are opened by others; what is not for us or not allowed is refused by name. */
import { beforeAll, describe, expect, it } from 'vitest';
import { type Certificate, parseCertificate } from '../../src/pki/certificate.ts';
import {
  type ContentCipher,
  openEnvelope,
  parseEnvelope,
  sealEnvelope,
} from '../../src/pki/cms-enveloped.ts';
import { parsePem } from '../../src/pki/pem.ts';
import { parseScepMessage } from '../../src/protocol/scep/message.ts';
import { type Bytes, concatBytes, fromBase64, utf8 } from '../../src/std/bytes.ts';
import { testIdentity } from '../support/identity.ts';
import { buildEnvelope, type ClientCipher, node } from '../support/scep-client.ts';
import { appleSigner } from '../support/scep-fixture.ts';
import appleCaPem from '../vectors/scep/apple-2016-ca.pem?raw';
import appleText from '../vectors/scep/apple-2016-pkcsreq.b64?raw';

let f: Awaited<ReturnType<typeof testIdentity>>;
let ca: Certificate;
beforeAll(async () => {
  f = await testIdentity();
  ca = f.authority.certificate;
});

const text = utf8('what is inside, of no particular length');
const build = (options: Partial<Parameters<typeof buildEnvelope>[0]> = {}) =>
  buildEnvelope({ authority: ca, signer: appleSigner, csr: text, ...options });

async function opened(bytes: Bytes): Promise<Bytes> {
  const envelope = parseEnvelope(bytes, ca);
  if (!envelope.ok) throw new Error(JSON.stringify(envelope.refusal));
  return openEnvelope(envelope.value, f.authority.opener);
}

describe('opening', () => {
  const ciphers: ClientCipher[] = ['aes-128-cbc', 'aes-192-cbc', 'aes-256-cbc', 'des-ede3-cbc'];

  it.each(ciphers)('reads %s in DER, constructed, and in BER of indefinite length', async (cipher) => {
    expect(await opened(build({ cipher }))).toEqual(text);
    expect(await opened(build({ cipher, constructedContent: true }))).toEqual(text);
    expect(await opened(build({ cipher, indefinite: true, constructedContent: true }))).toEqual(text);
  });

  it.each(['AES-128-CBC', 'AES-192-CBC', 'AES-256-CBC', 'DES-EDE3-CBC'] as ContentCipher[])(
    'reads what sealing with %s wrote, of every length over two blocks',
    async (cipher) => {
      for (let length = 0; length <= 32; length++) {
        const content = new Uint8Array(length).fill(length);
        expect(await opened(await sealEnvelope(content, ca, cipher))).toEqual(content);
      }
    },
  );

  it('finds its recipient among others, and reads a view into a larger buffer', async () => {
    const bytes = build();
    const larger = concatBytes(new Uint8Array(9), bytes, new Uint8Array(9));
    expect(await opened(larger.subarray(9, 9 + bytes.length))).toEqual(text);
    const envelope = parseEnvelope(bytes, appleSigner.certificate);
    expect(envelope).toEqual({ ok: false, refusal: { kind: 'recipient-unknown' } });
  });
});

describe('what is refused', () => {
  it('is an envelope cut at any octet, or with more behind', () => {
    for (const bytes of [build(), build({ indefinite: true, constructedContent: true })]) {
      for (let length = 0; length < bytes.length; length++) {
        const cut = parseEnvelope(bytes.subarray(0, length), ca);
        expect(cut).toMatchObject({ refusal: { kind: 'malformed-envelope' } });
      }
      const longer = parseEnvelope(concatBytes(bytes, Uint8Array.of(0)), ca);
      expect(longer).toMatchObject({ refusal: { kind: 'malformed-envelope' } });
    }
  });

  it('is single DES, RC2, another key transport', () => {
    const kind = (options: Parameters<typeof build>[0]) => parseEnvelope(build(options), ca);
    const des = { kind: 'cipher-not-allowed', algorithm: '1.3.14.3.2.7' };
    expect(kind({ cipher: 'des-cbc' })).toEqual({ ok: false, refusal: des });
    expect(kind({ cipher: 'rc2-cbc' })).toMatchObject({ refusal: { kind: 'cipher-not-allowed' } });
    const oaep = { kind: 'key-transport-not-allowed', algorithm: '1.2.840.113549.1.1.7' };
    expect(kind({ keyTransport: '1.2.840.113549.1.1.7' })).toEqual({ ok: false, refusal: oaep });
  });

  it('is content that is not whole blocks, or none', () => {
    for (const length of [0, 1, 15, 17]) {
      const bytes = build({ ciphertext: () => new Uint8Array(length) });
      expect(parseEnvelope(bytes, ca)).toMatchObject({ refusal: { kind: 'malformed-envelope' } });
    }
  });

  it('never throws on a changed octet, and opening never does', async () => {
    const bytes = build({ indefinite: true, constructedContent: true });
    for (let at = 0; at < bytes.length; at += 5) {
      const envelope = parseEnvelope(bytes.with(at, (bytes[at] as number) ^ (1 << (at % 8))), ca);
      if (envelope.ok) await openEnvelope(envelope.value, f.authority.opener);
    }
    expect(parseEnvelope(node(0x30), ca).ok).toBe(false);
  });
});

describe("Apple's request of 2016", () => {
  it('is read as far as its envelope: an old nonce, 3DES, for its own authority', () => {
    const message = parseScepMessage(fromBase64(appleText) as Bytes);
    const appleCa = parseCertificate(parsePem(appleCaPem, 'CERTIFICATE')[0] as Bytes);
    if (!message.ok || !appleCa.ok) throw new Error('vector');
    expect(message.value.messageType).toBe('19');
    expect(message.value.senderNonce).toHaveLength(8);
    const envelope = parseEnvelope(message.value.content, appleCa.value);
    expect(envelope).toMatchObject({ ok: true, value: { cipher: 'DES-EDE3-CBC' } });
    expect(parseEnvelope(message.value.content, ca)).toEqual({
      ok: false,
      refusal: { kind: 'recipient-unknown' },
    });
  });
});
