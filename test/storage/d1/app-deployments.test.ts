/** The rows of deployments: who may write, which stand in each other's way, and what is kept. */
import { env } from 'cloudflare:workers';
import { beforeEach, describe, expect, it } from 'vitest';
import { newMachine } from '../../../src/domain/app/machine.ts';
import type { Deployment, SaveOutcome } from '../../../src/domain/app/ports.ts';
import { transition } from '../../../src/domain/app/transitions.ts';
import type { DeviceMessage } from '../../../src/domain/enrollment/outbox.ts';
import type { CommandUuid } from '../../../src/domain/ids.ts';
import { epochMs } from '../../../src/std/time.ts';
import { recordDeviceMessages } from '../../../src/storage/d1/device-outbox.ts';
import {
  APP,
  aDeployment,
  anApp,
  apps,
  clean,
  created,
  database,
  device,
  NOW,
  OTHER,
  PHONE,
  read,
  store,
  WATCH,
} from '../../support/app-deployments.ts';

beforeEach(async () => {
  await clean();
  await apps.insert(anApp(), null);
  await device(PHONE);
  for (const watch of [WATCH, OTHER]) await device(watch, PHONE);
});

const uuid = (text: string) => text as CommandUuid;

/** Begins it on its side, with a command. */
async function begin(deployment: Deployment, command = 'C1'): Promise<SaveOutcome> {
  const next = transition(deployment.machine, { kind: 'begin' }, NOW);
  if (next === null) throw new Error('it does not begin');
  return store.save(deployment, { machine: next.machine, commandUuid: uuid(command) }, null, NOW);
}

/** As if it had gone through: done, on its last side. */
async function finish(deployment: Deployment): Promise<void> {
  const machine = {
    ...deployment.machine,
    state: 'done',
    phase: 'over',
    at: 'watch',
    dueAtMs: null,
  } as const;
  expect(await store.save(deployment, { machine, commandUuid: null }, null, NOW)).toBe('saved');
}

describe('a write', () => {
  it('is refused to whoever read before another', async () => {
    const seen = await created();
    expect(await begin(seen)).toBe('saved');
    expect(await begin(seen, 'C2')).toBe('stale');
    expect((await read(seen.deploymentId)).commandUuid).toBe('C1');
  });

  it('is won by one of twenty at once', async () => {
    const seen = await created();
    const all = await Promise.all(Array.from({ length: 20 }, (_, i) => begin(seen, `C${i}`)));
    expect(all.filter((one) => one === 'saved')).toHaveLength(1);
  });

  it('is refused to whoever read before a device answered', async () => {
    const { deploymentId } = await created();
    await begin(await read(deploymentId));
    const seen = await read(deploymentId);
    const result: DeviceMessage = {
      kind: 'result',
      state: 'acknowledged',
      ...{ udid: PHONE, commandUuid: 'C1', requestType: null, sent: null },
      ...{ status: 'Acknowledged', answeredAtMs: NOW, raw: null },
    };
    expect(await recordDeviceMessages(database, [result])).toEqual({ deploymentsDue: true });
    await store.rest(seen, epochMs(NOW + 1e9));
    expect(await store.claimDue(NOW, NOW, 10)).toEqual([deploymentId]);
  });
});

describe('a mark', () => {
  const events = (name: string, revision = 1): DeviceMessage => ({
    kind: 'events',
    ...{ udid: PHONE, revision, atMs: NOW },
    events: [{ kind: 'status-changed', changes: [{ name }] }],
  });

  it('is left by a report of apps where one is waited for, and by no other', async () => {
    const one = await created();
    const machine = {
      ...newMachine('install', 'paired', NOW),
      phase: 'confirming',
      dueAtMs: epochMs(NOW + 1e9),
    } as const;
    await store.save(one, { machine, commandUuid: null }, null, NOW);
    expect(await recordDeviceMessages(database, [events('passcode.is-present')])).toEqual({
      deploymentsDue: false,
    });
    expect(await recordDeviceMessages(database, [events('mdm.app', 2)])).toEqual({
      deploymentsDue: true,
    });
    expect(
      await recordDeviceMessages(database, [{ ...events('mdm.app'), udid: WATCH } as DeviceMessage]),
    ).toEqual({
      deploymentsDue: false,
    });
  });

  it('is left by the end of an enrollment of either side, and by a command that was taken back', async () => {
    await begin(await created());
    for (const udid of [PHONE, WATCH]) {
      const over = { kind: 'reset', udid, enrollmentId: 'E', atMs: NOW } as const;
      expect(await recordDeviceMessages(database, [over])).toEqual({ deploymentsDue: true });
    }
    const canceled = { kind: 'cancel', commandUuid: 'C1', state: 'canceled', atMs: NOW } as const;
    expect(await recordDeviceMessages(database, [canceled])).toEqual({ deploymentsDue: true });
  });
});

describe('one at a time', () => {
  it('runs for an app on a watch: the newer supersedes, and its command is yet to be taken back', async () => {
    const first = await created();
    await begin(first);
    const second = await created({ action: 'remove' });
    const old = await read(first.deploymentId);
    expect(old.machine).toMatchObject({ state: 'superseded', phase: 'over' });
    expect(old).toMatchObject({ commandUuid: 'C1', endedAtMs: NOW });
    expect((await store.unclearedBefore(second)).map((one) => one.deploymentId)).toEqual([
      first.deploymentId,
    ]);
    await store.cleared(old);
    expect(await store.unclearedBefore(second)).toEqual([]);
  });

  it('is made when a request is repeated, even after something newer', async () => {
    const one = aDeployment();
    await store.create([one], NOW);
    const newer = await created();
    await store.create([one], NOW);
    expect((await read(newer.deploymentId)).machine.state).toBe('running');
    expect((await read(one.deploymentId)).machine.state).toBe('superseded');
  });

  it('works on an app on an iPhone; who waits is due when it leaves', async () => {
    const first = await created();
    const second = await created({ watch: OTHER });
    expect(await begin(first)).toBe('saved');
    expect(await begin(second)).toBe('busy');
    await store.rest(second, epochMs(NOW + 1e9));
    await finish(await read(first.deploymentId));
    expect(await store.claimDue(NOW, NOW, 10)).toEqual([second.deploymentId]);
    expect(await begin(await read(second.deploymentId))).toBe('saved');
  });

  it('is not made for an app that is gone', async () => {
    await env.DB.exec('DELETE FROM apps');
    const one = aDeployment();
    await store.create([one], NOW);
    expect(await store.find(one.deploymentId)).toBeNull();
  });
});

describe('the iPhone’s app', () => {
  /** Removal by WATCH, at the iPhone. */
  async function removal(): Promise<SaveOutcome> {
    const one = await created({ action: 'remove' });
    const atPhone = { ...one.machine, at: 'phone' } as const;
    await store.save(one, { machine: atPhone, commandUuid: null }, null, NOW);
    return begin(await read(one.deploymentId));
  }

  it('is removed when no other watch has it', async () => {
    await finish(await created());
    expect(await removal()).toBe('saved');
  });

  it.each(['running', 'done'])('is needed while an installation on another watch is %s', async (state) => {
    const other = await created({ watch: OTHER });
    if (state === 'done') await finish(other);
    expect(await removal()).toBe('needed');
  });

  it('is needed by another app of the same iPhone app', async () => {
    await apps.insert(anApp({ watchBundleId: 'com.example.other' }), null);
    await finish(await created({ watch: OTHER, app: 'com.example.other' }));
    expect(await removal()).toBe('needed');
  });

  it('is not needed by a watch that had it removed, that left, or that enrolled anew', async () => {
    await finish(await created({ watch: OTHER }));
    expect(await removal()).toBe('needed');
    await env.DB.exec("UPDATE devices SET state = 'checked-out' WHERE udid = 'WATCH-0002'");
    expect(await removal()).toBe('saved');
    await env.DB.exec(
      `UPDATE devices SET state = 'enrolled', enrolled_at_ms = ${NOW + 1} WHERE udid = 'WATCH-0002'`,
    );
    expect(await removal()).toBe('saved');
    await env.DB.exec("UPDATE devices SET enrolled_at_ms = 1 WHERE udid = 'WATCH-0002'");
    expect(await removal()).toBe('needed');
    await finish(await created({ watch: OTHER, action: 'remove' }));
    expect(await removal()).toBe('saved');
  });

  it('is needed by a watch that it is being removed from, until it is off that', async () => {
    await finish(await created({ watch: OTHER }));
    const theirs = await created({ watch: OTHER, action: 'remove' });
    expect(await removal()).toBe('needed');
    const offTheWatch = { ...theirs.machine, at: 'phone' } as const;
    expect(await store.save(theirs, { machine: offTheWatch, commandUuid: null }, null, NOW)).toBe('saved');
    expect(await removal()).toBe('saved');
    const failed = { ...offTheWatch, state: 'failed', phase: 'over' } as const;
    await store.save(await read(theirs.deploymentId), { machine: failed, commandUuid: null }, null, NOW);
    expect(await removal()).toBe('saved');
  });

  it('is needed by a watch that enrolled anew and then got it by an attempt that an administrator repeated', async () => {
    const other = await created({ watch: OTHER });
    await env.DB.exec(`UPDATE devices SET enrolled_at_ms = ${NOW + 1} WHERE udid = 'WATCH-0002'`);
    const done = { ...other.machine, at: 'watch', state: 'done', phase: 'over', dueAtMs: null } as const;
    await store.save(other, { machine: done, commandUuid: null }, null, epochMs(NOW + 2));
    expect(await removal()).toBe('needed');
  });
});

describe('an event', () => {
  interface Told {
    readonly udid: string;
    readonly kind: string;
    readonly data: string;
  }
  const told = async () => {
    const rows = await database.all<Told>('SELECT udid, kind, data FROM events ORDER BY id');
    return rows.map(({ udid, kind, data }) => [udid, kind, JSON.parse(data)]);
  };
  beforeEach(() => env.DB.exec('DELETE FROM events'));

  it('tells of another side, of the end, and of a successor, once each', async () => {
    const first = await created();
    await begin(first);
    const seen = await read(first.deploymentId);
    expect(await told()).toEqual([]);
    const onWatch = { ...newMachine('install', 'paired', NOW), at: 'watch' } as const;
    const write = () => store.save(seen, { machine: onWatch, commandUuid: null }, null, NOW);
    expect(await Promise.all([write(), write()])).toEqual(expect.arrayContaining(['saved', 'stale']));
    const about = { deploymentId: first.deploymentId, app: APP, action: 'install' };
    const moved = [WATCH, 'deployment-changed', { ...about, state: 'running', side: 'watch', reason: null }];
    expect(await told()).toEqual([moved]);
    const second = await created({ action: 'remove' });
    const superseded = [
      WATCH,
      'deployment-changed',
      { ...about, state: 'superseded', side: 'watch', reason: null },
    ];
    expect(await told()).toEqual([moved, superseded]);
    const failed = { ...second.machine, state: 'failed', phase: 'over', reason: 'command-error' } as const;
    await store.save(second, { machine: failed, commandUuid: null }, null, NOW);
    expect((await told()).at(-1)).toMatchObject([
      ...[WATCH, 'deployment-changed'],
      { deploymentId: second.deploymentId, action: 'remove', state: 'failed', reason: 'command-error' },
    ]);
    expect(await told()).toHaveLength(3);
  });

  it('is not told of a write that came too late', async () => {
    const seen = await created();
    // A mark made it the next revision.
    await recordDeviceMessages(database, [{ kind: 'reset', udid: WATCH, enrollmentId: 'E', atMs: NOW }]);
    const machine = { ...seen.machine, state: 'canceled', phase: 'over', dueAtMs: null } as const;
    expect(await store.save(seen, { machine, commandUuid: null }, null, NOW)).toBe('stale');
    expect(await told()).toEqual([]);
  });
});

describe('history', () => {
  it('is the last fifty of an app on a watch, and the last that was done', async () => {
    const installed = await created();
    await finish(installed);
    for (let i = 0; i < 60; i++) await created();
    const page = await store.list({ app: APP, watch: WATCH }, { cursor: null, limit: 500 });
    const ids = page.ok ? page.value.items.map((one) => one.deploymentId) : [];
    expect(ids).toHaveLength(51);
    expect(ids).toContain(installed.deploymentId);
    expect(await store.counts(APP)).toEqual({ done: 1, superseded: 49, running: 1 });
  });

  it('is listed newest first, in pages', async () => {
    for (let i = 0; i < 5; i++) await store.create([aDeployment()], epochMs(NOW + i));
    const times: number[] = [];
    for (let cursor: string | null = null, more = true; more; ) {
      const page: Awaited<ReturnType<typeof store.list>> = await store.list(
        { app: APP, watch: null },
        { cursor, limit: 2 },
      );
      if (!page.ok) throw new Error(page.refusal.kind);
      times.push(...page.value.items.map((one) => one.createdAtMs - NOW));
      cursor = page.value.cursor;
      more = cursor !== null;
    }
    expect(times).toEqual([4, 3, 2, 1, 0]);
    expect(await store.list({ app: APP, watch: null }, { cursor: 'x', limit: 2 })).toMatchObject({
      ok: false,
    });
  });
});
