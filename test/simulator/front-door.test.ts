/**
 * The simulated devices at the Worker's own front door, in workerd: every dressing of their messages, every attack,
 * and mischief from many seeds. Nothing here imports the server; it is reached as a device or an administrator.
 */
import { env, exports } from 'cloudflare:workers';
import { Buffer } from 'node:buffer';
import { describe, expect, it } from 'vitest';
import {
  attacks,
  createWorld,
  DeviceKey,
  type DeviceOptions,
  KeyPool,
  ORDINARY_MISCHIEF,
  readEnrollmentProfile,
  ScepClient,
  ScepFailure,
  type ScepOrder,
  SimulatedPhone,
  SimulatedWatch,
  type TraceEvent,
  type World,
  withMischief,
} from './index.ts';

const keys = new KeyPool({ size: 6 });
const url = env.PUBLIC_URL;
const deviceCa = { certificatePem: env.TEST_DEVICE_CA.certificate, keyPem: env.TEST_DEVICE_CA.key };
let seeds = 100;

function newWorld(trace?: TraceEvent[]): World {
  return createWorld({
    baseUrl: url,
    deviceCa,
    keys,
    seed: seeds++,
    send: (request) => exports.default.fetch(request),
    ...(trace === undefined ? {} : { trace: (event) => trace.push(event) }),
  });
}

type Json = Record<string, unknown>;

async function admin(method: string, path: string, body?: Json): Promise<Json> {
  const response = await exports.default.fetch(
    new Request(`${url}/api/v1/${path}`, {
      method,
      headers: { authorization: `Bearer ${env.ADMIN_KEY}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    }),
  );
  const text = await response.text();
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
  return text === '' ? {} : (JSON.parse(text) as Json);
}

async function until(path: string, done: (value: Json) => boolean): Promise<Json> {
  for (let attempt = 0; attempt < 100; attempt++) {
    const value = await admin('GET', path).catch(() => ({}) as Json);
    if (done(value)) return value;
    await new Promise((resolve) => setTimeout(resolve, 30));
  }
  throw new Error(`${path} never got there: ${JSON.stringify(await admin('GET', path))}`);
}

async function enrolledPhone(
  world = newWorld(),
  options: DeviceOptions = {},
  signed = true,
): Promise<SimulatedPhone> {
  const phone = await SimulatedPhone.create(world, options);
  for (let attempt = 1; ; attempt++) {
    const { udid, serial } = phone;
    const link = await admin('POST', 'enrollment-links', {
      udid,
      serial,
      platform: 'iOS',
      signed,
      ttlSeconds: 600,
    });
    try {
      await phone.enrollByLink(String(link['url']));
      return phone;
    } catch (error) {
      // A link or a challenge whose answer was lost is spent; a person would ask for another.
      if (world.mischief === undefined || attempt === 12 || !/link|SCEP FAILURE/.test(String(error)))
        throw error;
    }
  }
}

async function assignedPhone(world = newWorld(), options: DeviceOptions = {}): Promise<SimulatedPhone> {
  const phone = await enrolledPhone(world, options);
  await admin('PUT', `watch-enrollment/devices/${phone.udid}`, { anchors: [] });
  for (let i = 0; i < 20 && phone.watchEnrollmentUrl() === null; i++) {
    const { sync } = await phone.connect();
    if (sync === null) await phone.sync();
  }
  expect(phone.watchEnrollmentUrl()).toBe(`${url}/enroll/watch`);
  return phone;
}

async function unpairedWatch(phone: SimulatedPhone, options: DeviceOptions = {}): Promise<SimulatedWatch> {
  const watch = await SimulatedWatch.create(phone.world, options);
  watch.useEnrollmentUrl(phone.watchEnrollmentUrl() ?? `${url}/enroll/watch`);
  return watch;
}

async function run(watch: SimulatedWatch, command: Json): Promise<Json> {
  const { commandUuid } = await admin('POST', `devices/${watch.udid}/commands`, { command, push: false });
  for (let i = 0; i < 30 && !watch.answered.has(String(commandUuid)); i++) await watch.connect();
  return until(`devices/${watch.udid}/commands/${commandUuid}`, (value) => value['state'] === 'acknowledged');
}

describe('a watch at the front door', () => {
  it('pairs, answers commands and belongs to its phone', async () => {
    const phone = await assignedPhone();
    const watch = await unpairedWatch(phone);
    expect(await watch.pairWith(phone)).toEqual({ kind: 'enrolled', challenges: 1 });
    const result = await run(watch, { RequestType: 'DeviceInformation', Queries: ['UDID'] });
    expect(JSON.stringify(result['result'])).toContain(watch.udid);
    await run(watch, { RequestType: 'DeviceLock' });
    expect(watch.facts.locked).toBe(true);
    const device = await until(`devices/${watch.udid}`, (value) => value['state'] === 'enrolled');
    expect(device['phone']).toBe(phone.udid);
  });

  const dressings: DeviceOptions[] = [
    { signing: 'legacy', machineInfo: 'legacy' },
    { signing: 'modern', machineInfo: 'modern' },
    { genuineIdentity: true },
    { scep: { cipher: 'aes-128', hash: 'SHA-1' } },
    { scep: { cipher: 'aes-256', hash: 'SHA-512', constructed: true } },
    { scep: { method: 'GET' } },
  ];

  it.each(dressings)('is taken as %o', async (options) => {
    const phone = await assignedPhone(newWorld(), options);
    const watch = await unpairedWatch(phone, options);
    expect(await watch.pairWith(phone)).toMatchObject({ kind: 'enrolled' });
    expect((await watch.connect()).commands.length).toBeLessThan(3);
  });

  it('renews its certificate, and the new one is honored', async () => {
    const phone = await assignedPhone();
    await phone.renew();
    await phone.connect();
    await phone.tokenUpdate();
  });

  it('may leave and come back', async () => {
    const phone = await assignedPhone();
    const watch = await unpairedWatch(phone);
    await watch.pairWith(phone);
    await watch.checkOut();
    await until(`devices/${watch.udid}`, (value) => value['state'] === 'checked-out');
    expect(await watch.pairWith(phone)).toMatchObject({ kind: 'enrolled' });
  });

  it('gets a command again that it put off', async () => {
    const phone = await assignedPhone();
    const watch = await unpairedWatch(phone);
    await watch.pairWith(phone);
    await watch.connect();
    await admin('POST', `devices/${watch.udid}/commands`, {
      command: { RequestType: 'SecurityInfo' },
      push: false,
    });
    expect((await watch.connect({ notNow: () => true })).commands.map((one) => one.status)).toEqual([
      'NotNow',
    ]);
    expect((await watch.connect()).commands.map((one) => one.status)).toEqual(['Acknowledged']);
    expect((await watch.connect()).commands).toEqual([]);
  });

  it('is no longer let in once the assignment is taken back', async () => {
    const phone = await assignedPhone();
    await admin('DELETE', `watch-enrollment/devices/${phone.udid}`);
    for (let i = 0; i < 3; i++) await phone.sync();
    expect(phone.watchEnrollmentUrl()).toBeNull();
    const watch = await unpairedWatch(phone);
    expect(await watch.pairWith(phone, { url: `${url}/enroll/watch` })).toMatchObject({
      kind: 'refused',
      at: 'token',
    });
  });
});

describe('a phone at the front door', () => {
  it('takes a bare profile as well as a signed one', async () => {
    expect((await enrolledPhone(newWorld(), {}, false)).profile!.signedBy).toBeNull();
    expect((await enrolledPhone(newWorld(), {}, true)).profile!.signedBy).not.toBeNull();
  });

  it('enrolls by MachineInfo when its serial number is expected, and not otherwise', async () => {
    const phone = await SimulatedPhone.create(newWorld());
    await expect(phone.enrollByMachineInfo()).rejects.toThrow(/200 for \/enroll\/phone, got 403/);
    await admin('POST', 'expected-devices', { platform: 'iOS', serials: [phone.serial] });
    await phone.enrollByMachineInfo();
    expect(phone.certificate).not.toBeNull();
  });

  it('keeps its enrollment from forgers with a listed serial number, its own or another', async () => {
    const phone = await enrolledPhone();
    const forged = async (serial: string) => SimulatedPhone.create(newWorld(), { udid: phone.udid, serial });
    const list = (serial: string) =>
      admin('POST', 'expected-devices', { platform: 'iOS', serials: [serial] });
    const other = await SimulatedPhone.create(newWorld());
    await list(other.serial);
    const stranger = await forged(other.serial);
    await expect(stranger.enrollByMachineInfo()).rejects.toThrow(/got 403.*serial-mismatch/s);
    await other.enrollByMachineInfo();
    const twin = await SimulatedPhone.create(newWorld(), { serial: other.serial });
    await expect(twin.enrollByMachineInfo()).rejects.toThrow(/got 403.*serial-bound-to-another-device/s);
    await expect(other.enrollByMachineInfo()).rejects.toThrow(/got 403.*already-enrolled/s);
    await phone.setBootstrapToken(Buffer.from('still here'));
    await list(other.serial);
    await other.enrollByMachineInfo();
  });

  it('leaves a bootstrap token and finds it again', async () => {
    const phone = await enrolledPhone();
    expect(await phone.getBootstrapToken()).toBeNull();
    await phone.setBootstrapToken(Buffer.from('bootstrap'));
    expect((await phone.getBootstrapToken())?.toString()).toBe('bootstrap');
  });

  it('hears 400 for an unknown token service', async () => {
    const phone = await assignedPhone();
    const answer = await phone.getToken({
      securityToken: 'x',
      watchUdid: 'y',
      serviceType: 'com.apple.maid',
    });
    expect(answer.status).toBe(400);
  });

  it('sees one token until its declarations change', async () => {
    const phone = await assignedPhone();
    expect(await phone.sync()).toMatchObject({ changed: false });
    expect(await phone.sync({ fullReport: true })).toMatchObject({ changed: false, reported: true });
    await admin('PUT', `watch-enrollment/devices/${phone.udid}`, { anchors: [env.CA_CERTIFICATE] });
    const { changed, fetched } = await phone.sync();
    expect({ changed, assets: fetched.length > 1 }).toEqual({ changed: true, assets: true });
    expect(phone.watchEnrollmentUrl()).not.toBeNull();
  });
});

describe('attacks at the front door', () => {
  it('fail, each of them', async () => {
    const phone = await assignedPhone();
    const unassigned = await enrolledPhone(phone.world);
    const token = async () => {
      const watch = await unpairedWatch(phone);
      return { watch, token: await attacks.obtainToken(watch, phone) };
    };
    const redeemed = await token();
    expect((await redeemed.watch.requestProfile(redeemed.token)).status).toBe(200);
    const [a, b, c, d, e] = [await token(), await token(), await token(), await token(), await token()];
    const thief = await unpairedWatch(phone);
    const answers = [
      await attacks.replayedToken(redeemed.watch, redeemed.token),
      await attacks.tokenOfAnotherWatch(thief, a.token),
      await attacks.changedMachineInfo(b.watch, b.token),
      await attacks.trailingBytes(b.watch),
      await attacks.forgedMachineInfo(phone.world, `${url}/enroll/watch`),
      await attacks.tokenFromUnassignedPhone(unassigned, await unpairedWatch(phone)),
      await attacks.phoneUdidMismatch(phone, unassigned, await unpairedWatch(phone)),
      await attacks.phoneUdidMismatch(unassigned, phone, await unpairedWatch(phone)),
      await attacks.inventedSecurityToken(phone, await unpairedWatch(phone)),
      await attacks.presentedToken('later expiry', c.watch, attacks.withExpiry(c.token, 4e9)),
      await attacks.presentedToken('other watch', thief, attacks.withClaims(d.token, { sub: thief.udid })),
      await attacks.presentedToken('alg none', e.watch, attacks.unsigned(e.token)),
      await attacks.presentedToken('no token at all', e.watch, Buffer.from('paired')),
      await attacks.presentedToken('an empty token', e.watch, Buffer.alloc(0)),
      await attacks.presentedToken('a long token', e.watch, Buffer.alloc(40_000, 'a')),
    ];
    expect(answers.filter((answer) => answer.succeeded)).toEqual([]);
    expect(answers.filter((answer) => answer.status >= 500)).toEqual([]);
  });

  it('on the certificate fail with the right failInfo', async () => {
    const phone = await assignedPhone();
    const watch = await unpairedWatch(phone);
    const { profile } = await watch.requestProfile(await attacks.obtainToken(watch, phone));
    const { url, challenge, subject } = readEnrollmentProfile(profile!, 'Watch').scep;
    const key = keys.take();
    const enroll = (change: Partial<ScepOrder>) =>
      new ScepClient(phone.world, 'attacker').enroll({
        ...{ url, challenge, subject, key },
        ...change,
      });
    const refused = async (change: Partial<ScepOrder>) => {
      const error = await enroll(change).then(
        () => null,
        (reason: unknown) => reason,
      );
      return error instanceof ScepFailure ? error.failInfo : String(error);
    };
    expect(await refused({ cipher: 'des' })).toBe('badAlg');
    expect(await refused({ messageType: '99' })).toBe('badRequest');
    expect(await refused({ challenge: 'guessed' })).toBe('badRequest');
    const flipped = (message: Buffer) =>
      Buffer.concat([message.subarray(0, -1), Buffer.from([~message.at(-1)! & 0xff])]);
    expect(await refused({ tamper: flipped })).toBe('badMessageCheck');
    expect((await enroll({})).certificate.isCa).toBe(false);
    expect(await refused({ key: DeviceKey.generate() })).toBe('badRequest');
  });

  it('on one token by many at once let exactly one in', async () => {
    const phone = await assignedPhone();
    const watch = await unpairedWatch(phone);
    const token = await attacks.obtainToken(watch, phone);
    const answers = await attacks.race(
      Array.from({ length: 40 }, () => watch),
      token,
    );
    expect(answers.filter((answer) => answer.profile !== undefined)).toHaveLength(1);
    expect(answers.filter((answer) => answer.status >= 500)).toEqual([]);
  });
});

describe('mischief at the front door', () => {
  it.each([1, 2, 3, 4])('does not keep two watches out or lose a command: seed %i', async (seed) => {
    seeds = 1000 + seed;
    const world = withMischief(newWorld(), { ...ORDINARY_MISCHIEF, delayMsMax: 5 });
    const phone = await assignedPhone(world);
    const watches = await Promise.all([1, 2].map(() => unpairedWatch(phone)));
    await Promise.all(
      watches.map(async (watch) => {
        let outcome = await watch.pairWith(phone);
        for (let i = 0; i < 10 && outcome.kind === 'refused'; i++) outcome = await watch.pairWith(phone);
        expect(outcome).toMatchObject({ kind: 'enrolled' });
        await Promise.all(
          ['ProfileList', 'SecurityInfo', 'DeviceLock'].map((RequestType) => queue(watch, RequestType)),
        );
        for (let i = 0; i < 30 && !watch.facts.locked; i++) await watch.connect();
        const path = `devices/${watch.udid}/commands?limit=100`;
        for (let i = 0; i < 30 && !everyAcknowledged(await admin('GET', path)); i++) await watch.connect();
        await until(path, (value) => everyAcknowledged(value));
      }),
    );
  });

  async function queue(watch: SimulatedWatch, RequestType: string): Promise<void> {
    await admin('POST', `devices/${watch.udid}/commands`, { command: { RequestType }, push: false });
  }

  function everyAcknowledged(value: Json): boolean {
    const items = Array.isArray(value['items']) ? (value['items'] as Json[]) : [];
    return items.length >= 3 && items.every((item) => item['state'] === 'acknowledged');
  }
});
