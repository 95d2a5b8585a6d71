/**
 * The command queue of a pair over a bad network, from a seed: orders of either priority, some taken back, some that
 * expire; sessions in which replies are lost, requests come twice, objects are evicted, the line goes dead, anything
 * is put off, and orders come in between. Every exchange is held against a model (commands/queue-model.ts); in the end
 * each command was answered once or came to the end that the administrator chose. A failure prints the seed and what
 * was done.
 */
import { Buffer } from 'node:buffer';
import { afterAll, expect, it, vi } from 'vitest';
import { EVERY, type ManagedDevice, Random, ReplyLost, writePlist } from '../simulator/index.ts';
import {
  adminReply,
  assignedPhone,
  commandState,
  type Json,
  logged,
  logSince,
  newWorld,
  order,
  pairedWatch,
  printOnFailure,
  send,
} from '../support/front-door.ts';
import { checkInvariants, settle } from '../support/invariants.ts';
import { type Known, QueueModel } from './commands/queue-model.ts';
import { Cut, deeds, Network, type Weather } from './convergence/network.ts';

const SEEDS = [1, 2, 3, 4, 5, 6, Math.floor(Math.random() * 1e6)];
const STEPS = 12;
const SESSIONS_MAX = 25;

afterAll(() => vi.restoreAllMocks());

const PROFILE = writePlist({
  ...{ PayloadType: 'Configuration', PayloadVersion: 1, PayloadContent: [] },
  ...{ PayloadIdentifier: 'com.example.story', PayloadUUID: '00000000-0000-4000-8000-000000000001' },
}).toString('base64');

/** What may be ordered any number of times, and the priority that it has unless told. */
const COMMANDS: readonly (readonly [Json, 'urgent' | 'normal'])[] = [
  [{ RequestType: 'ProfileList' }, 'normal'],
  [{ RequestType: 'SecurityInfo' }, 'normal'],
  [{ RequestType: 'DeviceInformation', Queries: ['DeviceName', 'OSVersion'] }, 'normal'],
  [{ RequestType: 'InstalledApplicationList' }, 'normal'],
  [{ RequestType: 'ManagedApplicationList' }, 'normal'],
  [{ RequestType: 'InstallProfile', Payload: { $data: PROFILE } }, 'normal'],
  [{ RequestType: 'Settings', Settings: [{ Item: 'OrganizationInfo' }] }, 'normal'],
  [{ RequestType: 'DeviceLock' }, 'urgent'],
];

/** Of all seeds together: what never happened was not tried. */
const happened = { acknowledged: 0, error: 0, canceled: 0, expired: 0, 'put off': 0, woken: 0 };

class Story {
  readonly dice: Random;
  readonly done: string[] = [];
  readonly models = new Map<string, QueueModel>();
  readonly #network: Network;
  devices: readonly ManagedDevice[] = [];

  constructor(seed: number) {
    this.dice = new Random(seed);
    this.#network = new Network(this.dice.fork(), (request) => this.#judged(request));
  }

  async begin(): Promise<void> {
    const plain = newWorld({ send: this.#network.send });
    const world = {
      ...plain,
      mischief: { notNow: 0, resendResult: 0.1, doubleTokenUpdate: 0, doubleAuthenticate: 0 },
    };
    const phone = await assignedPhone({ world, name: 'phone' });
    const watch = await pairedWatch(phone, { name: 'watch' });
    this.devices = [phone, watch];
    for (const device of this.devices) {
      await settle(device);
      for (let i = 0; i < 4; i++) await device.connect();
      await settle(device);
      this.models.set(device.udid, new QueueModel(device.name));
    }
  }

  async step(): Promise<void> {
    const device = this.dice.pick(this.devices);
    for (let i = this.dice.int(4); i > 0; i--)
      await this.edit(this.dice.chance(0.8) ? device : this.dice.pick(this.devices));
    for (let i = 1 + this.dice.int(2); i > 0; i--) await this.#session(device, this.#weather(device));
  }

  async edit(device: ManagedDevice): Promise<void> {
    const kind = this.dice.pick(['order', 'order', 'order', 'burst', 'cancel', 'late', 'mood'] as const);
    if (kind === 'order') await this.#order(device);
    if (kind === 'burst') for (let i = 0; i < 5; i++) await this.#order(device);
    if (kind === 'cancel') await this.#cancel(device);
    if (kind === 'late') await this.#orderLate(device);
    if (kind === 'mood') this.#mood(device);
  }

  async #order(device: ManagedDevice, lifeMs: number | null = null): Promise<void> {
    const [command, usual] = this.dice.pick(COMMANDS);
    const wished = this.dice.pick(['usual', 'usual', 'usual', 'urgent', 'normal'] as const);
    const expiresAtMs = lifeMs === null ? null : Date.now() + lifeMs;
    const uuid = await order(device, String(command['RequestType']), {
      command,
      ...(wished === 'usual' ? {} : { priority: wished }),
      ...(expiresAtMs === null ? {} : { expiresAt: new Date(expiresAtMs).toISOString() }),
    });
    const priority = wished === 'usual' ? usual : wished;
    this.#model(device).ordered(uuid, String(command['RequestType']), priority === 'urgent', expiresAtMs);
    this.done.push(`${device.name}: ${priority} ${String(command['RequestType'])} ${uuid.slice(0, 4)}`);
  }

  /** Its time comes before the device does, or while it is out: the session in between may break off. */
  async #orderLate(device: ManagedDevice): Promise<void> {
    const lifeMs = 400;
    await this.#order(device, lifeMs);
    if (this.dice.chance(0.5)) await this.#session(device, { bad: false, cutAfter: 1 });
    await new Promise((resolve) => setTimeout(resolve, lifeMs));
    this.done.push('… whose time ran out');
  }

  async #cancel(device: ManagedDevice): Promise<void> {
    const model = this.#model(device);
    if (model.known.length === 0) return;
    const open = model.known.filter((one) => one.state === 'waiting');
    const one = this.dice.pick(open.length > 0 && this.dice.chance(0.8) ? open : model.known);
    const expected = model.cancelable(one, Date.now());
    if (expected === null) return;
    const { status } = await adminReply('DELETE', `devices/${device.udid}/commands/${one.uuid}`);
    this.done.push(`${device.name}: cancel ${one.uuid.slice(0, 4)}: ${status}`);
    expect(status < 300, `cancel ${one.requestType} ${one.state}: ${status}`).toBe(expected);
    if (expected) one.state = 'canceled';
  }

  #mood(device: ManagedDevice): void {
    const type = this.dice.chance(0.5) ? EVERY : String(this.dice.pick(COMMANDS)[0]['RequestType']);
    if (this.dice.chance(0.7)) device.manners.defer(type, 1 + this.dice.int(4));
    else device.manners.fail(type);
    this.done.push(`${device.name} is not in the mood for ${type}`);
  }

  #weather(device: ManagedDevice): Weather {
    const between = this.dice.chance(0.4) ? { at: 1 + this.dice.int(5), beside: false } : null;
    return {
      bad: this.dice.chance(0.7),
      ...(this.dice.chance(0.25) ? { cutAfter: this.dice.int(7) } : {}),
      ...(between === null ? {} : { meanwhile: { ...between, act: () => this.#between(device) } }),
    };
  }

  /** An administrator's deed in the middle of a session. */
  async #between(device: ManagedDevice): Promise<void> {
    if (this.dice.chance(0.7)) await this.#order(device);
    else await this.#cancel(device);
  }

  async #session(device: ManagedDevice, weather: Weather): Promise<void> {
    const model = this.#model(device);
    await settle(device);
    const from = logged.length;
    model.wakesDue = 0;
    this.#network.weather = weather;
    let over = true;
    try {
      const { commands } = await device.connect({ resume: this.dice.chance(0.5) });
      this.done.push(`${device.name}: ${commands.map((one) => one.status).join(', ') || 'nothing'}`);
    } catch (error) {
      if (!(error instanceof Cut || error instanceof ReplyLost)) throw error;
      this.done.push(`${device.name} was cut off`);
      over = false;
    }
    this.#network.weather = { bad: false };
    await settle(device);
    const wakes = logSince(from).filter((line) => line['event'] === 'wake' && line['udid'] === device.udid);
    happened.woken += wakes.length;
    if (over) expect(wakes.length > 0, 'woken if NotNow was not the last word').toBe(model.wakesDue > 0);
  }

  /** Polls until nothing waits. */
  async finish(): Promise<void> {
    for (const device of this.devices) {
      const waits = () => this.#model(device).known.some((one) => one.state === 'waiting' && isAhead(one));
      for (let i = 0; waits(); i++) {
        if (i === SESSIONS_MAX) throw new Error(`${device.name}: commands still wait`);
        await this.#session(device, { bad: false });
      }
      for (const one of this.#model(device).known) {
        const expected = one.state === 'waiting' || one.state === 'dropped' ? 'expired' : one.state;
        expect(await commandState(device, one.uuid), `${one.requestType} ${one.uuid}`).toBe(expected);
      }
    }
  }

  #model(device: ManagedDevice): QueueModel {
    const model = this.models.get(device.udid);
    if (model === undefined) throw new Error(`${device.name} has no model`);
    return model;
  }

  async #judged(request: Request): Promise<Response> {
    if (new URL(request.url).pathname !== '/mdm/connect') return send(request);
    const sent = Buffer.from(await (request.clone() as Request).arrayBuffer()).toString();
    const fromMs = Date.now();
    const response = await send(request);
    const model = this.models.get(/<key>UDID<\/key>\s*<string>([^<]*)/.exec(sent)?.[1] ?? '');
    model?.exchange(sent, Buffer.from(await response.clone().arrayBuffer()).toString(), fromMs, Date.now());
    return response;
  }
}

function isAhead({ expiresAtMs }: Known): boolean {
  return expiresAtMs === null || expiresAtMs > Date.now();
}

it.each(SEEDS)(
  'commands go out in order and once, whatever happens: seed %i',
  { timeout: 120_000 },
  async (seed) => {
    const story = new Story(seed);
    printOnFailure(() => `seed ${seed}:\n${story.done.join('\n')}`);
    await story.begin();
    for (let i = 0; i < STEPS; i++) await story.step();
    await story.finish();
    for (const { known } of story.models.values()) {
      for (const { state, deferrals } of known) {
        happened[state === 'waiting' || state === 'dropped' ? 'expired' : state] += 1;
        happened['put off'] += deferrals;
      }
    }
    await checkInvariants();
  },
);

it('all of it was tried', () => {
  const { 'edit beside a session': _beside, 'put off': _moods, ...network } = deeds;
  const never = Object.entries({ ...network, ...happened }).filter(([, times]) => times === 0);
  expect(never.map(([what]) => what)).toEqual([]);
});
