/**
 * The whole Worker through its front door, as devices and administrators reach it, with every exchange judged.
 * Devices come from the simulator; their RSA keys are fixed vectors, because making one takes 100 ms.
 */
import { env, exports } from 'cloudflare:workers';
import { Buffer } from 'node:buffer';
import { onTestFailed, vi } from 'vitest';
import {
  createWorld,
  type DeviceOptions,
  KeyPool,
  type Reply,
  ReplyLost,
  ScepFailure,
  SimulatedPhone,
  SimulatedWatch,
  SimulatorError,
  type World,
} from '../simulator/index.ts';
import deviceKeyPem from '../vectors/scep/device.key.pem?raw';
import otherKeyPem from '../vectors/scep/other.key.pem?raw';
import signerKeyPem from '../vectors/scep/signer.key.pem?raw';
import { type Exchange, judgeAnswer, ProfileJudge, QueueJudge, SecretWatch } from './judges.ts';

export const url = env.PUBLIC_URL;
export const keys = new KeyPool({ pems: [deviceKeyPem, signerKeyPem, otherKeyPem] });

export const secrets = new SecretWatch();
export const profiles = new ProfileJudge();
const queue = new QueueJudge();
/** Commands that an administrator ordered, by UUID. */
export const ordered = new Map<string, { readonly udid: string }>();

/** Every line that the Worker logged, instead of on the console. */
export const logged: string[] = [];
vi.spyOn(console, 'log').mockImplementation((...parts: unknown[]) => {
  logged.push(parts.map(String).join(' '));
});

secrets.add('administrator key', env.ADMIN_KEY);
secrets.add('storage key', env.STORAGE_KEY);
// Of its private exponent: the lines before it are the modulus, which stands in every signed profile.
secrets.add('authority key', env.CA_KEY.split('\n')[10]);
for (const key of (JSON.parse(env.TOKEN_KEYS) as { keys: { d: string }[] }).keys)
  secrets.add('token key', key.d);

/** One request to the Worker. What a device would not survive is thrown. */
export async function send(request: Request): Promise<Response> {
  const path = new URL(request.url).pathname;
  const judged = !path.startsWith('/api/');
  const sent =
    judged && request.body !== null ? Buffer.from(await request.clone().arrayBuffer()) : Buffer.alloc(0);
  const startedAt = queue.begin();
  const response = await exports.default.fetch(request);
  if (!judged) return response;
  const answered = Buffer.from(await response.clone().arrayBuffer());
  const exchange: Exchange = { path, sent, status: response.status, answered };
  judgeAnswer(exchange);
  profiles.see(exchange);
  secrets.see(exchange);
  if (path === '/mdm/connect') queue.end(startedAt, exchange);
  return response;
}

let seeds = 0;

export interface WorldChoice {
  readonly seed?: number;
  readonly send?: (request: Request) => Promise<Response>;
}

export function newWorld(choice: WorldChoice = {}): World {
  seeds += 1;
  return createWorld({
    baseUrl: url,
    deviceCa: { certificatePem: env.TEST_DEVICE_CA.certificate, keyPem: env.TEST_DEVICE_CA.key },
    keys,
    seed: choice.seed ?? Math.floor(Math.random() * 2 ** 20) * 1000 + seeds,
    send: choice.send ?? send,
  });
}

export type Json = Record<string, unknown>;

export async function adminReply(
  method: string,
  path: string,
  body?: Json,
): Promise<{ status: number; body: Json }> {
  const response = await send(
    new Request(`${url}/api/v1/${path}`, {
      method,
      headers: { authorization: `Bearer ${env.ADMIN_KEY}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    }),
  );
  const text = await response.text();
  return { status: response.status, body: text === '' ? {} : (JSON.parse(text) as Json) };
}

export async function admin(method: string, path: string, body?: Json): Promise<Json> {
  const reply = await adminReply(method, path, body);
  if (reply.status >= 300)
    throw new Error(`${method} ${path}: ${reply.status} ${JSON.stringify(reply.body)}`);
  return reply.body;
}

/** Queues a command and returns its UUID. */
export async function order(
  device: { readonly udid: string },
  requestType: string,
  more: Json = {},
): Promise<string> {
  const keys = requestType === 'DeviceInformation' ? { Queries: ['UDID'] } : {};
  const command = { RequestType: requestType, ...keys };
  const { commandUuid } = await admin('POST', `devices/${device.udid}/commands`, {
    command,
    push: false,
    ...more,
  });
  ordered.set(String(commandUuid), { udid: device.udid });
  return String(commandUuid);
}

export async function commandState(device: { readonly udid: string }, commandUuid: string): Promise<string> {
  return String((await admin('GET', `devices/${device.udid}/commands/${commandUuid}`))['state']);
}

export interface PhoneChoice extends DeviceOptions {
  readonly world?: World;
}

/** A link or a challenge whose answer was lost is spent; a person asks for another. */
export async function enrolledPhone(choice: PhoneChoice = {}): Promise<SimulatedPhone> {
  const { world = newWorld(), ...options } = choice;
  const phone = await SimulatedPhone.create(world, options);
  for (let attempt = 1; ; attempt++) {
    const { udid, serial } = phone;
    const link = await admin('POST', 'enrollment-links', { udid, serial, platform: 'iOS', signed: false });
    secrets.add('link code', String(link['code']));
    try {
      await phone.enrollByLink(String(link['url']));
      return phone;
    } catch (error) {
      const lost =
        error instanceof SimulatorError || error instanceof ScepFailure || error instanceof ReplyLost;
      if (!lost || attempt === 5) throw error;
    }
  }
}

/** Enrolled, watch enrollment assigned, and its configuration applied. */
export async function assignedPhone(choice: PhoneChoice = {}): Promise<SimulatedPhone> {
  const phone = await enrolledPhone(choice);
  await assign(phone);
  return phone;
}

export async function assign(phone: SimulatedPhone, anchors: readonly string[] = []): Promise<void> {
  await admin('PUT', `watch-enrollment/devices/${phone.udid}`, { anchors: [...anchors] });
  for (let i = 0; i < 20 && phone.watchEnrollmentUrl() === null; i++) await phone.connect();
  if (phone.watchEnrollmentUrl() === null) throw new Error('the phone never got its configuration');
}

export async function unpairedWatch(
  phone: SimulatedPhone,
  options: DeviceOptions = {},
): Promise<SimulatedWatch> {
  const watch = await SimulatedWatch.create(phone.world, options);
  watch.useEnrollmentUrl(phone.watchEnrollmentUrl() ?? `${url}/enroll/watch`);
  return watch;
}

export async function pairedWatch(
  phone: SimulatedPhone,
  options: DeviceOptions = {},
): Promise<SimulatedWatch> {
  const watch = await unpairedWatch(phone, options);
  const outcome = await watch.pairWith(phone);
  if (outcome.kind !== 'enrolled') throw new Error(`not paired: ${JSON.stringify(outcome)}`);
  return watch;
}

export type Listed = Json & { readonly timeline: Json[] };

/** The pairings of a watch as an administrator sees them, newest first. */
export async function pairingsOf(watch: { readonly udid: string }): Promise<Listed[]> {
  return (await admin('GET', `pairings?watch=${watch.udid}`))['items'] as Listed[];
}

export async function pairingOf(watch: { readonly udid: string }): Promise<Listed> {
  const [newest] = await pairingsOf(watch);
  if (newest === undefined) throw new Error('this watch has no pairing');
  return newest;
}

/** `step` or `step!reason`, oldest first. */
export function steps(pairing: { readonly timeline: readonly Json[] }): string[] {
  return pairing.timeline.map((entry) =>
    entry['reason'] ? `${entry['step']}!${entry['reason']}` : String(entry['step']),
  );
}

/** What the Worker logged since `from`, as objects. */
export function logSince(from: number): Json[] {
  return logged.slice(from).map((line) => JSON.parse(line) as Json);
}

export function put(
  path: string,
  body: Uint8Array | string,
  headers: Record<string, string> = {},
): Promise<Response> {
  return send(new Request(`${url}${path}`, { method: 'PUT', headers, body: body as BodyInit }));
}

/** Prints what the scenario needs to be run again, if it fails. */
export function printOnFailure(what: () => string): void {
  onTestFailed(() => console.error(what()));
}

export type { Reply };
