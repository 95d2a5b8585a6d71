import { describe, expect, it } from 'vitest';
import { networkOf } from '../../../src/domain/pairing/source.ts';
import { sourceAddress } from '../../../src/http/enroll/source.ts';

describe('the network of a source', () => {
  it.each([
    ['192.0.2.1', '192.0.2.1'],
    ['local', 'local'],
    ['2001:db8:1:2::/64', '2001:db8:1::/48'],
    ['2001:db8:0:0::/64', '2001:db8:0::/48'],
    ['0:0:0:0::/64', '0:0:0::/48'],
    ['2001:db8:1:2', '2001:db8:1:2'],
  ])('of %s is %s', (source, network) => {
    expect(networkOf(source)).toBe(network);
  });

  it('is one for all 65,536 addresses of a /48, as the edge tells them', () => {
    const source = (address: string) => sourceAddress(new Headers({ 'CF-Connecting-IP': address }));
    const told = ['2001:db8:1::1', '2001:db8:1:ffff:1:2:3:4', '2001:DB8:0001:abcd::'].map(source);
    expect(new Set(told).size).toBe(3);
    expect(new Set(told.map(networkOf))).toEqual(new Set(['2001:db8:1::/48']));
  });
});
