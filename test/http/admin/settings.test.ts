// biome-ignore-all lint/suspicious/noTemplateCurlyInString: variables in declarations are written like this
/** Properties, subscriptions, variables and `/manifests` in the whole Worker: what they take, refuse and limit. */
import { describe, expect, it } from 'vitest';
import { DEFAULT_SUBSCRIPTIONS } from '../../../src/domain/declaration/subscriptions.ts';
import { randomUuid } from '../../../src/pki/random.ts';
import { call, database, enrolledDevice, newDevice } from '../../support/admin-call.ts';

const refused = async (answer: ReturnType<typeof call>) => {
  const { status, kind, type } = await answer;
  if (status >= 400) expect(type).toBe('application/problem+json');
  return [status, kind];
};
const places = async (answer: ReturnType<typeof call>) => {
  const { status, body } = await answer;
  return [status, body.errors?.map((error: { path: string }) => error.path)];
};

describe('the properties of a device', () => {
  const put = (udid: string, json: unknown) => call('PUT', `/devices/${udid}/properties`, json);

  it('are put whole and read as they were put', async () => {
    const { udid } = await enrolledDevice();
    const read = async () => (await call('GET', `/devices/${udid}/properties`)).body;
    expect(await read()).toEqual({ name: null, properties: {} });
    const first = { name: 'Kim’s watch', properties: { room: 'A', floor: -1.5, open: false, 'a.b-c_d': '' } };
    const answer = await put(udid, first);
    expect([answer.status, answer.body]).toEqual([200, first]);
    expect(await read()).toEqual(first);
    for (const [json, becomes] of [
      [{ properties: { room: 'B' } }, { name: null, properties: { room: 'B' } }],
      [{ name: 'Pat' }, { name: 'Pat', properties: {} }],
      [{ name: null }, { name: null, properties: {} }],
      [{}, { name: null, properties: {} }],
    ]) {
      expect((await put(udid, json)).body).toEqual(becomes);
      expect(await read()).toEqual(becomes);
    }
  });

  it('have names as predicates can say them, and none that every object has', async () => {
    const { udid } = await enrolledDevice();
    for (const name of [
      'a b',
      'é',
      '.a',
      'a.',
      'a..b',
      'a.b.c.d.e',
      'x'.repeat(65),
      '',
      'constructor',
      'prototype',
    ])
      expect(await places(put(udid, { properties: { ok: 1, [name]: 1 } })), name).toEqual([
        400,
        [`/properties/${name}`],
      ]);
    // As it comes over the wire; a literal would set the prototype.
    const raw = JSON.parse('{"properties":{"__proto__":"x"}}');
    expect(await places(put(udid, raw))).toEqual([400, ['/properties/__proto__']]);
    expect((await call('GET', `/devices/${udid}/properties`)).body.properties).toEqual({});
    expect((await put(udid, { properties: { toString: 'x', hasOwnProperty: 'y' } })).body.properties).toEqual(
      {
        toString: 'x',
        hasOwnProperty: 'y',
      },
    );
  });

  it('are texts, numbers and booleans of a bounded size and number', async () => {
    const { udid } = await enrolledDevice();
    const long = 'x'.repeat(256);
    expect((await put(udid, { name: long, properties: { a: long } })).status).toBe(200);
    for (const value of [`${long}x`, 'a\nb', 'a\u0000', '\ud800', null, [], {}, ['a']])
      expect(await places(put(udid, { properties: { a: value } })), JSON.stringify(value)).toEqual([
        400,
        ['/properties/a'],
      ]);
    for (const name of [`${long}x`, '', 'a\tb', '\udfff', 1, true])
      expect(await places(put(udid, { name })), JSON.stringify(name)).toEqual([400, ['/name']]);
    const many = (count: number) =>
      Object.fromEntries(Array.from({ length: count }, (_, n) => [`p${n}`, n] as const));
    expect((await put(udid, { properties: many(64) })).status).toBe(200);
    expect(await places(put(udid, { properties: many(65) }))).toEqual([400, ['/properties']]);
    for (const json of [{ properties: [] }, { properties: 'x' }, { values: {} }, [], 'x'])
      expect(await refused(put(udid, json))).toEqual([400, 'invalid']);
    const response = await call(
      'PUT',
      `/devices/${udid}/properties`,
      { properties: { a: 1 } },
      { 'Content-Type': 'text/plain' },
    );
    expect([response.status, response.kind]).toEqual([415, 'not-json']);
  });

  it('are those of a device that is known', async () => {
    expect(await refused(put('STRANGER-0001', {}))).toEqual([404, 'unknown-device']);
    expect(await refused(call('GET', '/devices/STRANGER-0001/properties'))).toEqual([404, 'unknown-device']);
    expect(await refused(put('x', {}))).toEqual([400, 'malformed-identifier']);
    expect(await refused(call('GET', '/devices/x/properties'))).toEqual([400, 'malformed-identifier']);
    expect(await refused(call('DELETE', '/devices/STRANGER-0001/properties'))).toEqual([
      405,
      'method-not-allowed',
    ]);
    // Before it has enrolled, too: it is given them when it does.
    const { udid } = await newDevice();
    expect((await put(udid, { name: 'Kim' })).status).toBe(200);
  });
});

describe('the subscriptions of a platform', () => {
  it('are the default until they are put, and again when they are deleted', async () => {
    for (const platform of ['iOS', 'watchOS'] as const) {
      const at = `/subscriptions/${platform}`;
      const byDefault = { platform, items: DEFAULT_SUBSCRIPTIONS[platform], isDefault: true };
      expect((await call('GET', at)).body).toEqual(byDefault);
      const own = { items: ['passcode.is-present', 'device.identifier.udid', 'passcode.is-present'] };
      const listed = { platform, items: ['device.identifier.udid', 'passcode.is-present'], isDefault: false };
      expect((await call('PUT', at, own)).body).toEqual({ ...listed, waiting: 0 });
      expect((await call('GET', at)).body).toEqual(listed);
      expect((await call('PUT', at, { items: [] })).body).toMatchObject({ items: [], isDefault: false });
      expect((await call('DELETE', at)).body).toEqual({ ...byDefault, waiting: 0 });
      expect((await call('DELETE', at)).status).toBe(200);
    }
  });

  it('are items that the catalog has on that platform', async () => {
    const items = ['device.power.battery-health', 'passcode.is-present', 'no.such.item', '__proto__', ''];
    const answer = await call('PUT', '/subscriptions/watchOS', { items });
    expect([answer.status, answer.kind]).toEqual([422, 'unknown-status-items']);
    expect(answer.body.items).toEqual(['device.power.battery-health', 'no.such.item', '__proto__', '']);
    expect((await call('GET', '/subscriptions/watchOS')).body.isDefault).toBe(true);
  });

  it('are at most 200 texts, of a platform that there is', async () => {
    const at = '/subscriptions/iOS';
    const many = (count: number) => ({ items: new Array(count).fill('passcode.is-present') });
    expect((await call('PUT', at, many(200))).body.items).toEqual(['passcode.is-present']);
    for (const json of [many(201), { items: [1] }, { items: 'x' }, {}, { items: [], more: 1 }, []])
      expect(await refused(call('PUT', at, json))).toEqual([400, 'invalid']);
    await call('DELETE', at);
    for (const platform of ['macOS', 'ios', '__proto__']) {
      for (const [method, json] of [['GET'], ['PUT', { items: [] }], ['DELETE']] as const)
        expect(await refused(call(method, `/subscriptions/${platform}`, json))).toEqual([
          404,
          'no-such-resource',
        ]);
    }
  });
});

describe('a declaration with variables', () => {
  const TEST = 'com.apple.configuration.management.test';
  const put = (payload: object, type = TEST) =>
    call('PUT', `/declarations/com.example.${randomUuid()}`, { type, payload }, { 'If-None-Match': '*' });

  it('is shown as it was written', async () => {
    const payload = { Echo: '${udid} ${serial} ${name} ${property.room} $${udid} $5' };
    const { status, body } = await put(payload);
    expect([status, body.payload]).toEqual([201, payload]);
    expect((await call('GET', `/declarations/${body.identifier}`)).body.payload).toEqual(payload);
  });

  it('is refused with the places of those that nobody knows', async () => {
    const answer = await put({ Echo: '${udid} ${colour} ${property.constructor}' });
    expect([answer.status, answer.kind]).toEqual([422, 'unknown-variables']);
    expect(answer.body.variables).toEqual([
      { path: 'Payload.Echo', name: 'colour' },
      { path: 'Payload.Echo', name: 'property.constructor' },
    ]);
  });

  it('has at most 64 of them, and none in a predicate', async () => {
    expect((await put({ Echo: '${udid}'.repeat(64) })).status).toBe(201);
    expect(await refused(put({ Echo: '${udid}'.repeat(65) }))).toEqual([422, 'too-many-variables']);
    const activation = { StandardConfigurations: [], Predicate: "@property(a) == '${name}'" };
    expect(await refused(put(activation, 'com.apple.activation.simple'))).toEqual([
      422,
      'variable-in-predicate',
    ]);
  });

  it('names no reference by one', async () => {
    const answer = await put({ Echo: 'a', EchoDataAssetReference: '${property.asset}' });
    expect([answer.status, answer.kind]).toEqual([422, 'unknown-references']);
  });
});

describe('what waits', () => {
  it('is how many devices, and since when', async () => {
    expect((await call('GET', '/manifests')).body).toEqual({ waiting: 0, since: null });
    const device = await enrolledDevice();
    await database.run(
      "INSERT INTO manifest_due (udid, change_id, since_ms) VALUES (?, 'c', 1000)",
      device.udid,
    );
    expect((await call('GET', '/manifests')).body).toEqual({ waiting: 1, since: '1970-01-01T00:00:01.000Z' });
    await database.run('DELETE FROM manifest_due');
    expect(await refused(call('PUT', '/manifests', {}))).toEqual([405, 'method-not-allowed']);
  });
});
