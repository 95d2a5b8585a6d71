/** The parts of a relay put together: credentials, connections, the gate and the door. Used by `main.ts` and by tests. */
import { readCredentials } from './credentials.ts';
import { Gate } from './gate.ts';
import type { RelayLog } from './log.ts';
import { Sender, type SenderOptions } from './sender.ts';
import { RelayServer } from './server.ts';
import type { Settings } from './settings.ts';

export interface Relay {
  readonly port: number;
  readonly topic: string;
  /** Resolves when everything taken in has been answered for and all connections are closed. */
  close(): Promise<void>;
}

/** Anything else that a test may want shorter than life. */
export type Tuning = Partial<
  Pick<SenderOptions, 'timings' | 'reconnect' | 'retry' | 'throttle' | 'triesMax' | 'connectionAgeMsMin'>
> & { readonly pendingMax?: number };

const DAY_MS = 86_400_000;
const WARN_DAYS = 30;

export async function startRelay(settings: Settings, log: RelayLog, tuning: Tuning = {}): Promise<Relay> {
  const now = Date.now;
  const { topic, notAfterMs, context } = readCredentials(settings.credentials, now());
  const { pendingMax = 20_000, ...sending } = tuning;
  const sender = new Sender({
    address: { host: settings.apnsHost, port: settings.apnsPort, context },
    timings: { connectTimeoutMs: 5000, pingIntervalMs: settings.pingIntervalMs, pingTimeoutMs: 5000 },
    connectionsMax: settings.connectionsMax,
    pushTimeoutMs: settings.pushTimeoutMs,
    reconnect: { baseMs: 250, capMs: 30_000 },
    retry: { baseMs: 200, capMs: 2000 },
    throttle: { baseMs: settings.throttleBaseSeconds * 1000, capMs: 3_600_000 },
    triesMax: 4,
    connectionAgeMsMin: 1000,
    log,
    now,
    ...sending,
  });
  const gate = new Gate({ key: settings.key, startedAtMs: now() });
  const { apnsHost, tls } = settings;
  const server = new RelayServer({ gate, sender, topic, notAfterMs, apnsHost, log, now, tls, pendingMax });
  const port = await server.listen(settings.host, settings.port);
  const notAfter = new Date(notAfterMs).toISOString();
  log.event('started', { topic, notAfter, host: settings.host, port, apnsHost });
  const warn = () => {
    if (notAfterMs - now() < WARN_DAYS * DAY_MS) log.event('certificate-expiring', { topic, notAfter });
  };
  warn();
  const daily = setInterval(warn, DAY_MS);
  return {
    port,
    topic,
    close() {
      clearInterval(daily);
      // A push in flight is answered for within its timeout; a little more for the answers to leave.
      return server.close(settings.pushTimeoutMs + 1000);
    },
  };
}
