/** What a Worker hears of each push, for every status and reason that APNs has, and what the relay refuses by itself. */
import { randomBytes, randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { PushResult } from '../../scripts/push-relay/contract.ts';
import { readCredentials } from '../../scripts/push-relay/credentials.ts';
import { Sender } from '../../scripts/push-relay/sender.ts';
import { ApnsAuthority, REASONS, type Reason } from '../simulator/apns/index.ts';
import {
  authority,
  health,
  makePushes,
  openStage,
  type Push,
  post,
  push,
  pushPair,
  RecordedLog,
  requestOf,
  type Stage,
  signed,
  TOPIC,
  until,
} from './push-relay.ts';

let stage: Stage;
beforeAll(async () => {
  stage = await openStage();
});
afterAll(() => stage.close());

async function pushOne(one: Push): Promise<PushResult> {
  return (await push(stage.relay.port, [one]))[0]!;
}

describe('a push', () => {
  it('carries the headers and exactly the payload that MDM has', async () => {
    const [one] = makePushes(1);
    const { id, token, magic } = one!;
    const heard: unknown[] = [];
    const stop = stage.apns.mailbox.listen((delivery) => heard.push(delivery));
    const result = await pushOne({ id, token: token.toUpperCase(), magic });
    stop();
    expect(result).toEqual({ id, status: 200, reason: null, timestampMs: null, retryAfterSeconds: null });
    const sent = { id, token, magic, pushType: 'mdm', priority: '10', expiration: '0' };
    expect(stage.apns.received.at(-1)).toEqual(sent);
    expect(heard).toEqual([expect.objectContaining({ id, token, magic })]);
    expect(stage.apns.counts.defects).toEqual([]);
  });

  it('is kept by APNs for as long as asked, counted from now', async () => {
    const nowSeconds = Math.floor(Date.now() / 1000);
    const asked = { ...requestOf(makePushes(1)), expirationSeconds: 3600, priority: 5 };
    await post(stage.relay.port, JSON.stringify(asked));
    const { expiration, priority } = stage.apns.received.at(-1)!;
    expect(Number(expiration) - nowSeconds).toBeGreaterThanOrEqual(3600);
    expect(Number(expiration) - nowSeconds).toBeLessThan(3660);
    expect(priority).toBe('5');
  });

  it('to the all-zero token gets the 400 that proves the path', async () => {
    const result = await pushOne({ ...makePushes(1)[0]!, token: '00'.repeat(32) });
    expect(result).toMatchObject({ status: 400, reason: 'BadDeviceToken' });
  });

  const final = (Object.keys(REASONS) as Reason[]).filter((reason) => REASONS[reason] < 500);
  it.each(final)('that APNs refuses with %s is reported so, and sent once', async (reason) => {
    const one = makePushes(1)[0]!;
    const before = stage.apns.counts.requests;
    stage.apns.behaviors.set(one.token, { kind: 'answer', reason });
    const result = await pushOne(one);
    expect(result).toMatchObject({ id: one.id, status: REASONS[reason], reason });
    expect(result.timestampMs !== null).toBe(REASONS[reason] === 410);
    expect(result.retryAfterSeconds !== null).toBe(REASONS[reason] === 429);
    expect(stage.apns.counts.requests - before).toBe(1);
  });

  it.each(['Unregistered', 'ExpiredToken'] as const)(
    'to a token dead by %s says since when',
    async (reason) => {
      const one = makePushes(1)[0]!;
      stage.apns.behaviors.set(one.token, { kind: 'answer', reason, timestampMs: 1_700_000_000_123 });
      expect(await pushOne(one)).toMatchObject({ status: 410, reason, timestampMs: 1_700_000_000_123 });
    },
  );

  it.each(['InternalServerError', 'ServiceUnavailable', 'Shutdown'] as const)(
    'that meets %s is sent again over a new connection until it is taken',
    async (reason) => {
      const one = makePushes(1)[0]!;
      const before = stage.apns.counts.connections;
      stage.apns.behaviors.set(one.token, { kind: 'answer', reason, times: 2 });
      expect(await pushOne(one)).toMatchObject({ status: 200 });
      expect(stage.apns.counts.connections - before).toBe(2);
      expect(stage.apns.timesAccepted(one.id)).toBe(1);
    },
  );

  it.each(['InternalServerError', 'ServiceUnavailable', 'Shutdown'] as const)(
    'that meets nothing but %s is reported so after four tries',
    async (reason) => {
      const one = makePushes(1)[0]!;
      const before = stage.apns.counts.requests;
      stage.apns.behaviors.set(one.token, { kind: 'answer', reason });
      expect(await pushOne(one)).toMatchObject({ status: REASONS[reason], reason });
      expect(stage.apns.counts.requests - before).toBe(4);
    },
  );

  it('whose stream is refused is sent again, and given up when that never ends', async () => {
    const [patient, hopeless] = makePushes(2);
    stage.apns.behaviors.set(patient!.token, { kind: 'refuse-stream', times: 3 });
    stage.apns.behaviors.set(hopeless!.token, { kind: 'refuse-stream' });
    expect(await pushOne(patient!)).toMatchObject({ status: 200 });
    expect(await pushOne(hopeless!)).toMatchObject({ status: 0, reason: 'transport-down' });
  });
});

describe('a device that APNs throttles', () => {
  it('is left alone for longer each time, and the others are not', async () => {
    const throttled = makePushes(1)[0]!;
    stage.apns.behaviors.set(throttled.token, { kind: 'answer', reason: 'TooManyRequests', times: 1 });
    const first = await pushOne(throttled);
    const seconds = first.retryAfterSeconds ?? 0;
    expect(seconds).toBeGreaterThanOrEqual(15);
    expect(seconds).toBeLessThanOrEqual(30);
    const before = stage.apns.counts.requests;
    const second = { ...throttled, id: randomUUID() };
    const [other] = makePushes(1);
    const [held, taken] = await push(stage.relay.port, [second, other!]);
    expect(held).toMatchObject({ id: second.id, status: 429, reason: 'TooManyRequests' });
    expect(held?.retryAfterSeconds).toBeLessThanOrEqual(seconds);
    expect(taken).toMatchObject({ status: 200 });
    expect(stage.apns.counts.requests - before).toBe(1);
  });

  it('is left alone for as long as APNs asks', async () => {
    const one = makePushes(1)[0]!;
    stage.apns.behaviors.set(one.token, {
      kind: 'answer',
      reason: 'TooManyRequests',
      retryAfterSeconds: 600,
    });
    expect(await pushOne(one)).toMatchObject({ status: 429, retryAfterSeconds: 600 });
  });

  it('starts anew with short waits once a push was taken', async () => {
    const { apns } = stage;
    const { context } = readCredentials({ ...pushPair, caPem: authority.certificatePem }, Date.now());
    let clockMs = 0;
    const sender = new Sender({
      address: { host: '127.0.0.1', port: apns.port, context },
      timings: { connectTimeoutMs: 10_000, pingIntervalMs: 60_000, pingTimeoutMs: 5000 },
      connectionsMax: 1,
      reconnect: { baseMs: 10, capMs: 100 },
      retry: { baseMs: 5, capMs: 50 },
      throttle: { baseMs: 1000, capMs: 3_600_000 },
      pushTimeoutMs: 20_000,
      triesMax: 4,
      connectionAgeMsMin: 0,
      log: new RecordedLog(),
      now: () => clockMs,
    });
    const one = { ...makePushes(1)[0]!, topic: TOPIC, pushType: 'mdm', priority: 10, expiresAtSeconds: 0 };
    const next = async () => {
      clockMs += 3_600_001;
      return (await sender.send({ ...one, id: randomUUID() }, { gone: false })).retryAfterSeconds;
    };
    apns.behaviors.set(one.token, { kind: 'answer', reason: 'TooManyRequests', times: 6 });
    const waits = [await next(), await next(), await next(), await next(), await next(), await next()];
    expect(waits[0]).toBe(1);
    expect(waits[5]).toBeGreaterThanOrEqual(16);
    expect(await next()).toBeNull();
    apns.behaviors.set(one.token, { kind: 'answer', reason: 'TooManyRequests', times: 1 });
    expect(await next()).toBe(1);
    await sender.close(1000);
  });

  it('is sent to again afterwards', async () => {
    const quick = await openStage({ tuning: { throttle: { baseMs: 20, capMs: 20 } } });
    const one = makePushes(1)[0]!;
    quick.apns.behaviors.set(one.token, { kind: 'answer', reason: 'TooManyRequests', times: 2 });
    let tries = 0;
    await until(async () => {
      tries++;
      return (await push(quick.relay.port, [{ ...one, id: randomUUID() }]))[0]?.status === 200;
    }, 'the throttled device to be sent to');
    expect(tries).toBeGreaterThan(2);
    expect(quick.apns.counts.byReason).toEqual({ TooManyRequests: 2 });
    await quick.close();
  });
});

describe('a request', () => {
  const bad: readonly (readonly [string, (good: Record<string, unknown>) => unknown])[] = [
    ['is not an object', () => []],
    ['has another topic', (good) => ({ ...good, topic: `${TOPIC}0` })],
    ['has no topic', ({ topic: _, ...rest }) => rest],
    ['has no push type', ({ pushType: _, ...rest }) => rest],
    ['has a push type that is none', (good) => ({ ...good, pushType: 'mdm\r\nx: y' })],
    ['has a priority that is none', (good) => ({ ...good, priority: 7 })],
    ['has a negative expiration', (good) => ({ ...good, expirationSeconds: -1 })],
    ['has a point in time as expiration', (good) => ({ ...good, expirationSeconds: 1_800_000_000 })],
    ['has no pushes', (good) => ({ ...good, pushes: [] })],
    ['has 501 pushes', (good) => ({ ...good, pushes: makePushes(501) })],
    ['has a push that is null', (good) => ({ ...good, pushes: [null] })],
    [
      'has an identifier that is no UUID',
      (good) => ({ ...good, pushes: [{ ...makePushes(1)[0], id: 'x' }] }),
    ],
    ['has one identifier twice', (good) => ({ ...good, pushes: Array(2).fill(makePushes(1)[0]) })],
    ['has a path as token', (good) => ({ ...good, pushes: [{ ...makePushes(1)[0], token: '../x' }] })],
    ['has half an octet', (good) => ({ ...good, pushes: [{ ...makePushes(1)[0], token: 'abc' }] })],
    [
      'has a token of 201 octets',
      (good) => ({ ...good, pushes: [{ ...makePushes(1)[0], token: 'ab'.repeat(201) }] }),
    ],
    ['has no magic', (good) => ({ ...good, pushes: [{ ...makePushes(1)[0], magic: '' }] })],
    [
      'has a magic of 513 characters',
      (good) => ({ ...good, pushes: [{ ...makePushes(1)[0], magic: 'x'.repeat(513) }] }),
    ],
  ];

  it.each(bad)('that %s gets 422, and nobody is woken', async (_, change) => {
    const before = stage.apns.counts.requests;
    const { status, body } = await post(stage.relay.port, JSON.stringify(change(requestOf(makePushes(1)))));
    expect([status, body.kind]).toEqual([422, 'bad-request']);
    expect(stage.apns.counts.requests).toBe(before);
  });

  it.each(['', '{', '\ud800'])('whose body is no JSON (%j) gets 422', async (text) => {
    const bytes = Buffer.from(text).toString();
    expect((await post(stage.relay.port, bytes)).status).toBe(422);
  });

  it('of 500 pushes at their largest fits; one above 512 KiB gets 413', async () => {
    const largest = makePushes(500).map((one) => ({
      ...one,
      magic: 'x'.repeat(512),
      token: randomBytes(100).toString('hex'),
    }));
    const text = JSON.stringify(requestOf(largest));
    expect(text.length).toBeLessThan(512 * 1024);
    expect((await post(stage.relay.port, text)).status).toBe(200);
    const { status, body } = await post(stage.relay.port, text.padEnd(512 * 1024 + 1));
    expect([status, body.kind]).toEqual([413, 'too-large']);
  });

  it('for more than may wait at once gets 503 and a time to come back', async () => {
    const small = await openStage({ tuning: { pendingMax: 10 } });
    expect((await post(small.relay.port, JSON.stringify(requestOf(makePushes(10))))).status).toBe(200);
    const { status, headers } = await post(small.relay.port, JSON.stringify(requestOf(makePushes(11))));
    expect([status, headers.get('retry-after')]).toEqual([503, '1']);
    await small.close();
  });

  it('for another path gets 404', async () => {
    const headers = signed('', { method: 'GET', path: '/' });
    expect((await fetch(`http://127.0.0.1:${stage.relay.port}/`, { headers })).status).toBe(404);
  });
});

describe('health', () => {
  it('tells the topic, the expiry, the connection and the counts', async () => {
    const own = await openStage();
    await push(own.relay.port, [...makePushes(2), { ...makePushes(1)[0]!, token: '00' }]);
    const { body } = await health(own.relay.port);
    expect(body).toMatchObject({ topic: TOPIC, connected: true, apnsHost: '127.0.0.1' });
    expect(body).toMatchObject({ inFlight: 0, sent: 2, failed: 1 });
    expect(Date.parse(String(body['notAfter']))).toBeGreaterThan(Date.now());
    await own.apns.stop();
    await until(async () => (await health(own.relay.port)).body['connected'] === false, 'the loss to show');
    await own.relay.close();
  });
});

describe('the certificate', () => {
  const refused = async (pair: { certificatePem: string; keyPem: string }) =>
    openStage({ settings: { credentials: { ...pair, caPem: authority.certificatePem } } }).then(
      () => 'started',
      (error: Error) => error.message,
    );

  it.each([
    ['of another kind', { topic: 'com.example.app' }, /not for MDM pushes/],
    ['without topic', { topic: null }, /not for MDM pushes/],
    ['that expired', { topic: TOPIC, notAfterMs: Date.now() - 1000 }, /expired on/],
    ['of tomorrow', { topic: TOPIC, notBeforeMs: Date.now() + 86_400_000 }, /not valid yet/],
  ])('%s stops the start', async (_, order, message) => {
    expect(await refused(authority.issuePush(order))).toMatch(message);
  });

  it('stops the start without its own key, and the message does not show the key', async () => {
    const { certificatePem } = authority.issuePush({ topic: TOPIC });
    const { keyPem } = authority.issuePush({ topic: TOPIC });
    expect(await refused({ certificatePem, keyPem })).toMatch(/not that of/);
    const said = await refused({ certificatePem, keyPem: keyPem.replace('PRIVATE', 'SECRET') });
    expect(said).toMatch(/not a private key/);
    expect(said).not.toContain(keyPem.split('\n')[1]);
  });

  it('is warned of when it has less than 30 days', async () => {
    const pair = authority.issuePush({ topic: TOPIC, notAfterMs: Date.now() + 29 * 86_400_000 });
    const old = await openStage({ settings: { credentials: { ...pair, caPem: authority.certificatePem } } });
    expect([old.log.count('certificate-expiring'), stage.log.count('certificate-expiring')]).toEqual([1, 0]);
    await old.close();
  });

  it('that APNs does not take is reported push by push, and when it ends the handshake as no transport', async () => {
    const stranger = await openStage({ apns: { caPem: strangers() } });
    expect(await push(stranger.relay.port, makePushes(1))).toEqual([
      expect.objectContaining({ status: 403, reason: 'BadCertificate' }),
    ]);
    await stranger.close();
    const shut = await openStage({
      apns: { caPem: strangers(), refuseAtHandshake: true },
      settings: { pushTimeoutMs: 300 },
    });
    expect(await push(shut.relay.port, makePushes(1))).toEqual([
      expect.objectContaining({ status: 0, reason: 'transport-down' }),
    ]);
    expect(shut.log.count('connection-failed')).toBeGreaterThan(0);
    await shut.close();
  });

  it('is not shown to a server that the authorities do not vouch for', async () => {
    const { certificatePem, keyPem } = authority.issuePush({ topic: TOPIC });
    const settings = { credentials: { certificatePem, keyPem }, pushTimeoutMs: 300 };
    const impostor = await openStage({ settings });
    expect(await push(impostor.relay.port, makePushes(1))).toEqual([
      expect.objectContaining({ status: 0, reason: 'transport-down' }),
    ]);
    expect(impostor.apns.counts.requests).toBe(0);
    await impostor.close();
  });
});

/** An authority that did not issue the relay's certificate. */
function strangers(): string {
  return new ApnsAuthority(Date.now()).certificatePem;
}
