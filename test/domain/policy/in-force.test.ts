/** What the device's reports prove of a row, what they refute, and what they leave open. */
import { describe, expect, it } from 'vitest';
import type { StatusItem } from '../../../src/domain/declaration/status-merge.ts';
import { type Evidence, inForce, passcodeState } from '../../../src/domain/policy/in-force.ts';
import { mergeRows, nameOf } from '../../../src/domain/policy/merge.ts';
import { globalRestrictions } from '../../../src/domain/policy/observed.ts';
import { NOTHING_OBSERVED, type ObservedPolicy } from '../../../src/domain/policy/ports.ts';
import type { PolicySource } from '../../../src/domain/policy/sources.ts';
import type { JsonValue } from '../../../src/protocol/plist/json.ts';
import { type EpochMs, epochMs } from '../../../src/std/time.ts';
import { judged, PASSCODE, POLICY, RESTRICTIONS, source } from './sources.ts';

const [THEN, CHANGED, NOW] = [epochMs(1000), epochMs(2000), epochMs(3000)];

function evidence(
  observed: Partial<ObservedPolicy> = {},
  items: Readonly<Record<string, JsonValue>> = {},
  atMs: EpochMs = NOW,
): Evidence {
  const item = ([name, value]: [string, JsonValue]): [string, StatusItem] => [
    name,
    { name, value: JSON.stringify(value), atMs, error: null },
  ];
  return {
    items: new Map(Object.entries(items).map(item)),
    observed: { ...NOTHING_OBSERVED, ...observed },
    changedAtMs: CHANGED,
  };
}

const restrictions = (values: Record<string, JsonValue>, asOfMs = NOW) => ({
  restrictions: { values: new Map(Object.entries(values)), asOfMs },
});
const listed = (identifiers: readonly string[], asOfMs = NOW) => ({
  profiles: { payloadIdentifiers: new Set(identifiers), withRules: [], asOfMs },
});
const security = (info: Record<string, JsonValue>, asOfMs = NOW) => ({ security: { info, asOfMs } });

function standing(sources: readonly PolicySource[], name: string, of: Evidence) {
  const all = judged(sources);
  const row = mergeRows(all).find((one) => nameOf(one) === name);
  if (row === undefined) throw new Error(`no row ${name}`);
  return inForce(row, all, of);
}

const UNKNOWN = { value: null, by: null, asOfMs: null };
const SCREEN = 'restrictions/allowScreenShot';
const screen = (over = {}) => source(RESTRICTIONS, { allowScreenShot: false }, over);
const length = (over = {}) => source(POLICY, { minLength: 6 }, over);
const declared = { confirmed: { by: 'management.declarations', asOfMs: null } } as const;
const installed = { confirmed: { by: 'InstallProfile', asOfMs: CHANGED } } as const;

describe('Restrictions', () => {
  it('proves a value that is as strict or stricter', () => {
    expect(standing([screen()], SCREEN, evidence(restrictions({ allowScreenShot: false })))).toEqual({
      ...{ value: true, by: 'Restrictions', asOfMs: NOW },
    });
    const seen = evidence(restrictions({ minLength: 8 }));
    expect(standing([length()], 'passcode/minLength', seen).value).toBe(true);
  });

  it('refutes one that is weaker, unless the policy changed since', () => {
    const weaker = { allowScreenShot: true };
    expect(standing([screen()], SCREEN, evidence(restrictions(weaker)))).toMatchObject({
      value: false,
      by: 'Restrictions',
    });
    expect(standing([screen()], SCREEN, evidence(restrictions(weaker, THEN)))).toEqual(UNKNOWN);
  });

  it('refutes nothing that the device reported as applied after it was asked', () => {
    const weaker = restrictions({ allowScreenShot: true });
    const items = { 'management.declarations': {} };
    const seen = (atMs: number) => evidence(weaker, items, epochMs(atMs));
    expect(standing([screen(declared)], SCREEN, seen(4000))).toMatchObject({
      ...{ value: true, by: 'management.declarations' },
    });
    expect(standing([screen(declared)], SCREEN, seen(2500))).toMatchObject({
      ...{ value: false, by: 'Restrictions' },
    });
    const mirrored = screen({ ...declared, via: 'mirror' });
    expect(standing([mirrored], SCREEN, seen(4000))).toMatchObject({ value: false, by: 'Restrictions' });
  });

  it('refutes nothing that was installed after it was asked', () => {
    const late = { confirmed: { by: 'InstallProfile', asOfMs: epochMs(4000) } } as const;
    const seen = evidence(restrictions({ allowScreenShot: true }));
    expect(standing([screen(late)], SCREEN, seen)).toMatchObject({ value: true, by: 'InstallProfile' });
    expect(standing([screen(installed)], SCREEN, seen)).toMatchObject({ value: false, by: 'Restrictions' });
  });

  it('judges a row by what is known of its own key, and not of another', () => {
    const late = { confirmed: { by: 'InstallProfile', asOfMs: epochMs(4000) } } as const;
    const other = source(POLICY, { minLength: 4 }, late);
    const idle = source(POLICY, { maxInactivity: 5 });
    const none = evidence(restrictions({ maxInactivity: 0 }));
    expect(standing([other, idle], 'passcode/maxInactivity', none)).toMatchObject({ value: false });
    const grace = source(POLICY, { maxGracePeriod: 5 });
    const strict = evidence(restrictions({ maxGracePeriod: 0 }));
    expect(standing([idle, grace], 'passcode/maxGracePeriod', strict)).toMatchObject({ value: true });
  });

  it('says nothing of a key that it leaves out, or by a value of another type', () => {
    expect(standing([screen()], SCREEN, evidence(restrictions({ allowCamera: false })))).toEqual(UNKNOWN);
    expect(standing([screen()], SCREEN, evidence(restrictions({ allowScreenShot: 'no' })))).toEqual(UNKNOWN);
  });

  it('is read out of its four parts', () => {
    const global = {
      restrictedBool: { allowCamera: { value: false } },
      restrictedValue: { minLength: { value: 6 } },
      intersection: { whitelistedAppBundleIDs: { values: ['a'] } },
      union: { blacklistedAppBundleIDs: { values: ['b'] } },
      other: { ignored: { value: 1 } },
    };
    expect(Object.fromEntries(globalRestrictions(global))).toEqual({
      ...{ allowCamera: false, minLength: 6, whitelistedAppBundleIDs: ['a'], blacklistedAppBundleIDs: ['b'] },
    });
    expect(globalRestrictions({ restrictedBool: 3 }).size).toBe(0);
  });
});

describe('the source that wins', () => {
  it('is in force once the device reports the declaration active and valid', () => {
    const items = { 'management.declarations': {} };
    expect(standing([screen(declared)], SCREEN, evidence({}, items))).toEqual({
      ...{ value: true, by: 'management.declarations', asOfMs: NOW },
    });
    expect(standing([screen()], SCREEN, evidence({}, items))).toEqual(UNKNOWN);
  });

  it('is in force when another that wins as well is', () => {
    expect(standing([screen(), screen(declared)], SCREEN, evidence()).value).toBe(true);
  });

  it('is not shown in force by one that does not win', () => {
    const sources = [source(POLICY, { minLength: 4 }, declared), length()];
    expect(standing(sources, 'passcode/minLength', evidence())).toEqual(UNKNOWN);
  });

  it('is in force on the watch only by what the watch reports', () => {
    expect(standing([screen({ ...declared, via: 'mirror' })], SCREEN, evidence())).toEqual(UNKNOWN);
  });

  it('was installed, and is gone when a later ProfileList lacks it', () => {
    const of = { ...installed, payloadIdentifier: 'com.example.p' };
    expect(standing([screen(of)], SCREEN, evidence())).toEqual({
      value: true,
      by: 'InstallProfile',
      asOfMs: CHANGED,
    });
    const there = evidence(listed(['com.example.p']));
    expect(standing([screen(of)], SCREEN, there)).toEqual({ value: true, by: 'ProfileList', asOfMs: NOW });
    expect(standing([screen(of)], SCREEN, evidence(listed([])))).toEqual({
      value: false,
      by: 'ProfileList',
      asOfMs: NOW,
    });
    expect(standing([screen(of)], SCREEN, evidence(listed([], THEN)))).toMatchObject({
      value: true,
      by: 'InstallProfile',
    });
  });
});

describe('a profile that the device lists', () => {
  const named = { payloadIdentifier: 'com.example.p' };
  const there = (asOfMs = NOW) => evidence(listed(['com.example.p'], asOfMs));

  it('may be of another version than the one that is ordered or declared anew', () => {
    expect(standing([screen(named)], SCREEN, there())).toEqual(UNKNOWN);
  });

  it('was listed before it was confirmed, and counts as confirmed', () => {
    expect(standing([screen({ ...named, ...installed })], SCREEN, there(THEN))).toEqual({
      ...{ value: true, by: 'InstallProfile', asOfMs: CHANGED },
    });
  });

  it('is one of two of that name, and nobody knows which', () => {
    const other = source(POLICY, { minLength: 6 }, { ...named, ...declared });
    const two = [screen({ ...named, ...installed }), other];
    expect(standing(two, SCREEN, there())).toEqual(UNKNOWN);
    const removing = source(POLICY, { minLength: 6 }, { ...named, because: 'removing' });
    expect(standing([screen({ ...named, ...installed }), removing], SCREEN, there()).value).toBe(true);
  });
});

describe('the passcode', () => {
  it('that does not comply refutes every rule for it, whatever was applied', () => {
    const out = evidence(restrictions({ minLength: 6 }), { 'passcode.is-compliant': false });
    expect(standing([length(declared)], 'passcode/minLength', out)).toEqual({
      ...{ value: false, by: 'passcode.is-compliant', asOfMs: NOW },
    });
    expect(standing([screen(declared)], SCREEN, out).value).toBe(true);
  });

  it('that complies proves no rule: it may comply with none', () => {
    const items = { 'passcode.is-compliant': true, 'passcode.is-present': true };
    expect(standing([length()], 'passcode/minLength', evidence({}, items))).toEqual(UNKNOWN);
    expect(
      standing([source(PASSCODE, { RequirePasscode: true })], 'passcode/forcePIN', evidence({}, items)),
    ).toEqual(UNKNOWN);
  });

  it('that is missing refutes that one is forced, and not that none is', () => {
    const missing = evidence({}, { 'passcode.is-present': false });
    const force = (value: boolean) => [source(POLICY, { forcePIN: value }, declared)];
    expect(standing(force(true), 'passcode/forcePIN', missing)).toMatchObject({
      value: false,
      by: 'passcode.is-present',
    });
    expect(standing(force(false), 'passcode/forcePIN', missing).value).toBe(true);
  });

  it('is told by the newer of status report and SecurityInfo', () => {
    const items = { 'passcode.is-present': true, 'passcode.is-compliant': true };
    const info = { PasscodePresent: false, PasscodeCompliantWithProfiles: false, PasscodeCompliant: true };
    expect(passcodeState(evidence(security(info, NOW), items, THEN))).toEqual({
      present: { value: false, by: 'SecurityInfo', asOfMs: NOW },
      compliant: { value: false, by: 'SecurityInfo', asOfMs: NOW },
    });
    expect(passcodeState(evidence(security(info, THEN), items, NOW)).present).toEqual({
      ...{ value: true, by: 'passcode.is-present', asOfMs: NOW },
    });
    expect(passcodeState(evidence()).compliant).toEqual(UNKNOWN);
  });
});

it('leaves a row open for which nothing counts', () => {
  expect(
    standing([screen({ because: 'inactive' })], SCREEN, evidence(restrictions({ allowScreenShot: false }))),
  ).toEqual(UNKNOWN);
});
