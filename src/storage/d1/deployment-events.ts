/**
 * What becomes of deployments, in the feed of events: one event for each other state or side that a deployment comes to,
 * in the transaction that writes it. Its numbers are minus the deployment's row and its revision: objects' are above zero,
 * so each is one event however often it is written.
 */
import type { Machine } from '../../domain/app/machine.ts';
import type { EventKind } from '../../domain/event/event.ts';
import type { EpochMs } from '../../std/time.ts';
import type { Statement } from './database.ts';

const KIND: EventKind = 'deployment-changed';
const INSERT = `INSERT INTO events (udid, revision, position, kind, at_ms, data)
  SELECT watch_udid, -rowid, revision, '${KIND}', updated_at_ms, json_object('deploymentId', deployment_id,
    'app', app_id, 'action', action, 'state', state, 'side', at, 'reason', json_extract(machine, '$.reason'))
  FROM app_deployments`;
const TOLD = 'ON CONFLICT (udid, revision, position) DO NOTHING';

/** Behind the write that made it this revision of this content; behind one that was refused, nothing. */
export function deploymentEvents(
  was: Machine,
  is: Machine,
  row: { readonly deploymentId: string; readonly revision: number; readonly machine: string },
): readonly Statement[] {
  if (was.state === is.state && was.at === is.at) return [];
  const sql = `${INSERT} WHERE deployment_id = ?1 AND revision = ?2 AND machine = ?3 ${TOLD}`;
  return [{ sql, bound: [row.deploymentId, row.revision, row.machine] }];
}

/** Those that were superseded just now, of the watches and apps that `fresh` selects. */
export function supersededEvents(fresh: string, rows: string, nowMs: EpochMs): Statement {
  const sql = `${INSERT} WHERE state = 'superseded' AND ended_at_ms = ?2 AND (watch_udid, app_id) IN (${fresh}) ${TOLD}`;
  return { sql, bound: [rows, nowMs] };
}
