import { describe, expect, it } from 'vitest';
import { sourceAddress } from '../../../src/http/enroll/source.ts';

function source(address?: string): string {
  return sourceAddress(new Headers(address === undefined ? {} : { 'CF-Connecting-IP': address }));
}

describe('the source of a request', () => {
  it.each([
    ['192.0.2.1', '192.0.2.1'],
    [' 192.0.2.1 ', '192.0.2.1'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:DB8:1:2::6', '2001:db8:1:2::/64'],
    ['2001:0db8:0001:0002:0003:0004:0005:0006', '2001:db8:1:2::/64'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['2001:db8::', '2001:db8:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
    ['::ffff:192.0.2.1', '0:0:0:0::/64'],
    ['fe80::1:2:3:4', 'fe80:0:0:0::/64'],
  ])('%s is counted as %s', (address, expected) => {
    expect(source(address)).toBe(expected);
  });

  it('is the same for all addresses of one host', () => {
    expect(source('2001:db8:1:2:aaaa::1')).toBe(source('2001:db8:1:2:bbbb:cccc:dddd:eeee'));
  });

  it('is local where the edge says nothing usable', () => {
    expect(source()).toBe('local');
    expect(source('')).toBe('local');
    expect(source('1'.repeat(46))).toBe('local');
  });
});
