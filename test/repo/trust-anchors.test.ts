/** Apple's roots are taken by fingerprint, wherever they come from: here from a server on loopback. */
import { X509Certificate } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createAuthority } from '../../scripts/local/authority.ts';
import { APPLE, judgeAnchors } from '../../scripts/trust-anchors/anchors.ts';
import { writeAnchors } from '../../scripts/trust-anchors/write.ts';
import { APPLE_ANCHORS } from '../../src/pki/apple-anchors.ts';
import { sha256Hex } from '../../src/pki/digest.ts';

const folder = mkdtempSync(join(tmpdir(), 'escapement-anchors-'));
const path = join(folder, 'anchors.pem');
let server: Server;
let url = '';
let answer: { status: number; body: Uint8Array | string; location?: string };
let [der, otherDer] = [new Uint8Array(), new Uint8Array()];
let pem = '';
let pins: typeof APPLE_ANCHORS = [];

beforeAll(async () => {
  server = createServer((_request, response) => {
    response.writeHead(answer.status, answer.location === undefined ? {} : { location: answer.location });
    response.end(answer.body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/root.cer`;
  const make = async () =>
    (await createAuthority({ commonName: 'Root', organization: 'X', key: 'RSA-2048' })).certificate;
  pem = await make();
  const x509 = new X509Certificate(pem);
  der = new Uint8Array(x509.raw);
  otherDer = new Uint8Array(new X509Certificate(await make()).raw);
  const spki = new Uint8Array(x509.publicKey.export({ type: 'spki', format: 'der' }));
  const [certificateDigest, spkiDigest] = [await sha256Hex(der), await sha256Hex(spki)];
  pins = [{ name: 'Root', purpose: 'device', certificateDigest, spkiDigest }];
});
beforeEach(() => {
  rmSync(path, { force: true });
});
afterAll(() => {
  server.close();
  rmSync(folder, { recursive: true, force: true });
});

const write = (over = {}) => writeAnchors(path, { sources: [{ name: 'Root', url }], pins, ...over });

describe('trust anchors', () => {
  it('come from Apple, over https, and are the roots that sign for devices', () => {
    for (const source of APPLE.sources) {
      expect(source.url).toMatch(/^https:\/\/www\.apple\.com\//);
      expect(APPLE.pins.find(({ name }) => name === source.name)?.purpose).toBe('device');
    }
  });

  it('are written as PEM, and once written are left alone', async () => {
    answer = { status: 200, body: der };
    expect(await write()).toMatchObject({ names: ['Root'], changed: true });
    expect(readFileSync(path, 'utf8')).toBe(pem);
    expect(await write()).toMatchObject({ changed: false });
    answer = { status: 200, body: pem };
    expect(await write()).toMatchObject({ changed: false });
  });

  it.each<[string, () => typeof answer]>([
    ['another certificate', () => ({ status: 200, body: otherDer })],
    [
      'one with another octet',
      () => ({ status: 200, body: der.with(der.length - 1, (der.at(-1) ?? 0) ^ 1) }),
    ],
    ['something that is no certificate', () => ({ status: 200, body: '<html>a portal</html>' })],
    ['nothing', () => ({ status: 200, body: '' })],
    ['an error', () => ({ status: 404, body: der })],
    ['a redirection', () => ({ status: 302, body: '', location: url })],
    ['far too much', () => ({ status: 200, body: new Uint8Array(70_000) })],
  ])('are not replaced by %s', async (_what, what) => {
    writeFileSync(path, 'as it was');
    answer = what();
    await expect(async () => {
      await write();
    }).rejects.toThrow();
    expect(readFileSync(path, 'utf8')).toBe('as it was');
    expect(existsSync(`${path}.new`)).toBe(false);
  });

  it('are refused when they are published for something else, or not at all', async () => {
    answer = { status: 200, body: der };
    const attestation = pins.map((pin) => ({ ...pin, purpose: 'attestation' as const }));
    await expect(write({ pins: attestation })).rejects.toThrow('does not sign for devices');
    await expect(judgeAnchors(pem, APPLE_ANCHORS)).rejects.toThrow('no authority that Apple publishes');
    await expect(write({ sources: [{ name: 'Another Root', url }] })).rejects.toThrow('was expected');
  });
});
