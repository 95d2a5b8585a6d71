/**
 * What the admin API needs for apps, the packages uploaded for them, and their deployments to watches. A deployment is
 * durable on return and goes on by itself.
 */
import type { ContentProblem } from '../../protocol/catalog/validate.ts';
import type { JsonValue } from '../../protocol/plist/json.ts';
import type { Bytes } from '../../std/bytes.ts';
import type { Outcome } from '../../std/outcome.ts';
import type { EpochMs } from '../../std/time.ts';
import type { App, AppInput, AppKind, Side } from '../app/app.ts';
import type { ConfigurationsBySide } from '../app/configurations.ts';
import type { Action, DeploymentState } from '../app/machine.ts';
import type { Deployment } from '../app/ports.ts';
import type { MalformedIdentifier, Udid } from '../ids.ts';
import type { UnknownGroup } from './declaration-services.ts';
import type { Precondition, PreconditionFailed } from './precondition.ts';
import type { Admin, DeviceState, MalformedCursor, Page, PageQuery, UnknownDevice } from './services.ts';

export type UnknownApp = { readonly kind: 'unknown-app'; readonly app: string };
export type UnknownDeployment = { readonly kind: 'unknown-deployment' };

export type PutAppRefusal =
  | MalformedIdentifier
  | PreconditionFailed
  /** A paired or dependent app has a side on the iPhone, a standalone one has not. */
  | { readonly kind: 'app-kind-mismatch'; readonly app: AppKind }
  | {
      readonly kind: 'invalid-install';
      readonly side: Side;
      readonly problems: readonly ContentProblem[];
    }
  | { readonly kind: 'app-options-too-large'; readonly bytesMax: number };

export type RemoveAppRefusal =
  | UnknownApp
  | PreconditionFailed
  /** Deployments of it run. */
  | { readonly kind: 'app-deployed' };

export type PackageRefusal =
  | UnknownApp
  /** No bucket is bound to this Worker. */
  | { readonly kind: 'packages-not-configured' }
  /** No side of the app has a source of kind package. */
  | { readonly kind: 'package-unused'; readonly app: string }
  /** What was sent does not begin as a ZIP archive does, which an .ipa is. */
  | { readonly kind: 'not-a-package' };

export interface AppLibrary {
  /** By bundle identifier. */
  list(page: PageQuery): Promise<Outcome<Page<App>, MalformedCursor>>;
  find(watchBundleId: string): Promise<App | null>;
  put(
    watchBundleId: string,
    input: AppInput,
    precondition: Precondition,
    nowMs: EpochMs,
  ): Promise<Outcome<{ readonly app: App; readonly created: boolean }, PutAppRefusal>>;
  remove(
    watchBundleId: string,
    precondition: Precondition | null,
    nowMs: EpochMs,
  ): Promise<Outcome<{ readonly removed: true }, RemoveAppRefusal>>;
  /** What was given as `Configuration`, by side. */
  configuration(watchBundleId: string): Promise<Outcome<ConfigurationsBySide, UnknownApp>>;
}

/** Octets of a part of an upload: what the bucket takes, and what a manifest has an MD5 of. */
export const PACKAGE_PART_BYTES = 10 * 1024 * 1024;
/** The most that Cloudflare takes in one request, on its largest plan; a smaller plan's edge refuses sooner. */
export const PACKAGE_BYTES_MAX = 500 * 1024 * 1024;

export interface AppPackages {
  /** Replaces the app's package when all of it has come. Parts are of PACKAGE_PART_BYTES, but for the last. */
  upload<Refusal extends { readonly kind: string }>(
    watchBundleId: string,
    upload: { readonly bundleVersion: string; readonly parts: AsyncIterable<Outcome<Bytes, Refusal>> },
    nowMs: EpochMs,
  ): Promise<Outcome<App, PackageRefusal | Refusal>>;
}

/** Why an app cannot be brought to a watch, or taken from it. */
export type DeployRefusal =
  | UnknownDevice
  | { readonly kind: 'not-a-watch'; readonly udid: Udid }
  | { readonly kind: 'device-not-enrolled'; readonly state: DeviceState }
  /** Paired before this server knew with whom. */
  | { readonly kind: 'phone-unknown'; readonly watch: Udid }
  | { readonly kind: 'phone-not-enrolled'; readonly phone: Udid; readonly state: DeviceState | null }
  | { readonly kind: 'invalid-install'; readonly side: Side; readonly problems: readonly ContentProblem[] }
  | { readonly kind: 'package-missing'; readonly app: string }
  /** The Idempotency-Key stands for another app or action on this watch. */
  | { readonly kind: 'deployment-conflict'; readonly udid: Udid };

export interface DeploymentOrder {
  readonly app: string;
  readonly action: Action;
  readonly admin: Admin;
  /** Repeated with the same one, the request finds what it made. */
  readonly idempotencyKey: string | null;
}

export interface Deployed {
  readonly watch: Udid;
  readonly outcome: Outcome<{ readonly deploymentId: string; readonly created: boolean }, DeployRefusal>;
}

/** Of a request for many; `500 devices per API call, more by group`. */
export const DEPLOY_DEVICES_MAX = 500;
export const DEPLOY_GROUP_MAX = 5_000;

export type DeployManyRefusal =
  | UnknownApp
  | UnknownGroup
  | { readonly kind: 'group-too-large'; readonly devicesMax: number }
  /** For every one of them. */
  | Extract<DeployRefusal, { kind: 'deployment-conflict' }>;

export interface ManagedApps {
  readonly answeredAtMs: EpochMs;
  /** By bundle identifier, as the device told each. */
  readonly items: readonly {
    readonly bundleId: string;
    readonly value: JsonValue;
    readonly atMs: EpochMs;
  }[];
}

export interface AppDeployments {
  deploy(
    watch: Udid,
    order: DeploymentOrder,
    nowMs: EpochMs,
  ): Promise<
    Outcome<{ readonly deployment: Deployment; readonly created: boolean }, UnknownApp | DeployRefusal>
  >;
  /** Each by itself: what is refused for one is no hindrance for another. */
  deployMany(
    to: { readonly devices: readonly Udid[] } | { readonly group: string },
    order: DeploymentOrder,
    nowMs: EpochMs,
  ): Promise<Outcome<readonly Deployed[], DeployManyRefusal>>;
  /** Newest first. */
  ofApp(
    app: string,
    state: DeploymentState | null,
    page: PageQuery,
  ): Promise<Outcome<Page<Deployment>, UnknownApp | MalformedCursor>>;
  ofWatch(
    watch: Udid,
    page: PageQuery,
  ): Promise<
    Outcome<
      Page<Deployment>,
      UnknownDevice | Extract<DeployRefusal, { kind: 'not-a-watch' }> | MalformedCursor
    >
  >;
  /** What the device last answered to ManagedApplicationList; null when it never did. */
  managed(device: Udid): Promise<ManagedApps | null>;
  counts(app: string): Promise<Readonly<Partial<Record<DeploymentState, number>>>>;
  find(deploymentId: string): Promise<Deployment | null>;
  /** What a device works on already is not taken back. */
  cancel(
    deploymentId: string,
    nowMs: EpochMs,
  ): Promise<
    Outcome<
      Deployment,
      UnknownDeployment | { readonly kind: 'deployment-over'; readonly state: DeploymentState }
    >
  >;
  /** One that failed or was canceled, from the side where it ended, unless a later one has taken its place. */
  retry(
    deploymentId: string,
    nowMs: EpochMs,
  ): Promise<
    Outcome<
      Deployment,
      | UnknownDeployment
      | { readonly kind: 'deployment-not-retriable'; readonly state: DeploymentState }
      | { readonly kind: 'deployment-superseded' }
    >
  >;
}

/** The admin API's part of this room. */
export interface AppServices {
  readonly apps: AppLibrary;
  readonly appPackages: AppPackages;
  readonly deployments: AppDeployments;
}
