/** The device object's declarations: what it is to hold, which of it was fetched, and what it reported. */
import type { DeclarationKind, DeclarationStatus, ManifestEntry } from '../../domain/declaration/manifest.ts';
import type { EpochMs } from '../../std/time.ts';

export class ManifestStore {
  readonly #sql: SqlStorage;
  #entries: readonly ManifestEntry[] | null = null;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  /** From memory after the first read: `tokens` and `declaration-items` cost no query. */
  entries(): readonly ManifestEntry[] {
    this.#entries ??= this.#sql
      .exec<{ kind: string; identifier: string; server_token: string }>(
        'SELECT kind, identifier, server_token FROM manifest ORDER BY kind, identifier',
      )
      .toArray()
      .map((row) => ({
        kind: row.kind as DeclarationKind,
        identifier: row.identifier,
        serverToken: row.server_token,
      }));
    return this.#entries;
  }

  replace(entries: readonly ManifestEntry[]): void {
    const kept = new Map(this.entries().map((entry) => [entry.identifier, entry]));
    for (const entry of entries) {
      const old = kept.get(entry.identifier);
      kept.delete(entry.identifier);
      if (old?.serverToken === entry.serverToken && old.kind === entry.kind) continue;
      this.#sql.exec(
        'INSERT OR REPLACE INTO manifest (identifier, kind, server_token, fetched_at_ms) VALUES (?, ?, ?, NULL)',
        entry.identifier,
        entry.kind,
        entry.serverToken,
      );
    }
    for (const identifier of kept.keys())
      this.#sql.exec('DELETE FROM manifest WHERE identifier = ?', identifier);
    this.#entries = null;
  }

  /**
   * What the device reported with the token that it has now, it holds: it does not fetch what changed and changed back
   * before it asked.
   */
  isFetched(): boolean {
    return (
      this.#sql
        .exec(
          `SELECT 1 FROM manifest m LEFT JOIN declaration_status s
             ON s.identifier = m.identifier AND s.server_token = m.server_token
           WHERE m.fetched_at_ms IS NULL AND s.identifier IS NULL LIMIT 1`,
        )
        .toArray().length === 0
    );
  }

  /** Notes the first fetch of a declaration as it now stands. */
  fetched(identifier: string, nowMs: EpochMs): void {
    this.#sql.exec(
      'UPDATE manifest SET fetched_at_ms = ? WHERE identifier = ? AND fetched_at_ms IS NULL',
      nowMs,
      identifier,
    );
  }

  /**
   * Only what the manifest holds is kept, and only for the token it holds now: `valid` belongs to one
   * `server-token`. A full report replaces everything. What did not change is not written.
   */
  report(
    report: { readonly statuses: readonly DeclarationStatus[]; readonly removed: readonly string[] },
    full: boolean,
    nowMs: EpochMs,
  ): void {
    const current = new Map(this.entries().map((entry) => [entry.identifier, entry.serverToken]));
    const statuses = report.statuses.filter(
      ({ identifier, serverToken }) => current.get(identifier) === serverToken,
    );
    for (const identifier of report.removed)
      this.#sql.exec('DELETE FROM declaration_status WHERE identifier = ?', identifier);
    if (full) {
      const named = JSON.stringify(statuses.map(({ identifier }) => identifier));
      this.#sql.exec(
        'DELETE FROM declaration_status WHERE identifier NOT IN (SELECT value FROM json_each(?))',
        named,
      );
    }
    for (const status of statuses) {
      this.#sql.exec(
        `INSERT INTO declaration_status (identifier, server_token, active, valid, reasons, at_ms)
         VALUES (?, ?, ?, ?, ?, ?)
         ON CONFLICT (identifier) DO UPDATE SET server_token = excluded.server_token, active = excluded.active,
           valid = excluded.valid, reasons = excluded.reasons, at_ms = excluded.at_ms
         WHERE (server_token, active, valid, reasons)
           IS NOT (excluded.server_token, excluded.active, excluded.valid, excluded.reasons)`,
        status.identifier,
        status.serverToken,
        Number(status.active),
        status.valid,
        JSON.stringify(status.reasons),
        nowMs,
      );
    }
  }

  describe(): readonly (ManifestEntry & {
    readonly fetched: boolean;
    readonly status: DeclarationStatus | null;
  })[] {
    return this.#sql
      .exec<Record<string, SqlStorageValue>>(
        `SELECT m.kind, m.identifier, m.server_token, m.fetched_at_ms, s.active, s.valid, s.reasons
         FROM manifest m LEFT JOIN declaration_status s
           ON s.identifier = m.identifier AND s.server_token = m.server_token
         ORDER BY m.kind, m.identifier`,
      )
      .toArray()
      .map((row) => {
        const identifier = row['identifier'] as string;
        const serverToken = row['server_token'] as string;
        return {
          kind: row['kind'] as DeclarationKind,
          identifier,
          serverToken,
          fetched: row['fetched_at_ms'] !== null || row['valid'] !== null,
          status:
            row['valid'] === null
              ? null
              : {
                  identifier,
                  serverToken,
                  active: row['active'] === 1,
                  valid: row['valid'] as DeclarationStatus['valid'],
                  reasons: JSON.parse(row['reasons'] as string),
                },
        };
      });
  }
}
