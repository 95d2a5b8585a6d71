/**
 * The simulated APNs from another process, over HTTP on loopback:
 *
 *     GET  /deliveries?after=N[&token=hex][&waitMs=M]   → {deliveries: [{sequence, token, magic, id}], next}
 *     GET  /counts                                      → what was asked, accepted, refused
 *     POST /behaviors        {token: hex | "*", behavior: {kind, …} | null}
 *     POST /answer-delay     {delayMs}
 *     POST /goaway           {code?, reason?}      now, on every connection
 *     POST /goaway-plan      {afterRequests, times?, code?, reason?} | null
 *     POST /kill-connections
 *
 * Nothing here is Apple's, and nobody is asked who he is: it listens on loopback alone.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Behavior } from './behaviors.ts';
import { isReason } from './reasons.ts';
import type { GoawayPlan, SimulatedApns } from './server.ts';

const WAIT_MS_MAX = 60_000;

export class ApnsControl {
  readonly #server: Server;

  constructor(apns: SimulatedApns) {
    this.#server = createServer((request, response) => void serve(apns, request, response));
  }

  static async start(apns: SimulatedApns, port = 0): Promise<ApnsControl> {
    const control = new ApnsControl(apns);
    await new Promise<void>((resolve, reject) => {
      control.#server.once('error', reject);
      control.#server.listen(port, '127.0.0.1', resolve);
    });
    return control;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeAllConnections();
    await closed;
  }
}

async function serve(apns: SimulatedApns, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { pathname, searchParams } = new URL(request.url ?? '/', 'http://control');
  const reply = (status: number, body: object) => {
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(JSON.stringify(body));
  };
  if (request.method === 'GET' && pathname === '/counts') return reply(200, apns.counts);
  if (request.method === 'GET' && pathname === '/deliveries') {
    const after = Number(searchParams.get('after') ?? 0);
    const waitMs = Math.min(WAIT_MS_MAX, Number(searchParams.get('waitMs') ?? 0));
    const deliveries = await apns.mailbox.wait(after, waitMs, searchParams.get('token') ?? undefined);
    return reply(200, { deliveries, next: deliveries.at(-1)?.sequence ?? after });
  }
  if (request.method !== 'POST') return reply(404, { error: 'nothing is here' });
  const body = await readJson(request);
  return act(apns, pathname, body) ? reply(200, {}) : reply(400, { error: 'not understood' });
}

function act(apns: SimulatedApns, pathname: string, body: Readonly<Record<string, unknown>> | null): boolean {
  switch (pathname) {
    case '/behaviors':
      if (typeof body?.['token'] !== 'string') return false;
      apns.behaviors.set(body['token'], (body['behavior'] ?? null) as Behavior | null);
      return true;
    case '/answer-delay':
      apns.answerDelayMs = Number(body?.['delayMs'] ?? 0);
      return true;
    case '/goaway':
      apns.goaway(Number(body?.['code'] ?? 0), isReason(body?.['reason']) ? body['reason'] : null);
      return true;
    case '/goaway-plan':
      apns.goawayPlan = body as GoawayPlan | null;
      return true;
    case '/kill-connections':
      apns.killConnections();
      return true;
    default:
      return false;
  }
}

async function readJson(request: IncomingMessage): Promise<Readonly<Record<string, unknown>> | null> {
  let text = '';
  for await (const chunk of request) text += String(chunk);
  try {
    return JSON.parse(text === '' ? 'null' : text);
  } catch {
    // The caller is a test: it is told that it was not understood.
    return null;
  }
}
