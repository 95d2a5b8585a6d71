/**
 * A change of what many devices are to hold: the answer comes when some have it, the queue's messages bring it
 * to the rest, and whatever fails between is made good. Devices are their objects alone, with invented certificates.
 * The tests' queue hands nobody its messages: they are given to the Worker here, as often as the story has it.
 */
import {
  createExecutionContext,
  createMessageBatch,
  createScheduledController,
  getQueueResult,
  waitOnExecutionContext,
} from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { afterEach, beforeAll, beforeEach, describe, expect, it, type MockInstance, vi } from 'vitest';
import worker, { DeviceObject } from '../../src/index.ts';
import { randomUuid } from '../../src/pki/random.ts';
import { D1DeclarationSets } from '../../src/storage/d1/declaration-sets.ts';
import type { FanoutMessage } from '../../src/storage/queue/due.ts';
import {
  breakD1,
  database,
  enrolledDevice,
  devices as objects,
  START,
  type TestDevice,
} from '../support/device.ts';
import { admin, type Json, logged, send, url } from '../support/front-door.ts';

/** So many are told before the answer. */
const INLINE = 100;
const DEVICES = 120;
const FEW = 8;
const TEST = 'com.apple.configuration.management.test';

let fleet: readonly TestDevice[] = [];
let asked: MockInstance;
let story = '';

beforeAll(async () => {
  const made: TestDevice[] = [];
  for (let n = 0; n < DEVICES; n += 30)
    made.push(...(await Promise.all(Array.from({ length: 30 }, () => enrolledDevice()))));
  fleet = made;
  await admin('PUT', 'groups/fleet');
  await admin('POST', 'groups/fleet/devices', { add: udids(fleet) });
  await admin('PUT', 'groups/few');
  await admin('POST', 'groups/few/devices', { add: udids(fleet.slice(0, FEW)) });
  await drain();
}, 120_000);

beforeEach(async () => {
  story = randomUuid().slice(0, 8).toLowerCase();
  asked = vi.spyOn(Object.getPrototypeOf(env.FANOUT), 'send');
  logged.length = 0;
});

afterEach(async () => {
  vi.mocked(asked).mockRestore();
  await drain();
});

const name = (what: string) => `com.example.${what}.${story}`;

/** Created as `new`. */
async function declare(what: string, text: string): Promise<Json> {
  const reply = await send(
    new Request(`${url}/api/v1/declarations/${name(what)}`, {
      method: 'PUT',
      headers: {
        authorization: `Bearer ${env.ADMIN_KEY}`,
        'content-type': 'application/json',
        ...(text === 'new' ? { 'if-none-match': '*' } : { 'if-match': '*' }),
      },
      body: JSON.stringify({ type: TEST, payload: { Echo: text } }),
    }),
  );
  if (!reply.ok) throw new Error(await reply.text());
  return (await reply.json()) as Json;
}

const waiting = async () => (await admin('GET', 'manifests'))['waiting'] as number;

/** One message of the queue, as the Worker gets it. Returns the number that are acknowledged, or null if it failed. */
async function deliver(): Promise<number | null> {
  const message = {
    id: randomUuid(),
    timestamp: new Date(),
    attempts: 1,
    body: { kind: 'manifests' } as const,
  };
  const batch = createMessageBatch<FanoutMessage>('escapement-fanout', [message]);
  const ctx = createExecutionContext();
  try {
    await worker.queue(batch, env);
  } catch {
    return null;
  }
  return (await getQueueResult(batch, ctx)).explicitAcks.length;
}

async function drain(): Promise<void> {
  for (let n = 0; n < 10 && (await waiting()) > 0; n++) await deliver();
  expect(await waiting()).toBe(0);
}

async function sweep(): Promise<void> {
  const ctx = createExecutionContext();
  await worker.scheduled(createScheduledController({ scheduledTime: new Date() }), env);
  await waitOnExecutionContext(ctx);
}

/** Who was woken since the last time, each as often. */
async function woken(): Promise<string[]> {
  await Promise.all(fleet.map((one) => one.object.flush()));
  const lines = logged.splice(0).map((line) => JSON.parse(line) as Json);
  return lines
    .filter((line) => line['event'] === 'wake')
    .map((line) => String(line['udid']))
    .sort();
}

const udids = (some: readonly TestDevice[]) => some.map((one) => one.udid).sort();

/** How many of the fleet are to hold the declaration. */
async function holders(what: string): Promise<string[]> {
  const described = await Promise.all(
    fleet.map(async ({ udid }) => ({ udid, device: await objects.of(udid).describe() })),
  );
  return described
    .filter(({ device }) => device?.declarations.some((one) => one.identifier === name(what)))
    .map(({ udid }) => udid)
    .sort();
}

/** A set of one declaration for the whole group, told to all of it. */
async function assigned(group: 'fleet' | 'few'): Promise<void> {
  await declare('wide', 'new');
  await admin('PUT', `sets/${story}`, { declarations: [name('wide')] });
  await admin('PUT', `sets/${story}/groups/${group}`, {});
  await drain();
  await woken();
}

describe('a change for more devices than are told before the answer', () => {
  it('is answered with how many wait, and brought to them in the background, each woken once', async () => {
    await declare('wide', 'new');
    await admin('PUT', `sets/${story}`, { declarations: [name('wide')] });
    const answer = await admin('PUT', `sets/${story}/groups/fleet`, {});
    expect(answer).toEqual({ group: 'fleet', percent: 100, waiting: DEVICES - INLINE });
    expect(await admin('GET', 'manifests')).toEqual({
      waiting: DEVICES - INLINE,
      since: expect.stringMatching(/^20/),
    });
    expect(await holders('wide')).toHaveLength(INLINE);
    expect(asked.mock.calls).toEqual([[{ kind: 'manifests' }]]);
    expect(await deliver()).toBe(1);
    expect(await admin('GET', 'manifests')).toEqual({ waiting: 0, since: null });
    expect(await holders('wide')).toEqual(udids(fleet));
    expect(await woken()).toEqual(udids(fleet));
    expect(asked).toHaveBeenCalledTimes(1);
  });

  it('wakes nobody when it is made again, nor when a message arrives again', async () => {
    await assigned('fleet');
    await admin('PUT', `sets/${story}/groups/fleet`, {});
    await drain();
    expect((await declare('wide', 'x'))['waiting']).toBe(DEVICES - INLINE);
    await drain();
    await woken();
    expect((await declare('wide', 'x'))['waiting']).toBe(0);
    expect(await deliver()).toBe(1);
    expect(await woken()).toEqual([]);
  });

  it('wakes only those whose manifest it changes: not who holds the same by another set', async () => {
    const [had, others] = [fleet.slice(0, 50), fleet.slice(50)];
    await declare('wide', 'new');
    for (const set of ['had', 'all'])
      await admin('PUT', `sets/${story}.${set}`, { declarations: [name('wide')] });
    await admin('PUT', `groups/${story}`);
    await admin('POST', `groups/${story}/devices`, { add: udids(had) });
    await admin('PUT', `sets/${story}.had/groups/${story}`, {});
    await drain();
    expect(await woken()).toEqual(udids(had));
    await admin('PUT', `sets/${story}.all/groups/fleet`, {});
    await drain();
    expect(await woken()).toEqual(udids(others));
    await admin('DELETE', `sets/${story}.had/groups/${story}`);
    await drain();
    expect(await woken()).toEqual([]);
    expect(await holders('wide')).toEqual(udids(fleet));
    await admin('DELETE', `sets/${story}.all/groups/fleet`);
    await drain();
    expect([await woken(), await holders('wide')]).toEqual([udids(fleet), []]);
  });

  it('and another before it was told everywhere end with what was said last', async () => {
    await assigned('fleet');
    await declare('wide', 'older');
    await declare('wide', 'newer');
    expect(await waiting()).toBe(DEVICES - INLINE);
    await Promise.all([deliver(), deliver(), deliver()]);
    expect(await waiting()).toBe(0);
    const { serverToken } = await admin('GET', `declarations/${name('wide')}`);
    for (const { udid } of fleet) {
      const held = (await objects.of(udid).describe())?.declarations;
      expect(held?.find((one) => one.identifier === name('wide'))?.serverToken).toBe(serverToken);
    }
  });

  it('reaches them though the queue takes no message: the sweeper asks again', async () => {
    await assigned('fleet');
    asked.mockRejectedValue(new Error('Queue send failed'));
    await declare('wide', 'x');
    expect(await waiting()).toBe(DEVICES - INLINE);
    asked.mockClear();
    await sweep();
    expect(asked.mock.calls).toEqual([[{ kind: 'manifests' }]]);
    await deliver();
    expect([await waiting(), await woken()]).toEqual([0, udids(fleet)]);
  });
});

describe('a change of which something is lost', () => {
  const few = () => fleet.slice(0, FEW);

  it('reaches all though the Worker ended as soon as it was stored', async () => {
    await assigned('few');
    await new D1DeclarationSets(database).put(story, [], { id: story, atMs: START });
    expect([await waiting(), await woken()]).toEqual([FEW, []]);
    await sweep();
    expect(asked.mock.calls).toEqual([[{ kind: 'manifests' }]]);
    await deliver();
    expect([await waiting(), await woken()]).toEqual([0, udids(few())]);
    expect(await holders('wide')).toEqual([]);
  });

  it('reaches all but those whose objects do not answer, and these when they do', async () => {
    await assigned('few');
    const deaf: readonly string[] = udids(few().slice(3, 5));
    const original = DeviceObject.prototype.setManifest;
    const spy = vi.spyOn(DeviceObject.prototype, 'setManifest').mockImplementation(function (
      this: DeviceObject,
      ...args
    ) {
      const { ctx } = this as unknown as { ctx: DurableObjectState };
      if (deaf.includes(String(ctx.id.name))) throw new Error('this object is broken');
      return original.apply(this, args);
    });
    expect((await declare('wide', 'x'))['waiting']).toBe(2);
    // Its lease lasts: a message does not try it again at once.
    expect(await deliver()).toBe(1);
    spy.mockRestore();
    expect(await waiting()).toBe(2);
    expect(await woken()).toEqual(udids(few()).filter((udid) => !deaf.includes(udid)));
    await env.DB.exec('UPDATE manifest_due SET leased_until_ms = 0');
    await deliver();
    expect([await waiting(), await woken()]).toEqual([0, deaf]);
  });

  it('is not acknowledged by a Worker that cannot read what waits, and goes on when it can', async () => {
    await assigned('few');
    await new D1DeclarationSets(database).put(story, [], { id: story, atMs: START });
    const broken = breakD1('prepare');
    expect(await deliver()).toBeNull();
    broken.mockRestore();
    expect(await waiting()).toBe(FEW);
    expect(await deliver()).toBe(1);
    expect(await waiting()).toBe(0);
  });
});
