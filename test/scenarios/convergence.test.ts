/**
 * After every change, by an administrator or of a device itself, an iPhone and two watches come to hold exactly what
 * is declared, over a bad network and with objects evicted; they are told exactly when it changed, server tokens
 * and the DeclarationsToken change exactly with the content, and the API shows what the devices report. A failure
 * prints the seed and the edits; the seed alone replays them.
 */
import { afterEach, expect, it } from 'vitest';
import { type ManagedDevice, Random, SimulatorError } from '../simulator/index.ts';
import {
  admin,
  assignedPhone,
  type Json,
  newWorld,
  pairedWatch,
  printOnFailure,
} from '../support/front-door.ts';
import { checkInvariants, settle } from '../support/invariants.ts';
import { udid } from '../support/pairing.ts';
import { editAtRandom, GROUPS, put, SETS, type Stage, upload } from './convergence/edits.ts';
import { type Declared, keyOf, Model, PROPERTIES, SIMPLE, TEST } from './convergence/model.ts';
import { Cut, deeds, Network, type Weather } from './convergence/network.ts';

const STEPS = 14;
const SESSIONS_MAX = 12;
const OWN = 'com.escapement.';

afterEach(checkInvariants);

/** Each key has one value and each value one key, over the whole story. */
class Bijection {
  readonly #values = new Map<string, string>();
  readonly #keys = new Map<string, string>();

  expect(key: string, value: string): void {
    expect(this.#values.get(key) ?? value, `the token of the same content: ${key}`).toBe(value);
    expect(this.#keys.get(value) ?? key, `the content of the same token ${value}`).toBe(key);
    this.#values.set(key, value);
    this.#keys.set(value, key);
  }
}

class Story implements Stage {
  readonly dice: Random;
  readonly network: Network;
  readonly model = new Model();
  readonly prefix: string;
  readonly edits: string[] = [];
  /** Of the devices: theirs alone, because an edit may run beside a session. */
  readonly #moods: Random;
  readonly #serverTokens = new Bijection();
  readonly #setTokens = new Bijection();
  devices: readonly ManagedDevice[] = [];

  constructor(seed: number) {
    this.dice = new Random(seed);
    this.network = new Network(this.dice.fork());
    this.#moods = this.dice.fork();
    this.prefix = `c${seed}`;
  }

  async begin(): Promise<void> {
    const world = newWorld({ send: this.network.send });
    const phone = await assignedPhone({ world, osVersion: '27.0', name: 'phone' });
    const watches = [
      await pairedWatch(phone, { name: 'watch' }),
      await pairedWatch(phone, { name: 'other' }),
    ];
    this.devices = [phone, ...watches];
    await this.#declareFirst();
    for (const group of GROUPS) {
      await admin('PUT', `groups/${this.prefix}.${group}`);
      this.model.groups.set(group, new Set());
    }
    for (const [i, device] of this.devices.entries()) {
      const set = SETS[i % SETS.length] ?? SETS[0];
      await admin('PUT', `sets/${this.prefix}.${set}/devices/${device.udid}`);
      this.model.assigned.set(device.udid, new Set([set]));
      const own = { present: device.facts.passcode, integer: 42, text: 'red' };
      const { serial } = device;
      const fixed = { udid: udid(device.udid), serial, isWatch: device !== phone, properties: {} };
      this.model.circumstances.set(device.udid, { ...fixed, ...own });
      device.facts.status.set('test.string-value', own.text);
      await settle(device);
      await this.#untilQuiet(device, false);
    }
  }

  /** Something to begin with: two sets, each with an activation under a condition. */
  async #declareFirst(): Promise<void> {
    for (const name of ['a', 'b']) await put(this, name, 'configuration', TEST, { Echo: '0' });
    await upload.edit(this);
    const EchoDataAssetReference = `${this.prefix}.file`;
    await put(this, 'user', 'configuration', TEST, { Echo: 'data', EchoDataAssetReference });
    await put(this, 'p', 'management', PROPERTIES, { stage: 'on' });
    const StandardConfigurations = [`${this.prefix}.a`];
    const Predicate = '@status(passcode.is-present) == TRUE';
    await put(this, 'x', 'activation', SIMPLE, { StandardConfigurations, Predicate });
    await put(this, 'y', 'activation', SIMPLE, {
      StandardConfigurations: ['b', 'user'].map((name) => `${this.prefix}.${name}`),
    });
    const sets = { s: ['a', 'p', 'x'], t: ['b', 'user', 'file', 'y'] } as const;
    for (const set of SETS) {
      const declarations = sets[set].map((name) => `${this.prefix}.${name}`);
      await admin('PUT', `sets/${this.prefix}.${set}`, { declarations });
      this.model.sets.set(set, new Set(sets[set]));
    }
  }

  /** One edit or a few, some in the middle of a session; then every device is as it should be. */
  async step(): Promise<void> {
    const before = this.devices.map((device) => this.model.contentOf(device.udid));
    const tokens = this.devices.map((device) => device.declarationsToken);
    this.network.forget();
    for (let i = this.dice.pick([1, 1, 1, 2, 4]); i > 0; i--) await this.edit();
    for (const device of this.devices) await this.#expectOnePending(device);
    const edited = this.edits.length;
    for (const device of this.devices) await this.#untilQuiet(device, this.dice.chance(0.6));
    // An edit in the middle of one device's session came after another's.
    if (this.edits.length > edited) for (const device of this.devices) await this.#untilQuiet(device, false);
    for (const [i, device] of this.devices.entries()) {
      const changed = before[i] !== this.model.contentOf(device.udid);
      if (changed) expect(this.network.toldOf(device.udid), `${device.name} was told`).toBeGreaterThan(0);
      await this.#check(device);
      if (!changed && !this.#changedBetween.has(device)) {
        expect(this.network.toldOf(device.udid), `${device.name} was told of nothing`).toBe(0);
        expect(device.declarationsToken, device.name).toBe(tokens[i]);
      }
    }
    this.#changedBetween.clear();
  }

  /** Devices whose set changed and may have changed back since the step began. */
  readonly #changedBetween = new Set<ManagedDevice>();

  async edit(): Promise<void> {
    const before = this.devices.map((device) => this.model.contentOf(device.udid));
    this.edits.push(await editAtRandom(this));
    for (const [i, device] of this.devices.entries()) {
      if (before[i] !== this.model.contentOf(device.udid)) this.#changedBetween.add(device);
    }
  }

  async #untilQuiet(device: ManagedDevice, bad: boolean): Promise<void> {
    for (let session = 1; session <= SESSIONS_MAX; session++) {
      await settle(device);
      const fair = !bad || session > 2;
      this.network.weather = fair ? { bad: false } : this.#badWeather();
      const notNow = () => {
        const putOff = !fair && this.#moods.chance(0.2);
        if (putOff) deeds['put off']++;
        return putOff;
      };
      try {
        const { commands, sync, reported } = await device.connect({ notNow });
        if (fair && commands.length === 0 && sync === null && !reported) return;
      } catch (error) {
        // A declaration that changed while it was fetched is answered 503, and the device comes again.
        const again = error instanceof SimulatorError && error.message.includes('got 503');
        if (!again && !(error instanceof Cut)) throw error;
      } finally {
        await this.network.settled();
        this.network.weather = { bad: false };
      }
    }
    throw new Error(`${device.name} does not come to rest`);
  }

  #badWeather(): Weather {
    const cut = this.dice.chance(0.4) ? { cutAfter: this.dice.int(8) } : {};
    const at = this.dice.int(6);
    const meanwhile = { at, beside: this.dice.chance(0.5), act: () => this.edit() };
    return { bad: true, ...cut, ...(this.dice.chance(0.3) ? { meanwhile } : {}) };
  }

  async #expectOnePending(device: ManagedDevice): Promise<void> {
    const { items } = await admin('GET', `devices/${device.udid}/commands?limit=20`);
    const open = (items as Json[]).filter(
      (one) =>
        one['requestType'] === 'DeclarativeManagement' &&
        ['pending', 'delivered', 'not-now'].includes(String(one['state'])),
    );
    expect(open.length, `DeclarativeManagement commands open for ${device.name}`).toBeLessThan(2);
  }

  async #check(device: ManagedDevice): Promise<void> {
    const expected = this.model.expectedOf(device.udid);
    const held = device.declarations.filter(({ declaration }) => !declaration.identifier.startsWith(OWN));
    const seen = held.map(({ declaration, active, valid, reasons }) => {
      const { identifier, kind, type, serverToken } = declaration;
      const name = identifier.slice(this.prefix.length + 1);
      const declared = expected.get(name)?.declared;
      if (declared !== undefined) this.#serverTokens.expect(`${this.prefix} ${keyOf(declared)}`, serverToken);
      const payload = kind === 'asset' ? dataOf(device, identifier, active, declared) : declaration.payload;
      return [name, { kind, type, payload, active, valid, codes: reasons.map(({ code }) => code) }] as const;
    });
    const wanted = [...expected].map(([name, { declared, active, valid, codes }]) => {
      const { kind, type, payload } = declared;
      verdicts.add(`${kind} ${active ? 'active' : codes.join(', ')}`);
      return [name, { kind, type, payload, active, valid, codes }] as const;
    });
    expect(Object.fromEntries(seen), `what ${device.name} holds`).toEqual(Object.fromEntries(wanted));
    const all = device.declarations.map(
      ({ declaration: one }) => `${one.kind} ${one.identifier} ${one.serverToken}`,
    );
    this.#setTokens.expect(all.sort().join('\n'), await this.#tokenOf(device));
    await this.#checkShown(device);
  }

  /** As the server has it, which is as the device has it, unless it was never told of anything. */
  async #tokenOf(device: ManagedDevice): Promise<string> {
    const reply = await device.checkIn('DeclarativeManagement', { Endpoint: 'tokens' });
    const { SyncTokens } = JSON.parse(reply.body.toString()) as { SyncTokens: { DeclarationsToken: string } };
    expect(device.declarationsToken ?? SyncTokens.DeclarationsToken).toBe(SyncTokens.DeclarationsToken);
    return SyncTokens.DeclarationsToken;
  }

  /** The administrator's view: what the device reports of what it holds, and what it was not given. */
  async #checkShown(device: ManagedDevice): Promise<void> {
    const { items } = await admin('GET', `devices/${device.udid}/declarations`);
    const isWithheld = (item: Json) => item['withheld'] !== undefined;
    const shown = (items as Json[])
      .filter((item) => !isWithheld(item))
      .map((item) => [item['identifier'], viewOf(item)]);
    const own = device.declarations.map(({ declaration, active, valid, reasons }) => [
      declaration.identifier,
      {
        serverToken: declaration.serverToken,
        fetched: true,
        active,
        valid,
        codes: reasons.map(({ code }) => code),
      },
    ]);
    expect(Object.fromEntries(shown), `what is shown of ${device.name}`).toEqual(Object.fromEntries(own));
    const withheld = (items as Json[]).filter(isWithheld).map((item) => String(item['identifier']));
    const names = this.model.withheldFrom(device.udid).map((name) => `${this.prefix}.${name}`);
    expect(withheld.sort(), `withheld from ${device.name}`).toEqual(names);
    await this.#expectOnePending(device);
  }
}

/** An asset in use is compared by the data that the device has of it; one that is not may never have been asked for. */
function dataOf(device: ManagedDevice, identifier: string, active: boolean, declared?: Declared): unknown {
  return active ? { data: device.assetData(identifier)?.toString('base64') } : declared?.payload;
}

function viewOf({ serverToken, fetched, active, valid, reasons }: Json): Json {
  return { serverToken, fetched, active, valid, codes: (reasons as Json[]).map(({ code }) => code) };
}

/** What devices made of declarations, in all stories. */
const verdicts = new Set<string>();

const random = Math.floor(Math.random() * 2 ** 24);

it.each([1, 2, 3, random])(
  'an iPhone and two watches converge to what is declared: seed %i',
  async (seed) => {
    const story = new Story(seed);
    printOnFailure(() => `seed ${seed}, edits:\n  ${story.edits.join('\n  ')}`);
    await story.begin();
    for (let i = 0; i < STEPS; i++) await story.step();
  },
  60_000,
);

it('everything that can go wrong did, and every verdict was given', () => {
  const never = Object.entries(deeds).filter(([, count]) => count === 0);
  expect(never).toEqual([]);
  expect([...verdicts].sort()).toEqual([
    'activation Error.MissingConfigurations',
    'activation Info.Predicate',
    'activation active',
    'asset Info.NotReferencedByConfiguration',
    'asset active',
    'configuration Error.MissingAssets',
    'configuration Error.MissingAssets, Info.NotReferencedByActivation',
    'configuration Info.NotReferencedByActivation',
    'configuration active',
    'management ',
  ]);
});
