/**
 * What the relay is told, by environment variables alone: a service manager, a container and a shell all have
 * them. Secrets may be given as text or as the name of a file (`…_FILE`). Everything is checked before the start.
 */
import { readFileSync } from 'node:fs';
import { BadSettings, type CredentialFiles } from './credentials.ts';

export interface Settings {
  readonly credentials: CredentialFiles;
  readonly key: Uint8Array;
  readonly host: string;
  readonly port: number;
  readonly tls: { readonly cert: string; readonly key: string } | null;
  readonly apnsHost: string;
  readonly apnsPort: number;
  readonly pushTimeoutMs: number;
  readonly connectionsMax: number;
  readonly pingIntervalMs: number;
  readonly throttleBaseSeconds: number;
}

export type Environment = Readonly<Record<string, string | undefined>>;

export const USAGE = `npm run relay: sends MDM pushes to APNs for a Worker. Settings come from the environment:

  RELAY_CERTIFICATE_FILE      the MDM push certificate, PEM (or RELAY_CERTIFICATE: the PEM itself)
  RELAY_CERTIFICATE_KEY_FILE  its private key, PEM (or RELAY_CERTIFICATE_KEY); RELAY_CERTIFICATE_KEY_PASSPHRASE
  RELAY_KEY_FILE              32 octets in base64, shared with the Worker (or RELAY_KEY)
  RELAY_HOST, RELAY_PORT      where to listen: 127.0.0.1, 8455
  RELAY_TLS_CERTIFICATE_FILE, RELAY_TLS_KEY_FILE   serve HTTPS
  RELAY_PLAIN_HTTP=allow      serve HTTP on an address other than loopback, inside a private network
  RELAY_APNS_HOST, RELAY_APNS_PORT                 api.push.apple.com, 443 (or 2197)
  RELAY_APNS_CA_FILE          believe these authorities instead of the public ones: for a simulator
  RELAY_PUSH_TIMEOUT_MS       each push is answered for within this: 6000
  RELAY_CONNECTIONS_MAX       connections to APNs: 2
  RELAY_PING_SECONDS          keep-alive: 60
  RELAY_THROTTLE_SECONDS      how long a device is left alone after its first 429: 30`;

export function readSettings(env: Environment): Settings {
  const host = env['RELAY_HOST'] ?? '127.0.0.1';
  const tls = readTls(env);
  if (tls === null && !isLoopback(host) && env['RELAY_PLAIN_HTTP'] !== 'allow') {
    throw new BadSettings(
      `RELAY_HOST is ${host}, and requests carry what wakes devices: give RELAY_TLS_CERTIFICATE_FILE and ` +
        'RELAY_TLS_KEY_FILE, or RELAY_PLAIN_HTTP=allow inside a private network',
    );
  }
  return {
    credentials: {
      certificatePem: required(env, 'RELAY_CERTIFICATE'),
      keyPem: required(env, 'RELAY_CERTIFICATE_KEY'),
      passphrase: env['RELAY_CERTIFICATE_KEY_PASSPHRASE'],
      caPem: text(env, 'RELAY_APNS_CA'),
    },
    key: readKey(required(env, 'RELAY_KEY')),
    host,
    port: whole(env, 'RELAY_PORT', { otherwise: 8455, min: 0, max: 65_535 }),
    tls,
    apnsHost: env['RELAY_APNS_HOST'] ?? 'api.push.apple.com',
    apnsPort: whole(env, 'RELAY_APNS_PORT', { otherwise: 443, min: 1, max: 65_535 }),
    pushTimeoutMs: whole(env, 'RELAY_PUSH_TIMEOUT_MS', { otherwise: 6000, min: 100, max: 60_000 }),
    connectionsMax: whole(env, 'RELAY_CONNECTIONS_MAX', { otherwise: 2, min: 1, max: 16 }),
    pingIntervalMs: whole(env, 'RELAY_PING_SECONDS', { otherwise: 60, min: 1, max: 3600 }) * 1000,
    throttleBaseSeconds: whole(env, 'RELAY_THROTTLE_SECONDS', { otherwise: 30, min: 1, max: 3600 }),
  };
}

/** Exactly 32 octets: a shorter key is a mistake, and so is a password put here. */
function readKey(base64: string): Uint8Array {
  const key = Buffer.from(base64.trim(), 'base64');
  if (key.length !== 32 || key.toString('base64') !== base64.trim()) {
    throw new BadSettings('RELAY_KEY is not 32 octets in base64 (openssl rand -base64 32)');
  }
  return key;
}

function readTls(env: Environment): Settings['tls'] {
  const cert = text(env, 'RELAY_TLS_CERTIFICATE');
  const key = text(env, 'RELAY_TLS_KEY');
  if (cert === undefined && key === undefined) return null;
  if (cert === undefined || key === undefined) {
    throw new BadSettings('RELAY_TLS_CERTIFICATE_FILE and RELAY_TLS_KEY_FILE go together');
  }
  return { cert, key };
}

function required(env: Environment, name: string): string {
  const value = text(env, name);
  if (value === undefined) throw new BadSettings(`${name}_FILE (or ${name}) is not set`);
  return value;
}

function text(env: Environment, name: string): string | undefined {
  const path = env[`${name}_FILE`];
  if (path === undefined) return env[name];
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new BadSettings(
      `${name}_FILE cannot be read: ${(error as NodeJS.ErrnoException).code ?? 'unknown'}`,
    );
  }
}

function whole(
  env: Environment,
  name: string,
  { otherwise, min, max }: { readonly otherwise: number; readonly min: number; readonly max: number },
): number {
  const value = env[name];
  if (value === undefined) return otherwise;
  if (!/^\d{1,9}$/.test(value) || Number(value) < min || Number(value) > max) {
    throw new BadSettings(`${name} is not a whole number from ${min} to ${max}`);
  }
  return Number(value);
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(?:\.\d{1,3}){3}$/.test(host);
}
