/** Which asset types a place in a payload takes: every one that the catalog tells, found where it stands. */
import { describe, expect, it } from 'vitest';
import { allReferencesOf, assetsNamedIn, mistyped } from '../../../src/domain/declaration/asset-types.ts';
import { referencesOf } from '../../../src/domain/declaration/references.ts';
import { listEntries } from '../../../src/protocol/catalog/catalog.ts';
import type { CatalogEntry, CatalogKey } from '../../../src/protocol/catalog/entry.ts';
import type { JsonObject, JsonValue } from '../../../src/protocol/plist/json.ts';

type Expected = Map<string, readonly string[]>;

/** A payload with every key of an entry, and where in it assets of which types are expected. */
function payloadOf(keys: readonly CatalogKey[], path: string, expected: Expected): JsonObject {
  return Object.fromEntries(keys.map((key) => [key.name, sample(key, `${path}.${key.name}`, expected)]));
}

function sample(key: CatalogKey, path: string, expected: Expected, inherited?: readonly string[]): JsonValue {
  const types = key.assetTypes ?? inherited;
  if (key.type === 'array') {
    const [item] = key.items ?? [];
    return item === undefined ? [] : [sample(item, `${path}[0]`, expected, types)];
  }
  if (key.type === 'dictionary') return payloadOf(key.keys ?? [], path, expected);
  if (types !== undefined) expected.set(path, types);
  return 'x';
}

const recursive = (keys: readonly CatalogKey[]): boolean =>
  keys.some((key) => key.recursive !== undefined || recursive([...(key.keys ?? []), ...(key.items ?? [])]));
const takesAssets = (keys: readonly CatalogKey[]): boolean =>
  keys.some(
    (key) => key.assetTypes !== undefined || takesAssets([...(key.keys ?? []), ...(key.items ?? [])]),
  );

const entries: readonly CatalogEntry[] = (
  await Promise.all(
    (['configuration', 'activation', 'management', 'asset'] as const).map((kind) => listEntries(kind)),
  )
).flat();
const taking = entries.filter(({ keys }) => takesAssets(keys ?? []));

describe('asset types', () => {
  it('are told by many configurations, none of which is recursive or of several forms', () => {
    expect(taking.length).toBeGreaterThan(10);
    expect(taking.filter(({ keys, variants }) => recursive(keys ?? []) || variants !== undefined)).toEqual(
      [],
    );
  });

  it.each(taking.map((entry) => [entry.type, entry] as const))('of %s are found', async (type, entry) => {
    const expected: Expected = new Map();
    const payload = payloadOf(entry.keys ?? [], 'Payload', expected);
    const kind = entry.kind as 'configuration';
    const found = await assetsNamedIn({ kind, type, payload });
    expect(new Map([...found].map(([path, { allowed }]) => [path, allowed]))).toEqual(expected);
    // Each of them must exist, and keeps its asset from being deleted.
    const paths = (await allReferencesOf({ kind, type, payload })).map((one) => one.path);
    expect(paths).toEqual(expect.arrayContaining([...expected.keys()]));
  });

  it('let any asset stand where the catalog tells none, and one that is not there', async () => {
    const type = 'com.apple.configuration.management.test';
    const judge = async (payload: JsonObject, types: readonly (readonly [string, string])[]) => {
      const references = referencesOf('configuration', payload);
      return mistyped(
        { kind: 'configuration', identifier: 'c', type, payload, references, templated: false },
        new Map(types),
      );
    };
    const data = { EchoDataAssetReference: 'a' };
    expect(await judge(data, [['a', 'com.apple.asset.data']])).toEqual([]);
    expect(await judge(data, [])).toEqual([]);
    expect(await judge({ OtherAssetReference: 'a' }, [['a', 'com.apple.asset.credential.scep']])).toEqual([]);
    expect(await judge(data, [['a', 'com.apple.asset.credential.scep']])).toEqual([
      {
        path: 'Payload.EchoDataAssetReference',
        identifier: 'a',
        type: 'com.apple.asset.credential.scep',
        allowed: ['com.apple.asset.data'],
      },
    ]);
  });
});
