/** What apps and their deployments need from the fleet's records, the bucket, the seal and the queue. */
import type { Bytes } from '../../std/bytes.ts';
import type { Outcome } from '../../std/outcome.ts';
import type { EpochMs } from '../../std/time.ts';
import type { MalformedCursor, Page, PageQuery } from '../admin/services.ts';
import type { CommandUuid, Platform, Udid } from '../ids.ts';
import type { App, AppKind, StoredPackage } from './app.ts';
import type { DeploymentState, Machine, TimelineEntry } from './machine.ts';

/** Durable on return. Whoever read the store would see all but `Configuration`. */
export interface AppStore {
  list(page: PageQuery): Promise<Outcome<Page<App>, MalformedCursor>>;
  find(watchBundleId: string): Promise<App | null>;
  /** Sealed; null without any, or without the app. */
  configuration(watchBundleId: string): Promise<Bytes | null>;
  /** False when it is there already. The package is not written. */
  insert(app: App, sealed: Bytes | null): Promise<boolean>;
  /** False when it is not there in this version any more. The package is not written. */
  replace(app: App, sealed: Bytes | null, version: string): Promise<boolean>;
  /** `deployed` while a deployment of it runs. Atomic. */
  remove(watchBundleId: string, version: string, nowMs: EpochMs): Promise<'removed' | 'changed' | 'deployed'>;

  beginPackage(packageId: string, watchBundleId: string, nowMs: EpochMs): Promise<void>;
  /** The package becomes the app's, if the app is there: what it had before is left over. */
  finishPackage(
    stored: StoredPackage,
    watchBundleId: string,
    change: { readonly version: string; readonly nowMs: EpochMs },
  ): Promise<boolean>;
  /** Of a package that a URL names, whether or not it is its app's still. */
  findPackage(packageId: string): Promise<(StoredPackage & { readonly watchBundleId: string }) | null>;
  /** No app's, since before that. */
  leftOverPackages(sinceBeforeMs: EpochMs, limit: number): Promise<readonly string[]>;
  forgetPackages(packageIds: readonly string[]): Promise<void>;
}

/** A span of a package, both ends included. */
export interface ByteSpan {
  readonly first: number;
  readonly last: number;
}

/** Where packages lie. A part is at least 5 MiB, but for the last, and all others are of one size. */
export interface PackageBucket {
  begin(packageId: string): Promise<PackageWriter>;
  /** Null when there is none of that name. */
  read(packageId: string, span: ByteSpan | null): Promise<ReadableStream<Uint8Array> | null>;
  /** What is not there is no error. */
  remove(packageIds: readonly string[]): Promise<void>;
}

export interface PackageWriter {
  write(part: Bytes): Promise<void>;
  /** Nothing can be read before this. */
  finish(): Promise<void>;
  abort(): Promise<void>;
}

/** The digests of one package, part by part. */
export interface PackageHasher {
  /** Returns the part's MD5. */
  update(part: Bytes): Promise<string>;
  sha256(): string;
}

/** Opens only what it sealed for the same context. */
export interface AppSeal {
  seal(context: string, data: Bytes): Promise<Bytes>;
  open(context: string, sealed: Bytes): Promise<Bytes | null>;
}

export interface Deployment {
  readonly deploymentId: string;
  readonly app: string;
  readonly kind: AppKind;
  readonly watch: Udid;
  readonly phone: Udid | null;
  readonly phoneBundleId: string | null;
  readonly machine: Machine;
  readonly timeline: readonly TimelineEntry[];
  readonly commandUuid: CommandUuid | null;
  readonly revision: number;
  readonly createdAtMs: EpochMs;
  readonly updatedAtMs: EpochMs;
  readonly endedAtMs: EpochMs | null;
}

export interface NewDeployment
  extends Pick<
    Deployment,
    'deploymentId' | 'app' | 'kind' | 'watch' | 'phone' | 'phoneBundleId' | 'machine'
  > {}

/** A device as the index has it: enough to refuse early by. Who queues asks the device's own object. */
export interface DeploymentTarget {
  readonly udid: Udid;
  readonly platform: Platform;
  readonly state: 'authenticated' | 'enrolled' | 'checked-out';
  readonly osVersion: string | null;
  readonly phone: {
    readonly udid: Udid;
    readonly state: 'authenticated' | 'enrolled' | 'checked-out' | null;
    readonly osVersion: string | null;
  } | null;
}

export interface DeploymentFilter {
  readonly app: string | null;
  readonly watch: Udid | null;
  readonly state: DeploymentState | null;
}

/** `busy`: another deployment works on this app on that iPhone. `needed`: another watch of it has the app. */
export type SaveOutcome = 'saved' | 'stale' | 'busy' | 'needed';

/**
 * One row a deployment. Every write is compared with the revision that was read, and grows it. Marks that a device's
 * messages leave (storage/d1/device-outbox.ts) grow it too, so that none is written over.
 */
/** `found`: made by the same request before, or one that runs for the same order. `conflict`: the id is another order's. */
export type CreateOutcome =
  | { readonly kind: 'created' | 'found'; readonly deploymentId: string }
  | { readonly kind: 'conflict' | 'no-app' };

export interface DeploymentStore {
  targets(udids: readonly Udid[]): Promise<readonly DeploymentTarget[]>;
  /** The group's watches in order; `everyone` has all that have not checked out. */
  groupWatches(group: string, after: Udid | null, limit: number): Promise<readonly Udid[]>;
  /**
   * Those that are there already stay as they are, and so does what runs for the same action and version of the app
   * since the devices enrolled; what else ran for the same watch and app is superseded. One transaction. Nothing is
   * written for an app that is not there. By id.
   */
  create(deployments: readonly NewDeployment[], nowMs: EpochMs): Promise<ReadonlyMap<string, CreateOutcome>>;
  find(deploymentId: string): Promise<Deployment | null>;
  list(filter: DeploymentFilter, page: PageQuery): Promise<Outcome<Page<Deployment>, MalformedCursor>>;
  counts(app: string): Promise<Readonly<Partial<Record<DeploymentState, number>>>>;
  /**
   * With the entry added. Enters the iPhone only if nobody else works on the app there, and, to remove it, only if no
   * other watch needs it. Who waits for the iPhone is due when it is left.
   */
  save(
    deployment: Deployment,
    next: { readonly machine: Machine; readonly commandUuid: CommandUuid | null },
    entry: TimelineEntry | null,
    nowMs: EpochMs,
  ): Promise<SaveOutcome>;
  /** Nothing to do before then. Nothing happens if anything else did. */
  rest(deployment: Deployment, dueAtMs: EpochMs | null): Promise<void>;
  /** Its command was taken back. */
  cleared(deployment: Deployment): Promise<void>;
  /** The caller's until then, unless marked meanwhile. Oldest first. */
  claimDue(nowMs: EpochMs, untilMs: EpochMs, limit: number): Promise<readonly string[]>;
  newestOf(watch: Udid, app: string): Promise<string | null>;
  /** Earlier ones of the same app on the same watch whose commands are yet to be taken back. */
  unclearedBefore(deployment: Deployment): Promise<readonly Deployment[]>;
}

/** The app's own part of a status report, from the device's object. */
export interface ReportedApp {
  /** Null: the device does not name it. */
  readonly state: string | null;
  /** Since when all that it reports of its apps is as it is: what it says of this one may be older. */
  readonly sinceMs: EpochMs;
}

export interface DeploymentDevices {
  /** Since then, without having enrolled anew. */
  isEnrolled(udid: Udid, sinceMs: EpochMs): Promise<boolean>;
  /** Null when the device does not report its apps. */
  reported(udid: Udid, bundleId: string): Promise<ReportedApp | null>;
  /** Takes back what the device does not work on. */
  withdraw(udid: Udid, commandUuid: CommandUuid, nowMs: EpochMs): Promise<void>;
}
