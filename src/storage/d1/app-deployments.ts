/**
 * Deployments of apps in D1, one row each. Every write names the revision that it was decided from; the two unique
 * indexes keep one deployment at a time on a watch, and one at a time on an iPhone, for the same app.
 */
import type { MalformedCursor, Page, PageQuery } from '../../domain/admin/services.ts';
import type { DeploymentState, Machine, TimelineEntry } from '../../domain/app/machine.ts';
import type {
  Deployment,
  DeploymentFilter,
  DeploymentStore,
  NewDeployment,
  SaveOutcome,
} from '../../domain/app/ports.ts';
import { withEntry } from '../../domain/app/timeline.ts';
import type { CommandUuid, Udid } from '../../domain/ids.ts';
import { Fault, type Outcome, ok, refuse } from '../../std/outcome.ts';
import type { EpochMs } from '../../std/time.ts';
import type { Bound, Database, Statement } from './database.ts';
import { deploymentEvents, supersededEvents } from './deployment-events.ts';
import { deploymentTargets, groupWatches } from './deployment-targets.ts';

interface Row {
  deployment_id: string;
  app_id: string;
  kind: Deployment['kind'];
  watch_udid: Udid;
  phone_udid: Udid | null;
  phone_bundle_id: string | null;
  machine: string;
  timeline: string;
  command_uuid: CommandUuid | null;
  revision: number;
  created_at_ms: EpochMs;
  updated_at_ms: EpochMs;
  ended_at_ms: EpochMs | null;
}

/** Of an app on a watch: these, and the last one that was done, which says whether the app is there. */
const KEPT = 50;

/** Whoever waits for an iPhone to be free of this app looks again. `?1` is the UDID, `?2` the bundle identifier. */
const RELEASE = `UPDATE app_deployments SET due_at_ms = 0, revision = revision + 1
  WHERE phone_udid = ?1 AND phone_bundle_id = ?2 AND at = 'phone' AND phase = 'waiting' AND state = 'running'`;

/**
 * Whether another watch of the iPhone has, or is to have, the iPhone's app: its last word on some app with that iPhone's
 * bundle identifier is an installation that was done in its present enrollment, or runs. A removal has the last word once
 * it is off that watch: until then the watch's app would be left without its own. `?1` is the row.
 */
const NEEDED = `SELECT 1 FROM app_deployments mine
  JOIN app_deployments d ON d.phone_udid = mine.phone_udid AND d.phone_bundle_id = mine.phone_bundle_id
    AND d.watch_udid <> mine.watch_udid AND d.action <> 'remove' AND d.state IN ('running', 'done')
  JOIN devices w ON w.udid = d.watch_udid AND w.state <> 'checked-out'
    AND (d.state = 'running' OR d.ended_at_ms >= coalesce(w.enrolled_at_ms, 0))
  WHERE mine.deployment_id = ?1 AND NOT EXISTS (
    SELECT 1 FROM app_deployments gone WHERE gone.watch_udid = d.watch_udid AND gone.app_id = d.app_id
      AND gone.action = 'remove' AND (gone.state = 'done' OR gone.at = 'phone') AND gone.rowid > d.rowid
  )`;

export class D1AppDeployments implements DeploymentStore {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  targets(udids: readonly Udid[]) {
    return deploymentTargets(this.#db, udids);
  }

  groupWatches(group: string, after: Udid | null, limit: number) {
    return groupWatches(this.#db, group, after, limit);
  }

  async create(deployments: readonly NewDeployment[], nowMs: EpochMs): Promise<void> {
    const rows = JSON.stringify(deployments.map(newRow));
    const fresh = `SELECT j.value ->> 'watch' AS watch, j.value ->> 'app' AS app FROM json_each(?1) j
      WHERE NOT EXISTS (SELECT 1 FROM app_deployments e WHERE e.deployment_id = j.value ->> 'id')
        AND EXISTS (SELECT 1 FROM apps a WHERE a.watch_bundle_id = j.value ->> 'app')`;
    const entry: TimelineEntry = { atMs: nowMs, step: 'deployment', outcome: 'superseded' };
    await this.#db.batch([
      {
        // Its command is to be taken back, so it is due.
        sql: `UPDATE app_deployments SET state = 'superseded', phase = 'over', ended_at_ms = ?2, updated_at_ms = ?2,
                due_at_ms = iif(command_uuid IS NULL, NULL, 0), revision = revision + 1,
                machine = json_set(machine, '$.state', 'superseded', '$.phase', 'over', '$.dueAtMs', NULL),
                timeline = json_insert(timeline, '$[#]', json(?3))
              WHERE state = 'running' AND (watch_udid, app_id) IN (${fresh})`,
        bound: [rows, nowMs, JSON.stringify(entry)],
      },
      supersededEvents(fresh, rows, nowMs),
      {
        sql: `INSERT INTO app_deployments (deployment_id, app_id, kind, action, watch_udid, phone_udid, phone_bundle_id,
                state, at, phase, machine, timeline, due_at_ms, revision, created_at_ms, updated_at_ms)
              SELECT j.value ->> 'id', j.value ->> 'app', j.value ->> 'kind', j.value ->> 'action', j.value ->> 'watch',
                j.value ->> 'phone', j.value ->> 'phoneBundleId', 'running', j.value ->> 'at', 'waiting',
                j.value -> 'machine', '[]', ?2, 1, ?2, ?2
              FROM json_each(?1) j WHERE EXISTS (SELECT 1 FROM apps a WHERE a.watch_bundle_id = j.value ->> 'app')
              ON CONFLICT (deployment_id) DO NOTHING`,
        bound: [rows, nowMs],
      },
      prune(rows),
    ]);
  }

  async find(deploymentId: string): Promise<Deployment | null> {
    const row = await this.#db.first<Row>(
      'SELECT * FROM app_deployments WHERE deployment_id = ?',
      deploymentId,
    );
    return row === null ? null : record(row);
  }

  async list(
    { app, watch }: DeploymentFilter,
    page: PageQuery,
  ): Promise<Outcome<Page<Deployment>, MalformedCursor>> {
    const after = page.cursor === null ? null : /^(\d{1,16})\.([0-9A-F-]{36})$/.exec(page.cursor);
    if (page.cursor !== null && after === null) return refuse({ kind: 'malformed-cursor' });
    const conditions: (readonly [string, Bound])[] = [
      ['app_id = ?', app],
      ['watch_udid = ?', watch],
    ];
    const asked = conditions.filter(([, value]) => value !== null);
    const rows = await this.#db.all<Row>(
      `SELECT * FROM app_deployments WHERE ${asked.map(([sql]) => `${sql} AND`).join(' ')}
         (created_at_ms, deployment_id) < (?, ?) ORDER BY created_at_ms DESC, deployment_id DESC LIMIT ?`,
      ...asked.map(([, value]) => value),
      after === null ? Number.MAX_SAFE_INTEGER : Number(after[1]),
      after?.[2] ?? '',
      page.limit + 1,
    );
    const items = rows.slice(0, page.limit).map(record);
    const last = rows.length > page.limit ? items.at(-1) : undefined;
    return ok({ items, cursor: last === undefined ? null : `${last.createdAtMs}.${last.deploymentId}` });
  }

  async counts(app: string): Promise<Readonly<Partial<Record<DeploymentState, number>>>> {
    const rows = await this.#db.all<{ state: DeploymentState; n: number }>(
      'SELECT state, count(*) AS n FROM app_deployments WHERE app_id = ? GROUP BY state',
      app,
    );
    return Object.fromEntries(rows.map(({ state, n }) => [state, n]));
  }

  async save(
    deployment: Deployment,
    next: { readonly machine: Machine; readonly commandUuid: CommandUuid | null },
    entry: TimelineEntry | null,
    nowMs: EpochMs,
  ): Promise<SaveOutcome> {
    const { deploymentId, revision, phone, phoneBundleId } = deployment;
    const [was, is] = [deployment.machine, next.machine];
    const removes = is.action === 'remove' && is.at === 'phone' && is.phase === 'ordered';
    const machine = JSON.stringify(is);
    const statements = [
      update(deployment, next, withEntry(deployment.timeline, entry), removes, nowMs),
      ...deploymentEvents(was, is, { deploymentId, revision: revision + 1, machine }),
    ];
    if (phone !== null && phoneBundleId !== null && holdsPhone(was) && !holdsPhone(is))
      statements.push({
        // Only if the row was written: its revision is then the next.
        sql: `${RELEASE} AND EXISTS (SELECT 1 FROM app_deployments WHERE deployment_id = ?3 AND revision = ?4)`,
        bound: [phone, phoneBundleId, deploymentId, revision + 1],
      });
    const [changed] = await this.#db.batch(statements);
    if (changed === 1) return 'saved';
    const row = await this.#db.first<{ revision: number }>(
      'SELECT revision FROM app_deployments WHERE deployment_id = ?',
      deploymentId,
    );
    if (row?.revision !== revision) return 'stale';
    return removes && (await this.#db.first(NEEDED, deploymentId)) !== null ? 'needed' : 'busy';
  }

  async rest({ deploymentId, revision }: Deployment, dueAtMs: EpochMs | null): Promise<void> {
    await this.#db.run(
      'UPDATE app_deployments SET due_at_ms = ? WHERE deployment_id = ? AND revision = ?',
      dueAtMs,
      deploymentId,
      revision,
    );
  }

  async cleared({ deploymentId, revision }: Deployment): Promise<void> {
    await this.#db.run(
      `UPDATE app_deployments SET command_uuid = NULL, due_at_ms = NULL, revision = revision + 1
       WHERE deployment_id = ? AND revision = ? AND state <> 'running'`,
      deploymentId,
      revision,
    );
  }

  async claimDue(nowMs: EpochMs, untilMs: EpochMs, limit: number): Promise<readonly string[]> {
    const rows = await this.#db.all<{ deployment_id: string }>(
      `UPDATE app_deployments SET due_at_ms = ?2 WHERE deployment_id IN (
         SELECT deployment_id FROM app_deployments WHERE due_at_ms <= ?1 ORDER BY due_at_ms LIMIT ?3
       ) RETURNING deployment_id`,
      nowMs,
      untilMs,
      limit,
    );
    return rows.map((row) => row.deployment_id);
  }

  async newestOf(watch: Udid, app: string): Promise<string | null> {
    const row = await this.#db.first<{ deployment_id: string }>(
      `SELECT deployment_id FROM app_deployments WHERE watch_udid = ? AND app_id = ? ORDER BY rowid DESC LIMIT 1`,
      watch,
      app,
    );
    return row?.deployment_id ?? null;
  }

  async unclearedBefore(deployment: Deployment): Promise<readonly Deployment[]> {
    const { watch, app, deploymentId } = deployment;
    const rows = await this.#db.all<Row>(
      `SELECT * FROM app_deployments WHERE watch_udid = ? AND app_id = ? AND state <> 'running'
         AND command_uuid IS NOT NULL AND deployment_id <> ?`,
      watch,
      app,
      deploymentId,
    );
    return rows.map(record);
  }
}

function update(
  { deploymentId, revision }: Deployment,
  { machine, commandUuid }: { readonly machine: Machine; readonly commandUuid: CommandUuid | null },
  timeline: readonly TimelineEntry[],
  removes: boolean,
  nowMs: EpochMs,
): Statement {
  const over = machine.state !== 'running';
  // What is left of one that is over is to take its command back.
  const due = over ? (commandUuid === null ? null : 0) : machine.dueAtMs;
  return {
    sql: `UPDATE OR IGNORE app_deployments SET state = ?3, at = ?4, phase = ?5, machine = ?6, timeline = ?7,
            command_uuid = ?8, due_at_ms = ?9, updated_at_ms = ?10, ended_at_ms = ?11, revision = revision + 1
          WHERE deployment_id = ?1 AND revision = ?2 ${removes ? `AND NOT EXISTS (${NEEDED})` : ''}`,
    bound: [
      ...[deploymentId, revision, machine.state, machine.at, machine.phase],
      ...[JSON.stringify(machine), JSON.stringify(timeline), commandUuid, due, nowMs, over ? nowMs : null],
    ],
  };
}

/** Deletes ended ones beyond those that are kept, of the apps and watches that get another. */
function prune(rows: string): Statement {
  const others = `FROM app_deployments k WHERE k.watch_udid = d.watch_udid AND k.app_id = d.app_id`;
  return {
    sql: `DELETE FROM app_deployments AS d WHERE d.state <> 'running' AND d.command_uuid IS NULL
            AND (d.watch_udid, d.app_id) IN (SELECT j.value ->> 'watch', j.value ->> 'app' FROM json_each(?1) j)
            AND d.deployment_id NOT IN (
              SELECT k.deployment_id ${others} ORDER BY k.rowid DESC LIMIT ${KEPT})
            AND d.deployment_id NOT IN (
              SELECT k.deployment_id ${others} AND k.state = 'done' ORDER BY k.rowid DESC LIMIT 1)`,
    bound: [rows],
  };
}

function holdsPhone({ state, at, phase }: Machine): boolean {
  return state === 'running' && at === 'phone' && phase !== 'waiting';
}

function newRow({ deploymentId: id, machine, ...rest }: NewDeployment) {
  const { app, kind, watch, phone, phoneBundleId } = rest;
  return { id, app, kind, watch, phone, phoneBundleId, action: machine.action, at: machine.at, machine };
}

function record(row: Row): Deployment {
  const machine = JSON.parse(row.machine) as Machine;
  if (typeof machine.phase !== 'string') throw new Fault('deployment-row', 'a deployment without its state');
  return {
    deploymentId: row.deployment_id,
    app: row.app_id,
    kind: row.kind,
    watch: row.watch_udid,
    phone: row.phone_udid,
    phoneBundleId: row.phone_bundle_id,
    machine,
    timeline: JSON.parse(row.timeline) as TimelineEntry[],
    commandUuid: row.command_uuid,
    revision: row.revision,
    createdAtMs: row.created_at_ms,
    updatedAtMs: row.updated_at_ms,
    endedAtMs: row.ended_at_ms,
  };
}
