/**
 * A SCEP client that shares nothing with this project: strongSwan's `pki --scep` enrolls against a running server over
 * HTTP, and renews once its certificate is in force (OpenSSL signs the Authenticate that puts it there).
 * Observed: `pki` 5.9.8 misreads capabilities and refuses AES wherever DES3 is offered too, so it is told des3.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Stack, startStack } from '../../scripts/local/stack.ts';

const UDID = '00008006-001122334455667A';
const folder = mkdtempSync(join(tmpdir(), 'escapement-strongswan-'));
const path = (name: string) => join(folder, name);
const missing = whatIsMissing();
if (missing !== null) console.log(`skipped: strongSwan's SCEP client, ${missing}`);

/** `pki` speaks HTTP only with the curl plugin, which is in a package of its own. */
function whatIsMissing(): string | null {
  const help = spawnSync('pki', ['--scep', '--help'], { encoding: 'utf8' });
  if (help.error !== undefined) return 'pki is not installed (package strongswan-pki)';
  const fetching = spawnSync('pki', ['--scepca', '--url', 'http://127.0.0.1:9/scep'], { encoding: 'utf8' });
  const silent = /unable to fetch|no capable fetcher/i.test(fetching.stderr);
  if (silent) return 'it has no HTTP fetcher (package libstrongswan-extra-plugins)';
  return spawnSync('openssl', ['version']).error === undefined ? null : 'openssl is not installed';
}

describe.skipIf(missing !== null)('strongSwan as a SCEP client', () => {
  let stack: Stack;

  beforeAll(async () => {
    stack = await startStack();
    pki(['--scepca', '--url', `${stack.url}/scep`, '--caout', path('ca.pem'), '--outform', 'pem']);
    for (const key of ['first', 'second']) openssl(['genrsa', '-out', path(`${key}.key`), '2048']);
  });

  afterAll(async () => {
    await stack?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  /** A credential as a profile carries it. */
  async function challenge(): Promise<string> {
    const response = await fetch(`${stack.url}/api/v1/enrollment-links`, {
      method: 'POST',
      headers: { authorization: `Bearer ${stack.adminKey}`, 'content-type': 'application/json' },
      body: JSON.stringify({ udid: UDID, serial: 'TESTPHONE1', platform: 'iOS', signed: false }),
    });
    const { url } = (await response.json()) as { url: string };
    const profile = await (await fetch(url)).text();
    const found = /<key>Challenge<\/key>\s*<string>([^<]+)<\/string>/.exec(profile)?.[1];
    if (found === undefined) throw new Error('no challenge in the profile');
    return found;
  }

  function scep(key: string, options: readonly string[]) {
    const authority = ['--cacert-enc', path('ca.pem'), '--cacert-sig', path('ca.pem')];
    const fixed = ['--scep', '--url', `${stack.url}/scep`, '--in', path(key), '--dn', `CN=${UDID}`];
    return pkiResult([...fixed, ...authority, '--cipher', 'des3', '--outform', 'pem', ...options]);
  }

  it('gets the authority certificate', () => {
    expect(readFileSync(path('ca.pem'), 'utf8').replace(/\s/g, '')).toBe(
      stack.ca.certificate.replace(/\s/g, ''),
    );
  });

  it.each(['sha1', 'sha256', 'sha384', 'sha512'])('enrolls, signing with %s', async (digest) => {
    const result = scep('first.key', ['--password', await challenge(), '--digest', digest]);
    expect(result.stderr).toContain('Issued certificate is trusted');
    writeFileSync(path('issued.pem'), result.stdout);
    const subject = openssl(['x509', '-in', path('issued.pem'), '-noout', '-subject', '-nameopt', 'RFC2253']);
    expect(subject).toContain(`CN=${UDID}`);
    expect(subject).toContain(`UID=${UDID}`);
    expect(
      openssl(['verify', '-CAfile', path('ca.pem'), '-purpose', 'sslclient', path('issued.pem')]),
    ).toContain('OK');
  });

  it('gets the same certificate for the same key, and another key gets none', async () => {
    const password = await challenge();
    const [first, again] = [
      scep('first.key', ['--password', password]),
      scep('first.key', ['--password', password]),
    ];
    expect(first.stdout).toContain('BEGIN CERTIFICATE');
    expect(again.stdout).toBe(first.stdout);
    expect(scep('second.key', ['--password', password]).stderr).toContain('badRequest');
  });

  it('reads the reason of a refusal', () => {
    const wrong = `${'0'.repeat(32)}.${'A'.repeat(43)}`;
    expect(scep('first.key', ['--password', wrong]).stderr).toContain('badRequest');
    expect(scep('first.key', ['--password', 'secret']).stderr).toContain('badRequest');
  });

  it('renews with the certificate in force, and only then', async () => {
    writeFileSync(path('old.pem'), scep('first.key', ['--password', await challenge()]).stdout);
    const renewal = ['--cert', path('old.pem'), '--key', path('first.key')];
    expect(scep('second.key', renewal).stderr).toContain('badCertId');
    expect(await authenticate()).toBe(200);
    const renewed = scep('second.key', renewal);
    expect(renewed.stderr).toContain('Issued certificate is trusted');
    writeFileSync(path('new.pem'), renewed.stdout);
    const key = openssl(['pkey', '-in', path('second.key'), '-pubout']);
    expect(openssl(['x509', '-in', path('new.pem'), '-noout', '-pubkey'])).toBe(key);
  });

  /** The check-in that puts `old.pem` in force, signed by OpenSSL. */
  async function authenticate(): Promise<number> {
    const entries = {
      MessageType: 'Authenticate',
      UDID,
      Topic: 'com.apple.mgmt.External.00000000-0000-0000-0000-000000000000',
      SerialNumber: 'TESTPHONE1',
      Model: 'MU7A3',
      ModelName: 'iPhone',
      DeviceName: 'Test',
      ProductName: 'iPhone17,1',
      OSVersion: '26.0',
      BuildVersion: '23A341',
    };
    const dict = Object.entries(entries).map(([key, value]) => `<key>${key}</key><string>${value}</string>`);
    const body = `<?xml version="1.0" encoding="UTF-8"?>\n<plist version="1.0"><dict>${dict.join('')}</dict></plist>\n`;
    writeFileSync(path('body'), body);
    const sign = [
      'cms',
      '-sign',
      '-binary',
      '-outform',
      'DER',
      '-in',
      path('body'),
      '-out',
      path('signature'),
    ];
    openssl([...sign, '-signer', path('old.pem'), '-inkey', path('first.key')]);
    const signature = readFileSync(path('signature')).toString('base64');
    const headers = { 'Mdm-Signature': signature, 'Content-Type': 'application/x-apple-aspen-mdm-checkin' };
    return (await fetch(`${stack.url}/mdm/checkin`, { method: 'PUT', headers, body })).status;
  }
});

function pkiResult(args: readonly string[]): { stdout: string; stderr: string } {
  const { stdout, stderr } = spawnSync('pki', args, { encoding: 'utf8', timeout: 20_000 });
  return { stdout, stderr: stderr.replace(/^(plugin|TPM).*\n/gm, '') };
}

function pki(args: readonly string[]): void {
  const { status, stderr } = spawnSync('pki', args, { encoding: 'utf8', timeout: 20_000 });
  if (status !== 0) throw new Error(stderr);
}

function openssl(args: readonly string[]): string {
  const { status, stdout, stderr } = spawnSync('openssl', args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(stderr);
  return stdout;
}
