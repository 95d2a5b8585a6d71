/**
 * The device's status as its object keeps it: a row a status item, and the last reports. Read when a
 * report or an administrator comes, not kept in memory: it may have 1 MiB. What did not change is not written, and a
 * report that is the one before it said again (its reply was lost) writes nothing at all.
 */
import { type FleetStatus, fleetStatus } from '../../domain/declaration/fleet-status.ts';
import { type KeptReport, REPORT_KEPT_BYTES_MAX, REPORTS_KEPT } from '../../domain/declaration/status.ts';
import {
  mergeStatus,
  type StatusItem,
  type StatusMergeRefusal,
} from '../../domain/declaration/status-merge.ts';
import type { DeclarationReport } from '../../domain/enrollment/device.ts';
import type { DeviceEvent } from '../../domain/event/event.ts';
import { statusEvents } from '../../domain/event/status-events.ts';
import { type Bytes, equalBytes } from '../../std/bytes.ts';
import { type Outcome, ok } from '../../std/outcome.ts';
import type { EpochMs } from '../../std/time.ts';

type ItemRow = {
  name: string;
  value: string | null;
  at_ms: number | null;
  error: string | null;
  error_at_ms: number | null;
};
type ReportRow = { at_ms: number; full: number; bytes: number; raw: ArrayBuffer | null };

export class StatusStore {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  /** By name. */
  items(): readonly StatusItem[] {
    return this.#sql
      .exec<ItemRow>('SELECT name, value, at_ms, error, error_at_ms FROM status_item ORDER BY name')
      .toArray()
      .map(({ name, value, at_ms, error, error_at_ms }) => ({
        name,
        value,
        atMs: at_ms as EpochMs | null,
        error: error === null ? null : { reasons: error, atMs: error_at_ms as EpochMs },
      }));
  }

  /** Newest first. */
  reports(): readonly KeptReport[] {
    return this.#sql
      .exec<ReportRow>('SELECT at_ms, full, bytes, raw FROM status_report ORDER BY id DESC')
      .toArray()
      .map(({ at_ms, full, bytes, raw }) => ({
        atMs: at_ms as EpochMs,
        full: full === 1,
        bytes,
        raw: raw === null ? null : new Uint8Array(raw),
      }));
  }

  /** What the fleet's index is to hold now, or null if that is as before; and what happened. A refused report leaves everything. */
  take(
    report: Pick<DeclarationReport, 'status' | 'raw' | 'fleetItems'>,
    nowMs: EpochMs,
  ): Outcome<{ fleet: FleetStatus | null; events: readonly DeviceEvent[] }, StatusMergeRefusal> {
    const { status: change, raw, fleetItems } = report;
    const stored = new Map(this.items().map((item) => [item.name, item]));
    const merged = mergeStatus(stored, change, nowMs);
    if (!merged.ok) return merged;
    for (const name of stored.keys())
      if (!merged.value.has(name)) this.#sql.exec('DELETE FROM status_item WHERE name = ?', name);
    for (const [name, item] of merged.value) if (stored.get(name) !== item) this.#write(item);
    this.#keep(change.full, raw, nowMs);
    const fleet = fleetStatus(merged.value, fleetItems);
    const same = JSON.stringify(fleetStatus(stored, fleetItems)) === JSON.stringify(fleet);
    return ok({ fleet: same ? null : fleet, events: statusEvents(stored, merged.value) });
  }

  /** The enrollment that it was reported in is over. False when nothing was reported in it. */
  reset(): boolean {
    if (this.reports().length === 0) return false;
    this.#sql.exec('DELETE FROM status_item');
    this.#sql.exec('DELETE FROM status_report');
    return true;
  }

  #write({ name, value, atMs, error }: StatusItem): void {
    this.#sql.exec(
      'INSERT OR REPLACE INTO status_item (name, value, at_ms, error, error_at_ms) VALUES (?, ?, ?, ?, ?)',
      name,
      value,
      atMs,
      error?.reasons ?? null,
      error?.atMs ?? null,
    );
  }

  #keep(
    full: boolean,
    { bytes, kept }: { readonly bytes: number; readonly kept: Bytes | null },
    nowMs: EpochMs,
  ): void {
    const raw = kept !== null && kept.length <= REPORT_KEPT_BYTES_MAX ? kept : null;
    const [last] = this.#sql
      .exec<ReportRow>('SELECT at_ms, full, bytes, raw FROM status_report ORDER BY id DESC LIMIT 1')
      .toArray();
    const repeated = raw !== null && last?.raw != null && equalBytes(new Uint8Array(last.raw), raw);
    if (repeated) return;
    this.#sql.exec(
      'INSERT INTO status_report (at_ms, full, bytes, raw) VALUES (?, ?, ?, ?)',
      nowMs,
      Number(full),
      bytes,
      raw,
    );
    this.#sql.exec(
      'DELETE FROM status_report WHERE id <= (SELECT max(id) FROM status_report) - ?',
      REPORTS_KEPT,
    );
  }
}
