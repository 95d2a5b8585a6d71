/**
 * APNs as a sender of MDM pushes meets it: HTTP/2 over TLS with a client certificate, one POST per push, a status
 * with a reason, GOAWAY, connections that end in the middle. Answers are judged when they are given: a push whose
 * stream has ended by then was not accepted, and is neither delivered nor counted.
 */
import { randomUUID } from 'node:crypto';
import { appendFileSync } from 'node:fs';
import {
  constants,
  createSecureServer,
  type Http2SecureServer,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import type { AddressInfo } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { type Behavior, Behaviors } from './behaviors.ts';
import type { PemPair } from './certificates.ts';
import { Mailbox } from './mailbox.ts';
import { REASONS, type Reason } from './reasons.ts';
import { judge, type Peer, type ReceivedPush } from './request.ts';

export interface ApnsOptions {
  readonly server: PemPair;
  /** Whose push certificates are good. */
  readonly caPem: string;
  readonly port?: number;
  /** Announced in SETTINGS; Apple's is 1,000. */
  readonly maxConcurrentStreams?: number;
  /** A certificate that is not good ends the handshake, instead of getting 403. */
  readonly refuseAtHandshake?: boolean;
  /** One line per accepted `apns-id`, on disk before the answer leaves: what a kill cannot make forgotten. */
  readonly journal?: string;
}

export interface Counts {
  readonly requests: number;
  readonly accepted: number;
  /** Accepted more than once under one `apns-id`. */
  readonly duplicates: number;
  readonly connections: number;
  readonly openConnections: number;
  /** The most streams ever open on one connection. */
  readonly streamsPeak: number;
  readonly byReason: Readonly<Record<string, number>>;
  /** What Apple would not complain of, but no device understands. */
  readonly defects: readonly string[];
}

/** After so many requests on a connection, leave it: streams above the last of them are not looked at. */
export interface GoawayPlan {
  readonly afterRequests: number;
  readonly times?: number;
  readonly code?: number;
  readonly reason?: Reason;
}

interface SessionState {
  requests: number;
  open: number;
  lastStreamId: number;
}

const BODY_BYTES_MAX = 16_384;

export class SimulatedApns {
  readonly behaviors = new Behaviors();
  readonly mailbox = new Mailbox();
  /** How long every answer takes. */
  answerDelayMs = 0;
  goawayPlan: GoawayPlan | null = null;
  readonly #options: ApnsOptions;
  readonly #server: Http2SecureServer;
  readonly #sockets = new Set<TLSSocket>();
  readonly #sessions = new Map<ServerHttp2Session, SessionState>();
  readonly #accepted = new Map<string, number>();
  readonly #received: ReceivedPush[] = [];
  readonly #byReason = new Map<string, number>();
  readonly #defects: string[] = [];
  #requests = 0;
  #connections = 0;
  #streamsPeak = 0;
  #goaways = 0;

  constructor(options: ApnsOptions) {
    this.#options = options;
    this.#server = createSecureServer({
      cert: options.server.certificatePem,
      key: options.server.keyPem,
      ca: options.caPem,
      requestCert: true,
      rejectUnauthorized: options.refuseAtHandshake ?? false,
      settings: { maxConcurrentStreams: options.maxConcurrentStreams ?? 1000 },
    });
    this.#server.on('secureConnection', (socket: TLSSocket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
    });
    this.#server.on('session', (session) => this.#begin(session));
    this.#server.on('stream', (stream, headers) => this.#receive(stream, headers));
    // A sender that breaks off is none of a server's troubles.
    this.#server.on('sessionError', () => undefined);
  }

  static async start(options: ApnsOptions): Promise<SimulatedApns> {
    const apns = new SimulatedApns(options);
    await new Promise<void>((resolve, reject) => {
      apns.#server.once('error', reject);
      apns.#server.listen(options.port ?? 0, '127.0.0.1', resolve);
    });
    return apns;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get counts(): Counts {
    return {
      requests: this.#requests,
      accepted: [...this.#accepted.values()].reduce((sum, times) => sum + times, 0),
      duplicates: [...this.#accepted.values()].filter((times) => times > 1).length,
      connections: this.#connections,
      openConnections: this.#sessions.size,
      streamsPeak: this.#streamsPeak,
      byReason: Object.fromEntries(this.#byReason),
      defects: this.#defects,
    };
  }

  /** Accepted pushes with their headers, in order. */
  get received(): readonly ReceivedPush[] {
    return this.#received;
  }

  timesAccepted(id: string): number {
    return this.#accepted.get(id) ?? 0;
  }

  /** On every connection, after the last stream it has seen: those under way are still answered. */
  goaway(code: number = constants.NGHTTP2_NO_ERROR, reason: Reason | null = null): void {
    for (const [session, state] of this.#sessions) {
      this.#leave(session, state, { lastStreamId: session.state.lastProcStreamID ?? 0, code, reason });
    }
  }

  /** Without a word, as when a machine is gone. */
  killConnections(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async stop(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.killConnections();
    await closed;
  }

  #begin(session: ServerHttp2Session): void {
    this.#connections++;
    this.#sessions.set(session, { requests: 0, open: 0, lastStreamId: Number.POSITIVE_INFINITY });
    session.on('close', () => this.#sessions.delete(session));
    session.on('error', () => undefined);
  }

  #receive(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
    const { session } = stream;
    const state = session === undefined ? undefined : this.#sessions.get(session as ServerHttp2Session);
    stream.on('error', () => undefined);
    if (session === undefined || state === undefined || (stream.id ?? 0) > state.lastStreamId) return;
    this.#requests++;
    state.requests++;
    state.open++;
    this.#streamsPeak = Math.max(this.#streamsPeak, state.open);
    stream.on('close', () => state.open--);
    const chunks: Buffer[] = [];
    let size = 0;
    stream.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size <= BODY_BYTES_MAX) chunks.push(chunk);
    });
    const peer = peerOf(session.socket as TLSSocket);
    stream.on('end', () => this.#judge(stream, headers, Buffer.concat(chunks), peer));
    this.#followPlan(session as ServerHttp2Session, state, stream);
  }

  #followPlan(session: ServerHttp2Session, state: SessionState, stream: ServerHttp2Stream): void {
    const plan = this.goawayPlan;
    if (plan === null || state.requests !== plan.afterRequests || this.#goaways >= (plan.times ?? 1)) return;
    this.#goaways++;
    const { code = constants.NGHTTP2_NO_ERROR, reason = null } = plan;
    this.#leave(session, state, { lastStreamId: stream.id ?? 0, code, reason });
  }

  #leave(
    session: ServerHttp2Session,
    state: SessionState,
    { lastStreamId, code, reason }: { lastStreamId: number; code: number; reason: Reason | null },
  ): void {
    state.lastStreamId = lastStreamId;
    session.goaway(code, lastStreamId, reason === null ? undefined : Buffer.from(JSON.stringify({ reason })));
  }

  #judge(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, body: Buffer, peer: Peer): void {
    const asked = headers['apns-id'];
    const id = typeof asked === 'string' ? asked : randomUUID().toUpperCase();
    const judgement = judge(headers, body, peer, id);
    if (judgement.kind === 'refused') {
      if (judgement.defect !== undefined) this.#defects.push(judgement.defect);
      this.#later(0, () => this.#refuse(stream, id, { kind: 'answer', reason: judgement.reason }));
      return;
    }
    const behavior = this.behaviors.take(judgement.push.token);
    const delayMs = behavior?.kind === 'slow' ? behavior.delayMs : 0;
    this.#later(delayMs, () => this.#act(stream, judgement.push, behavior));
  }

  #later(delayMs: number, act: () => void): void {
    const totalMs = delayMs + this.answerDelayMs;
    if (totalMs === 0) act();
    else setTimeout(act, totalMs);
  }

  #act(stream: ServerHttp2Stream, push: ReceivedPush, behavior: Behavior | null): void {
    if (!isAnswerable(stream, this.#sessions)) return;
    if (behavior?.kind === 'silent') return;
    if (behavior?.kind === 'answer') this.#refuse(stream, push.id, behavior);
    else if (behavior?.kind === 'refuse-stream') stream.close(constants.NGHTTP2_REFUSED_STREAM);
    else if (behavior?.kind === 'drop') this.#drop(stream);
    else {
      this.#accept(push);
      if (behavior?.kind === 'deliver-and-drop') this.#drop(stream);
      else stream.respond({ ':status': 200, 'apns-id': push.id }, { endStream: true });
    }
  }

  #drop(stream: ServerHttp2Stream): void {
    (stream.session as ServerHttp2Session).destroy();
  }

  #refuse(stream: ServerHttp2Stream, id: string, answer: Behavior & { readonly kind: 'answer' }): void {
    if (!isAnswerable(stream, this.#sessions)) return;
    const { reason, timestampMs, retryAfterSeconds } = answer;
    this.#byReason.set(reason, (this.#byReason.get(reason) ?? 0) + 1);
    stream.respond({
      ':status': REASONS[reason],
      'apns-id': id,
      'content-type': 'application/json',
      ...(retryAfterSeconds === undefined ? {} : { 'retry-after': String(retryAfterSeconds) }),
    });
    const timestamp = timestampMs ?? (REASONS[reason] === 410 ? Date.now() : undefined);
    stream.end(JSON.stringify(timestamp === undefined ? { reason } : { reason, timestamp }));
  }

  #accept(push: ReceivedPush): void {
    if (this.#options.journal !== undefined) appendFileSync(this.#options.journal, `${push.id}\n`);
    this.#accepted.set(push.id, (this.#accepted.get(push.id) ?? 0) + 1);
    this.#received.push(push);
    this.mailbox.deliver(push);
  }
}

/** Still open, and not above what a GOAWAY said would be looked at. */
function isAnswerable(
  stream: ServerHttp2Stream,
  sessions: ReadonlyMap<ServerHttp2Session, SessionState>,
): boolean {
  if (stream.destroyed || stream.closed || stream.session === undefined) return false;
  const state = sessions.get(stream.session as ServerHttp2Session);
  return state !== undefined && (stream.id ?? 0) <= state.lastStreamId;
}

function peerOf(socket: TLSSocket): Peer {
  const certificate = socket.getPeerCertificate();
  const uid = (certificate.subject as { UID?: unknown } | undefined)?.UID;
  return {
    presented: certificate.raw !== undefined,
    trusted: socket.authorized,
    topic: typeof uid === 'string' ? uid : null,
  };
}
