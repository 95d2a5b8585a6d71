/** The device object's declarations: what it is to hold, which of it was fetched, and what it reported. */
import type { DeclarationKind, DeclarationStatus, ManifestEntry } from '../../domain/declaration/manifest.ts';
import type { DeviceEvent } from '../../domain/event/event.ts';
import { declarationEvents, sameStatus } from '../../domain/event/status-events.ts';
import type { EpochMs } from '../../std/time.ts';

type StatusRow = {
  identifier: string;
  server_token: string;
  active: number;
  valid: DeclarationStatus['valid'];
  reasons: string;
};

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

  /** The device goes by the manifest that it is given now: what it said of other declarations is over. */
  forgetDropped(): void {
    this.#sql.exec(
      'DELETE FROM declaration_status WHERE identifier NOT IN (SELECT identifier FROM manifest)',
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
  ): readonly DeviceEvent[] {
    const current = new Map(this.entries().map((entry) => [entry.identifier, entry.serverToken]));
    const before = this.#statuses();
    const after = new Map(full ? [] : before);
    for (const identifier of report.removed) after.delete(identifier);
    for (const status of report.statuses)
      if (current.get(status.identifier) === status.serverToken) after.set(status.identifier, status);
    for (const identifier of before.keys())
      if (!after.has(identifier))
        this.#sql.exec('DELETE FROM declaration_status WHERE identifier = ?', identifier);
    for (const status of after.values())
      if (!sameStatus(before.get(status.identifier), status)) this.#write(status, nowMs);
    return declarationEvents(before, after);
  }

  #statuses(): ReadonlyMap<string, DeclarationStatus> {
    const rows = this.#sql
      .exec<StatusRow>('SELECT identifier, server_token, active, valid, reasons FROM declaration_status')
      .toArray();
    return new Map(rows.map((row) => [row.identifier, statusOf(row)]));
  }

  #write(status: DeclarationStatus, nowMs: EpochMs): void {
    this.#sql.exec(
      `INSERT OR REPLACE INTO declaration_status (identifier, server_token, active, valid, reasons, at_ms)
       VALUES (?, ?, ?, ?, ?, ?)`,
      status.identifier,
      status.serverToken,
      Number(status.active),
      status.valid,
      JSON.stringify(status.reasons),
      nowMs,
    );
  }

  describe(): readonly (ManifestEntry & {
    readonly fetched: boolean;
    readonly status: DeclarationStatus | null;
  })[] {
    return this.#sql
      .exec<{ kind: DeclarationKind; fetched_at_ms: number | null; said: string | null } & StatusRow>(
        `SELECT m.kind, m.identifier, m.server_token, m.fetched_at_ms, s.identifier AS said,
           s.active, s.valid, s.reasons
         FROM manifest m LEFT JOIN declaration_status s
           ON s.identifier = m.identifier AND s.server_token = m.server_token
         ORDER BY m.kind, m.identifier`,
      )
      .toArray()
      .map((row) => ({
        kind: row.kind,
        identifier: row.identifier,
        serverToken: row.server_token,
        fetched: row.fetched_at_ms !== null || row.said !== null,
        status: row.said === null ? null : statusOf(row),
      }));
  }
}

function statusOf(row: StatusRow): DeclarationStatus {
  return {
    identifier: row.identifier,
    serverToken: row.server_token,
    active: row.active === 1,
    valid: row.valid,
    reasons: JSON.parse(row.reasons),
  };
}
