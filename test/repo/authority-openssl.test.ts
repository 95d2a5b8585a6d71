/**
 * What the key of a generated authority is good for, as OpenSSL sees it: certificates of devices, and none for a host,
 * though a profile makes it a trusted root.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createAuthority } from '../../scripts/local/authority.ts';

const missing = spawnSync('openssl', ['version']).error !== undefined;
if (missing) console.log('skipped: openssl is not installed');
const folder = mkdtempSync(join(tmpdir(), 'escapement-authority-'));
const path = (name: string) => join(folder, name);

afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe.skipIf(missing).each(['RSA-2048', 'P-384'] as const)('a generated authority with %s', (key) => {
  beforeAll(async () => {
    const pem = await createAuthority({ commonName: 'Example Device CA', organization: 'Example', key });
    writeFileSync(path('ca.pem'), pem.certificate);
    writeFileSync(path('ca.key'), pem.key);
    openssl(['req', '-new', '-newkey', 'rsa:2048', '-nodes', '-subj', '/CN=x', '-keyout', path('leaf.key')], {
      '-out': path('leaf.csr'),
    });
  });

  /** Issued with the authority's key, and what `openssl verify` says of it. */
  function verdict(
    subject: string,
    extensions: readonly string[],
    purpose: string,
    issuer = { certificate: 'ca.pem', key: 'ca.key' },
  ): string {
    writeFileSync(path('extensions'), extensions.join('\n'));
    const ca = {
      '-CA': path(issuer.certificate),
      '-CAkey': path(issuer.key),
      '-extfile': path('extensions'),
    };
    const out = { '-in': path('leaf.csr'), '-out': path('leaf.pem'), '-days': '30', '-set_serial': '7' };
    openssl(['x509', '-req', '-subj', subject], { ...ca, ...out });
    const files = ['-CAfile', path('ca.pem'), '-untrusted', path(issuer.certificate)];
    const verify = ['verify', '-x509_strict', '-purpose', purpose, ...files];
    const { stdout, stderr } = spawnSync('openssl', [...verify, path('leaf.pem')], { encoding: 'utf8' });
    return stdout + stderr;
  }

  const keyIdentifiers = ['subjectKeyIdentifier=hash', 'authorityKeyIdentifier=keyid'];

  it('certifies devices', () => {
    const subject =
      '/O=Example/CN=00008006-001122334455667A/serialNumber=TESTWATCH1/UID=00008006-001122334455667A';
    const extensions = [
      ...keyIdentifiers,
      'basicConstraints=critical,CA:FALSE',
      'extendedKeyUsage=clientAuth',
    ];
    expect(verdict(subject, extensions, 'sslclient')).toMatch(/leaf\.pem: OK/);
  });

  it.each([
    ['a host', '/CN=x', 'DNS:www.example.com'],
    ['a wildcard', '/CN=x', 'DNS:*.example.com'],
    ['an IPv4 address', '/CN=x', 'IP:192.0.2.1'],
    ['an IPv6 address', '/CN=x', 'IP:2001:db8::1'],
    ['a host in the common name alone', '/CN=www.example.com', null],
  ])('certifies no server: %s', (_, subject, name) => {
    const names = name === null ? [] : [`subjectAltName=${name}`];
    const extensions = [
      ...keyIdentifiers,
      'basicConstraints=critical,CA:FALSE',
      'extendedKeyUsage=serverAuth',
    ];
    const said = verdict(subject, [...extensions, ...names], 'sslserver');
    expect(said).toContain('excluded subtree violation');
    expect(said).not.toContain('OK');
  });

  it('certifies no other authority', () => {
    const sub = [...keyIdentifiers, 'basicConstraints=critical,CA:TRUE', 'keyUsage=critical,keyCertSign'];
    expect(verdict('/CN=Sub', sub, 'any')).toMatch(/leaf\.pem: OK/);
    renameSync(path('leaf.pem'), path('sub.pem'));
    const under = [...keyIdentifiers, 'basicConstraints=critical,CA:FALSE', 'extendedKeyUsage=clientAuth'];
    const said = verdict('/CN=Leaf', under, 'sslclient', { certificate: 'sub.pem', key: 'leaf.key' });
    expect(said).toContain('path length constraint exceeded');
  });

  it('has one attribute to each part of its name', () => {
    const name = openssl([
      'x509',
      '-noout',
      '-subject',
      '-issuer',
      '-nameopt',
      'RFC2253',
      '-in',
      path('ca.pem'),
    ]);
    expect(name).toBe(
      'subject=CN=Example Device CA,O=Example,C=US\nissuer=CN=Example Device CA,O=Example,C=US\n',
    );
  });
});

function openssl(args: readonly string[], options: Readonly<Record<string, string>> = {}): string {
  const result = spawnSync('openssl', [...args, ...Object.entries(options).flat()], { encoding: 'utf8' });
  if (result.status !== 0) throw new Error(result.stderr);
  return result.stdout;
}
