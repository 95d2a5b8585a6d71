/**
 * Commands under the storage key, from the order to the answer, on the real object and D1: nothing of what they say is
 * kept in clear, ClearPasscode carries the token of its device, and what cannot be handed over blocks nobody.
 */
import { evictDurableObject, runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { deviceSeal } from '../../../src/domain/enrollment/device-seal.ts';
import { VerifiedDevice } from '../../../src/domain/identity/verified-device.ts';
import type { CommandUuid, Udid } from '../../../src/domain/ids.ts';
import init from '../../../src/durable/device/schema/0001_init.sql';
import status from '../../../src/durable/device/schema/0002_status.sql';
import statusOutbox from '../../../src/durable/device/schema/0003_status_outbox.sql';
import declare from '../../../src/durable/device/schema/0004_declare.sql';
import eventsOutbox from '../../../src/durable/device/schema/0005_events_outbox.sql';
import sealedCommands from '../../../src/durable/device/schema/0006_sealed_commands.sql';
import { DeviceStore } from '../../../src/durable/device/store.ts';
import { migrate } from '../../../src/durable/migrate.ts';
import { importSealKey, sealSecret } from '../../../src/pki/seal.ts';
import type { PlistValue } from '../../../src/protocol/plist/value.ts';
import { readUtf8, toBase64, utf8 } from '../../../src/std/bytes.ts';
import { addMs, MINUTE_MS } from '../../../src/std/time.ts';
import { recordDeviceMessages } from '../../../src/storage/d1/device-outbox.ts';
import { D1Events } from '../../../src/storage/d1/events.ts';
import { commandsFor } from '../../../src/wiring.ts';
import {
  breakD1,
  commandIn,
  connect,
  countingSql,
  database,
  enrolledDevice,
  exchange,
  fleet,
  objectRows,
  orderFor,
  queueCommand,
  START,
  scheduled,
  session,
  stateOf,
  storageKeyOf,
  type TestDevice,
  tokens,
  withoutSubscriptions,
} from '../../support/device.ts';
import { dump, readD1 } from '../../support/invariants.ts';
import { refusal, value } from '../../support/pairing.ts';

const TOKEN = 'the-unlock-token-of-a-device';
const SECRET = 'a-password-in-a-profile';
const logged: string[] = [];

beforeAll(withoutSubscriptions);
vi.spyOn(console, 'log').mockImplementation((line: string) => {
  logged.push(line);
});
afterEach(() => {
  vi.restoreAllMocks();
  vi.spyOn(console, 'log').mockImplementation((line: string) => {
    logged.push(line);
  });
});

/** Its TokenUpdate brought a token, sealed as the check-in service does it. */
async function withToken(device: TestDevice, token = TOKEN): Promise<TestDevice> {
  const key = await importSealKey(env.STORAGE_KEY);
  const sealed = await sealSecret(key, utf8(token), `unlock-token/${device.udid}`);
  value(await device.object.updateTokens(device.pin, tokens(sealed), START));
  return device;
}

async function order(
  device: TestDevice,
  requestType: string,
  more: Record<string, PlistValue> = {},
): Promise<CommandUuid> {
  const uuid = `${device.udid}/${requestType}` as CommandUuid;
  const command = new Map<string, PlistValue>([['RequestType', requestType], ...Object.entries(more)]);
  const made = { ...orderFor(device, uuid), requestType, command, allowUnknown: true };
  value(await fleet.commands.enqueue(made, START));
  return uuid;
}

/** Everything that is kept: D1, the device's object, the log. */
async function kept(device: TestDevice): Promise<string> {
  await device.object.flush();
  const own = await Promise.all(
    ['outstanding', 'enrollment', 'outbox', 'settled'].map((table) =>
      objectRows(device, `SELECT * FROM ${table}`),
    ),
  );
  return [dump(await readD1()), dump(own), ...logged].join('\n');
}

const record = (device: TestDevice, uuid: CommandUuid) => fleet.commands.find(device.udid, uuid, START);
const spoil = (sql: string, uuid: CommandUuid) => database.run(sql, uuid);
const text = async (device: TestDevice) => readUtf8((await exchange(device, 'Idle', null)) ?? utf8('')) ?? '';

describe('a deployment with another storage key', () => {
  const wrongly = () => storageKeyOf(toBase64(utf8('w'.repeat(32))));
  const unavailable = (work: Promise<unknown>) =>
    expect(work).rejects.toMatchObject({ name: 'Unavailable', code: 'storage-key' });

  it('ends no command, takes none, and goes on where it was once the right key is back', async () => {
    const device = await enrolledDevice();
    const [first, second] = [await order(device, 'First'), await order(device, 'Second')];
    const { channel, commands } = commandsFor(env, scheduled, await wrongly());
    const idle = {
      udid: device.udid,
      status: 'Idle',
      commandUuid: null,
      errorChain: [],
      userId: null,
    } as const;
    const report = { ...idle, content: new Map(), raw: utf8('') };
    for (let times = 0; times < 3; times++)
      await unavailable(channel.connect(new VerifiedDevice(device.udid, device.pin), report, START));
    const more = orderFor(device, `${device.udid}/more` as CommandUuid);
    await unavailable(commands.enqueue(more, START));
    expect(await session(device)).toEqual([first, second]);
    expect([await stateOf(device, first), await stateOf(device, second)]).toEqual([
      'acknowledged',
      'acknowledged',
    ]);
  });

  it('puts no unlock token in the place of the one that opens', async () => {
    await order(await enrolledDevice(), 'Example');
    const seal = deviceSeal(await wrongly());
    await unavailable(seal.seal('DEVICE' as Udid, 'unlock-token', utf8(TOKEN)));
  });
});

describe('what a command says', () => {
  it('is in clear nowhere from the order to the answer, and reaches the device', async () => {
    const device = await enrolledDevice();
    const uuid = await order(device, 'Example', { Password: SECRET, Payload: utf8(SECRET) });
    const seen: boolean[] = [];
    for (const step of ['waits', 'is out', 'is out again', 'was put off']) {
      if (step.startsWith('is out')) {
        const body = await text(device);
        expect([body.includes(SECRET), body.includes(toBase64(utf8(SECRET)))], step).toEqual([true, true]);
      }
      if (step === 'was put off') expect(await connect(device, 'NotNow', uuid)).toBeNull();
      seen.push((await kept(device)).includes(SECRET), (await kept(device)).includes(toBase64(utf8(SECRET))));
    }
    await session(device);
    expect(await stateOf(device, uuid)).toBe('acknowledged');
    seen.push((await kept(device)).includes(SECRET));
    expect(seen).not.toContain(true);
    expect((await record(device, uuid))?.command).toEqual({
      RequestType: 'Example',
      Password: '[secret]',
      Payload: '[secret]',
    });
  });

  it('is compared when the order is repeated, also after the answer', async () => {
    const device = await enrolledDevice();
    const uuid = await order(device, 'Example', { Password: SECRET });
    await session(device);
    await device.object.flush();
    const again = (password: string) => {
      const command = new Map([
        ['RequestType', 'Example'],
        ['Password', password],
      ]);
      return fleet.commands.enqueue({ ...orderFor(device, uuid), requestType: 'Example', command }, START);
    };
    expect(value(await again(SECRET))).toMatchObject({ created: false, command: { state: 'acknowledged' } });
    expect(refusal(await again('another')).kind).toBe('command-conflict');
  });

  it('of the object’s own command stays text, and is no secret', async () => {
    const device = await enrolledDevice();
    const entry = { kind: 'configuration', identifier: 'com.example.a', serverToken: 't' } as const;
    await device.object.setManifest([entry], 'token-1', START);
    const uuid = await connect(device);
    const [outstanding] = await objectRows(device, 'SELECT sealed, request_type FROM outstanding');
    expect(outstanding).toEqual({ sealed: 0, request_type: 'DeclarativeManagement' });
    expect((await record(device, uuid as CommandUuid))?.command).toEqual({
      RequestType: 'DeclarativeManagement',
      Data: '[secret]',
    });
  });

  it.each(['damaged', 'moved from another command', 'cut off'])(
    'that is %s in D1 ends as an error, and the next command goes out with the same answer',
    async (how) => {
      const device = await enrolledDevice();
      const [uuid, other] = [await order(device, 'Example'), await order(device, 'Other')];
      const sql = {
        damaged: "UPDATE commands SET sealed = CAST(sealed || x'00' AS BLOB) WHERE command_uuid = ?1",
        'moved from another command': `UPDATE commands SET sealed = (SELECT sealed FROM commands WHERE command_uuid = '${other}') WHERE command_uuid = ?1`,
        'cut off': "UPDATE commands SET sealed = x'01' WHERE command_uuid = ?1",
      }[how];
      await spoil(sql as string, uuid);
      expect(await connect(device)).toBe(other);
      expect(await record(device, uuid)).toMatchObject({
        state: 'error',
        status: 'NotOpened',
        result: null,
        command: null,
      });
      expect(logged.join('\n')).toContain('"event":"command-given-up"');
      expect(refusal(await fleet.commands.repeatable(device.udid, uuid, false, START)).kind).toBe(
        'content-lost',
      );
    },
  );

  it('that opens for nobody lets a message find so many, and the next message the others', async () => {
    const device = await enrolledDevice();
    for (let i = 0; i < 40; i++) await queueCommand(device, { uuid: `${device.udid}/${i}` });
    const last = await queueCommand(device);
    await database.run(
      "UPDATE commands SET sealed = x'01' WHERE udid = ? AND command_uuid <> ?",
      device.udid,
      last,
    );
    const given: (CommandUuid | null)[] = [];
    for (let poll = 0; poll < 3; poll++) given.push(await connect(device));
    expect(given).toEqual([null, null, last]);
    // Two messages ended early, and each had the device woken for the rest.
    expect(logged.filter((line) => line.includes('"wake"') && line.includes(device.udid))).toHaveLength(2);
  });

  it('that opens for nobody keeps no command waiting that was put off before', async () => {
    const device = await enrolledDevice();
    const [putOff, done] = [await queueCommand(device), await queueCommand(device)];
    await spoil("UPDATE commands SET sealed = x'01' WHERE command_uuid = ?", await queueCommand(device));
    expect(await connect(device)).toBe(putOff);
    expect(await connect(device, 'NotNow', putOff)).toBe(done);
    expect(await connect(device, 'Acknowledged', done)).toBeNull();
    await device.object.flush();
    expect(logged.some((line) => line.includes('"wake"') && line.includes(device.udid))).toBe(true);
    expect(await connect(device)).toBe(putOff);
  });

  it('costs a delivery no statement more than before, and an idle poll none', async () => {
    const device = await enrolledDevice();
    await session(device);
    const idle = await countingSql(() => connect(device));
    expect([idle.d1, idle.objects]).toEqual([0, 0]);
    const uuid = await queueCommand(device);
    await device.object.flush();
    const delivery = await countingSql(() => connect(device));
    expect([delivery.result, delivery.d1]).toEqual([uuid, 1]);
  });
});

describe('ClearPasscode', () => {
  it('carries the token of its device, each time that it goes out, and nothing keeps it in clear', async () => {
    const device = await withToken(await enrolledDevice());
    const uuid = await order(device, 'ClearPasscode');
    for (let sent = 0; sent < 2; sent++) {
      const body = await text(device);
      expect(commandIn(utf8(body))).toBe(uuid);
      expect(body.replaceAll(/\s/g, '')).toContain(
        `<key>UnlockToken</key><data>${toBase64(utf8(TOKEN))}</data>`,
      );
      await evictDurableObject(device.stub);
    }
    const everything = await kept(device);
    expect([everything.includes(TOKEN), everything.includes(toBase64(utf8(TOKEN)))]).toEqual([false, false]);
    expect(await connect(device, 'Acknowledged', uuid)).toBeNull();
    expect(await record(device, uuid)).toMatchObject({
      state: 'acknowledged',
      command: { RequestType: 'ClearPasscode' },
    });
    expect(await kept(device)).not.toContain(TOKEN);
  });

  it('carries the newest token, also when that came after the order', async () => {
    const device = await withToken(await enrolledDevice());
    await order(device, 'ClearPasscode');
    await withToken(device, 'newer');
    expect((await text(device)).replaceAll(/\s/g, '')).toContain(`<data>${toBase64(utf8('newer'))}</data>`);
  });

  it('is refused for a device that never gave a token, and with a token in the order', async () => {
    const device = await enrolledDevice();
    const ask = (more: [string, PlistValue][] = []) => {
      const command = new Map<string, PlistValue>([['RequestType', 'ClearPasscode'], ...more]);
      const uuid = `${device.udid}/clear` as CommandUuid;
      return fleet.commands.enqueue(
        { ...orderFor(device, uuid), requestType: 'ClearPasscode', command },
        START,
      );
    };
    expect(refusal(await ask())).toMatchObject({
      kind: 'unsupported-command',
      problem: { rule: 'unlock-token' },
    });
    await withToken(device);
    expect(refusal(await ask([['UnlockToken', utf8('mine')]]))).toMatchObject({
      kind: 'invalid-command',
      problems: [{ path: 'UnlockToken', rule: 'reserved' }],
    });
    expect((await ask()).ok).toBe(true);
  });

  it.each([
    ['is gone', 'UPDATE enrollment SET unlock_token = NULL', 'NoUnlockToken'],
    ['does not open', "UPDATE enrollment SET unlock_token = x'01'", 'NotOpened'],
  ])('ends as an error when the token %s meanwhile, and keeps nobody waiting', async (_how, sql, given) => {
    const device = await withToken(await enrolledDevice());
    const uuid = await order(device, 'ClearPasscode');
    const next = await queueCommand(device);
    expect(await connect(device)).toBe(uuid);
    await runInDurableObject(device.stub, (_object, state) => void state.storage.sql.exec(sql));
    await evictDurableObject(device.stub);
    expect(await connect(device)).toBe(next);
    expect(await record(device, uuid)).toMatchObject({ state: 'error', status: given });
    expect(await connect(device, 'Acknowledged', next)).toBeNull();
  });
});

describe('how often a command went out', () => {
  it('is counted over sessions, lost replies and NotNow, with the last time', async () => {
    const device = await enrolledDevice();
    const uuid = await queueCommand(device);
    const at = (minutes: number) => ({ nowMs: addMs(START, minutes * MINUTE_MS) });
    expect(await record(device, uuid)).toMatchObject({ deliveries: 0, notNows: 0, deliveredAtMs: null });
    await connect(device, 'Idle', null, at(1));
    expect(await record(device, uuid)).toMatchObject({
      deliveries: 1,
      notNows: 0,
      deliveredAtMs: at(1).nowMs,
    });
    await connect(device, 'Idle', null, at(2));
    await connect(device, 'NotNow', uuid, at(3));
    expect(await record(device, uuid)).toMatchObject({
      deliveries: 2,
      notNows: 1,
      deliveredAtMs: at(2).nowMs,
    });
    await connect(device, 'Idle', null, at(4));
    await connect(device, 'Acknowledged', uuid, at(5));
    expect(await record(device, uuid)).toMatchObject({
      state: 'acknowledged',
      priority: 'normal',
      deliveries: 3,
      notNows: 1,
      deliveredAtMs: at(4).nowMs,
    });
  });

  it('is the same when all of it is told again', async () => {
    const device = await enrolledDevice();
    const uuid = await queueCommand(device);
    await connect(device);
    const outage = breakD1('batch');
    await connect(device, 'NotNow', uuid);
    await device.object.flush();
    const rows = await objectRows(device, 'SELECT body FROM outbox ORDER BY id');
    outage.mockRestore();
    await device.object.flush();
    const before = await record(device, uuid);
    await recordDeviceMessages(
      database,
      rows.map((row) => JSON.parse(String(row['body']))),
    );
    expect(await record(device, uuid)).toEqual(before);
    expect(before).toMatchObject({ deliveries: 1, notNows: 1 });
  });
});

describe('the event', () => {
  const feed = new D1Events(database);
  const told = async (device: TestDevice) => {
    await device.object.flush();
    const asked = { udid: device.udid, kind: 'command-answered' } as const;
    return value(await feed.read(asked, { cursor: null, limit: 50 })).items.map(({ data }) => data);
  };

  it('tells of an answer which command it was of and how it ended, once, and nothing of what it says', async () => {
    const device = await enrolledDevice();
    const uuid = await order(device, 'Example', { Password: SECRET });
    await connect(device);
    for (let said = 0; said < 2; said++) await connect(device, 'Error', uuid);
    expect(await told(device)).toEqual([
      { commandUuid: uuid, requestType: 'Example', state: 'error', status: 'Error' },
    ]);
  });

  it('tells of one that the server gave up, and of one that was answered after it had expired', async () => {
    const device = await withToken(await enrolledDevice());
    const lost = await order(device, 'Example');
    await spoil("UPDATE commands SET sealed = x'01' WHERE command_uuid = ?", lost);
    expect(await connect(device)).toBeNull();
    const late = await queueCommand(device, { expiresAtMs: addMs(START, MINUTE_MS) });
    await connect(device);
    const nowMs = addMs(START, 2 * MINUTE_MS);
    await connect(device, 'Idle', null, { nowMs });
    await connect(device, 'Acknowledged', late, { nowMs });
    expect(await told(device)).toEqual([
      { commandUuid: lost, requestType: 'Example', state: 'error', status: 'NotOpened' },
      { commandUuid: late, requestType: null, state: 'acknowledged', status: 'Acknowledged' },
    ]);
  });

  it('tells of the object’s own command only that it failed', async () => {
    const device = await enrolledDevice();
    const entry = { kind: 'configuration', identifier: 'com.example.a', serverToken: 't' } as const;
    for (const [token, answer] of [
      ['token-1', 'Acknowledged'],
      ['token-2', 'Error'],
    ] as const) {
      await device.object.setManifest([entry], token, START);
      await connect(device, answer, await connect(device));
    }
    expect(await told(device)).toMatchObject([{ requestType: 'DeclarativeManagement', state: 'error' }]);
  });
});

it('an object from before has its command in clear still, and what it was to tell', async () => {
  const stub = env.ISSUANCE.getByName('a device of before sealed commands');
  await runInDurableObject(stub, (_object, { storage }) => {
    const before = [init, status, statusOutbox, declare, eventsOutbox];
    migrate(storage, before);
    storage.sql.exec(`
      INSERT INTO outstanding (one, command_uuid, request_type, body, delivered_at_ms) VALUES (1, 'A', 'X', x'3C', 5);
      INSERT INTO outbox (kind, key, body) VALUES
        ('progress', 'A', '{"kind":"progress","commandUuid":"A","state":"delivered"}'), ('wake', 'wake', '{"kind":"wake"}');
    `);
    migrate(storage, [...before, sealedCommands]);
    expect(new DeviceStore(storage.sql).outstanding).toMatchObject({
      body: { sealed: false, bytes: utf8('<') },
      deliveries: 1,
      notNows: 0,
    });
    const told = storage.sql.exec<{ body: string }>('SELECT body FROM outbox ORDER BY id').toArray();
    expect(told.map(({ body }) => JSON.parse(body))).toEqual([
      { kind: 'progress', commandUuid: 'A', state: 'delivered', sent: null },
      { kind: 'wake' },
    ]);
    // Woken again, this is an issuance object, whose schema has other versions.
    storage.sql.exec('DELETE FROM schema_version');
  });
});
