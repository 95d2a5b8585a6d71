/**
 * One JSON line per event on standard output, where a service manager or a container runtime collects it.
 * Names and fields are closed lists: a device token, a PushMagic or a key has no field to travel in.
 */
export type RelayEvent =
  | 'started'
  | 'connected'
  | 'connection-failed'
  | 'connection-lost'
  | 'going-away'
  | 'push-request'
  | 'refused'
  | 'certificate-expiring'
  | 'stopping'
  | 'stopped'
  | 'fault';

export interface RelayFields {
  readonly topic?: string;
  readonly notAfter?: string;
  readonly host?: string;
  readonly port?: number;
  readonly apnsHost?: string;
  readonly signal?: string;
  readonly kind?: string;
  readonly status?: number;
  readonly count?: number;
  /** How many pushes ended in which way: `{"200": 498, "410 Unregistered": 2}`. */
  readonly answers?: Readonly<Record<string, number>>;
  readonly durationMs?: number;
  readonly retryInMs?: number;
  readonly streamsMax?: number;
  readonly unanswered?: number;
  readonly code?: string;
}

export interface RelayLog {
  event(name: RelayEvent, fields?: RelayFields): void;
}

export const consoleLog: RelayLog = {
  event(name, fields = {}) {
    console.log(JSON.stringify({ time: new Date().toISOString(), event: name, ...fields }));
  },
};

/** The stable word of an error: messages may quote what was sent, so they are not logged. */
export function codeOf(error: unknown): string {
  const code = (error as { code?: unknown } | null)?.code;
  if (typeof code === 'string') return code;
  return error instanceof Error ? error.name : 'unknown';
}
