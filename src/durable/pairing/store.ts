/**
 * The pairing object's tables. Every method is synchronous and is called inside one transaction of the object;
 * `savePairing` writes the outbox row together with the fact.
 */
import type { Udid } from '../../domain/ids.ts';
import type { Challenge, ChallengeCounts, Lookup } from '../../domain/pairing/decisions.ts';
import {
  COUNTED_REQUESTS_MAX,
  COUNTING_WINDOW_MS,
  PAIRINGS_KEPT_MAX,
  REDEEMED_LIFE_MS,
  UNCLAIMED_KEPT_MAX,
  UNCLAIMED_LIFE_MS,
} from '../../domain/pairing/limits.ts';
import { networkOf } from '../../domain/pairing/source.ts';
import type { Pairing } from '../../domain/pairing/states.ts';
import type { EpochMs } from '../../std/time.ts';
import { type ChallengeRow, type PairingRow, toChallenge, toPairing } from './rows.ts';

export class PairingTables {
  readonly #sql: SqlStorage;
  readonly #watchUdid: Udid;

  constructor(sql: SqlStorage, watchUdid: Udid) {
    this.#sql = sql;
    this.#watchUdid = watchUdid;
  }

  lookup(securityToken: string): Lookup {
    const [row] = this.#sql
      .exec<ChallengeRow>('SELECT * FROM challenges WHERE security_token = ?', securityToken)
      .toArray();
    const [pairing] = this.#pairings('WHERE security_token = ?', securityToken);
    return { challenge: row === undefined ? null : toChallenge(row), pairing: pairing ?? null };
  }

  find(pairingId: string): Pairing | null {
    return this.#pairings('WHERE pairing_id = ?', pairingId)[0] ?? null;
  }

  newest(): Pairing | null {
    return this.#pairings('ORDER BY started_at_ms DESC, rowid DESC LIMIT 1')[0] ?? null;
  }

  /** Newest first. */
  list(): readonly Pairing[] {
    return this.#pairings('ORDER BY started_at_ms DESC, rowid DESC');
  }

  /** Redeemed, and without a certificate for longer than its credential lived. */
  stranded(nowMs: EpochMs): readonly Pairing[] {
    return this.#pairings("WHERE state = 'redeemed' AND redeemed_at_ms <= ?", nowMs - REDEEMED_LIFE_MS);
  }

  /** An unchanged revision is news to nobody else. */
  savePairing(p: Pairing): void {
    this.#sql.exec(
      `INSERT INTO pairings (pairing_id, security_token, watch_serial, phone_udid, state, reason, redeemed_at_ms,
         started_at_ms, updated_at_ms, revision, timeline)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT (pairing_id) DO UPDATE SET phone_udid = excluded.phone_udid, state = excluded.state,
         reason = excluded.reason, redeemed_at_ms = excluded.redeemed_at_ms,
         updated_at_ms = excluded.updated_at_ms, revision = excluded.revision, timeline = excluded.timeline`,
      ...[p.pairingId, p.securityToken, p.watchSerial, p.phoneUdid, p.state, p.reason, p.redeemedAtMs],
      ...[p.startedAtMs, p.updatedAtMs, p.revision, JSON.stringify(p.timeline)],
    );
    this.#sql.exec(
      `INSERT INTO outbox (pairing_id, revision, removed) VALUES (?, ?, 0)
       ON CONFLICT (pairing_id) DO UPDATE SET revision = excluded.revision`,
      p.pairingId,
      p.revision,
    );
  }

  saveRepeat(p: Pairing): void {
    this.#sql.exec(
      'UPDATE pairings SET updated_at_ms = ?, timeline = ? WHERE pairing_id = ?',
      p.updatedAtMs,
      JSON.stringify(p.timeline),
      p.pairingId,
    );
  }

  live(): readonly Challenge[] {
    return this.#sql.exec<ChallengeRow>('SELECT * FROM challenges').toArray().map(toChallenge);
  }

  openChallenge(c: Challenge): void {
    this.#sql.exec(
      `INSERT INTO challenges (security_token, pairing_id, serial, source, issued_at_ms, expires_at_ms)
       VALUES (?, ?, ?, ?, ?, ?)`,
      ...[c.securityToken, c.pairingId, c.serial, c.source, c.issuedAtMs, c.expiresAtMs],
    );
  }

  /** The first claim stays. */
  bindPhone(securityToken: string, phoneUdid: Udid, nowMs: EpochMs): void {
    this.#sql.exec(
      'UPDATE challenges SET phone_udid = ?, claimed_at_ms = ? WHERE security_token = ? AND phone_udid IS NULL',
      phoneUdid,
      nowMs,
      securityToken,
    );
  }

  /** Delete and report in one statement: true for one caller, ever. */
  consumeChallenge(securityToken: string): boolean {
    const sql = 'DELETE FROM challenges WHERE security_token = ? RETURNING pairing_id';
    return this.#sql.exec(sql, securityToken).toArray().length === 1;
  }

  /** Deletes what has expired, and tells what that was. */
  expireChallenges(nowMs: EpochMs): readonly Challenge[] {
    const sql = 'DELETE FROM challenges WHERE expires_at_ms <= ? RETURNING *';
    return this.#sql.exec<ChallengeRow>(sql, nowMs).toArray().map(toChallenge);
  }

  countRequest(kind: 'challenge' | 'refusal', source: string, nowMs: EpochMs): void {
    this.#sql.exec(
      'INSERT INTO requests (kind, source, network, at_ms) VALUES (?, ?, ?, ?)',
      ...[kind, source, networkOf(source), nowMs],
    );
    this.#sql.exec(
      `DELETE FROM requests WHERE at_ms <= ?1 OR (kind = ?2
         AND id <= (SELECT id FROM requests WHERE kind = ?2 ORDER BY id DESC LIMIT 1 OFFSET ?3))`,
      ...[nowMs - COUNTING_WINDOW_MS, kind, COUNTED_REQUESTS_MAX],
    );
  }

  challengeCounts(source: string, nowMs: EpochMs): ChallengeCounts {
    const since = nowMs - COUNTING_WINDOW_MS;
    const sql = "SELECT count(*) AS n FROM requests WHERE kind = 'challenge' AND at_ms > ?";
    return {
      bySource: this.#number(`${sql} AND source = ?`, since, source),
      byNetwork: this.#number(`${sql} AND network = ?`, since, networkOf(source)),
      byWatch: this.#number(sql, since),
    };
  }

  refusals(source: string, nowMs: EpochMs): number {
    const sql = "SELECT count(*) AS n FROM requests WHERE kind = 'refusal' AND source = ? AND at_ms > ?";
    return this.#number(sql, source, nowMs - COUNTING_WINDOW_MS);
  }

  forgetRefusals(): void {
    this.#sql.exec("DELETE FROM requests WHERE kind = 'refusal'");
  }

  /** Bounds the object. What anybody can make goes first and leaves D1 too; the rest stays there as history. */
  trim(): void {
    const unclaimed = this.#pairings(
      `WHERE phone_udid IS NULL AND state = 'expired' ORDER BY started_at_ms DESC, rowid DESC LIMIT -1 OFFSET ?`,
      UNCLAIMED_KEPT_MAX,
    );
    for (const pairing of unclaimed) this.#removePairing(pairing);
    this.#sql.exec(
      `DELETE FROM pairings WHERE pairing_id IN (
         SELECT pairing_id FROM pairings ORDER BY started_at_ms DESC, rowid DESC LIMIT -1 OFFSET ?)
       AND pairing_id NOT IN (SELECT pairing_id FROM challenges)
       AND pairing_id NOT IN (SELECT pairing_id FROM outbox)`,
      PAIRINGS_KEPT_MAX,
    );
  }

  /** Removes everything, here and in D1, when its time has come. */
  forgetUnclaimed(nowMs: EpochMs): void {
    const dueMs = this.#unclaimedUntilMs();
    if (dueMs !== null && dueMs <= nowMs) for (const pairing of this.list()) this.#removePairing(pairing);
  }

  /** Nothing is held and nothing is left to tell. */
  isEmpty(): boolean {
    const sql = 'SELECT (SELECT count(*) FROM pairings) + (SELECT count(*) FROM outbox) AS n';
    return this.#number(sql) === 0;
  }

  /** When the next challenge expires, the next redeemed pairing is stranded, or all of it is forgotten. */
  nextDeadlineMs(): number | null {
    const sql = `SELECT min(at_ms) AS n FROM (SELECT min(expires_at_ms) AS at_ms FROM challenges UNION ALL
      SELECT min(redeemed_at_ms) + ? FROM pairings WHERE state = 'redeemed' UNION ALL SELECT ?)`;
    const bindings = [REDEEMED_LIFE_MS, this.#unclaimedUntilMs()];
    const [row] = this.#sql.exec<{ n: number | null }>(sql, ...bindings).toArray();
    return row?.n ?? null;
  }

  /** `null` while a challenge is live, and for ever once a phone has claimed one: that pairing outstays the others. */
  #unclaimedUntilMs(): number | null {
    const sql = `SELECT max(updated_at_ms) + ? AS n FROM pairings
      HAVING count(phone_udid) = 0 AND NOT EXISTS (SELECT 1 FROM challenges)`;
    return this.#sql.exec<{ n: number | null }>(sql, UNCLAIMED_LIFE_MS).toArray()[0]?.n ?? null;
  }

  #removePairing({ pairingId, revision }: Pairing): void {
    this.#sql.exec('DELETE FROM pairings WHERE pairing_id = ?', pairingId);
    const sql = 'INSERT OR REPLACE INTO outbox (pairing_id, revision, removed) VALUES (?, ?, 1)';
    this.#sql.exec(sql, pairingId, revision);
  }

  #pairings(where: string, ...bindings: (string | number)[]): Pairing[] {
    const rows = this.#sql.exec<PairingRow>(`SELECT * FROM pairings ${where}`, ...bindings).toArray();
    return rows.map((row) => toPairing(row, this.#watchUdid));
  }

  #number(sql: string, ...bindings: (string | number)[]): number {
    return this.#sql.exec<{ n: number }>(sql, ...bindings).one().n;
  }
}
