/** The marks of devices whose manifest may have to change: who is marked, claimed once at a time, and cleared when. */
import { env } from 'cloudflare:workers';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Udid } from '../../../src/domain/ids.ts';
import { addMs, epochMs } from '../../../src/std/time.ts';
import { type Bound, Database } from '../../../src/storage/d1/database.ts';
import { D1Due, groupMembers, markDue, setMembers } from '../../../src/storage/d1/due.ts';
import { D1Members } from '../../../src/storage/d1/members.ts';

const NOW = epochMs(1_000_000);
const LEASE = { nowMs: NOW, untilMs: addMs(NOW, 60_000) };
const database = new Database(env.DB);
const store = new D1Due(database);
const members = new D1Members(database);

beforeEach(async () => {
  for (const table of ['manifest_due', 'set_devices', 'set_groups', 'set_declarations', 'group_devices'])
    await env.DB.exec(`DELETE FROM ${table}`);
  await env.DB.exec('DELETE FROM devices');
  await env.DB.exec('DELETE FROM sets');
  await env.DB.exec("DELETE FROM groups WHERE name <> 'everyone'");
});

async function mark(id: string, udids: readonly string[], atMs = NOW): Promise<void> {
  const listed = JSON.stringify(udids);
  await database.batch([markDue({ id, atMs }, 'SELECT value AS udid FROM json_each(?)', listed)]);
}

const names = (count: number) => Array.from({ length: count }, (_, i) => `DEVICE-${i}`);
const taken = (claimed: readonly { readonly udid: Udid }[]) => claimed.map((one) => one.udid).sort();

describe('a mark', () => {
  it('is claimed by one at a time, until the lease is over', async () => {
    await mark('a', ['ONE']);
    expect(await store.claim('a', 50, LEASE)).toEqual([{ udid: 'ONE', change: 'a', untilMs: LEASE.untilMs }]);
    expect(await store.claim('a', 50, LEASE)).toEqual([]);
    expect(await store.claim(null, 50, LEASE)).toEqual([]);
    const early = { nowMs: addMs(NOW, 59_999), untilMs: addMs(NOW, 120_000) };
    expect(await store.claim(null, 50, early)).toEqual([]);
    const over = { nowMs: addMs(NOW, 60_000), untilMs: addMs(NOW, 120_000) };
    expect(taken(await store.claim(null, 50, over))).toEqual(['ONE']);
  });

  it('is never given to two who ask at the same moment', async () => {
    await mark('a', names(180));
    await mark('b', ['B-1', 'B-2']);
    const claims = await Promise.all(
      Array.from({ length: 20 }, (_, i) => store.claim(i % 2 === 0 ? 'a' : null, 10, LEASE)),
    );
    const all = claims.flatMap(taken);
    expect(all.length).toBeGreaterThanOrEqual(180);
    expect(new Set(all).size).toBe(all.length);
  });

  it('is claimed at most as often as asked, and of the change that was asked for', async () => {
    await mark('a', ['A-1', 'A-2', 'A-3']);
    await mark('b', ['B-1']);
    expect(taken(await store.claim('b', 50, LEASE))).toEqual(['B-1']);
    expect(await store.claim('a', 2, LEASE)).toHaveLength(2);
    expect(await store.claim(null, 50, LEASE)).toHaveLength(1);
  });

  it('that nobody tried is claimed before one that was, the oldest first', async () => {
    await mark('a', ['TRIED']);
    await store.claim('a', 1, LEASE);
    await mark('b', ['LATE'], addMs(NOW, 2));
    await mark('c', ['EARLY'], addMs(NOW, 1));
    const order: Udid[] = [];
    for (let n = 0; n < 3; n++)
      order.push(
        ...taken(await store.claim(null, 1, { nowMs: addMs(NOW, 60_000), untilMs: addMs(NOW, 120_000) })),
      );
    expect(order).toEqual(['EARLY', 'LATE', 'TRIED']);
  });

  it('is cleared by whoever claimed it, unless another change has marked the device since', async () => {
    await mark('a', ['ONE', 'TWO']);
    const claimed = await store.claim('a', 50, LEASE);
    await mark('b', ['TWO'], addMs(NOW, 5));
    await store.clear(claimed);
    expect([await store.count('a'), await store.count('b'), await store.count(null)]).toEqual([0, 1, 1]);
    expect(await store.claim(null, 50, LEASE)).toMatchObject([{ udid: 'TWO', change: 'b' }]);
    expect(await store.oldest()).toBe(NOW);
    await store.clear([]);
    expect(await store.count(null)).toBe(1);
  });

  it('is made anew by the same change, so that it is claimed once more', async () => {
    await mark('a', ['ONE']);
    const before = await store.claim('a', 50, LEASE);
    await mark('a', ['ONE']);
    await store.clear(before);
    expect(taken(await store.claim('a', 50, LEASE))).toEqual(['ONE']);
  });
});

describe('the devices that a change concerns', () => {
  const run = (sql: string, ...bound: readonly Bound[]) => ({ sql, bound });
  const EVERYWHERE = { cursor: null, limit: 100 };

  async function fleet(): Promise<void> {
    const device = (udid: string, state: string) =>
      run(
        `INSERT INTO devices (udid, serial, platform, state, product_name, os_version, build_version, phone_udid,
           pairing_id, enrolled_at_ms, last_seen_ms, revision)
         VALUES (?, 'S', 'watchOS', ?, 'p', '26.1', 'b', NULL, NULL, 1, 1, 1)`,
        udid,
        state,
      );
    await database.batch([
      device('HERE-1', 'enrolled'),
      device('HERE-2', 'authenticated'),
      device('GONE', 'checked-out'),
      run("INSERT INTO sets (name, updated_at_ms) VALUES ('s', 1), ('t', 1)"),
      run("INSERT INTO groups (name, updated_at_ms) VALUES ('g', 1)"),
      run("INSERT INTO group_devices (group_name, udid) VALUES ('g', 'IN-1'), ('g', 'HERE-1')"),
      run(
        "INSERT INTO set_devices (set_name, udid, assigned_at_ms) VALUES ('s', 'OWN', 1), ('s', 'IN-1', 1)",
      ),
    ]);
  }

  async function marked(query: string, ...bound: readonly Bound[]): Promise<string[]> {
    await env.DB.exec('DELETE FROM manifest_due');
    await database.batch([markDue({ id: 'a', atMs: NOW }, query, ...bound)]);
    return taken(await store.claim('a', 100, LEASE));
  }

  const group = (name: string) =>
    run(
      "INSERT INTO set_groups (set_name, group_name, percent, assigned_at_ms) VALUES ('s', ?, 50, 1)",
      name,
    );

  it('of a set are its own and those of its groups, each once, and no others', async () => {
    await fleet();
    await database.batch([group('g')]);
    expect(await marked(setMembers('?'), 's', 's', 's')).toEqual(['HERE-1', 'IN-1', 'OWN']);
    expect(await members.ofSet('s', EVERYWHERE)).toEqual(['HERE-1', 'IN-1', 'OWN']);
    expect(await marked(setMembers('?'), 't', 't', 't')).toEqual([]);
  });

  it('of a set for everyone are all that have not checked out, and its own whatever they are', async () => {
    await fleet();
    await database.batch([group('everyone')]);
    const all = ['HERE-1', 'HERE-2', 'IN-1', 'OWN'];
    expect(await marked(setMembers('?'), 's', 's', 's')).toEqual(all);
    expect(await members.ofSet('s', EVERYWHERE)).toEqual(all);
    expect(await members.ofSet('s', { cursor: 'HERE-1' as Udid, limit: 2 })).toEqual(['HERE-2', 'IN-1']);
    expect(await members.ofSet('t', EVERYWHERE)).toEqual([]);
  });

  it('of a group are its members, and of everyone all that have not checked out', async () => {
    await fleet();
    expect(await marked(groupMembers(), 'g', 'g')).toEqual(['HERE-1', 'IN-1']);
    expect(await members.ofGroup('g', EVERYWHERE)).toEqual(['HERE-1', 'IN-1']);
    expect(await marked(groupMembers(), 'everyone', 'everyone')).toEqual(['HERE-1', 'HERE-2']);
    expect(await members.ofGroup('everyone', EVERYWHERE)).toEqual(['HERE-1', 'HERE-2']);
  });
});
