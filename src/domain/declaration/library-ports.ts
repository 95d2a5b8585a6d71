/**
 * What declarations, sets, groups and the manifests made of them need from the fleet's records. A write that changes
 * what devices are to hold takes the change's name and marks those devices in the same transaction (due.ts).
 */

import type { JsonObject } from '../../protocol/plist/json.ts';
import type { Outcome } from '../../std/outcome.ts';
import type { EpochMs } from '../../std/time.ts';
import type {
  DeclarationFilter,
  DeclarationRecord,
  DeclarationSummary,
  GroupChange,
  GroupRecord,
  Holders,
  SetDevice,
  SetGroup,
  SetRecord,
} from '../admin/declaration-services.ts';
import type { MalformedCursor, Page, PageQuery } from '../admin/services.ts';
import type { Udid } from '../ids.ts';
import type { Change } from './due.ts';
import type { DeclarationKind } from './manifest.ts';
import type { DeviceProperties } from './properties.ts';
import type { Subscriptions } from './subscriptions.ts';
import type { SealedUpload } from './upload-ports.ts';

export interface StoredDeclaration extends DeclarationRecord {
  readonly salt: string | null;
  /** Its payload holds variables: its server token is no device's, each has its own. */
  readonly templated: boolean;
  /** An upload made it, and is stored beside it. */
  readonly uploaded: boolean;
}

/** Durable on return. Writes compare and set: false means that nothing was written. */
export interface LibraryStore {
  list(
    filter: DeclarationFilter,
    page: PageQuery,
  ): Promise<Outcome<Page<DeclarationSummary>, MalformedCursor>>;
  find(identifier: string): Promise<StoredDeclaration | null>;
  /** False when the identifier is taken. What an upload brings is stored with it, or neither. */
  insert(
    declaration: StoredDeclaration,
    targets: readonly string[],
    upload?: SealedUpload | null,
  ): Promise<boolean>;
  /** False when the stored token is not `serverToken`. Null targets leave what it refers to as it is. */
  replace(
    declaration: StoredDeclaration,
    targets: readonly string[] | null,
    serverToken: string,
    change: Change,
    upload?: SealedUpload | null,
  ): Promise<boolean>;
  /** False when the token is another, or something refers to it, or, without force, it is a profile that devices have. */
  remove(identifier: string, serverToken: string, force: boolean): Promise<boolean>;
  /** Devices that have a profile by a command, or are to. */
  devicesWith(identifier: string): Promise<number>;
  holders(identifier: string): Promise<Holders>;
  /** Of those that exist. */
  kindsOf(identifiers: readonly string[]): Promise<ReadonlyMap<string, DeclarationKind>>;
  /** Of those that exist. */
  typesOf(identifiers: readonly string[]): Promise<ReadonlyMap<string, string>>;
  /** As sets hold them; of those that exist. */
  assigned(identifiers: readonly string[]): Promise<readonly AssignedDeclaration[]>;
  payloads(identifiers: readonly string[]): Promise<ReadonlyMap<string, JsonObject>>;
}

/** Who is concerned by what, by UDID and after the cursor: at most `limit`. */
export interface MemberStore {
  ofSet(name: string, page: PageQuery): Promise<readonly Udid[]>;
  ofDeclaration(identifier: string, page: PageQuery): Promise<readonly Udid[]>;
  ofGroup(name: string, page: PageQuery): Promise<readonly Udid[]>;
}

export interface SetStore {
  list(page: PageQuery): Promise<Outcome<Page<SetRecord>, MalformedCursor>>;
  find(name: string): Promise<SetRecord | null>;
  put(name: string, identifiers: readonly string[], change: Change): Promise<void>;
  /** False when there is none, or it is assigned. */
  remove(name: string): Promise<boolean>;
  /** At most `limit` of the devices that it is assigned to by name. */
  devicesOf(name: string, limit: number): Promise<readonly Udid[]>;
  /** By UDID; empty when there is no such set. */
  listDevices(name: string, page: PageQuery): Promise<Outcome<Page<SetDevice>, MalformedCursor>>;
  groupsOf(name: string): Promise<readonly SetGroup[]>;
  /** False when there is no such set. */
  assign(name: string, udid: Udid, change: Change): Promise<boolean>;
  unassign(name: string, udid: Udid, change: Change): Promise<void>;
  setsOf(udid: Udid): Promise<readonly string[]>;
  /** False when there is no such set or no such group. Replaces the percentage. */
  assignGroup(name: string, group: SetGroup, change: Change): Promise<boolean>;
  unassignGroup(name: string, group: string, change: Change): Promise<void>;
  setsOfGroup(group: string): Promise<readonly string[]>;
}

export interface GroupStore {
  list(page: PageQuery): Promise<Outcome<Page<GroupRecord>, MalformedCursor>>;
  /** With its devices counted. */
  find(name: string): Promise<GroupRecord | null>;
  exists(name: string): Promise<boolean>;
  /** False when it is there already. */
  create(name: string, nowMs: EpochMs): Promise<boolean>;
  /** False when there is none, or something is assigned to it. */
  remove(name: string): Promise<boolean>;
  /** By UDID. */
  members(name: string, page: PageQuery): Promise<Outcome<Page<Udid>, MalformedCursor>>;
  /** All of it or nothing; who is named in both is no member afterwards. */
  change(name: string, change: GroupChange, mark: Change): Promise<void>;
  /** What is assigned to it. */
  uses(name: string): Promise<{ readonly sets: readonly string[]; readonly watchEnrollment: boolean }>;
  /** Those that would be in more groups than `groupsMax` with this one. */
  fullDevices(name: string, udids: readonly Udid[], groupsMax: number): Promise<readonly Udid[]>;
  /** Of these, the ones that no certificate was ever issued for. */
  unknownDevices(udids: readonly Udid[]): Promise<readonly Udid[]>;
}

export interface PropertyStore {
  find(udid: Udid): Promise<DeviceProperties>;
  put(udid: Udid, properties: DeviceProperties, change: Change): Promise<void>;
}

export interface SubscriptionStore {
  find(): Promise<Subscriptions>;
  put(platform: 'iOS' | 'watchOS', items: readonly string[], change: Change): Promise<void>;
  /** Back to the default. */
  remove(platform: 'iOS' | 'watchOS', change: Change): Promise<void>;
}

export interface AssignedDeclaration {
  readonly kind: DeclarationKind;
  readonly identifier: string;
  readonly type: string;
  /** The token of what every device gets; or what a device's own rendering is made from. */
  readonly content:
    | { readonly serverToken: string }
    | { readonly payload: JsonObject; readonly templated: boolean; readonly salt: string | null };
}

/** A set that a device has for itself, or for a group that it is in. */
export interface Membership {
  readonly set: string;
  readonly group: string | null;
  /** Of the group, the devices whose shard is below it; 100 for a device's own. */
  readonly percent: number;
}

/** What is assigned to one device. */
export interface Assigned {
  readonly memberships: readonly Membership[];
  /** At least those of the memberships; shared by the devices of one answer. */
  readonly sets: ReadonlyMap<string, readonly AssignedDeclaration[]>;
  /**
   * Of the assignment that counts: its own, else of its groups the first by name, else everyone's. Null when that did
   * not record what it compiled to: then it stays as the device holds it.
   */
  readonly watchEnrollment: readonly AssignedDeclaration[] | null;
  readonly properties: DeviceProperties;
  readonly subscriptions: Subscriptions;
}

/** Reads may be torn by a change between them; whoever made the change reads after it. */
export interface AssignmentSource {
  /** One answer for each UDID, known or not. */
  assigned(udids: readonly Udid[]): Promise<ReadonlyMap<Udid, Assigned>>;
}
