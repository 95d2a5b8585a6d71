/**
 * A small HTTP/1.1 load generator, forked by the bench: a bounded number of keep-alive connections, one request
 * in flight on each, over bare sockets, so that on two cores the generator is not what is measured. Requests are
 * bytes made beforehand, taken in turn. Any answer but the expected status ends the run.
 */
import { connect } from 'node:net';

export interface LoadOrder {
  readonly port: number;
  /** Base64 of whole requests. */
  readonly requests: readonly string[];
  readonly connections: number;
  readonly durationMs: number;
  readonly status: number;
}

export interface LoadResult {
  readonly perSecond: number;
  readonly count: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly error: string | null;
}

if (process.send !== undefined) {
  process.on('message', (order: LoadOrder) => {
    void run(order).then((result) => process.send?.(result));
  });
  process.on('disconnect', () => process.exit());
}

async function run(order: LoadOrder): Promise<LoadResult> {
  const requests = order.requests.map((text) => Buffer.from(text, 'base64'));
  const latencies: number[] = [];
  let error: string | null = null;
  let next = 0;
  const startedAt = performance.now();
  const endsAt = startedAt + order.durationMs;
  const lane = () =>
    new Promise<void>((resolve) => {
      const socket = connect({ port: order.port, host: '127.0.0.1', noDelay: true });
      let sentAt = 0;
      let received = '';
      const finish = (reason?: string) => {
        error ??= reason ?? null;
        socket.destroy();
        resolve();
      };
      const send = () => {
        sentAt = performance.now();
        if (sentAt >= endsAt || error !== null) return finish();
        socket.write(requests[next++ % requests.length] as Buffer);
      };
      socket.on('connect', send);
      socket.on('error', (cause) => finish(cause.message));
      socket.on('data', (chunk) => {
        received += chunk.toString('latin1');
        if (!isWhole(received)) return;
        latencies.push(performance.now() - sentAt);
        const status = Number(received.slice(9, 12));
        if (status !== order.status) return finish(received.slice(0, 300));
        received = '';
        send();
      });
    });
  await Promise.all(Array.from({ length: order.connections }, lane));
  const seconds = (performance.now() - startedAt) / 1000;
  latencies.sort((a, b) => a - b);
  const at = (share: number) => latencies[Math.floor(latencies.length * share)] ?? 0;
  return {
    perSecond: latencies.length / seconds,
    count: latencies.length,
    p50Ms: at(0.5),
    p99Ms: at(0.99),
    error,
  };
}

function isWhole(response: string): boolean {
  const end = response.indexOf('\r\n\r\n');
  if (end < 0) return false;
  const length = /\r\ncontent-length: (\d+)/i.exec(response.slice(0, end));
  if (length !== null) return response.length >= end + 4 + Number(length[1]);
  return !/\r\ntransfer-encoding: chunked/i.test(response.slice(0, end)) || response.endsWith('0\r\n\r\n');
}
