/**
 * The device's object apart from its queue: who it lets speak, what an idle poll costs, what it is to hold and what
 * it said of that, and the outbox that tells the others, through evictions, outages and alarms that run twice.
 */
import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import type { DeclarationStatus, ManifestEntry } from '../../../src/domain/declaration/manifest.ts';
import { durablePairings } from '../../../src/durable/pairing/pairings.ts';
import { utf8 } from '../../../src/std/bytes.ts';
import { addMs, MINUTE_MS } from '../../../src/std/time.ts';
import {
  breakD1,
  connect,
  countingSql,
  database,
  enrolledDevice,
  FACTS,
  fleet,
  issue,
  newDevice,
  objectRows,
  queueCommand,
  START,
  session,
  stateOf,
  statusReport,
  type TestDevice,
  tokens,
  withoutSubscriptions,
} from '../../support/device.ts';
import { PHONE, refusal, serial, steps, value, watchRequest } from '../../support/pairing.ts';

beforeAll(withoutSubscriptions);

const quiet = () => vi.spyOn(console, 'log').mockImplementation(() => {});
quiet();
afterEach(() => {
  vi.restoreAllMocks();
  quiet();
});

const authenticate = (device: TestDevice, digest: string, over: { serial?: string } = {}) =>
  device.object.authenticate(
    digest,
    { ...FACTS, serial: over.serial === undefined ? null : serial(over.serial) },
    START,
  );

async function indexed(device: TestDevice) {
  await device.object.flush();
  return database.first<Record<string, unknown>>('SELECT * FROM devices WHERE udid = ?', device.udid);
}

describe('who is let speak', () => {
  it('is nobody before Authenticate, and then only the certificate that Authenticated', async () => {
    const device = await newDevice();
    expect(refusal(await device.object.updateTokens(device.pin, tokens(), START)).kind).toBe('not-enrolled');
    expect(refusal(await authenticate(device, 'f'.repeat(64))).kind).toBe('identity-unknown');
    expect(refusal(await authenticate(device, device.pin, { serial: 'OTHER1' })).kind).toBe(
      'serial-mismatch',
    );
    expect(await device.object.describe()).toBeNull();
    value(await authenticate(device, device.pin, { serial: 'SERIAL0001' }));
    const stranger = 'e'.repeat(64);
    const refusals = await Promise.all([
      device.object.updateTokens(stranger, tokens(), START),
      device.object.checkOut(stranger, START),
      device.object.report(
        stranger,
        { status: 'Idle', commandUuid: null, raw: utf8(''), facts: null },
        START,
      ),
      device.object.offer(
        stranger,
        { candidates: [], complete: true, workTold: 0, lastStatus: 'Idle' },
        START,
      ),
      device.object.read(stranger, START),
      device.object.fetchDeclaration(stranger, 'asset', 'x', START),
      device.object.reportDeclarations(stranger, statusReport({ full: true }), START),
      device.object.saveBootstrapToken(stranger, null, START),
    ]);
    expect(refusals.map((outcome) => refusal(outcome).kind)).toEqual(Array(8).fill('pin-mismatch'));
    expect(await indexed(device)).toMatchObject({ state: 'authenticated' });
  });

  it('after a replayed Authenticate is as before, tokens and queue included', async () => {
    const device = await enrolledDevice();
    const uuid = await queueCommand(device);
    value(await authenticate(device, device.pin));
    expect(await indexed(device)).toMatchObject({ state: 'enrolled' });
    expect(await session(device)).toEqual([uuid]);
  });

  it('moves to a renewal at its first word, and never back', async () => {
    const device = await enrolledDevice();
    const renewed = await issue(device, { renewalOf: device.pin });
    const twin = await issue(device, { renewalOf: device.pin });
    expect(await device.object.isCurrent(device.pin, START)).toBe(true);
    expect(await connect(device)).toBeNull();
    expect(await connect(device, 'Idle', null, { digest: renewed })).toBeNull();
    for (const digest of [device.pin, twin]) {
      expect(await device.object.isCurrent(digest, START)).toBe(false);
      await expect(connect(device, 'Idle', null, { digest })).rejects.toThrow('pin-mismatch');
    }
    await evictDurableObject(device.stub);
    expect(await device.object.isCurrent(renewed, START)).toBe(true);
  });

  it('keeps the queue and the enrollment across a renewal', async () => {
    const device = await enrolledDevice();
    const uuid = await queueCommand(device);
    const renewed = await issue(device, { renewalOf: device.pin });
    expect(await session(device, () => 'Acknowledged', { digest: renewed })).toEqual([uuid]);
    expect(await stateOf(device, uuid)).toBe('acknowledged');
  });

  it('after CheckOut is nobody; only CheckOut itself may be said again', async () => {
    const device = await enrolledDevice();
    value(await device.object.checkOut(device.pin, START));
    value(await device.object.checkOut(device.pin, START));
    await expect(connect(device)).rejects.toThrow('checked-out');
    expect(refusal(await authenticate(device, device.pin)).kind).toBe('identity-unknown');
    expect(await indexed(device)).toMatchObject({ state: 'checked-out' });
    const [row] = await objectRows(device, 'SELECT * FROM enrollment');
    expect(row).toMatchObject({
      push_token: null,
      push_magic: null,
      unlock_token: null,
      serial: 'SERIAL0001',
    });
  });

  it('does not lose the certificate of the next enrollment to a late CheckOut of the last', async () => {
    const device = await enrolledDevice();
    const next = await issue(device, { atMs: addMs(START, MINUTE_MS) });
    value(await device.object.checkOut(device.pin, START));
    expect(await authenticate(device, next)).toMatchObject({ ok: true });
  });

  it('does not lose the certificate of the next enrollment to a late Authenticate of the last', async () => {
    const device = await newDevice();
    const next = await issue(device, { atMs: addMs(START, MINUTE_MS) });
    value(await authenticate(device, device.pin));
    expect(await authenticate(device, next)).toMatchObject({ ok: true });
    expect(refusal(await authenticate(device, device.pin)).kind).toBe('identity-unknown');
  });

  it('holds few certificates that have not spoken: the newest four', async () => {
    const device = await newDevice();
    const digests: string[] = [];
    for (let i = 1; i <= 6; i++) digests.push(await issue(device, { atMs: addMs(START, i * MINUTE_MS) }));
    expect(await objectRows(device, 'SELECT digest FROM expected_identity ORDER BY issued_at_ms')).toEqual(
      digests.slice(2).map((digest) => ({ digest })),
    );
  });
});

describe('an idle poll', () => {
  it('asks no database and writes nothing', async () => {
    const device = await enrolledDevice();
    await session(device);
    const before = await runInDurableObject(device.stub, (_, state) => state.storage.sql.databaseSize);
    const { result, d1, objects } = await countingSql(async () => {
      const given: unknown[] = [];
      for (let i = 0; i < 20; i++)
        given.push(await connect(device, 'Idle', null, { nowMs: addMs(START, i * 1000) }));
      return given;
    });
    expect({ result, d1, objects }).toEqual({ result: Array(20).fill(null), d1: 0, objects: 0 });
    expect(await runInDurableObject(device.stub, (_, state) => state.storage.sql.databaseSize)).toBe(before);
    expect(await objectRows(device, 'SELECT count(*) AS n FROM outbox')).toEqual([{ n: 0 }]);
  });

  it('costs the same after 1,000 answered commands', async () => {
    const device = await enrolledDevice();
    await runInDurableObject(device.stub, (_, { storage: { sql } }) => {
      for (let i = 0; i < 1000; i++)
        sql.exec("INSERT INTO settled VALUES (?, 'answered', ?)", `old-${i}`, START);
    });
    await session(device);
    const { d1, objects } = await countingSql(() => connect(device));
    expect({ d1, objects }).toEqual({ d1: 0, objects: 0 });
  });

  it('asks the database once again after an eviction, if work was ever told', async () => {
    const device = await enrolledDevice();
    await queueCommand(device);
    await session(device);
    await evictDurableObject(device.stub);
    expect((await countingSql(() => connect(device))).d1).toBe(0);
  });

  it('keeps the time of the last word in memory, and tells it every 15 minutes', async () => {
    const device = await enrolledDevice();
    const at = (minutes: number) => addMs(START, minutes * MINUTE_MS);
    for (const minutes of [1, 5, 14]) await connect(device, 'Idle', null, { nowMs: at(minutes) });
    expect(await indexed(device)).toMatchObject({ last_seen_ms: START });
    expect((await device.object.describe())?.lastSeenMs).toBe(at(14));
    await connect(device, 'Idle', null, { nowMs: at(15) });
    expect(await indexed(device)).toMatchObject({ last_seen_ms: at(15) });
    await connect(device, 'Idle', null, { nowMs: at(29) });
    expect(await indexed(device)).toMatchObject({ last_seen_ms: at(15) });
  });
});

const entry = (identifier: string, serverToken = 't1'): ManifestEntry => ({
  kind: 'configuration',
  identifier,
  serverToken,
});
const status = (identifier: string, over: Partial<DeclarationStatus> = {}): DeclarationStatus => ({
  identifier,
  serverToken: 't1',
  active: true,
  valid: 'valid',
  reasons: [],
  ...over,
});

describe('what a device is to hold', () => {
  it('says what was fetched, for the entry as it now stands', async () => {
    const device = await enrolledDevice();
    await device.object.setManifest([entry('a'), entry('b')], 'token-1', START);
    expect(value(await device.object.fetchDeclaration(device.pin, 'configuration', 'a', START))).toEqual(
      entry('a'),
    );
    expect(value(await device.object.fetchDeclaration(device.pin, 'activation', 'a', START))).toBeNull();
    expect(value(await device.object.fetchDeclaration(device.pin, 'configuration', 'c', START))).toBeNull();
    const fetched = async () => (await device.object.describe())?.declarations.map((one) => one.fetched);
    expect(await fetched()).toEqual([true, false]);
    await device.object.setManifest([entry('a', 't2'), entry('b')], 'token-2', START);
    expect(await fetched()).toEqual([false, false]);
  });
});

describe('a status report', () => {
  const report = (device: TestDevice, statuses: DeclarationStatus[], full = false, removed: string[] = []) =>
    device.object.reportDeclarations(
      device.pin,
      statusReport({ declarations: { statuses, removed }, full }),
      START,
    );
  const held = async (device: TestDevice) =>
    (await device.object.describe())?.declarations.map((one) => one.status);

  it('counts for the token that is in force, active and invalid at once included', async () => {
    const device = await enrolledDevice();
    await device.object.setManifest([entry('a'), entry('b')], 'token-1', START);
    const invalid = status('a', {
      valid: 'invalid',
      reasons: [{ code: 'Error.ConfigurationIsInvalid', description: 'x' }],
    });
    value(await report(device, [invalid, status('b', { serverToken: 'stale' }), status('never-held')]));
    expect(await held(device)).toEqual([invalid, null]);
  });

  it('of an older token is ignored, and so is what was said before the token changed', async () => {
    const device = await enrolledDevice();
    await device.object.setManifest([entry('a')], 'token-1', START);
    value(await report(device, [status('a')]));
    await device.object.setManifest([entry('a', 't2')], 'token-2', START);
    expect(await held(device)).toEqual([null]);
    value(await report(device, [status('a', { valid: 'invalid' })]));
    expect(await held(device)).toEqual([null]);
  });

  it('that is full replaces everything, and another only what it names', async () => {
    const device = await enrolledDevice();
    await device.object.setManifest([entry('a'), entry('b')], 'token-1', START);
    value(await report(device, [status('a'), status('b')]));
    value(await report(device, [status('a', { active: false })]));
    expect(await held(device)).toEqual([status('a', { active: false }), status('b')]);
    value(await report(device, [status('b')], true));
    expect(await held(device)).toEqual([null, status('b')]);
    value(await report(device, [status('a')]));
    value(await report(device, [], false, ['b']));
    expect(await held(device)).toEqual([status('a'), null]);
    value(await report(device, [status('a', { serverToken: 'stale' })], true));
    expect(await held(device)).toEqual([null, null]);
  });
});

describe('the outbox', () => {
  const failures = async (device: TestDevice) =>
    (await objectRows(device, 'SELECT outbox_failures AS n FROM progress'))[0]?.['n'];

  it('keeps everything while D1 is down, waits longer each time, and tells all of it in order after', async () => {
    const device = await newDevice();
    const outage = breakD1('batch');
    value(await authenticate(device, device.pin));
    value(await device.object.updateTokens(device.pin, tokens(), START));
    const waits: number[] = [];
    for (let i = 0; i < 4; i++) {
      await runInDurableObject(device.stub, (object) => object.alarm());
      const alarm = await runInDurableObject(device.stub, (_, state) => state.storage.getAlarm());
      waits.push(Math.round(((alarm ?? 0) - Date.now()) / 1000));
    }
    const count = Number(await failures(device));
    expect(count).toBeGreaterThanOrEqual(4);
    expect(waits.every((wait, i) => i === 0 || wait >= waits[i - 1]!)).toBe(true);
    outage.mockRestore();
    expect(await runDurableObjectAlarm(device.stub)).toBe(true);
    expect(await failures(device)).toBe(0);
    expect(await indexed(device)).toMatchObject({ state: 'enrolled', revision: 3 });
  });

  it('told twice changes nothing', async () => {
    const device = await enrolledDevice();
    const uuid = await queueCommand(device);
    await connect(device);
    const outage = breakD1('batch');
    await connect(device, 'Acknowledged', uuid);
    await device.object.flush();
    outage.mockRestore();
    const rows = await objectRows(device, 'SELECT * FROM outbox');
    await device.object.flush();
    await runInDurableObject(device.stub, (_, { storage: { sql } }) => {
      for (const row of rows) {
        const { kind, key, body, raw } = row;
        sql.exec('INSERT INTO outbox (kind, key, body, raw) VALUES (?, ?, ?, ?)', kind, key, body, raw);
      }
    });
    const before = await fleet.commands.find(device.udid, uuid, START);
    await Promise.all([device.object.flush(), runInDurableObject(device.stub, (object) => object.alarm())]);
    expect(await fleet.commands.find(device.udid, uuid, START)).toEqual(before);
    expect(await objectRows(device, 'SELECT count(*) AS n FROM outbox')).toEqual([{ n: 0 }]);
  });

  it('carries results of the largest size', async () => {
    const device = await enrolledDevice();
    const outage = breakD1('batch');
    const raw = new Uint8Array(1024 * 1024).fill(0x20);
    await runInDurableObject(device.stub, (_, { storage: { sql } }) => {
      for (let i = 0; i < 20; i++) {
        const body = JSON.stringify({
          kind: 'result',
          commandUuid: `big-${i}`,
          state: 'error',
          status: 'Error',
          answeredAtMs: 1,
        });
        sql.exec(
          "INSERT INTO outbox (kind, key, body, raw) VALUES ('result', ?, ?, ?)",
          `big-${i}`,
          body,
          raw,
        );
      }
    });
    outage.mockRestore();
    await device.object.flush();
    expect(await objectRows(device, 'SELECT count(*) AS n FROM outbox')).toEqual([{ n: 0 }]);
  });

  it('an older projection never replaces a newer one', async () => {
    const device = await enrolledDevice();
    const stale = { ...(await objectRows(device, 'SELECT * FROM outbox')) };
    expect(stale).toEqual({});
    value(await device.object.checkOut(device.pin, START));
    expect(await indexed(device)).toMatchObject({ state: 'checked-out', revision: 5 });
    const { recordDeviceMessages } = await import('../../../src/storage/d1/device-outbox.ts');
    const old = {
      udid: device.udid,
      serial: serial('SERIAL0001'),
      platform: 'watchOS',
      state: 'enrolled',
    } as const;
    const rest = { productName: null, osVersion: null, buildVersion: null, phoneUdid: null, pairingId: null };
    await recordDeviceMessages(database, [
      { kind: 'projection', device: { ...old, ...rest, enrolledAtMs: null, lastSeenMs: START, revision: 4 } },
    ]);
    expect(await indexed(device)).toMatchObject({ state: 'checked-out', revision: 5 });
  });

  it('tells a watch’s pairing each step once, also from an object that was evicted', async () => {
    const device = await newDevice();
    const digest = await issue(device, { pairingId: await redeemedPairing(device) });
    const outage = breakD1('batch');
    value(await authenticate(device, digest));
    value(await device.object.updateTokens(digest, tokens(), START));
    await evictDurableObject(device.stub);
    outage.mockRestore();
    await device.object.flush();
    value(await device.object.updateTokens(digest, tokens(), START));
    await device.object.flush();
    expect(await timelines(device)).toEqual([STEPS]);
  });

  it('tells two pairings of one watch their steps, though the second came before the first was told', async () => {
    const device = await newDevice();
    const outage = breakD1('batch');
    for (let i = 0; i < 2; i++) {
      const digest = await issue(device, { pairingId: await redeemedPairing(device) });
      value(await authenticate(device, digest));
      value(await device.object.updateTokens(digest, tokens(), START));
    }
    outage.mockRestore();
    await device.object.flush();
    expect(await timelines(device)).toEqual([STEPS, STEPS]);
  });

  const STEPS = ['challenged', 'claimed', 'redeemed', 'authenticated', 'enrolled'];
  const pairings = durablePairings(env.PAIRING);
  const timelines = async ({ udid }: TestDevice) =>
    (await pairings.history(udid)).map((pairing) => steps(pairing.timeline));

  async function redeemedPairing({ udid: watchUdid }: TestDevice): Promise<string> {
    const request = watchRequest(watchUdid);
    const { securityToken, pairingId } = value(await pairings.challenge(request, START));
    value(await pairings.claim({ watchUdid, phoneUdid: PHONE, securityToken, fault: null }, START));
    const presented = { phoneUdid: PHONE, securityToken, tokenId: 'x', foreignIssuer: null };
    await pairings.redeem(
      { request: watchRequest(watchUdid), token: { ok: true, value: presented }, phone: null },
      START,
    );
    return pairingId;
  }
});
