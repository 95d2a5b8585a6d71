/**
 * CMS as OpenSSL writes it. With an `openssl` at hand: messages made on the spot, with fresh keys, are read by our
 * reader (here in Node), and the committed vectors are made again and compared. `UPDATE_VECTORS=1` writes them.
 * The vectors themselves are read in workerd by `test/pki/cms-openssl.test.ts`.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseSignedData, verifySignedData } from '../../src/pki/cms-signed.ts';

interface Message {
  readonly name: string;
  readonly arguments: readonly string[];
  readonly verdict: string;
  readonly cms: string;
}

interface Vectors {
  readonly about: string;
  readonly body: string;
  readonly files: Readonly<Record<string, string>>;
  readonly messages: readonly Message[];
}

const VECTORS = 'test/vectors/cms/openssl.json';
const BODY =
  '<?xml version="1.0"?><plist version="1.0"><dict><key>Status</key><string>Idle</string></dict></plist>\n';
const found = spawnSync('openssl', ['version']);
const present = found.status === 0;
if (!present) console.log('skipped: no openssl on the PATH, its CMS messages are not made again');

let folder: string;

function openssl(...args: string[]): Buffer {
  const ran = spawnSync('openssl', args, { cwd: folder });
  if (ran.status !== 0) throw new Error(`openssl ${args.join(' ')}: ${ran.stderr}`);
  return ran.stdout;
}

/** A root and a signer under it for each sort of key, as files. */
function makeIdentities(): Record<string, string> {
  const keys: Record<string, string[]> = {
    rsa: ['-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:2048'],
    small: ['-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:1024'],
    p256: ['-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256'],
    p384: ['-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-384'],
    p521: ['-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-521'],
  };
  openssl(
    'req',
    '-x509',
    '-newkey',
    'rsa:2048',
    '-nodes',
    '-keyout',
    'root.key',
    '-out',
    'root.pem',
    '-days',
    '7300',
    '-subj',
    '/CN=Escapement test root',
  );
  for (const [name, how] of Object.entries(keys)) {
    openssl('genpkey', ...how, '-out', `${name}.key`);
    openssl(
      'req',
      '-new',
      '-key',
      `${name}.key`,
      '-out',
      `${name}.csr`,
      '-subj',
      name === 'small' ? '/' : `/CN=${name}/O=Escapement test`,
    );
    writeFileSync(
      join(folder, 'extensions'),
      'subjectKeyIdentifier=hash\nkeyUsage=critical,digitalSignature\n',
    );
    openssl(
      'x509',
      '-req',
      '-in',
      `${name}.csr`,
      '-CA',
      'root.pem',
      '-CAkey',
      'root.key',
      '-CAcreateserial',
      '-days',
      '7000',
      '-extfile',
      'extensions',
      '-out',
      `${name}.pem`,
    );
  }
  const files = ['root', ...Object.keys(keys)].flatMap((name) => [`${name}.pem`, `${name}.key`]);
  return Object.fromEntries(files.map((file) => [file, readFileSync(join(folder, file), 'latin1')]));
}

interface Case {
  readonly name: string;
  readonly arguments: readonly string[];
  readonly verdict: string;
}

function cases(): Case[] {
  const list: Case[] = [];
  for (const key of ['rsa', 'small', 'p256', 'p384', 'p521']) {
    for (const hash of key === 'rsa' || key === 'p256'
      ? ['sha1', 'sha256', 'sha384', 'sha512']
      : ['sha1', 'sha256']) {
      for (const [form, flags] of Object.entries({
        detached: [],
        'detached, no attributes': ['-noattr'],
        'attached, indefinite': ['-nodetach', '-stream', '-indef'],
        'attached, indefinite, no attributes': ['-nodetach', '-stream', '-indef', '-noattr'],
        'attached, by key identifier, with the root': ['-nodetach', '-keyid', '-certfile', 'root.pem'],
      })) {
        const signer = ['-signer', `${key}.pem`, '-inkey', `${key}.key`, '-md', hash];
        list.push({ name: `${key} ${hash} ${form}`, arguments: [...signer, ...flags], verdict: 'ok' });
      }
    }
  }
  const rsa = ['-signer', 'rsa.pem', '-inkey', 'rsa.key'];
  const two = [...rsa, '-signer', 'p256.pem', '-inkey', 'p256.key', '-md', 'sha256'];
  const pss = [...rsa, '-md', 'sha256', '-keyopt', 'rsa_padding_mode:pss'];
  list.push({ name: 'two signers', arguments: two, verdict: 'signer-count' });
  list.push({
    name: 'no certificate',
    arguments: [...rsa, '-md', 'sha256', '-nocerts'],
    verdict: 'signer-missing',
  });
  list.push({ name: 'RSA-PSS', arguments: pss, verdict: 'algorithm-not-allowed' });
  list.push({ name: 'SHA-224', arguments: [...rsa, '-md', 'sha224'], verdict: 'algorithm-not-allowed' });
  list.push({ name: 'SHA3-256', arguments: [...rsa, '-md', 'sha3-256'], verdict: 'algorithm-not-allowed' });
  return list;
}

function sign(of: Case): Buffer {
  return openssl('cms', '-sign', '-binary', '-outform', 'DER', '-in', 'body', ...of.arguments);
}

async function verdict(cms: Uint8Array): Promise<string> {
  const parsed = parseSignedData(new Uint8Array(cms));
  if (!parsed.ok) return parsed.refusal.kind;
  const body = parsed.value.content ?? new TextEncoder().encode(BODY);
  const verified = await verifySignedData(parsed.value, new Uint8Array(body), {
    sha1: true,
    rsaBitsMin: 1024,
  });
  return verified.ok ? 'ok' : verified.refusal.kind;
}

/** Types in order and depth, without offsets, lengths and values. */
function outline(cms: Uint8Array): string {
  writeFileSync(join(folder, 'message'), cms);
  const text = openssl('asn1parse', '-inform', 'DER', '-in', 'message').toString('latin1');
  // Values go, object names stay; the keys' own lengths change nothing in the outline.
  return text.replace(/^ *\d+:d=(\d+) +hl=\d+ +l= *\w+ +(prim|cons): +([^:\n]*?) *(:.*)?$/gm, '$1 $2 $3');
}

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'escapement-cms-'));
  writeFileSync(join(folder, 'body'), BODY);
});

afterAll(() => rmSync(folder, { recursive: true }));

describe.skipIf(!present)('messages that openssl makes', () => {
  it('are read as they should be, with fresh keys', async () => {
    const files = makeIdentities();
    const messages: Message[] = [];
    for (const each of cases()) {
      const cms = sign(each);
      expect(await verdict(cms), each.name).toBe(each.verdict);
      messages.push({ ...each, cms: cms.toString('base64') });
    }
    if (process.env['UPDATE_VECTORS'] !== '1') return;
    const about = 'Made by test/repo/openssl-cms.test.ts. Keys for tests only: they are public.';
    const vectors: Vectors = { about, body: Buffer.from(BODY).toString('base64'), files, messages };
    writeFileSync(VECTORS, `${JSON.stringify(vectors, null, 2)}\n`);
  }, 60_000);

  it('are those that are committed: the same octets where nothing is random, else the same outline', () => {
    const vectors = JSON.parse(readFileSync(VECTORS, 'utf8')) as Vectors;
    for (const [file, content] of Object.entries(vectors.files)) writeFileSync(join(folder, file), content);
    expect(vectors.messages.map(({ name }) => name)).toEqual(cases().map(({ name }) => name));
    for (const each of vectors.messages) {
      const committed = Buffer.from(each.cms, 'base64');
      const made = sign(each);
      if (each.arguments.includes('rsa.pem') && each.arguments.includes('-noattr')) {
        expect(made.equals(committed), each.name).toBe(true);
      } else expect(outline(made), each.name).toBe(outline(committed));
    }
  }, 60_000);
});
