/**
 * The declarations of administrators in D1. A write compares the token it was based on in the statement that writes,
 * and the rows of what the declaration refers to follow only if it was written.
 */
import type {
  DeclarationFilter,
  DeclarationSummary,
  Holders,
} from '../../domain/admin/declaration-services.ts';
import type { MalformedCursor, Page, PageQuery } from '../../domain/admin/services.ts';
import { parseDeclarationIdentifier } from '../../domain/declaration/draft.ts';
import type { Change } from '../../domain/declaration/due.ts';
import type {
  AssignedDeclaration,
  LibraryStore,
  StoredDeclaration,
} from '../../domain/declaration/library-ports.ts';
import type { DeclarationKind } from '../../domain/declaration/manifest.ts';
import type { SealedUpload } from '../../domain/declaration/upload-ports.ts';
import type { JsonObject } from '../../protocol/plist/json.ts';
import { type Outcome, ok, refuse } from '../../std/outcome.ts';
import type { EpochMs } from '../../std/time.ts';
import { declaration as assignedDeclaration, ENTRY, type EntryRow } from './assignments.ts';
import type { Bound, Database, Statement } from './database.ts';
import { countDevicesWith, ON_DEVICE } from './device-profiles.ts';
import { markDue, setMembers } from './due.ts';
import { storeUpload } from './uploads.ts';

interface SummaryRow {
  identifier: string;
  kind: DeclarationKind;
  type: string;
  server_token: string;
  updated_at_ms: EpochMs;
}

/** Enough of what hinders a removal to find the rest by. */
const HOLDERS_MAX = 32;
const SUMMARY = 'identifier, kind, type, server_token, updated_at_ms';

export class D1DeclarationLibrary implements LibraryStore {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  async list(
    filter: DeclarationFilter,
    page: PageQuery,
  ): Promise<Outcome<Page<DeclarationSummary>, MalformedCursor>> {
    if (page.cursor !== null && !parseDeclarationIdentifier(page.cursor).ok)
      return refuse({ kind: 'malformed-cursor' });
    const conditions: readonly (readonly [string, Bound])[] = [
      ['kind = ?', filter.kind],
      ['type = ?', filter.type],
      ['identifier > ?', page.cursor],
    ];
    const asked = conditions.filter(([, value]) => value !== null);
    const where = asked.length === 0 ? '' : `WHERE ${asked.map(([condition]) => condition).join(' AND ')}`;
    const rows = await this.#db.all<SummaryRow>(
      `SELECT ${SUMMARY} FROM declarations ${where} ORDER BY identifier LIMIT ?`,
      ...asked.map(([, value]) => value),
      page.limit + 1,
    );
    const items = rows.slice(0, page.limit).map(summary);
    return ok({ items, cursor: rows.length > page.limit ? (items.at(-1)?.identifier ?? null) : null });
  }

  async find(identifier: string): Promise<StoredDeclaration | null> {
    const row = await this.#db.first<
      SummaryRow & { payload: string; salt: string | null; templated: number; uploaded: number }
    >(
      `SELECT ${SUMMARY}, payload, salt, templated,
         EXISTS (SELECT 1 FROM uploads u WHERE u.identifier = d.identifier) AS uploaded
       FROM declarations d WHERE identifier = ?`,
      identifier,
    );
    if (row === null) return null;
    const { salt, templated, uploaded } = row;
    const payload = JSON.parse(row.payload) as JsonObject;
    return { ...summary(row), payload, salt, templated: templated === 1, uploaded: uploaded === 1 };
  }

  async insert(
    declaration: StoredDeclaration,
    targets: readonly string[],
    upload: SealedUpload | null = null,
  ): Promise<boolean> {
    const { identifier, kind, type, payload, serverToken, salt, templated, updatedAtMs } = declaration;
    const insert = {
      sql: `INSERT INTO declarations (identifier, kind, type, payload, server_token, salt, templated, updated_at_ms)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (identifier) DO NOTHING`,
      bound: [
        identifier,
        kind,
        type,
        JSON.stringify(payload),
        serverToken,
        salt,
        Number(templated),
        updatedAtMs,
      ],
    };
    const stored = upload === null ? [] : storeUpload(declaration, upload, null);
    const [changed] = await this.#db.batch([insert, ...refer(declaration, targets), ...stored]);
    return changed === 1;
  }

  async replace(
    declaration: StoredDeclaration,
    targets: readonly string[] | null,
    serverToken: string,
    change: Change,
    upload: SealedUpload | null = null,
  ): Promise<boolean> {
    const { identifier, type, payload, salt, templated, updatedAtMs } = declaration;
    const update = {
      sql: `UPDATE declarations SET type = ?, payload = ?, server_token = ?, salt = ?, templated = ?,
              updated_at_ms = ?
            WHERE identifier = ? AND server_token = ?`,
      bound: [
        type,
        JSON.stringify(payload),
        declaration.serverToken,
        salt,
        Number(templated),
        updatedAtMs,
        identifier,
        serverToken,
      ],
    };
    const references = targets === null ? [] : refer(declaration, targets);
    const stored = upload === null ? [] : storeUpload(declaration, upload, serverToken);
    const [changed] = await this.#db.batch([
      update,
      ...references,
      ...stored,
      markHolders(declaration, change),
    ]);
    return changed === 1;
  }

  async remove(identifier: string, serverToken: string, force: boolean): Promise<boolean> {
    const changed = await this.#db.run(
      `DELETE FROM declarations WHERE identifier = ?1 AND server_token = ?2
         AND NOT EXISTS (SELECT 1 FROM set_declarations WHERE identifier = ?1)
         AND NOT EXISTS (SELECT 1 FROM declaration_references WHERE target = ?1 AND identifier <> ?1)
         AND (?3 OR NOT EXISTS (SELECT 1 FROM device_profiles p WHERE p.identifier = ?1 AND ${ON_DEVICE}))`,
      identifier,
      serverToken,
      Number(force),
    );
    return changed > 0;
  }

  devicesWith(identifier: string): Promise<number> {
    return countDevicesWith(this.#db, identifier);
  }

  async holders(identifier: string): Promise<Holders> {
    const [declarations, sets] = await Promise.all([
      this.#db.all<{ identifier: string }>(
        `SELECT identifier FROM declaration_references WHERE target = ?1 AND identifier <> ?1
         ORDER BY identifier LIMIT ${HOLDERS_MAX}`,
        identifier,
      ),
      this.#db.all<{ set_name: string }>(
        `SELECT set_name FROM set_declarations WHERE identifier = ? ORDER BY set_name LIMIT ${HOLDERS_MAX}`,
        identifier,
      ),
    ]);
    return { declarations: declarations.map((row) => row.identifier), sets: sets.map((row) => row.set_name) };
  }

  async kindsOf(identifiers: readonly string[]): Promise<ReadonlyMap<string, DeclarationKind>> {
    if (identifiers.length === 0) return new Map();
    const rows = await this.#db.all<{ identifier: string; kind: DeclarationKind }>(
      `SELECT identifier, kind FROM declarations WHERE identifier IN (SELECT value FROM json_each(?))`,
      JSON.stringify(identifiers),
    );
    return new Map(rows.map((row) => [row.identifier, row.kind]));
  }

  async typesOf(identifiers: readonly string[]): Promise<ReadonlyMap<string, string>> {
    if (identifiers.length === 0) return new Map();
    const rows = await this.#db.all<{ identifier: string; type: string }>(
      `SELECT identifier, type FROM declarations WHERE identifier IN (SELECT value FROM json_each(?))`,
      JSON.stringify(identifiers),
    );
    return new Map(rows.map((row) => [row.identifier, row.type]));
  }

  async assigned(identifiers: readonly string[]): Promise<readonly AssignedDeclaration[]> {
    const rows = await this.#db.all<EntryRow>(
      `SELECT ${ENTRY} WHERE d.identifier IN (SELECT value FROM json_each(?))`,
      JSON.stringify(identifiers),
    );
    return rows.map(assignedDeclaration);
  }

  async payloads(identifiers: readonly string[]): Promise<ReadonlyMap<string, JsonObject>> {
    const rows = await this.#db.all<{ identifier: string; payload: string }>(
      'SELECT identifier, payload FROM declarations WHERE identifier IN (SELECT value FROM json_each(?))',
      JSON.stringify(identifiers),
    );
    return new Map(rows.map((row) => [row.identifier, JSON.parse(row.payload) as JsonObject]));
  }
}

/** Marks the devices whose sets hold the declaration, if it is now stored as it is here. */
function markHolders({ identifier, serverToken }: StoredDeclaration, change: Change): Statement {
  const names = `SELECT s.set_name FROM set_declarations s JOIN declarations d ON d.identifier = s.identifier
    WHERE d.identifier = ? AND d.server_token = ?`;
  const bound = [identifier, serverToken];
  return markDue(change, setMembers(names), ...bound, ...bound, ...bound);
}

/** Both statements do nothing unless the declaration is now stored as it is here. */
function refer({ identifier, serverToken }: StoredDeclaration, targets: readonly string[]): Statement[] {
  return [
    {
      sql: `DELETE FROM declaration_references WHERE identifier = ?1
              AND EXISTS (SELECT 1 FROM declarations WHERE identifier = ?1 AND server_token = ?2)`,
      bound: [identifier, serverToken],
    },
    {
      sql: `INSERT INTO declaration_references (identifier, target)
            SELECT d.identifier, t.value FROM declarations d, json_each(?3) t
            WHERE d.identifier = ?1 AND d.server_token = ?2`,
      bound: [identifier, serverToken, JSON.stringify(targets)],
    },
  ];
}

function summary(row: SummaryRow): DeclarationSummary {
  const { identifier, kind, type, server_token: serverToken, updated_at_ms: updatedAtMs } = row;
  return { kind, identifier, type, serverToken, updatedAtMs };
}
