/**
 * Pushes while everything around them breaks: each is answered for exactly once, and none that APNs took is sent
 * again. What was taken is counted by the simulated APNs, in a file where it is killed.
 */
import { randomUUID } from 'node:crypto';
import { constants } from 'node:http2';
import { afterEach, describe, expect, it } from 'vitest';
import type { PushResult } from '../../scripts/push-relay/contract.ts';
import {
  health,
  makePushes,
  openStage,
  post,
  push,
  requestOf,
  type Stage,
  signed,
  tally,
  until,
} from './push-relay.ts';

const { NGHTTP2_INTERNAL_ERROR, NGHTTP2_NO_ERROR } = constants;
let stage: Stage;
afterEach(() => stage.close());

/** What was reported as taken was taken once; of the rest, what nobody knows at most once, the others never. */
function expectHonest(results: readonly PushResult[]): void {
  for (const { id, status, reason } of results) {
    const taken = stage.apns.timesAccepted(id);
    if (status === 200) expect(taken).toBe(1);
    else expect(taken).toBeLessThanOrEqual(reason === 'transport-down' || reason === 'timeout' ? 1 : 0);
  }
  expect(stage.apns.counts.duplicates).toBe(0);
}

describe('GOAWAY in the middle of 500 pushes', () => {
  it('sends what it did not look at again, and waits for the answers to the rest', async () => {
    stage = await openStage();
    // Answers come after the GOAWAY, so that all 500 are under way when it does.
    stage.apns.answerDelayMs = 50;
    stage.apns.goawayPlan = { afterRequests: 200, code: NGHTTP2_NO_ERROR };
    const results = await push(stage.relay.port, makePushes(500));
    expect(tally(results)).toEqual({ '200': 500 });
    expectHonest(results);
    expect(stage.apns.counts).toMatchObject({ accepted: 500, connections: 2 });
    expect(stage.log.count('going-away')).toBe(1);
  });

  it('with an error loses only what it may have looked at, and says so', async () => {
    stage = await openStage();
    stage.apns.answerDelayMs = 50;
    stage.apns.goawayPlan = { afterRequests: 200, code: NGHTTP2_INTERNAL_ERROR, reason: 'Shutdown' };
    const results = await push(stage.relay.port, makePushes(500));
    expect(tally(results)).toEqual({ '200': 300, '0 transport-down': 200 });
    expectHonest(results);
    expect(stage.log.lines).toContainEqual({ name: 'going-away', fields: { kind: 'Shutdown' } });
  });

  it('again and again wakes everybody once', async () => {
    stage = await openStage();
    stage.apns.goawayPlan = { afterRequests: 60, times: 8 };
    const results = await push(stage.relay.port, makePushes(500));
    expect(tally(results)).toEqual({ '200': 500 });
    expectHonest(results);
    expect(stage.apns.counts.connections).toBe(9);
  });

  it('to idle connections costs nothing', async () => {
    stage = await openStage();
    await push(stage.relay.port, makePushes(10));
    stage.apns.goaway();
    await until(() => stage.apns.counts.connections === 2, 'a new connection');
    expect(tally(await push(stage.relay.port, makePushes(500)))).toEqual({ '200': 500 });
  });
});

describe('a connection that ends without a word', () => {
  it.each(['drop', 'deliver-and-drop'] as const)(
    'in the middle of 500 pushes (%s) leaves each answered once, and the next ones go through',
    async (kind) => {
      stage = await openStage();
      const pushes = makePushes(500);
      stage.apns.behaviors.set(pushes[250]!.token, { kind, times: 1 });
      const results = await push(stage.relay.port, pushes);
      expect(results[250]).toMatchObject({ status: 0, reason: 'transport-down' });
      expect(stage.apns.timesAccepted(pushes[250]!.id)).toBe(kind === 'drop' ? 0 : 1);
      expectHonest(results);
      expect(tally(await push(stage.relay.port, makePushes(500)))).toEqual({ '200': 500 });
      expect(stage.apns.counts.connections).toBeGreaterThan(1);
    },
  );

  it('while pushes keep coming loses none that can be asked for again', async () => {
    stage = await openStage();
    stage.apns.answerDelayMs = 5;
    const waiting = new Map(makePushes(3000).map((one) => [one.id, one]));
    const killing = setInterval(() => stage.apns.killConnections(), 60);
    for (let round = 0; waiting.size > 0; round++) {
      if (round === 12) clearInterval(killing);
      const batch = [...waiting.values()].slice(0, 500);
      for (const { id, status } of await push(stage.relay.port, batch)) {
        if (status === 200) waiting.delete(id);
        // Whoever asks again does so under a new identifier: what nobody knows stays countable.
        else rename(waiting, id);
      }
    }
    clearInterval(killing);
    expect(stage.apns.counts.duplicates).toBe(0);
    expect(stage.log.count('connection-lost')).toBeGreaterThan(0);
    expect(new Set(stage.apns.received.map(({ token }) => token)).size).toBe(3000);
  });
});

function rename(waiting: Map<string, ReturnType<typeof makePushes>[number]>, id: string): void {
  const one = waiting.get(id);
  waiting.delete(id);
  if (one === undefined) throw new Error('answered for twice');
  const fresh = randomUUID();
  waiting.set(fresh, { ...one, id: fresh });
}

describe('an APNs that does not answer', () => {
  it('costs a push its time and no more, and is not sent it again', async () => {
    stage = await openStage({ settings: { pushTimeoutMs: 400 } });
    const [quick, silent] = makePushes(2);
    stage.apns.behaviors.set(silent!.token, { kind: 'silent' });
    const results = await push(stage.relay.port, [silent!, quick!]);
    expect(tally(results)).toEqual({ '200': 1, '0 timeout': 1 });
    expect(results[0]?.id).toBe(silent!.id);
    expectHonest(results);
  });

  it('but comes to it later does not get its answer reported twice', async () => {
    stage = await openStage({ settings: { pushTimeoutMs: 200 } });
    const [late] = makePushes(1);
    stage.apns.behaviors.set(late!.token, { kind: 'slow', delayMs: 600 });
    expect(tally(await push(stage.relay.port, [late!]))).toEqual({ '0 timeout': 1 });
    const { body } = await health(stage.relay.port);
    expect(body).toMatchObject({ inFlight: 0, sent: 0, failed: 1 });
  });

  it('is not there at all: each push is reported as transport-down when its time is up', async () => {
    stage = await openStage({ settings: { pushTimeoutMs: 300 } });
    await stage.apns.stop();
    await until(() => stage.log.count('connection-failed') > 1, 'the relay to try again');
    const results = await push(stage.relay.port, makePushes(50));
    expect(tally(results)).toEqual({ '0 transport-down': 50 });
    const waits = stage.log.lines.flatMap(({ fields }) => fields.retryInMs ?? []);
    expect(Math.max(...waits)).toBeLessThanOrEqual(100);
  });
});

describe('connections that bring nothing', () => {
  it('are not tried again before their time', async () => {
    const patient = { reconnect: { baseMs: 100_000, capMs: 100_000 } };
    stage = await openStage({ settings: { pushTimeoutMs: 500 }, tuning: patient });
    await push(stage.relay.port, makePushes(1));
    await stage.apns.stop();
    await until(() => stage.log.count('connection-failed') > 0, 'the first try');
    await push(stage.relay.port, makePushes(20));
    expect(stage.log.count('connection-failed')).toBe(1);
  });
});

describe('the limit of streams', () => {
  it('of the peer is kept to, over two connections when one is full', async () => {
    stage = await openStage({ apns: { maxConcurrentStreams: 7 } });
    stage.apns.answerDelayMs = 2;
    expect(tally(await push(stage.relay.port, makePushes(500)))).toEqual({ '200': 500 });
    expect(stage.apns.counts.streamsPeak).toBe(7);
    expect(stage.apns.counts.connections).toBe(2);
  });
});

describe('whoever asked and went away', () => {
  it('is not sent for what was still waiting', async () => {
    stage = await openStage({ apns: { maxConcurrentStreams: 10 }, settings: { connectionsMax: 1 } });
    stage.apns.answerDelayMs = 100;
    const text = JSON.stringify(requestOf(makePushes(500)));
    const abort = new AbortController();
    const asked = fetch(`http://127.0.0.1:${stage.relay.port}/v1/push`, {
      method: 'POST',
      headers: signed(text),
      body: text,
      signal: abort.signal,
    });
    await until(() => stage.apns.counts.requests > 0, 'the first push');
    abort.abort();
    await expect(asked).rejects.toThrow();
    await until(
      async () => (await health(stage.relay.port)).body['inFlight'] === 0,
      'the rest to be dropped',
    );
    expect(stage.apns.counts.requests).toBeLessThan(250);
    expect((await post(stage.relay.port, JSON.stringify(requestOf(makePushes(1))))).status).toBe(200);
  });
});
