/** Declarations, their assets, and what watch enrollment is assigned to, in D1. */

import type { Change } from '../../domain/declaration/due.ts';
import type { DeclarationKind } from '../../domain/declaration/manifest.ts';
import type {
  Asset,
  CompiledWatchEnrollment,
  Declaration,
  DeclarationStore,
  WatchEnrollmentAssignment,
  WatchEnrollmentTarget,
} from '../../domain/declaration/ports.ts';
import type { Udid } from '../../domain/ids.ts';
import type { EpochMs } from '../../std/time.ts';
import { WATCH_ENROLLMENTS } from './assignments.ts';
import { blob, type Database, type Statement } from './database.ts';
import { markDue, markGroup } from './due.ts';

interface DeclarationRow {
  identifier: string;
  kind: DeclarationKind;
  type: string;
  payload: string;
  server_token: string;
}

interface AssignmentRow {
  group_name: string | null;
  anchors: string;
  assigned_at_ms: EpochMs;
}

export class D1Declarations implements DeclarationStore {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  async assign(
    target: WatchEnrollmentTarget,
    { anchors, declarations, assets }: CompiledWatchEnrollment,
    change: Change,
  ): Promise<boolean> {
    const names = JSON.stringify(declarations.map((one) => one.identifier));
    const [assigned] = await this.#db.batch([
      putAssignment(target, JSON.stringify(anchors), names, change),
      ...declarations.map((declaration) => upsertDeclaration(declaration, change.atMs)),
      ...assets.map(upsertAsset),
      markTarget(target, change),
    ]);
    return assigned === 1;
  }

  async withdraw(target: WatchEnrollmentTarget, change: Change): Promise<void> {
    await this.#db.batch([
      markTarget(target, change),
      target.kind === 'device'
        ? { sql: 'DELETE FROM watch_enrollments WHERE phone_udid = ?', bound: [target.udid] }
        : { sql: 'DELETE FROM watch_enrollment_groups WHERE group_name = ?', bound: [target.name] },
    ]);
  }

  async assignment(phone: Udid): Promise<WatchEnrollmentAssignment | null> {
    const row = await this.#db.first<AssignmentRow>(`${WATCH_ENROLLMENTS} LIMIT 1`, JSON.stringify([phone]));
    return row === null ? null : assignment(row);
  }

  async ofGroup(name: string): Promise<WatchEnrollmentAssignment | null> {
    const row = await this.#db.first<AssignmentRow>(
      'SELECT group_name, anchors, assigned_at_ms FROM watch_enrollment_groups WHERE group_name = ?',
      name,
    );
    return row === null ? null : assignment(row);
  }

  async groups(): Promise<readonly WatchEnrollmentAssignment[]> {
    const rows = await this.#db.all<AssignmentRow>(
      'SELECT group_name, anchors, assigned_at_ms FROM watch_enrollment_groups ORDER BY group_name',
    );
    return rows.map(assignment);
  }

  async find(identifier: string): Promise<Declaration | null> {
    const row = await this.#db.first<DeclarationRow>(
      'SELECT identifier, kind, type, payload, server_token FROM declarations WHERE identifier = ?',
      identifier,
    );
    if (row === null) return null;
    const { kind, type } = row;
    return { kind, identifier, type, payload: JSON.parse(row.payload), serverToken: row.server_token };
  }

  async asset(identifier: string): Promise<Asset | null> {
    const row = await this.#db.first<{ content_type: string; data: unknown }>(
      'SELECT content_type, data FROM assets WHERE identifier = ?',
      identifier,
    );
    return row === null ? null : { identifier, contentType: row.content_type, data: blob(row.data) };
  }

  async countPairings(phone: Udid): Promise<number> {
    const row = await this.#db.first<{ n: number }>(
      'SELECT count(*) AS n FROM pairings WHERE phone_udid = ?',
      phone,
    );
    return row?.n ?? 0;
  }
}

function putAssignment(
  target: WatchEnrollmentTarget,
  anchors: string,
  declarations: string,
  { atMs }: Change,
): Statement {
  const replace = 'DO UPDATE SET anchors = excluded.anchors, declarations = excluded.declarations';
  if (target.kind === 'device') {
    return {
      sql: `INSERT INTO watch_enrollments (phone_udid, anchors, declarations, assigned_at_ms) VALUES (?, ?, ?, ?)
            ON CONFLICT (phone_udid) ${replace}`,
      bound: [target.udid, anchors, declarations, atMs],
    };
  }
  return {
    sql: `INSERT INTO watch_enrollment_groups (group_name, anchors, declarations, assigned_at_ms)
          SELECT name, ?2, ?3, ?4 FROM groups WHERE name = ?1 ON CONFLICT (group_name) ${replace}`,
    bound: [target.name, anchors, declarations, atMs],
  };
}

/** With the assignment there: the members of its group are marked whatever they are, watches for nothing. */
function markTarget(target: WatchEnrollmentTarget, change: Change): Statement {
  return target.kind === 'device'
    ? markDue(change, 'SELECT ? AS udid', target.udid)
    : markGroup(
        change,
        target.name,
        'SELECT 1 FROM watch_enrollment_groups WHERE group_name = ?',
        target.name,
      );
}

function assignment(row: AssignmentRow): WatchEnrollmentAssignment {
  return { group: row.group_name, anchors: JSON.parse(row.anchors), assignedAtMs: row.assigned_at_ms };
}

function upsertDeclaration(declaration: Declaration, nowMs: EpochMs): Statement {
  const { identifier, kind, type, payload, serverToken } = declaration;
  return {
    sql: `INSERT INTO declarations (identifier, kind, type, payload, server_token, updated_at_ms)
          VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (identifier) DO UPDATE SET
            kind = excluded.kind, type = excluded.type, payload = excluded.payload,
            server_token = excluded.server_token, updated_at_ms = excluded.updated_at_ms
          WHERE server_token <> excluded.server_token`,
    bound: [identifier, kind, type, JSON.stringify(payload), serverToken, nowMs],
  };
}

function upsertAsset(asset: Asset): Statement {
  return {
    sql: `INSERT INTO assets (identifier, content_type, data) VALUES (?, ?, ?)
          ON CONFLICT (identifier) DO NOTHING`,
    bound: [asset.identifier, asset.contentType, asset.data],
  };
}
