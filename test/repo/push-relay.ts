/** A simulated APNs, a relay before it, and a Worker's hand that signs requests, for the tests of the push relay. */
import { createHash, createHmac, randomBytes, randomUUID } from 'node:crypto';
import type { PushResult } from '../../scripts/push-relay/contract.ts';
import type { RelayEvent, RelayFields, RelayLog } from '../../scripts/push-relay/log.ts';
import { type Relay, startRelay, type Tuning } from '../../scripts/push-relay/relay.ts';
import type { Settings } from '../../scripts/push-relay/settings.ts';
import { ApnsAuthority, type ApnsOptions, SimulatedApns } from '../simulator/apns/index.ts';

export const TOPIC = 'com.apple.mgmt.External.3f0c5f5e-5a43-4c52-9a0e-6f0d7a3a2b11';
export const KEY = randomBytes(32);
export const authority = new ApnsAuthority(Date.now());
export const serverPair = authority.issueServer();
export const pushPair = authority.issuePush({ topic: TOPIC });

export interface Push {
  readonly id: string;
  readonly token: string;
  readonly magic: string;
}

export interface Answered {
  readonly status: number;
  readonly headers: Headers;
  readonly body: {
    readonly results?: readonly PushResult[];
    readonly kind?: string;
    readonly title?: string;
    readonly [field: string]: unknown;
  };
}

export function makePushes(count: number): Push[] {
  return Array.from({ length: count }, () => ({
    id: randomUUID(),
    token: randomBytes(32).toString('hex'),
    magic: randomUUID().toUpperCase(),
  }));
}

export function requestOf(pushes: readonly Push[]): Record<string, unknown> {
  return { topic: TOPIC, pushType: 'mdm', priority: 10, expirationSeconds: 0, pushes };
}

export interface Signing {
  readonly key?: Uint8Array;
  readonly timestamp?: string;
  readonly method?: string;
  readonly path?: string;
}

/** The contract's signature, computed here as a Worker would: the relay's own code is what is tested. */
export function signed(text: string, signing: Signing = {}): Record<string, string> {
  const { key = KEY, timestamp = String(Date.now()), method = 'POST', path = '/v1/push' } = signing;
  const digest = createHash('sha256').update(text).digest('hex');
  const signature = createHmac('sha256', key)
    .update(`escapement-push/1\n${method} ${path}\n${timestamp}\n${digest}`)
    .digest('hex');
  return { 'Escapement-Timestamp': timestamp, 'Escapement-Signature': signature };
}

export async function post(
  port: number,
  text: string,
  headers: Record<string, string> = signed(text),
): Promise<Answered> {
  const response = await fetch(`http://127.0.0.1:${port}/v1/push`, { method: 'POST', headers, body: text });
  return { status: response.status, headers: response.headers, body: JSON.parse(await response.text()) };
}

export async function health(port: number): Promise<Answered> {
  const headers = signed('', { method: 'GET', path: '/v1/health' });
  const response = await fetch(`http://127.0.0.1:${port}/v1/health`, { headers });
  return { status: response.status, headers: response.headers, body: JSON.parse(await response.text()) };
}

/** The results in the order asked, one for each: whatever happened, this holds. */
export async function push(port: number, pushes: readonly Push[]): Promise<readonly PushResult[]> {
  const { status, body } = await post(port, JSON.stringify(requestOf(pushes)));
  if (status !== 200) throw new Error(`the relay answered ${status} ${body.kind}`);
  const results = body.results ?? [];
  const ids = results.map(({ id }) => id);
  if (ids.join() !== pushes.map(({ id }) => id).join()) throw new Error('not each push once, in order');
  return results;
}

export class RecordedLog implements RelayLog {
  readonly lines: { readonly name: RelayEvent; readonly fields: RelayFields }[] = [];

  event(name: RelayEvent, fields: RelayFields = {}): void {
    this.lines.push({ name, fields });
  }

  count(name: RelayEvent): number {
    return this.lines.filter((line) => line.name === name).length;
  }
}

export interface Stage {
  readonly apns: SimulatedApns;
  readonly relay: Relay;
  readonly log: RecordedLog;
  close(): Promise<void>;
}

export function settingsFor(apnsPort: number, changes: Partial<Settings> = {}): Settings {
  return {
    credentials: { ...pushPair, caPem: authority.certificatePem },
    key: KEY,
    host: '127.0.0.1',
    port: 0,
    tls: null,
    apnsHost: '127.0.0.1',
    apnsPort,
    pushTimeoutMs: 20_000,
    connectionsMax: 2,
    pingIntervalMs: 60_000,
    throttleBaseSeconds: 30,
    ...changes,
  };
}

/** Waits shortened to what a test has: the order of things is what is looked at, never their time. */
export const QUICK: Tuning = {
  timings: { connectTimeoutMs: 10_000, pingIntervalMs: 60_000, pingTimeoutMs: 200 },
  reconnect: { baseMs: 10, capMs: 100 },
  retry: { baseMs: 5, capMs: 50 },
  connectionAgeMsMin: 0,
};

export async function openStage(
  options: {
    readonly apns?: Partial<ApnsOptions>;
    readonly settings?: Partial<Settings>;
    readonly tuning?: Tuning;
  } = {},
): Promise<Stage> {
  const apns = await SimulatedApns.start({
    server: serverPair,
    caPem: authority.certificatePem,
    ...options.apns,
  });
  const log = new RecordedLog();
  const settings = settingsFor(apns.port, options.settings);
  const relay = await startRelay(settings, log, { ...QUICK, ...options.tuning });
  return {
    apns,
    relay,
    log,
    async close() {
      await relay.close();
      await apns.stop();
    },
  };
}

export async function until(holds: () => boolean | Promise<boolean>, what: string): Promise<void> {
  for (let waitedMs = 0; waitedMs < 30_000; waitedMs += 20) {
    if (await holds()) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`in vain waited for: ${what}`);
}

/** `{"200": 3, "0 timeout": 1}` */
export function tally(results: readonly PushResult[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { status, reason } of results) {
    const key = reason === null ? String(status) : `${status} ${reason}`;
    counts[key] = (counts[key] ?? 0) + 1;
  }
  return counts;
}
