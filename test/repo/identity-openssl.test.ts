/** OpenSSL agrees with what a running server signs: the enrollment profile, and that it is the plist it says it is. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Stack, startStack } from '../../scripts/local/stack.ts';
import { createWorld, SimulatedPhone } from '../simulator/index.ts';

const missing = spawnSync('openssl', ['version']).error !== undefined;
if (missing) console.log('skipped: openssl is not installed');
const folder = mkdtempSync(join(tmpdir(), 'escapement-openssl-'));
const path = (name: string) => join(folder, name);

describe.skipIf(missing)('OpenSSL as a reader of what the authority signs', () => {
  let stack: Stack;

  beforeAll(async () => {
    stack = await startStack();
    writeFileSync(path('ca.pem'), stack.ca.certificate);
    const response = await fetch(`${stack.url}/api/v1/enrollment-links`, {
      method: 'POST',
      headers: { authorization: `Bearer ${stack.adminKey}`, 'content-type': 'application/json' },
      body: JSON.stringify({
        udid: '00008006-001122334455667A',
        serial: 'TESTPHONE1',
        platform: 'iOS',
        signed: true,
      }),
    });
    const { url } = (await response.json()) as { url: string };
    const profile = await fetch(url);
    writeFileSync(path('signed.mobileconfig'), new Uint8Array(await profile.arrayBuffer()));
  });

  afterAll(async () => {
    await stack?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  it('verifies the signed profile and finds a property list in it', () => {
    const read = ['cms', '-verify', '-inform', 'DER', '-binary', '-in', path('signed.mobileconfig')];
    const result = openssl([...read, '-CAfile', path('ca.pem'), '-purpose', 'any', '-out', path('plist')]);
    expect(result.stderr).toContain('CMS Verification successful');
    expect(readFileSync(path('plist'), 'utf8')).toMatch(/^<\?xml[\s\S]*<\/plist>\s*$/);
  });

  it('refuses the profile with an octet changed', () => {
    const bytes = readFileSync(path('signed.mobileconfig'));
    const at = bytes.indexOf('PayloadType');
    bytes[at] = (bytes[at] as number) ^ 1;
    writeFileSync(path('changed'), bytes);
    const read = [
      'cms',
      '-verify',
      '-inform',
      'DER',
      '-binary',
      '-in',
      path('changed'),
      '-CAfile',
      path('ca.pem'),
    ];
    expect(openssl([...read, '-purpose', 'any', '-out', path('nothing')]).status).not.toBe(0);
  });

  it('trusts the certificate of a device as a client’s, and as no server’s', async () => {
    const { certificate, key } = stack.deviceCa;
    const deviceCa = { certificatePem: certificate, keyPem: key };
    const phone = await SimulatedPhone.create(createWorld({ baseUrl: stack.url, deviceCa, seed: 1 }));
    const response = await fetch(`${stack.url}/api/v1/enrollment-links`, {
      method: 'POST',
      headers: { authorization: `Bearer ${stack.adminKey}`, 'content-type': 'application/json' },
      body: JSON.stringify({ udid: phone.udid, serial: phone.serial, platform: 'iOS', signed: true }),
    });
    await phone.enrollByLink(((await response.json()) as { url: string }).url);
    writeFileSync(path('device.der'), phone.certificate?.der ?? '');
    openssl(['x509', '-inform', 'DER', '-in', path('device.der'), '-out', path('device.pem')]);
    const verify = (purpose: string) =>
      openssl(['verify', '-CAfile', path('ca.pem'), '-purpose', purpose, path('device.pem')]);
    expect(verify('sslclient').stdout).toMatch(/device\.pem: OK/);
    expect(verify('sslserver').status).not.toBe(0);
  });

  it('finds nothing odd in its DER', () => {
    const { stdout } = openssl(['asn1parse', '-inform', 'DER', '-in', path('signed.mobileconfig')]);
    expect(stdout).toContain('pkcs7-signedData');
    expect(stdout).toMatch(/:messageDigest/);
    expect(stdout).not.toContain('inf');
  });

  it('gets the authority as GetCACert gives it out', async () => {
    const response = await fetch(`${stack.url}/scep?operation=GetCACert`);
    writeFileSync(path('ca.der'), new Uint8Array(await response.arrayBuffer()));
    const fingerprint = (form: string[]) =>
      openssl(['x509', '-noout', '-fingerprint', '-sha256', ...form]).stdout;
    expect(fingerprint(['-inform', 'DER', '-in', path('ca.der')])).toBe(fingerprint(['-in', path('ca.pem')]));
  });
});

function openssl(args: readonly string[]) {
  return spawnSync('openssl', args, { encoding: 'utf8' });
}
