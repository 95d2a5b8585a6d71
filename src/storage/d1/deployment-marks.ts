/**
 * What devices' messages leave for deployments of apps, in the transaction that stores the message: the deployment is
 * due, and whoever decided before that has decided from an older revision. Marking twice is marking once more.
 */
import type { DeviceMessage } from '../../domain/enrollment/outbox.ts';
import type { Statement } from './database.ts';

const MARK = "UPDATE app_deployments SET due_at_ms = 0, revision = revision + 1 WHERE state = 'running' AND";

export const DEPLOYMENT_COMMANDS: ReadonlySet<string> = new Set([
  'InstallApplication',
  'RemoveApplication',
  'ManagedApplicationList',
]);

/** Its command ended. */
export function markCommand(commandUuid: string): Statement {
  return { sql: `${MARK} command_uuid = ?`, bound: [commandUuid] };
}

/** An enrollment of the device is over, and with it what it was to answer. */
export function markEnrollment(udid: string): readonly Statement[] {
  return [
    { sql: `${MARK} watch_udid = ?`, bound: [udid] },
    { sql: `${MARK} phone_udid = ?`, bound: [udid] },
  ];
}

/** What the device reports of its apps changed. */
export function markReported(message: Extract<DeviceMessage, { kind: 'events' }>): readonly Statement[] {
  const { udid, events } = message;
  const reported = events.some(
    (event) => event.kind === 'status-changed' && event.changes.some((change) => change.name === 'mdm.app'),
  );
  if (!reported) return [];
  return [
    { sql: `${MARK} at = 'watch' AND phase = 'confirming' AND watch_udid = ?`, bound: [udid] },
    { sql: `${MARK} at = 'phone' AND phase = 'confirming' AND phone_udid = ?`, bound: [udid] },
  ];
}
