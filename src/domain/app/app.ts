/**
 * An app as this server knows it: by the bundle identifier of its watch app (facts 12: `watchBundleId` in Apple's
 * content metadata), with its kind, where it comes from, and what InstallApplication carries besides. A paired or a
 * dependent app has an app on the iPhone that goes first; a standalone app has none.
 */
import type { JsonObject } from '../../protocol/plist/json.ts';
import { type Outcome, ok, refuse } from '../../std/outcome.ts';
import type { EpochMs } from '../../std/time.ts';
import type { MalformedIdentifier, Platform } from '../ids.ts';

export const APP_KINDS = ['paired', 'dependent', 'standalone'] as const;
export type AppKind = (typeof APP_KINDS)[number];

/** The watch or the iPhone that hosts it. */
export type Side = 'watch' | 'phone';
export const SIDES: readonly Side[] = ['watch', 'phone'];
export const PLATFORM_OF: Readonly<Record<Side, Platform>> = { watch: 'watchOS', phone: 'iOS' };

export type AppSource =
  | { readonly kind: 'app-store'; readonly iTunesStoreId: number }
  | { readonly kind: 'manifest'; readonly manifestUrl: string }
  /** What was uploaded here; the manifest is made here too. */
  | { readonly kind: 'package' };

/** What InstallApplication takes besides the source, in the catalog's own keys. */
export type InstallOptions = JsonObject;

export interface PhoneSide {
  readonly bundleId: string;
  /** Null: the watch's. */
  readonly source: AppSource | null;
  /** Null: the watch's. */
  readonly install: InstallOptions | null;
}

/** What an administrator says of an app. */
export interface AppInput {
  readonly name: string;
  readonly kind: AppKind;
  readonly source: AppSource;
  readonly install: InstallOptions;
  readonly phone: PhoneSide | null;
}

/** What a manifest says of a package, and what a range request needs. */
export interface PackageDetails {
  readonly bytes: number;
  readonly sha256: string;
  /** Octets of each part but the last, and the MD5 of each in hex. */
  readonly md5Bytes: number;
  readonly md5s: readonly string[];
  readonly bundleVersion: string;
}

export interface StoredPackage extends PackageDetails {
  readonly packageId: string;
  readonly createdAtMs: EpochMs;
}

/** As stored: `install` of either side is without `Configuration`, which is sealed. */
export interface App extends AppInput {
  readonly watchBundleId: string;
  /** Sides whose options have a `Configuration`. */
  readonly configured: readonly Side[];
  readonly package: StoredPackage | null;
  /** New with every change. */
  readonly version: string;
  readonly updatedAtMs: EpochMs;
}

/** Apple's grammar of CFBundleIdentifier; 155 characters are what App Store Connect takes. */
const BUNDLE_ID = /^[A-Za-z0-9][A-Za-z0-9.-]{0,154}$/;

export function parseBundleId(value: string): Outcome<string, MalformedIdentifier> {
  return BUNDLE_ID.test(value)
    ? ok(value)
    : refuse({ kind: 'malformed-identifier', field: 'bundle identifier' });
}

export function sidesOf(kind: AppKind): readonly Side[] {
  return kind === 'standalone' ? ['watch'] : SIDES;
}

export function sourceOf(app: Pick<AppInput, 'source' | 'phone'>, side: Side): AppSource {
  return side === 'watch' ? app.source : (app.phone?.source ?? app.source);
}

export function optionsOf(app: Pick<AppInput, 'install' | 'phone'>, side: Side): InstallOptions {
  return side === 'watch' ? app.install : (app.phone?.install ?? app.install);
}
