/**
 * One HTTP/2 connection to APNs (RFC 9113) and the pushes on it. It says of each push which of three things is
 * true: APNs answered; APNs promised that it did not look at it (a refused stream, or one above a GOAWAY's last
 * stream, §6.8), so that it may be sent again; or nobody knows. It retries nothing and waits for nothing itself.
 */
import {
  type ClientHttp2Session,
  connect,
  constants,
  type IncomingHttpHeaders,
  type IncomingHttpStatusHeader,
  type OutgoingHttpHeaders,
  sensitiveHeaders,
} from 'node:http2';
import { isIP } from 'node:net';
import { type SecureContext, type TLSSocket, connect as tlsConnect } from 'node:tls';
import { codeOf } from './log.ts';

export interface ApnsAddress {
  readonly host: string;
  readonly port: number;
  readonly context: SecureContext;
}

export interface ConnectionTimings {
  /** TCP, TLS and the peer's SETTINGS together. */
  readonly connectTimeoutMs: number;
  readonly pingIntervalMs: number;
  readonly pingTimeoutMs: number;
}

/** One push, with everything that goes on the wire. */
export interface ApnsPush {
  readonly id: string;
  readonly token: string;
  readonly magic: string;
  readonly topic: string;
  readonly pushType: string;
  readonly priority: number;
  /** Seconds since 1970, or 0: the header `apns-expiration`. */
  readonly expiresAtSeconds: number;
}

export interface ApnsAnswer {
  readonly kind: 'answered';
  readonly status: number;
  readonly reason: string | null;
  readonly timestampMs: number | null;
  readonly retryAfterSeconds: number | null;
}

export type Answer = ApnsAnswer | { readonly kind: 'refused' } | { readonly kind: 'unknown' };

export interface ConnectionEvents {
  /** SETTINGS have come: pushes may be sent. */
  opened(): void;
  /** GOAWAY, or `retire`: no more pushes on this one; those on it may still be answered. */
  leaving(reason: string): void;
  /** The last event. Every push has been answered for by now. */
  closed(code: string): void;
  /** A stream ended, or the peer changed how many it allows. */
  room(): void;
}

/** Our own bound beside the peer's; Apple announces 1,000. */
const STREAMS_MAX = 1000;
/** APNs' answers are one small JSON object. */
const ANSWER_BYTES_MAX = 4096;

type State = 'connecting' | 'open' | 'leaving' | 'closed';

export class Connection {
  readonly #socket: TLSSocket;
  readonly #session: ClientHttp2Session;
  readonly #timings: ConnectionTimings;
  readonly #events: ConnectionEvents;
  #state: State = 'connecting';
  #streams = 0;
  /** The GOAWAY's: streams above it were not looked at. */
  #lastStreamId = Number.POSITIVE_INFINITY;
  #closeCode = 'closed';
  #timer: NodeJS.Timeout | undefined;
  #pingTimer: NodeJS.Timeout | undefined;
  #openedAtMs = 0;
  /** How many pushes were answered on it: none makes it a failed one. */
  answered = 0;

  constructor(address: ApnsAddress, timings: ConnectionTimings, events: ConnectionEvents) {
    this.#timings = timings;
    this.#events = events;
    this.#timer = setTimeout(() => this.#fail('connect-timeout'), timings.connectTimeoutMs);
    this.#socket = openSocket(address);
    this.#session = connect(`https://${authority(address)}`, { createConnection: () => this.#socket });
    this.#session.on('remoteSettings', () => (this.#state === 'connecting' ? this.#open() : events.room()));
    this.#session.on('goaway', (code, lastStreamId, debug) => {
      this.#lastStreamId = lastStreamId;
      this.#leave(reasonIn(debug) ?? `error ${code}`);
    });
    this.#session.on('error', (error) => {
      if (this.#closeCode === 'closed') this.#closeCode = codeOf(error);
    });
    this.#session.on('close', () => this.#close());
  }

  get state(): State {
    return this.#state;
  }

  get ageMs(): number {
    return this.#openedAtMs === 0 ? 0 : performance.now() - this.#openedAtMs;
  }

  get streamsMax(): number {
    return Math.min(STREAMS_MAX, this.#session.remoteSettings?.maxConcurrentStreams ?? STREAMS_MAX);
  }

  hasRoom(): boolean {
    return this.#state === 'open' && this.#streams < this.streamsMax;
  }

  /** Calls `settle` once; the result takes the push back, after which it is called with `unknown`. */
  send(push: ApnsPush, settle: (answer: Answer) => void): () => void {
    let stream: ReturnType<ClientHttp2Session['request']>;
    try {
      stream = this.#session.request(headersOf(push));
    } catch {
      // The session ended within this very turn: nothing was sent.
      queueMicrotask(() => settle({ kind: 'refused' }));
      return () => undefined;
    }
    this.#streams++;
    let head: Head | null = null;
    const body: Buffer[] = [];
    let size = 0;
    stream.on('response', (headers) => {
      head = headers;
    });
    stream.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size <= ANSWER_BYTES_MAX) body.push(chunk);
    });
    // 'close' follows every error, and what decides is whether an answer came.
    stream.on('error', () => undefined);
    stream.on('close', () => {
      this.#streams--;
      settle(this.#answer(head, Buffer.concat(body), stream));
      this.#endWhenIdle();
      this.#events.room();
    });
    stream.end(JSON.stringify({ mdm: push.magic }));
    return () => stream.close(constants.NGHTTP2_CANCEL);
  }

  #answer(head: Head | null, body: Buffer, stream: { id?: number | undefined; rstCode: number }): Answer {
    if (head !== null) {
      this.answered++;
      return readAnswer(head, body);
    }
    const unseen = stream.id === undefined || stream.id > this.#lastStreamId;
    return unseen || stream.rstCode === constants.NGHTTP2_REFUSED_STREAM
      ? { kind: 'refused' }
      : { kind: 'unknown' };
  }

  /** No more pushes on this connection; it closes when those on it have been answered. */
  retire(reason: string): void {
    if (this.#state === 'connecting') this.destroy();
    else this.#leave(reason);
  }

  /** Asks whether the peer is still there; an unanswered PING ends the connection. */
  check(): void {
    if (this.#pingTimer !== undefined || this.#session.destroyed) return;
    this.#pingTimer = setTimeout(() => this.#fail('ping-timeout'), this.#timings.pingTimeoutMs);
    this.#session.ping(() => {
      clearTimeout(this.#pingTimer);
      this.#pingTimer = undefined;
    });
  }

  destroy(): void {
    this.#session.destroy();
    this.#socket.destroy();
  }

  #open(): void {
    clearTimeout(this.#timer);
    this.#state = 'open';
    this.#openedAtMs = performance.now();
    this.#timer = setInterval(() => this.check(), this.#timings.pingIntervalMs);
    this.#events.opened();
  }

  #leave(reason: string): void {
    if (this.#state !== 'open') return;
    this.#state = 'leaving';
    this.#events.leaving(reason);
    this.#endWhenIdle();
  }

  /** Observed (Node 22.23): after a GOAWAY a session only half-closes its socket, and waits for ever for the peer. */
  #endWhenIdle(): void {
    if (this.#state === 'leaving' && this.#streams === 0) setImmediate(() => this.destroy());
  }

  #fail(code: string): void {
    this.#closeCode = code;
    this.destroy();
  }

  #close(): void {
    clearTimeout(this.#timer);
    clearTimeout(this.#pingTimer);
    this.#state = 'closed';
    this.#events.closed(this.#closeCode);
  }
}

/** The name is checked against the server's certificate, and sent as SNI when it is no address. */
function openSocket({ host, port, context }: ApnsAddress): TLSSocket {
  const servername = isIP(host) === 0 ? host : '';
  const socket = tlsConnect({ host, port, servername, ALPNProtocols: ['h2'], secureContext: context });
  // The session reports it; once that has let go of the socket, nobody would, and the process would end.
  socket.on('error', () => undefined);
  return socket;
}

type Head = IncomingHttpHeaders & IncomingHttpStatusHeader;

function authority({ host, port }: ApnsAddress): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`;
}

/** The path and the identifier differ every time: kept out of the header table, as Apple asks. */
function headersOf(push: ApnsPush): OutgoingHttpHeaders {
  return {
    ':method': 'POST',
    ':path': `/3/device/${push.token}`,
    'apns-id': push.id,
    'apns-topic': push.topic,
    'apns-push-type': push.pushType,
    'apns-priority': String(push.priority),
    'apns-expiration': String(push.expiresAtSeconds),
    [sensitiveHeaders]: [':path', 'apns-id'],
  };
}

function readAnswer(head: Head, body: Buffer): ApnsAnswer {
  const { reason, timestamp } = readObject(body);
  const asked = Number(head['retry-after']);
  return {
    kind: 'answered',
    status: head[':status'] ?? 0,
    reason: word(reason),
    timestampMs: typeof timestamp === 'number' && Number.isFinite(timestamp) ? timestamp : null,
    retryAfterSeconds: asked > 0 && asked <= 86_400 ? Math.ceil(asked) : null,
  };
}

function reasonIn(debug: Uint8Array | undefined): string | null {
  return debug === undefined ? null : word(readObject(Buffer.from(debug))['reason']);
}

/** Reasons are single words; anything else is not repeated. */
function word(value: unknown): string | null {
  return typeof value === 'string' && /^[A-Za-z]{1,64}$/.test(value) ? value : null;
}

function readObject(body: Buffer): Readonly<Record<string, unknown>> {
  // Every 200: an exception each would be a third of the relay's work.
  if (body.length === 0) return {};
  try {
    const value: unknown = JSON.parse(body.toString());
    return typeof value === 'object' && value !== null ? { ...value } : {};
  } catch {
    // An answer without a body, cut off, or from a proxy in between: its status says enough.
    return {};
  }
}
