/** The device object's rows and their types, one reader and one writer a table. No decisions here. */
import type { Outstanding } from '../../domain/command/queue.ts';
import type { OwnSign } from '../../domain/enrollment/ending.ts';
import type { DeviceMessage } from '../../domain/enrollment/outbox.ts';
import type { Enrollment, ExpectedIdentity } from '../../domain/enrollment/state.ts';
import type { CommandUuid, Platform, SerialNumber } from '../../domain/ids.ts';
import type { Bytes } from '../../std/bytes.ts';
import type { EpochMs } from '../../std/time.ts';

type Row = Record<string, SqlStorageValue>;

export interface Progress {
  readonly workTold: number;
  readonly workCleared: number;
  readonly lastSeenMs: EpochMs;
  readonly revision: number;
  readonly declarationsToken: string | null;
  readonly manifestAtMs: EpochMs | null;
  readonly capabilities: string | null;
  readonly outboxFailures: number;
}

/** The object's own command, from when it is due until it is answered. */
export interface Declare {
  readonly commandUuid: CommandUuid;
  /** Null while it waits. */
  readonly deliveredToken: string | null;
}

function first(sql: SqlStorage, query: string): Row | null {
  return (sql.exec(query).toArray()[0] as Row | undefined) ?? null;
}

const bytes = (value: SqlStorageValue | undefined): Bytes | null =>
  value instanceof ArrayBuffer ? new Uint8Array(value) : null;
const text = (value: SqlStorageValue | undefined): string | null =>
  typeof value === 'string' ? value : null;
const flag = (value: SqlStorageValue | undefined): boolean | null => (value === null ? null : value === 1);
const flagValue = (value: boolean | null): number | null => (value === null ? null : Number(value));

export function readEnrollment(sql: SqlStorage): Enrollment | null {
  const row = first(sql, 'SELECT * FROM enrollment');
  if (row === null) return null;
  return {
    enrollmentId: row['enrollment_id'] as string,
    state: row['state'] as Enrollment['state'],
    pin: row['pin'] as string,
    platform: row['platform'] as Platform,
    serial: row['serial'] as SerialNumber,
    pairingId: text(row['pairing_id']),
    phoneUdid: text(row['phone_udid']),
    topic: text(row['topic']),
    pushToken: bytes(row['push_token']),
    pushMagic: text(row['push_magic']),
    unlockToken: bytes(row['unlock_token']),
    bootstrapToken: bytes(row['bootstrap_token']),
    productName: text(row['product_name']),
    osVersion: text(row['os_version']),
    buildVersion: text(row['build_version']),
    supervised: flag(row['supervised']),
    identityIssuedAtMs: row['identity_issued_at_ms'] as EpochMs,
    startedAtMs: row['started_at_ms'] as EpochMs,
    enrolledAtMs: row['enrolled_at_ms'] as EpochMs | null,
    endedAtMs: row['ended_at_ms'] as EpochMs | null,
    presumedEnd: readPresumedEnd(row),
  };
}

function readPresumedEnd(row: Row): Enrollment['presumedEnd'] {
  if (row['presumed'] === null) return null;
  return {
    why: row['presumed'] as OwnSign,
    commandUuid: row['presumed_by'] as CommandUuid,
    atMs: row['presumed_at_ms'] as EpochMs,
  };
}

export function writeEnrollment(sql: SqlStorage, e: Enrollment): void {
  sql.exec(
    `INSERT OR REPLACE INTO enrollment (one, enrollment_id, state, pin, platform, serial, pairing_id, phone_udid,
       topic, push_token, push_magic, unlock_token, bootstrap_token, product_name, os_version, build_version,
       supervised, identity_issued_at_ms, started_at_ms, enrolled_at_ms, ended_at_ms, presumed, presumed_by,
       presumed_at_ms)
     VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    e.enrollmentId,
    e.state,
    e.pin,
    e.platform,
    e.serial,
    e.pairingId,
    e.phoneUdid,
    e.topic,
    e.pushToken,
    e.pushMagic,
    e.unlockToken,
    e.bootstrapToken,
    e.productName,
    e.osVersion,
    e.buildVersion,
    flagValue(e.supervised),
    e.identityIssuedAtMs,
    e.startedAtMs,
    e.enrolledAtMs,
    e.endedAtMs,
    e.presumedEnd?.why ?? null,
    e.presumedEnd?.commandUuid ?? null,
    e.presumedEnd?.atMs ?? null,
  );
}

export function readExpected(sql: SqlStorage): readonly ExpectedIdentity[] {
  return sql
    .exec<Row>('SELECT * FROM expected_identity ORDER BY issued_at_ms, digest')
    .toArray()
    .map((row) => ({
      digest: row['digest'] as string,
      platform: row['platform'] as Platform,
      serial: row['serial'] as SerialNumber,
      pairingId: text(row['pairing_id']),
      phoneUdid: text(row['phone_udid']),
      renewalOf: text(row['renewal_of']),
      issuedAtMs: row['issued_at_ms'] as EpochMs,
      permittedAtMs: row['permitted_at_ms'] as EpochMs | null,
    }));
}

export function writeExpected(sql: SqlStorage, identity: ExpectedIdentity, kept: number): void {
  sql.exec(
    `INSERT INTO expected_identity (digest, platform, serial, pairing_id, phone_udid, renewal_of, issued_at_ms, permitted_at_ms)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (digest) DO NOTHING`,
    identity.digest,
    identity.platform,
    identity.serial,
    identity.pairingId,
    identity.phoneUdid,
    identity.renewalOf,
    identity.issuedAtMs,
    identity.permittedAtMs,
  );
  sql.exec(
    `DELETE FROM expected_identity WHERE (renewal_of IS NULL) = ?1 AND digest NOT IN
       (SELECT digest FROM expected_identity WHERE (renewal_of IS NULL) = ?1
        ORDER BY issued_at_ms DESC, digest LIMIT ?2)`,
    Number(identity.renewalOf === null),
    kept,
  );
}

export function readOutstanding(sql: SqlStorage): Outstanding | null {
  const row = first(sql, 'SELECT * FROM outstanding');
  if (row === null) return null;
  return {
    commandUuid: row['command_uuid'] as CommandUuid,
    requestType: row['request_type'] as string,
    body: { sealed: row['sealed'] === 1, bytes: new Uint8Array(row['body'] as ArrayBuffer) },
    deliveredAtMs: row['delivered_at_ms'] as EpochMs,
    expiresAtMs: row['expires_at_ms'] as EpochMs | null,
    deliveries: row['deliveries'] as number,
    notNows: row['not_nows'] as number,
    farewell: row['farewell'] as OwnSign | null,
  };
}

export function writeOutstanding(sql: SqlStorage, outstanding: Outstanding | null): void {
  if (outstanding === null) {
    sql.exec('DELETE FROM outstanding');
    return;
  }
  sql.exec(
    `INSERT OR REPLACE INTO outstanding (one, command_uuid, request_type, body, sealed, delivered_at_ms,
       expires_at_ms, deliveries, not_nows, farewell)
     VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    outstanding.commandUuid,
    outstanding.requestType,
    outstanding.body.bytes,
    Number(outstanding.body.sealed),
    outstanding.deliveredAtMs,
    outstanding.expiresAtMs,
    outstanding.deliveries,
    outstanding.notNows,
    outstanding.farewell ?? null,
  );
}

export function readDeferred(sql: SqlStorage): readonly CommandUuid[] {
  return sql
    .exec<Row>("SELECT command_uuid FROM settled WHERE why = 'deferred' ORDER BY at_ms")
    .toArray()
    .map((row) => row['command_uuid'] as CommandUuid);
}

export function readDeclare(sql: SqlStorage): Declare | null {
  const row = first(sql, 'SELECT * FROM declare_command');
  if (row === null) return null;
  return {
    commandUuid: row['command_uuid'] as CommandUuid,
    deliveredToken: text(row['delivered_token']),
  };
}

export function writeDeclare(sql: SqlStorage, declare: Declare | null): void {
  if (declare === null) {
    sql.exec('DELETE FROM declare_command');
    return;
  }
  sql.exec(
    'INSERT OR REPLACE INTO declare_command (one, command_uuid, delivered_token) VALUES (1, ?, ?)',
    declare.commandUuid,
    declare.deliveredToken,
  );
}

export function readProgress(sql: SqlStorage): Progress {
  const row = first(sql, 'SELECT * FROM progress') as Row;
  return {
    workTold: row['work_told'] as number,
    workCleared: row['work_cleared'] as number,
    lastSeenMs: row['last_seen_ms'] as EpochMs,
    revision: row['revision'] as number,
    declarationsToken: text(row['declarations_token']),
    manifestAtMs: row['manifest_at_ms'] as EpochMs | null,
    capabilities: text(row['capabilities']),
    outboxFailures: row['outbox_failures'] as number,
  };
}

export function writeProgress(sql: SqlStorage, p: Progress): void {
  sql.exec(
    `UPDATE progress SET work_told = ?, work_cleared = ?, last_seen_ms = ?, revision = ?, declarations_token = ?,
       manifest_at_ms = ?, capabilities = ?, outbox_failures = ?`,
    p.workTold,
    p.workCleared,
    p.lastSeenMs,
    p.revision,
    p.declarationsToken,
    p.manifestAtMs,
    p.capabilities,
    p.outboxFailures,
  );
}

/** A newer message of the same kind and key takes a new place in the line; the older one is dropped. */
export function writeMessage(sql: SqlStorage, message: DeviceMessage): void {
  const { raw, ...body } = message.kind === 'result' ? message : { ...message, raw: null };
  sql.exec(
    'INSERT OR REPLACE INTO outbox (kind, key, body, raw) VALUES (?, ?, ?, ?)',
    message.kind,
    keyOf(message),
    JSON.stringify(body),
    raw,
  );
}

/**
 * What a newer message replaces: of the same command, of the same enrollment, of the same step of the same pairing, or of
 * its kind. Events stay.
 */
function keyOf(message: DeviceMessage): string {
  if ('commandUuid' in message) return message.commandUuid;
  if (message.kind === 'reset') return message.enrollmentId;
  if (message.kind === 'projection') return message.device.history?.enrollmentId ?? message.kind;
  if (message.kind === 'events') return String(message.revision);
  return message.kind === 'pairing' ? `${message.pairingId} ${message.step}` : message.kind;
}

/** The oldest messages, at most `limit`, and no more than one beyond `bytesMax` of what they carry. */
export function readMessages(
  sql: SqlStorage,
  limit: number,
  bytesMax: number,
): readonly { readonly id: number; readonly message: DeviceMessage }[] {
  const messages: { id: number; message: DeviceMessage }[] = [];
  let carried = 0;
  for (const row of sql.exec<Row>('SELECT id, body, raw FROM outbox ORDER BY id LIMIT ?', limit)) {
    const text = row['body'] as string;
    const raw = bytes(row['raw']);
    messages.push({ id: row['id'] as number, message: { ...JSON.parse(text), raw } as DeviceMessage });
    carried += text.length + (raw?.length ?? 0);
    if (carried > bytesMax) break;
  }
  return messages;
}
