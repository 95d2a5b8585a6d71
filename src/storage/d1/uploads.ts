/**
 * Uploaded data in D1. It is written in the transaction that writes its declaration, and only if that declaration was
 * written; it goes with the declaration. What a profile was before a change is kept beside it, by the same transaction.
 */
import type { MalformedCursor, Page, PageQuery } from '../../domain/admin/services.ts';
import type { UploadResource } from '../../domain/admin/upload-services.ts';
import { parseDeclarationIdentifier } from '../../domain/declaration/draft.ts';
import type {
  LoadedUpload,
  SealedUpload,
  UploadRow,
  UploadStore,
  UploadVersion,
} from '../../domain/declaration/upload-ports.ts';
import type { Bytes } from '../../std/bytes.ts';
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
  version: number;
  fingerprint: string | null;
  author: string | null;
}

interface VersionRow {
  version: number;
  server_token: string;
  size: number;
  details: string;
  fingerprint: string | null;
  author: string | null;
  stored_at_ms: EpochMs;
}

/** Enough to go back by; those that devices are recorded with are kept besides, up to the other number. */
export const VERSIONS_KEPT = 10;
/** A fleet that lags by more has each of its devices at another version: their records stay, the content goes. */
const VERSIONS_MAX = 100;

const FACTS = 'u.size, u.details, u.version, u.fingerprint, u.author';
const SELECT = `SELECT u.identifier, d.type, u.content_type, ${FACTS}, d.server_token, d.updated_at_ms
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

  async load(identifier: string): Promise<LoadedUpload | null> {
    const row = await this.#db.first<Row & { resource: UploadResource; sealed: unknown }>(
      `SELECT u.*, d.server_token FROM uploads u JOIN declarations d ON d.identifier = u.identifier
       WHERE u.identifier = ?`,
      identifier,
    );
    if (row === null) return null;
    const { resource, size, content_type: contentType, server_token: serverToken } = row;
    const { version, fingerprint, author } = row;
    const facts = { resource, contentType, size, version, fingerprint, author, serverToken };
    return { ...facts, details: JSON.parse(row.details), sealed: blob(row.sealed) };
  }

  async versions(identifier: string): Promise<readonly UploadVersion[]> {
    const rows = await this.#db.all<VersionRow>(
      `SELECT ${CURRENT} UNION ALL SELECT ${OLDER} FROM profile_versions WHERE identifier = ?1
       ORDER BY version DESC`,
      identifier,
    );
    return rows.map(uploadVersion);
  }

  async loadVersion(
    identifier: string,
    version: number,
  ): Promise<(UploadVersion & { sealed: Bytes }) | null> {
    const row = await this.#db.first<VersionRow & { sealed: unknown }>(
      `SELECT u.sealed, ${CURRENT} AND u.version = ?2
       UNION ALL SELECT sealed, ${OLDER} FROM profile_versions WHERE identifier = ?1 AND version = ?2`,
      identifier,
      version,
    );
    return row === null ? null : { ...uploadVersion(row), sealed: blob(row.sealed) };
  }

  async profilesAmong(identifiers: readonly string[]): Promise<readonly UploadRow[]> {
    const rows = await this.#db.all<Row>(
      `${SELECT} AND u.identifier IN (SELECT value FROM json_each(?)) ORDER BY u.identifier`,
      'profiles',
      JSON.stringify(identifiers),
    );
    return rows.map(uploadRow);
  }

  async payloadUuids(
    identifiers: readonly string[],
  ): Promise<ReadonlyMap<string, ReadonlyMap<number, string>>> {
    const asked = "json_extract(details, '$.payloadUuid') AS uuid";
    const rows = await this.#db.all<{ identifier: string; version: number; uuid: string }>(
      `SELECT identifier, version, ${asked} FROM uploads
         WHERE resource = 'profiles' AND identifier IN (SELECT value FROM json_each(?1))
       UNION ALL SELECT identifier, version, ${asked} FROM profile_versions
         WHERE identifier IN (SELECT value FROM json_each(?1))`,
      JSON.stringify(identifiers),
    );
    const found = new Map<string, Map<number, string>>();
    for (const { identifier, version, uuid } of rows) {
      const versions = found.get(identifier) ?? new Map<number, string>();
      found.set(identifier, versions.set(version, uuid));
    }
    return found;
  }
}

const OLDER = `version, server_token, size, details, fingerprint, author, ifnull(stored_at_ms, 0) AS stored_at_ms`;
const CURRENT = `u.version, d.server_token, u.size, u.details, u.fingerprint, u.author,
    ifnull(u.stored_at_ms, d.updated_at_ms) AS stored_at_ms FROM uploads u
  JOIN declarations d ON d.identifier = u.identifier WHERE u.identifier = ?1 AND u.resource = 'profiles'`;

/**
 * Does nothing unless the declaration is now stored under this token. `before` is the token that it replaced. A profile
 * that is uploaded anew is counted on from what devices have of the last one of its name.
 */
export function storeUpload(
  declaration: { readonly identifier: string; readonly serverToken: string; readonly updatedAtMs: EpochMs },
  upload: SealedUpload,
  before: string | null,
): Statement[] {
  const { identifier, serverToken, updatedAtMs } = declaration;
  const { resource, contentType, size, details, sealed, fingerprint, author } = upload;
  const stored: Statement = {
    sql: `INSERT INTO uploads (identifier, resource, content_type, size, details, sealed, fingerprint, author, stored_at_ms, version)
          SELECT identifier, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10,
            1 + ifnull((SELECT max(max(p.version, ifnull(p.installed_version, 0)))
              FROM device_profiles p WHERE p.identifier = ?1), 0)
          FROM declarations WHERE identifier = ?1 AND server_token = ?2
          ON CONFLICT (identifier) DO UPDATE SET content_type = excluded.content_type, size = excluded.size,
            details = excluded.details, sealed = excluded.sealed, fingerprint = excluded.fingerprint,
            author = excluded.author, stored_at_ms = excluded.stored_at_ms, version = uploads.version + 1`,
    bound: [
      identifier,
      serverToken,
      resource,
      contentType,
      size,
      JSON.stringify(details),
      sealed,
      fingerprint,
      author,
      updatedAtMs,
    ],
  };
  if (resource !== 'profiles' || before === null) return [stored];
  return [keep(identifier, serverToken, before), stored, prune(identifier)];
}

function keep(identifier: string, serverToken: string, before: string): Statement {
  return {
    sql: `INSERT INTO profile_versions (identifier, version, server_token, size, details, fingerprint, author, stored_at_ms, sealed)
          SELECT u.identifier, u.version, ?3, u.size, u.details, u.fingerprint, u.author, u.stored_at_ms, u.sealed
          FROM uploads u JOIN declarations d ON d.identifier = u.identifier
          WHERE u.identifier = ?1 AND d.server_token = ?2`,
    bound: [identifier, serverToken, before],
  };
}

function prune(identifier: string): Statement {
  const newest = 'SELECT u.version FROM uploads u WHERE u.identifier = ?1';
  return {
    sql: `DELETE FROM profile_versions AS v WHERE v.identifier = ?1 AND v.version <= (${newest}) - ${VERSIONS_KEPT}
            AND (v.version <= (${newest}) - ${VERSIONS_MAX} OR NOT EXISTS (SELECT 1 FROM device_profiles p
              WHERE p.identifier = ?1 AND v.version IN (p.version, p.installed_version)))`,
    bound: [identifier],
  };
}

function uploadVersion(row: VersionRow): UploadVersion {
  const { version, server_token: serverToken, size, fingerprint, author, stored_at_ms: storedAtMs } = row;
  return { version, serverToken, size, fingerprint, author, storedAtMs, details: JSON.parse(row.details) };
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
    version: row.version,
    fingerprint: row.fingerprint,
    author: row.author,
  };
}
