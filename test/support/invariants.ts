/**
 * What must hold of everything stored, after any story (design section 9): single redemption, no command lost or
 * doubled, every certificate from one credential, every refusal with its reason, no secret in clear.
 */
import { listDurableObjectIds, runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { expect } from 'vitest';
import { logged, ordered, profiles, secrets } from './front-door.ts';

type Row = Record<string, unknown>;
type Tables = Record<string, Row[]>;

const SYSTEM = /^(_cf_|sqlite_|d1_)/;

export async function readD1(): Promise<Tables> {
  const names = await env.DB.prepare("SELECT name FROM sqlite_master WHERE type = 'table'").all<{
    name: string;
  }>();
  const own = names.results.map((row) => row.name).filter((name) => !SYSTEM.test(name));
  const results = await env.DB.batch<Row>(own.map((name) => env.DB.prepare(`SELECT * FROM ${name}`)));
  return Object.fromEntries(own.map((name, i) => [name, results[i]?.results ?? []]));
}

/** Everything in one object's SQLite. */
export function readObject(stub: DurableObjectStub): Promise<{ name: string; tables: Tables }> {
  return runInDurableObject(stub, (_object, state) => {
    const { sql } = state.storage;
    const names = sql.exec<{ name: string }>("SELECT name FROM sqlite_master WHERE type = 'table'").toArray();
    const own = names.map((row) => row.name).filter((name) => !SYSTEM.test(name));
    const tables = Object.fromEntries(
      own.map((name) => [name, sql.exec(`SELECT * FROM ${name}`).toArray() as Row[]]),
    );
    return { name: state.id.name ?? '', tables };
  });
}

async function readAll(namespace: DurableObjectNamespace): Promise<Map<string, Tables>> {
  const ids = await listDurableObjectIds(namespace);
  const objects = await Promise.all(ids.map((id) => readObject(namespace.get(id))));
  return new Map(objects.map(({ name, tables }) => [name, tables]));
}

/** Lets every object tell what it has to tell, or the objects of one device. */
export async function settle(only?: { readonly udid: string }): Promise<void> {
  const of = async <T extends Rpc.DurableObjectBranded>(namespace: DurableObjectNamespace<T>) => {
    if (only !== undefined) return [namespace.getByName(only.udid)];
    return (await listDurableObjectIds(namespace)).map((id) => namespace.get(id));
  };
  for (let round = 0; round < 5; round++) {
    const [devices, pairings] = [await of(env.DEVICE), await of(env.PAIRING)];
    await Promise.all(devices.map((stub) => stub.flush()));
    await Promise.all(pairings.map((stub) => runInDurableObject(stub, (object) => object.alarm())));
    const left = await Promise.all([...devices, ...pairings].map((stub) => count(stub, 'outbox')));
    if (left.every((rows) => rows === 0)) return;
  }
  throw new Error('an outbox never drained');
}

function count(stub: DurableObjectStub, table: string): Promise<number> {
  return runInDurableObject(stub, (_object, { storage: { sql } }) => {
    const there = sql.exec('SELECT 1 FROM sqlite_master WHERE name = ?', table).toArray().length > 0;
    return there ? (sql.exec(`SELECT count(*) AS n FROM ${table}`).one()['n'] as number) : 0;
  });
}

const rows = (tables: Tables | undefined, name: string): Row[] => tables?.[name] ?? [];

export async function checkInvariants(): Promise<void> {
  await settle();
  const d1 = await readD1();
  const devices = await readAll(env.DEVICE);
  const pairings = await readAll(env.PAIRING);
  const issuance = await readAll(env.ISSUANCE);
  checkPairings(d1, pairings);
  checkCommands(d1, devices);
  checkCertificates(d1, issuance);
  checkDevices(d1, devices);
  checkSecrets(d1, [...devices.values(), ...pairings.values(), ...issuance.values()]);
}

interface Entry {
  step: string;
  outcome: string;
  reason?: string;
}

function checkPairings(d1: Tables, objects: Map<string, Tables>): void {
  let redemptions = 0;
  for (const [watch, tables] of objects) {
    const live = new Set(rows(tables, 'challenges').map((row) => row['security_token']));
    for (const row of rows(tables, 'pairings')) {
      const timeline = JSON.parse(String(row['timeline'])) as Entry[];
      const redeemed = timeline.filter((entry) => entry.step === 'redeemed' && entry.outcome === 'ok').length;
      expect(redeemed, `redemptions of one security token of ${watch}`).toBe(
        row['redeemed_at_ms'] === null ? 0 : 1,
      );
      expect(redeemed === 1 && live.has(row['security_token']), `${watch}: redeemed and still live`).toBe(
        false,
      );
      redemptions += redeemed;
      const copy = rows(d1, 'pairings').find((one) => one['pairing_id'] === row['pairing_id']);
      expect(copy, `pairing ${row['pairing_id']} in D1`).toMatchObject({
        state: row['state'],
        watch_udid: watch,
      });
    }
  }
  expect(profiles.profiles, 'profiles bought, at most one a redemption').toBeLessThanOrEqual(redemptions);
  for (const row of rows(d1, 'pairings')) {
    for (const entry of JSON.parse(String(row['timeline'])) as Entry[]) {
      if (entry.outcome !== 'ok')
        expect(entry.reason, `a reason for ${entry.step} refused`).toMatch(/^[a-z-]+$/);
    }
  }
}

function checkCommands(d1: Tables, objects: Map<string, Tables>): void {
  const pending = rows(d1, 'commands');
  const history = new Set(rows(d1, 'command_history').map((row) => row['command_uuid']));
  const waiting = new Set(pending.map((row) => row['command_uuid']));
  for (const commandUuid of ordered.keys()) {
    const places = Number(history.has(commandUuid)) + Number(waiting.has(commandUuid));
    expect(places, `command ${commandUuid} stands in one place`).toBe(1);
  }
  for (const row of [...pending, ...rows(d1, 'command_history')]) {
    const where = `what command ${row['command_uuid']} (${row['request_type']}) says`;
    if (row['body'] !== null) expect(row['request_type'], where).toBe('DeclarativeManagement');
    expect(row['body'] === null, `${where} is sealed, or the object's own`).toBe(row['sealed'] !== null);
  }
  for (const row of pending) {
    const tables = objects.get(String(row['udid']));
    const [enrollment] = rows(tables, 'enrollment');
    const where = `command ${row['command_uuid']} (${row['request_type']}, ${row['state']})`;
    expect(enrollment?.['enrollment_id'], `${where} belongs to the live enrollment`).toBe(
      row['enrollment_id'],
    );
    expect(enrollment?.['state'], where).not.toBe('checked-out');
    const settled = rows(tables, 'settled').find((one) => one['command_uuid'] === row['command_uuid']);
    expect([undefined, 'deferred'], `${where} still waits although it ended`).toContain(settled?.['why']);
    const [progress] = rows(tables, 'progress');
    const told = Number(progress?.['work_told']) > Number(progress?.['work_cleared']);
    const [[outstanding], [declare]] = [rows(tables, 'outstanding'), rows(tables, 'declare_command')];
    const held = [outstanding, declare].some((own) => own?.['command_uuid'] === row['command_uuid']);
    // What expired goes with the next sweep, and nobody asks for it.
    const over = row['expires_at_ms'] !== null && Number(row['expires_at_ms']) <= Date.now();
    expect(told || held || over, `${where} will be found`).toBe(true);
  }
  for (const [udid, tables] of objects) {
    const [outstanding] = rows(tables, 'outstanding');
    checkDeclare(udid, tables, history);
    if (outstanding === undefined) continue;
    expect(history.has(outstanding['command_uuid']), `${udid} holds a command that is in history`).toBe(
      false,
    );
  }
  const declares = pending.filter((row) => row['request_type'] === 'DeclarativeManagement');
  const byDevice = new Set(declares.map((row) => row['udid']));
  expect(declares.length, 'DeclarativeManagement commands in D1, at most one a device').toBe(byDevice.size);
  for (const row of declares) {
    const [own] = rows(objects.get(String(row['udid'])), 'declare_command');
    expect(own?.['command_uuid'], 'a DeclarativeManagement command in D1 is its object’s one').toBe(
      row['command_uuid'],
    );
  }
}

/** The object's own command: of a live enrollment, out exactly when it is what is outstanding, never one that ended. */
function checkDeclare(udid: string, tables: Tables, history: ReadonlySet<unknown>): void {
  const [declare] = rows(tables, 'declare_command');
  const [enrollment] = rows(tables, 'enrollment');
  const [outstanding] = rows(tables, 'outstanding');
  const isOut = outstanding?.['request_type'] === 'DeclarativeManagement';
  expect(declare !== undefined && declare['delivered_token'] !== null, `${udid} holds its command`).toBe(
    isOut,
  );
  if (declare === undefined) return;
  expect(enrollment?.['state'], `${udid} is to be told`).toBe('enrolled');
  expect(history.has(declare['command_uuid']), `${udid} is to be told by a command that ended`).toBe(false);
  if (isOut) expect(outstanding?.['command_uuid']).toBe(declare['command_uuid']);
}

function checkCertificates(d1: Tables, issuance: Map<string, Tables>): void {
  const certificates = rows(d1, 'certificates');
  const byDigest = new Map(certificates.map((row) => [row['digest'], row]));
  const used = new Set<unknown>();
  for (const row of certificates) {
    const [credential] = rows(issuance.get(String(row['credential_id'])), 'credential');
    expect(credential, `the credential of certificate ${row['serial_hex']}`).toMatchObject({
      udid: row['udid'],
      serial: row['device_serial'],
      platform: row['platform'],
    });
    if (row['renewal_of'] === null) {
      expect(credential?.['certificate_serial']).toBe(row['serial_hex']);
      expect(used.has(row['credential_id']), `credential ${row['credential_id']} gave two certificates`).toBe(
        false,
      );
      used.add(row['credential_id']);
    } else {
      expect(byDigest.get(row['renewal_of'])).toMatchObject({
        udid: row['udid'],
        credential_id: row['credential_id'],
      });
    }
  }
}

function checkDevices(d1: Tables, objects: Map<string, Tables>): void {
  const digests = new Map(rows(d1, 'certificates').map((row) => [row['digest'], row]));
  for (const [udid, tables] of objects) {
    const [enrollment] = rows(tables, 'enrollment');
    if (enrollment === undefined) continue;
    expect(
      digests.get(enrollment['pin']),
      `${udid} is pinned to a certificate that was issued`,
    ).toMatchObject({ udid });
    const row = rows(d1, 'devices').find((one) => one['udid'] === udid);
    expect(row, `${udid} in the index`).toMatchObject({
      state: enrollment['state'],
      serial: enrollment['serial'],
    });
    if (enrollment['state'] !== 'checked-out') continue;
    for (const secret of ['push_token', 'push_magic', 'unlock_token', 'bootstrap_token']) {
      expect(enrollment[secret], `${secret} of ${udid} after CheckOut`).toBeNull();
    }
  }
}

/** The objects may hold what is needed to push; nobody else may, and nobody holds the rest in clear. */
function checkSecrets(d1: Tables, objects: readonly Tables[]): void {
  expect(secrets.foundIn(logged.join('\n')), 'secrets in the log').toEqual([]);
  expect(secrets.foundIn(dump(d1)), 'secrets in D1').toEqual([]);
  expect(secrets.foundIn(dump(objects), ['push token', 'PushMagic']), 'secrets in objects').toEqual([]);
}

/** Text as it stands; blobs as text, base64 and hex. */
export function dump(value: unknown): string {
  if (value instanceof ArrayBuffer) return dumpBytes(new Uint8Array(value));
  if (Array.isArray(value)) {
    const bytes = value.length > 0 && value.every((item) => typeof item === 'number');
    return bytes ? dumpBytes(Uint8Array.from(value as number[])) : value.map(dump).join('\n');
  }
  if (value !== null && typeof value === 'object') return Object.values(value).map(dump).join('\n');
  return String(value);
}

function dumpBytes(bytes: Uint8Array): string {
  return [new TextDecoder('latin1').decode(bytes), bytes.toBase64(), bytes.toHex()].join('\n');
}
