/** What the doctor finds: of a real server on this machine, and of one on loopback that is wrong in every way. */
import { spawnSync } from 'node:child_process';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { examine } from '../../scripts/doctor/examine.ts';
import type { Finding } from '../../scripts/doctor/finding.ts';
import { type AuthorityPem, createAuthority } from '../../scripts/local/authority.ts';
import { freePort } from '../../scripts/local/ports.ts';
import { type Stack, startStack } from '../../scripts/local/stack.ts';
import { root } from './source.ts';

const line = ({ level, area, says }: Finding) => `${level} ${area}: ${says}`;
const look = async (url: string, adminKey: string | null = null) =>
  await examine({ url, adminKey, patienceMs: 0 });

describe('of a server on this machine', () => {
  let stack: Stack;
  beforeAll(async () => {
    stack = await startStack();
  });
  afterAll(() => stack.stop());

  it('finds nothing bad but what is local', async () => {
    const findings = (await look(stack.url, stack.adminKey)).map(line);
    expect(findings).toEqual(
      expect.arrayContaining([
        'ok reachability: /healthz answers',
        'ok configuration: complete',
        'warning configuration: ENVIRONMENT is local',
        'warning configuration: trust anchors are simulated: no real device gets in',
        'warning certificates: plain http, for this machine alone',
        expect.stringMatching(/^ok certificates: authority CN=.* is valid until/),
        'ok certificates: 1 key of pairing tokens published',
        "ok reachability: the devices' doors answer, and nothing stands before them",
        'ok administration: the key fits and the database answers',
      ]),
    );
    expect(findings.filter((text) => text.startsWith('bad') && !text.includes('push path'))).toEqual([]);
  });

  it('finds a wrong administrator key, and does without one', async () => {
    expect((await look(stack.url, 'a-key-that-is-not-it')).map(line)).toContain(
      'bad administration: the key is not the one in force',
    );
    expect((await look(stack.url)).map(line)).toContain(
      'skipped administration: no administrator key at hand',
    );
  });

  it('prints each finding with its fix, and exits by whether any is bad', () => {
    const run = (key: string) =>
      spawnSync(process.execPath, ['scripts/doctor.ts', '--url', stack.url], {
        cwd: root,
        env: { ...process.env, ESCAPEMENT_ADMIN_KEY: key } as NodeJS.ProcessEnv,
        encoding: 'utf8',
      });
    const wrong = run('a-key-that-is-not-it');
    expect(wrong.status).toBe(1);
    expect(wrong.stdout).toMatch(/BAD {6}administration: .*\n {9}fix: Set ESCAPEMENT_ADMIN_KEY/);
    expect(wrong.stdout).not.toContain('a-key-that-is-not-it');
    for (const text of wrong.stdout.split('\n').filter((one) => /^(?:BAD|WARNING|skipped)/.test(one))) {
      expect(wrong.stdout).toContain(`${text}\n         fix: `);
    }
  });
});

interface Said {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
}

const DAY_MS = 24 * 3600 * 1000;
const WELL = '{"status":"ok","environment":"production","anchors":"apple"}';
const OFF_CLOCK: Said = { headers: { date: new Date(Date.now() - 3600 * 1000).toUTCString() }, body: WELL };

describe('of a server that is ill', () => {
  let server: Server;
  let url = '';
  let ca: AuthorityPem;
  let over: Readonly<Record<string, Said>> = {};

  beforeAll(async () => {
    ca = await createAuthority({ commonName: 'Lab', organization: 'Lab', key: 'RSA-2048' });
    server = createServer((request, response) => {
      request.resume();
      const { status = 200, headers = {}, body = '' } = answerTo(request);
      response.writeHead(status, { 'content-type': 'application/json', ...headers });
      response.end(body);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterAll(() => server.close());

  function answerTo(request: IncomingMessage): Said {
    const path = new URL(request.url ?? '/', url).pathname;
    const der = Buffer.from(ca.certificate.replace(/-----[^-]+-----|\s/g, ''), 'base64');
    const well: Readonly<Record<string, Said>> = {
      '/healthz': { body: WELL },
      '/scep': { body: der },
      '/.well-known/escapement/jwks.json': { body: '{"keys":[{"kty":"EC","kid":"a"}]}' },
      '/api/v1/devices': { body: '{"items":[]}' },
      '/api/v1/push-certificate': {
        body: `{"notAfter":"${new Date(Date.now() + 200 * DAY_MS).toISOString()}"}`,
      },
      '/api/v1/push-certificate/probe': {
        body: '{"ok":true,"transport":"mtls","status":400,"reason":"BadDeviceToken"}',
      },
    };
    return over[path] ?? well[path] ?? { status: 400, headers: { 'content-type': 'text/plain' } };
  }

  async function findingsWith(wrong: Readonly<Record<string, Said>>): Promise<string[]> {
    over = wrong;
    return (await look(url, 'key')).filter(({ level }) => level !== 'ok').map(line);
  }

  const HTTP = 'warning certificates: plain http, for this machine alone';

  it('finds nothing where nothing is', async () => {
    expect(await findingsWith({})).toEqual([HTTP]);
  });

  it.each<[string, Readonly<Record<string, Said>>, string]>([
    [
      'settings at fault, each by its name',
      {
        '/healthz': {
          status: 503,
          body: '{"status":"misconfigured","faults":["PUSH_TOPIC: com.apple.mgmt.…"]}',
        },
      },
      'bad configuration: PUSH_TOPIC: com.apple.mgmt.…',
    ],
    ['a key that cannot be used', { '/healthz': { status: 503, body: '{"faults":[]}' } }, 'names no setting'],
    [
      'a challenge for visitors',
      { '/healthz': { headers: { 'cf-mitigated': 'challenge' } } },
      'challenges visitors',
    ],
    [
      'a gate that redirects',
      { '/healthz': { status: 302, headers: { location: 'https://login.example.com' } } },
      'redirects to https://login.example.com',
    ],
    ['somebody else', { '/healthz': { headers: { 'content-type': 'text/html' } } }, 'something else answers'],
    [
      'a rule before one of the doors',
      { '/mdm/checkin': { status: 403, headers: { 'content-type': 'text/html' } } },
      'PUT /mdm/checkin: something else answers',
    ],
    [
      'a door that fails',
      { '/enroll/watch': { status: 503 } },
      'POST /enroll/watch answers an empty message with 503',
    ],
    ['a clock that is off', { '/healthz': OFF_CLOCK }, 'bad clock: here and there differ by'],
    ['no authority', { '/scep': { status: 503 } }, 'bad certificates: SCEP gives no authority (503)'],
    [
      'a private key that is published',
      { '/.well-known/escapement/jwks.json': { body: '{"keys":[{"d":"secret"}]}' } },
      'bad certificates: a PRIVATE key is published',
    ],
    [
      'a database without its schema',
      { '/api/v1/devices': { status: 500 } },
      'bad administration: the API answers 500',
    ],
    [
      'a push certificate that ends soon',
      { '/api/v1/push-certificate': { body: `{"notAfter":${Date.now() + 10.5 * 24 * 3600 * 1000}}` } },
      'in 10 days',
    ],
    [
      'a push certificate that has ended',
      { '/api/v1/push-certificate': { body: '{"notAfter":"2026-01-01T00:00:00Z"}' } },
      'bad certificates: push certificate expired 2026-01-01',
    ],
    [
      'a way of pushes that is closed',
      { '/api/v1/push-certificate/probe': { body: '{"ok":false,"transport":"mtls","status":520}' } },
      'bad push path: mtls, 520',
    ],
    [
      'no pushes at all',
      { '/api/v1/push-certificate/probe': { status: 404 } },
      'warning push path: this server has no',
    ],
    [
      'pushes that are only logged',
      { '/api/v1/push-certificate/probe': { body: '{"ok":true,"transport":"log"}' } },
      'warning push path: PUSH_TRANSPORT is log',
    ],
  ])('finds %s', async (_what, wrong, says) => {
    const findings = await findingsWith(wrong);
    expect(findings.filter((text) => text.includes(says))).toHaveLength(1);
    expect(findings.filter((text) => text !== HTTP && !text.includes(says))).toEqual([]);
  });

  it('finds that nobody is there', async () => {
    const nowhere = `http://127.0.0.1:${await freePort()}`;
    expect((await look(nowhere)).map(line)).toEqual([
      `bad reachability: ${nowhere} cannot be reached (ECONNREFUSED)`,
    ]);
  });
});
