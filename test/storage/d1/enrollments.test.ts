/** The history of enrollments: told late, twice and out of order, and what ends with each. */
import { env } from 'cloudflare:workers';
import { expect, it } from 'vitest';
import type { DeviceProjection, EnrollmentHistory } from '../../../src/domain/enrollment/outbox.ts';
import type { SerialNumber, Udid } from '../../../src/domain/ids.ts';
import { epochMs } from '../../../src/std/time.ts';
import { Database } from '../../../src/storage/d1/database.ts';
import { recordDeviceMessages } from '../../../src/storage/d1/device-outbox.ts';
import { D1Devices } from '../../../src/storage/d1/devices.ts';
import { D1Enrollments } from '../../../src/storage/d1/enrollments.ts';

const database = new Database(env.DB);
const enrollments = new D1Enrollments(database);
const index = new D1Devices(database);
let made = 0;

type Told = Partial<Omit<DeviceProjection, 'history'>> & { history?: Partial<EnrollmentHistory> | null };

function projection(udid: string, revision: number, { history, ...over }: Told = {}): DeviceProjection {
  const begun = {
    enrollmentId: 'aa',
    startedAtMs: epochMs(100),
    ended: null,
    endedAtMs: null,
    presumedEnd: null,
  };
  return {
    udid: udid as Udid,
    serial: `SERIAL-${udid}` as SerialNumber,
    platform: 'iOS',
    state: 'enrolled',
    productName: null,
    osVersion: null,
    buildVersion: null,
    phoneUdid: null,
    pairingId: null,
    enrolledAtMs: epochMs(110),
    lastSeenMs: epochMs(120),
    revision,
    ...(history === null ? {} : { history: { ...begun, ...history } }),
    ...over,
  };
}

const newUdid = () => `ENROLLMENT-${++made}`;
const tell = (...told: DeviceProjection[]) =>
  recordDeviceMessages(
    database,
    told.map((device) => ({ kind: 'projection', device })),
  );

async function listed(udid: string) {
  const page = await enrollments.list(udid as Udid, { cursor: null, limit: 10 });
  return page.ok ? page.value.items : page.refusal;
}

it('an older word never replaces a newer one', async () => {
  const udid = newUdid();
  const presumedEnd = { why: 'erase-acknowledged', commandUuid: 'C', atMs: epochMs(130) } as never;
  const [older, newer] = [projection(udid, 1), projection(udid, 2, { history: { presumedEnd } })];
  await tell(newer, older, newer);
  expect(await listed(udid)).toMatchObject([
    { enrollmentId: 'aa', presumedEnd: { why: 'erase-acknowledged' } },
  ]);
  await tell(projection(udid, 3));
  expect(await listed(udid)).toMatchObject([{ enrollmentId: 'aa', presumedEnd: null }]);
});

it('what was replaced and what took its place are both there, the newest first', async () => {
  const udid = newUdid();
  const replaced = { ended: 'replaced', endedAtMs: epochMs(200) } as const;
  const next = { enrollmentId: 'bb', startedAtMs: epochMs(200) };
  await tell(projection(udid, 2, { history: replaced }), projection(udid, 3, { history: next }));
  expect(await listed(udid)).toMatchObject([
    { enrollmentId: 'bb', ended: null },
    { enrollmentId: 'aa', ended: 'replaced', endedAtMs: 200 },
  ]);
});

it('a projection from before there was a history is the index’s alone', async () => {
  const udid = newUdid();
  await tell(projection(udid, 1, { history: null }));
  expect(await listed(udid)).toEqual([]);
  expect(await index.find(udid as Udid)).toMatchObject({ udid, presumedGone: null, phoneState: null });
});

it('a watch is judged by the enrollment of its iPhone that it was paired in', async () => {
  const [phone, watch] = [newUdid(), newUdid()];
  const ofWatch = { platform: 'watchOS', phoneUdid: phone, lastSeenMs: epochMs(300) } as const;
  await tell(
    projection(phone, 1),
    projection(watch, 1, { ...ofWatch, history: { startedAtMs: epochMs(150) } }),
  );
  const state = async () => (await index.find(watch as Udid))?.phoneState;
  expect(await state()).toEqual({ state: 'enrolled', sinceMs: null });
  const replaced = { ended: 'replaced', endedAtMs: epochMs(400) } as const;
  const next = { enrollmentId: 'bb', startedAtMs: epochMs(400) };
  await tell(projection(phone, 2, { history: replaced }), projection(phone, 3, { history: next }));
  expect(await state()).toEqual({ state: 'replaced', sinceMs: 400 });
  expect((await index.find(watch as Udid))?.presumedGone).toMatchObject({
    why: 'phone-replaced',
    device: phone,
  });
  const again = { enrollmentId: 'cc', startedAtMs: epochMs(500) };
  await tell(projection(watch, 2, { ...ofWatch, lastSeenMs: epochMs(500), history: again }));
  expect(await state()).toEqual({ state: 'enrolled', sinceMs: null });
});

it('refuses a cursor that it could not have made', async () => {
  for (const cursor of ['', 'x', '1.', '1.xyz', '-1.aa', `1.${'a'.repeat(200)}`]) {
    const page = await enrollments.list(newUdid() as Udid, { cursor, limit: 1 });
    expect(page).toMatchObject({ ok: false, refusal: { kind: 'malformed-cursor' } });
  }
});
