/** Which signs say that a device left, and which later word outranks them. */
import { describe, expect, it } from 'vitest';
import { hostState, presumeGone, signOf } from '../../../src/domain/enrollment/ending.ts';
import type { CommandUuid, Udid } from '../../../src/domain/ids.ts';
import { epochMs } from '../../../src/std/time.ts';

const UDID = 'WATCH-0001' as Udid;
const PHONE = 'PHONE-0001' as Udid;
const AT = epochMs(1000);
const erased = { why: 'erase-acknowledged', commandUuid: 'C' as CommandUuid, atMs: AT } as const;
const host = { phone: PHONE, ended: null, endedAtMs: null, presumed: null };
const gone = (over: Partial<Parameters<typeof presumeGone>[0]>) =>
  presumeGone({ udid: UDID, presumed: null, lastSeenMs: epochMs(999), host, ...over });

describe('the acknowledgement', () => {
  it.each([
    ['EraseDevice', {}, 'erase-acknowledged'],
    ['RemoveProfile', { Identifier: 'com.escapement.enrollment' }, 'removal-acknowledged'],
    ['RemoveProfile', { Identifier: 'com.example.other' }, null],
    ['InstallProfile', { Identifier: 'com.escapement.enrollment' }, null],
    ['DeviceLock', {}, null],
  ])('of %s %o is the sign %s', (requestType, command, sign) => {
    expect(signOf(requestType, new Map(Object.entries(command)))).toBe(sign);
  });
});

describe('a device', () => {
  it('is there while nothing says otherwise', () => {
    expect(gone({})).toBeNull();
    expect(gone({ host: null })).toBeNull();
  });

  it('is expected to be gone after its own sign, whatever became of its iPhone', () => {
    const own = { ...erased, device: UDID };
    expect(gone({ presumed: erased, lastSeenMs: epochMs(9999) })).toEqual(own);
    expect(gone({ presumed: erased, host: { ...host, ended: 'checked-out', endedAtMs: AT } })).toEqual(own);
  });

  it.each([
    [{ ended: 'checked-out', endedAtMs: AT }, 'phone-checked-out', null],
    [{ ended: 'replaced', endedAtMs: AT }, 'phone-replaced', null],
    [{ presumed: erased }, 'phone-erase-acknowledged', 'C'],
    [{ presumed: erased, ended: 'checked-out', endedAtMs: AT }, 'phone-checked-out', null],
  ] as const)('is expected to be gone with its iPhone: %o', (end, why, commandUuid) => {
    const expected = { why, device: PHONE, commandUuid, atMs: AT };
    expect(gone({ host: { ...host, ...end } })).toEqual(expected);
    expect(gone({ host: { ...host, ...end }, lastSeenMs: AT })).toEqual(expected);
    expect(gone({ host: { ...host, ...end }, lastSeenMs: epochMs(1001) })).toBeNull();
  });

  it('whose iPhone ended nobody knows when is not judged', () => {
    expect(gone({ host: { ...host, ended: 'checked-out' } })).toBeNull();
    expect(hostState({ ...host, ended: 'checked-out' })).toEqual({ state: 'checked-out', sinceMs: null });
  });
});
