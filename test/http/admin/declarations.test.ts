/** `/declarations` and `/sets` in the whole Worker: what they take, what they refuse, and how writers are kept apart. */
import { env, exports } from 'cloudflare:workers';
import { describe, expect, it } from 'vitest';
import { randomUuid } from '../../../src/pki/random.ts';
import { type Answer, call } from '../../support/admin-call.ts';
import { enrolledDevice, session } from '../../support/device.ts';

// biome-ignore lint/suspicious/noExplicitAny: a test reads whatever document came
type Json = any;

const CREATE = { 'If-None-Match': '*' };
const fresh = (name: string) => `com.example.${name}.${randomUuid().slice(0, 8)}`;
const TEST = 'com.apple.configuration.management.test';
const echo = (text: string) => ({ type: TEST, payload: { Echo: text } });
const at = (identifier: string) => `/declarations/${encodeURIComponent(identifier)}`;

async function create(identifier: string, json: Json): Promise<string> {
  const answer = await call('PUT', at(identifier), json, CREATE);
  if (answer.status !== 201) throw new Error(`${answer.status} ${JSON.stringify(answer.body)}`);
  return answer.etag;
}

describe('a declaration', () => {
  it('is created, read, replaced and deleted, each under the tag of what is stored', async () => {
    const id = fresh('life');
    const created = await call('PUT', at(id), echo('a'), CREATE);
    expect([created.status, created.body]).toEqual([
      201,
      {
        identifier: id,
        kind: 'configuration',
        ...echo('a'),
        serverToken: expect.stringMatching(/^[0-9a-f]{64}$/),
        updatedAt: expect.any(String),
        waiting: 0,
      },
    ]);
    const { waiting: _, ...stored } = created.body;
    expect(created.etag).toBe(`"${created.body.serverToken}"`);
    expect(await call('GET', at(id))).toMatchObject({ status: 200, etag: created.etag, body: stored });
    const replaced = await call('PUT', at(id), echo('b'), { 'If-Match': created.etag });
    expect(replaced.status).toBe(200);
    expect(replaced.etag).not.toBe(created.etag);
    const back = await call('PUT', at(id), echo('a'), { 'If-Match': replaced.etag });
    expect(back.etag).toBe(created.etag);
    expect((await call('DELETE', at(id), undefined, { 'If-Match': replaced.etag })).kind).toBe(
      'precondition-failed',
    );
    expect((await call('DELETE', at(id))).status).toBe(204);
    expect((await call('GET', at(id))).kind).toBe('unknown-declaration');
    expect((await call('DELETE', at(id))).kind).toBe('unknown-declaration');
  });

  it('is not sent again to who has it', async () => {
    const id = fresh('held');
    const etag = await create(id, echo('a'));
    const read = (tags: string) => call('GET', at(id), undefined, { 'If-None-Match': tags });
    for (const tags of [etag, `W/${etag}`, `"x", ${etag}`, '*'])
      expect(await read(tags)).toMatchObject({ status: 304, etag, body: null });
    expect((await read('"x"')).body.payload).toEqual({ Echo: 'a' });
    const replaced = await call('PUT', at(id), echo('b'), { 'If-Match': etag });
    expect(await read(etag)).toMatchObject({ status: 200, etag: replaced.etag });
    await call('DELETE', at(id));
    expect((await read('*')).kind).toBe('unknown-declaration');
  });

  it('is not written without a precondition, nor under one that does not hold', async () => {
    const id = fresh('precondition');
    const put = (text: string, more: Record<string, string>) => call('PUT', at(id), echo(text), more);
    const judged = async (text: string, more: Record<string, string>) => {
      const { status, kind } = await put(text, more);
      return [status, kind];
    };
    expect(await judged('a', {})).toEqual([428, 'precondition-required']);
    expect(await judged('a', { 'If-Match': '*' })).toEqual([412, 'precondition-failed']);
    expect(await judged('a', { 'If-Match': '"x"' })).toEqual([412, 'precondition-failed']);
    expect(await judged('a', { 'If-None-Match': '"x"' })).toEqual([400, 'invalid']);
    expect(await judged('a', { 'If-Match': '*', ...CREATE })).toEqual([400, 'invalid']);
    const { etag } = await put('a', CREATE);
    expect(await judged('b', CREATE)).toEqual([412, 'precondition-failed']);
    expect(await judged('b', { 'If-Match': `W/${etag}` })).toEqual([412, 'precondition-failed']);
    expect(await judged('b', { 'If-Match': `"x", ${etag}` })).toEqual([200, '']);
    expect(await judged('c', { 'If-Match': etag })).toEqual([412, 'precondition-failed']);
    expect(await judged('c', { 'If-Match': '*' })).toEqual([200, '']);
  });

  it('that is stored already is answered as it stands, so that a lost answer can be asked for again', async () => {
    const id = fresh('again');
    const created = await call('PUT', at(id), { ...echo('a') }, CREATE);
    const again = await call('PUT', at(id), echo('a'), CREATE);
    expect([again.status, again.body]).toEqual([200, created.body]);
  });

  it('takes one of several writers who started from the same tag', async () => {
    const id = fresh('race');
    const etag = await create(id, echo('a'));
    const writers = ['b', 'c', 'd', 'e'].map((text) => call('PUT', at(id), echo(text), { 'If-Match': etag }));
    const statuses = (await Promise.all(writers)).map(({ status }) => status).sort();
    expect(statuses).toEqual([200, 412, 412, 412]);
  });

  it('has the same token for the same content, however it is written, and another after a touch', async () => {
    const id = fresh('token');
    const type = 'com.apple.configuration.passcode.settings';
    const etag = await create(id, { type, payload: { MinimumLength: 6, RequirePasscode: true } });
    const payload = { RequirePasscode: true, MinimumLength: 6 };
    const same = await call('PUT', at(id), { type, payload }, { 'If-Match': etag });
    expect(same.etag).toBe(etag);
    const touched = await call('POST', `${at(id)}/touch`);
    expect([touched.status, touched.body.payload]).toEqual([200, payload]);
    expect(touched.etag).not.toBe(etag);
    const put = await call('PUT', at(id), { type, payload }, { 'If-Match': touched.etag });
    expect(put.etag).toBe(touched.etag);
    expect((await call('POST', `${at(fresh('none'))}/touch`)).kind).toBe('unknown-declaration');
  });

  it.each(['a b', 'a/b', 'ü'.repeat(32), '100%', 'a?b#c', "o'clock"])('may be called %s', async (name) => {
    await create(name, echo('a'));
    expect((await call('GET', at(name))).body.identifier).toBe(name);
    expect((await call('DELETE', at(name))).status).toBe(204);
  });

  it.each(['x'.repeat(65), 'ü'.repeat(33), 'a\nb', 'a\u0085b', '\u007f'])(
    'is not called %j',
    async (name) => {
      const { status, kind } = await call('PUT', at(name), echo('a'), CREATE);
      expect([status, kind]).toEqual([400, 'malformed-identifier']);
    },
  );

  it('of the server itself is shown and not changed', async () => {
    const own = 'com.escapement.watch-enrollment.x';
    for (const [method, path, json] of [
      ['PUT', at(own), echo('a')],
      ['DELETE', at(own), undefined],
      ['POST', `${at(own)}/touch`, undefined],
    ] as const) {
      const { status, kind } = await call(method, path, json, method === 'PUT' ? CREATE : {});
      expect([status, kind]).toEqual([409, 'reserved-identifier']);
    }
  });

  it.each([
    ['an unknown type', { type: `${TEST}.x`, payload: {} }, 'Type', 'unknown-type'],
    ['an unknown key', { type: TEST, payload: { Echo: 'a', More: 1 } }, 'Payload.More', 'unknown-key'],
    ['a missing key', { type: TEST, payload: {} }, 'Payload.Echo', 'required'],
    ['a wrong type', { type: TEST, payload: { Echo: 1 } }, 'Payload.Echo', 'type'],
    [
      'a wrong item',
      { type: 'com.apple.activation.simple', payload: { StandardConfigurations: ['a', 1] } },
      'Payload.StandardConfigurations[1]',
      'type',
    ],
  ])('with %s is refused with the place', async (_what, json, path, rule) => {
    const { status, kind, body } = await call('PUT', at(fresh('wrong')), json, CREATE);
    expect([status, kind]).toEqual([422, 'invalid-content']);
    expect(body.problems).toEqual([{ path, rule, expected: expect.any(String) }]);
  });

  it('with unknown types and keys is taken when that is allowed', async () => {
    for (const json of [
      { type: `${TEST}.x`, payload: { Any: [1, null] } },
      { type: TEST, payload: { Echo: 'a', More: 1 } },
    ])
      await create(fresh('unknown'), { ...json, allowUnknown: true });
  });

  it.each([
    [{ type: 'com.apple.other.x', payload: {} }, '/type'],
    [{ type: TEST }, '/payload'],
    [{ type: TEST, payload: [] }, '/payload'],
    [{ type: TEST, payload: { Echo: 'a' }, allowUnknown: 1 }, '/allowUnknown'],
    [{ type: TEST, payload: { Echo: 'a' }, more: 1 }, '/more'],
  ])('of another form is refused (%#)', async (json, path) => {
    const { kind, body } = await call('PUT', at(fresh('form')), json, CREATE);
    expect([kind, body.errors[0].path]).toEqual(['invalid', path]);
  });

  it('has at most 256 KiB and finite numbers', async () => {
    const big = (length: number) => call('PUT', at(fresh('big')), echo('x'.repeat(length)), CREATE);
    const around = JSON.stringify({ Echo: '' }).length;
    expect((await big(256 * 1024 - around)).status).toBe(201);
    expect((await big(256 * 1024 - around + 1)).kind).toBe('payload-too-large');
    const headers = {
      Authorization: `Bearer ${env.ADMIN_KEY}`,
      'Content-Type': 'application/json',
      ...CREATE,
    };
    const body = `{"type":"${TEST}","payload":{"Echo":"a","N":1e999},"allowUnknown":true}`;
    const request = new Request(`${env.PUBLIC_URL}/api/v1${at(fresh('n'))}`, {
      method: 'PUT',
      headers,
      body,
    });
    expect((await exports.default.fetch(request)).status).toBe(422);
  });

  it('with a predicate that cannot be read is refused with the position', async () => {
    const configuration = fresh('configuration');
    await create(configuration, echo('a'));
    const activation = (predicate: string) =>
      call(
        'PUT',
        at(fresh('activation')),
        {
          type: 'com.apple.activation.simple',
          payload: { StandardConfigurations: [configuration], Predicate: predicate },
        },
        CREATE,
      );
    expect((await activation("@status(device.operating-system.family) == 'iOS'")).status).toBe(201);
    const { status, kind, body } = await activation('TRUEPREDICATE AND\n @unknown(x) == 1');
    expect([status, kind]).toEqual([422, 'malformed-predicate']);
    expect(body).toMatchObject({ path: 'Payload.Predicate', line: 2, expected: expect.any(String) });
    expect(body.position).toBeGreaterThan(17);
  });

  it('keeps its kind', async () => {
    const id = fresh('kind');
    await create(id, echo('a'));
    const asset = { type: 'com.apple.asset.useridentity', payload: { FullName: 'A' } };
    expect((await call('PUT', at(id), asset, { 'If-Match': '*' })).kind).toBe('kind-fixed');
  });

  it('refers only to what is there, of the right kind, and holds it there', async () => {
    const [configuration, activation, asset, certificate] = ['c', 'a', 's', 'x'].map(fresh) as [
      string,
      string,
      string,
      string,
    ];
    const simple = (...names: string[]) => ({
      type: 'com.apple.activation.simple',
      payload: { StandardConfigurations: names },
    });
    const missing = await call('PUT', at(activation), simple(configuration), CREATE);
    expect([missing.status, missing.kind]).toEqual([422, 'unknown-references']);
    const path = 'Payload.StandardConfigurations[0]';
    expect(missing.body.references).toEqual([{ kind: 'configuration', identifier: configuration, path }]);
    await create(configuration, echo('a'));
    await create(activation, simple(configuration));
    const holder = {
      type: 'com.apple.configuration.security.certificate',
      payload: { CredentialAssetReference: asset },
    };
    expect((await call('PUT', at(certificate), holder, CREATE)).kind).toBe('unknown-references');
    await create(asset, {
      type: 'com.apple.asset.credential.certificate',
      payload: { Reference: { DataURL: 'https://x.example/a', ContentType: 'application/x-x509-ca-cert' } },
    });
    await create(certificate, holder);
    const wrongKind = { ...holder, payload: { CredentialAssetReference: configuration } };
    expect((await call('PUT', at(fresh('k')), wrongKind, CREATE)).kind).toBe('unknown-references');
    const refused = await call('DELETE', at(configuration));
    expect([refused.status, refused.kind, refused.body.declarations, refused.body.sets]).toEqual([
      409,
      'still-referenced',
      [activation],
      [],
    ]);
    expect((await call('DELETE', at(asset))).body.declarations).toEqual([certificate]);
    expect((await call('PUT', at(activation), simple(), { 'If-Match': '*' })).status).toBe(200);
    expect((await call('DELETE', at(configuration))).status).toBe(204);
  });

  it('is listed by kind and type, page by page', async () => {
    const type = 'com.apple.management.organization-info';
    const names = ['1', '2', '3'].map((n) => `com.example.list.${n}`);
    for (const name of names) await create(name, { type, payload: { Name: 'A' } });
    const found: string[] = [];
    for (let cursor: string | null = ''; cursor !== null; ) {
      const page = cursor === '' ? '' : `&cursor=${cursor}`;
      const { body }: Answer = await call('GET', `/declarations?type=${type}&limit=2${page}`);
      found.push(...body.items.map((item: Json) => item.identifier));
      cursor = body.cursor;
    }
    expect(found).toEqual(names);
    const { body } = await call('GET', '/declarations?kind=management');
    expect(body.items.map((item: Json) => item.identifier)).toEqual(names);
    expect(body.items[0]).not.toHaveProperty('payload');
    expect((await call('GET', '/declarations?kind=status')).kind).toBe('invalid');
  });
});

describe('a set', () => {
  it('is created, replaced, listed and deleted, and holds its declarations there', async () => {
    const [a, b] = [fresh('a'), fresh('b')];
    await create(a, echo('a'));
    await create(b, echo('b'));
    const name = fresh('set');
    const created = await call('PUT', `/sets/${name}`, { declarations: [b, a, b] });
    const shown = {
      name,
      declarations: [a, b].sort(),
      devices: 0,
      groups: [],
      updatedAt: expect.any(String),
    };
    expect([created.status, created.body]).toEqual([201, { ...shown, waiting: 0 }]);
    const refused = await call('DELETE', at(a));
    expect([refused.kind, refused.body.declarations, refused.body.sets]).toEqual([
      'still-referenced',
      [],
      [name],
    ]);
    expect((await call('PUT', `/sets/${name}`, { declarations: [b] })).status).toBe(200);
    expect((await call('DELETE', at(a))).status).toBe(204);
    expect((await call('GET', `/sets/${name}`)).body.declarations).toEqual([b]);
    expect((await call('GET', '/sets')).body.items.map((item: Json) => item.name)).toContain(name);
    expect((await call('DELETE', `/sets/${name}`)).status).toBe(204);
    for (const method of ['GET', 'DELETE'])
      expect((await call(method, `/sets/${name}`)).kind).toBe('unknown-set');
    expect((await call('DELETE', at(b))).status).toBe(204);
  });

  it('says so when one of its declarations is deleted as it is put', async () => {
    for (let round = 0; round < 8; round++) {
      const id = fresh('race');
      await create(id, echo('a'));
      const [put, removed] = await Promise.all([
        call('PUT', `/sets/${fresh('set')}`, { declarations: [id] }),
        call('DELETE', at(id)),
      ]);
      const outcome = [
        put.kind === '' ? put.status : put.kind,
        removed.kind === '' ? removed.status : removed.kind,
      ];
      expect([
        [201, 'still-referenced'],
        ['unknown-declarations', 204],
      ]).toContainEqual(outcome);
    }
  });

  it('names declarations of administrators that exist, at most 200', async () => {
    const put = (declarations: string[]) => call('PUT', `/sets/${fresh('set')}`, { declarations });
    const unknown = await put(['none', 'com.escapement.anchor.x']);
    expect([unknown.status, unknown.kind, unknown.body.declarations]).toEqual([
      422,
      'unknown-declarations',
      ['none', 'com.escapement.anchor.x'],
    ]);
    expect((await put(Array.from({ length: 201 }, (_, i) => `d${i}`))).kind).toBe('invalid');
    expect((await call('PUT', '/sets/a%20b', { declarations: [] })).kind).toBe('malformed-identifier');
  });

  it('is assigned to devices that are known, and not deleted while it is', async () => {
    const device = await enrolledDevice();
    const name = fresh('set');
    const place = `/sets/${name}/devices/${device.udid}`;
    expect((await call('PUT', place)).kind).toBe('unknown-set');
    expect((await call('DELETE', place)).kind).toBe('unknown-set');
    await call('PUT', `/sets/${name}`, { declarations: [] });
    expect((await call('PUT', `/sets/${name}/devices/NOBODY-000000001`)).kind).toBe('unknown-device');
    for (let i = 0; i < 2; i++) expect((await call('PUT', place)).status).toBe(204);
    expect((await call('GET', `/sets/${name}`)).body.devices).toBe(1);
    const refused = await call('DELETE', `/sets/${name}`);
    expect([refused.status, refused.kind, refused.body.devices]).toEqual([
      409,
      'set-assigned',
      [device.udid],
    ]);
    for (let i = 0; i < 2; i++) expect((await call('DELETE', place)).status).toBe(204);
    expect((await call('DELETE', `/sets/${name}`)).status).toBe(204);
  });

  it('lists the devices that it is assigned to, page by page', async () => {
    const devices = [await enrolledDevice(), await enrolledDevice(), await enrolledDevice()];
    const [name, other] = [fresh('set'), fresh('other')];
    expect((await call('GET', `/sets/${name}/devices`)).kind).toBe('unknown-set');
    for (const set of [name, other]) await call('PUT', `/sets/${set}`, { declarations: [] });
    expect((await call('GET', `/sets/${name}/devices`)).body).toEqual({ items: [], cursor: null });
    for (const { udid } of devices) await call('PUT', `/sets/${name}/devices/${udid}`);
    const udids = devices.map(({ udid }) => udid).sort();
    const first = (await call('GET', `/sets/${name}/devices?limit=2`)).body;
    expect(first.items).toEqual(
      udids.slice(0, 2).map((udid) => ({ udid, assignedAt: expect.stringMatching(/^\d{4}-.*Z$/) })),
    );
    const rest = (await call('GET', `/sets/${name}/devices?limit=2&cursor=${first.cursor}`)).body;
    expect([rest.items.map((item: Json) => item.udid), rest.cursor]).toEqual([udids.slice(2), null]);
    expect((await call('GET', `/sets/${other}/devices?cursor=${first.cursor}`)).kind).toBe(
      'malformed-cursor',
    );
    await call('DELETE', `/sets/${name}/devices/${udids[0]}`);
    const left = (await call('GET', `/sets/${name}/devices`)).body.items;
    expect(left.map((item: Json) => item.udid)).toEqual(udids.slice(1));
  });

  it('of a device is one of at most 20', async () => {
    const device = await enrolledDevice();
    const names = Array.from({ length: 21 }, () => fresh('set'));
    const answers: Answer[] = [];
    for (const name of names) {
      await call('PUT', `/sets/${name}`, { declarations: [] });
      answers.push(await call('PUT', `/sets/${name}/devices/${device.udid}`));
    }
    expect(answers.slice(0, 20).every(({ status }) => status === 204)).toBe(true);
    expect(answers[20]?.kind).toBe('device-sets-full');
    expect((await call('PUT', `/sets/${names[0]}/devices/${device.udid}`)).status).toBe(204);
  });
});

describe("a device's declarations", () => {
  const own = (item: Json) => !item.identifier.startsWith('com.escapement.');
  const held = async (udid: string): Promise<Json[]> =>
    (await call('GET', `/devices/${udid}/declarations`)).body.items.filter(own);

  it('come with their origin, and what the platform or version does not take with the reason', async () => {
    const watch = await enrolledDevice();
    const [plain, forPhones, tooNew, unknown] = ['plain', 'phones', 'new', 'unknown'].map(fresh) as [
      string,
      string,
      string,
      string,
    ];
    await create(plain, echo('a'));
    await create(forPhones, {
      type: 'com.apple.configuration.watch.enrollment',
      payload: { EnrollmentProfileURL: 'https://x.example/' },
    });
    await create(tooNew, { type: 'com.apple.configuration.siri.settings', payload: {} });
    await create(unknown, { type: 'com.apple.configuration.next.year', payload: {}, allowUnknown: true });
    const [one, two] = [fresh('set-1'), fresh('set-2')];
    await call('PUT', `/sets/${one}`, { declarations: [plain, forPhones] });
    await call('PUT', `/sets/${two}`, { declarations: [plain, tooNew, unknown] });
    for (const set of [one, two]) await call('PUT', `/sets/${set}/devices/${watch.udid}`);
    const items = new Map((await held(watch.udid)).map((item) => [item.identifier, item]));
    expect(items.size).toBe(4);
    const origin = (...sets: string[]) => ({ sets: sets.sort(), setting: null });
    expect(items.get(plain)).toMatchObject({
      origin: origin(one, two),
      fetched: false,
      active: null,
      valid: null,
    });
    expect(items.get(plain)).not.toHaveProperty('withheld');
    expect(items.get(forPhones)).toMatchObject({
      origin: origin(one),
      withheld: { rule: 'platform', expected: 'not watchOS' },
    });
    expect(items.get(tooNew)).toMatchObject({
      withheld: { rule: 'version', expected: 'watchOS 26.4 or later' },
    });
    expect(items.get(unknown)).not.toHaveProperty('withheld');
    const given = (await watch.object.describe())?.declarations.filter(own).map((entry) => entry.identifier);
    expect(given?.sort()).toEqual([plain, unknown].sort());
  });

  it('come with the token that stands for them, since when, and whether the device is yet to be told', async () => {
    const device = await enrolledDevice();
    const [identifier, set] = [fresh('told'), fresh('set-told')];
    await create(identifier, echo('a'));
    await call('PUT', `/sets/${set}`, { declarations: [identifier] });
    await call('PUT', `/sets/${set}/devices/${device.udid}`);
    const shown = async () => (await call('GET', `/devices/${device.udid}/declarations`)).body;
    const token = (await device.object.describe())?.declarationsToken;
    const { items, ...before } = await shown();
    expect(items.filter(own)).toHaveLength(1);
    expect(before).toEqual({
      declarationsToken: token,
      changedAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
      pending: true,
    });
    expect(await session(device)).toHaveLength(1);
    expect(await shown()).toMatchObject({ ...before, pending: false });
  });

  it('are the server’s own for a device without, and not told of one that is not known', async () => {
    const device = await enrolledDevice();
    const { body } = await call('GET', `/devices/${device.udid}/declarations`);
    expect(body.items.map((item: Json) => [item.identifier, item.origin])).toEqual(
      ['com.escapement.subscriptions.activation', 'com.escapement.subscriptions'].map((identifier) => [
        identifier,
        { sets: [], setting: 'subscriptions' },
      ]),
    );
    expect(body.pending).toBe(true);
    expect((await call('GET', '/devices/NOBODY-000000001/declarations')).kind).toBe('unknown-device');
  });
});
