import { beforeAll, describe, expect, it } from 'vitest';
import { hashOf } from '../../../src/pki/algorithms.ts';
import { parseScepMessage } from '../../../src/protocol/scep/message.ts';
import { type Bytes, concatBytes, fromBase64 } from '../../../src/std/bytes.ts';
import { testIdentity } from '../../support/identity.ts';
import { NONCE, type RequestOptions, signRequest } from '../../support/scep-client.ts';
import { appleSigner } from '../../support/scep-fixture.ts';
import appleText from '../../vectors/scep/apple-2016-pkcsreq.b64?raw';

const content = new Uint8Array(100).fill(5);
let build: (options?: Partial<RequestOptions>) => Bytes;
beforeAll(async () => {
  const authority = (await testIdentity()).authority.certificate;
  build = (options) => signRequest(content, { authority, signer: appleSigner, csr: content, ...options });
});

function parsed(bytes: Bytes) {
  const message = parseScepMessage(bytes);
  if (!message.ok) throw new Error(message.refusal.reason);
  return message.value;
}

describe('a pkiMessage', () => {
  it('is read in DER and in BER of indefinite length', () => {
    for (const indefinite of [false, true]) {
      const message = parsed(build({ indefinite, transactionId: 'AbC' }));
      expect(message).toMatchObject({ messageType: '19', content });
      expect(message.transactionId).toEqual(Uint8Array.of(0x13, 3, 0x41, 0x62, 0x43));
      expect(message.senderNonce).toEqual(NONCE);
    }
  });

  it("of Apple's client is read", () => {
    const message = parsed(fromBase64(appleText) as Bytes);
    expect(message.messageType).toBe('19');
    expect(hashOf(message.signed.digestAlgorithm)).not.toBe(null);
    expect(message.signed.signer?.rsaBits).toBe(2048);
  });

  it('is read from a view into a larger buffer', () => {
    const bytes = build();
    const larger = concatBytes(new Uint8Array(7), bytes, new Uint8Array(7));
    expect(parsed(larger.subarray(7, 7 + bytes.length)).content).toEqual(content);
  });

  it('is malformed when cut at any octet, or with more behind', () => {
    for (const bytes of [build(), build({ indefinite: true })]) {
      for (let length = 0; length < bytes.length; length++) {
        expect(parseScepMessage(bytes.subarray(0, length))).toMatchObject({
          refusal: { kind: 'malformed-message' },
        });
      }
      expect(parseScepMessage(concatBytes(bytes, Uint8Array.of(0))).ok).toBe(false);
    }
  });

  it.each([
    ['no transactionID', { transactionId: null }],
    ['an empty transactionID', { transactionId: '' }],
    ['a transactionID over 256 octets', { transactionId: 'x'.repeat(257) }],
  ])('is malformed with %s', (_, options) => {
    expect(parseScepMessage(build(options))).toMatchObject({ refusal: { kind: 'malformed-message' } });
  });

  it.each([
    ['no messageType', { messageType: null }, { messageType: null }],
    ['a messageType that is no number', { messageType: 'x' }, { messageType: null }],
    ['a messageType of five digits', { messageType: '12345' }, { messageType: null }],
    ['no senderNonce', { senderNonce: null }, { senderNonce: null }],
    ['an empty senderNonce', { senderNonce: new Uint8Array(0) }, { senderNonce: null }],
    ['a senderNonce of 65 octets', { senderNonce: new Uint8Array(65) }, { senderNonce: null }],
  ])('can still be replied to with %s', (_, options, expected) => {
    expect(parsed(build(options))).toMatchObject(expected);
  });
});
