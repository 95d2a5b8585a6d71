/** Links, devices, watch enrollment, pairings and expected devices: shapes, and what each refuses. */
import { env } from 'cloudflare:workers';
import { describe, expect, it } from 'vitest';
import { ANCHOR_CHARS_MAX, ANCHORS_MAX } from '../../../src/domain/admin/anchors.ts';
import type { PairingRecord } from '../../../src/domain/admin/services.ts';
import type { SerialNumber } from '../../../src/domain/ids.ts';
import { utf8 } from '../../../src/std/bytes.ts';
import { addMs } from '../../../src/std/time.ts';
import { caller, device, FakeServices, kindOf, NOW, PHONE, STRANGER, WATCH, watch } from './fake-services.ts';

describe('enrollment links', () => {
  const body = { udid: 'NEW-PHONE-000001', serial: 'NEWPHONE1' };

  it('are made for a named phone, signed and for a day unless asked otherwise', async () => {
    const fakes = new FakeServices();
    const answer = await caller(fakes)('POST', '/enrollment-links', body);
    expect(answer.status).toBe(201);
    expect(answer.body).toEqual({
      url: 'https://mdm.example.com/enroll/link/code1',
      code: 'code1',
      expiresAt: '2026-11-21T12:00:00.000Z',
    });
    expect(fakes.links).toEqual([{ grant: { ...body, platform: 'iOS', signed: true }, ttlSeconds: 86_400 }]);
  });

  it('may be bare and short-lived', async () => {
    const fakes = new FakeServices();
    await caller(fakes)('POST', '/enrollment-links', {
      ...body,
      platform: 'iOS',
      signed: false,
      ttlSeconds: 60,
    });
    expect(fakes.links[0]).toEqual({ grant: { ...body, platform: 'iOS', signed: false }, ttlSeconds: 60 });
  });

  it('are not for watches', async () => {
    const answer = await caller(new FakeServices())('POST', '/enrollment-links', {
      ...body,
      platform: 'watchOS',
    });
    expect([answer.status, kindOf(answer)]).toEqual([422, 'watch-enrolls-by-pairing']);
  });

  it.each([
    [{ udid: undefined }, '/udid'],
    [{ serial: undefined }, '/serial'],
    [{ udid: 'short' }, '/udid'],
    [{ udid: 7 }, '/udid'],
    [{ serial: 'no spaces' }, '/serial'],
    [{ platform: 'tvOS' }, '/platform'],
    [{ platform: null }, '/platform'],
    [{ signed: 'yes' }, '/signed'],
    [{ ttlSeconds: 59 }, '/ttlSeconds'],
    [{ ttlSeconds: 604_801 }, '/ttlSeconds'],
    [{ ttlSeconds: 60.5 }, '/ttlSeconds'],
    [{ ttlSeconds: '60' }, '/ttlSeconds'],
    [{ more: 1 }, '/more'],
  ])('are refused for %j', async (wrong, path) => {
    const answer = await caller(new FakeServices())('POST', '/enrollment-links', { ...body, ...wrong });
    expect([answer.status, kindOf(answer)]).toEqual([400, 'invalid']);
    expect(answer.body.errors.map((error: { path: string }) => error.path)).toEqual([path]);
    expect(answer.body.errors[0].expected).not.toBe('');
  });
});

describe('devices', () => {
  it('are listed and filtered', async () => {
    const call = caller(new FakeServices());
    const udids = async (query: string) =>
      (await call('GET', `/devices${query}`)).body.items.map((item: { udid: string }) => item.udid);
    expect(await udids('')).toEqual([PHONE, WATCH]);
    expect(await udids('?platform=watchOS')).toEqual([WATCH]);
    expect(await udids('?serial=PHONESERIAL1&state=enrolled')).toEqual([PHONE]);
    expect(await udids('?state=checked-out')).toEqual([]);
  });

  it('are filtered by scalar status items, at most four, and by nothing else of the status', async () => {
    const call = caller(new FakeServices());
    const errors = async (query: string) =>
      (await call('GET', `/devices?${query}`)).body.errors?.map((error: { path: string }) => error.path);
    expect(
      await errors('status.passcode.is-compliant=false&status.device.model.family=Watch'),
    ).toBeUndefined();
    for (const name of ['mdm.app', 'mdm.push-magic', 'mdm.push-token', 'never.heard-of', '']) {
      expect(await errors(`status.${name}=x`), name).toEqual([`?status.${name}`]);
    }
    const five = ['string', 'boolean', 'integer', 'real', 'error'].map(
      (type) => `status.test.${type}-value=1`,
    );
    expect(await errors(five.slice(1).join('&'))).toBeUndefined();
    expect(await errors(five.join('&'))).toEqual(['?']);
    expect(await errors(`status.device.model.family=${'x'.repeat(65)}`)).toEqual([
      '?status.device.model.family',
    ]);
  });

  it('tell an iPhone with its watches', async () => {
    expect((await caller(new FakeServices())('GET', `/devices/${PHONE}`)).body).toEqual({
      udid: PHONE,
      serial: 'PHONESERIAL1',
      platform: 'iOS',
      state: 'enrolled',
      name: null,
      model: null,
      productName: 'iPhone17,1',
      osVersion: '27.0',
      buildVersion: '24A1',
      enrolledAt: '2026-11-20T12:00:00.000Z',
      lastSeenAt: '2026-11-20T12:00:00.000Z',
      watches: [WATCH],
      presumedGone: null,
      otherUdids: [],
    });
  });

  it('tell a watch with its iPhone and the pairing that brought it', async () => {
    const fakes = new FakeServices();
    fakes.devices = [watch({ state: 'authenticated', enrolledAtMs: null, buildVersion: null })];
    const { body } = await caller(fakes)('GET', `/devices/${WATCH}`);
    expect(body).toMatchObject({
      phone: PHONE,
      pairingId: 'pairing-1',
      enrolledAt: null,
      buildVersion: null,
    });
    expect(body).not.toHaveProperty('watches');
  });

  it('that never enrolled are unknown', async () => {
    for (const path of ['', '/status', '/status/reports']) {
      const answer = await caller(new FakeServices())('GET', `/devices/${STRANGER}${path}`);
      expect([answer.status, kindOf(answer)]).toEqual([404, 'unknown-device']);
    }
  });

  it('tell their status: each item with its value, its time, and the error that came instead', async () => {
    const fakes = new FakeServices();
    fakes.statusItems = [
      { name: 'a.null', value: 'null', atMs: NOW, error: null },
      { name: 'b', value: null, atMs: null, error: { reasons: '[{"code":"Error.X"}]', atMs: NOW } },
    ];
    expect((await caller(fakes)('GET', `/devices/${PHONE}/status`)).body).toEqual({
      items: [
        { name: 'a.null', value: null, at: '2026-11-20T12:00:00.000Z', error: null },
        {
          name: 'b',
          at: null,
          error: { at: '2026-11-20T12:00:00.000Z', reasons: [{ code: 'Error.X' }] },
        },
      ],
    });
  });

  it('tell their last reports, of a large one only its size', async () => {
    const fakes = new FakeServices();
    fakes.statusReports = [
      { atMs: NOW, full: true, bytes: 100_000, raw: null },
      { atMs: NOW, full: false, bytes: 10, raw: utf8('{"a":1e3}') },
    ];
    expect((await caller(fakes)('GET', `/devices/${PHONE}/status/reports`)).body).toEqual({
      items: [
        { at: '2026-11-20T12:00:00.000Z', full: true, bytes: 100_000, report: null },
        { at: '2026-11-20T12:00:00.000Z', full: false, bytes: 10, report: { a: 1000 } },
      ],
    });
  });
});

describe('watch enrollment', () => {
  const anchor = env.CA_CERTIFICATE;
  const path = `/watch-enrollment/devices/${PHONE}`;

  it('is assigned, told and taken back', async () => {
    const fakes = new FakeServices();
    const call = caller(fakes);
    const assigned = await call('PUT', path, { anchors: [] });
    expect([assigned.status, assigned.body]).toEqual([
      200,
      {
        device: PHONE,
        assigned: true,
        group: null,
        stage: 'assigned',
        assignedAt: '2026-11-20T12:00:00.000Z',
        anchors: [],
        delivered: false,
        active: null,
        valid: null,
        reasons: [],
        pairings: 0,
      },
    ]);
    expect((await call('GET', path)).body.assigned).toBe(true);
    for (let times = 0; times < 2; times++) {
      const taken = await call('DELETE', path);
      expect([taken.status, taken.body.assigned, taken.body.assignedAt]).toEqual([200, false, null]);
    }
  });

  it('takes anchors in PEM, with text around them, and hands on their DER', async () => {
    const fakes = new FakeServices();
    const answer = await caller(fakes)('PUT', path, { anchors: [`subject=CN = a CA\n${anchor}\n`] });
    expect(answer.status).toBe(200);
    expect(fakes.assigned.get(PHONE)?.map((der) => der[0])).toEqual([0x30]);
  });

  it('says what holds an iPhone back', async () => {
    const fakes = new FakeServices();
    fakes.devices = [device({ state: 'authenticated' })];
    expect((await caller(fakes)('PUT', path, { anchors: [] })).body.blockedBy).toEqual({
      reason: 'not-enrolled',
      detail: null,
    });
  });

  it.each(['GET', 'PUT', 'DELETE'])('cannot be asked of a watch or a stranger by %s', async (method) => {
    const call = caller(new FakeServices());
    const body = method === 'PUT' ? { anchors: [] } : undefined;
    const onWatch = await call(method, `/watch-enrollment/devices/${WATCH}`, body);
    expect([onWatch.status, kindOf(onWatch)]).toEqual([409, 'not-a-phone']);
    const onStranger = await call(method, `/watch-enrollment/devices/${STRANGER}`, body);
    expect([onStranger.status, kindOf(onStranger)]).toEqual([404, 'unknown-device']);
  });

  it.each([
    ['no PEM', ['text'], 'malformed-anchor', '/anchors/0'],
    ['two certificates in one', [anchor, `${anchor}\n${anchor}`], 'malformed-anchor', '/anchors/1'],
    ['another label', [anchor.replaceAll('CERTIFICATE', 'PUBLIC KEY')], 'malformed-anchor', '/anchors/0'],
    ['bytes that are no certificate', [pem('MAMCAQE=')], 'malformed-anchor', '/anchors/0'],
    ['one twice', [anchor, anchor], 'duplicate-anchor', '/anchors/1'],
  ])('refuses anchors that hold %s', async (_, anchors, kind, at) => {
    const fakes = new FakeServices();
    const answer = await caller(fakes)('PUT', path, { anchors });
    expect([answer.status, kindOf(answer), answer.body.errors[0].path]).toEqual([422, kind, at]);
    expect(fakes.assigned.size).toBe(0);
  });

  it.each([
    [{}, '/anchors'],
    [{ anchors: 'text' }, '/anchors'],
    [{ anchors: [1] }, '/anchors/0'],
    [{ anchors: Array.from({ length: ANCHORS_MAX + 1 }, () => '') }, '/anchors'],
    [{ anchors: ['x'.repeat(ANCHOR_CHARS_MAX + 1)] }, '/anchors/0'],
    [{ anchors: [], pin: true }, '/pin'],
  ])('refuses a body that is not of its form (%#)', async (body, at) => {
    const answer = await caller(new FakeServices())('PUT', path, body);
    expect([answer.status, answer.body.errors[0].path]).toEqual([400, at]);
  });
});

function pem(base64: string): string {
  return `-----BEGIN CERTIFICATE-----\n${base64}\n-----END CERTIFICATE-----\n`;
}

describe('pairings', () => {
  const pairing: PairingRecord = {
    pairingId: 'pairing-1',
    watch: WATCH,
    serial: 'WATCHSERIAL1' as SerialNumber,
    phone: null,
    state: 'refused',
    reason: 'token-expired',
    startedAtMs: NOW,
    updatedAtMs: addMs(NOW, 1500),
    timeline: [
      { atMs: NOW, step: 'challenged', outcome: 'ok', reason: null, detail: 'CN only' },
      { atMs: addMs(NOW, 1500), step: 'redeemed', outcome: 'refused', reason: 'token-expired', repeats: 2 },
    ],
  };
  const fakes = new FakeServices();
  fakes.pairings = [
    pairing,
    { ...pairing, pairingId: 'pairing-2', watch: 'WATCH-0000000002' as typeof WATCH },
  ];
  const call = caller(fakes);
  const view = {
    pairingId: 'pairing-1',
    watch: WATCH,
    serial: 'WATCHSERIAL1',
    phone: null,
    state: 'refused',
    reason: 'token-expired',
    startedAt: '2026-11-20T12:00:00.000Z',
    updatedAt: '2026-11-20T12:00:01.500Z',
    timeline: [
      { at: '2026-11-20T12:00:00.000Z', step: 'challenged', outcome: 'ok', detail: 'CN only' },
      {
        at: '2026-11-20T12:00:01.500Z',
        step: 'redeemed',
        outcome: 'refused',
        reason: 'token-expired',
        repeats: 2,
      },
    ],
  };

  it('are listed with their timelines, all or of one watch', async () => {
    expect((await call('GET', `/pairings?watch=${WATCH}`)).body).toEqual({ items: [view], cursor: null });
    expect((await call('GET', '/pairings')).body.items).toHaveLength(2);
    expect((await call('GET', `/pairings?watch=${STRANGER}`)).body.items).toEqual([]);
  });

  it('keep the filter in their cursor', async () => {
    const { cursor } = (await call('GET', '/pairings?limit=1')).body;
    expect((await call('GET', `/pairings?limit=1&cursor=${cursor}`)).body.items[0].pairingId).toBe(
      'pairing-2',
    );
    expect(kindOf(await call('GET', `/pairings?watch=${WATCH}&cursor=${cursor}`))).toBe('malformed-cursor');
  });

  it('are found by their identifier', async () => {
    expect((await call('GET', '/pairings/pairing-1')).body).toEqual(view);
    for (const id of ['pairing-9', 'x'.repeat(129), 'a%20b']) {
      const answer = await call('GET', `/pairings/${id}`);
      expect([answer.status, kindOf(answer)]).toEqual([404, 'unknown-pairing']);
    }
  });

  it('are not listed for a malformed watch', async () => {
    expect(kindOf(await call('GET', '/pairings?watch=short'))).toBe('invalid');
  });
});

describe('expected devices', () => {
  it('are added once or renewed, listed, and removed', async () => {
    const fakes = new FakeServices();
    const call = caller(fakes);
    const post = (serials: string[]) => call('POST', '/expected-devices', { serials, platform: 'iOS' });
    expect((await post(['SERIAL1', 'SERIAL2', 'SERIAL1'])).body).toEqual({ added: 2, renewed: 0 });
    expect((await post(['SERIAL2', 'SERIAL3'])).body).toEqual({ added: 1, renewed: 1 });
    const list = await call('GET', '/expected-devices?limit=2');
    expect(list.body.items[0]).toEqual({
      serial: 'SERIAL1',
      platform: 'iOS',
      addedAt: '2026-11-20T12:00:00.000Z',
      udid: null,
    });
    fakes.expected = fakes.expected.map((known) => ({ ...known, udid: PHONE }));
    expect((await call('GET', '/expected-devices?limit=1')).body.items[0]).toMatchObject({ udid: PHONE });
    const rest = await call('GET', `/expected-devices?limit=2&cursor=${list.body.cursor}`);
    expect(rest.body.items.map((item: { serial: string }) => item.serial)).toEqual(['SERIAL3']);
    expect((await call('DELETE', '/expected-devices/SERIAL1')).status).toBe(204);
    const again = await call('DELETE', '/expected-devices/SERIAL1');
    expect([again.status, kindOf(again)]).toEqual([404, 'serial-not-listed']);
    expect(kindOf(await call('DELETE', '/expected-devices/!!'))).toBe('malformed-identifier');
  });

  it('may be five hundred in one call, and no more', async () => {
    const call = caller(new FakeServices());
    const serials = Array.from({ length: 501 }, (_, index) => `SERIAL${index}`);
    const post = (count: number) =>
      call('POST', '/expected-devices', { serials: serials.slice(0, count), platform: 'iOS' });
    expect((await post(500)).body.added).toBe(500);
    expect((await post(501)).body.errors[0].path).toBe('/serials');
    expect((await post(0)).body.errors[0].path).toBe('/serials');
  });

  it.each([
    [{ platform: 'iOS' }, '/serials'],
    [{ serials: ['SERIAL1'] }, '/platform'],
    [{ serials: ['SERIAL1'], platform: 'watchOS' }, '/platform'],
    [{ serials: ['SERIAL1', 'x y'], platform: 'iOS' }, '/serials/1'],
    [{ serials: [null], platform: 'iOS' }, '/serials/0'],
  ])('refuse %j', async (body, at) => {
    const answer = await caller(new FakeServices())('POST', '/expected-devices', body);
    expect([answer.status, answer.body.errors[0].path]).toEqual([400, at]);
  });
});
