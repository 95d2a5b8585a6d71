/** `/commands` and `/devices/{udid}/available-commands` in the whole Worker, and how a refused command is told. */
import { beforeAll, describe, expect, it, vi } from 'vitest';
import type { Udid } from '../../../src/domain/ids.ts';
import { randomUuid } from '../../../src/pki/random.ts';
import { toBase64, utf8 } from '../../../src/std/bytes.ts';
import { Unavailable } from '../../../src/std/outcome.ts';
import { call, database, enrolledDevice, newDevice } from '../../support/admin-call.ts';
import { breakD1, connect, devices, withoutSubscriptions } from '../../support/device.ts';
import { mobileConfig, payload, text } from '../../support/uploads.ts';

const QUERY = { RequestType: 'DeviceInformation', Queries: ['UDID'] };
const ERASE = { RequestType: 'EraseDevice' };
const SERIAL = 'SERIAL0001';

beforeAll(withoutSubscriptions);

async function fleet(count: number): Promise<string[]> {
  const made = await Promise.all(Array.from({ length: count }, () => enrolledDevice()));
  return made.map(({ udid }) => String(udid)).sort();
}

async function groupOf(udids: readonly string[]): Promise<string> {
  const name = `group.${randomUuid().slice(0, 8)}`;
  await call('PUT', `/groups/${name}`);
  await call('POST', `/groups/${name}/devices`, { add: udids });
  return name;
}

async function queuedFor(udid: string): Promise<{ command_uuid: string; request_type: string }[]> {
  return database.all('SELECT command_uuid, request_type FROM commands WHERE udid = ?', udid);
}

const order = (body: object, more: Record<string, string> = {}) =>
  call('POST', '/commands', { command: QUERY, push: false, ...body }, more);
const kindsOf = (items: readonly { refusal?: { type: string } }[]) =>
  items.map(({ refusal }) => refusal?.type.replace('urn:escapement:problem:', '') ?? 'ok');

describe('one command for many devices', () => {
  it('is queued for each under a UUID of its own, and answered by UDID', async () => {
    const udids = await fleet(3);
    const { status, body } = await order({ devices: udids.toReversed(), commandUuid: 'inventory' });
    expect(status).toBe(200);
    expect(body).toMatchObject({ commandUuid: 'inventory', cursor: null });
    expect(body.counts).toEqual({ queued: 3, repeated: 0, refused: 0, unavailable: 0 });
    expect(body.items.map((item: { udid: string; state: string }) => [item.udid, item.state])).toEqual(
      udids.map((udid) => [udid, 'pending']),
    );
    for (const { udid, commandUuid } of body.items) {
      expect(await queuedFor(udid)).toEqual([
        { command_uuid: commandUuid, request_type: 'DeviceInformation' },
      ]);
      const shown = await call('GET', `/devices/${udid}/commands/${commandUuid}`);
      expect(shown.body).toMatchObject({ requestType: 'DeviceInformation', state: 'pending' });
    }
  });

  it('reaches the device', async () => {
    const device = await enrolledDevice();
    const { body } = await order({ devices: [device.udid] });
    expect(await connect(device)).toBe(body.items[0].commandUuid);
  });

  it('that is said again finds what it queued and queues the rest', async () => {
    const udids = await fleet(3);
    const first = await order({ devices: udids.slice(0, 2), commandUuid: 'again' });
    const second = await order({ devices: udids, commandUuid: 'again' });
    expect(second.body.counts).toEqual({ queued: 1, repeated: 2, refused: 0, unavailable: 0 });
    expect(second.body.items.slice(0, 2)).toEqual(first.body.items);
    for (const udid of udids) expect(await queuedFor(udid)).toHaveLength(1);
    const other = await order({
      devices: udids,
      commandUuid: 'again',
      command: { RequestType: 'SecurityInfo' },
    });
    expect(kindsOf(other.body.items)).toEqual(Array(3).fill('command-conflict'));
  });

  it('has its name from the Idempotency-Key, else a fresh one that the answer tells', async () => {
    const udids = await fleet(1);
    const key = { 'Idempotency-Key': `order-${randomUuid()}` };
    const [first, second] = [await order({ devices: udids }, key), await order({ devices: udids }, key)];
    expect(second.body).toMatchObject({ commandUuid: first.body.commandUuid, counts: { repeated: 1 } });
    const fresh = await order({ devices: udids });
    expect(fresh.body).toMatchObject({ counts: { queued: 1 } });
    const again = await order({ devices: udids, commandUuid: fresh.body.commandUuid });
    expect(again.body).toMatchObject({ counts: { repeated: 1 } });
    expect((await order({ devices: udids }, { 'Idempotency-Key': 'a b' })).kind).toBe('invalid');
  });

  it('is judged for each by itself', async () => {
    const [watch = ''] = await fleet(1);
    const phone = String((await enrolledDevice({ platform: 'iOS' })).udid);
    const unknown = `STRANGER-${randomUuid().slice(0, 8)}`;
    const gone = await enrolledDevice();
    await gone.object.checkOut(gone.pin, Date.now() as never);
    const targets = [watch, phone, unknown, String(gone.udid)];
    const { body } = await order({ devices: targets, command: { RequestType: 'RestartDevice' } });
    const kinds = new Map(
      targets.map((udid) => [
        udid,
        kindsOf(body.items.filter((one: { udid: string }) => one.udid === udid))[0],
      ]),
    );
    expect([...kinds.values()]).toEqual([
      'unsupported-command',
      'ok',
      'unknown-device',
      'device-not-enrolled',
    ]);
    expect(body.counts).toEqual({ queued: 1, repeated: 0, refused: 3, unavailable: 0 });
    const refused = body.items.find((one: { udid: string }) => one.udid === watch);
    expect(refused.refusal).toMatchObject({
      status: 422,
      detail: expect.stringMatching(/^RestartDevice: not watchOS\. The server cannot restart/),
      alternative: null,
    });
    expect(refused.refusal.requestId).toBeUndefined();
    expect(await queuedFor(watch)).toEqual([]);
  });

  it('goes on when one device cannot be reached, and is finished by saying it again', async () => {
    const udids = await fleet(4);
    const [silent = ''] = udids;
    const of = Object.getPrototypeOf(devices) as { of: typeof devices.of };
    const original = of.of;
    const broken = vi.spyOn(of, 'of').mockImplementation(function (this: typeof devices, udid: Udid) {
      const device = original.call(this, udid);
      return udid === silent
        ? { ...device, describe: () => Promise.reject(new Unavailable('object', 'no answer')) }
        : device;
    });
    const first = await order({ devices: udids, commandUuid: 'silent' });
    broken.mockRestore();
    expect(first.body.counts).toEqual({ queued: 3, repeated: 0, refused: 0, unavailable: 1 });
    expect(kindsOf(first.body.items)).toEqual(['unavailable', 'ok', 'ok', 'ok']);
    const second = await order({ devices: udids, commandUuid: 'silent' });
    expect(second.body.counts).toEqual({ queued: 1, repeated: 3, refused: 0, unavailable: 0 });
  });

  it('says of a database that fails that nothing is known, and is finished by saying it again', async () => {
    const udids = await fleet(5);
    let calls = 0;
    const broken = breakD1('batch', () => ++calls === 3);
    const first = await order({ devices: udids, commandUuid: 'outage' });
    broken.mockRestore();
    expect(calls).toBeGreaterThanOrEqual(3);
    expect(first.body.counts.unavailable).toBeGreaterThan(0);
    const second = await order({ devices: udids, commandUuid: 'outage' });
    expect(second.body.counts).toMatchObject({ refused: 0, unavailable: 0 });
    for (const udid of udids) expect(await queuedFor(udid)).toHaveLength(1);
  });

  it('asks D1 for what many devices need together', async () => {
    const udids = await fleet(40);
    const prototype = Object.getPrototypeOf(database) as { results: (...args: unknown[]) => unknown };
    const batches = vi.spyOn(prototype, 'results');
    await order({ devices: udids });
    const sizes = batches.mock.calls.map(([statements]) => (statements as unknown[]).length);
    batches.mockRestore();
    const statements = sizes.reduce((sum, size) => sum + size, 0);
    expect(statements).toBeGreaterThanOrEqual(4 * 40);
    expect(sizes.length).toBeLessThan(statements / 3);
  });

  it.each<[string, object, string]>([
    ['neither devices nor a group', {}, ''],
    ['both', { devices: ['DEVICE-0001'], group: 'everyone' }, ''],
    ['no device', { devices: [] }, '/devices'],
    ['501 devices', { devices: Array.from({ length: 501 }, (_, n) => `DEVICE-${1000 + n}`) }, '/devices'],
    ['what is no UDID', { devices: ['!'] }, '/devices/0'],
    ['a cursor without a group', { devices: ['DEVICE-0001'], cursor: 'x' }, '/cursor'],
    ['a limit of 0', { group: 'everyone', limit: 0 }, '/limit'],
    ['a limit of 501', { group: 'everyone', limit: 501 }, '/limit'],
    ['a command without a name', { devices: ['DEVICE-0001'], command: {} }, '/command/RequestType'],
    [
      'one serial number for all',
      { devices: ['DEVICE-0001'], confirm: { serial: SERIAL } },
      '/confirm/serials',
    ],
    [
      'more copies of a large command than there is room for',
      {
        devices: Array.from({ length: 200 }, (_, n) => `DEVICE-${1000 + n}`),
        command: { RequestType: 'InstallProfile', Payload: { $data: 'A'.repeat(100 * 1024) } },
      },
      '/devices',
    ],
  ])('with %s is refused', async (_what, body, path) => {
    const answer = await order(body);
    expect([answer.status, answer.kind, answer.body.errors[0].path]).toEqual([400, 'invalid', path]);
  });
});

describe('one command for a group', () => {
  it('goes to its members page by page', async () => {
    const udids = await fleet(5);
    const group = await groupOf(udids);
    const seen: string[] = [];
    let cursor: string | null | undefined;
    let name: string | undefined;
    for (let page = 0; page < 3; page++) {
      const { body } = await order({ group, limit: 2, commandUuid: name, cursor: cursor ?? undefined });
      seen.push(...body.items.map((item: { udid: string }) => item.udid));
      ({ cursor, commandUuid: name } = body);
    }
    expect([seen, cursor]).toEqual([udids, null]);
    for (const udid of udids) expect(await queuedFor(udid)).toHaveLength(1);
  });

  it('takes a page that has room for a large command', async () => {
    const group = await groupOf(await fleet(1));
    const command = { RequestType: 'InstallProfile', Payload: { $data: toBase64(utf8(mobileConfig())) } };
    const { body } = await order({ group, command, limit: 500 });
    expect(body.counts).toMatchObject({ queued: 1 });
  });

  it('is refused for a group that is not there, and for a cursor of another', async () => {
    expect((await order({ group: 'nowhere' })).kind).toBe('unknown-group');
    const udids = await fleet(2);
    const [one, other] = [await groupOf(udids), await groupOf(udids)];
    const { body } = await order({ group: one, limit: 1 });
    expect((await order({ group: other, cursor: body.cursor })).kind).toBe('malformed-cursor');
    expect((await order({ group: one, cursor: 'x' })).kind).toBe('malformed-cursor');
  });

  it('of nobody is done at once', async () => {
    const { body } = await order({ group: await groupOf([]) });
    expect(body).toMatchObject({ items: [], cursor: null, counts: { queued: 0 } });
  });
});

describe('a grave command for many', () => {
  it('goes to those whose serial number was repeated', async () => {
    const [first = '', second = '', third = ''] = await fleet(3);
    const confirm = { serials: { [first]: SERIAL, [second]: 'ANOTHER001' } };
    const { body } = await order({ devices: [first, second, third], command: ERASE, confirm });
    expect(kindsOf(body.items)).toEqual(['ok', 'confirmation-needed', 'confirmation-needed']);
    expect(body.items.slice(1).map((item: { refusal: { detail: string } }) => item.refusal.detail)).toEqual([
      "What confirm.serials under its UDID has does not match the device's serial number.",
      "Repeat with the device's serial number in confirm.serials under its UDID.",
    ]);
    expect(body.items[0].causes).toEqual([{ device: first, effects: ['unenroll', 'unpair', 'erase'] }]);
    expect(body.items[1].refusal.causes).toEqual([
      { device: second, effects: ['unenroll', 'unpair', 'erase'] },
    ]);
    expect(
      [await queuedFor(first), await queuedFor(second), await queuedFor(third)].map((rows) => rows.length),
    ).toEqual([1, 0, 0]);
  });
});

describe('a profile that reaches the watch', () => {
  const install = (profile: string, more: object = {}) => ({
    command: { RequestType: 'InstallProfile', Payload: { $data: toBase64(utf8(profile)) } },
    push: false,
    ...more,
  });
  const restrictions = (value: string) =>
    mobileConfig([payload('com.apple.applicationaccess', { allowPairedWatch: value })]);

  it('by forbidding it on the iPhone asks for the serial number, and says what it causes', async () => {
    const phone = await enrolledDevice({ platform: 'iOS' });
    const path = `/devices/${phone.udid}/commands`;
    const causes = [{ device: phone.udid, effects: ['unpair'] }];
    const asked = await call('POST', path, install(restrictions('<false/>')));
    expect([asked.status, asked.kind, asked.body.causes]).toEqual([422, 'confirmation-needed', causes]);
    expect(await queuedFor(phone.udid)).toEqual([]);
    const done = await call('POST', path, install(restrictions('<false/>'), { confirm: { serial: SERIAL } }));
    expect([done.status, done.body.causes]).toEqual([201, causes]);
    expect((await call('POST', path, install(restrictions('<true/>')))).body.causes).toBeUndefined();
  });

  it('and is installed on the watch itself has no such effect', async () => {
    const watch = await enrolledDevice();
    const profile = mobileConfig([payload('com.apple.applicationaccess', { allowScreenShot: '<false/>' })]);
    const done = await call('POST', `/devices/${watch.udid}/commands`, install(profile));
    expect([done.status, done.body.causes]).toEqual([201, undefined]);
  });

  it('by an Always-On VPN on the iPhone is warned of, and not hindered', async () => {
    const phone = await enrolledDevice({ platform: 'iOS' });
    const vpn = payload('com.apple.vpn.managed', {
      VPNType: text('AlwaysOn'),
      UserDefinedName: text('VPN'),
    });
    const done = await call('POST', `/devices/${phone.udid}/commands`, install(mobileConfig([vpn])));
    expect(done.status).toBe(201);
    expect(done.body.warnings).toEqual([{ kind: 'always-on-vpn', detail: expect.stringContaining('watch') }]);
  });
});

describe('a command that the catalog refuses', () => {
  it('is told with every place, as a pointer into the body', async () => {
    const watch = await enrolledDevice();
    const command = {
      RequestType: 'Settings',
      Settings: [
        { Item: 'PasscodeLockGracePeriod', PasscodeLockGracePeriod: 60 },
        { Item: 'OrganizationInfo', 'a/b~': 1 },
      ],
    };
    const { status, kind, type, body } = await call('POST', `/devices/${watch.udid}/commands`, { command });
    expect([status, kind, type]).toEqual([422, 'invalid-command', 'application/problem+json']);
    const alternative = { kind: 'configuration', type: 'com.apple.configuration.passcode.settings' };
    expect(body.errors).toEqual([
      {
        path: '/command/Settings/0',
        rule: 'platform',
        expected: 'not watchOS',
        reason: expect.stringContaining('passcode rules'),
        alternative,
      },
      { path: '/command/Settings/1/a~1b~0', rule: 'unknown-key', expected: 'no such key' },
    ]);
    expect(body.alternative).toEqual(alternative);
    expect(await queuedFor(watch.udid)).toEqual([]);
  });

  it('passes with allowUnknown when only the catalog does not know it', async () => {
    const watch = await enrolledDevice();
    const path = `/devices/${watch.udid}/commands`;
    const command = { RequestType: 'NewInWatchOS28' };
    expect((await call('POST', path, { command })).kind).toBe('unsupported-command');
    expect((await call('POST', path, { command, allowUnknown: true, push: false })).status).toBe(201);
  });

  it('is not asked for again by one that was queued before', async () => {
    const watch = await enrolledDevice();
    const path = `/devices/${watch.udid}/commands`;
    const body = { command: { RequestType: 'DeviceLock', New: 1 }, commandUuid: randomUuid(), push: false };
    expect((await call('POST', path, { ...body, allowUnknown: true })).status).toBe(201);
    expect((await call('POST', path, body)).status).toBe(200);
    expect((await call('POST', path, { ...body, commandUuid: randomUuid() })).kind).toBe('invalid-command');
  });
});

describe('what a device takes', () => {
  it('is listed with the reason against the others', async () => {
    const watch = await enrolledDevice();
    const { status, body } = await call('GET', `/devices/${watch.udid}/available-commands`);
    expect(status).toBe(200);
    expect(body.items).toContainEqual({ requestType: 'DeviceLock', available: true });
    expect(body.items).toContainEqual({
      requestType: 'EnableLostMode',
      available: false,
      rule: 'platform',
      expected: 'not watchOS',
      reason: expect.stringContaining('Lost Mode'),
      alternative: { kind: 'command', type: 'DeviceLock' },
    });
    expect(body.items).toContainEqual({
      requestType: 'ClearPasscode',
      available: false,
      rule: 'unlock-token',
      expected: 'a device that has sent an unlock token',
    });
  });

  it('is not said of a stranger, or of a device that never spoke', async () => {
    for (const udid of ['STRANGER-0001', (await newDevice()).udid])
      expect((await call('GET', `/devices/${udid}/available-commands`)).kind).toBe('unknown-device');
    expect((await call('GET', '/devices/!/available-commands')).kind).toBe('malformed-identifier');
  });
});
