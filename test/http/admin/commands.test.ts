/** Commands: what is queued, what a repeat finds, what a grave command asks for, what an answer shows. */
import { describe, expect, it } from 'vitest';
import { commandUuidFor } from '../../../src/domain/admin/idempotency.ts';
import type { CommandUuid, Udid } from '../../../src/domain/ids.ts';
import { utf8 } from '../../../src/std/bytes.ts';
import {
  caller,
  device,
  FakeServices,
  kindOf,
  PHONE,
  putCommand,
  STRANGER,
  WATCH,
  watch,
} from './fake-services.ts';

const path = `/devices/${WATCH}/commands`;
const query = { RequestType: 'DeviceInformation', Queries: ['UDID'] };

describe('a new command', () => {
  it('is queued as a property list, pushed and normal unless asked otherwise', async () => {
    const fakes = new FakeServices();
    const answer = await caller(fakes)('POST', path, { command: query });
    const commandUuid = '00000000-0000-4000-8000-000000000001';
    expect([answer.status, answer.body]).toEqual([201, { commandUuid, state: 'pending' }]);
    expect(answer.headers.get('Location')).toBe(`/api/v1${path}/${commandUuid}`);
    expect(fakes.enqueued).toEqual([
      {
        udid: WATCH,
        commandUuid,
        requestType: 'DeviceInformation',
        command: new Map<string, unknown>([
          ['RequestType', 'DeviceInformation'],
          ['Queries', ['UDID']],
        ]),
        priority: 'normal',
        expiresAtMs: null,
        push: true,
        allowUnknown: false,
      },
    ]);
  });

  it('takes what the administrator says of it', async () => {
    const fakes = new FakeServices();
    const command = { RequestType: 'InstallProfile', Payload: { $data: 'AAEC' } };
    const answer = await caller(fakes)('POST', path, {
      ...{ command, commandUuid: 'my/own+1', priority: 'urgent', push: false },
      expiresAt: '2026-11-20T14:00:00.5+01:00',
    });
    expect(answer.body.commandUuid).toBe('my/own+1');
    expect(answer.headers.get('Location')).toBe(`/api/v1${path}/my%2Fown%2B1`);
    const [queued] = fakes.enqueued;
    expect(queued).toMatchObject({ priority: 'urgent', push: false });
    expect(queued?.expiresAtMs).toBe(Date.UTC(2026, 10, 20, 13, 0, 0, 500));
    expect(queued?.command.get('Payload')).toEqual(new Uint8Array([0, 1, 2]));
  });

  it.each(['DeviceLock', 'ClearPasscode'])(
    'of type %s goes first and needs no confirmation',
    async (RequestType) => {
      const fakes = new FakeServices();
      const call = caller(fakes);
      expect((await call('POST', path, { command: { RequestType } })).status).toBe(201);
      expect((await call('POST', path, { command: { RequestType }, priority: 'normal' })).status).toBe(201);
      expect(fakes.enqueued.map(({ priority }) => priority)).toEqual(['urgent', 'normal']);
    },
  );

  it.each([
    [{}, '/command'],
    [{ command: 'DeviceLock' }, '/command'],
    [{ command: {} }, '/command/RequestType'],
    [{ command: { RequestType: '' } }, '/command/RequestType'],
    [{ command: { RequestType: 'No Spaces' } }, '/command/RequestType'],
    [{ command: { RequestType: 'x'.repeat(65) } }, '/command/RequestType'],
    [{ command: { ...query, Nothing: null } }, '/command'],
    [{ command: { ...query, Bad: { $data: '!' } } }, '/command'],
    [{ command: query, commandUuid: '' }, '/commandUuid'],
    [{ command: query, commandUuid: 'with space' }, '/commandUuid'],
    [{ command: query, commandUuid: 'x'.repeat(129) }, '/commandUuid'],
    [{ command: query, priority: 'high' }, '/priority'],
    [{ command: query, push: 1 }, '/push'],
    [{ command: query, expiresAt: 'tomorrow' }, '/expiresAt'],
    [{ command: query, expiresAt: '2026-11-20T14:00:00' }, '/expiresAt'],
    [{ command: query, expiresAt: '2026-13-20T14:00:00Z' }, '/expiresAt'],
    [{ command: query, expiresAt: '2026-11-20T12:00:00Z' }, '/expiresAt'],
    [{ command: query, expiresAt: '2027-11-22T12:00:00Z' }, '/expiresAt'],
    [{ command: query, confirm: true }, '/confirm'],
    [{ command: query, confirm: { serial: '!' } }, '/confirm/serial'],
    [{ command: query, target: 1 }, '/target'],
  ])('is refused as %j', async (body, at) => {
    const fakes = new FakeServices();
    const answer = await caller(fakes)('POST', path, body);
    expect([answer.status, kindOf(answer), answer.body.errors?.[0].path]).toEqual([400, 'invalid', at]);
    expect(fakes.enqueued).toEqual([]);
  });

  it('says where in the command the mistake is', async () => {
    const command = { ...query, Settings: [{ Item: null }] };
    const { body } = await caller(new FakeServices())('POST', path, { command });
    expect(body.errors[0].expected).toContain('Settings[0].Item');
  });

  it('is refused for a stranger, a device that is not enrolled, and a full queue', async () => {
    const fakes = new FakeServices();
    const call = caller(fakes);
    const stranger = await call('POST', `/devices/${STRANGER}/commands`, { command: query });
    expect([stranger.status, kindOf(stranger)]).toEqual([404, 'unknown-device']);
    fakes.queueMax = 0;
    const full = await call('POST', path, { command: query });
    expect([full.status, kindOf(full)]).toEqual([409, 'queue-full']);
    fakes.devices = [watch({ state: 'checked-out' })];
    const gone = await call('POST', path, { command: query });
    expect([gone.status, kindOf(gone)]).toEqual([409, 'device-not-enrolled']);
  });
});

describe('a repeated command', () => {
  it('with the same UUID and content finds the first', async () => {
    const fakes = new FakeServices();
    const call = caller(fakes);
    const body = { command: query, commandUuid: 'C-7' };
    expect((await call('POST', path, body)).status).toBe(201);
    const again = await call('POST', path, body);
    expect([again.status, again.body]).toEqual([200, { commandUuid: 'C-7', state: 'pending' }]);
    expect(fakes.enqueued).toHaveLength(1);
  });

  it('with the same UUID and other content, or for another device, is a conflict', async () => {
    const call = caller(new FakeServices());
    await call('POST', path, { command: query, commandUuid: 'C-7' });
    const other = await call('POST', path, { command: { RequestType: 'SecurityInfo' }, commandUuid: 'C-7' });
    expect([other.status, kindOf(other)]).toEqual([409, 'command-conflict']);
    const elsewhere = await call('POST', `/devices/${PHONE}/commands`, {
      command: query,
      commandUuid: 'C-7',
    });
    expect(kindOf(elsewhere)).toBe('command-conflict');
    expect([other.body.detail, elsewhere.body.detail]).toEqual([
      'C-7 names other content.',
      'C-7 names a command of another device.',
    ]);
  });

  it('with the same Idempotency-Key and content finds the first', async () => {
    const fakes = new FakeServices();
    const call = caller(fakes);
    const headers = { 'Idempotency-Key': 'order-66' };
    const first = await call('POST', path, { command: query }, headers);
    const again = await call('POST', path, { command: query }, headers);
    expect([first.status, again.status]).toEqual([201, 200]);
    expect(again.body).toEqual(first.body);
    expect(first.body.commandUuid).toMatch(
      /^[0-9A-F]{8}-[0-9A-F]{4}-8[0-9A-F]{3}-[89AB][0-9A-F]{3}-[0-9A-F]{12}$/,
    );
    const other = await call('POST', path, { command: { RequestType: 'SecurityInfo' } }, headers);
    expect([other.status, kindOf(other)]).toEqual([409, 'command-conflict']);
    expect(fakes.enqueued).toHaveLength(1);
  });

  it('with one Idempotency-Key for two devices is two commands', async () => {
    const fakes = new FakeServices();
    const call = caller(fakes);
    const headers = { 'Idempotency-Key': 'order-66' };
    await call('POST', path, { command: query }, headers);
    expect((await call('POST', `/devices/${PHONE}/commands`, { command: query }, headers)).status).toBe(201);
  });

  it.each(['', 'with space', 'x'.repeat(256)])(
    'with the malformed Idempotency-Key %j is refused',
    async (key) => {
      const answer = await caller(new FakeServices())(
        'POST',
        path,
        { command: query },
        { 'Idempotency-Key': key },
      );
      expect(answer.body.errors[0].path).toBe('Idempotency-Key');
    },
  );

  it('has a UUID of its own for every administrator, device and key', async () => {
    const uuids = await Promise.all([
      commandUuidFor({ id: 'a' }, PHONE, 'k'),
      commandUuidFor({ id: 'b' }, PHONE, 'k'),
      commandUuidFor({ id: 'a' }, WATCH, 'k'),
      commandUuidFor({ id: 'a' }, PHONE, 'K'),
      commandUuidFor({ id: 'a","' }, PHONE, 'k'),
    ]);
    expect(new Set(uuids).size).toBe(uuids.length);
  });
});

describe('a grave command', () => {
  const erase = { RequestType: 'EraseDevice' };
  const gone = ['unenroll', 'unpair', 'erase'];

  it('to erase a watch needs its serial number, and tells what it causes', async () => {
    const fakes = new FakeServices();
    const call = caller(fakes);
    const causes = [{ device: WATCH, effects: gone }];
    const asked = await call('POST', path, { command: erase });
    expect([asked.status, kindOf(asked), asked.body.causes]).toEqual([422, 'confirmation-needed', causes]);
    const wrong = await call('POST', path, { command: erase, confirm: { serial: 'PHONESERIAL1' } });
    expect(kindOf(wrong)).toBe('confirmation-needed');
    expect([asked.body.detail, wrong.body.detail]).toEqual([
      "Repeat with the device's serial number in confirm.serial.",
      "What confirm.serial has does not match the device's serial number.",
    ]);
    expect(fakes.enqueued).toEqual([]);
    const done = await call('POST', path, { command: erase, confirm: { serial: 'WATCHSERIAL1' } });
    expect([done.status, done.body.causes]).toEqual([201, causes]);
    expect(fakes.enqueued[0]?.priority).toBe('urgent');
  });

  it('to erase an iPhone takes its watches with it', async () => {
    const fakes = new FakeServices();
    fakes.devices = [device({ watches: [WATCH, 'WATCH-0000000002' as Udid] })];
    const body = { command: erase, confirm: { serial: 'PHONESERIAL1' } };
    const done = await caller(fakes)('POST', `/devices/${PHONE}/commands`, body);
    expect(done.body.causes).toEqual([
      { device: PHONE, effects: ['unenroll', 'erase'] },
      { device: WATCH, effects: gone },
      { device: 'WATCH-0000000002', effects: gone },
    ]);
  });

  it('is the removal of the enrollment profile, and of no other', async () => {
    const fakes = new FakeServices();
    const call = caller(fakes);
    const remove = (udid: string, Identifier: unknown) =>
      call('POST', `/devices/${udid}/commands`, { command: { RequestType: 'RemoveProfile', Identifier } });
    expect((await remove(PHONE, 'com.example.wifi')).status).toBe(201);
    expect((await remove(WATCH, ['com.example.enrollment'])).status).toBe(201);
    expect((await remove(WATCH, 'com.example.enrollment')).body.causes).toEqual([
      { device: WATCH, effects: gone },
    ]);
    expect((await remove(PHONE, 'com.example.enrollment')).body.causes).toEqual([
      { device: PHONE, effects: ['unenroll'] },
      { device: WATCH, effects: gone },
    ]);
  });

  it('for a stranger is refused as such', async () => {
    const answer = await caller(new FakeServices())('POST', `/devices/${STRANGER}/commands`, {
      command: erase,
    });
    expect(kindOf(answer)).toBe('unknown-device');
  });
});

describe('a command', () => {
  const answered = (xml: string) =>
    utf8(`<?xml version="1.0" encoding="UTF-8"?>\n<plist version="1.0"><dict>${xml}</dict></plist>`);

  it('that waits has no result', async () => {
    const fakes = new FakeServices();
    putCommand(fakes, {});
    expect((await caller(fakes)('GET', `${path}/C-1`)).body).toEqual({
      commandUuid: 'C-1',
      requestType: 'DeviceInformation',
      state: 'pending',
      status: null,
      createdAt: '2026-11-20T12:00:00.000Z',
      expiresAt: null,
      answeredAt: null,
      priority: 'normal',
      deliveredAt: null,
      deliveries: 0,
      notNows: 0,
      requeuedFrom: null,
      requeuedAs: [],
      profile: null,
      command: null,
      result: null,
      error: null,
      reason: null,
    });
  });

  it('that was acknowledged shows every key of the answer', async () => {
    const fakes = new FakeServices();
    const result = answered(
      `<key>Status</key><string>Acknowledged</string><key>UDID</key><string>${WATCH}</string>` +
        '<key>QueryResponses</key><dict><key>BatteryLevel</key><real>0.5</real><key>Blob</key><data>AAEC</data></dict>',
    );
    putCommand(fakes, { state: 'acknowledged', status: 'Acknowledged', result });
    const { body } = await caller(fakes)('GET', `${path}/C-1`);
    expect(body).toMatchObject({ state: 'acknowledged', status: 'Acknowledged', error: null });
    expect(body.result).toEqual({
      Status: 'Acknowledged',
      UDID: WATCH,
      QueryResponses: { BatteryLevel: 0.5, Blob: { $data: 'AAEC' } },
    });
  });

  it.each([
    ['the end of its enrollment', 'EnrollmentEnded', expect.stringContaining('the enrollment')],
    ['an administrator', null, null],
  ])('that was canceled by %s says so', async (_by, status, reason) => {
    const fakes = new FakeServices();
    putCommand(fakes, { state: 'canceled', status });
    const { body } = await caller(fakes)('GET', `${path}/C-1`);
    expect([body.status, body.reason]).toEqual([status, reason]);
  });

  it('that failed shows the error chain', async () => {
    const fakes = new FakeServices();
    const result = answered(
      '<key>Status</key><string>Error</string><key>ErrorChain</key><array><dict>' +
        '<key>ErrorCode</key><integer>12021</integer><key>ErrorDomain</key><string>MCMDMErrorDomain</string>' +
        '</dict></array>',
    );
    putCommand(fakes, { state: 'error', status: 'Error', result });
    const { body } = await caller(fakes)('GET', `${path}/C-1`);
    expect(body.error).toEqual([{ ErrorCode: 12021, ErrorDomain: 'MCMDMErrorDomain' }]);
  });

  it('whose answer cannot be read is still shown', async () => {
    const fakes = new FakeServices();
    putCommand(fakes, { state: 'acknowledged', result: utf8('not a plist') });
    const { body } = await caller(fakes)('GET', `${path}/C-1`);
    expect([body.result, body.error]).toEqual([{ $data: btoa('not a plist') }, null]);
  });

  it('is found below its own device only', async () => {
    const fakes = new FakeServices();
    putCommand(fakes, { commandUuid: 'my/own' as CommandUuid });
    const call = caller(fakes);
    expect((await call('GET', `${path}/my%2Fown`)).body.commandUuid).toBe('my/own');
    for (const elsewhere of [`/devices/${PHONE}/commands/my%2Fown`, `${path}/other`]) {
      const answer = await call('GET', elsewhere);
      expect([answer.status, kindOf(answer)]).toEqual([404, 'unknown-command']);
    }
    expect(kindOf(await call('GET', `${path}/${'x'.repeat(129)}`))).toBe('malformed-identifier');
    expect(kindOf(await call('DELETE', '/devices/short/commands/x'))).toBe('malformed-identifier');
  });

  it('is canceled while it waits, and not after', async () => {
    const fakes = new FakeServices();
    putCommand(fakes, {});
    const call = caller(fakes);
    const canceled = await call('DELETE', `${path}/C-1`);
    expect([canceled.status, canceled.body]).toEqual([200, { commandUuid: 'C-1', state: 'canceled' }]);
    const again = await call('DELETE', `${path}/C-1`);
    expect([again.status, kindOf(again)]).toEqual([409, 'command-not-pending']);
    expect(kindOf(await call('DELETE', `${path}/C-2`))).toBe('unknown-command');
  });

  it('is listed without its result', async () => {
    const fakes = new FakeServices();
    for (let index = 0; index < 3; index++) putCommand(fakes, { commandUuid: `C-${index}` as CommandUuid });
    const call = caller(fakes);
    const first = (await call('GET', `${path}?limit=2`)).body;
    expect(first.items.map((item: { commandUuid: string }) => item.commandUuid)).toEqual(['C-0', 'C-1']);
    expect(first.items[0]).not.toHaveProperty('result');
    const rest = (await call('GET', `${path}?limit=2&cursor=${first.cursor}`)).body;
    expect([rest.items.length, rest.cursor]).toEqual([1, null]);
    const elsewhere = await call('GET', `/devices/${PHONE}/commands?cursor=${first.cursor}`);
    expect(kindOf(elsewhere)).toBe('malformed-cursor');
    expect(kindOf(await call('GET', `/devices/${STRANGER}/commands`))).toBe('unknown-device');
  });
});
