/**
 * Pairing history in D1: the copy that each watch's object sends (`PairingArchive`), and what administrators read
 * (`PairingReader`). Asked for one watch, the first page comes from its object and is current; the rest, and
 * everything asked across watches, may trail by the moment that an alarm takes. Nothing is decided from it.
 *
 * Order is newest first by (started, id); a cursor is the last such pair, so pages stay put while rows are added.
 */
import type { MalformedCursor, Page, PairingReader, PairingRecord } from '../../domain/admin/services.ts';
import type { SerialNumber, Udid } from '../../domain/ids.ts';
import { LIVE_CHALLENGES_MAX, PAIRINGS_KEPT_MAX } from '../../domain/pairing/limits.ts';
import type { PairingArchive, PairingStore } from '../../domain/pairing/ports.ts';
import type { Pairing, TimelineEntry } from '../../domain/pairing/states.ts';
import { type Outcome, ok, refuse } from '../../std/outcome.ts';
import { type EpochMs, epochMs } from '../../std/time.ts';
import type { Database } from './database.ts';

const UPSERT = `INSERT INTO pairings (pairing_id, watch_udid, watch_serial, phone_udid, state, reason, timeline,
    started_at_ms, updated_at_ms, revision)
  VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
  ON CONFLICT (pairing_id) DO UPDATE SET phone_udid = excluded.phone_udid, state = excluded.state,
    reason = excluded.reason, timeline = excluded.timeline, updated_at_ms = excluded.updated_at_ms,
    revision = excluded.revision
  WHERE excluded.revision > pairings.revision`;

export class D1PairingArchive implements PairingArchive {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  async put(pairings: readonly Pairing[]): Promise<void> {
    await this.#db.batch(
      pairings.map((p) => ({
        sql: UPSERT,
        bound: [
          ...[p.pairingId, p.watchUdid, p.watchSerial, p.phoneUdid, p.state, p.reason],
          ...[JSON.stringify(p.timeline), p.startedAtMs, p.updatedAtMs, p.revision],
        ],
      })),
    );
  }

  async remove(pairingIds: readonly string[]): Promise<void> {
    // Held to its promise here as well: what a phone claimed is never removed.
    const sql = 'DELETE FROM pairings WHERE pairing_id = ? AND phone_udid IS NULL';
    await this.#db.batch(pairingIds.map((pairingId) => ({ sql, bound: [pairingId] })));
  }
}

interface PairingRow {
  pairing_id: string;
  watch_udid: Udid;
  watch_serial: SerialNumber;
  phone_udid: Udid | null;
  state: string;
  reason: string | null;
  timeline: string;
  started_at_ms: EpochMs;
  updated_at_ms: EpochMs;
}

export class D1PairingReader implements PairingReader {
  readonly #db: Database;
  readonly #objects: Pick<PairingStore, 'history'>;

  constructor(db: Database, objects: Pick<PairingStore, 'history'>) {
    this.#db = db;
    this.#objects = objects;
  }

  async list(
    query: Parameters<PairingReader['list']>[0],
  ): Promise<Outcome<Page<PairingRecord>, MalformedCursor>> {
    const { watch, cursor, limit } = query;
    const after = cursor === null ? FIRST : readCursor(cursor);
    if (after === null) return refuse({ kind: 'malformed-cursor' });
    if (watch !== null && cursor === null) {
      const held = (await this.#objects.history(watch)).map(fromObject);
      // An object that has dropped pairings still holds this many: live ones may end and go after the dropping.
      const dropped = held.length >= PAIRINGS_KEPT_MAX - LIVE_CHALLENGES_MAX;
      return ok(page(held.sort(newestFirst).slice(0, limit), held.length > limit || dropped));
    }
    const results = await this.#db.all<PairingRow>(
      `SELECT * FROM pairings WHERE (?1 IS NULL OR watch_udid = ?1)
         AND (started_at_ms < ?2 OR (started_at_ms = ?2 AND pairing_id < ?3))
       ORDER BY started_at_ms DESC, pairing_id DESC LIMIT ?4`,
      ...[watch, after.startedAtMs, after.pairingId, limit + 1],
    );
    return ok(page(results.slice(0, limit).map(fromRow), results.length > limit));
  }

  async get(pairingId: string): Promise<PairingRecord | null> {
    const row = await this.#db.first<PairingRow>('SELECT * FROM pairings WHERE pairing_id = ?', pairingId);
    if (row === null) return null;
    const held = await this.#objects.history(row.watch_udid);
    const current = held.find((pairing) => pairing.pairingId === pairingId);
    return current === undefined ? fromRow(row) : fromObject(current);
  }
}

type Position = Pick<PairingRecord, 'startedAtMs' | 'pairingId'>;

/** After every row there can be. */
const FIRST: Position = { startedAtMs: epochMs(Number.MAX_SAFE_INTEGER), pairingId: '' };

function page(items: PairingRecord[], more: boolean): Page<PairingRecord> {
  const last = items.at(-1);
  return { items, cursor: more && last !== undefined ? `${last.startedAtMs}.${last.pairingId}` : null };
}

function readCursor(cursor: string): Position | null {
  const match = /^(\d{1,15})\.([A-Za-z0-9._-]{1,128})$/.exec(cursor);
  const [, startedAtMs, pairingId] = match ?? [];
  if (startedAtMs === undefined || pairingId === undefined) return null;
  return { startedAtMs: epochMs(Number(startedAtMs)), pairingId };
}

function newestFirst(a: Position, b: Position): number {
  return b.startedAtMs - a.startedAtMs || (a.pairingId < b.pairingId ? 1 : -1);
}

function fromObject(p: Pairing): PairingRecord {
  const { pairingId, phoneUdid: phone, state, reason, startedAtMs, updatedAtMs } = p;
  const timeline = p.timeline.map(fromEntry);
  const watch = { watch: p.watchUdid, serial: p.watchSerial };
  return { pairingId, ...watch, phone, state, reason, startedAtMs, updatedAtMs, timeline };
}

function fromRow(row: PairingRow): PairingRecord {
  return {
    pairingId: row.pairing_id,
    watch: row.watch_udid,
    serial: row.watch_serial,
    phone: row.phone_udid,
    state: row.state,
    reason: row.reason,
    startedAtMs: row.started_at_ms,
    updatedAtMs: row.updated_at_ms,
    // Only the archive writes this column.
    timeline: (JSON.parse(row.timeline) as TimelineEntry[]).map(fromEntry),
  };
}

function fromEntry(entry: TimelineEntry): PairingRecord['timeline'][number] {
  const { at, reason, ...rest } = entry;
  return { ...rest, atMs: epochMs(Date.parse(at)), reason: reason ?? null };
}
