/** One device's object, the real one, with D1 behind it: what the object's and the queue's tests start from. */
import { runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { type MockInstance, vi } from 'vitest';
import type { CommandPriority, NewCommand } from '../../src/domain/admin/command-services.ts';
import type { ReportStatus } from '../../src/domain/command/queue.ts';
import type { ManifestEntry } from '../../src/domain/declaration/manifest.ts';
import type { DeclarationReport, Device } from '../../src/domain/enrollment/device.ts';
import type { ExpectedIdentity } from '../../src/domain/enrollment/state.ts';
import type { CredentialOrigin } from '../../src/domain/identity/ports.ts';
import { VerifiedDevice } from '../../src/domain/identity/verified-device.ts';
import type { CommandUuid, Udid } from '../../src/domain/ids.ts';
import { StorageKey } from '../../src/domain/storage-key.ts';
import { ObjectDevices } from '../../src/durable/device/gateway.ts';
import type { DeviceObject } from '../../src/index.ts';
import { sha256Hex } from '../../src/pki/digest.ts';
import { randomUuid } from '../../src/pki/random.ts';
import { importSealKey } from '../../src/pki/seal.ts';
import type { PlistDict, PlistValue } from '../../src/protocol/plist/value.ts';
import { type Bytes, readUtf8, utf8 } from '../../src/std/bytes.ts';
import { addMs, type EpochMs, epochMs } from '../../src/std/time.ts';
import { D1CertificateRecords } from '../../src/storage/d1/certificates.ts';
import { type Bound, Database } from '../../src/storage/d1/database.ts';
import { D1KeyMark } from '../../src/storage/d1/key-mark.ts';
import { commandsFor, fleetFor } from '../../src/wiring.ts';
import { serial, udid, value } from './pairing.ts';

export const devices = new ObjectDevices(env.DEVICE);
export const scheduled = fleetFor(env);
/** As the Worker has them, both ends of the queue included. */
export const database = new Database(env.DB);
export const storageKey = await storageKeyOf(env.STORAGE_KEY);
export const fleet = { ...scheduled, ...commandsFor(env, scheduled, storageKey) };

/** A key as a deployment over this D1 has it. */
export async function storageKeyOf(base64: string): Promise<StorageKey> {
  return new StorageKey(await importSealKey(base64), new D1KeyMark(database));
}

const certificates = new D1CertificateRecords(database);

/** Alarms run on the runtime's clock, so stories are told near it. */
export const START = epochMs(Date.now());

export const FACTS = {
  topic: 'com.apple.mgmt.x',
  productName: 'Watch7,20',
  osVersion: '26.1',
  buildVersion: '23S35',
};

/** For stories about one command or one manifest: no device is asked to report anything, so none is told of it. */
export async function withoutSubscriptions(): Promise<void> {
  await env.DB.prepare(
    `INSERT OR REPLACE INTO subscriptions (platform, items, updated_at_ms) VALUES ('iOS', '[]', 0), ('watchOS', '[]', 0)`,
  ).run();
}

let made = 0;
let issued = 0;

export interface TestDevice {
  readonly udid: Udid;
  readonly object: Device;
  readonly stub: DurableObjectStub<DeviceObject>;
  /** The first certificate's digest. */
  readonly pin: string;
}

export interface DeviceChoice {
  readonly platform?: 'iOS' | 'watchOS';
  readonly pairingId?: string;
  /** Of a pairing. */
  readonly phone?: Udid;
}

/** Nothing has Authenticated yet; one certificate was issued for it. */
export async function newDevice(choice: DeviceChoice = {}): Promise<TestDevice> {
  made += 1;
  const name = udid(`DEVICE-${made}-${randomUuid().slice(0, 8)}`);
  const device = { udid: name, object: devices.of(name), stub: env.DEVICE.getByName(name), pin: '' };
  return { ...device, pin: await issue(device, choice) };
}

/** A further certificate; returns its digest. */
export async function issue(
  device: Pick<TestDevice, 'udid' | 'object'>,
  choice: DeviceChoice & {
    readonly renewalOf?: string;
    readonly atMs?: EpochMs;
    readonly permittedAtMs?: EpochMs;
  } = {},
): Promise<string> {
  const serialHex = randomUuid().replaceAll('-', '').toLowerCase();
  const digest = await sha256Hex(utf8(serialHex));
  // Each a moment after the one before: only a later certificate may begin the next enrollment.
  issued += 1;
  const { platform = 'watchOS', pairingId = null, renewalOf = null, permittedAtMs = null } = choice;
  const { phone = 'PHONE-0001' as Udid } = choice;
  const atMs = choice.atMs ?? addMs(START, issued);
  const identity: ExpectedIdentity = {
    digest,
    platform,
    serial: serial('SERIAL0001'),
    pairingId,
    phoneUdid: pairingId === null ? null : phone,
    renewalOf,
    issuedAtMs: atMs,
    permittedAtMs,
  };
  const origin: CredentialOrigin =
    pairingId === null ? { kind: 'link', linkId: 'x' } : { kind: 'pairing', pairingId, phoneUdid: phone };
  await certificates.insert({
    subject: { udid: device.udid, serial: identity.serial, platform, origin },
    credentialId: serialHex,
    certificateDigest: digest,
    certificateDer: utf8(serialHex),
    serialHex,
    notBeforeMs: START,
    notAfterMs: START,
    renewalOf,
  });
  await device.object.expectIdentity(identity);
  return digest;
}

export async function enrolledDevice(choice: DeviceChoice = {}): Promise<TestDevice> {
  const device = await newDevice(choice);
  await enroll(device, device.pin);
  return device;
}

export async function enroll(device: TestDevice, digest: string, nowMs = START): Promise<void> {
  value(await device.object.authenticate(digest, { ...FACTS, serial: null }, nowMs));
  value(await device.object.updateTokens(digest, tokens(), nowMs));
  await device.object.flush();
}

export function tokens(unlockToken: Bytes | null = null) {
  return { topic: FACTS.topic, pushToken: utf8('push token'), pushMagic: 'push magic', unlockToken };
}

/** What the Worker hands on of a status report that says no more than this. */
export function statusReport(
  over: Partial<DeclarationReport> & { readonly full?: boolean } = {},
): DeclarationReport {
  const { full = false, ...rest } = over;
  const status = { full, values: new Map(), errors: new Map() };
  const raw = { bytes: 0, kept: null };
  return { declarations: null, capabilities: null, status, raw, fleetItems: [], ...rest };
}

/**
 * Assigns the device these declarations and no others, and brings them into its manifest. Of a type that nobody
 * knows, so that none is withheld.
 */
export async function assignEntries(
  device: TestDevice,
  entries: readonly ManifestEntry[],
  nowMs = START,
): Promise<void> {
  const type = 'com.example.unknown';
  const run = (sql: string, ...bound: readonly Bound[]) => ({ sql, bound });
  await database.batch([
    run('DELETE FROM set_devices WHERE udid = ?', device.udid),
    run('DELETE FROM set_declarations WHERE set_name = ?', device.udid),
    run('INSERT OR IGNORE INTO sets (name, updated_at_ms) VALUES (?, ?)', device.udid, nowMs),
    run('INSERT INTO set_devices (set_name, udid, assigned_at_ms) VALUES (?1, ?1, ?2)', device.udid, nowMs),
    ...entries.flatMap(({ kind, identifier, serverToken }) => [
      run(
        `INSERT INTO declarations (identifier, kind, type, payload, server_token, updated_at_ms)
         VALUES (?, ?, ?, '{}', ?, ?)
         ON CONFLICT (identifier) DO UPDATE SET server_token = excluded.server_token`,
        identifier,
        kind,
        type,
        serverToken,
        nowMs,
      ),
      run('INSERT INTO set_declarations (set_name, identifier) VALUES (?, ?)', device.udid, identifier),
    ]),
  ]);
  await fleet.manifests.hold([device.udid], nowMs);
}

export interface OrderChoice {
  readonly uuid?: string;
  readonly priority?: CommandPriority;
  readonly expiresAtMs?: EpochMs;
  readonly nowMs?: EpochMs;
  readonly requestType?: string;
}

export function orderFor(device: TestDevice, commandUuid: CommandUuid, over: OrderChoice = {}): NewCommand {
  const { priority = 'normal', expiresAtMs = null, requestType = 'DeviceInformation' } = over;
  const command = new Map<string, PlistValue>([['RequestType', requestType]]);
  if (requestType === 'DeviceInformation') command.set('Queries', ['UDID']);
  return { udid: device.udid, commandUuid, requestType, command, priority, expiresAtMs, push: false };
}

/** Queued the way administrators queue it. */
export async function queueCommand(device: TestDevice, over: OrderChoice = {}): Promise<CommandUuid> {
  const commandUuid = (over.uuid ?? randomUuid()) as CommandUuid;
  value(await fleet.commands.enqueue(orderFor(device, commandUuid, over), over.nowMs ?? START));
  return commandUuid;
}

export interface ReportChoice {
  readonly nowMs?: EpochMs;
  readonly digest?: string;
  readonly content?: PlistDict;
}

/** One message on the command channel, as the Worker handles it. Returns the UUID of the command that came back. */
export async function connect(
  device: TestDevice,
  status: ReportStatus = 'Idle',
  commandUuid: CommandUuid | null = null,
  over: ReportChoice = {},
): Promise<CommandUuid | null> {
  const body = await exchange(device, status, commandUuid, over);
  return body === null ? null : commandIn(body);
}

/** Likewise, with the bytes that came back. */
export async function exchange(
  device: TestDevice,
  status: ReportStatus,
  commandUuid: CommandUuid | null,
  over: ReportChoice = {},
): Promise<Bytes | null> {
  const { nowMs = START, digest = device.pin, content = new Map() } = over;
  const caller = new VerifiedDevice(device.udid, digest);
  const own = { udid: device.udid, status, commandUuid, errorChain: [], userId: null, content };
  return value(await fleet.channel.connect(caller, { ...own, raw: utf8(`<${status}/>`) }, nowMs));
}

export function commandIn(body: Bytes): CommandUuid {
  const uuid = /<key>CommandUUID<\/key>\s*<string>([^<]+)/.exec(readUtf8(body) ?? '')?.[1];
  if (uuid === undefined) throw new Error('no CommandUUID in the answer');
  return uuid as CommandUuid;
}

/** A whole session: Idle, then an answer to each command until the server has no more. */
export async function session(
  device: TestDevice,
  answer: (commandUuid: CommandUuid) => ReportStatus = () => 'Acknowledged',
  over: { nowMs?: EpochMs; digest?: string } = {},
): Promise<CommandUuid[]> {
  const given: CommandUuid[] = [];
  for (let next = await connect(device, 'Idle', null, over); next !== null; ) {
    given.push(next);
    if (given.length > 500) throw new Error('a session without end');
    next = await connect(device, answer(next), next, over);
  }
  return given;
}

export async function stateOf(device: TestDevice, commandUuid: CommandUuid): Promise<string | undefined> {
  return (await fleet.commands.find(device.udid, commandUuid, START))?.state;
}

/** Rows of one of the object's tables. */
export function objectRows(device: TestDevice, sql: string): Promise<Record<string, SqlStorageValue>[]> {
  return runInDurableObject(device.stub, (_object, state) => state.storage.sql.exec(sql).toArray());
}

/** D1 refuses what `fails` says, until restored: writes of outboxes go through `batch`, queries through `prepare`. */
export function breakD1(
  method: 'batch' | 'prepare',
  fails: (...args: unknown[]) => boolean = () => true,
): MockInstance {
  const prototype = Object.getPrototypeOf(env.DB) as D1Database;
  const original = prototype[method] as (...args: unknown[]) => unknown;
  return vi.spyOn(prototype, method).mockImplementation(function (this: D1Database, ...args: unknown[]) {
    if (fails(...args)) throw new Error('D1_ERROR: simulated outage');
    return original.apply(this, args) as never;
  });
}

/** Counts SQL in D1 and in every object of this isolate. */
export async function countingSql<T>(
  act: () => Promise<T>,
): Promise<{ result: T; d1: number; objects: number }> {
  const sql = await runInDurableObject(env.DEVICE.getByName('COUNTING'), (_object, state) =>
    Object.getPrototypeOf(state.storage.sql),
  );
  const d1 = vi.spyOn(Object.getPrototypeOf(env.DB), 'prepare');
  const objects = vi.spyOn(sql, 'exec');
  try {
    const result = await act();
    return { result, d1: d1.mock.calls.length, objects: objects.mock.calls.length };
  } finally {
    d1.mockRestore();
    objects.mockRestore();
  }
}
