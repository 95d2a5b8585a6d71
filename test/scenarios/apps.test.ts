/**
 * Apps on their way to a simulated watch through the front door: the iPhone first, each side confirmed by what the
 * device itself reports, while people refuse, devices put off, networks lose, objects are evicted and phones leave.
 */
import { evictAllDurableObjects } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  ORDINARY_MISCHIEF,
  type SimulatedPhone,
  type SimulatedWatch,
  withMischief,
} from '../simulator/index.ts';
import {
  appCommandsOf,
  deploy,
  deployment,
  drive,
  put,
  putApp,
  stateOn,
  sweep,
  type TestApp,
  timeline,
} from '../support/apps.ts';
import {
  admin,
  adminReply,
  assignedPhone,
  newWorld,
  pairedWatch,
  printOnFailure,
  secrets,
  send,
  unpairedWatch,
  url,
} from '../support/front-door.ts';
import { checkInvariants } from '../support/invariants.ts';

let phone: SimulatedPhone;
let watch: SimulatedWatch;
beforeAll(async () => {
  phone = await assignedPhone();
  watch = await pairedWatch(phone);
  for (const device of [phone, watch]) await device.connect();
});
afterAll(checkInvariants);

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

describe('an installation', () => {
  it.each(['paired', 'dependent'] as const)(
    'of a %s app ends on the iPhone before it begins on the watch',
    async (kind) => {
      const app = await putApp(kind, [phone, watch]);
      const before = (await appCommandsOf(watch)).length;
      const id = await deploy(watch, app);
      await watch.connect();
      expect(await deployment(id)).toMatchObject({
        state: 'running',
        step: 'phone-install',
        phase: 'ordered',
      });
      await phone.connect();
      expect(await deployment(id)).toMatchObject({ step: 'phone-confirm', phase: 'confirming' });
      expect((await appCommandsOf(watch)).length, 'nothing for the watch yet').toBe(before);
      expect(await drive(id, [phone, watch])).toMatchObject({
        state: 'done',
        step: 'watch-confirm',
        reason: null,
      });
      expect([stateOn(phone, app.phone), stateOn(watch, app.id)]).toEqual(['Managed', 'Managed']);
      const steps = await timeline(id);
      expect(steps.filter((step) => !step.endsWith(' pending'))).toEqual([
        ...['phone-install queued', 'phone-install taken', 'phone-confirm done'],
        ...['watch-install queued', 'watch-install taken', 'watch-confirm done'],
      ]);
      // Both report by themselves: neither was asked.
      expect(await appCommandsOf(watch)).not.toContain('ManagedApplicationList');
    },
  );

  it('of a standalone app is the watch’s alone', async () => {
    const app = await putApp('standalone', [watch]);
    const before = await appCommandsOf(phone);
    const id = await deploy(watch, app);
    expect(await drive(id, [phone, watch])).toMatchObject({ state: 'done', phone: null });
    expect(await appCommandsOf(phone)).toEqual(before);
  });

  it('is confirmed by asking where the device reports nothing', async () => {
    const silent = await assignedPhone();
    const theirs = await pairedWatch(silent);
    for (const device of [silent, theirs]) device.facts.status.set('mdm.app', null);
    const app = await putApp('standalone', [theirs]);
    const id = await deploy(theirs, app);
    let at = Date.now();
    for (let i = 0; i < 6 && (await deployment(id))['state'] === 'running'; i++) {
      await theirs.connect();
      at += HOUR_MS;
      await sweep(at);
    }
    expect(await deployment(id)).toMatchObject({ state: 'done' });
    expect(await appCommandsOf(theirs)).toContain('ManagedApplicationList');
  });

  it('goes on over NotNow at each step, lost objects, and answers said twice', async () => {
    const app = await putApp('paired', [phone, watch]);
    const id = await deploy(watch, app);
    for (const device of [phone, watch]) {
      device.manners.defer('InstallApplication', 2);
      device.manners.defer('ManagedApplicationList', 1);
    }
    for (let i = 0; i < 16 && (await deployment(id))['state'] === 'running'; i++) {
      await evictAllDurableObjects();
      await phone.connect();
      await evictAllDurableObjects();
      await watch.connect();
    }
    expect(await deployment(id)).toMatchObject({ state: 'done', attempt: 1 });
    expect((await timeline(id)).filter((step) => step.endsWith('queued'))).toEqual([
      'phone-install queued',
      'watch-install queued',
    ]);
  });

  it('is tried again when a person refuses it, hours later, and given up after the third time', async () => {
    const app = await putApp('paired', [phone, watch]);
    const decide = phone.facts.onInstall;
    phone.facts.onInstall = () => 'reject';
    const id = await deploy(watch, app);
    let at = Date.now();
    await drive(id, [phone], 4);
    expect(await deployment(id)).toMatchObject({ phase: 'backing-off', reason: 'user-rejected', attempt: 2 });
    expect(stateOn(watch, app.id)).toBeUndefined();
    await sweep(at + HOUR_MS);
    expect(await deployment(id)).toMatchObject({ phase: 'backing-off' });
    for (let i = 0; i < 2; i++) {
      at += 2 * DAY_MS;
      await sweep(at);
      await drive(id, [phone], 4);
    }
    expect(await deployment(id)).toMatchObject({
      state: 'failed',
      reason: 'user-rejected',
      step: 'phone-confirm',
    });
    phone.facts.onInstall = decide;
    expect(await admin('POST', `deployments/${id}/retry`)).toMatchObject({ state: 'running', attempt: 1 });
    expect(await drive(id, [phone, watch])).toMatchObject({ state: 'done' });
  });

  it('is over when the iPhone leaves, with the reason', async () => {
    const leaving = await assignedPhone();
    const theirs = await pairedWatch(leaving);
    const app = await putApp('paired', [leaving, theirs]);
    const id = await deploy(theirs, app);
    await leaving.checkOut();
    expect(await deployment(id)).toMatchObject({ state: 'failed', reason: 'phone-not-enrolled' });
    const again = await adminReply('POST', `devices/${theirs.udid}/apps`, { app: app.id, action: 'install' });
    expect([again.status, again.body['type']]).toEqual([409, 'urn:escapement:problem:phone-not-enrolled']);
  });

  it('that nobody answers is given up after a week', async () => {
    const app = await putApp('standalone', [watch]);
    const id = await deploy(watch, app);
    await sweep(Date.now() + 8 * DAY_MS);
    await sweep(Date.now() + 8 * DAY_MS);
    expect(await deployment(id)).toMatchObject({ state: 'failed', reason: 'command-expired' });
  });

  it('that is superseded leaves nothing behind its successor’s back', async () => {
    const app = await putApp('standalone', [watch]);
    const first = await deploy(watch, app);
    const second = await deploy(watch, app, 'update');
    expect(await deployment(first)).toMatchObject({ state: 'superseded', commandUuid: null });
    expect(await drive(second, [watch])).toMatchObject({ state: 'done' });
    const installs = (await admin('GET', `devices/${watch.udid}/commands?limit=2`))['items'] as {
      state: string;
    }[];
    expect(installs.map(({ state }) => state).sort()).toEqual(['acknowledged', 'canceled']);
  });

  it('that is canceled takes its command back', async () => {
    const app = await putApp('standalone', [watch]);
    const id = await deploy(watch, app);
    expect(await admin('POST', `deployments/${id}/cancel`)).toMatchObject({ state: 'canceled' });
    await watch.connect();
    await watch.connect();
    expect(stateOn(watch, app.id)).toBeUndefined();
    expect((await adminReply('POST', `deployments/${id}/cancel`)).status).toBe(409);
  });
});

describe('an enterprise app', () => {
  it('comes to both devices by the manifest that is made for each, with its configuration', async () => {
    const token = 'configuration-token-0123456789';
    secrets.add('app configuration', token);
    const install = { ManagementFlags: 1, Configuration: { token } };
    const source = { kind: 'package' };
    const phoneSide = (app: TestApp) => ({ phone: { bundleId: app.phone, source } });
    const app = await putApp('paired', [phone, watch]);
    await put(app, 'paired', { source, install, ...phoneSide(app) });
    const early = await adminReply('POST', `devices/${watch.udid}/apps`, { app: app.id, action: 'install' });
    expect(early.body['type']).toBe('urn:escapement:problem:package-missing');
    const body = new Uint8Array(70_000).fill(7);
    body.set([0x50, 0x4b, 0x03, 0x04]);
    const uploaded = await send(
      new Request(`${url}/api/v1/apps/${app.id}/package?bundleVersion=3.1`, {
        method: 'PUT',
        headers: { authorization: `Bearer ${env.ADMIN_KEY}` },
        body,
      }),
    );
    expect(uploaded.status).toBe(200);
    await uploaded.body?.cancel();
    const id = await deploy(watch, app);
    expect(await drive(id, [phone, watch])).toMatchObject({ state: 'done' });
    for (const [device, bundleId] of [
      [phone, app.phone],
      [watch, app.id],
    ] as const) {
      const held = device.facts.apps.get(String(bundleId));
      expect(held).toMatchObject({ version: '3.1', state: 'Managed', flags: 1, configuration: { token } });
    }
  });
});

describe('a bad network', () => {
  it.each([7001, 7002, 7003])(
    'of seed %i delays an app, and doubles and loses nothing of it',
    async (seed) => {
      const world = withMischief(newWorld({ seed }), { ...ORDINARY_MISCHIEF, delayMsMax: 4 });
      printOnFailure(() => `seed ${seed}: ${world.mischiefLog.deeds.join(', ')}`);
      const theirs = await assignedPhone({ world });
      const own = await unpairedWatch(theirs);
      for (let attempt = 1; (await own.pairWith(theirs)).kind !== 'enrolled'; attempt++)
        if (attempt === 6) throw new Error('not paired');
      const app = await putApp('paired', [theirs, own]);
      const id = await deploy(own, app);
      const at = Date.now();
      for (let i = 0; i < 20 && (await deployment(id))['state'] === 'running'; i++) {
        if (i % 3 === 1) await evictAllDurableObjects();
        for (const device of [theirs, own]) await device.connect();
        await sweep(at + i * HOUR_MS);
      }
      expect(await deployment(id)).toMatchObject({ state: 'done', attempt: 1 });
      expect([stateOn(theirs, app.phone), stateOn(own, app.id)]).toEqual(['Managed', 'Managed']);
      for (const device of [theirs, own]) {
        const installs = (await appCommandsOf(device)).filter((type) => type === 'InstallApplication');
        expect(installs).toEqual(['InstallApplication']);
      }
    },
  );
});

describe('a request for many', () => {
  it('begins one for each watch of a group that can have it, and says why not for the others', async () => {
    const name = `floor-${Date.now()}`;
    await admin('PUT', `groups/${name}`);
    await admin('POST', `groups/${name}/devices`, { add: [watch.udid, phone.udid] });
    const app = await putApp('standalone', [watch]);
    const path = `apps/${app.id}/deployments`;
    const begun = await admin('POST', path, { action: 'install', group: name });
    expect(begun).toMatchObject({ begun: 1, refused: 0, items: [{ udid: watch.udid }] });
    const [first] = begun['items'] as { deploymentId: string }[];
    expect(await drive(String(first?.deploymentId), [watch])).toMatchObject({ state: 'done' });
    const devices = [watch.udid, phone.udid, 'NOBODY-0001'];
    const named = await admin('POST', path, { action: 'update', devices });
    expect(named).toMatchObject({
      ...{ begun: 1, refused: 2 },
      items: [
        { udid: watch.udid },
        { udid: phone.udid, refusal: 'not-a-watch' },
        { refusal: 'unknown-device' },
      ],
    });
    const { items } = await admin('GET', `devices/${watch.udid}/apps?limit=2`);
    expect(items).toMatchObject([{ action: 'update' }, { action: 'install', state: 'done' }]);
    const running = await adminReply('DELETE', `apps/${app.id}`);
    expect([running.status, running.body['type']]).toEqual([409, 'urn:escapement:problem:app-deployed']);
  });
});

describe('a removal', () => {
  it('is the watch’s first, then the iPhone’s', async () => {
    const app = await putApp('paired', [phone, watch]);
    expect(await drive(await deploy(watch, app), [phone, watch])).toMatchObject({ state: 'done' });
    const id = await deploy(watch, app, 'remove');
    await phone.connect();
    expect(stateOn(phone, app.phone)).toBe('Managed');
    expect(await drive(id, [watch, phone])).toMatchObject({ state: 'done', step: 'phone-confirm' });
    expect([stateOn(phone, app.phone), stateOn(watch, app.id)]).toEqual([undefined, undefined]);
    const steps = (await timeline(id)).filter((step) => step.endsWith('queued'));
    expect(steps).toEqual(['watch-remove queued', 'phone-remove queued']);
  });

  it('leaves the iPhone’s app to the other watch that has it, and goes when that one’s does', async () => {
    const other = await pairedWatch(phone);
    await other.connect();
    const app = await putApp('paired', [phone, watch, other]);
    const all = [phone, watch, other];
    const installs = [await deploy(watch, app), await deploy(other, app)];
    for (const id of installs) expect(await drive(id, all)).toMatchObject({ state: 'done' });
    const first = await deploy(watch, app, 'remove');
    expect(await drive(first, all)).toMatchObject({ state: 'done' });
    expect((await timeline(first)).at(-1)).toBe('phone-remove skipped!needed-by-another-watch');
    expect(stateOn(phone, app.phone)).toBe('Managed');
    const last = await deploy(other, app, 'remove');
    expect(await drive(last, all)).toMatchObject({ state: 'done' });
    expect(stateOn(phone, app.phone)).toBeUndefined();
  });

  it('of what is not there is done', async () => {
    const app = await putApp('standalone', [watch]);
    const id = await deploy(watch, app, 'remove');
    expect(await drive(id, [watch])).toMatchObject({ state: 'done' });
    expect((await timeline(id)).slice(0, 2)).toEqual(['watch-remove queued', 'watch-remove error']);
  });
});
