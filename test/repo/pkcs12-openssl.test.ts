/** PKCS#12 files made here and now by OpenSSL, each way it can write them, are read as what they are. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readPkcs12 } from '../../src/pki/pkcs12.ts';

const missing = spawnSync('openssl', ['version']).error !== undefined;
if (missing) console.log('skipped: openssl is not installed');
const folder = mkdtempSync(join(tmpdir(), 'escapement-pkcs12-'));
const path = (name: string) => join(folder, name);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function openssl(args: readonly string[]) {
  const result = spawnSync('openssl', args, { encoding: 'utf8' });
  if (result.status !== 0) throw new Error(result.stderr);
}

const PASSWORD = 'correct horse, ü';
const CIPHERS = ['aes-128-cbc', 'aes-192-cbc', 'aes-256-cbc', 'des-ede3-cbc', 'PBE-SHA1-3DES'];

describe.skipIf(missing)('PKCS#12 written by OpenSSL', () => {
  beforeAll(() => {
    const subject = ['-subj', '/CN=Identity', '-days', '30'];
    const key = ['-newkey', 'rsa:2048', '-nodes', '-keyout', path('key.pem')];
    openssl(['req', '-x509', ...key, ...subject, '-out', path('certificate.pem')]);
    openssl(['x509', '-in', path('certificate.pem'), '-outform', 'DER', '-out', path('certificate.der')]);
  });

  const read = async (more: readonly string[], password = PASSWORD) => {
    const files = ['-inkey', path('key.pem'), '-in', path('certificate.pem'), '-out', path('identity.p12')];
    openssl(['pkcs12', '-export', ...files, '-passout', `pass:${PASSWORD}`, ...more]);
    return readPkcs12(new Uint8Array(readFileSync(path('identity.p12'))), password);
  };

  it.each(CIPHERS.flatMap((cipher) => ['sha1', 'sha256', 'sha384', 'sha512'].map((mac) => [cipher, mac])))(
    'with %s and a MAC of %s opens with its password, and with no other',
    async (cipher, mac) => {
      const arguments_ = [
        '-keypbe',
        cipher as string,
        '-certpbe',
        cipher as string,
        '-macalg',
        mac as string,
      ];
      const certificateDers = [new Uint8Array(readFileSync(path('certificate.der')))];
      const value = { keys: 1, certificates: 1, certificateDers, unread: false };
      expect(await read(arguments_)).toEqual({ ok: true, value });
      expect(await read(arguments_, 'correct horse')).toMatchObject({ refusal: { kind: 'wrong-password' } });
      expect(await read([...arguments_, '-nomac'])).toEqual({ ok: true, value });
      expect(await read([...arguments_, '-nomac'], 'correct horse')).toMatchObject({
        refusal: { kind: 'wrong-password' },
      });
    },
  );
});
