/** Deployments carried on, stopped anywhere and carried on again: nothing is done twice, and nothing is lost. */
import { beforeEach, describe, expect, it } from 'vitest';
import type { Action } from '../../../src/domain/app/machine.ts';
import type { Udid } from '../../../src/domain/ids.ts';
import { epochMs } from '../../../src/std/time.ts';
import {
  anApp,
  apps,
  clean,
  created,
  device,
  Faults,
  NOW,
  OTHER,
  PHONE,
  read,
  store,
  TestQueue,
  testRunner,
  WATCH,
} from '../../support/app-deployments.ts';

beforeEach(async () => {
  await clean();
  await apps.insert(anApp(), null);
  await device(PHONE);
  for (const watch of [WATCH, OTHER]) await device(watch, PHONE);
});

const later = epochMs(NOW + 1000);

/** The whole story of devices of its own, with one call that fails; returns how many calls there were. */
async function story(action: Action, at: number, after: boolean): Promise<number> {
  const [phone, watch] = [`PHONE-${action}-${at}-${after}` as Udid, `WATCH-${action}-${at}-${after}` as Udid];
  const queue = new TestQueue();
  if (action === 'remove') for (const udid of [watch, phone]) queue.managed.add(udid);
  const faults = new Faults(at, after);
  const runner = testRunner(queue, faults);
  const { deploymentId } = await created({ action, phone, watch });
  for (let round = 0; round < 12; round++) {
    try {
      await runner.advance(deploymentId, later);
    } catch {
      // Stopped here: the next round is another process.
      continue;
    }
    if (queue.commands.every(({ state }) => state !== 'pending')) break;
    queue.answer();
  }
  const { machine, timeline, commandUuid } = await read(deploymentId);
  const label = `${action}, stopped ${after ? 'after' : 'at'} call ${at}`;
  expect(machine.state, label).toBe('done');
  expect(commandUuid, label).toBeNull();
  const [type, order] =
    action === 'remove' ? ['RemoveApplication', [watch, phone]] : ['InstallApplication', [phone, watch]];
  expect(
    queue.commands.map((one) => [one.requestType, one.udid]),
    label,
  ).toEqual(order.map((udid) => [type, udid]));
  const steps = timeline.map(({ step, outcome }) => `${step} ${outcome}`);
  expect(new Set(steps).size, label).toBe(steps.length);
  expect(steps.length, label).toBe(6);
  return faults.calls;
}

describe('a deployment', () => {
  it.each(['install', 'remove'] as const)(
    'to %s that is stopped at any call goes on where it was',
    async (action) => {
      const calls = await story(action, 0, false);
      expect(calls).toBeGreaterThan(20);
      const each = Array.from({ length: calls }, (_, i) => i + 1);
      for (const after of [false, true]) await Promise.all(each.map((at) => story(action, at, after)));
    },
    120_000,
  );

  it('carried on by ten at once queues each command once', async () => {
    const queue = new TestQueue();
    const runner = testRunner(queue);
    const { deploymentId } = await created();
    for (let round = 0; round < 6; round++) {
      await Promise.all(Array.from({ length: 10 }, () => runner.advance(deploymentId, later)));
      queue.answer();
    }
    expect((await read(deploymentId)).machine.state).toBe('done');
    expect(queue.commands.map(({ udid }) => udid)).toEqual([PHONE, WATCH]);
  });

  it('waits while another installs the same app on the iPhone, and goes on when that leaves', async () => {
    const queue = new TestQueue();
    const runner = testRunner(queue);
    const first = await created();
    const second = await created({ watch: OTHER });
    await runner.advance(first.deploymentId, later);
    await runner.advance(second.deploymentId, later);
    expect((await read(second.deploymentId)).machine).toMatchObject({ at: 'phone', phase: 'waiting' });
    expect(queue.commands).toHaveLength(1);
    queue.answer();
    await runner.advance(first.deploymentId, later);
    const missed: string[] = [];
    await runner.advanceDue(later, 10, (id) => missed.push(id));
    expect((await read(second.deploymentId)).machine).toMatchObject({ at: 'phone', phase: 'ordered' });
    expect(missed).toEqual([]);
  });

  it('that is between two attempts to remove the iPhone’s app leaves it to a watch that came to need it', async () => {
    const queue = new TestQueue();
    const runner = testRunner(queue);
    const removal = await created({ action: 'remove' });
    const { machine } = removal;
    const dueAtMs = epochMs(later - 1);
    const backingOff = {
      ...machine,
      at: 'phone',
      phase: 'backing-off',
      attempt: 2,
      orders: 2,
      dueAtMs,
    } as const;
    await store.save(removal, { machine: backingOff, commandUuid: null }, null, NOW);
    const install = await created({ watch: OTHER });
    await runner.advance(install.deploymentId, later);
    expect((await read(install.deploymentId)).machine).toMatchObject({ at: 'phone', phase: 'waiting' });
    await runner.advance(removal.deploymentId, later);
    expect(await read(removal.deploymentId)).toMatchObject({
      machine: { state: 'done', at: 'phone' },
      timeline: [{ step: 'phone-remove', outcome: 'skipped', reason: 'needed-by-another-watch' }],
    });
    await runner.advanceDue(later, 10, () => undefined);
    expect((await read(install.deploymentId)).machine).toMatchObject({ at: 'phone', phase: 'ordered' });
    expect(queue.commands.map(({ requestType }) => requestType)).toEqual(['InstallApplication']);
  });

  it('that ended takes its command back, also after a stop', async () => {
    const queue = new TestQueue();
    const { deploymentId } = await created();
    await testRunner(queue).advance(deploymentId, later);
    expect(await testRunner(queue).apply(await read(deploymentId), { kind: 'cancel' }, later)).toBe(true);
    await expect(testRunner(queue, new Faults(2)).advance(deploymentId, later)).rejects.toThrow();
    expect(queue.commands[0]?.state).toBe('pending');
    await testRunner(queue).advanceDue(later, 10, () => undefined);
    expect(queue.commands[0]?.state).toBe('canceled');
    expect(await store.claimDue(later, later, 10)).toEqual([]);
  });

  it('that ends while its command is being queued takes that back too', async () => {
    const queue = new TestQueue();
    const { deploymentId } = await created();
    queue.meanwhile = async () => {
      queue.meanwhile = async () => undefined;
      await testRunner(queue).apply(await read(deploymentId), { kind: 'cancel' }, later);
      await testRunner(queue).advance(deploymentId, later);
      expect((await read(deploymentId)).commandUuid).toBeNull();
    };
    await testRunner(queue).advance(deploymentId, later);
    expect(queue.commands).toMatchObject([{ requestType: 'InstallApplication', state: 'canceled' }]);
  });

  it('that fails every time is no hindrance for the others', async () => {
    const queue = new TestQueue();
    const broken = await created();
    const fine = await created({ watch: OTHER, phone: 'PHONE-0002' as typeof PHONE });
    const missed: string[] = [];
    const faults = new Faults();
    const runner = testRunner(queue, faults);
    const advance = runner.advance.bind(runner);
    runner.advance = async (id, nowMs) => {
      if (id === broken.deploymentId) throw new Error('broken');
      return advance(id, nowMs);
    };
    await runner.advanceDue(later, 10, (id) => missed.push(id));
    expect(missed).toEqual([broken.deploymentId]);
    expect((await read(fine.deploymentId)).machine.phase).toBe('ordered');
    // It is somebody's for two minutes, and then due again.
    expect(await store.claimDue(later, later, 10)).toEqual([]);
    expect(await store.claimDue(epochMs(later + 120_000), later, 10)).toEqual([broken.deploymentId]);
  });

  it('is over when a side of it is not enrolled any more', async () => {
    const queue = new TestQueue();
    const { deploymentId } = await created();
    await testRunner(queue).advance(deploymentId, later);
    queue.enrolled = () => false;
    await testRunner(queue).advance(deploymentId, later);
    expect((await read(deploymentId)).machine).toMatchObject({
      state: 'failed',
      reason: 'phone-not-enrolled',
    });
  });

  it('is over on the iPhone already when the watch that is to get the app leaves', async () => {
    const queue = new TestQueue();
    const { deploymentId } = await created();
    await testRunner(queue).advance(deploymentId, later);
    queue.enrolled = (udid) => udid === PHONE;
    await testRunner(queue).advance(deploymentId, later);
    expect((await read(deploymentId)).machine).toMatchObject({
      ...{ state: 'failed', at: 'phone', reason: 'watch-not-enrolled' },
    });
    expect(queue.commands).toMatchObject([{ udid: PHONE, state: 'canceled' }]);
  });

  it('asks of both sides the enrollments that it was begun for', async () => {
    const queue = new TestQueue();
    const { deploymentId } = await created();
    await testRunner(queue).advance(deploymentId, later);
    queue.answer();
    queue.enrolled = (_, sinceMs) => sinceMs >= NOW;
    await testRunner(queue).advance(deploymentId, later);
    expect((await read(deploymentId)).machine).toMatchObject({ at: 'watch', phase: 'ordered' });
    // The watch enrolls anew while the command waits.
    queue.enrolled = (udid, sinceMs) => udid === PHONE || sinceMs > NOW;
    await testRunner(queue).advance(deploymentId, later);
    expect((await read(deploymentId)).machine).toMatchObject({
      state: 'failed',
      reason: 'watch-not-enrolled',
    });
  });

  it('of a removal needs the side that it works on', async () => {
    const queue = new TestQueue();
    const { deploymentId } = await created({ action: 'remove' });
    queue.enrolled = (udid) => udid === WATCH;
    for (let round = 0; round < 3; round++) {
      await testRunner(queue).advance(deploymentId, later);
      queue.answer();
    }
    expect((await read(deploymentId)).machine).toMatchObject({ at: 'phone', reason: 'phone-not-enrolled' });
    expect(queue.commands).toMatchObject([{ udid: WATCH, requestType: 'RemoveApplication' }]);
  });
});
