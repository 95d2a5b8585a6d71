/** Apps and deployments as the API shows them. `Configuration` is named where there is one, and shown only on demand. */
import type { DeployRefusal, ManagedApps } from '../../domain/admin/app-services.ts';
import type { App, AppSource } from '../../domain/app/app.ts';
import { type DeploymentState, stepOf } from '../../domain/app/machine.ts';
import type { Deployment } from '../../domain/app/ports.ts';
import { timestamp } from './views.ts';

export function appView(app: App) {
  const { watchBundleId, name, kind, source, install, phone, configured, version, updatedAtMs } = app;
  return {
    watchBundleId,
    name,
    kind,
    source: sourceView(source),
    install,
    phone:
      phone === null
        ? null
        : {
            bundleId: phone.bundleId,
            source: phone.source === null ? null : sourceView(phone.source),
            install: phone.install,
          },
    configured,
    package: app.package === null ? null : packageView(app.package),
    version,
    updatedAt: timestamp(updatedAtMs),
  };
}

function sourceView(source: AppSource) {
  switch (source.kind) {
    case 'app-store':
      return { kind: source.kind, iTunesStoreID: source.iTunesStoreId };
    case 'manifest':
      return { kind: source.kind, ManifestURL: source.manifestUrl };
    default:
      return { kind: source.kind };
  }
}

function packageView({ bytes, sha256, bundleVersion, createdAtMs }: NonNullable<App['package']>) {
  return { bytes, sha256, bundleVersion, uploadedAt: timestamp(createdAtMs) };
}

const NONE: Readonly<Record<DeploymentState, number>> = {
  running: 0,
  done: 0,
  failed: 0,
  canceled: 0,
  superseded: 0,
};

export function countsView(counts: Readonly<Partial<Record<DeploymentState, number>>>) {
  return { ...NONE, ...counts };
}

export function deploymentView(deployment: Deployment) {
  const { deploymentId, app, kind, watch, phone, machine, commandUuid } = deployment;
  const { action, state, phase, attempt, reason, seen, dueAtMs } = machine;
  const isRunning = state === 'running';
  const ended = isRunning || state === 'superseded' ? undefined : deployment.timeline.at(-1)?.step;
  return {
    deploymentId,
    app,
    kind,
    action,
    watch,
    phone,
    state,
    /** Where it is, or where it ended. */
    step: ended ?? stepOf(machine),
    phase: isRunning ? phase : null,
    attempt,
    reason: reason ?? (isRunning && phase === 'waiting' ? 'not-begun' : null),
    reported: seen,
    commandUuid: isRunning ? commandUuid : null,
    retryAt: phase === 'backing-off' && dueAtMs !== null ? timestamp(dueAtMs) : null,
    createdAt: timestamp(deployment.createdAtMs),
    updatedAt: timestamp(deployment.updatedAtMs),
    endedAt: deployment.endedAtMs === null ? null : timestamp(deployment.endedAtMs),
  };
}

export function deploymentWithTimelineView(deployment: Deployment) {
  const timeline = deployment.timeline.map(({ atMs, ...entry }) => ({ at: timestamp(atMs), ...entry }));
  return { ...deploymentView(deployment), timeline };
}

export function deployRefusalView({ kind, ...facts }: DeployRefusal) {
  return { refusal: kind, ...facts };
}

export function managedView(managed: ManagedApps | null) {
  if (managed === null) return null;
  const items = managed.items.map(({ bundleId, value, atMs }) => ({ bundleId, value, at: timestamp(atMs) }));
  return { answeredAt: timestamp(managed.answeredAtMs), items };
}
