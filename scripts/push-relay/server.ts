/**
 * The relay's own door: `POST /v1/push` and `GET /v1/health`, for whoever signs (gate.ts) and nobody else. Over
 * HTTP on loopback, behind a tunnel or a proxy, or over TLS when given a certificate. Nothing is sent before the
 * whole request has been read, believed and checked; while stopping, new requests get 503 and nothing is lost.
 */
import {
  createServer as createHttpServer,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { BODY_BYTES_MAX, type PushRequest, type PushResult, parsePushRequest } from './contract.ts';
import { type Admission, type Gate, looksSigned } from './gate.ts';
import { codeOf, type RelayLog } from './log.ts';
import type { Asker, Sender } from './sender.ts';

export interface ServerOptions {
  readonly gate: Gate;
  readonly sender: Sender;
  readonly topic: string;
  readonly notAfterMs: number;
  readonly apnsHost: string;
  readonly log: RelayLog;
  readonly now: () => number;
  readonly tls: { readonly cert: string; readonly key: string } | null;
  /** Pushes taken in and not answered for yet. Above it a request is told to come back: 500 B each, so 10 MB. */
  readonly pendingMax: number;
}

/** Each may hold a body of 512 KiB: 64 MiB. */
const REQUESTS_MAX = 128;
const REQUEST_TIMEOUT_MS = 10_000;

interface Reply {
  readonly status: number;
  readonly body: object;
  readonly retryAfterSeconds?: number;
}

const REFUSED: Readonly<Record<Exclude<Admission, 'admitted'>, readonly [status: number, title: string]>> = {
  unsigned: [401, 'The request is not signed by the shared key'],
  skewed: [401, 'The signature is more than five minutes from this clock'],
  replayed: [401, 'This signature was seen before'],
  'signed-before-start': [503, 'Signed before this relay started: sign anew'],
  'memory-full': [503, 'Too many requests within ten minutes'],
};

export class RelayServer {
  readonly #options: ServerOptions;
  readonly #server: Server;
  #requests = 0;
  #stopping = false;

  constructor(options: ServerOptions) {
    this.#options = options;
    const handle = (request: IncomingMessage, response: ServerResponse) => {
      void this.#handle(request, response);
    };
    const limits = {
      requestTimeout: REQUEST_TIMEOUT_MS,
      headersTimeout: REQUEST_TIMEOUT_MS,
      maxHeaderSize: 8192,
    };
    this.#server = options.tls
      ? createHttpsServer({ ...limits, ...options.tls, minVersion: 'TLSv1.2' }, handle)
      : createHttpServer(limits, handle);
  }

  listen(host: string, port: number): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(port, host, () => resolve((this.#server.address() as AddressInfo).port));
    });
  }

  /** New requests are refused from now on; those under way are answered before the door closes. */
  async close(graceMs: number): Promise<void> {
    this.#stopping = true;
    await this.#options.sender.close(graceMs);
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeIdleConnections();
    const timer = setTimeout(() => this.#server.closeAllConnections(), 1000);
    await closed;
    clearTimeout(timer);
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const asker: Asker = { gone: false };
    response.on('close', () => {
      asker.gone = !response.writableFinished;
    });
    this.#requests++;
    try {
      answer(response, await this.#reply(request, asker), this.#stopping);
    } catch (error) {
      // Whoever breaks off while sending is gone, and nothing was begun for him.
      if (response.destroyed) return;
      // The one place where a fault becomes an answer; what it says may hold a body, so only its code is kept.
      this.#options.log.event('fault', { code: codeOf(error) });
      answer(response, problem(500, 'fault', 'The relay failed'), true);
    } finally {
      this.#requests--;
    }
  }

  async #reply(request: IncomingMessage, asker: Asker): Promise<Reply> {
    const { gate, now } = this.#options;
    const timestamp = header(request, 'escapement-timestamp');
    const signature = header(request, 'escapement-signature');
    if (!looksSigned(timestamp, signature)) return this.#refuse('unsigned');
    if (this.#requests > REQUESTS_MAX) return problem(503, 'busy', 'Too many requests at once', 1);
    const body = await readBody(request);
    if (body === null) return problem(413, 'too-large', `The body has more than ${BODY_BYTES_MAX} octets`);
    const { method = '', url: path = '' } = request;
    const admission = gate.admit({ method, path, timestamp, signature, body }, now());
    if (admission !== 'admitted') return this.#refuse(admission);
    if (path === '/v1/health' && method === 'GET') return { status: 200, body: this.#health() };
    if (path !== '/v1/push' || method !== 'POST') return problem(404, 'unknown-path', 'Nothing is here');
    return this.#push(body, asker);
  }

  async #push(body: Buffer, asker: Asker): Promise<Reply> {
    const { topic, sender, pendingMax, log } = this.#options;
    const parsed = parsePushRequest(body, topic);
    if (!parsed.ok) return problem(422, 'bad-request', parsed.problem);
    const { pushes } = parsed.value;
    if (this.#stopping) return problem(503, 'stopping', 'The relay is stopping', 5);
    if (sender.inFlight + pushes.length > pendingMax) {
      return problem(503, 'busy', 'Too many pushes are waiting for their answers', 1);
    }
    const startMs = performance.now();
    const results = await this.#sendAll(parsed.value, asker);
    const durationMs = Math.round(performance.now() - startMs);
    log.event('push-request', { count: pushes.length, answers: summary(results), durationMs });
    return { status: 200, body: { results } };
  }

  #sendAll({ pushes, expirationSeconds, ...common }: PushRequest, asker: Asker): Promise<PushResult[]> {
    const { sender, now } = this.#options;
    const expiresAtSeconds = expirationSeconds === 0 ? 0 : Math.floor(now() / 1000) + expirationSeconds;
    return Promise.all(pushes.map((push) => sender.send({ ...push, ...common, expiresAtSeconds }, asker)));
  }

  #health(): object {
    const { topic, notAfterMs, apnsHost, sender } = this.#options;
    const { connected, inFlight, sent, failed } = sender;
    return {
      topic,
      notAfter: new Date(notAfterMs).toISOString(),
      connected,
      apnsHost,
      inFlight,
      sent,
      failed,
    };
  }

  #refuse(kind: Exclude<Admission, 'admitted'>): Reply {
    const [status, title] = REFUSED[kind];
    this.#options.log.event('refused', { kind, status });
    return status === 503 ? problem(status, kind, title, 1) : problem(status, kind, title);
  }
}

function header(request: IncomingMessage, name: string): string | undefined {
  const value = request.headers[name];
  return typeof value === 'string' ? value : undefined;
}

/** The whole body, or null when it is larger than any good one; the rest is not read then. */
async function readBody(request: IncomingMessage): Promise<Buffer | null> {
  if (Number(request.headers['content-length'] ?? 0) > BODY_BYTES_MAX) return null;
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > BODY_BYTES_MAX) return null;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function answer(response: ServerResponse, reply: Reply, last: boolean): void {
  if (response.destroyed) return;
  const { status, body, retryAfterSeconds } = reply;
  response.writeHead(status, {
    'content-type': status === 200 ? 'application/json' : 'application/problem+json',
    'cache-control': 'no-store',
    ...(retryAfterSeconds === undefined ? {} : { 'retry-after': String(retryAfterSeconds) }),
    // After a body that was not read to its end the connection cannot be used again.
    ...(last || status === 413 || status === 401 ? { connection: 'close' } : {}),
  });
  response.end(JSON.stringify(body));
}

function problem(status: number, kind: string, title: string, retryAfterSeconds?: number): Reply {
  const body = { type: 'about:blank', title, status, kind };
  return retryAfterSeconds === undefined ? { status, body } : { status, body, retryAfterSeconds };
}

function summary(results: readonly PushResult[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { status, reason } of results) {
    const key = reason === null ? String(status) : `${status} ${reason}`;
    counts[key] = (counts[key] ?? 0) + 1;
  }
  return counts;
}
