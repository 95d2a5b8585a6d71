/** Groups and what is assigned to them in D1: what a change marks, what is read for many devices, and at what cost. */
import { env } from 'cloudflare:workers';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { Change } from '../../../src/domain/declaration/due.ts';
import type { Udid } from '../../../src/domain/ids.ts';
import { epochMs } from '../../../src/std/time.ts';
import { D1Assignments } from '../../../src/storage/d1/assignments.ts';
import { D1DeclarationSets } from '../../../src/storage/d1/declaration-sets.ts';
import { D1Declarations } from '../../../src/storage/d1/declarations.ts';
import { D1Groups } from '../../../src/storage/d1/groups.ts';
import { D1Properties, D1Subscriptions } from '../../../src/storage/d1/settings.ts';
import { breakD1, database } from '../../support/device.ts';
import { udid } from '../../support/pairing.ts';

const [groups, sets] = [new D1Groups(database), new D1DeclarationSets(database)];
const NOW = epochMs(1000);

let changes = 0;
const change = (): Change => {
  changes += 1;
  return { id: `change-${changes}`, atMs: NOW };
};

let made = 0;
/** Names that no other test has; the devices are in the fleet's index. */
async function fleet(count: number, platform = 'iOS'): Promise<Udid[]> {
  made += 1;
  const names = Array.from({ length: count }, (_, n) => udid(`FLEET-${made}-${String(n).padStart(5, '0')}`));
  await database.run(
    `INSERT INTO devices (udid, serial, platform, state, last_seen_ms, revision)
     SELECT value, 'SERIAL', ?, 'enrolled', 0, 0 FROM json_each(?)`,
    platform,
    JSON.stringify(names),
  );
  return names;
}
async function group(members: readonly Udid[]): Promise<string> {
  made += 1;
  const name = `group-${made}`;
  await groups.create(name, NOW);
  await groups.change(name, { add: members, remove: [] }, change());
  await unmark();
  return name;
}
async function set(): Promise<string> {
  made += 1;
  const name = `set-${made}`;
  await sets.put(name, [], change());
  return name;
}
const unmark = () => database.run('DELETE FROM manifest_due');
const marked = async (of?: Change): Promise<string[]> => {
  const rows = await database.all<{ udid: string; change_id: string }>(
    'SELECT udid, change_id FROM manifest_due ORDER BY udid',
  );
  for (const row of rows) if (of !== undefined) expect(row.change_id).toBe(of.id);
  await unmark();
  return rows.map((row) => row.udid);
};
/** Rows that statements in one batch read. */
async function rowsRead(act: () => Promise<unknown>): Promise<number> {
  const prototype = Object.getPrototypeOf(env.DB) as D1Database;
  const original = prototype.batch;
  let read = 0;
  const spy = vi.spyOn(prototype, 'batch').mockImplementation(async function (this: D1Database, statements) {
    const results = await original.call(this, statements);
    for (const { meta } of results) read += meta.rows_read;
    return results as never;
  });
  try {
    await act();
    return read;
  } finally {
    spy.mockRestore();
  }
}

afterEach(async () => {
  vi.restoreAllMocks();
  await database.run('DELETE FROM set_groups');
  await database.run('DELETE FROM devices');
  await unmark();
});

describe('a change of a group', () => {
  it('marks those who come, those who stay in what is said, and those who go, and nobody else', async () => {
    const [a, b, c, d] = (await fleet(4)) as [Udid, Udid, Udid, Udid];
    const name = await group([a, b]);
    const one = change();
    await groups.change(name, { add: [b, c], remove: [a, d] }, one);
    expect(await marked(one)).toEqual([a, b, c]);
    const two = change();
    await groups.change('no-such-group', { add: [a], remove: [b] }, two);
    expect(await marked()).toEqual([]);
  });

  it('is stored whole or not at all, with its marks', async () => {
    const [a, b] = (await fleet(2)) as [Udid, Udid];
    const name = await group([a]);
    let batches = 0;
    breakD1('batch', () => ++batches > 1);
    const both = change();
    await groups.change(name, { add: [b], remove: [a] }, both);
    expect(batches).toBe(1);
    vi.restoreAllMocks();
    expect(await marked(both)).toEqual([a, b]);
    const page = await groups.members(name, { cursor: null, limit: 10 });
    expect(page).toMatchObject({ value: { items: [b] } });
  });
});

describe('an assignment of a set to a group', () => {
  it('marks the members when it is made, changed and taken back, and nobody when it is not made', async () => {
    const members = await fleet(3);
    await fleet(2);
    const [name, to] = [await set(), await group(members)];
    const acts: ((by: Change) => Promise<unknown>)[] = [
      (by) => sets.assignGroup(name, { group: to, percent: 10 }, by),
      (by) => sets.assignGroup(name, { group: to, percent: 20 }, by),
      (by) => sets.put(name, [], by),
      (by) => sets.unassignGroup(name, to, by),
    ];
    for (const act of acts) {
      const by = change();
      await act(by);
      expect(await marked(by)).toEqual(members);
    }
    await sets.unassignGroup(name, to, change());
    await sets.unassignGroup(name, 'everyone', change());
    expect(await sets.assignGroup('no-such-set', { group: to, percent: 10 }, change())).toBe(false);
    expect(await sets.assignGroup('no-such-set', { group: 'everyone', percent: 10 }, change())).toBe(false);
    expect(await sets.assignGroup(name, { group: 'no-such-group', percent: 10 }, change())).toBe(false);
    expect(await marked()).toEqual([]);
  });

  it('to everyone marks all who have not checked out', async () => {
    const all = await fleet(4);
    await database.run("UPDATE devices SET state = 'checked-out' WHERE udid = ?", all[1] ?? '');
    await database.run("UPDATE devices SET state = 'authenticated' WHERE udid = ?", all[2] ?? '');
    const name = await set();
    const by = change();
    await sets.assignGroup(name, { group: 'everyone', percent: 100 }, by);
    const marks = await marked(by);
    expect(marks).toEqual([all[0], all[2], all[3]]);
    const again = change();
    await sets.put(name, [], again);
    expect(await marked(again)).toEqual(marks);
  });

  it('costs what it concerns: a change of a set reads the index of all devices only when it is everyone’s', async () => {
    const all = await fleet(3000);
    const [name, to] = [await set(), await group(all.slice(0, 2))];
    const cost = (act: () => Promise<unknown>) => rowsRead(act);
    expect(await cost(() => sets.assignGroup(name, { group: to, percent: 10 }, change()))).toBeLessThan(100);
    expect(await cost(() => sets.put(name, [], change()))).toBeLessThan(100);
    await sets.assignGroup(name, { group: 'everyone', percent: 0 }, change());
    expect(await cost(() => sets.put(name, [], change()))).toBeGreaterThan(3000);
    expect((await marked()).length).toBe(3000);
  });
});

describe('settings', () => {
  it('mark one device, or a platform', async () => {
    const [phones, watches] = [await fleet(2), await fleet(2, 'watchOS')];
    const one = change();
    await new D1Properties(database).put(phones[0] as Udid, { name: null, values: { a: 1 } }, one);
    expect(await marked(one)).toEqual([phones[0]]);
    const subscriptions = new D1Subscriptions(database);
    const two = change();
    await subscriptions.put('watchOS', ['a'], two);
    expect(await marked(two)).toEqual(watches);
    expect(await subscriptions.find()).toEqual(new Map([['watchOS', ['a']]]));
    const three = change();
    await subscriptions.remove('watchOS', three);
    expect(await marked(three)).toEqual(watches);
    expect(await subscriptions.find()).toEqual(new Map());
  });
});

describe('what is assigned', () => {
  it('is read for any number of devices with the same statements, known or not', async () => {
    const members = await fleet(50);
    const [name, own] = [await set(), await set()];
    const to = await group(members);
    await sets.assignGroup(name, { group: to, percent: 30 }, change());
    await sets.assign(own, members[0] as Udid, change());
    await sets.assignGroup(own, { group: 'everyone', percent: 5 }, change());
    const source = new D1Assignments(database);
    const statements = async (asked: readonly Udid[]) => {
      const spy = vi.spyOn(Object.getPrototypeOf(env.DB), 'prepare');
      const assigned = await source.assigned(asked);
      const { length } = spy.mock.calls;
      spy.mockRestore();
      return { assigned, length };
    };
    const stranger = udid('STRANGER-0001');
    const few = await statements([stranger]);
    const many = await statements([...members, stranger]);
    expect([many.length, many.assigned.size]).toEqual([few.length, 51]);
    expect(few.length).toBeLessThanOrEqual(6);
    const everyone = { set: own, group: 'everyone', percent: 5 };
    expect(many.assigned.get(stranger)?.memberships).toEqual([everyone]);
    expect(many.assigned.get(members[1] as Udid)?.memberships).toEqual([
      { set: name, group: to, percent: 30 },
      everyone,
    ]);
    expect(many.assigned.get(members[0] as Udid)?.memberships).toContainEqual({
      set: own,
      group: null,
      percent: 100,
    });
  });

  it('says of a watch enrollment from before it was recorded that it is not, rather than that it is empty', async () => {
    const [phone, other] = (await fleet(2)) as [Udid, Udid];
    await database.run(
      'INSERT INTO watch_enrollments (phone_udid, anchors, declarations, assigned_at_ms) VALUES (?, ?, NULL, 0)',
      phone,
      '[]',
    );
    const assigned = await new D1Assignments(database).assigned([phone, other]);
    expect([assigned.get(phone)?.watchEnrollment, assigned.get(other)?.watchEnrollment]).toEqual([null, []]);
  });
});

describe('watch enrollment taken back', () => {
  it('marks those who had it, and nobody when there was none', async () => {
    const all = await fleet(3);
    const store = new D1Declarations(database);
    const everyone = { kind: 'group', name: 'everyone' } as const;
    const nothing = { declarations: [], assets: [], anchors: [] };
    await store.withdraw(everyone, change());
    expect(await marked()).toEqual([]);
    const made = change();
    await store.assign(everyone, nothing, made);
    expect(await marked(made)).toEqual(all);
    const gone = change();
    await store.withdraw(everyone, gone);
    expect(await marked(gone)).toEqual(all);
  });
});
