/** Commands of the whole Worker over D1 and objects: what GET shows of them, lists by filter, and repeating what ended. */
import { beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import type { CommandUuid } from '../../../src/domain/ids.ts';
import { randomUuid } from '../../../src/pki/random.ts';
import { utf8 } from '../../../src/std/bytes.ts';
import { addMs, MINUTE_MS } from '../../../src/std/time.ts';
import { type Answer, call, database } from '../../support/admin-call.ts';
import {
  connect,
  enrolledDevice,
  fleet,
  START,
  session,
  type TestDevice,
  withoutSubscriptions,
} from '../../support/device.ts';

beforeAll(withoutSubscriptions);
beforeEach(() => {
  vi.spyOn(console, 'log').mockImplementation(() => {});
});

const query = { RequestType: 'DeviceInformation', Queries: ['UDID'] };
const at = (device: TestDevice, uuid?: string) =>
  `/devices/${device.udid}/commands${uuid === undefined ? '' : `/${encodeURIComponent(uuid)}`}`;

async function order(device: TestDevice, command: unknown = query, more: object = {}): Promise<CommandUuid> {
  const made = await call('POST', at(device), { command, push: false, ...more });
  expect(made.status, JSON.stringify(made.body)).toBe(201);
  return made.body.commandUuid;
}

const show = async (device: TestDevice, uuid: string) => {
  await device.object.flush();
  return (await call('GET', at(device, uuid))).body;
};
const requeue = (
  device: TestDevice,
  uuid: string,
  body: object = {},
  headers: Record<string, string> = {},
): Promise<Answer> => call('POST', `${at(device, uuid)}/requeue`, { push: false, ...body }, headers);

/** A command that ended in this way. */
async function ended(
  device: TestDevice,
  how: 'error' | 'expired' | 'canceled' | 'acknowledged',
  command: unknown = query,
  more: object = {},
): Promise<CommandUuid> {
  const uuid = await order(device, command, more);
  if (how === 'canceled') expect((await call('DELETE', at(device, uuid))).status).toBe(200);
  if (how === 'expired') {
    await database.run('UPDATE commands SET expires_at_ms = ? WHERE command_uuid = ?', START - 1, uuid);
    await fleet.sweeper.sweep(START);
  }
  if (how === 'error' || how === 'acknowledged')
    await session(device, () => (how === 'error' ? 'Error' : 'Acknowledged'));
  expect((await show(device, uuid)).state).toBe(how);
  return uuid;
}

describe('a command', () => {
  it('shows what was ordered, with its secrets masked, and never what is sealed', async () => {
    const device = await enrolledDevice();
    const secret = 'a-secret-of-an-app';
    const uuid = await order(
      device,
      { RequestType: 'Example', Identifier: 'com.example', Configuration: { key: secret } },
      { allowUnknown: true, priority: 'urgent' },
    );
    const shown = await show(device, uuid);
    expect(shown).toMatchObject({
      command: { RequestType: 'Example', Identifier: 'com.example', Configuration: '[secret]' },
      priority: 'urgent',
      deliveredAt: null,
      deliveries: 0,
    });
    expect(JSON.stringify(shown)).not.toContain(secret);
  });

  it.each([
    ['CommandFormatError', new Map(), 'the device could not read the command'],
    ['Error', new Map(), 'the device gave no reason'],
    [
      'Error',
      new Map([['ErrorChain', [new Map([['USEnglishDescription', 'The token is wrong.']])]]]),
      'The token is wrong.',
    ],
  ] as const)('that failed with %s says why', async (status, content, reason) => {
    const device = await enrolledDevice();
    const uuid = await order(device);
    await connect(device);
    const chain =
      content.size === 0
        ? ''
        : '<key>ErrorChain</key><array><dict><key>USEnglishDescription</key><string>The token is wrong.</string></dict></array>';
    const raw = utf8(
      `<plist version="1.0"><dict><key>Status</key><string>${status}</string>${chain}</dict></plist>`,
    );
    const report = { status, commandUuid: uuid, raw, facts: null };
    await device.object.report(device.pin, report, START);
    const shown = await show(device, uuid);
    expect([shown.state, shown.status, shown.reason]).toEqual(['error', status, reason]);
    expect(shown.error === null).toBe(chain === '');
  });

  it('that was never sent says so', async () => {
    const device = await enrolledDevice();
    const uuid = await order(device);
    await database.run("UPDATE commands SET sealed = x'01' WHERE command_uuid = ?", uuid);
    expect(await connect(device)).toBeNull();
    expect(await show(device, uuid)).toMatchObject({
      state: 'error',
      status: 'NotOpened',
      command: null,
      error: null,
      reason: expect.stringContaining('does not open with the storage key'),
    });
  });

  it('is listed by state and type, with the number that waits', async () => {
    const device = await enrolledDevice();
    const canceled = await ended(device, 'canceled');
    const waits = await order(device, { RequestType: 'ProfileList' });
    const list = async (filter: string) => {
      const { body } = await call('GET', `${at(device)}?${filter}`);
      return [body.items.map((item: { commandUuid: string }) => item.commandUuid), body.pending];
    };
    expect(await list('state=canceled')).toEqual([[canceled], 1]);
    expect(await list('state=pending&requestType=ProfileList')).toEqual([[waits], 1]);
    expect(await list('state=pending&requestType=DeviceInformation')).toEqual([[], 1]);
    expect((await call('GET', `${at(device)}?state=gone`)).kind).toBe('invalid');
    const { body } = await call('GET', `${at(device)}?limit=1`);
    expect((await call('GET', `${at(device)}?limit=1&state=pending&cursor=${body.cursor}`)).kind).toBe(
      'malformed-cursor',
    );
  });
});

describe('a requeue', () => {
  it.each(['error', 'expired', 'canceled'] as const)(
    'of a command that ended as %s makes another of the same content, and each names the other',
    async (how) => {
      const device = await enrolledDevice();
      const uuid = await ended(device, how);
      const made = await requeue(device, uuid);
      expect([made.status, made.body.state]).toEqual([201, 'pending']);
      const again = made.body.commandUuid;
      expect(again).not.toBe(uuid);
      expect(await show(device, uuid)).toMatchObject({ state: how, requeuedFrom: null, requeuedAs: [again] });
      expect(await show(device, again)).toMatchObject({ command: query, requeuedFrom: uuid, requeuedAs: [] });
      expect(await session(device)).toEqual([again]);
      expect(await show(device, again)).toMatchObject({ state: 'acknowledged', requeuedFrom: uuid });
    },
  );

  it('of a command that was acknowledged must be asked for', async () => {
    const device = await enrolledDevice();
    const uuid = await ended(device, 'acknowledged');
    const asked = await requeue(device, uuid);
    expect([asked.status, asked.kind]).toEqual([409, 'command-acknowledged']);
    expect((await requeue(device, uuid, { again: true })).status).toBe(201);
  });

  it.each(['pending', 'delivered', 'not-now'])('of one that is %s is refused', async (state) => {
    const device = await enrolledDevice();
    const uuid = await order(device);
    if (state !== 'pending') await connect(device);
    if (state === 'not-now') await connect(device, 'NotNow', uuid);
    const answer = await requeue(device, uuid);
    expect([answer.status, answer.kind, answer.body.detail]).toEqual([
      409,
      'command-not-ended',
      `It is ${state}.`,
    ]);
  });

  it('keeps the priority unless told otherwise, and not the time it expires', async () => {
    const device = await enrolledDevice();
    const expiresAt = new Date(addMs(START, 60 * MINUTE_MS)).toISOString();
    const uuid = await ended(device, 'canceled', query, { priority: 'urgent', expiresAt });
    const [same, other] = [
      await requeue(device, uuid),
      await requeue(device, uuid, { priority: 'normal', expiresAt }),
    ];
    expect(await show(device, same.body.commandUuid)).toMatchObject({ priority: 'urgent', expiresAt: null });
    expect(await show(device, other.body.commandUuid)).toMatchObject({ priority: 'normal', expiresAt });
    expect((await show(device, uuid)).requeuedAs).toHaveLength(2);
  });

  it('said again with one CommandUUID, or one Idempotency-Key, is one command', async () => {
    const device = await enrolledDevice();
    const uuid = await ended(device, 'error');
    const commandUuid = randomUuid();
    const headers = { 'Idempotency-Key': 'again-1' };
    const answers = [
      await requeue(device, uuid, { commandUuid }),
      await requeue(device, uuid, { commandUuid }),
      await requeue(device, uuid, {}, headers),
      await requeue(device, uuid, {}, headers),
    ];
    expect(answers.map(({ status }) => status)).toEqual([201, 200, 201, 200]);
    expect(answers[0]?.body.commandUuid).toBe(commandUuid);
    expect((await show(device, uuid)).requeuedAs).toHaveLength(2);
  });

  it('under its own CommandUUID is refused, and under one of another command', async () => {
    const device = await enrolledDevice();
    const uuid = await ended(device, 'error');
    const other = await order(device, { RequestType: 'ProfileList' });
    for (const commandUuid of [uuid, other])
      expect((await requeue(device, uuid, { commandUuid })).kind).toBe('command-conflict');
  });

  it('of a grave command is confirmed anew', async () => {
    const device = await enrolledDevice();
    const [named] = await database.all<{ serial: string }>(
      'SELECT serial FROM devices WHERE udid = ?',
      device.udid,
    );
    const confirm = { serial: named?.serial };
    const uuid = await ended(device, 'canceled', { RequestType: 'EraseDevice' }, { confirm });
    const asked = await requeue(device, uuid);
    expect([asked.status, asked.kind]).toEqual([422, 'confirmation-needed']);
    const made = await requeue(device, uuid, { confirm });
    expect([made.status, made.body.causes.length]).toEqual([201, 1]);
  });

  it('of what a device never had, of the server’s own, or of what was lost, is refused', async () => {
    const [device, other] = [await enrolledDevice(), await enrolledDevice()];
    const uuid = await ended(device, 'error');
    expect((await requeue(other, uuid)).kind).toBe('unknown-command');
    expect((await requeue({ ...device, udid: 'NOBODY-0001' as TestDevice['udid'] }, uuid)).kind).toBe(
      'unknown-device',
    );
    await database.run('UPDATE command_history SET sealed = NULL WHERE command_uuid = ?', uuid);
    expect((await requeue(device, uuid)).kind).toBe('content-lost');
    const entry = { kind: 'configuration', identifier: 'com.example.a', serverToken: 't' } as const;
    await device.object.setManifest([entry], 'token-1', START);
    const own = await connect(device);
    await connect(device, 'Error', own);
    expect((await requeue(device, own as string)).kind).toBe('command-is-own');
    expect((await requeue(device, uuid, { command: query })).kind).toBe('invalid');
  });

  it('of a stored profile’s order is refused: its record would not hear of it', async () => {
    const device = await enrolledDevice();
    const uuid = await ended(device, 'error');
    await database.run(
      `INSERT INTO device_profiles (udid, identifier, payload_identifier, action, version, state, command_uuid,
         enrollment_id, ordered_at_ms, changed_at_ms)
       VALUES (?, 'com.example.wifi', 'p', 'install', 1, 'failed', ?, 'e', 0, 0)`,
      device.udid,
      uuid,
    );
    const refused = await requeue(device, uuid, { again: true });
    expect([refused.status, refused.kind]).toEqual([409, 'command-of-profile']);
    expect(refused.body.detail).toContain('com.example.wifi');
  });

  it('is judged like an order: not for a device that has gone', async () => {
    const device = await enrolledDevice();
    const uuid = await ended(device, 'error');
    await device.object.checkOut(device.pin, START);
    expect((await requeue(device, uuid)).kind).toBe('device-not-enrolled');
  });
});
