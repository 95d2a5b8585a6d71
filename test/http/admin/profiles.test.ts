/** Versions of stored profiles, and orders of them to devices, in the whole Worker: what is answered and refused. */
import { env } from 'cloudflare:workers';
import { beforeAll, describe, expect, it } from 'vitest';
import { enrolledDevice, type TestDevice } from '../../support/device.ts';
import {
  CREATE,
  call,
  type Document,
  declaration,
  fresh,
  mobileConfig,
  payload,
  profile,
  putProfile,
  REPLACE,
  text,
  WIFI,
} from '../../support/uploads.ts';

let phone: TestDevice;
let watch: TestDevice;
beforeAll(async () => {
  phone = await enrolledDevice({ platform: 'iOS' });
  watch = await enrolledDevice({ platform: 'watchOS' });
});

const FALSE = '<false/>';
const UNPAIRS = payload('com.apple.applicationaccess', { allowPairedWatch: FALSE });

/** A profile of its own PayloadIdentifier, stored under `id`. */
function xmlOf(id: string, number = 1, payloads: readonly Record<string, string>[] = [WIFI]): string {
  const more = { PayloadIdentifier: text(`${id}.profile`), PayloadDisplayName: text(`Wi-Fi ${number}`) };
  return mobileConfig(payloads, more);
}

async function stored(
  name: string,
  payloads?: readonly Record<string, string>[],
  query?: string,
): Promise<string> {
  const id = fresh(name);
  const put = await putProfile(id, xmlOf(id, 1, payloads), CREATE, query);
  if (put.status !== 201) throw new Error(put.text);
  return id;
}

const place = ({ udid }: { udid: string }, id: string) =>
  `/devices/${udid}/profiles/${encodeURIComponent(id)}`;
const install = (device: TestDevice, id: string, body: Document = {}) =>
  call('PUT', place(device, id), { push: false, ...body });

describe('versions of a profile', () => {
  it('have their number, token, size, fingerprint and who stored them, newest first', async () => {
    const id = fresh('versions');
    const [one, two] = [xmlOf(id, 1), xmlOf(id, 2)];
    const first = await putProfile(id, one);
    const second = await putProfile(id, two, { 'If-Match': first.etag });
    const back = await putProfile(id, one, { 'If-Match': second.etag });
    const { body } = await call('GET', `${profile(id)}/versions`);
    expect(body.items.map((item: Document) => [item.version, item.displayName, item.size])).toEqual([
      [3, 'Wi-Fi 1', one.length],
      [2, 'Wi-Fi 2', two.length],
      [1, 'Wi-Fi 1', one.length],
    ]);
    expect(body.items.map((item: Document) => item.serverToken)).toEqual(
      [back, second, first].map(({ body: put }) => put.serverToken),
    );
    const [third, middle, oldest] = body.items.map((item: Document) => item.fingerprint);
    expect([third, third === middle]).toEqual([oldest, false]);
    expect(third).toMatch(/^[0-9a-f]{64}$/);
    expect(body.items[0]).toMatchObject({
      author: expect.any(String),
      storedAt: expect.stringMatching(/Z$/),
    });
    expect((await call('GET', `${profile(id)}/versions/2`)).body).toEqual(body.items[1]);
    expect((await call('GET', `${profile(id)}/versions/2/content`)).text).toBe(two);
    expect((await call('GET', `${profile(id)}/content`)).text).toBe(one);
  });

  it('have fingerprints that no digest of the content is, and no other profile has', async () => {
    const [a, b] = [fresh('a'), fresh('b')];
    const xml = xmlOf(a);
    for (const id of [a, b]) expect((await putProfile(id, xml)).status).toBe(201);
    const prints = await Promise.all(
      [a, b].map(async (id) => (await call('GET', `${profile(id)}/versions/1`)).body.fingerprint),
    );
    const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(xml)));
    expect(new Set([...prints, digest.toHex()]).size).toBe(3);
  });

  it('are restored as a new version, under a precondition', async () => {
    const id = await stored('restored');
    const second = await putProfile(id, xmlOf(id, 2), REPLACE);
    const path = `${profile(id)}/versions/1/restore`;
    expect((await call('POST', path)).kind).toBe('precondition-required');
    expect((await call('POST', path, undefined, { 'If-Match': '"x"' })).kind).toBe('precondition-failed');
    const restored = await call('POST', path, undefined, { 'If-Match': second.etag });
    expect([restored.status, restored.body.version, restored.body.displayName]).toEqual([200, 3, 'Wi-Fi 1']);
    expect(restored.etag).not.toBe(second.etag);
    expect((await call('GET', `${profile(id)}/content`)).text).toBe(xmlOf(id, 1));
    const again = await call('POST', `${profile(id)}/versions/3/restore`, undefined, {
      'If-Match': restored.etag,
    });
    expect([again.status, again.body.version, again.etag]).toEqual([200, 3, restored.etag]);
  });

  it.each([
    ['/versions/9', 404, 'unknown-version'],
    ['/versions/9/content', 404, 'unknown-version'],
    ['/versions/0', 400, 'malformed-identifier'],
    ['/versions/1e3/content', 400, 'malformed-identifier'],
  ])('%s is answered %i', async (path, status, kind) => {
    const id = await stored('unknown');
    const answer = await call('GET', `${profile(id)}${path}`);
    expect([answer.status, answer.kind]).toEqual([status, kind]);
    expect((await call('GET', `${profile(fresh('none'))}/versions`)).kind).toBe('unknown-upload');
  });

  it('are not made by a touch, nor by what is stored already, and are by another way of delivery', async () => {
    const id = await stored('same');
    await call('POST', `/declarations/${encodeURIComponent(id)}/touch`);
    const same = await putProfile(id, xmlOf(id), CREATE);
    expect([same.status, same.body.version]).toEqual([200, 1]);
    const plain = await putProfile(id, xmlOf(id), REPLACE, '?sign=false');
    expect([plain.body.version, plain.body.signedOnDelivery]).toEqual([2, false]);
    expect(plain.etag).not.toBe(same.etag);
  });

  it('hold nothing of the content in D1', async () => {
    const secret = 'wifi-password-of-versions';
    const id = fresh('secret');
    for (const n of [1, 2]) {
      const payloads = [{ ...WIFI, Password: text(`${secret}-${n}`) }];
      expect((await putProfile(id, xmlOf(id, n, payloads), n === 1 ? CREATE : REPLACE)).status).toBeLessThan(
        300,
      );
    }
    const { results } = await env.DB.prepare('SELECT * FROM profile_versions WHERE identifier = ?')
      .bind(id)
      .all();
    expect(results).toHaveLength(1);
    const text1 = JSON.stringify(
      results.map((row) => ({ ...row, sealed: String.fromCharCode(...(row['sealed'] as number[])) })),
    );
    expect(text1).not.toContain(secret);
  });
});

describe('a profile that unpairs watches', () => {
  it('is stored, and restored, for whoever says so: a set gives it out without asking again', async () => {
    const id = fresh('ban');
    const refused = await putProfile(id, xmlOf(id, 1, [UNPAIRS]));
    expect([refused.status, refused.kind]).toEqual([422, 'unpairs-watches']);
    expect((await call('GET', declaration(id))).status).toBe(404);
    const said = '?unpairsWatches=true';
    const taken = await putProfile(id, xmlOf(id, 1, [UNPAIRS]), CREATE, said);
    expect([taken.status, taken.body.warnings]).toMatchObject([201, [{ rule: 'unpairs-watches' }]]);
    await putProfile(id, xmlOf(id, 2), REPLACE);
    expect((await putProfile(id, xmlOf(id, 1, [UNPAIRS]), REPLACE)).kind).toBe('unpairs-watches');
    const restore = (query = '') =>
      call('POST', `${profile(id)}/versions/1/restore${query}`, undefined, REPLACE);
    expect((await restore()).kind).toBe('unpairs-watches');
    const restored = await restore(said);
    expect([restored.status, restored.body.version, restored.body.warnings, restored.body.platforms]).toEqual(
      [200, 3, taken.body.warnings, taken.body.platforms],
    );
  });
});

describe('a binary property list', () => {
  /** `bplist00` of {"PayloadType": "Configuration", …} as Python's plistlib writes it. */
  const binary = Uint8Array.fromBase64(
    'YnBsaXN0MDDVAQIDBAUGBwgJCltQYXlsb2FkVHlwZV5QYXlsb2FkVmVyc2lvbl8QEVBheWxvYWRJZGVudGlmaWVyW1BheWxvYWRVVUlEXlBheWxvYWRDb250ZW50XUNvbmZpZ3VyYXRpb24QAV8QEmNvbS5leGFtcGxlLmJpbmFyeV8QJDVEOUQwRjZBLTJDMkItNEQ2RS04QzFBLTAwMDAwMDAwMDAwMKAIEx8uQk5da22CqQAAAAAAAAEBAAAAAAAAAAsAAAAAAAAAAAAAAAAAAACq',
  );

  it('is taken, kept as it came, and judged like any', async () => {
    const id = fresh('binary');
    const put = await putProfile(id, binary);
    expect([put.status, put.body.payloadIdentifier, put.body.size]).toEqual([
      201,
      'com.example.binary',
      binary.length,
    ]);
    const cut = await putProfile(fresh('binary'), binary.subarray(0, binary.length - 1));
    expect(cut.kind).toBe('malformed-profile');
  });
});

describe('an order for a device', () => {
  it('is refused when its platform cannot have the profile, and says what it passes over', async () => {
    const mail = payload('com.apple.mail.managed', { PayloadIdentifier: text('m'), PayloadUUID: text('m') });
    const id = fresh('mail');
    expect((await putProfile(id, xmlOf(id, 1, [WIFI, mail]), CREATE, '?allowUnknown=true')).kind).toBe(
      'invalid-content',
    );
    const apn = payload('com.apple.proxy.http.global', {
      ProxyType: text('Auto'),
      PayloadIdentifier: text('m'),
      PayloadUUID: text('m'),
    });
    const phoneOnly = await stored('proxy', [WIFI, apn]);
    const refused = await install(watch, phoneOnly);
    expect([refused.status, refused.kind, refused.body.problems[0]]).toEqual([
      422,
      'profile-unfit',
      { path: 'PayloadContent[1].PayloadType', rule: 'platform', expected: 'not watchOS' },
    ]);
    expect((await call('GET', profile(phoneOnly))).body.platforms).toMatchObject({
      iOS: { ok: true },
      watchOS: { ok: false },
    });
    const restricted = await stored('camera', [
      payload('com.apple.applicationaccess', { allowCamera: FALSE }),
    ]);
    const taken = await install(watch, restricted);
    expect([taken.status, taken.body.passedOver.map((one: Document) => one.path)]).toEqual([
      201,
      ['PayloadContent[0].allowCamera'],
    ]);
    expect((await install(phone, restricted)).body.passedOver).toBeUndefined();
  });

  it('that would unpair a watch needs the serial number of the iPhone', async () => {
    const id = await stored('unpairs', [UNPAIRS], '?unpairsWatches=true');
    expect((await call('GET', profile(id))).body.warnings).toMatchObject([{ rule: 'unpairs-watches' }]);
    const refused = await install(phone, id);
    expect([refused.status, refused.kind, refused.body.causes]).toEqual([
      422,
      'confirmation-needed',
      [{ device: phone.udid, effects: ['unpair'] }],
    ]);
    expect(
      (await call('GET', `/devices/${phone.udid}/profiles`)).body.items.map(
        (one: Document) => one.identifier,
      ),
    ).not.toContain(id);
    const confirmed = await install(phone, id, { confirm: { serial: 'SERIAL0001' } });
    expect([confirmed.status, confirmed.body.causes]).toEqual([201, refused.body.causes]);
  });

  it('of an Always-On VPN is warned of on an iPhone, as its command is', async () => {
    const vpn = payload('com.apple.vpn.managed', {
      VPNType: text('AlwaysOn'),
      UserDefinedName: text('VPN'),
      AlwaysOn: '<dict><key>TunnelConfigurations</key><array/></dict>',
    });
    const id = await stored('always', [vpn]);
    const ordered = await install(phone, id);
    expect([ordered.status, ordered.body.warnings]).toMatchObject([201, [{ kind: 'always-on-vpn' }]]);
  });

  it.each([
    ['an unknown device', () => call('PUT', '/devices/NO-SUCH-DEVICE/profiles/x', {}), 404],
    ['an unknown profile', () => install(watch, 'no-such-profile'), 404],
    ['a malformed UDID', () => call('PUT', '/devices/x/profiles/y', {}), 400],
    ['a version that is none', () => install(watch, 'x', { version: 0 }), 400],
    ['an expiry that is past', () => install(watch, 'x', { expiresAt: '2001-01-01T00:00:00Z' }), 400],
    ['no body', () => call('PUT', place(watch, 'x')), 400],
    ['a member that is none', () => install(watch, 'x', { via: 'declaration' }), 400],
  ])('of %s is refused', async (_what, order, status) => {
    expect((await order()).status).toBe(status);
  });

  it('of an older version is one of that version, and of one that is not kept none', async () => {
    const id = await stored('older');
    await putProfile(id, xmlOf(id, 2), REPLACE);
    expect((await install(watch, id, { version: 7 })).kind).toBe('unknown-version');
    expect((await install(watch, id, { version: 1 })).body).toMatchObject({ version: 1, state: 'ordered' });
    // Another version takes its place before the device has seen it.
    const next = await install(watch, id);
    expect([next.status, next.body.version]).toEqual([201, 2]);
    const { items } = (await call('GET', `/devices/${watch.udid}/commands`)).body;
    const waiting = items.filter(
      (one: Document) => one.state === 'pending' && one.requestType === 'InstallProfile',
    );
    expect(waiting.map((one: Document) => one.commandUuid)).toContain(next.body.commandUuid);
  });

  it('under a PayloadIdentifier that another stored profile has there is refused', async () => {
    const id = await stored('holder');
    const other = fresh('other');
    await putProfile(other, xmlOf(id, 2));
    expect((await install(watch, id)).status).toBe(201);
    const refused = await install(watch, other);
    expect([refused.status, refused.kind]).toEqual([409, 'payload-identifier-taken']);
    expect(refused.body.detail).toContain(id);
  });

  it('whose command cannot be queued leaves no record, and one that was lost is queued by its repetition', async () => {
    const id = await stored('outage');
    await env.DB.prepare(
      "CREATE TRIGGER no_commands BEFORE INSERT ON commands BEGIN SELECT RAISE(ABORT, 'no'); END",
    ).run();
    expect((await install(watch, id)).kind).toBe('unavailable');
    await env.DB.prepare('DROP TRIGGER no_commands').run();
    const [item] = (await call('GET', `/devices/${watch.udid}/profiles`)).body.items.filter(
      (one: Document) => one.identifier === id,
    );
    expect(item).toMatchObject({ state: 'ordered' });
    const path = `/devices/${watch.udid}/commands/${item.commandUuid}`;
    expect((await call('GET', path)).kind).toBe('unknown-command');
    const again = await install(watch, id);
    expect([again.status, again.body.commandUuid, again.body.ordered]).toEqual([
      200,
      item.commandUuid,
      false,
    ]);
    expect((await call('GET', path)).body.state).toBe('pending');
  });
});

describe('a removal', () => {
  it('of what the device never had, or that still waits, sends nothing', async () => {
    const id = await stored('never');
    expect(await call('DELETE', place(watch, id))).toMatchObject({
      status: 200,
      body: { state: 'removed', ordered: false },
    });
    const { body } = await install(watch, id);
    const removed = await call('DELETE', place(watch, id));
    expect(removed).toMatchObject({
      status: 200,
      body: { ordered: false, state: 'failed', error: { kind: 'canceled' } },
    });
    expect((await call('GET', `/devices/${watch.udid}/commands/${body.commandUuid}`)).body.state).toBe(
      'canceled',
    );
    expect((await call('DELETE', '/devices/NO-SUCH-DEVICE/profiles/x')).kind).toBe('unknown-device');
  });
});

describe('a stored profile that devices are to have', () => {
  it('is not deleted without force, which says what it leaves', async () => {
    const id = await stored('held');
    await install(watch, id);
    await install(phone, id);
    const refused = await call('DELETE', profile(id));
    expect([refused.status, refused.kind, refused.body.devices]).toEqual([409, 'profile-installed', 2]);
    expect((await call('DELETE', `/declarations/${encodeURIComponent(id)}`)).kind).toBe('profile-installed');
    const forced = await call('DELETE', `${profile(id)}?force=true`);
    expect([forced.status, forced.body]).toEqual([200, { left: { devices: 2 } }]);
    expect((await call('GET', `${profile(id)}/devices`)).body).toMatchObject({
      currentVersion: null,
      counts: { ordered: 2 },
    });
    expect((await call('GET', `${profile(fresh('none'))}/devices`)).kind).toBe('unknown-upload');
  });

  it('is counted on, when it is stored anew, from the highest version that they have or are to have', async () => {
    const id = await stored('anew');
    for (const n of [2, 3]) await putProfile(id, xmlOf(id, n), REPLACE);
    await install(watch, id);
    await env.DB.prepare(
      "UPDATE device_profiles SET state = 'failed', version = 1, installed_version = 3 WHERE identifier = ?",
    )
      .bind(id)
      .run();
    await call('DELETE', `${profile(id)}?force=true`);
    expect((await putProfile(id, xmlOf(id, 4))).body.version).toBe(4);
  });

  it('keeps its PayloadIdentifier as long as they have it', async () => {
    const id = await stored('fixed');
    const moved = xmlOf(fresh('moved'));
    await install(watch, id);
    const refused = await putProfile(id, moved, REPLACE);
    expect([refused.status, refused.kind, refused.body.devices]).toEqual([
      409,
      'payload-identifier-fixed',
      1,
    ]);
    await call('DELETE', place(watch, id));
    expect((await putProfile(id, moved, REPLACE)).status).toBe(200);
  });
});

describe('one profile for many devices', () => {
  it('has an outcome for each, named, of a group or of the record, and is ordered once', async () => {
    const id = await stored('many');
    const devices = [phone.udid, watch.udid, 'NO-SUCH-DEVICE'];
    const first = await call('POST', `${profile(id)}/install`, { devices, push: false });
    expect([first.status, first.body.counts]).toEqual([
      200,
      { ordered: 2, unchanged: 0, refused: 1, unavailable: 0 },
    ]);
    const missing = first.body.items.find((one: Document) => one.udid === 'NO-SUCH-DEVICE');
    expect(missing.refusal).toMatchObject({ type: 'urn:escapement:problem:unknown-device', status: 404 });
    const name = fresh('group');
    await call('PUT', `/groups/${name}`);
    await call('POST', `/groups/${name}/devices`, { add: [phone.udid, watch.udid] });
    const page = await call('POST', `${profile(id)}/install`, { group: name, limit: 1, push: false });
    expect([page.body.counts.unchanged, page.body.items.length]).toEqual([1, 1]);
    const rest = await call('POST', `${profile(id)}/install`, {
      group: name,
      cursor: page.body.cursor,
      push: false,
    });
    expect([rest.body.counts.unchanged, rest.body.cursor]).toEqual([1, null]);
    const elsewhere = await call('POST', `${profile(id)}/remove`, { group: name, cursor: page.body.cursor });
    expect(elsewhere.status).toBe(200);
    const record = await call('GET', `${profile(id)}/devices?limit=1`);
    expect([record.body.items.length, typeof record.body.cursor]).toEqual([1, 'string']);
    const removed = await call('POST', `${profile(id)}/remove`, { devices, push: false });
    expect(removed.body.counts).toMatchObject({ ordered: 0, refused: 1 });
    expect((await call('DELETE', profile(id))).status).toBe(204);
  });

  it.each([
    [{}],
    [{ devices: [], push: false }],
    [{ devices: ['UDID-00001'], group: 'x' }],
    [{ devices: ['UDID-00001'], cursor: 'x' }],
    [{ group: 'x', cursor: 'x' }],
    [{ outdated: false }],
    [{ group: 'x', limit: 501 }],
  ])('is refused with the place (%#)', async (body) => {
    const id = await stored('bad');
    expect((await call('POST', `${profile(id)}/install`, body)).status).toBe(400);
  });

  it('is refused whole for an unknown group, profile or version', async () => {
    const id = await stored('whole');
    expect((await call('POST', `${profile(id)}/install`, { group: 'none' })).kind).toBe('unknown-group');
    expect((await call('POST', `${profile(fresh('x'))}/install`, { group: 'none' })).kind).toBe(
      'unknown-upload',
    );
    expect((await call('POST', `${profile(id)}/install`, { group: 'none', version: 3 })).kind).toBe(
      'unknown-version',
    );
  });

  it('of a great size goes to fewer devices in one call', async () => {
    const id = fresh('large');
    const large = mobileConfig([WIFI], {
      PayloadIdentifier: text(id),
      PayloadDescription: text('x'.repeat(1024 * 1024 - 4096)),
    });
    expect((await putProfile(id, large)).status).toBe(201);
    const devices = Array.from({ length: 17 }, (_, n) => `NO-SUCH-DEVICE-${n}`);
    const refused = await call('POST', `${profile(id)}/install`, { devices });
    expect([refused.status, refused.kind, refused.body.detail]).toEqual([
      422,
      'too-many-targets',
      expect.stringMatching(/^At most 1[12] /),
    ]);
    const whole = await install(phone, id);
    expect([whole.status, whole.body.state]).toEqual([201, 'ordered']);
  });
});
