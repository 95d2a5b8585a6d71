/** What becomes of commands that ended: numbered by device, filtered in lists, pruned by age and number, migrated. */
import { runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { beforeEach, describe, expect, it } from 'vitest';
import type { CommandFilter, CommandPriority } from '../../../src/domain/admin/command-services.ts';
import { HISTORY_KEPT_DAYS, HISTORY_MAX } from '../../../src/domain/command/retention.ts';
import type { CommandUuid, Udid } from '../../../src/domain/ids.ts';
import { utf8 } from '../../../src/std/bytes.ts';
import { addMs, DAY_MS, epochMs } from '../../../src/std/time.ts';
import { pruneHistory } from '../../../src/storage/d1/command-history.ts';
import { D1Commands } from '../../../src/storage/d1/commands.ts';
import { Database } from '../../../src/storage/d1/database.ts';
import { recordDeviceMessages } from '../../../src/storage/d1/device-outbox.ts';
import init from '../../../src/storage/d1/migrations/0001_init.sql';
import sealedCommands from '../../../src/storage/d1/migrations/0007_sealed_commands.sql';
import { udid, value } from '../../support/pairing.ts';

const database = new Database(env.DB);
const commands = new D1Commands(database);
const [DEVICE, OTHER] = [udid('DEVICE-0001'), udid('DEVICE-0002')];
const uuid = (text: string) => text as CommandUuid;
const NOW = epochMs(1_000 * DAY_MS);

beforeEach(async () => {
  for (const table of ['commands', 'command_history', 'devices']) await env.DB.exec(`DELETE FROM ${table}`);
});

async function queue(
  commandUuid: string,
  over: {
    udid?: Udid;
    requestType?: string;
    requeuedFrom?: string;
    priority?: 'urgent';
    expiresAtMs?: number;
  } = {},
): Promise<void> {
  const { udid = DEVICE, requestType = 'X', requeuedFrom, expiresAtMs } = over;
  const priority: CommandPriority = over.priority ?? 'normal';
  const body = { sealed: true, bytes: utf8(`sealed ${commandUuid}`) };
  const named = { commandUuid: uuid(commandUuid), udid, enrollmentId: 'E1', requestType, body, priority };
  const times = { createdAtMs: NOW, expiresAtMs: expiresAtMs === undefined ? null : epochMs(expiresAtMs) };
  const from = requeuedFrom === undefined ? null : uuid(requeuedFrom);
  expect(
    await commands.insert(
      { ...named, ...times, requeuedFrom: from, inventoryScope: null, farewell: null },
      10_000,
    ),
  ).toBe(true);
}

const end = (...uuids: string[]) =>
  recordDeviceMessages(
    database,
    uuids.map((commandUuid) => ({
      kind: 'cancel' as const,
      commandUuid,
      state: 'canceled' as const,
      atMs: NOW,
    })),
  );

async function order(): Promise<CommandUuid[]> {
  const all: CommandUuid[] = [];
  for (;;) {
    const { candidates, complete } = await commands.next(DEVICE, 'E1', NOW, all);
    all.push(...candidates.map((candidate) => candidate.commandUuid));
    if (complete || all.length > 500) return all;
  }
}

describe('the order of arrival', () => {
  it('holds when the newest, or all, are gone and their places are given again', async () => {
    for (const one of ['A', 'B', 'C']) await queue(one);
    await end('C', 'B');
    for (const one of ['D', 'E']) await queue(one);
    expect(await order()).toEqual(['A', 'D', 'E']);
    await end('A', 'D', 'E');
    for (const one of ['Z', 'Y']) await queue(one);
    await queue('now', { priority: 'urgent' });
    await queue('other', { udid: OTHER });
    await queue('X');
    expect(await order()).toEqual(['now', 'Z', 'Y', 'X']);
  });

  it('is that of arrival through any story of commands that come and go', async () => {
    let seed = 7;
    const random = (below: number) => {
      seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31;
      return Math.floor((seed / 2 ** 31) * below);
    };
    let waiting: string[] = [];
    for (let step = 0; step < 60; step++) {
      if (random(5) < 3) {
        await queue(`C${step}`);
        waiting = [...waiting, `C${step}`];
      } else {
        const [gone] = waiting.splice(random(waiting.length), 1);
        if (gone !== undefined) await end(gone);
      }
    }
    expect(waiting.length).toBeGreaterThan(3);
    expect(await order()).toEqual(waiting.slice(0, 50));
  });
});

describe('history', () => {
  const numbers = async (device = DEVICE) =>
    (
      await database.all<{ command_uuid: string; number: number }>(
        'SELECT command_uuid, number FROM command_history WHERE udid = ? ORDER BY number',
        device,
      )
    ).map((row) => [row.command_uuid, row.number]);

  it('numbers what ends, device by device, also what ends at once', async () => {
    for (const one of ['A', 'B', 'C', 'D']) await queue(one, { expiresAtMs: one < 'C' ? NOW : NOW + 1 });
    await queue('other', { udid: OTHER, expiresAtMs: NOW });
    await end('D');
    await commands.expire(NOW);
    await recordDeviceMessages(database, [{ kind: 'reset', udid: DEVICE, enrollmentId: 'E1', atMs: NOW }]);
    expect(await numbers()).toEqual([
      ['D', 1],
      ['A', 2],
      ['B', 3],
      ['C', 4],
    ]);
    expect(await numbers(OTHER)).toEqual([['other', 1]]);
  });

  it('takes what expired a bounded part at a time, and all of it in the end', async () => {
    await queue('waits', { expiresAtMs: NOW + 1 });
    const uuids = Array.from({ length: 10_200 }, (_, i) => `E${i}`);
    await database.run(
      `INSERT INTO commands (command_uuid, udid, priority, request_type, sealed, state, created_at_ms, expires_at_ms, enrollment_id)
       SELECT value, ?, 1, 'X', x'01', 'pending', 1, ?, 'E1' FROM json_each(?)`,
      DEVICE,
      NOW,
      JSON.stringify(uuids),
    );
    expect([await commands.expire(NOW), await commands.expire(NOW), await commands.expire(NOW)]).toEqual([
      10_000, 200, 0,
    ]);
    const ended = await numbers();
    expect(ended.map(([, number]) => number)).toEqual(uuids.map((_, i) => i + 1));
    expect(await order()).toEqual(['waits']);
  });

  it('keeps what a command said, sealed as it was', async () => {
    await queue('A');
    await end('A');
    expect(await commands.stored(uuid('A'))).toEqual({
      udid: DEVICE,
      body: { sealed: true, bytes: utf8('sealed A') },
    });
  });

  it('names the command that was repeated, and those that repeat it', async () => {
    await queue('A');
    await end('A');
    await queue('B', { requeuedFrom: 'A' });
    await queue('C', { requeuedFrom: 'A' });
    await end('B');
    const [a, b] = [await commands.find(DEVICE, uuid('A'), NOW), await commands.find(DEVICE, uuid('B'), NOW)];
    expect([a?.requeuedFrom, a?.requeuedAs.toSorted()]).toEqual([null, ['B', 'C']]);
    expect([b?.requeuedFrom, b?.requeuedAs]).toEqual(['A', []]);
  });

  /** Ended commands of the device, numbered from 1, the i-th `ageDays(i)` days ago. */
  async function fill(device: string, count: number, ageDays: (i: number) => number): Promise<void> {
    await database.run(
      `INSERT INTO devices (udid, serial, platform, state, last_seen_ms, revision) VALUES (?, 'S', 'iOS', 'enrolled', 0, 1)`,
      device,
    );
    const rows = Array.from({ length: count }, (_, i) => [
      `${device}/${i + 1}`,
      i + 1,
      addMs(NOW, -ageDays(i + 1) * DAY_MS),
    ]);
    await database.run(
      `INSERT INTO command_history (command_uuid, udid, number, request_type, state, created_at_ms, answered_at_ms)
       SELECT value ->> 0, ?, value ->> 1, 'X', 'acknowledged', value ->> 2, value ->> 2 FROM json_each(?)`,
      device,
      JSON.stringify(rows),
    );
  }

  it('is pruned of what is too old, and of nothing else', async () => {
    await fill(DEVICE, 10, (i) => HISTORY_KEPT_DAYS + 5 - i);
    await fill(OTHER, 3, () => 1);
    await queue('waits');
    expect(await commands.prune(NOW)).toBe(4);
    expect((await numbers()).map(([, number]) => number)).toEqual([5, 6, 7, 8, 9, 10]);
    expect(await numbers(OTHER)).toHaveLength(3);
    expect(await order()).toEqual(['waits']);
    expect(await commands.prune(NOW)).toBe(0);
  });

  it('is pruned of the oldest of a device that has too many, a bounded part a sweep', async () => {
    await fill(DEVICE, HISTORY_MAX + 10_500, () => 1);
    await fill(OTHER, 5, () => 1);
    expect(await pruneHistory(database, NOW)).toBe(10_000);
    expect(await pruneHistory(database, NOW)).toBe(500);
    expect(await pruneHistory(database, NOW)).toBe(0);
    const kept = await numbers();
    expect([kept.length, kept[0]?.[1]]).toEqual([HISTORY_MAX, 10_501]);
    expect(await numbers(OTHER)).toHaveLength(5);
  });

  it('is pruned by indexes alone', async () => {
    const plan = async (sql: string) =>
      (await database.all<{ detail: string }>(`EXPLAIN QUERY PLAN ${sql}`))
        .map(({ detail }) => detail)
        .join('\n');
    const old = await plan(
      'SELECT command_uuid FROM command_history WHERE answered_at_ms < 5 ORDER BY answered_at_ms LIMIT 9',
    );
    expect(old).toBe('SEARCH command_history USING INDEX command_history_by_answer (answered_at_ms<?)');
    const surplus = await plan(
      `SELECT h.command_uuid FROM devices d CROSS JOIN command_history h ON h.udid = d.udid
       AND h.number <= (SELECT max(n.number) FROM command_history n WHERE n.udid = d.udid) - 5 LIMIT 9`,
    );
    expect(surplus).toContain('SEARCH h USING INDEX command_history_by_number (udid=? AND number<?)');
    expect(surplus).toContain('SEARCH n USING COVERING INDEX command_history_by_number (udid=?)');
  });
});

describe('the list', () => {
  const listed = async (filter: Partial<CommandFilter>, limit = 10) => {
    const asked = { state: null, requestType: null, ...filter };
    const page = value(await commands.list(DEVICE, asked, { cursor: null, limit }, NOW));
    return [page.items.map((item) => item.commandUuid).toSorted(), page.pending];
  };

  it('is filtered by state and type, whichever table has it, and counts what waits', async () => {
    await queue('A');
    await queue('B', { requestType: 'Y' });
    await queue('C', { requestType: 'Y', expiresAtMs: NOW });
    await queue('D');
    await queue('E', { requestType: 'Y' });
    await queue('other', { udid: OTHER });
    await end('D', 'E');
    expect(await listed({})).toEqual([['A', 'B', 'C', 'D', 'E'], 2]);
    expect(await listed({ state: 'pending' })).toEqual([['A', 'B'], 2]);
    expect(await listed({ state: 'expired' })).toEqual([['C'], 2]);
    expect(await listed({ state: 'canceled', requestType: 'Y' })).toEqual([['E'], 2]);
    expect(await listed({ requestType: 'Y' })).toEqual([['B', 'C', 'E'], 2]);
    expect(await listed({ state: 'error' })).toEqual([[], 2]);
  });

  it('goes page by page under a filter', async () => {
    for (let i = 0; i < 7; i++) await queue(`C${i}`, { requestType: i % 2 === 0 ? 'X' : 'Y' });
    await end('C0', 'C2');
    const seen: string[] = [];
    let cursor: string | null = null;
    do {
      const filter = { state: null, requestType: 'X' };
      const page: { items: readonly { commandUuid: string }[]; cursor: string | null } = value(
        await commands.list(DEVICE, filter, { cursor, limit: 1 }, NOW),
      );
      seen.push(...page.items.map((item) => item.commandUuid));
      cursor = page.cursor;
    } while (cursor !== null);
    expect(seen).toEqual(['C6', 'C4', 'C2', 'C0']);
  });
});

it('a database from before keeps its records, without what was in clear', async () => {
  const stub = env.ISSUANCE.getByName('a database of before sealed commands');
  await runInDurableObject(stub, (_object, { storage: { sql } }) => {
    sql.exec(init);
    const insert = (commandUuid: string, type: string) =>
      sql.exec(
        `INSERT INTO commands (command_uuid, udid, priority, request_type, body, state, created_at_ms, enrollment_id)
         VALUES (?, 'D', 1, ?, 'in clear', 'pending', 1, 'E')`,
        commandUuid,
        type,
      );
    insert('waits', 'InstallProfile');
    insert('own', 'DeclarativeManagement');
    sql.exec(`INSERT INTO command_history (command_uuid, udid, request_type, body, state, result, created_at_ms, answered_at_ms)
      VALUES ('done', 'D', 'X', 'in clear', 'acknowledged', '<plist/>', 1, 2)`);
    sql.exec(sealedCommands);
    expect(sql.exec('SELECT command_uuid, body FROM commands').toArray()).toEqual([
      { command_uuid: 'own', body: 'in clear' },
    ]);
    const history = sql
      .exec('SELECT command_uuid, number, body, sealed, state, result FROM command_history ORDER BY number')
      .toArray();
    expect(history).toEqual([
      {
        command_uuid: 'done',
        number: 1,
        body: null,
        sealed: null,
        state: 'acknowledged',
        result: '<plist/>',
      },
      { command_uuid: 'waits', number: 2, body: null, sealed: null, state: 'canceled', result: null },
    ]);
    expect(() =>
      sql.exec(`INSERT INTO commands (command_uuid, udid, priority, request_type, state, created_at_ms, enrollment_id)
        VALUES ('none', 'D', 1, 'X', 'pending', 1, 'E')`),
    ).toThrow('CHECK');
  });
});
