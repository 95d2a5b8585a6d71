/** Watch enrollment as declarations (facts 5, step 1), and the token that names a set of them (facts 4.1, 19.12). */
import { describe, expect, it } from 'vitest';
import { type ManifestEntry, manifestContent } from '../../../src/domain/declaration/manifest.ts';
import {
  anchorIdentifier,
  compileWatchEnrollment,
  heldWatchEnrollment,
} from '../../../src/domain/declaration/watch-enrollment.ts';
import { sha256Hex } from '../../../src/pki/digest.ts';
import { isIdentifier } from '../../../src/protocol/ddm/endpoint.ts';
import { type Bytes, utf8 } from '../../../src/std/bytes.ts';

const compile = (anchors: readonly Bytes[] = [], publicUrl = 'https://mdm.example.com') =>
  compileWatchEnrollment(publicUrl, anchors, sha256Hex);
const [A, B] = [utf8('certificate a'), utf8('certificate b')];

describe('watch enrollment compiled', () => {
  it('without anchors is a configuration and its activation', async () => {
    const { declarations, assets, anchors } = await compile();
    expect([assets, anchors]).toEqual([[], []]);
    const [configuration, activation] = declarations;
    expect(configuration).toMatchObject({
      kind: 'configuration',
      type: 'com.apple.configuration.watch.enrollment',
      payload: { EnrollmentProfileURL: 'https://mdm.example.com/enroll/watch' },
    });
    expect(configuration?.payload).not.toHaveProperty('AnchorCertificateAssetReferences');
    expect(activation).toMatchObject({
      kind: 'activation',
      type: 'com.apple.activation.simple',
      payload: { StandardConfigurations: [configuration?.identifier] },
    });
  });

  it('with anchors pins them as assets of the declared type and size, each once, in order', async () => {
    const { declarations, assets, anchors } = await compile([B, A, B]);
    expect(anchors).toEqual([await sha256Hex(B), await sha256Hex(A)]);
    expect(assets.map((asset) => asset.data)).toEqual([B, A]);
    const references = assets.map((asset) => asset.identifier);
    expect(declarations.map((one) => one.kind)).toEqual(['asset', 'asset', 'configuration', 'activation']);
    expect(declarations[2]?.payload['AnchorCertificateAssetReferences']).toEqual(references);
    expect(declarations[0]?.payload).toEqual({
      Reference: {
        DataURL: `https://mdm.example.com/ddm/assets/${references[0]}`,
        ContentType: 'application/pkcs1',
        Size: B.length,
      },
      Authentication: { Type: 'MDM' },
    });
  });

  it('is the same for the same content, and another for any other', async () => {
    const tokens = async (...args: Parameters<typeof compile>) =>
      JSON.stringify((await compile(...args)).declarations);
    expect(await tokens([A])).toBe(await tokens([A]));
    const others = [
      await tokens(),
      await tokens([A]),
      await tokens([B]),
      await tokens([A, B]),
      await tokens([B, A]),
      await tokens([], 'https://other.example'),
    ];
    expect(new Set(others).size).toBe(others.length);
  });

  it('has identifiers and tokens within Apple’s 64 octets', async () => {
    const { declarations } = await compile([A, B]);
    for (const { identifier, serverToken } of declarations) {
      expect(isIdentifier(identifier)).toBe(true);
      expect(serverToken).toMatch(/^[0-9a-f]{64}$/);
    }
    expect(anchorIdentifier('0'.repeat(64))).toHaveLength(54);
  });
});

describe('what a phone holds of watch enrollment', () => {
  it('is told from all else that it holds, with kinds, types and tokens as they were compiled', async () => {
    const { declarations } = await compile([A]);
    const other: ManifestEntry[] = [
      { kind: 'configuration', identifier: 'com.escapement.subscriptions', serverToken: 't' },
      { kind: 'management', identifier: 'com.escapement.properties', serverToken: 't' },
      { kind: 'configuration', identifier: 'com.example.wifi', serverToken: 't' },
    ];
    expect(heldWatchEnrollment([...other, ...declarations])).toEqual(
      declarations.map(({ kind, identifier, type, serverToken }) => ({
        kind,
        identifier,
        type,
        content: { serverToken },
      })),
    );
  });
});

describe('a set of declarations', () => {
  const entries: ManifestEntry[] = ['c', 'a', 'b'].map((identifier) => ({
    kind: 'configuration',
    identifier,
    serverToken: 't',
  }));

  it('has one name in whatever order it is given', () => {
    expect(manifestContent(entries.toReversed())).toBe(manifestContent(entries));
    expect(manifestContent([])).toBe('');
  });

  it('has another name when anything in it changes', () => {
    const [first, ...rest] = entries as [ManifestEntry, ...ManifestEntry[]];
    const changed = [
      entries,
      rest,
      [{ ...first, serverToken: 'u' }, ...rest],
      [{ ...first, identifier: 'd' }, ...rest],
      [{ ...first, kind: 'management' as const }, ...rest],
    ];
    expect(new Set(changed.map(manifestContent)).size).toBe(changed.length);
  });
});
