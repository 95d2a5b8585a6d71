/** The device protocol as it should go: each check-in message, the command channel, declarations and assets. */
import { evictAllDurableObjects } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { Buffer } from 'node:buffer';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import {
  fromPem,
  type Plist,
  readDict,
  type SimulatedPhone,
  type SimulatedWatch,
  writePlist,
} from '../../simulator/index.ts';
import { countingSql, withoutSubscriptions } from '../../support/device.ts';
import {
  admin,
  adminReply,
  assign,
  assignedPhone,
  commandState,
  enrolledPhone,
  order,
  pairedWatch,
  put,
  send,
  unpairedWatch,
  url,
} from '../../support/front-door.ts';
import { checkInvariants, readObject, settle } from '../../support/invariants.ts';

beforeAll(withoutSubscriptions);

let phone: SimulatedPhone;
let watch: SimulatedWatch;
beforeAll(async () => {
  phone = await assignedPhone();
  watch = await pairedWatch(phone);
});
afterAll(checkInvariants);

const PLIST = 'application/xml; charset=UTF-8';

describe('check-in', () => {
  it.each(['Authenticate', 'TokenUpdate', 'CheckOut'])(
    '%s is answered 200 and nothing',
    async (messageType) => {
      const device = await enrolledPhone();
      const fields: Record<string, { [key: string]: Plist }> = {
        Authenticate: { Topic: 'x', SerialNumber: device.serial },
        TokenUpdate: { Topic: 'x', Token: device.pushToken, PushMagic: device.pushMagic },
        CheckOut: { Topic: 'x' },
      };
      const reply = await device.checkIn(messageType, fields[messageType] ?? {});
      expect([reply.status, reply.body.length]).toEqual([200, 0]);
    },
  );

  it('takes a message without Content-Type, and with any', async () => {
    const body = writePlist({ MessageType: 'DeclarativeManagement', UDID: phone.udid, Endpoint: 'tokens' });
    for (const type of [null, 'application/x-apple-aspen-mdm-checkin', 'text/plain;charset=UTF-8']) {
      const headers = {
        'mdm-signature': phone.mdmSignature(body),
        ...(type === null ? {} : { 'content-type': type }),
      };
      expect((await put('/mdm/checkin', body, headers)).status).toBe(200);
    }
  });

  it('takes both dressings of the signature', async () => {
    const body = writePlist({ UDID: phone.udid, Status: 'Idle' });
    for (const mode of ['legacy', 'modern'] as const) {
      expect(
        (await put('/mdm/connect', body, { 'mdm-signature': phone.mdmSignature(body, mode) })).status,
      ).toBe(200);
    }
  });

  it('GetToken gives the token as data in a property list', async () => {
    const unpaired = await unpairedWatch(phone);
    const { securityToken } = await unpaired.requestProfile();
    const reply = await phone.checkIn('GetToken', {
      TokenServiceType: 'com.apple.watch.pairing',
      TokenParameters: { SecurityToken: securityToken!, PhoneUDID: phone.udid, WatchUDID: unpaired.udid },
    });
    expect([reply.status, reply.contentType]).toEqual([200, PLIST]);
    expect(String(readDict(reply.body)['TokenData'])).toMatch(/^[\w-]+\.[\w-]+\.[\w-]+$/);
  });

  it('GetToken of a watch is refused: it hosts nobody', async () => {
    const TokenParameters = { SecurityToken: 'x', PhoneUDID: watch.udid, WatchUDID: watch.udid };
    const reply = await watch.checkIn('GetToken', {
      TokenServiceType: 'com.apple.watch.pairing',
      TokenParameters,
    });
    expect(reply.status).toBe(400);
  });

  it('keeps what a device must never lose sealed in its object', async () => {
    const device = await enrolledPhone();
    await device.setBootstrapToken(Buffer.from('a bootstrap token'));
    const { tables } = await readObject(env.DEVICE.getByName(device.udid));
    const [row] = tables['enrollment'] ?? [];
    for (const [column, clear] of [
      ['unlock_token', device.facts.unlockToken],
      ['bootstrap_token', Buffer.from('a bootstrap token')],
    ] as const) {
      const stored = Buffer.from(row?.[column] as ArrayBuffer);
      expect(stored.length, column).toBe(clear!.length + 29);
      expect(stored.includes(clear!), column).toBe(false);
    }
  });
});

describe('the command channel', () => {
  it('gives a command as a property list, and ends the session with no bytes at all', async () => {
    const uuid = await order(watch, 'SecurityInfo');
    const report = async (fields: { [key: string]: Plist }) => {
      const body = writePlist({ UDID: watch.udid, ...fields });
      return put('/mdm/connect', body, { 'mdm-signature': watch.mdmSignature(body) });
    };
    const given = await report({ Status: 'Idle' });
    expect([given.status, given.headers.get('content-type')]).toEqual([200, PLIST]);
    const document = readDict(Buffer.from(await given.arrayBuffer()));
    expect(document).toEqual({ CommandUUID: uuid, Command: { RequestType: 'SecurityInfo' } });
    const ended = await report({ Status: 'Acknowledged', CommandUUID: uuid, SecurityInfo: {} });
    expect([ended.status, (await ended.arrayBuffer()).byteLength]).toEqual([200, 0]);
    expect(await admin('GET', `devices/${watch.udid}/commands/${uuid}`)).toMatchObject({
      state: 'acknowledged',
    });
  });

  it('costs an idle watch no statement in D1 and none in its object', async () => {
    await settle();
    expect((await watch.connect()).commands).toEqual([]);
    const { d1, objects } = await countingSql(() => watch.connect());
    expect({ d1, objects }).toEqual({ d1: 0, objects: 0 });
  });
});

describe('declarative management', () => {
  const ask = (device: SimulatedPhone | SimulatedWatch, Endpoint: string) =>
    device.checkIn('DeclarativeManagement', { Endpoint });

  it('answers tokens and items with one token, the same every time, as JSON', async () => {
    const replies = [
      await ask(phone, 'tokens'),
      await ask(phone, 'declaration-items'),
      await ask(phone, 'tokens'),
    ];
    expect(replies.map((reply) => [reply.status, reply.contentType])).toEqual(
      Array(3).fill([200, 'application/json']),
    );
    const [tokens, items, again] = replies.map((reply) => JSON.parse(reply.body.toString()));
    expect(items.DeclarationsToken).toBe(tokens.SyncTokens.DeclarationsToken);
    expect(again).toEqual(tokens);
    expect(tokens.SyncTokens.Timestamp).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
    expect(Object.keys(items.Declarations).sort()).toEqual([
      'Activations',
      'Assets',
      'Configurations',
      'Management',
    ]);
  });

  it('gives a declaration, also when the renderings at the edge are gone', async () => {
    const [{ Identifier, ServerToken }] = JSON.parse((await ask(phone, 'declaration-items')).body.toString())
      .Declarations.Configurations;
    const fetched = await ask(phone, `declaration/configuration/${Identifier}`);
    expect(JSON.parse(fetched.body.toString())).toMatchObject({
      Identifier,
      ServerToken,
      Type: 'com.apple.configuration.watch.enrollment',
    });
    const { keys } = await env.RENDERED.list();
    expect(keys.length).toBeGreaterThan(0);
    await Promise.all(keys.map(({ name }) => env.RENDERED.delete(name)));
    expect((await ask(phone, `declaration/configuration/${Identifier}`)).body).toEqual(fetched.body);
    expect((await env.RENDERED.list()).keys).toHaveLength(1);
    expect((await ask(watch, `declaration/configuration/${Identifier}`)).status).toBe(404);
    expect((await ask(phone, `declaration/activation/${Identifier}`)).status).toBe(404);
  });

  it('never says 404 of a declaration that the device is to hold', async () => {
    const device = await assignedPhone();
    const [{ Identifier }] = JSON.parse((await ask(device, 'declaration-items')).body.toString()).Declarations
      .Activations;
    for (const { name } of (await env.RENDERED.list()).keys) await env.RENDERED.delete(name);
    const kept = await env.DB.prepare('SELECT * FROM declarations WHERE identifier = ?')
      .bind(Identifier)
      .first();
    await env.DB.prepare("UPDATE declarations SET server_token = 'other' WHERE identifier = ?")
      .bind(Identifier)
      .run();
    expect((await ask(device, `declaration/activation/${Identifier}`)).status).toBe(503);
    await env.DB.prepare('UPDATE declarations SET server_token = ? WHERE identifier = ?')
      .bind(kept?.['server_token'], Identifier)
      .run();
    // Each change is met with the manifest that follows it; then the device has what its manifest names.
    const statuses = [1, 2].map(
      () => async () => (await ask(device, `declaration/activation/${Identifier}`)).status,
    );
    expect([await statuses[0]?.(), await statuses[1]?.()]).toEqual([503, 200]);
  });

  it('has nothing for a device that nothing was assigned to', async () => {
    const items = JSON.parse((await ask(watch, 'declaration-items')).body.toString());
    expect(Object.values(items.Declarations)).toEqual([[], [], [], []]);
  });

  it('tells the administrator how far the assignment got', async () => {
    const path = `watch-enrollment/devices/${phone.udid}`;
    expect(await admin('GET', path)).toMatchObject({
      assigned: true,
      delivered: true,
      active: true,
      valid: 'valid',
    });
    const fresh = await enrolledPhone({ supervised: false });
    await admin('PUT', `watch-enrollment/devices/${fresh.udid}`, { anchors: [] });
    await fresh.connect();
    const status = await admin('GET', `watch-enrollment/devices/${fresh.udid}`);
    expect(status).toMatchObject({ assigned: true, delivered: true, valid: 'invalid' });
    expect(JSON.stringify(status['reasons'])).toContain('Error.ConfigurationNotSupported');
  });

  it('is told of a change by one command', async () => {
    const device = await assignedPhone();
    await admin('PUT', `watch-enrollment/devices/${device.udid}`, { anchors: [env.CA_CERTIFICATE] });
    await admin('DELETE', `watch-enrollment/devices/${device.udid}`);
    await admin('PUT', `watch-enrollment/devices/${device.udid}`, { anchors: [] });
    await admin('DELETE', `watch-enrollment/devices/${device.udid}`);
    await settle();
    const { commands, sync } = await device.connect();
    expect(commands.map((one) => one.requestType)).toEqual(['DeclarativeManagement']);
    expect(sync).toMatchObject({ changed: true });
    expect(device.watchEnrollmentUrl()).toBeNull();
  });
});

describe('an asset', () => {
  const der = fromPem(env.CA_CERTIFICATE)[0]!;
  const pinned = async () => {
    const device = await enrolledPhone();
    await assign(device, [env.CA_CERTIFICATE]);
    const items = JSON.parse(
      (await device.checkIn('DeclarativeManagement', { Endpoint: 'declaration-items' })).body.toString(),
    );
    return { device, identifier: items.Declarations.Assets[0].Identifier as string };
  };
  const fetchAsset = (device: SimulatedPhone | SimulatedWatch, identifier: string) =>
    send(
      new Request(`${url}/ddm/assets/${identifier}`, {
        headers: { 'mdm-signature': device.mdmSignature(new Uint8Array()) },
      }),
    );

  it('goes to the device that holds it, with the declared type, length and bytes', async () => {
    const { device, identifier } = await pinned();
    expect(device.assetData(identifier)).toEqual(der);
    const reply = await fetchAsset(device, identifier);
    const body = Buffer.from(await reply.arrayBuffer());
    expect([reply.status, reply.headers.get('content-type'), reply.headers.get('content-length')]).toEqual([
      200,
      'application/pkcs1',
      String(der.length),
    ]);
    expect(body).toEqual(der);
    expect((await fetchAsset(phone, identifier)).status).toBe(404);
    expect((await fetchAsset(watch, identifier)).status).toBe(404);
    await admin('DELETE', `watch-enrollment/devices/${device.udid}`);
    expect((await fetchAsset(device, identifier)).status).toBe(404);
  });

  it('whose name is no identifier is not there', async () => {
    for (const name of ['x'.repeat(65), '%C3%BC'.repeat(40)])
      expect((await fetchAsset(phone, name)).status).toBe(404);
  });
});

describe('methods', () => {
  it.each([
    ['/mdm/checkin', 'PUT'],
    ['/mdm/connect', 'PUT'],
    ['/ddm/assets/x', 'GET, HEAD'],
    ['/ddm/profiles/x', 'GET, HEAD'],
  ])('%s takes %s alone', async (path, allow) => {
    for (const method of [
      'POST',
      'DELETE',
      'PATCH',
      'OPTIONS',
      ...(allow === 'PUT' ? ['GET', 'HEAD'] : ['PUT']),
    ]) {
      const reply = await send(new Request(url + path, { method }));
      expect([method, reply.status, reply.headers.get('allow')]).toEqual([method, 405, allow]);
    }
  });
});

describe('a dependency that fails', () => {
  const failing = (method: 'prepare' | 'batch', namespace: object = env.DB) =>
    vi.spyOn(Object.getPrototypeOf(namespace), method).mockImplementation(() => {
      throw new Error('D1_ERROR: simulated outage');
    });

  it('is 503 with Retry-After, and what was said is not lost', async () => {
    const device = await pairedWatch(phone);
    const uuid = await order(device, 'SecurityInfo');
    const outage = failing('prepare');
    const body = writePlist({ UDID: device.udid, Status: 'Idle' });
    const reply = await put('/mdm/connect', body, { 'mdm-signature': device.mdmSignature(body) });
    outage.mockRestore();
    expect([reply.status, reply.headers.get('retry-after'), await reply.text()]).toEqual([
      503,
      '30',
      'unavailable\n',
    ]);
    expect((await device.connect()).commands).toMatchObject([{ commandUuid: uuid, status: 'Acknowledged' }]);
    expect(await commandState(device, uuid)).toBe('acknowledged');
  });

  it('does not stand in the way of check-in and idle polls', async () => {
    const outage = failing('prepare');
    await phone.tokenUpdate();
    expect((await phone.checkIn('DeclarativeManagement', { Endpoint: 'tokens' })).status).toBe(200);
    outage.mockRestore();
  });

  it('in GetToken and at redemption is 503, and pairing goes on after it', async () => {
    const fresh = await unpairedWatch(phone);
    const { securityToken } = await fresh.requestProfile();
    const outage = failing('prepare');
    const refused = await phone.getToken({ securityToken: securityToken!, watchUdid: fresh.udid });
    outage.mockRestore();
    expect(refused.status).toBe(503);
    const token = await phone.getToken({ securityToken: securityToken!, watchUdid: fresh.udid });
    const second = failing('prepare');
    const answer = await fresh.requestProfile(token.tokenData);
    second.mockRestore();
    expect(answer.status).toBe(503);
    const { profile } = await fresh.requestProfile(token.tokenData);
    await fresh.install(profile!);
  });

  it('in the cache of renderings is not noticed', async () => {
    const kv = Object.getPrototypeOf(env.RENDERED);
    const broken = [vi.spyOn(kv, 'get'), vi.spyOn(kv, 'put')].map((spy) =>
      spy.mockRejectedValue(new Error('KV is down')),
    );
    const device = await assignedPhone();
    expect(broken.map((spy) => spy.mock.calls.length > 0)).toEqual([true, true]);
    for (const spy of broken) spy.mockRestore();
    expect(device.watchEnrollmentUrl()).toBe(`${url}/enroll/watch`);
  });

  it('that is the object itself is 503, and the next request finds it well', async () => {
    const { DeviceObject } = await import('../../../src/durable/device/object.ts');
    const broken = vi.spyOn(DeviceObject.prototype, 'report').mockImplementation(() => {
      throw new Error('the object is broken');
    });
    const body = writePlist({ UDID: watch.udid, Status: 'Idle' });
    const reply = await put('/mdm/connect', body, { 'mdm-signature': watch.mdmSignature(body) });
    broken.mockRestore();
    expect(reply.status).toBe(503);
    expect((await watch.connect()).commands).toEqual([]);
  });

  it('leaves the outbox to drain by itself', async () => {
    const device = await enrolledPhone();
    await vi.waitFor(
      async () => {
        const { tables } = await readObject(env.DEVICE.getByName(device.udid));
        expect(tables['outbox']).toEqual([]);
      },
      { timeout: 10_000, interval: 50 },
    );
    expect(
      (await env.DB.prepare('SELECT state FROM devices WHERE udid = ?').bind(device.udid).first())?.['state'],
    ).toBe('enrolled');
    await evictAllDurableObjects();
    expect((await adminReply('GET', `devices/${device.udid}`)).status).toBe(200);
  });
});
