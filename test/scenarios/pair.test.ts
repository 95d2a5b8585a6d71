/**
 * An iPhone and its watch as one: what either side's end says of the other, with and without CheckOut, and what is
 * remembered when a watch comes back, to the same iPhone, to another, or under another UDID.
 */
import { evictAllDurableObjects } from 'cloudflare:test';
import { Buffer } from 'node:buffer';
import { afterEach, describe, expect, it } from 'vitest';
import { ReplyLost, type SimulatedPhone, SimulatedWatch } from '../simulator/index.ts';
import {
  admin,
  adminReply,
  assign,
  assignedPhone,
  commandState,
  enrolledPhone,
  type Json,
  keys,
  newWorld,
  order,
  pairedWatch,
  pairingOf,
  secrets,
  send,
  unpairedWatch,
} from '../support/front-door.ts';
import { checkInvariants, settle } from '../support/invariants.ts';

afterEach(checkInvariants);

type Device = SimulatedPhone | SimulatedWatch;

const record = (device: { readonly udid: string }) => admin('GET', `devices/${device.udid}`);
const history = async (device: { readonly udid: string }) =>
  (await admin('GET', `devices/${device.udid}/enrollments`))['items'] as Json[];
const presumedBy = async (device: { readonly udid: string }) => {
  const { warnings } = await admin('GET', `devices/${device.udid}/policy`);
  return (warnings as Json[]).find(({ kind }) => kind === 'presumed-gone');
};
const erase = (device: Device) =>
  order(device, 'EraseDevice', {
    command: { RequestType: 'EraseDevice' },
    confirm: { serial: device.serial },
  });
const unenroll = (device: Device) =>
  order(device, 'RemoveProfile', {
    command: { RequestType: 'RemoveProfile', Identifier: 'com.escapement.enrollment' },
    confirm: { serial: device.serial },
  });

/** Until it has all that it is to hold, and nothing more to say. */
async function untilQuiet(device: Device): Promise<void> {
  for (let quiet = false; !quiet; ) {
    await settle();
    const { commands, reported } = await device.connect();
    quiet = commands.length === 0 && !reported;
  }
}

/** It says so, and what would follow from it does not happen. */
async function onlySayCheckOut(device: Device): Promise<void> {
  const { status } = await device.checkIn('CheckOut', { Topic: String(device.profile?.topic) });
  expect(status).toBe(200);
}

/** An iPhone that is enrolled by another link, without having checked out. */
async function enrollAgain(phone: SimulatedPhone): Promise<void> {
  const { udid, serial } = phone;
  const link = await admin('POST', 'enrollment-links', { udid, serial, platform: 'iOS', signed: false });
  secrets.add('link code', String(link['code']));
  await phone.enrollByLink(String(link['url']));
}

describe('when an iPhone checks out', () => {
  it('its watches are expected to be gone, and say so, and have not checked out', async () => {
    const phone = await assignedPhone();
    const watch = await pairedWatch(phone);
    expect(await record(watch)).toMatchObject({
      phoneState: { state: 'enrolled', since: null },
      presumedGone: null,
    });
    await phone.checkOut();
    const gone = await record(watch);
    const since = expect.any(String);
    expect(gone).toMatchObject({ state: 'enrolled', phoneState: { state: 'checked-out', since } });
    expect(gone['presumedGone']).toMatchObject({
      why: 'phone-checked-out',
      device: phone.udid,
      commandUuid: null,
      note: expect.stringContaining('erased'),
    });
    const { phone: host, watches } = await admin('GET', `devices/${watch.udid}/pair`);
    expect(host).toMatchObject({ udid: phone.udid, state: 'checked-out', presumedGone: null });
    expect(watches).toMatchObject([
      { udid: watch.udid, presumedGone: gone['presumedGone'], lastPairing: { state: 'enrolled' } },
    ]);
    const uuid = await order(watch, 'SecurityInfo');
    expect(await commandState(watch, uuid)).toBe('pending');
  });

  it('a watch that speaks after that is there', async () => {
    const phone = await assignedPhone();
    const watch = await pairedWatch(phone);
    await onlySayCheckOut(phone);
    await evictAllDurableObjects();
    await watch.connect();
    expect(await record(watch)).toMatchObject({
      phoneState: { state: 'checked-out' },
      presumedGone: null,
    });
  });

  it('and a watch that checks out itself has simply ended', async () => {
    const phone = await assignedPhone();
    const watch = await pairedWatch(phone);
    await onlySayCheckOut(phone);
    await watch.checkOut();
    expect(await record(watch)).toMatchObject({ state: 'checked-out', presumedGone: null });
    expect(await history(watch)).toMatchObject([{ ended: 'checked-out', endedAt: expect.any(String) }]);
  });
});

describe('when an iPhone is told to go', () => {
  it.each([
    ['to be erased', 'erase-acknowledged', erase],
    ['to unenroll', 'removal-acknowledged', unenroll],
  ])('%s and says yes, both are expected to be gone, until it speaks', async (_what, why, act) => {
    const phone = await assignedPhone();
    const watch = await pairedWatch(phone);
    // It says yes, and stays all the same.
    for (const requestType of ['EraseDevice', 'RemoveProfile']) phone.answers.set(requestType, () => ({}));
    await untilQuiet(phone);
    const commandUuid = await act(phone);
    const next = await order(phone, 'ProfileList');
    expect((await record(watch))['presumedGone']).toBeNull();
    await phone.connect();
    expect(await commandState(phone, next)).toBe('acknowledged');
    expect(await record(phone)).toMatchObject({
      state: 'enrolled',
      presumedGone: { why, device: phone.udid, commandUuid },
    });
    expect(await record(watch)).toMatchObject({
      phoneState: { state: 'presumed-ended' },
      presumedGone: { why: `phone-${why}`, device: phone.udid, commandUuid },
    });
    expect(await presumedBy(phone)).toMatchObject({ why, device: phone.udid, commandUuid });
    expect(await presumedBy(watch)).toMatchObject({ why: `phone-${why}`, device: phone.udid, commandUuid });
    await evictAllDurableObjects();
    expect(await history(phone)).toMatchObject([{ ended: null, presumedEnd: { why, commandUuid } }]);
    await phone.connect();
    expect((await record(phone))['presumedGone']).toBeNull();
    expect(await record(watch)).toMatchObject({ phoneState: { state: 'enrolled' }, presumedGone: null });
  });

  it('another profile that it removes says nothing of the kind', async () => {
    const phone = await enrolledPhone();
    phone.answers.set('RemoveProfile', () => ({}));
    await order(phone, 'RemoveProfile', {
      command: { RequestType: 'RemoveProfile', Identifier: 'com.example.other' },
    });
    await phone.connect();
    expect((await record(phone))['presumedGone']).toBeNull();
  });

  it('a refusal says nothing of the kind', async () => {
    const phone = await enrolledPhone();
    phone.answers.set('EraseDevice', () => ({ Status: 'Error', ErrorChain: [] }));
    await erase(phone);
    await phone.connect();
    expect((await record(phone))['presumedGone']).toBeNull();
  });

  it('it may enroll again without a word: its watches belonged to the enrollment before', async () => {
    const phone = await assignedPhone();
    const watch = await pairedWatch(phone);
    await enrollAgain(phone);
    expect(await record(watch)).toMatchObject({
      phoneState: { state: 'replaced' },
      presumedGone: { why: 'phone-replaced', device: phone.udid },
    });
    const [now, before] = await history(phone);
    expect([now?.['ended'], before?.['ended']]).toEqual([null, 'replaced']);
    await assign(phone);
    expect(await watch.pairWith(phone)).toMatchObject({ kind: 'enrolled' });
    expect(await record(watch)).toMatchObject({ phoneState: { state: 'enrolled' }, presumedGone: null });
  });
});

describe('a watch that is told to go', () => {
  it('is expected to be gone although its answer arrives twice and its reply is lost', async () => {
    let lose = false;
    const world = newWorld({
      async send(request) {
        const text = Buffer.from(await request.clone().arrayBuffer()).toString('latin1');
        const reply = await send(request);
        if (!lose || !text.includes('Acknowledged')) return reply;
        lose = false;
        await evictAllDurableObjects();
        throw new ReplyLost('dropped');
      },
    });
    const phone = await assignedPhone({ world });
    const watch = await pairedWatch(phone);
    const commandUuid = await erase(watch);
    lose = true;
    await watch.connect();
    expect(lose).toBe(false);
    expect(await record(watch)).toMatchObject({
      state: 'enrolled',
      presumedGone: { why: 'erase-acknowledged', commandUuid, device: watch.udid },
    });
    expect(await record(phone)).toMatchObject({ presumedGone: null, watches: [watch.udid] });
  });

  it('and comes back is the same serial number with another enrollment, and all that was before', async () => {
    const phone = await assignedPhone();
    const watch = await pairedWatch(phone);
    const first = await pairingOf(watch);
    const answered = await order(watch, 'SecurityInfo');
    await watch.connect();
    const commandUuid = await erase(watch);
    await watch.connect();
    const waiting = await order(watch, 'ProfileList');
    expect(await watch.pairWith(phone)).toMatchObject({ kind: 'enrolled' });
    expect(await record(watch)).toMatchObject({ state: 'enrolled', presumedGone: null, otherUdids: [] });
    const pairing = await pairingOf(watch);
    expect(pairing['pairingId']).not.toBe(first['pairingId']);
    const [now, before] = await history(watch);
    expect(now).toMatchObject({ pairingId: pairing['pairingId'], ended: null, presumedEnd: null });
    expect(before).toMatchObject({
      pairingId: first['pairingId'],
      serial: watch.serial,
      phone: phone.udid,
      ended: 'replaced',
      endedAt: now?.['startedAt'],
      presumedEnd: { why: 'erase-acknowledged', commandUuid },
    });
    const states = await Promise.all([answered, commandUuid, waiting].map((one) => commandState(watch, one)));
    expect(states).toEqual(['acknowledged', 'acknowledged', 'canceled']);
  });

  it('and is unenrolled says so itself, if it can', async () => {
    const phone = await assignedPhone();
    const watch = await pairedWatch(phone);
    const commandUuid = await unenroll(watch);
    await watch.connect();
    expect(await record(watch)).toMatchObject({ state: 'checked-out', presumedGone: null });
    expect(await history(watch)).toMatchObject([
      { ended: 'checked-out', presumedEnd: { why: 'removal-acknowledged', commandUuid } },
    ]);
    expect((await record(phone))['presumedGone']).toBeNull();
  });

  it('may come back to another iPhone, and belongs to that one alone', async () => {
    const [one, two] = [await assignedPhone(), await assignedPhone()];
    const watch = await pairedWatch(one);
    await watch.checkOut();
    expect(await watch.pairWith(two)).toMatchObject({ kind: 'enrolled' });
    await settle();
    expect(await record(watch)).toMatchObject({ phone: two.udid, phoneState: { state: 'enrolled' } });
    expect((await record(one))['watches']).toEqual([]);
    expect((await record(two))['watches']).toEqual([watch.udid]);
    expect((await history(watch)).map((each) => [each['phone'], each['ended']])).toEqual([
      [two.udid, null],
      [one.udid, 'checked-out'],
    ]);
    await one.checkOut();
    expect((await record(watch))['presumedGone']).toBeNull();
    const { watches } = await admin('GET', `devices/${one.udid}/pair`);
    expect(watches).toEqual([]);
  });

  it('may come back under another UDID: the serial number finds both', async () => {
    const phone = await assignedPhone();
    const watch = await pairedWatch(phone);
    const key = { mdm: keys.take() };
    const other = await SimulatedWatch.create(phone.world, { serial: watch.serial, keys: key });
    other.useEnrollmentUrl(String(phone.watchEnrollmentUrl()));
    expect(await other.pairWith(phone)).toMatchObject({ kind: 'enrolled' });
    await settle();
    const found = (await admin('GET', `devices?serial=${watch.serial}`))['items'] as Json[];
    expect(found.map((one) => one['udid']).sort()).toEqual([watch.udid, other.udid].sort());
    expect((await record(other))['otherUdids']).toEqual([watch.udid]);
    expect((await record(watch))['otherUdids']).toEqual([other.udid]);
  });
});

describe('a pair', () => {
  it('is shown from either side, with what ending a side would cause', async () => {
    const phone = await assignedPhone();
    const watch = await pairedWatch(phone);
    await settle();
    const effects = ['unenroll', 'unpair', 'erase'];
    const ofWatch = [{ device: watch.udid, effects }];
    const ofPhone = [{ device: phone.udid, effects: ['unenroll'] }, ...ofWatch];
    for (const side of [phone, watch]) {
      const { phone: host, watches } = await admin('GET', `devices/${side.udid}/pair`);
      expect(host).toMatchObject({ udid: phone.udid, watches: [watch.udid], ifUnenrolled: ofPhone });
      expect(watches).toMatchObject([
        { udid: watch.udid, phone: phone.udid, ifUnenrolled: ofWatch, ifErased: ofWatch },
      ]);
    }
    expect((await adminReply('GET', 'devices/NOBODY-000000001/pair')).status).toBe(404);
    expect((await adminReply('GET', 'devices/NOBODY-000000001/enrollments')).status).toBe(404);
  });

  it('of which one side was never seen is explained where an administrator looks', async () => {
    const phone = await assignedPhone();
    const standing = () => admin('GET', `watch-enrollment/devices/${phone.udid}`);
    await phone.connect();
    expect(await standing()).toMatchObject({ stage: 'active', note: expect.stringContaining('erase it') });
    const watch = await unpairedWatch(phone);
    await watch.pairWith(phone);
    await settle();
    expect(await standing()).not.toHaveProperty('note');
  });
});

it('enrollments are listed page by page, the newest first', async () => {
  const phone = await enrolledPhone();
  await enrollAgain(phone);
  await enrollAgain(phone);
  const all = await history(phone);
  expect(all.map((one) => one['ended'])).toEqual([null, 'replaced', 'replaced']);
  const paged: unknown[] = [];
  let cursor: unknown = null;
  do {
    const after = cursor === null ? '' : `&cursor=${encodeURIComponent(String(cursor))}`;
    const page = await admin('GET', `devices/${phone.udid}/enrollments?limit=1${after}`);
    paged.push(...(page['items'] as Json[]));
    cursor = page['cursor'];
  } while (cursor !== null);
  expect(paged).toEqual(all);
});
