/** Inventories, pairs and enrollments: their shapes, and what is refused. */
import { describe, expect, it } from 'vitest';
import type { EnrollmentRecord } from '../../../src/domain/admin/pair-services.ts';
import type { CommandUuid, SerialNumber, Udid } from '../../../src/domain/ids.ts';
import type { InventoryRecord } from '../../../src/domain/inventory/ports.ts';
import { REFRESHED_SECTIONS } from '../../../src/domain/inventory/refresh.ts';
import { addMs } from '../../../src/std/time.ts';
import { caller, device, FakeServices, kindOf, NOW, PHONE, STRANGER, WATCH, watch } from './fake-services.ts';

const AT = '2026-11-20T12:00:00.000Z';
const COMMAND = 'COMMAND-1' as CommandUuid;

const security: InventoryRecord = {
  section: 'security',
  answeredAtMs: NOW,
  commandUuid: COMMAND,
  completeAtMs: NOW,
  items: [
    { key: 'PasscodePresent', value: true, atMs: NOW },
    { key: '__proto__', value: { a: [1] }, atMs: addMs(NOW, -1000) },
  ],
  tooLarge: null,
};

describe('an inventory', () => {
  it('is shown by section, each item with its time', async () => {
    const fakes = new FakeServices();
    fakes.inventory = [security];
    const { body } = await caller(fakes)('GET', `/devices/${WATCH}/inventory`);
    const shown = {
      section: 'security',
      asOf: AT,
      completeAsOf: AT,
      commandUuid: COMMAND,
      items: JSON.parse(`{"PasscodePresent":{"value":true,"asOf":"${AT}"},
        "__proto__":{"value":{"a":[1]},"asOf":"2026-11-20T11:59:59.000Z"}}`),
      tooLarge: null,
    };
    expect(body).toEqual({ sections: { security: shown } });
    expect((await caller(fakes)('GET', `/devices/${WATCH}/inventory/security`)).body).toEqual(shown);
  });

  it('says what was too large, beside what it has and without anything', async () => {
    const fakes = new FakeServices();
    const tooLarge = { commandUuid: 'COMMAND-2' as CommandUuid, atMs: NOW };
    fakes.inventory = [{ ...security, tooLarge }];
    const get = async () => (await caller(fakes)('GET', `/devices/${WATCH}/inventory/security`)).body;
    const named = { tooLarge: { commandUuid: 'COMMAND-2', at: AT } };
    expect(await get()).toMatchObject({ asOf: AT, commandUuid: COMMAND, ...named });
    fakes.inventory = [{ ...security, commandUuid: tooLarge.commandUuid, items: [], tooLarge }];
    expect(await get()).toMatchObject({ asOf: null, commandUuid: null, items: {}, ...named });
  });

  it('that was never answered is empty', async () => {
    const fakes = new FakeServices();
    expect((await caller(fakes)('GET', `/devices/${WATCH}/inventory`)).body).toEqual({ sections: {} });
    expect((await caller(fakes)('GET', `/devices/${WATCH}/inventory/device`)).body).toEqual({
      section: 'device',
      asOf: null,
      completeAsOf: null,
      commandUuid: null,
      items: {},
      tooLarge: null,
    });
  });

  it('is refreshed as a whole or by section', async () => {
    const fakes = new FakeServices();
    const whole = await caller(fakes)('POST', `/devices/${WATCH}/inventory/refresh`);
    expect([whole.status, whole.body]).toEqual([202, { queued: [], pending: [], recent: [], refused: [] }]);
    await caller(fakes)('POST', `/devices/${WATCH}/inventory/refresh?section=security`);
    expect(fakes.refreshed).toEqual([REFRESHED_SECTIONS, ['security']]);
    for (const wrong of ['section=never', 'section=', 'section=application-attributes', 'more=1']) {
      const answer = await caller(fakes)('POST', `/devices/${WATCH}/inventory/refresh?${wrong}`);
      expect([answer.status, kindOf(answer)], wrong).toEqual([400, 'invalid']);
    }
    expect(fakes.refreshed.length).toBe(2);
  });

  it.each([
    ['GET', 'inventory'],
    ['GET', 'inventory/device'],
    ['POST', 'inventory/refresh'],
    ['GET', 'pair'],
    ['GET', 'enrollments'],
  ])('%s %s is refused for a stranger and for what is no UDID', async (method, path) => {
    const call = caller(new FakeServices());
    const stranger = await call(method, `/devices/${STRANGER}/${path}`);
    expect([stranger.status, kindOf(stranger)]).toEqual([404, 'unknown-device']);
    const malformed = await call(method, `/devices/x/${path}`);
    expect([malformed.status, kindOf(malformed)]).toEqual([400, 'malformed-identifier']);
  });

  it('has no other sections', async () => {
    const answer = await caller(new FakeServices())('GET', `/devices/${WATCH}/inventory/refresh`);
    expect([answer.status, kindOf(answer)]).toEqual([404, 'no-such-resource']);
    expect(answer.body.detail).toMatch(/^There are device, .*restrictions/);
  });
});

describe('a device that is expected to be gone', () => {
  it('says why, since when, and what follows', async () => {
    const fakes = new FakeServices();
    const gone = { why: 'phone-erase-acknowledged', device: PHONE, commandUuid: COMMAND, atMs: NOW } as const;
    fakes.devices = [
      device({ presumedGone: { ...gone, why: 'erase-acknowledged' } }),
      watch({
        phoneState: { state: 'presumed-ended', sinceMs: NOW },
        presumedGone: gone,
        otherUdids: ['OTHER-0001' as Udid],
      }),
    ];
    const { body } = await caller(fakes)('GET', `/devices/${WATCH}`);
    expect(body).toMatchObject({
      state: 'enrolled',
      phoneState: { state: 'presumed-ended', since: AT },
      otherUdids: ['OTHER-0001'],
    });
    expect(body.presumedGone).toEqual({
      since: AT,
      why: 'phone-erase-acknowledged',
      device: PHONE,
      commandUuid: COMMAND,
      note: expect.stringContaining('unenrolled, unpaired and erased'),
    });
    const phone = (await caller(fakes)('GET', `/devices/${PHONE}`)).body;
    expect(phone.presumedGone).toMatchObject({ why: 'erase-acknowledged' });
    expect(phone).not.toHaveProperty('phoneState');
  });
});

describe('enrollments', () => {
  const record: EnrollmentRecord = {
    enrollmentId: 'e1',
    serial: 'WATCHSERIAL1' as SerialNumber,
    platform: 'watchOS',
    phone: PHONE,
    pairingId: 'pairing-1',
    startedAtMs: NOW,
    enrolledAtMs: null,
    ended: 'replaced',
    endedAtMs: NOW,
    presumedEnd: { why: 'removal-acknowledged', commandUuid: COMMAND, atMs: NOW },
  };

  it('are listed with how each ended', async () => {
    const fakes = new FakeServices();
    fakes.enrollments = [
      record,
      { ...record, platform: 'iOS', ended: null, endedAtMs: null, presumedEnd: null },
    ];
    const { body } = await caller(fakes)('GET', `/devices/${WATCH}/enrollments`);
    const shown = {
      enrollmentId: 'e1',
      serial: 'WATCHSERIAL1',
      startedAt: AT,
      enrolledAt: null,
      endedAt: AT,
      ended: 'replaced',
      presumedEnd: { at: AT, why: 'removal-acknowledged', commandUuid: COMMAND },
    };
    expect(body).toEqual({
      items: [
        { ...shown, phone: PHONE, pairingId: 'pairing-1' },
        { ...shown, endedAt: null, ended: null, presumedEnd: null },
      ],
      cursor: null,
    });
  });

  it('keep to their device in a cursor', async () => {
    const fakes = new FakeServices();
    fakes.enrollments = [record, record];
    const { cursor } = (await caller(fakes)('GET', `/devices/${WATCH}/enrollments?limit=1`)).body;
    const after = encodeURIComponent(String(cursor));
    const next = await caller(fakes)('GET', `/devices/${WATCH}/enrollments?limit=1&cursor=${after}`);
    expect(next.body).toMatchObject({ items: [{ enrollmentId: 'e1' }], cursor: null });
    const other = await caller(fakes)('GET', `/devices/${PHONE}/enrollments?cursor=${after}`);
    expect(kindOf(other)).toBe('malformed-cursor');
  });
});

it('a pair whose iPhone is not known shows the watch alone', async () => {
  const fakes = new FakeServices();
  fakes.devices = [watch()];
  const { body } = await caller(fakes)('GET', `/devices/${WATCH}/pair`);
  expect(body).toMatchObject({ phone: null, watches: [{ udid: WATCH, lastPairing: null }] });
});
