/**
 * Cloudflare's API on a loopback port, as far as a deployment needs it: one account that starts empty, and what
 * Wrangler and the deployment script create in it. It can lose the connection before or after any change, and then
 * stays away until it is told to come back, so that an interruption at each step can be played.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { FakeAccount, type Reply } from './account.ts';

export interface Change {
  readonly method: string;
  /** Below the account. */
  readonly path: string;
  readonly body: string;
}

/** Whether to lose the connection at this change, before it is made or after. */
export type Interruption = (change: Change) => 'before' | 'after' | null;

export interface FakeCloudflare {
  readonly url: string;
  readonly account: FakeAccount;
  /** Changes made since the last `comeBack`, in order. */
  readonly changes: readonly Change[];
  /** Everything that ever came in: method, path and body. */
  readonly received: readonly string[];
  /** Whether the interruption has happened. */
  readonly away: boolean;
  comeBack(next?: Interruption): void;
  stop(): Promise<void>;
}

const ROOT = '/client/v4';

export async function startFakeCloudflare(options: { readonly token: string }): Promise<FakeCloudflare> {
  const account = new FakeAccount();
  const received: string[] = [];
  let changes: Change[] = [];
  let away = false;
  let interruption: Interruption | null = null;

  function judge(request: IncomingMessage, body: Uint8Array): Reply | 'away' {
    const url = new URL(request.url ?? '/', 'http://fake');
    const method = request.method ?? 'GET';
    received.push(`${method} ${url.pathname}${url.search} ${Buffer.from(body).toString('latin1')}`);
    if (away) return 'away';
    if (request.headers.authorization !== `Bearer ${options.token}`) {
      return { status: 401, error: { code: 10000, message: 'Authentication error' } };
    }
    const call = {
      method,
      path: url.pathname.slice(ROOT.length),
      query: url.searchParams,
      type: request.headers['content-type'] ?? '',
      body,
    };
    if (!account.changes(call)) return account.answer(call);
    const change = {
      method,
      path: call.path.replace(`/accounts/${account.id}/`, ''),
      body: Buffer.from(body).toString('latin1'),
    };
    const lost = interruption?.(change) ?? null;
    away = lost !== null;
    if (lost === 'before') return 'away';
    changes.push(change);
    const reply = account.answer(call);
    return lost === 'after' ? 'away' : reply;
  }

  const server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => {
      const reply = judge(request, new Uint8Array(Buffer.concat(parts)));
      if (reply === 'away') request.socket.destroy();
      else send(response, reply);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}${ROOT}`,
    account,
    received,
    get changes() {
      return changes;
    },
    get away() {
      return away;
    },
    comeBack(next) {
      [changes, away, interruption] = [[], false, next ?? null];
    },
    stop: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}

function send(response: ServerResponse, reply: Reply): void {
  const errors = reply.error === undefined ? [] : [reply.error];
  const body = {
    success: errors.length === 0,
    errors,
    messages: [],
    result: reply.result ?? null,
    ...(Array.isArray(reply.result)
      ? { result_info: { page: 1, per_page: 100, total_pages: 1, count: reply.result.length } }
      : {}),
  };
  response.writeHead(reply.status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(body));
}
