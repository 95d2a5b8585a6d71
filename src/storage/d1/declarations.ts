/** Declarations, their assets, and which iPhones watch enrollment is assigned to, in D1. */

import type { DeclarationKind } from '../../domain/declaration/manifest.ts';
import type {
  Asset,
  Declaration,
  DeclarationStore,
  WatchEnrollmentAssignment,
} from '../../domain/declaration/ports.ts';
import type { Udid } from '../../domain/ids.ts';
import type { EpochMs } from '../../std/time.ts';
import { blob, type Database, type Statement } from './database.ts';

interface DeclarationRow {
  identifier: string;
  kind: DeclarationKind;
  type: string;
  payload: string;
  server_token: string;
}

export class D1Declarations implements DeclarationStore {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  async assign(
    phone: Udid,
    assignment: WatchEnrollmentAssignment,
    declarations: readonly Declaration[],
    assets: readonly Asset[],
  ): Promise<void> {
    const { assignedAtMs } = assignment;
    await this.#db.batch([
      ...declarations.map((declaration) => upsertDeclaration(declaration, assignedAtMs)),
      ...assets.map(upsertAsset),
      {
        sql: `INSERT INTO watch_enrollments (phone_udid, anchors, declarations, assigned_at_ms) VALUES (?, ?, ?, ?)
              ON CONFLICT (phone_udid) DO UPDATE SET
                anchors = excluded.anchors, declarations = excluded.declarations`,
        bound: [
          phone,
          JSON.stringify(assignment.anchors),
          JSON.stringify(declarations.map((one) => one.identifier)),
          assignedAtMs,
        ],
      },
    ]);
  }

  async withdraw(phone: Udid): Promise<void> {
    await this.#db.run('DELETE FROM watch_enrollments WHERE phone_udid = ?', phone);
  }

  async assignment(phone: Udid): Promise<WatchEnrollmentAssignment | null> {
    const row = await this.#db.first<{ anchors: string; assigned_at_ms: EpochMs }>(
      'SELECT anchors, assigned_at_ms FROM watch_enrollments WHERE phone_udid = ?',
      phone,
    );
    return row === null ? null : { anchors: JSON.parse(row.anchors), assignedAtMs: row.assigned_at_ms };
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
