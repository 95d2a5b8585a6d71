/**
 * Apps on their way to a simulated watch through the front door: the iPhone first, each side confirmed by what the
 * device itself reports, while people refuse, devices put off, networks lose, objects are evicted and phones leave.
 */
import { evictAllDurableObjects } from 'cloudflare:test';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { SimulatedPhone, SimulatedWatch } from '../simulator/index.ts';
import {
  appCommandsOf,
  deploy,
  deployment,
  drive,
  putApp,
  stateOn,
  sweep,
  timeline,
} from '../support/apps.ts';
import { admin, adminReply, assignedPhone, pairedWatch } from '../support/front-door.ts';
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
