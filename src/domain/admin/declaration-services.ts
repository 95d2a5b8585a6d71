/**
 * What the admin API needs for declarations, the sets they form, groups of devices, and what each device is to hold.
 * A change is durable on return, with a mark for every device that it concerns. Few devices have their manifest by
 * then, many get it in the background: `waiting` says how many are left.
 */
import type { Outcome } from '../../std/outcome.ts';
import type { EpochMs } from '../../std/time.ts';
import type { MistypedReference } from '../declaration/asset-types.ts';
import type { Setting, Withheld } from '../declaration/compile.ts';
import type { DeclarationInput, DraftRefusal, IdentifierRefusal } from '../declaration/draft.ts';
import type { DeclarationKind } from '../declaration/manifest.ts';
import type { Declaration } from '../declaration/ports.ts';
import type { DeviceProperties } from '../declaration/properties.ts';
import type { Reference } from '../declaration/references.ts';
import type { MalformedIdentifier, Platform, Udid } from '../ids.ts';
import type { Precondition, PreconditionFailed } from './precondition.ts';
import type { MalformedCursor, Page, PageQuery, StatusReason, UnknownDevice } from './services.ts';
import type { UploadResource } from './upload-services.ts';

export interface DeclarationSummary extends Omit<Declaration, 'payload'> {
  readonly updatedAtMs: EpochMs;
}

export interface DeclarationRecord extends Declaration {
  readonly updatedAtMs: EpochMs;
}

export interface DeclarationFilter {
  readonly kind: DeclarationKind | null;
  readonly type: string | null;
}

export type UnknownDeclaration = { readonly kind: 'unknown-declaration'; readonly identifier: string };

export type PutRefusal =
  | DraftRefusal
  | PreconditionFailed
  | { readonly kind: 'kind-fixed'; readonly current: DeclarationKind }
  /** An asset keeps its type: what refers to it was checked against it. */
  | { readonly kind: 'type-fixed'; readonly current: string }
  | { readonly kind: 'unknown-references'; readonly references: readonly Reference[] }
  | { readonly kind: 'asset-type-mismatch'; readonly references: readonly MistypedReference[] }
  /** Its payload follows from an upload, and is replaced there. */
  | { readonly kind: 'made-by-upload'; readonly resource: UploadResource };

export type TouchRefusal = IdentifierRefusal | UnknownDeclaration | PreconditionFailed;

/** A change and how many devices are still to be brought up to date with it. */
export interface Changed<T> {
  readonly changed: T;
  readonly waiting: number;
}

export interface PutDeclaration extends Changed<DeclarationRecord> {
  readonly created: boolean;
}

/** Who refers to a declaration, at most 32 of each. */
export interface Holders {
  readonly declarations: readonly string[];
  readonly sets: readonly string[];
}

export type RemoveRefusal =
  | IdentifierRefusal
  | UnknownDeclaration
  | PreconditionFailed
  | { readonly kind: 'still-referenced'; readonly holders: Holders }
  /** It is a profile that so many devices have by a command. */
  | { readonly kind: 'profile-installed'; readonly devices: number };

export interface DeclarationLibrary {
  /** By identifier; the server's own are among them. */
  list(
    filter: DeclarationFilter,
    page: PageQuery,
  ): Promise<Outcome<Page<DeclarationSummary>, MalformedCursor>>;
  find(identifier: string): Promise<DeclarationRecord | null>;
  /** Content that is stored already is no change and fulfils every precondition. */
  put(
    identifier: string,
    input: DeclarationInput,
    precondition: Precondition,
    nowMs: EpochMs,
  ): Promise<Outcome<PutDeclaration, PutRefusal>>;
  /** A new server token for the same content, which devices then fetch and apply again. */
  touch(identifier: string, nowMs: EpochMs): Promise<Outcome<Changed<DeclarationRecord>, TouchRefusal>>;
  remove(
    identifier: string,
    precondition: Precondition | null,
  ): Promise<Outcome<{ readonly removed: true }, RemoveRefusal>>;
}

/** A group that a set is assigned to, and of it the devices whose shard (0 to 99) is below `percent`. */
export interface SetGroup {
  readonly group: string;
  readonly percent: number;
}

export interface SetRecord {
  readonly name: string;
  /** Identifiers in alphabetical order. */
  readonly declarations: readonly string[];
  /** How many devices it is assigned to by name. */
  readonly devices: number;
  readonly groups: readonly SetGroup[];
  readonly updatedAtMs: EpochMs;
}

export interface SetDevice {
  readonly udid: Udid;
  readonly assignedAtMs: EpochMs;
}

export type UnknownSet = { readonly kind: 'unknown-set'; readonly name: string };

export type SetPutRefusal =
  | MalformedIdentifier
  | { readonly kind: 'unknown-declarations'; readonly identifiers: readonly string[] };

export type SetRemoveRefusal =
  | UnknownSet
  /** `devices` are the first of them. */
  | {
      readonly kind: 'set-assigned';
      readonly devices: readonly Udid[];
      readonly groups: readonly string[];
    };

export type SetAssignRefusal =
  | UnknownSet
  | UnknownDevice
  | { readonly kind: 'device-sets-full'; readonly setsMax: number };

export type UnknownGroup = { readonly kind: 'unknown-group'; readonly name: string };
export type SetAssignGroupRefusal =
  | UnknownSet
  | UnknownGroup
  | { readonly kind: 'group-sets-full'; readonly setsMax: number };

/** One declaration of those that a device's assignments name. */
export interface DeviceDeclaration {
  readonly identifier: string;
  readonly kind: DeclarationKind;
  /** Null when a variable in it has no value for the device. */
  readonly serverToken: string | null;
  readonly origin: { readonly sets: readonly string[]; readonly setting: Setting | null };
  /** Why the device is not given it. */
  readonly withheld: Withheld | null;
  /** The device has fetched it as it now stands. */
  readonly fetched: boolean;
  /** As the device's status report says; `null` before the first report. */
  readonly active: boolean | null;
  readonly valid: 'valid' | 'invalid' | 'unknown' | null;
  readonly reasons: readonly StatusReason[];
}

export interface PutSet extends Changed<SetRecord> {
  readonly created: boolean;
}

/** A device's declarations, and whether it knows of them. */
export interface DeviceManifest {
  readonly items: readonly DeviceDeclaration[];
  /** Of what its object says it is to hold; null when that never was anything. */
  readonly declarationsToken: string | null;
  readonly changedAtMs: EpochMs | null;
  /** It is yet to be told that this changed, or has not answered yet. */
  readonly pending: boolean;
}

export interface DeclarationSets {
  list(page: PageQuery): Promise<Outcome<Page<SetRecord>, MalformedCursor>>;
  find(name: string): Promise<SetRecord | null>;
  /** Creates or replaces. */
  put(name: string, identifiers: readonly string[], nowMs: EpochMs): Promise<Outcome<PutSet, SetPutRefusal>>;
  remove(name: string): Promise<Outcome<{ readonly removed: true }, SetRemoveRefusal>>;
  /** Assigning twice is no refusal, and neither is taking back what was not assigned. */
  assign(
    name: string,
    udid: Udid,
    nowMs: EpochMs,
  ): Promise<Outcome<{ readonly assigned: true }, SetAssignRefusal>>;
  unassign(
    name: string,
    udid: Udid,
    nowMs: EpochMs,
  ): Promise<Outcome<{ readonly assigned: false }, UnknownSet | UnknownDevice>>;
  /** By UDID. */
  devices(name: string, page: PageQuery): Promise<Outcome<Page<SetDevice>, MalformedCursor | UnknownSet>>;
  /** Replaces the percentage of an assignment that is there. */
  assignGroup(
    name: string,
    group: SetGroup,
    nowMs: EpochMs,
  ): Promise<Outcome<Changed<SetGroup>, SetAssignGroupRefusal>>;
  unassignGroup(
    name: string,
    group: string,
    nowMs: EpochMs,
  ): Promise<Outcome<{ readonly waiting: number }, UnknownSet | UnknownGroup>>;
  ofDevice(udid: Udid): Promise<Outcome<DeviceManifest, UnknownDevice>>;
  /** Devices that changes are still to be brought to, and since when the oldest of them waits. */
  waiting(): Promise<{ readonly devices: number; readonly sinceMs: EpochMs | null }>;
}

// Groups

export interface GroupRecord {
  readonly name: string;
  readonly devices: number;
  readonly updatedAtMs: EpochMs;
}

export type GroupRemoveRefusal =
  | UnknownGroup
  | { readonly kind: 'group-everyone' }
  | { readonly kind: 'group-assigned'; readonly sets: readonly string[]; readonly watchEnrollment: boolean };

export type GroupChangeRefusal =
  | UnknownGroup
  | { readonly kind: 'group-everyone' }
  | { readonly kind: 'unknown-devices'; readonly devices: readonly Udid[] }
  | { readonly kind: 'device-groups-full'; readonly devices: readonly Udid[]; readonly groupsMax: number };

export interface GroupChange {
  readonly add: readonly Udid[];
  readonly remove: readonly Udid[];
}

/** Every device is in the group `everyone`, which is always there. */
export interface DeviceGroups {
  list(page: PageQuery): Promise<Outcome<Page<GroupRecord>, MalformedCursor>>;
  find(name: string): Promise<GroupRecord | null>;
  /** One that is there stays as it is. */
  create(
    name: string,
    nowMs: EpochMs,
  ): Promise<Outcome<{ readonly group: GroupRecord; readonly created: boolean }, MalformedIdentifier>>;
  remove(name: string): Promise<Outcome<{ readonly removed: true }, GroupRemoveRefusal>>;
  /** By UDID. */
  members(name: string, page: PageQuery): Promise<Outcome<Page<Udid>, MalformedCursor | UnknownGroup>>;
  /** Adding a member or removing a stranger is no refusal. */
  change(
    name: string,
    change: GroupChange,
    nowMs: EpochMs,
  ): Promise<Outcome<Changed<GroupRecord>, GroupChangeRefusal>>;
}

// Settings that the server makes declarations of

export interface DeviceSettings {
  properties(udid: Udid): Promise<Outcome<DeviceProperties, UnknownDevice>>;
  putProperties(
    udid: Udid,
    properties: DeviceProperties,
    nowMs: EpochMs,
  ): Promise<Outcome<DeviceProperties, UnknownDevice>>;
  subscriptions(platform: Platform): Promise<SubscriptionRecord>;
  /** Null takes the administrator's list back: the default counts again. */
  putSubscriptions(
    platform: Platform,
    items: readonly string[] | null,
    nowMs: EpochMs,
  ): Promise<Outcome<Changed<SubscriptionRecord>, SubscriptionRefusal>>;
}

export interface SubscriptionRecord {
  readonly platform: Platform;
  readonly items: readonly string[];
  readonly isDefault: boolean;
}

/** Names that the catalog does not have on that platform. */
export type SubscriptionRefusal = {
  readonly kind: 'unknown-status-items';
  readonly platform: Platform;
  readonly items: readonly string[];
};
