/** Messages that OpenSSL made (test/vectors/README.md), read in workerd. */
import { describe, expect, it } from 'vitest';
import { parseCertificate } from '../../src/pki/certificate.ts';
import { ChainVerifier } from '../../src/pki/chain.ts';
import { parseSignedData, verifySignedData } from '../../src/pki/cms-signed.ts';
import { verifyMdmSignature } from '../../src/pki/mdm-signature.ts';
import { parsePem } from '../../src/pki/pem.ts';
import { epochMs } from '../../src/std/time.ts';
import vectors from '../vectors/cms/openssl.json';
import type { Bytes } from './support/asn1.ts';

const BODY = Uint8Array.fromBase64(vectors.body) as Bytes;
const NOW = epochMs(Date.UTC(2027, 0));

describe('messages of openssl', () => {
  it.each(vectors.messages.map((message) => [message.name, message.verdict, message.cms]))(
    '%s: %s',
    async (_, verdict, cms) => {
      const parsed = parseSignedData(Uint8Array.fromBase64(cms));
      if (!parsed.ok) {
        expect(parsed.refusal.kind).toBe(verdict);
        return;
      }
      const { content } = parsed.value;
      if (content !== null) expect(content).toEqual(BODY);
      const policy = { sha1: true, rsaBitsMin: 1024 };
      const verified = await verifySignedData(parsed.value, content ?? BODY, policy);
      expect(verified.ok ? 'ok' : verified.refusal.kind).toBe(verdict);
      const altered = BODY.slice();
      altered[0] = 0x3d;
      expect((await verifySignedData(parsed.value, altered, policy)).ok).toBe(false);
    },
  );

  it('chain to their root', async () => {
    const anchor = read(vectors.files['root.pem']);
    for (const sha1 of [true, false]) {
      const chain = new ChainVerifier({ anchors: [anchor], checkDates: true, sha1, rsaBitsMin: 2048 });
      for (const file of ['rsa.pem', 'p256.pem', 'p384.pem', 'p521.pem'] as const) {
        expect((await chain.verify(read(vectors.files[file]), [], NOW)).ok, file).toBe(true);
      }
      expect((await chain.verify(read(vectors.files['small.pem']), [], NOW)).ok).toBe(false);
    }
  });

  it('serve as Mdm-Signature when detached and of a strong key', async () => {
    for (const { name, verdict, cms } of vectors.messages) {
      const verified = await verifyMdmSignature(cms, BODY);
      const fits = verdict === 'ok' && name.includes('detached') && !name.startsWith('small');
      expect(verified.ok, name).toBe(fits);
    }
  });
});

function read(pem: string) {
  const parsed = parseCertificate(parsePem(pem, 'CERTIFICATE')[0] as Bytes);
  if (!parsed.ok) throw new Error(parsed.refusal.reason);
  return parsed.value;
}
