/** A declaration as it was written: what it is called, what it refers to, and what it is refused for (facts 4.4). */
import { describe, expect, it } from 'vitest';
import { kindOfType, parseDeclarationIdentifier, parseDraft } from '../../../src/domain/declaration/draft.ts';
import { referencesOf } from '../../../src/domain/declaration/references.ts';
import { serverTokenOf } from '../../../src/domain/declaration/server-token.ts';
import { sha256Hex } from '../../../src/pki/digest.ts';

const TEST = 'com.apple.configuration.management.test';

describe('a draft', () => {
  it('has the kind of its type', () => {
    expect(kindOfType(TEST)).toBe('configuration');
    expect(kindOfType('com.apple.asset.next.year')).toBe('asset');
    for (const type of ['com.apple.command.x', 'com.apple.configuration', 'x.com.apple.asset.y'])
      expect(kindOfType(type)).toBeNull();
  });

  it('is called by 1 to 64 octets without control characters', () => {
    for (const name of ['a', 'x'.repeat(64), 'ü'.repeat(32), 'a b/c'])
      expect(parseDeclarationIdentifier(name).ok).toBe(true);
    for (const name of ['', 'x'.repeat(65), 'ü'.repeat(33), 'a\0', 'a\n', '\u009f', '\ud800'])
      expect(parseDeclarationIdentifier(name).ok).toBe(false);
  });

  it('may not be called as the server calls its own', async () => {
    const input = { type: TEST, payload: { Echo: 'a' }, allowUnknown: false };
    expect(await parseDraft('com.escapement.x', input)).toMatchObject({
      refusal: { kind: 'reserved-identifier' },
    });
    expect((await parseDraft('com.escapements.x', input)).ok).toBe(true);
  });

  it('is not judged by platform or version', async () => {
    const payload = { EnrollmentProfileURL: 'https://x.example/' };
    const type = 'com.apple.configuration.watch.enrollment';
    expect((await parseDraft('a', { type, payload, allowUnknown: false })).ok).toBe(true);
  });
});

describe('references', () => {
  it('are an activation’s configurations, and assets wherever a key is named so', () => {
    expect(referencesOf('activation', { StandardConfigurations: ['a', 'b'], Predicate: 'x' })).toEqual([
      { kind: 'configuration', identifier: 'a', path: 'Payload.StandardConfigurations[0]' },
      { kind: 'configuration', identifier: 'b', path: 'Payload.StandardConfigurations[1]' },
    ]);
    const payload = {
      CredentialAssetReference: 'one',
      Relays: [{ AnchorAssetReferences: ['two', 'three', 4] }, { Deep: { XAssetReference: 'four' } }],
      AssetReferenceItem: 'no',
      StandardConfigurations: ['no'],
    };
    expect(referencesOf('configuration', payload).map(({ identifier, path }) => [identifier, path])).toEqual([
      ['one', 'Payload.CredentialAssetReference'],
      ['two', 'Payload.Relays[0].AnchorAssetReferences[0]'],
      ['three', 'Payload.Relays[0].AnchorAssetReferences[1]'],
      ['four', 'Payload.Relays[1].Deep.XAssetReference'],
    ]);
  });
});

describe('a server token', () => {
  const token = (over: object, salt: string | null = null) =>
    serverTokenOf({ type: TEST, identifier: 'a', payload: { Echo: 'a', N: 1 }, ...over }, salt, sha256Hex);

  it('is the same for the same content, and another for any other or another salt', async () => {
    expect(await token({ payload: { N: 1, Echo: 'a' } })).toBe(await token({}));
    const others = [
      await token({}),
      await token({ identifier: 'b' }),
      await token({ type: `${TEST}.x` }),
      await token({ payload: {} }),
      await token({ payload: { Echo: 'a', N: 1, salt: 's' } }),
      await token({}, 's'),
      await token({}, 't'),
    ];
    expect(new Set(others).size).toBe(others.length);
    expect(others.every((one) => /^[0-9a-f]{64}$/.test(one))).toBe(true);
  });
});
