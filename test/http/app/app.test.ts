/** What the whole surface has in common: health, published keys, unknown paths, and the one catcher. */
import { createExecutionContext, createScheduledController, waitOnExecutionContext } from 'cloudflare:test';
import { env, exports } from 'cloudflare:workers';
import { Hono } from 'hono';
import { describe, expect, it, vi } from 'vitest';
import { CommandSweeper } from '../../../src/domain/command/sweeper.ts';
import { readBody } from '../../../src/http/body.ts';
import { answerError } from '../../../src/http/errors.ts';
import worker from '../../../src/index.ts';
import type { LogFields } from '../../../src/log.ts';
import { Fault, Unavailable } from '../../../src/std/outcome.ts';
import { QueueDue } from '../../../src/storage/queue/due.ts';

vi.spyOn(console, 'log').mockImplementation(() => {});

const get = (path: string) => exports.default.fetch(new Request(`${env.PUBLIC_URL}${path}`));

describe('anyone', () => {
  it('may ask for health, and learns that the anchors are simulated', async () => {
    const reply = await get('/healthz');
    expect(await reply.json()).toEqual({ status: 'ok', environment: 'local', anchors: 'simulated' });
  });

  it('may have the public keys of pairing tokens, and no private part', async () => {
    const reply = await get('/.well-known/escapement/jwks.json');
    const { keys } = (await reply.json()) as { keys: Record<string, string>[] };
    expect(reply.headers.get('cache-control')).toBe('public, max-age=300');
    expect(keys.length).toBeGreaterThan(0);
    for (const key of keys) {
      expect(key).toMatchObject({ kty: 'EC', crv: 'P-256' });
      expect(key['d']).toBeUndefined();
    }
  });

  it.each(['/', '/mdm', '/mdm/other', '/ddm', '/.well-known/other'])('finds nothing at %s', async (path) => {
    const reply = await get(path);
    expect([reply.status, await reply.text()]).toEqual([404, 'not found\n']);
  });
});

describe('a method that a path does not take', () => {
  it.each([
    ['/healthz', 'GET, HEAD'],
    ['/.well-known/escapement/jwks.json', 'GET, HEAD'],
    ['/ddm/assets/x', 'GET, HEAD'],
    ['/ddm/profiles/x', 'GET, HEAD'],
    ['/scep', 'GET, HEAD, POST'],
    ['/scep?operation=PKIOperation', 'GET, HEAD, POST'],
  ])('is answered by those that %s does', async (path, allow) => {
    for (const method of ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']) {
      const reply = await exports.default.fetch(new Request(`${env.PUBLIC_URL}${path}`, { method }));
      const taken = allow.split(', ').includes(method);
      expect([method, reply.status === 405], path).toEqual([method, !taken]);
      if (!taken) expect([reply.headers.get('allow'), await reply.text()], path).toEqual([allow, '']);
    }
  });
});

describe('what is thrown', () => {
  it.each([
    ['an outage', new Unavailable('d1', 'no answer', new Error('cause')), 'unavailable', 'd1'],
    ['a fault', new Fault('seal-broken', 'does not open'), 'fault', 'seal-broken'],
    ['a mistake of ours', new TypeError('x is not a function'), 'fault', 'TypeError'],
    ['no error at all', 'a string', 'fault', 'Error'],
  ])('%s is 503 with Retry-After, and the log has the rest', async (_sentence, error, event, errorCode) => {
    const told: [string, LogFields][] = [];
    const reply = answerError(error, { event: (name, fields) => told.push([name, fields]) });
    expect([reply.status, reply.headers.get('retry-after'), await reply.text()]).toEqual([
      503,
      '30',
      'unavailable\n',
    ]);
    expect(told).toMatchObject([[event, { errorCode }]]);
  });
});

describe('a body', () => {
  const app = new Hono();
  app.all('/', async (c) => {
    const body = await readBody(c.req.raw, 10);
    return c.json(body.ok ? { bytes: [...body.value] } : body.refusal);
  });
  const read = async (init: RequestInit) => (await app.request('https://x/', init)).json();
  const stream = (...parts: string[]) =>
    new ReadableStream({
      start(controller) {
        for (const part of parts) controller.enqueue(new TextEncoder().encode(part));
        controller.close();
      },
    });

  it('that is absent is empty', async () => {
    expect(await read({})).toEqual({ bytes: [] });
    expect(await read({ method: 'POST' })).toEqual({ bytes: [] });
  });

  it('is read whole up to its limit, in one piece or several', async () => {
    const ten = { bytes: Array(10).fill(0x61) };
    expect(await read({ method: 'POST', body: 'a'.repeat(10) })).toEqual(ten);
    expect(await read({ method: 'POST', body: stream('aaaaa', 'aaaaa') })).toEqual(ten);
  });

  it('of one byte more is refused, whether it says so or not', async () => {
    const tooLarge = { kind: 'body-too-large', bodyBytesMax: 10 };
    expect(await read({ method: 'POST', body: stream('aaaaa', 'aaaaaa') })).toEqual(tooLarge);
    expect(await read({ method: 'POST', body: 'a'.repeat(11), headers: { 'content-length': '11' } })).toEqual(
      tooLarge,
    );
  });
});

it('the schedule sweeps without a request', async () => {
  await env.DB.exec(
    "INSERT INTO events (udid, revision, position, kind, at_ms, data) VALUES ('OLD', 1, 0, 'status-error', 0, '{}')",
  );
  const ctx = createExecutionContext();
  await worker.scheduled(createScheduledController({ scheduledTime: new Date() }), env as Env);
  await waitOnExecutionContext(ctx);
  expect(await env.DB.prepare('SELECT count(*) AS n FROM events').first('n')).toBe(0);
});

it('one sweep that fails keeps none of the others from its work, and is reported', async () => {
  await env.DB.exec(
    "INSERT INTO events (udid, revision, position, kind, at_ms, data) VALUES ('OLD', 2, 0, 'status-error', 0, '{}')",
  );
  await env.DB.exec("INSERT INTO manifest_due (udid, change_id, since_ms) VALUES ('STRANGER-0001', 'c', 0)");
  const asked = vi.spyOn(QueueDue.prototype, 'ask').mockResolvedValue();
  vi.spyOn(CommandSweeper.prototype, 'sweep').mockRejectedValue(
    new Fault('test', 'a command that nobody can tell of'),
  );
  const swept = worker.scheduled(createScheduledController({ scheduledTime: new Date() }), env as Env);
  await expect(swept).rejects.toThrow('a command that nobody can tell of');
  expect(asked).toHaveBeenCalledOnce();
  expect(await env.DB.prepare('SELECT count(*) AS n FROM events').first('n')).toBe(0);
  await env.DB.exec('DELETE FROM manifest_due');
});
