import { describe, expect, it } from 'vitest';
import { isIdentifier, parseEndpoint } from '../../../src/protocol/ddm/endpoint.ts';

describe('parseEndpoint', () => {
  it.each(['tokens', 'declaration-items', 'status'])('reads %s', (endpoint) => {
    expect(parseEndpoint(endpoint)).toEqual({ ok: true, value: { kind: endpoint } });
  });

  it.each(['activation', 'asset', 'configuration', 'management'])(
    'reads a declaration of kind %s',
    (kind) => {
      expect(parseEndpoint(`declaration/${kind}/watch-1`)).toEqual({
        ok: true,
        value: { kind: 'declaration', declarationKind: kind, identifier: 'watch-1' },
      });
    },
  );

  it('takes an identifier as it stands, with slashes, spaces and percent signs', () => {
    for (const identifier of ['a/b', '..', 'a%2Fb', 'a b', 'é', '?x#y']) {
      expect(parseEndpoint(`declaration/asset/${identifier}`)).toMatchObject({
        ok: true,
        value: { identifier },
      });
    }
  });

  it('counts an identifier in octets: 64 are read and 65 refused', () => {
    expect(parseEndpoint(`declaration/asset/${'x'.repeat(64)}`).ok).toBe(true);
    expect(parseEndpoint(`declaration/asset/${'x'.repeat(65)}`).ok).toBe(false);
    expect(parseEndpoint(`declaration/asset/${'é'.repeat(32)}`).ok).toBe(true);
    expect(parseEndpoint(`declaration/asset/${'é'.repeat(33)}`).ok).toBe(false);
    expect(isIdentifier('😀'.repeat(16))).toBe(true);
    expect(isIdentifier('😀'.repeat(17))).toBe(false);
    expect(isIdentifier('')).toBe(false);
  });

  it.each([
    '',
    'token',
    'tokens/',
    '/tokens',
    'Tokens',
    'declaration',
    'declaration/',
    'declaration/asset',
    'declaration/asset/',
    'declaration//x',
    'declaration/assets/x',
    'declaration/toString/x',
    'declaration/asset/a\nb',
    'declaration/asset/a\0',
    'x/declaration/asset/y',
  ])('refuses %j', (endpoint) => {
    expect(parseEndpoint(endpoint)).toEqual({ ok: false, refusal: { kind: 'unknown-endpoint' } });
  });
});
