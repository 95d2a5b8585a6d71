/** A listing against the record, and a device's error as codes. */
import { describe, expect, it } from 'vitest';
import type { ProfileOnDevice } from '../../../src/domain/admin/profile-services.ts';
import { deviceErrorOf } from '../../../src/domain/profile/device-error.ts';
import { driftOf } from '../../../src/domain/profile/drift.ts';
import { encodePlist, type PlistInput } from '../../../src/protocol/plist/encode.ts';
import { utf8 } from '../../../src/std/bytes.ts';
import { epochMs } from '../../../src/std/time.ts';

const ITEM: ProfileOnDevice = {
  identifier: 'com.example.wifi',
  payloadIdentifier: 'com.example.profile',
  via: 'command',
  state: 'installed',
  version: 2,
  installedVersion: 2,
  currentVersion: 2,
  commandUuid: null,
  error: null,
  reasons: [],
  orderedAtMs: epochMs(1),
  changedAtMs: epochMs(5),
  installedAtMs: epochMs(5),
};

function drift(
  over: Partial<ProfileOnDevice>,
  listed: readonly [string, string | null][],
  answeredAtMs = 10,
) {
  const profiles = listed.map(([payloadIdentifier, payloadUuid]) => ({
    payloadIdentifier,
    payloadUuid,
    displayName: null,
    managed: true,
  }));
  const uuids = new Map([
    [1, 'UUID-1'],
    [2, 'uuid-2'],
  ]);
  const listing = { answeredAtMs: epochMs(answeredAtMs), profiles };
  return driftOf(
    listing,
    [{ ...ITEM, ...over }],
    () => uuids,
    (name) => name === 'com.example.enrollment',
  ).map((one) => [one.kind, 'version' in one ? one.version : one.payloadIdentifier]);
}

describe('what a device lists', () => {
  it.each([
    ['as recorded', {}, [['com.example.profile', 'UUID-2']], []],
    [
      'and the enrollment profile',
      {},
      [
        ['com.example.profile', null],
        ['com.example.enrollment', 'x'],
      ],
      [],
    ],
    ['without it', {}, [], [['missing', 'com.example.profile']]],
    ['as an older version', {}, [['com.example.profile', 'uuid-1']], [['other-version', 1]]],
    ['as no version that is kept', {}, [['com.example.profile', 'uuid-9']], [['other-version', null]]],
    [
      'beside a stranger',
      {},
      [
        ['com.example.profile', 'uuid-2'],
        ['com.example.x', 'y'],
      ],
      [['unknown', 'com.example.x']],
    ],
    [
      'after its removal',
      { state: 'removed', installedVersion: null },
      [['com.example.profile', 'uuid-2']],
      [['unknown', 'com.example.profile']],
    ],
    [
      'although nothing is known to have installed it',
      { state: 'failed', installedVersion: null },
      [['com.example.profile', 'uuid-2']],
      [['unknown', 'com.example.profile']],
    ],
    [
      'without one that is declared',
      { via: 'declaration', orderedAtMs: null, changedAtMs: null, installedAtMs: null },
      [],
      [],
    ],
    ['while it is ordered', { state: 'ordered', installedVersion: null }, [], []],
    [
      'under a version whose UUID is not known',
      { installedVersion: 7 },
      [['com.example.profile', 'uuid-9']],
      [],
    ],
  ] as const)('%s', (_what, over, listed, expected) => {
    expect(drift(over, listed as unknown as [string, string | null][])).toEqual(expected);
  });

  it('says nothing of what changed since', () => {
    expect(drift({}, [], 5)).toEqual([]);
    expect(drift({}, [], 6)).toEqual([['missing', 'com.example.profile']]);
  });
});

describe('a device’s error', () => {
  const chain = (top: PlistInput) => encodePlist({ Status: 'Error', ErrorChain: [top] });

  it('is kept as codes, without its texts', () => {
    const top = { ErrorCode: 4001, ErrorDomain: 'MCInstallationErrorDomain', USEnglishDescription: 'secret' };
    const error = deviceErrorOf('Error', chain(top));
    expect(error).toEqual({
      kind: 'device',
      status: 'Error',
      domain: 'MCInstallationErrorDomain',
      code: 4001,
    });
  });

  it.each([
    ['no answer that could be read', null],
    ['bytes that are none', utf8('hello')],
    ['no chain', encodePlist({ Status: 'Error' })],
    ['a chain of something else', chain('x')],
    ['a domain that is a sentence', chain({ ErrorDomain: 'the password is hunter2', ErrorCode: 'x' })],
  ])('of %s has none', (_what, raw) => {
    expect(deviceErrorOf('Error', raw)).toEqual({
      kind: 'device',
      status: 'Error',
      domain: null,
      code: null,
    });
  });
});
