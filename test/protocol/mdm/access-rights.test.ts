/** AccessRights of an enrollment profile (facts 6): which sums there are, and what one grants. */
import { describe, expect, it } from 'vitest';
import {
  ACCESS_RIGHTS,
  ACCESS_RIGHTS_ALL,
  isAccessRights,
  lacksRight,
} from '../../../src/protocol/mdm/access-rights.ts';

describe('AccessRights', () => {
  it('are thirteen bits, each named once', () => {
    const bits = Object.values(ACCESS_RIGHTS);
    expect(bits).toEqual(Array.from({ length: 13 }, (_, n) => 2 ** n));
    expect(bits.reduce((sum, bit) => sum + bit, 0)).toBe(ACCESS_RIGHTS_ALL);
  });

  it.each([1, 3, 16, 64, 192, 4096, ACCESS_RIGHTS_ALL])('may be %i', (rights) => {
    expect(isAccessRights(rights)).toBe(true);
  });

  it.each([0, -1, 2, 18, 128, 130, 8190, 8192, 1.5, Number.NaN])('may not be %d', (rights) => {
    expect(isAccessRights(rights)).toBe(false);
  });

  it('lack what is not in their sum, and never what is no right', () => {
    expect(lacksRight(16, 'AllowDeviceErase')).toBe(true);
    expect(lacksRight(24, 'AllowDeviceErase')).toBe(false);
    for (const name of ['none', 'varies', 'toString']) expect(lacksRight(1, name)).toBe(false);
  });
});
