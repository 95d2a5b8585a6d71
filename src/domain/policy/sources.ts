/**
 * The sources of one device's policy: configurations of its manifest that set rules, profiles behind declarations, and
 * profiles that commands installed. What a manifest withholds is no source; what the device reports as inactive or
 * invalid is one that does not count.
 */
import { isJsonObject } from '../../protocol/ddm/bounded-json.ts';
import { type JsonObject, plistToJson } from '../../protocol/plist/json.ts';
import type { PlistDict } from '../../protocol/plist/value.ts';
import type { EpochMs } from '../../std/time.ts';
import type { NotCounting, PolicyOrigin, UnreadSource } from '../admin/policy-services.ts';
import type { CompiledDeclaration } from '../declaration/compile.ts';
import type { DeviceDescription } from '../enrollment/device.ts';
import type { Udid } from '../ids.ts';
import type { DeviceProfileState } from '../profile/device-profile-ports.ts';
import { ALWAYS_ON_VPN, LEGACY_TYPES, POLICY_CONFIGURATIONS, POLICY_PAYLOADS } from './keys.ts';

/** More than any device was given; each may be a profile that is opened. */
export const SOURCES_MAX = 200;

export interface PolicyPayload {
  readonly type: string;
  readonly values: JsonObject;
}

export interface PolicySource {
  readonly origin: PolicyOrigin;
  readonly payloads: readonly PolicyPayload[];
  /** Null when it counts. */
  readonly because: NotCounting | null;
  /** What shows that the device has applied it; null when nothing does. */
  readonly confirmed: {
    readonly by: 'management.declarations' | 'InstallProfile';
    /** Null where the status item's own time counts. */
    readonly asOfMs: EpochMs | null;
  } | null;
  readonly unread: UnreadSource | null;
}

export interface DeviceFacts {
  readonly udid: Udid;
  readonly description: DeviceDescription;
  readonly compiled: readonly CompiledDeclaration[];
  /** Of what is the same for every device, by identifier. */
  readonly payloads: ReadonlyMap<string, JsonObject>;
  /** Profiles behind declarations that could be opened, or why not; absent where none is stored here. */
  readonly declared: ReadonlyMap<string, OpenedProfile>;
  readonly installed: readonly InstalledProfile[];
}

export type OpenedProfile =
  | { readonly kind: 'opened'; readonly profile: PlistDict }
  /** Nothing in it is policy. */
  | { readonly kind: 'other' }
  | { readonly kind: 'unread'; readonly reason: UnreadSource };

/** A profile that a command gave to the device. */
export interface InstalledProfile {
  /** The stored profile's; of one that came in the command itself, that CommandUUID. */
  readonly identifier: string;
  readonly byCommand?: true;
  /** Null when it could not be read. */
  readonly payloadIdentifier: string | null;
  readonly state: DeviceProfileState;
  readonly isInstalled: boolean;
  readonly installedAtMs: EpochMs | null;
  /** Of the version that the device is to have. */
  readonly content: OpenedProfile;
}

/** What the manifest holds of it: withheld declarations are none of it. */
export function heldOf(compiled: readonly CompiledDeclaration[]): readonly CompiledDeclaration[] {
  return compiled.filter((one) => one.withheld === null);
}

export function isPolicyType(type: string): boolean {
  return POLICY_CONFIGURATIONS.has(type) || LEGACY_TYPES.has(type) || type === ALWAYS_ON_VPN;
}

/** The asset that a legacy configuration takes its profile from; null when it is not an asset. */
export function profileAssetOf(payload: JsonObject | undefined): string | null {
  const asset = payload?.['ProfileAssetReference'];
  return typeof asset === 'string' ? asset : null;
}

export function payloadOf(
  one: CompiledDeclaration,
  facts: Pick<DeviceFacts, 'payloads'>,
): JsonObject | undefined {
  return one.payload ?? facts.payloads.get(one.identifier);
}

export function sourcesOf(facts: DeviceFacts): readonly PolicySource[] {
  // Its profiles and declarations left with the enrollment.
  if (facts.description.state === 'checked-out') return [];
  const held = heldOf(facts.compiled);
  const activated = activatedBy(held, facts);
  const declarations = held
    .filter((one) => one.kind === 'configuration' && isPolicyType(one.type))
    .map((one) => declaredSource(one, facts, activated));
  const profiles = facts.installed.map((one) => installedSource(one, facts));
  return within([...declarations, ...profiles].filter((one) => one !== null));
}

/** The first that is left out says so. */
function within(sources: readonly PolicySource[]): readonly PolicySource[] {
  const kept = sources.slice(0, SOURCES_MAX);
  const [next] = sources.slice(SOURCES_MAX);
  return next === undefined ? kept : [...kept, { ...next, payloads: [], unread: 'limit' }];
}

/** The configurations that an activation of the manifest names: the others do nothing (facts 4.4). */
function activatedBy(held: readonly CompiledDeclaration[], facts: DeviceFacts): ReadonlySet<string> {
  const named = held
    .filter((one) => one.kind === 'activation')
    .flatMap((one) => payloadOf(one, facts)?.['StandardConfigurations'] ?? []);
  return new Set(named.filter((one) => typeof one === 'string'));
}

function declaredSource(
  one: CompiledDeclaration,
  facts: DeviceFacts,
  activated: ReadonlySet<string>,
): PolicySource | null {
  const { identifier, serverToken, type } = one;
  const status = facts.description.declarations.find(
    (held) => held.identifier === identifier && held.serverToken === serverToken,
  )?.status;
  const applied = status?.active === true && status.valid === 'valid';
  const standing = {
    because: notCounting(status ?? null, activated.has(identifier)),
    confirmed: applied ? ({ by: 'management.declarations', asOfMs: null } as const) : null,
  };
  const origin: PolicyOrigin = {
    kind: 'declaration',
    identifier,
    payloadIdentifier: null,
    device: facts.udid,
    via: 'direct',
  };
  const payload = payloadOf(one, facts);
  if (!LEGACY_TYPES.has(type)) {
    const payloads = payload === undefined ? [] : [{ type, values: payload }];
    return { origin, payloads, ...standing, unread: payload === undefined ? 'changed' : null };
  }
  const opened = facts.declared.get(identifier) ?? { kind: 'unread', reason: 'foreign' };
  if (opened.kind === 'other') return null;
  if (opened.kind === 'unread') return { origin, payloads: [], ...standing, unread: opened.reason };
  const { payloadIdentifier, payloads } = policyIn(opened.profile);
  if (payloads.length === 0) return null;
  return { origin: { ...origin, payloadIdentifier }, payloads, ...standing, unread: null };
}

function notCounting(
  status: { readonly active: boolean; readonly valid: 'valid' | 'invalid' | 'unknown' } | null,
  activated: boolean,
): NotCounting | null {
  if (status?.valid === 'invalid') return 'invalid';
  if (!activated) return 'not-activated';
  return status?.active === false ? 'inactive' : null;
}

/** Null when nothing in it is policy. */
function installedSource(one: InstalledProfile, { udid }: DeviceFacts): PolicySource | null {
  const { identifier, payloadIdentifier, content, installedAtMs: asOfMs } = one;
  const origin: PolicyOrigin = {
    kind: one.byCommand ? 'command' : 'profile',
    identifier,
    payloadIdentifier,
    device: udid,
    via: 'direct',
  };
  const has = one.isInstalled && one.state !== 'ordered';
  const standing = {
    because: ordersNotCounting(one),
    confirmed: has ? ({ by: 'InstallProfile', asOfMs } as const) : null,
  };
  if (content.kind === 'other') return null;
  if (content.kind === 'unread') return { origin, payloads: [], ...standing, unread: content.reason };
  const { payloads } = policyIn(content.profile);
  return payloads.length === 0 ? null : { origin, payloads, ...standing, unread: null };
}

/** An order that is not answered yet counts, as a declaration does that the device has not reported yet. */
function ordersNotCounting({ state, isInstalled }: InstalledProfile): NotCounting | null {
  if (state === 'removing') return 'removing';
  return state === 'failed' && !isInstalled ? 'not-installed' : null;
}

function policyIn(profile: PlistDict): {
  readonly payloadIdentifier: string | null;
  readonly payloads: readonly PolicyPayload[];
} {
  const content = profile.get('PayloadContent');
  const identifier = profile.get('PayloadIdentifier');
  const payloads = (Array.isArray(content) ? content : []).flatMap((item): readonly PolicyPayload[] => {
    const values = plistToJson(item);
    const type = isJsonObject(values) ? values['PayloadType'] : null;
    return isJsonObject(values) && typeof type === 'string' && POLICY_PAYLOADS.includes(type)
      ? [{ type, values }]
      : [];
  });
  return { payloadIdentifier: typeof identifier === 'string' ? identifier : null, payloads };
}
