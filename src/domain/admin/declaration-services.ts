/**
 * What the admin API needs for declarations, the sets they form, and what each device is to hold. Changes are durable
 * on return, and so is the manifest of every device concerned; where telling a device fails, the call throws
 * `Unavailable` after the change was stored, and the same call again mends it.
 */
import type { SupportRule } from '../../protocol/catalog/support.ts';
import type { Outcome } from '../../std/outcome.ts';
import type { EpochMs } from '../../std/time.ts';
import type { DeclarationInput, DraftRefusal, IdentifierRefusal } from '../declaration/draft.ts';
import type { DeclarationKind } from '../declaration/manifest.ts';
import type { Declaration } from '../declaration/ports.ts';
import type { Reference } from '../declaration/references.ts';
import type { MalformedIdentifier, Udid } from '../ids.ts';
import type { MalformedCursor, Page, PageQuery, StatusReason, UnknownDevice } from './services.ts';

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

/** What the caller believes of the stored declaration: not there, there, or there with one of these tokens. */
export type Precondition =
  | { readonly kind: 'absent' }
  | { readonly kind: 'present' }
  | { readonly kind: 'tokens'; readonly tokens: readonly string[] };

export type UnknownDeclaration = { readonly kind: 'unknown-declaration'; readonly identifier: string };
export type PreconditionFailed = { readonly kind: 'precondition-failed' };
/** More devices than one call tells. */
export type TooManyDevices = { readonly kind: 'too-many-devices'; readonly devicesMax: number };

export type PutRefusal =
  | DraftRefusal
  | PreconditionFailed
  | TooManyDevices
  | { readonly kind: 'kind-fixed'; readonly current: DeclarationKind }
  | { readonly kind: 'unknown-references'; readonly references: readonly Reference[] };

export type TouchRefusal = IdentifierRefusal | UnknownDeclaration | PreconditionFailed | TooManyDevices;

/** Who refers to a declaration, at most 32 of each. */
export interface Holders {
  readonly declarations: readonly string[];
  readonly sets: readonly string[];
}

export type RemoveRefusal =
  | IdentifierRefusal
  | UnknownDeclaration
  | PreconditionFailed
  | { readonly kind: 'still-referenced'; readonly holders: Holders };

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
  ): Promise<Outcome<{ readonly declaration: DeclarationRecord; readonly created: boolean }, PutRefusal>>;
  /** A new server token for the same content, which devices then fetch and apply again. */
  touch(identifier: string, nowMs: EpochMs): Promise<Outcome<DeclarationRecord, TouchRefusal>>;
  remove(
    identifier: string,
    precondition: Precondition | null,
  ): Promise<Outcome<{ readonly removed: true }, RemoveRefusal>>;
}

export interface SetRecord {
  readonly name: string;
  /** Identifiers in alphabetical order. */
  readonly declarations: readonly string[];
  /** How many devices it is assigned to. */
  readonly devices: number;
  readonly updatedAtMs: EpochMs;
}

export interface SetDevice {
  readonly udid: Udid;
  readonly assignedAtMs: EpochMs;
}

export type UnknownSet = { readonly kind: 'unknown-set'; readonly name: string };

export type SetPutRefusal =
  | MalformedIdentifier
  | TooManyDevices
  | { readonly kind: 'unknown-declarations'; readonly identifiers: readonly string[] };

export type SetRemoveRefusal =
  | UnknownSet
  /** `devices` are the first of them. */
  | { readonly kind: 'set-assigned'; readonly devices: readonly Udid[] };

export type SetAssignRefusal =
  | UnknownSet
  | UnknownDevice
  | { readonly kind: 'device-sets-full'; readonly setsMax: number };

/** One declaration of those that a device's assignments name. */
export interface DeviceDeclaration {
  readonly identifier: string;
  readonly kind: DeclarationKind;
  readonly serverToken: string;
  readonly origin: { readonly sets: readonly string[]; readonly watchEnrollment: boolean };
  /** Why the device is not given it. */
  readonly withheld: { readonly rule: SupportRule; readonly expected: string } | null;
  /** The device has fetched it as it now stands. */
  readonly fetched: boolean;
  /** As the device's status report says; `null` before the first report. */
  readonly active: boolean | null;
  readonly valid: 'valid' | 'invalid' | 'unknown' | null;
  readonly reasons: readonly StatusReason[];
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
  put(
    name: string,
    identifiers: readonly string[],
    nowMs: EpochMs,
  ): Promise<Outcome<{ readonly set: SetRecord; readonly created: boolean }, SetPutRefusal>>;
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
  ofDevice(udid: Udid): Promise<Outcome<DeviceManifest, UnknownDevice>>;
}
