/**
 * Everything secret that a local server needs, made up on the spot: the certificate authority, keys, an
 * administrator key, and the two simulated Apple authorities under which simulated devices get their identity.
 * Kept as single files, so that `openssl` and any program can read them. A deployment makes single keys in the same way,
 * but keeps none in files, and its trust anchors are Apple's.
 */
import { webcrypto } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type AuthorityPem, createAuthority } from './authority.ts';

export interface LocalSecrets {
  readonly adminKey: string;
  /** Base64 of 32 bytes. */
  readonly storageKey: string;
  /** Private JWKS; the first key signs pairing tokens. */
  readonly tokenKeys: string;
  readonly ca: AuthorityPem;
  readonly deviceCa: AuthorityPem;
  readonly attestationCa: AuthorityPem;
}

export async function generateSecrets(organization = 'Escapement'): Promise<LocalSecrets> {
  const [ca, deviceCa, attestationCa, tokenKeys] = await Promise.all([
    createAuthority({ commonName: `${organization} Device CA`, organization, key: 'RSA-2048' }),
    createAuthority({ commonName: 'Escapement Simulated Device CA', organization, key: 'RSA-2048' }),
    createAuthority({ commonName: 'Escapement Simulated Attestation CA', organization, key: 'P-384' }),
    createTokenKeys(),
  ]);
  return {
    adminKey: randomText(24, 'base64url'),
    storageKey: randomText(32, 'base64'),
    tokenKeys,
    ca,
    deviceCa,
    attestationCa,
  };
}

/** The Worker's secrets, under the names that `wrangler.toml` requires. */
export function workerSecrets(secrets: LocalSecrets): Record<string, string> {
  return {
    ADMIN_KEY: secrets.adminKey,
    CA_CERTIFICATE: secrets.ca.certificate,
    CA_KEY: secrets.ca.key,
    DEVICE_ANCHORS: secrets.deviceCa.certificate,
    STORAGE_KEY: secrets.storageKey,
    TOKEN_KEYS: secrets.tokenKeys,
  };
}

/** The secrets kept in `directory`, made there first if there are none yet. */
export async function loadSecrets(directory: string, organization?: string): Promise<LocalSecrets> {
  if (!existsSync(join(directory, COMPLETE))) await store(directory, await generateSecrets(organization));
  const read = (name: string) => readFileSync(join(directory, name), 'utf8').trim();
  const authority = (name: string): AuthorityPem => ({
    certificate: `${read(`${name}.pem`)}\n`,
    key: `${read(`${name}-key.pem`)}\n`,
  });
  return {
    adminKey: read('admin-key.txt'),
    storageKey: read('storage-key.txt'),
    tokenKeys: read(COMPLETE),
    ca: authority('ca'),
    deviceCa: authority('device-ca'),
    attestationCa: authority('attestation-ca'),
  };
}

/** Written last: a directory that has it has all the others. */
const COMPLETE = 'token-keys.json';

async function store(directory: string, secrets: LocalSecrets): Promise<void> {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  chmodSync(directory, 0o700);
  const write = (name: string, text: string) =>
    writeFileSync(join(directory, name), `${text.trim()}\n`, { mode: 0o600 });
  for (const [name, pem] of [
    ['ca', secrets.ca],
    ['device-ca', secrets.deviceCa],
    ['attestation-ca', secrets.attestationCa],
  ] as const) {
    write(`${name}.pem`, pem.certificate);
    write(`${name}-key.pem`, pem.key);
  }
  write('admin-key.txt', secrets.adminKey);
  write('storage-key.txt', secrets.storageKey);
  write(COMPLETE, secrets.tokenKeys);
}

const P256 = { name: 'ECDSA', namedCurve: 'P-256' };

export async function createTokenKeys(): Promise<string> {
  const pair = await webcrypto.subtle.generateKey(P256, true, ['sign', 'verify']);
  const { kty, crv, x, y, d } = await webcrypto.subtle.exportKey('jwk', pair.privateKey);
  const kid = randomText(9, 'base64url');
  return JSON.stringify({ keys: [{ kty, crv, x, y, d, kid, alg: 'ES256', use: 'sig' }] });
}

export function randomText(length: number, encoding: 'base64' | 'base64url'): string {
  return Buffer.from(webcrypto.getRandomValues(new Uint8Array(length))).toString(encoding);
}
