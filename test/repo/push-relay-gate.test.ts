/** Who is let in to the push relay, and what whoever is not learns. */
import { randomBytes, randomUUID } from 'node:crypto';
import { get } from 'node:https';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Gate, SKEW_MS_MAX } from '../../scripts/push-relay/gate.ts';
import { readSettings } from '../../scripts/push-relay/settings.ts';
import {
  authority,
  KEY,
  makePushes,
  openStage,
  post,
  pushPair,
  requestOf,
  type Stage,
  signed,
} from './push-relay.ts';

let stage: Stage;
beforeAll(async () => {
  stage = await openStage();
});
afterAll(() => stage.close());

const text = () => JSON.stringify(requestOf(makePushes(1)));
const agoMs = (ms: number) => ({ timestamp: String(Date.now() - ms) });

describe('a request to the relay', () => {
  const unsigned: readonly (readonly [string, (body: string) => Record<string, string>])[] = [
    ['without headers', () => ({})],
    ['without timestamp', (body) => ({ 'Escapement-Signature': signed(body)['Escapement-Signature']! })],
    ['without signature', () => ({ 'Escapement-Timestamp': String(Date.now()) })],
    ['signed with another key', (body) => signed(body, { key: randomBytes(32) })],
    ['signed for another body', (body) => signed(`${body} `)],
    ['signed for another path', (body) => signed(body, { path: '/v1/health' })],
    ['signed for another method', (body) => signed(body, { method: 'GET' })],
    [
      'whose time was changed',
      (body) => ({ ...signed(body), 'Escapement-Timestamp': String(Date.now() + 1) }),
    ],
    [
      'whose signature is cut short',
      (body) => ({ ...signed(body), 'Escapement-Signature': 'ab'.repeat(31) }),
    ],
    [
      'old, and with another key',
      (body) => signed(body, { key: randomBytes(32), ...agoMs(SKEW_MS_MAX * 2) }),
    ],
  ];

  it.each(unsigned)('%s gets a 401 that says no more, and nobody is woken', async (_, headers) => {
    const body = text();
    const answer = await post(stage.relay.port, body, headers(body));
    const title = 'The request is not signed by the shared key';
    expect(answer.body).toEqual({ type: 'about:blank', title, status: 401, kind: 'unsigned' });
    expect(answer.status).toBe(401);
    expect(stage.apns.counts.accepted).toBe(0);
  });

  it.each([-1, 1])('signed more than five minutes away (%d) gets a 401 that says so', async (direction) => {
    const body = text();
    const headers = signed(body, agoMs(direction * (SKEW_MS_MAX + 60_000)));
    const answer = await post(stage.relay.port, body, headers);
    expect([answer.status, answer.body.kind]).toEqual([401, 'skewed']);
  });

  it('that was seen before gets a 401 that says so, in whatever letters its signature comes', async () => {
    const body = text();
    const headers = signed(body);
    const before = stage.apns.counts.accepted;
    expect((await post(stage.relay.port, body, headers)).status).toBe(200);
    const upper = { ...headers, 'Escapement-Signature': headers['Escapement-Signature']!.toUpperCase() };
    for (const again of [headers, upper]) {
      const answer = await post(stage.relay.port, body, again);
      expect([answer.status, answer.body.kind]).toEqual([401, 'replayed']);
    }
    expect(stage.apns.counts.accepted - before).toBe(1);
  });

  it('that was signed before the relay started is told to sign anew', async () => {
    const body = text();
    const answer = await post(stage.relay.port, body, signed(body, agoMs(120_000)));
    expect([answer.status, answer.body.kind]).toEqual([503, 'signed-before-start']);
    expect(answer.headers.get('retry-after')).toBe('1');
  });

  it('that is not signed is not read: its size does not matter', async () => {
    const answer = await post(stage.relay.port, 'x'.repeat(100), {});
    expect(answer.status).toBe(401);
  });
});

describe('a relay with a certificate of its own', () => {
  it('speaks HTTPS and nothing else', async () => {
    const { certificatePem, keyPem } = authority.issueServer();
    const own = await openStage({ settings: { tls: { cert: certificatePem, key: keyPem } } });
    const headers = signed('', { method: 'GET', path: '/v1/health' });
    const address = { host: 'localhost', port: own.relay.port, path: '/v1/health', headers, agent: false };
    const status = await new Promise((resolve, reject) => {
      get({ ...address, ca: authority.certificatePem }, (response) => {
        response.resume();
        resolve(response.statusCode);
      }).on('error', reject);
    });
    expect(status).toBe(200);
    await expect(fetch(`http://127.0.0.1:${own.relay.port}/v1/health`, { headers })).rejects.toThrow();
    await own.close();
  });
});

describe('the memory of signatures', () => {
  const startedAtMs = 1_800_000_000_000;
  const request = (nowMs: number) => {
    const body = Buffer.from(randomUUID());
    const headers = signed(String(body), { timestamp: String(nowMs) });
    const [timestamp, signature] = [headers['Escapement-Timestamp'], headers['Escapement-Signature']];
    return { method: 'POST', path: '/v1/push', timestamp, signature, body };
  };

  it('holds so many and no more: above it nobody is let in, and nothing is forgotten', () => {
    const gate = new Gate({ key: KEY, startedAtMs, rememberedMax: 3 });
    const first = request(startedAtMs);
    expect(gate.admit(first, startedAtMs)).toBe('admitted');
    for (let i = 0; i < 2; i++) expect(gate.admit(request(startedAtMs), startedAtMs)).toBe('admitted');
    expect(gate.admit(request(startedAtMs), startedAtMs)).toBe('memory-full');
    expect(gate.admit(first, startedAtMs)).toBe('replayed');
  });

  it('remembers a signature for as long as it is good, then makes room', () => {
    const gate = new Gate({ key: KEY, startedAtMs, rememberedMax: 1 });
    const ahead = request(startedAtMs + SKEW_MS_MAX);
    expect(gate.admit(ahead, startedAtMs)).toBe('admitted');
    const lastGoodMs = startedAtMs + 2 * SKEW_MS_MAX;
    expect(gate.admit(ahead, lastGoodMs)).toBe('replayed');
    expect(gate.admit(ahead, lastGoodMs + 1)).toBe('skewed');
    expect(gate.admit(request(lastGoodMs + 1), lastGoodMs + 1)).toBe('admitted');
  });
});

describe('the settings', () => {
  const good = {
    RELAY_CERTIFICATE: pushPair.certificatePem,
    RELAY_CERTIFICATE_KEY: pushPair.keyPem,
    RELAY_KEY: KEY.toString('base64'),
  };

  it('listen on loopback and speak to Apple when they say nothing else', () => {
    const { host, apnsHost, apnsPort, tls } = readSettings(good);
    expect({ host, apnsHost, apnsPort, tls }).toEqual({
      host: '127.0.0.1',
      apnsHost: 'api.push.apple.com',
      apnsPort: 443,
      tls: null,
    });
  });

  it.each([
    ['no certificate', { RELAY_CERTIFICATE: undefined }, /RELAY_CERTIFICATE_FILE/],
    ['a file that is not there', { RELAY_CERTIFICATE_FILE: 'not/there.pem' }, /ENOENT/],
    ['no key', { RELAY_KEY: undefined }, /RELAY_KEY/],
    ['a short key', { RELAY_KEY: Buffer.alloc(16).toString('base64') }, /32 octets/],
    ['a password as key', { RELAY_KEY: 'correct horse battery staple, thirty-two' }, /32 octets/],
    ['every address without TLS', { RELAY_HOST: '0.0.0.0' }, /RELAY_PLAIN_HTTP/],
    ['half of TLS', { RELAY_TLS_CERTIFICATE: pushPair.certificatePem }, /go together/],
    ['a port that is none', { RELAY_PORT: '65536' }, /RELAY_PORT/],
    ['a time in words', { RELAY_PUSH_TIMEOUT_MS: 'soon' }, /RELAY_PUSH_TIMEOUT_MS/],
  ])('with %s are refused with what to do', (_, change, message) => {
    expect(() => readSettings({ ...good, ...change })).toThrow(message);
  });

  it('may open every address inside a private network, when that is said', () => {
    expect(readSettings({ ...good, RELAY_HOST: '0.0.0.0', RELAY_PLAIN_HTTP: 'allow' }).host).toBe('0.0.0.0');
  });
});
