/**
 * What an administrator may do, and what may happen to a device, one entry each: `edit` does it to the server and to
 * the model and says in a few words what it did. Another kind is another entry. The server's answer is checked where
 * the model foretells it.
 */
import { expect } from 'vitest';
import type { ManagedDevice, Random } from '../../simulator/index.ts';
import { admin, adminReply } from '../../support/front-door.ts';
import { declare } from '../../support/put-declaration.ts';
import { CREATE, call, REPLACE } from '../../support/uploads.ts';
import { CONDITIONS, DATA, type Kind, type Model, PROPERTIES, SIMPLE, SIRI, TEST } from './model.ts';

export interface Stage {
  readonly model: Model;
  readonly dice: Random;
  readonly devices: readonly ManagedDevice[];
  /** Of identifiers and sets, so that no two stories meet. */
  readonly prefix: string;
}

export interface Edit {
  readonly weight: number;
  /** Null when there is nothing that it could be done to. */
  edit(stage: Stage): Promise<string | null>;
}

export const SETS = ['s', 't'] as const;
export const GROUPS = ['g', 'h'] as const;
/** Echoes: some with variables, of which not every device has a value. */
const TEXTS = ['0', '1', '2', `\${udid}`, `\${serial}/\${property.team}`] as const;
const TESTS = ['a', 'b', 'c', 'd'] as const;
const ACTIVATIONS = ['x', 'y'] as const;
/** What is touched, deleted and declared again; the asset is only uploaded. */
const NAMES = [...TESTS, 'siri', 'user', ...ACTIVATIONS, 'p'] as const;

const subset = <T>(dice: Random, items: readonly T[], chance = 0.5) =>
  items.filter(() => dice.chance(chance));
const nameOf = (device: ManagedDevice) => device.name;

export async function put(
  stage: Stage,
  name: string,
  kind: Kind,
  type: string,
  payload: Record<string, unknown>,
) {
  await declare(`${stage.prefix}.${name}`, type, payload);
  stage.model.declare({ name, kind, type, payload });
  return `${name} := ${JSON.stringify(payload)}`;
}

const replaceTest: Edit = {
  weight: 5,
  edit: (stage) => {
    const { dice } = stage;
    return put(stage, dice.pick(TESTS), 'configuration', TEST, { Echo: dice.pick(TEXTS) });
  },
};

/** A configuration that may need the asset, whether or not a device has that. */
const replaceUser: Edit = {
  weight: 2,
  edit: (stage) => {
    const needs = stage.model.declared.has('file') && stage.dice.chance(0.7);
    const reference = needs ? { EchoDataAssetReference: `${stage.prefix}.file` } : {};
    return put(stage, 'user', 'configuration', TEST, { Echo: 'data', ...reference });
  },
};

/** The server seals the data, makes the declaration, and gives the data to those who hold it. */
export const upload: Edit = {
  weight: 2,
  edit: async ({ model, dice, prefix }) => {
    const data = dice.pick(['b25l', 'dHdv']);
    const known = model.declared.get('file');
    const { status, kind } = await call(
      'PUT',
      `/assets/${prefix}.file`,
      { type: DATA, contentType: 'text/plain', data },
      known === undefined ? CREATE : REPLACE,
    );
    expect([status, kind]).toEqual([known === undefined ? 201 : 200, '']);
    model.declare({ name: 'file', kind: 'asset', type: DATA, payload: { data } });
    if (known !== undefined && known.payload['data'] !== data) model.touch('file');
    return `upload ${data}`;
  },
};

/** Withheld from the watches. */
const replaceSiri: Edit = {
  weight: 1,
  edit: (stage) => put(stage, 'siri', 'configuration', SIRI, { AllowWhileLocked: stage.dice.chance(0.5) }),
};

const replaceActivation: Edit = {
  weight: 4,
  edit: (stage) => {
    const { dice, model, prefix } = stage;
    const named = subset(dice, model.configurations).map((name) => `${prefix}.${name}`);
    const { text } = dice.pick(CONDITIONS);
    const payload = { StandardConfigurations: named, ...(text === null ? {} : { Predicate: text }) };
    return put(stage, dice.pick(ACTIVATIONS), 'activation', SIMPLE, payload);
  },
};

const replaceProperties: Edit = {
  weight: 2,
  edit: (stage) =>
    put(stage, 'p', 'management', PROPERTIES, { stage: stage.dice.pick(['on', 'off', 'unset']) }),
};

/** The same content again: nothing may come of it. */
const repeat: Edit = {
  weight: 2,
  edit: (stage) => {
    const one = stage.model.declared.get(stage.dice.pick(NAMES));
    if (one === undefined) return Promise.resolve(null);
    return put(stage, one.name, one.kind, one.type, { ...one.payload });
  },
};

const touch: Edit = {
  weight: 1,
  edit: async ({ model, dice, prefix }) => {
    const name = dice.pick(NAMES);
    const { status } = await adminReply('POST', `declarations/${prefix}.${name}/touch`);
    expect(status, `touch ${name}`).toBe(model.declared.has(name) ? 200 : 404);
    model.touch(name);
    return `touch ${name}`;
  },
};

const remove: Edit = {
  weight: 2,
  edit: async ({ model, dice, prefix }) => {
    const name = dice.pick(NAMES);
    const { status } = await adminReply('DELETE', `declarations/${prefix}.${name}`);
    const expected = !model.declared.has(name) ? 404 : model.isUsed(name) ? 409 : 204;
    expect(status, `delete ${name}`).toBe(expected);
    if (status === 204) model.declared.delete(name);
    return `delete ${name}: ${status}`;
  },
};

const putSet: Edit = {
  weight: 4,
  edit: async ({ model, dice, prefix }) => {
    const [set, names] = [dice.pick(SETS), subset(dice, [...model.declared.keys()], 0.7)];
    await admin('PUT', `sets/${prefix}.${set}`, { declarations: names.map((name) => `${prefix}.${name}`) });
    model.sets.set(set, new Set(names));
    return `set ${set} := ${names.join(' ')}`;
  },
};

const assign: Edit = {
  weight: 3,
  edit: async ({ model, dice, devices, prefix }) => {
    const [set, device] = [dice.pick(SETS), dice.pick(devices)];
    await admin('PUT', `sets/${prefix}.${set}/devices/${device.udid}`);
    model.assigned.get(device.udid)?.add(set);
    return `${nameOf(device)} gets ${set}`;
  },
};

const unassign: Edit = {
  weight: 1,
  edit: async ({ model, dice, devices, prefix }) => {
    const [set, device] = [dice.pick(SETS), dice.pick(devices)];
    await adminReply('DELETE', `sets/${prefix}.${set}/devices/${device.udid}`);
    model.assigned.get(device.udid)?.delete(set);
    return `${nameOf(device)} loses ${set}`;
  },
};

const groupDevices: Edit = {
  weight: 3,
  edit: async ({ model, dice, devices, prefix }) => {
    const [group, chosen] = [dice.pick(GROUPS), subset(dice, devices).map(({ udid }) => udid)];
    const isAdding = dice.chance(0.6);
    await admin('POST', `groups/${prefix}.${group}/devices`, { [isAdding ? 'add' : 'remove']: chosen });
    const members = model.groups.get(group);
    for (const udid of chosen) isAdding ? members?.add(udid) : members?.delete(udid);
    return `${group} ${isAdding ? 'gains' : 'loses'} ${chosen.length}`;
  },
};

/** Staged: the same devices come first at each percentage. */
const rollOut: Edit = {
  weight: 3,
  edit: async ({ model, dice, prefix }) => {
    const [set, group, percent] = [dice.pick(SETS), dice.pick(GROUPS), dice.pick([0, 25, 50, 75, 100])];
    const path = `sets/${prefix}.${set}/groups/${prefix}.${group}`;
    const groups = model.rollouts.get(set) ?? new Map();
    model.rollouts.set(set, groups);
    if (percent === 0 && dice.chance(0.5)) {
      const { status } = await adminReply('DELETE', path);
      expect(status, path).toBeLessThan(500);
      groups.delete(group);
      return `${set} not for ${group}`;
    }
    await admin('PUT', path, { percent });
    groups.set(group, percent);
    return `${set} for ${percent} percent of ${group}`;
  },
};

const setProperties: Edit = {
  weight: 3,
  edit: async ({ model, dice, devices }) => {
    const device = dice.pick(devices);
    const of = model.circumstances.get(device.udid);
    if (of === undefined) return null;
    const ring = dice.chance(0.7) ? { ring: dice.int(4) } : {};
    const properties = { ...ring, ...(dice.chance(0.6) ? { team: dice.pick(['red', 'blue']) } : {}) };
    await admin('PUT', `devices/${device.udid}/properties`, { properties });
    of.properties = properties;
    return `${nameOf(device)} has ${JSON.stringify(properties)}`;
  },
};

/** Flips predicates without anybody declaring anything. */
const change: Edit = {
  weight: 5,
  edit: ({ model, dice, devices }) => {
    const device = dice.pick(devices);
    const of = model.circumstances.get(device.udid);
    if (of === undefined) return Promise.resolve(null);
    of.present = dice.chance(0.5);
    of.integer = dice.int(6);
    of.text = dice.pick(['red', 'green', 'blue']);
    device.facts.passcode = of.present;
    device.facts.status.set('test.integer-value', of.integer);
    device.facts.status.set('test.string-value', of.text);
    return Promise.resolve(`${nameOf(device)} is ${JSON.stringify(of)}`);
  },
};

/** Several at once, none waiting for another. */
const burst: Edit = {
  weight: 1,
  edit: async (stage) => {
    const done = TESTS.map((name) =>
      put(stage, name, 'configuration', TEST, { Echo: String(stage.dice.int(3)) }),
    );
    return `at once: ${(await Promise.all(done)).join(', ')}`;
  },
};

export const EDITS: readonly Edit[] = [
  replaceTest,
  replaceUser,
  upload,
  replaceSiri,
  replaceActivation,
  replaceProperties,
  repeat,
  touch,
  remove,
  putSet,
  assign,
  unassign,
  groupDevices,
  rollOut,
  setProperties,
  change,
  burst,
];

const TOTAL = EDITS.reduce((sum, { weight }) => sum + weight, 0);

/** One that could be done, in words. */
export async function editAtRandom(stage: Stage): Promise<string> {
  for (;;) {
    let left = stage.dice.int(TOTAL);
    for (const { weight, edit } of EDITS) {
      left -= weight;
      if (left >= 0) continue;
      const done = await edit(stage);
      if (done !== null) return done;
      break;
    }
  }
}
