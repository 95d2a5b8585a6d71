/**
 * What a simulated device lives in: a way to send requests, the authority that made it, dice, and an observer.
 * Every exchange goes through `exchange`, which is also where a device's oldest fear is checked: an answer that
 * would make it unenroll (401, or the document `com.apple.unrecognized.device`) ends the simulation at once.
 */
import { Buffer } from 'node:buffer';
import {
  extension,
  fromPem,
  issueCertificate,
  type NameParts,
  OID,
  readCertificate,
  toPem,
  type X509,
} from './certificate.ts';
import { octetString } from './der.ts';
import { DeviceKey, KeyPool } from './keys.ts';
import { Random } from './random.ts';

export interface DeviceCa {
  /** The first certificate signs the leaves; any further ones are sent along as intermediates. */
  readonly certificatePem: string;
  readonly keyPem: string;
}

export interface TraceEvent {
  /** The device's name: `iPhone`, `Watch`, or what it was given. */
  readonly who: string;
  /** What the exchange was for: `Authenticate`, `SCEP PKIOperation`, `GET link`. */
  readonly step: string;
  readonly method: string;
  readonly path: string;
  /** A few words, no secrets: `MachineInfo, CMS SHA-1, 1,532 bytes`. */
  readonly sent: string;
  /** Null when no reply arrived. */
  readonly status: number | null;
  readonly answered: string;
  readonly elapsedMs: number;
  readonly note?: string;
}

/** How a device itself misbehaves; the network's part is a wrapper around `send` (mischief.ts). */
export interface DeviceMischief {
  readonly notNow: number;
  readonly resendResult: number;
  readonly doubleTokenUpdate: number;
  readonly doubleAuthenticate: number;
}

export interface World {
  send(request: Request): Promise<Response>;
  readonly baseUrl: string;
  readonly deviceCa: DeviceCa;
  readonly random: Random;
  readonly keys: KeyPool;
  readonly mischief?: DeviceMischief;
  trace?(event: TraceEvent): void;
}

export interface WorldOptions {
  readonly baseUrl: string;
  readonly deviceCa: DeviceCa;
  /** Defaults to `fetch`, following no redirects. */
  readonly send?: (request: Request) => Promise<Response>;
  readonly seed?: number;
  readonly keys?: KeyPool;
  readonly mischief?: DeviceMischief;
  readonly trace?: (event: TraceEvent) => void;
}

export function createWorld(options: WorldOptions): World {
  return {
    send: options.send ?? ((request) => fetch(request)),
    baseUrl: options.baseUrl.replace(/\/$/, ''),
    deviceCa: options.deviceCa,
    random: new Random(options.seed),
    keys: options.keys ?? new KeyPool(),
    ...(options.mischief === undefined ? {} : { mischief: options.mischief }),
    ...(options.trace === undefined ? {} : { trace: options.trace }),
  };
}

/** The server did what a device would not put up with. */
export class SimulatorError extends Error {
  readonly expected: string;

  constructor(where: string, expected: string, got: string) {
    super(`${where}: expected ${expected}, got ${got}`);
    this.name = 'SimulatorError';
    this.expected = expected;
  }
}

/** Thrown by a `send` whose request arrived and whose reply did not. The device sends the same bytes again. */
export class ReplyLost extends Error {}

export interface Outgoing {
  readonly step: string;
  readonly method: 'GET' | 'POST' | 'PUT';
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
  readonly sent: string;
  readonly note?: string;
}

export interface Reply {
  readonly status: number;
  readonly contentType: string;
  readonly headers: Headers;
  readonly body: Buffer;
}

const ATTEMPTS_MAX = 8;

export async function exchange(world: World, who: string, outgoing: Outgoing): Promise<Reply> {
  const path = new URL(outgoing.url).pathname;
  for (let attempt = 1; ; attempt++) {
    const startedMs = performance.now();
    const request = new Request(outgoing.url, {
      method: outgoing.method,
      headers: { ...outgoing.headers },
      redirect: 'manual',
      ...(outgoing.body === undefined ? {} : { body: Uint8Array.from(outgoing.body) }),
    });
    const event = { who, step: outgoing.step, method: outgoing.method, path, sent: outgoing.sent };
    try {
      const response = await world.send(request);
      const reply: Reply = {
        status: response.status,
        contentType: response.headers.get('content-type') ?? '',
        headers: response.headers,
        body: Buffer.from(await response.arrayBuffer()),
      };
      const note = attempt > 1 ? `attempt ${attempt}` : outgoing.note;
      world.trace?.({
        ...event,
        status: reply.status,
        answered: summary(reply),
        elapsedMs: performance.now() - startedMs,
        ...(note === undefined ? {} : { note }),
      });
      refuseUnenrollment(`${who}, ${outgoing.step}`, reply);
      return reply;
    } catch (error) {
      if (!(error instanceof ReplyLost) || attempt >= ATTEMPTS_MAX) throw error;
      const elapsedMs = performance.now() - startedMs;
      world.trace?.({ ...event, status: null, answered: 'reply lost', elapsedMs, note: 'sends it again' });
    }
  }
}

function refuseUnenrollment(where: string, reply: Reply): void {
  if (reply.status === 401 || reply.body.includes('com.apple.unrecognized.device')) {
    throw new SimulatorError(
      where,
      'no 401 and no com.apple.unrecognized.device',
      'one: the device would unenroll',
    );
  }
}

function summary(reply: Reply): string {
  if (reply.body.length === 0) return 'empty';
  const type = reply.contentType.split(';')[0];
  if (type === 'application/json' || type === 'application/problem+json') {
    const text = reply.body.toString();
    return text.length <= 160 ? text : `JSON, ${reply.body.length} bytes`;
  }
  const command = /<key>RequestType<\/key>\s*<string>([^<]*)/.exec(
    type === 'application/xml' ? reply.body.toString() : '',
  );
  if (command !== null) return `command ${command[1]}`;
  if (type === 'application/xml' && reply.body.includes('<key>TokenData</key>'))
    return 'TokenData, a pairing token';
  return `${type === '' ? 'no type' : type}, ${reply.body.length.toLocaleString('en-US')} bytes`;
}

/** What a device was born with: key, leaf, and the chain it sends along. */
export interface DeviceIdentity {
  readonly key: DeviceKey;
  readonly certificate: X509;
  readonly chain: readonly X509[];
}

const DAY_MS = 86_400_000;

/**
 * A leaf as Apple's factory makes it: subject a bare `CN=<UUID>`, extension 1.2.840.113635.100.6.10.4.
 * `genuine` is the form of the public capture: RSA-1024 and SHA-1 (facts 19.10).
 */
export function bearIdentity(
  world: World,
  options: { key?: DeviceKey; genuine?: boolean; subject?: NameParts } = {},
): DeviceIdentity {
  const chain = fromPem(world.deviceCa.certificatePem).map((der) => readCertificate(der));
  const ca = chain[0];
  if (ca === undefined) throw new Error('the device CA holds no certificate');
  const key = options.key ?? (options.genuine ? DeviceKey.generate('rsa-1024') : world.keys.take());
  const der = issueCertificate({
    serial: Buffer.concat([Buffer.from([0x01]), world.random.bytes(9)]),
    subject: options.subject ?? [[OID.commonName, world.random.uuid()]],
    issuer: ca.subject,
    spki: key.spki,
    notBeforeMs: Math.max(ca.notBeforeMs, Date.now() - 400 * DAY_MS),
    notAfterMs: Math.min(ca.notAfterMs, Date.now() + 400 * DAY_MS),
    signWith: DeviceKey.fromPem(world.deviceCa.keyPem),
    hash: options.genuine ? 'SHA-1' : 'SHA-256',
    extensions: [extension(OID.appleDevice, octetString(Buffer.from('simulated')))],
  });
  return { key, certificate: readCertificate(der), chain };
}

/** An authority of our own making: the real one's stand-in for a test, or a forger's. */
export function createDeviceCa(name = 'Simulated Device CA', key = DeviceKey.generate()): DeviceCa {
  const subject: NameParts = [
    [OID.commonName, name],
    [OID.organization, 'Escapement Simulator'],
  ];
  const der = issueCertificate({
    serial: 1,
    subject,
    issuer: subject,
    spki: key.spki,
    notBeforeMs: Date.now() - 3650 * DAY_MS,
    notAfterMs: Date.now() + 3650 * DAY_MS,
    signWith: key,
    ca: true,
  });
  return { certificatePem: toPem(der), keyPem: key.toPem() };
}
