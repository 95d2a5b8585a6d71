/** The phone and the watch against a stand-in: the order of what they do, and what they refuse to put up with. */
import { Buffer } from 'node:buffer';
import { beforeEach, describe, expect, it } from 'vitest';
import {
  attacks,
  createDeviceCa,
  createWorld,
  KeyPool,
  SimulatedPhone,
  SimulatedWatch,
  type TraceEvent,
  withMischief,
} from './index.ts';
import { StandIn } from './stand-in.ts';

const keys = new KeyPool({ size: 3 });
const deviceCa = createDeviceCa('Devices CA', keys.take());

let server: StandIn;
let trace: TraceEvent[];

function world(seed = 1) {
  trace = [];
  return createWorld({
    baseUrl: server.url,
    deviceCa,
    seed,
    keys,
    send: server.send,
    trace: (event) => trace.push(event),
  });
}

async function enrolledPhone(inWorld = world(), options = {}): Promise<SimulatedPhone> {
  const phone = await SimulatedPhone.create(inWorld, options);
  server.udid = phone.udid;
  await phone.enrollByLink(`${server.url}/link`);
  return phone;
}

async function pairedWatch(options = {}): Promise<SimulatedWatch> {
  const phone = await enrolledPhone();
  const watch = await SimulatedWatch.create(phone.world, options);
  server.udid = watch.udid;
  expect(await watch.pairWith(phone, { url: `${server.url}/enroll/watch` })).toMatchObject({
    kind: 'enrolled',
  });
  return watch;
}

beforeEach(() => {
  server = new StandIn();
});

/** Every answer to `path` with another status, type or body. */
function answerWith(path: string, change: { status?: number; type?: string; body?: string }): void {
  server.spoil = async (asked, response) => {
    if (asked !== path) return response;
    const headers = { 'content-type': change.type ?? response.headers.get('content-type') ?? '' };
    return new Response(change.body ?? (await response.arrayBuffer()), {
      status: change.status ?? response.status,
      headers,
    });
  };
}

describe('enrollment', () => {
  it('goes link, SCEP, Authenticate, TokenUpdate', async () => {
    await enrolledPhone();
    expect(trace.map((event) => event.step)).toEqual([
      'GET link',
      'SCEP GetCACaps',
      'SCEP GetCACert',
      'SCEP PKIOperation',
      'Authenticate',
      'TokenUpdate',
    ]);
    expect(Object.keys(server.messages[0]!)).not.toContain('DeviceName');
    expect(server.messages[1]).toMatchObject({
      MessageType: 'TokenUpdate',
      Topic: 'com.apple.mgmt.External.example',
    });
  });

  it.each([
    { signing: 'legacy' as const },
    { scep: { cipher: 'aes-128' as const, hash: 'SHA-1' as const } },
    { scep: { method: 'GET' as const, constructed: true } },
  ])('works with %o', async (options) => {
    const phone = await enrolledPhone(world(), options);
    expect((await phone.connect()).commands).toEqual([]);
  });

  it('renews with the old certificate', async () => {
    const phone = await enrolledPhone();
    const old = phone.certificate;
    await phone.renew();
    expect(phone.certificate!.der.equals(old!.der)).toBe(false);
    await phone.connect();
  });

  it.each([
    ['/link', { status: 401 }, /would unenroll/],
    ['/link', { type: 'text/xml' }, /x-apple-aspen-config/],
    ['/mdm/checkin', { body: '{"code":"com.apple.unrecognized.device"}', status: 403 }, /would unenroll/],
    ['/mdm/checkin', { body: ' ' }, /200 and nothing for Authenticate/],
    ['/mdm/checkin', { status: 503 }, /200 and nothing/],
  ])('notices a wrong answer on %s: %o', async (path, change, message) => {
    answerWith(path, change);
    await expect(enrolledPhone()).rejects.toThrow(message);
  });

  it.each([
    [{ SignMessage: false }, /SignMessage/],
    [{ ServerURL: 'http://mdm.example.com/mdm' }, /https URL in ServerURL/],
    [{ IdentityCertificateUUID: 'elsewhere' }, /IdentityCertificateUUID/],
    [{ Topic: 'com.example' }, /Topic/],
    [{ AccessRights: 2 }, /AccessRights/],
    [{ PayloadOrganization: '' }, /PayloadOrganization/],
  ])('notices a wrong profile: %o', async (mdm, message) => {
    server.mdm = mdm;
    await expect(enrolledPhone()).rejects.toThrow(message);
  });

  it('notices a certificate for someone else', async () => {
    const phone = await SimulatedPhone.create(world());
    server.udid = 'SOMEONE-ELSE';
    await expect(phone.enrollByLink(`${server.url}/link`)).rejects.toThrow(/UDID in the issued subject/);
  });
});

describe('commands', () => {
  it('are answered in order, with what was asked for', async () => {
    const watch = await pairedWatch();
    server.queue.set('u1', {
      RequestType: 'DeviceInformation',
      Queries: ['UDID', 'SerialNumber', 'Nonsense'],
    });
    server.queue.set('u2', { RequestType: 'DeviceLock', Message: 'lost' });
    server.queue.set('u3', { RequestType: 'RestartDevice' });
    const log = await watch.connect();
    expect(log.commands.map((one) => one.status)).toEqual(['Acknowledged', 'Acknowledged', 'Error']);
    expect(server.results[0]!['QueryResponses']).toEqual({ UDID: watch.udid, SerialNumber: watch.serial });
    expect(server.results[1]!['MessageResult']).toBe('Success');
    expect(watch.facts.locked).toBe(true);
  });

  it('are taken up to the 21 of watchOS 10, and no more', async () => {
    const watch = await pairedWatch();
    expect([...watch.answers.keys()]).toHaveLength(21);
  });

  it('are put off with NotNow and come again in another session', async () => {
    const watch = await pairedWatch();
    server.queue.set('u1', { RequestType: 'ProfileList' });
    expect((await watch.connect({ notNow: () => true })).commands.map((one) => one.status)).toEqual([
      'NotNow',
    ]);
    expect((await watch.connect()).commands.map((one) => one.status)).toEqual(['Acknowledged']);
  });

  it('end the simulation when one comes again after it was answered', async () => {
    const watch = await pairedWatch();
    server.queue.set('u1', { RequestType: 'ProfileList' });
    await watch.connect();
    server.queue.set('u1', { RequestType: 'ProfileList' });
    await expect(watch.connect()).rejects.toThrow(/no command that was answered/);
  });
});

describe('pairing', () => {
  it('goes challenge, token, profile', async () => {
    await pairedWatch();
    expect(
      trace
        .filter((event) => /enroll|GetToken/.test(event.step))
        .map((event) => `${event.step} ${event.status}`),
    ).toEqual(['POST /enroll/watch 403', 'GetToken 200', 'POST /enroll/watch 200']);
  });

  it('without a configuration is refused before it starts', async () => {
    const phone = await enrolledPhone();
    const watch = await SimulatedWatch.create(phone.world);
    expect(await watch.pairWith(phone)).toMatchObject({ kind: 'refused', at: 'configuration' });
  });

  it('notices a security token that is no UUID', async () => {
    const phone = await enrolledPhone();
    const watch = await SimulatedWatch.create(phone.world);
    answerWith('/enroll/watch', {
      body: '{"code":"com.apple.watch.pairing.token.missing","details":{"security-token":"x"}}',
    });
    await expect(watch.pairWith(phone, { url: `${server.url}/enroll/watch` })).rejects.toThrow(/a UUID/);
  });

  it('changes the content of a signed MachineInfo, and moves the expiry of a token', async () => {
    const watch = await SimulatedWatch.create(world());
    await expect(attacks.changedMachineInfo(watch)).rejects.toThrow(/does not verify/);
    const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const token = Buffer.from(`${part({ alg: 'ES256' })}.${part({ exp: 1, sub: 'a' })}.c2ln`);
    expect(attacks.readJws(attacks.withExpiry(token, 99)).claims).toEqual({ exp: 99, sub: 'a' });
    expect(attacks.readJws(attacks.unsigned(token)).header).toEqual({ alg: 'none' });
  });
});

describe('mischief', () => {
  it('tells the same story from the same seed', async () => {
    const stories: string[][] = [];
    for (const _ of [1, 2]) {
      server = new StandIn();
      const bad = withMischief(world(4), { dropReply: 0.3, duplicate: 0.3, dropRequest: 0.2 });
      const phone = await enrolledPhone(bad);
      for (let i = 0; i < 5; i++) server.queue.set(`u${i}`, { RequestType: 'ProfileList' });
      await phone.connect();
      await phone.connect();
      stories.push([...bad.mischiefLog.deeds, phone.udid, phone.pushMagic]);
    }
    expect(stories[0]).toEqual(stories[1]);
    expect(stories[0]!.length).toBeGreaterThan(5);
  });

  it('sends the same bytes again when a reply is lost', async () => {
    const bad = withMischief(world(6), {
      dropReply: 0.5,
      dropRequest: 0,
      duplicate: 0,
      doubleTokenUpdate: 0,
      doubleAuthenticate: 0,
    });
    await enrolledPhone(bad);
    const authenticates = server.messages.filter((one) => one['MessageType'] === 'Authenticate');
    const updates = server.messages.filter((one) => one['MessageType'] === 'TokenUpdate');
    expect(authenticates.length + updates.length).toBeGreaterThan(2);
    expect(new Set(updates.map((one) => JSON.stringify(one))).size).toBe(1);
  });
});
