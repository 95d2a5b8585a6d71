// biome-ignore-all lint/suspicious/noTemplateCurlyInString: variables in declarations are written like this
/** What one device is to hold: which sets, which declarations, what is withheld and why, and the tokens. */
import { describe, expect, it } from 'vitest';
import {
  type CompiledFor,
  compileManifest,
  entriesOf,
  loadCatalogs,
  MANIFEST_ENTRIES_MAX,
  setsFor,
} from '../../../src/domain/declaration/compile.ts';
import type { Assigned, AssignedDeclaration } from '../../../src/domain/declaration/library-ports.ts';
import { NO_PROPERTIES } from '../../../src/domain/declaration/properties.ts';
import { serverTokenOf } from '../../../src/domain/declaration/server-token.ts';
import { shardOf } from '../../../src/domain/declaration/shard.ts';
import type { Udid } from '../../../src/domain/ids.ts';
import { sha256Hex } from '../../../src/pki/digest.ts';
import type { JsonObject } from '../../../src/protocol/plist/json.ts';
import { serial, udid } from '../../support/pairing.ts';

const TEST = 'com.apple.configuration.management.test';
const SIRI = 'com.apple.configuration.siri.settings';
const NAME = udid('DEVICE-0001');
const catalogs = await loadCatalogs();

const plain = (identifier: string, over: Partial<AssignedDeclaration> = {}): AssignedDeclaration => ({
  kind: 'configuration',
  identifier,
  type: TEST,
  content: { serverToken: `token of ${identifier}` },
  ...over,
});
const template = (identifier: string, payload: JsonObject, salt: string | null = null): AssignedDeclaration =>
  plain(identifier, { content: { payload, templated: true, salt } });

const assigned = (
  over: Partial<Assigned> & { readonly list?: readonly AssignedDeclaration[] },
): Assigned => ({
  memberships: [{ set: 's', group: null, percent: 100 }],
  sets: new Map([['s', over.list ?? []]]),
  watchEnrollment: [],
  properties: NO_PROPERTIES,
  subscriptions: new Map([
    ['watchOS', []],
    ['iOS', []],
  ]),
  ...over,
});

const WATCH: CompiledFor = {
  platform: 'watchOS',
  osVersion: '26.1',
  serial: serial('SERIAL0001'),
  capabilities: null,
  declarations: [],
};
const compile = (
  what: Parameters<typeof assigned>[0],
  device: Partial<CompiledFor> = {},
  name: Udid = NAME,
) => compileManifest(name, assigned(what), { ...WATCH, ...device }, { catalogs, sha256Hex });
const reasons = async (...args: Parameters<typeof compile>) =>
  (await compile(...args)).map((one) => [one.identifier, one.withheld?.rule ?? null]);
const able = (...configurations: string[]) => JSON.stringify({ supportedDeclarations: { configurations } });
/** A device whose shard is this. */
function inShard(shard: number): Udid {
  for (let n = 0; ; n++) if (shardOf(udid(`DEVICE-${n}-0000`)) === shard) return udid(`DEVICE-${n}-0000`);
}

describe('the sets of a device', () => {
  const memberships = [
    { set: 'b', group: 'g', percent: 10 },
    { set: 'a', group: 'everyone', percent: 100 },
    { set: 'c', group: 'g', percent: 0 },
  ];

  it.each([
    [0, ['a', 'b']],
    [9, ['a', 'b']],
    [10, ['a']],
    [99, ['a']],
  ])('are those of its groups up to its shard: %i', (shard, sets) => {
    expect(setsFor(inShard(shard), assigned({ memberships }))).toEqual(sets);
  });

  it('are its own at any shard, each once however it comes to it', () => {
    const own = [...memberships, { set: 'b', group: null, percent: 100 }];
    expect(setsFor(inShard(99), assigned({ memberships: own }))).toEqual(['a', 'b']);
  });

  it('only grow when a percentage grows', () => {
    const names = Array.from({ length: 300 }, (_, n) => udid(`DEVICE-${n}-0000`));
    const having = (percent: number) => {
      const only = assigned({ memberships: [{ set: 's', group: 'g', percent }] });
      return new Set(names.filter((name) => setsFor(name, only).length > 0));
    };
    let before = having(0);
    expect(before.size).toBe(0);
    for (const percent of [1, 10, 50, 99, 100]) {
      const now = having(percent);
      for (const name of before) expect(now.has(name)).toBe(true);
      before = now;
    }
    expect(before.size).toBe(names.length);
  });
});

describe('a manifest', () => {
  it('has each declaration once, with every set that it comes from, in order of kind and identifier', async () => {
    const sets = new Map([
      ['y', [plain('b'), plain('a')]],
      ['x', [plain('b'), plain('z', { kind: 'activation', type: 'com.apple.activation.simple' })]],
    ]);
    const memberships = ['y', 'x'].map((set) => ({ set, group: null, percent: 100 }));
    const compiled = await compile({ sets, memberships });
    expect(compiled.map(({ identifier, origin }) => [identifier, origin.sets])).toEqual([
      ['z', ['x']],
      ['a', ['y']],
      ['b', ['x', 'y']],
    ]);
  });

  it('withholds by platform, version and capabilities, and says which', async () => {
    const list = [plain('siri', { type: SIRI }), plain('test')];
    expect(await reasons({ list })).toEqual([
      ['siri', 'version'],
      ['test', null],
    ]);
    expect(await reasons({ list }, { osVersion: '26.4' })).toEqual([
      ['siri', null],
      ['test', null],
    ]);
    expect(await reasons({ list }, { osVersion: '26.4', capabilities: able(SIRI) })).toEqual([
      ['siri', null],
      ['test', 'capabilities'],
    ]);
    const phones = [plain('w', { type: 'com.apple.configuration.watch.enrollment' })];
    expect(await reasons({ list: phones })).toEqual([['w', 'platform']]);
    expect(await reasons({ list: phones }, { platform: 'iOS' })).toEqual([['w', null]]);
  });

  it('gives everyone a type that the catalog does not know, unless the device says that it does not take it', async () => {
    const list = [plain('new', { type: 'com.apple.configuration.of.tomorrow' })];
    expect(await reasons({ list }, { osVersion: null })).toEqual([['new', null]]);
    expect(await reasons({ list }, { capabilities: able(TEST) })).toEqual([['new', 'capabilities']]);
  });

  it('has a rendering and a token of its own for each device, the same for the same values', async () => {
    const list = [template('t', { Echo: '${property.room}' })];
    const of = async (room: string, name: Udid) =>
      (await compile({ list, properties: { name: null, values: { room } } }, {}, name))[0];
    const [first, second, third] = [
      await of('A', udid('DEVICE-0001')),
      await of('B', udid('DEVICE-0002')),
      await of('A', udid('DEVICE-0003')),
    ];
    expect(first?.payload).toEqual({ Echo: 'A' });
    expect(second?.payload).toEqual({ Echo: 'B' });
    expect(first?.serverToken).not.toBe(second?.serverToken);
    expect(third?.serverToken).toBe(first?.serverToken);
    const content = { type: TEST, identifier: 't', payload: { Echo: 'A' } };
    expect(first?.serverToken).toBe(await serverTokenOf(content, null, sha256Hex));
  });

  it('changes the tokens of renderings with the salt that a touch sets', async () => {
    const [before] = await compile({ list: [template('t', { Echo: '${udid}' })] });
    const [after] = await compile({ list: [template('t', { Echo: '${udid}' }, 'salt')] });
    expect(after?.payload).toEqual(before?.payload);
    expect(after?.serverToken).not.toBe(before?.serverToken);
  });

  it('withholds what has a variable without a value, and names it', async () => {
    const list = [template('t', { Echo: '${property.room} ${name}' }), plain('a')];
    const [a, t] = await compile({ list });
    expect(t?.withheld).toEqual({ rule: 'variable', expected: 'a value for ${name}, ${property.room}' });
    expect([t?.payload, t?.serverToken]).toEqual([null, '']);
    expect(entriesOf([a, t].filter((one) => one !== undefined)).map((one) => one.identifier)).toEqual(['a']);
  });

  it('has the properties as a declaration, with the values as they are, and none without properties', async () => {
    const values = { b: 1.5, a: true, 'x.y': 'text' };
    const properties = { name: 'Kim', values };
    const [one] = await compile({ properties });
    expect(one).toMatchObject({
      kind: 'management',
      identifier: 'com.escapement.properties',
      type: 'com.apple.management.properties',
      payload: values,
      origin: { sets: [], setting: 'properties' },
      withheld: null,
    });
    const reordered = { name: 'other', values: { 'x.y': 'text', a: true, b: 1.5 } };
    expect((await compile({ properties: reordered }))[0]?.serverToken).toBe(one?.serverToken);
    expect(await compile({ properties: { name: 'Kim', values: {} } })).toEqual([]);
  });

  it('does not fill in properties: they are data on the device', async () => {
    const [one] = await compile({ properties: { name: null, values: { a: '${udid}' } } });
    expect(one?.payload).toEqual({ a: '${udid}' });
  });

  it('has the subscriptions of its platform under the server own identifiers', async () => {
    const lists = new Map([['watchOS' as const, ['passcode.is-present']]]);
    const compiled = await compile({ subscriptions: lists });
    expect(compiled.map(({ identifier, origin, payload }) => [identifier, origin.setting, payload])).toEqual([
      [
        'com.escapement.subscriptions.activation',
        'subscriptions',
        { StandardConfigurations: ['com.escapement.subscriptions'] },
      ],
      ['com.escapement.subscriptions', 'subscriptions', { StatusItems: [{ Name: 'passcode.is-present' }] }],
    ]);
  });

  it('has at most so many entries, the rest withheld for its size; what is withheld anyway does not count', async () => {
    const numbered = (n: number) => `n${String(n).padStart(5, '0')}`;
    const list = Array.from({ length: MANIFEST_ENTRIES_MAX + 3 }, (_, n) => plain(numbered(n)));
    const compiled = await compile({ list: [plain('a', { type: SIRI }), ...list] });
    expect(entriesOf(compiled)).toHaveLength(MANIFEST_ENTRIES_MAX);
    const withheld = compiled.filter((one) => one.withheld !== null);
    expect(withheld.map((one) => [one.identifier, one.withheld?.rule])).toEqual([
      ['a', 'version'],
      ...[0, 1, 2].map((n) => [numbered(MANIFEST_ENTRIES_MAX + n), 'size']),
    ]);
  });

  it('has watch enrollment whatever its sets hold: that is never the one too many', async () => {
    const list = Array.from({ length: MANIFEST_ENTRIES_MAX + 1 }, (_, n) => plain(`a${n}`));
    const watchEnrollment = [
      plain('com.escapement.watch-enrollment.x'),
      plain('com.escapement.watch-enrollment.x.activation', { kind: 'activation' }),
    ];
    const compiled = await compile({ list, watchEnrollment }, { platform: 'iOS' });
    const entries = entriesOf(compiled).map((one) => one.identifier);
    expect(entries).toHaveLength(MANIFEST_ENTRIES_MAX);
    expect(entries).toEqual(expect.arrayContaining(watchEnrollment.map((one) => one.identifier)));
  });

  it('of a watch has nothing of a watch enrollment that is everyone’s', async () => {
    const watchEnrollment = [
      plain('com.escapement.watch-enrollment.x'),
      plain('com.escapement.watch-enrollment.x.activation', { kind: 'activation' }),
    ];
    expect(await compile({ watchEnrollment }, { platform: 'watchOS' })).toEqual([]);
  });

  it('keeps the watch enrollment that it holds when its assignment recorded none', async () => {
    const declarations = ['configuration', 'activation'].map((kind, n) => ({
      kind: kind as 'configuration' | 'activation',
      identifier: `com.escapement.watch-enrollment.x${n}`,
      serverToken: `t${n}`,
    }));
    const phone = { platform: 'iOS', osVersion: '26.1', declarations } as const;
    const capable = able('com.apple.configuration.watch.enrollment');
    const compiled = await compile({ watchEnrollment: null }, { ...phone, capabilities: capable });
    expect(entriesOf(compiled)).toEqual(declarations.toReversed());
    expect(compiled.map((one) => one.origin.setting)).toEqual(['watch-enrollment', 'watch-enrollment']);
  });

  it('is the same in whatever order its parts were read', async () => {
    const list = [plain('c'), template('a', { Echo: '${serial}' }), plain('b')];
    const forward = await compile({ list });
    expect(await compile({ list: list.toReversed() })).toEqual(forward);
  });
});
