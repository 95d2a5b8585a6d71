/**
 * A copy of new keys that only the owner of a certificate can open: CMS EnvelopedData (RFC 5652 §6), AES-256, the key
 * transported by RSA-OAEP. `openssl cms -decrypt -inform DER -in FILE -inkey KEY` opens it. Cloudflare gives no secret
 * back, so without such a copy nobody but the Worker has the authority's key.
 */
import { createHash, X509Certificate } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fromBER } from 'asn1js';
import * as pkijs from 'pkijs';
import { deployFolder } from './config.ts';
import type { Keys } from './keys.ts';
import { Stop } from './site.ts';

export interface Recipient {
  readonly certificate: pkijs.Certificate;
  readonly subject: string;
}

export function readRecipient(path: string): Recipient {
  try {
    const x509 = new X509Certificate(readFileSync(path));
    if (x509.publicKey.asymmetricKeyType !== 'rsa') throw new Error('not RSA');
    const { result } = fromBER(new Uint8Array(x509.raw));
    return { certificate: new pkijs.Certificate({ schema: result }), subject: x509.subject };
  } catch {
    throw new Stop(
      '--escrow-to is no certificate of an RSA key',
      'openssl req -x509 -newkey rsa:3072 -days 3650 -subj /CN=escrow -keyout escrow-key.pem -out escrow.pem',
    );
  }
}

/** The file's name has a digest of what is in it, so no run overwrites the copy that another made. */
export async function writeEscrow(recipient: Recipient, keys: Keys): Promise<string> {
  const content = new Uint8Array(Buffer.from(JSON.stringify(keys))).buffer;
  const enveloped = new pkijs.EnvelopedData();
  enveloped.addRecipientByCertificate(recipient.certificate, { oaepHashAlgorithm: 'SHA-256' }, undefined);
  await enveloped.encrypt({ name: 'AES-CBC', length: 256 }, content);
  const info = new pkijs.ContentInfo({ contentType: '1.2.840.113549.1.7.3', content: enveloped.toSchema() });
  const der = Buffer.from(info.toSchema().toBER(false));
  mkdirSync(deployFolder, { recursive: true, mode: 0o700 });
  const path = join(deployFolder, `keys-${createHash('sha256').update(der).digest('hex').slice(0, 12)}.p7m`);
  writeFileSync(path, der, { mode: 0o600, flag: 'wx' });
  return path;
}
