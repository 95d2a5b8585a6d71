/**
 * The command that tells of the manifest, from outside: what becomes of it when enrollments begin and end, and what D1
 * keeps of it through outages and retelling.
 */
import { runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import init from '../../../src/durable/device/schema/0001_init.sql';
import status from '../../../src/durable/device/schema/0002_status.sql';
import statusOutbox from '../../../src/durable/device/schema/0003_status_outbox.sql';
import declareSchema from '../../../src/durable/device/schema/0004_declare.sql';
import { migrate } from '../../../src/durable/migrate.ts';
import { readUtf8 } from '../../../src/std/bytes.ts';
import { addMs, DAY_MS } from '../../../src/std/time.ts';
import { recordDeviceMessages } from '../../../src/storage/d1/device-outbox.ts';
import { change, entry, given, listed, listen, say, wakes } from '../../support/declare.ts';
import {
  assignEntries,
  breakD1,
  database,
  enroll,
  enrolledDevice,
  FACTS,
  fleet,
  issue,
  newDevice,
  objectRows,
  START,
  session,
  stateOf,
  statusReport,
  tokens,
  withoutSubscriptions,
} from '../../support/device.ts';
import { value } from '../../support/pairing.ts';

beforeAll(withoutSubscriptions);

listen();
afterEach(() => {
  vi.restoreAllMocks();
  listen();
});

describe('an enrollment', () => {
  it('that is not complete is told of nothing, and is once it is', async () => {
    const device = await newDevice();
    value(await device.object.authenticate(device.pin, { ...FACTS, serial: null }, START));
    await assignEntries(device, [entry()]);
    expect(await device.object.describe()).toMatchObject({ declarePending: true });
    expect(await session(device)).toEqual([]);
    expect(await wakes(device)).toBe(0);
    value(await device.object.updateTokens(device.pin, tokens(), START));
    expect(await wakes(device)).toBe(1);
    expect(await session(device)).toHaveLength(1);
  });

  it('that ends takes the command with it; nothing of it is told after CheckOut', async () => {
    const device = await enrolledDevice();
    await change(device, 't1');
    value(await device.object.checkOut(device.pin, START));
    expect(await objectRows(device, 'SELECT * FROM declare_command')).toEqual([]);
    const before = await wakes(device);
    expect(await change(device, 't2')).toBe(true);
    expect(await device.object.describe()).toMatchObject({ declarePending: false });
    expect(await wakes(device)).toBe(before);
  });

  it('that ends while the command is out cancels its record', async () => {
    const device = await enrolledDevice();
    await change(device, 't1');
    const outage = breakD1('batch');
    const told = await given(device);
    value(await device.object.checkOut(device.pin, START));
    outage.mockRestore();
    await device.object.flush();
    expect(await listed(device)).toEqual([[told.uuid, 'canceled']]);
  });

  it('that is new is told afresh, by another command, and has fetched nothing', async () => {
    const device = await enrolledDevice();
    await assignEntries(device, [entry()]);
    const [first] = await session(device);
    value(await device.object.fetchDeclaration(device.pin, 'configuration', 'a', START));
    const { identifier, serverToken } = entry();
    const said = { identifier, serverToken, active: true, valid: 'valid' as const, reasons: [] };
    const report = statusReport({ declarations: { statuses: [said], removed: [] }, capabilities: '{}' });
    value(await device.object.reportDeclarations(device.pin, report, START));
    const digest = await issue(device);
    await enroll(device, digest);
    const described = await device.object.describe();
    expect(described).toMatchObject({ capabilities: null, declarations: [{ fetched: false, status: null }] });
    const again = await session(device, () => 'Acknowledged', { digest });
    expect(again).toHaveLength(1);
    expect(again).not.toContain(first);
  });
});

describe('the record in D1', () => {
  it('is one, with the device’s answer, though D1 fails in the middle of telling', async () => {
    const device = await enrolledDevice();
    for (let failAt = 1; failAt <= 8; failAt++) {
      let calls = 0;
      const outage = breakD1('prepare', () => ++calls === failAt);
      await change(device, `t${failAt}`);
      const told = await given(device);
      await device.object.flush();
      await say(device, 'Acknowledged', told.uuid);
      await device.object.flush();
      outage.mockRestore();
      await device.object.flush();
      const record = await fleet.commands.find(device.udid, told.uuid, START);
      expect(record, `failing at statement ${failAt}`).toMatchObject({
        state: 'acknowledged',
        status: 'Acknowledged',
        createdAtMs: START,
      });
      expect(readUtf8(record?.result ?? new Uint8Array(0))).toBe('<Acknowledged/>');
    }
    expect(await listed(device)).toHaveLength(8);
    expect(await database.all('SELECT 1 FROM commands WHERE udid = ?', device.udid)).toEqual([]);
  });

  it('is as before when all of it is told again', async () => {
    const device = await enrolledDevice();
    await change(device, 't1');
    const outage = breakD1('batch');
    const told = await given(device);
    await say(device, 'NotNow', told.uuid);
    await given(device);
    await device.object.flush();
    const rows = await objectRows(device, 'SELECT body FROM outbox ORDER BY id');
    outage.mockRestore();
    const messages = rows.map((row) => JSON.parse(String(row['body'])));
    expect(messages.map(({ kind, state }) => state ?? kind)).toContain('declared');
    await device.object.flush();
    await recordDeviceMessages(database, messages);
    expect(await listed(device)).toEqual([[told.uuid, 'delivered']]);
    await say(device, 'Acknowledged', told.uuid);
    expect(await listed(device)).toEqual([[told.uuid, 'acknowledged']]);
    await recordDeviceMessages(database, messages);
    expect(await listed(device)).toEqual([[told.uuid, 'acknowledged']]);
  });

  it('is nothing that the sweeper makes good, or that keeps the device asking D1', async () => {
    const device = await enrolledDevice();
    await change(device, 't1');
    const told = await given(device);
    await device.object.flush();
    const [before] = await objectRows(device, 'SELECT work_told FROM progress');
    await fleet.sweeper.sweep(addMs(START, DAY_MS));
    expect(await objectRows(device, 'SELECT work_told FROM progress')).toEqual([before]);
    expect(await stateOf(device, told.uuid)).toBe('delivered');
  });
});

describe('an object from before the command was its own', () => {
  const migrated = (name: string, prepare: (sql: SqlStorage) => void) =>
    runInDurableObject(env.ISSUANCE.getByName(name), (_object, { storage }) => {
      migrate(storage, [init, status, statusOutbox]);
      prepare(storage.sql);
      migrate(storage, [init, status, statusOutbox, declareSchema]);
      const all = (sql: string) => storage.sql.exec(sql).toArray();
      expect(() =>
        storage.sql.exec("INSERT INTO outbox (kind, key, body) VALUES ('another', 'k', '')"),
      ).toThrow('CHECK');
      for (const kind of ['declared', 'compile'])
        storage.sql.exec("INSERT INTO outbox (kind, key, body) VALUES (?, 'new', '{}')", kind);
      return {
        declare: all('SELECT command_uuid, delivered_token FROM declare_command'),
        outbox: all("SELECT kind, key, body, raw FROM outbox WHERE key <> 'new' ORDER BY id"),
      };
    });
  const enrolled = (sql: SqlStorage, state: string) =>
    sql.exec(
      `INSERT INTO enrollment (one, enrollment_id, state, pin, platform, serial, push_token, identity_issued_at_ms, started_at_ms)
       VALUES (1, 'e', ?, ?, 'iOS', 'SERIAL', x'00', 0, 0)`,
      state,
      'f'.repeat(64),
    );
  const post = (sql: SqlStorage, kind: string, body: string) =>
    sql.exec('INSERT INTO outbox (kind, key, body, raw) VALUES (?1, ?1, ?2, NULL)', kind, body);

  it('is to tell what it had to have queued, wakes the device, and keeps the rest of its outbox', async () => {
    const { declare, outbox } = await migrated('declaring', (sql) => {
      enrolled(sql, 'enrolled');
      post(sql, 'projection', '{}');
      post(sql, 'declare', '{"kind":"declare","udid":"DEVICE-0001"}');
      post(sql, 'status', '{}');
    });
    expect(declare).toHaveLength(1);
    expect(declare[0]?.['command_uuid']).toMatch(
      /^[0-9A-F]{8}-[0-9A-F]{4}-4[0-9A-F]{3}-A[0-9A-F]{3}-[0-9A-F]{12}$/,
    );
    expect(declare[0]?.['delivered_token']).toBeNull();
    expect(outbox.map(({ kind }) => kind)).toEqual(['projection', 'status', 'wake']);
    expect(JSON.parse(String(outbox[2]?.['body']))).toEqual({ kind: 'wake', udid: 'DEVICE-0001' });
  });

  it('that had nothing to tell, or whose device left, has nothing to tell', async () => {
    const none = await migrated('not declaring', (sql) => {
      enrolled(sql, 'enrolled');
      post(sql, 'wake', '{"old":1}');
    });
    expect([none.declare, none.outbox.map(({ body }) => body)]).toEqual([[], ['{"old":1}']]);
    const left = await migrated('left', (sql) => {
      enrolled(sql, 'checked-out');
      post(sql, 'declare', '{"kind":"declare","udid":"DEVICE-0001"}');
    });
    expect(left).toEqual({ declare: [], outbox: [] });
  });
});
