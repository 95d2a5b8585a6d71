/**
 * A profile signed for delivery, as OpenSSL sees it: its signature holds, it chains to the authority, and the content
 * is the profile. Signing again gives the same bytes, so a download never differs from the one before.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import './plistlib.ts'; // Node 22 has no Uint8Array.fromBase64 of its own.
import { createAuthority } from '../../scripts/local/authority.ts';
import { signAttached } from '../../src/pki/cms-sign.ts';
import { type Authority, importAuthority } from '../../src/pki/keys.ts';

const missing = spawnSync('openssl', ['version']).error !== undefined;
if (missing) console.log('skipped: openssl is not installed');
const folder = mkdtempSync(join(tmpdir(), 'escapement-profile-'));
const path = (name: string) => join(folder, name);
const PROFILE = new TextEncoder().encode(
  '<?xml version="1.0" encoding="UTF-8"?>\n<plist version="1.0"><dict><key>PayloadType</key><string>Configuration</string></dict></plist>\n',
);

afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe.skipIf(missing)('a signed profile', () => {
  let authority: Authority;
  beforeAll(async () => {
    const pem = await createAuthority({
      commonName: 'Example Device CA',
      organization: 'Example',
      key: 'RSA-2048',
    });
    writeFileSync(path('ca.pem'), pem.certificate);
    authority = await importAuthority(pem.certificate, pem.key);
    writeFileSync(path('signed'), await signAttached(PROFILE, authority.signer));
  });

  const verify = (command: 'cms' | 'smime', more: readonly string[] = []) => {
    const files = ['-inform', 'DER', '-in', path('signed'), '-out', path('content')];
    const trust = ['-CAfile', path('ca.pem'), '-purpose', 'any', ...more];
    return spawnSync('openssl', [command, '-verify', ...files, ...trust], { encoding: 'utf8' });
  };

  it.each(['cms', 'smime'] as const)('is verified by openssl %s, and holds the profile', (command) => {
    const { status, stderr } = verify(command);
    expect([status, stderr]).toEqual([0, expect.stringMatching(/Verification successful/i)]);
    expect(readFileSync(path('content')).equals(PROFILE)).toBe(true);
  });

  it('is the same however often it is signed', async () => {
    const again = await signAttached(PROFILE, authority.signer);
    expect(readFileSync(path('signed')).equals(again)).toBe(true);
  });

  it('is not verified with one octet changed', () => {
    const bytes = readFileSync(path('signed'));
    const at = bytes.indexOf('Configuration');
    bytes[at] = 0x63;
    writeFileSync(path('signed'), bytes);
    expect(verify('cms').status).not.toBe(0);
  });
});
