/**
 * Profiles behind declarations, for the effective policy: one statement however many, sealed content only of those
 * whose recorded payload types are asked for, and of these as many as fit, by identifier.
 */
import type { UploadResource } from '../../domain/admin/upload-services.ts';
import type { DeclaredProfile, DeclaredProfileStore } from '../../domain/policy/ports.ts';
import { blob, type Database } from './database.ts';

interface Row {
  identifier: string;
  resource: UploadResource;
  server_token: string;
  relevant: number;
  sealed: unknown;
}

export class D1DeclaredProfiles implements DeclaredProfileStore {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  async declared(
    identifiers: readonly string[],
    payloadTypes: readonly string[],
    bytesMax: number,
  ): Promise<readonly DeclaredProfile[]> {
    // Of an asset no payload types are recorded: whether it is a profile shows when it is opened.
    const rows = await this.#db.all<Row>(
      `WITH asked AS (
         SELECT u.identifier, u.resource, d.server_token, u.size, u.resource = 'assets' OR EXISTS (
             SELECT 1 FROM json_each(u.details, '$.payloadTypes') t
             WHERE t.value IN (SELECT value FROM json_each(?2))
           ) AS relevant
         FROM uploads u JOIN declarations d ON d.identifier = u.identifier
         WHERE u.identifier IN (SELECT value FROM json_each(?1))
       ), measured AS (
         SELECT *, sum(iif(relevant, size, 0)) OVER (ORDER BY identifier) AS total FROM asked
       )
       SELECT m.identifier, m.resource, m.server_token, m.relevant,
         (SELECT u.sealed FROM uploads u
          WHERE u.identifier = m.identifier AND m.relevant AND m.total <= ?3) AS sealed
       FROM measured m ORDER BY m.identifier`,
      JSON.stringify(identifiers),
      JSON.stringify(payloadTypes),
      bytesMax,
    );
    return rows.map((row) => ({
      identifier: row.identifier,
      resource: row.resource,
      serverToken: row.server_token,
      relevant: row.relevant === 1,
      sealed: row.sealed === null ? null : blob(row.sealed),
    }));
  }
}
