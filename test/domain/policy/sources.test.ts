/** Which declarations and profiles are sources of a device's policy, and which of them count. */
import { describe, expect, it } from 'vitest';
import type { CompiledDeclaration, Withheld } from '../../../src/domain/declaration/compile.ts';
import type { DescribedDeclaration, DeviceDescription } from '../../../src/domain/enrollment/device.ts';
import {
  type DeviceFacts,
  type InstalledProfile,
  type OpenedProfile,
  SOURCES_MAX,
  sourcesOf,
} from '../../../src/domain/policy/sources.ts';
import type { JsonObject } from '../../../src/protocol/plist/json.ts';
import type { PlistDict, PlistValue } from '../../../src/protocol/plist/value.ts';
import { epochMs } from '../../../src/std/time.ts';
import { PASSCODE, POLICY, RESTRICTIONS, WATCH } from './sources.ts';

const LEGACY = 'com.apple.configuration.legacy';
const RULE = { MinimumLength: 6 };

interface Given {
  readonly identifier?: string;
  readonly type?: string;
  readonly payload?: JsonObject | null;
  readonly withheld?: Withheld | null;
  /** Null when the device has not reported it. */
  readonly status?: { readonly active: boolean; readonly valid: 'valid' | 'invalid' | 'unknown' } | null;
  /** The token that the report is about. */
  readonly reportedToken?: string;
}

function declared({
  identifier = 'rules',
  type = PASSCODE,
  payload = RULE,
  withheld = null,
}: Given): CompiledDeclaration {
  const kind = type === 'com.apple.activation.simple' ? 'activation' : 'configuration';
  return { kind, identifier, type, payload, serverToken: 't', origin: { sets: [], setting: null }, withheld };
}

const activation = (names: readonly string[]) =>
  declared({
    identifier: 'act',
    type: 'com.apple.activation.simple',
    payload: { StandardConfigurations: [...names] },
  });

function facts(over: Partial<DeviceFacts>, given: readonly Given[] = [], state = 'enrolled'): DeviceFacts {
  const held = given.flatMap(
    ({ identifier = 'rules', status = null, reportedToken = 't' }): DescribedDeclaration[] => [
      {
        kind: 'configuration',
        identifier,
        serverToken: reportedToken,
        fetched: true,
        status: status === null ? null : { identifier, serverToken: reportedToken, reasons: [], ...status },
      },
    ],
  );
  return {
    udid: WATCH,
    description: { state, declarations: held } as unknown as DeviceDescription,
    compiled: [...given.map(declared), activation(given.map(({ identifier = 'rules' }) => identifier))],
    payloads: new Map(),
    declared: new Map(),
    installed: [],
    ...over,
  };
}

const standing = (of: DeviceFacts) =>
  sourcesOf(of).map(({ origin, because, confirmed }) => [origin.identifier, because, confirmed?.by ?? null]);

function profile(
  payloads: readonly (readonly [string, PlistValue][])[],
  identifier = 'com.example.p',
): PlistDict {
  return new Map<string, PlistValue>([
    ['PayloadIdentifier', identifier],
    ['PayloadContent', payloads.map((one) => new Map(one))],
  ]);
}
const WITH_RULES = profile([
  [
    ['PayloadType', POLICY],
    ['minLength', 6],
  ],
]);
const opened = (document: PlistDict): OpenedProfile => ({ kind: 'opened', profile: document });

describe('a declaration', () => {
  it('counts until the device reports otherwise, and is confirmed when it reports it active and valid', () => {
    expect(standing(facts({}, [{}]))).toEqual([['rules', null, null]]);
    const status = (active: boolean, valid: 'valid' | 'invalid' | 'unknown') =>
      standing(facts({}, [{ status: { active, valid } }]));
    expect(status(true, 'valid')).toEqual([['rules', null, 'management.declarations']]);
    expect(status(true, 'unknown')).toEqual([['rules', null, null]]);
    expect(status(false, 'valid')).toEqual([['rules', 'inactive', null]]);
    expect(status(true, 'invalid')).toEqual([['rules', 'invalid', null]]);
  });

  it('is not judged by a report about what it was before', () => {
    const before = { status: { active: true, valid: 'invalid' }, reportedToken: 'older' } as const;
    expect(standing(facts({}, [before]))).toEqual([['rules', null, null]]);
  });

  it('does nothing without an activation that names it', () => {
    expect(standing(facts({ compiled: [declared({}), activation(['another'])] }))).toEqual([
      ['rules', 'not-activated', null],
    ]);
    const withheld = { rule: 'platform', expected: 'not watchOS' } as const;
    const compiled = [declared({}), { ...activation(['rules']), withheld }];
    expect(standing(facts({ compiled }))).toEqual([['rules', 'not-activated', null]]);
  });

  it('is no source when it is withheld or sets no rules', () => {
    const withheld = { rule: 'version', expected: 'watchOS 26.4 or later' } as const;
    expect(standing(facts({}, [{ withheld }]))).toEqual([]);
    expect(standing(facts({}, [{ type: 'com.apple.configuration.management.test' }]))).toEqual([]);
  });

  it('has the payload that all devices share where it has none of its own', () => {
    const shared = facts({ payloads: new Map([['rules', RULE]]) }, [{ payload: null }]);
    expect(sourcesOf(shared)[0]?.payloads).toEqual([{ type: PASSCODE, values: RULE }]);
    expect(sourcesOf(facts({}, [{ payload: null }]))[0]?.unread).toBe('changed');
  });

  it('is left out past the limit, and the first one says so', () => {
    const many = Array.from({ length: SOURCES_MAX + 2 }, (_, n) => ({ identifier: `rules-${n}` }));
    const sources = sourcesOf(facts({}, many));
    expect(sources.filter(({ payloads }) => payloads.length > 0)).toHaveLength(SOURCES_MAX);
    expect(sources.filter(({ unread }) => unread === 'limit')).toHaveLength(1);
  });

  it('is over when the device checked out', () => {
    expect(standing(facts({}, [{}], 'checked-out'))).toEqual([]);
  });
});

describe('a profile behind a declaration', () => {
  const legacy = { type: LEGACY, payload: { ProfileURL: 'https://example.com' } };
  const of = (profileOf: OpenedProfile | null) =>
    sourcesOf(facts({ declared: new Map(profileOf === null ? [] : [['rules', profileOf]]) }, [legacy]));

  it('gives its policy payloads under its own PayloadIdentifier', () => {
    const document = profile([
      [
        ['PayloadType', POLICY],
        ['minLength', 6],
      ],
      [
        ['PayloadType', 'com.apple.wifi.managed'],
        ['Password', 'x'],
      ],
      [
        ['PayloadType', RESTRICTIONS],
        ['allowCamera', false],
      ],
    ]);
    const [source] = of(opened(document));
    expect(source?.origin).toMatchObject({
      kind: 'declaration',
      identifier: 'rules',
      payloadIdentifier: 'com.example.p',
    });
    expect(source?.payloads.map(({ type }) => type)).toEqual([POLICY, RESTRICTIONS]);
  });

  it('is no source without such payloads, and is named when it cannot be read', () => {
    expect(of({ kind: 'other' })).toEqual([]);
    expect(of(opened(profile([[['PayloadType', 'com.apple.wifi.managed']]])))).toEqual([]);
    expect(of(null)).toMatchObject([{ unread: 'foreign', payloads: [] }]);
    expect(of({ kind: 'unread', reason: 'limit' })).toMatchObject([{ unread: 'limit' }]);
  });
});

describe('a profile by command', () => {
  const by = (over: Partial<InstalledProfile>) => {
    const one: InstalledProfile = {
      ...{ identifier: 'stored', payloadIdentifier: 'com.example.p', state: 'installed', isInstalled: true },
      installedAtMs: epochMs(5),
      content: opened(WITH_RULES),
      ...over,
    };
    return standing(facts({ compiled: [], installed: [one] }));
  };

  it('counts from the order on, is confirmed by the answer, and counts no more from the order to remove it', () => {
    expect(by({ state: 'ordered', isInstalled: false })).toEqual([['stored', null, null]]);
    expect(by({})).toEqual([['stored', null, 'InstallProfile']]);
    expect(by({ state: 'removing' })).toEqual([['stored', 'removing', 'InstallProfile']]);
  });

  it('that failed does not count, unless the device still has it as it was before', () => {
    expect(by({ state: 'failed', isInstalled: false })).toEqual([['stored', 'not-installed', null]]);
    expect(by({ state: 'failed', isInstalled: true })).toEqual([['stored', null, 'InstallProfile']]);
  });

  it('that is stored no more is to be read as long as the device has it, or may come to have it', () => {
    const content = { kind: 'unread', reason: 'deleted' } as const;
    expect(by({ content, state: 'failed', isInstalled: false })).toEqual([]);
    expect(by({ content, state: 'failed', isInstalled: true })).toHaveLength(1);
    expect(by({ content, state: 'ordered', isInstalled: false })).toHaveLength(1);
  });

  it('whose next version is on its way is not confirmed by the one before', () => {
    expect(by({ state: 'ordered', isInstalled: true })).toEqual([['stored', null, null]]);
  });
});
