/**
 * What a device is and has, for its answers and its status reports.
 */
import { Buffer } from 'node:buffer';
import { createHash } from 'node:crypto';
import { type App, type StoreApp, stateInStatus } from './apps.ts';
import { open } from './cms.ts';
import type { Json, JsonDict } from './declarations.ts';
import { type CertificateFact, type DeviceFacts, factoryState } from './facts.ts';
import { type PlistDict, readDict } from './plist.ts';
import { certificatesOf } from './profiles.ts';
import type { Random } from './random.ts';
import { passcodeComplies } from './restrictions.ts';

export interface Model {
  readonly name: string;
  readonly modelName: string;
  readonly product: string;
  readonly osVersion: string;
  readonly build: string;
  readonly family: string;
  readonly configurations: readonly string[];
}

export interface Individual {
  readonly udid: string;
  readonly serial: string;
  readonly supervised: boolean;
  readonly identities: DeviceFacts['identities'];
  readonly enrollment: DeviceFacts['enrollment'];
  /** The active configurations of a type. */
  readonly declared: (
    type: string,
  ) => readonly { readonly payload: JsonDict; readonly profile: Buffer | null }[];
  readonly download: DeviceFacts['download'];
  readonly push: DeviceFacts['push'];
}

/** UnlockTokens in the field have over 1 kB and an odd length (facts 19.7). */
const UNLOCK_TOKEN_BYTES = 1201;

export function newFacts(model: Model, individual: Individual, dice: Random): DeviceFacts {
  const { product, osVersion, build, modelName, family } = model;
  const { declared, ...own } = individual;
  return {
    ...own,
    ...{ product, osVersion, build, modelName, family },
    ...factoryState(modelName, own.serial),
    unlockToken: Buffer.from(dice.bytes(UNLOCK_TOKEN_BYTES)),
    profiles: new Map<string, PlistDict>(),
    signers: new Map(),
    declaredProfiles: () =>
      declared(LEGACY).flatMap(({ profile }) => (profile === null ? [] : [profileIn(profile)])),
    declaredPasscode: () => declared(PASSCODE_SETTINGS).map(({ payload }) => payload),
    provisioning: new Map(),
    store: new Map<string, StoreApp>(),
    onInstall: () => 'install',
    forgetsOutcomes: false,
    host: null,
    erased: false,
    leaving: null,
    status: new Map(),
    statusErrors: new Map(),
  };
}

const LEGACY = 'com.apple.configuration.legacy';
const PASSCODE_SETTINGS = 'com.apple.configuration.passcode.settings';

/** It was read before, when it was downloaded. */
function profileIn(bytes: Buffer): PlistDict {
  return readDict(bytes[0] === 0x30 ? open(bytes).content : bytes);
}

const NEWER = '27.0';

/** Everything reportable, by dotted item name (facts 15 and 16, status items), and what a test made of it. */
export function statusItems(model: Model, facts: DeviceFacts): Record<string, Json> {
  const { token, magic } = facts.push();
  const newer = {
    'mdm.enrollment-type': facts.supervised ? 'supervised' : 'device',
    'mdm.push-magic': magic,
    'mdm.push-token': token.toString('base64'),
    'security.lockdown-mode': false,
  };
  const items: Record<string, Json> = {
    'device.identifier.serial-number': facts.serial,
    'device.identifier.udid': facts.udid,
    'device.model.family': model.family,
    'device.model.identifier': model.product,
    'device.model.marketing-name': model.modelName,
    'device.model.number': 'MXTEST',
    'device.operating-system.build-version': model.build,
    'device.operating-system.family': model.family === 'Watch' ? 'watchOS' : 'iOS',
    'device.operating-system.marketing-name': `${model.family === 'Watch' ? 'watchOS' : 'iOS'} ${model.osVersion}`,
    'device.operating-system.supplemental.build-version': model.build,
    'device.operating-system.supplemental.extra-version': '(a)',
    'device.operating-system.version': model.osVersion,
    'mdm.app': [...facts.apps.values()].map(appStatus),
    'passcode.is-compliant': passcodeComplies(facts),
    'passcode.is-present': facts.passcode,
    'security.certificate.list': certificatesOf(facts).map(certificateStatus),
    'test.array-value': [{ key1: 'one' }, { key1: 'two', key2: 'second' }],
    'test.boolean-value': true,
    'test.dictionary-value': { key1: 'value' },
    'test.error-value': 'value',
    'test.integer-value': 42,
    'test.real-value': 2.5,
    'test.string-value': 'value',
    ...(isAtLeast(model.osVersion, NEWER) ? newer : {}),
  };
  for (const [name, value] of facts.status) {
    if (value === null) delete items[name];
    else items[name] = value;
  }
  return items;
}

function appStatus({ identifier, name, version, externalVersion, state }: App): Json {
  return {
    identifier,
    name,
    version,
    'short-version': version,
    'external-version-id': String(externalVersion),
    state: stateInStatus(state),
  };
}

function certificateStatus(one: CertificateFact): Json {
  const identifier = createHash('sha256').update(one.der).digest('hex');
  const data = one.der.toString('base64');
  return { identifier, 'subject-summary': one.name, 'is-identity': one.identity, data };
}

/** The configurations of its model that this device takes. */
export function supportedTypes({ configurations, osVersion }: Model, supervised: boolean): Set<string> {
  const siri = isAtLeast(osVersion, '26.4') ? [SIRI_SETTINGS] : [];
  return new Set([...configurations, ...siri].filter((type) => supervised || type !== WATCH_ENROLLMENT));
}

const SIRI_SETTINGS = 'com.apple.configuration.siri.settings';
export const WATCH_ENROLLMENT = 'com.apple.configuration.watch.enrollment';

function isAtLeast(version: string, other: string): boolean {
  const [a, b] = [version, other].map((text) => text.split('.').map(Number));
  const at = a?.findIndex((part, i) => part !== (b?.[i] ?? 0)) ?? -1;
  return at < 0 || (a?.[at] ?? 0) > (b?.[at] ?? 0);
}

/** Facts 15: what both platforms take besides configurations. */
const ASSETS = ['acme', 'certificate', 'identity', 'scep', 'userpassword'].map((one) => `credential.${one}`);
const MANAGEMENT = ['organization-info', 'properties', 'server-capabilities'];

export function clientCapabilities(types: ReadonlySet<string>, statusItems: readonly string[]): JsonDict {
  return {
    'supported-versions': ['1.0.0'],
    'supported-features': {},
    'supported-payloads': {
      declarations: {
        activations: ['com.apple.activation.simple'],
        assets: [...ASSETS, 'data', 'useridentity'].map((one) => `com.apple.asset.${one}`),
        configurations: [...types],
        management: MANAGEMENT.map((one) => `com.apple.management.${one}`),
      },
      'status-items': ['management.client-capabilities', 'management.declarations', ...statusItems],
    },
  };
}
