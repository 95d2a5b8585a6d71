/** What the simulated devices sign and ask for, read by openssl: a third party to both sides. */
import { Buffer } from 'node:buffer';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { buildCsr, OID, toPem } from '../simulator/certificate.ts';
import { sign } from '../simulator/cms.ts';
import { envelop } from '../simulator/enveloped.ts';
import { createDeviceCa, createWorld, DeviceKey, SimulatedWatch, writePlist } from '../simulator/index.ts';
import { mdmSignature } from '../simulator/messages.ts';
import { bearIdentity } from '../simulator/world.ts';

const openssl = spawnSync('openssl', ['version'], { encoding: 'utf8' });
const python = spawnSync('python3', ['--version'], { encoding: 'utf8' });
const folder = mkdtempSync(join(tmpdir(), 'simulator-openssl-'));
afterAll(() => rmSync(folder, { recursive: true }));

const deviceCa = createDeviceCa();
const world = createWorld({ baseUrl: 'https://mdm.example.com', deviceCa, seed: 5 });
const body = writePlist({ Status: 'Idle', UDID: 'X' });

function file(name: string, content: string | Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

function run(program: string, args: string[], input?: string): string {
  const { status, stdout, stderr } = spawnSync(program, args, { encoding: 'utf8', input });
  if (status !== 0) throw new Error(`${program} ${args[0]}: ${stderr}`);
  return stdout + stderr;
}

describe.skipIf(openssl.status !== 0)('openssl agrees (skipped when openssl is absent)', () => {
  const ca = file('ca.pem', deviceCa.certificatePem);

  it.each([false, true])('that a device identity chains to its authority, genuine form %s', (genuine) => {
    const leaf = file('leaf.pem', toPem(bearIdentity(world, { genuine }).certificate.der));
    expect(run('openssl', ['verify', '-auth_level', '0', '-CAfile', ca, leaf])).toContain('OK');
    const text = run('openssl', ['x509', '-in', leaf, '-noout', '-text']);
    expect(text).toContain(genuine ? '(1024 bit)' : '(2048 bit)');
    expect(text).toContain('1.2.840.113635.100.6.10.4');
  });

  it.each(['legacy', 'modern'] as const)('that MachineInfo is signed, %s', async (machineInfo) => {
    const watch = await SimulatedWatch.create(world, { machineInfo });
    const cms = file('machine-info.der', watch.machineInfo({ PAIRING_TOKEN: Buffer.from('token') }));
    const args = ['-verify', '-binary', '-inform', 'DER', '-in', cms, '-CAfile', ca, '-purpose', 'any'];
    expect(run('openssl', ['cms', ...args])).toContain(watch.udid);
  });

  it.each(['legacy', 'modern'] as const)('that Mdm-Signature covers the body, %s', (mode) => {
    const { key, certificate } = bearIdentity(world);
    const cms = file('signature.der', Buffer.from(mdmSignature(body, key, certificate, mode), 'base64'));
    const content = file('body.plist', body);
    const args = ['-verify', '-binary', '-inform', 'DER', '-in', cms, '-content', content, '-CAfile', ca];
    expect(run('openssl', ['cms', ...args, '-purpose', 'any'])).toContain('erification successful');
  });

  it('that P-256 signs CMS too', () => {
    const key = DeviceKey.generate('p-256');
    const { certificate } = bearIdentity(world, { key });
    const cms = file('ec.der', sign(body, { key, certificate }));
    const args = ['-verify', '-binary', '-inform', 'DER', '-in', cms, '-CAfile', ca, '-purpose', 'any'];
    expect(run('openssl', ['cms', ...args])).toContain('<key>Status</key>');
  });

  it('that a CSR is signed by its key and carries the challenge', () => {
    const key = DeviceKey.generate();
    const csr = buildCsr({ subject: [[OID.commonName, 'UDID']], key, challenge: 'a b+c' });
    const path = file('request.pem', toPem(csr, 'CERTIFICATE REQUEST'));
    const text = run('openssl', ['req', '-in', path, '-verify', '-noout', '-text']);
    expect(text).toMatch(/verify OK/i);
    expect(text).toMatch(/challengePassword\s*:a b\+c/);
  });

  it.each(['3des', 'aes-128', 'aes-256'] as const)(
    'that an envelope opens with the recipient’s key, %s',
    (cipher) => {
      const { key, certificate } = bearIdentity(world);
      for (const constructed of [false, true]) {
        const cms = file('envelope.der', envelop(body, { recipient: certificate, cipher, constructed }));
        const keyPath = file('key.pem', key.toPem());
        const recipient = file('recipient.pem', toPem(certificate.der));
        const args = [
          '-decrypt',
          '-binary',
          '-inform',
          'DER',
          '-in',
          cms,
          '-inkey',
          keyPath,
          '-recip',
          recipient,
        ];
        expect(run('openssl', ['cms', ...args])).toBe(body.toString());
      }
    },
  );
});

describe.skipIf(python.status !== 0)('python3 plistlib agrees (skipped when python3 is absent)', () => {
  it('on what the devices write', () => {
    const plist = writePlist({
      Text: `it's <&> ü`,
      Data: Buffer.from([0, 255]),
      List: [1, 0.5, true],
      Empty: {},
    });
    const program =
      'import sys,plistlib,json;v=plistlib.loads(sys.stdin.buffer.read());v["Data"]=v["Data"].hex();print(json.dumps(v))';
    expect(JSON.parse(run('python3', ['-c', program], plist.toString()))).toEqual({
      Text: `it's <&> ü`,
      Data: '00ff',
      List: [1, 0.5, true],
      Empty: {},
    });
  });
});
