/**
 * Uploaded data in D1. It is written in the transaction that writes its declaration, and only if that declaration was
 * written; it goes with the declaration.
 */
import type { MalformedCursor, Page, PageQuery } from '../../domain/admin/services.ts';
import type { UploadResource } from '../../domain/admin/upload-services.ts';
import { parseDeclarationIdentifier } from '../../domain/declaration/draft.ts';
import type { SealedUpload, UploadRow, UploadStore } from '../../domain/declaration/upload-ports.ts';
import { type Outcome, ok, refuse } from '../../std/outcome.ts';
import type { EpochMs } from '../../std/time.ts';
import { blob, type Database, type Statement } from './database.ts';

interface Row {
  identifier: string;
  type: string;
  content_type: string;
  size: number;
  details: string;
  server_token: string;
  updated_at_ms: EpochMs;
}

const SELECT = `SELECT u.identifier, d.type, u.content_type, u.size, u.details, d.server_token, d.updated_at_ms
  FROM uploads u JOIN declarations d ON d.identifier = u.identifier WHERE u.resource = ?`;

export class D1Uploads implements UploadStore {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  async list(resource: UploadResource, page: PageQuery): Promise<Outcome<Page<UploadRow>, MalformedCursor>> {
    if (page.cursor !== null && !parseDeclarationIdentifier(page.cursor).ok)
      return refuse({ kind: 'malformed-cursor' });
    const rows = await this.#db.all<Row>(
      `${SELECT} AND u.identifier > ? ORDER BY u.identifier LIMIT ?`,
      resource,
      page.cursor ?? '',
      page.limit + 1,
    );
    const items = rows.slice(0, page.limit).map(uploadRow);
    return ok({ items, cursor: rows.length > page.limit ? (items.at(-1)?.identifier ?? null) : null });
  }

  async find(resource: UploadResource, identifier: string): Promise<UploadRow | null> {
    const row = await this.#db.first<Row>(`${SELECT} AND u.identifier = ?`, resource, identifier);
    return row === null ? null : uploadRow(row);
  }

  async load(identifier: string): Promise<(SealedUpload & { serverToken: string }) | null> {
    const row = await this.#db.first<Row & { resource: UploadResource; sealed: unknown }>(
      `SELECT u.*, d.server_token FROM uploads u JOIN declarations d ON d.identifier = u.identifier
       WHERE u.identifier = ?`,
      identifier,
    );
    if (row === null) return null;
    const { resource, size, content_type: contentType, server_token: serverToken } = row;
    return {
      resource,
      contentType,
      size,
      details: JSON.parse(row.details),
      sealed: blob(row.sealed),
      serverToken,
    };
  }
}

/** Does nothing unless the declaration is now stored under this token. */
export function storeUpload(
  { identifier, serverToken }: { readonly identifier: string; readonly serverToken: string },
  { resource, contentType, size, details, sealed }: SealedUpload,
): Statement {
  return {
    sql: `INSERT INTO uploads (identifier, resource, content_type, size, details, sealed)
          SELECT identifier, ?3, ?4, ?5, ?6, ?7 FROM declarations WHERE identifier = ?1 AND server_token = ?2
          ON CONFLICT (identifier) DO UPDATE SET content_type = excluded.content_type, size = excluded.size,
            details = excluded.details, sealed = excluded.sealed`,
    bound: [identifier, serverToken, resource, contentType, size, JSON.stringify(details), sealed],
  };
}

function uploadRow(row: Row): UploadRow {
  return {
    identifier: row.identifier,
    type: row.type,
    contentType: row.content_type,
    size: row.size,
    details: JSON.parse(row.details),
    serverToken: row.server_token,
    updatedAtMs: row.updated_at_ms,
  };
}
