/** `/groups`, and sets that are assigned to them, in the whole Worker: what they take, what they refuse, each limit. */
import { describe, expect, it } from 'vitest';
import { randomUuid } from '../../../src/pki/random.ts';
import { call, database, enrolledDevice, newDevice } from '../../support/admin-call.ts';

const fresh = (name: string) => `${name}.${randomUuid().slice(0, 8)}`;

async function group(name = fresh('group')): Promise<string> {
  expect((await call('PUT', `/groups/${name}`)).status).toBe(201);
  return name;
}

async function set(name = fresh('set'), declarations: readonly string[] = []): Promise<string> {
  expect((await call('PUT', `/sets/${name}`, { declarations })).status).toBe(201);
  return name;
}

const change = (name: string, json: object) => call('POST', `/groups/${name}/devices`, json);
const refused = async (answer: ReturnType<typeof call>) => {
  const { status, kind, type } = await answer;
  if (status >= 400) expect(type).toBe('application/problem+json');
  return [status, kind];
};
/** UDIDs that certificates were issued for. */
const known = async (count: number): Promise<string[]> => {
  const devices = [];
  for (let n = 0; n < count; n++) devices.push((await newDevice()).udid);
  return devices.sort();
};

describe('a group', () => {
  it('is made, made again, read, listed and deleted', async () => {
    const name = await group();
    const made = { name, devices: 0, updatedAt: expect.stringMatching(/Z$/) };
    const again = await call('PUT', `/groups/${name}`);
    expect([again.status, again.body]).toEqual([200, made]);
    expect((await call('GET', `/groups/${name}`)).body).toEqual(again.body);
    expect((await call('GET', '/groups?limit=500')).body.items).toContainEqual(made);
    expect((await call('DELETE', `/groups/${name}`)).status).toBe(204);
    for (const method of ['GET', 'DELETE'])
      expect(await refused(call(method, `/groups/${name}`))).toEqual([404, 'unknown-group']);
    expect(await refused(call('GET', `/groups/${name}/devices`))).toEqual([404, 'unknown-group']);
    expect(await refused(change(name, {}))).toEqual([404, 'unknown-group']);
  });

  it.each(['.a', '-a', 'a%20b', 'a%2Fb', '%C3%BC', 'x'.repeat(65), 'a%0A'])(
    'is not called %s',
    async (name) => {
      expect(await refused(call('PUT', `/groups/${name}`))).toEqual([400, 'malformed-identifier']);
    },
  );

  it('may be called what objects have of their own', async () => {
    for (const name of ['constructor', 'toString', 'x'.repeat(64), 'a.b-c_D9']) {
      await group(name);
      expect((await call('DELETE', `/groups/${name}`)).status).toBe(204);
    }
  });

  it('is listed in pages that hold each once, and takes no cursor of another listing', async () => {
    const prefix = fresh('page');
    const names = ['a', 'b', 'c', 'd', 'e'].map((name) => `${prefix}.${name}`);
    for (const name of names) await group(name);
    const seen: string[] = [];
    let cursor: string | null = null;
    do {
      const query: string = cursor === null ? '' : `&cursor=${encodeURIComponent(cursor)}`;
      const { status, body } = await call('GET', `/groups?limit=2${query}`);
      expect(status).toBe(200);
      expect(body.items.length).toBeLessThanOrEqual(2);
      seen.push(...body.items.map((item: { name: string }) => item.name));
      cursor = body.cursor;
    } while (cursor !== null);
    expect(seen).toEqual(seen.toSorted());
    expect(new Set(seen).size).toBe(seen.length);
    expect(seen.filter((name) => name.startsWith(prefix))).toEqual(names);
    const first = await call('GET', '/groups?limit=1');
    const foreign = encodeURIComponent(first.body.cursor);
    for (const path of ['/sets', `/groups/${names[0]}/devices`])
      expect(await refused(call('GET', `${path}?cursor=${foreign}`))).toEqual([400, 'malformed-cursor']);
    expect(await refused(call('GET', '/groups?cursor=x'))).toEqual([400, 'malformed-cursor']);
    for (const query of ['limit=0', 'limit=501', 'limit=x', 'name=a', 'limit=1&limit=2'])
      expect(await refused(call('GET', `/groups?${query}`))).toEqual([400, 'invalid']);
  });

  it('has the devices that are added until they are removed, whatever is repeated', async () => {
    const name = await group();
    const [a, b, c] = await known(3);
    const added = await change(name, { add: [a, b, a] });
    expect([added.status, added.body]).toMatchObject([200, { name, devices: 2, waiting: 0 }]);
    expect((await change(name, { add: [b, c], remove: [a, 'NEVER-SEEN-1'] })).body.devices).toBe(2);
    expect((await change(name, { remove: [a] })).body.devices).toBe(2);
    expect((await change(name, {})).body.devices).toBe(2);
    expect((await change(name, { add: [a, b], remove: [b] })).body.devices).toBe(2);
    const members = await call('GET', `/groups/${name}/devices`);
    expect(members.body).toEqual({ items: [{ udid: a }, { udid: c }], cursor: null });
    expect((await call('DELETE', `/groups/${name}`)).status).toBe(204);
    await group(name);
    expect((await call('GET', `/groups/${name}/devices`)).body.items).toEqual([]);
  });

  it('lists its members in pages', async () => {
    const name = await group();
    const udids = await known(5);
    await change(name, { add: udids });
    const first = await call('GET', `/groups/${name}/devices?limit=3`);
    const rest = await call(
      'GET',
      `/groups/${name}/devices?limit=3&cursor=${encodeURIComponent(first.body.cursor)}`,
    );
    expect([...first.body.items, ...rest.body.items].map((item) => item.udid)).toEqual(udids);
    expect([first.body.items.length, rest.body.cursor]).toEqual([3, null]);
    const other = await group();
    const foreign = `/groups/${other}/devices?cursor=${encodeURIComponent(first.body.cursor)}`;
    expect(await refused(call('GET', foreign))).toEqual([400, 'malformed-cursor']);
  });

  it('takes no device that never enrolled, and then none of the others', async () => {
    const name = await group();
    const [a] = await known(1);
    const strangers = Array.from({ length: 40 }, (_, n) => `STRANGER-${n + 10}`);
    const answer = await change(name, { add: [a, ...strangers] });
    expect([answer.status, answer.kind]).toEqual([422, 'unknown-devices']);
    expect(answer.body.devices).toEqual(strangers.slice(0, 32));
    expect((await call('GET', `/groups/${name}`)).body.devices).toBe(0);
  });

  it('takes at most 500 devices in a call, well-formed and by their names', async () => {
    const name = await group();
    const many = Array.from({ length: 501 }, (_, n) => `DEVICE-MANY-${n + 1000}`);
    expect(await refused(change(name, { remove: many.slice(1) }))).toEqual([200, '']);
    for (const json of [
      { remove: many },
      { add: many },
      { add: ['x'] },
      { add: ['A/../B-1234'] },
      { add: 'DEVICE-1000' },
      { add: [null] },
      { members: [] },
      [],
    ])
      expect(await refused(change(name, json))).toEqual([400, 'invalid']);
    expect(await refused(call('POST', `/groups/${name}/devices`, undefined))).toEqual([
      400,
      'malformed-json',
    ]);
  });

  it('is one of at most 20 that a device is in', async () => {
    const [a, b] = await known(2);
    const groups = [];
    for (let n = 0; n < 20; n++) {
      const name = await group();
      expect((await change(name, { add: [a] })).status).toBe(200);
      groups.push(name);
    }
    const one = await group();
    const answer = await change(one, { add: [a, b] });
    expect([answer.status, answer.kind, answer.body.devices]).toEqual([409, 'device-groups-full', [a]]);
    expect((await call('GET', `/groups/${one}`)).body.devices).toBe(0);
    // A member of the twentieth may be said to be one again.
    expect((await change(groups[19] ?? '', { add: [a] })).status).toBe(200);
    await change(groups[0] ?? '', { remove: [a] });
    expect((await change(one, { add: [a, b] })).body.devices).toBe(2);
  });
});

describe('the group of everyone', () => {
  it('is there, has every device that has not checked out, and stays', async () => {
    const device = await enrolledDevice();
    const members = async () => {
      const { body } = await call('GET', '/groups/everyone/devices?limit=500');
      return body.items.map((item: { udid: string }) => item.udid);
    };
    const { body } = await call('GET', '/groups/everyone');
    expect(await members()).toContain(device.udid);
    expect(body.devices).toBe((await members()).length);
    expect((await call('PUT', '/groups/everyone')).status).toBe(200);
    for (const json of [{ add: [device.udid] }, { remove: [device.udid] }, {}])
      expect(await refused(change('everyone', json))).toEqual([409, 'group-everyone']);
    expect(await refused(call('DELETE', '/groups/everyone'))).toEqual([409, 'group-everyone']);
    await device.object.checkOut(device.pin, Date.now() as never);
    await device.object.flush();
    expect(await members()).not.toContain(device.udid);
    expect((await call('GET', '/groups/everyone')).body.devices).toBe(body.devices - 1);
  });
});

describe('a set of a group', () => {
  const assign = (name: string, to: string, json: object = {}) =>
    call('PUT', `/sets/${name}/groups/${to}`, json);

  it('is assigned with a percentage, which is 100 unless given, replaced and taken back', async () => {
    const [name, to] = [await set(), await group()];
    expect((await assign(name, to)).body).toEqual({ group: to, percent: 100, waiting: 0 });
    expect((await assign(name, to, { percent: 0 })).body).toEqual({ group: to, percent: 0, waiting: 0 });
    expect((await call('GET', `/sets/${name}`)).body.groups).toEqual([{ group: to, percent: 0 }]);
    const replaced = await call('PUT', `/sets/${name}`, { declarations: [] });
    expect(replaced.body.groups).toEqual([{ group: to, percent: 0 }]);
    const kept = await call('DELETE', `/sets/${name}`);
    expect([kept.status, kept.kind, kept.body.groups]).toEqual([409, 'set-assigned', [to]]);
    const used = await call('DELETE', `/groups/${to}`);
    expect([used.status, used.kind, used.body.sets, used.body.watchEnrollment]).toEqual([
      409,
      'group-assigned',
      [name],
      false,
    ]);
    const taken = await call('DELETE', `/sets/${name}/groups/${to}`);
    expect([taken.status, taken.body]).toEqual([200, { waiting: 0 }]);
    expect((await call('DELETE', `/sets/${name}/groups/${to}`)).status).toBe(200);
    expect((await call('DELETE', `/groups/${to}`)).status).toBe(204);
    expect((await call('DELETE', `/sets/${name}`)).status).toBe(204);
  });

  it.each([
    { percent: -1 },
    { percent: 101 },
    { percent: 1.5 },
    { percent: '10' },
    { percent: null },
    { share: 1 },
    [],
  ])('is not assigned with %j', async (json) => {
    expect(await refused(assign(await set(), await group(), json))).toEqual([400, 'invalid']);
  });

  it('is there, and so is the group; a wrong name marks nobody', async () => {
    const device = await enrolledDevice();
    const [name, to] = [await set(), await group()];
    await change(to, { add: [device.udid] });
    const none = fresh('none');
    for (const [a, b, kind] of [
      [none, to, 'unknown-set'],
      [none, 'everyone', 'unknown-set'],
      [name, none, 'unknown-group'],
    ] as const) {
      expect(await refused(assign(a, b))).toEqual([404, kind]);
      expect(await refused(call('DELETE', `/sets/${a}/groups/${b}`))).toEqual([404, kind]);
    }
    const marks = () => database.all('SELECT * FROM manifest_due');
    expect(await marks()).toEqual([]);
    // Nor does taking back what was not assigned.
    await call('DELETE', `/sets/${name}/groups/everyone`);
    expect(await marks()).toEqual([]);
  });

  it('is one of at most 20', async () => {
    const to = await group();
    const sets = [];
    for (let n = 0; n < 20; n++) {
      const name = await set();
      expect((await assign(name, to)).status).toBe(200);
      sets.push(name);
    }
    const one = await set();
    expect(await refused(assign(one, to))).toEqual([409, 'group-sets-full']);
    expect((await assign(sets[0] ?? '', to, { percent: 10 })).status).toBe(200);
    await call('DELETE', `/sets/${sets[1]}/groups/${to}`);
    expect((await assign(one, to)).status).toBe(200);
  });
});
