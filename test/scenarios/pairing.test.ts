/**
 * A watch pairs, through the front door: as it should be, and with every single request lost, doubled or late; with
 * an iPhone that changes its mind; again after it was erased. After each story the invariants of everything stored.
 */
import { evictAllDurableObjects } from 'cloudflare:test';
import { Buffer } from 'node:buffer';
import { afterEach, describe, expect, it } from 'vitest';
import {
  attacks,
  DeviceKey,
  ReplyLost,
  type SimulatedPhone,
  type SimulatedWatch,
  type World,
  writePlist,
} from '../simulator/index.ts';
import { key, signature } from '../support/forged.ts';
import {
  admin,
  adminReply,
  assignedPhone,
  commandState,
  enrolledPhone,
  keys,
  logged,
  logSince,
  newWorld,
  order,
  pairedWatch,
  pairingOf,
  pairingsOf,
  put,
  secrets,
  send,
  steps,
  unpairedWatch,
} from '../support/front-door.ts';
import { checkInvariants, settle } from '../support/invariants.ts';
import smallKeyPem from '../vectors/scep/small.key.pem?raw';

afterEach(checkInvariants);

const ALL_STEPS = ['challenged', 'claimed', 'redeemed', 'identity-issued', 'authenticated', 'enrolled'];
const DONE = { kind: 'enrolled' };

/** What the device was given in a session beyond word of its own declarations. */
async function ordered(device: SimulatedWatch): Promise<string[]> {
  const { commands } = await device.connect();
  return commands.map((one) => one.requestType).filter((type) => type !== 'DeclarativeManagement');
}

describe('a pairing', () => {
  it('goes through its steps and leaves a watch that answers', async () => {
    const phone = await assignedPhone();
    const watch = await pairedWatch(phone);
    await settle();
    const device = await admin('GET', `devices/${watch.udid}`);
    expect(device).toMatchObject({
      state: 'enrolled',
      platform: 'watchOS',
      serial: watch.serial,
      phone: phone.udid,
    });
    expect((await admin('GET', `devices/${phone.udid}`))['watches']).toEqual([watch.udid]);
    const pairing = await pairingOf(watch);
    expect(pairing).toMatchObject({ state: 'enrolled', phone: phone.udid });
    expect(steps(pairing)).toEqual(ALL_STEPS);
    const uuid = await order(watch, 'DeviceLock');
    await watch.connect();
    expect(watch.facts.locked).toBe(true);
    expect(await commandState(watch, uuid)).toBe('acknowledged');
  });

  it('works for a device of the old kind: RSA-1024 and SHA-1 at birth, BER without attributes after', async () => {
    const old = { genuineIdentity: true, machineInfo: 'legacy', signing: 'legacy' } as const;
    const phone = await assignedPhone(old);
    const watch = await pairedWatch(phone, {
      ...old,
      keys: { identity: DeviceKey.fromPem(smallKeyPem), mdm: keys.take() },
    });
    await order(watch, 'SecurityInfo');
    expect((await watch.connect()).commands).toMatchObject([{ status: 'Acknowledged' }]);
  });

  it('of two watches at once on one phone keeps them apart', async () => {
    const phone = await assignedPhone();
    const watches = await Promise.all([1, 2, 3].map(() => unpairedWatch(phone)));
    expect(await Promise.all(watches.map((watch) => watch.pairWith(phone)))).toEqual(
      Array(3).fill({ kind: 'enrolled', challenges: 1 }),
    );
    await settle();
    const listed = (await admin('GET', `devices/${phone.udid}`))['watches'] as string[];
    expect([...listed].sort()).toEqual(watches.map((watch) => watch.udid).sort());
  });

  it('of one watch is for the phone that claimed it first', async () => {
    const [first, second] = [await assignedPhone(), await assignedPhone()];
    const watch = await unpairedWatch(first);
    const token = await attacks.challengeOf(watch);
    const claim = { securityToken: token, watchUdid: watch.udid };
    const [own, again, other] = [
      await first.getToken(claim),
      await first.getToken(claim),
      await second.getToken(claim),
    ];
    expect([own.status, again.status, other.status]).toEqual([200, 200, 400]);
    expect((await watch.requestProfile(again.tokenData)).status).toBe(200);
    expect((await watch.requestProfile(own.tokenData)).status).toBe(403);
    expect(steps(await pairingOf(watch)).length).toBeGreaterThan(0);
    const entries = (await pairingsOf(watch)).flatMap(steps);
    expect(entries).toContain('claimed!claimed-by-another-phone');
    expect(entries).toContain('redeemed!challenge-consumed');
  });

  it('may be done again after the watch was erased: a new enrollment, and the history stays', async () => {
    const phone = await assignedPhone();
    const watch = await pairedWatch(phone);
    const old = { certificate: watch.certificate!, answered: await order(watch, 'SecurityInfo') };
    await watch.connect();
    const waiting = await order(watch, 'ProfileList');
    expect(await watch.pairWith(phone)).toMatchObject(DONE);
    expect(await commandState(watch, old.answered)).toBe('acknowledged');
    expect(await commandState(watch, waiting)).toBe('canceled');
    expect(await ordered(watch)).toEqual([]);
    await settle();
    const pairings = await pairingsOf(watch);
    expect(pairings.map((one) => one['state'])).toEqual(['enrolled', 'enrolled']);
    const idle = writePlist({ UDID: watch.udid, Status: 'Idle' });
    const from = logged.length;
    const reply = await put('/mdm/connect', idle, {
      'mdm-signature': oldSignature(watch, old.certificate, idle),
    });
    expect([reply.status, logSince(from)[0]?.['refusal']]).toEqual([403, 'pin-mismatch']);
  });
});

function oldSignature(
  watch: SimulatedWatch,
  certificate: NonNullable<SimulatedWatch['certificate']>,
  body: Uint8Array,
) {
  const pool = [key, ...Array.from({ length: 3 }, () => watch.world.keys.take())];
  return signature(body, certificate, { key: pool.find((one) => one.spki.equals(certificate.spki))! });
}

type Deed =
  | 'its reply is lost'
  | 'it arrives twice, and the second answer counts'
  | 'it arrives again after the next';

/** A world in which, once armed, one deed is done to the nth request from then on. */
class BadNetwork {
  readonly world: World;
  #armed: { readonly nth: number; readonly deed: Deed } | null = null;
  #count = 0;
  #late: Request | null = null;

  constructor(world: World) {
    this.world = { ...world, send: (request) => this.#send(request, world) };
  }

  arm(nth: number, deed: Deed): void {
    this.#armed = { nth, deed };
    this.#count = 0;
  }

  /** How many requests there were since. */
  disarm(): number {
    this.#armed = null;
    return this.#count;
  }

  async #send(request: Request, world: World): Promise<Response> {
    this.#count += 1;
    if (this.#armed === null || this.#count !== this.#armed.nth) {
      const response = await world.send(request);
      if (this.#late !== null) await (await world.send(this.#late)).arrayBuffer();
      this.#late = null;
      return response;
    }
    const copy = request.clone() as Request;
    const response = await world.send(request);
    switch (this.#armed.deed) {
      case 'it arrives again after the next':
        this.#late = copy;
        return response;
      case 'its reply is lost':
        await Promise.all([response.arrayBuffer(), copy.body?.cancel()]);
        throw new ReplyLost('lost');
      case 'it arrives twice, and the second answer counts':
        await response.arrayBuffer();
        return world.send(copy);
    }
  }
}

describe('of all the requests of a pairing, each in turn:', () => {
  const deeds: Deed[] = [
    'its reply is lost',
    'it arrives twice, and the second answer counts',
    'it arrives again after the next',
  ];
  it.each(deeds)('%s, and the watch still enrolls', async (deed) => {
    const network = new BadNetwork(newWorld());
    const phone = await assignedPhone({ world: network.world });
    let requests = Number.POSITIVE_INFINITY;
    for (let nth = 1; nth <= requests; nth++) {
      const watch = await unpairedWatch(phone);
      network.arm(nth, deed);
      const outcome = await watch.pairWith(phone);
      requests = network.disarm();
      expect(outcome, `request ${nth}`).toMatchObject(DONE);
      await order(watch, 'SecurityInfo');
      expect((await watch.connect()).commands, `request ${nth}`).toMatchObject([{ status: 'Acknowledged' }]);
      await settle(watch);
      const ends = (await pairingsOf(watch)).map((pairing) => steps(pairing).at(-1));
      expect(
        ends.filter((step) => step === 'enrolled'),
        `request ${nth}`,
      ).toHaveLength(1);
    }
    expect(requests).toBeGreaterThanOrEqual(8);
  });
});

describe('a phone that changes in the middle', () => {
  const withdraw = (phone: SimulatedPhone) => admin('DELETE', `watch-enrollment/devices/${phone.udid}`);

  it('has no token to give once the assignment is withdrawn', async () => {
    const phone = await assignedPhone();
    const watch = await unpairedWatch(phone);
    const securityToken = await attacks.challengeOf(watch);
    await withdraw(phone);
    expect((await phone.getToken({ securityToken, watchUdid: watch.udid })).status).toBe(400);
    expect(steps(await pairingOf(watch))).toEqual(['challenged', 'claimed!phone-not-assigned']);
    await phone.connect();
    expect(phone.watchEnrollmentUrl()).toBeNull();
  });

  it.each<[string, string, (phone: SimulatedPhone) => Promise<unknown>]>([
    ['withdrawn after the token', 'phone-not-assigned', withdraw],
    ['checked out after the token', 'phone-not-enrolled', (phone) => phone.checkOut()],
    ['found unsupervised after the token', 'phone-unsupervised', reportUnsupervised],
  ])('%s ends the pairing, and says so to the person', async (_sentence, reason, act) => {
    const phone = await assignedPhone();
    const watch = await unpairedWatch(phone);
    const token = await attacks.obtainToken(watch, phone);
    await act(phone);
    const answer = await watch.requestProfile(token);
    expect(answer).toMatchObject({ status: 403, document: { code: 'com.escapement.enrollment.refused' } });
    expect(answer.document?.message).toMatch(/\S/);
    expect(await pairingOf(watch)).toMatchObject({ state: 'refused', reason });
  });

  it('no longer matters once the profile was given', async () => {
    const phone = await assignedPhone();
    const watch = await unpairedWatch(phone);
    const { profile } = await watch.requestProfile(await attacks.obtainToken(watch, phone));
    await phone.checkOut();
    await watch.install(profile!);
    await settle();
    expect(steps(await pairingOf(watch))).toEqual(ALL_STEPS);
  });

  async function reportUnsupervised(phone: SimulatedPhone): Promise<void> {
    phone.answers.set('DeviceInformation', () => ({ QueryResponses: { IsSupervised: false } }));
    await order(phone, 'DeviceInformation', {
      command: { RequestType: 'DeviceInformation', Queries: ['IsSupervised'] },
    });
    await phone.connect();
  }
});

describe('one token redeemed by 200 at once', () => {
  it.each([
    ['buys one profile', () => Promise.resolve()],
    ['buys one profile also when every object is evicted in between', () => evictAllDurableObjects()],
  ])('%s', async (_sentence, between) => {
    const phone = await assignedPhone();
    const watch = await unpairedWatch(phone);
    const token = await attacks.obtainToken(watch, phone);
    const half = () => attacks.race(Array(100).fill(watch) as SimulatedWatch[], token);
    const answers = await half();
    await between();
    answers.push(...(await half()));
    expect(answers.filter((answer) => answer.profile !== undefined)).toHaveLength(1);
    expect(new Set(answers.map((answer) => answer.status))).toEqual(new Set([200, 403]));
    expect(steps(await pairingOf(watch))[0]).toBe('challenged');
  });

  it('buys at most one when the objects are evicted while they work', async () => {
    const phone = await assignedPhone();
    const watch = await unpairedWatch(phone);
    const token = await attacks.obtainToken(watch, phone);
    const racing = attacks.race(Array(100).fill(watch) as SimulatedWatch[], token);
    await evictAllDurableObjects();
    const answers = [
      ...(await racing),
      ...(await attacks.race(Array(100).fill(watch) as SimulatedWatch[], token)),
    ];
    expect(answers.filter((answer) => answer.profile !== undefined).length).toBe(1);
  });
});

describe('one enrollment link', () => {
  it('taken by 50 at once gives one profile', async () => {
    const phone = await enrolledPhone();
    const { udid, serial } = phone;
    const { body } = await adminReply('POST', 'enrollment-links', {
      udid,
      serial,
      platform: 'iOS',
      signed: true,
    });
    secrets.add('link code', String(body['code']));
    const answers = await Promise.all(
      Array.from({ length: 50 }, () => send(new Request(String(body['url'])))),
    );
    const statuses = answers.map((answer) => answer.status);
    expect(statuses.filter((status) => status === 200)).toHaveLength(1);
    expect(statuses.filter((status) => status === 410)).toHaveLength(49);
  });

  it('makes a phone that is enrolled already enroll afresh, and its watch stays', async () => {
    const phone = await assignedPhone();
    const watch = await pairedWatch(phone);
    const { udid, serial } = phone;
    const { body } = await adminReply('POST', 'enrollment-links', {
      udid,
      serial,
      platform: 'iOS',
      signed: false,
    });
    secrets.add('link code', String(body['code']));
    await phone.enrollByLink(String(body['url']));
    await settle();
    await phone.connect();
    expect(phone.watchEnrollmentUrl()).not.toBeNull();
    await pairedWatch(phone);
    expect(await ordered(watch)).toEqual([]);
  });
});

describe('tokens at rest', () => {
  it('are sealed: UnlockToken and BootstrapToken are nowhere in clear', async () => {
    const phone = await enrolledPhone();
    expect(await phone.getBootstrapToken()).toBeNull();
    const token = Buffer.from('a bootstrap token of some length');
    await phone.setBootstrapToken(token);
    await evictAllDurableObjects();
    expect(await phone.getBootstrapToken()).toEqual(token);
    await phone.tokenUpdate({ withoutUnlockToken: true });
    expect(await phone.getBootstrapToken()).toEqual(token);
    expect((await phone.checkIn('SetBootstrapToken', {})).status).toBe(200);
    expect(await phone.getBootstrapToken()).toBeNull();
    await phone.setBootstrapToken(token);
    expect(phone.facts.unlockToken?.length).toBeGreaterThan(8);
  });
});
