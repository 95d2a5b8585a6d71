/** `/devices/{udid}/policy` over fakes: its document, its words, and whom it answers. */
import { beforeEach, describe, expect, it } from 'vitest';
import type {
  EffectivePolicy,
  PolicyOrigin,
  PolicyWarning,
} from '../../../src/domain/admin/policy-services.ts';
import { Unavailable } from '../../../src/std/outcome.ts';
import { caller, FakeServices, kindOf, NOW, PHONE, STRANGER, WATCH } from './fake-services.ts';

const AT = new Date(NOW).toISOString();
const ORIGIN: PolicyOrigin = {
  ...{ kind: 'declaration', identifier: 'rules', payloadIdentifier: null, device: PHONE, via: 'mirror' },
};
const UNKNOWN = { value: null, by: null, asOfMs: null };

const POLICY: EffectivePolicy = {
  udid: WATCH,
  platform: 'watchOS',
  osVersion: '27.0',
  state: 'enrolled',
  phone: { udid: PHONE, state: 'enrolled', lastSeenAtMs: NOW },
  passcode: { present: { value: true, by: 'passcode.is-present', asOfMs: NOW }, compliant: UNKNOWN },
  rows: [
    {
      domain: 'passcode',
      key: 'minLength',
      value: 6,
      decided: true,
      certain: true,
      own: null,
      rule: { kind: 'most-restrictive', prefers: 'larger' },
      source: 'passcode.settings: number-max',
      origin: ORIGIN,
      inForce: { value: true, by: 'Restrictions', asOfMs: NOW },
      contributors: [
        {
          ...{ origin: ORIGIN, type: 'com.apple.configuration.passcode.settings', key: 'MinimumLength' },
          ...{ said: 6, value: 6, implied: false, because: null, wins: true },
        },
        {
          ...{ origin: ORIGIN, type: 'com.apple.mobiledevice.passwordpolicy', key: 'minLength' },
          ...{ said: 8, value: 8, implied: false, because: 'inactive', wins: false },
        },
      ],
    },
  ],
  reaches: [],
  warnings: [],
};

let fakes: FakeServices;
let send: ReturnType<typeof caller>;
beforeEach(() => {
  fakes = new FakeServices();
  fakes.policy = POLICY;
  send = caller(fakes);
});

describe('the policy of a watch', () => {
  it('names its iPhone, each row, who wins and who does not count', async () => {
    const { status, body, headers } = await send('GET', `/devices/${WATCH}/policy`);
    expect([status, headers.get('Cache-Control')]).toEqual([200, 'no-store']);
    expect(body).toEqual({
      device: { udid: WATCH, platform: 'watchOS', osVersion: '27.0', state: 'enrolled' },
      at: AT,
      phone: { udid: PHONE, state: 'enrolled', lastSeenAt: AT },
      passcode: {
        present: { value: true, by: 'passcode.is-present', asOf: AT },
        compliant: { value: null, by: null, asOf: null },
      },
      rows: [
        {
          ...{ domain: 'passcode', key: 'minLength', value: 6, decided: true, certain: true, own: null },
          rule: { kind: 'most-restrictive', prefers: 'larger', source: 'passcode.settings: number-max' },
          origin: ORIGIN,
          inForce: { value: true, by: 'Restrictions', asOf: AT },
          contributors: [
            {
              ...{ origin: ORIGIN, type: 'com.apple.configuration.passcode.settings', key: 'MinimumLength' },
              ...{ said: 6, value: 6, implied: false, wins: true, counts: true },
            },
            {
              ...{ origin: ORIGIN, type: 'com.apple.mobiledevice.passwordpolicy', key: 'minLength' },
              ...{ said: 8, value: 8, implied: false, wins: false, counts: false, because: 'inactive' },
            },
          ],
        },
      ],
      warnings: [],
    });
  });

  it('has no iPhone when none is known', async () => {
    fakes.policy = { ...POLICY, phone: null };
    expect((await send('GET', `/devices/${WATCH}/policy`)).body.phone).toBeNull();
  });
});

it('of an iPhone has what reaches its watches, and no iPhone', async () => {
  const keys = [{ domain: 'passcode', key: 'minLength', value: 6, via: 'mirror', certain: true } as const];
  fakes.policy = { ...POLICY, udid: PHONE, platform: 'iOS', phone: null, reaches: [{ watch: WATCH, keys }] };
  const { body } = await send('GET', `/devices/${PHONE}/policy`);
  expect(body.reaches).toEqual([{ watch: WATCH, keys }]);
  expect(body).not.toHaveProperty('phone');
});

const WARNINGS: readonly PolicyWarning[] = [
  { kind: 'device-checked-out' },
  { kind: 'phone-unknown' },
  { kind: 'phone-checked-out', phone: PHONE },
  { kind: 'phone-stale', phone: PHONE, lastSeenAtMs: NOW },
  { kind: 'watch-only', keys: ['passcode/minLength'] },
  { kind: 'passcode-forced-by-phone', keys: ['passcode/minLength'] },
  { kind: 'alphanumeric-on-phone' },
  { kind: 'paired-watch-forbidden' },
  { kind: 'always-on-vpn', origin: ORIGIN },
  { kind: 'deprecated-key', origin: ORIGIN, since: '26.4', replacement: 'siri.settings', keys: ['a/b'] },
  { kind: 'unsupported-key', origin: ORIGIN, rule: 'platform', expected: 'not watchOS', keys: ['a/b'] },
  { kind: 'unknown-key', origin: ORIGIN, keys: ['a/b'] },
  { kind: 'conflict', type: 'a', origins: [ORIGIN], keys: ['a/b'] },
  { kind: 'same-profile', payloadIdentifier: 'a', origins: [ORIGIN] },
  { kind: 'foreign-profiles', payloadIdentifiers: ['a'] },
  { kind: 'weaker-by-combine', keys: ['a/b'] },
  { kind: 'zero-undocumented', keys: ['a/b'] },
  { kind: 'withheld', identifier: 'a', rule: 'version', expected: 'watchOS 26.4 or later' },
  { kind: 'source-unread', origin: ORIGIN, reason: 'foreign' },
];

it('says every warning in words, with its facts beside them', async () => {
  fakes.policy = { ...POLICY, warnings: WARNINGS };
  const { body } = await send('GET', `/devices/${WATCH}/policy`);
  for (const [index, warning] of WARNINGS.entries()) {
    const { message, lastSeenAt, ...facts } = body.warnings[index];
    const { lastSeenAtMs, ...expected } = { lastSeenAtMs: undefined, ...warning };
    expect(facts).toEqual(expected);
    expect(lastSeenAt).toBe(lastSeenAtMs === undefined ? undefined : AT);
    expect(message).toMatch(/^[A-Z].{20,}\.$/);
  }
  const messages = new Set(body.warnings.map((one: { message: string }) => one.message));
  expect(messages.size).toBe(WARNINGS.length);
});

describe('whom it answers', () => {
  it('refuses a device that is not known, and a name that is no UDID', async () => {
    fakes.policy = null;
    expect(kindOf(await send('GET', `/devices/${STRANGER}/policy`))).toBe('unknown-device');
    expect(kindOf(await send('GET', '/devices/x/policy'))).toBe('malformed-identifier');
  });

  it('asks for a key, takes no other method, and says when it cannot tell', async () => {
    const path = `/devices/${WATCH}/policy`;
    expect((await send('GET', path, undefined, { Authorization: '' })).status).toBe(401);
    expect(kindOf(await send('PUT', path, {}))).toBe('method-not-allowed');
    fakes.failure = new Unavailable('d1', 'the database is away');
    expect((await send('GET', path)).status).toBe(503);
  });
});
