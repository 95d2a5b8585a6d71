/** PKCS#12 files that OpenSSL made (test/vectors/README.md), read in workerd: old encryption and new. */
import { describe, expect, it } from 'vitest';
import { readPkcs12 } from '../../src/pki/pkcs12.ts';
import { type Bytes, utf8 } from '../../src/std/bytes.ts';
import vectors from '../vectors/pkcs12/openssl.json';

const { password } = vectors;
const bytes = (base64: string) => Uint8Array.fromBase64(base64) as Bytes;
const kindOf = async (file: Bytes, tried = password) => {
  const read = await readPkcs12(file, tried);
  return read.ok ? 'ok' : read.refusal.kind;
};
const modern = bytes(vectors.files[0]?.file ?? '');

describe('PKCS#12 of OpenSSL', () => {
  it.each(vectors.files)('with $name: $verdict', async ({ file, verdict, counts, unread }) => {
    const read = await readPkcs12(bytes(file), password);
    expect(read.ok ? 'ok' : read.refusal.kind).toBe(verdict);
    if (!read.ok) return;
    expect([read.value.keys, read.value.certificates, read.value.unread]).toEqual([...counts, unread]);
  });

  it.each(vectors.files.filter(({ verdict }) => verdict === 'ok'))(
    'with $name does not open with another password, and the refusal does not repeat it',
    async ({ file }) => {
      for (const wrong of ['', 'correct.hors', `${password} `, 'CORRECT.HORSE']) {
        const read = await readPkcs12(bytes(file), wrong);
        expect(read.ok ? 'ok' : read.refusal.kind).toBe('wrong-password');
        if (wrong !== '') expect(JSON.stringify(read)).not.toContain(wrong);
      }
    },
  );

  it('opens with a password beyond ASCII', async () => {
    expect(await kindOf(bytes(vectors.unicode.file), vectors.unicode.password)).toBe('ok');
  });
});

describe('what is no readable PKCS#12', () => {
  it('is refused when cut anywhere', async () => {
    for (let length = 0; length < modern.length; length += 1)
      expect([length, await kindOf(modern.slice(0, length))]).toEqual([length, 'malformed-pkcs12']);
  });

  it('is refused with bytes behind it, and as any other bytes', async () => {
    expect(await kindOf(new Uint8Array([...modern, 0]))).toBe('malformed-pkcs12');
    expect(await kindOf(utf8('not a file'))).toBe('malformed-pkcs12');
  });

  it('is refused when an octet of its content is another', async () => {
    const changed = modern.slice();
    const at = 400;
    changed[at] = (changed[at] as number) ^ 1;
    expect(await kindOf(changed)).not.toBe('ok');
  });

  it('is read from a view into a larger buffer', async () => {
    const larger = new Uint8Array(modern.length + 20);
    larger.set(modern, 10);
    expect(await kindOf(larger.subarray(10, 10 + modern.length))).toBe('ok');
  });
});
