/** The simulated APNs by itself: what it refuses, what it hands on, and that another HTTP/2 client finds it so too. */
import { execFile, spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type ClientHttp2Session, connect } from 'node:http2';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ApnsAuthority, ApnsControl, type PemPair, SimulatedApns } from '../simulator/apns/index.ts';

const TOPIC = 'com.apple.mgmt.External.aaaaaaaa-0000-4000-8000-000000000001';
const TOKEN = 'ab'.repeat(32);
const authority = new ApnsAuthority(Date.now());
const good = authority.issuePush({ topic: TOPIC });
const curl = spawnSync('curl', ['--version'], { encoding: 'utf8' });
const noCurl = curl.error !== undefined || !/\bHTTP2\b/.test(curl.stdout);
if (noCurl) console.log('skipped: curl is not installed, or not with HTTP/2');

let apns: SimulatedApns;
let control: ApnsControl;
const folder = mkdtempSync(join(tmpdir(), 'escapement-apns-'));
beforeAll(async () => {
  apns = await SimulatedApns.start({ server: authority.issueServer(), caPem: authority.certificatePem });
  control = await ApnsControl.start(apns);
});
afterAll(async () => {
  await control.stop();
  await apns.stop();
  rmSync(folder, { recursive: true, force: true });
});

type Headers = Record<string, string | undefined>;

const HEADERS: Headers = {
  ':method': 'POST',
  ':path': `/3/device/${TOKEN}`,
  'apns-topic': TOPIC,
  'apns-push-type': 'mdm',
};

async function ask(
  changes: Headers,
  body: string,
  pair: PemPair | null = good,
): Promise<{ status: number; id: string; reason: string | null }> {
  const client = connect(`https://127.0.0.1:${apns.port}`, {
    ca: authority.certificatePem,
    ...(pair === null ? {} : { cert: pair.certificatePem, key: pair.keyPem }),
  });
  try {
    return await request(client, { ...HEADERS, ...changes }, body);
  } finally {
    client.close();
  }
}

function request(client: ClientHttp2Session, headers: Headers, body: string) {
  return new Promise<{ status: number; id: string; reason: string | null }>((resolve, reject) => {
    client.on('error', reject);
    const present = Object.entries(headers).filter(([, value]) => value !== undefined);
    const stream = client.request(Object.fromEntries(present), { endStream: false });
    let [status, id, text] = [0, '', ''];
    stream.on('response', (head) => {
      [status, id] = [head[':status'] ?? 0, String(head['apns-id'])];
    });
    stream.on('data', (chunk) => (text += chunk));
    stream.on('error', reject);
    stream.on('end', () => resolve({ status, id, reason: text === '' ? null : JSON.parse(text).reason }));
    stream.end(body);
  });
}

describe('the simulated APNs', () => {
  it('takes a push, says its identifier back in either way, and hands it on', async () => {
    const id = randomUUID();
    const before = apns.mailbox.count;
    expect(await ask({ 'apns-id': id }, '{"mdm":"A"}')).toEqual({ status: 200, id, reason: null });
    const made = await ask({}, '{"mdm":"B"}');
    expect(made.id).toMatch(/^[0-9A-F-]{36}$/);
    const there = await fetch(`${control.url}/deliveries?after=${before}&token=${TOKEN}`);
    const { deliveries } = (await there.json()) as { deliveries: unknown[] };
    expect(deliveries).toEqual([
      { sequence: before + 1, token: TOKEN, magic: 'A', id },
      { sequence: before + 2, token: TOKEN, magic: 'B', id: made.id },
    ]);
  });

  it('wakes who waits for his own token, and not for another', async () => {
    const after = apns.mailbox.count;
    const other = 'cd'.repeat(32);
    const waiting = fetch(`${control.url}/deliveries?after=${after}&token=${other}&waitMs=20000`);
    await ask({}, '{"mdm":"not his"}');
    await ask({ ':path': `/3/device/${other}` }, '{"mdm":"his"}');
    const { deliveries, next } = (await (await waiting).json()) as { deliveries: unknown[]; next: number };
    expect(deliveries).toEqual([expect.objectContaining({ magic: 'his' })]);
    expect(next).toBe(after + 2);
  });

  it.each([
    ['a GET', { ':method': 'GET' }, '{"mdm":"x"}', 405, 'MethodNotAllowed'],
    ['another path', { ':path': '/3/devices' }, '{"mdm":"x"}', 404, 'BadPath'],
    ['no token', { ':path': '/3/device/' }, '{"mdm":"x"}', 400, 'MissingDeviceToken'],
    ['a token that is not hexadecimal', { ':path': '/3/device/xyz' }, '{"mdm":"x"}', 400, 'BadDeviceToken'],
    ['the all-zero token', { ':path': `/3/device/${'00'.repeat(32)}` }, '{"mdm":"x"}', 400, 'BadDeviceToken'],
    ['no topic', { 'apns-topic': undefined }, '{"mdm":"x"}', 400, 'MissingTopic'],
    ['a topic that is none', { 'apns-topic': 'a b' }, '{"mdm":"x"}', 400, 'BadTopic'],
    ['the topic of another', { 'apns-topic': `${TOPIC}0` }, '{"mdm":"x"}', 400, 'TopicDisallowed'],
    ['another push type', { 'apns-push-type': 'alert' }, '{"mdm":"x"}', 400, 'InvalidPushType'],
    ['no push type', { 'apns-push-type': undefined }, '{"mdm":"x"}', 400, 'InvalidPushType'],
    ['a priority that is none', { 'apns-priority': '11' }, '{"mdm":"x"}', 400, 'BadPriority'],
    ['an expiration that is none', { 'apns-expiration': 'soon' }, '{"mdm":"x"}', 400, 'BadExpirationDate'],
    ['an identifier that is none', { 'apns-id': 'x' }, '{"mdm":"x"}', 400, 'BadMessageId'],
    ['no payload', {}, '', 400, 'PayloadEmpty'],
    ['a payload above 4 KiB', {}, `{"mdm":"${'x'.repeat(4096)}"}`, 413, 'PayloadTooLarge'],
  ])('refuses %s', async (_, changes, body, status, reason) => {
    const before = apns.counts.accepted;
    expect(await ask(changes as Headers, body)).toMatchObject({ status, reason });
    expect(apns.counts.accepted).toBe(before);
  });

  it.each(['{"mdm":"x","aps":{}}', '{"mdm": "x"}', '{"mdm":1}', '{"aps":{}}', 'x'])(
    'counts as a defect a payload that no device understands: %s',
    async (body) => {
      const before = apns.counts.defects.length;
      expect((await ask({}, body)).status).toBe(400);
      expect(apns.counts.defects.length).toBe(before + 1);
    },
  );

  it.each([
    ['no certificate', null, 'MissingProviderToken'],
    ['another authority', new ApnsAuthority(Date.now()).issuePush({ topic: TOPIC }), 'BadCertificate'],
    [
      'an expired one',
      authority.issuePush({ topic: TOPIC, notAfterMs: Date.now() - 1000 }),
      'BadCertificate',
    ],
    ['no topic in it', authority.issuePush({ topic: null }), 'BadCertificate'],
    ['one of an app', authority.issuePush({ topic: 'com.example.app' }), 'BadCertificate'],
  ] as const)('answers 403 to a sender with %s', async (_, pair, reason) => {
    expect(await ask({}, '{"mdm":"x"}', pair)).toMatchObject({ status: 403, reason });
  });
});

describe.skipIf(noCurl)('curl', () => {
  it('speaks HTTP/2 with it, with and without the certificate', async () => {
    const write = (name: string, text: string) => {
      writeFileSync(join(folder, name), text, { mode: 0o600 });
      return join(folder, name);
    };
    const ca = write('ca.pem', authority.certificatePem);
    const identity = ['--cert', write('c.pem', good.certificatePem), '--key', write('k.pem', good.keyPem)];
    const run = (token: string, more: readonly string[]) => {
      const headers = ['-H', `apns-topic: ${TOPIC}`, '-H', 'apns-push-type: mdm', '-d', '{"mdm":"curl"}'];
      const url = `https://localhost:${apns.port}/3/device/${token}`;
      return curlOutput([...more, '--cacert', ca, ...headers, '-w', ' %{http_version} %{http_code}', url]);
    };
    expect(await run(TOKEN, identity)).toBe(' 2 200');
    expect(await run('00', identity)).toBe('{"reason":"BadDeviceToken"} 2 400');
    expect(await run(TOKEN, [])).toBe('{"reason":"MissingProviderToken"} 2 403');
  });
});

function curlOutput(args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile('curl', ['-sS', '--http2', '--noproxy', '*', ...args], (error, stdout, stderr) =>
      error === null ? resolve(stdout) : reject(new Error(stderr)),
    );
  });
}
