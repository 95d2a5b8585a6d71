/** The record of profiles on devices: orders that compare and set, ends that may be told twice, and kept versions. */
import { env } from 'cloudflare:workers';
import { beforeEach, describe, expect, it } from 'vitest';
import type { DeviceMessage } from '../../../src/domain/enrollment/outbox.ts';
import type { CommandUuid, Udid } from '../../../src/domain/ids.ts';
import type { DeviceProfileOrder } from '../../../src/domain/profile/device-profile-ports.ts';
import { randomUuid } from '../../../src/pki/random.ts';
import { encodePlist } from '../../../src/protocol/plist/encode.ts';
import { epochMs } from '../../../src/std/time.ts';
import { Database } from '../../../src/storage/d1/database.ts';
import { recordDeviceMessages } from '../../../src/storage/d1/device-outbox.ts';
import { D1DeviceProfiles } from '../../../src/storage/d1/device-profiles.ts';
import { D1Uploads } from '../../../src/storage/d1/uploads.ts';
import {
  CREATE,
  call,
  fresh,
  mobileConfig,
  profile,
  putProfile,
  REPLACE,
  text,
} from '../../support/uploads.ts';

const db = new Database(env.DB);
const store = new D1DeviceProfiles(db);
const uploads = new D1Uploads(db);

let identifier = '';
let udid: Udid;
beforeEach(async () => {
  identifier = fresh('stored');
  udid = `DEVICE-${randomUuid()}` as Udid;
  expect((await putProfile(identifier, mobileConfig())).status).toBe(201);
});

function order(over: Partial<DeviceProfileOrder> = {}): DeviceProfileOrder {
  const commandUuid = randomUuid() as CommandUuid;
  const named = { udid, identifier, payloadIdentifier: 'com.example.profile', commandUuid };
  return { ...named, action: 'install', version: 1, enrollmentId: 'e1', orderedAtMs: epochMs(100), ...over };
}

async function claimed(
  over: Partial<DeviceProfileOrder> = {},
  prior: CommandUuid | null = null,
): Promise<DeviceProfileOrder> {
  const made = order(over);
  expect(await store.claim(made, prior)).toEqual({ ok: true, value: { claimed: true } });
  return made;
}

const tell = (...messages: DeviceMessage[]) => recordDeviceMessages(db, messages);
const found = () => store.find(udid, identifier);

function result(
  { commandUuid, action }: DeviceProfileOrder,
  over: Partial<Extract<DeviceMessage, { kind: 'result' }>> = {},
): DeviceMessage {
  const requestType = action === 'install' ? 'InstallProfile' : 'RemoveProfile';
  const answer = {
    state: 'acknowledged',
    status: 'Acknowledged',
    answeredAtMs: epochMs(200),
    raw: null,
    sent: null,
  } as const;
  return { kind: 'result', udid, commandUuid, requestType, ...answer, ...over };
}

describe('an order', () => {
  it('is recorded if nothing was, and after the order that it was based on', async () => {
    const first = await claimed();
    expect(await store.claim(order(), null)).toEqual({ ok: false, refusal: { kind: 'changed' } });
    const next = await claimed({ version: 2 }, first.commandUuid);
    expect(await store.claim(order(), first.commandUuid)).toMatchObject({ refusal: { kind: 'changed' } });
    expect(await found()).toMatchObject({ commandUuid: next.commandUuid, version: 2, state: 'ordered' });
  });

  it('has one winner of many at once', async () => {
    const all = await Promise.all(Array.from({ length: 20 }, () => store.claim(order(), null)));
    expect(all.filter((one) => one.ok)).toHaveLength(1);
  });

  it('of a profile that is not stored is none, but for its removal', async () => {
    const first = await claimed();
    await tell(result(first));
    expect((await call('DELETE', `${profile(identifier)}?force=true`)).body).toEqual({
      left: { devices: 1, ordered: 0 },
    });
    expect(await store.claim(order({ version: 2 }), first.commandUuid)).toMatchObject({
      refusal: { kind: 'gone' },
    });
    await claimed({ action: 'remove' }, first.commandUuid);
  });

  it('under a PayloadIdentifier that another profile has on the device is none, as long as it has it', async () => {
    const first = await claimed();
    const other = fresh('other');
    expect((await putProfile(other, mobileConfig())).status).toBe(201);
    const taken = { ok: false, refusal: { kind: 'payload-identifier-taken', identifier } };
    expect(await store.claim(order({ identifier: other }), null)).toEqual(taken);
    await tell(result(first, { state: 'error', status: 'Error' }));
    await claimed({ identifier: other });
    expect(await store.claim(order({ version: 2 }), first.commandUuid)).toMatchObject({
      refusal: { kind: 'payload-identifier-taken', identifier: other },
    });
  });

  it('is taken back as if it had not been, unless another came since', async () => {
    const first = await claimed();
    await tell(result(first));
    const before = await found();
    const next = await claimed({ version: 2 }, first.commandUuid);
    await store.undo(next, before);
    expect(await found()).toEqual(before);
    const third = await claimed({ version: 3 }, first.commandUuid);
    await store.undo(next, before);
    expect((await found())?.commandUuid).toBe(third.commandUuid);
    const elsewhere = { ...order(), udid: `DEVICE-${randomUuid()}` as Udid };
    await store.claim(elsewhere, null);
    await store.undo(elsewhere, null);
    expect(await store.find(elsewhere.udid, identifier)).toBeNull();
  });
});

describe('the end of a command', () => {
  it('is recorded once, also when it is told twice and after the next order', async () => {
    const first = await claimed();
    await tell(result(first));
    const installed = { state: 'installed', installedVersion: 1, installedAtMs: 200 };
    expect(await found()).toMatchObject(installed);
    await tell(result(first));
    expect(await found()).toMatchObject(installed);
    const next = await claimed({ version: 2 }, first.commandUuid);
    await tell(result(first));
    expect(await found()).toMatchObject({ state: 'ordered', version: 2, installedVersion: 1 });
    const raw = encodePlist({ ErrorChain: [{ ErrorCode: 7, ErrorDomain: 'D' }] });
    await tell(result(next, { state: 'error', status: 'Error', raw }));
    expect(await found()).toMatchObject({
      state: 'failed',
      installedVersion: 1,
      error: { kind: 'device', code: 7 },
    });
    const removal = await claimed({ action: 'remove' }, next.commandUuid);
    await tell(result(removal), result(removal));
    expect(await found()).toMatchObject({
      state: 'removed',
      installedVersion: null,
      installedAtMs: null,
      error: null,
    });
  });

  it('of another request type concerns no profile', async () => {
    const first = await claimed();
    await tell(result(first, { requestType: 'ProfileList' }));
    expect((await found())?.state).toBe('ordered');
    await tell(result(first, { requestType: null }));
    expect((await found())?.state).toBe('installed');
  });

  it('that was canceled or expired fails, and what the device did all the same outranks it', async () => {
    const first = await claimed();
    const { commandUuid } = first;
    await tell({ kind: 'cancel', commandUuid, state: 'expired', atMs: epochMs(150) });
    expect(await found()).toMatchObject({ state: 'failed', error: { kind: 'expired' } });
    await tell(result(first));
    expect(await found()).toMatchObject({ state: 'installed', installedVersion: 1, error: null });
    await tell({ kind: 'cancel', commandUuid, state: 'canceled', atMs: epochMs(250) });
    expect((await found())?.state).toBe('installed');
  });

  it('of the enrollment takes away what was given to it, and nothing of the next', async () => {
    const first = await claimed();
    await tell(result(first));
    const reset: DeviceMessage = { kind: 'reset', udid, enrollmentId: 'e1', atMs: epochMs(300) };
    await tell(reset);
    const gone = {
      state: 'removed',
      installedVersion: null,
      error: { kind: 'enrollment-ended' },
      changedAtMs: 300,
    };
    expect(await found()).toMatchObject(gone);
    await tell({ ...reset, atMs: epochMs(301) });
    expect(await found()).toMatchObject(gone);
    const next = await claimed({ enrollmentId: 'e2' }, first.commandUuid);
    await tell(reset, result(next));
    expect(await found()).toMatchObject({ state: 'installed', installedVersion: 1 });
  });
});

describe('the sweeper', () => {
  it('fails orders whose command was never queued, and leaves the others', async () => {
    await env.DB.prepare('DELETE FROM device_profiles').run();
    const lost = await claimed({ orderedAtMs: epochMs(0) });
    const queued = { ...order({ orderedAtMs: epochMs(0) }), udid: `DEVICE-${randomUuid()}` as Udid };
    await store.claim(queued, null);
    await env.DB.prepare(
      `INSERT INTO command_history (command_uuid, udid, number, request_type, state, created_at_ms, answered_at_ms)
       VALUES (?, ?, 1, 'InstallProfile', 'acknowledged', 0, 0)`,
    )
      .bind(queued.commandUuid, queued.udid)
      .run();
    const minutes = (count: number) => epochMs(count * 60_000);
    expect(await store.sweep(minutes(9))).toBe(0);
    expect(await store.sweep(minutes(11))).toBe(1);
    expect(await store.find(lost.udid, identifier)).toMatchObject({
      state: 'failed',
      error: { kind: 'not-queued' },
    });
    expect((await store.find(queued.udid, identifier))?.state).toBe('ordered');
  });
});

describe('versions', () => {
  const put = (number: number) =>
    putProfile(identifier, mobileConfig(undefined, { PayloadDisplayName: text(`Wi-Fi ${number}`) }), REPLACE);
  const kept = async () => (await uploads.versions(identifier)).map(({ version }) => version);

  it('are kept as far as the limit, and beyond it those that devices have', async () => {
    await tell(result(await claimed({ version: 3 })));
    for (let number = 2; number <= 14; number++) expect((await put(number)).body.version).toBe(number);
    expect(await kept()).toEqual([14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 3]);
    expect((await uploads.loadVersion(identifier, 3))?.version).toBe(3);
    expect(await uploads.loadVersion(identifier, 4)).toBeNull();
  });

  it('go with the profile, and the next of that name is counted on from what devices have', async () => {
    await put(2);
    await tell(result(await claimed({ version: 2 })));
    await call('DELETE', `${profile(identifier)}?force=true`);
    expect(await kept()).toEqual([]);
    const created = await putProfile(identifier, mobileConfig(), CREATE);
    expect([created.status, created.body.version, await kept()]).toEqual([201, 3, [3]]);
  });

  it('are made by one of several writers who started from the same tag', async () => {
    const { etag } = await call('GET', profile(identifier));
    const bodies = [1, 2, 3, 4].map((n) =>
      mobileConfig(undefined, { PayloadDisplayName: text(`Race ${n}`) }),
    );
    const answers = await Promise.all(
      bodies.map((body) => putProfile(identifier, body, { 'If-Match': etag })),
    );
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 412, 412, 412]);
    expect(await kept()).toEqual([2, 1]);
  });
});
