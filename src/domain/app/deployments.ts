/**
 * Deployments as administrators see them: begun, listed, canceled, tried again. Refused at once is what the index of
 * devices shows to be hopeless; the rest is decided when each command is queued, by the device's own object.
 */
import { type Outcome, ok, refuse } from '../../std/outcome.ts';
import type { EpochMs } from '../../std/time.ts';
import {
  type AppDeployments,
  DEPLOY_GROUP_MAX,
  type Deployed,
  type DeployManyRefusal,
  type DeploymentOrder,
  type DeployRefusal,
  type ManagedApps,
  type UnknownApp,
  type UnknownDeployment,
} from '../admin/app-services.ts';
import type { PageQuery, UnknownDevice } from '../admin/services.ts';
import type { Udid } from '../ids.ts';
import type { InventoryStore } from '../inventory/ports.ts';
import { type App, sidesOf, sourceOf } from './app.ts';
import { installProblems } from './commands.ts';
import { derivedUuid } from './deployment-ids.ts';
import { type DeploymentState, newMachine } from './machine.ts';
import type {
  AppStore,
  CreateOutcome,
  Deployment,
  DeploymentStore,
  DeploymentTarget,
  NewDeployment,
} from './ports.ts';
import type { DeploymentRunner } from './runner.ts';

/** Rows of one transaction. */
const PAGE = 500;
/** So many are begun before an administrator has the answer: each is some ten statements and calls. */
const INLINE_MAX = 10;

export interface DeploymentOptions {
  readonly apps: Pick<AppStore, 'find'>;
  readonly store: DeploymentStore;
  readonly runner: DeploymentRunner;
  /** Brings what is known of the device, and of its iPhone, up to date. */
  readonly refresh: (udid: Udid) => Promise<void>;
  readonly inventory: Pick<InventoryStore, 'section'>;
  readonly isKnown: (udid: Udid) => Promise<boolean>;
  readonly groupExists: (name: string) => Promise<boolean>;
  /** Has the rest begun elsewhere, soon; may be lost, and then the sweeper does. */
  readonly goOn: () => Promise<void>;
  readonly onMissed: (deploymentId: string, error: unknown) => void;
  readonly newUuid: () => string;
}

type Over = { readonly kind: 'deployment-over'; readonly state: DeploymentState };

export class Deployments implements AppDeployments {
  readonly #options: DeploymentOptions;

  constructor(options: DeploymentOptions) {
    this.#options = options;
  }

  async deploy(
    watch: Udid,
    order: DeploymentOrder,
    nowMs: EpochMs,
  ): Promise<Outcome<{ deployment: Deployment; created: boolean }, UnknownApp | DeployRefusal>> {
    const app = await this.#options.apps.find(order.app);
    if (app === null) return refuse({ kind: 'unknown-app', app: order.app });
    await this.#options.refresh(watch);
    const [deployed] = await this.#begin(app, [watch], order, nowMs);
    if (deployed === undefined) return refuse({ kind: 'unknown-device', udid: watch });
    if (!deployed.outcome.ok) return deployed.outcome;
    const { deploymentId, created } = deployed.outcome.value;
    await this.#advance([deploymentId], nowMs);
    const deployment = await this.#options.store.find(deploymentId);
    return deployment === null
      ? refuse({ kind: 'unknown-app', app: order.app })
      : ok({ deployment, created });
  }

  async deployMany(
    to: { readonly devices: readonly Udid[] } | { readonly group: string },
    order: DeploymentOrder,
    nowMs: EpochMs,
  ): Promise<Outcome<readonly Deployed[], DeployManyRefusal>> {
    const app = await this.#options.apps.find(order.app);
    if (app === null) return refuse({ kind: 'unknown-app', app: order.app });
    const devices = 'group' in to ? await this.#members(to.group) : ok([...new Set(to.devices)]);
    if (!devices.ok) return devices;
    const deployed: Deployed[] = [];
    for (let from = 0; from < devices.value.length; from += PAGE)
      deployed.push(...(await this.#begin(app, devices.value.slice(from, from + PAGE), order, nowMs)));
    const refusals = deployed.flatMap(({ outcome }) => (outcome.ok ? [] : [outcome.refusal]));
    const conflicts = refusals.filter((refusal) => refusal.kind === 'deployment-conflict');
    const [conflict] = conflicts;
    if (conflict !== undefined && conflicts.length === deployed.length) return refuse(conflict);
    const begun = deployed.flatMap(({ outcome }) => (outcome.ok ? [outcome.value.deploymentId] : []));
    await this.#advance(begun.slice(0, INLINE_MAX), nowMs);
    if (begun.length > INLINE_MAX) await this.#options.goOn();
    return ok(deployed);
  }

  async ofApp(app: string, state: DeploymentState | null, page: PageQuery) {
    if ((await this.#options.apps.find(app)) === null) return refuse({ kind: 'unknown-app', app } as const);
    return this.#options.store.list({ app, watch: null, state }, page);
  }

  async ofWatch(watch: Udid, page: PageQuery) {
    if (!(await this.#options.isKnown(watch)))
      return refuse<UnknownDevice>({ kind: 'unknown-device', udid: watch });
    const [target] = await this.#options.store.targets([watch]);
    if (target !== undefined && target.platform !== 'watchOS')
      return refuse({ kind: 'not-a-watch', udid: watch } as const);
    return this.#options.store.list({ app: null, watch, state: null }, page);
  }

  async managed(device: Udid): Promise<ManagedApps | null> {
    const found = await this.#options.inventory.section(device, 'managed-applications');
    if (found === null) return null;
    const items = found.items.map(({ key, value, atMs }) => ({ bundleId: key, value, atMs }));
    return { answeredAtMs: found.answeredAtMs, items };
  }

  counts(app: string) {
    return this.#options.store.counts(app);
  }

  find(deploymentId: string): Promise<Deployment | null> {
    return this.#options.store.find(deploymentId);
  }

  async cancel(deploymentId: string, nowMs: EpochMs): Promise<Outcome<Deployment, UnknownDeployment | Over>> {
    for (;;) {
      const found = await this.#options.store.find(deploymentId);
      if (found === null) return refuse({ kind: 'unknown-deployment' });
      const { state } = found.machine;
      if (state !== 'running') return refuse({ kind: 'deployment-over', state });
      // Again, if something happened to it meanwhile: it cannot for ever, since it ends.
      if (!(await this.#options.runner.apply(found, { kind: 'cancel' }, nowMs))) continue;
      await this.#advance([deploymentId], nowMs);
      return ok((await this.#options.store.find(deploymentId)) ?? found);
    }
  }

  async retry(
    deploymentId: string,
    nowMs: EpochMs,
  ): Promise<
    Outcome<
      Deployment,
      | UnknownDeployment
      | { readonly kind: 'deployment-not-retriable'; readonly state: DeploymentState }
      | { readonly kind: 'deployment-superseded' }
    >
  > {
    // What it left behind goes first, or nothing does.
    await this.#options.runner.advance(deploymentId, nowMs);
    const found = await this.#options.store.find(deploymentId);
    if (found === null) return refuse({ kind: 'unknown-deployment' });
    const { state } = found.machine;
    if (state !== 'failed' && state !== 'canceled')
      return refuse({ kind: 'deployment-not-retriable', state });
    const newest = await this.#options.store.newestOf(found.watch, found.app);
    if (newest !== deploymentId || !(await this.#options.runner.apply(found, { kind: 'retry' }, nowMs)))
      return refuse({ kind: 'deployment-superseded' });
    await this.#advance([deploymentId], nowMs);
    return ok((await this.#options.store.find(deploymentId)) ?? found);
  }

  async #members(group: string): Promise<Outcome<readonly Udid[], DeployManyRefusal>> {
    const { store, groupExists } = this.#options;
    if (!(await groupExists(group))) return refuse({ kind: 'unknown-group', name: group });
    const watches: Udid[] = [];
    for (let last: Udid | null = null; ; last = watches.at(-1) ?? null) {
      const some: readonly Udid[] = await store.groupWatches(group, last, PAGE);
      watches.push(...some);
      if (watches.length > DEPLOY_GROUP_MAX)
        return refuse({ kind: 'group-too-large', devicesMax: DEPLOY_GROUP_MAX });
      if (some.length < PAGE) return ok(watches);
    }
  }

  async #begin(
    app: App,
    watches: readonly Udid[],
    order: DeploymentOrder,
    nowMs: EpochMs,
  ): Promise<readonly Deployed[]> {
    const { store } = this.#options;
    const targets = new Map((await store.targets(watches)).map((target) => [target.udid, target]));
    const problems = new Problems(app);
    const outcomes = new Map<Udid, Deployed['outcome']>();
    const rows: NewDeployment[] = [];
    for (const watch of watches) {
      const target = targets.get(watch);
      const refusal =
        target === undefined
          ? ({ kind: 'unknown-device', udid: watch } as const)
          : await hindranceOf(app, target, order, problems);
      if (refusal !== null || target === undefined) {
        outcomes.set(watch, refuse(refusal ?? { kind: 'unknown-device', udid: watch }));
        continue;
      }
      rows.push(await this.#row(app, target, order, nowMs));
    }
    const made = rows.length === 0 ? new Map<string, CreateOutcome>() : await store.create(rows, nowMs);
    for (const { deploymentId, watch } of rows)
      outcomes.set(watch, outcomeOf(made.get(deploymentId), watch, deploymentId));
    return watches.flatMap((watch) => {
      const outcome = outcomes.get(watch);
      return outcome === undefined ? [] : [{ watch, outcome }];
    });
  }

  async #row(
    app: App,
    { udid, phone }: DeploymentTarget,
    { action, admin, idempotencyKey }: DeploymentOrder,
    nowMs: EpochMs,
  ): Promise<NewDeployment> {
    const { watchBundleId, kind } = app;
    const deploymentId =
      idempotencyKey === null
        ? this.#options.newUuid()
        : await derivedUuid('deployment', admin.id, udid, idempotencyKey);
    const phoneBundleId = app.phone?.bundleId ?? null;
    const machine = newMachine(action, kind, nowMs, app.version);
    const onPhone = phoneBundleId === null ? null : (phone?.udid ?? null);
    return { deploymentId, app: watchBundleId, kind, watch: udid, phone: onPhone, phoneBundleId, machine };
  }

  async #advance(deploymentIds: readonly string[], nowMs: EpochMs): Promise<void> {
    const { runner, onMissed } = this.#options;
    for (const id of deploymentIds) {
      try {
        await runner.advance(id, nowMs);
      } catch (error) {
        // It is stored and due: the sweeper carries it on.
        onMissed(id, error);
      }
    }
  }
}

/** Of an app that was deleted meanwhile nothing was made: who looks for it finds none. */
function outcomeOf(made: CreateOutcome | undefined, watch: Udid, asked: string): Deployed['outcome'] {
  switch (made?.kind) {
    case 'created':
    case 'found':
      return ok({ deploymentId: made.deploymentId, created: made.kind === 'created' });
    case 'conflict':
      return refuse({ kind: 'deployment-conflict', udid: watch });
    default:
      return ok({ deploymentId: asked, created: false });
  }
}

async function hindranceOf(
  app: App,
  target: DeploymentTarget,
  { action }: DeploymentOrder,
  problems: Problems,
): Promise<DeployRefusal | null> {
  const { udid, platform, state, phone } = target;
  if (platform !== 'watchOS') return { kind: 'not-a-watch', udid };
  if (state !== 'enrolled') return { kind: 'device-not-enrolled', state };
  if (app.kind !== 'standalone') {
    if (phone === null) return { kind: 'phone-unknown', watch: udid };
    if (phone.state !== 'enrolled')
      return { kind: 'phone-not-enrolled', phone: phone.udid, state: phone.state };
  }
  if (action === 'remove') return null;
  const unsourced = sidesOf(app.kind).some((side) => sourceOf(app, side).kind === 'package');
  if (unsourced && app.package === null) return { kind: 'package-missing', app: app.watchBundleId };
  return problems.of(target);
}

/** What the catalog has against the app on a version of a system, judged once for each. */
class Problems {
  readonly #app: App;
  readonly #known = new Map<string, DeployRefusal | null>();

  constructor(app: App) {
    this.#app = app;
  }

  async of({ osVersion, phone }: DeploymentTarget): Promise<DeployRefusal | null> {
    const name = JSON.stringify([osVersion, phone?.osVersion ?? null]);
    const known = this.#known.get(name);
    if (known !== undefined) return known;
    const judged = await this.#judge(osVersion, phone?.osVersion ?? null);
    this.#known.set(name, judged);
    return judged;
  }

  async #judge(watchVersion: string | null, phoneVersion: string | null): Promise<DeployRefusal | null> {
    for (const side of sidesOf(this.#app.kind)) {
      const problems = await installProblems(this.#app, side, side === 'watch' ? watchVersion : phoneVersion);
      if (problems.length > 0) return { kind: 'invalid-install', side, problems };
    }
    return null;
  }
}
