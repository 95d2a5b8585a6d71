/**
 * What the catalog knows of one type: on which platforms and versions it exists, whom it asks for, and its keys.
 * The words are Apple's schema's (`apple/device-management`, docs/schema.md), spelled our way; what Apple writes
 * about them in prose is not here. Shared iPad is carried and never judged: its users are not managed here.
 */
import type { Platform } from '../../domain/ids.ts';
import type { JsonValue } from '../plist/json.ts';

export const CATALOG_KINDS = [
  'activation',
  'configuration',
  'asset',
  'management',
  'credential',
  'status',
  'command',
  'checkin',
  'profile',
  'error',
  'protocol',
  'base',
  'other',
] as const;

export type CatalogKind = (typeof CATALOG_KINDS)[number];

/** How a device is enrolled; `supervised` is device enrollment of a supervised device, `local` no server at all. */
export type Enrollment = 'supervised' | 'device' | 'user' | 'local';

/** Of an entry, or of one key where it differs from what holds the key. Absent members say nothing. */
export interface PlatformRule {
  readonly introduced?: string;
  readonly deprecated?: string;
  readonly removed?: string;
  readonly supervised?: true;
  /** Automated Device Enrollment only. */
  readonly automatedEnrollment?: true;
  /** The AccessRights that the enrollment profile must grant; `none` needs none, `varies` goes by key. */
  readonly accessRight?: string;
  readonly enrollments?: readonly Enrollment[];
  readonly scopes?: readonly string[];
  readonly userEnrollment?: 'required' | 'forbidden' | 'ignored';
  readonly sharedIpad?: 'required' | 'forbidden' | 'ignored';
  readonly sharedIpadScopes?: readonly string[];
  /** Of profiles: more than one payload of the type may be installed. */
  readonly multiple?: true;
  /** Of profiles: false when only a server may install it. */
  readonly manualInstall?: false;
  /** Of Setup Assistant panes. */
  readonly alwaysSkippable?: boolean;
}

/** Null where the key does not exist on the platform. */
export type KeyPlatforms = { readonly [P in Platform]?: PlatformRule | null };
/** Absent where the type does not exist on the platform. */
export type EntryPlatforms = { readonly [P in Platform]?: PlatformRule };

export type KeyType =
  | 'string'
  | 'integer'
  | 'real'
  | 'boolean'
  | 'date'
  | 'data'
  | 'array'
  | 'dictionary'
  | 'any';

/** The key named `ANY` stands for every name that its dictionary does not list. */
export const ANY = 'ANY';

export interface CatalogKey {
  readonly name: string;
  readonly type: KeyType;
  readonly required?: true;
  readonly default?: JsonValue;
  readonly values?: readonly (string | number)[];
  readonly range?: Bounds;
  /** Of an array: how many items. */
  readonly count?: Bounds;
  /** A regular expression that the text matches. */
  readonly format?: string;
  readonly subtype?: string;
  /** How several declarations that apply `combined` are merged. */
  readonly combine?: string;
  readonly assetTypes?: readonly string[];
  readonly assetContentTypes?: readonly string[];
  readonly platforms?: KeyPlatforms;
  /** Of a dictionary; without any, it holds what it likes. */
  readonly keys?: readonly CatalogKey[];
  /** Of an array: what an item may be. */
  readonly items?: readonly CatalogKey[];
  /** Of a string: the words it may be, each with its own platforms. */
  readonly choices?: readonly CatalogKey[];
  /** `keys` or `items` are those of the key so many levels up. */
  readonly recursive?: number;
}

export interface Bounds {
  readonly min?: number;
  readonly max?: number;
}

export interface CatalogReason {
  readonly code: string;
  readonly details: Readonly<Record<string, string>>;
}

export interface CatalogEntry {
  readonly kind: CatalogKind;
  readonly type: string;
  readonly platforms: EntryPlatforms;
  /** The release of the schema that the keys were read from, or `hand-entered`. */
  readonly schema: string;
  /** The file in that schema, or what the hand-entered facts rest on. */
  readonly basis: string;
  /** What a later, hand-entered correction rests on. */
  readonly amended?: string;
  /** Of a configuration: one wins, each applies, or they are merged. */
  readonly apply?: 'single' | 'multiple' | 'combined';
  /** Status items that tell of this configuration's effect. */
  readonly relatedStatus?: readonly string[];
  /** Null when the type is known and its keys are not. */
  readonly keys: readonly CatalogKey[] | null;
  /** Other forms of the same type, told apart by keys with one permitted value. */
  readonly variants?: readonly (readonly CatalogKey[])[];
  readonly responseKeys?: readonly CatalogKey[];
  readonly reasons?: readonly CatalogReason[];
}
