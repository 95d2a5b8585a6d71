/**
 * One structured JSON line per event. The names and fields are closed lists: a secret has no field to travel
 * in, and a reader of logs finds every event here. Wire answers say little; these lines say exactly what.
 */

/** What may be logged. Values are identifiers, kinds, counts and times; never tokens, keys or bodies. */
export interface LogFields {
  readonly requestId?: string;
  readonly method?: string;
  readonly path?: string;
  readonly status?: number;
  readonly durationMs?: number;
  readonly udid?: string;
  readonly watchUdid?: string;
  readonly phoneUdid?: string;
  readonly pairingId?: string;
  readonly commandUuid?: string;
  readonly credentialId?: string;
  readonly deploymentId?: string;
  readonly messageType?: string;
  readonly step?: string;
  readonly refusal?: string;
  readonly reason?: string;
  readonly errorCode?: string;
  readonly error?: string;
  readonly count?: number;
  readonly source?: string;
}

export type LogEvent =
  | 'request'
  | 'device-refused'
  | 'enroll-refused'
  | 'enroll-answered'
  | 'pairing'
  | 'scep-refused'
  | 'scep-issued'
  | 'check-in'
  | 'wake'
  | 'drain-failed'
  | 'manifest-missed'
  | 'queue-failed'
  | 'deployment-missed'
  | 'command-given-up'
  | 'sweep'
  | 'admin'
  | 'unavailable'
  | 'fault';

export interface Log {
  event(name: LogEvent, fields: LogFields): void;
}

/** Writes to the console, where Workers Logs picks it up. */
export function consoleLog(context: LogFields = {}): Log {
  return {
    event(name, fields) {
      console.log(JSON.stringify({ event: name, ...context, ...fields }));
    },
  };
}
