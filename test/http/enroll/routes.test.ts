/** The enrollment addresses through the front door: simulated devices with real keys, real objects, real tokens. */
import { env } from 'cloudflare:workers';
import { Hono } from 'hono';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { LinkRefusal, TakeOutcome } from '../../../src/domain/identity/one-time-link.ts';
import { VerifiedDevice } from '../../../src/domain/identity/verified-device.ts';
import { PhoneEnrollment } from '../../../src/domain/pairing/phone-enrollment.ts';
import type { EnrollmentStanding } from '../../../src/domain/pairing/ports.ts';
import type { EnrollRefusal } from '../../../src/domain/pairing/service.ts';
import { machineInfoVerifier } from '../../../src/domain/pairing/verifiers.ts';
import type { AppEnv } from '../../../src/http/app-env.ts';
import { linkRefusal, watchRefusal } from '../../../src/http/enroll/refusals.ts';
import { enrollApp } from '../../../src/http/enroll/routes.ts';
import { answerError } from '../../../src/http/errors.ts';
import type { LogFields } from '../../../src/log.ts';
import { parseCertificate } from '../../../src/pki/certificate.ts';
import { ChainVerifier } from '../../../src/pki/chain.ts';
import { parsePem } from '../../../src/pki/pem.ts';
import { concatBytes, readUtf8, utf8 } from '../../../src/std/bytes.ts';
import { ok, refuse, Unavailable } from '../../../src/std/outcome.ts';
import { type EpochMs, epochMs } from '../../../src/std/time.ts';
import { Database } from '../../../src/storage/d1/database.ts';
import { D1ExpectedDevices } from '../../../src/storage/d1/expected-devices.ts';
import { attacks, createWorld, KeyPool, SimulatedPhone, SimulatedWatch } from '../../simulator/index.ts';
import { now, pairingWorld, serial, steps, store, udid, value } from '../../support/pairing.ts';

const ASPEN = 'application/x-apple-aspen-config';
const expected = new D1ExpectedDevices(new Database(env.DB));

const anchors = parsePem(env.TEST_DEVICE_CA.certificate, 'CERTIFICATE').map((der) =>
  value(parseCertificate(der)),
);
const chain = new ChainVerifier({ anchors, checkDates: false, sha1: true, rsaBitsMin: 1024 });
const machineInfo = machineInfoVerifier(chain);
const pairing = await pairingWorld(machineInfo);

const links = new Map<string, TakeOutcome>();
/** Every other device was never here. */
const standings = new Map<string, EnrollmentStanding>();
const logged: { name: string; fields: LogFields }[] = [];
let clock: EpochMs = now();

const phones = new PhoneEnrollment({
  machineInfo,
  expected,
  standings: { standing: async (device) => standings.get(device) ?? { kind: 'unknown' } },
  links: {
    async take(code) {
      const outcome = links.get(code) ?? refuse({ kind: 'link-unknown' as const });
      if (outcome.ok) links.set(code, refuse({ kind: 'link-used', takenAtMs: clock }));
      return outcome;
    },
  },
  mint: {
    async mint(subject) {
      pairing.minted.push(subject);
      return { credentialId: 'credential', challenge: 'one-time', expiresAtMs: clock };
    },
  },
  profiles: { build: (subject, challenge) => utf8(`profile of ${subject.udid}: ${challenge}`) },
  signer: { sign: async (profile) => concatBytes(utf8('signed '), profile) },
});

const app = new Hono<AppEnv>();
app.use(async (c, next) => {
  c.set('nowMs', clock);
  c.set('log', { event: (name, fields) => void logged.push({ name, fields }) });
  await next();
});
app.onError((error, c) => answerError(error, c.get('log')));
app.route('/', enrollApp({ pairing: pairing.service, phones }));

const world = createWorld({
  baseUrl: 'https://mdm.example.com',
  deviceCa: { certificatePem: env.TEST_DEVICE_CA.certificate, keyPem: env.TEST_DEVICE_CA.key },
  send: async (request) => app.fetch(request),
  keys: new KeyPool({ size: 2 }),
});

beforeEach(() => {
  clock = now();
  logged.length = 0;
});

afterEach(() => {
  vi.restoreAllMocks();
});

async function post(
  path: string,
  body: BodyInit | null,
  headers: Record<string, string> = {},
): Promise<Response> {
  return app.request(path, { method: 'POST', body, headers });
}

async function claim(watch: SimulatedWatch, securityToken: string | undefined, phoneUdid: string) {
  pairing.standings.set(phoneUdid, 'hosting');
  const params = { securityToken, phoneUdid, watchUdid: watch.udid };
  return value(
    await pairing.service.claim(new VerifiedDevice(udid(phoneUdid), 'f'.repeat(64)), params, clock),
  );
}

async function profileText(response: Response): Promise<string | null> {
  return readUtf8(new Uint8Array(await response.arrayBuffer()));
}

async function reasons(watch: SimulatedWatch): Promise<string[]> {
  const history = await store().history(udid(watch.udid));
  return history.flatMap(({ timeline }) => steps(timeline));
}

describe('POST /enroll/watch', () => {
  it('answers a challenge, then the profile, to watches old and new', async () => {
    for (const options of [
      { machineInfo: 'legacy' },
      { machineInfo: 'modern' },
      { genuineIdentity: true },
    ] as const) {
      const watch = await SimulatedWatch.create(world, options);
      const first = await watch.requestProfile();
      expect(first).toMatchObject({ status: 403, contentType: 'application/json' });
      const token = await claim(watch, first.securityToken, `PHONE-${watch.udid}`);
      const second = await watch.requestProfile(token);
      expect(second.contentType).toBe(ASPEN);
      expect(second.profile?.toString()).toBe(`profile of ${watch.udid}: one-time`);
      expect(await reasons(watch)).toEqual(['challenged', 'claimed', 'redeemed']);
      const [held] = await store().history(udid(watch.udid));
      expect(held?.timeline[0]?.detail).toBe('signer CN only');
    }
  });

  it('sends exactly the document of the schema', async () => {
    const watch = await SimulatedWatch.create(world);
    const response = await post('/enroll/watch', watch.machineInfo());
    expect(response.status).toBe(403);
    expect(response.headers.get('Content-Type')).toBe('application/json');
    expect(response.headers.get('Cache-Control')).toBe('no-store');
    const document = await response.json<{ details: Record<string, string> }>();
    expect(document).toEqual({
      code: 'com.apple.watch.pairing.token.missing',
      description: 'pairing token required',
      details: { 'security-token': document.details['security-token'] },
    });
    expect(document.details['security-token']).toMatch(/^[0-9A-F]{8}-([0-9A-F]{4}-){3}[0-9A-F]{12}$/);
  });

  it('takes any content type, and none', async () => {
    for (const type of ['application/octet-stream', 'text/plain']) {
      const watch = await SimulatedWatch.create(world);
      const { status } = await post('/enroll/watch', watch.machineInfo(), { 'Content-Type': type });
      expect(status).toBe(403);
    }
  });

  it('gives 40 parallel posts of one token one profile', async () => {
    const watch = await SimulatedWatch.create(world);
    const { securityToken } = await watch.requestProfile();
    const token = await claim(watch, securityToken, `PHONE-${watch.udid}`);
    const answers = await attacks.race(Array(40).fill(watch), token);
    expect(answers.filter(({ profile }) => profile !== undefined)).toHaveLength(1);
    const minted = pairing.minted.filter((subject) => subject.udid === watch.udid);
    expect(minted).toHaveLength(1);
  });

  it('answers a replayed token and the token of another watch with a challenge, each with its reason', async () => {
    const [watch, thief] = [await SimulatedWatch.create(world), await SimulatedWatch.create(world)];
    const { securityToken } = await watch.requestProfile();
    const token = await claim(watch, securityToken, `PHONE-${watch.udid}`);
    expect((await attacks.tokenOfAnotherWatch(thief, token)).succeeded).toBe(false);
    expect(await reasons(thief)).toContain('redeemed!token-other-watch');
    expect((await watch.requestProfile(token)).status).toBe(200);
    expect((await attacks.replayedToken(watch, token)).document?.code).toContain('pairing.token.missing');
    expect(await reasons(watch)).toContain('redeemed!challenge-consumed');
    expect((await attacks.presentedToken('none', watch, attacks.unsigned(token))).succeeded).toBe(false);
    expect(await reasons(watch)).toContain('redeemed!token-malformed');
  });

  it('ends three refusals in a row with a message that a person can read', async () => {
    const watch = await SimulatedWatch.create(world);
    const answers = [];
    for (let i = 0; i < 4; i++) answers.push(await watch.requestProfile(utf8('no token')));
    expect(answers.map(({ securityToken }) => securityToken !== undefined)).toEqual([
      true,
      true,
      true,
      false,
    ]);
    expect(answers[3]).toMatchObject({ status: 403, contentType: 'application/json' });
    expect(answers[3]?.document?.message).toContain('Start pairing again');
    expect(answers[3]?.document?.code).not.toContain('com.apple');
  });

  it('refuses a forged or changed MachineInfo, says so in the log, and writes nothing', async () => {
    const forged = await attacks.forgedWatch(world);
    expect(await forged.requestProfile()).toMatchObject({ status: 403, contentType: 'application/json' });
    expect(logged[0]).toMatchObject({
      name: 'enroll-refused',
      fields: { refusal: 'machine-info-unverified', reason: 'detail chain-incomplete' },
    });
    const watch = await SimulatedWatch.create(world);
    expect((await attacks.changedMachineInfo(watch)).status).toBe(403);
    for (const each of [forged, watch]) expect(await store().history(udid(each.udid))).toEqual([]);
  });

  it('checks the signature before the token', async () => {
    const watch = await SimulatedWatch.create(world);
    const { securityToken } = await watch.requestProfile();
    const token = await claim(watch, securityToken, `PHONE-${watch.udid}`);
    const forged = await attacks.forgedWatch(world, { udid: watch.udid, serial: watch.serial });
    expect((await forged.requestProfile(token)).document?.code).not.toContain('com.apple');
    expect((await watch.requestProfile(token)).status).toBe(200);
  });

  it('calls malformed what is no CMS, cut, or followed by more: 400', async () => {
    const watch = await SimulatedWatch.create(world);
    const cms = watch.machineInfo();
    const bodies = [null, new Uint8Array(0), utf8('<plist/>'), cms.subarray(0, cms.length - 1)];
    for (const body of bodies) expect((await post('/enroll/watch', body)).status).toBe(400);
    expect((await attacks.trailingBytes(watch)).status).toBe(400);
    const noWatch = watch.machineInfo({ UDID: '' });
    expect((await post('/enroll/watch', noWatch)).status).toBe(400);
  });

  it('takes 64 KiB and not a byte more', async () => {
    expect((await post('/enroll/watch', new Uint8Array(65_536))).status).toBe(400);
    const response = await post('/enroll/watch', new Uint8Array(65_537));
    expect(response.status).toBe(413);
    expect(response.headers.get('Cache-Control')).toBe('no-store');
  });

  it('refuses an iPhone', async () => {
    const phone = await SimulatedPhone.create(world);
    const response = await post('/enroll/watch', phone.machineInfo());
    expect(response.status).toBe(403);
    expect(await response.json()).toMatchObject({ message: 'Only an Apple Watch can enroll here.' });
  });

  it('answers other methods with 405', async () => {
    for (const path of ['/enroll/watch', '/enroll/phone']) {
      for (const method of ['GET', 'PUT', 'DELETE', 'HEAD']) {
        const response = await app.request(path, { method });
        expect(response.status).toBe(405);
        expect(response.headers.get('Allow')).toBe('POST');
      }
    }
  });

  it('answers 503 with Retry-After when a dependency fails, and the next try goes on', async () => {
    const watch = await SimulatedWatch.create(world);
    vi.spyOn(pairing.service, 'enroll').mockRejectedValueOnce(new Unavailable('d1', 'away'));
    const response = await post('/enroll/watch', watch.machineInfo());
    expect(response.status).toBe(503);
    expect(Number(response.headers.get('Retry-After'))).toBeGreaterThan(0);
    expect(response.headers.get('Cache-Control')).toBe('no-store');
    expect((await watch.requestProfile()).securityToken).toBeDefined();
  });

  it('counts limits by the address that the edge reports', async () => {
    const watch = await SimulatedWatch.create(world);
    const from = (address: string) =>
      post('/enroll/watch', watch.machineInfo(), { 'CF-Connecting-IP': address }).then((r) => r.text());
    for (let i = 0; i < 20; i++) expect(await from(`2001:db8::${i}`)).toContain('security-token');
    expect(await from('2001:db8::ffff')).toContain('Wait an hour');
    expect(await from('192.0.2.1')).toContain('security-token');
  });

  it('logs no token and no profile', async () => {
    const watch = await SimulatedWatch.create(world);
    const { securityToken } = await watch.requestProfile();
    const token = await claim(watch, securityToken, `PHONE-${watch.udid}`);
    await watch.requestProfile(token);
    const text = JSON.stringify(logged);
    expect(logged.map(({ fields }) => fields.step)).toEqual(['challenge', 'profile']);
    expect(text).not.toContain(securityToken);
    expect(text).not.toContain(readUtf8(token));
    expect(text).not.toContain('one-time');
  });
});

describe('POST /enroll/phone', () => {
  it('gives an expected iPhone its profile', async () => {
    const phone = await SimulatedPhone.create(world);
    await expected.add([serial(phone.serial)], clock);
    const response = await post('/enroll/phone', phone.machineInfo());
    expect(response.status).toBe(200);
    expect(response.headers.get('Content-Type')).toBe(ASPEN);
    expect(response.headers.get('Cache-Control')).toBe('no-store');
    expect(await profileText(response)).toBe(`profile of ${phone.udid}: one-time`);
    const subject = { udid: phone.udid, serial: phone.serial, platform: 'iOS' };
    expect(pairing.minted.at(-1)).toEqual({
      ...subject,
      origin: { kind: 'expected-serial', listedAtMs: clock },
    });
  });

  it('refuses an iPhone that is not expected, a watch, and what is forged', async () => {
    const mintedBefore = pairing.minted.length;
    const phone = await SimulatedPhone.create(world);
    const stranger = await post('/enroll/phone', phone.machineInfo());
    expect(stranger.status).toBe(403);
    expect(await stranger.json()).toMatchObject({ description: 'serial-not-expected' });
    const watch = await SimulatedWatch.create(world);
    await expected.add([serial(watch.serial)], clock);
    const refused = await post('/enroll/phone', watch.machineInfo());
    expect(refused.status).toBe(403);
    expect(await refused.json()).toMatchObject({ message: 'Only an iPhone can enroll here.' });
    expect((await post('/enroll/phone', utf8('forged'))).status).toBe(400);
    expect((await post('/enroll/phone', new Uint8Array(65_537))).status).toBe(413);
    expect(pairing.minted).toHaveLength(mintedBefore);
    expect(logged.map(({ fields }) => fields.refusal)).toContain('serial-not-expected');
  });
});

describe('a listed serial number', () => {
  const listed = { serial: 'LISTED0001' };

  async function list(): Promise<void> {
    await expected.add([serial(listed.serial)], clock);
  }

  async function refused(phone: SimulatedPhone): Promise<{ description: string; message: string }> {
    const mintedBefore = pairing.minted.length;
    const response = await post('/enroll/phone', phone.machineInfo());
    expect(response.status).toBe(403);
    expect(pairing.minted).toHaveLength(mintedBefore);
    return response.json();
  }

  beforeEach(async () => {
    standings.clear();
    await expected.remove(serial(listed.serial));
  });

  it('admits one device: another UDID is refused until the serial number is listed again', async () => {
    await list();
    const phone = await SimulatedPhone.create(world, listed);
    const forged = await SimulatedPhone.create(world, listed);
    for (let i = 0; i < 2; i++) {
      expect((await post('/enroll/phone', phone.machineInfo())).status).toBe(200);
    }
    expect(await refused(forged)).toMatchObject({
      description: 'serial-bound-to-another-device',
      message:
        'Another device has enrolled with this serial number. Ask your administrator to list it again.',
    });
    expect(logged.at(-1)?.fields).toMatchObject({ refusal: 'serial-bound-to-another-device' });
    await list();
    expect((await post('/enroll/phone', forged.machineInfo())).status).toBe(200);
    expect((await refused(phone)).description).toBe('serial-bound-to-another-device');
  });

  it.each(['live', 'ended'] as const)(
    'does not reach a UDID whose %s enrollment has another serial number, and stays free for its own device',
    async (kind) => {
      await list();
      const victim = await SimulatedPhone.create(world, listed);
      const startedAtMs = epochMs(clock - 1);
      standings.set(victim.udid, { kind, serial: serial('OTHER00001'), startedAtMs });
      expect(await refused(victim)).toMatchObject({
        description: 'serial-mismatch',
        message: 'This iPhone is known here by another serial number. Contact your administrator.',
      });
      const phone = await SimulatedPhone.create(world, listed);
      expect((await post('/enroll/phone', phone.machineInfo())).status).toBe(200);
    },
  );

  it('does not replace an enrollment that began when it was listed or later', async () => {
    await list();
    const phone = await SimulatedPhone.create(world, listed);
    const live = { kind: 'live', serial: serial(listed.serial) } as const;
    standings.set(phone.udid, { ...live, startedAtMs: clock });
    const answer = await refused(phone);
    expect(answer.description).toBe('already-enrolled');
    expect(answer.message).toContain('list its serial number again');
    clock = epochMs(clock + 1);
    await list();
    expect((await post('/enroll/phone', phone.machineInfo())).status).toBe(200);
    expect(pairing.minted.at(-1)?.origin).toEqual({ kind: 'expected-serial', listedAtMs: clock });
  });

  it('lets a device back in that checked out', async () => {
    await list();
    const phone = await SimulatedPhone.create(world, listed);
    standings.set(phone.udid, { kind: 'ended', serial: serial(listed.serial) });
    expect((await post('/enroll/phone', phone.machineInfo())).status).toBe(200);
  });
});

describe('GET /enroll/link/{code}', () => {
  const grant = { udid: udid('PHONE-LINKED'), serial: serial('SERIAL0009'), platform: 'iOS' } as const;

  it('serves the profile once, bare or signed as the administrator chose', async () => {
    for (const signed of [true, false]) {
      links.set('code', ok({ ...grant, signed, linkId: 'L' }));
      const response = await app.request('/enroll/link/code');
      expect(response.status).toBe(200);
      expect(response.headers.get('Content-Type')).toBe(ASPEN);
      expect(response.headers.get('Cache-Control')).toBe('no-store');
      expect(await profileText(response)).toBe(`${signed ? 'signed ' : ''}profile of PHONE-LINKED: one-time`);
      expect(pairing.minted.at(-1)).toMatchObject({
        udid: 'PHONE-LINKED',
        origin: { kind: 'link', linkId: 'L' },
      });
      expect((await app.request('/enroll/link/code')).status).toBe(410);
    }
  });

  it('is not used up by HEAD, nor by another method', async () => {
    links.set('code', ok({ ...grant, signed: false, linkId: 'L' }));
    const head = await app.request('/enroll/link/code', { method: 'HEAD' });
    expect(head.status).toBe(200);
    expect(await head.text()).toBe('');
    expect(head.headers.get('Content-Type')).toBe(ASPEN);
    expect((await app.request('/enroll/link/code', { method: 'POST' })).status).toBe(405);
    expect((await app.request('/enroll/link/code')).status).toBe(200);
  });

  it.each<[LinkRefusal, number]>([
    [{ kind: 'link-unknown' }, 404],
    [{ kind: 'link-used', takenAtMs: epochMs(0) }, 410],
    [{ kind: 'link-expired', expiresAtMs: epochMs(0) }, 410],
  ])('tells a person why not: %j', async (reason, status) => {
    links.set('refused', refuse(reason));
    const response = await app.request('/enroll/link/refused');
    expect(response.status).toBe(status);
    expect(response.headers.get('Content-Type')).toContain('text/plain');
    expect(response.headers.get('Cache-Control')).toBe('no-store');
    expect(await response.text()).toBe(await linkRefusal(reason).text());
  });
});

describe('refusals on the wire', () => {
  const kinds: Exclude<EnrollRefusal['kind'], `machine-info-${string}` | 'not-a-watch'>[] = [
    'source-rate',
    'watch-rate',
    'too-many-challenges',
    'token-malformed',
    'token-signature',
    'token-issuer',
    'token-audience',
    'token-expired',
    'token-other-watch',
    'challenge-unknown',
    'challenge-consumed',
    'challenge-expired',
    'challenge-unclaimed',
    'claimed-by-another-phone',
    'serial-mismatch',
    'phone-not-enrolled',
    'phone-not-assigned',
    'phone-unsupervised',
  ];

  it('are 403 with a message, never 401, and never make a device unenroll', async () => {
    for (const kind of kinds) {
      const response = watchRefusal({ kind });
      expect(response.status).toBe(403);
      const document = await response.json<{ code: string; message: string }>();
      expect(document.code).toBe('com.escapement.enrollment.refused');
      expect(document.message.length).toBeGreaterThan(20);
    }
  });
});
